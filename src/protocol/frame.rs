//! Frames on their way out: header, masking key, masked payload (RFC 6455 §5). Functions that any
//! sender may call; where keys come from is the caller's business.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::role::Role;

/// The longest payload of a control frame (RFC 6455 §5.5).
pub(crate) const MAX_CONTROL_PAYLOAD: usize = 125;

/// A masking key is for one frame only and must not be predictable (RFC 6455 §5.3).
pub(crate) type MaskingKey = [u8; 4];

/// What a payload is masked with: a client's frame has a key, a server's has none (RFC 6455 §5.1).
pub(crate) type Mask = Option<MaskingKey>;

/// What kind of frame it is: a whole message, a fragment of one, or a control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    opcode: OpCode,
    /// RSV1: the payload is compressed (RFC 7692 §6).
    compressed: bool,
    /// FIN: the message ends with it (RFC 6455 §5.4).
    last: bool,
}

impl Head {
    pub(crate) const PING: Head = Head::whole(OpCode::Control(Control::Ping));
    pub(crate) const PONG: Head = Head::whole(OpCode::Control(Control::Pong));
    pub(crate) const CLOSE: Head = Head::whole(OpCode::Control(Control::Close));
    pub(crate) const TEXT: Head = Head::whole(OpCode::Data(Data::Text));
    pub(crate) const BINARY: Head = Head::whole(OpCode::Data(Data::Binary));
    /// The last fragment of a message.
    pub(crate) const CONTINUATION: Head = Head::whole(OpCode::Data(Data::Continue));

    const fn whole(opcode: OpCode) -> Self {
        Head { opcode, compressed: false, last: true }
    }

    pub(crate) fn of(is_text: bool) -> Self {
        if is_text { Self::TEXT } else { Self::BINARY }
    }

    #[cfg(feature = "server")]
    pub(crate) fn is_compressed(self) -> bool {
        self.compressed
    }

    pub(crate) fn compressed(self) -> Self {
        Head { compressed: true, ..self }
    }

    /// Of a message that goes on in another frame.
    pub(crate) fn unfinished(self) -> Self {
        Head { last: false, ..self }
    }

    pub(crate) fn is_message(self) -> bool {
        is_message(self.last, self.opcode)
    }
}

/// Appends a whole frame.
pub(crate) fn encode(out: &mut Vec<u8>, head: Head, payload: &[u8], mask: Mask) {
    encode_header(out, head, payload.len(), mask);
    encode_payload(out, payload, mask, 0);
}

/// Returns whether a frame is a whole message: no control frame, and no fragment, which is of no
/// use without the others.
fn is_message(last: bool, opcode: OpCode) -> bool {
    last && matches!(opcode, OpCode::Data(Data::Text | Data::Binary))
}

/// Appends the header of a frame.
pub(crate) fn encode_header(out: &mut Vec<u8>, head: Head, len: usize, mask: Mask) {
    let Head { opcode, compressed: rsv1, last: is_final } = head;
    let header = FrameHeader { is_final, opcode, rsv1, mask, ..FrameHeader::default() };
    // Writing to a `Vec` does not fail.
    let _ = header.format(len as u64, out);
}

/// Appends a piece of a payload, masked; `offset` is where in the payload it begins.
pub(crate) fn encode_payload(out: &mut Vec<u8>, piece: &[u8], key: Mask, offset: usize) {
    let Some(key) = key else { return out.extend_from_slice(piece) };
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
    let (header, len) = FrameHeader::parse(&mut cursor).ok()??;
    let end = usize::try_from(cursor.position() + len).ok().filter(|end| *end <= wire.len())?;
    Some((end, is_message(header.is_final, header.opcode)))
}

/// Returns how many bytes the header of a frame of this side with such a payload has.
pub(crate) fn header_len(payload: usize, role: Role) -> usize {
    let mask = match role {
        Role::Client => Some([0; 4]),
        Role::Server => None,
    };
    let header = FrameHeader { mask, ..FrameHeader::default() };
    header.len(payload as u64)
}

/// Masks, or unmasks, in place (RFC 6455 §5.3).
pub(crate) fn mask(bytes: &mut [u8], key: MaskingKey, offset: usize) {
    let mut key = key;
    key.rotate_left(offset % 4);
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
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
