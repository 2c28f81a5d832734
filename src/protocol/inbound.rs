//! Bytes in, items out: frame headers, message assembly, limits, and what RFC 6455 forbids a server.
//!
//! Belongs to whoever reads the connection; knows no socket. Frames that lie whole in the read buffer become items that
//! point into it. Fragments, and frames too long for the buffer, are put together in the arena.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::arena::Arena;
use super::batch::{Batch, End, Kind};
use super::utf8::Utf8;
use crate::close::close_code::NO_STATUS;
use crate::error::{LimitError, ProtocolError};

/// A data frame longer than this is not waited for in the read buffer but read straight into the arena: its second half is
/// then not copied.
const LARGE: usize = 64 << 10;

/// The first byte of the one frame of a message, and the length from which on a header is longer than two bytes; a mask
/// would set the second byte's highest bit (RFC 6455 §5.2).
const FINAL_TEXT: u8 = 0x81;
const FINAL_BINARY: u8 = 0x82;
const SHORT: usize = 126;

/// The longest payload of a control frame (RFC 6455 §5.5).
const MAX_CONTROL: u64 = 125;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) message_size: usize,
    pub(crate) fragments: usize,
}

/// The receiving half of the protocol.
#[derive(Debug)]
pub(crate) struct Inbound {
    limits: Limits,
    /// Whether messages are handed out piece by piece.
    in_pieces: bool,
    /// The message that is arriving, from its first frame to its last.
    message: Option<Arriving>,
    /// How much of the current frame's payload is still to come, once part of it has been taken.
    frame: Option<Rest>,
    /// The arriving message so far, unless handed out in pieces.
    arena: Arena,
    /// How much has been checked of a text frame that is waited for in the read buffer.
    ahead: usize,
    utf8: Utf8,
}

#[derive(Debug)]
struct Arriving {
    text: bool,
    frames: usize,
    /// Where it begins in the arena.
    start: usize,
    /// Whether a piece of it has been handed out.
    begun: bool,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    left: usize,
    last: bool,
}

/// A header that was understood and allowed, and where its payload begins.
struct Frame {
    opcode: OpCode,
    last: bool,
    size: usize,
    len: usize,
}

impl Inbound {
    pub(crate) fn new(limits: Limits, in_pieces: bool) -> Self {
        Inbound {
            limits,
            in_pieces,
            message: None,
            frame: None,
            arena: Arena::default(),
            ahead: 0,
            utf8: Utf8::default(),
        }
    }

    /// Decodes what it can of `read`, adds the items to the batch, and returns how many bytes it is done with: the rest
    /// must come again, in front of what is read next.
    ///
    /// When the batch has an `end`, nothing more is to be decoded, ever.
    pub(crate) fn decode(&mut self, read: &[u8], batch: &mut Batch) -> usize {
        let mut at = 0;
        while !batch.is_full() {
            at = self.short_messages(read, at, batch);
            match self.step(read, at, batch) {
                Ok(Some(next)) => at = next,
                Ok(None) => break,
                Err(end) => {
                    batch.end(end, read);
                    at = read.len();
                    break;
                }
            }
        }
        self.hand_over(batch);
        at
    }

    /// A place to read the rest of a large frame into, if that is what comes next; then tell [`filled`](Self::filled).
    pub(crate) fn direct(&mut self) -> Option<&mut [u8]> {
        match self.frame {
            Some(rest) if !self.in_pieces && rest.left > 0 => Some(self.arena.space(rest.left)),
            _ => None,
        }
    }

    /// Takes note of bytes that were read into the place that [`direct`](Self::direct) gave.
    pub(crate) fn filled(&mut self, read: usize, batch: &mut Batch) {
        let from = self.arena.len();
        self.arena.advance(read);
        if let Err(end) = self.arrived(from, batch) {
            batch.end(end, &[]);
        }
        self.hand_over(batch);
    }

