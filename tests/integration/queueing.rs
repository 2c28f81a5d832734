//! `queue_while_disconnected`: what is sent while there is no connection goes over the next one, in order.

use std::time::Duration;

use websocket_app::{ClosedBy, OwnedMessage, Phase, Reconnect, SendError, State};

use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::{run, run_with};
use crate::watchdog::{Gate, wait_until};

const SOON: Duration = Duration::from_millis(10);
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn what_is_sent_while_the_peer_closes_goes_over_the_next_connection() {
    let sent = Gate::new();
    let was_sent = sent.clone();
    let peer = Peer::start(move |listener| {
        let mut first = listener.open();
        first.send(Frame::close(1012, ""));
        first.expect(Frame::close(1012, ""));
        was_sent.wait();
        drop(first);
        let mut second = listener.open();
        second.expect_text("hello");
        second.expect_text("one");
        second.expect_text("two");
        second.close(1000, "");
    });
    let app = peer.app().reconnect(Reconnect::fixed(SOON).max_attempts(2)).queue_while_disconnected(100, HOUR);
    let app = run_with(app, |ws, call| match call {
        Call::Reconnect => Ok(ws.send("hello")?),
        _ => Ok(()),
    });
    app.expect_open();
    wait_until("the peer's Close is answered", || app.sender.state() == State::Closing);
    app.sender.send("one").unwrap();
    app.sender.send("two").unwrap();
    sent.open();
    app.expect_close_for_now(clean(ClosedBy::Peer, 1012, ""));
    app.expect_reconnect();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// Where none follows, it is handed back.
#[test]
fn what_is_sent_while_the_peer_closes_for_good_is_reported() {
    let sent = Gate::new();
    let was_sent = sent.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.send(Frame::close(1000, ""));
        client.expect(Frame::close(1000, ""));
        was_sent.wait();
    });
    let app = run(peer.app().queue_while_disconnected(100, HOUR));
    app.expect_open();
    wait_until("the peer's Close is answered", || app.sender.state() == State::Closing);
    app.sender.send("too late").unwrap();
    sent.open();
    let message = Some(OwnedMessage::Text("too late".into()));
    app.expect_failure(Failure::Send(SendError::NotConnected { message }));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// While a callback is slow, one connection is lost and another made and lost again. What waits is for the third, after that
/// one's first callback and not after the second's, which is called late.
#[test]
fn a_callback_that_comes_too_late_for_its_connection_does_not_let_the_queue_go() {
    let (slow, sent) = (Gate::new(), Gate::new());
    let (is_slow, was_sent) = (slow.clone(), sent.clone());
    let peer = Peer::start(move |listener| {
        let mut first = listener.open();
        first.send(Frame::text("work"));
        is_slow.wait();
        first.reset();
        drop(listener.open());
        let mut third = listener.open();
        third.expect_text("hello 2");
        third.expect_text("sent before");
        third.expect_text("hello 1");
        third.close(1000, "");
    });
    let app = peer.app().reconnect(Reconnect::fixed(SOON).max_attempts(3)).queue_while_disconnected(100, HOUR);
    let mut reconnects = 0;
    let app = run_with(app, move |ws, call| {
        if *call == Call::text("work") {
            slow.open();
            was_sent.wait();
            wait_until("the third is open", || ws.stats().reconnects == 2);
        }
        if *call == Call::Reconnect {
            reconnects += 1;
            ws.send(format!("hello {reconnects}"))?;
        }
        Ok(())
    });
    app.expect_open();
    app.expect_text("work");
    wait_until("it is not connected", || app.sender.state() != State::Open || app.sender.stats().reconnects > 0);
    app.sender.send("sent before").unwrap();
    sent.open();
    for _ in 0..2 {
        app.expect_failure(Failure::Network(Phase::Open));
        app.expect_close_for_now(lost());
        app.expect_reconnect();
    }
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}
