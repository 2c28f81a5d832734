//! TLS as bytes in, bytes out, and a [`Stream`](super::Stream) over a stream made of that.
//!
//! ```text
//!   Attempt ── step ──► Session ──► Layer: a Stream over a Stream
//!             (native, rustls_session)   (ahead: what came, outgoing: what is to go)
//! ```
//!
//! Two libraries do the work, and only the files named after them know which. Both work in memory: the socket is read and
//! written here, in large pieces, and so may be a TLS session itself. Connecting drives the [`Attempt`], on its own thread; from
//! then on reader and writer share the [`Layer`], under its locks.

mod ahead;
mod layer;
#[cfg(feature = "native-tls")]
pub(crate) mod native;
mod outgoing;
#[cfg(feature = "rustls")]
pub(crate) mod rustls_session;
mod session;

pub(crate) use ahead::Ahead;
pub(crate) use layer::Layer;
pub(crate) use outgoing::Outgoing;
pub(crate) use session::{Attempt, Explained, Step, own_error};
