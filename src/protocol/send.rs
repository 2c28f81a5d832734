//! What waits to be written: messages and control frames in, whole frames in order out, handed out
//! in pieces.
//!
//! Small frames are encoded back to back, the latest behind all else in a piece of their own. A
//! large payload waits as it is, and is masked piece by piece on its way out. What a server sends to
//! many is [`Common`] to their queues. Control frames that must not wait behind data go out at the
//! next frame boundary. Belongs to whoever writes the connection.

use std::collections::VecDeque;

use bytes::Bytes;

#[cfg(feature = "server")]
use super::common::{Common, Form, Run};
use super::frame::{self, Head, Mask};
use crate::role::Role;

/// A payload up to this is copied, masked, behind what waits already. A longer one waits as it is.
/// In a model few bytes are to go every way.
pub(crate) const MAX_COPIED: usize = if cfg!(all(test, websocket_model)) { 16 } else { 32 << 10 };

/// What sending needs and has not itself: it is handed in, for the protocol has no lock and no
/// source of chance of its own.
pub(crate) trait Supplies: Copy {
    /// How much is offered to the socket at once.
    const PIECE: usize;

    /// Whose frames these are.
    fn role(self) -> Role;

    /// Returns what the next frame is masked with: a client's with a key that nobody can predict
    /// (RFC 6455 §5.3).
    fn mask(self) -> Mask;

    /// Makes room for so many bytes more.
    fn reserve(self, buffer: &mut Vec<u8>, more: usize);

    /// Empties a buffer that is not needed for now: it holds no memory then.
    fn release(self, buffer: &mut Vec<u8>);
}

/// What is written at once: frames, or a part of one.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    /// What comes behind the bytes, once it is masked.
    unmasked: Option<Box<Unmasked>>,
    /// How many messages end in it, but for those in fragments.
    pub(crate) messages: usize,
    /// It begins within a frame, so nothing in it tells where that ends but its own end.
    pub(crate) mid_frame: bool,
}

/// A part of a large payload.
#[derive(Debug)]
struct Unmasked {
    payload: Bytes,
    mask: Mask,
    offset: usize,
}

impl Piece {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.unmasked = None;
        self.messages = 0;
        self.mid_frame = false;
    }

    /// Counts the bytes, those to be masked included.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.unmasked.as_ref().map_or(0, |part| part.payload.len())
    }

    /// Masks what is still to be masked, before the piece is written. It takes time, so it is not
    /// done where the queue hands the piece out: a lock may be held there.
    pub(crate) fn finish(&mut self) {
        if let Some(part) = self.unmasked.take() {
            frame::encode_payload(&mut self.bytes, &part.payload, part.mask, part.offset);
        }
    }

    /// Returns whether its first frame is a control frame, whose opcodes begin with a set bit (RFC
    /// 6455 §5.2).
    pub(crate) fn begins_with_control(&self) -> bool {
        !self.mid_frame && self.bytes.first().is_some_and(|first| first & 0x08 != 0)
    }

    /// Appends a whole frame. Returns its length.
    pub(crate) fn push(&mut self, supplies: impl Supplies, head: Head, payload: &[u8]) -> usize {
        let len = frame::header_len(payload.len(), supplies.role()) + payload.len();
        supplies.reserve(&mut self.bytes, len);
        frame::encode(&mut self.bytes, head, payload, supplies.mask());
        self.messages += usize::from(head.is_message());
        len
    }

    /// Appends whole frames.
    #[cfg(feature = "server")]
    fn append(&mut self, supplies: impl Supplies, frames: &[u8], messages: usize) {
        supplies.reserve(&mut self.bytes, frames.len());
        self.bytes.extend_from_slice(frames);
        self.messages += messages;
    }

    /// Drops messages, the first ones, until so many bytes have gone or none is left. Fragments
    /// stay, as control frames do: what is left of their message would make no sense. Returns how
    /// many messages, and bytes, that were.
    fn drop_oldest(&mut self, bytes: usize) -> (usize, usize) {
        let (mut messages, mut kept, mut end) = (0, 0, 0);
        while end - kept < bytes
            && let Some((len, is_message)) = frame::first(&self.bytes[end..])
        {
            if is_message {
                messages += 1;
            } else {
                self.bytes.copy_within(end..end + len, kept);
                kept += len;
            }
            end += len;
        }
        self.bytes.drain(kept..end);
        self.messages -= messages;
        (messages, end - kept)
    }

    /// Returns how many messages end in the first bytes of it.
    pub(crate) fn messages_within(&self, written: usize) -> usize {
        match written == self.len() {
            true => self.messages,
            false if self.messages == 0 || self.mid_frame => 0,
            false => frame::messages_within(&self.bytes[..written]),
        }
    }
}

