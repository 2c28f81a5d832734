//! Frames on their way out: header, masking key, masked payload (RFC 6455 §5). Functions that any
//! sender may call; where keys come from is the caller's business.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;

use crate::role::Role;

/// The longest payload of a control frame (RFC 6455 §5.5).
pub(crate) const MAX_CONTROL_PAYLOAD: usize = 125;

/// A masking key is for one frame only and must not be predictable (RFC 6455 §5.3).
pub(crate) type MaskingKey = [u8; 4];

/// What a payload is masked with: a client's frame has a key, a server's has none (RFC 6455 §5.1).
pub(crate) type Mask = Option<MaskingKey>;

/// What kind of frame it is, a whole message, a fragment of one, or a control frame: the first byte of
/// its header (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head(u8);

/// The message ends with it (RFC 6455 §5.4).
const FIN: u8 = 0x80;

/// The payload is compressed (RFC 7692 §6).
const RSV1: u8 = 0x40;

impl Head {
    /// The last fragment of a message.
    pub(crate) const CONTINUATION: Head = Head(FIN);
    pub(crate) const TEXT: Head = Head(FIN | 0x1);
    pub(crate) const BINARY: Head = Head(FIN | 0x2);
    pub(crate) const CLOSE: Head = Head(FIN | 0x8);
    pub(crate) const PING: Head = Head(FIN | 0x9);
    pub(crate) const PONG: Head = Head(FIN | 0xa);

    pub(crate) fn of(is_text: bool) -> Self {
        if is_text { Self::TEXT } else { Self::BINARY }
    }

    #[cfg(feature = "server")]
    pub(crate) fn is_compressed(self) -> bool {
        self.0 & RSV1 != 0
    }

    pub(crate) fn compressed(self) -> Self {
        Head(self.0 | RSV1)
    }

    /// Of a message that goes on in another frame.
    pub(crate) fn unfinished(self) -> Self {
        Head(self.0 & !FIN)
    }

    /// Returns whether it is a whole message: no control frame, and no fragment, which is of no use
    /// without the others.
    pub(crate) fn is_message(self) -> bool {
        matches!(Head(self.0 & !RSV1), Head::TEXT | Head::BINARY)
    }
}

/// Appends a whole frame.
#[inline]
pub(crate) fn encode(out: &mut Vec<u8>, head: Head, payload: &[u8], mask: Mask) {
    encode_header(out, head, payload.len(), mask);
    encode_payload(out, payload, mask, 0);
}

