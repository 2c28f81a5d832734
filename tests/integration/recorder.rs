//! A recorder of callbacks that must end exhausted: every call is looked at, in order, or the test
//! fails.
//!
//! It also fails a test in which two callbacks of an app run at the same time, whatever the test is
//! about, and on the test's own thread: the library catches what panics in a callback.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use websocket_app::{
    CallbackError, Close, Error, Fragment, Handler, Message, OwnedMessage, Sender, WebSocketApp,
};

use crate::failure::{Ending, Failure, ending};
use crate::watchdog::PATIENCE;

/// A callback that was called, with what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Call {
    Open,
    Reconnect,
    Message(OwnedMessage),
    Fragment { data: OwnedMessage, first: bool, last: bool },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Error(Failure),
    Close(Close),
    Timer,
}

impl Call {
    pub(crate) fn text(text: &str) -> Self {
        Call::Message(OwnedMessage::Text(text.to_owned()))
    }
}

/// What callbacks do after they are recorded. It may send, close, fail, panic, block. What it is
/// given first is what the callbacks are: an app's `Sender`, a server's `Client`.
pub(crate) type Hook<W = Sender> = Box<dyn FnMut(&W, &Call) -> Result<(), CallbackError> + Send>;

/// A hook that does nothing.
pub(crate) fn only_record() -> Hook {
    Box::new(|_, _| Ok(()))
}

/// Sets every callback but `on_fragment`, which would take the messages away.
pub(crate) fn record(app: WebSocketApp, hook: Hook) -> (WebSocketApp, Recorder) {
    let (tape, recorder) = tape(hook);
    (attach(app, &tape), recorder)
}

/// Sets every callback, so that messages come in fragments.
pub(crate) fn record_fragments(app: WebSocketApp, hook: Hook) -> (WebSocketApp, Recorder) {
    let (tape, recorder) = tape(hook);
    let app = attach(app, &tape);
    (app.on_fragment(move |ws, fragment| tape.call(ws, call_of(fragment))), recorder)
}

/// Sets every callback but `on_fragment`, and a timer.
pub(crate) fn record_timer(
    app: WebSocketApp,
    period: Duration,
    hook: Hook,
) -> (WebSocketApp, Recorder) {
    let (tape, recorder) = tape(hook);
    let app = attach(app, &tape);
    (app.every(period, move |ws| tape.call(ws, Call::Timer)), recorder)
}

/// The same as a [`Handler`].
pub(crate) fn handler(wants_fragments: bool, hook: Hook) -> (RecordingHandler, Recorder) {
    let (tape, recorder) = tape(hook);
    (RecordingHandler { tape, wants_fragments }, recorder)
}

/// Where the calls arrive.
pub(crate) struct Recorder {
    calls: Receiver<Call>,
    overlapped: Arc<AtomicBool>,
    last_failure: RefCell<Option<Failure>>,
    last_close: RefCell<Option<Close>>,
}

impl Recorder {
    /// Waits for the next call.
    pub(crate) fn next(&self) -> Call {
        let call = match self.calls.recv_timeout(PATIENCE) {
            Ok(call) => call,
            Err(RecvTimeoutError::Timeout) => panic!("no callback was called within {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => {
                panic!("a callback was expected, the run is over")
            }
        };
        self.fail_if_any_overlapped();
        match &call {
            Call::Error(failure) => *self.last_failure.borrow_mut() = Some(failure.clone()),
            Call::Close(close) => *self.last_close.borrow_mut() = Some(close.clone()),
            _ => {}
        }
        call
    }

    /// Returns whether there is no call now that was not looked at.
    #[cfg(feature = "server")]
    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(crate) fn expect(&self, expected: Call) {
        let call = self.next();
        assert!(call == expected, "expected {}, it was {}", brief(&expected), brief(&call));
    }

    pub(crate) fn expect_open(&self) {
        self.expect(Call::Open);
    }

    pub(crate) fn expect_text(&self, text: &str) {
        self.expect(Call::text(text));
    }

    pub(crate) fn expect_binary(&self, data: &[u8]) {
        self.expect(Call::Message(OwnedMessage::Binary(data.to_vec())));
    }

