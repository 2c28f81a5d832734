//! How a connection ended: [`Close`], [`ClosedBy`], and the numbers of RFC 6455 §7.4. A leaf.

use std::fmt;
use std::time::Duration;

/// Close codes of RFC 6455 §7.4.1 that a program is likely to compare with or send.
///
/// An endpoint may send 1000–1003, 1007–1014 and 3000–4999; the others are reserved and only ever
/// reported.
pub mod close_code {
    /// The purpose of the connection is fulfilled. What `close()` sends.
    pub const NORMAL: u16 = 1000;
    /// The endpoint goes away: a server shuts down, a page is left.
    pub const GOING_AWAY: u16 = 1001;
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// A kind of data that this endpoint cannot accept.
    pub const UNSUPPORTED: u16 = 1003;
    /// Never sent: the Close frame had no code.
    pub const NO_STATUS: u16 = 1005;
    /// Never sent: the connection was lost without a Close frame.
    pub const ABNORMAL: u16 = 1006;
    /// Data not consistent with its type, such as text that is not UTF-8.
    pub const INVALID_DATA: u16 = 1007;
    /// A message breaks a policy of the endpoint.
    pub const POLICY: u16 = 1008;
    /// A message is too big to process.
    pub const TOO_BIG: u16 = 1009;
    /// The server did not agree to an extension that the client needs.
    pub const EXTENSION: u16 = 1010;
    /// An unexpected condition; what is sent after a callback panicked.
    pub const INTERNAL_ERROR: u16 = 1011;
    /// The service restarts.
    pub const RESTART: u16 = 1012;
    /// The server is overloaded: try again later.
    pub const TRY_AGAIN: u16 = 1013;
}

/// How a connection, or a run that never had one, ended. `on_close` gets it, and `run_forever`
/// returns it. What the codes mean is [in the manual](crate::manual::_09_closing).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Close {
    /// The close code of the peer's Close frame; 1005 where it had none, 1006 where no Close frame
    /// was received (RFC 6455 §7.1.5).
    pub code: u16,
    /// The reason in the peer's Close frame, often empty.
    pub reason: String,
    /// Whether the closing handshake was whole: a Close frame went each way (RFC 6455 §7.1.4).
    pub clean: bool,
    /// Who began it.
    pub by: ClosedBy,
    /// How long until the next attempt to connect; `None` when the run is over.
    pub reconnect_in: Option<Duration>,
    /// The number of the attempt that comes next, counted from 1 since the last lasting connection;
    /// 0 when none comes.
    pub attempt: u32,
    /// Whether there was a connection to close, or to lose: nothing but the text differs.
    pub(crate) had_connection: bool,
}

/// Who began to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClosedBy {
    /// This program: `close()`, or the answer to something the peer did wrong.
    Us,
    /// The peer, with a Close frame.
    Peer,
    /// Nobody: the connection was lost, or never made.
    Lost,
}

/// Shows it as in a sentence: `closed by …`.
///
/// ```
/// assert_eq!(websocket_app::ClosedBy::Peer.to_string(), "the peer");
/// ```
impl fmt::Display for ClosedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ClosedBy::Us => "us",
            ClosedBy::Peer => "the peer",
            ClosedBy::Lost => "nobody",
        })
    }
}

impl Close {
    /// Makes one that ends a run, to test an `on_close` with: clean, unless the code is 1006, which
    /// means that no Close frame was received. The other fields can be set.
    ///
    /// ```
    /// use websocket_app::{Close, ClosedBy};
    ///
    /// let close = Close::new(4001, "token expired", ClosedBy::Peer);
    /// assert_eq!(close.to_string(), r#"4001 "token expired", closed by the peer"#);
    /// ```
    pub fn new(code: u16, reason: impl Into<String>, by: ClosedBy) -> Self {
        let clean = code != close_code::ABNORMAL;
        Close { code, reason: reason.into(), clean, ..Close::without_frame(by) }
    }

    /// There is no connection that could have ended.
    pub(crate) fn without_connection(by: ClosedBy) -> Self {
        Close { had_connection: false, ..Close::without_frame(by) }
    }

    /// No Close frame was received.
    pub(crate) fn without_frame(by: ClosedBy) -> Self {
        Close {
            code: close_code::ABNORMAL,
            reason: String::new(),
            clean: false,
            by,
            reconnect_in: None,
            attempt: 0,
            had_connection: true,
        }
    }
}

/// Shows code and reason, who closed it, or whether it was lost or never connected, and when the next
/// attempt is.
///
/// ```
/// use websocket_app::{Close, ClosedBy};
///
/// let lost = Close::new(1006, "", ClosedBy::Lost);
/// assert_eq!(lost.to_string(), "1006, connection lost");
/// ```
impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.reason.is_empty() {
            write!(f, " {:?}", self.reason)?;
        }
        f.write_str(match (self.by, self.clean) {
            (ClosedBy::Us, _) if !self.had_connection => ", closed by us, not connected",
            (ClosedBy::Lost, _) if !self.had_connection => ", not connected",
            (ClosedBy::Us, true) => ", closed by us",
            (ClosedBy::Us, false) => ", closed by us, without an answer",
            (ClosedBy::Peer, true) => ", closed by the peer",
            (ClosedBy::Peer, false) => ", closed by the peer, our answer was not sent",
            (ClosedBy::Lost, _) => ", connection lost",
        })?;
        match self.reconnect_in {
            Some(Duration::ZERO) => write!(f, ", attempt {} now", self.attempt),
            Some(delay) => write!(f, ", attempt {} in {delay:.1?}", self.attempt),
            None => Ok(()),
        }
    }
}