/// Appends the header of a frame.
// Without it there is one more call for each frame.
#[inline(always)]
pub(crate) fn encode_header(out: &mut Vec<u8>, Head(first): Head, len: usize, mask: Mask) {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match len {
        0..=125 => out.extend_from_slice(&[first, masked | len as u8]),
        126..=0xffff => {
            out.extend_from_slice(&[first, masked | 126]);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.extend_from_slice(&[first, masked | 127]);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if let Some(key) = mask {
        out.extend_from_slice(&key);
    }
}

/// Appends a piece of a payload, masked; `offset` is where in the payload it begins.
#[inline]
pub(crate) fn encode_payload(out: &mut Vec<u8>, piece: &[u8], key: Mask, offset: usize) {
    match key {
        Some(key) => encode_masked(out, piece, key, offset),
        None => out.extend_from_slice(piece),
    }
}

// On its own, so that what need not be masked is only appended.
#[inline(never)]
fn encode_masked(out: &mut Vec<u8>, piece: &[u8], key: MaskingKey, offset: usize) {
    // Block by block, masked in registers: what is long is gone through once.
    let (blocks, rest) = piece.as_chunks::<64>();
    for block in blocks {
        let mut block = *block;
        mask(&mut block, key, offset);
        out.extend_from_slice(&block);
    }
    let start = out.len();
    out.extend_from_slice(rest);
    mask(&mut out[start..], key, offset);
}

/// Counts the messages in one frame that end in these bytes, which begin with a frame and may end
/// within one.
pub(crate) fn messages_within(mut wire: &[u8]) -> usize {
    let mut messages = 0;
    while let Some((len, is_message)) = first(wire) {
        messages += usize::from(is_message);
        wire = &wire[len..];
    }
    messages
}

/// Returns how long the first frame is and whether it is a whole message; `None` where it does not
/// end within these bytes.
pub(crate) fn first(wire: &[u8]) -> Option<(usize, bool)> {
    let mut cursor = Cursor::new(wire);
    let (_, len) = FrameHeader::parse(&mut cursor).ok()??;
    let end = usize::try_from(cursor.position() + len).ok().filter(|end| *end <= wire.len())?;
    Some((end, Head(wire[0]).is_message()))
}

/// Returns how many bytes the header of a frame of this side with such a payload has.
pub(crate) fn header_len(payload: usize, role: Role) -> usize {
    let extended = match payload {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    };
    let key = match role {
        Role::Client => size_of::<MaskingKey>(),
        Role::Server => 0,
    };
    2 + extended + key
}

/// Masks, or unmasks, in place (RFC 6455 §5.3).
pub(crate) fn mask(bytes: &mut [u8], key: MaskingKey, offset: usize) {
    let mut key = key;
    key.rotate_left(offset % 4);
    let (words, rest) = bytes.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

    use super::*;

    #[test]
    fn masking_in_pieces_is_masking_the_whole() {
        let key = [0x12, 0x34, 0x56, 0x78];
        let payload: Vec<u8> = (0..100).collect();
        let expected: Vec<u8> =
            payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        for cut in 0..payload.len() {
            let mut out = Vec::new();
            encode_payload(&mut out, &payload[..cut], Some(key), 0);
            encode_payload(&mut out, &payload[cut..], Some(key), cut);
            assert_eq!(out, expected, "cut at {cut}");
        }
    }

    #[test]
    fn headers_are_those_that_tungstenite_makes() {
        let (control, data) = (OpCode::Control, OpCode::Data);
        let heads = [
            (Head::CONTINUATION, data(Data::Continue)),
            (Head::TEXT, data(Data::Text)),
            (Head::BINARY, data(Data::Binary)),
            (Head::CLOSE, control(Control::Close)),
            (Head::PING, control(Control::Ping)),
            (Head::PONG, control(Control::Pong)),
        ];
        for ((head, opcode), is_final, rsv1) in heads
            .into_iter()
            .flat_map(|head| [(head, true, false), (head, false, false), (head, true, true)])
        {
            let head = if is_final { head } else { head.unfinished() };
            let head = if rsv1 { head.compressed() } else { head };
            let is_message = is_final && matches!(opcode, OpCode::Data(Data::Text | Data::Binary));
            assert_eq!(head.is_message(), is_message, "{head:?}");
            for mask in [None, Some([1, 2, 3, 4])] {
                let header = FrameHeader { is_final, rsv1, opcode, mask, ..FrameHeader::default() };
                for len in [0, 1, 125, 126, 127, 128, 255, 256, 65_535, 65_536, 0x0102_0304] {
                    let (mut ours, mut expected) = (Vec::new(), Vec::new());
                    encode_header(&mut ours, head, len, mask);
                    header.format(len as u64, &mut expected).unwrap();
                    assert_eq!(ours, expected, "{header:?}, {len} bytes");
                }
            }
        }
    }

    #[test]
    fn header_length_is_minimal() {
        for (payload, header) in [(0, 6), (125, 6), (126, 8), (65535, 8), (65536, 14)] {
            for (role, mask, header) in
                [(Role::Client, Some([1, 2, 3, 4]), header), (Role::Server, None, header - 4)]
            {
                assert_eq!(header_len(payload, role), header);
                let mut out = Vec::new();
                encode(&mut out, Head::BINARY, &vec![0; payload], mask);
                assert_eq!(out.len(), header + payload);
            }
        }
    }
}
