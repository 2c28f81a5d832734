//! One app's life on the event loop: connecting, open, closing, over. Every callback of the app is called from here.
//!
//! ```text
//!   start ──► Connecting ──► Open ──► Over
//!      │           │                   ▲
//!      └───────────┴───────────────────┘   close(), or an error
//! ```
//!
//! Belongs to the thread that runs the loop; other threads reach it through `Outbound` and the doorbell.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use mio::{Interest, Registry, Token};

use super::dispatch::{Dispatcher, Stopped};
use crate::close::{Close, ClosedBy, close_code};
use crate::config::Config;
use crate::connect::{Cancel, Connected, Failure, Target, connect};
use crate::connection::{Doorbell, Outbound, Reader, Receiver, Sender, State, Step};
use crate::error::Error;
use crate::protocol::End;

pub(crate) struct Session {
    token: Token,
    doorbell: Arc<Doorbell>,
    target: Arc<Target>,
    config: Config,
    outbound: Arc<Outbound>,
    dispatcher: Dispatcher,
    phase: Phase,
    /// What ended the connection, once `on_error` has been told.
    failure: Option<Error>,
    /// Whether the loop has it on its list of those to read.
    pub(crate) is_queued: bool,
}

enum Phase {
    /// A thread of its own is at it; it leaves what came of it in the attempt, and rings.
    Connecting(Attempt),
    Open(Box<Receiver>),
    Over(Result<Close, Error>),
}

struct Attempt {
    cancel: Cancel,
    outcome: Arc<Mutex<Option<Result<Connected, Failure>>>>,
}

