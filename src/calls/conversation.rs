//! [`Conversation`]: what an app's connections and its callbacks have to do with each other, or those
//! of one client of a server: what is read becomes calls, and how a call ends may end the
//! connection.
//!
//! Belongs to the thread that runs the loop. The link is not in it: an app has one after another,
//! and between them none.

use std::sync::Arc;

use super::{Call, Callee, Calls, Dispatcher, Done, Job, Stopped};
use crate::close::{Close, ClosedBy};
use crate::error::Error;
use crate::link::{Link, Place, Reader, Remains, Shared, Step};
use crate::protocol::End;

pub(crate) struct Conversation<C: Callee> {
    pub(crate) calls: Calls,
    pub(crate) shared: Arc<Shared>,
    /// Away while a job runs.
    dispatcher: Option<Dispatcher<C>>,
    /// How many bytes may wait for a callback before no more is read.
    max_waiting: usize,
    /// More wait than that: nothing is read until they are worked off.
    paused: bool,
    /// The peer did something wrong: what it sent before is handed out, and then it is told.
    fails: bool,
    /// What a callback ended it all with, and what those called after that have failed with. From
    /// the first on only `on_close` is called, and `on_error` with what was not sent. All are kept to
    /// the end: they are the program's, and are dropped where what its callbacks hold is.
    fatal: Vec<Error>,
    /// What still comes of a connection that is over: read away in turns with what others have to
    /// do.
    remains: Option<Box<Remains>>,
    /// Something happened that makes reading worth while, though no event says so.
    wants_read: bool,
}

/// The connection is over, with this error if it is one.
pub(crate) struct Over(pub(crate) Option<Error>);

/// What a call has come to, beyond what the conversation sees to.
#[derive(Default)]
pub(crate) struct Returned {
    /// What the peer did wrong on the last connection, which is gone.
    pub(crate) late: Option<Error>,
    /// The callback has ended it all.
    pub(crate) is_end: bool,
    /// Messages that `on_error` cannot be handed back any more.
    pub(crate) unsent: usize,
}

impl<C: Callee> Conversation<C> {
    pub(crate) fn new(
        mut dispatcher: Dispatcher<C>,
        place: &Place,
        max_receive_buffer: usize,
    ) -> Self {
        dispatcher.attach(place);
        Conversation {
            calls: Calls::default(),
            shared: Arc::clone(dispatcher.callee().shared()),
            dispatcher: Some(dispatcher),
            max_waiting: max_receive_buffer,
            paused: false,
            fails: false,
            fatal: Vec::new(),
            remains: None,
            wants_read: false,
        }
    }

    pub(crate) fn is_fatal(&self) -> bool {
        !self.fatal.is_empty()
    }

    /// Ends it all where no callback has before.
    pub(crate) fn set_fatal(&mut self, error: Error) {
        self.fatal.push(error);
    }

    /// Has an error told, unless a callback has ended it all.
    pub(crate) fn tell_error(&mut self, error: Error) {
        if !self.is_fatal() {
            self.calls.push(Call::Error(error));
        }
    }

    /// Has reading tried, though no event asks for it.
    pub(crate) fn read_soon(&mut self) {
        self.wants_read = true;
    }

    /// Returns whether reading is to be tried. Told once.
    pub(crate) fn take_wants_read(&mut self) -> bool {
        std::mem::take(&mut self.wants_read)
    }

    pub(crate) fn has_room(&self) -> bool {
        self.calls.size() < self.max_waiting
    }

    /// Reads once, and has what came handed out: straight from the read buffer if that is what is
    /// called next, else later, from a copy. Returns whether there may be more.
    pub(crate) fn read(
        &mut self,
        link: &mut Link,
        reader: &mut Reader,
        calls_next: bool,
    ) -> Result<bool, Over> {
        if !self.has_room() {
            self.paused = true;
            return Ok(false);
        }
        let more = match link.receive(reader) {
            Step::Received { more } => more,
            Step::Decoded => true,
            Step::Empty => return Ok(false),
            Step::Over(error) => return Err(Over(error)),
        };
        let end = reader.batch.end.take();
        if !reader.batch.items.is_empty() && !self.is_fatal() {
            let is_next = calls_next && self.dispatcher.is_some() && self.calls.is_empty();
            if is_next && !self.awaits_reading() {
                self.calls.push(Call::Batch);
            } else {
                self.calls.push_copy(reader);
            }
        }
        if let Some(end) = end.filter(|end| !matches!(end, End::Close { .. })) {
            self.fails = true;
            self.calls.push(Call::Fail(end));
        }
        Ok(more)
    }

    /// Reads away what still comes of a connection that is over. Returns whether there may be more.
    pub(crate) fn discard(&mut self) -> bool {
        self.remains.take_if(|remains| !remains.discard());
        self.remains.is_some()
    }

    /// Keeps a peer that is not read for now from being taken for dead: what is not read cannot be
    /// heard. Where it is the peer that is waited for, it has to go on reading; then it is not idle
    /// either.
    pub(crate) fn on_deadline(&mut self, link: &mut Link) {
        let is_called = self.dispatcher.is_none();
        let kept = self.paused || is_called || self.calls.has_kept_next();
        let reads = C::ANSWERS && kept && link.has_progressed();
        if reads || self.paused && !self.awaits_reading() {
            link.on_pause();
        }
    }

