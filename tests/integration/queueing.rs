//! `queue_while_disconnected`: what is sent while there is no connection goes over the next one, in
//! order.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use websocket_app::{
    ClosedBy, Error, EventLoop, MessageKind, OwnedMessage, Phase, Reconnect, SendError, State,
    WebSocketApp,
};

use crate::failure::{Failure, clean, lost, unanswered};
use crate::frame::Frame;
use crate::logged;
use crate::peer::{FullBacklog, Peer};
use crate::recorder::{Call, Recorder};
use crate::running::{Running, run, run_with};
use crate::watchdog::{Gate, Task, wait_until};

const SOON: Duration = Duration::from_millis(10);
const HOUR: Duration = Duration::from_secs(3600);

/// Enough for a few short messages that wait.
const ROOM: usize = 1000;

/// More than the kernel's buffers hold.
const LARGE: usize = 16 << 20;

#[test]
fn what_is_sent_before_the_run_waits_for_the_connection_in_order() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        ["hello", "one", "two", "three"].into_iter().for_each(|text| client.expect_text(text));
        client.close(1000, "");
    });
    let app = peer.app().queue_while_disconnected(ROOM, HOUR);
    let sender = app.sender();
    sender.send("one").unwrap();
    sender.send_timeout("two", HOUR).unwrap();
    sender.try_send("three").unwrap();
    assert_eq!(sender.buffered_amount(), 11);
    let app =
        run_with(app, |ws, call| if *call == Call::Open { Ok(ws.send("hello")?) } else { Ok(()) });
    app.expect_open();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    assert_eq!((sender.buffered_amount(), sender.stats().messages_sent), (0, 4));
    app.end_in_order();
}

