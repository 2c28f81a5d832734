//! The peer's side of permessage-deflate: one context each way, with the windows and the takeover
//! that its answer agreed to.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::frame::Frame;

/// What ends a flushed block, and is left out on the wire (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

pub(crate) struct Zlib {
    compress: Compress,
    decompress: Decompress,
    forgets: bool,
    client_forgets: bool,
}

impl Zlib {
    pub(crate) fn new(answer: &str) -> Self {
        let bits = |name: &str| {
            let value = answer
                .split(';')
                .find_map(|parameter| parameter.trim().strip_prefix(name)?.strip_prefix('='));
            // zlib has no window of 8 bits, and inflates with 9 what was compressed with fewer.
            value.map_or(15, |bits| bits.parse::<u8>().unwrap().max(9))
        };
        let level = Compression::default();
        Zlib {
            compress: Compress::new_with_window_bits(level, false, bits("server_max_window_bits")),
            decompress: Decompress::new_with_window_bits(false, bits("client_max_window_bits")),
            forgets: answer.contains("server_no_context_takeover"),
            client_forgets: answer.contains("client_no_context_takeover"),
        }
    }

    /// A message as one compressed frame.
    pub(crate) fn frame(&mut self, message: Frame) -> Frame {
        let payload = self.compress(&message.payload);
        Frame { payload, ..message }.rsv(0b100)
    }

    pub(crate) fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        if message.is_empty() {
            // zlib flushes nothing twice; an empty block it is (RFC 7692 §7.2.3.6).
            return vec![0];
        }
        let mut out = Vec::with_capacity(message.len() + message.len() / 8 + 1024);
        self.compress.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
        assert!(out.len() < out.capacity(), "the flush is whole");
        if self.forgets {
            self.compress.reset();
        }
        out.strip_suffix(&TAIL).expect("a flush ends so").to_vec()
    }

    /// The message of a compressed frame.
    pub(crate) fn inflate(&mut self, frame: &Frame) -> Vec<u8> {
        assert_eq!(frame.rsv, 0b100, "{frame:?} is to be compressed");
        let out = self.inflate_part(&[&frame.payload[..], &TAIL].concat());
        if self.client_forgets {
            self.decompress.reset(false);
        }
        out
    }

    /// What can be inflated so far of a message that goes on.
    pub(crate) fn inflate_part(&mut self, wire: &[u8]) -> Vec<u8> {
        let (mut out, mut taken) = (Vec::with_capacity(1 << 16), 0);
        loop {
            let before = self.decompress.total_in();
            self.decompress
                .decompress_vec(&wire[taken..], &mut out, FlushDecompress::Sync)
                .expect("it inflates");
            taken += (self.decompress.total_in() - before) as usize;
            if taken == wire.len() && out.len() < out.capacity() {
                break;
            }
            out.reserve(1 << 16);
        }
        out
    }
}
