//! Callbacks that fail or panic after they were slow.

use std::time::Duration;

use websocket_app::{ClosedBy, Phase, ProtocolError, Reconnect, State};

use super::{WORK, Work, is_alive};
use crate::failure::{Failure, clean, lost, unanswered};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::{Running, run_with};
use crate::watchdog::{Gate, wait_until};

#[test]
fn an_error_that_comes_late_goes_to_on_error_right_after_and_the_connection_goes_on() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        client.send(Frame::text("next"));
        is_alive(&mut client, "alive");
        for_peer.may_end.open();
        client.close(1000, "");
    });
    let app = run_with(peer.app(), move |_, call| {
        if *call == Call::text(WORK) {
            work.work();
            Err("late")?;
        }
        Ok(())
    });
    app.expect_open();
    app.expect_text(WORK);
    app.expect_failure(Failure::Callback("on_message".into(), "late".into()));
    app.expect_text("next");
    app.expect(Call::Ping("alive".into()));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_panic_that_comes_late_ends_the_run_with_1011() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        client.send(Frame::text("never handed out"));
        is_alive(&mut client, "alive");
        for_peer.may_end.open();
        client.expect(Frame::close(1011, ""));
        client.hang_up();
    });
    let app = panicking(&peer, work);
    app.expect_failure(Failure::Panicked("late".into()));
    app.expect_close(unanswered());
    app.end_given_up();
}

/// The callback panics when there is nothing left to end.
#[test]
fn a_panic_after_the_peer_has_closed_is_the_result_all_the_same() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        client.close(1001, "");
        for_peer.may_end.open();
    });
    let app = panicking(&peer, work);
    app.expect_failure(Failure::Panicked("late".into()));
    app.expect_close(clean(ClosedBy::Peer, 1001, ""));
    app.end_given_up();
}

#[test]
fn a_panic_after_our_own_close_is_the_result_all_the_same() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        client.answer_close();
        for_peer.may_end.open();
    });
    let app = panicking(&peer, work.clone());
    work.begun.wait();
    app.sender.close();
    app.expect_failure(Failure::Panicked("late".into()));
    // The peer's answer may not have been read yet; then it is not any more.
    assert_eq!(app.close().by, ClosedBy::Us);
    app.end_given_up();
}

fn panicking(peer: &Peer, work: Work) -> Running {
    let app = run_with(peer.app(), move |_, call| {
        if *call == Call::text(WORK) {
            work.work();
            panic!("late");
        }
        Ok(())
    });
    app.expect_open();
    app.expect_text(WORK);
    app
}

/// The keepalive hears nothing any more of a peer that broke the protocol, and does not take it for
/// dead.
#[test]
fn a_violation_that_is_told_late_is_the_only_error() {
    const INTERVAL: Duration = Duration::from_millis(50);
    let work = Work::lasting(8 * INTERVAL);
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        client.send(Frame::text("bad").rsv(0b010));
        for_peer.may_end.open();
        client.skip_to_close();
    });
    let app = run_with(peer.app().ping_interval(INTERVAL).ping_timeout(INTERVAL), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    app.expect_failure(Failure::Protocol(ProtocolError::ReservedBits));
    app.expect_close(unanswered());
    app.end_given_up();
}

/// A message that is no text is only found when it is its turn. What came behind it is not handed
/// out. It is an error also where it is the next connection that we have closed.
#[test]
fn bad_text_of_a_connection_that_has_gone_is_told_before_its_end_and_costs_the_next_nothing() {
    for closes in [false, true] {
        let (work, has_come) = (Work::default(), Gate::new());
        let (for_peer, came) = (work.clone(), has_come.clone());
        let peer = Peer::start(move |listener| {
            let mut first = listener.open();
            for_peer.begin(&mut first);
            first.send(Frame::text(b"\xff"));
            is_alive(&mut first, "alive");
            first.send(Frame::text("never handed out"));
            first.end_stream();
            first.stay_silent();
            let mut second = listener.open();
            second.send(Frame::text("the second's first"));
            is_alive(&mut second, "alive");
            came.open();
            if closes { second.answer_close() } else { second.close(1000, "") }
        });
        let soon = Reconnect::fixed(Duration::from_millis(1)).max_attempts(2);
        let app = run_with(peer.app().reconnect(soon), work.hook());
        app.expect_open();
        app.expect_text(WORK);
        has_come.wait();
        if closes {
            app.sender.close();
        }
        wait_until("it is over", || app.sender.state() == State::Closed);
        work.may_end.open();
        app.expect_failure(Failure::Network(Phase::Open));
        app.expect_failure(Failure::Protocol(ProtocolError::InvalidUtf8));
        app.expect_close_for_now(lost());
        app.expect_reconnect();
        app.expect_text("the second's first");
        app.expect(Call::Ping("alive".into()));
        let by = if closes { ClosedBy::Us } else { ClosedBy::Peer };
        app.expect_close(clean(by, 1000, ""));
        app.end_in_order();
    }
}