    /// Takes the messages that most are: short, in one frame, whole in the buffer. Their header of two bytes is quicker
    /// compared than parsed, which at tens of millions of messages a second is half of the work.
    fn short_messages(&mut self, read: &[u8], mut at: usize, batch: &mut Batch) -> usize {
        if self.in_pieces || self.message.is_some() || self.limits.message_size < SHORT {
            return at;
        }
        while let [first @ (FINAL_TEXT | FINAL_BINARY), len, rest @ ..] = &read[at..]
            && usize::from(*len) < SHORT
            && rest.len() >= usize::from(*len)
            && !batch.is_full()
        {
            self.ahead = 0;
            let kind = if *first == FINAL_TEXT { Kind::Text } else { Kind::Binary };
            batch.push(kind, at + 2, usize::from(*len));
            at += 2 + usize::from(*len);
        }
        at
    }

    /// Takes one step at `read[at..]`: the rest of a frame, or a new one. Returns where the next begins, or `None` when
    /// more bytes are needed.
    fn step(&mut self, read: &[u8], at: usize, batch: &mut Batch) -> Result<Option<usize>, End> {
        if let Some(rest) = self.frame {
            return self.continue_frame(rest, read, at, batch);
        }
        let Some(frame) = self.header(&read[at..])? else { return Ok(None) };
        let payload = at + frame.size;
        match frame.opcode {
            OpCode::Control(control) => {
                if read.len() - payload < frame.len {
                    return Ok(None);
                }
                control_frame(control, payload, frame.len, read, batch)?;
                Ok(Some(payload + frame.len))
            }
            OpCode::Data(data) => self.data_frame(data, &frame, read, payload, batch),
        }
    }

