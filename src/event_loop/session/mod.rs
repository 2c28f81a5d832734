//! One app's life on the event loop, as a state machine: what happens to the connection goes in, calls to callbacks come
//! out, in order.
//!
//! ```text
//!             ┌───────────────────────────────────────────┐ reconnect
//!             ▼                                           │
//!   start ──► Connecting ──► Open ──► (closing) ──► Waiting
//!                │             │                       │
//!                └─────────────┴───────────────────────┴──► Over    close(), or giving up
//! ```
//!
//! Belongs to the thread that runs the loop; other threads reach it through `Shared` and the waker. The callbacks are
//! not called from here: the loop takes [`Job`]s and brings back what came of them.

mod calls;
mod connecting;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Registry, Token};

use super::dispatch::{Call, Dispatcher, Job, Stopped};
use super::recipe::Recipe;
use crate::close::{Close, ClosedBy, close_code};
use crate::deadline::after;
use crate::error::{Error, ProtocolError, SendError};
use crate::link::{LoopWaker, Reader, Receiver, Shared, State, Step};
use crate::promise::Giver;
use crate::protocol::End;
use crate::reconnect::Backoff;
use calls::Calls;
use connecting::Attempt;

/// An app that is to be run, and where its result goes.
pub(crate) struct Start {
    pub(crate) recipe: Recipe,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) result: Giver<Result<Close, Error>>,
}

pub(super) struct Session {
    token: Token,
    waker: Arc<LoopWaker>,
    recipe: Arc<Recipe>,
    shared: Arc<Shared>,
    phase: Phase,
    backoff: Backoff,
    has_been_open: bool,
    /// Away while a job runs.
    dispatcher: Option<Dispatcher>,
    calls: Calls,
    /// More messages wait than there is room for: nothing more is read until they are worked off.
    paused: bool,
    in_pieces: bool,
    periodic: Vec<Tick>,
    /// What the peer did wrong, once it has been told.
    failure: Option<Error>,
    /// What a callback ended the run with. From then on only `on_close` is called, and `on_error` with what was not sent.
    fatal: Option<Error>,
    result: Giver<Result<Close, Error>>,
    /// Something happened that makes reading worth while, though no event says so.
    pub(super) wants_read: bool,
    /// Whether the loop has it on its list of those to read, and of those with calls.
    pub(super) is_readable: bool,
    pub(super) is_callable: bool,
}

/// The clock of one `every`.
struct Tick {
    period: Duration,
    next: Option<Instant>,
    /// It is in `calls` already: a slow callback does not make a heap of them.
    called: bool,
}

enum Phase {
    /// A thread of its own is at it; it leaves what came of it in the attempt, and rings.
    Connecting(Attempt),
    Open(Box<Receiver>),
    /// For the next attempt.
    Waiting {
        until: Instant,
    },
    /// The run is over, with this result.
    Over(Option<Result<Close, Error>>),
}

impl Session {
    /// Begins the run.
    pub(super) fn start(token: Token, waker: &Arc<LoopWaker>, start: Start) -> Self {
        let mut session = Session::new(token, waker, start);
        session.shared.attach(waker, token);
        session.dial();
        session
    }

    /// An app that the loop has failed before it began.
    pub(super) fn stillborn(waker: &Arc<LoopWaker>, start: Start) -> Self {
        Session::new(Token(0), waker, start)
    }

    fn new(token: Token, waker: &Arc<LoopWaker>, start: Start) -> Self {
        let Start { recipe, dispatcher, result } = start;
        Session {
            token,
            waker: Arc::clone(waker),
            backoff: Backoff::new(recipe.reconnect()),
            recipe: Arc::new(recipe),
            shared: Arc::clone(dispatcher.sender().shared()),
            phase: Phase::Waiting { until: Instant::now() },
            has_been_open: false,
            in_pieces: dispatcher.wants_fragments(),
            periodic: dispatcher.periods().map(|period| Tick { period, next: None, called: false }).collect(),
            dispatcher: Some(dispatcher),
            calls: Calls::default(),
            paused: false,
            failure: None,
            fatal: None,
            result,
            wants_read: false,
            is_readable: false,
            is_callable: false,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Open(receiver) => {
                let ticks = self.periodic.iter().filter(|tick| !tick.called).filter_map(|tick| tick.next);
                ticks.chain(receiver.next_deadline()).min()
            }
            Phase::Waiting { until } => Some(self.shared.next_expiry().map_or(*until, |expiry| expiry.min(*until))),
            Phase::Connecting(_) => self.shared.next_expiry(),
            Phase::Over(_) => None,
        }
    }

    pub(super) fn busy_poll(&self) -> Duration {
        self.recipe.live().busy_poll
    }

    /// Whether there is something to tell, and someone there to be told.
    pub(super) fn has_job(&self) -> bool {
        !self.calls.is_empty() && self.dispatcher.is_some()
    }

