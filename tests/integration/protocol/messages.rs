//! Messages of every size, cut in every way, in both directions.

use websocket_app::{CallbackError, ClosedBy, OwnedMessage, Sender};

use crate::connection::Connection;
use crate::failure::clean;
use crate::frame::{BINARY, Frame, TEXT};
use crate::peer::{Listener, Peer};
use crate::recorder::Call;
use crate::running::{Running, run, run_with};

#[test]
fn every_short_length_both_ways() {
    is_echoed(Peer::start, (0..=200).collect());
}

#[test]
fn lengths_at_the_borders_of_the_encoding_both_ways() {
    is_echoed(
        Peer::start,
        vec![65_534, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 1 << 20],
    );
}

#[test]
fn sixteen_mebibytes_both_ways() {
    is_echoed(Peer::start, vec![16 << 20]);
}

#[cfg(feature = "__tls")]
#[test]
fn the_same_over_tls() {
    for &backend in crate::tls::BACKENDS {
        let lengths =
            vec![0, 1, 125, 126, 127, 16_383, 16_384, 16_385, 65_535, 65_536, 1 << 20, 4 << 20];
        is_echoed(|script| Peer::start_tls(backend, script), lengths);
    }
}

#[test]
fn fragments_of_every_size() {
    for size in [1, 2, 3, 7, 100, 1000] {
        let text = "aß水🙂".repeat(100);
        let bytes = text.clone().into_bytes();
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            let mut opcode = TEXT;
            for piece in bytes.chunks(size) {
                client.send(Frame::new(opcode, piece).unfinished());
                opcode = 0;
            }
            client.send(Frame::continuation([]));
            client.close(1000, "");
        });
        let app = run(peer.app());
        app.expect_open();
        app.expect_text(&text);
        is_closed_by_the_peer(app);
    }
}

#[test]
fn empty_fragments_and_empty_messages() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text(""));
        client.send(Frame::binary([]));
        client.send(Frame::text("").unfinished());
        client.send(Frame::continuation("").unfinished());
        client.send(Frame::continuation("x").unfinished());
        client.send(Frame::continuation(""));
        client.send(Frame::binary([]).unfinished());
        client.send(Frame::continuation([]));
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect_text("");
    app.expect_binary(&[]);
    app.expect_text("x");
    app.expect_binary(&[]);
    is_closed_by_the_peer(app);
}

#[test]
fn bytes_one_by_one() {
    let (long, binary) = ("é".repeat(100), [9; 126]);
    let sent = [
        Frame::text("short"),
        Frame::text(long.as_str()),
        Frame::ping("p"),
        Frame::text("in ").unfinished(),
        Frame::pong("o"),
        Frame::continuation("two"),
        Frame::binary(binary),
        Frame::text("€".as_bytes()),
    ];
    let peer = Peer::start(move |listener| {
        let mut client = listener.accept();
        client.read_request();
        let acceptance = client.acceptance("");
        client.write_byte_by_byte(acceptance);
        sent.iter().for_each(|frame| client.write_byte_by_byte(frame.encode()));
        client.expect(Frame::pong("p"));
        client.write_byte_by_byte(Frame::close(1000, "slowly").encode());
        assert_eq!(client.expect_close_code(), 1000);
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect_text("short");
    app.expect_text(&long);
    app.expect(Call::Ping(b"p".into()));
    app.expect(Call::Pong(b"o".into()));
    app.expect_text("in two");
    app.expect_binary(&binary);
    app.expect_text("€");
    app.expect_close(clean(ClosedBy::Peer, 1000, "slowly"));
    app.end_in_order();
}

#[test]
fn many_messages_in_one_packet_and_packets_cut_anywhere() {
    const MESSAGES: usize = 2000;
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        let bytes: Vec<u8> = (0..MESSAGES).flat_map(|i| Frame::text(body(i)).encode()).collect();
        let mut rest = bytes.as_slice();
        for size in [1, 2, 3, 1000, 1449, 65_537, 300_001].into_iter().cycle() {
            let (packet, after) = rest.split_at(rest.len().min(size));
            client.write(packet);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    (0..MESSAGES).for_each(|i| app.expect_text(&body(i)));
    is_closed_by_the_peer(app);
}

#[test]
fn masks_differ_from_frame_to_frame() {
    const FRAMES: usize = 1000;
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        (0..FRAMES).for_each(|_| client.expect_text("the same"));
        client.masks.sort_unstable();
        client.masks.dedup();
        // Two of 1000 keys of 32 bits are the same about once in 10,000 runs, three pairs never.
        assert!(client.masks.len() >= FRAMES - 2, "{} different keys", client.masks.len());
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    (0..FRAMES).for_each(|_| app.sender.send("the same").unwrap());
    is_closed_by_the_peer(app);
}

#[test]
fn everything_that_can_be_sent_is_the_right_kind() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        (0..5).for_each(|_| client.expect_text("text"));
        (0..7).for_each(|_| client.expect(Frame::binary("data")));
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    let ws = &app.sender;
    ws.send("text").unwrap();
    ws.send("text".to_owned()).unwrap();
    ws.send_text(String::from("text")).unwrap();
    ws.send(std::sync::Arc::<str>::from("text")).unwrap();
    ws.send(OwnedMessage::Text("text".into())).unwrap();
    ws.send(b"data").unwrap();
    ws.send(b"data".as_slice()).unwrap();
    ws.send(b"data".to_vec()).unwrap();
    ws.send_binary(b"data").unwrap();
    ws.send(bytes::Bytes::from_static(b"data")).unwrap();
    ws.send(std::sync::Arc::<[u8]>::from(b"data".as_slice())).unwrap();
    ws.send(websocket_app::Message::Binary(b"data")).unwrap();
    is_closed_by_the_peer(app);
}

/// The peer sends text and binary of these lengths, the app sends them back from its callback, and
/// both compare.
fn is_echoed(start: impl FnOnce(EchoScript) -> Peer, lengths: Vec<usize>) {
    let sent = lengths.clone();
    let peer = start(Box::new(move |listener| {
        let mut client = listener.open();
        for length in sent {
            for opcode in [TEXT, BINARY] {
                comes_back(&mut client, Frame::new(opcode, body(length)));
            }
        }
        client.close(1000, "");
    }));
    let app = run_with(peer.app(), echo);
    app.expect_open();
    for length in lengths {
        app.expect_text(&body(length));
        app.expect_binary(body(length).as_bytes());
    }
    is_closed_by_the_peer(app);
}

type EchoScript = Box<dyn FnOnce(&Listener) + Send>;

fn comes_back(client: &mut Connection, frame: Frame) {
    client.send(frame.clone());
    client.expect(frame);
}

fn echo(ws: &Sender, call: &Call) -> Result<(), CallbackError> {
    if let Call::Message(message) = call { Ok(ws.send(message)?) } else { Ok(()) }
}

/// ASCII of this length, in lines whose length is prime and so no buffer's: nothing can be swapped
/// or lost unseen.
fn body(length: usize) -> String {
    const LINE: usize = 997;
    let line: String =
        (0..LINE.min(length)).map(|i| char::from(b' ' + ((i * i + length) % 95) as u8)).collect();
    let mut body = line.repeat(length / LINE + 1);
    body.truncate(length);
    body
}

fn is_closed_by_the_peer(app: Running) {
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}
