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
use super::common::{Common, Form};
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

    /// Appends a whole frame.
    pub(crate) fn push(&mut self, supplies: impl Supplies, head: Head, payload: &[u8]) {
        supplies.reserve(
            &mut self.bytes,
            frame::header_len(payload.len(), supplies.role()) + payload.len(),
        );
        frame::encode(&mut self.bytes, head, payload, supplies.mask());
        self.messages += usize::from(head.is_message());
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

/// How many frames a queue has in common with others, one after the other: what comes behind them is
/// copied. A list of many small ones would take more memory than the frames do, which is what is
/// bounded, and more time where a lock may be held.
#[cfg(feature = "server")]
const MAX_IN_COMMON: usize = 128;

/// How many bytes of answers to pings wait at most, but for one.
const MAX_PONGS: usize = 4 << 10;

#[derive(Debug)]
pub(crate) struct Queue<S> {
    supplies: S,
    entries: VecDeque<Entry>,
    /// Whole frames that come after them.
    last: Piece,
    /// Answers to pings, whole frames, and the latest ping of the keepalive, not yet on their way.
    pongs: Vec<u8>,
    ping: Option<Box<[u8]>>,
    /// The Close frame's payload; it goes out when nothing else is left, and nothing after it (RFC
    /// 6455 §5.5.1).
    close: Option<Box<Bytes>>,
    closed: bool,
    /// The front entry is the rest of a frame that has begun to go out.
    mid_frame: bool,
    /// Bytes in `entries` and `last`, frame headers included.
    waiting: usize,
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
    Common(Vec<std::sync::Arc<Vec<u8>>>),
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
        self.waiting += frame::header_len(payload.len(), self.supplies.role()) + payload.len();
        if self.last.bytes.len() >= S::PIECE {
            self.add_last();
        }
        self.last.push(self.supplies, head, payload);
    }

    /// What comes next is not for `last`.
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
            match self.entries.back_mut() {
                Some(Entry::Common(frames)) if frames.len() < MAX_IN_COMMON => {
                    return frames.push(frame.clone());
                }
                Some(Entry::Common(_)) => {}
                _ => {
                    if self.entries.is_empty() {
                        // Mostly it remains the only one.
                        self.entries.reserve_exact(1);
                    }
                    return self.entries.push_back(Entry::Common(vec![frame.clone()]));
                }
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
                Some(Entry::Common(frames)) => {
                    let mut dropped = 0;
                    while self.waiting > enough && dropped < frames.len() {
                        self.waiting -= frames[dropped].len();
                        dropped += 1;
                    }
                    messages += dropped;
                    frames.drain(..dropped);
                    if frames.is_empty() {
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
            Entry::Common(frames) => frames.len(),
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
            self.entries = VecDeque::new();
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
            Some(Entry::Common(frames)) => {
                let mut taken = 0;
                while taken < frames.len() && (taken == 0 || piece.bytes.len() < S::PIECE) {
                    piece.append(self.supplies, &frames[taken], 1);
                    taken += 1;
                }
                frames.drain(..taken);
                if frames.is_empty() {
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
mod tests {
    use super::*;
    use crate::protocol::testing::Plain;

    const BINARY: Head = Head::BINARY;
    const PIECE: usize = Plain::PIECE;
    const ROLES: [Role; 2] = [Role::Client, Role::Server];

    type Queue = super::Queue<Plain>;

    fn queue(role: Role) -> Queue {
        Queue::new(Plain(role))
    }

    /// Everything the queue hands out, as (opcode, unmasked payload).
    fn drain(queue: &mut Queue) -> Vec<(u8, Vec<u8>)> {
        let (mut wire, mut piece) = (Vec::new(), Piece::default());
        while queue.next_masked(&mut piece) {
            wire.extend_from_slice(&piece.bytes);
        }
        assert_eq!(queue.len(), 0);
        parse(&wire)
    }

    fn parse(mut wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut frames = Vec::new();
        while !wire.is_empty() {
            let mut cursor = std::io::Cursor::new(wire);
            let (header, len) =
                tungstenite::protocol::frame::FrameHeader::parse(&mut cursor).unwrap().unwrap();
            let (_, rest) = wire.split_at(cursor.position() as usize);
            let (payload, rest) = rest.split_at(len as usize);
            let mut payload = payload.to_vec();
            if let Some(key) = header.mask {
                frame::mask(&mut payload, key, 0);
            }
            frames.push((header.opcode.into(), payload));
            wire = rest;
        }
        frames
    }

    #[test]
    fn frames_of_all_sizes_go_out_whole_and_in_order() {
        for mut queue in ROLES.map(queue) {
            let large: Vec<u8> = (0..3 * PIECE + 5).map(|i| i as u8).collect();
            queue.push(BINARY, b"one");
            queue.push_large(BINARY, large.clone().into());
            queue.push(BINARY, b"two");
            assert_eq!(drain(&mut queue), [(2, b"one".to_vec()), (2, large), (2, b"two".to_vec())]);
        }
    }

    #[test]
    fn what_has_not_begun_is_dropped_and_what_has_begun_still_counts() {
        for role in ROLES {
            let (mut queue, mut piece) = (queue(role), Piece::default());
            assert!(!queue.drop_unsent(), "there was none");
            queue.push_large(BINARY, vec![7; 2 * PIECE].into());
            assert!(queue.next_masked(&mut piece));
            let (mut wire, left) = (piece.bytes.clone(), queue.len());
            assert!(!queue.drop_unsent(), "all of it has begun");
            queue.push(BINARY, b"small");
            queue.push_large(BINARY, vec![8; PIECE].into());
            queue.push(BINARY, b"small");
            assert!(queue.drop_unsent());
            assert_eq!((queue.len(), queue.is_empty()), (left, false));
            while queue.next_masked(&mut piece) {
                wire.extend_from_slice(&piece.bytes);
            }
            assert_eq!((parse(&wire), queue.len()), (vec![(2, vec![7; 2 * PIECE])], 0));
        }
    }

    #[test]
    fn the_oldest_that_have_not_begun_are_dropped_and_control_frames_are_not() {
        for mut queue in ROLES.map(queue) {
            let mut piece = Piece::default();
            assert_eq!(queue.drop_oldest(usize::MAX), 0, "there is none");
            let begun = vec![7; PIECE + 1];
            queue.push_large(BINARY, begun.clone().into());
            assert!(queue.next_masked(&mut piece));
            let mut wire = piece.bytes.clone();
            for (head, payload) in
                [(Head::PING, "p"), (BINARY, "one"), (Head::PONG, "q"), (BINARY, "two")]
            {
                queue.push(head, payload.as_bytes());
            }
            queue.push_large(BINARY, vec![8; PIECE].into());
            ["three", "four"].into_iter().for_each(|text| queue.push(BINARY, text.as_bytes()));
            assert_eq!(queue.messages(), 5);
            let before = queue.len();
            assert_eq!((queue.drop_oldest(1), queue.messages()), (1, 4));
            assert_eq!(before - queue.len(), frame::header_len(3, queue.supplies().role()) + 3);
            // The second and the large one.
            assert_eq!((queue.drop_oldest(PIECE), queue.messages()), (2, 2));
            assert_eq!((queue.drop_oldest(1), queue.messages()), (1, 1));
            queue.push(BINARY, b"five");
            assert_eq!(queue.messages(), 2);
            while queue.next_masked(&mut piece) {
                wire.extend_from_slice(&piece.bytes);
            }
            let text = |opcode, text: &str| (opcode, text.as_bytes().to_vec());
            assert_eq!(
                parse(&wire),
                [(2, begun), text(9, "p"), text(10, "q"), text(2, "four"), text(2, "five")]
            );
            assert_eq!(queue.len(), 0);
        }
    }

    /// A message of a server for this queue and others.
    #[cfg(feature = "server")]
    fn common(payload: impl Into<Bytes>) -> Common {
        Common::new(BINARY, payload.into())
    }

    #[cfg(feature = "server")]
    #[test]
    fn what_many_queues_have_is_there_once_and_goes_out_in_its_place_and_in_one_piece() {
        let (shared, large) = (common("shared"), common(vec![8; MAX_COPIED + 1]));
        let mut queues: Vec<_> = (0..3).map(|_| queue(Role::Server)).collect();
        for queue in &mut queues {
            (0..2).for_each(|_| queue.push_common(&shared));
            queue.push(BINARY, b"own");
            queue.push_common(&shared);
            assert_eq!((queue.len(), queue.messages()), (3 * 8 + 5, 4));
        }
        let Form::Frame(frame) = shared.form() else { panic!("it is small") };
        assert_eq!(std::sync::Arc::strong_count(frame), 1 + 3 * 2, "the last is behind its own");
        for queue in &mut queues {
            let mut piece = Piece::default();
            assert!(queue.next_masked(&mut piece));
            assert_eq!((piece.messages, queue.len()), (4, 0));
            let payloads = ["shared", "shared", "own", "shared"];
            assert_eq!(parse(&piece.bytes), payloads.map(|text| (2, text.as_bytes().to_vec())));
            assert!(!queue.next_masked(&mut piece));
            queue.push_common(&large);
            queue.push_common(&shared);
            let large = (2, large.payload().to_vec());
            assert_eq!(drain(queue), [large, (2, b"shared".to_vec())]);
        }
        assert_eq!(std::sync::Arc::strong_count(frame), 1);
    }

    #[cfg(feature = "server")]
    #[test]
    fn of_many_small_ones_most_are_copied() {
        let (mut queue, shared) = (queue(Role::Server), common("1"));
        (0..100_000).for_each(|_| queue.push_common(&shared));
        queue.push_common(&common("2"));
        let Form::Frame(frame) = shared.form() else { panic!("it is small") };
        assert_eq!(std::sync::Arc::strong_count(frame), 1 + MAX_IN_COMMON);
        assert_eq!((queue.entries.len(), queue.len()), (1, 100_001 * 3));
        let mut sent = vec![(2, b"1".to_vec()); 100_000];
        sent.push((2, b"2".to_vec()));
        assert!(drain(&mut queue) == sent);
    }

    #[cfg(feature = "server")]
    #[test]
    fn much_that_many_have_goes_out_in_pieces() {
        let (mut queue, mut piece, mut wire) = (queue(Role::Server), Piece::default(), Vec::new());
        let payloads: Vec<_> = (0..=255).map(|i| vec![i; MAX_COPIED]).collect();
        payloads.iter().for_each(|payload| queue.push_common(&common(payload.clone())));
        queue.push(BINARY, b"own");
        while queue.next_masked(&mut piece) {
            assert!(piece.bytes.len() < PIECE + 2 * MAX_COPIED + 10, "{}", piece.bytes.len());
            wire.extend_from_slice(&piece.bytes);
        }
        let mut sent: Vec<_> = payloads.into_iter().map(|payload| (2, payload)).collect();
        sent.push((2, b"own".to_vec()));
        assert!(parse(&wire) == sent);
    }

    #[cfg(feature = "server")]
    #[test]
    fn what_many_have_is_dropped_from_one_queue_as_its_own_is() {
        let mut queue = queue(Role::Server);
        ["one", "two", "three"].iter().for_each(|text| queue.push_common(&common(*text)));
        queue.push(BINARY, b"own");
        assert_eq!((queue.drop_oldest(6), queue.messages(), queue.len()), (2, 2, 7 + 5));
        assert_eq!((queue.drop_oldest(8), queue.messages(), queue.len()), (2, 0, 0));
        queue.push_common(&common("four"));
        assert!(queue.drop_unsent());
        assert_eq!((queue.len(), queue.entries.capacity()), (0, 0));
        queue.push_common(&common("five"));
        assert_eq!(drain(&mut queue), [(2, b"five".to_vec())]);
    }

    #[test]
    fn of_a_piece_that_is_not_masked_yet_nothing_is_written() {
        let (mut queue, mut piece) = (Queue::default(), Piece::default());
        queue.push_large(BINARY, vec![7; PIECE + 1].into());
        assert!(queue.next_masked(&mut piece) && queue.next_piece(&mut piece));
        assert_eq!((piece.bytes.len(), piece.len(), piece.messages), (0, 1, 1));
        assert_eq!(piece.messages_within(0), 0);
        piece.finish();
        assert_eq!((piece.messages_within(0), piece.messages_within(1)), (0, 1));
    }

    #[test]
    fn pongs_go_between_frames_in_order() {
        let mut queue = Queue::default();
        let large = vec![7; 2 * PIECE];
        queue.push_large(BINARY, large.clone().into());
        queue.push(BINARY, b"after");
        let (mut wire, mut piece) = (Vec::new(), Piece::default());
        assert!(queue.next_masked(&mut piece));
        wire.append(&mut piece.bytes);
        queue.add_pong(b"first");
        queue.add_pong(b"latest");
        while queue.next_masked(&mut piece) {
            wire.append(&mut piece.bytes);
        }
        let pongs = [(10, b"first".to_vec()), (10, b"latest".to_vec())];
        assert_eq!(parse(&wire), [&[(2, large)][..], &pongs, &[(2, b"after".to_vec())]].concat());
    }

    #[test]
    fn a_flood_of_pings_grows_nothing_and_the_latest_is_answered() {
        let mut queue = Queue::default();
        for i in 0..100_000_u32 {
            queue.add_pong(&i.to_be_bytes());
            assert!(queue.pongs.len() <= MAX_PONGS + 131);
        }
        assert_eq!(drain(&mut queue).last(), Some(&(10, 99_999_u32.to_be_bytes().to_vec())));
    }

    #[test]
    fn nothing_goes_out_after_close() {
        let mut queue = Queue::default();
        queue.set_close(Bytes::from_static(&[3, 232]));
        queue.push(BINARY, b"before");
        queue.add_pong(b"pong");
        assert_eq!(
            drain(&mut queue),
            [(10, b"pong".to_vec()), (2, b"before".to_vec()), (8, vec![3, 232])]
        );
        queue.add_pong(b"late");
        queue.set_close(Bytes::new());
        assert!(!queue.next_masked(&mut Piece::default()));
    }

    #[test]
    fn the_rest_of_a_begun_frame_survives_and_keeps_its_mask() {
        for (role, mask) in [(Role::Client, Some([1, 2, 3, 4])), (Role::Server, None)] {
            let mut queue = queue(role);
            let payload: Vec<u8> = (0..=255).collect();
            let mut wire = Vec::new();
            frame::encode_header(&mut wire, BINARY, payload.len(), mask);
            frame::encode_payload(&mut wire, &payload[..99], mask, 0);
            queue.push(BINARY, b"dropped");
            queue.push_front_rest(payload[99..].to_vec().into(), mask, 99);
            queue.drop_unsent();
            assert_eq!(queue.len(), payload.len() - 99);
            queue.add_pong(b"");
            let mut piece = Piece::default();
            while queue.next_masked(&mut piece) {
                wire.append(&mut piece.bytes);
            }
            assert_eq!(parse(&wire), [(2, payload), (10, Vec::new())]);
        }
    }

    #[test]
    fn a_clients_frames_are_masked_and_a_servers_are_not() {
        for role in ROLES {
            let mut queue = queue(role);
            queue.push(BINARY, b"data");
            queue.push_large(BINARY, vec![0; PIECE].into());
            queue.set_ping(b"ping");
            queue.set_close(Bytes::from_static(&[3, 232]));
            assert_eq!(
                queue.len(),
                frame::header_len(4, role) + 4 + frame::header_len(PIECE, role) + PIECE
            );
            let (mut wire, mut piece) = (Vec::new(), Piece::default());
            while queue.next_masked(&mut piece) {
                wire.append(&mut piece.bytes);
            }
            let mut frames = wire.as_slice();
            for len in [4, 4, PIECE, 2] {
                assert_eq!(frames[1] & 0x80 != 0, role == Role::Client, "{len} bytes");
                frames = &frames[frame::header_len(len, role) + len..];
            }
            assert!(frames.is_empty());
        }
    }

    #[test]
    fn what_was_dropped_takes_no_memory() {
        let mut queue = Queue::default();
        (0..1_000).for_each(|_| queue.push(BINARY, &[7; 100]));
        queue.push_large(BINARY, vec![0; PIECE].into());
        assert!(queue.drop_unsent());
        assert_eq!((queue.last.bytes.capacity(), queue.entries.capacity()), (0, 0));
    }

    #[test]
    fn messages_are_counted_where_they_end() {
        let mut queue = Queue::default();
        queue.push(BINARY, b"one");
        queue.push(Head::PING, b"not a message");
        queue.push(BINARY, b"two");
        queue.push_large(BINARY, vec![0; PIECE + 1].into());
        let (mut piece, mut counts) = (Piece::default(), Vec::new());
        while queue.next_masked(&mut piece) {
            counts.push(piece.messages);
            assert_eq!(piece.messages_within(piece.bytes.len()), piece.messages);
            if counts.len() == 1 {
                let within = |written| piece.messages_within(written);
                assert_eq!(
                    [within(0), within(8), within(9), within(27), within(36), within(37)],
                    [0, 0, 1, 1, 1, 2]
                );
            }
        }
        assert_eq!(counts, [2, 0, 1]);
    }

    #[test]
    fn a_frame_whose_last_piece_is_half_written_does_not_count() {
        for seed in 0..50 {
            let mut queue = Queue::default();
            queue.push_large(BINARY, vec![seed; PIECE + 1000].into());
            let mut piece = Piece::default();
            assert!(queue.next_masked(&mut piece) && queue.next_masked(&mut piece));
            for written in 0..piece.bytes.len() {
                assert_eq!(piece.messages_within(written), 0);
            }
            assert_eq!(piece.messages_within(piece.bytes.len()), 1);
        }
    }
}