    /// Reads a frame header and refuses what RFC 6455 §5.2 says must fail the connection.
    fn header(&self, bytes: &[u8]) -> Result<Option<Frame>, End> {
        let mut cursor = Cursor::new(bytes);
        let (header, len) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return early_header_check(bytes),
            // The one error that reading a header from memory has.
            Err(_) => return Err(ProtocolError::ReservedOpcode(bytes[0] & 0x0f).into()),
        };
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(ProtocolError::ReservedBits.into());
        }
        if header.mask.is_some() {
            return Err(ProtocolError::MaskedFrame.into());
        }
        if len >> 63 != 0 {
            return Err(ProtocolError::InvalidLength.into());
        }
        if let OpCode::Control(_) = header.opcode {
            if !header.is_final {
                return Err(ProtocolError::FragmentedControlFrame.into());
            }
            if len > MAX_CONTROL {
                return Err(ProtocolError::OversizedControlFrame.into());
            }
        }
        let too_big = End::Limit(LimitError::MessageSize { limit: self.limits.message_size });
        // In pieces nothing is held, so a frame may be of any length that can be counted.
        let limit = if self.in_pieces { usize::MAX } else { self.limits.message_size };
        let len = usize::try_from(len).ok().filter(|len| *len <= limit).ok_or(too_big)?;
        Ok(Some(Frame { opcode: header.opcode, last: header.is_final, size: cursor.position() as usize, len }))
    }

    fn data_frame(
        &mut self,
        data: Data,
        frame: &Frame,
        read: &[u8],
        payload: usize,
        batch: &mut Batch,
    ) -> Result<Option<usize>, End> {
        let first = match (data, &self.message) {
            (Data::Continue, None) => return Err(ProtocolError::UnexpectedContinuation.into()),
            (Data::Text | Data::Binary, Some(_)) => return Err(ProtocolError::UnfinishedMessage.into()),
            (Data::Continue, Some(_)) => false,
            (Data::Text | Data::Binary | Data::Reserved(_), _) => true,
        };
        let text = data == Data::Text;
        let there = read.len() - payload;
        if first && frame.last && !self.in_pieces {
            if there >= frame.len {
                // The way nearly every message goes: whole in the buffer.
                (self.ahead, self.utf8) = (0, Utf8::default());
                let kind = if text { Kind::Text } else { Kind::Binary };
                batch.push(kind, payload, frame.len);
                return Ok(Some(payload + frame.len));
            }
            if frame.len <= LARGE {
                if text {
                    if self.ahead == 0 {
                        self.utf8 = Utf8::default();
                    }
                    self.utf8.push(&read[payload + self.ahead..])?;
                    self.ahead = there;
                }
                return Ok(None);
            }
        }
        if first {
            (self.ahead, self.utf8) = (0, Utf8::default());
            if !self.arena.is_allocated() && batch.arena.len() == 0 {
                // What the reader has to spare; it comes back with the finished message, so an idle connection holds none.
                self.arena = std::mem::take(&mut batch.arena);
            }
            self.message = Some(Arriving { text, frames: 0, start: self.arena.len(), begun: false });
        }
        self.begin_frame(frame)?;
        let rest = Rest { left: frame.len, last: frame.last };
        self.frame = Some(rest);
        // The header is done with, even if nothing of the payload has come.
        Ok(Some(self.continue_frame(rest, read, payload, batch)?.unwrap_or(payload)))
    }

    /// Counts the frame against the limits of its message.
    fn begin_frame(&mut self, frame: &Frame) -> Result<(), End> {
        let Some(message) = &mut self.message else { return Ok(()) };
        message.frames += 1;
        if message.frames > self.limits.fragments {
            return Err(End::Limit(LimitError::Fragments { limit: self.limits.fragments }));
        }
        let so_far = self.arena.len() - message.start;
        if !self.in_pieces && frame.len > self.limits.message_size - so_far {
            return Err(End::Limit(LimitError::MessageSize { limit: self.limits.message_size }));
        }
        Ok(())
    }

    /// Takes what has come of the current frame's payload.
    fn continue_frame(&mut self, rest: Rest, read: &[u8], at: usize, batch: &mut Batch) -> Result<Option<usize>, End> {
        let piece = &read[at..read.len().min(at.saturating_add(rest.left))];
        if self.in_pieces {
            return self.piece(rest, piece, at, batch);
        }
        if piece.is_empty() && rest.left > 0 {
            return Ok(None);
        }
        let from = self.arena.len();
        self.arena.extend(piece);
        self.arrived(from, batch)?;
        Ok(Some(at + piece.len()))
    }

    /// Checks what has been added to the arena since `from`, and ends the frame and the message where that was the last.
    fn arrived(&mut self, from: usize, batch: &mut Batch) -> Result<(), End> {
        let (Some(rest), Some(message)) = (&mut self.frame, &self.message) else { return Ok(()) };
        rest.left -= self.arena.len() - from;
        if message.text {
            self.utf8.push(&self.arena.bytes()[from..])?;
        }
        if rest.left > 0 {
            return Ok(());
        }
        let last = rest.last;
        self.frame = None;
        if last {
            self.utf8.finish()?;
            let kind = if message.text { Kind::Text } else { Kind::Binary };
            batch.push_assembled(kind, message.start..self.arena.len());
            self.message = None;
        }
        Ok(())
    }

    /// Hands out a piece as it arrives. Text is cut between characters: the beginning of one stays in `utf8` until its end
    /// arrives, and is then put in front of it in the arena.
    fn piece(&mut self, rest: Rest, piece: &[u8], at: usize, batch: &mut Batch) -> Result<Option<usize>, End> {
        let Some(message) = &mut self.message else { return Ok(None) };
        let ends_frame = piece.len() == rest.left;
        let last = ends_frame && rest.last;
        if piece.is_empty() && !ends_frame {
            return Ok(None);
        }
        let mut place = (false, at, piece.len());
        if message.text {
            let start = self.arena.len();
            let carried = self.utf8.unfinished().len();
            if carried > 0 {
                self.arena.extend(self.utf8.unfinished());
                self.arena.extend(piece);
            }
            self.utf8.push(piece)?;
            if last {
                self.utf8.finish()?;
            }
            let shown = carried + piece.len() - self.utf8.unfinished().len();
            place = if carried > 0 { (true, start, shown) } else { (false, at, shown) };
        }
        let (in_arena, start, len) = place;
        if len > 0 || last {
            let first = !message.begun;
            message.begun = true;
            let kind = match message.text {
                true => Kind::TextFragment { first, last },
                false => Kind::BinaryFragment { first, last },
            };
            if in_arena {
                batch.push_assembled(kind, start..start + len);
            } else {
                batch.push(kind, start, len);
            }
        } else if in_arena {
            self.arena.truncate(start);
        }
        self.frame = (!ends_frame).then_some(Rest { left: rest.left - piece.len(), ..rest });
        if last {
            self.message = None;
        }
        Ok(Some(at + piece.len()))
    }

    /// Gives the arena to the batch when finished messages lie in it, and keeps what has come of an unfinished one.
    fn hand_over(&mut self, batch: &mut Batch) {
        if !batch.uses_arena() {
            return;
        }
        batch.arena = std::mem::take(&mut self.arena);
        if let Some(message) = &mut self.message {
            if !self.in_pieces {
                self.arena.extend(&batch.arena.bytes()[message.start..]);
            }
            message.start = 0;
        }
    }
}