    /// Waits for `on_error` and gives what it was called with.
    pub(crate) fn failure(&self) -> Failure {
        match self.next() {
            Call::Error(failure) => failure,
            call => panic!("expected an error, it was {}", brief(&call)),
        }
    }

    pub(crate) fn expect_failure(&self, expected: Failure) {
        assert_eq!(self.failure(), expected);
    }

    /// Waits for `on_close`, which must be the last of the run.
    pub(crate) fn expect_close(&self, expected: Ending) {
        match self.next() {
            Call::Close(close) => {
                assert_eq!(ending(&close), expected);
                assert_eq!(
                    (close.reconnect_in, close.attempt),
                    (None, 0),
                    "nothing comes after the last close"
                );
            }
            call => panic!("expected {expected:?}, it was {}", brief(&call)),
        }
    }

    /// Waits for `on_close` and gives what it was called with.
    pub(crate) fn close(&self) -> Close {
        match self.next() {
            Call::Close(close) => close,
            call => panic!("expected a close, it was {}", brief(&call)),
        }
    }

    /// Waits for the `on_close` of a connection that will be made again; gives when, and as which
    /// attempt.
    pub(crate) fn expect_close_for_now(&self, expected: Ending) -> (Duration, u32) {
        let close = self.close();
        assert_eq!(ending(&close), expected);
        (close.reconnect_in.expect("the app connects again"), close.attempt)
    }

    /// Waits for the `on_error` of this failed attempt; gives when the next one is, and why this
    /// one failed.
    pub(crate) fn failed_attempt(&self, expected: u32) -> (Option<Duration>, Failure) {
        match self.failure() {
            Failure::Attempt(attempt, retry_in, why) if attempt == expected => (retry_in, *why),
            failure => panic!("expected attempt {expected} to fail, it was {failure:?}"),
        }
    }

    pub(crate) fn expect_reconnect(&self) {
        self.expect(Call::Reconnect);
    }

    /// What the last `on_error` and the last `on_close` that were looked at had.
    pub(crate) fn last(&self) -> (Option<Failure>, Option<Close>) {
        (self.last_failure.borrow().clone(), self.last_close.borrow().clone())
    }

    /// Fails if there is a call that nobody looked at, or one could still come: the run must have
    /// dropped its callbacks.
    pub(crate) fn finish(self) {
        drop(self);
    }

    fn fail_if_any_overlapped(&self) {
        assert!(
            !self.overlapped.load(Ordering::SeqCst),
            "two callbacks of an app ran at the same time"
        );
    }

    fn check(&self) {
        let next = self.calls.recv_timeout(PATIENCE);
        self.fail_if_any_overlapped();
        match next {
            Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => {
                panic!("the run is over and its callbacks are not dropped")
            }
            Ok(call) => panic!("nobody looked at {}", brief(&call)),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.check();
        }
    }
}

pub(crate) struct RecordingHandler {
    tape: Arc<Tape>,
    wants_fragments: bool,
}

impl Handler for RecordingHandler {
    fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.tape.call(ws, Call::Open)
    }

    fn on_message(&mut self, ws: &Sender, message: Message<'_>) -> Result<(), CallbackError> {
        self.tape.call(ws, Call::Message(message.into_owned()))
    }

    fn on_fragment(&mut self, ws: &Sender, fragment: Fragment<'_>) -> Result<(), CallbackError> {
        self.tape.call(ws, call_of(fragment))
    }

    fn on_ping(&mut self, ws: &Sender, payload: &[u8]) -> Result<(), CallbackError> {
        self.tape.call(ws, Call::Ping(payload.to_vec()))
    }

    fn on_pong(&mut self, ws: &Sender, payload: &[u8]) -> Result<(), CallbackError> {
        self.tape.call(ws, Call::Pong(payload.to_vec()))
    }

    fn on_error(&mut self, ws: &Sender, error: &Error) -> Result<(), CallbackError> {
        self.tape.call(ws, Call::Error(error.into()))
    }

    fn on_close(&mut self, ws: &Sender, close: &Close) -> Result<(), CallbackError> {
        self.tape.call(ws, Call::Close(close.clone()))
    }

    fn wants_fragments(&self) -> bool {
        self.wants_fragments
    }
}

