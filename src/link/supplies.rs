//! [`Supplies`]: what sending and compressing need beyond the protocol: masking keys, buffers, and
//! contexts that go from connection to connection. Any thread; the lock of the contexts is held to
//! take or put one, and not while it is used.

use std::sync::PoisonError;

use crate::protocol::Contexts;
use crate::protocol::frame::{Mask, MaskingKey};
use crate::protocol::send;
use crate::role::Role;
use crate::sync::{Mutex, process_wide};
use crate::transport::buffers;

pub(super) type Queue = send::Queue<Supplies>;

/// For the frames of one side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Supplies(pub(crate) Role);

impl send::Supplies for Supplies {
    const PIECE: usize = buffers::PIECE;

    fn role(self) -> Role {
        self.0
    }

    #[inline]
    fn mask(self) -> Mask {
        match self.0 {
            Role::Client => Some(masking_key()),
            Role::Server => None,
        }
    }

    fn reserve(self, buffer: &mut Vec<u8>, more: usize) {
        buffers::reserve(buffer, more);
    }

    fn release(self, buffer: &mut Vec<u8>) {
        buffers::release(buffer);
    }
}

fn masking_key() -> MaskingKey {
    rand::random()
}

process_wide! {
    static CONTEXTS: Mutex<Contexts> = Mutex::new(Contexts::new());
}

/// Lends the process's compression contexts.
pub(super) fn contexts(work: &mut dyn FnMut(&mut Contexts)) {
    work(&mut CONTEXTS.lock().unwrap_or_else(PoisonError::into_inner));
}
