//! Frames as the scripted peer writes them, with any mistake it is to make, and as it reads them.

use std::fmt;

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// One frame (RFC 6455 §5.2), its payload unmasked.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    /// RSV1 to RSV3, RSV1 being 0b100.
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) masked: bool,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Frame { fin: true, rsv: 0, opcode, masked: false, payload: payload.into() }
    }

    pub(crate) fn text(payload: impl Into<Vec<u8>>) -> Self {
        Frame::new(TEXT, payload)
    }

    pub(crate) fn binary(payload: impl Into<Vec<u8>>) -> Self {
        Frame::new(BINARY, payload)
    }

    pub(crate) fn continuation(payload: impl Into<Vec<u8>>) -> Self {
        Frame::new(CONTINUATION, payload)
    }

    pub(crate) fn ping(payload: impl Into<Vec<u8>>) -> Self {
        Frame::new(PING, payload)
    }

    pub(crate) fn pong(payload: impl Into<Vec<u8>>) -> Self {
        Frame::new(PONG, payload)
    }

    pub(crate) fn close(code: u16, reason: &str) -> Self {
        Frame::new(CLOSE, [&code.to_be_bytes(), reason.as_bytes()].concat())
    }

    /// A Close frame with no code in it.
    pub(crate) fn empty_close() -> Self {
        Frame::new(CLOSE, [])
    }

    /// Says that more fragments follow.
    pub(crate) fn unfinished(mut self) -> Self {
        self.fin = false;
        self
    }

    pub(crate) fn rsv(mut self, bits: u8) -> Self {
        self.rsv = bits;
        self
    }

    pub(crate) fn masked(mut self) -> Self {
        self.masked = true;
        self
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.head(self.payload.len() as u64);
        if self.masked {
            // A key of zeros masks by changing nothing.
            bytes.extend([0; 4]);
        }
        bytes.extend(&self.payload);
        bytes
    }

    /// The frame's first bytes, declaring a payload of any length, in as few bytes as that takes.
    pub(crate) fn head(&self, length: u64) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode];
        let mask = u8::from(self.masked) << 7;
        match length {
            0..126 => bytes.push(mask | length as u8),
            126..0x1_0000 => {
                bytes.push(mask | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes
    }

    pub(crate) fn is_control(&self) -> bool {
        self.opcode >= CLOSE
    }
}

/// A failed comparison of messages of 16 MiB is to be read all the same.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.opcode {
            CONTINUATION => "continuation",
            TEXT => "text",
            BINARY => "binary",
            CLOSE => "Close",
            PING => "ping",
            PONG => "pong",
            _ => "reserved",
        };
        write!(
            f,
            "{kind}{} of {} bytes",
            if self.fin { "" } else { ", unfinished," },
            self.payload.len()
        )?;
        write!(f, " {:?}", String::from_utf8_lossy(&self.payload[..self.payload.len().min(80)]))?;
        if self.rsv != 0 { write!(f, " rsv {:03b}", self.rsv) } else { Ok(()) }
    }
}
