//! [`SendError`]: why a message was not sent.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::message::OwnedMessage;

/// Why a message was not sent, or what a [`Sender`](crate::Sender) waited for did not come. An owned
/// message comes back with [`into_message`](Self::into_message).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no open connection: not yet, not any more, or it is closing.
    /// [`wait_open`](crate::Sender::wait_open) waits for one, and
    /// [`queue_while_disconnected`](crate::WebSocketApp::queue_while_disconnected) keeps messages for
    /// it.
    NotConnected {
        /// The message, where the caller gave it away.
        message: Option<OwnedMessage>,
    },
    /// The queue has no room, and waiting is not allowed: `try_send`, any send within a callback of
    /// the app or of another on its loop, or [`SendPolicy::Fail`](crate::SendPolicy::Fail). In a
    /// callback of a server's client, to that client: more was sent than may wait, for one message.
    QueueFull {
        /// The message, where the caller gave it away.
        message: Option<OwnedMessage>,
        /// The limit, `max_send_buffer`, in bytes.
        limit: usize,
    },
    /// There is no open connection, or its first callback has not returned, and what waits for that
    /// is as much as `queue_while_disconnected` allows.
    BacklogFull {
        /// The message, where the caller gave it away.
        message: Option<OwnedMessage>,
        /// The limit in bytes.
        limit: usize,
    },
    /// The queue had no room for as long as the caller would wait.
    Timeout {
        /// The message, where the caller gave it away.
        message: Option<OwnedMessage>,
        /// How long that was.
        after: Duration,
    },
    /// Another message is being written in fragments, between which no other may go (RFC 6455
    /// §5.4), and it was not finished for as long as the caller would wait: its
    /// [`MessageWriter`](crate::MessageWriter) is open, maybe on this very thread.
    Busy {
        /// The message, where the caller gave it away.
        message: Option<OwnedMessage>,
        /// How long that was: zero where it was not to wait.
        after: Duration,
    },
    /// A message that was written in fragments was not finished, so the connection fails: its
    /// [`MessageWriter`](crate::MessageWriter) was dropped before `finish`, or its text ended within
    /// a character.
    Unfinished {
        /// Which of them it was.
        problem: &'static str,
    },
    /// What was sent is queued, but the operating system did not take all of it in time: from
    /// [`flush`](crate::Sender::flush), and from a blocking connection's sends. It may still go
    /// out: sending it again may double it.
    Unwritten {
        /// How long that was: zero where it was not to wait, as a `flush` in a callback.
        after: Duration,
    },
    /// It waited for a connection for longer than `queue_while_disconnected` allows.
    Expired {
        /// The message.
        message: Option<OwnedMessage>,
        /// How long it waited.
        age: Duration,
    },
    /// What was waited for did not come in time: from [`wait_open`](crate::Sender::wait_open) and
    /// [`ping_wait`](crate::Sender::ping_wait).
    NotInTime {
        /// What that was.
        what: &'static str,
        /// How long it was waited for: zero where that was not to be, as in a callback.
        after: Duration,
    },
    /// The payload of a ping, pong or Close is not allowed.
    InvalidControl {
        /// What is wrong, and what would be right.
        problem: Box<str>,
    },
}

impl SendError {
    /// Returns the message, where it was given away.
    pub(super) fn message(&self) -> Option<&OwnedMessage> {
        match self {
            SendError::NotConnected { message }
            | SendError::QueueFull { message, .. }
            | SendError::BacklogFull { message, .. }
            | SendError::Timeout { message, .. }
            | SendError::Busy { message, .. }
            | SendError::Expired { message, .. } => message.as_ref(),
            SendError::Unfinished { .. }
            | SendError::Unwritten { .. }
            | SendError::NotInTime { .. }
            | SendError::InvalidControl { .. } => None,
        }
    }

