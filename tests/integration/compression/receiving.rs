//! What the server compressed arrives, however it is cut.

use websocket_app::{ClosedBy, OwnedMessage};

use super::{PLAIN, Zlib, compressing, open, ticks};
use crate::failure::clean;
use crate::frame::Frame;
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::{run, run_in_fragments};

const ANSWERS: [&str; 4] = [
    PLAIN,
    "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=9",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
];

#[test]
fn messages_of_every_size_arrive_compressed_and_not() {
    for answer in ANSWERS {
        let sizes = [0, 1, 125, 126, 1_000, 65_536, 300_000, 4 << 20];
        let peer = Peer::start(move |listener| {
            let (mut client, mut zlib) = open(listener, answer);
            for size in sizes {
                client.send(zlib.frame(Frame::text(ticks(size))));
                client.send(Frame::text(ticks(size)));
                client.send(zlib.frame(Frame::binary(ticks(size))));
            }
            client.close(1000, "");
        });
        let app = run(compressing(&peer));
        app.expect_open();
        for size in sizes {
            app.expect_text(&ticks(size));
            app.expect_text(&ticks(size));
            app.expect_binary(ticks(size).as_bytes());
        }
        let stats = app.sender.stats();
        assert_eq!(stats.bytes_received, 3 * sizes.iter().sum::<usize>() as u64);
        assert!(stats.wire_bytes_received < stats.bytes_received * 2 / 3, "{stats:?}");
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end_in_order();
    }
}

#[test]
fn fragments_are_inflated_wherever_they_are_cut_and_pings_may_come_between() {
    for piece in [1, 7, 100, 5_000] {
        let peer = Peer::start(move |listener| {
            let (mut client, mut zlib) = open(listener, PLAIN);
            for _ in 0..2 {
                let payload = zlib.compress(ticks(20_000).as_bytes());
                let pieces: Vec<&[u8]> = payload.chunks(piece).collect();
                client.send(Frame::text(pieces[0]).rsv(0b100).unfinished());
                for part in &pieces[1..] {
                    client.send(Frame::continuation(*part).unfinished());
                }
                client.send(Frame::ping("between"));
                client.expect(Frame::pong("between"));
                // The end of a message may be empty (RFC 7692 §7.2.2).
                client.send(Frame::continuation([]));
            }
            client.close(1000, "");
        });
        let app = run(compressing(&peer));
        app.expect_open();
        for _ in 0..2 {
            app.expect(Call::Ping(b"between".to_vec()));
            app.expect_text(&ticks(20_000));
        }
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end_in_order();
    }
}

#[test]
fn bytes_may_arrive_one_by_one() {
    let peer = Peer::start(|listener| {
        let (mut client, mut zlib) = open(listener, PLAIN);
        for _ in 0..3 {
            let frame = zlib.frame(Frame::text(ticks(500)));
            client.write_byte_by_byte(frame.encode());
        }
        client.close(1000, "");
    });
    let app = run(compressing(&peer));
    app.expect_open();
    for _ in 0..3 {
        app.expect_text(&ticks(500));
    }
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn on_fragment_gets_inflated_pieces() {
    // Far more than is inflated at once.
    let length = 5 << 20;
    let peer = Peer::start(move |listener| {
        let (mut client, mut zlib) = open(listener, PLAIN);
        // With characters of several bytes, so that pieces are cut between them.
        client.send(zlib.frame(Frame::text("é€𝄞".repeat(length / 9))));
        client.send(zlib.frame(Frame::binary(ticks(100))));
        client.close(1000, "");
    });
    let app = run_in_fragments(compressing(&peer), |_, _| Ok(()));
    app.expect_open();
    let (mut text, mut pieces) = (String::new(), 0);
    loop {
        let Call::Fragment { data: OwnedMessage::Text(piece), first, last } = app.next() else {
            panic!("a piece of text was expected")
        };
        assert_eq!(first, pieces == 0);
        pieces += 1;
        text += &piece;
        if last {
            break;
        }
    }
    assert!(pieces > 1 && text == "é€𝄞".repeat(length / 9), "{pieces} pieces");
    let data = OwnedMessage::Binary(ticks(100).into_bytes());
    app.expect(Call::Fragment { data, first: true, last: true });
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_block_that_says_it_is_the_last_ends_no_message() {
    let peer = Peer::start(|listener| {
        let (mut client, _) = open(listener, PLAIN);
        // RFC 7692 §7.2.3.4: "Hello" in a final block, then an empty one that is not.
        client.send(Frame::text([0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]).rsv(0b100));
        // §7.2.3.3: stored, not compressed.
        let stored = [&[0x00, 0x05, 0x00, 0xfa, 0xff][..], b"Hello", &[0x00]].concat();
        client.send(Frame::text(stored).rsv(0b100));
        // §7.2.3.6: nothing.
        client.send(Frame::text([0x00]).rsv(0b100));
        client.close(1000, "");
    });
    let app = run(compressing(&peer));
    app.expect_open();
    app.expect_text("Hello");
    app.expect_text("Hello");
    app.expect_text("");
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn bytes_of_the_wire_are_counted_once_in_fragments() {
    const LENGTH: usize = 20 << 20;
    let payload = Zlib::new(PLAIN).compress(&vec![0; LENGTH]);
    let on_wire = payload.len() as u64;
    let peer = Peer::start(move |listener| {
        let (mut client, _) = open(listener, PLAIN);
        client.send(Frame::binary(payload).rsv(0b100));
        client.close(1000, "");
    });
    let app = run_in_fragments(compressing(&peer), |_, _| Ok(()));
    app.expect_open();
    while !matches!(app.next(), Call::Close(_)) {}
    let stats = app.sender.stats();
    assert_eq!((stats.wire_bytes_received, stats.bytes_received), (on_wire, LENGTH as u64));
    app.end_in_order();
}
