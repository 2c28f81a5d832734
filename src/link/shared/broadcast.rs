//! [`Broadcast`]: a message for many connections, and how it gets into the queue of one without a
//! system call. Any thread.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{Shared, wake};
use crate::deflate::{MIN_COMPRESSING_BITS, NegotiatedDeflate};
use crate::link::sender::State;
use crate::link::supplies::contexts;
use crate::link::writer::{Fragmented, Writer, Writing};
use crate::message::Outgoing;
use crate::protocol::Deflater;
use crate::protocol::close::close_answer;
use crate::protocol::common::Common;
use crate::protocol::frame::Head;
use crate::role::Role;
use crate::sync::atomic::Ordering;

/// A message of a server for many connections: it is there once, and once for each way to compress
/// it.
#[derive(Clone, Debug)]
pub(crate) struct Broadcast {
    plain: Common,
    /// `None` where it is compressed for nobody.
    compressed: Option<Arc<Compressed>>,
}

/// A message compressed by itself, for each size of window, where that makes it shorter. Not before
/// the first connection needs it.
#[derive(Debug, Default)]
struct Compressed([OnceLock<Option<Common>>; WINDOWS]);

/// How many sizes of windows there are to compress with: 2^9 to 2^15.
const WINDOWS: usize = 16 - MIN_COMPRESSING_BITS as usize;

/// What became of it for one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queueing {
    Queued,
    /// The queue has no room for it. The loop is woken when some may have come.
    Full,
    NotOpen,
}

impl Broadcast {
    /// Makes one, which is `compressed` with connections that have agreed to that, unless the
    /// message is not to be.
    pub(crate) fn new(message: Outgoing<'_>, compressed: bool) -> Self {
        let compressed = (compressed && message.compress).then(Arc::default);
        Broadcast {
            plain: Common::new(Head::of(message.is_text), message.payload.to_owned()),
            compressed,
        }
    }

    /// Counts the bytes of its payload.
    pub(crate) fn len(&self) -> usize {
        self.plain.payload().len()
    }

    /// Returns whether it is compressed for anybody.
    pub(crate) fn may_be_compressed(&self) -> bool {
        self.compressed.is_some()
    }

    /// Returns whether to queue it for a connection that has agreed to this takes the time to
    /// compress it.
    pub(crate) fn is_to_be_compressed(&self, agreed: Option<NegotiatedDeflate>) -> bool {
        let place = agreed.and_then(|agreed| self.place(agreed));
        place.is_some_and(|place| place.get().is_none())
    }

    /// Compresses it for a connection that has agreed to this, where that has yet to be done.
    pub(crate) fn compress_for(&self, agreed: Option<NegotiatedDeflate>) {
        let _ = agreed.and_then(|agreed| self.compressed(agreed));
    }

    /// Returns it compressed for a connection that has agreed to this. It refers to nothing that was
    /// sent before, and so is the same for all that have the same window.
    fn compressed(&self, agreed: NegotiatedDeflate) -> Option<&Common> {
        self.place(agreed)?.get_or_init(|| compress(&self.plain, agreed)).as_ref()
    }

    /// Returns where it is, or will be, compressed for a connection that has agreed to this.
    fn place(&self, agreed: NegotiatedDeflate) -> Option<&OnceLock<Option<Common>>> {
        let compressed = self.compressed.as_deref()?;
        if self.len() < agreed.compress_from(Role::Server) {
            return None;
        }
        let bits = agreed.of(Role::Server).max_window_bits.checked_sub(MIN_COMPRESSING_BITS)?;
        compressed.0.get(usize::from(bits))
    }
}

/// Compresses a message by itself. Returns nothing where it becomes no shorter.
fn compress(message: &Common, mut agreed: NegotiatedDeflate) -> Option<Common> {
    agreed.forget_each_message(Role::Server);
    let mut compressed = Vec::new();
    Deflater::new(agreed, Role::Server, contexts)?.compress(message.payload(), &mut compressed);
    // Not with the room that it was compressed into: it may wait in queues.
    (compressed.len() < message.payload().len())
        .then(|| Common::new(message.head().compressed(), compressed.into_boxed_slice().into()))
}

impl Shared {
    /// Queues a message, for the loop's thread to write; compressed as was agreed on.
    pub(crate) fn queue_broadcast(
        self: &Arc<Self>,
        message: &Broadcast,
        agreed: Option<NegotiatedDeflate>,
    ) -> Queueing {
        self.queue_broadcast_where(message, agreed, false)
    }

    /// The same, whether there is room for it or not: for what was kept, within its own bound, when
    /// [closing](Self::before_close) begins.
    pub(crate) fn queue_broadcast_anyway(
        self: &Arc<Self>,
        message: &Broadcast,
        agreed: Option<NegotiatedDeflate>,
    ) -> Queueing {
        self.queue_broadcast_where(message, agreed, true)
    }

    /// Sets what is done before [`close`](Self::close) closes. Once.
    pub(crate) fn before_close(&self, work: impl Fn() + Send + Sync + 'static) {
        let _ = self.before_close.set(Box::new(Box::new(work)));
    }

