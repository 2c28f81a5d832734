//! [`Core`]: what the thread that runs a loop works with: the poll, the drivers, their deadlines,
//! and one queue of those that have something to do.
//!
//! ```text
//!   poll, until the next deadline ──► each in the queue: wake, one read, one call ──► deadlines ─┐
//!     ▲                                                                                         │
//!     └─────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! What a server sends to many is written right after the poll, before anybody's turn. Who had a turn
//! and has more to read comes last, and only some of them after each poll.
//!
//! [`Core::step`] stops at every call to the program, so that the loop can be handed on while it
//! runs: see `handoff`. The queue is in here and not on a stack, so whoever gets the core goes on
//! where it was.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Token};

use super::driver::{Driver, Job};
use super::mailbox::{MAILBOX, Mailbox};
use super::timers::Timers;
use crate::busy_poll::Waiting;
use crate::error::Error;
use crate::link::{LoopWaker, Place, Reader, Shrink, Woken};
use crate::panics;
use crate::sync::{Poll, Waker, now};

const WAKER: Token = Token(usize::MAX);

/// How many events one poll takes at first: there is room for one of each driver, so that each has
/// been seen before deadlines are judged.
const EVENTS: usize = 256;

/// What part of all who have a turn after a poll may be such as go on reading much, and what part of
/// these have one: the larger, and at least one. So the others wait a little longer at most; and a
/// poll takes its time, too, for each that has been sent something meanwhile.
const GOING_ON_PART: usize = 16;

pub(super) struct Core<D: Driver> {
    poll: Poll,
    events: Events,
    mailbox: Arc<Mailbox<D>>,
    closed: bool,
    /// Boxed: a list that grows doubles.
    slots: Vec<Option<Box<Slot<D>>>>,
    free: Vec<usize>,
    timers: Timers,
    /// Who has something to do. Each has one turn, then comes the poll again, so that a flood on
    /// one does not starve the others, nor one that works off what has waited for it.
    queue: VecDeque<Token>,
    /// How many at the front have their turn before the next poll.
    turns: usize,
    /// Who had a turn, read much, and has more to read at once. After each poll
    /// [a part](GOING_ON_PART) of them have their next turn, behind all others: who sends little does
    /// not wait for everybody who sends without a pause. Each with its number: who has had a turn
    /// since has another, or none.
    going_on: VecDeque<(Token, u8)>,
    /// The number of the last of them.
    went_on: u8,
    woken: Woken,
    /// How many calls are on their way.
    calls: usize,
    /// Who has something to call, and waits since there are as many as there may be: first come,
    /// first served.
    held: VecDeque<Token>,
    /// How many of them have a place by now, and have yet to take their turn.
    next: usize,
    /// Away with a job that hands out what is in it; made anew when needed before it is back.
    reader: Option<Box<Reader>>,
    shrink: Shrink,
    /// The longest of the drivers'.
    busy_poll: Duration,
    waiting: Waiting,
    /// The time before the latest poll. Deadlines are kept by it: everything that came in before
    /// one is then read before the deadline is judged, however long a callback took.
    polled: Instant,
}

/// A driver, and what it has to do.
struct Slot<D> {
    driver: D,
    stands: Stands,
    /// A thread wants something of it.
    woken: bool,
    /// It may have something to read.
    readable: bool,
    /// It read as much as one turn takes.
    read_much: bool,
    /// Its deadline has come while it had more to read, which is read first; but only once, for a peer
    /// that never pauses has deadlines too.
    read_first: bool,
    /// It waits until a call returns.
    held: bool,
    /// It has waited, and a place is kept for it.
    is_next: bool,
}

/// Where a driver waits for its turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Nowhere,
    InQueue,
    /// Among those that go on reading, with this number. A byte, for thousands have it: once in 256
    /// times one has a turn too early.
    GoingOn(u8),
}

/// A call to the program on its way, with all that it needs.
pub(super) struct TakenJob<D: Driver> {
    token: Token,
    work: Work<D>,
}

enum Work<D: Driver> {
    /// With what it reads from.
    Call(D::Job, Option<Box<Reader>>),
    /// The driver is over. What it holds is the program's, and may take as long to drop as a call
    /// takes.
    Finish(Box<Slot<D>>),
}

