//! `websocket-client` and `websockets`, each in both of its manners: `tests/python/clients.py`.

use std::process::Command;

use super::served::Served;
use super::{over_ws_and_wss, run_to_the_end};
use crate::program::skip;
use crate::python::servers::{environment, script};

#[test]
fn websocket_client_blocking() {
    over_ws_and_wss(|served| goes_through_all("create_connection", served));
}

#[test]
fn websocket_client_with_callbacks() {
    over_ws_and_wss(|served| goes_through_all("WebSocketApp", served));
}

/// Only over ws: it reads and writes a TLS session on two threads, and then takes for a timeout, now
/// and then, what is none, with its own server too.
#[test]
fn websockets_blocking() {
    goes_through_all("sync", &Served::start(|server| server));
}

#[test]
fn websockets_with_asyncio() {
    over_ws_and_wss(|served| goes_through_all("asyncio", served));
}

/// Each combination of the parameters of permessage-deflate, the client's and the server's.
#[cfg(feature = "deflate")]
#[test]
fn websockets_compress_with_every_parameter() {
    let Some(python) = python() else { return };
    let servers = super::served::compressing();
    let urls = servers.iter().map(|served| served.url("/by_turns"));
    run_to_the_end(clients(&python, "compression").args(urls));
}

fn goes_through_all(manner: &str, served: &Served) {
    if let Some(python) = python() {
        run_to_the_end(clients(&python, manner).args(served.arguments()));
    }
}

fn clients(python: &str, manner: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(script("clients.py")).arg(manner);
    command
}

/// Returns the path of a Python that has the packages, if one can be made.
fn python() -> Option<String> {
    environment().map_err(|why| skip(&format!("needs python3 with venv and pip: {why}"))).ok()
}
