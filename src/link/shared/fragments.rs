//! Messages that are written piece by piece, as fragments (RFC 6455 §5.4): one at a time, with
//! control frames between them and nothing else. Any thread.

use std::mem;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::inner::{FlushTarget, Wanted};
use super::{Kept, Lock, NoRoom, Shared, Wait, wake};
use crate::close::close_code;
use crate::error::SendError;
use crate::link::writer::{Fragmented, Tail, Wire, Writer};
use crate::message::{Outgoing, Payload};
use crate::protocol::Deflater;
use crate::protocol::close::close_answer;
use crate::protocol::frame::{self, Head};
use crate::protocol::send::MAX_COPIED;
use crate::sync::now;

/// The longest payload of a fragment: copied, however it is queued.
pub(crate) const FRAGMENT: usize = MAX_COPIED;

/// What a message is written with, on the connection where it was begun.
pub(crate) struct Way {
    /// Not to be kept open by this.
    pub(crate) wire: Weak<Wire>,
    /// What the connection compresses with, if it does, lent until the message is over.
    pub(crate) deflater: Option<Box<Deflater>>,
    /// From which length on messages are compressed.
    pub(crate) compress_from: usize,
}

/// A part of a message, on its way out.
pub(crate) struct Part<'a> {
    pub(crate) head: Head,
    pub(crate) payload: &'a [u8],
    /// How many bytes the program wrote for it.
    pub(crate) written: usize,
}

impl Shared {
    /// Begins a message in fragments, on the connection that is returned: from now on until it is
    /// over no other message is queued. Waits for its turn, and for room for a fragment, so that
    /// the last one need not.
    pub(crate) fn begin_fragments(self: &Arc<Self>) -> Result<Way, SendError> {
        let none = || Outgoing::from(&[][..]);
        let (needed, mut for_room) = (self.frame_len(FRAGMENT), None);
        let wanted = (needed, Wanted::Fragments);
        let guard = self.room_for(self.lock(), wanted, Wait::Fragments, &mut None, &mut for_room);
        let mut guard = guard.map_err(|no_room| no_room.into_error(none()))?;
        self.take_room(&mut guard, needed, &mut for_room);
        let Some(writer) = &mut guard.writer else {
            return Err(SendError::NotConnected { message: None });
        };
        writer.fragmented = Fragmented::Open;
        Ok(Way {
            wire: Arc::downgrade(&writer.wire),
            deflater: writer.lend_deflater(),
            compress_from: writer.compress_from(),
        })
    }

    /// Returns whether a message that is being written on this connection may go on.
    pub(crate) fn is_writing(&self, wire: &Weak<Wire>) -> bool {
        self.lock().fragmenting(wire).is_some()
    }

    /// Sends a fragment that is not the last. Says in any case whether it is queued.
    pub(crate) fn send_fragment(
        self: &Arc<Self>,
        wire: &Weak<Wire>,
        part: &Part<'_>,
        queued: &mut bool,
    ) -> Result<(), SendError> {
        let needed = self.frame_len(part.payload.len());
        let (mut deadline, mut for_room) = (None, None);
        let wanted = (needed, Wanted::Fragment(wire));
        let guard =
            self.room_for(self.lock(), wanted, Wait::Fragments, &mut deadline, &mut for_room);
        let mut guard = guard.map_err(|no_room| no_room.into_error(Outgoing::from(&[][..])))?;
        self.take_room(&mut guard, needed, &mut for_room);
        if let Some(writer) = &mut guard.writer {
            writer.fragmented = Fragmented::Begun;
        }
        *queued = true;
        let (guard, target) = self.enqueue_part(guard, part);
        let driven = self.drive(guard, target.as_ref(), Wait::Fragments, &mut deadline);
        driven.map_err(NoRoom::into_unwritten)
    }

