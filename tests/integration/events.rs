//! `events()` and its channel, `every()`, and the handle of a spawned app.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, never, select, tick};
use websocket_app::{
    Close, ClosedBy, Error, Event, EventOptions, Events, Message, OwnedMessage, Reconnect, State,
    WebSocketApp,
};

use crate::failure::{Failure, clean, ending, lost};
use crate::frame::Frame;
use crate::peer::{Bystander, Peer, RefusedPort};
use crate::recorder::{Call, only_record, record};
use crate::running::{Running, run_with_timer};
use crate::watchdog::{Gate, PATIENCE, within};

#[test]
fn everything_is_an_event() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("hello");
        for frame in [Frame::text("a"), Frame::binary("b"), Frame::ping("i"), Frame::pong("o")] {
            client.send(frame);
        }
        client.expect(Frame::pong("i"));
        client.close(1000, "bye");
    });
    let events = peer.app().events(100);
    let ws = events.sender();
    assert!(matches!(next(&events), Event::Open));
    ws.send("hello").unwrap();
    assert!(matches!(next(&events), Event::Message(message) if message == Message::Text("a")));
    assert!(matches!(next(&events), Event::Message(message) if message == Message::Binary(b"b")));
    assert!(matches!(next(&events), Event::Ping(payload) if payload == b"i"));
    assert!(matches!(next(&events), Event::Pong(payload) if payload == b"o"));
    let Event::Close(close) = next(&events) else { panic!("a close is all there is to come") };
    assert_eq!(ending(&close), clean(ClosedBy::Peer, 1000, "bye"));
    is_over(&events);
}

#[test]
fn select_waits_for_events_and_other_channels_alike() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("tick");
        client.send(Frame::text("tock"));
        client.answer_close();
    });
    let events = peer.app().events(10);
    let ws = events.sender();
    let (mut ticker, mut seen) = (never(), Vec::new());
    let deadline = crossbeam_channel::after(PATIENCE);
    loop {
        select! {
            recv(events.receiver()) -> event => match event {
                Ok(Event::Open) => ticker = tick(Duration::from_millis(1)),
                Ok(Event::Message(message)) => {
                    seen.push(message.to_string());
                    ws.close();
                }
                Ok(Event::Close(close)) => break assert_eq!(ending(&close), clean(ClosedBy::Us, 1000, "")),
                other => panic!("{other:?}"),
            },
            recv(ticker) -> _ => {
                ws.send("tick").unwrap();
                ticker = never();
            }
            recv(deadline) -> _ => panic!("not done within {PATIENCE:?}"),
        }
    }
    assert_eq!(seen, ["tock"]);
    is_over(&events);
}

#[test]
fn a_full_channel_makes_the_app_wait_and_nothing_is_lost() {
    for capacity in [0, 1, 2] {
        let peer = Peer::start(|listener| {
            let mut client = listener.open();
            (0..1000).for_each(|i| client.send(Frame::text(i.to_string())));
            client.close(1000, "");
        });
        let events = peer.app().events(capacity);
        assert!(matches!(next(&events), Event::Open));
        for i in 0..1000 {
            let Event::Message(message) = next(&events) else { panic!("message {i} is missing") };
            assert_eq!(message.to_string(), i.to_string());
            assert!(events.receiver().len() <= capacity);
        }
        assert!(matches!(next(&events), Event::Close(_)));
        is_over(&events);
    }
}

#[test]
fn an_app_whose_receiver_is_dropped_closes() {
    let dropped = Gate::new();
    let gone = dropped.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        gone.wait();
        client.send(Frame::text("nobody listens"));
        client.answer_close();
    });
    let events = peer.app().events(1);
    let ws = events.sender();
    assert!(matches!(next(&events), Event::Open));
    drop(events);
    dropped.open();
    // The peer fails if no Close comes.
    drop(peer);
    crate::watchdog::wait_until("the app has ended", || ws.state() == State::Closed);
}

#[test]
fn an_app_that_waits_for_room_closes_when_the_receiver_is_dropped() {
    let sent = Gate::new();
    let all = sent.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        (0..10).for_each(|i| client.send(Frame::text(i.to_string())));
        all.open();
        client.answer_close();
    });
    let events = peer.app().events(0);
    assert!(matches!(next(&events), Event::Open));
    sent.wait();
    drop(events);
}

