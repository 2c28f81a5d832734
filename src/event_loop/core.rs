//! What the thread that runs the loop works with: the poll, the sessions, their deadlines, and the lists of what is to do.
//!
//! ```text
//!   poll, until the next deadline ──► calls ──► rings ──► one read each, in turns ──► deadlines ─┐
//!     ▲                                                                                         │
//!     └─────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! [`Core::step`] stops at every call to a callback, so that the loop can be handed on while it runs: see `seat`. The lists
//! are in here and not on a stack, so whoever gets the core goes on where it was.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use mio::{Events, Token};

use super::dispatch::{Done, Job};
use super::session::{Session, Start};
use super::timers::Timers;
use crate::busy_poll::Waiting;
use crate::error::Error;
use crate::link::{LoopWaker, Reader, Spared};
use crate::sync::{Mutex, MutexGuard, Poll, Waker, now};

const WAKER: Token = Token(usize::MAX);
/// Who rings with this has left something in the inbox.
const INBOX: Token = Token(usize::MAX - 1);

/// How many events one poll takes; more wait for the next.
const EVENTS: usize = 256;

/// What other threads leave for the loop.
pub(crate) struct Inbox {
    letters: Mutex<Letters>,
    pub(crate) waker: Arc<LoopWaker>,
}

#[derive(Default)]
struct Letters {
    apps: Vec<Start>,
    /// Calls that have returned to a thread that no longer runs the loop.
    done: Vec<Done>,
    /// No more apps will come: when the last is over, so is the loop.
    closed: bool,
    /// Why the loop is over before its time: nobody opens letters any more.
    failed: Option<Error>,
    /// Then, by token, the apps whose callback was busy: it ends them when it returns.
    left: BTreeMap<usize, Box<Session>>,
}

impl Inbox {
    /// Leaves an app for the loop, unless that has failed.
    pub(crate) fn add(&self, app: Start) -> Result<(), Error> {
        let refused = self.put(|letters| match &letters.failed {
            Some(error) => Some((error.clone(), app)),
            None => {
                letters.apps.push(app);
                None
            }
        });
        // An app that is refused is dropped here, and not under the lock: what its callbacks hold is the program's.
        refused.map_or(Ok(()), |(error, _app)| Err(error))
    }

    pub(crate) fn close(&self) {
        self.put(|letters| letters.closed = true);
    }

    pub(super) fn bring_back(&self, done: Done) {
        let left = self.put(|letters| match letters.left.remove(&done.token.0) {
            Some(session) => Some((session, done)),
            None => {
                letters.done.push(done);
                None
            }
        });
        if let Some((mut session, done)) = left {
            session.done(done.dispatcher, done.connection, done.result);
            session.wind_up();
        }
    }

    /// Makes whoever runs the loop look up.
    pub(super) fn wake(&self) {
        self.waker.wake(INBOX);
    }

