//! One thread, many connections: waits in mio's poll, reads, keeps deadlines, calls callbacks.
//!
//! | file | what it has |
//! |---|---|
//! | `core` | what the running thread works with; one step at a time |
//! | `seat`, `monitor` | which thread that is, also while a callback takes long |
//! | `session` | one app's life, as a state machine |
//! | `recipe` | how an attempt connects |
//! | `dispatch`, `handler` | calls to callbacks |
//! | `timers` | whose deadline is next |
//!
//! Nothing is polled for: an idle loop sleeps until a socket, a thread or a deadline wakes it.

mod core;
mod dispatch;
mod handler;
mod monitor;
mod recipe;
mod seat;
mod session;
mod timers;

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use self::core::{Core, Inbox};
use crate::error::Error;
pub(crate) use dispatch::{Dispatcher, Periodic};
pub use handler::{CallbackError, Handler};
pub(crate) use recipe::{Recipe, Renewal};
pub(crate) use session::Start;

/// Runs one app on the calling thread, to its end.
pub(crate) fn run(app: Start) -> Result<(), Error> {
    let (core, inbox) = Core::new()?;
    inbox.add(app)?;
    inbox.close();
    seat::run(core, &inbox)
}

/// An event loop on a thread of its own.
pub(crate) struct Running {
    inbox: Arc<Inbox>,
    thread: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(crate) fn start(thread_name: &str) -> Result<Self, Error> {
        let (core, inbox) = Core::new()?;
        let for_thread = Arc::clone(&inbox);
        let thread = thread::Builder::new().name(thread_name.into()).spawn(move || seat::run(core, &for_thread));
        let thread = thread.map_err(|source| Error::system("a thread to run on", source))?;
        Ok(Running { inbox, thread })
    }

    pub(crate) fn add(&self, app: Start) -> Result<(), Error> {
        self.inbox.add(app)
    }

    /// No more apps will be added: the loop ends with the last.
    pub(crate) fn close(&self) {
        self.inbox.close();
    }

    /// Waits for the end of the loop.
    pub(crate) fn join(self) -> Result<(), Error> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
