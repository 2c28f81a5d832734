//! How an app's connections come and go: attempts to connect, losses, and what comes after them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use mio::Registry;

use super::{Session, SessionPhase};
use crate::app::turns::{DialTurn, Purpose};
use crate::calls::Call;
use crate::close::{Close, ClosedBy};
use crate::deadline::after;
use crate::dial::{Cancel, Connected, Failure, Target};
use crate::error::Error;
use crate::link::{Established, Link, Opened, State};
use crate::reconnect::{Attempt, Cause, Retry};

/// An attempt to connect, on a thread of its own once its turn has come. Where the program's
/// closures compute where to, that takes a turn, and a thread, before.
pub(super) struct Dialing {
    attempt: Attempt,
    cancel: Cancel,
    /// Where to, once that is known.
    target: Option<Arc<Target>>,
    /// Goes to the thread, and ends with it.
    turn: Option<DialTurn>,
    outcome: Arc<Mutex<Option<AttemptOutcome>>>,
}

pub(super) type AttemptOutcome = Result<Progress, Failure>;

/// How far an attempt has come.
pub(super) enum Progress {
    Computed(Arc<Target>),
    Connected(Box<Connected>),
}

impl Dialing {
    /// Returns what came of it, once.
    pub(super) fn take_outcome(&self) -> Option<AttemptOutcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Session {
    /// Begins an attempt to connect, which may have to wait for its turn.
    pub(super) fn dial(&mut self) {
        let cancel = Cancel::new();
        if !self.conversation.shared.connecting(&cancel) {
            self.over(None, Close::without_connection(ClosedBy::Us));
            return;
        }
        let target = self.plan.target();
        let purpose = if target.is_some() { Purpose::Connect } else { Purpose::Compute };
        self.phase = SessionPhase::Connecting(Box::new(Dialing {
            attempt: self.backoff.on_attempt(Instant::now()),
            cancel,
            target,
            turn: Some(self.turns.ask(purpose, &self.place)),
            outcome: Arc::default(),
        }));
        self.dial_in_turn();
    }

    /// Starts the attempt's thread, if its turn has come.
    pub(super) fn dial_in_turn(&mut self) {
        let SessionPhase::Connecting(dialing) = &mut self.phase else { return };
        let Some(turn) = dialing.turn.take_if(|turn| turn.has_come()) else { return };
        let (plan, attempt, cancel) =
            (Arc::clone(&self.plan), dialing.attempt.clone(), dialing.cancel.clone());
        let (outcome, place) = (Arc::clone(&dialing.outcome), self.place.clone());
        let target = dialing.target.clone();
        let thread = thread::Builder::new().name("websocket-connect".into()).spawn(move || {
            let goes_on = || match &target {
                None => Ok(Progress::Computed(plan.compute_target(&attempt)?)),
                Some(target) => {
                    plan.connect(target, &attempt, &cancel).map(Box::new).map(Progress::Connected)
                }
            };
            let panicked = |_| Err(Error::Panicked("while connecting".into()).into());
            let came = catch_unwind(AssertUnwindSafe(goes_on)).unwrap_or_else(panicked);
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(came);
            place.wake();
            drop(turn);
        });
        if let Err(source) = thread {
            self.attempt_failed(Error::system("a thread to connect on", source));
        }
    }

    pub(super) fn attempted(&mut self, outcome: AttemptOutcome, registry: &Registry) {
        match outcome {
            Ok(Progress::Computed(target)) => {
                let SessionPhase::Connecting(dialing) = &mut self.phase else { return };
                dialing.target = Some(target);
                dialing.turn = Some(self.turns.ask(Purpose::Connect, &self.place));
                // Where it has come, the thread starts when this wake-up has been seen to.
            }
            Ok(Progress::Connected(connected)) => {
                if let Err(source) = self.opened(*connected, registry) {
                    self.attempt_failed(Error::system("a place in the event loop", source));
                }
            }
            // Somebody closed, if a moment too late to be what ended the attempt; the requests say
            // so.
            Err(_) if self.conversation.shared.is_closed_for_good() => {}
            Err(Failure::Error(error)) => self.attempt_failed(error),
            Err(Failure::Cancelled) => {}
        }
    }

    fn opened(&mut self, connected: Connected, registry: &Registry) -> io::Result<()> {
        let opened = if self.has_been_open { Opened::Again } else { Opened::First };
        let mut connected = Established::from(connected);
        connected.register(registry, &self.place)?;
        let (live, in_pieces) = (self.plan.live(), self.in_pieces.into());
        let link = Link::open(connected, &self.conversation.shared, live, in_pieces, opened);
        let Some(link) = link else {
            // Closed while the last byte of the handshake was on its way: the requests say so.
            return Ok(());
        };
        let now = Instant::now();
        self.report_expired(now);
        self.conversation.calls.next_connection();
        self.phase = SessionPhase::Open(Box::new(link));
        // Of what came together with the response, no event tells.
        self.conversation.read_soon();
        self.backoff.on_open(now);
        for tick in &mut self.periodic {
            tick.next = Some(after(now, tick.period));
        }
        self.conversation.calls.push(if self.has_been_open { Call::Reopen } else { Call::Open });
        self.has_been_open = true;
        Ok(())
    }

    fn attempt_failed(&mut self, error: Error) {
        let SessionPhase::Connecting(dialing) = &self.phase else { return };
        let number = dialing.attempt.number;
        self.conversation.shared.disconnected(State::Waiting);
        let retry = self.retry(Cause::Error(&error));
        let error = match self.backoff.is_on() {
            true => Error::Attempt {
                attempt: number,
                retry_in: retry.map(|r| r.delay),
                source: Arc::new(error),
            },
            false => error,
        };
        match retry {
            Some(retry) => {
                self.conversation.calls.push(Call::Error(error));
                self.phase = SessionPhase::Waiting { until: after(Instant::now(), retry.delay) };
            }
            None => self.over(Some(error), Close::without_connection(ClosedBy::Lost)),
        }
    }

    /// The program asked for another connection.
    pub(super) fn redial(&mut self) {
        let SessionPhase::Open(link) = &mut self.phase else { return };
        let (close, remains) = link.leave();
        self.conversation.discard_later(remains);
        self.conversation.shared.disconnected(State::Waiting);
        let retry = self.backoff.on_asked();
        self.conversation.calls.push(Call::Close(Close {
            reconnect_in: Some(retry.delay),
            attempt: retry.attempt,
            ..close
        }));
        self.dial();
    }

    /// The connection is gone.
    pub(super) fn ended(&mut self, error: Option<Error>) {
        let SessionPhase::Open(link) = &mut self.phase else { return };
        let violation = link.violation().cloned();
        let (close, closed) = self.conversation.close(link);
        let cause = error
            .clone()
            .or_else(|| violation.clone())
            .or_else(|| self.conversation.calls.violation_to_come());
        let retry = if self.conversation.is_fatal() || closed {
            None
        } else {
            self.retry(cause.as_ref().map_or(Cause::Close(&close), Cause::Error))
        };
        let Some(retry) = retry else { return self.over_with(violation, error, close) };
        self.conversation.shared.disconnected(State::Waiting);
        if let Some(error) = error {
            self.conversation.calls.push(Call::Error(error));
        }
        self.conversation.calls.push(Call::Close(Close {
            reconnect_in: Some(retry.delay),
            attempt: retry.attempt,
            ..close
        }));
        self.phase = SessionPhase::Waiting { until: after(Instant::now(), retry.delay) };
    }

    /// Returns when to try again after a loss, if at all. A policy that panics ends the run, as a
    /// callback does.
    fn retry(&mut self, cause: Cause<'_>) -> Option<Retry> {
        self.backoff.on_end(cause, Instant::now(), &mut rand::rng()).unwrap_or_else(|panicked| {
            self.conversation.calls.push(Call::Error(panicked.clone()));
            self.conversation.set_fatal(panicked);
            None
        })
    }

    /// The end of the run.
    pub(super) fn over(&mut self, error: Option<Error>, close: Close) {
        self.over_with(None, error, close);
    }

    /// The end of the run, where `on_error` has heard of a violation before.
    fn over_with(&mut self, violation: Option<Error>, error: Option<Error>, close: Close) {
        if let SessionPhase::Connecting(dialing) = &self.phase {
            dialing.cancel.cancel();
        }
        self.conversation.shared.disconnected(State::Closed);
        if let Some(error) = &error {
            self.conversation.tell_error(error.clone());
        }
        self.give_back_expired(Instant::now());
        self.report_unsent();
        // The reason is the peer's, and in the log of its connection, unless it is not fit for one.
        let without_reason = Close { reason: String::new(), ..close.clone() };
        log::debug!(target: "websocket_app", "{}: over: {without_reason}", self.plan.peer());
        self.conversation.calls.push(Call::Close(close.clone()));
        let gave_up = violation.or(error.filter(|_| close.by == ClosedBy::Lost));
        self.phase = SessionPhase::Over(Some(gave_up.map_or(Ok(close), Err)));
    }
}
