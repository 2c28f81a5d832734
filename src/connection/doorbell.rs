//! How any thread gets the attention of the one that reads: a list of who asked, and mio's waker.

use std::sync::{Mutex, PoisonError};

use mio::{Token, Waker};

#[derive(Debug)]
pub(crate) struct Doorbell {
    waker: Waker,
    /// Who asked, since the reader last looked. Held for a push or a swap only.
    rung: Mutex<Vec<Token>>,
}

impl Doorbell {
    pub(crate) fn new(waker: Waker) -> Self {
        Doorbell { waker, rung: Mutex::default() }
    }

    /// Wakes the reader up for this connection.
    pub(crate) fn ring(&self, token: Token) {
        let first = {
            let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
            rung.push(token);
            rung.len() == 1
        };
        // One wake-up is enough until the reader has looked. It fails only when the kernel is out of memory; then the
        // reader looks when it wakes up next.
        if first && let Err(error) = self.waker.wake() {
            log::warn!(target: "websocket_app::event_loop", "the event loop could not be woken: {error}");
        }
    }

    /// Takes the names of all who rang, in exchange for an empty list.
    pub(crate) fn answer(&self, into: &mut Vec<Token>) {
        into.clear();
        std::mem::swap(into, &mut *self.rung.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
