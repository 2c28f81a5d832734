//! One thread, many connections: waits in mio's poll, reads, keeps deadlines, calls callbacks.
//!
//! ```text
//!        ┌──────────────────────────────────────────────────────────┐
//!        ▼                                                          │
//!   poll, until the next deadline ──► rings ──► writable ──► readable: one read each, in turns
//! ```
//!
//! Nothing is polled for: an idle loop sleeps until a socket, a thread or a deadline wakes it. Everything here belongs to
//! the thread that runs the loop, except the doorbell.

mod dispatch;
mod handler;
mod session;
mod timers;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};

use crate::close::Close;
use crate::config::Config;
use crate::connect::Target;
use crate::connection::{Doorbell, Reader, Sender};
use crate::error::Error;
pub(crate) use dispatch::{Dispatcher, Periodic};
pub use handler::{CallbackError, Handler};
use session::Session;
use timers::Timers;

const DOORBELL: Token = Token(usize::MAX);

/// How many events one poll takes; more wait for the next.
const EVENTS: usize = 256;

pub(crate) struct EventLoop {
    poll: Poll,
    events: Events,
    doorbell: Arc<Doorbell>,
    sessions: Vec<Option<Session>>,
    timers: Timers,
    reader: Reader,
    /// Who may have more to read than one read took; in turns, so that a flood on one does not starve the others.
    readable: Vec<Token>,
    /// Whose senders are in the middle of a stream of messages.
    streaming: Vec<Token>,
    rung: Vec<Token>,
    /// The time before the latest poll. Deadlines are kept by it: everything that came in before one is then read before
    /// the deadline is judged, however long a callback took.
    polled: Instant,
}

impl EventLoop {
    pub(crate) fn new() -> Result<Self, Error> {
        let build = || -> io::Result<Self> {
            let poll = Poll::new()?;
            let doorbell = Arc::new(Doorbell::new(Waker::new(poll.registry(), DOORBELL)?));
            Ok(EventLoop {
                poll,
                events: Events::with_capacity(EVENTS),
                doorbell,
                sessions: Vec::new(),
                timers: Timers::default(),
                reader: Reader::new(),
                readable: Vec::new(),
                streaming: Vec::new(),
                rung: Vec::new(),
                polled: Instant::now(),
            })
        };
        build().map_err(|source| Error::system("an event loop", source))
    }

    /// Runs one app to its end.
    pub(crate) fn run(
        mut self,
        target: Target,
        config: Config,
        sender: &Sender,
        dispatcher: Dispatcher,
    ) -> Result<Close, Error> {
        let token = Token(self.sessions.len());
        self.sessions.push(Some(Session::start(token, &self.doorbell, target, config, sender, dispatcher)));
        loop {
            if let Some(session) = self.sessions[token.0].take_if(|session| session.is_over())
                && let Some(result) = session.into_result()
            {
                return result;
            }
            self.turn()?;
        }
    }

    /// Waits for something to do, and does it.
    fn turn(&mut self) -> Result<(), Error> {
        self.wait()?;
        self.note_events();
        self.ring();
        self.read();
        self.keep_deadlines();
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Error> {
        let timeout = if !self.readable.is_empty() {
            Some(Duration::ZERO)
        } else if !self.streaming.is_empty() {
            // Lets a sender on this processor go on, so that there is more to write than one message.
            thread::yield_now();
            Some(Duration::ZERO)
        } else {
            self.timers.next().map(|deadline| {
                self.polled = Instant::now();
                deadline.saturating_duration_since(self.polled)
            })
        };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(Error::system("the event loop's events", error))
            }
            _ => Ok(()),
        }
    }

    fn note_events(&mut self) {
        let mut rang = false;
        for event in &self.events {
            if event.token() == DOORBELL {
                rang = true;
                continue;
            }
            let Some(Some(session)) = self.sessions.get_mut(event.token().0) else { continue };
            if event.is_writable() {
                session.on_writable();
            }
            if event.is_read_closed() || event.is_error() {
                session.on_hang_up();
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                queue(&mut self.readable, session, event.token());
            }
        }
        self.rung.clear();
        if rang {
            self.doorbell.answer(&mut self.rung);
        }
    }

    /// Does what other threads asked for.
    fn ring(&mut self) {
        self.rung.append(&mut self.streaming);
        for i in 0..self.rung.len() {
            let token = self.rung[i];
            let Some(Some(session)) = self.sessions.get_mut(token.0) else { continue };
            if session.on_ring(self.poll.registry()) && !self.streaming.contains(&token) {
                self.streaming.push(token);
            }
            self.timers.set(token.0, session.next_deadline());
        }
    }

    /// Gives every connection with something to read one read.
    fn read(&mut self) {
        let turns = self.readable.len();
        for i in 0..turns {
            let token = self.readable[i];
            let Some(Some(session)) = self.sessions.get_mut(token.0) else { continue };
            session.is_queued = false;
            if session.on_readable(&mut self.reader) {
                queue(&mut self.readable, session, token);
            }
            self.timers.set(token.0, session.next_deadline());
        }
        self.readable.drain(..turns);
    }

    fn keep_deadlines(&mut self) {
        let now = self.polled;
        while let Some(app) = self.timers.pop_due(now) {
            let Some(Some(session)) = self.sessions.get_mut(app) else { continue };
            session.on_deadline(now);
            self.timers.set(app, session.next_deadline());
        }
    }
}

/// Gives a connection its turn to read, once.
fn queue(readable: &mut Vec<Token>, session: &mut Session, token: Token) {
    if !session.is_queued {
        session.is_queued = true;
        readable.push(token);
    }
}
