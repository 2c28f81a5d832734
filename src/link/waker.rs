//! [`LoopWaker`]: wakes the thread that waits in a poll, and tells it for which connection, or what
//! it is to write. Any thread.

use std::io;
use std::sync::{Arc, PoisonError};

use mio::Token;

#[cfg(feature = "server")]
use super::Shared;
use crate::sync::{Mutex, MutexGuard, Waker};

pub(crate) struct LoopWaker {
    waker: Waker,
    /// What stands for the loop, where that is one of several that are one in this: of whatever
    /// runs on any of them, a callback on another waits for none.
    #[cfg(feature = "server")]
    group: std::sync::OnceLock<usize>,
    /// Held for a few instructions and the wake-up. It comes after the lock of `Shared`, and never
    /// the other way.
    pending: Mutex<Pending>,
}

/// What the polling thread finds.
#[derive(Default)]
struct Pending {
    woken: Woken,
    /// It has been woken, and has not looked yet.
    rung: bool,
    /// Why the latest try to wake it failed.
    failed: Option<io::Error>,
}

/// For what it was woken since it last looked.
#[derive(Default)]
pub(crate) struct Woken {
    /// For which connections.
    pub(crate) tokens: Vec<Token>,
    /// Connections with a message in the queue that is sent to many: it is written, and no more.
    /// Looking at all else of a thousand of them would take as long as our part of the writing.
    #[cfg(feature = "server")]
    pub(crate) queued: Vec<Arc<Shared>>,
}

impl Woken {
    fn clear(&mut self) {
        self.tokens.clear();
        #[cfg(feature = "server")]
        self.queued.clear();
    }
}

impl LoopWaker {
    pub(crate) fn new(waker: Waker) -> Self {
        LoopWaker {
            waker,
            #[cfg(feature = "server")]
            group: std::sync::OnceLock::new(),
            pending: Mutex::default(),
        }
    }

    /// Makes this loop one with another that has this address. Once, before anything runs on it.
    #[cfg(feature = "server")]
    pub(crate) fn belong_to(&self, address: usize) {
        let _ = self.group.set(address);
    }

    /// Returns what stands for the loop.
    pub(crate) fn address(self: &Arc<Self>) -> usize {
        #[cfg(feature = "server")]
        if let Some(group) = self.group.get() {
            return *group;
        }
        Arc::as_ptr(self).addr()
    }

    /// Wakes the polling thread for this connection.
    pub(crate) fn wake(&self, token: Token) {
        let mut pending = self.lock();
        // A thread that wakes it again and again makes the list no longer.
        if pending.woken.tokens.last() != Some(&token) {
            pending.woken.tokens.push(token);
        }
        self.ring(&mut pending);
    }

    /// Wakes it to [write](Shared::write_queued) what was queued here.
    #[cfg(feature = "server")]
    pub(crate) fn wake_to_write(&self, shared: &Arc<Shared>) {
        let mut pending = self.lock();
        pending.woken.queued.push(Arc::clone(shared));
        self.ring(&mut pending);
    }

    fn ring(&self, pending: &mut Pending) {
        // One wake-up is enough until the thread has looked. If it fails, the next call tries
        // again.
        if !pending.rung {
            match self.waker.wake() {
                Ok(()) => pending.rung = true,
                // Logged by the thread that looks: whoever wakes it holds locks, which the logger
                // may want too.
                Err(error) => pending.failed = Some(error),
            }
        }
    }

    /// Takes all that it was woken for, in exchange for an empty list.
    pub(crate) fn drain(&self, into: &mut Woken) {
        into.clear();
        let mut pending = self.lock();
        pending.rung = false;
        std::mem::swap(into, &mut pending.woken);
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

impl std::fmt::Debug for LoopWaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoopWaker").field("waker", &self.waker).finish_non_exhaustive()
    }
}

/// A connection's place in the poll that waits for it: what other threads wake that by.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) waker: Arc<LoopWaker>,
    pub(crate) token: Token,
}

impl Place {
    /// Returns what stands for the loop, which all places in it have.
    pub(crate) fn its_loop(&self) -> usize {
        self.waker.address()
    }

    pub(crate) fn wake(&self) {
        self.waker.wake(self.token);
    }
}
