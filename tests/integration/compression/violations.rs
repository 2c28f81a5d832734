//! What a server must not send, and messages that are too long once inflated.

use websocket_app::{Deflate, LimitError, ProtocolError};

use super::{PLAIN, Zlib, compressing, open, ticks};
use crate::failure::{Failure, unanswered};
use crate::frame::{Frame, PING, PONG};
use crate::peer::Peer;
use crate::running::{run, run_in_fragments};

#[test]
fn rsv1_where_it_means_nothing() {
    let begun = Frame::text("begun").unfinished().encode();
    for opcode in [PING, PONG] {
        is_refused(Frame::new(opcode, "x").rsv(0b100).encode(), 1002, ProtocolError::ReservedBits);
    }
    is_refused(Frame::close(1000, "").rsv(0b100).encode(), 1002, ProtocolError::ReservedBits);
    let continued = [begun, Frame::continuation("x").rsv(0b100).encode()].concat();
    is_refused(continued, 1002, ProtocolError::ReservedBits);
    let mut zlib = Zlib::new(PLAIN);
    let compressed = zlib.frame(Frame::text(ticks(1000))).unfinished().encode();
    is_refused(
        [compressed, Frame::continuation([]).rsv(0b100).encode()].concat(),
        1002,
        ProtocolError::ReservedBits,
    );
    for rsv in [0b010, 0b001, 0b110] {
        is_refused(Frame::text("x").rsv(rsv).encode(), 1002, ProtocolError::ReservedBits);
    }
}

#[test]
fn what_is_no_deflate() {
    let compressed = Zlib::new(PLAIN).compress(ticks(1000).as_bytes());
    // A block of the reserved kind, a stored one whose length does not check, a distance beyond the
    // window's beginning.
    for bad in
        [&[0x06][..], &[0x00, 0x05, 0x00, 0x00, 0x00, b'x'], &[0x03, 0x02, 0xff], &[0xff; 100]]
    {
        is_refused(Frame::text(bad).rsv(0b100).encode(), 1007, ProtocolError::InvalidDeflate);
        is_refused(Frame::binary(bad).rsv(0b100).encode(), 1007, ProtocolError::InvalidDeflate);
    }
    // In a later fragment.
    let pieces = [
        Frame::binary(&compressed[..50]).rsv(0b100).unfinished().encode(),
        Frame::continuation([0xff; 50]).unfinished().encode(),
    ];
    is_refused(pieces.concat(), 1007, ProtocolError::InvalidDeflate);
}

#[test]
fn text_that_is_not_utf8_once_inflated() {
    for bad in [&b"\xff"[..], b"ends within \xc3", &[&[b'x'; 100_000][..], b"\x80"].concat()] {
        let frame = Zlib::new(PLAIN).frame(Frame::text(bad));
        is_refused(frame.encode(), 1007, ProtocolError::InvalidUtf8);
    }
}

/// The limit counts what is inflated, in one frame and in many, and one byte more is too much.
#[test]
fn messages_too_long_once_inflated() {
    const LIMIT: usize = 100_000;
    for pieces in [1, 10] {
        let peer = Peer::start(move |listener| {
            let (mut client, mut zlib) = open(listener, PLAIN);
            for length in [LIMIT, LIMIT + 1] {
                let payload = zlib.compress(&vec![b'x'; length]);
                let size = payload.len().div_ceil(pieces);
                let parts: Vec<&[u8]> = payload.chunks(size).collect();
                for (i, part) in parts.iter().enumerate() {
                    let frame = if i == 0 {
                        Frame::text(*part).rsv(0b100)
                    } else {
                        Frame::continuation(*part)
                    };
                    client.send(if i + 1 < parts.len() { frame.unfinished() } else { frame });
                }
            }
            assert_eq!(client.expect_close_code(), 1009);
        });
        let app = run(compressing(&peer).max_message_size(LIMIT));
        app.expect_open();
        app.expect_text(&"x".repeat(LIMIT));
        app.expect_failure(Failure::Limit(LimitError::MessageSize { limit: LIMIT }));
        app.expect_close(unanswered());
        app.end_given_up();
    }
}

/// Writes this, has the client say so with a Close frame of this code, and report it; with
/// `on_fragment` as well.
fn is_refused(bytes: Vec<u8>, code: u16, violation: ProtocolError) {
    for in_fragments in [false, true] {
        let bytes = bytes.clone();
        let peer = Peer::start(move |listener| {
            let (mut client, _) = open(listener, PLAIN);
            client.write(bytes);
            assert_eq!(client.expect_close_code(), code);
        });
        let app = peer.app().compression(Deflate::default());
        let app = if in_fragments { run_in_fragments(app, |_, _| Ok(())) } else { run(app) };
        app.expect_open();
        let failure = loop {
            match app.next() {
                // What came before it.
                crate::recorder::Call::Fragment { last: false, .. } => {}
                crate::recorder::Call::Error(failure) => break failure,
                call => panic!("{call:?}"),
            }
        };
        assert_eq!(failure, Failure::Protocol(violation));
        app.expect_close(unanswered());
        app.end_given_up();
    }
}

/// What is taken for its end would be the beginning of the next message.
#[test]
fn a_message_that_is_cut_within_a_block() {
    let stored = [&[0x00, 0x09, 0x00, 0xf6, 0xff][..], b"Hello"].concat();
    let cuts = [
        // A stored block of nine bytes, five of which come.
        &stored[..],
        // "Hello" without the end of its block (RFC 7692 §7.2.3.1).
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07],
        // A dynamic block that is not more than its beginning.
        &[0xec, 0xc0, 0x81],
        // Not even the header of an empty block (§7.2.3.6).
        &[],
    ];
    for cut in cuts.map(<[u8]>::to_vec) {
        let peer = Peer::start(|listener| {
            let (mut client, _) = open(listener, PLAIN);
            client.send(Frame::binary(cut).rsv(0b100));
            assert_eq!(client.expect_close_code(), 1007);
        });
        let app = run(compressing(&peer));
        app.expect_open();
        app.expect_failure(Failure::Protocol(ProtocolError::InvalidDeflate));
        app.expect_close(unanswered());
        app.end_given_up();
    }
}
