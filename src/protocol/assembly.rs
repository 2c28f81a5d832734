//! Puts messages together that do not come whole in one frame in the read buffer, inflates those
//! that are compressed, or hands them out piece by piece. Limits and UTF-8 are kept as the bytes
//! arrive.
//!
//! Belongs to [`Inbound`](super::Inbound), which knows about frames; here are payloads only.

use super::arena::Arena;
use super::batch::{Batch, End, Kind};
use super::compress::{Inflater, Lend};
use super::utf8::Utf8;
use crate::deflate::NegotiatedDeflate;
use crate::error::LimitError;
use crate::role::Role;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) message_size: usize,
    pub(crate) fragments: usize,
}

/// Which messages are handed out piece by piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InPieces {
    None,
    /// Those that do not come whole, uncompressed, in one frame in the read buffer, or are longer
    /// than a message may be.
    Large,
    All,
}

impl From<bool> for InPieces {
    fn from(all: bool) -> Self {
        if all { InPieces::All } else { InPieces::None }
    }
}

/// Finished messages, or inflated pieces, of this many bytes are enough for one batch: a read
/// buffer full of compressed ones could be a thousand times that.
const FULL: usize = 1 << 20;

pub(super) struct Assembly {
    limits: Limits,
    in_pieces: bool,
    /// Boxed, since most connections have none.
    inflater: Option<Box<Inflater>>,
    /// The message that is arriving, from its first frame to its last.
    message: Option<Arriving>,
    /// The arriving message so far, unless handed out in pieces.
    arena: Arena,
    utf8: Utf8,
    /// Inflating has more to give without more input.
    more: bool,
}

#[derive(Clone, Copy, Debug)]
struct Arriving {
    text: bool,
    compressed: bool,
    frames: usize,
    /// Where it begins in the arena.
    start: usize,
    /// How long it is, where its first frame tells.
    len: Option<u64>,
    /// Whether a piece of it has been handed out.
    begun: bool,
}

