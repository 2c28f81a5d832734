//! TLS as bytes in, bytes out, and a [`Stream`](super::Stream) over a stream made of that.
//!
//! ```text
//!   TlsAttempt ── step ──► TlsSession ──► Layer: a Stream over a Stream
//!             (native, rustls_session)   (ahead: what came, outgoing: what is to go)
//! ```
//!
//! Two libraries do the work, and only the files named after them know which. Both work in memory:
//! the socket is read and written here, in large pieces, and so may be a TLS session itself.
//! Connecting drives the [`TlsAttempt`], on its own thread; from then on reader and writer share
//! the [`Layer`], under its locks.

mod ciphertext_in;
mod ciphertext_out;
mod layer;
#[cfg(feature = "native-tls")]
pub(crate) mod native;
#[cfg(feature = "rustls")]
pub(crate) mod rustls_session;
mod session;

pub(crate) use ciphertext_in::CiphertextIn;
pub(crate) use ciphertext_out::CiphertextOut;
pub(crate) use layer::Layer;
#[cfg(feature = "server")]
pub(crate) use session::guarded;
pub(crate) use session::{HandshakeStep, TlsAttempt, TlsFailure, own_error};