#[test]
fn flush_waits_for_what_is_kept_until_a_connection_takes_it() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("kept");
        client.close(1000, "");
    });
    let app = peer.app().queue_while_disconnected(ROOM, HOUR);
    let sender = app.sender();
    sender.send("kept").unwrap();
    assert_eq!(sender.flush(SOON), Err(SendError::Unwritten { after: SOON }));
    let flushing = Task::start("a flush", move || sender.flush(HOUR));
    let app = run(app);
    app.expect_open();
    flushing.join().unwrap();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn what_was_not_wholly_written_to_the_lost_connection_goes_over_the_next_before_what_came_later() {
    let begun = Gate::new();
    let has_begun = begun.clone();
    let peer = Peer::start(move |listener| {
        let mut first = listener.open();
        first.expect_text("written");
        has_begun.wait();
        first.reset();
        let mut second = listener.open();
        second.expect(Frame::binary(vec![7; LARGE]));
        second.expect_text("behind it");
        second.expect_text("written");
        second.expect_text("sent while there was no connection");
        second.close(1000, "");
    });
    let policy = Reconnect::fixed(Duration::from_millis(100)).max_attempts(2);
    let app = peer
        .app()
        .reconnect(policy)
        .queue_while_disconnected(2 * LARGE, HOUR)
        .max_send_buffer(2 * LARGE);
    let app = run(app);
    app.expect_open();
    app.sender.send("written").unwrap();
    app.sender.flush(crate::watchdog::PATIENCE).unwrap();
    app.sender.send(vec![7; LARGE]).unwrap();
    app.sender.send("behind it").unwrap();
    let mut writer = app.sender.message_writer(MessageKind::Text).unwrap();
    writer.write_all(b"written").unwrap();
    writer.finish().unwrap();
    assert!(app.sender.buffered_amount() > 0, "the kernel does not take all of it");
    begun.open();
    // By then there may be another.
    wait_until("it is lost", || {
        app.sender.state() != State::Open || app.sender.stats().reconnects > 0
    });
    app.sender.send("sent while there was no connection").unwrap();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// Nobody will ever send it: that is not kept silently, nor is anything more.
#[test]
fn what_was_kept_for_a_run_that_never_began_is_counted_in_the_log() {
    logged::listen();
    let event_loop = EventLoop::new().unwrap();
    let ends: [&dyn Fn(WebSocketApp); 5] = [
        &drop,
        &|app| assert!(matches!(app.run_forever(), Err(Error::Invalid(_)))),
        &|app| assert!(matches!(app.spawn(), Err(Error::Invalid(_)))),
        &|app| assert!(matches!(event_loop.add(app), Err(Error::Invalid(_)))),
        &|app| drop(app.events(0)),
    ];
    // As many as no other test has.
    for (messages, end) in (101..).zip(ends) {
        let app = WebSocketApp::new("http://wrong/").queue_while_disconnected(100_000, HOUR);
        let sender = app.sender();
        (0..messages).for_each(|_| sender.send("x").unwrap());
        end(app);
        assert_eq!(sender.state(), State::Closed);
        assert_eq!(sender.send("x"), Err(SendError::NotConnected { message: None }));
        assert_eq!(sender.buffered_amount(), 0);
        let line = format!("messages not sent, and no run that could hand them back: {messages}");
        assert_eq!(logged::about(&line).len(), 1);
    }
}

/// Nobody else's `close()` cuts off what waits until `on_open` has returned, nor does its own.
#[test]
fn what_is_kept_goes_out_before_the_close_frame_though_on_open_has_not_returned() {
    for by_another in [false, true] {
        let peer = Peer::start(|listener| {
            let mut client = listener.open();
            ["hello", "one", "two"].into_iter().for_each(|text| client.expect_text(text));
            client.answer_close();
        });
        let app = peer.app().queue_while_disconnected(10_000, HOUR);
        ["one", "two"].into_iter().for_each(|text| app.sender().send(text).unwrap());
        let (is_open, is_closed) = (Gate::new(), Gate::new());
        let (opened, closed) = (is_open.clone(), is_closed.clone());
        let app = run_with(app, move |ws, call| {
            if *call == Call::Open {
                ws.send("hello")?;
                opened.open();
                if by_another {
                    closed.wait()
                } else {
                    ws.close()
                }
                assert!(ws.send("too late").is_err());
            }
            Ok(())
        });
        is_open.wait();
        if by_another {
            app.sender.close();
            is_closed.open();
        }
        app.expect_open();
        app.expect_close(clean(ClosedBy::Us, 1000, ""));
        app.end_in_order();
    }
}

/// Messages of other threads wait for the first callback's; a ping and a pong are of the
/// connection.
#[test]
fn a_ping_does_not_wait_for_the_first_callback() {
    let (opening, pinged) = (Gate::new(), Gate::new());
    let (is_opening, is_pinged) = (opening.clone(), pinged.clone());
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::ping("ping"));
        client.expect(Frame::pong("pong"));
        client.expect_text("kept");
        client.close(1000, "");
    });
    let app = run_with(peer.app().queue_while_disconnected(10_000, HOUR), move |_, call| {
        if *call == Call::Open {
            opening.open();
            is_pinged.wait();
        }
        Ok(())
    });
    is_opening.wait();
    app.sender.send("kept").unwrap();
    assert_eq!(app.sender.state(), State::Open);
    assert_eq!(app.sender.ping("ping"), Ok(()));
    assert_eq!(app.sender.pong("pong"), Ok(()));
    pinged.open();
    app.expect_open();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn what_does_not_fit_comes_back_at_once() {
    let silent = FullBacklog::new();
    let app = run(WebSocketApp::new(silent.url())
        .queue_while_disconnected(ROOM, HOUR)
        .send_timeout(HOUR));
    wait_until("it connects", || app.sender.state() == State::Connecting);
    app.sender.send("fits").unwrap();
    app.sender.send("in").unwrap();
    let not = "not".repeat(ROOM / 3);
    let message = Some(OwnedMessage::Text(not.clone()));
    let error = app.sender.send(not.clone()).unwrap_err();
    assert_eq!(error, SendError::BacklogFull { message, limit: ROOM });
    assert!(error.to_string().contains("queue_while_disconnected, 1000 bytes"), "{error}");
    assert_eq!(app.sender.send(&not), Err(SendError::BacklogFull { message: None, limit: ROOM }));
    app.sender.send([1, 2]).unwrap();
    app.sender.close();
    assert_eq!(app.sender.send("late"), Err(SendError::NotConnected { message: None }));
    expect_unsent(&app, [text("fits"), text("in"), OwnedMessage::Binary(vec![1, 2])]);
    app.expect_close(unanswered());
    app.end_in_order();
}

/// What keeping a message takes is counted.
#[test]
fn not_even_empty_messages_are_kept_without_end() {
    let silent = FullBacklog::new();
    let app = run(WebSocketApp::new(silent.url()).queue_while_disconnected(ROOM, HOUR));
    wait_until("it connects", || app.sender.state() == State::Connecting);
    let kept = (0..ROOM).take_while(|_| app.sender.send("").is_ok()).count();
    assert!((5..ROOM / 20).contains(&kept), "{kept} messages in {ROOM} bytes");
    app.sender.close();
    (0..kept).for_each(|_| expect_unsent(&app, [text("")]));
    app.expect_close(unanswered());
    app.end_in_order();
}

#[test]
fn what_gets_too_old_is_reported_with_the_message() {
    let max_age = Duration::from_millis(50);
    let silent = FullBacklog::new();
    let app = run(WebSocketApp::new(silent.url())
        .connect_timeout(HOUR)
        .queue_while_disconnected(ROOM, max_age));
    for round in 0..2 {
        for i in 0..2 {
            app.sender.send(format!("{round} {i}")).unwrap();
        }
        for i in 0..2 {
            expect_expired(&app, &format!("{round} {i}"), max_age);
        }
        assert_eq!(app.sender.buffered_amount(), 0);
    }
    app.sender.close();
    app.expect_close(unanswered());
    app.end_in_order();
}

