//! Promise 8: a slow callback does not cost the connection. Here they sleep, or wait until the test lets them go on.

/// The peer's pings are answered, no keepalive fires falsely, a Close goes through either way.
mod alive;
/// Each kind of callback may be slow.
mod each_kind;
/// Errors and panics that come late.
mod failing;
/// Other apps on the same loop do not notice.
mod others;
/// A connection that is lost and made anew while a callback is slow.
mod reconnecting;
/// Which thread callbacks run on, and that the loop comes back to it.
mod threads;
/// What arrives waits in order, bounded in bytes.
mod waiting;

use std::thread;
use std::time::{Duration, Instant};

use websocket_app::{CallbackError, Sender};

use crate::connection::Connection;
use crate::frame::Frame;
use crate::recorder::Call;
use crate::watchdog::Gate;

/// The message at which a callback becomes slow.
const WORK: &str = "work";

/// Work that a callback does: it says that it has begun, sleeps, and goes on when it is let. So a test knows without a
/// clock that something happened meanwhile.
#[derive(Clone, Default)]
struct Work {
    begun: Gate,
    may_end: Gate,
    at_least: Duration,
}

impl Work {
    fn lasting(at_least: Duration) -> Self {
        Work { at_least, ..Work::default() }
    }

    /// In the callback.
    fn work(&self) {
        self.begun.open();
        thread::sleep(self.at_least);
        self.may_end.wait();
    }

    /// A hook that is slow at the message [`WORK`].
    fn hook(&self) -> impl FnMut(&Sender, &Call) -> Result<(), CallbackError> + Send + 'static {
        self.hook_at(|call| *call == Call::text(WORK))
    }

    fn hook_at(
        &self,
        is_slow: impl Fn(&Call) -> bool + Send + 'static,
    ) -> impl FnMut(&Sender, &Call) -> Result<(), CallbackError> + Send + 'static {
        let work = self.clone();
        move |_, call| {
            if is_slow(call) {
                work.work();
            }
            Ok(())
        }
    }

    /// For a peer: gives the client's callback its work, and waits until it is at it.
    fn begin(&self, client: &mut Connection) {
        client.send(Frame::text(WORK));
        self.begun.wait();
    }
}

/// How long the client may take to answer a ping while a callback is slow, and what a loaded machine adds to it at most.
const PROMISED: Duration = Duration::from_millis(100);
const TOLERATED: Duration = Duration::from_millis(250);

/// Sends so many pings, one each 100 ms, sees each answered before the next, and tells how long that took.
fn ping(client: &mut Connection, count: u32) {
    let start = Instant::now();
    let times: Vec<Duration> = (0..count)
        .map(|i| {
            thread::sleep((start + i * PROMISED).saturating_duration_since(Instant::now()));
            is_alive(client, &i.to_string())
        })
        .collect();
    let slowest = times.iter().max().expect("there is one at least");
    let late = times.iter().filter(|time| **time > PROMISED).count();
    println!("{count} pings: the slowest answer took {slowest:?}, {late} took over {PROMISED:?}");
    assert!(*slowest <= TOLERATED, "answers took {times:?}");
}

/// Sends a ping, which must be answered before anything else comes, and gives the time that took.
fn is_alive(client: &mut Connection, payload: &str) -> Duration {
    let sent = Instant::now();
    client.send(Frame::ping(payload));
    client.expect(Frame::pong(payload));
    sent.elapsed()
}
