//! The library from outside, over loopback, beside tungstenite: round trips, receiving, sending
//! from several threads, many connections, bursts, `busy_poll`.
//!
//! ```text
//! cargo bench --bench connection                  # all of it, about a minute
//! cargo bench --bench connection -- send receive  # what has one of these in its name
//! ```
//!
//! The server is none of the libraries, and a process of its own, so that what it costs is not
//! counted. Each side is on a processor of its own where `taskset` is there, but for sending, which
//! is about several threads. A measurement is a new connection; opening it does not count.

// In a benchmark, what cannot go wrong may say so by failing.
#![allow(clippy::unwrap_used)]

mod burst;
mod busy_poll;
mod clients;
#[path = "../compare/mod.rs"]
mod compare;
mod connections;
mod floor;
mod processors;
mod receive;
mod round_trip;
mod send;
mod server;

use std::env;

use compare::Bench;
use processors::Apart;
use server::Server;

fn main() {
    if env::args().nth(1).as_deref() == Some(server::ARGUMENT) {
        return server::serve();
    }
    let bench = Bench::from_args();
    let server = Server::start();
    let apart = Apart::new();
    apart.put(server.id());
    round_trip::run(&bench, &server);
    busy_poll::run(&bench, &server);
    receive::run(&bench, &server);
    connections::run(&bench, &server);
    drop(apart);
    burst::run(&bench);
    send::run(&bench, &server);
}
