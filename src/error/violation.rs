//! [`ProtocolError`] and [`LimitError`]: what the peer did wrong.

use std::error::Error as StdError;
use std::fmt;

/// How the peer broke RFC 6455: see [`Error::Protocol`](crate::Error::Protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set without an extension that defines it (§5.2).
    ReservedBits,
    /// An opcode that no one has defined (§5.2).
    ReservedOpcode(u8),
    /// A server must not mask its frames (§5.1).
    MaskedFrame,
    /// A client must mask its frames (§5.1).
    UnmaskedFrame,
    /// A payload length with its highest bit set, or in more bytes than it takes (§5.2).
    InvalidLength,
    /// A control frame in fragments (§5.5).
    FragmentedControlFrame,
    /// A control frame with a payload of more than 125 bytes (§5.5).
    OversizedControlFrame,
    /// A continuation frame with nothing to continue (§5.4).
    UnexpectedContinuation,
    /// A new message before the last fragment of the one before (§5.4).
    UnfinishedMessage,
    /// Text, or a close reason, that is not UTF-8 (§8.1).
    InvalidUtf8,
    /// A compressed message that cannot be inflated (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// A Close frame with a payload of one byte (§5.5.1).
    InvalidClosePayload,
    /// A close code that must not be sent (§7.4).
    InvalidCloseCode(u16),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolError::ReservedBits => {
                f.write_str("a reserved bit is set, without an extension that uses it")
            }
            ProtocolError::ReservedOpcode(opcode) => write!(f, "opcode {opcode:#x} is reserved"),
            ProtocolError::MaskedFrame => f.write_str("a frame from the server is masked"),
            ProtocolError::UnmaskedFrame => f.write_str("a frame from the client is not masked"),
            ProtocolError::InvalidLength => {
                f.write_str("a payload length is out of range, or in more bytes than it takes")
            }
            ProtocolError::FragmentedControlFrame => f.write_str("a control frame is fragmented"),
            ProtocolError::OversizedControlFrame => {
                f.write_str("a control frame has a payload of over 125 bytes")
            }
            ProtocolError::UnexpectedContinuation => {
                f.write_str("a continuation frame continues nothing")
            }
            ProtocolError::UnfinishedMessage => {
                f.write_str("a message begins before the last one has ended")
            }
            ProtocolError::InvalidUtf8 => f.write_str("text is not valid UTF-8"),
            ProtocolError::InvalidDeflate => f.write_str("a compressed message cannot be inflated"),
            ProtocolError::InvalidClosePayload => {
                f.write_str("a Close frame has half a close code")
            }
            ProtocolError::InvalidCloseCode(code) => {
                write!(f, "close code {code} must not be sent")
            }
        }
    }
}

impl StdError for ProtocolError {}

/// Which of our limits the peer exceeded: see [`Error::Limit`](crate::Error::Limit).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitError {
    /// A message is longer than `max_message_size`.
    MessageSize {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A message comes in more fragments than `max_fragments`.
    Fragments {
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitError::MessageSize { limit } => write!(
                f,
                "a message is longer than max_message_size, {limit} bytes: raise it, or take messages in pieces with on_fragment or recv_reader"
            ),
            LimitError::Fragments { limit } => {
                write!(f, "a message has more than max_fragments, {limit}, fragments")
            }
        }
    }
}

impl StdError for LimitError {}
