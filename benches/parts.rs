//! The parts of the protocol without a socket, beside tungstenite's: decode, encode, mask; and
//! UTF-8, beside what it uses.
//!
//! ```text
//! cargo bench --bench parts              # all of it, some ten seconds
//! cargo bench --bench parts -- decode    # what has this in its name
//! ```
//!
//! These parts are no API. `src/protocol` needs nothing of the crate but a few leaves, so it is
//! compiled into this program once more, from the same files, instead of being shown to the world.

// Most of what these files have is not for here.
#![allow(dead_code, unreachable_pub, unused_imports)]
// In a benchmark, what cannot go wrong may say so by failing.
#![allow(clippy::unwrap_used)]

#[path = "../src/close.rs"]
mod close;
mod compare;
#[path = "../src/deadline.rs"]
mod deadline;
#[path = "../src/deflate.rs"]
mod deflate;
#[path = "../src/error/mod.rs"]
mod error;
#[path = "../src/headers.rs"]
mod headers;
#[path = "../src/message.rs"]
mod message;
#[path = "../src/protocol/mod.rs"]
mod protocol;
#[path = "../src/redact.rs"]
mod redact;
#[path = "../src/role.rs"]
mod role;
// Once more, since it is private within `protocol`.
#[allow(clippy::duplicate_mod)]
#[path = "../src/protocol/utf8.rs"]
mod utf8;

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::time::Instant;

use bytes::Bytes;
use tungstenite::Message;
use tungstenite::WebSocket;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};
use tungstenite::protocol::{self as theirs, WebSocketConfig};

use compare::{Bench, Took, size};
use protocol::frame::{self, Head};
use protocol::{Batch, InPieces, Inbound, Kind, Limits};
use role::Role;

/// As much as the library reads at once.
const READ_BUFFER: usize = 256 << 10;

fn main() {
    let bench = Bench::from_args();
    for (text, bytes) in [
        (false, 64),
        (true, 64),
        (false, 1 << 10),
        (true, 1 << 10),
        (false, 16 << 10),
        (false, 1 << 20),
    ] {
        decode(&bench, text, bytes);
    }
    for bytes in [64, 1 << 10, 16 << 10] {
        encode(&bench, bytes);
    }
    for bytes in [1 << 10, 64 << 10, 1 << 20] {
        mask(&bench, bytes);
    }
    utf8(&bench, "ASCII", "plain text, as most of JSON is. ");
    utf8(&bench, "mixed", "τιμή 42 €, цена 17 ₽, 価格 5 円; ");
}

/// Bytes in, messages out, looked at as a callback would. Both copy what they read into a buffer of
/// theirs, as from a socket.
fn decode(bench: &Bench, text: bool, bytes: usize) {
    let wire = wire(text, bytes);
    let kind = if text { "text" } else { "binary" };
    bench
        .case(format!("decode {} {kind}", size(bytes)), bytes)
        .way("tungstenite", |count| {
            let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
            let mut ws =
                WebSocket::from_raw_socket(Wire::new(&wire), theirs::Role::Client, Some(config));
            timed(|| {
                for _ in 0..count {
                    assert_eq!(black_box(ws.read().unwrap()).len(), bytes);
                }
                count
            })
        })
        .way("websocket-app", |count| {
            let mut wire = Wire::new(&wire);
            timed(|| receive(&mut wire, count, bytes))
        })
        .run();
}

/// Reads and decodes as a connection does, until at least so many messages have come.
fn receive(wire: &mut Wire<'_>, count: usize, bytes: usize) -> usize {
    let mut inbound = Inbound::new(
        Role::Client,
        Limits { message_size: usize::MAX, fragments: usize::MAX },
        InPieces::None,
        None,
    );
    let (mut batch, mut buffer) = (Batch::default(), vec![0; READ_BUFFER]);
    // Up to where the buffer is decoded, and up to where it is filled.
    let (mut decoded, mut filled) = (0, 0);
    let mut messages = 0;
    while messages < count {
        let overfull = batch.is_full();
        batch.clear();
        let read = if !overfull && let Some(space) = inbound.direct() {
            let read = wire.read(space).unwrap();
            inbound.filled(read, &mut batch);
            &mut []
        } else {
            if !overfull {
                buffer.copy_within(decoded..filled, 0);
                filled -= decoded;
                filled += wire.read(&mut buffer[filled..]).unwrap();
                decoded = 0;
            }
            let read = &mut buffer[decoded..filled];
            decoded += inbound.decode(read, &mut batch);
            read
        };
        for item in &batch.items {
            let message =
                protocol::message(item.kind == Kind::Text, batch.payload(item, read)).unwrap();
            assert_eq!(black_box(message).len(), bytes);
        }
        messages += batch.items.len();
        assert_eq!(batch.end, None);
    }
    messages
}

