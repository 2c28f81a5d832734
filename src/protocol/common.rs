//! [`Common`]: a message that a server sends to many, as their queues have it.

use std::sync::Arc;

use bytes::Bytes;

use super::frame::{self, Head};
use super::send::MAX_COPIED;
use crate::role::Role;

/// A message as a server sends it, in any number of queues: its frame is not masked (RFC 6455 §5.1),
/// and so the same in each.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    head: Head,
    payload_len: usize,
    form: Form,
}

#[derive(Clone, Debug)]
pub(super) enum Form {
    /// The whole frame of a small one.
    Frame(Arc<Vec<u8>>),
    /// The payload of a large one.
    Large(Bytes),
}

impl Common {
    pub(crate) fn new(head: Head, payload: Bytes) -> Self {
        let payload_len = payload.len();
        if payload_len > MAX_COPIED {
            return Common { head, payload_len, form: Form::Large(payload) };
        }
        let mut frame =
            Vec::with_capacity(frame::header_len(payload_len, Role::Server) + payload_len);
        frame::encode(&mut frame, head, &payload, None);
        Common { head, payload_len, form: Form::Frame(frame.into()) }
    }

    pub(crate) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn form(&self) -> &Form {
        &self.form
    }

    pub(crate) fn payload(&self) -> &[u8] {
        match &self.form {
            Form::Frame(frame) => &frame[frame.len() - self.payload_len..],
            Form::Large(payload) => payload,
        }
    }

    /// Counts the bytes of its frame.
    pub(crate) fn len(&self) -> usize {
        frame::header_len(self.payload_len, Role::Server) + self.payload_len
    }
}

/// Whole frames of small messages, one after the other, that other queues have too. As large as
/// what else a queue has an entry for, so that no connection has a list of its own allocated for
/// them.
#[derive(Debug, Default)]
pub(super) struct Run([Option<Arc<Vec<u8>>>; Run::MAX]);

impl Run {
    /// How many frames. In a model few are to go every way.
    pub(super) const MAX: usize = if cfg!(all(test, websocket_model)) { 1 } else { 6 };

    pub(super) fn new(frame: &Arc<Vec<u8>>) -> Self {
        let mut run = Run::default();
        run.push(frame);
        run
    }

    /// Adds a frame. Returns whether there was room.
    pub(super) fn push(&mut self, frame: &Arc<Vec<u8>>) -> bool {
        match self.0.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(Arc::clone(frame)),
            None => return false,
        }
        true
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Arc<Vec<u8>>> {
        self.0.iter().map_while(Option::as_ref)
    }

    /// Drops the first one. Returns its length, and whether it was the last.
    pub(super) fn drop_first(&mut self) -> (usize, bool) {
        let first = self.0[0].take();
        self.0.rotate_left(1);
        (first.map_or(0, |frame| frame.len()), self.0[0].is_none())
    }
}