#[test]
fn a_program_that_sleeps_is_woken_behind_each_event_and_takes_all_there_is() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        (0..100).for_each(|i| client.send(Frame::text(i.to_string())));
        client.answer_close();
    });
    let (wake, woken) = crossbeam_channel::unbounded();
    // With less than one there would be nothing to take when the program is woken.
    let options = EventOptions::new(0).wake_with(move || wake.send(()).unwrap_or_default());
    let events = peer.app().events(options);
    let (mut seen, mut wakes) = (Vec::new(), 0);
    while woken.recv_timeout(PATIENCE).is_ok() {
        wakes += 1;
        while let Some(event) = events.try_recv() {
            match event {
                Event::Message(message) => seen.push(message),
                Event::Close(close) => assert_eq!(ending(&close), clean(ClosedBy::Us, 1000, "")),
                Event::Open => {}
                other => panic!("{other:?}"),
            }
        }
        if seen.len() == 100 {
            events.close();
        }
    }
    assert!((0..100).map(|i| OwnedMessage::from(i.to_string())).eq(seen));
    assert_eq!(wakes, 102, "open, the messages, and the close");
    assert_eq!(ending(&within("join", || events.join()).unwrap()), clean(ClosedBy::Us, 1000, ""));
}

#[test]
fn joining_where_an_event_is_told_of_is_an_error_at_once() {
    let peer = Peer::start(|listener| listener.open().close(1000, ""));
    let own: Arc<Mutex<Option<Events>>> = Arc::default();
    let (joined, result) = crossbeam_channel::unbounded();
    let (given, is_given) = (Gate::new(), Arc::clone(&own));
    let is_there = given.clone();
    let options = EventOptions::new(9).wake_with(move || {
        is_there.wait();
        if let Some(events) = is_given.lock().unwrap().take() {
            joined.send(events.join()).unwrap();
        }
    });
    *own.lock().unwrap() = Some(peer.app().events(options));
    given.open();
    let refused = result.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(refused, Err(Error::Deadlock { .. })), "{refused:?}");
}

#[test]
fn a_message_may_come_in_pieces() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("one ").unfinished());
        client.send(Frame::continuation("two"));
        client.close(1000, "");
    });
    let events = peer.app().events(EventOptions::new(1).fragments(true));
    assert!(matches!(next(&events), Event::Open));
    let (mut whole, mut begun) = (String::new(), false);
    loop {
        let Event::Fragment { data, first, last, .. } = next(&events) else {
            panic!("pieces only")
        };
        assert_eq!(first, !begun);
        begun = true;
        whole += data.as_text().unwrap();
        if last {
            break;
        }
    }
    assert_eq!(whole, "one two");
    assert!(matches!(next(&events), Event::Close(_)));
    is_over(&events);
}

#[test]
fn what_goes_wrong_is_an_event_before_the_close() {
    let nobody = RefusedPort::new();
    let events = WebSocketApp::new(nobody.url()).events(0);
    let Event::Error(error) = next(&events) else { panic!("it is refused") };
    assert!(matches!(Failure::from(error), Failure::Network(_)));
    let Event::Close(close) = next(&events) else { panic!("a close is all there is to come") };
    assert_eq!(ending(&close), lost());
    is_over(&events);
}

#[test]
fn a_wrong_url_or_option_is_an_event_too() {
    let nobody = Bystander::new();
    let url = format!("ws://{}/", nobody.addr());
    for app in [
        WebSocketApp::new(url.replace("ws:", "http:")),
        WebSocketApp::new(url).header("Bad Name", "x"),
    ] {
        let events = within("events", || app.events(0));
        let Event::Error(error) = next(&events) else { panic!("it is wrong") };
        assert!(matches!(Failure::from(error), Failure::Invalid(..)));
        let Event::Close(close) = next(&events) else { panic!("a close is all there is to come") };
        assert_eq!(ending(&close), lost());
        is_over(&events);
        let ws = events.sender();
        assert_eq!(ws.state(), State::Closed);
        assert!(within("join", || events.join()).is_err());
    }
    nobody.saw_nobody();
}

