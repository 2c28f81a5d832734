//! Promise 2: `on_open`, then messages in wire order, then at most one `on_error`, then exactly one
//! `on_close`, and nothing after it. (The recorder fails every test in which a call comes that is
//! not expected.)

use websocket_app::{ClosedBy, OwnedMessage, Phase};

use crate::connection::Connection;
use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::recorder::{Call, only_record};
use crate::running::{run, run_handler, run_in_fragments};

#[test]
fn everything_comes_in_wire_order() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        for frame in wire() {
            client.send(frame);
        }
        skip_to_last_pong(&mut client);
        client.close(1000, "");
    });
    let app = run(peer.app());
    expect_wire(&app);
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_handler_sees_the_same() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.write(wire().iter().flat_map(Frame::encode).collect::<Vec<_>>());
        skip_to_last_pong(&mut client);
        client.close(1000, "");
    });
    let app = run_handler(peer.url(), false, only_record());
    expect_wire(&app);
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn frames_in_the_packet_of_the_response_come_after_on_open() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        client.read_request();
        let frames = [Frame::text("early"), Frame::close(1001, "and gone")];
        let packet =
            [client.acceptance("").into_bytes(), frames[0].encode(), frames[1].encode()].concat();
        client.write(packet);
        assert_eq!(client.expect_close_code(), 1001);
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect_text("early");
    app.expect_close(clean(ClosedBy::Peer, 1001, "and gone"));
    app.end_in_order();
}

#[test]
fn nothing_is_delivered_after_the_peers_close() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        let frames = [
            Frame::text("last"),
            Frame::close(1000, ""),
            Frame::text("late"),
            Frame::ping("late"),
            Frame::close(1001, ""),
        ];
        client.write(frames.iter().flat_map(Frame::encode).collect::<Vec<_>>());
        client.expect(Frame::close(1000, ""));
        client.hang_up();
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect_text("last");
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn what_arrived_before_a_lost_connection_is_delivered_then_the_error_then_the_close() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        for i in 0..100 {
            client.send(Frame::text(i.to_string()));
        }
    });
    let app = run(peer.app());
    app.expect_open();
    (0..100).for_each(|i| app.expect_text(&i.to_string()));
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn fragments_of_a_message_come_in_order_with_nothing_but_control_frames_between() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        for frame in wire() {
            client.send(frame);
        }
        client.send(Frame::binary([]));
        skip_to_last_pong(&mut client);
        client.close(1000, "");
    });
    let app = run_in_fragments(peer.app(), |_, _| Ok(()));
    app.expect_open();
    let mut messages = Vec::new();
    let mut assembled: Option<OwnedMessage> = None;
    loop {
        match app.next() {
            Call::Fragment { data, first, last } => {
                assert_eq!(first, assembled.is_none(), "`first` is said of the first piece alone");
                let whole = match (assembled.take(), data) {
                    (None, data) => data,
                    (Some(OwnedMessage::Text(text)), OwnedMessage::Text(more)) => {
                        OwnedMessage::Text(text + &more)
                    }
                    (Some(OwnedMessage::Binary(data)), OwnedMessage::Binary(more)) => {
                        OwnedMessage::Binary([data, more].concat())
                    }
                    mixed => panic!("pieces of one message are of one kind: {mixed:?}"),
                };
                if last { messages.push(whole.to_string()) } else { assembled = Some(whole) }
            }
            Call::Ping(_) | Call::Pong(_) => {}
            Call::Close(_) => break,
            call => panic!("{call:?}"),
        }
    }
    assert_eq!(messages, ["first", "in three pieces", "[1 bytes: 07]", "last", "[0 bytes]"]);
    app.end_in_order();
}

fn wire() -> Vec<Frame> {
    vec![
        Frame::text("first"),
        Frame::text("in").unfinished(),
        Frame::ping("1"),
        Frame::continuation(" three").unfinished(),
        Frame::pong("unasked"),
        Frame::continuation(" pieces"),
        Frame::binary([7]),
        Frame::ping("2"),
        Frame::text("last"),
    ]
}

/// Pings that come together need one answer only, to the latest (RFC 6455 §5.5.3).
fn skip_to_last_pong(client: &mut Connection) {
    while client.read_frame() != Frame::pong("2") {}
}

fn expect_wire(app: &crate::recorder::Recorder) {
    app.expect_open();
    app.expect_text("first");
    app.expect(Call::Ping(b"1".into()));
    app.expect(Call::Pong(b"unasked".into()));
    app.expect_text("in three pieces");
    app.expect_binary(&[7]);
    app.expect(Call::Ping(b"2".into()));
    app.expect_text("last");
}
