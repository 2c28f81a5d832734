//! [`Broadcast`]: a message for many connections, and how it gets into the queue of one without a
//! system call. Any thread.

use std::sync::Arc;

use bytes::Bytes;

use super::{Shared, wake};
use crate::link::sender::State;
use crate::link::writer::{Fragmented, Writer, Writing};
use crate::message::Outgoing;
use crate::protocol::close::close_answer;
use crate::protocol::frame::{self, Head};
use crate::sync::atomic::Ordering;

/// A message for many connections: its payload is there once.
#[derive(Clone, Debug)]
pub(crate) struct Broadcast {
    head: Head,
    payload: Bytes,
}

/// What became of it for one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queueing {
    Queued,
    /// The queue has no room for it. The loop is woken when some may have come.
    Full,
    NotOpen,
}

impl Broadcast {
    pub(crate) fn new(message: Outgoing<'_>) -> Self {
        Broadcast { head: Head::of(message.is_text), payload: message.payload.to_owned() }
    }

    /// Counts the bytes of its payload.
    pub(crate) fn len(&self) -> usize {
        self.payload.len()
    }
}

impl Shared {
    /// Queues a message, for the loop's thread to write.
    pub(crate) fn queue_broadcast(self: &Arc<Self>, message: &Broadcast) -> Queueing {
        let len = message.payload.len();
        let mut guard = self.lock();
        if guard.state != State::Open {
            return Queueing::NotOpen;
        }
        let needed = frame::header_len(len, self.role) + len;
        let held = guard.writer.as_ref().map_or(0, Writer::held);
        let has_room = match held {
            0 => guard.may_queue(needed, None),
            // What waits behind a message in fragments counts as what waits for the socket does.
            held => guard.buffered() + held + needed <= guard.max_buffer,
        };
        if !has_room {
            guard.wants_room = true;
            return Queueing::Full;
        }
        guard.for_room.went_by(needed);
        guard.stats.messages_sent += 1;
        guard.stats.bytes_sent += len as u64;
        guard.stats.wire_bytes_sent += len as u64;
        let Some(writer) = &mut guard.writer else { return Queueing::NotOpen };
        if writer.fragmented != Fragmented::No {
            // None may go between the fragments of another (RFC 6455 §5.4).
            writer.hold(message.head, message.payload.clone(), needed);
            return Queueing::Queued;
        }
        // Else somebody writes, or will: a thread that is at it, one that was told, the loop when the
        // socket has room.
        let nobody_knows = matches!(writer.writing, Writing::Idle) && writer.buffered() == 0;
        writer.queue_kept(message.head, message.payload.clone());
        writer.wire.pending.store(true, Ordering::Release);
        if nobody_knows {
            wake(&guard);
        }
        Queueing::Queued
    }

    /// Queues a message for which there was no room. It need not be the peer that is slow: what waits
    /// is written here, or by the thread that is at it, which is given a moment for that.
    pub(crate) fn queue_broadcast_late(self: &Arc<Self>, message: &Broadcast) -> Queueing {
        let mut moment = None;
        loop {
            self.on_queued();
            match self.queue_broadcast(message) {
                Queueing::Full => {}
                queueing => return queueing,
            }
            match self.wait_for_writer(self.lock(), &mut moment) {
                Ok(guard) => drop(guard),
                // It may have come to its end just now.
                Err(guard) => {
                    drop(guard);
                    self.on_queued();
                    return self.queue_broadcast(message);
                }
            }
        }
    }

    /// Closes with this code instead of sending what waits: what is there no room for is not to be
    /// left out. Returns whether it was open until then.
    pub(crate) fn close_instead(self: &Arc<Self>, code: u16) -> bool {
        let mut guard = self.lock();
        if guard.state != State::Open || guard.close.is_some() {
            return false;
        }
        let payload: Bytes = close_answer(code).into();
        guard.close = Some(payload.clone());
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