/// The only callback that is.
#[test]
fn every_is_called_beside_events() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("heartbeat");
        client.send(Frame::close(1000, ""));
        client.skip_to_close();
    });
    let app = peer
        .app()
        // Not called.
        .on_open(|ws| ws.abort())
        .every(Duration::from_millis(1), |ws| drop(ws.send("heartbeat")));
    let events = app.events(10);
    assert!(matches!(next(&events), Event::Open));
    let Event::Close(close) = next(&events) else { panic!("a close is all there is to come") };
    assert_eq!(ending(&close), clean(ClosedBy::Peer, 1000, ""));
    is_over(&events);
}

#[test]
fn every_is_called_again_and_again_while_connected() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        (0..5).for_each(|_| client.expect_text("heartbeat"));
        client.send(Frame::close(1000, ""));
        client.skip_to_close();
    });
    let app = run_with_timer(peer.app(), Duration::from_millis(5), |ws, call| {
        // The last may come when the peer has closed already.
        let _closed = (*call == Call::Timer).then(|| ws.send("heartbeat"));
        Ok(())
    });
    app.expect_open();
    let (beats, close) = beats_until_close(&app);
    assert!(beats >= 5);
    assert_eq!(ending(&close), clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// Returns how often the timer came before `on_close`.
fn beats_until_close(app: &Running) -> (usize, Close) {
    let mut beats = 0;
    loop {
        match app.next() {
            Call::Timer => beats += 1,
            Call::Close(close) => return (beats, close),
            call => panic!("{call:?}"),
        }
    }
}

/// For each connection anew, and for none of them while there is none.
#[test]
fn every_is_called_on_each_connection_and_not_between_them() {
    let peer = Peer::start(|listener| {
        for _ in 0..2 {
            let mut client = listener.open();
            (0..2).for_each(|_| client.expect_text("heartbeat"));
            client.send(Frame::close(1012, ""));
            client.skip_to_close();
        }
        let mut client = listener.open();
        client.expect_text("heartbeat");
        client.skip_to_close();
        client.send(Frame::close(1000, ""));
    });
    // Between two connections are many periods.
    let reconnect = Reconnect::fixed(Duration::from_millis(100));
    let mut connection = 0;
    let app = run_with_timer(peer.app().reconnect(reconnect), Duration::from_millis(5), {
        move |ws, call| {
            connection += u32::from(matches!(call, Call::Open | Call::Reconnect));
            if *call == Call::Timer {
                // The last may come when the peer has closed already.
                let _closed = ws.send("heartbeat");
                if connection == 3 {
                    ws.close();
                }
            }
            Ok(())
        }
    });
    for connection in 0..2 {
        match connection {
            0 => app.expect_open(),
            _ => app.expect_reconnect(),
        }
        let (beats, close) = beats_until_close(&app);
        assert!(beats >= 2);
        assert_eq!(ending(&close), clean(ClosedBy::Peer, 1012, ""));
    }
    // Nothing is called between.
    app.expect_reconnect();
    app.expect(Call::Timer);
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

/// A heartbeat that goes on would only get `NotConnected`.
#[test]
fn every_is_not_called_any_more_once_closing_has_begun() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::close(1000, ""));
        // Many periods.
        client.is_silent_for(Duration::from_millis(100));
        client.send(Frame::close(1000, ""));
    });
    let app = run_with_timer(peer.app(), Duration::from_millis(1), |ws, call| {
        if *call == Call::Timer {
            ws.close();
        }
        Ok(())
    });
    app.expect_open();
    app.expect(Call::Timer);
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_spawned_app_is_steered_by_its_handle() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("by the handle");
        client.answer_close();
    });
    let (app, calls) = record(peer.app(), only_record());
    let app = app.spawn().unwrap();
    calls.expect_open();
    app.sender().send("by the handle").unwrap();
    app.close();
    calls.expect_close(clean(ClosedBy::Us, 1000, ""));
    let close = within("join", || app.join()).unwrap();
    assert_eq!(ending(&close), clean(ClosedBy::Us, 1000, ""));
}

#[test]
fn a_spawned_app_runs_on_when_its_handle_is_dropped() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("still there?"));
        client.close(1000, "");
    });
    let (app, calls) = record(peer.app(), only_record());
    drop(app.spawn().unwrap());
    calls.expect_open();
    calls.expect_text("still there?");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
}

fn next(events: &Events) -> Event {
    events.recv_timeout(PATIENCE).expect("an event comes in time")
}

/// After the last close the channel is disconnected.
fn is_over(events: &Events) {
    match events.receiver().recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Disconnected) => {}
        other => panic!("nothing comes after the last close: {other:?}"),
    }
}
