//! Bytes in, items out: frame headers, masks, control frames, and what RFC 6455 forbids the peer.
//!
//! Belongs to whoever reads the connection; knows no socket. Frames that lie whole in the read
//! buffer become items that point into it; the payload of all others goes to the [`Assembly`]. What
//! a client has masked is unmasked where it lies.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::assembly::{Assembly, InPieces, Limits};
use super::batch::{Batch, End, Kind};
use super::close::read_close;
use super::compress::Lend;
use super::frame::{self, MAX_CONTROL_PAYLOAD, MaskingKey};
use super::utf8::Utf8;
use crate::deflate::NegotiatedDeflate;
use crate::error::{LimitError, ProtocolError};
use crate::role::Role;

/// A data frame longer than this is not waited for in the read buffer but read straight into the
/// arena: its second half is then not copied.
const MIN_DIRECT: usize = 64 << 10;

/// The first byte of the one frame of a message, the length from which on a header is longer than
/// two bytes, and the bit of the second that says that there is a mask (RFC 6455 §5.2).
const FINAL_TEXT: u8 = 0x81;
const FINAL_BINARY: u8 = 0x82;
const SHORT: usize = 126;
const MASKED: u8 = 0x80;

/// The receiving half of the protocol.
pub(crate) struct Inbound {
    /// Ours: the peer's frames are masked if we are the server.
    role: Role,
    in_pieces: InPieces,
    /// Whether permessage-deflate was agreed to, and so RSV1 has a meaning.
    compressed: bool,
    assembly: Assembly,
    /// How much of the current frame's payload is still to come, once it goes to the assembly.
    frame: Option<FrameRest>,
    /// How much has been unmasked and checked of a text frame that is waited for in the read
    /// buffer, and its check.
    ahead: usize,
    utf8: Utf8,
}

#[derive(Clone, Copy, Debug)]
struct FrameRest {
    left: usize,
    last: bool,
    mask: Option<Unmasking>,
}

/// Unmasks a payload as it comes (RFC 6455 §5.3).
#[derive(Clone, Copy, Debug)]
struct Unmasking {
    /// Begins with what is for the next byte.
    key: MaskingKey,
    /// So many bytes are unmasked and still to be taken: inflating did not get to them.
    ahead: usize,
}

/// A header that was understood and allowed.
struct Frame {
    opcode: OpCode,
    last: bool,
    compressed: bool,
    mask: Option<MaskingKey>,
    /// Of the header, and of the payload.
    size: usize,
    len: usize,
}

impl Inbound {
    pub(crate) fn new(
        role: Role,
        limits: Limits,
        in_pieces: InPieces,
        compression: Option<(NegotiatedDeflate, Lend)>,
    ) -> Self {
        let any_in_pieces = in_pieces != InPieces::None;
        Inbound {
            role,
            in_pieces,
            compressed: compression.is_some(),
            assembly: Assembly::new(role, limits, any_in_pieces, compression),
            frame: None,
            ahead: 0,
            utf8: Utf8::default(),
        }
    }

