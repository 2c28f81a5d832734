//! Promise 8: a slow callback does not cost the connection. Here they sleep, or wait until the test
//! lets them go on.

/// The peer's pings are answered, no keepalive fires falsely, a Close goes through either way.
mod alive;
/// What callbacks hold may take long to drop.
mod drops;
/// Each kind of callback may be slow.
mod each_kind;
/// Errors and panics that come late.
mod failing;
/// Other apps on the same loop do not notice.
mod others;
/// Pings, and how long their answers take.
mod pings;
/// A connection that is lost and made anew while a callback is slow.
mod reconnecting;
/// Which thread callbacks run on, and that the loop comes back to it.
mod threads;
/// What arrives waits in order, bounded in bytes.
mod waiting;

use std::thread;
use std::time::Duration;

use websocket_app::{CallbackError, Sender};

use self::pings::{is_alive, ping};
use crate::connection::Connection;
use crate::frame::Frame;
use crate::recorder::Call;
use crate::watchdog::Gate;

/// The message at which a callback becomes slow.
const WORK: &str = "work";

/// Work that a callback does: it says that it has begun, sleeps, and goes on when it is let. So a
/// test knows without a clock that something happened meanwhile.
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
