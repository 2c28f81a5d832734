//! [`WireTrace`]: writes the frames of one connection to the log, both ways.
//!
//! Whether there is one is decided when the connection opens, by whether anybody reads that log
//! then: all others have a stream without. What is sent is shown by the thread that writes it,
//! before it does, so that its lines are in the order of the wire, and before those of an answer.
//! No lock is held meanwhile, but nobody else writes the connection: who wants to is told to wait
//! or let it be, as always.

use std::mem;
use std::sync::PoisonError;

use super::shared::CallbackScope;
use crate::protocol::FrameTrace;
use crate::protocol::handshake::echo::Secrets;
use crate::sync::Mutex;
use crate::transport::Trace;
use crate::wire_log::{self, Way};

pub(super) struct WireTrace {
    peer: Box<str>,
    secrets: Secrets,
    /// Of the thread that reads.
    received: Mutex<FrameTrace>,
    /// Of the thread that writes.
    sent: Mutex<FrameTrace>,
}

impl Trace for WireTrace {
    fn received(&self, bytes: &[u8]) {
        self.show(Way::Received, &self.received, bytes);
    }

    fn sending(&self, bytes: &[u8]) {
        self.show(Way::Sent, &self.sent, bytes);
    }
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

    fn show(&self, way: Way, place: &Mutex<FrameTrace>, bytes: &[u8]) {
        // A logger may send over the connection that its line is about. Where this thread writes
        // it, it would wait for itself.
        let _scope = CallbackScope::enter();
        let lock = || place.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out of its place, where nobody else looks meanwhile: a logger is not called under a
        // lock.
        let mut frames = mem::take(&mut *lock());
        frames.push(bytes, &self.secrets, |line| wire_log::line(&self.peer, way, line));
        *lock() = frames;
    }
}
