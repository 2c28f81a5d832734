//! Close frames, their codes, and the closing handshake as a function of time (RFC 6455 §7): which
//! code tells the peer what went wrong, which may stand in a Close frame, and when the connection
//! is over.
//!
//! Apart from [`Inbound`](super::Inbound) and [`Queue`](super::send::Queue), which carry Close
//! frames like any other: [`Closing`] belongs to whoever reads, the functions are for anybody.
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

use bytes::Bytes;
use tungstenite::protocol::frame::coding::CloseCode;

use super::batch::End;
use super::frame::MAX_CONTROL_PAYLOAD;
use crate::close::close_code::{INVALID_DATA, NO_STATUS, POLICY, PROTOCOL_ERROR, TOO_BIG};
use crate::close::{Close, ClosedBy};
use crate::deadline::after;
use crate::error::{LimitError, ProtocolError};
use crate::role::Role;

/// Returns whether a close code may stand in a Close frame (RFC 6455 §7.4.2). tungstenite does not
/// know 1014, which was registered later.
fn may_be_sent(code: u16) -> bool {
    code == 1014 || CloseCode::from(code).is_allowed()
}

/// Returns the payload of a Close frame, or what is wrong with code and reason (RFC 6455 §5.5.1,
/// §7.4).
pub(crate) fn close_payload(code: u16, reason: &str) -> Result<Bytes, String> {
    if !may_be_sent(code) {
        return Err(format!(
            "close code {code} must not be sent: use 1000, another of 1001–1003 and 1007–1014, or one of your own from 3000–4999"
        ));
    }
    if reason.len() > MAX_CONTROL_PAYLOAD - 2 {
        return Err(format!(
            "a close reason of {} bytes is too long: 123 are allowed",
            reason.len()
        ));
    }
    Ok([&code.to_be_bytes(), reason.as_bytes()].concat().into())
}

/// Returns the payload of the Close frame that answers one with this code (RFC 6455 §5.5.1:
/// typically the same code; 1005 is never sent).
pub(crate) fn close_answer(code: u16) -> Vec<u8> {
    if code == NO_STATUS { Vec::new() } else { code.to_be_bytes().to_vec() }
}

