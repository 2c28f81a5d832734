//! One app's life on the event loop, as a state machine: what happens to the connection goes in,
//! calls to callbacks come out, in order.
//!
//! ```text
//!             ┌───────────────────────────────────────────┐ reconnect
//!             ▼                                           │
//!   start ──► Connecting ──► Open ──► (closing) ──► Waiting
//!                │             │                       │
//!                └─────────────┴───────────────────────┴──► Over    close(), or giving up
//! ```
//!
//! Belongs to the thread that runs the loop; other threads reach it through `Shared`. The callbacks
//! are not called from here: the loop takes [`Job`]s and brings back what came of them.

mod connecting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;

use super::callee::AppCallee;
use super::plan::ConnectPlan;
use super::turns::DialTurns;
use crate::calls::{self, Call, Callee, Calls, Stopped};
use crate::close::{Close, ClosedBy};
use crate::deadline::after;
use crate::error::{Error, SendError};
use crate::link::{Link, Place, Reader, Remains, Requested, Shared, State, Step};
use crate::panics;
use crate::promise::Giver;
use crate::protocol::End;
use crate::reactor::Driver;
use crate::reconnect::Backoff;
use connecting::Dialing;

/// An app that is to be run, and where its result goes.
pub(crate) struct Start {
    pub(crate) plan: ConnectPlan,
    pub(crate) dispatcher: Dispatcher,
    /// Whether messages are handed out as they arrive.
    pub(crate) in_pieces: bool,
    pub(crate) turns: Arc<DialTurns>,
    pub(crate) result: Giver<Result<Close, Error>>,
}

type Dispatcher = calls::Dispatcher<AppCallee>;
type Job = calls::Job<AppCallee>;
type Done = calls::Done<AppCallee>;

pub(crate) struct Session {
    place: Place,
    plan: Arc<ConnectPlan>,
    shared: Arc<Shared>,
    phase: SessionPhase,
    backoff: Backoff,
    turns: Arc<DialTurns>,
    has_been_open: bool,
    /// Away while a job runs.
    dispatcher: Option<Dispatcher>,
    calls: Calls,
    /// More messages wait than there is room for: nothing more is read until they are worked off.
    paused: bool,
    in_pieces: bool,
    periodic: Vec<Tick>,
    /// What a callback ended the run with. From then on only `on_close` is called, and `on_error`
    /// with what was not sent.
    fatal: Option<Error>,
    result: Giver<Result<Close, Error>>,
    /// Something happened that makes reading worth while, though no event says so.
    wants_read: bool,
    /// Of a connection that is over: read away in turns with what others have to do.
    remains: Option<Box<Remains>>,
}

/// The clock of one `every`.
struct Tick {
    period: Duration,
    next: Option<Instant>,
    /// It is in `calls` already: a slow callback does not make a heap of them.
    called: bool,
}

impl Tick {
    /// Sets the next time by those that were planned, so that nothing adds up. What has been missed
    /// is left out.
    fn on_due(&mut self, now: Instant) {
        let Some(late) = self.next.and_then(|next| now.checked_duration_since(next)) else {
            return;
        };
        let into_period = late.as_nanos() % self.period.as_nanos();
        // Less than `late`, which is a time that has passed.
        let into_period = Duration::from_nanos(u64::try_from(into_period).unwrap_or(u64::MAX));
        self.next = Some(after(now, self.period.saturating_sub(into_period)));
    }
}

enum SessionPhase {
    /// A thread of its own is at it, or will be when its turn comes; it leaves what came of it
    /// there, and wakes the loop.
    Connecting(Box<Dialing>),
    Open(Box<Link>),
    /// For the next attempt.
    Waiting {
        until: Instant,
    },
    /// The run is over, with this result.
    Over(Option<Result<Close, Error>>),
}

impl Driver for Session {
    /// An app is not to wait for another one's callback, whatever the number.
    const MAX_CALLS: usize = usize::MAX;

    type Start = Start;
    type Job = Job;