/// How many entries of frames in common with others a queue has at most: what comes behind them is
/// copied. A list of many small ones would take more memory than the frames do, which is what is
/// bounded, and more time where a lock may be held. In a model few frames are to go every way.
#[cfg(feature = "server")]
const MAX_RUNS: usize = if cfg!(all(test, websocket_model)) { 2 } else { 20 };

/// How many it has room for as soon as it has one: mostly enough for a turn of the loop.
#[cfg(feature = "server")]
const FIRST_RUNS: usize = 2;

/// How many bytes of answers to pings wait at most, but for one.
const MAX_PONGS: usize = 4 << 10;

/// In this order in memory: what is looked at for each message of a broadcast comes first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Queue<S> {
    /// Bytes in `entries` and `last`, frame headers included.
    waiting: usize,
    entries: VecDeque<Entry>,
    /// Whole frames that come after them.
    last: Piece,
    /// The Close frame's payload; it goes out when nothing else is left, and nothing after it (RFC
    /// 6455 §5.5.1).
    close: Option<Box<Bytes>>,
    closed: bool,
    /// The front entry is the rest of a frame that has begun to go out.
    mid_frame: bool,
    supplies: S,
    /// Answers to pings, whole frames, and the latest ping of the keepalive, not yet on their way.
    pongs: Vec<u8>,
    ping: Option<Box<[u8]>>,
}

impl<S: Supplies + Default> Default for Queue<S> {
    fn default() -> Self {
        Queue::new(S::default())
    }
}

#[derive(Debug)]
enum Entry {
    /// Whole frames.
    Frames(Piece),
    /// Whole frames, a message each, that other queues have too: copied on their way out.
    #[cfg(feature = "server")]
    Common(Run),
    /// One frame whose payload is copied, and masked, on its way out. `header` is set until it has
    /// gone out.
    Large { header: Option<Head>, payload: Bytes, mask: Mask, offset: usize },
}

impl<S: Supplies> Queue<S> {
    pub(crate) fn new(supplies: S) -> Self {
        Queue {
            supplies,
            entries: VecDeque::new(),
            last: Piece::default(),
            pongs: Vec::new(),
            ping: None,
            close: None,
            closed: false,
            mid_frame: false,
            waiting: 0,
        }
    }

    /// Returns what it was given for making frames.
    pub(crate) fn supplies(&self) -> S {
        self.supplies
    }