/// A call that has returned.
pub(super) struct DoneJob<D: Driver> {
    token: Token,
    /// `None` where it was the driver's end. An error where it did not return, so that what it was
    /// given is lost, and its driver without it.
    done: Result<Option<<D::Job as Job>::Done>, Error>,
    reader: Option<Box<Reader>>,
}

impl<D: Driver> TakenJob<D> {
    pub(super) fn run(self) -> DoneJob<D> {
        let TakenJob { token, work } = self;
        match work {
            Work::Call(job, reader) => {
                let done = panics::guarded(|| Some(job.run(reader.as_deref())));
                DoneJob { token, done, reader }
            }
            Work::Finish(slot) => {
                // Nobody needs what it may leave undone.
                drop(panics::guarded(|| slot.driver.finish()));
                DoneJob { token, done: Ok(None), reader: None }
            }
        }
    }
}

impl<D: Driver> Core<D> {
    pub(super) fn new() -> Result<(Box<Self>, Arc<Mailbox<D>>), Error> {
        let build = || -> io::Result<_> {
            let poll = Poll::new()?;
            let waker = Arc::new(LoopWaker::new(Waker::new(poll.registry(), WAKER)?));
            Ok((poll, Arc::new(Mailbox::new(waker))))
        };
        let (poll, mailbox) = build().map_err(|source| Error::system("an event loop", source))?;
        let core = Box::new(Core {
            poll,
            events: Events::with_capacity(EVENTS),
            mailbox: Arc::clone(&mailbox),
            closed: false,
            slots: Vec::new(),
            free: Vec::new(),
            timers: Timers::default(),
            queue: VecDeque::new(),
            turns: 0,
            going_on: VecDeque::new(),
            went_on: 0,
            woken: Woken::default(),
            calls: 0,
            held: VecDeque::new(),
            next: 0,
            reader: None,
            shrink: Shrink::default(),
            busy_poll: Duration::ZERO,
            waiting: Waiting::default(),
            polled: now(),
        });
        Ok((core, mailbox))
    }

    /// What its poll waits by.
    #[cfg(all(test, websocket_model))]
    pub(super) fn bell(&self) -> Arc<crate::sync::model::Bell> {
        self.poll.registry().bell()
    }

    /// Returns whether there is nothing left to do, ever.
    pub(super) fn is_finished(&self) -> bool {
        self.closed && self.free.len() == self.slots.len()
    }

    /// Does what there is to do, up to the next call. `None` when there is nothing to do but wait.
    pub(super) fn step(&mut self) -> Option<TakenJob<D>> {
        loop {
            if self.turns > 0 {
                self.turns -= 1;
                if let Some(token) = self.queue.pop_front()
                    && let Some(call) = self.turn(token)
                {
                    return Some(call);
                }
            } else if let Some(index) = self.timers.pop_due(self.polled) {
                if let Some(call) = self.deadline(Token(index)) {
                    return Some(call);
                }
            } else {
                return None;
            }
        }
    }

    /// Gives a driver its turn: one read, also while calls wait, so that one that works off what
    /// has waited for it still hears pings; and one call. What was read is in the reader, so the
    /// call is taken before anything else is read.
    fn turn(&mut self, token: Token) -> Option<TakenJob<D>> {
        let place = self.slots.get_mut(token.0)?;
        let slot = place.as_mut()?;
        slot.stands = Stands::Nowhere;
        let is_next = std::mem::take(&mut slot.is_next);
        self.next -= usize::from(is_next);
        // Who comes while others wait comes behind them.
        let may_call = is_next || self.held.is_empty() && self.calls + self.next < D::MAX_CALLS;
        let is_finished = slot.driver.is_finished();
        if is_finished && (may_call || !slot.driver.ends_with_call()) {
            let (busy, ends_with_call) = (slot.driver.busy_poll(), slot.driver.ends_with_call());
            let work = Work::Finish(place.take()?);
            if !busy.is_zero() {
                let others = self.slots.iter().flatten();
                self.busy_poll =
                    others.map(|slot| slot.driver.busy_poll()).max().unwrap_or_default();
            }
            let end = TakenJob { token, work };
            if ends_with_call {
                self.calls += 1;
                return Some(end);
            }
            drop(end.run());
            self.free.push(token.0);
            // It may have had a place that it does not want.
            self.release_held();
            return None;
        }
        if std::mem::take(&mut slot.woken) {
            slot.driver.on_wake(self.poll.registry());
        }
        if slot.readable {
            let reader = self.reader.get_or_insert_with(|| Box::new(Reader::new()));
            reader.begin();
            slot.readable = slot.driver.on_readable(reader, may_call);
            slot.read_much = reader.has_much;
            self.waiting.on_read(reader.taken);
            self.shrink.on_read(reader.needs_much());
        }
        if !may_call && (slot.driver.has_job() || slot.driver.is_finished()) && !slot.held {
            slot.held = true;
            self.held.push_back(token);
        }
        let job = match may_call && slot.driver.has_job() {
            true => slot.driver.take_job(),
            false => None,
        };
        self.touched(token);
        let Some(job) = job else {
            // It does not want its place any more.
            self.release_held();
            return None;
        };
        self.calls += 1;
        let reader = if job.needs_reader() { self.reader.take() } else { None };
        Some(TakenJob { token, work: Work::Call(job, reader) })
    }

