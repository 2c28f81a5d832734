//! From one to a thousand connections on one loop, all of them echoing: a message is to cost the
//! same among many. tungstenite has no loop; beside it is the floor, which is what the system
//! takes.

use std::sync::mpsc;
use std::time::Duration;

use websocket_app::{AppHandle, CallbackError, EventLoop, WebSocketApp};

use crate::clients::payload;
use crate::compare::{Bench, Meter, Took};
use crate::floor;
use crate::server::Server;

const BYTES: usize = 1 << 10;

/// A connection that is being made has a thread and two more open files for as long as that takes.
/// So not all at once.
const AT_ONCE: usize = 50;

/// So many messages each at least, that starting and ending are little beside them.
const LEAST: usize = 50;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(bench: &Bench, server: &Server) {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(0) as usize;
    for connections in [1, 10, 100, 1_000] {
        if connections + 4 * AT_ONCE > files {
            println!(
                "{connections} connections: left out, as {files} open files are all that the system allows"
            );
            continue;
        }
        let plural = if connections == 1 { "" } else { "s" };
        let least = LEAST * connections;
        bench
            .case(
                format!("connections echo 1 KiB: {connections} connection{plural} on one loop"),
                BYTES,
            )
            .way_of_many("system calls alone", least, |count| {
                floor::echo(server, connections, count / connections, BYTES)
            })
            .way_of_many("websocket-app", least, |count| echo(server, connections, count))
            .run();
    }
}

fn echo(server: &Server, connections: usize, count: usize) -> Took {
    let each = count / connections;
    let event_loop = EventLoop::new().unwrap();
    let (opened, open) = mpsc::channel();
    let (done, end) = mpsc::channel();
    let add = || {
        let (opened, done, mut left) = (opened.clone(), done.clone(), each);
        let app = WebSocketApp::new(server.url("/echo"))
            .ping_interval(None)
            .on_open(move |_| opened.send(()))
            .on_message(move |ws, message| -> Result<(), CallbackError> {
                left -= 1;
                if left == 0 {
                    return Ok(done.send(())?);
                }
                Ok(ws.send(message)?)
            });
        event_loop.add(app).unwrap()
    };
    let mut apps: Vec<AppHandle> = Vec::with_capacity(connections);
    for opened in 0..connections {
        while apps.len() < connections.min(opened + AT_ONCE) {
            apps.push(add());
        }
        open.recv_timeout(PATIENCE).unwrap();
    }
    let payload = payload(BYTES);
    let meter = Meter::start();
    apps.iter().for_each(|app| app.sender().send(payload.as_ref()).unwrap());
    apps.iter().for_each(|_| end.recv_timeout(PATIENCE).unwrap());
    let took = meter.stop(each * connections);
    apps.iter().for_each(|app| app.sender().abort());
    apps.into_iter().for_each(|app| drop(app.join()));
    event_loop.join().unwrap();
    took
}