#[test]
fn flush_does_not_wait_any_longer_for_what_has_got_too_old() {
    let silent = FullBacklog::new();
    let app = WebSocketApp::new(silent.url()).connect_timeout(HOUR);
    let app = run(app.queue_while_disconnected(ROOM, Duration::from_millis(50)));
    let is_told = |_| {
        app.sender.send("too old").unwrap();
        let ws = app.sender.clone();
        let flushed = Task::start("a flush", move || ws.flush(HOUR)).join();
        expect_expired(&app, "too old", Duration::from_millis(50));
        // It may have begun when the message was gone already.
        assert!(matches!(flushed, Ok(()) | Err(SendError::NotConnected { message: None })));
        flushed.is_err()
    };
    assert!((0..100).any(is_told));
    app.sender.close();
    app.expect_close(unanswered());
    app.end_in_order();
}

/// While it has not been told of, it takes the place of what could wait.
#[test]
fn what_gets_too_old_while_a_callback_is_busy_does_not_pile_up() {
    const LEN: usize = 100;
    const MOST: usize = 10_000;
    let (silent, may_go_on) = (FullBacklog::new(), Gate::new());
    let goes_on = may_go_on.clone();
    let app = WebSocketApp::new(silent.url()).max_receive_buffer(MOST);
    let app = app.queue_while_disconnected(MOST, Duration::from_millis(1));
    let app = run_with(app, move |_, _| {
        goes_on.wait();
        Ok(())
    });
    let (began, mut sent) = (Instant::now(), 0);
    while sent * LEN < 10 * MOST && began.elapsed() < Duration::from_millis(300) {
        sent += usize::from(app.sender.send(vec![7; LEN]).is_ok());
    }
    // What waits for a connection, what waits for the callback, and once as much that came to that
    // at once.
    assert!(sent * LEN < 3 * MOST, "{sent} messages were kept");
    may_go_on.open();
    app.sender.close();
    for _ in 0..sent {
        let failure = app.failure();
        let is_unsent = matches!(
            failure,
            Failure::Send(SendError::Expired { .. } | SendError::NotConnected { .. })
        );
        assert!(is_unsent, "{failure:?}");
    }
    app.expect_close(unanswered());
    app.end_in_order();
}

#[test]
fn what_got_too_old_does_not_go_over_the_next_connection() {
    let max_age = Duration::from_millis(50);
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("fresh");
        client.close(1000, "");
    });
    let app = peer.app().queue_while_disconnected(ROOM, max_age);
    let sender = app.sender();
    sender.send("stale").unwrap();
    std::thread::sleep(max_age);
    let app =
        run_with(app, |ws, call| if *call == Call::Open { Ok(ws.send("fresh")?) } else { Ok(()) });
    // Found too old before the connection was there, or when it was.
    let calls = [app.next(), app.next()];
    let expired = |call: &&Call| {
        matches!(call, Call::Error(Failure::Send(SendError::Expired { message: Some(message), age }))
        if *message == text("stale") && *age >= max_age)
    };
    assert!(calls.iter().find(expired).is_some() && calls.contains(&Call::Open), "{calls:?}");
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// It is told of then, and not when something else happens.
#[test]
fn what_got_too_old_while_on_open_was_busy_is_reported_when_it_returns() {
    let max_age = Duration::from_millis(20);
    let reported = Gate::new();
    let was_reported = reported.clone();
    let peer = Peer::start(move |listener| {
        let client = listener.open();
        was_reported.wait();
        client.close(1000, "");
    });
    let app = peer.app().queue_while_disconnected(ROOM, max_age);
    let app = run_with(app, move |ws, call| {
        if *call == Call::Open {
            let ws = ws.clone();
            // What is sent here would go at once.
            Task::start("another thread", move || ws.send("stale")).join()?;
            std::thread::sleep(max_age);
        }
        Ok(())
    });
    app.expect_open();
    expect_expired(&app, "stale", max_age);
    reported.open();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// Nothing is silently dropped: what was kept when a callback panics is handed to `on_error` after
/// the panic itself.
#[test]
fn what_is_kept_when_a_callback_panics_is_handed_back_before_the_last_close() {
    let (app, sent, _) = is_lost_while_a_callback_is_busy(HOUR, "on_message");
    app.sender.send("kept").unwrap();
    app.sender.send([1]).unwrap();
    sent.open();
    app.expect_failure(Failure::Panicked("as it should".into()));
    app.expect_close_for_now(lost());
    expect_unsent(&app, [text("kept"), OwnedMessage::Binary(vec![1])]);
    app.expect_close(unanswered());
    assert_eq!(app.end(), Err(Failure::Panicked("as it should".into())));
}

/// The same for what had got too old by then, and was to be reported when the callback returned.
#[test]
fn what_is_too_old_when_a_callback_panics_is_handed_back_too() {
    let max_age = Duration::from_millis(20);
    let (app, sent, _) = is_lost_while_a_callback_is_busy(max_age, "on_message");
    app.sender.send("too old").unwrap();
    wait_until("it is too old", || app.sender.buffered_amount() == 0);
    app.sender.send("kept").unwrap();
    sent.open();
    app.expect_failure(Failure::Panicked("as it should".into()));
    let mut left = vec!["too old", "kept"];
    let mut closed = 0;
    while closed < 2 {
        match app.next() {
            Call::Close(_) => closed += 1,
            // The second may have become too old meanwhile.
            Call::Error(Failure::Send(
                SendError::Expired { message: Some(message), .. }
                | SendError::NotConnected { message: Some(message) },
            )) => assert_eq!(message, text(left.remove(0))),
            call => panic!("{call:?}"),
        }
    }
    assert!(left.is_empty(), "nobody heard of {left:?}");
    assert_eq!(app.end(), Err(Failure::Panicked("as it should".into())));
}

/// Where it was `on_error` itself that failed, there is only the log to tell.
#[test]
fn what_is_kept_when_on_error_fails_is_counted_in_the_log() {
    logged::listen();
    let (app, sent, addr) = is_lost_while_a_callback_is_busy(HOUR, "on_error");
    app.expect_failure(Failure::Network(Phase::Open));
    app.sender.send("kept").unwrap();
    app.sender.send("as well").unwrap();
    sent.open();
    app.expect_close_for_now(lost());
    app.expect_close(unanswered());
    assert_eq!(app.end(), Err(Failure::Panicked("as it should".into())));
    let lines = logged::about(&addr.to_string());
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with("messages not sent, and no on_error to hand them to: 2")),
        "{lines:?}"
    );
}