    /// Begins the run.
    fn start(start: Start, place: Place, _registry: &Registry) -> Self {
        let Start { plan, mut dispatcher, in_pieces, turns, result } = start;
        dispatcher.attach(&place);
        let mut session = Session {
            place,
            backoff: Backoff::new(plan.reconnect()),
            plan: Arc::new(plan),
            shared: Arc::clone(dispatcher.callee().shared()),
            turns,
            phase: SessionPhase::Waiting { until: Instant::now() },
            has_been_open: false,
            in_pieces,
            periodic: dispatcher
                .callee()
                .periods()
                .map(|period| Tick { period, next: None, called: false })
                .collect(),
            dispatcher: Some(dispatcher),
            calls: Calls::default(),
            paused: false,
            fatal: None,
            result,
            wants_read: false,
            remains: None,
        };
        session.shared.attach(&session.place);
        session.dial();
        session
    }

    fn on_event(&mut self, event: &Event) -> bool {
        match &mut self.phase {
            SessionPhase::Open(link) => link.on_event(event),
            _ => false,
        }
    }

    /// A thread wants something, or an attempt to connect has come to its turn or its end.
    fn on_wake(&mut self, registry: &Registry) {
        if let SessionPhase::Connecting(dialing) = &self.phase
            && let Some(outcome) = dialing.take_outcome()
        {
            self.attempted(outcome, registry);
        }
        self.report_expired(Instant::now());
        let requests = self.shared.take_requests();
        match &mut self.phase {
            SessionPhase::Connecting(_) | SessionPhase::Waiting { .. } if requests.close => {
                self.over(None, Close::without_frame(ClosedBy::Us));
            }
            SessionPhase::Waiting { until } if requests.reconnect => {
                *until = Instant::now();
                self.backoff.on_asked();
            }
            SessionPhase::Open(link) => match link.on_requests(requests, Instant::now()) {
                Requested::Abort => self.ended(None),
                Requested::Reconnect if self.fatal.is_none() => self.redial(),
                Requested::Read | Requested::Reconnect => self.wants_read = true,
                Requested::Failed(error) if self.fatal.is_none() => {
                    self.calls.push(Call::Error(error));
                }
                Requested::Failed(_) => {}
                Requested::Nothing => {}
            },
            _ => {}
        }
        // After what was asked for: that may have been to close.
        self.dial_in_turn();
    }

    fn on_readable(&mut self, reader: &mut Reader, _calls_next: bool) -> bool {
        self.remains.take_if(|remains| !remains.discard());
        self.read(reader) | self.remains.is_some()
    }

    fn on_deadline(&mut self, now: Instant) {
        if self.paused {
            self.on_paused();
        }
        if !matches!(self.phase, SessionPhase::Open(_)) {
            self.report_expired(now);
        }
        let has_room = self.has_room();
        match &mut self.phase {
            SessionPhase::Waiting { until } if *until <= now && has_room => self.dial(),
            SessionPhase::Open(link) => {
                if let Some(error) = link.on_deadline(now) {
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
                        tick.on_due(now);
                        tick.called = true;
                        self.calls.push(Call::Periodic(i));
                    }
                }
            }
            _ => {}
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        match &self.phase {
            SessionPhase::Open(link) => {
                let ticks =
                    self.periodic.iter().filter(|tick| !tick.called).filter_map(|tick| tick.next);
                ticks.chain(link.next_deadline()).min()
            }
            // What the next attempt may fail with, and what is too old, has to have a place to wait.
            _ if !self.has_room() => None,
            SessionPhase::Waiting { until } => {
                Some(*until).into_iter().chain(self.shared.next_expiry()).min()
            }
            SessionPhase::Connecting(_) => self.shared.next_expiry(),
            SessionPhase::Over(_) => None,
        }
    }

    fn take_wants_read(&mut self) -> bool {
        std::mem::take(&mut self.wants_read)
    }

    fn has_job(&self) -> bool {
        !self.calls.is_empty() && self.dispatcher.is_some()
    }

