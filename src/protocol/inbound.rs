//! Bytes in, items out: frame headers, message assembly, limits, and what RFC 6455 forbids a server.
//!
//! Belongs to whoever reads the connection; knows no socket. Frames that lie whole in the read buffer become items that
//! point into it. Fragments, and frames too long for the buffer, are put together in the arena.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::arena::Arena;
use super::batch::{Batch, End, Item, Kind};
use super::utf8::Utf8;
use crate::close::close_code::NO_STATUS;
use crate::error::{LimitError, ProtocolError};

/// A data frame longer than this is not waited for in the read buffer but read straight into the arena: its second half is
/// then not copied.
const LARGE: usize = 64 << 10;

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
                batch.push(Item::in_buffer(kind, payload, frame.len));
                return Ok(Some(payload + frame.len));
            }
            if frame.len <= LARGE {
                if text {
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
        self.continue_frame(rest, read, payload, batch)
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
            batch.push(Item::in_arena(kind, message.start, self.arena.len() - message.start));
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
            batch.push(if in_arena { Item::in_arena(kind, start, len) } else { Item::in_buffer(kind, start, len) });
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
        if !batch.uses_arena {
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
        Control::Ping => batch.push(Item::in_buffer(Kind::Ping, start, len)),
        Control::Pong => batch.push(Item::in_buffer(Kind::Pong, start, len)),
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