    /// Counts the bytes that wait, frame headers included.
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0 && self.pongs.is_empty() && self.ping.is_none() && self.close.is_none()
    }

    /// Adds a frame that is small or must be copied anyway.
    pub(crate) fn push(&mut self, head: Head, payload: &[u8]) {
        if self.last.bytes.len() >= S::PIECE {
            self.add_last();
        }
        self.waiting += self.last.push(self.supplies, head, payload);
    }

    /// What comes next is not for `last`.
    // Seldom called, so that the rest is short.
    #[inline(never)]
    fn add_last(&mut self) {
        if !self.last.bytes.is_empty() {
            self.entries.push_back(Entry::Frames(std::mem::take(&mut self.last)));
        }
    }

    /// Adds a frame whose payload is masked later, piece by piece.
    pub(crate) fn push_large(&mut self, head: Head, payload: Bytes) {
        self.waiting += frame::header_len(payload.len(), self.supplies.role()) + payload.len();
        self.add_last();
        let mask = self.supplies.mask();
        self.entries.push_back(Entry::Large { header: Some(head), payload, mask, offset: 0 });
    }

    /// Adds a frame whose payload may be kept.
    pub(crate) fn push_owned(&mut self, head: Head, payload: Bytes) {
        if payload.len() <= MAX_COPIED {
            self.push(head, &payload)
        } else {
            self.push_large(head, payload)
        }
    }

    /// Adds a message that other queues get too.
    #[cfg(feature = "server")]
    pub(crate) fn push_common(&mut self, message: &Common) {
        let frame = match message.form() {
            Form::Large(payload) => return self.push_large(message.head(), payload.clone()),
            Form::Frame(frame) => frame,
        };
        self.waiting += frame.len();
        if self.last.bytes.len() >= S::PIECE {
            self.add_last();
        }
        if self.last.bytes.is_empty() {
            let is_in = match self.entries.back_mut() {
                Some(Entry::Common(run)) => run.push(frame),
                _ => false,
            };
            if is_in {
                return;
            }
            if self.entries.len() < MAX_RUNS {
                if self.entries.is_empty() {
                    self.entries.reserve_exact(FIRST_RUNS);
                }
                return self.entries.push_back(Entry::Common(Run::new(frame)));
            }
        }
        // It is written with what is there already.
        self.last.append(self.supplies, frame, 1);
    }

    /// Puts the rest of a frame, whose beginning has gone out, before everything else.
    pub(crate) fn push_front_rest(&mut self, rest: Bytes, mut mask: Mask, offset: usize) {
        if let Some(key) = &mut mask {
            key.rotate_left(offset % 4);
        }
        self.waiting += rest.len();
        self.mid_frame = true;
        self.entries.push_front(Entry::Large { header: None, payload: rest, mask, offset: 0 });
    }

    /// Answers a ping. Of answers that cannot go out the latest are enough (RFC 6455 §5.5.3): a
    /// peer that pings and does not read makes nothing grow.
    pub(crate) fn add_pong(&mut self, payload: &[u8]) {
        if self.pongs.len() > MAX_PONGS {
            self.pongs.clear();
        }
        let supplies = self.supplies;
        supplies.reserve(
            &mut self.pongs,
            frame::header_len(payload.len(), supplies.role()) + payload.len(),
        );
        frame::encode(&mut self.pongs, Head::PONG, payload, supplies.mask());
    }

    pub(crate) fn set_ping(&mut self, payload: &[u8]) {
        self.ping = Some(payload.into());
    }

    /// Ends the queue with a Close frame, unless one is there already.
    pub(crate) fn set_close(&mut self, payload: Bytes) {
        if !self.closed {
            self.close.get_or_insert_with(|| payload.into());
        }
    }

    /// Returns whether the Close frame has been handed out.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Drops the messages that have not begun to go out; tells whether there were any.
    pub(crate) fn drop_unsent(&mut self) -> bool {
        let before = self.waiting;
        self.entries.truncate(usize::from(self.mid_frame));
        self.entries.shrink_to_fit();
        self.supplies.release(&mut self.last.bytes);
        self.last.clear();
        self.waiting = match self.entries.front() {
            Some(Entry::Large { payload, offset, .. }) => payload.len() - offset,
            _ => 0,
        };
        self.waiting < before
    }

    /// Drops messages that have not begun to go out, the oldest first, until so many bytes have gone
    /// or none is left; control frames and fragments stay. Returns how many messages that were.
    pub(crate) fn drop_oldest(&mut self, bytes: usize) -> usize {
        let (enough, mut messages) = (self.waiting.saturating_sub(bytes), 0);
        let mut at = usize::from(self.mid_frame);
        while self.waiting > enough {
            let (piece, is_last) = match self.entries.get_mut(at) {
                Some(Entry::Large { payload, .. }) => {
                    self.waiting -=
                        frame::header_len(payload.len(), self.supplies.role()) + payload.len();
                    messages += 1;
                    self.entries.remove(at);
                    continue;
                }
                #[cfg(feature = "server")]
                Some(Entry::Common(run)) => {
                    let (len, was_last) = run.drop_first();
                    self.waiting -= len;
                    messages += 1;
                    if was_last {
                        self.entries.remove(at);
                    }
                    continue;
                }
                Some(Entry::Frames(piece)) => (piece, false),
                None => (&mut self.last, true),
            };
            let (dropped, bytes) = piece.drop_oldest(self.waiting - enough);
            messages += dropped;
            self.waiting -= bytes;
            if is_last {
                break;
            }
            if piece.bytes.is_empty() {
                self.supplies.release(&mut piece.bytes);
                self.entries.remove(at);
            } else {
                // What is left of it are control frames and fragments, or it was enough.
                at += 1;
            }
        }
        messages
    }

    /// Counts the messages that have not begun to go out, but for those in fragments.
    pub(crate) fn messages(&self) -> usize {
        let entries = self.entries.iter().skip(usize::from(self.mid_frame));
        let within = entries.map(|entry| match entry {
            Entry::Frames(piece) => piece.messages,
            #[cfg(feature = "server")]
            Entry::Common(run) => run.frames().count(),
            Entry::Large { .. } => 1,
        });
        within.sum::<usize>() + self.last.messages
    }

    /// Replaces `piece` by what is to be written next, when it is [finished](Piece::finish);
    /// `false` when there is nothing. A piece handed out must be written whole before the next: a
    /// TLS session insists on it. When there is nothing, no memory is held.
    pub(crate) fn next_piece(&mut self, piece: &mut Piece) -> bool {
        piece.clear();
        let some = !self.closed && self.fill(piece);
        if !some {
            self.supplies.release(&mut piece.bytes);
            self.supplies.release(&mut self.last.bytes);
            if self.entries.capacity() > 0 {
                self.entries = VecDeque::new();
            }
        }
        some
    }

    /// The same, finished.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn next_masked(&mut self, piece: &mut Piece) -> bool {
        let some = self.next_piece(piece);
        piece.finish();
        some
    }

    fn fill(&mut self, piece: &mut Piece) -> bool {
        if !self.mid_frame && self.take_control(piece) {
            return true;
        }
        match self.entries.front_mut() {
            None if !self.last.bytes.is_empty() => {
                self.waiting -= self.last.bytes.len();
                std::mem::swap(piece, &mut self.last);
            }
            None => {
                let Some(payload) = self.close.take() else { return false };
                piece.push(self.supplies, Head::CLOSE, &payload);
                self.closed = true;
            }
            Some(Entry::Frames(frames)) => {
                self.waiting -= frames.bytes.len();
                std::mem::swap(piece, frames);
                self.supplies.release(&mut frames.bytes);
                self.entries.pop_front();
            }
            #[cfg(feature = "server")]
            Some(Entry::Common(_)) => {
                while piece.bytes.len() < S::PIECE
                    && let Some(Entry::Common(run)) = self.entries.front()
                {
                    for frame in run.frames() {
                        piece.append(self.supplies, frame, 1);
                    }
                    self.entries.pop_front();
                }
                if self.entries.is_empty() && self.last.bytes.len() <= MAX_COPIED {
                    // What came behind them goes with them. If it is much, that pays for a write.
                    piece.append(self.supplies, &self.last.bytes, self.last.messages);
                    self.supplies.release(&mut self.last.bytes);
                    self.last.clear();
                }
                self.waiting -= piece.bytes.len();
            }
            Some(Entry::Large { header, payload, mask, offset }) => {
                let end = payload.len().min(*offset + S::PIECE);
                let header_len = frame::header_len(payload.len(), self.supplies.role());
                self.supplies.reserve(&mut piece.bytes, header_len + end - *offset);
                match header.take() {
                    Some(head) => {
                        frame::encode_header(&mut piece.bytes, head, payload.len(), *mask)
                    }
                    None => piece.mid_frame = true,
                }
                piece.unmasked = Some(Box::new(Unmasked {
                    payload: payload.slice(*offset..end),
                    mask: *mask,
                    offset: *offset,
                }));
                *offset = end;
                self.waiting -= piece.len();
                self.mid_frame = end < payload.len();
                piece.messages = usize::from(!self.mid_frame);
                if !self.mid_frame {
                    self.entries.pop_front();
                }
            }
        }
        true
    }

    fn take_control(&mut self, piece: &mut Piece) -> bool {
        if !self.pongs.is_empty() {
            std::mem::swap(&mut piece.bytes, &mut self.pongs);
            self.supplies.release(&mut self.pongs);
        }
        if let Some(payload) = self.ping.take() {
            piece.push(self.supplies, Head::PING, &payload);
        }
        !piece.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests;
