//! `wsapp serve`: a server that echoes, passes messages on, runs a command for each client, has files
//! for browsers; or that somebody sits at.

mod args;
mod console;
mod directory;
mod execute;

use std::io::{self, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::bounded;
use websocket_app::server::Server;

use crate::escape;
use crate::failure::Failure;
use crate::log_lines;
use crate::seconds::FOREVER;
use crate::signals;
use crate::status::Status;
use crate::threads;

pub(crate) use args::ServeArgs;

/// How long clients have to answer the Close frame when the server ends.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// How long whoever reads standard output has for the last messages.
const LAST_LINES: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &ServeArgs) -> Result<Status, Failure> {
    args.check()?;
    log_lines::show(args.verbose, args.trace);
    let mut server = args.apply(Server::new(&args.address).send_timeout(FOREVER))?;
    if let Some(directory) = &args.directory {
        let files = directory::Files::of(directory)?;
        server = server.on_request(move |request| files.answer(request));
    }
    let verbose = args.verbose;
    let console = args.is_console();
    let sessions = Arc::new(execute::Sessions::new(
        args.execute.clone(),
        args.format(),
        args.grace,
        args.max_connections,
    ));
    signals::before_the_end({
        let sessions = Arc::clone(&sessions);
        move || sessions.kill()
    });
    let (output, shown) = console.then(|| console::output(args.format())).transpose()?.unzip();
    let server = server
        .on_open({
            let sessions = Arc::clone(&sessions);
            move |client| {
                let request = client.request();
                let peer = request.peer_addr().map_or("a client".into(), |a| a.to_string());
                note(verbose, || {
                    format!("client {}: {peer} opened {}", client.id(), request.path())
                });
                sessions.open(client);
            }
        })
        .on_message({
            let (sessions, output) = (Arc::clone(&sessions), output);
            let (echo, broadcast) = (args.echo, args.broadcast);
            move |client, message| {
                if let Some(output) = &output {
                    output.show(client.id(), message);
                }
                if broadcast {
                    client.server().broadcast(message);
                } else if echo {
                    return client.send(message);
                }
                sessions.say(client, message);
                Ok(())
            }
        })
        .on_close({
            let sessions = Arc::clone(&sessions);
            move |client, close| {
                note(verbose, || format!("client {}: closed: {close}", client.id()));
                sessions.close(client);
            }
        })
        .on_error(move |client, error| {
            note(verbose, || format!("client {}: {error}", client.id()));
        });
    // Before anybody knows that it listens: whoever reads that may interrupt it at once.
    let (interrupt, interrupts) = bounded(1);
    signals::on_interrupt(move || {
        let _ = interrupt.try_send(());
    })?;
    let handle = server.spawn().map_err(|error| Failure::of(&error, &args.address))?;
    // What was asked for is what is said: with port 0 that is not known before.
    match handle.local_addr() {
        Some(address) => tell(&format!("listening on {}://{address}/", args.scheme())),
        None => tell(&format!("listening on {}", args.address)),
    }
    if console {
        console::read(handle.clone(), args.format())?;
    }
    // The other end lives as long as the handler of the signal, which is for good.
    let _ = interrupts.recv();
    // No callback waits for anybody any more.
    sessions.interrupt();
    shown.iter().for_each(|writer| writer.give_up());
    let ending = threads::spawn({
        let sessions = Arc::clone(&sessions);
        move || sessions.end()
    });
    if ending.is_err() {
        // There is nobody who could wait for them.
        sessions.kill();
    }
    let _ = handle.shutdown(1001, "", SHUTDOWN);
    let ended = handle.join();
    // It does not panic.
    let _ = ending.map(JoinHandle::join);
    shown.iter().for_each(|writer| {
        let _ = writer.finish(LAST_LINES);
    });
    ended.map_err(|error| Failure::of(&error, &args.address))?;
    Ok(Status::Interrupted)
}

fn note(verbose: bool, text: impl FnOnce() -> String) {
    if verbose {
        tell(&text());
    }
}

/// Says something on standard error, where there is one.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{}", escape::lines(text));
}
