//! One thread, many connections: waits in mio's poll, reads, keeps deadlines, calls the program.
//!
//! | file | what it has |
//! |---|---|
//! | `driver` | what the loop knows of what it runs |
//! | `core` | what the running thread works with; one step at a time |
//! | `handoff`, `watchdog` | which thread that is, also while a callback takes long |
//! | `mailbox` | what other threads leave for the loop |
//! | `timers` | whose deadline is next |
//!
//! Nothing is polled for: an idle loop sleeps until a socket, a thread or a deadline wakes it.

mod core;
mod driver;
mod handoff;
mod mailbox;
#[cfg(all(test, websocket_model))]
mod model;
mod timers;
mod watchdog;

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use self::core::Core;
pub(crate) use self::mailbox::Mailbox;
use crate::error::Error;
pub(crate) use driver::{Driver, Job};

/// Runs one on the calling thread, to its end.
pub(crate) fn run<D: Driver>(start: D::Start) -> Result<(), Error> {
    let new = NewLoop::<D>::new()?;
    new.mailbox.add(start)?;
    new.mailbox.close();
    new.run()
}

/// An event loop that no thread runs yet.
pub(crate) struct NewLoop<D: Driver> {
    core: Box<Core<D>>,
    mailbox: Arc<Mailbox<D>>,
}

impl<D: Driver> NewLoop<D> {
    pub(crate) fn new() -> Result<Self, Error> {
        let (core, mailbox) = Core::<D>::new()?;
        Ok(NewLoop { core, mailbox })
    }

    /// Returns what others add to it with.
    #[cfg(feature = "server")]
    pub(crate) fn mailbox(&self) -> &Arc<Mailbox<D>> {
        &self.mailbox
    }

    /// Runs it on the calling thread, until it is closed and the last is over.
    pub(crate) fn run(self) -> Result<(), Error> {
        handoff::run(self.core, &self.mailbox)
    }

    /// Runs it on a thread of its own.
    pub(crate) fn start(self, thread_name: &str) -> Result<Running<D>, Error> {
        self.start_then(thread_name, "a thread to run on", |_| ())
    }

    /// The same, and tells how it ended. Where there is no thread, which the error calls so, all that
    /// was left for the loop is dropped.
    pub(crate) fn start_then(
        self,
        thread_name: &str,
        what: &'static str,
        ended: impl FnOnce(&Result<(), Error>) + Send + 'static,
    ) -> Result<Running<D>, Error> {
        let mailbox = Arc::clone(&self.mailbox);
        let run = move || {
            let result = self.run();
            ended(&result);
            result
        };
        match thread::Builder::new().name(thread_name.into()).spawn(run) {
            Ok(thread) => Ok(Running { mailbox, thread }),
            Err(source) => {
                let error = Error::system(what, source);
                mailbox.fail(&error);
                Err(error)
            }
        }
    }
}

/// An event loop on a thread of its own.
pub(crate) struct Running<D: Driver> {
    mailbox: Arc<Mailbox<D>>,
    thread: JoinHandle<Result<(), Error>>,
}

impl<D: Driver> Running<D> {
    pub(crate) fn start(thread_name: &str) -> Result<Self, Error> {
        NewLoop::new()?.start(thread_name)
    }

    pub(crate) fn add(&self, start: D::Start) -> Result<(), Error> {
        self.mailbox.add(start)
    }

    /// No more will be added: the loop ends with the last.
    pub(crate) fn close(&self) {
        self.mailbox.close();
    }

    /// Returns the address of what wakes the loop, which all places in it have.
    pub(crate) fn address(&self) -> usize {
        self.mailbox.address()
    }

    /// Waits for the end of the loop.
    pub(crate) fn join(self) -> Result<(), Error> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
