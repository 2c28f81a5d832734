//! A client's frames, however they are cut: headers are understood, payloads are passed by or
//! unmasked as they come.

/// Two bytes, eight for the length, four for the key (RFC 6455 §5.2).
const LONGEST_HEADER: usize = 14;

#[derive(Default)]
pub(crate) struct Frames {
    header: [u8; LONGEST_HEADER],
    /// How much of the header there is.
    have: usize,
    /// The payload of the current frame, once its header is whole: its masking key, how much has
    /// come, how much is to come.
    key: [u8; 4],
    come: usize,
    left: usize,
}

/// A header for a payload of this length, not masked.
pub(crate) fn header(first: u8, len: usize) -> Vec<u8> {
    match len {
        0..126 => vec![first, len as u8],
        126..65536 => [&[first, 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, 127][..], &(len as u64).to_be_bytes()].concat(),
    }
}

impl Frames {
    /// Takes bytes, and tells how many frames end in them.
    pub(crate) fn skip(&mut self, mut bytes: &[u8]) -> usize {
        let mut ended = 0;
        while !bytes.is_empty() {
            if self.left == 0 {
                bytes = self.on_header(bytes);
                ended += usize::from(self.have == 0 && self.left == 0);
            }
            let payload = self.left.min(bytes.len());
            if payload > 0 {
                self.advance(payload);
                ended += usize::from(self.left == 0);
                bytes = &bytes[payload..];
            }
        }
        ended
    }

    /// Takes bytes, and appends the same frames, not masked.
    pub(crate) fn echo(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.left == 0 {
                bytes = self.on_header(bytes);
                if self.have == 0 {
                    out.extend(header(self.header[0], self.left));
                }
            }
            let (payload, rest) = bytes.split_at(self.left.min(bytes.len()));
            let start = out.len();
            out.extend_from_slice(payload);
            self.unmask(&mut out[start..]);
            self.advance(payload.len());
            bytes = rest;
        }
    }

    /// Takes what is still missing of a header, and gives the rest. The header is whole where it
    /// has been forgotten.
    fn on_header<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        for (i, byte) in bytes.iter().enumerate() {
            self.header[self.have] = *byte;
            self.have += 1;
            let extended = match self.header[1] & 0x7f {
                127 => 8,
                126 => 2,
                _ => 0,
            };
            if self.have >= 2 && self.have == 2 + extended + 4 {
                self.left = match extended {
                    0 => usize::from(self.header[1] & 0x7f),
                    _ => self.header[2..2 + extended]
                        .iter()
                        .fold(0, |len, byte| len << 8 | usize::from(*byte)),
                };
                self.key.copy_from_slice(&self.header[2 + extended..self.have]);
                (self.have, self.come) = (0, 0);
                return &bytes[i + 1..];
            }
        }
        &[]
    }

    fn advance(&mut self, payload: usize) {
        self.come += payload;
        self.left -= payload;
    }

    fn unmask(&self, payload: &mut [u8]) {
        let mut key = self.key;
        key.rotate_left(self.come % 4);
        let wide = u32::from_ne_bytes(key);
        let (words, rest) = payload.as_chunks_mut::<4>();
        words.iter_mut().for_each(|word| *word = (u32::from_ne_bytes(*word) ^ wide).to_ne_bytes());
        rest.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    }
}
