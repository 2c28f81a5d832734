//! Between two connections: what cannot be sent, what stands still, what belongs to the one and
//! what to the other.

use std::time::Duration;

use websocket_app::{ClosedBy, Event, Phase, Reconnect, SendError, State};

use super::{LONG, SHORT, late, see_off, soon};
use crate::connection::Connection;
use crate::failure::{Failure, clean, lost, unanswered};
use crate::peer::{Listener, Peer};
use crate::recorder::Call;
use crate::running::{run, run_with, run_with_timer};
use crate::watchdog::{Gate, PATIENCE, wait_until};

#[test]
fn events_tell_of_it() {
    let peer = Peer::start(|listener| {
        drop(listener.open());
        see_off(listener.open());
    });
    let events = peer.app().reconnect(soon()).events(1);
    let ws = events.sender();
    let next = || events.recv_timeout(PATIENCE).expect("an event in time");
    assert!(matches!(next(), Event::Open));
    assert!(matches!(next(), Event::Error(_)));
    assert!(matches!(next(), Event::Close(close) if close.reconnect_in == Some(SHORT)));
    assert!(matches!(next(), Event::Reconnect));
    ws.close();
    assert!(matches!(next(), Event::Close(close) if close.reconnect_in.is_none()));
    assert!(events.recv_timeout(PATIENCE).is_none(), "nothing comes after the last close");
}

#[test]
fn while_waiting_nothing_can_be_sent_and_the_message_comes_back() {
    let peer = Peer::start(|listener| {
        drop(listener.open());
        listener.saw_nobody_else();
    });
    let app = run(peer.app().reconnect(late()));
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    assert_eq!(app.expect_close_for_now(lost()), (LONG, 2));
    assert_eq!(app.sender.state(), State::Waiting);
    let Err(SendError::NotConnected { message: Some(message) }) =
        app.sender.send("late".to_owned())
    else {
        panic!("there is no connection")
    };
    assert_eq!(message.as_message().as_text(), Some("late"));
    assert_eq!(app.sender.ping("late"), Err(SendError::NotConnected { message: None }));
    assert_eq!(app.sender.flush(PATIENCE), Ok(()), "nothing waits to be written");
    assert_eq!(app.sender.buffered_amount(), 0);
    app.sender.close();
    app.expect_close(unanswered());
    app.end_in_order();
}

#[test]
fn what_was_queued_for_the_lost_connection_does_not_go_to_the_next() {
    let sent = Gate::new();
    let may_go = sent.clone();
    let peer = Peer::start(move |listener| {
        let client = listener.open_with_small_buffer();
        // Takes little of what is sent, then is gone.
        may_go.wait();
        client.reset();
        let mut client = listener.open();
        client.expect_text("new");
        client.answer_close();
    });
    let app = run_with(peer.app().reconnect(soon()).max_send_buffer(1 << 20), move |ws, call| {
        if *call == Call::Open {
            while ws.try_send([0; 1 << 16]).is_ok() {}
            sent.open();
        }
        Ok(())
    });
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    assert_eq!(app.sender.buffered_amount(), 0);
    app.sender.send("new").unwrap();
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn timers_stand_still_while_there_is_no_connection() {
    let peer = Peer::start(|listener| {
        listener.open().expect_text("tick");
        see_off(listener.open());
    });
    let policy = Reconnect::fixed(Duration::from_millis(200));
    let app =
        run_with_timer(peer.app().reconnect(policy), Duration::from_millis(20), |ws, call| {
            // The connection may be lost between the timer and the sending.
            let _lost = (*call == Call::Timer).then(|| ws.send("tick"));
            Ok(())
        });
    app.expect_open();
    let failure = loop {
        match app.next() {
            Call::Timer => {}
            Call::Error(failure) => break failure,
            call => panic!("{call:?}"),
        }
    };
    assert_eq!(failure, Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    app.expect(Call::Timer);
    app.sender.close();
    while app.last().1.is_none_or(|close| close.reconnect_in.is_some()) {
        app.next();
    }
    app.end_in_order();
}

#[test]
fn the_handshake_is_that_of_the_latest_connection() {
    let open = |listener: &Listener, name: &str| -> Connection {
        let mut client = listener.accept();
        client.read_request();
        let answer = client.acceptance(&format!("X-Server: {name}\r\n"));
        client.write(answer);
        client
    };
    let peer = Peer::start(move |listener| {
        drop(open(listener, "first"));
        open(listener, "second").answer_close();
    });
    let app = run(peer.app().reconnect(soon()));
    let server = || {
        app.sender.handshake().and_then(|shake| shake.headers().get("x-server").map(str::to_owned))
    };
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    wait_until("the second server is seen", || server().as_deref() == Some("second"));
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}
