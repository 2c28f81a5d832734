//! One connection: who reads it, who writes to it, and what its senders hold.
//!
//! ```text
//!            any thread                                     the thread that reads
//!   Sender ──► Shared { Writer } ──► Wire { Stream } ◄── Link { Receiver } ──► batch of items
//!                 │  close, abort, an error                ▲
//!                 └──────────► LoopWaker ──────────────────┘
//! ```
//!
//! [`Shared`] lives as long as the app: it is what every [`Sender`] holds, whether there is a
//! connection or not. The `Writer` in it is made and dropped with the connection, as is the
//! [`Link`], which belongs to the thread that reads: the event loop's, or that of the blocking
//! client's caller.

mod answers;
mod coalesce;
mod ending;
mod flusher;
mod gather;
// The connection itself, as its driver sees it.
#[allow(clippy::module_inception)]
mod link;
mod message_writer;
mod pings;
mod receiver;
mod sender;
mod shared;
mod shrink;
mod supplies;
mod trace;
mod waker;
mod writer;

pub(crate) use gather::Gather;
pub(crate) use link::{Established, Link, Remains, Requested, Step};
pub use message_writer::MessageWriter;
pub(crate) use receiver::Reader;
pub use sender::{SendPolicy, Sender, State, Stats};
#[cfg(feature = "server")]
pub(crate) use shared::{Broadcast, Queueing};
pub(crate) use shared::{CallbackScope, Kept, Opened, Shared};
pub(crate) use shrink::Shrink;
#[cfg(any(fuzzing, all(test, feature = "deflate")))]
pub(crate) use supplies::Supplies;
pub(crate) use waker::{LoopWaker, Place, Woken};
