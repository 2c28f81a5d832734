//! What a server must not do. The client fails the connection (RFC 6455 §7.1.7): a Close frame with
//! the right code, `on_error` that names it, nothing delivered any more.

use websocket_app::ProtocolError;

use crate::failure::{Failure, unanswered};
use crate::frame::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT};
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::{run, run_in_fragments};

#[test]
fn reserved_bits() {
    for rsv in [0b100, 0b010, 0b001, 0b111] {
        for opcode in [TEXT, BINARY, PING, CLOSE] {
            is_refused(Frame::new(opcode, []).rsv(rsv).encode(), 1002, ProtocolError::ReservedBits);
        }
    }
    let continued =
        [Frame::text("a").unfinished().encode(), Frame::continuation("b").rsv(0b100).encode()]
            .concat();
    is_refused(continued, 1002, ProtocolError::ReservedBits);
}

#[test]
fn reserved_opcodes() {
    for opcode in (3..=7).chain(11..=15) {
        is_refused(Frame::new(opcode, "x").encode(), 1002, ProtocolError::ReservedOpcode(opcode));
    }
}

#[test]
fn masked_frames() {
    for opcode in [TEXT, BINARY, PING, PONG, CLOSE] {
        is_refused(Frame::new(opcode, []).masked().encode(), 1002, ProtocolError::MaskedFrame);
    }
    // At once: the key and the payload need not have come.
    is_refused(Frame::text("").masked().head(1000), 1002, ProtocolError::MaskedFrame);
}

#[test]
fn fragmented_control_frames() {
    for opcode in [PING, PONG, CLOSE] {
        is_refused(
            Frame::new(opcode, []).unfinished().encode(),
            1002,
            ProtocolError::FragmentedControlFrame,
        );
    }
}

#[test]
fn control_frames_of_more_than_125_bytes() {
    for opcode in [PING, PONG, CLOSE] {
        // By the head alone.
        is_refused(Frame::new(opcode, []).head(126), 1002, ProtocolError::OversizedControlFrame);
        is_refused(
            Frame::new(opcode, []).head(1 << 20),
            1002,
            ProtocolError::OversizedControlFrame,
        );
    }
}

#[test]
fn a_length_with_its_highest_bit_set() {
    is_refused(Frame::binary([]).head(1 << 63), 1002, ProtocolError::InvalidLength);
    is_refused(Frame::binary([]).head(u64::MAX), 1002, ProtocolError::InvalidLength);
}

#[test]
fn a_continuation_of_nothing() {
    is_refused(Frame::continuation("x").encode(), 1002, ProtocolError::UnexpectedContinuation);
    is_refused(
        Frame::new(CONTINUATION, []).unfinished().encode(),
        1002,
        ProtocolError::UnexpectedContinuation,
    );
}

#[test]
fn a_message_within_a_message() {
    for opcode in [TEXT, BINARY] {
        for inner in [Frame::new(opcode, "b"), Frame::new(opcode, "b").unfinished()] {
            let bytes = [Frame::text("a").unfinished().encode(), inner.encode()].concat();
            is_refused(bytes, 1002, ProtocolError::UnfinishedMessage);
        }
    }
}

#[test]
fn text_that_is_not_utf8() {
    for bad in [
        &b"\xff"[..],
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"ends within \xc3",
        b"a\x80b",
    ] {
        is_refused(Frame::text(bad).encode(), 1007, ProtocolError::InvalidUtf8);
    }
    let cut = [Frame::text(b"\xe2\x82").unfinished().encode(), Frame::continuation("x").encode()]
        .concat();
    is_refused(cut, 1007, ProtocolError::InvalidUtf8);
    let never_whole =
        [Frame::text(b"\xe2\x82").unfinished().encode(), Frame::continuation("").encode()].concat();
    is_refused(never_whole, 1007, ProtocolError::InvalidUtf8);
}

