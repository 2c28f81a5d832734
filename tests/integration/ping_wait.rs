//! `Sender::ping_wait`: an answer to each thread that asks, and an end to each wait.

use std::time::Duration;

use websocket_app::{Reconnect, SendError, Sender, WebSocket, WebSocketApp};

use crate::connection::Connection;
use crate::failure::lost;
use crate::frame::{Frame, PING};
use crate::peer::{Bystander, Peer};
use crate::recorder::Call;
use crate::running::{Running, run, run_with};
use crate::watchdog::{Gate, PATIENCE, Task, within};

const HOUR: Duration = Duration::from_secs(3600);
const GONE: Result<Duration, SendError> = Err(SendError::NotConnected { message: None });

fn late(after: Duration) -> Result<Duration, SendError> {
    Err(SendError::NotInTime { what: "the answer to a ping", after })
}

fn asking(ws: &Sender) -> Task<Result<Duration, SendError>> {
    let ws = ws.clone();
    Task::start("ping_wait", move || ws.ping_wait(HOUR))
}

/// Ends a run whose connection the peer has reset, whatever pongs there were.
fn end_lost(app: Running) {
    loop {
        match app.next() {
            Call::Pong(_) => {}
            Call::Error(_) => break,
            call => panic!("{call:?}"),
        }
    }
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn a_pong_gives_the_round_trip_time_and_is_told_to_on_pong_too() {
    const DELAY: Duration = Duration::from_millis(30);
    let (tell, told) = crossbeam_channel::unbounded();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for _ in 0..2 {
            let payload = client.expect_ping();
            std::thread::sleep(DELAY);
            tell.send(payload.clone()).unwrap();
            client.send(Frame::pong(payload));
        }
        client.reset();
    });
    let app = run(peer.app());
    app.expect_open();
    let payloads = [(); 2].map(|()| {
        let round_trip = asking(&app.sender).join().unwrap();
        assert!((DELAY..PATIENCE).contains(&round_trip), "{round_trip:?}");
        let payload = told.recv().unwrap();
        app.expect(Call::Pong(payload.clone()));
        payload
    });
    assert_ne!(payloads[0], payloads[1], "who knows one knows the next");
    // The keepalive's have 8.
    assert_eq!(payloads.each_ref().map(Vec::len), [16; 2]);
    let stats = app.sender.stats();
    assert_eq!((stats.pings_sent, stats.pongs_received, stats.last_round_trip), (2, 2, None));
    end_lost(app);
}

/// Two threads ask at a time.
fn two_ask(answer: impl FnOnce(&mut Connection, [Vec<u8>; 2]) + Send + 'static) -> [bool; 2] {
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        let pings = [(); 2].map(|()| client.expect_ping());
        answer(&mut client, pings);
        client.reset();
    });
    let app = run(peer.app());
    app.expect_open();
    let answers = [(); 2].map(|()| asking(&app.sender)).map(Task::join);
    end_lost(app);
    let mut answered = answers.map(|answer| {
        assert!(answer.is_ok() || answer == GONE, "{answer:?}");
        answer.is_ok()
    });
    answered.sort();
    answered
}

#[test]
fn each_thread_gets_the_answer_to_its_own_ping() {
    let first = two_ask(|client, [first, _]| client.send(Frame::pong(first)));
    assert_eq!(first, [false, true]);
}

/// RFC 6455 §5.5.3.
#[test]
fn a_peer_need_only_answer_the_latest_ping() {
    let latest = two_ask(|client, [_, second]| client.send(Frame::pong(second)));
    assert_eq!(latest, [true; 2]);
}

#[test]
fn other_pongs_are_no_answer() {
    let none = two_ask(|client, [first, _]| {
        for payload in ["", "alive", &"x".repeat(16)] {
            client.send(Frame::pong(payload));
        }
        client.send(Frame::pong(&first[..15]));
    });
    assert_eq!(none, [false; 2]);
}

/// Of two in one read, that is the latest.
#[test]
fn the_answer_to_the_keepalives_later_ping_is_one() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        while client.expect_ping().len() != 16 {}
        loop {
            let frame = client.read_frame();
            if frame.opcode != PING {
                break;
            }
            assert_eq!(frame.payload.len(), 8, "one ping is enough");
            client.send(Frame::pong(frame.payload));
        }
        client.reset();
    });
    let app = run(peer.app().ping_interval(Duration::from_millis(20)));
    app.expect_open();
    let answered = asking(&app.sender).join();
    app.sender.send("answered").unwrap();
    end_lost(app);
    assert!(answered.is_ok(), "{answered:?}");
}

#[test]
fn no_answer_in_time_is_an_error_and_the_connection_stays() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        for _ in 0..2 {
            client.expect_ping();
        }
        client.expect_text("still here");
        client.reset();
    });
    let app = run(peer.app());
    app.expect_open();
    for after in [Duration::from_millis(30), Duration::ZERO] {
        assert_eq!(app.sender.ping_wait(after), late(after));
    }
    app.sender.send("still here").unwrap();
    end_lost(app);
}

