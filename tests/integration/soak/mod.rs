//! A soak: 50 apps on one loop, 1,000 messages a second each way, numbered, while their server does
//! whatever goes wrong in a network. None may be missing and none doubled, except those in flight
//! where a connection was cut. Half of them compress, both ways.
//!
//! ```text
//! cargo test --test integration soak                                    # 3 s, as one of all tests
//! WEBSOCKET_SOAK=60 cargo test --test integration soak -- --nocapture   # so many seconds, and what was counted
//! ```
//!
//! `WEBSOCKET_SOAK_SEED` repeats the faults of another run. What counts as in flight is said in
//! `ledger`.

/// An app and what it sends.
mod client;
/// What goes wrong, and what may be lost by it.
mod fault;
/// Who sent and received what, and what must not be.
mod ledger;
/// What both ends send.
mod message;
/// Memory, threads and files of this process.
mod resources;
/// The server that misbehaves.
mod server;
/// Frames as the server reads and writes them.
mod wire;

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::EventLoop;

use self::client::Client;
use self::ledger::{Ledger, Total};
use self::resources::Resources;
use self::server::Server;
use crate::many::join;

const APPS: usize = 50;
/// Of each app, each way: 1,000 a second together.
const PERIOD: Duration = Duration::from_millis(50);
/// How long the last messages may take when nothing goes wrong any more: dead peers have yet to be
/// noticed.
const SETTLING: Duration = Duration::from_secs(20);

#[test]
fn none_missing_none_doubled_but_those_in_flight() {
    let seconds: Option<u64> =
        env::var("WEBSOCKET_SOAK").ok().map(|s| s.parse().expect("a number of seconds"));
    let seed = env::var("WEBSOCKET_SOAK_SEED")
        .map_or_else(|_| rand::random(), |s| s.parse().expect("a number"));
    println!("WEBSOCKET_SOAK_SEED={seed}");
    let before = Resources::now();
    let warm = run(Duration::from_secs(seconds.unwrap_or(3)), seed);
    // Among other tests, theirs would be counted too.
    if seconds.is_some() {
        let after = before.wait_for_no_more();
        println!("before: {before}\n  warm: {warm}\n after: {after}");
        assert!(
            after.threads <= before.threads && after.files <= before.files,
            "something is left behind"
        );
        assert!(after.memory <= warm.memory + (16 << 20), "memory grows");
    }
}

/// Waits until it is so, or a while: what has not come then is found missing.
fn wait(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + SETTLING;
    while !is_so() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
}

/// Returns what was in use when a quarter of the time had passed.
fn run(time: Duration, seed: u64) -> Resources {
    let ledgers: Arc<[Ledger]> = (0..APPS).map(|_| Ledger::default()).collect();
    let server = Server::start(seed, Arc::clone(&ledgers));
    let event_loop = EventLoop::new().unwrap();
    let clients: Vec<Client> =
        (0..APPS).map(|i| Client::add(&event_loop, &server.url(i), &ledgers, i)).collect();
    let (started, is_over) = (Instant::now(), AtomicBool::new(false));
    let warm = thread::scope(|scope| {
        for half in clients.chunks(APPS / 2) {
            scope.spawn(|| client::send_until(&is_over, half));
        }
        thread::sleep(time / 4);
        let warm = Resources::now();
        thread::sleep(time - time / 4);
        // Sending goes on until what was sent from here on has arrived, so that the numbers tell of
        // all that is missing.
        server.behave();
        let marks: Vec<u64> = clients.iter().map(Client::sent).collect();
        wait(|| clients.iter().zip(&marks).all(|(client, mark)| client.arrived() > *mark));
        is_over.store(true, Ordering::SeqCst);
        warm
    });
    let took = started.elapsed();
    wait(|| clients.iter().all(|client| client.arrived() == client.sent()));
    clients.into_iter().for_each(Client::close);
    join(event_loop);
    let faults = server.end();
    let total = Total::of(&ledgers);
    println!("{:.0} s, {total}\nfaults: {faults}", took.as_secs_f64());
    assert!(total.failures.is_empty(), "WEBSOCKET_SOAK_SEED={seed}: {:#?}", total.failures);
    assert!(total.compressed > 0 || cfg!(not(feature = "deflate")), "nothing was compressed");
    warm
}
