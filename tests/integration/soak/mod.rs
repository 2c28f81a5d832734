//! Two soaks: 50 apps on one loop, 1,000 messages a second each way, numbered, while their server does
//! whatever goes wrong in a network; and the same with our own server, and proxies on the way that do
//! so. None may be missing and none doubled, except those in flight where a connection was cut. Half
//! of the apps compress, both ways.
//!
//! ```text
//! cargo test --test integration soak                                    # 3 s, as one of all tests
//! WEBSOCKET_SOAK=60 cargo test --test integration soak::none_missing -- --nocapture   # so many seconds, and what was counted
//! WEBSOCKET_SOAK=60 cargo test --features server --test integration soak::our_server -- --nocapture
//! ```
//!
//! With `WEBSOCKET_SOAK`, one at a time in a process: what it has in use in the end is compared with
//! what it had.
//!
//! `WEBSOCKET_SOAK_SEED` repeats the faults of another run. What counts as in flight is said in
//! `ledger`.

/// An app and what it sends.
#[cfg_attr(not(feature = "server"), allow(dead_code))]
mod client;
/// What goes wrong, and what may be lost by it.
mod fault;
/// Who sent and received what, and what must not be.
#[cfg_attr(not(feature = "server"), allow(dead_code))]
mod ledger;
/// What both ends send.
mod message;
/// Memory, threads and files of this process.
mod resources;
/// Our own server, the harm on the way to it, and what it notes.
#[cfg(feature = "server")]
mod served;
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

/// What the apps are connected with.
trait Other: Sync {
    fn url(&self, app: usize) -> String;

    /// Sends beside the apps, if it does not by itself.
    fn send_until(&self, _is_over: &AtomicBool) {}

    /// Nothing goes wrong from when this returns.
    fn behave(&self);

    /// Returns whether something that it has sent by itself since then has arrived at each app.
    fn is_heard(&self) -> bool {
        true
    }

    /// Everything has been sent: ends the apps' connections.
    fn end_all(&self, clients: Vec<Client>) {
        clients.into_iter().for_each(Client::close);
    }

    /// Tells what went wrong how often. The apps are over.
    fn end(self) -> String;
}

#[test]
fn none_missing_none_doubled_but_those_in_flight() {
    soak(Server::start, |total| {
        assert!(total.compressed > 0 || cfg!(not(feature = "deflate")), "nothing was compressed");
        assert_eq!(total.late, 0, "a server that reads to the end gets nothing late");
    });
}

#[cfg(feature = "server")]
#[test]
fn our_server_loses_none_and_doubles_none_but_those_in_flight() {
    soak(served::Served::start, |_| {});
}

fn soak<O: Other>(start: fn(u64, Arc<[Ledger]>) -> O, check: fn(&Total)) {
    let seconds: Option<u64> =
        env::var("WEBSOCKET_SOAK").ok().map(|s| s.parse().expect("a number of seconds"));
    let seed = env::var("WEBSOCKET_SOAK_SEED")
        .map_or_else(|_| rand::random(), |s| s.parse().expect("a number"));
    println!("WEBSOCKET_SOAK_SEED={seed}");
    let before = Resources::now();
    let warm = run(Duration::from_secs(seconds.unwrap_or(3)), seed, start, check);
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
fn run<O: Other>(
    time: Duration,
    seed: u64,
    start: fn(u64, Arc<[Ledger]>) -> O,
    check: fn(&Total),
) -> Resources {
    let ledgers: Arc<[Ledger]> = (0..APPS).map(|_| Ledger::default()).collect();
    let other = start(seed, Arc::clone(&ledgers));
    let event_loop = EventLoop::new().unwrap();
    let clients: Vec<Client> =
        (0..APPS).map(|i| Client::add(&event_loop, &other.url(i), &ledgers, i)).collect();
    let (started, is_over) = (Instant::now(), AtomicBool::new(false));
    let warm = thread::scope(|scope| {
        for half in clients.chunks(APPS / 2) {
            scope.spawn(|| client::send_until(&is_over, half));
        }
        scope.spawn(|| other.send_until(&is_over));
        thread::sleep(time / 4);
        let warm = Resources::now();
        thread::sleep(time - time / 4);
        // Sending goes on until what was sent from here on has arrived, so that the numbers tell of
        // all that is missing.
        other.behave();
        let marks: Vec<u64> = clients.iter().map(Client::sent).collect();
        let are_heard =
            || clients.iter().zip(&marks).all(|(client, mark)| client.arrived() > *mark);
        wait(|| are_heard() && other.is_heard());
        is_over.store(true, Ordering::SeqCst);
        warm
    });
    let took = started.elapsed();
    wait(|| clients.iter().all(|client| client.arrived() == client.sent()));
    other.end_all(clients);
    join(event_loop);
    let faults = other.end();
    let total = Total::of(&ledgers);
    println!("{:.0} s, {total}\nfaults: {faults}", took.as_secs_f64());
    assert!(total.failures.is_empty(), "WEBSOCKET_SOAK_SEED={seed}: {:#?}", total.failures);
    check(&total);
    warm
}