    fn take_job(&mut self) -> Option<Job> {
        if let Some((connection, end)) = self.calls.take_end() {
            self.fail_now(connection, end);
        }
        let dispatcher = self.dispatcher.take()?;
        let had_room = self.has_room();
        let Some((connection, call)) = self.calls.pop() else {
            self.dispatcher = Some(dispatcher);
            return None;
        };
        if !had_room {
            self.report_expired(Instant::now());
        }
        if let Call::Periodic(i) = call {
            let tick = &mut self.periodic[i];
            tick.called = false;
            // It has waited for a callback that took long.
            tick.on_due(Instant::now());
        }
        Some(Job { connection, call, dispatcher })
    }

    fn done(&mut self, done: Done) {
        let Done { connection, dispatcher, result } = done;
        self.dispatcher = Some(dispatcher);
        match result {
            Ok(()) => {}
            Err(Stopped::BadText(violation)) => {
                self.calls.drop_messages(connection);
                self.fail_now(connection, End::Protocol(violation));
            }
            Err(Stopped::Fatal { error, report }) => self.end_run(error, report),
        }
        if self.paused && self.has_room() {
            self.on_paused();
            self.paused = false;
            self.wants_read = true;
        }
    }

    fn busy_poll(&self) -> Duration {
        self.plan.live().busy_poll
    }

    /// Returns whether everything has been told: then the app can be forgotten, and whoever waits
    /// gets the result.
    fn is_finished(&self) -> bool {
        matches!(self.phase, SessionPhase::Over(_))
            && self.calls.is_empty()
            && self.dispatcher.is_some()
            && self.remains.is_none()
    }

    /// Forgets the app, and tells whoever waits for it. What the callbacks hold is dropped before
    /// that, where they run.
    fn finish(self) {
        let Session { phase, fatal, dispatcher, plan, backoff, result: giver, .. } = self;
        let SessionPhase::Over(Some(result)) = phase else { return };
        // Each by itself: of two panics at once the process would die.
        let dropped = [
            panics::guarded(|| drop(plan)),
            panics::guarded(|| drop(backoff)),
            panics::guarded(|| dispatcher.map_or((), Dispatcher::drop_callbacks)),
        ];
        if dropped.iter().any(Result::is_err) {
            log::error!(target: "websocket_app", "what a callback holds panicked while it was dropped");
        }
        // Whether anybody waits for it or not.
        giver.give(fatal.map_or(result, Err));
    }

    fn fail(self, error: &Error) {
        self.shared.forsake();
        self.log_unsent(self.shared.take_unsent().len());
        self.result.give(Err(error.clone()));
    }
}

impl Session {
    /// Reads once, and has what came handed out. Returns whether there may be more.
    fn read(&mut self, reader: &mut Reader) -> bool {
        if !self.has_room() {
            self.paused = true;
            return false;
        }
        let SessionPhase::Open(link) = &mut self.phase else { return false };
        let step = link.receive(reader);
        match step {
            Step::Received { .. } | Step::Decoded => {
                let end = reader.batch.end.take();
                if !reader.batch.items.is_empty() && self.fatal.is_none() {
                    self.call_batch(reader);
                }
                if let Some(end) = end.filter(|end| !matches!(end, End::Close { .. })) {
                    self.calls.push(Call::Fail(end));
                }
                !matches!(step, Step::Received { more: false })
            }
            Step::Empty => false,
            Step::Over(error) => {
                self.ended(error);
                false
            }
        }
    }

    /// What is left of a connection that is over is read away in turns. Another, from before, has
    /// had its time.
    fn discard_later(&mut self, remains: Option<Remains>) {
        if let Some(remains) = remains {
            self.remains = Some(Box::new(remains));
            self.wants_read = true;
        }
    }

    /// The peer did something wrong on this connection, and what it sent before that has been
    /// handed out: it is told, and `on_error` is. While a callback was busy the connection may have
    /// gone, and another come.
    fn fail_now(&mut self, of: u64, end: End) {
        match &mut self.phase {
            SessionPhase::Open(link) if of == self.calls.connection() => {
                if let Some(error) = link.fail(end).filter(|_| self.fatal.is_none()) {
                    self.calls.push(Call::Error(error));
                }
            }
            // Of one that we have closed it is no error.
            _ if self.shared.is_closed_for_good() && self.calls.is_closed_by_us(of) => {}
            _ => {
                if let Some(error) = end.into_error() {
                    self.late_error(of, error);
                }
            }
        }
    }