/// What the callbacks of one app, or of one client of a server, share.
pub(crate) struct Tape<W = Sender> {
    calls: crossbeam_channel::Sender<Call>,
    hook: Mutex<Hook<W>>,
    busy: AtomicBool,
    /// One was called while another was running. Set before its call is sent, so that whoever sees
    /// that sees this.
    overlapped: Arc<AtomicBool>,
}

impl<W> Tape<W> {
    pub(crate) fn call(&self, ws: &W, call: Call) -> Result<(), CallbackError> {
        struct Busy<'a>(&'a AtomicBool);
        impl Drop for Busy<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::SeqCst);
            }
        }
        if self.busy.swap(true, Ordering::SeqCst) {
            self.overlapped.store(true, Ordering::SeqCst);
        }
        let _busy = Busy(&self.busy);
        // The test may have failed already, and its recorder be gone.
        let _not_looked_at = self.calls.send(call.clone());
        (self.hook.lock().unwrap_or_else(PoisonError::into_inner))(ws, &call)
    }
}

pub(crate) fn tape<W>(hook: Hook<W>) -> (Arc<Tape<W>>, Recorder) {
    let ((sender, calls), overlapped) = (unbounded(), Arc::<AtomicBool>::default());
    let tape =
        Tape { calls: sender, hook: Mutex::new(hook), busy: AtomicBool::new(false), overlapped };
    let overlapped = Arc::clone(&tape.overlapped);
    (
        Arc::new(tape),
        Recorder {
            calls,
            overlapped,
            last_failure: RefCell::default(),
            last_close: RefCell::default(),
        },
    )
}

fn attach(app: WebSocketApp, tape: &Arc<Tape>) -> WebSocketApp {
    let [open, reconnect, message, ping, pong, error, close] = [(); 7].map(|()| Arc::clone(tape));
    app.on_open(move |ws| open.call(ws, Call::Open))
        .on_reconnect(move |ws| reconnect.call(ws, Call::Reconnect))
        .on_message(move |ws, data| message.call(ws, Call::Message(data.into_owned())))
        .on_ping(move |ws, payload| ping.call(ws, Call::Ping(payload.to_vec())))
        .on_pong(move |ws, payload| pong.call(ws, Call::Pong(payload.to_vec())))
        .on_error(move |ws, what| error.call(ws, Call::Error(what.into())))
        .on_close(move |ws, how| close.call(ws, Call::Close(how.clone())))
}

pub(crate) fn call_of(fragment: Fragment<'_>) -> Call {
    Call::Fragment { data: fragment.data.into_owned(), first: fragment.first, last: fragment.last }
}

/// A call as far as it helps: a message may have 16 MiB.
fn brief(call: &impl Debug) -> String {
    format!("{call:?}").chars().take(300).collect()
}

/// The recorder itself: what the library is not to do is done to it here.
mod tests {
    use std::thread;

    use super::*;
    use crate::watchdog::{Gate, wait_until};

    /// Two threads call back, the second while the first is still at it. The first call has been
    /// looked at.
    fn two_at_a_time() -> Recorder {
        let (begun, may_end) = (Gate::new(), Gate::new());
        let (begins, ends) = (begun.clone(), may_end.clone());
        let (tape, recorder) = tape(Box::new(move |_, _| {
            begins.open();
            ends.wait();
            Ok(())
        }));
        let ws = WebSocketApp::new("ws://nobody.example/").sender();
        thread::scope(|scope| {
            scope.spawn(|| tape.call(&ws, Call::Open));
            begun.wait();
            recorder.expect_open();
            scope.spawn(|| tape.call(&ws, Call::text("the second")));
            wait_until("the second has come", || !recorder.calls.is_empty());
            may_end.open();
        });
        recorder
    }

    #[test]
    #[should_panic(expected = "two callbacks of an app ran at the same time")]
    fn two_callbacks_at_a_time_fail_the_next_look() {
        two_at_a_time().next();
    }

    #[test]
    #[should_panic(expected = "two callbacks of an app ran at the same time")]
    fn two_callbacks_at_a_time_fail_the_end_too() {
        two_at_a_time().finish();
    }
}
