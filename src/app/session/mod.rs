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
use crate::calls::{self, Call, Conversation, Over};
use crate::close::{Close, ClosedBy};
use crate::deadline::after;
use crate::error::{Error, SendError};
use crate::link::{Link, Place, Reader, Requested, State};
use crate::panics;
use crate::promise::Giver;
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
    phase: SessionPhase,
    backoff: Backoff,
    turns: Arc<DialTurns>,
    has_been_open: bool,
    conversation: Conversation<AppCallee>,
    in_pieces: bool,
    periodic: Vec<Tick>,
    result: Giver<Result<Close, Error>>,
}

/// The clock of one `every`.
struct Tick {
    period: Duration,
    /// While connected: looked at only then, and set anew for each connection.
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

impl SessionPhase {
    fn link(&mut self) -> Option<&mut Link> {
        match self {
            SessionPhase::Open(link) => Some(link),
            _ => None,
        }
    }
}

impl Driver for Session {
    /// An app is not to wait for another one's callback, whatever the number.
    const MAX_CALLS: usize = usize::MAX;

    type Start = Start;
    type Job = Job;

    /// Begins the run.
    fn start(start: Start, place: Place, _registry: &Registry) -> Self {
        let Start { plan, dispatcher, in_pieces, turns, result } = start;
        let mut session = Session {
            backoff: Backoff::new(plan.reconnect()),
            turns,
            phase: SessionPhase::Waiting { until: Instant::now() },
            has_been_open: false,
            in_pieces,
            periodic: dispatcher
                .callee()
                .periods()
                .map(|period| Tick { period, next: None, called: false })
                .collect(),
            conversation: Conversation::new(dispatcher, &place, plan.live().max_receive_buffer),
            plan: Arc::new(plan),
            place,
            result,
        };
        session.conversation.shared.attach(&session.place);
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
        let requests = self.conversation.shared.take_requests();
        match &mut self.phase {
            SessionPhase::Connecting(_) | SessionPhase::Waiting { .. } if requests.close => {
                self.over(None, Close::without_connection(ClosedBy::Us));
            }
            SessionPhase::Waiting { until } if requests.reconnect => {
                *until = Instant::now();
                self.backoff.on_asked();
            }
            SessionPhase::Open(link) => match link.on_requests(requests, Instant::now()) {
                Requested::Abort => self.ended(None),
                Requested::Reconnect(failed) if !self.conversation.is_fatal() => {
                    failed.into_iter().for_each(|error| self.conversation.tell_error(error));
                    self.redial();
                }
                Requested::Read | Requested::Reconnect(_) => self.conversation.read_soon(),
                Requested::Failed(error) => self.conversation.tell_error(error),
                Requested::Nothing => {}
            },
            _ => {}
        }
        // After what was asked for: that may have been to close.
        self.dial_in_turn();
    }

    fn on_readable(&mut self, reader: &mut Reader, calls_next: bool) -> bool {
        let is_more = self.conversation.discard();
        let SessionPhase::Open(link) = &mut self.phase else { return is_more };
        match self.conversation.read(link, reader, calls_next) {
            Ok(more) => more | is_more,
            Err(Over(error)) => {
                self.ended(error);
                false
            }
        }
    }