    /// Has a driver judge its deadline, when it has read once what came before that.
    fn deadline(&mut self, token: Token) -> Option<TakenJob<D>> {
        let slot = self.slots.get_mut(token.0)?.as_mut()?;
        if slot.readable && !std::mem::replace(&mut slot.read_first, true) {
            return self.turn(token);
        }
        slot.driver.on_deadline(self.polled);
        self.touched(token);
        None
    }

    /// Keeps the places that are free for the first of those that wait for one, and gives them their
    /// turn.
    fn release_held(&mut self) {
        while self.calls + self.next < D::MAX_CALLS
            && let Some(token) = self.held.pop_front()
        {
            if let Some(Some(slot)) = self.slots.get_mut(token.0)
                && std::mem::take(&mut slot.held)
            {
                slot.is_next = true;
                self.next += 1;
                slot.queue(&mut self.queue, token);
            }
        }
    }

    /// Takes a call back that has returned. An error is one that the loop cannot go on with.
    pub(super) fn done(&mut self, done: DoneJob<D>) -> Result<(), Error> {
        let DoneJob { token, done, reader } = done;
        self.calls -= 1;
        self.release_held();
        if let Some(reader) = reader {
            self.reader = Some(reader);
        }
        match (done?, self.slots.get_mut(token.0)) {
            (None, _) => self.free.push(token.0),
            (Some(done), Some(Some(slot))) => {
                slot.driver.done(done);
                self.touched(token);
            }
            // It has been given out by one that is there until it is back.
            (Some(_), _) => {}
        }
        Ok(())
    }