    /// An error of a connection that has gone meanwhile: told before its `on_close`.
    fn late_error(&mut self, of: u64, error: Error) {
        if self.fatal.is_some() {
            return;
        }
        self.calls.insert_before_close(of, error.clone());
        if let (true, SessionPhase::Over(Some(result @ Ok(_)))) =
            (of == self.calls.connection(), &mut self.phase)
        {
            *result = Err(error);
        }
    }

    /// What is not read cannot be heard: the peer is not dead because we are slow.
    fn on_paused(&mut self) {
        if let SessionPhase::Open(link) = &mut self.phase {
            link.on_pause();
        }
    }

    fn has_room(&self) -> bool {
        self.calls.size() < self.plan.live().max_receive_buffer
    }

    /// Has a batch handed out: straight from the read buffer, or, while a callback is busy, later
    /// from a copy.
    fn call_batch(&mut self, reader: &mut Reader) {
        if self.dispatcher.is_some() && self.calls.is_empty() {
            self.calls.push(Call::Batch);
        } else {
            self.calls.push_copy(reader);
        }
    }

    /// A callback ended the run: the peer is told, and no more is called than `on_error`, with this
    /// and with what was not sent, and `on_close`.
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
            self.calls.push_front(Call::Error(error.clone()));
        }
        self.fatal = Some(error);
        self.stop_ticks();
        match &mut self.phase {
            SessionPhase::Open(link) => link.fail_by_callback(),
            // The callback was `on_close` or `on_error` of a connection that is gone.
            SessionPhase::Connecting(_) | SessionPhase::Waiting { .. } => {
                self.over(None, Close::without_frame(ClosedBy::Us))
            }
            SessionPhase::Over(_) => {}
        }
    }

    /// What has waited for a connection for too long is given back. While no more may wait for a
    /// callback it stays where it is, within that limit.
    fn report_expired(&mut self, now: Instant) {
        if self.has_room() {
            self.give_back_expired(now);
        }
    }

    fn give_back_expired(&mut self, now: Instant) {
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
        let messages =
            self.calls.hand_back(unsent, |message, _| SendError::NotConnected { message });
        self.log_unsent(messages);
    }

    /// `on_error` is not to be called any more: of the messages that it should have been handed,
    /// the log tells.
    fn log_unsent(&self, messages: usize) {
        if messages > 0 {
            let peer = self.plan.peer();
            log::warn!(target: "websocket_app", "{peer}: messages not sent, and no on_error to hand them to: {messages}");
        }
    }

    fn stop_ticks(&mut self) {
        for tick in &mut self.periodic {
            tick.next = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);
    const LATE: Duration = Duration::from_millis(3);

    fn tick(next: Instant) -> Tick {
        Tick { period: PERIOD, next: Some(next), called: false }
    }

    #[test]
    fn ticks_that_are_seen_late_do_not_add_up() {
        let begin = Instant::now();
        let mut tick = tick(begin);
        for i in 0..1000 {
            assert_eq!(tick.next, Some(begin + PERIOD * i));
            tick.on_due(begin + PERIOD * i + LATE);
        }
    }

    #[test]
    fn ticks_that_were_missed_are_left_out() {
        let begin = Instant::now();
        let mut tick = tick(begin);
        tick.on_due(begin + PERIOD * 7 + LATE);
        assert_eq!(tick.next, Some(begin + PERIOD * 8));
        // Not due yet.
        tick.on_due(begin + PERIOD * 7 + LATE);
        assert_eq!(tick.next, Some(begin + PERIOD * 8));
        tick.on_due(begin + PERIOD * 8);
        assert_eq!(tick.next, Some(begin + PERIOD * 9));
    }
}