    pub(super) fn take_job(&mut self, reader: &mut Option<Box<Reader>>) -> Option<Job> {
        if let Some((connection, end)) = self.calls.take_end() {
            self.fail_now(connection, end);
        }
        let dispatcher = self.dispatcher.take()?;
        let Some((connection, call)) = self.calls.take_next() else {
            self.dispatcher = Some(dispatcher);
            return None;
        };
        if let Call::Periodic(i) = call {
            self.periodic[i].called = false;
        }
        let reader = if matches!(call, Call::Batch) { reader.take() } else { None };
        Some(Job { token: self.token, connection, call, dispatcher, reader })
    }

    /// A job has come back.
    pub(super) fn done(&mut self, dispatcher: Dispatcher, connection: u64, result: Result<(), Stopped>) {
        self.dispatcher = Some(dispatcher);
        match result {
            Ok(()) => {}
            Err(Stopped::BadText(violation)) => self.bad_text(connection, violation),
            Err(Stopped::Fatal { error, report }) => self.end_run(error, report),
        }
        if self.paused && self.has_room() {
            self.on_paused();
            self.paused = false;
            self.wants_read = true;
        }
    }

    /// A message of this connection turned out not to be UTF-8. While the callback was busy the connection may have gone,
    /// and another come.
    fn bad_text(&mut self, of: u64, violation: ProtocolError) {
        self.calls.drop_messages(of);
        if of == self.calls.connection() && matches!(self.phase, Phase::Open(_)) {
            self.fail(close_code::INVALID_DATA);
            self.violation(End::Protocol(violation));
            return;
        }
        self.late_error(of, Error::Protocol(violation));
    }

    /// The peer did something wrong, and what it sent before that has been handed out: it is told, and `on_error` is.
    fn fail_now(&mut self, of: u64, end: End) {
        if of == self.calls.connection() && matches!(self.phase, Phase::Open(_)) {
            self.fail(end.close_code());
            self.violation(end);
        } else if let Some(error) = end.into_error() {
            self.late_error(of, error);
        }
    }

    /// An error of a connection that has gone meanwhile: told before its `on_close`.
    fn late_error(&mut self, of: u64, error: Error) {
        if self.fatal.is_some() {
            return;
        }
        self.calls.tell_before_close(of, error.clone());
        if let (true, Phase::Over(Some(result @ Ok(_)))) = (of == self.calls.connection(), &mut self.phase) {
            *result = Err(error);
        }
    }

