//! The closing handshake as a function of time (RFC 6455 §7).
//!
//! ```text
//!            close()                      peer's Close
//!   open ───────────────► ours sent ───────────────────► both ──► end of stream, or LINGER: closed
//!    │  peer's Close, answered                            ▲
//!    ├────────────────────────────────────────────────────┘
//!    │  violation, told the peer so
//!    └──► failed: what still comes is thrown away ──► end of stream, or LINGER: closed
//! ```

use std::time::{Duration, Instant};

use crate::close::{Close, ClosedBy};
use crate::deadline::after;

/// How long a closed connection waits for the peer to end the TCP connection first, as a client should (RFC 6455 §7.1.1),
/// and so that a Close frame on its way is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Closing {
    state: State,
    began: Option<ClosedBy>,
    received: Option<(u16, String)>,
    deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// We sent a Close frame, or have queued one.
    Ours,
    /// A Close frame was received and answered, or answers ours.
    Both,
    /// The peer did something wrong and was told so.
    Failed,
}

/// How a connection is to be judged that has ended, or whose deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nobody had begun to close: the connection was lost.
    Lost,
    /// We had closed and the peer did not answer with a Close frame.
    Unanswered,
    /// It was over: the closing handshake was whole, or the failure has been told.
    Over,
}

impl Closing {
    /// Whether anything that arrives is still wanted.
    pub(crate) fn is_receiving(&self) -> bool {
        matches!(self.state, State::Open | State::Ours)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// `close()` was called.
    pub(crate) fn on_local_close(&mut self, now: Instant, timeout: Duration) {
        if self.state == State::Open {
            self.state = State::Ours;
            self.began = Some(ClosedBy::Us);
            self.deadline = Some(after(now, timeout));
        }
    }

    /// A Close frame was received; it is answered unless ours was sent before.
    pub(crate) fn on_peer_close(&mut self, code: u16, reason: String, now: Instant, timeout: Duration) {
        self.state = State::Both;
        self.began.get_or_insert(ClosedBy::Peer);
        self.received = Some((code, reason));
        self.shorten(now, timeout);
    }

    /// The peer did something wrong, or a callback panicked: a Close frame tells it.
    pub(crate) fn on_failure(&mut self, now: Instant, timeout: Duration) {
        self.state = State::Failed;
        self.began.get_or_insert(ClosedBy::Us);
        self.shorten(now, timeout);
    }

    /// The stream ended, or the deadline passed.
    pub(crate) fn outcome(&self) -> Outcome {
        match self.state {
            State::Open => Outcome::Lost,
            State::Ours => Outcome::Unanswered,
            State::Both | State::Failed => Outcome::Over,
        }
    }

    /// How it ended, for `on_close`. `told` is whether our Close frame was written.
    pub(crate) fn close(&self, told: bool) -> Close {
        let close = Close::without_frame(self.began.unwrap_or(ClosedBy::Lost));
        match &self.received {
            Some((code, reason)) => Close { code: *code, reason: reason.clone(), clean: told, ..close },
            None => close,
        }
    }

    fn shorten(&mut self, now: Instant, timeout: Duration) {
        let linger = now + LINGER.min(timeout);
        self.deadline = Some(self.deadline.map_or(linger, |deadline| deadline.min(linger)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn our_close_waits_for_the_answer_then_lingers() {
        let now = Instant::now();
        let mut closing = Closing::default();
        closing.on_local_close(now, TIMEOUT);
        assert_eq!((closing.deadline(), closing.outcome()), (Some(now + TIMEOUT), Outcome::Unanswered));
        assert!(closing.is_receiving(), "messages before the peer's Close are still delivered");
        closing.on_peer_close(1000, "bye".into(), now, TIMEOUT);
        assert_eq!((closing.deadline(), closing.outcome()), (Some(now + LINGER), Outcome::Over));
        let close = closing.close(true);
        assert_eq!((close.code, close.reason.as_str(), close.clean, close.by), (1000, "bye", true, ClosedBy::Us));
    }

    #[test]
    fn a_close_that_crosses_ours_is_still_ours() {
        let now = Instant::now();
        let mut closing = Closing::default();
        closing.on_peer_close(1001, String::new(), now, TIMEOUT);
        closing.on_local_close(now, TIMEOUT);
        assert_eq!(closing.close(true).by, ClosedBy::Peer);
        assert_eq!(closing.deadline(), Some(now + LINGER));
    }

    #[test]
    fn an_end_out_of_nowhere_is_a_loss() {
        let closing = Closing::default();
        assert_eq!(closing.outcome(), Outcome::Lost);
        let close = closing.close(false);
        assert_eq!((close.code, close.clean, close.by), (1006, false, ClosedBy::Lost));
    }

    #[test]
    fn after_a_failure_nothing_is_received_and_no_code_reported() {
        let now = Instant::now();
        let mut closing = Closing::default();
        closing.on_failure(now, TIMEOUT);
        assert!(!closing.is_receiving());
        assert_eq!((closing.close(true).code, closing.close(true).by), (1006, ClosedBy::Us));
    }
}
