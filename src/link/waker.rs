//! [`LoopWaker`]: wakes the thread that waits in a poll, and tells it for which connection. Any
//! thread.

use std::io;
use std::sync::{Arc, PoisonError};

use mio::Token;

use crate::sync::{Mutex, MutexGuard, Waker};

#[derive(Debug)]
pub(crate) struct LoopWaker {
    waker: Waker,
    /// Held for a few instructions and the wake-up. It comes after the lock of `Shared`, and never
    /// the other way.
    pending: Mutex<Pending>,
}

/// What the polling thread finds.
#[derive(Debug, Default)]
struct Pending {
    /// For which connections it was woken since it last looked.
    tokens: Vec<Token>,
    /// It has been woken, and has not looked yet.
    woken: bool,
    /// Why the latest try to wake it failed.
    failed: Option<io::Error>,
}

impl LoopWaker {
    pub(crate) fn new(waker: Waker) -> Self {
        LoopWaker { waker, pending: Mutex::default() }
    }

    /// Wakes the polling thread for this connection.
    pub(crate) fn wake(&self, token: Token) {
        let mut pending = self.lock();
        // A thread that wakes it again and again makes the list no longer.
        if pending.tokens.last() != Some(&token) {
            pending.tokens.push(token);
        }
        // One wake-up is enough until the thread has looked. If it fails, the next call tries
        // again.
        if !pending.woken {
            match self.waker.wake() {
                Ok(()) => pending.woken = true,
                // Logged by the thread that looks: whoever wakes it holds locks, which the logger
                // may want too.
                Err(error) => pending.failed = Some(error),
            }
        }
    }

    /// Takes the tokens of all connections that it was woken for, in exchange for an empty list.
    pub(crate) fn drain(&self, into: &mut Vec<Token>) {
        into.clear();
        let mut pending = self.lock();
        pending.woken = false;
        std::mem::swap(into, &mut pending.tokens);
        let failed = pending.failed.take();
        drop(pending);
        if let Some(error) = failed {
            log::warn!(target: "websocket_app::event_loop", "the event loop could not be woken at once: {error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the poll that waits for it: what other threads wake that by.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) waker: Arc<LoopWaker>,
    pub(crate) token: Token,
}

impl Place {
    /// Returns the address of what wakes the poll, which all places in it have.
    pub(crate) fn its_loop(&self) -> usize {
        Arc::as_ptr(&self.waker).addr()
    }

    pub(crate) fn wake(&self) {
        self.waker.wake(self.token);
    }
}