impl Session {
    /// Begins the run. When it is over at once, [`is_over`](Self::is_over) says so.
    pub(crate) fn start(
        token: Token,
        doorbell: &Arc<Doorbell>,
        target: Target,
        config: Config,
        sender: &Sender,
        dispatcher: Dispatcher,
    ) -> Self {
        let mut session = Session {
            token,
            doorbell: Arc::clone(doorbell),
            target: Arc::new(target),
            config,
            outbound: Arc::clone(sender.outbound()),
            dispatcher,
            // Only until `dial` says otherwise.
            phase: Phase::Over(Ok(Close::without_frame(ClosedBy::Us))),
            failure: None,
            is_queued: false,
        };
        session.outbound.attach(doorbell, token);
        session.dial();
        session
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    /// How the run ended; only when it is over.
    pub(crate) fn into_result(self) -> Option<Result<Close, Error>> {
        match self.phase {
            Phase::Over(result) => Some(result),
            _ => None,
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let Phase::Open(receiver) = &self.phase else { return None };
        let periodic = self.dispatcher.next_periodic();
        match (receiver.next_deadline(), periodic) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The doorbell rang: a thread wants something, or the attempt to connect has come to its end. Returns whether to come
    /// back soon for a stream of messages that is being sent.
    pub(crate) fn on_ring(&mut self, registry: &Registry) -> bool {
        if let Phase::Connecting(attempt) = &self.phase {
            let outcome = attempt.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(outcome) = outcome {
                self.attempted(outcome, registry);
            }
        }
        let note = self.outbound.take_note();
        match &mut self.phase {
            Phase::Connecting(attempt) if note.close => {
                attempt.cancel.cancel();
                self.over(None, Close::without_frame(ClosedBy::Us));
                false
            }
            Phase::Open(receiver) => {
                if let Some(Step::Over(error)) = receiver.on_note(note, Instant::now()) {
                    self.ended(error);
                    return false;
                }
                self.outbound.on_flush_asked()
            }
            _ => false,
        }
    }

    pub(crate) fn on_writable(&self) {
        self.outbound.on_writable();
    }

    pub(crate) fn on_hang_up(&mut self) {
        if let Phase::Open(receiver) = &mut self.phase {
            receiver.on_hang_up();
        }
    }

    /// Reads once and hands out what came. Returns whether there may be more.
    pub(crate) fn on_readable(&mut self, reader: &mut Reader) -> bool {
        let Phase::Open(receiver) = &mut self.phase else { return false };
        match receiver.receive(reader) {
            Step::Received { more } => {
                let handed_out = self.dispatcher.batch(reader, receiver);
                self.after(handed_out);
                if let Some(end) = reader.batch.end.take() {
                    self.violation(end);
                }
                more
            }
            Step::Empty => false,
            Step::Over(error) => {
                self.ended(error);
                false
            }
        }
    }

    pub(crate) fn on_deadline(&mut self, now: Instant) {
        let Phase::Open(receiver) = &mut self.phase else { return };
        if let Some(Step::Over(error)) = receiver.on_deadline(now) {
            self.ended(error);
            return;
        }
        let called = self.dispatcher.run_periodic(now);
        self.after(called);
    }

    /// Starts an attempt to connect on a thread of its own.
    fn dial(&mut self) {
        let attempt = Attempt { cancel: Cancel::new(), outcome: Arc::default() };
        if !self.outbound.connecting(&attempt.cancel) {
            self.over(None, Close::without_frame(ClosedBy::Us));
            return;
        }
        let (target, timeout) = (Arc::clone(&self.target), self.config.connect_timeout);
        let (cancel, outcome) = (attempt.cancel.clone(), Arc::clone(&attempt.outcome));
        let (doorbell, token) = (Arc::clone(&self.doorbell), self.token);
        let thread = thread::Builder::new().name("websocket-connect".into()).spawn(move || {
            let connected = connect(&target, timeout, &cancel);
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(connected);
            doorbell.ring(token);
        });
        match thread {
            Ok(_) => self.phase = Phase::Connecting(attempt),
            Err(source) => self.attempt_failed(Error::system("a thread to connect on", source)),
        }
    }

    fn attempted(&mut self, outcome: Result<Connected, Failure>, registry: &Registry) {
        match outcome {
            Ok(connected) => {
                if let Err(source) = self.opened(connected, registry) {
                    self.attempt_failed(Error::system("a place in the event loop", source));
                }
            }
            Err(Failure::Error(error)) => self.attempt_failed(error),
            // Somebody closed; the note says so.
            Err(Failure::Cancelled) => {}
        }
    }

    fn opened(&mut self, connected: Connected, registry: &Registry) -> io::Result<()> {
        let Connected { mut stream, leftover, handshake } = connected;
        stream.register(registry, self.token, Interest::READABLE | Interest::WRITABLE)?;
        let stream = Arc::new(stream);
        if !self.outbound.opened(&stream, Arc::new(handshake)) {
            // Closed while the last byte of the handshake was on its way: the note says so.
            return Ok(());
        }
        let (now, in_pieces) = (Instant::now(), self.dispatcher.wants_fragments());
        let (outbound, peer) = (Arc::clone(&self.outbound), self.target.peer());
        let receiver = Receiver::new(stream, outbound, leftover, &self.config, in_pieces, peer, now);
        self.phase = Phase::Open(Box::new(receiver));
        self.dispatcher.start_periodic(now);
        let called = self.dispatcher.open();
        self.after(called);
        Ok(())
    }

    /// What a callback's failure, or bad text found on its way to one, means for the connection.
    fn after(&mut self, called: Result<(), Stopped>) {
        let Phase::Open(receiver) = &mut self.phase else { return };
        match called {
            Ok(()) => {}
            Err(Stopped::BadText(violation)) => {
                receiver.fail(close_code::INVALID_DATA, "");
                self.violation(End::Protocol(violation));
            }
            Err(Stopped::Fatal { report }) => {
                receiver.fail(close_code::INTERNAL_ERROR, "");
                self.dispatcher.stop_periodic();
                if report {
                    self.dispatcher.report_fatal();
                }
            }
        }
    }

    /// The peer did something wrong, and has been told: `on_error` hears of it now, `on_close` when the connection is gone.
    fn violation(&mut self, end: End) {
        if let Some(error) = end.into_error()
            && self.failure.is_none()
        {
            let reported = self.dispatcher.error(&error);
            self.failure = Some(error);
            self.after(reported);
        }
    }

    fn attempt_failed(&mut self, error: Error) {
        self.over(Some(error), Close::without_frame(ClosedBy::Lost));
    }

    /// The connection is gone.
    fn ended(&mut self, error: Option<Error>) {
        if let Phase::Open(receiver) = &mut self.phase {
            let close = receiver.close();
            self.over(error, close);
        }
    }

    /// The last callbacks of the run.
    fn over(&mut self, error: Option<Error>, close: Close) {
        self.outbound.disconnected(State::Closed);
        self.dispatcher.stop_periodic();
        if let Some(error) = &error
            && let Err(Stopped::Fatal { report: true }) = self.dispatcher.error(error)
        {
            self.dispatcher.report_fatal();
        }
        let _ = self.dispatcher.close(&close);
        log::debug!(target: "websocket_app", "{}: over: {close}", self.target.peer());
        let gave_up = self.failure.take().or(error.filter(|_| close.by == ClosedBy::Lost));
        self.phase = Phase::Over(match self.dispatcher.take_fatal().or(gave_up) {
            Some(error) => Err(error),
            None => Ok(close),
        });
    }
}