#[test]
fn without_a_connection_it_is_an_error_at_once() {
    let nobody = Bystander::new();
    let app = WebSocketApp::new(format!("ws://{}/", nobody.addr()));
    assert_eq!(app.sender().ping_wait(HOUR), GONE);
    nobody.saw_nobody();

    // Though another comes right after it, and answers everything.
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_ping();
        client.reset();
        let mut client = listener.open();
        loop {
            let frame = client.read_frame();
            match frame.opcode {
                PING => client.send(Frame::pong(frame.payload)),
                _ => return client.send(Frame::close(1000, "")),
            }
        }
    });
    let app = run(peer.app().reconnect(Reconnect::fixed(Duration::from_millis(1))));
    app.expect_open();
    assert_eq!(asking(&app.sender).join(), GONE);
    app.failure();
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    assert!(asking(&app.sender).join().is_ok());
    assert!(matches!(app.next(), Call::Pong(_)));
    app.sender.close();
    assert!(app.close().clean);
    app.end_in_order();
}

#[test]
fn in_a_callback_it_is_an_error_at_once_and_nothing_is_sent() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("opened");
        client.reset();
    });
    let (tell, told) = crossbeam_channel::bounded(1);
    let app = run_with(peer.app(), move |ws, call| {
        if *call == Call::Open {
            tell.send(ws.ping_wait(HOUR))?;
            ws.send("opened")?;
        }
        Ok(())
    });
    app.expect_open();
    assert_eq!(told.recv_timeout(PATIENCE).expect("a callback never waits"), late(Duration::ZERO));
    end_lost(app);
}

/// While a callback of its app is busy another thread reads.
#[test]
fn a_slow_callback_does_not_hold_it_up() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("work"));
        let payload = client.expect_ping();
        client.send(Frame::pong(payload));
        client.answer_close();
    });
    let [begun, may_end] = [(); 2].map(|()| Gate::new());
    let (begins, ends) = (begun.clone(), may_end.clone());
    let app = run_with(peer.app(), move |_, call| {
        if *call == Call::text("work") {
            begins.open();
            ends.wait();
        }
        Ok(())
    });
    app.expect_open();
    app.expect_text("work");
    begun.wait();
    assert!(asking(&app.sender).join().is_ok());
    may_end.open();
    assert!(matches!(app.next(), Call::Pong(_)));
    app.sender.close();
    assert!(app.close().clean);
    app.end_in_order();
}

/// The ping waits for room with the messages, up to the same time.
#[test]
fn a_queue_that_is_full_is_told() {
    let peer = Peer::start(|listener| {
        let _client = listener.open_with_small_buffer();
        listener.wait_for_the_test();
    });
    let app = run(peer.app().max_send_buffer(1 << 16));
    app.expect_open();
    let after = Duration::from_millis(30);
    // A kernel that is full may take more a little later.
    let error = std::iter::repeat_with(|| {
        while app.sender.try_send([0; 1 << 10]).is_ok() {}
        // As long as the ping.
        while app.sender.try_send([0; 16]).is_ok() {}
        app.sender.ping_wait(after)
    });
    let full = Err(SendError::Timeout { message: None, after });
    assert!(error.take(100).any(|error| error == full));
    app.sender.abort();
    app.expect_close(crate::failure::unanswered());
    app.end_in_order();
}

#[test]
fn of_a_blocking_connection_the_thread_in_recv_sees_the_answer() {
    let [asked, may_close] = [(); 2].map(|()| Gate::new());
    let (is_asked, closes) = (asked.clone(), may_close.clone());
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for _ in 0..2 {
            let payload = client.expect_ping();
            client.send(Frame::pong(payload));
        }
        is_asked.wait();
        client.expect_ping();
        closes.wait();
        client.close(1000, "");
    });
    let mut ws = WebSocket::builder(peer.url()).tls(peer.tls()).connect().unwrap();
    let sender = ws.sender();
    // Nobody reads.
    let short = Duration::from_millis(30);
    assert_eq!(sender.ping_wait(short), late(short));
    let receiving = Task::start("recv", move || {
        ws.recv().expect_err("the peer closes");
        ws
    });
    assert!(asking(&sender).join().is_ok());
    asked.open();
    let waits = asking(&sender);
    may_close.open();
    let ws = receiving.join();
    assert_eq!(waits.join(), GONE);

    // Nor does anybody see that it is cut off.
    drop(ws);
    let sent = Gate::new();
    let is_sent = sent.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.expect_ping();
        sent.open();
        client.stay_silent();
    });
    let ws = WebSocket::builder(peer.url()).tls(peer.tls()).connect().unwrap();
    let (sender, waits) = (ws.sender(), asking(&ws.sender()));
    is_sent.wait();
    sender.abort();
    assert_eq!(waits.join(), GONE);
    within("the client", move || drop(ws));
}