    /// Returns whether messages are handed out only when the peer has read what those before were
    /// answered with, or its operating system has: then the loop is woken.
    fn awaits_reading(&self) -> bool {
        C::ANSWERS && !self.fails && self.shared.await_reading()
    }

    /// What still comes of this connection is read away. What is left of another, from before, has
    /// had its time.
    pub(crate) fn discard_later(&mut self, remains: Option<Remains>) {
        if let Some(remains) = remains {
            self.remains = Some(Box::new(remains));
            self.wants_read = true;
        }
    }

    /// Closes what is over. Returns how it ended, and whether the program has closed for good.
    pub(crate) fn close(&mut self, link: &mut Link) -> (Close, bool) {
        let (mut close, remains) = link.close();
        self.discard_later(remains);
        // Asked once: it may change at any time.
        let closed = self.shared.is_closed_for_good();
        if closed && close.by == ClosedBy::Lost {
            // Closed a moment too late to find it open: it ends as it was asked to.
            close.by = ClosedBy::Us;
        }
        (close, closed)
    }

    pub(crate) fn has_job(&self) -> bool {
        !self.calls.is_empty()
            && self.dispatcher.is_some()
            && !(self.calls.has_kept_next() && self.awaits_reading())
    }

    /// Takes the next call, if nothing is being called.
    pub(crate) fn take_job(&mut self) -> Option<Job<C>> {
        let dispatcher = self.dispatcher.take()?;
        match self.calls.pop() {
            Some((connection, call)) => {
                // Where nobody will ever read it, nothing is waited for.
                let stops_at_unread =
                    C::ANSWERS && (!self.shared.has_unread() || self.awaits_reading());
                Some(Job { connection, call, dispatcher, stops_at_unread })
            }
            None => {
                self.dispatcher = Some(dispatcher);
                None
            }
        }
    }

    /// A call has returned.
    pub(crate) fn returned(&mut self, done: Done<C>, mut link: Option<&mut Link>) -> Returned {
        let Done { connection, dispatcher, result } = done;
        self.dispatcher = Some(dispatcher);
        let mut returned = Returned::default();
        match result {
            Ok(None) => {}
            Ok(Some(rest)) => self.calls.put_back(connection, rest),
            Err(Stopped::BadText(violation)) => {
                self.calls.drop_messages(connection);
                let end = End::Protocol(violation);
                returned.late = self.fail(connection, end, link.as_deref_mut());
            }
            Err(Stopped::Fatal { error, report }) => {
                returned = self.end(error, report, link.as_deref_mut());
            }
        }
        if self.paused && self.has_room() {
            self.paused = false;
            self.wants_read = true;
            link.iter_mut().for_each(|link| link.on_pause());
        }
        // What the callback sent has gone out by now, a Close among it.
        link.into_iter().for_each(Link::end_first);
        returned
    }

    /// Where the peer did something wrong, and all that it sent before has been handed out: fails
    /// the connection. Returns the error if the last connection was another's, or is gone.
    pub(crate) fn fail_when_due(&mut self, link: Option<&mut Link>) -> Option<Error> {
        let (of, end) = self.calls.take_end()?;
        self.fail(of, end, link)
    }

    /// The peer did something wrong on this connection, and what it sent before that has been
    /// handed out: it is told, and `on_error` is. While a callback was busy the connection may have
    /// gone, and another come: then `on_error` is told before the `on_close` of the first. Returns
    /// the error where it was the last one's.
    fn fail(&mut self, of: u64, end: End, link: Option<&mut Link>) -> Option<Error> {
        let is_last = of == self.calls.connection();
        if let Some(link) = link.filter(|_| is_last) {
            if let Some(error) = link.fail(end) {
                self.tell_error(error);
            }
            return None;
        }
        // Of one that we have closed it is no error.
        let is_ours = self.shared.is_closed_for_good() && self.calls.is_closed_by_us(of);
        if is_ours || self.is_fatal() {
            return None;
        }
        let error = end.into_error()?;
        self.calls.insert_before_close(of, error.clone());
        Some(error).filter(|_| is_last)
    }

    /// A callback has ended it all: the peer is told, and no more is called than `on_error`, with
    /// this and with what was not sent, and `on_close`.
    fn end(&mut self, error: Error, report: bool, link: Option<&mut Link>) -> Returned {
        let unsent = if report { 0 } else { self.calls.mute() };
        let is_end = !self.is_fatal();
        if is_end {
            self.calls.keep_the_end();
            if report {
                self.calls.push_front(Call::Error(error.clone()));
            }
            link.into_iter().for_each(Link::fail_by_callback);
        }
        self.fatal.push(error);
        Returned { late: None, is_end, unsent }
    }

    /// Returns whether everything has been told.
    pub(crate) fn is_finished(&self) -> bool {
        self.calls.is_empty() && self.dispatcher.is_some() && self.remains.is_none()
    }

    /// Takes it apart: what has the callbacks, and what they have failed with, the first of which
    /// ended it.
    pub(crate) fn into_parts(self) -> (Option<Dispatcher<C>>, Vec<Error>) {
        (self.dispatcher, self.fatal)
    }
}