    fn put<T>(&self, change: impl FnOnce(&mut Letters) -> T) -> T {
        let result = change(&mut self.lock());
        self.wake();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Core {
    poll: Poll,
    events: Events,
    inbox: Arc<Inbox>,
    closed: bool,
    /// Boxed: a list that grows doubles.
    sessions: Vec<Option<Box<Session>>>,
    free: Vec<usize>,
    timers: Timers,
    /// Away with a batch while its callbacks run; made anew when needed before it is back.
    reader: Option<Box<Reader>>,
    spared: Spared,
    callable: VecDeque<Token>,
    /// Who has more calls after one that has returned. They come after the next poll, so that an app that works off what has
    /// waited for it does not keep the loop from pings and the others.
    callable_later: Vec<Token>,
    rung: VecDeque<Token>,
    answered: Vec<Token>,
    /// Who may have more to read. One read each, then the poll again, so that a flood on one does not starve the others.
    readable: VecDeque<Token>,
    turns: usize,
    /// The longest of the apps'.
    busy_poll: Duration,
    waiting: Waiting,
    /// The time before the latest poll. Deadlines are kept by it: everything that came in before one is then read before
    /// the deadline is judged, however long a callback took.
    polled: Instant,
    /// The time before the first of the polls in a row that were full, and how many those are.
    crowded: Option<(Instant, usize)>,
}

impl Core {
    pub(super) fn new() -> Result<(Box<Self>, Arc<Inbox>), Error> {
        let build = || -> io::Result<_> {
            let poll = Poll::new()?;
            let waker = Arc::new(LoopWaker::new(Waker::new(poll.registry(), WAKER)?));
            Ok((poll, Arc::new(Inbox { letters: Mutex::default(), waker })))
        };
        let (poll, inbox) = build().map_err(|source| Error::system("an event loop", source))?;
        let core = Box::new(Core {
            poll,
            events: Events::with_capacity(EVENTS),
            inbox: Arc::clone(&inbox),
            closed: false,
            sessions: Vec::new(),
            free: Vec::new(),
            timers: Timers::default(),
            reader: None,
            spared: Spared::default(),
            callable: VecDeque::new(),
            callable_later: Vec::new(),
            rung: VecDeque::new(),
            answered: Vec::new(),
            readable: VecDeque::new(),
            turns: 0,
            busy_poll: Duration::ZERO,
            waiting: Waiting::default(),
            polled: now(),
            crowded: None,
        });
        Ok((core, inbox))
    }

    /// Whether there is nothing left to do, ever.
    pub(super) fn is_finished(&self) -> bool {
        self.closed && self.free.len() == self.sessions.len()
    }

    /// Does what there is to do, up to the next call. `None` when there is nothing to do but wait.
    ///
    /// Calls come first: a `Call::Batch` is about what is in the reader, so nothing may be read, and no reader that comes back
    /// be put in its place, before it is taken.
    pub(super) fn step(&mut self) -> Option<Job> {
        loop {
            if let Some(token) = self.callable.pop_front() {
                let Some(Some(session)) = self.sessions.get_mut(token.0) else { continue };
                session.is_callable = false;
                if let Some(job) = session.take_job(&mut self.reader) {
                    return Some(job);
                }
            } else if let Some(token) = self.rung.pop_front() {
                self.wake(token);
            } else if self.turns > 0 {
                self.turns -= 1;
                self.read();
            } else if let Some(app) = self.timers.pop_due(self.polled) {
                if let Some(Some(session)) = self.sessions.get_mut(app) {
                    session.on_deadline(self.polled);
                    self.touched(Token(app));
                }
            } else {
                return None;
            }
        }
    }

    /// Takes a call back that has returned.
    pub(super) fn done(&mut self, done: Done) {
        let Done { token, connection, dispatcher, reader, result } = done;
        if let Some(reader) = reader {
            self.reader = Some(reader);
        }
        let Some(Some(session)) = self.sessions.get_mut(token.0) else { return };
        session.done(dispatcher, connection, result);
        if session.has_job() && !session.is_callable {
            session.is_callable = true;
            self.callable_later.push(token);
        }
        self.touched(token);
    }

    /// Sleeps until a socket, a thread or a deadline wants something.
    pub(super) fn wait(&mut self) -> Result<(), Error> {
        let spared_until = self.spared.on_wait(self.reader.as_ref().is_some_and(|reader| reader.is_large()));
        let deadline = self.timers.next().into_iter().chain(spared_until).min();
        let before = deadline.map(|_| now());
        let timeout = if !self.readable.is_empty() || !self.callable_later.is_empty() {
            Some(Duration::ZERO)
        } else {
            deadline.zip(before).map(|(deadline, before)| deadline.saturating_duration_since(before))
        };
        match self.waiting.poll(&mut self.poll, &mut self.events, timeout, self.busy_poll) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(Error::system("the event loop's events", error));
            }
            _ => self.note_events(),
        }
        // A poll that is full may have left events for the next: then the deadlines wait for that.
        if let Some(before) = before {
            let (since, full) = self.crowded.take().unwrap_or((before, 0));
            if self.events.iter().count() < EVENTS {
                self.polled = before;
            } else if full * EVENTS > self.sessions.len() {
                // Events come in turns, so by now each that was there in the beginning has been seen.
                self.polled = since;
            } else {
                self.crowded = Some((since, full + 1));
            }
        }
        if self.spared.is_over(self.polled) {
            self.reader = None;
        }
        self.callable.extend(self.callable_later.drain(..));
        self.turns = self.readable.len();
        Ok(())
    }

    fn note_events(&mut self) {
        let mut rang = false;
        for event in &self.events {
            if event.token() == WAKER {
                rang = true;
                continue;
            }
            let Some(Some(session)) = self.sessions.get_mut(event.token().0) else { continue };
            if event.is_writable() {
                session.on_writable();
            }
            let hung_up = event.is_read_closed() || event.is_error();
            if hung_up {
                session.on_hang_up();
            }
            if event.is_readable() || hung_up {
                queue(&mut self.readable, session, event.token());
            }
        }
        if rang {
            self.inbox.waker.drain(&mut self.answered);
            self.rung.extend(self.answered.drain(..));
        }
    }

