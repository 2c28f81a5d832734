//! What only a `Handler` has: a timer that is a method, and that it comes back from the run.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender as Channel, bounded};
use websocket_app::{
    CallbackError, ClosedBy, Error, EventLoop, Handler, Message, ReturnedHandler, Sender,
    WebSocketApp,
};

use crate::failure::{Failure, clean, ending};
use crate::frame::Frame;
use crate::peer::{Bystander, Peer};
use crate::watchdog::{PATIENCE, within};

/// Counts, without a lock.
#[derive(Debug, Default, PartialEq)]
struct Counter {
    messages: u32,
    ticks: u32,
    period: Option<Duration>,
}

impl Handler for Counter {
    fn on_message(&mut self, _ws: &Sender, message: Message<'_>) -> Result<(), CallbackError> {
        self.messages += 1;
        assert_ne!(message, "panic", "the peer wants it");
        Ok(())
    }

    fn on_timer(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.ticks += 1;
        match self.ticks {
            1..=3 => ws.send(format!("tick {}", self.ticks))?,
            _ => ws.close(),
        }
        Ok(())
    }

    fn every(&self) -> Option<Duration> {
        self.period
    }
}

/// Sends two messages and closes.
fn two_messages() -> Peer {
    Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("one"));
        client.send(Frame::text("two"));
        client.close(1000, "");
    })
}

#[test]
fn its_timer_is_called_beside_the_others() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        let mut frames: Vec<_> = (0..4).map(|_| client.read_frame()).collect();
        // The other's comes in between, whenever that is.
        let other = frames.iter().position(|frame| *frame == Frame::text("another"));
        frames.remove(other.expect("it is called too"));
        assert_eq!(frames, ["tick 1", "tick 2", "tick 3"].map(Frame::text));
        // Nothing is sent once closing has begun, though many periods go by.
        client.expect(Frame::close(1000, ""));
        client.is_silent_for(Duration::from_millis(100));
        client.send(Frame::close(1000, ""));
    });
    let period = Duration::from_millis(5);
    let counter = Counter { period: Some(period), ..Counter::default() };
    let mut once = Some("another");
    let app = WebSocketApp::with_handler(peer.url(), counter)
        .every(period / 5, move |ws| once.take().map_or(Ok(()), |text| ws.send(text)));
    let (result, counter) = within("the app", || app.run_handler());
    assert_eq!(ending(&result.unwrap()), clean(ClosedBy::Us, 1000, ""));
    assert_eq!(counter.ticks, 4);
}

#[test]
fn a_timer_that_is_wrong_is_the_error_of_the_run() {
    struct Panics;
    impl Handler for Panics {
        fn every(&self) -> Option<Duration> {
            panic!("undecided")
        }
    }
    let nobody = Bystander::new();
    let url = format!("ws://{}/", nobody.addr());
    let never = Counter { period: Some(Duration::ZERO), ..Counter::default() };
    let (result, _) = WebSocketApp::with_handler(&url, never).run_handler();
    let Err(Error::Invalid(invalid)) = result else { panic!("{result:?}") };
    assert_eq!(invalid.what, "every(0s)");
    let (result, Panics) = WebSocketApp::with_handler(&url, Panics).run_handler();
    assert!(matches!(result, Err(Error::Panicked(_))), "{result:?}");
    nobody.saw_nobody();
}

#[test]
fn it_comes_back_from_the_run() {
    let peer = two_messages();
    let app = WebSocketApp::with_handler(peer.url(), Counter::default());
    let (result, counter) = within("the app", || app.run_handler());
    assert_eq!(ending(&result.unwrap()), clean(ClosedBy::Peer, 1000, ""));
    assert_eq!(counter.messages, 2);
}

#[test]
fn it_comes_back_after_a_panic_and_from_a_run_that_was_none() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("one"));
        client.send(Frame::text("panic"));
        client.send(Frame::text("not handed out"));
        assert_eq!(client.expect_close_code(), 1011);
        client.send(Frame::close(1011, ""));
    });
    let app = WebSocketApp::with_handler(peer.url(), Counter::default());
    let (result, counter) = within("the app", || app.run_handler());
    assert!(matches!(result, Err(Error::Panicked(_))), "{result:?}");
    assert_eq!(counter.messages, 2);

    let counter = Counter { messages: 7, ..Counter::default() };
    let app = WebSocketApp::with_handler("http://no.websocket.example/", counter);
    let (result, counter) = within("the app", || app.run_handler());
    assert!(matches!(result.map_err(Failure::from), Err(Failure::Invalid(..))));
    assert_eq!(counter.messages, 7);

    let app = WebSocketApp::with_handler("ws://never.example/", counter);
    let (app, returned) = app.return_handler();
    drop(app);
    assert_eq!(within("join", || returned.join()).unwrap().messages, 7);
}

#[test]
fn it_comes_back_from_another_thread() {
    let event_loop = EventLoop::new().unwrap();
    for spawned in [true, false] {
        let peer = two_messages();
        let (app, counter) =
            WebSocketApp::with_handler(peer.url(), Counter::default()).return_handler();
        let app = if spawned { app.spawn() } else { event_loop.add(app) }.unwrap();
        let close = within("join", || app.join()).unwrap();
        assert_eq!(ending(&close), clean(ClosedBy::Peer, 1000, ""));
        assert_eq!(within("join", || counter.join()).unwrap().messages, 2);
    }
    within("the event loop", || event_loop.join()).unwrap();
}

/// Waits for itself, when it gets what it takes for that, and tells what came of it.
struct Waits {
    itself: Receiver<ReturnedHandler<Waits>>,
    told: Channel<Option<String>>,
}

impl Handler for Waits {
    fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        let itself = self.itself.recv_timeout(PATIENCE)?;
        self.told.send(itself.join().err().map(|error| error.to_string()))?;
        ws.close();
        Ok(())
    }
}

#[test]
fn waiting_for_it_in_its_own_callback_is_an_error() {
    let peer = Peer::start(|listener| listener.open().answer_close());
    let ((to_callback, itself), (told, result)) = (bounded(1), bounded(1));
    let app = WebSocketApp::with_handler(peer.url(), Waits { itself, told });
    let (app, returned) = app.return_handler();
    let app = app.spawn().unwrap();
    to_callback.send(returned).unwrap();
    assert_eq!(
        result.recv_timeout(PATIENCE).expect("it comes back").as_deref(),
        Some("a callback cannot wait for the end of its own app: do that on another thread")
    );
    let close = within("join", || app.join()).unwrap();
    assert_eq!(ending(&close), clean(ClosedBy::Us, 1000, ""));
}