    fn queue_broadcast_where(
        self: &Arc<Self>,
        message: &Broadcast,
        agreed: Option<NegotiatedDeflate>,
        anyway: bool,
    ) -> Queueing {
        // Not under the lock, since it takes its time.
        let compressed = agreed.and_then(|agreed| message.compressed(agreed));
        let mut guard = self.lock();
        if guard.state != State::Open {
            return Queueing::NotOpen;
        }
        // Where a thread is just compressing, that refers to what came before this message.
        let in_step = guard.writer.as_ref().is_some_and(Writer::has_deflater);
        let chosen = compressed.filter(|_| in_step).unwrap_or(&message.plain);
        let needed = chosen.len();
        let held = guard.writer.as_ref().map_or(0, Writer::held);
        let has_room = match held {
            _ if anyway => true,
            0 => guard.may_queue(needed, None, false),
            // What waits behind a message in fragments counts as what waits for the socket does.
            held => {
                let waiting = guard.buffered().saturating_sub(guard.answers());
                waiting + held + needed <= guard.max_buffer
            }
        };
        if !has_room {
            guard.wants_room = true;
            return Queueing::Full;
        }
        guard.for_room.went_by(needed);
        guard.stats.messages_sent += 1;
        guard.stats.bytes_sent += message.len() as u64;
        guard.stats.wire_bytes_sent += chosen.payload().len() as u64;
        let Some(writer) = &mut guard.writer else { return Queueing::NotOpen };
        if chosen.head().is_compressed() {
            writer.forget_past();
        }
        if writer.fragmented != Fragmented::No {
            // None may go between the fragments of another (RFC 6455 §5.4).
            writer.hold(chosen);
            return Queueing::Queued;
        }
        // Else somebody writes, or will: a thread that is at it, one that was told, a callback that
        // gathers, the loop when the socket has room.
        let nobody_knows = matches!(writer.writing, Writing::Idle) && writer.buffered() == 0;
        writer.queue_common(chosen);
        if nobody_knows {
            writer.wire.pending.store(true, Ordering::Release);
            if let Some(place) = &guard.place {
                place.waker.wake_to_write(self);
            }
        }
        Queueing::Queued
    }

    /// Queues a message for which there was no room. It need not be the peer that is slow: what waits
    /// is written here, or by the thread that is at it, which is given a moment for that.
    pub(crate) fn queue_broadcast_late(
        self: &Arc<Self>,
        message: &Broadcast,
        agreed: Option<NegotiatedDeflate>,
    ) -> Queueing {
        let mut queueing = Queueing::Full;
        self.try_late(|| {
            queueing = self.queue_broadcast(message, agreed);
            queueing != Queueing::Full
        });
        queueing
    }

    /// Tries something for which there was no room until that is done, for a moment at most.
    pub(crate) fn try_late(self: &Arc<Self>, mut is_done: impl FnMut() -> bool) {
        let mut moment = None;
        loop {
            self.write_queued();
            if is_done() {
                return;
            }
            match self.wait_for_writer(self.lock(), &mut moment) {
                Ok(guard) => drop(guard),
                // It may have come to its end just now.
                Err(guard) => {
                    drop(guard);
                    self.write_queued();
                    is_done();
                    return;
                }
            }
        }
    }

    /// Closes with this code instead of sending what waits: what is there no room for is not to be
    /// left out. Returns whether it was open until then.
    pub(crate) fn close_instead(self: &Arc<Self>, code: u16) -> bool {
        let mut guard = self.lock();
        if guard.state != State::Open || guard.is_closed_for_good {
            return false;
        }
        let payload: Bytes = close_answer(code).into();
        guard.is_closed_for_good = true;
        guard.state = State::Closing;
        if let Some(writer) = &mut guard.writer {
            writer.drop_unsent();
            writer.set_close(payload);
        }
        wake(&guard);
        self.notify(&guard);
        true
    }
}

#[cfg(all(test, feature = "deflate"))]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::deflate::Deflate;

    #[test]
    fn a_message_is_compressed_once_for_each_size_of_window() {
        let ours = Deflate::default().min_size(0);
        let agreed = |answer| ours.agree(&format!("permessage-deflate{answer}")).unwrap();
        let settings = [
            agreed(""),
            agreed("; server_no_context_takeover"),
            agreed("; client_max_window_bits=9"),
            agreed("; server_max_window_bits=12"),
            agreed("; server_max_window_bits=9; server_no_context_takeover"),
        ];
        let message = Broadcast::new(Outgoing::from(&*"again ".repeat(100)), true);
        let clients = settings.into_iter().cycle().take(1_000);
        let places: HashSet<_> =
            clients.map(|agreed| message.compressed(agreed).unwrap().payload().as_ptr()).collect();
        assert_eq!(places.len(), 3);
        // One that is kept is the same one.
        let kept = message.clone();
        assert!(places.contains(&kept.compressed(settings[3]).unwrap().payload().as_ptr()));
    }

    #[test]
    fn a_window_that_zlib_has_not_gets_it_plain() {
        let agreed = Deflate::default().min_size(0);
        let agreed = agreed.agree("permessage-deflate; server_max_window_bits=8").unwrap();
        let message = Broadcast::new(Outgoing::from(&*"again ".repeat(100)), true);
        assert!(message.compressed(agreed).is_none());
    }
}