    /// Returns the message back, where it was given away as a `String`, `Vec<u8>`, `Bytes` or the
    /// like.
    #[must_use]
    pub fn into_message(self) -> Option<OwnedMessage> {
        match self {
            SendError::NotConnected { message }
            | SendError::QueueFull { message, .. }
            | SendError::BacklogFull { message, .. }
            | SendError::Timeout { message, .. }
            | SendError::Busy { message, .. }
            | SendError::Expired { message, .. } => message,
            SendError::Unfinished { .. }
            | SendError::Unwritten { .. }
            | SendError::NotInTime { .. }
            | SendError::InvalidControl { .. } => None,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::NotConnected { .. } => f.write_str(
                "not sent: there is no open connection, not yet (wait_open waits for it) or not any more",
            ),
            SendError::QueueFull { limit, .. } => {
                write!(
                    f,
                    "not sent: the send queue is full (max_send_buffer, {limit} bytes), the peer reads too slowly"
                )
            }
            SendError::BacklogFull { limit, .. } => {
                write!(
                    f,
                    "not sent: there is no open connection, and no room to wait for one (queue_while_disconnected, {limit} bytes)"
                )
            }
            SendError::Timeout { after, .. } => {
                write!(
                    f,
                    "not sent: the send queue had no room for {after:?}, the peer reads too slowly"
                )
            }
            SendError::Busy { after: Duration::ZERO, .. } => f.write_str(
                "not sent: another message is being written (message_writer), and this was not to wait for its end",
            ),
            SendError::Busy { after, .. } => write!(
                f,
                "not sent: another message is being written (message_writer) and was not finished for {after:?}, maybe by this very thread"
            ),
            SendError::Unfinished { problem } => {
                write!(f, "a message was begun and not finished: {problem}")
            }
            SendError::Unwritten { after: Duration::ZERO } => {
                f.write_str("queued, but not yet sent, and this was not to wait for the peer")
            }
            SendError::Unwritten { after } => {
                write!(
                    f,
                    "queued, but not yet sent: the peer took less in {after:?}; do not send it again"
                )
            }
            SendError::Expired { age, .. } => {
                write!(f, "not sent: there was no connection for {age:.1?}")
            }
            SendError::NotInTime { what, after: Duration::ZERO } => {
                write!(
                    f,
                    "{what} is not there, and this was not to wait for it: in a callback it cannot, on another thread it can"
                )
            }
            SendError::NotInTime { what, after } => {
                write!(f, "{what} did not come within {after:?}")
            }
            SendError::InvalidControl { problem } => write!(f, "not sent: {problem}"),
        }
    }
}

impl StdError for SendError {}

/// Shows of the message no more than its kind and length: errors are logged, and it may be a
/// secret, or megabytes.
impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outline = |message: &Option<OwnedMessage>| message.as_ref().map(OwnedMessage::outline);
        match self {
            SendError::NotConnected { message } => {
                f.debug_struct("NotConnected").field("message", &outline(message)).finish()
            }
            SendError::QueueFull { message, limit } => f
                .debug_struct("QueueFull")
                .field("message", &outline(message))
                .field("limit", limit)
                .finish(),
            SendError::BacklogFull { message, limit } => f
                .debug_struct("BacklogFull")
                .field("message", &outline(message))
                .field("limit", limit)
                .finish(),
            SendError::Timeout { message, after } => f
                .debug_struct("Timeout")
                .field("message", &outline(message))
                .field("after", after)
                .finish(),
            SendError::Busy { message, after } => f
                .debug_struct("Busy")
                .field("message", &outline(message))
                .field("after", after)
                .finish(),
            SendError::Unfinished { problem } => {
                f.debug_struct("Unfinished").field("problem", problem).finish()
            }
            SendError::Unwritten { after } => {
                f.debug_struct("Unwritten").field("after", after).finish()
            }
            SendError::Expired { message, age } => f
                .debug_struct("Expired")
                .field("message", &outline(message))
                .field("age", age)
                .finish(),
            SendError::NotInTime { what, after } => {
                f.debug_struct("NotInTime").field("what", what).field("after", after).finish()
            }
            SendError::InvalidControl { problem } => {
                f.debug_struct("InvalidControl").field("problem", problem).finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn debug_shows_nothing_of_a_message_but_its_kind_and_length() {
        let message = Some(OwnedMessage::Text("secret".into()));
        let full = SendError::QueueFull { message: message.clone(), limit: 7 };
        assert_eq!(format!("{full:?}"), "QueueFull { message: Some(Text(6 bytes)), limit: 7 }");
        let second = Duration::from_secs(1);
        for error in [
            SendError::NotConnected { message: message.clone() },
            SendError::BacklogFull { message: message.clone(), limit: 7 },
            SendError::Timeout { message: message.clone(), after: second },
            SendError::Busy { message: message.clone(), after: second },
            SendError::Expired { message: message.clone(), age: second },
        ] {
            let shown = format!("{error:?} {error:#?} {:?}", Error::Send(error.clone()));
            assert!(shown.contains("Text(6 bytes)") && !shown.contains("secret"), "{shown}");
        }
        assert_eq!(
            format!("{:?}", SendError::NotConnected { message: None }),
            "NotConnected { message: None }"
        );
    }
}