    fn on_deadline(&mut self, now: Instant) {
        if !matches!(self.phase, SessionPhase::Open(_)) {
            self.report_expired(now);
        }
        let has_room = self.conversation.has_room();
        match &mut self.phase {
            SessionPhase::Waiting { until } if *until <= now && has_room => self.dial(),
            SessionPhase::Open(link) => {
                self.conversation.on_deadline(link);
                if let Some(error) = link.on_deadline(now) {
                    self.ended(error);
                    return;
                }
                if self.conversation.shared.state() != State::Open {
                    // One side has begun to close: a heartbeat could not be sent any more.
                    self.periodic.iter_mut().for_each(|tick| tick.next = None);
                    return;
                }
                for (i, tick) in self.periodic.iter_mut().enumerate() {
                    if !tick.called && tick.next.is_some_and(|next| next <= now) {
                        tick.on_due(now);
                        tick.called = true;
                        self.conversation.calls.push(Call::Periodic(i));
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
            _ if !self.conversation.has_room() => None,
            SessionPhase::Waiting { until } => {
                Some(*until).into_iter().chain(self.conversation.shared.next_expiry()).min()
            }
            SessionPhase::Connecting(_) => self.conversation.shared.next_expiry(),
            SessionPhase::Over(_) => None,
        }
    }

    fn take_wants_read(&mut self) -> bool {
        self.conversation.take_wants_read()
    }

    fn has_job(&self) -> bool {
        self.conversation.has_job()
    }

    fn take_job(&mut self) -> Option<Job> {
        let late = self.conversation.fail_when_due(self.phase.link());
        self.late_error(late);
        let had_room = self.conversation.has_room();
        let job = self.conversation.take_job()?;
        if !had_room {
            self.report_expired(Instant::now());
        }
        if let Call::Periodic(i) = job.call {
            let tick = &mut self.periodic[i];
            tick.called = false;
            // It has waited for a callback that took long.
            tick.on_due(Instant::now());
        }
        Some(job)
    }

    fn done(&mut self, done: Done) {
        let returned = self.conversation.returned(done, self.phase.link());
        self.late_error(returned.late);
        self.log_unsent(returned.unsent);
        if returned.is_end {
            // The callback was `on_close` or `on_error` of a connection that is gone.
            if matches!(self.phase, SessionPhase::Connecting(_) | SessionPhase::Waiting { .. }) {
                self.over(None, Close::without_connection(ClosedBy::Us));
            }
        }
    }

    fn busy_poll(&self) -> Duration {
        self.plan.live().busy_poll
    }

    /// Returns whether everything has been told: then the app can be forgotten, and whoever waits
    /// gets the result.
    fn is_finished(&self) -> bool {
        matches!(self.phase, SessionPhase::Over(_)) && self.conversation.is_finished()
    }

    /// Forgets the app, and tells whoever waits for it. What the callbacks hold is dropped before
    /// that, where they run.
    fn finish(self) {
        let Session { phase, conversation, plan, backoff, result: giver, .. } = self;
        let (dispatcher, errors) = conversation.into_parts();
        let mut errors = errors.into_iter();
        let fatal = errors.next();
        let SessionPhase::Over(Some(result)) = phase else { return };
        // Each by itself: of two panics at once the process would die.
        let dropped = [
            panics::guarded(|| drop(plan)),
            panics::guarded(|| drop(backoff)),
            dispatcher.map_or(Ok(()), |dispatcher| dispatcher.drop_callbacks(errors)),
        ];
        if dropped.iter().any(Result::is_err) {
            log::error!(target: "websocket_app", "what a callback holds panicked while it was dropped");
        }
        // Whether anybody waits for it or not.
        giver.give(fatal.map_or(result, Err));
    }

    fn fail(self, error: &Error) {
        let shared = &self.conversation.shared;
        shared.forsake();
        self.log_unsent(shared.take_unsent().len());
        self.result.give(Err(error.clone()));
    }
}

impl Session {
    /// An error of a connection that has gone meanwhile, and was the last one: why the run is over.
    fn late_error(&mut self, error: Option<Error>) {
        if let (Some(error), SessionPhase::Over(Some(result @ Ok(_)))) = (error, &mut self.phase) {
            *result = Err(error);
        }
    }

    /// What has waited for a connection for too long is given back. While no more may wait for a
    /// callback it stays where it is, within that limit.
    fn report_expired(&mut self, now: Instant) {
        if self.conversation.has_room() {
            self.give_back_expired(now);
        }
    }

    fn give_back_expired(&mut self, now: Instant) {
        let expired = self.conversation.shared.expire(now);
        let messages = self.conversation.calls.hand_back(expired, |message, since| {
            SendError::Expired { message, age: now.saturating_duration_since(since) }
        });
        self.log_unsent(messages);
    }

    /// What was to be sent and never will be is given back.
    fn report_unsent(&mut self) {
        let unsent = self.conversation.shared.take_unsent();
        let messages = self
            .conversation
            .calls
            .hand_back(unsent, |message, _| SendError::NotConnected { message });
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