#[test]
fn bad_text_fails_before_its_frame_is_whole() {
    for declared in [10, 1000, 100_000, 10_000_000] {
        is_refused(
            [Frame::text("").head(declared), b"ok \xff".into()].concat(),
            1007,
            ProtocolError::InvalidUtf8,
        );
        let fragment = Frame::text("").unfinished();
        is_refused(
            [fragment.head(declared), b"ok \xff".into()].concat(),
            1007,
            ProtocolError::InvalidUtf8,
        );
    }
}

#[test]
fn bad_text_in_fragments_is_refused_after_the_good_pieces() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("good").unfinished());
        client.write([Frame::continuation("").head(1000), b"bad \xff".into()].concat());
        assert_eq!(client.expect_close_code(), 1007);
    });
    let app = run_in_fragments(peer.app(), |_, _| Ok(()));
    app.expect_open();
    loop {
        match app.next() {
            Call::Fragment { data, last, .. } => {
                assert!(!last && !data.to_string().contains('\u{fffd}'), "{data}")
            }
            Call::Error(failure) => {
                break assert_eq!(failure, Failure::Protocol(ProtocolError::InvalidUtf8));
            }
            call => panic!("{call:?}"),
        }
    }
    app.expect_close(unanswered());
    app.end_given_up();
}

/// RFC 6455 §5.2: the least number of bytes that it takes.
#[test]
fn lengths_that_take_more_bytes_than_they_need() {
    let long = |first: u8, length: u64| [&[first, 127][..], &length.to_be_bytes()].concat();
    let medium = |first: u8, length: u16| [&[first, 126][..], &length.to_be_bytes()].concat();
    for first in [0x81, 0x82, 0x01, 0x02] {
        for length in [0, 5, 125] {
            is_refused(medium(first, length), 1002, ProtocolError::InvalidLength);
        }
        for length in [0, 5, 125, 126, 65_535] {
            is_refused(long(first, length), 1002, ProtocolError::InvalidLength);
        }
    }
    let begun = Frame::binary("begun").unfinished().encode();
    is_refused([begun, medium(0x80, 5)].concat(), 1002, ProtocolError::InvalidLength);
    for opcode in [PING, PONG, CLOSE] {
        is_refused(medium(0x80 | opcode, 5), 1002, ProtocolError::OversizedControlFrame);
        is_refused(long(0x80 | opcode, 5), 1002, ProtocolError::OversizedControlFrame);
    }
}

#[test]
fn close_codes_that_must_not_be_sent() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        is_refused(Frame::close(code, "").encode(), 1002, ProtocolError::InvalidCloseCode(code));
    }
}

#[test]
fn half_a_close_code() {
    is_refused(Frame::new(CLOSE, [3]).encode(), 1002, ProtocolError::InvalidClosePayload);
}

#[test]
fn a_close_reason_that_is_not_utf8() {
    is_refused(Frame::new(CLOSE, b"\x03\xe8\xff").encode(), 1007, ProtocolError::InvalidUtf8);
}

#[test]
fn what_came_before_is_delivered_and_what_comes_after_is_not() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        let frames = [
            Frame::text("before"),
            Frame::text("wrong").rsv(1),
            Frame::text("after"),
            Frame::close(1000, ""),
        ];
        client.write(frames.iter().flat_map(Frame::encode).collect::<Vec<_>>());
        assert_eq!(client.expect_close_code(), 1002);
        client.hang_up();
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect_text("before");
    app.expect_failure(Failure::Protocol(ProtocolError::ReservedBits));
    app.expect_close(unanswered());
    app.end_given_up();
}

/// The peer sends these bytes and sees a Close with this code, before it sends any more.
fn is_refused(bytes: Vec<u8>, code: u16, violation: ProtocolError) {
    let shown = format!("{:02x?}", &bytes[..bytes.len().min(20)]);
    println!("{shown}");
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.write(bytes);
        assert_eq!(client.expect_close_code(), code, "{shown}");
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect_failure(Failure::Protocol(violation));
    app.expect_close(unanswered());
    app.end_given_up();
}
