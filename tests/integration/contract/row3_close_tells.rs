//! Promise 3: `Close` tells code, reason, whether the handshake was whole, and who began it.

use std::time::Duration;

use websocket_app::{ClosedBy, Phase, WebSocketApp};

use crate::failure::{Ending, Failure, clean};
use crate::frame::{CLOSE, Frame};
use crate::peer::{Peer, RefusedPort};
use crate::recorder::Call;
use crate::running::run;
use crate::watchdog::Gate;

#[test]
fn the_peers_code_and_reason_are_told_and_the_code_is_answered() {
    let longest = "é".repeat(61) + "!";
    for (code, reason) in [
        (1000, ""),
        (1001, "going down"),
        (1011, "broken"),
        (1014, "bad gateway"),
        (3000, &longest),
    ]
    .into_iter()
    .chain(
        [1002, 1003, 1007, 1008, 1009, 1010, 1012, 1013, 3999, 4000, 4999].map(|code| (code, "")),
    ) {
        println!("{code} {reason}");
        let sent = reason.to_owned();
        let peer = Peer::start(move |listener| listener.open().close(code, &sent));
        let app = run(peer.app());
        app.expect_open();
        app.expect_close(clean(ClosedBy::Peer, code, reason));
        app.end_in_order();
    }
}

/// What is shown tells a connection that was lost from one that never was.
#[test]
fn the_text_says_whether_there_was_a_connection() {
    let nobody = RefusedPort::new();
    let app = run(WebSocketApp::new(nobody.url()));
    app.expect_failure(Failure::Network(Phase::Connect));
    assert_eq!(app.close().to_string(), "1006, not connected");
    app.end_given_up();

    let app = WebSocketApp::new(nobody.url());
    app.sender().close();
    let app = run(app);
    assert_eq!(app.close().to_string(), "1006, closed by us, not connected");
    app.end_in_order();

    let peer = Peer::start(|listener| listener.open().reset());
    let app = run(peer.app());
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    assert_eq!(app.close().to_string(), "1006, connection lost");
    app.end_given_up();

    let peer = Peer::start(|listener| drop(listener.open().read_frame()));
    let app = run(peer.app());
    app.expect_open();
    app.sender.close();
    assert_eq!(app.close().to_string(), "1006, closed by us, without an answer");
    app.end_in_order();
}

#[test]
fn an_empty_close_frame_is_1005_and_answered_in_kind() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::empty_close());
        client.expect(Frame::empty_close());
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect_close(clean(ClosedBy::Peer, 1005, ""));
    app.end_in_order();
}

#[test]
fn our_close_is_told_with_the_answer_of_the_peer() {
    for (answer, code, reason) in [
        (Frame::close(1000, ""), 1000, ""),
        (Frame::close(4000, "as you wish"), 4000, "as you wish"),
        (Frame::empty_close(), 1005, ""),
    ] {
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            client.expect(Frame::close(1000, ""));
            client.send(answer);
        });
        let app = run(peer.app());
        app.expect_open();
        app.sender.close();
        app.expect_close(clean(ClosedBy::Us, code, reason));
        app.end_in_order();
    }
}

#[test]
fn close_with_sends_code_and_reason() {
    let longest = "x".repeat(123);
    for (code, reason) in
        [(1000, "done"), (1001, ""), (1011, "sorry"), (3000, "é"), (4999, longest.as_str())]
    {
        let expected = Frame::close(code, reason);
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            client.expect(expected.clone());
            client.send(expected);
        });
        let app = run(peer.app());
        app.expect_open();
        app.sender.close_with(code, reason).unwrap();
        app.expect_close(clean(ClosedBy::Us, code, reason));
        app.end_in_order();
    }
}

#[test]
fn closes_that_cross_are_a_whole_handshake() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::close(1001, "crossing"));
        assert_eq!(client.read_frame().opcode, CLOSE);
        client.hang_up();
    });
    let app = run(peer.app());
    app.expect_open();
    app.sender.close();
    let Call::Close(close) = app.next() else { panic!("a close is all there is to come") };
    assert_eq!((close.code, close.reason.as_str(), close.clean), (1001, "crossing", true));
    app.end_in_order();
}

#[test]
fn a_peer_that_answers_and_keeps_the_tcp_connection_does_not_keep_us() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::close(1000, ""));
        client.send(Frame::close(1000, ""));
        client.expect_end();
    });
    let app = run(peer.app());
    app.expect_open();
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_close_that_comes_while_our_queue_is_full_is_answered_after_the_frame_that_was_begun() {
    let full = Gate::new();
    let close = full.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        close.wait();
        client.send(Frame::close(1001, "too much"));
        // Whatever of the queue comes before the answer comes in whole frames.
        client.skip_to_close();
    });
    let app = run(peer.app().max_send_buffer(1 << 20));
    app.expect_open();
    while app.sender.try_send(vec![0; 100_000]).is_ok() {}
    full.open();
    app.expect_close(clean(ClosedBy::Peer, 1001, "too much"));
    app.end_in_order();
}

#[test]
fn a_close_that_cannot_be_answered_is_not_clean() {
    let full = Gate::new();
    let close = full.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        close.wait();
        client.send(Frame::close(1001, "no time"));
        listener.wait_for_the_test();
    });
    // Nobody answers, so it is waited for.
    let app = run(peer.app().close_timeout(Duration::from_millis(100)));
    app.expect_open();
    // More than any kernel takes; a frame that was begun must be ended before another.
    app.sender.send(vec![0; 64 << 20]).unwrap();
    full.open();
    app.expect_close(Ending { clean: false, ..clean(ClosedBy::Peer, 1001, "no time") });
    app.end_in_order();
}