    /// Decodes what it can of `read`, adds the items to the batch, and returns how many bytes it is
    /// done with: the rest must come again as it is then, in front of what is read next; at once,
    /// where the batch is full.
    ///
    /// When the batch has an `end`, nothing more is to be decoded, ever.
    pub(crate) fn decode(&mut self, read: &mut [u8], batch: &mut Batch) -> usize {
        let mut at = 0;
        while !batch.is_full() {
            at = match self.role {
                Role::Client => self.short_messages(read, at, batch),
                Role::Server => self.short_masked_messages(read, at, batch),
            };
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
        self.assembly.hand_over(batch);
        at
    }

    /// A place to read the rest of a large frame into, if that is what comes next; then tell
    /// [`filled`](Self::filled).
    pub(crate) fn direct(&mut self) -> Option<&mut [u8]> {
        let left = self.frame.map_or(0, |rest| rest.left);
        if left > 0 { self.assembly.direct(left) } else { None }
    }

    /// Takes note of bytes that were read into the place that [`direct`](Self::direct) gave.
    pub(crate) fn filled(&mut self, read: usize, batch: &mut Batch) {
        if let Some(mut rest) = self.frame {
            batch.has_unfinished = true;
            if let (Some(mask), Some(place)) = (&mut rest.mask, self.assembly.direct(read)) {
                mask.unmask(place);
                // All of it is taken.
                mask.ahead = 0;
            }
            let last = self.advance(rest, read);
            if let Err(end) = self.assembly.filled(read, last, batch) {
                batch.end(end, &[]);
            }
        }
        self.assembly.hand_over(batch);
    }

    /// Returns how much of an unfinished message is held.
    #[cfg(any(test, fuzzing))]
    pub(super) fn held(&self) -> usize {
        self.assembly.held()
    }

    /// Takes the messages that most are: short, in one frame, whole in the buffer. Their header of
    /// two bytes is quicker compared than parsed, which at tens of millions of messages a second is
    /// half of the work.
    fn short_messages(&mut self, read: &[u8], mut at: usize, batch: &mut Batch) -> usize {
        if !self.takes_short_messages() {
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

    /// The same for a client's: behind the header of two bytes there is the masking key.
    fn short_masked_messages(
        &mut self,
        read: &mut [u8],
        mut at: usize,
        batch: &mut Batch,
    ) -> usize {
        if !self.takes_short_messages() {
            return at;
        }
        while let [first @ (FINAL_TEXT | FINAL_BINARY), second @ (MASKED..), a, b, c, d, rest @ ..] =
            &mut read[at..]
            && let len = usize::from(*second & !MASKED)
            && len < SHORT
            && rest.len() >= len
            && !batch.is_full()
        {
            frame::mask(&mut rest[self.ahead..len], [*a, *b, *c, *d], self.ahead);
            self.ahead = 0;
            let kind = if *first == FINAL_TEXT { Kind::Text } else { Kind::Binary };
            batch.push(kind, at + 6, len);
            at += 6 + len;
        }
        at
    }

    fn takes_short_messages(&self) -> bool {
        self.in_pieces != InPieces::All
            && self.assembly.is_empty()
            && self.assembly.limits().message_size >= SHORT
    }

    /// Takes one step at `read[at..]`: the rest of a frame, or a new one. Returns where the next
    /// begins, or `None` when more bytes are needed.
    fn step(
        &mut self,
        read: &mut [u8],
        at: usize,
        batch: &mut Batch,
    ) -> Result<Option<usize>, End> {
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
                if let Some(key) = frame.mask {
                    frame::mask(&mut read[payload..payload + frame.len], key, 0);
                }
                control_frame(control, payload, frame.len, read, batch)?;
                Ok(Some(payload + frame.len))
            }
            OpCode::Data(data) => self.data_frame(data, &frame, read, payload, batch),
        }
    }

    /// Reads a frame header and refuses what RFC 6455 §5.2 says must fail the connection.
    fn header(&self, bytes: &[u8]) -> Result<Option<Frame>, End> {
        check_start(bytes, self.role, self.compressed)?;
        let mut cursor = Cursor::new(bytes);
        let (header, len) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(None),
            // The one error that reading a header from memory has.
            Err(_) => return Err(ProtocolError::ReservedOpcode(bytes[0] & 0x0f).into()),
        };
        // RFC 6455 §5.2: the highest bit is zero, and the length in the least bytes that it takes.
        let least = match bytes[1] & !MASKED {
            126 => 126,
            127 => 0x1_0000,
            _ => 0,
        };
        if len >> 63 != 0 || len < least {
            return Err(ProtocolError::InvalidLength.into());
        }
        let too_big =
            End::Limit(LimitError::MessageSize { limit: self.assembly.limits().message_size });
        Ok(Some(Frame {
            opcode: header.opcode,
            last: header.is_final,
            compressed: header.rsv1,
            mask: header.mask,
            size: cursor.position() as usize,
            len: usize::try_from(len).map_err(|_| too_big)?,
        }))
    }

    fn data_frame(
        &mut self,
        data: Data,
        frame: &Frame,
        read: &mut [u8],
        payload: usize,
        batch: &mut Batch,
    ) -> Result<Option<usize>, End> {
        let first = match (data, self.assembly.is_empty()) {
            (Data::Continue, true) => return Err(ProtocolError::UnexpectedContinuation.into()),
            (Data::Text | Data::Binary, false) => {
                return Err(ProtocolError::UnfinishedMessage.into());
            }
            (Data::Continue, false) => false,
            (Data::Text | Data::Binary | Data::Reserved(_), _) => true,
        };
        let text = data == Data::Text;
        if first
            && frame.last
            && !frame.compressed
            && self.in_pieces != InPieces::All
            && frame.len <= self.assembly.limits().message_size
        {
            let there = read.len() - payload;
            if there >= frame.len {
                if let Some(key) = frame.mask {
                    frame::mask(
                        &mut read[payload + self.ahead..payload + frame.len],
                        key,
                        self.ahead,
                    );
                }
                self.ahead = 0;
                let kind = if text { Kind::Text } else { Kind::Binary };
                batch.push(kind, payload, frame.len);
                return Ok(Some(payload + frame.len));
            }
            if frame.len <= MIN_DIRECT {
                batch.has_unfinished = true;
                if text {
                    if self.ahead == 0 {
                        self.utf8 = Utf8::default();
                    }
                    let new = &mut read[payload + self.ahead..];
                    if let Some(key) = frame.mask {
                        frame::mask(new, key, self.ahead);
                    }
                    self.utf8.push(new)?;
                    self.ahead = there;
                }
                return Ok(None);
            }
        }
        if first {
            self.ahead = 0;
            let len = (frame.last && !frame.compressed).then_some(frame.len as u64);
            self.assembly.begin(text, frame.compressed, len, batch);
            if len.is_some() && self.in_pieces == InPieces::Large {
                self.assembly.announce(batch);
            }
        }
        self.assembly.begin_frame(frame.len)?;
        let mask = frame.mask.map(|key| Unmasking { key, ahead: 0 });
        let rest = FrameRest { left: frame.len, last: frame.last, mask };
        self.frame = Some(rest);
        // The header is done with, even if nothing of the payload has come.
        Ok(Some(self.continue_frame(rest, read, payload, batch)?.unwrap_or(payload)))
    }

