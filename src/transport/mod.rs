//! A live byte stream: what a connection reads and writes, once it is open, whatever is below it.
//!
//! ```text
//!   Stream ──► Socket: TCP, a Unix socket, the program's own Transport
//!      ├─────► tls::Layer ──► Stream
//!      └─────► Traced ──► Stream
//! ```
//!
//! Nothing here blocks, but for [`Stream::wait_writable`]. Apart from connecting, which makes
//! streams and is then gone: a stream lives as long as its connection. Its reader and its writer
//! may be on different threads; what guards what they share is said in each file. [`buffers`] is
//! for whoever sends.

pub(crate) mod buffers;
mod socket;
mod stream;
#[cfg_attr(not(feature = "__tls"), path = "tls/none.rs")]
pub(crate) mod tls;
mod traced;

pub use socket::{Socket, SocketOptions, Transport};
pub(crate) use socket::{SocketPoll, SocketWaker};
pub(crate) use stream::{Stream, WAITS_FOR_PEER};
pub(crate) use traced::Trace;
