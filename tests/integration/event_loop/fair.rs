//! Fair under load: a connection or a sender that never pauses does not starve the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::{AppHandle, EventLoop, Message, Phase, Sender, SocketOptions, State};

use super::{close_timed, next_but_ticks};
use crate::failure::{Failure, lost};
use crate::frame::Frame;
use crate::many::{Added, add, add_with_timer, echo_peer, join};
use crate::peer::Peer;
use crate::recorder::{Call, only_record};
use crate::watchdog::{Task, wait_until, within};

#[test]
fn a_flood_on_one_connection_starves_neither_the_messages_nor_the_timers_of_99_others() {
    const OTHERS: usize = 99;
    let event_loop = EventLoop::new().unwrap();
    let flood = Flood::start(&event_loop);
    let echo = echo_peer(OTHERS);
    let add_one =
        |_| add_with_timer(&event_loop, echo.app(), Duration::from_millis(100), only_record());
    let others: Vec<Added> = (0..OTHERS).map(add_one).collect();
    others.iter().for_each(|app| app.expect_open());
    for round in 0..10 {
        others.iter().for_each(|app| app.sender.send(round.to_string()).unwrap());
        others
            .iter()
            .for_each(|app| assert_eq!(next_but_ticks(app), Call::text(&round.to_string())));
    }
    others.iter().for_each(|app| app.expect(Call::Timer));
    // All at once, and not one after the other while their peers wait.
    others.iter().for_each(|app| app.sender.close());
    others.into_iter().for_each(close_timed);
    flood.stop();
    join(event_loop);
}

#[test]
fn a_flood_does_not_hide_that_another_peer_is_dead() {
    const TIMEOUT: Duration = Duration::from_millis(100);
    let event_loop = EventLoop::new().unwrap();
    let flood = Flood::start(&event_loop);
    let peer = Peer::start(|listener| listener.open().stay_silent());
    let app = add(&event_loop, peer.app().ping_interval(TIMEOUT).ping_timeout(TIMEOUT));
    app.expect_open();
    app.expect_failure(Failure::Timeout(Phase::Open, TIMEOUT));
    app.expect_close(lost());
    assert!(app.end().is_err());
    flood.stop();
    join(event_loop);
}

/// What a thread sends without a pause is written by the loop, which has other things to do as
/// well.
#[test]
fn a_stream_of_sends_does_not_starve_messages_and_timers() {
    let event_loop = EventLoop::new().unwrap();
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.skip_to_close();
        client.send(Frame::close(1000, ""));
    });
    let sending = add(&event_loop, peer.app());
    sending.expect_open();
    let is_enough = Arc::new(AtomicBool::new(false));
    let (stop, ws) = (Arc::clone(&is_enough), sending.sender.clone());
    let stream = Task::start("sending", move || {
        while !stop.load(Ordering::SeqCst) {
            ws.send("again").unwrap();
        }
    });
    let echo = echo_peer(1);
    let timed = add_with_timer(&event_loop, echo.app(), Duration::from_millis(20), only_record());
    timed.expect_open();
    (0..5).for_each(|_| timed.expect(Call::Timer));
    for i in 0..20 {
        timed.sender.send(i.to_string()).unwrap();
        assert_eq!(next_but_ticks(&timed), Call::text(&i.to_string()));
    }
    is_enough.store(true, Ordering::SeqCst);
    stream.join();
    close_timed(timed);
    sending.close();
    join(event_loop);
}

/// A connection on which there is always more to read.
/// More than one poll has events: it is always full.
#[test]
fn timers_go_on_though_more_connections_are_busy_than_a_poll_takes() {
    const CONNECTIONS: usize = 300;
    let done = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&done);
    let peer = Peer::start(move |listener| {
        let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| listener.open()).collect();
        let frame = Frame::binary([7; 1000]).encode();
        while !over.load(Ordering::SeqCst) {
            // A client that has been dropped is no longer of interest.
            clients.iter_mut().for_each(|client| drop(client.try_write(&frame)));
        }
    });
    let event_loop = EventLoop::new().unwrap();
    let ticks = Arc::new(AtomicUsize::new(0));
    let app = || {
        let ticks = Arc::clone(&ticks);
        // Little waits for each, so that the turn comes round soon.
        let little = SocketOptions::new().receive_buffer_size(4096);
        let app = peer.app().socket_options(little).on_message(|_, _| {
            // Slower than the peer, so that all have something to read all the time.
            let began = Instant::now();
            while began.elapsed() < Duration::from_micros(10) {}
        });
        let every = Duration::from_millis(50);
        let tick = move |_: &Sender| {
            ticks.fetch_add(1, Ordering::SeqCst);
        };
        event_loop.add(app.every(every, tick)).unwrap()
    };
    let apps: Vec<AppHandle> = (0..CONNECTIONS).map(|_| app()).collect();
    wait_until("all are open", || apps.iter().all(|app| app.sender().state() == State::Open));
    for _ in 0..3 {
        let before = ticks.load(Ordering::SeqCst);
        wait_until("all have ticked", || ticks.load(Ordering::SeqCst) > before + CONNECTIONS);
    }
    apps.iter().for_each(|app| app.sender().abort());
    apps.into_iter().for_each(|app| drop(within("the run", || app.join())));
    done.store(true, Ordering::SeqCst);
    join(event_loop);
}

struct Flood {
    handle: AppHandle,
    messages: Arc<AtomicUsize>,
    _peer: Peer,
}

impl Flood {
    fn start(event_loop: &EventLoop) -> Self {
        let peer = Peer::start(|listener| {
            let mut client = listener.open();
            let many = Frame::text("flood").encode().repeat(10_000);
            // Until the client hangs up.
            while client.try_write(&many).is_ok() {}
        });
        let messages = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&messages);
        let app = peer.app().on_message(move |_, message| {
            assert!(message == Message::Text("flood"));
            // A little work, so that the peer is the quicker one and the socket never empty.
            if counter.fetch_add(1, Ordering::SeqCst).is_multiple_of(5000) {
                thread::sleep(Duration::from_millis(1));
            }
        });
        let handle = event_loop.add(app).unwrap();
        wait_until("the flood has begun", || messages.load(Ordering::SeqCst) > 50_000);
        Flood { handle, messages, _peer: peer }
    }

    /// Ends it, which must still have been going on.
    fn stop(self) {
        let before = self.messages.load(Ordering::SeqCst);
        wait_until("the flood goes on", || self.messages.load(Ordering::SeqCst) > before);
        self.handle.sender().abort();
        within("the flood's end", move || self.handle.join()).unwrap();
    }
}
