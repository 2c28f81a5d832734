//! [`Mailbox`]: what other threads leave for a loop.

use std::sync::{Arc, PoisonError};

use mio::Token;

use super::core::DoneJob;
use super::driver::Driver;
use crate::error::Error;
use crate::link::LoopWaker;
use crate::panics;
use crate::sync::{Mutex, MutexGuard};

/// Stands for the mailbox among the tokens of drivers.
pub(super) const MAILBOX: Token = Token(usize::MAX - 1);

pub(crate) struct Mailbox<D: Driver> {
    /// Held for a few instructions.
    commands: Mutex<Commands<D>>,
    pub(super) waker: Arc<LoopWaker>,
}

pub(super) struct Commands<D: Driver> {
    pub(super) starts: Vec<D::Start>,
    /// Calls that have returned to a thread that no longer runs the loop.
    pub(super) done: Vec<DoneJob<D>>,
    /// Nothing more will be added: when the last is over, so is the loop.
    pub(super) closed: bool,
    /// Why the loop is over before its time: nobody looks in here any more.
    failed: Option<Error>,
}

impl<D: Driver> Mailbox<D> {
    pub(super) fn new(waker: Arc<LoopWaker>) -> Self {
        let commands =
            Commands { starts: Vec::new(), done: Vec::new(), closed: false, failed: None };
        Mailbox { commands: Mutex::new(commands), waker }
    }

    /// Has something run, unless the loop has failed.
    pub(crate) fn add(&self, start: D::Start) -> Result<(), Error> {
        let mut commands = self.lock();
        if let Some(error) = &commands.failed {
            let error = error.clone();
            // What is refused is dropped, and not under the lock: what it holds is the program's.
            drop(commands);
            return Err(error);
        }
        commands.starts.push(start);
        drop(commands);
        self.wake();
        Ok(())
    }

    /// Returns what stands for the loop, which all places in it have.
    pub(crate) fn address(&self) -> usize {
        self.waker.address()
    }

    /// Makes this loop one with another that has this address.
    #[cfg(feature = "server")]
    pub(crate) fn belong_to(&self, address: usize) {
        self.waker.belong_to(address);
    }

    /// Returns whether the loop is over before its time.
    #[cfg(feature = "server")]
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().failed.is_some()
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake();
    }

    pub(super) fn bring_back(&self, done: DoneJob<D>) {
        let mut commands = self.lock();
        if commands.failed.is_none() {
            commands.done.push(done);
        }
        drop(commands);
        self.wake();
    }

    /// Makes the thread that runs the loop look up.
    pub(super) fn wake(&self) {
        self.waker.wake(MAILBOX);
    }

    /// Takes out what is to be run and what has come back. Returns whether that was all.
    pub(super) fn open(&self) -> Commands<D> {
        let mut commands = self.lock();
        Commands {
            starts: std::mem::take(&mut commands.starts),
            done: std::mem::take(&mut commands.done),
            closed: commands.closed,
            failed: None,
        }
    }

    /// The loop is over before its time. What is left in here is dropped.
    pub(super) fn fail(&self, error: &Error) {
        self.lock().failed = Some(error.clone());
        // What it holds is the program's, and may panic as it is dropped.
        drop(panics::guarded(|| drop(self.open())));
    }

    fn lock(&self) -> MutexGuard<'_, Commands<D>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