/// Refuses a header that is bad already, though not all of it has come.
fn early_header_check(bytes: &[u8]) -> Result<Option<Frame>, End> {
    match bytes {
        [first, ..] if first & 0x70 != 0 => Err(ProtocolError::ReservedBits.into()),
        [_, second, ..] if second & 0x80 != 0 => Err(ProtocolError::MaskedFrame.into()),
        _ => Ok(None),
    }
}

/// Understands a control frame that lies whole in the buffer (RFC 6455 §5.5).
fn control_frame(control: Control, start: usize, len: usize, read: &[u8], batch: &mut Batch) -> Result<(), End> {
    match control {
        Control::Ping => batch.push(Kind::Ping, start, len),
        Control::Pong => batch.push(Kind::Pong, start, len),
        Control::Close => return Err(close_frame(&read[start..start + len])?),
        Control::Reserved(opcode) => return Err(ProtocolError::ReservedOpcode(opcode).into()),
    }
    Ok(())
}

/// Reads the payload of a Close frame (RFC 6455 §5.5.1).
fn close_frame(payload: &[u8]) -> Result<End, ProtocolError> {
    let (code, reason) = match payload {
        [] => return Ok(End::Close { code: NO_STATUS, reason: String::new() }),
        [_] => return Err(ProtocolError::InvalidClosePayload),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !may_be_sent(code) {
        return Err(ProtocolError::InvalidCloseCode(code));
    }
    let reason = str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
    Ok(End::Close { code, reason: reason.to_owned() })
}

/// Whether a close code may stand in a Close frame (RFC 6455 §7.4.2). tungstenite does not know 1014, which was registered
/// later.
pub(crate) fn may_be_sent(code: u16) -> bool {
    code == 1014 || CloseCode::from(code).is_allowed()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::protocol::message;

    const LIMITS: Limits = Limits { message_size: 1 << 20, fragments: 100 };

    /// What callbacks would get: kind and payload; the pieces of a message are put together again.
    #[derive(Debug, PartialEq)]
    enum Event {
        Message(bool, Vec<u8>),
        Ping(Vec<u8>),
        Pong(Vec<u8>),
        End(End),
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            len @ 0..=125 => frame.push(len as u8),
            len @ 126..=65535 => {
                frame.push(126);
                frame.extend((len as u16).to_be_bytes());
            }
            len => {
                frame.push(127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    /// Receives the wire's bytes in pieces as a `Receiver` does: with a tail, and straight into place where that is asked.
    fn receive(wire: &[u8], in_pieces: bool, mut piece: impl FnMut() -> usize) -> Vec<Event> {
        let mut inbound = Inbound::new(LIMITS, in_pieces);
        let (mut batch, mut events, mut tail) = (Batch::default(), Vec::new(), Vec::new());
        let mut partial: Vec<u8> = Vec::new();
        let mut rest = wire;
        loop {
            batch.clear();
            let size = piece().clamp(1, rest.len().max(1)).min(rest.len());
            let buffer = if let Some(space) = inbound.direct() {
                let size = size.min(space.len());
                space[..size].copy_from_slice(&rest[..size]);
                rest = &rest[size..];
                inbound.filled(size, &mut batch);
                Vec::new()
            } else {
                let mut buffer = std::mem::take(&mut tail);
                buffer.extend_from_slice(&rest[..size]);
                rest = &rest[size..];
                let done = inbound.decode(&buffer, &mut batch);
                tail = buffer[done..].to_vec();
                buffer
            };
            for item in &batch.items {
                let payload = batch.payload(item, &buffer).to_vec();
                match item.kind {
                    Kind::Ping => events.push(Event::Ping(payload)),
                    Kind::Pong => events.push(Event::Pong(payload)),
                    Kind::Text | Kind::Binary => {
                        let text = item.kind == Kind::Text;
                        if let Err(violation) = message(text, &payload) {
                            events.push(Event::End(violation.into()));
                            return events;
                        }
                        events.push(Event::Message(text, payload));
                    }
                    Kind::TextFragment { first, last } | Kind::BinaryFragment { first, last } => {
                        let text = matches!(item.kind, Kind::TextFragment { .. });
                        assert!(message(text, &payload).is_ok(), "text is cut between characters");
                        assert_eq!(first, partial.is_empty() || partial == [0xff], "first: {first}");
                        if first {
                            partial = vec![0xff];
                        }
                        partial.extend(payload);
                        if last {
                            events.push(Event::Message(text, partial.split_off(1)));
                            partial.clear();
                        }
                    }
                }
            }
            if let Some(end) = batch.end.take() {
                events.push(Event::End(end));
                return events;
            }
            if rest.is_empty() && size == 0 && batch.items.is_empty() {
                return events;
            }
        }
    }

    fn one_by_one() -> usize {
        1
    }

    fn all_at_once() -> usize {
        usize::MAX
    }

    /// A random, mostly valid, stream of frames.
    fn random_wire(rng: &mut StdRng) -> Vec<u8> {
        let mut wire = Vec::new();
        for _ in 0..rng.random_range(1..12) {
            let text = rng.random_bool(0.5);
            let len = *[0, 1, 5, 125, 126, 300, 70_000][rng.random_range(0..7)..].first().unwrap();
            let mut payload: Vec<u8> = if text {
                "aé日🦀".chars().cycle().skip(rng.random_range(0..4)).take(len / 2).collect::<String>().into_bytes()
            } else {
                (0..len).map(|_| rng.random()).collect()
            };
            if text && !payload.is_empty() && rng.random_bool(0.05) {
                let at = rng.random_range(0..payload.len());
                payload[at] = 0xff;
            }
            let opcode = if text { 1 } else { 2 };
            let pieces = rng.random_range(1..5);
            let mut rest = payload.as_slice();
            for i in 0..pieces {
                let cut = if i + 1 == pieces { rest.len() } else { rng.random_range(0..=rest.len()) };
                let (piece, left) = rest.split_at(cut);
                rest = left;
                let fin = if i + 1 == pieces { 0x80 } else { 0 };
                wire.extend(frame(fin | if i == 0 { opcode } else { 0 }, piece));
                if rng.random_bool(0.3) {
                    wire.extend(frame(if rng.random_bool(0.5) { 0x89 } else { 0x8a }, b"control"));
                }
            }
        }
        if rng.random_bool(0.3) {
            wire.extend(frame(0x88, &[3, 232, b'b', b'y', b'e']));
            wire.extend(frame(0x82, b"after Close"));
        }
        wire
    }

    #[test]
    fn any_split_gives_the_same_events() {
        for seed in 0..300 {
            let mut rng = StdRng::seed_from_u64(seed);
            let wire = random_wire(&mut rng);
            let whole = receive(&wire, false, all_at_once);
            assert_eq!(receive(&wire, false, || rng.random_range(1..2000)), whole, "seed {seed}");
            assert_eq!(receive(&wire, true, all_at_once), whole, "in pieces, seed {seed}");
            assert_eq!(receive(&wire, true, || rng.random_range(1..200)), whole, "in pieces, split, seed {seed}");
            if wire.len() < 20_000 {
                assert_eq!(receive(&wire, false, one_by_one), whole, "byte by byte, seed {seed}");
            }
        }
    }

    #[test]
    fn what_the_rfc_forbids_ends_the_connection() {
        let half = |first: u8| frame(first, b"half");
        let violations: [(&str, Vec<u8>, End); 16] = [
            ("RSV1", frame(0xc1, b""), ProtocolError::ReservedBits.into()),
            ("RSV3 on a ping", frame(0x99, b""), ProtocolError::ReservedBits.into()),
            ("opcode 3", frame(0x83, b""), ProtocolError::ReservedOpcode(3).into()),
            ("opcode 15", frame(0x8f, b""), ProtocolError::ReservedOpcode(15).into()),
            ("masked", vec![0x81, 0x80, 1, 2, 3, 4], ProtocolError::MaskedFrame.into()),
            ("length of 2^63", [&[0x82, 127, 0x80][..], &[0; 7]].concat(), ProtocolError::InvalidLength.into()),
            ("ping in fragments", frame(0x09, b""), ProtocolError::FragmentedControlFrame.into()),
            ("long ping", frame(0x89, &[0; 126]), ProtocolError::OversizedControlFrame.into()),
            ("stray continuation", frame(0x80, b""), ProtocolError::UnexpectedContinuation.into()),
            ("interleaved", [half(0x01), half(0x81)].concat(), ProtocolError::UnfinishedMessage.into()),
            ("bad text", frame(0x81, b"\xff"), ProtocolError::InvalidUtf8.into()),
            ("text that ends early", frame(0x81, b"\xe2\x82"), ProtocolError::InvalidUtf8.into()),
            ("Close of one byte", frame(0x88, &[3]), ProtocolError::InvalidClosePayload.into()),
            ("Close with 1005", frame(0x88, &[3, 237]), ProtocolError::InvalidCloseCode(1005).into()),
            ("too long", frame(0x82, &vec![0; (1 << 20) + 1]), End::Limit(LimitError::MessageSize { limit: 1 << 20 })),
            ("too many fragments", half(0x02).repeat(1), End::Limit(LimitError::Fragments { limit: 100 })),
        ];
        for (name, mut wire, end) in violations {
            if name == "too many fragments" {
                wire.extend(frame(0x00, b"").repeat(100));
            }
            for pieces in [all_at_once as fn() -> usize, one_by_one] {
                if wire.len() < 10_000 || pieces() > 1 {
                    assert_eq!(receive(&wire, false, pieces).last(), Some(&Event::End(end.clone())), "{name}");
                }
            }
        }
    }

    #[test]
    fn a_limit_holds_over_all_fragments_together() {
        let wire = [frame(0x02, &[0; 1 << 19]), frame(0x00, &[0; 1 << 19]), frame(0x80, &[0])].concat();
        let end = End::Limit(LimitError::MessageSize { limit: 1 << 20 });
        assert_eq!(receive(&wire, false, all_at_once), [Event::End(end)]);
    }

    #[test]
    fn bad_text_fails_before_its_frame_is_whole() {
        for size in [100, 100_000] {
            let mut wire = frame(0x81, &vec![b'a'; size]);
            wire[50] = 0xff;
            wire.truncate(60);
            assert_eq!(receive(&wire, false, all_at_once), [Event::End(ProtocolError::InvalidUtf8.into())], "{size}");
        }
    }

    #[test]
    fn bad_text_before_a_close_in_one_read_is_what_counts() {
        let wire = [frame(0x81, b"good"), frame(0x81, b"\xff"), frame(0x88, &[3, 232])].concat();
        let events = receive(&wire, false, all_at_once);
        assert_eq!(events, [Event::Message(true, b"good".to_vec()), Event::End(ProtocolError::InvalidUtf8.into())]);
    }

    #[test]
    fn more_messages_than_a_batch_takes_come_in_the_next() {
        let wire = frame(0x82, b"").repeat(10_000);
        assert_eq!(receive(&wire, false, all_at_once).len(), 10_000);
    }
}
