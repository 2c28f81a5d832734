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
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::protocol::testing::{Event, Receiving, frame_of};

    const LIMITS: Limits = Limits { message_size: 1 << 20, fragments: 100 };

    const ROLES: [Role; 2] = [Role::Client, Role::Server];

    /// A frame of a server's.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        frame_of(Role::Server, first, payload)
    }

    fn receive(wire: &[u8], in_pieces: bool, size: impl FnMut() -> usize) -> Vec<Event> {
        receive_as(Role::Client, wire, in_pieces, size)
    }

    fn receive_as(
        role: Role,
        wire: &[u8],
        in_pieces: bool,
        size: impl FnMut() -> usize,
    ) -> Vec<Event> {
        let in_pieces = in_pieces.into();
        Receiving { role, limits: LIMITS, in_pieces, compression: None }.receive(&[], wire, size)
    }

    /// The same frames as a client sends them.
    fn masked(mut wire: &[u8]) -> Vec<u8> {
        let mut masked = Vec::new();
        while !wire.is_empty() {
            let (start, len) = match wire[1] {
                127 => (10, u64::from_be_bytes(wire[2..10].try_into().unwrap()) as usize),
                126 => (4, usize::from(u16::from_be_bytes([wire[2], wire[3]]))),
                len => (2, usize::from(len)),
            };
            let end = start + len;
            masked.extend(frame_of(Role::Client, wire[0], &wire[start..end]));
            wire = &wire[end..];
        }
        masked
    }

    fn one_by_one() -> usize {
        1
    }

    fn all_at_once() -> usize {
        usize::MAX
    }

    /// A random, mostly valid, stream of frames from this side.
    fn random_wire(from: Role, rng: &mut StdRng) -> Vec<u8> {
        let frame = |first, payload: &[u8]| frame_of(from, first, payload);
        let mut wire = Vec::new();
        for _ in 0..rng.random_range(1..12) {
            let text = rng.random_bool(0.5);
            let len = *[0, 1, 5, 125, 126, 300, 70_000][rng.random_range(0..7)..].first().unwrap();
            let mut payload: Vec<u8> = if text {
                "aé日🦀"
                    .chars()
                    .cycle()
                    .skip(rng.random_range(0..4))
                    .take(len / 2)
                    .collect::<String>()
                    .into_bytes()
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
                let cut =
                    if i + 1 == pieces { rest.len() } else { rng.random_range(0..=rest.len()) };
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
        for (seed, role) in (0..300).flat_map(|seed| ROLES.map(|role| (seed, role))) {
            let mut rng = StdRng::seed_from_u64(seed);
            let wire = random_wire(role.peer(), &mut rng);
            let receive = |in_pieces, size: &mut dyn FnMut() -> usize| {
                receive_as(role, &wire, in_pieces, size)
            };
            let whole = receive(false, &mut all_at_once);
            assert_eq!(
                receive(false, &mut || rng.random_range(1..2000)),
                whole,
                "{role:?}, seed {seed}"
            );
            assert_eq!(receive(true, &mut all_at_once), whole, "{role:?}, in pieces, seed {seed}");
            assert_eq!(
                receive(true, &mut || rng.random_range(1..200)),
                whole,
                "{role:?}, in pieces, split, seed {seed}"
            );
            if wire.len() < 20_000 {
                assert_eq!(
                    receive(false, &mut one_by_one),
                    whole,
                    "{role:?}, byte by byte, seed {seed}"
                );
            }
        }
    }

    #[test]
    fn a_client_and_a_server_say_the_same_though_one_of_them_masks_it() {
        for seed in 0..300 {
            let [from_server, from_client] = ROLES.map(|role| {
                let mut rng = StdRng::seed_from_u64(seed);
                receive_as(role, &random_wire(role.peer(), &mut rng), false, all_at_once)
            });
            assert_eq!(from_server, from_client, "seed {seed}");
        }
    }

    #[test]
    fn each_side_refuses_frames_of_its_own_kind() {
        for (role, end) in [
            (Role::Client, ProtocolError::MaskedFrame),
            (Role::Server, ProtocolError::UnmaskedFrame),
        ] {
            for first in [0x81, 0x82, 0x02, 0x89, 0x88] {
                for payload in [&b""[..], b"short", &[0; 125]] {
                    let good = frame_of(role.peer(), 0x82, b"good");
                    let wire = [good, frame_of(role, first, payload)].concat();
                    let expected = [Event::Message(false, b"good".to_vec()), Event::Violation(end)];
                    assert_eq!(
                        receive_as(role, &wire, false, all_at_once),
                        expected,
                        "{role:?} {first:x}"
                    );
                    assert_eq!(
                        receive_as(role, &wire, false, one_by_one),
                        expected,
                        "{role:?} {first:x}, byte by byte"
                    );
                }
            }
        }
        // The two bytes are enough, whatever the length says.
        let begun = [[0x82, 127], [0x82, 126], [0x89, 126]];
        for wire in begun {
            let expected = [Event::Violation(ProtocolError::UnmaskedFrame)];
            assert_eq!(receive_as(Role::Server, &wire, false, all_at_once), expected, "{wire:x?}");
        }
    }

    #[test]
    fn what_the_rfc_forbids_ends_the_connection() {
        let half = |first: u8| frame(first, b"half");
        let violations: [(&str, Vec<u8>, End); 20] = [
            ("RSV1", frame(0xc1, b""), ProtocolError::ReservedBits.into()),
            ("RSV3 on a ping", frame(0x99, b""), ProtocolError::ReservedBits.into()),
            ("opcode 3", frame(0x83, b""), ProtocolError::ReservedOpcode(3).into()),
            ("opcode 15", frame(0x8f, b""), ProtocolError::ReservedOpcode(15).into()),
            ("masked", vec![0x81, 0x80, 1, 2, 3, 4], ProtocolError::MaskedFrame.into()),
            (
                "length of 2^63",
                [&[0x82, 127, 0x80][..], &[0; 7]].concat(),
                ProtocolError::InvalidLength.into(),
            ),
            ("0 in two bytes", vec![0x82, 126, 0, 0], ProtocolError::InvalidLength.into()),
            (
                "125 in two bytes",
                [&[0x81, 126, 0, 125][..], &[0; 125]].concat(),
                ProtocolError::InvalidLength.into(),
            ),
            (
                "125 in eight bytes",
                vec![0x82, 127, 0, 0, 0, 0, 0, 0, 0, 125],
                ProtocolError::InvalidLength.into(),
            ),
            (
                "65,535 in eight bytes",
                vec![0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                ProtocolError::InvalidLength.into(),
            ),
            ("ping in fragments", frame(0x09, b""), ProtocolError::FragmentedControlFrame.into()),
            ("long ping", frame(0x89, &[0; 126]), ProtocolError::OversizedControlFrame.into()),
            ("stray continuation", frame(0x80, b""), ProtocolError::UnexpectedContinuation.into()),
            (
                "interleaved",
                [half(0x01), half(0x81)].concat(),
                ProtocolError::UnfinishedMessage.into(),
            ),
            ("bad text", frame(0x81, b"\xff"), ProtocolError::InvalidUtf8.into()),
            ("text that ends early", frame(0x81, b"\xe2\x82"), ProtocolError::InvalidUtf8.into()),
            ("Close of one byte", frame(0x88, &[3]), ProtocolError::InvalidClosePayload.into()),
            (
                "Close with 1005",
                frame(0x88, &[3, 237]),
                ProtocolError::InvalidCloseCode(1005).into(),
            ),
            (
                "too long",
                frame(0x82, &vec![0; (1 << 20) + 1]),
                End::Limit(LimitError::MessageSize { limit: 1 << 20 }),
            ),
            (
                "too many fragments",
                half(0x02).repeat(1),
                End::Limit(LimitError::Fragments { limit: 100 }),
            ),
        ];
        for (name, mut wire, end) in violations {
            if name == "too many fragments" {
                wire.extend(frame(0x00, b"").repeat(100));
            }
            for pieces in [all_at_once as fn() -> usize, one_by_one] {
                if wire.len() < 10_000 || pieces() > 1 {
                    assert_eq!(
                        receive(&wire, false, pieces).last(),
                        Some(&Event::from(end.clone())),
                        "{name}"
                    );
                    if name != "masked" && !name.contains("bytes") && name != "length of 2^63" {
                        let masked = masked(&wire);
                        let events = receive_as(Role::Server, &masked, false, pieces);
                        assert_eq!(
                            events.last(),
                            Some(&Event::from(end.clone())),
                            "masked: {name}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_client_too_says_a_length_in_the_least_bytes() {
        for wire in [
            &[0x82, 0x80 | 126, 0, 1, 1, 2, 3, 4, 5][..],
            &[0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5],
        ] {
            for pieces in [all_at_once as fn() -> usize, one_by_one] {
                let events = receive_as(Role::Server, wire, false, pieces);
                assert_eq!(events, [Event::Violation(ProtocolError::InvalidLength)], "{wire:x?}");
            }
        }
    }

    #[test]
    fn a_header_with_two_faults_has_the_same_one_however_it_arrives() {
        for (wire, end) in [
            (&[0xf3, 0x00][..], ProtocolError::ReservedBits),
            (&[0x83, 0x80, 1, 2, 3, 4], ProtocolError::ReservedOpcode(3)),
            (&[0x09, 0x80, 1, 2, 3, 4], ProtocolError::FragmentedControlFrame),
            (&[0x89, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], ProtocolError::MaskedFrame),
        ] {
            assert_eq!(receive(wire, false, all_at_once), [Event::Violation(end)], "{wire:x?}");
            assert_eq!(
                receive(wire, false, one_by_one),
                [Event::Violation(end)],
                "{wire:x?}, byte by byte"
            );
        }
    }

    #[test]
    fn a_limit_holds_over_all_fragments_together() {
        let wire =
            [frame(0x02, &[0; 1 << 19]), frame(0x00, &[0; 1 << 19]), frame(0x80, &[0])].concat();
        let end = End::Limit(LimitError::MessageSize { limit: 1 << 20 });
        assert_eq!(receive(&wire, false, all_at_once), [Event::from(end)]);
    }

    #[test]
    fn bad_text_fails_before_its_frame_is_whole() {
        for size in [100, 100_000] {
            let mut wire = frame(0x81, &vec![b'a'; size]);
            wire[50] = 0xff;
            wire.truncate(60);
            assert_eq!(
                receive(&wire, false, all_at_once),
                [Event::Violation(ProtocolError::InvalidUtf8)],
                "{size}"
            );
            let mut payload = vec![b'a'; size];
            payload[45] = 0xff;
            let mut wire = frame_of(Role::Client, 0x81, &payload);
            wire.truncate(60);
            for pieces in [all_at_once as fn() -> usize, one_by_one] {
                let events = receive_as(Role::Server, &wire, false, pieces);
                assert_eq!(
                    events,
                    [Event::Violation(ProtocolError::InvalidUtf8)],
                    "masked, {size}"
                );
            }
        }
    }

    #[test]
    fn bad_text_before_a_close_in_one_read_is_what_counts() {
        let wire = [frame(0x81, b"good"), frame(0x81, b"\xff"), frame(0x88, &[3, 232])].concat();
        let events = receive(&wire, false, all_at_once);
        assert_eq!(
            events,
            [Event::Message(true, b"good".to_vec()), Event::Violation(ProtocolError::InvalidUtf8)]
        );
    }

    #[test]
    fn more_messages_than_a_batch_takes_come_in_the_next() {
        let wire = frame(0x82, b"").repeat(10_000);
        assert_eq!(receive(&wire, false, all_at_once).len(), 10_000);
    }
}
