//! What is offered, and answers to it that fail the connection.

use websocket_app::Deflate;

use super::{PLAIN, compressing, open};
use crate::failure::{Failure, clean, lost};
use crate::peer::Peer;
use crate::running::run;

#[test]
fn nothing_is_offered_unless_asked_for() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        assert_eq!(client.read_request().header("Sec-WebSocket-Extensions"), None);
        client.write(client.acceptance(""));
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect_close(clean(websocket_app::ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn what_was_chosen_is_offered() {
    let new = Deflate::default;
    for (deflate, offer) in [
        (new(), "permessage-deflate; client_max_window_bits"),
        (new().client_max_window_bits(9), "permessage-deflate; client_max_window_bits=9"),
        (
            new()
                .server_no_context_takeover(true)
                .client_no_context_takeover(true)
                .server_max_window_bits(12),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; \
             client_max_window_bits",
        ),
    ] {
        let peer = Peer::start(move |listener| {
            let mut client = listener.accept();
            assert_eq!(client.read_request().header("Sec-WebSocket-Extensions"), Some(offer));
            // A server may agree to none.
            client.write(client.acceptance(""));
            client.expect_text("not compressed");
            client.answer_close();
        });
        let app = run(peer.app().compression(deflate.min_size(0)));
        app.expect_open();
        assert_eq!(app.sender.handshake().unwrap().extensions(), None);
        app.sender.send("not compressed").unwrap();
        app.sender.close();
        app.expect_close(clean(websocket_app::ClosedBy::Us, 1000, ""));
        app.end_in_order();
    }
}

#[test]
fn what_was_agreed_can_be_seen() {
    let answer = "permessage-deflate; server_no_context_takeover; client_max_window_bits=10";
    let peer = Peer::start(move |listener| open(listener, answer).0.close(1000, ""));
    let app = run(compressing(&peer));
    app.expect_open();
    assert_eq!(app.sender.handshake().unwrap().extensions(), Some(answer));
    app.expect_close(clean(websocket_app::ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn answers_that_may_not_be_given_fail_the_connection() {
    let demanding =
        || Deflate::default().server_max_window_bits(10).server_no_context_takeover(true);
    for (deflate, answer, says) in [
        (Deflate::default(), "permessage-bzip2", "not offered"),
        (Deflate::default(), "x-webkit-deflate-frame", "not offered"),
        (Deflate::default(), "permessage-deflate, permessage-deflate", "twice"),
        (Deflate::default(), "permessage-deflate; speed=9", "unknown parameter"),
        (Deflate::default(), "permessage-deflate; ", "unknown parameter"),
        (
            Deflate::default(),
            "permessage-deflate; client_no_context_takeover=1",
            "unknown parameter",
        ),
        (Deflate::default(), "permessage-deflate; server_max_window_bits", "unknown parameter"),
        (
            Deflate::default(),
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "repeated",
        ),
        (
            Deflate::default(),
            "permessage-deflate; client_max_window_bits=9; client_max_window_bits=9",
            "repeated",
        ),
        (Deflate::default(), "permessage-deflate; server_max_window_bits=7", "window"),
        (Deflate::default(), "permessage-deflate; server_max_window_bits=16", "window"),
        (Deflate::default(), "permessage-deflate; client_max_window_bits=16", "window"),
        (Deflate::default(), "permessage-deflate; client_max_window_bits=", "window"),
        (Deflate::default(), "permessage-deflate; client_max_window_bits=08", "window"),
        (demanding(), PLAIN, "server_no_context_takeover"),
        (demanding(), "permessage-deflate; server_no_context_takeover", "server_max_window_bits"),
        (
            demanding(),
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
            "larger",
        ),
    ] {
        let peer = Peer::start(move |listener| {
            let mut client = listener.accept();
            client.upgrade_with_extensions(answer);
            client.stay_silent();
        });
        let app = run(peer.app().compression(deflate));
        let Failure::Upgrade(problem) = app.failure() else {
            panic!("{answer}: the failure is another")
        };
        assert!(problem.contains(says), "{answer}: {problem}");
        app.expect_close(lost());
        app.end_given_up();
    }
}
