//! Ping, pong and Close (RFC 6455 §5.5): answered right, checked before they are sent.

use websocket_app::{ClosedBy, SendError, State};

use crate::failure::clean;
use crate::frame::{Frame, PONG};
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::run;

#[test]
fn a_ping_is_answered_with_its_payload() {
    let payloads = [vec![], b"one".to_vec(), vec![0xff; 125]];
    let sent = payloads.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for payload in sent {
            client.send(Frame::ping(payload.clone()));
            client.expect(Frame::pong(payload));
        }
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    payloads.into_iter().for_each(|payload| app.expect(Call::Ping(payload)));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_ping_within_a_message_is_answered_before_the_message_is_whole() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("be").unfinished());
        client.send(Frame::ping("here?"));
        client.expect(Frame::pong("here?"));
        client.send(Frame::continuation("tween"));
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect(Call::Ping(b"here?".into()));
    app.expect_text("between");
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_flood_of_pings_is_answered_in_order_and_the_latest_at_least() {
    const PINGS: u32 = 20_000;
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        let flood: Vec<u8> =
            (0..PINGS).flat_map(|i| Frame::ping(i.to_be_bytes()).encode()).collect();
        client.write(flood);
        let mut latest = None;
        while latest != Some(PINGS - 1) {
            let frame = client.read_frame();
            assert_eq!(frame.opcode, PONG);
            let answered = u32::from_be_bytes(frame.payload.try_into().unwrap());
            assert!(latest.is_none_or(|latest| latest < answered), "{answered} after {latest:?}");
            latest = Some(answered);
        }
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    (0..PINGS).for_each(|i| app.expect(Call::Ping(i.to_be_bytes().into())));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn pings_and_pongs_of_our_own() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::ping("are you there?"));
        client.send(Frame::pong("are you there?"));
        client.expect(Frame::pong("unasked"));
        client.expect(Frame::ping([7; 125]));
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    app.sender.ping("are you there?").unwrap();
    app.expect(Call::Pong(b"are you there?".into()));
    app.sender.pong("unasked").unwrap();
    app.sender.ping([7; 125]).unwrap();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn control_payloads_that_are_too_long_are_refused_and_nothing_is_sent() {
    let too_long = "x".repeat(124);
    refuses(|ws| ws.ping([0; 126]), "125");
    refuses(|ws| ws.pong([0; 126]), "125");
    refuses(move |ws| ws.close_with(1000, &too_long), "123");
}

#[test]
fn close_codes_that_must_not_be_sent_are_refused_and_nothing_is_sent() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        refuses(move |ws| ws.close_with(code, ""), &code.to_string());
    }
}

/// The sender refuses, with a text that says this, and stays open.
fn refuses(send: impl FnOnce(&websocket_app::Sender) -> Result<(), SendError>, saying: &str) {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("still open");
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    let error = send(&app.sender).unwrap_err();
    assert!(matches!(error, SendError::InvalidControl { .. }), "{error:?}");
    assert!(error.to_string().contains(saying), "{error}");
    assert_eq!(app.sender.state(), State::Open);
    app.sender.send("still open").unwrap();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}