/// Though the connection was closed in order by then, and is gone.
#[test]
fn bad_text_that_is_found_when_all_is_over_is_the_result() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.write([Frame::text(WORK).encode(), Frame::text(*b"\xff").encode()].concat());
        for_peer.begun.wait();
        client.close(1000, "");
    });
    let app = run_with(peer.app(), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    wait_until("it is over", || app.sender.state() == State::Closed);
    work.may_end.open();
    app.expect_failure(Failure::Protocol(ProtocolError::InvalidUtf8));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    assert_eq!(app.end(), Err(Failure::Protocol(ProtocolError::InvalidUtf8)));
}

/// Nor is it an error of one that we have closed.
#[test]
fn bad_text_of_the_last_connection_is_told_unless_we_have_closed_it() {
    for closes in [false, true] {
        let (work, has_come) = (Work::default(), Gate::new());
        let (for_peer, came) = (work.clone(), has_come.clone());
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            for_peer.begin(&mut client);
            client.send(Frame::text(b"\xff"));
            is_alive(&mut client, "alive");
            came.open();
            if closes { client.answer_close() } else { client.hang_up() }
        });
        let app = run_with(peer.app(), work.hook());
        app.expect_open();
        app.expect_text(WORK);
        has_come.wait();
        if closes {
            app.sender.close();
        }
        wait_until("it is over", || app.sender.state() == State::Closed);
        work.may_end.open();
        if closes {
            app.expect_close(clean(ClosedBy::Us, 1000, ""));
            app.end_in_order();
        } else {
            app.expect_failure(Failure::Network(Phase::Open));
            app.expect_failure(Failure::Protocol(ProtocolError::InvalidUtf8));
            app.expect_close(lost());
            assert_eq!(app.end(), Err(Failure::Network(Phase::Open)));
        }
    }
}

/// What the messages before a violation are answered with goes before the Close frame that tells of
/// it, however slow the callback is.
#[test]
fn the_reply_of_a_slow_callback_goes_before_what_tells_of_a_violation() {
    // Long enough for another thread to run the loop, and to meet the violation.
    let work = Work::lasting(Duration::from_millis(300));
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        client.send(Frame::text("bad").rsv(0b010));
        for_peer.may_end.open();
        assert_eq!(client.read_frame().payload, b"reply");
        client.expect(Frame::close(1002, &ProtocolError::ReservedBits.to_string()));
    });
    let mut slow = work.hook();
    let app = run_with(peer.app(), move |ws, call| {
        slow(ws, call)?;
        if *call == Call::text(WORK) {
            ws.send("reply")?;
        }
        Ok(())
    });
    app.expect_open();
    app.expect_text(WORK);
    app.expect_failure(Failure::Protocol(ProtocolError::ReservedBits));
    app.expect_close(unanswered());
    app.end_given_up();
}

/// Text is looked at when it is handed out. What is wrong with it is why the run fails, though the
/// peer has closed meanwhile.
#[test]
fn bad_text_that_is_found_after_the_peer_has_closed_is_the_result() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.write([Frame::text(WORK).encode(), Frame::text(*b"\xff").encode()].concat());
        for_peer.begun.wait();
        client.send(Frame::close(1000, ""));
        assert_eq!(client.expect_close_code(), 1000);
        for_peer.may_end.open();
    });
    let app = run_with(peer.app(), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    app.expect_failure(Failure::Protocol(ProtocolError::InvalidUtf8));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_given_up();
}
