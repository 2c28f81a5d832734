//! A connection that is lost and made anew while a callback of it is slow.

use std::time::Duration;

use websocket_app::{ClosedBy, Phase, Reconnect, State};

use super::{WORK, Work, is_alive};
use crate::failure::{Failure, clean, lost, unanswered};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::run_with;
use crate::watchdog::wait_until;

const SOON: Duration = Duration::from_millis(10);

#[test]
fn the_next_connection_is_there_before_the_callback_of_the_last_returns() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut first = listener.open();
        for_peer.begin(&mut first);
        first.send(Frame::text("the first's last"));
        first.end_stream();
        first.stay_silent();
        let mut second = listener.open();
        second.send(Frame::text("the second's first"));
        is_alive(&mut second, "alive");
        for_peer.may_end.open();
        second.close(1000, "");
    });
    let app = run_with(peer.app().reconnect(Reconnect::fixed(SOON).max_attempts(2)), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    app.expect_text("the first's last");
    app.expect_failure(Failure::Network(Phase::Open));
    assert_eq!(app.expect_close_for_now(lost()).1, 2);
    app.expect_reconnect();
    app.expect_text("the second's first");
    app.expect(Call::Ping("alive".into()));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    assert_eq!(app.sender.stats().reconnects, 1);
    app.end_in_order();
}

/// Each loss of a slow callback is told in its turn, with all that belongs to it.
#[test]
fn several_connections_may_come_and_go_meanwhile() {
    const COUNT: u32 = 5;
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut first = listener.open();
        for_peer.begin(&mut first);
        drop(first);
        for i in 2..COUNT {
            let mut client = listener.open();
            client.send(Frame::text(i.to_string()));
            client.close(1012, "again");
        }
        let client = listener.open();
        for_peer.may_end.open();
        client.close(1000, "");
    });
    let app =
        run_with(peer.app().reconnect(Reconnect::fixed(SOON).max_attempts(COUNT)), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    app.expect_failure(Failure::Network(Phase::Open));
    assert_eq!(app.expect_close_for_now(lost()).1, 2);
    for i in 2..COUNT {
        app.expect_reconnect();
        app.expect_text(&i.to_string());
        assert_eq!(app.expect_close_for_now(clean(ClosedBy::Peer, 1012, "again")), (SOON, i + 1));
    }
    app.expect_reconnect();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// What attempts fail with waits for the callback, in a bounded number of bytes; then there is no
/// other attempt.
#[test]
fn errors_of_attempts_do_not_pile_up_meanwhile() {
    const BODY: usize = 64 << 10;
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        client.reset();
        let mut client = listener.accept();
        client.read_request();
        client.write(format!("HTTP/1.1 503 x\r\nContent-Length: {BODY}\r\n\r\n"));
        client.write([b'x'; BODY]);
        client.stay_silent();
        // Many times what it takes to try again.
        listener.is_quiet_for(20 * SOON);
        for_peer.may_end.open();
        listener.open().close(1000, "");
    });
    let app = peer.app().reconnect(Reconnect::fixed(SOON).max_attempts(3)).max_receive_buffer(BODY);
    let app = run_with(app, work.hook());
    app.expect_open();
    app.expect_text(WORK);
    app.expect_failure(Failure::Network(Phase::Open));
    assert_eq!(app.expect_close_for_now(lost()).1, 2);
    assert!(matches!(app.failed_attempt(2).1, Failure::Rejected(_)));
    app.expect_reconnect();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_slow_on_close_does_not_hold_the_next_connection_up() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        listener.open().close(1012, "");
        for_peer.begun.wait();
        let mut second = listener.open();
        is_alive(&mut second, "alive");
        for_peer.may_end.open();
        second.close(1000, "");
    });
    let slow = |call: &Call| matches!(call, Call::Close(close) if close.reconnect_in.is_some());
    let app =
        run_with(peer.app().reconnect(Reconnect::fixed(SOON).max_attempts(2)), work.hook_at(slow));
    app.expect_open();
    assert_eq!(app.expect_close_for_now(clean(ClosedBy::Peer, 1012, "")), (SOON, 2));
    app.expect_reconnect();
    app.expect(Call::Ping("alive".into()));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_slow_on_reconnect_is_as_good_as_a_slow_on_open() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        listener.open().close(1012, "");
        let mut second = listener.open();
        for_peer.begun.wait();
        second.send(Frame::text("first"));
        is_alive(&mut second, "alive");
        for_peer.may_end.open();
        second.close(1000, "");
    });
    let app = peer.app().reconnect(Reconnect::fixed(SOON).max_attempts(2));
    let app = run_with(app, work.hook_at(|call| *call == Call::Reconnect));
    app.expect_open();
    assert_eq!(app.expect_close_for_now(clean(ClosedBy::Peer, 1012, "")), (SOON, 2));
    app.expect_reconnect();
    app.expect_text("first");
    app.expect(Call::Ping("alive".into()));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// `close()` during the wait for the next attempt, while a callback of the last connection is at
/// work.
#[test]
fn close_is_final_while_waiting_for_the_next_attempt() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        drop(client);
    });
    let app =
        run_with(peer.app().reconnect(Reconnect::fixed(Duration::from_secs(3600))), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    wait_until("it waits", || app.sender.state() == State::Waiting);
    app.sender.close();
    wait_until("it is closed", || app.sender.state() == State::Closed);
    work.may_end.open();
    app.expect_failure(Failure::Network(Phase::Open));
    assert_eq!(app.expect_close_for_now(lost()).1, 2);
    app.expect_close(unanswered());
    app.end_in_order();
}

/// A panic ends the run, whatever connection there is by then.
#[test]
fn a_panic_after_a_reconnect_ends_the_run() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut first = listener.open();
        for_peer.begin(&mut first);
        drop(first);
        let mut second = listener.open();
        is_alive(&mut second, "alive");
        for_peer.may_end.open();
        second.expect(Frame::close(1011, ""));
        second.hang_up();
    });
    let app = run_with(peer.app().reconnect(Reconnect::fixed(SOON)), move |_, call| {
        if *call == Call::text(WORK) {
            work.work();
            panic!("late");
        }
        Ok(())
    });
    app.expect_open();
    app.expect_text(WORK);
    app.expect_failure(Failure::Panicked("late".into()));
    // Each connection has its close.
    assert_eq!(app.expect_close_for_now(lost()).1, 2);
    app.expect_close(unanswered());
    app.end_given_up();
}