    /// Does what another thread asked for.
    fn wake(&mut self, token: Token) {
        if token == INBOX {
            self.open_letters();
            return;
        }
        let Some(Some(session)) = self.sessions.get_mut(token.0) else { return };
        session.on_wake(self.poll.registry());
        self.touched(token);
    }

    fn open_letters(&mut self) {
        let (apps, done) = {
            let mut letters = self.inbox.lock();
            self.closed |= letters.closed;
            (std::mem::take(&mut letters.apps), std::mem::take(&mut letters.done))
        };
        for app in apps {
            let index = self.free.pop().unwrap_or(self.sessions.len());
            let session = Box::new(Session::start(Token(index), &self.inbox.waker, app));
            self.busy_poll = self.busy_poll.max(session.busy_poll());
            if index == self.sessions.len() {
                self.sessions.push(Some(session));
            } else {
                self.sessions[index] = Some(session);
            }
            self.touched(Token(index));
        }
        for done in done {
            self.done(done);
        }
    }

    /// Ends every app, since the loop cannot go on: `on_error` says why, `on_close` that it is over. The callbacks are called
    /// here and now; those of an app that is busy in one, when that returns.
    pub(super) fn fail(self: Box<Self>, error: &Error) {
        let Core { inbox, mut sessions, .. } = *self;
        let (apps, returned) = {
            let mut letters = inbox.lock();
            letters.failed = Some(error.clone());
            (std::mem::take(&mut letters.apps), std::mem::take(&mut letters.done))
        };
        for done in returned {
            if let Some(Some(session)) = sessions.get_mut(done.token.0) {
                session.done(done.dispatcher, done.connection, done.result);
            }
        }
        // They come after all others, which keep their tokens.
        sessions.extend(apps.into_iter().map(|app| Some(Box::new(Session::stillborn(&inbox.waker, app)))));
        for (token, session) in sessions.into_iter().enumerate() {
            let Some(session) = session else { continue };
            // What made the loop fail may be met again here. The other apps are to hear of it all the same.
            let ended = catch_unwind(AssertUnwindSafe(|| end_untimely(session, token, &inbox, error)));
            ended.unwrap_or_else(std::mem::forget);
        }
    }

    /// Gives the connection at the front of the list one read.
    fn read(&mut self) {
        let Some(token) = self.readable.pop_front() else { return };
        let Some(Some(session)) = self.sessions.get_mut(token.0) else { return };
        session.is_readable = false;
        self.spared.on_read();
        let reader = self.reader.get_or_insert_with(|| Box::new(Reader::new()));
        reader.taken = 0;
        if session.on_readable(reader) {
            queue(&mut self.readable, session, token);
        }
        self.waiting.on_read(reader.taken);
        self.touched(token);
    }

    /// Something happened to an app: notes its calls, its deadline, and its end.
    fn touched(&mut self, token: Token) {
        let Some(slot) = self.sessions.get_mut(token.0) else { return };
        let Some(session) = slot else { return };
        if std::mem::take(&mut session.wants_read) {
            queue(&mut self.readable, session, token);
        }
        if session.has_job() {
            if !session.is_callable {
                session.is_callable = true;
                self.callable.push_back(token);
            }
        } else if session.is_finished() {
            self.timers.set(token.0, None);
            self.free.push(token.0);
            if let Some(session) = slot.take() {
                let busy = session.busy_poll();
                session.finish();
                if !busy.is_zero() {
                    self.busy_poll =
                        self.sessions.iter().flatten().map(|session| session.busy_poll()).max().unwrap_or_default();
                }
            }
            return;
        }
        self.timers.set(token.0, session.next_deadline());
    }
}

fn end_untimely(mut session: Box<Session>, token: usize, inbox: &Inbox, error: &Error) {
    session.lose(error);
    if session.is_called() {
        let mut letters = inbox.lock();
        // The call may have returned a moment ago.
        let Some(at) = letters.done.iter().position(|done| done.token.0 == token) else {
            letters.left.insert(token, session);
            return;
        };
        let done = letters.done.swap_remove(at);
        drop(letters);
        session.done(done.dispatcher, done.connection, done.result);
    }
    session.wind_up();
}

/// Gives a connection its turn to read, once.
fn queue(readable: &mut VecDeque<Token>, session: &mut Session, token: Token) {
    if !session.is_readable {
        session.is_readable = true;
        readable.push_back(token);
    }
}