    /// Whether everything has been told: then the app can be forgotten, and whoever waits gets the result.
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Over(_)) && self.calls.is_empty() && self.dispatcher.is_some()
    }

    /// Forgets the app, and tells whoever waits for it. What the callbacks hold is dropped before that.
    pub(super) fn finish(self) {
        let Session { phase, fatal, dispatcher, recipe, backoff, result: giver, .. } = self;
        let Phase::Over(Some(result)) = phase else { return };
        if catch_unwind(AssertUnwindSafe(|| drop((dispatcher, recipe, backoff)))).is_err() {
            log::error!(target: "websocket_app", "what a callback holds panicked while it was dropped");
        }
        // Whether anybody waits for it or not.
        giver.give(fatal.map_or(result, Err));
    }

    /// The loop has failed, and ends the run. What has been read and not been handed out is gone with it.
    pub(super) fn lose(&mut self, error: &Error) {
        self.calls.drop_what_needs_the_loop();
        if !matches!(self.phase, Phase::Over(_)) {
            self.over(Some(error.clone()), Close::without_frame(ClosedBy::Lost));
        }
    }

    /// Whether a callback is being called.
    pub(super) fn is_called(&self) -> bool {
        self.dispatcher.is_none()
    }

    /// Calls what is still to be called, here and now: there is no loop any more that would.
    pub(super) fn wind_up(mut self) {
        while let Some(job) = self.take_job(&mut None) {
            let done = job.run();
            self.done(done.dispatcher, done.connection, done.result);
        }
        self.finish();
    }

    /// The waker rang: a thread wants something, or an attempt to connect has come to its end.
    pub(super) fn on_wake(&mut self, registry: &Registry) {
        if let Phase::Connecting(attempt) = &self.phase
            && let Some(outcome) = attempt.take_outcome()
        {
            self.attempted(outcome, registry);
        }
        self.report_expired(Instant::now());
        let note = self.shared.take_requests();
        match &mut self.phase {
            Phase::Connecting(_) | Phase::Waiting { .. } if note.close => {
                self.over(None, Close::without_frame(ClosedBy::Us));
            }
            Phase::Waiting { until } if note.reconnect => {
                *until = Instant::now();
                self.backoff.on_asked();
            }
            Phase::Open(receiver) => {
                let reconnect = note.reconnect && !note.close && self.fatal.is_none();
                // What the peer sent before it went away, its Close above all, says more than a failed write.
                self.wants_read |= note.write_error.is_some();
                if let Some(Step::Over(error)) = receiver.on_requests(note, Instant::now()) {
                    self.ended(error);
                } else if reconnect {
                    self.redial();
                }
            }
            _ => {}
        }
    }

    pub(super) fn on_writable(&self) {
        if let Phase::Open(receiver) = &self.phase {
            receiver.on_writable();
        }
    }

    pub(super) fn on_hang_up(&mut self) {
        if let Phase::Open(receiver) = &mut self.phase {
            receiver.on_hang_up();
        }
    }

    /// Reads once. Returns whether there may be more.
    pub(super) fn on_readable(&mut self, reader: &mut Reader) -> bool {
        if !self.has_room() {
            self.paused = true;
            return false;
        }
        let Phase::Open(receiver) = &mut self.phase else { return false };
        match receiver.receive(reader) {
            Step::Received { more } => {
                let end = reader.batch.end.take();
                if !reader.batch.items.is_empty() && self.fatal.is_none() {
                    self.call_batch(reader);
                }
                if let Some(end) = end.filter(|end| !matches!(end, End::Close { .. })) {
                    self.calls.tell(Call::Fail(end));
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

    pub(super) fn on_deadline(&mut self, now: Instant) {
        if self.paused {
            self.on_paused();
        }
        if !matches!(self.phase, Phase::Open(_)) {
            self.report_expired(now);
        }
        match &mut self.phase {
            Phase::Waiting { until } if *until <= now => self.dial(),
            Phase::Open(receiver) => {
                if let Some(Step::Over(error)) = receiver.on_deadline(now) {
                    self.ended(error);
                    return;
                }
                if self.shared.state() != State::Open {
                    // One side has begun to close: a heartbeat could not be sent any more.
                    self.stop_ticks();
                    return;
                }
                for (i, tick) in self.periodic.iter_mut().enumerate() {
                    if !tick.called && tick.next.is_some_and(|next| next <= now) {
                        tick.next = Some(after(now, tick.period));
                        tick.called = true;
                        self.calls.tell(Call::Periodic(i));
                    }
                }
            }
            _ => {}
        }
    }

    /// What is not read cannot be heard: the peer is not dead because we are slow.
    fn on_paused(&mut self) {
        if let Phase::Open(receiver) = &mut self.phase {
            receiver.on_pause();
        }
    }

    fn has_room(&self) -> bool {
        self.calls.size() < self.recipe.live().max_receive_buffer
    }

    /// Has a batch handed out: straight from the read buffer, or, while a callback is busy, later from a copy.
    fn call_batch(&mut self, reader: &mut Reader) {
        if self.dispatcher.is_some() && self.calls.is_empty() {
            self.calls.tell(Call::Batch);
        } else {
            self.calls.keep_batch(reader);
        }
    }

    /// A callback ended the run: the peer is told, and no more is called than `on_error`, with this and with what was not
    /// sent, and `on_close`.
    fn end_run(&mut self, error: Error, report: bool) {
        if !report {
            let messages = self.calls.mute();
            self.log_unsent(messages);
        }
        if self.fatal.is_some() {
            return;
        }
        self.calls.keep_the_end();
        if report {
            self.calls.tell_first(Call::Error(error.clone()));
        }
        self.fatal = Some(error);
        self.stop_ticks();
        match &self.phase {
            Phase::Open(_) => self.fail(close_code::INTERNAL_ERROR),
            // The callback was `on_close` or `on_error` of a connection that is gone.
            Phase::Connecting(_) | Phase::Waiting { .. } => self.over(None, Close::without_frame(ClosedBy::Us)),
            Phase::Over(_) => {}
        }
    }

    fn fail(&mut self, code: u16) {
        if let Phase::Open(receiver) = &mut self.phase {
            receiver.fail(code, "");
        }
    }

    /// The peer did something wrong, and has been told: `on_error` hears of it now, `on_close` when the connection is gone.
    fn violation(&mut self, end: End) {
        if let Some(error) = end.into_error()
            && self.failure.is_none()
            && self.fatal.is_none()
        {
            self.calls.tell(Call::Error(error.clone()));
            self.failure = Some(error);
        }
    }

    /// What has waited for a connection for too long is given back.
    fn report_expired(&mut self, now: Instant) {
        let expired = self.shared.expire(now);
        let messages = self.calls.hand_back(expired, |message, since| SendError::Expired {
            message,
            age: now.saturating_duration_since(since),
        });
        self.log_unsent(messages);
    }

    /// What was to be sent and never will be is given back.
    fn report_unsent(&mut self) {
        let unsent = self.shared.take_unsent();
        let messages = self.calls.hand_back(unsent, |message, _| SendError::NotConnected { message });
        self.log_unsent(messages);
    }

    /// `on_error` is not to be called any more: of the messages that it should have been handed, the log tells.
    fn log_unsent(&self, messages: usize) {
        if messages > 0 {
            let peer = self.recipe.peer();
            log::warn!(target: "websocket_app", "{peer}: messages not sent, and no on_error to hand them to: {messages}");
        }
    }

    fn stop_ticks(&mut self) {
        for tick in &mut self.periodic {
            tick.next = None;
        }
    }
}
