//! What an app's callbacks, or those of one client of a server, are to be told, and how they are
//! called: one at a time, in order, on whichever thread has the [`Job`].
//!
//! | file | what it has |
//! |---|---|
//! | `waiting` | what they have yet to be told |
//! | `dispatch` | one call, with what it may fail with |
//! | `conversation` | what the callbacks and the connection have to do with each other |
//! | `inside` | which callbacks a thread is in, so that none waits there for its own end |

mod conversation;
mod dispatch;
mod inside;
mod result;
mod waiting;

use std::error::Error as StdError;
use std::sync::Arc;

use crate::close::Close;
use crate::error::Error;
use crate::link::Shared;
use crate::message::{Fragment, Message};
use crate::protocol::{Batch, End, Item};
pub(crate) use conversation::{Conversation, Over};
use dispatch::Stopped;
pub(crate) use dispatch::{Dispatcher, Done, Job};
#[cfg(feature = "server")]
pub(crate) use inside::enter;
pub(crate) use inside::is_inside;
pub use result::CallbackResult;
#[cfg(feature = "server")]
pub(crate) use result::Sealed;
pub(crate) use waiting::Calls;

/// What a callback may fail with: any error, by `?`. It goes to `on_error`, and the connection goes
/// on.
pub type CallbackError = Box<dyn StdError + Send + Sync>;

/// Something to tell.
pub(crate) enum Call {
    Open,
    Reopen,
    /// What is in the reader's batch.
    Batch,
    /// Items that arrived while a callback was busy. Boxed, since every app keeps room for some
    /// calls.
    KeptBatch(Box<KeptBatch>),
    Periodic(usize),
    Error(Error),
    Close(Close),
    /// Not for a callback, but for the session when all before it has been handed out.
    Fail(End),
}

/// What waits for a busy callback, or for the peer to read.
pub(crate) struct KeptBatch {
    batch: Batch,
    /// The bytes that the items are in.
    bytes: Vec<u8>,
    /// The first item that has not been handed out.
    from: usize,
    /// How many bytes it holds, all in all.
    size: usize,
}

impl KeptBatch {
    /// Keeps a batch, with a copy of what it has of the buffer that it was read into.
    fn new(batch: Batch, read: &[u8], from: usize) -> Box<Self> {
        let bytes = read[..batch.end_in_buffer()].to_vec();
        // With what keeping it takes, so that a flood of empty messages is bounded too.
        let size = bytes.len()
            + batch.arena.len()
            + batch.items.len() * size_of::<Item>()
            + size_of::<Call>()
            + size_of::<KeptBatch>();
        Box::new(KeptBatch { batch, bytes, from, size })
    }
}

/// Whose callbacks are called: an app, or one client of a server.
pub(crate) trait Callee: Send + 'static {
    /// What ends with a callback's panic.
    const NAME: &str;

    /// No message is handed out while much of what callbacks have answered to those before waits for
    /// the peer to read: so it is neither lost nor kept without end.
    const ANSWERS: bool;

    /// What its senders hold.
    fn shared(&self) -> &Arc<Shared>;

    fn on_open(&mut self) -> Result<(), CallbackError>;

    fn on_reconnect(&mut self) -> Result<(), CallbackError> {
        self.on_open()
    }

    fn on_message(&mut self, message: Message<'_>) -> Result<(), CallbackError>;

    fn on_fragment(&mut self, fragment: Fragment<'_>) -> Result<(), CallbackError>;

    fn on_ping(&mut self, payload: &[u8]) -> Result<(), CallbackError>;

    fn on_pong(&mut self, payload: &[u8]) -> Result<(), CallbackError>;

    /// What is to be called every so often: the one with this number.
    fn on_time(&mut self, _number: usize) -> Result<(), CallbackError> {
        Ok(())
    }

    /// Returns what that one is called.
    fn timer(&self, _number: usize) -> &'static str {
        "every"
    }

    fn on_error(&mut self, error: &Error) -> Result<(), CallbackError>;

    fn on_close(&mut self, close: &Close) -> Result<(), CallbackError>;
}