/// Runs an app whose connection is lost while this callback is busy, which panics when the gate is
/// opened.
fn is_lost_while_a_callback_is_busy(
    max_age: Duration,
    callback: &'static str,
) -> (Running, Gate, SocketAddr) {
    let (begun, sent) = (Gate::new(), Gate::new());
    let (is_busy, may_end) = (begun.clone(), sent.clone());
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.send(Frame::text("work"));
        if callback == "on_message" {
            is_busy.wait();
        }
        client.reset();
    });
    let app = peer.app().reconnect(Reconnect::fixed(HOUR)).queue_while_disconnected(ROOM, max_age);
    let app = run_with(app, move |_, call| {
        let name = match call {
            Call::Message(_) => "on_message",
            Call::Error(Failure::Network(_)) => "on_error",
            _ => return Ok(()),
        };
        if name == callback {
            begun.open();
            may_end.wait();
            panic!("as it should");
        }
        Ok(())
    });
    app.expect_open();
    app.expect_text("work");
    wait_until("it is lost", || app.sender.state() == State::Waiting);
    (app, sent, peer.addr())
}

fn text(text: &str) -> OwnedMessage {
    OwnedMessage::Text(text.to_owned())
}

/// Each of these is handed back, in this order, since it will never be sent.
fn expect_unsent<const N: usize>(app: &Recorder, messages: [OwnedMessage; N]) {
    for message in messages {
        app.expect_failure(Failure::Send(SendError::NotConnected { message: Some(message) }));
    }
}

fn expect_expired(app: &Recorder, message: &str, max_age: Duration) {
    match app.failure() {
        Failure::Send(SendError::Expired { message: Some(expired), age }) => {
            assert!(expired == text(message) && age >= max_age, "{expired:?}, {age:?}");
        }
        failure => panic!("{failure:?}"),
    }
}

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
    let app = peer
        .app()
        .reconnect(Reconnect::fixed(SOON).max_attempts(2))
        .queue_while_disconnected(ROOM, HOUR);
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
    let app = run(peer.app().queue_while_disconnected(ROOM, HOUR));
    app.expect_open();
    wait_until("the peer's Close is answered", || app.sender.state() == State::Closing);
    app.sender.send("too late").unwrap();
    sent.open();
    let message = Some(OwnedMessage::Text("too late".into()));
    app.expect_failure(Failure::Send(SendError::NotConnected { message }));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// While a callback is slow, one connection is lost and another made and lost again. What waits is
/// for the third, after that one's first callback and not after the second's, which is called late.
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
    let app = peer
        .app()
        .reconnect(Reconnect::fixed(SOON).max_attempts(3))
        .queue_while_disconnected(ROOM, HOUR);
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
    wait_until("it is not connected", || {
        app.sender.state() != State::Open || app.sender.stats().reconnects > 0
    });
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