    /// Takes what has come of the current frame's payload.
    fn continue_frame(
        &mut self,
        mut rest: FrameRest,
        read: &mut [u8],
        at: usize,
        batch: &mut Batch,
    ) -> Result<Option<usize>, End> {
        let end = read.len().min(at.saturating_add(rest.left));
        let piece = &mut read[at..end];
        if piece.is_empty() && rest.left > 0 && !self.assembly.has_more() {
            return Ok(None);
        }
        batch.has_unfinished |= !piece.is_empty();
        let last = rest.last && piece.len() == rest.left;
        if let Some(mask) = &mut rest.mask {
            mask.unmask(piece);
        }
        let taken = self.assembly.take(piece, at, last, batch)?;
        if let Some(mask) = &mut rest.mask {
            mask.ahead -= taken;
        }
        self.advance(rest, taken);
        Ok(Some(at + taken))
    }

    /// So many bytes of the frame are done with. Returns whether the message ends there.
    fn advance(&mut self, rest: FrameRest, taken: usize) -> bool {
        let left = rest.left - taken;
        // What was compressed into the last byte may be more than fits into a batch.
        self.frame = (left > 0 || self.assembly.has_more()).then_some(FrameRest { left, ..rest });
        left == 0 && rest.last
    }
}

impl Unmasking {
    /// Unmasks what follows what was taken, as far as it is not unmasked yet.
    fn unmask(&mut self, piece: &mut [u8]) {
        let new = &mut piece[self.ahead..];
        frame::mask(new, self.key, 0);
        self.key.rotate_left(new.len() % 4);
        self.ahead = piece.len();
    }
}

/// Refuses a header for its first two bytes (RFC 6455 §5.2, §5.5), whether the rest has come or
/// not: what is wrong does not depend on how the bytes arrive.
fn check_start(bytes: &[u8], role: Role, compressed: bool) -> Result<(), ProtocolError> {
    let Some(&first) = bytes.first() else { return Ok(()) };
    let opcode = OpCode::from(first & 0x0f);
    // RSV1 says that a message is compressed, on its first frame (RFC 7692 §6).
    let may_be_compressed = compressed && matches!(opcode, OpCode::Data(Data::Text | Data::Binary));
    if first & if may_be_compressed { 0x30 } else { 0x70 } != 0 {
        return Err(ProtocolError::ReservedBits);
    }
    if let OpCode::Data(Data::Reserved(opcode)) | OpCode::Control(Control::Reserved(opcode)) =
        opcode
    {
        return Err(ProtocolError::ReservedOpcode(opcode));
    }
    let is_control = matches!(opcode, OpCode::Control(_));
    if is_control && first & 0x80 == 0 {
        return Err(ProtocolError::FragmentedControlFrame);
    }
    let Some(&second) = bytes.get(1) else { return Ok(()) };
    // RFC 6455 §5.1.
    match (role, second & MASKED != 0) {
        (Role::Client, true) => return Err(ProtocolError::MaskedFrame),
        (Role::Server, false) => return Err(ProtocolError::UnmaskedFrame),
        _ => {}
    }
    if is_control && usize::from(second & !MASKED) > MAX_CONTROL_PAYLOAD {
        return Err(ProtocolError::OversizedControlFrame);
    }
    Ok(())
}

/// Understands a control frame that lies whole in the buffer (RFC 6455 §5.5).
fn control_frame(
    control: Control,
    start: usize,
    len: usize,
    read: &[u8],
    batch: &mut Batch,
) -> Result<(), End> {
    match control {
        Control::Ping => batch.push(Kind::Ping, start, len),
        Control::Pong => batch.push(Kind::Pong, start, len),
        Control::Close => return Err(read_close(&read[start..start + len])?),
        Control::Reserved(opcode) => return Err(ProtocolError::ReservedOpcode(opcode).into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