    /// Sends what is left of a message, which does not wait for room: there was some when it began.
    /// Where that is the `whole` of it, text or not, it goes as one frame, and is kept as any other
    /// message.
    pub(crate) fn finish_fragments(
        self: &Arc<Self>,
        Way { wire, deflater, .. }: Way,
        mut last: Part<'_>,
        whole: Option<(bool, &[u8])>,
    ) -> Result<(), SendError> {
        let mut guard = self.lock();
        // Of a message that is not kept there are two frames at least: by that it is known.
        while whole.is_none() && (last.payload.len() > FRAGMENT || last.head != Head::CONTINUATION)
        {
            guard.fragmenting(&wire).ok_or(SendError::NotConnected { message: None })?;
            let (payload, rest) = last.payload.split_at(FRAGMENT.min(last.payload.len()));
            let part = Part { head: last.head.unfinished(), payload, ..last };
            last = Part { head: Head::CONTINUATION, payload: rest, written: 0 };
            if let Some(writer) = &mut guard.writer {
                writer.fragmented = Fragmented::Begun;
            }
            (guard, _) = self.enqueue_part(guard, &part);
        }
        let writer = guard.fragmenting(&wire).ok_or(SendError::NotConnected { message: None })?;
        deflater.into_iter().for_each(|deflater| writer.take_deflater_back(deflater));
        guard.stats.messages_sent += 1;
        if let (Some((is_text, payload)), Some(backlog)) = (whole, &mut guard.backlog) {
            let payload = Bytes::copy_from_slice(payload);
            backlog.hand(Kept { is_text, payload, since: now() });
        }
        let (guard, target) = self.enqueue_part(guard, &last);
        let guard = self.over(guard, &wire);
        let driven = self.drive(guard, target.as_ref(), Wait::Fragments, &mut None);
        driven.map_err(NoRoom::into_unwritten)
    }

    /// A message is given up, of which nothing was written.
    pub(crate) fn cancel_fragments(self: &Arc<Self>, Way { wire, deflater, .. }: Way) {
        let mut guard = self.lock();
        let Some(writer) = guard.fragmenting(&wire) else { return };
        deflater.into_iter().for_each(|deflater| writer.take_deflater_back(deflater));
        drop(self.over(guard, &wire));
    }

    /// A message will not be finished: the connection fails for that.
    pub(crate) fn fail_fragments(self: &Arc<Self>, wire: &Weak<Wire>, problem: &'static str) {
        let mut guard = self.lock();
        let Some(writer) = guard.fragmenting(wire) else { return };
        writer.fragmented = Fragmented::Failed(Some(problem));
        let close = close_answer(close_code::INTERNAL_ERROR);
        wake(&self.finish_locked(guard, close.into()));
    }

    /// Returns whether a message will not be finished, of which the thread that reads has not taken
    /// note.
    pub(crate) fn is_unfinished(&self) -> bool {
        let guard = self.lock();
        let failed = |writer: &Writer| matches!(writer.fragmented, Fragmented::Failed(Some(_)));
        guard.writer.as_ref().is_some_and(failed)
    }

    /// Takes why a message will not be finished; the thread that reads takes note of it.
    pub(crate) fn take_unfinished(&self) -> Option<&'static str> {
        self.lock().writer.as_mut().and_then(Writer::take_unfinished)
    }

    /// A message in fragments is over, its last one queued: what has waited for that is queued
    /// behind it before anything else, and the others go on.
    fn over<'a>(self: &'a Arc<Self>, mut guard: Lock<'a>, wire: &Weak<Wire>) -> Lock<'a> {
        // Unless the connection has begun to close.
        let Some(writer) = guard.fragmenting(wire) else { return guard };
        writer.fragmented = Fragmented::No;
        let some = writer.queue_held();
        if mem::take(&mut writer.kept_waits) {
            return self.send_kept(guard);
        }
        self.notify(&guard);
        if some { self.write(guard, Tail::NONE) } else { guard }
    }

    fn enqueue_part<'a>(
        self: &'a Arc<Self>,
        mut guard: Lock<'a>,
        part: &Part<'_>,
    ) -> (Lock<'a>, Option<FlushTarget>) {
        let Part { head, payload, written } = *part;
        guard.stats.bytes_sent += written as u64;
        guard.stats.wire_bytes_sent += payload.len() as u64;
        self.enqueue(guard, head, &Payload::Borrowed(payload), None)
    }

    pub(super) fn frame_len(&self, payload: usize) -> usize {
        frame::header_len(payload, self.role) + payload
    }
}