/// A message in, a masked frame out.
fn encode(bench: &Bench, bytes: usize) {
    let payload = Bytes::from(vec![b'x'; bytes]);
    bench
        .case(format!("encode {}", size(bytes)), bytes)
        .way("tungstenite", |count| {
            let mut ws = WebSocket::from_raw_socket(Wire::new(&[]), theirs::Role::Client, None);
            timed(|| {
                (0..count).for_each(|_| ws.write(Message::Binary(payload.clone())).unwrap());
                count
            })
        })
        .way("websocket-app", |count| {
            let (mut wire, mut out) = (Wire::new(&[]), Vec::new());
            timed(|| {
                for _ in 0..count {
                    frame::encode(&mut out, Head::BINARY, &payload, Some(rand::random()));
                    // As large as tungstenite's buffer.
                    if out.len() > 128 << 10 {
                        wire.write_all(&out).unwrap();
                        out.clear();
                    }
                }
                count
            })
        })
        .run();
}

/// A payload, copied and masked: in tungstenite neither goes without the other.
fn mask(bench: &Bench, bytes: usize) {
    let (payload, key) = (Bytes::from(vec![b'x'; bytes]), [1, 2, 3, 4]);
    bench
        .case(format!("mask {}", size(bytes)), bytes)
        .way("tungstenite", |count| {
            let mut out = Vec::new();
            timed(|| {
                for _ in 0..count {
                    out.clear();
                    let header = FrameHeader {
                        mask: Some(key),
                        opcode: OpCode::Data(Data::Binary),
                        ..Default::default()
                    };
                    Frame::from_payload(header, payload.clone()).format(&mut out).unwrap();
                    black_box(&out);
                }
                count
            })
        })
        .way("websocket-app", |count| {
            let mut out = Vec::new();
            timed(|| {
                for _ in 0..count {
                    out.clear();
                    frame::encode_payload(&mut out, &payload, Some(key), 0);
                    black_box(&out);
                }
                count
            })
        })
        .run();
}

/// Is it text? Whole, and as it arrives.
fn utf8(bench: &Bench, kind: &str, words: &str) {
    let text = words.repeat((64 << 10) / words.len());
    let in_pieces = |count: usize, piece: usize| {
        timed(|| {
            for _ in 0..count {
                let mut utf8 = utf8::Utf8::default();
                black_box(text.as_bytes())
                    .chunks(piece)
                    .for_each(|piece| utf8.push(piece).unwrap());
                utf8.finish().unwrap();
            }
            count
        })
    };
    bench
        .case(format!("UTF-8 {kind} 64 KiB"), text.len())
        .way("std::str::from_utf8", |count| {
            timed(|| {
                for _ in 0..count {
                    black_box(std::str::from_utf8(black_box(text.as_bytes())).unwrap());
                }
                count
            })
        })
        .way("websocket-app, whole", |count| in_pieces(count, usize::MAX))
        .way("websocket-app, 1,460 B at a time", |count| in_pieces(count, 1460))
        .run();
}

/// Measures work that tells how many times it was done.
fn timed(work: impl FnOnce() -> usize) -> Took {
    let began = Instant::now();
    let count = work();
    Took { count, time: began.elapsed(), cpu: None }
}

/// A server's messages, a megabyte of them, or one.
fn wire(text: bool, bytes: usize) -> Vec<u8> {
    let mut frame = vec![if text { 0x81 } else { 0x82 }];
    match bytes {
        0..126 => frame.push(bytes as u8),
        126..65536 => {
            frame.push(126);
            frame.extend((bytes as u16).to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((bytes as u64).to_be_bytes());
        }
    }
    frame.resize(frame.len() + bytes, b'x');
    frame.repeat(((1 << 20) / frame.len()).max(1))
}

/// A stream that has the same bytes again and again, and takes any.
struct Wire<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Wire<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Wire { bytes, at: 0 }
    }
}

impl Read for Wire<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let read = (&self.bytes[self.at..]).read(space)?;
        self.at = (self.at + read) % self.bytes.len();
        Ok(read)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
