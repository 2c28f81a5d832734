//! A loop that fails, which no callback can make it do. Here the program's logger panics on the
//! loop's thread. No callback is called any more, but nobody waits for ever: `join` says why,
//! senders are told, and no app can be added.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use websocket_app::{Error, EventLoop, Reconnect, SendError, State, WebSocketApp};

use crate::connection::Connection;
use crate::failure::Failure;
use crate::faults::census::{self, Census};
use crate::frame::Frame;
use crate::many::{Added, add, add_with};
use crate::peer::{FullBacklog, Peer, RefusedPort};
use crate::recorder::Call;
use crate::running::run;
use crate::watchdog::{Gate, Task, wait_until, within};

const HOUR: Duration = Duration::from_secs(3600);

/// The close code at which the logger panics, once.
const FATAL: u16 = 4999;

struct Panics(AtomicBool);

static LOGGER: Panics = Panics(AtomicBool::new(false));

impl Log for Panics {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let is_fatal = record.args().to_string().contains(&format!("received Close {FATAL}"));
        assert!(!is_fatal || self.0.swap(true, Ordering::SeqCst), "the logger");
    }

    fn flush(&self) {}
}

/// In a process of its own, which has that logger.
fn alone(test: &str, work: impl FnOnce()) {
    census::alone(&format!("event_loop::failing::{test}"), |census: &mut Census| {
        log::set_logger(&LOGGER).expect("there is no other logger");
        log::set_max_level(LevelFilter::Debug);
        work();
        census.nothing_is_left("the loop");
    });
}

/// A server whose Close, sent when the gate opens, makes the loop fail.
fn fatal_peer(gate: &Gate) -> Peer {
    let now = gate.clone();
    Peer::start(move |listener| {
        let mut client = listener.open();
        now.wait();
        client.send(Frame::close(FATAL, ""));
        Connection::stay_silent(client);
    })
}

#[test]
fn whoever_joins_is_told_and_none_can_be_added() {
    alone("whoever_joins_is_told_and_none_can_be_added", || {
        let event_loop = EventLoop::new().unwrap();
        let (gate, refused, silent) = (Gate::new(), RefusedPort::new(), FullBacklog::new());
        let (fatal, peer) = (fatal_peer(&gate), silent_peer());
        let met = add(&event_loop, fatal.app());
        met.expect_open();
        let open = add(&event_loop, peer.app());
        open.expect_open();
        let waiting =
            add(&event_loop, WebSocketApp::new(refused.url()).reconnect(Reconnect::fixed(HOUR)));
        waiting.failed_attempt(1);
        let app = WebSocketApp::new(silent.url())
            .connect_timeout(HOUR)
            .queue_while_disconnected(100, HOUR);
        let connecting = add(&event_loop, app);
        connecting.sender.send("kept").unwrap();
        wait_until("it connects", || connecting.sender.state() == State::Connecting);

        gate.open();
        [met, open, waiting, connecting].into_iter().for_each(is_over);

        let late = WebSocketApp::new(refused.url());
        let sender = late.sender();
        assert!(matches!(event_loop.add(late), Err(Error::Panicked(_))));
        assert_eq!(sender.state(), State::Closed);
        assert!(matches!(within("the loop", || event_loop.join()), Err(Error::Panicked(_))));
    });
}

#[test]
fn while_a_callback_is_slow_whoever_joins_is_told_at_once() {
    alone("while_a_callback_is_slow_whoever_joins_is_told_at_once", || {
        let event_loop = EventLoop::new().unwrap();
        let (gate, begun, may_end) = (Gate::new(), Gate::new(), Gate::new());
        let (fatal, peer) = (fatal_peer(&gate), silent_peer());
        let busy = Peer::start(|listener| {
            let mut client = listener.open();
            client.send(Frame::text("work"));
            client.stay_silent();
        });
        let (is_busy, ends) = (begun.clone(), may_end.clone());
        let slow = add_with(&event_loop, busy.app(), move |_, call| {
            if *call == Call::text("work") {
                begun.open();
                ends.wait();
            }
            Ok(())
        });
        slow.expect_open();
        slow.expect_text("work");
        is_busy.wait();
        let others = [add(&event_loop, fatal.app()), add(&event_loop, peer.app())];
        others.iter().for_each(|app| app.expect_open());
        gate.open();
        others.into_iter().for_each(is_over);
        assert_eq!(slow.sender.state(), State::Closed);
        assert_eq!(slow.sender.send("x"), Err(SendError::NotConnected { message: None }));
        is_over(slow);
        may_end.open();
        assert!(matches!(within("the loop", || event_loop.join()), Err(Error::Panicked(_))));
    });
}

#[test]
fn run_forever_returns_it() {
    alone("run_forever_returns_it", || {
        let gate = Gate::new();
        let peer = fatal_peer(&gate);
        let app = run(peer.app().reconnect(Reconnect::fixed(HOUR)));
        app.expect_open();
        gate.open();
        assert_eq!(app.end(), Err(the_logger()));
    });
}

#[test]
fn a_thread_that_waits_for_room_is_told() {
    alone("a_thread_that_waits_for_room_is_told", || {
        let event_loop = EventLoop::new().unwrap();
        let gate = Gate::new();
        let (fatal, peer) = (fatal_peer(&gate), silent_peer());
        let full = add(&event_loop, peer.app().max_send_buffer(1 << 16).send_timeout(HOUR));
        full.expect_open();
        while full.sender.try_send([0; 1 << 14]).is_ok() {}
        let ws = full.sender.clone();
        let waits = Task::start("a thread that waits", move || {
            std::iter::repeat_with(|| ws.send([0; 1 << 14])).find_map(Result::err)
        });
        let met = add(&event_loop, fatal.app());
        met.expect_open();
        gate.open();
        assert!(
            matches!(waits.join(), Some(SendError::NotConnected { .. })),
            "it waits for another reason"
        );
        [met, full].into_iter().for_each(is_over);
        assert!(within("the loop", || event_loop.join()).is_err());
    });
}

fn silent_peer() -> Peer {
    Peer::start(|listener| {
        let _client = listener.open();
        listener.wait_for_the_test();
    })
}

fn the_logger() -> Failure {
    Failure::Panicked("the logger".into())
}

/// Nothing more was called, and whoever joins is told.
fn is_over(app: Added) {
    let sender = app.sender.clone();
    assert_eq!(app.end(), Err(the_logger()));
    assert_eq!(sender.state(), State::Closed);
}
