//! One live connection: who reads it and who writes to it.
//!
//! ```text
//!            any thread                                  the reading thread
//!   Sender ──► Outbound: lock, queue ──► Stream ◄── Receiver ──► batch of items
//!                 │  close, abort, a full socket          ▲
//!                 └──────────► Doorbell ──────────────────┘
//! ```
//!
//! [`Outbound`] lives as long as the app: it is what every [`Sender`] holds, whether there is a connection or not.
//! [`Receiver`] lives as long as one connection and belongs to the thread that reads it: the event loop, or the caller of
//! the blocking client.

mod doorbell;
mod flusher;
mod outbound;
mod receiver;
mod sender;
mod spared;

pub(crate) use doorbell::Doorbell;
pub(crate) use outbound::{CallbackScope, Kept, Outbound};
pub(crate) use receiver::{Beginning, Reader, Receiver, Step};
pub use sender::{Sender, State, Stats};
pub(crate) use spared::Spared;
