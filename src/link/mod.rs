//! One live connection: who reads it and who writes to it.
//!
//! ```text
//!            any thread                                  the reading thread
//!   Sender ──► Shared: lock, queue ──► Stream ◄── Receiver ──► batch of items
//!                 │  close, abort, a full socket          ▲
//!                 └──────────► LoopWaker ──────────────────┘
//! ```
//!
//! [`Shared`] lives as long as the app: it is what every [`Sender`] holds, whether there is a connection or not.
//! [`Receiver`] lives as long as one connection and belongs to the thread that reads it: the event loop, or the caller of
//! the blocking client.

mod flusher;
mod receiver;
mod sender;
mod shared;
mod spared;
mod waker;

pub(crate) use receiver::{Beginning, Reader, Receiver, Step};
pub use sender::{Sender, State, Stats};
pub(crate) use shared::{CallbackScope, Kept, Shared};
pub(crate) use spared::Spared;
pub(crate) use waker::LoopWaker;