    /// Sleeps until a socket, a thread or a deadline wants something.
    pub(super) fn wait(&mut self) -> Result<(), Error> {
        let shrink_at =
            self.shrink.on_wait(self.reader.as_ref().is_some_and(|reader| reader.is_large()));
        let deadline = self.timers.next().into_iter().chain(shrink_at).min();
        let before = deadline.map(|_| now());
        let timeout = match self.queue.is_empty() && self.going_on.is_empty() {
            false => Some(Duration::ZERO),
            true => deadline
                .zip(before)
                .map(|(deadline, before)| deadline.saturating_duration_since(before)),
        };
        match self.waiting.poll(&mut self.poll, &mut self.events, timeout, self.busy_poll) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(Error::system("the event loop's events", error));
            }
            _ => self.note_events()?,
        }
        self.polled = before.unwrap_or(self.polled);
        if self.shrink.is_due(self.polled) {
            self.reader = None;
        }
        let mut part = self.queue.len().max(self.going_on.len()).div_ceil(GOING_ON_PART);
        while part > 0
            && let Some((token, number)) = self.going_on.pop_front()
        {
            if let Some(Some(slot)) = self.slots.get_mut(token.0)
                && slot.stands == Stands::GoingOn(number)
            {
                slot.queue(&mut self.queue, token);
                part -= 1;
            }
        }
        self.turns = self.queue.len();
        Ok(())
    }

    fn note_events(&mut self) -> Result<(), Error> {
        let mut rang = false;
        for event in &self.events {
            if event.token() == WAKER {
                rang = true;
            } else if let Some(Some(slot)) = self.slots.get_mut(event.token().0)
                && slot.driver.on_event(event)
            {
                slot.readable = true;
                if slot.stands == Stands::Nowhere {
                    slot.queue(&mut self.queue, event.token());
                }
            }
        }
        if !rang {
            return Ok(());
        }
        let mut woken = std::mem::take(&mut self.woken);
        self.mailbox.waker.drain(&mut woken);
        let mut opened = Ok(());
        for token in woken.tokens.drain(..) {
            if token == MAILBOX {
                opened = opened.and(self.open_mailbox());
            } else if let Some(Some(slot)) = self.slots.get_mut(token.0) {
                slot.woken = true;
                slot.queue(&mut self.queue, token);
            }
        }
        #[cfg(feature = "server")]
        woken.queued.drain(..).for_each(|shared| shared.write_queued());
        self.woken = woken;
        opened
    }

    fn open_mailbox(&mut self) -> Result<(), Error> {
        let commands = self.mailbox.open();
        self.closed |= commands.closed;
        for start in commands.starts {
            self.start(start);
        }
        // One is not to keep the others from coming back.
        let mut came = Ok(());
        for done in commands.done {
            came = came.and(self.done(done));
        }
        came
    }

    /// Where another driver had this place before, its token may still be in the queue: one turn
    /// too many, in which there is nothing to do.
    fn start(&mut self, start: D::Start) {
        let index = self.free.pop().unwrap_or(self.slots.len());
        let token = Token(index);
        let place = Place { waker: Arc::clone(&self.mailbox.waker), token };
        let driver = D::start(start, place, self.poll.registry());
        self.busy_poll = self.busy_poll.max(driver.busy_poll());
        let slot = Some(Box::new(Slot {
            driver,
            stands: Stands::Nowhere,
            woken: false,
            readable: false,
            read_much: false,
            read_first: false,
            held: false,
            is_next: false,
        }));
        if index == self.slots.len() {
            self.slots.push(slot);
        } else {
            self.slots[index] = slot;
        }
        if self.slots.len() >= self.events.capacity() {
            self.events = Events::with_capacity(2 * self.slots.len());
        }
        self.touched(token);
    }

    /// Something happened to a driver: notes what it has to do, its deadline, and its end.
    fn touched(&mut self, token: Token) {
        let Some(Some(slot)) = self.slots.get_mut(token.0) else { return };
        slot.readable |= slot.driver.take_wants_read();
        let is_finished = slot.driver.is_finished();
        let waits = slot.held && (!is_finished || slot.driver.ends_with_call());
        if slot.readable && slot.read_much && !slot.woken && !is_finished {
            if slot.stands == Stands::Nowhere {
                self.went_on = self.went_on.wrapping_add(1);
                slot.stands = Stands::GoingOn(self.went_on);
                self.going_on.push_back((token, self.went_on));
            }
        } else if slot.woken || slot.readable || !waits && (slot.driver.has_job() || is_finished) {
            slot.queue(&mut self.queue, token);
        }
        let deadline = if is_finished { None } else { slot.driver.next_deadline() };
        if deadline.is_none_or(|deadline| deadline > self.polled) {
            slot.read_first = false;
        }
        self.timers.set(token.0, deadline);
    }

    /// Ends everything, since the loop cannot go on: whoever waits is told why.
    pub(super) fn fail(self: Box<Self>, error: &Error) {
        let Core { mailbox, slots, .. } = *self;
        mailbox.fail(error);
        // The logger may be what made it fail.
        drop(panics::guarded(
            || log::error!(target: "websocket_app::event_loop", "the event loop ends: {error}"),
        ));
        for slot in slots.into_iter().flatten() {
            // What made the loop fail may be met again here. The others are to hear of it all the
            // same.
            drop(panics::guarded(|| slot.driver.fail(error)));
        }
    }
}

impl<D> Slot<D> {
    /// Gives it a turn, once: also where it goes on reading.
    fn queue(&mut self, queue: &mut VecDeque<Token>, token: Token) {
        if self.stands != Stands::InQueue {
            self.stands = Stands::InQueue;
            queue.push_back(token);
        }
    }
}

#[cfg(all(test, not(websocket_model)))]
mod tests;
