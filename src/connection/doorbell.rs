//! How any thread gets the attention of the one that reads: a list of who asked, and mio's waker.

use std::sync::PoisonError;

use mio::Token;

use crate::sync::{Mutex, MutexGuard, Waker};

#[derive(Debug)]
pub(crate) struct Doorbell {
    waker: Waker,
    rung: Mutex<Rung>,
}

/// What the reader finds. The lock is held for a few instructions and the wake-up.
#[derive(Debug, Default)]
struct Rung {
    /// Who asked, since the reader last looked.
    tokens: Vec<Token>,
    /// The reader has been woken, and has not looked yet.
    woken: bool,
}

impl Doorbell {
    pub(crate) fn new(waker: Waker) -> Self {
        Doorbell { waker, rung: Mutex::default() }
    }

    /// Wakes the reader up for this connection.
    pub(crate) fn ring(&self, token: Token) {
        let mut rung = self.lock();
        rung.tokens.push(token);
        // One wake-up is enough until the reader has looked. If it fails, the next ring tries again.
        if !rung.woken {
            match self.waker.wake() {
                Ok(()) => rung.woken = true,
                Err(error) => {
                    log::warn!(target: "websocket_app::event_loop", "the event loop could not be woken: {error}");
                }
            }
        }
    }

    /// Takes the names of all who rang, in exchange for an empty list.
    pub(crate) fn answer(&self, into: &mut Vec<Token>) {
        into.clear();
        let mut rung = self.lock();
        rung.woken = false;
        std::mem::swap(into, &mut rung.tokens);
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
