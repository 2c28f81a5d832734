//! What is sent and what is to come back, made beforehand.

/// Any but zero, which would leave everything as it is.
const KEY: [u8; 4] = [0x5a, 0xc3, 0x17, 0x88];

pub(crate) struct Exchange {
    pub(crate) in_flight: usize,
    /// So many frames in a row, all alike.
    frames: Vec<u8>,
    /// What comes back for one of them.
    pub(crate) answer: Vec<u8>,
}

impl Exchange {
    /// Of binary messages of this size.
    pub(crate) fn new(bytes: usize, in_flight: usize) -> Self {
        let payload: Vec<u8> = (0..bytes).map(|i| b'a' + (i % 23) as u8).collect();
        Exchange::of(0x82, &payload, in_flight)
    }

    /// With frames that begin with this byte.
    pub(crate) fn of(first: u8, payload: &[u8], in_flight: usize) -> Self {
        Exchange {
            in_flight,
            frames: masked(first, payload).repeat(in_flight),
            answer: [header(first, 0, payload.len()), payload.to_vec()].concat(),
        }
    }

    pub(crate) fn frames(&self, count: usize) -> &[u8] {
        &self.frames[..self.frames.len() / self.in_flight * count]
    }
}

/// A frame as clients send it (RFC 6455 §5.2).
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, 0x80, payload.len());
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn header(first: u8, mask: u8, len: usize) -> Vec<u8> {
    match len {
        0..126 => vec![first, mask | len as u8],
        _ => {
            let len = u16::try_from(len).unwrap();
            [&[first, mask | 126][..], &len.to_be_bytes()].concat()
        }
    }
}