impl Assembly {
    pub(super) fn new(
        role: Role,
        limits: Limits,
        in_pieces: bool,
        compression: Option<(NegotiatedDeflate, Lend)>,
    ) -> Self {
        Assembly {
            limits,
            in_pieces,
            inflater: compression
                .and_then(|(agreed, contexts)| Inflater::new(agreed.of(role.peer()), contexts))
                .map(Box::new),
            message: None,
            arena: Arena::default(),
            utf8: Utf8::default(),
            more: false,
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns whether no message is arriving.
    pub(super) fn is_empty(&self) -> bool {
        self.message.is_none()
    }

    /// Returns whether there is more to hand out without more input.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn held(&self) -> usize {
        self.arena.len()
    }

    /// A message begins, which is so long, if that is known.
    pub(super) fn begin(
        &mut self,
        text: bool,
        compressed: bool,
        len: Option<u64>,
        batch: &mut Batch,
    ) {
        if !self.arena.is_allocated() {
            // What the reader has to spare; it comes back with the finished message, so an idle
            // connection holds none.
            self.arena = batch.take_spare();
        }
        self.utf8 = Utf8::default();
        let start = self.arena.len();
        self.message = Some(Arriving { text, compressed, frames: 0, start, len, begun: false });
    }

    /// Hands out that a message begins, before any of it has come: who wants it whole may refuse it.
    pub(super) fn announce(&mut self, batch: &mut Batch) {
        let Some(message) = &mut self.message else { return };
        message.begun = true;
        batch.set_message_len(message.len);
        let (first, last) = (true, false);
        let kind = match message.text {
            true => Kind::TextFragment { first, last },
            false => Kind::BinaryFragment { first, last },
        };
        batch.push(kind, 0, 0);
    }

    /// Counts a frame against the limits of its message.
    pub(super) fn begin_frame(&mut self, len: usize) -> Result<(), End> {
        let Some(message) = &mut self.message else { return Ok(()) };
        message.frames += 1;
        if message.frames > self.limits.fragments {
            return Err(End::Limit(LimitError::Fragments { limit: self.limits.fragments }));
        }
        // In pieces nothing is held; of what is compressed the inflated length counts.
        let so_far = self.arena.len() - message.start;
        if !self.in_pieces && !message.compressed && len > self.limits.message_size - so_far {
            return Err(self.too_long());
        }
        Ok(())
    }

    /// A place to read the payload straight into.
    pub(super) fn direct(&mut self, left: usize) -> Option<&mut [u8]> {
        let compressed = self.message.is_none_or(|message| message.compressed);
        (!self.in_pieces && !compressed).then(|| self.arena.space(left))
    }

    /// So many bytes were read into that place.
    pub(super) fn filled(&mut self, read: usize, last: bool, batch: &mut Batch) -> Result<(), End> {
        let from = self.arena.len();
        self.arena.advance(read);
        batch.assembled_from += read;
        self.arrived(from, last, batch)
    }

    /// Takes a piece of payload that lies at `at` in the read buffer; `last` when the message ends
    /// with it. Returns how much of it was taken.
    pub(super) fn take(
        &mut self,
        piece: &[u8],
        at: usize,
        last: bool,
        batch: &mut Batch,
    ) -> Result<usize, End> {
        let compressed = self.message.is_some_and(|message| message.compressed);
        let taken = match (compressed, self.in_pieces) {
            (true, _) => self.inflate(piece, last, batch),
            (false, true) => self.hand_out(piece, at, last, batch).map(|()| piece.len()),
            (false, false) => {
                let from = self.arena.len();
                self.arena.extend(piece);
                self.arrived(from, last, batch).map(|()| piece.len())
            }
        }?;
        if compressed || !self.in_pieces {
            batch.assembled_from += taken;
        }
        Ok(taken)
    }

    /// Gives the arena to the batch when finished messages lie in it, and keeps what has come of an
    /// unfinished one.
    pub(super) fn hand_over(&mut self, batch: &mut Batch) {
        if !batch.uses_arena() {
            return;
        }
        // Nothing of this batch lies in the batch's own: it takes what an unfinished message has so
        // far, or is spare.
        std::mem::swap(&mut batch.arena, &mut self.arena);
        match &mut self.message {
            None => batch.give_spare(std::mem::take(&mut self.arena)),
            Some(message) => {
                if !self.in_pieces {
                    self.arena.extend(&batch.arena.bytes()[message.start..]);
                }
                message.start = 0;
            }
        }
    }

    /// Checks what has been added to the arena since `from`, and ends the message where that was
    /// the last of it.
    fn arrived(&mut self, from: usize, last: bool, batch: &mut Batch) -> Result<(), End> {
        let Some(message) = self.message else { return Ok(()) };
        if message.text {
            self.utf8.push(&self.arena.bytes()[from..])?;
        }
        if last {
            self.utf8.finish()?;
            let kind = if message.text { Kind::Text } else { Kind::Binary };
            batch.push_assembled(kind, message.start..self.arena.len());
            self.message = None;
            self.close_when_full(batch);
        }
        Ok(())
    }

    /// Hands out a piece as it arrives. Text is cut between characters: the beginning of one stays
    /// in `utf8` until its end arrives, and is then put in front of it in the arena.
    fn hand_out(
        &mut self,
        piece: &[u8],
        at: usize,
        last: bool,
        batch: &mut Batch,
    ) -> Result<(), End> {
        let Some(message) = self.message else { return Ok(()) };
        let carried = self.utf8.unfinished().len();
        if message.text && carried > 0 {
            let start = self.arena.len();
            self.arena.extend(self.utf8.unfinished());
            self.arena.extend(piece);
            return self.hand_out_of_arena(start, carried, last, batch);
        }
        let mut shown = piece.len();
        if message.text {
            self.utf8.push(piece)?;
            shown -= self.utf8.unfinished().len();
        }
        if let Some(kind) = self.next_piece(shown, last)? {
            batch.set_message_len(message.len);
            batch.push(kind, at, shown);
        }
        Ok(())
    }

    /// Hands out what lies in the arena from `start` on; its first `carried` bytes have been
    /// checked before.
    fn hand_out_of_arena(
        &mut self,
        start: usize,
        carried: usize,
        last: bool,
        batch: &mut Batch,
    ) -> Result<(), End> {
        let mut end = self.arena.len();
        if self.message.is_some_and(|message| message.text) {
            self.utf8.push(&self.arena.bytes()[start + carried..])?;
            end -= self.utf8.unfinished().len();
        }
        let len = self.message.and_then(|message| message.len);
        match self.next_piece(end - start, last)? {
            Some(kind) => {
                batch.set_message_len(len);
                batch.push_assembled(kind, start..end);
            }
            // What waits of a character waits elsewhere, and would be here again for each fragment.
            None => self.arena.truncate(start),
        }
        self.close_when_full(batch);
        Ok(())
    }

    /// Returns what the next piece is, if there is anything to show; ends the message with the
    /// last.
    fn next_piece(&mut self, len: usize, last: bool) -> Result<Option<Kind>, End> {
        let Some(message) = &mut self.message else { return Ok(None) };
        if last {
            self.utf8.finish()?;
        }
        let (first, text) = (!message.begun, message.text);
        if len == 0 && !last {
            return Ok(None);
        }
        message.begun = true;
        if last {
            self.message = None;
        }
        Ok(Some(if text {
            Kind::TextFragment { first, last }
        } else {
            Kind::BinaryFragment { first, last }
        }))
    }

    /// Inflates a piece: into the message, as far as its limit, or into pieces, as far as one batch
    /// goes.
    fn inflate(&mut self, piece: &[u8], last: bool, batch: &mut Batch) -> Result<usize, End> {
        let (Some(message), Some(inflater)) = (self.message, &mut self.inflater) else {
            return Ok(piece.len());
        };
        let start = self.arena.len();
        let carried = if self.in_pieces { self.utf8.unfinished().len() } else { 0 };
        if carried > 0 {
            self.arena.extend(self.utf8.unfinished());
        }
        let limit = self.limits.message_size;
        // One byte more than the limit tells a message that is too long from one that just fits.
        let mut room =
            if self.in_pieces { FULL } else { (limit - (start - message.start)).saturating_add(1) };
        if batch.uses_arena() {
            // What is not finished is copied when the batch gets the arena: not much, then.
            room = room.min(FULL);
        }
        let inflated = inflater.inflate(piece, &mut self.arena, room)?;
        self.more = !inflated.drained;
        let last = last && inflated.drained;
        if last {
            inflater.finish()?;
        }
        if !self.in_pieces && self.arena.len() - message.start > limit {
            return Err(self.too_long());
        }
        if self.in_pieces {
            self.hand_out_of_arena(start, carried, last, batch)?;
        } else {
            self.arrived(start, last, batch)?;
            if self.more {
                batch.set_full();
            }
        }
        Ok(inflated.taken)
    }

    fn close_when_full(&self, batch: &mut Batch) {
        if self.arena.len() >= FULL {
            batch.set_full();
        }
    }

    fn too_long(&self) -> End {
        End::Limit(LimitError::MessageSize { limit: self.limits.message_size })
    }
}
