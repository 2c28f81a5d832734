//! [`WireTrace`]: writes the frames of one connection to the log, both ways.
//!
//! Whether there is one is decided when the connection opens, by whether anybody reads that log
//! then: all others pay a look at an empty place for each read and each write. What is sent is
//! shown by the thread that writes it, before it does, so that its lines are in the order of the
//! wire, and before those of an answer. No lock is held meanwhile, but nobody else writes the
//! connection: who wants to is told to wait or let it be, as always.

use std::mem;
use std::sync::PoisonError;

use super::shared::CallbackScope;
use crate::protocol::FrameTrace;
use crate::protocol::handshake::echo::Secrets;
use crate::sync::Mutex;
use crate::wire_log::{self, Way};

pub(crate) struct WireTrace {
    peer: Box<str>,
    secrets: Secrets,
    /// Of the thread that reads.
    received: Mutex<FrameTrace>,
    /// Of the thread that writes.
    sent: Mutex<Sent>,
}

#[derive(Default)]
struct Sent {
    frames: FrameTrace,
    /// So much of what is next to be written was shown already: the socket did not take it.
    shown: usize,
}

impl WireTrace {
    /// Makes one if anybody reads it.
    pub(super) fn begin(peer: &str, secrets: &Secrets) -> Option<Box<Self>> {
        wire_log::is_on().then(|| {
            Box::new(WireTrace {
                peer: peer.into(),
                secrets: secrets.clone(),
                received: Mutex::default(),
                sent: Mutex::default(),
            })
        })
    }

    /// Shows what was read.
    #[cold]
    pub(super) fn received(&self, bytes: &[u8]) {
        let mut frames = take(&self.received);
        self.show(Way::Received, &mut frames, bytes);
        put(&self.received, frames);
    }

    /// Shows what is next to be written, as far as it is new.
    #[cold]
    pub(super) fn sending(&self, bytes: &[u8]) {
        let mut sent = take(&self.sent);
        self.show(Way::Sent, &mut sent.frames, &bytes[sent.shown.min(bytes.len())..]);
        sent.shown = bytes.len();
        put(&self.sent, sent);
    }

    /// Takes note of what was written of it.
    #[cold]
    pub(super) fn sent(&self, bytes: usize) {
        let mut sent = take(&self.sent);
        sent.shown = sent.shown.saturating_sub(bytes);
        put(&self.sent, sent);
    }

    fn show(&self, way: Way, frames: &mut FrameTrace, bytes: &[u8]) {
        // A logger may send over the connection that its line is about. Where this thread writes
        // it, it would wait for itself.
        let _scope = CallbackScope::enter();
        frames.push(bytes, &self.secrets, |line| wire_log::line(&self.peer, way, line));
    }
}

/// Takes it out of its place, where nobody else looks meanwhile: a logger is not called under a
/// lock.
fn take<T: Default>(place: &Mutex<T>) -> T {
    mem::take(&mut *place.lock().unwrap_or_else(PoisonError::into_inner))
}

fn put<T>(place: &Mutex<T>, value: T) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = value;
}
