//! `wsapp serve`: a server.

use std::sync::mpsc;
use std::time::Duration;

use clap::Args;
use websocket_app::server::Server;

use crate::failure::Failure;
use crate::signals;
use crate::status::Status;

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Where to listen: HOST:PORT, or unix:PATH; with port 0 the system chooses one
    #[arg(default_value = "127.0.0.1:9001")]
    address: String,

    /// Send each message back to whom it came from
    #[arg(long)]
    echo: bool,
}

/// How long clients have to answer the Close frame when the server ends.
const SHUTDOWN: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &ServeArgs) -> Result<Status, Failure> {
    let server = Server::new(&args.address).on_message(|client, message| client.send(message));
    let handle = server.spawn().map_err(|error| Failure::of(&error, &args.address))?;
    if let Some(address) = handle.local_addr() {
        eprintln!("listening on ws://{address}/");
    }
    let (interrupted, waiting) = mpsc::channel();
    signals::on_interrupt(move || {
        let _ = interrupted.send(());
    })?;
    // The other end lives as long as the handler of the signal, which is for good.
    let _ = waiting.recv();
    let _ = handle.shutdown(1001, "", SHUTDOWN);
    handle.join().map_err(|error| Failure::of(&error, &args.address))?;
    Ok(Status::Interrupted)
}