/// Reads the payload of a Close frame (RFC 6455 §5.5.1).
pub(super) fn read_close(payload: &[u8]) -> Result<End, ProtocolError> {
    let (code, reason) = match payload {
        [] => return Ok(End::Close { code: NO_STATUS, reason: String::new() }),
        [_] => return Err(ProtocolError::InvalidClosePayload),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !may_be_sent(code) {
        return Err(ProtocolError::InvalidCloseCode(code));
    }
    let reason = str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
    Ok(End::Close { code, reason: reason.to_owned() })
}

impl End {
    /// Returns the code of the Close frame that tells the peer (RFC 6455 §7.4.1); for the peer's
    /// own Close, the one it sent.
    pub(crate) fn close_code(&self) -> u16 {
        match self {
            End::Close { code, .. } => *code,
            End::Protocol(ProtocolError::InvalidUtf8 | ProtocolError::InvalidDeflate) => {
                INVALID_DATA
            }
            End::Protocol(_) => PROTOCOL_ERROR,
            End::Limit(LimitError::MessageSize { .. }) => TOO_BIG,
            End::Limit(LimitError::Fragments { .. }) => POLICY,
        }
    }

    /// Returns the reason in that frame: who has to find out why need not ask us. It fits.
    pub(crate) fn close_reason(&self) -> String {
        match self {
            End::Close { .. } => String::new(),
            End::Protocol(violation) => violation.to_string(),
            End::Limit(LimitError::MessageSize { limit }) => {
                format!("a message is longer than {limit} bytes")
            }
            End::Limit(LimitError::Fragments { limit }) => {
                format!("a message has more than {limit} fragments")
            }
        }
    }
}

/// How long a closed connection waits for the peer to end the TCP connection: a client for the
/// server to be the first to do so (RFC 6455 §7.1.1), and either side so that a Close frame on its
/// way is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Closing {
    role: Role,
    state: ClosingState,
    began: Option<ClosedBy>,
    received: Option<Box<(u16, String)>>,
    deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ClosingState {
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
    pub(crate) fn new(role: Role) -> Self {
        Closing { role, ..Closing::default() }
    }

    /// Returns whether to end our direction of the TCP connection now, `told` being whether our
    /// Close frame was written: a server does once both have said Close, or the peer has been told
    /// what it did wrong; a client leaves that to the server (RFC 6455 §7.1.1). Then it goes on as
    /// before: until the peer ends its own, or the deadline.
    pub(crate) fn ends_first(&self, told: bool) -> bool {
        self.role == Role::Server
            && told
            && matches!(self.state, ClosingState::Both | ClosingState::Failed)
    }

    /// Returns whether anything that arrives is still wanted.
    pub(crate) fn is_receiving(&self) -> bool {
        matches!(self.state, ClosingState::Open | ClosingState::Ours)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// `close()` was called.
    pub(crate) fn on_local_close(&mut self, now: Instant, timeout: Duration) {
        if self.state == ClosingState::Open {
            self.state = ClosingState::Ours;
            self.began = Some(ClosedBy::Us);
            self.deadline = Some(after(now, timeout));
        }
    }

    /// A Close frame was received; it is answered unless ours was sent before.
    pub(crate) fn on_peer_close(
        &mut self,
        code: u16,
        reason: String,
        now: Instant,
        timeout: Duration,
    ) {
        self.state = ClosingState::Both;
        self.began.get_or_insert(ClosedBy::Peer);
        self.received = Some(Box::new((code, reason)));
        self.shorten(now, timeout);
    }

    /// The peer did something wrong, or a callback panicked: a Close frame tells it.
    pub(crate) fn on_failure(&mut self, now: Instant, timeout: Duration) {
        self.state = ClosingState::Failed;
        self.began.get_or_insert(ClosedBy::Us);
        self.shorten(now, timeout);
    }

    /// The stream ended, or the deadline passed.
    pub(crate) fn outcome(&self) -> Outcome {
        match self.state {
            ClosingState::Open => Outcome::Lost,
            ClosingState::Ours => Outcome::Unanswered,
            ClosingState::Both | ClosingState::Failed => Outcome::Over,
        }
    }

    /// Returns how it ended, for `on_close`. `told` is whether our Close frame was written.
    pub(crate) fn close(&self, told: bool) -> Close {
        let close = Close::without_frame(self.began.unwrap_or(ClosedBy::Lost));
        match &self.received {
            Some(received) => {
                let (code, reason) = (received.0, received.1.clone());
                Close { code, reason, clean: told, ..close }
            }
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
        assert_eq!(
            (closing.deadline(), closing.outcome()),
            (Some(now + TIMEOUT), Outcome::Unanswered)
        );
        assert!(closing.is_receiving(), "messages before the peer's Close are still delivered");
        closing.on_peer_close(1000, "bye".into(), now, TIMEOUT);
        assert_eq!((closing.deadline(), closing.outcome()), (Some(now + LINGER), Outcome::Over));
        let close = closing.close(true);
        assert_eq!(
            (close.code, close.reason.as_str(), close.clean, close.by),
            (1000, "bye", true, ClosedBy::Us)
        );
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

    #[test]
    fn a_server_ends_tcp_first_once_both_have_closed() {
        let now = Instant::now();
        for (role, first) in [(Role::Client, false), (Role::Server, true)] {
            let mut closing = Closing::new(role);
            closing.on_local_close(now, TIMEOUT);
            assert!(!closing.ends_first(true), "the peer has not answered");
            closing.on_peer_close(1000, String::new(), now, TIMEOUT);
            assert!(!closing.ends_first(false), "our own is not written");
            assert_eq!(closing.ends_first(true), first, "{role:?}");
            let mut failed = Closing::new(role);
            failed.on_failure(now, TIMEOUT);
            assert_eq!(
                (failed.ends_first(true), failed.deadline()),
                (first, Some(now + LINGER)),
                "{role:?}"
            );
        }
    }

    #[test]
    fn only_allowed_codes_and_short_reasons_make_a_close_frame() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            assert!(close_payload(code, "").is_err(), "{code}");
        }
        for code in [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999] {
            assert!(close_payload(code, "").is_ok(), "{code}");
        }
        assert!(close_payload(1000, &"r".repeat(123)).is_ok());
        assert!(close_payload(1000, &"r".repeat(124)).is_err());
    }

    #[test]
    fn each_thing_that_goes_wrong_has_its_code() {
        for (end, code) in [
            (End::Close { code: 4321, reason: String::new() }, 4321),
            (ProtocolError::MaskedFrame.into(), 1002),
            (ProtocolError::UnmaskedFrame.into(), 1002),
            (ProtocolError::InvalidCloseCode(1005).into(), 1002),
            (ProtocolError::InvalidUtf8.into(), 1007),
            (ProtocolError::InvalidDeflate.into(), 1007),
            (End::Limit(LimitError::MessageSize { limit: 1 }), 1009),
            (End::Limit(LimitError::Fragments { limit: 1 }), 1008),
        ] {
            assert_eq!(end.close_code(), code, "{end:?}");
        }
    }

    #[test]
    fn what_may_be_sent_may_be_received() {
        for code in 0..=u16::MAX {
            let read = read_close(&[&code.to_be_bytes()[..], b"bye"].concat());
            let expected = match close_payload(code, "bye") {
                Ok(_) => Ok(End::Close { code, reason: "bye".into() }),
                Err(_) => Err(ProtocolError::InvalidCloseCode(code)),
            };
            assert_eq!(read, expected);
        }
    }
}
