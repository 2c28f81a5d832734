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
