//! The WebSocket protocol (RFC 6455) without I/O and without a clock: bytes in, messages out;
//! messages in, bytes out; time is an argument.
//!
//! ```text
//!  bytes read ──► inbound ──► batch of items ──► callbacks          payload ──► frame + mask ──► send ──► bytes to write
//!                   │ utf8, limits                                               close, keepalive: what is due when
//!
//!  handshake: what comes before that
//! ```
//!
//! Receiving and sending are apart because they happen on different threads: [`Inbound`] belongs to
//! whoever reads, [`send::Queue`] to whoever writes, and [`frame`] is a set of functions that any
//! sender may call. Frame headers and close codes are tungstenite's.

mod arena;
mod assembly;
mod batch;
pub(crate) mod close;
#[cfg(feature = "server")]
pub(crate) mod common;
#[cfg_attr(not(feature = "deflate"), path = "compress_none.rs")]
mod compress;
pub(crate) mod frame;
pub(crate) mod handshake;
mod inbound;
mod keepalive;
pub(crate) mod send;
// Its types are public, for fuzz targets.
#[cfg(any(test, fuzzing))]
#[allow(unreachable_pub, missing_docs)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod trace;
mod utf8;

pub(crate) use assembly::{InPieces, Limits};
pub(crate) use batch::{Batch, End, Item, Kind, message};
pub(crate) use close::{Closing, Outcome};
pub(crate) use compress::{Contexts, Deflater, Lend};
pub(crate) use inbound::Inbound;
pub(crate) use keepalive::{Keepalive, KeepaliveAction};
pub(crate) use trace::FrameTrace;
pub(crate) use utf8::Utf8;
