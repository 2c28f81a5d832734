//! The server from outside, over loopback, beside one of tungstenite's with a thread for each
//! connection.
//!
//! ```text
//! cargo bench --features server,rustls --bench server             # all of it, some minutes
//! cargo bench --features server,rustls --bench server -- echo tls # what has one of these in its name
//! ```
//!
//! Each server is this program in a process of its own, so that its processor time and its memory
//! are its own: `CPU` is the server's alone, and what holds on a machine that does other things
//! too. The load is one thread that sends frames made beforehand and compares every byte that comes
//! back: what does not do its work has no figure. It is on a processor of its own, where `taskset`
//! is there, but for `threads`, `storm` and `shutdown`. It takes as long for a message as a server
//! does, or longer, so that rates are often its own: a rate says little where the processor time
//! does not say the same.
//!
//! * `echo`: on 100 connections, each of which waits for its answer before it sends again.
//! * `pipelined`: the same with 16 messages on their way on each connection.
//! * `broadcast`: a message to 1,000 clients, of which a few are on their way. A figure is one
//!   delivery. What slow clients cost, for each of [`SlowClients`](websocket_app::server::SlowClients):
//!   they have stopped reading, and their queues are full before it begins; with `Close` they are
//!   gone by then. Memory is that of the process; what the system keeps for a socket is not in it.
//! * `connect`: connect, upgrade, a message there and back, closing handshake. Eight at a time.
//! * `flood`: how long one connection waits for its answer beside others who send as fast as the server
//!   reads.
//! * `threads`: an echo with a callback that takes 20 µs, on one and on two threads. With two
//!   processors, one of which the load has, there is less than twice as much to win.
//! * `idle`: what a connection takes while nothing happens, at first and after it has had a
//!   message; and what a server does while nothing happens, without and with pings.
//! * `storm`: 10,000 connect at once and stay.
//! * `shutdown`: 10,000 are told that the server goes.
//! * `tls`: echo, connect and idle over TLS, with the feature `rustls`, and with the other library
//!   where that one is there too. The load's TLS is rustls, so the version is the best that the
//!   server has: 1.3, or 1.2 with native-tls on OpenSSL. `connect again` comes with the session of
//!   an earlier connection; `resumed` says who takes it. With servers of tokio-tungstenite's where
//!   `WEBSOCKET_PEERS` names them:
//!
//!   ```text
//!   cargo build --release --manifest-path benches/peers/Cargo.toml
//!   WEBSOCKET_PEERS=benches/peers/target/release/peers cargo bench --features server,rustls --bench server -- tls
//!   ```
//!
//! It does not show networks: no packet is lost, none takes long, and the system's part is small.

// In a benchmark, what cannot go wrong may say so by failing.
#![allow(clippy::unwrap_used)]

mod bed;
mod broadcast;
mod child;
#[path = "../compare/mod.rs"]
mod compare;
mod connect;
mod echo;
mod flood;
mod idle;
mod load;
#[path = "../connection/processors.rs"]
mod processors;
mod serve;
mod shutdown;
mod storm;
mod threads;
#[cfg(feature = "rustls")]
mod tls;
mod usage;

use std::env;

use compare::Bench;
use processors::Apart;

fn main() {
    let mut arguments = env::args().skip(1);
    let _as_far_as_allowed = rlimit::increase_nofile_limit(u64::MAX);
    if arguments.next().as_deref() == Some(child::ARGUMENT) {
        return serve::serve(arguments.collect());
    }
    let bench = Bench::from_args();
    let apart = Apart::new();
    echo::run(&bench, &apart);
    broadcast::run(&bench, &apart);
    connect::run(&bench, &apart);
    flood::run(&bench, &apart);
    idle::run(&bench, &apart);
    #[cfg(feature = "rustls")]
    tls::run(&bench, &apart);
    drop(apart);
    threads::run(&bench);
    storm::run(&bench);
    shutdown::run(&bench);
}

/// Whether the system allows for so many connections in each process; says so if not.
fn has_files_for(connections: usize, name: &str) -> bool {
    // Without limits that can be asked for, there may be none.
    let files = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    let enough = (connections as u64 + 200) <= files;
    if !enough {
        println!("{name}: left out, as {files} open files are all that the system allows");
    }
    enough
}
