//! What `queue_while_disconnected` keeps: messages until they are wholly written, through lost
//! connections. Time is an argument. Inner by the lock of `Shared`.
//!
//! ```text
//!   send ──► handed (to this connection) ──► wholly written: forgotten
//!     │        │ lost
//!     │        ▼
//!     └────► waiting (for a connection) ──► too old, or the run ends: reported
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::deadline::after;
use crate::message::Outgoing;
use crate::sync::thread::ThreadId;

#[derive(Debug)]
pub(crate) struct Backlog {
    limit: usize,
    max_age: Duration,
    handed: VecDeque<Kept>,
    /// The oldest first.
    waiting: VecDeque<Kept>,
    /// What was too old when its turn came; to be reported.
    expired: Vec<Kept>,
    /// Payload bytes in `waiting`.
    bytes: usize,
    /// Counts the messages that were taken out unsent.
    given_up: usize,
    /// A connection is there, but what waits is held until its first callback has returned, so that
    /// what that sends (who we are, what we subscribe to) goes first.
    holding: bool,
    /// How many connections there were whose first callback has yet to be called. While a callback
    /// is slow it may be called when its connection has gone and another is there: then it is not
    /// the one that is waited for.
    due: usize,
    /// The thread that runs that callback.
    opener: Option<ThreadId>,
}

/// A message that may have to be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) is_text: bool,
    pub(crate) payload: Bytes,
    pub(crate) since: Instant,
}

impl Kept {
    /// Copies a message if need be. Messages that are not kept pass by this.
    #[inline(never)]
    pub(crate) fn of(message: &Outgoing<'_>, since: Instant) -> Self {
        Kept { is_text: message.is_text, payload: message.payload.to_owned(), since }
    }
}

impl Backlog {
    pub(crate) fn new(limit: usize, max_age: Duration) -> Self {
        let (handed, waiting) = (VecDeque::new(), VecDeque::new());
        Backlog {
            limit,
            max_age,
            handed,
            waiting,
            expired: Vec::new(),
            bytes: 0,
            given_up: 0,
            holding: false,
            due: 0,
            opener: None,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Counts the bytes that what waits for a connection takes, that of keeping it included: so a
    /// flood of empty messages is bounded too.
    fn size(&self) -> usize {
        self.bytes + self.waiting.len() * size_of::<Kept>()
    }

    /// Counts the payload bytes that wait for a connection.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Returns whether every message was wholly written, but for those that were given up.
    pub(crate) fn is_empty(&self) -> bool {
        self.handed.is_empty() && self.waiting.is_empty()
    }

    /// Counts the messages that will never be sent.
    pub(crate) fn given_up(&self) -> usize {
        self.given_up
    }

    /// Returns whether a message from this thread has to wait although there is a connection.
    pub(crate) fn holds(&self, thread: ThreadId) -> bool {
        self.holding && self.opener != Some(thread)
    }

    /// Keeps a message for the next connection, if it fits.
    pub(crate) fn wait(&mut self, kept: Kept) -> bool {
        // What was handed to a connection that is lost comes on top, so there may be more than the
        // limit.
        let needed = kept.payload.len() + size_of::<Kept>();
        let fits = needed <= self.limit.saturating_sub(self.size());
        if fits {
            self.bytes += kept.payload.len();
            self.waiting.push_back(kept);
        }
        fits
    }

    /// Drops the oldest that wait until there is room for a message of this length, unless it is
    /// longer than the limit. Returns how many.
    pub(crate) fn make_room(&mut self, len: usize) -> usize {
        let (needed, before) = (len + size_of::<Kept>(), self.waiting.len());
        while needed <= self.limit
            && self.size() > self.limit - needed
            && let Some(kept) = self.waiting.pop_front()
        {
            self.bytes -= kept.payload.len();
        }
        before - self.waiting.len()
    }

    /// A message was queued for the connection that is there.
    pub(crate) fn hand(&mut self, kept: Kept) {
        self.handed.push_back(kept);
    }

    /// So many messages were dropped, behind which so many are queued.
    pub(crate) fn dropped(&mut self, messages: usize, behind: usize) {
        let end = self.handed.len().saturating_sub(behind);
        self.handed.drain(end.saturating_sub(messages)..end);
    }

    /// So many messages, the oldest, were wholly written.
    pub(crate) fn written(&mut self, messages: usize) {
        self.handed.drain(..messages.min(self.handed.len()));
    }

    /// A connection is there; its first callback is about to be called.
    pub(crate) fn hold(&mut self) {
        (self.holding, self.opener) = (true, None);
        self.due += 1;
    }

    /// A connection's first callback is about to be called, on this thread.
    pub(crate) fn opened_by(&mut self, thread: ThreadId) {
        self.due -= 1;
        self.opener = Some(thread).filter(|_| self.due == 0);
    }

    /// That callback has returned: all that waits is for the connection that is there, if it is
    /// that one's.
    pub(crate) fn release(&mut self, now: Instant) -> Vec<Kept> {
        if self.due > 0 {
            return Vec::new();
        }
        self.release_all(now)
    }

    /// The connection that is there will be closed: all that waits is for it, whatever its first
    /// callback would send.
    pub(crate) fn release_all(&mut self, now: Instant) -> Vec<Kept> {
        let expired = self.take_expired(now);
        self.expired.extend(expired);
        (self.holding, self.opener, self.bytes) = (false, None, 0);
        let released: Vec<Kept> = self.waiting.drain(..).collect();
        self.handed.extend(released.iter().cloned());
        released
    }

    /// The connection is gone: what was not wholly written waits again, in the order of its age, in
    /// which it gets too old. (What the first callback sent had gone before what was older.)
    pub(crate) fn lost(&mut self) {
        (self.holding, self.opener) = (false, None);
        self.bytes += self.handed.iter().map(|kept| kept.payload.len()).sum::<usize>();
        self.handed.append(&mut self.waiting);
        std::mem::swap(&mut self.handed, &mut self.waiting);
        self.waiting.make_contiguous().sort_by_key(|kept| kept.since);
    }

    /// Returns whether there is something to report.
    pub(crate) fn has_expired(&self) -> bool {
        !self.expired.is_empty()
    }

    /// Takes out what has waited for too long.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Kept> {
        let mut expired = std::mem::take(&mut self.expired);
        if !self.holding {
            expired.extend(self.take_expired(now));
        }
        expired
    }

    fn take_expired(&mut self, now: Instant) -> Vec<Kept> {
        let fresh = self.waiting.iter().position(|kept| after(kept.since, self.max_age) > now);
        let expired: Vec<Kept> =
            self.waiting.drain(..fresh.unwrap_or(self.waiting.len())).collect();
        self.bytes -= expired.iter().map(|kept| kept.payload.len()).sum::<usize>();
        self.given_up += expired.len();
        expired
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.waiting.front().map(|kept| after(kept.since, self.max_age))
    }

    /// Takes out everything: the run is over.
    pub(crate) fn take_all(&mut self) -> Vec<Kept> {
        self.lost();
        self.bytes = 0;
        self.given_up += self.waiting.len();
        let mut all = std::mem::take(&mut self.expired);
        all.extend(self.waiting.drain(..));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::thread;

    const SECOND: Duration = Duration::from_secs(1);

    fn kept(text: &'static str, since: Instant) -> Kept {
        Kept { is_text: true, payload: Bytes::from_static(text.as_bytes()), since }
    }

    fn texts(kept: &[Kept]) -> Vec<&str> {
        kept.iter().map(|kept| str::from_utf8(&kept.payload).unwrap()).collect()
    }

    #[test]
    fn what_was_not_wholly_written_goes_first_and_in_order() {
        let now = Instant::now();
        let mut backlog = Backlog::new(1000, SECOND);
        for text in ["one", "two", "three"] {
            backlog.hand(kept(text, now));
        }
        backlog.written(1);
        backlog.lost();
        assert!(backlog.wait(kept("four", now)));
        assert_eq!(backlog.len(), 12);
        backlog.hold();
        backlog.opened_by(thread::current().id());
        assert_eq!(texts(&backlog.release(now)), ["two", "three", "four"]);
        backlog.written(2);
        backlog.lost();
        assert_eq!(texts(&backlog.take_all()), ["four"]);
        assert_eq!(backlog.len(), 0);
    }

    #[test]
    fn what_was_too_old_when_it_was_its_turn_comes_out_at_the_end_at_the_latest() {
        let now = Instant::now();
        let mut backlog = Backlog::new(1000, SECOND);
        assert!(backlog.wait(kept("old", now)));
        backlog.hold();
        backlog.opened_by(thread::current().id());
        assert!(backlog.release(now + SECOND).is_empty() && backlog.has_expired());
        assert_eq!(texts(&backlog.take_all()), ["old"]);
        assert!(!backlog.has_expired());
    }

    #[test]
    fn what_is_too_much_or_too_old_comes_out() {
        let now = Instant::now();
        let mut backlog = Backlog::new(6 + 2 * size_of::<Kept>(), SECOND);
        assert!(backlog.wait(kept("old", now)));
        assert!(backlog.wait(kept("new", now + SECOND / 2)));
        assert!(!backlog.wait(kept("", now + SECOND / 2)));
        assert_eq!(backlog.next_expiry(), Some(now + SECOND));
        assert_eq!(texts(&backlog.expire(now + SECOND)), ["old"]);
        assert!(backlog.wait(kept("!", now + SECOND)));
        assert_eq!(texts(&backlog.release(now + SECOND)), ["new", "!"]);
    }

    #[test]
    fn the_oldest_make_room_for_one_that_fits() {
        let now = Instant::now();
        let mut backlog = Backlog::new(6 + 2 * size_of::<Kept>(), SECOND);
        for text in ["one", "two"] {
            assert!(backlog.wait(kept(text, now)));
        }
        assert_eq!(backlog.make_room("far too long".len() + size_of::<Kept>()), 0);
        for text in ["a", "b", "c", "d"] {
            assert_eq!(backlog.make_room(text.len()), 1);
            assert!(backlog.wait(kept(text, now)));
        }
        assert_eq!(backlog.len(), 2);
        assert_eq!(texts(&backlog.take_all()), ["c", "d"]);
    }

    /// Who flushes is told that not all was sent.
    #[test]
    fn what_comes_out_unsent_is_counted() {
        let now = Instant::now();
        let mut backlog = Backlog::new(1000, SECOND);
        for (text, since) in [("old", now), ("new", now + SECOND), ("newer", now + SECOND)] {
            assert!(backlog.wait(kept(text, since)));
        }
        assert_eq!(texts(&backlog.expire(now + SECOND)), ["old"]);
        assert_eq!(backlog.given_up(), 1);
        backlog.hold();
        backlog.opened_by(thread::current().id());
        assert_eq!(texts(&backlog.release(now + SECOND)), ["new", "newer"]);
        backlog.written(1);
        assert_eq!(backlog.given_up(), 1);
        assert_eq!(texts(&backlog.take_all()), ["newer"]);
        assert_eq!((backlog.given_up(), backlog.len()), (2, 0));
        assert!(backlog.is_empty());
    }

    #[test]
    fn what_was_released_or_lost_does_not_hold_up_what_is_sent_later() {
        let (here, now) = (thread::current().id(), Instant::now());
        let mut backlog = Backlog::new(1000, SECOND);
        for ends in [|it: &mut Backlog| _ = it.release_all(Instant::now()), Backlog::lost] {
            assert!(backlog.wait(kept("kept", now)));
            backlog.hold();
            assert!(backlog.holds(here));
            ends(&mut backlog);
            assert!(!backlog.holds(here));
            assert_eq!(backlog.len(), backlog.waiting.len() * 4);
        }
    }

    #[test]
    fn what_is_older_than_what_went_before_it_gets_too_old_first() {
        let (now, mut backlog) = (Instant::now(), Backlog::new(1000, SECOND));
        assert!(backlog.wait(kept("order", now)));
        backlog.hold();
        backlog.opened_by(thread::current().id());
        backlog.hand(kept("hello", now + SECOND / 2));
        assert_eq!(texts(&backlog.release(now + SECOND / 2)), ["order"]);
        backlog.lost();
        assert_eq!(backlog.next_expiry(), Some(now + SECOND));
        assert_eq!(texts(&backlog.expire(now + SECOND)), ["order"]);
        assert_eq!(texts(&backlog.take_all()), ["hello"]);
    }

    #[test]
    fn only_the_thread_that_opens_may_go_before_what_waits() {
        let (here, now, mut backlog) =
            (thread::current().id(), Instant::now(), Backlog::new(1000, SECOND));
        assert!(!backlog.holds(here));
        backlog.hold();
        assert!(backlog.holds(here));
        backlog.opened_by(here);
        assert!(!backlog.holds(here));
        backlog.release(now);
        assert!(!backlog.holds(here));
    }

    #[test]
    fn a_callback_of_a_connection_that_has_gone_opens_nothing() {
        let (here, now) = (thread::current().id(), Instant::now());
        let mut backlog = Backlog::new(1000, SECOND);
        backlog.hold();
        backlog.lost();
        assert!(backlog.wait(kept("kept", now)));
        backlog.hold();
        backlog.opened_by(here);
        assert!(backlog.holds(here));
        assert!(backlog.release(now).is_empty());
        backlog.opened_by(here);
        assert!(!backlog.holds(here));
        assert_eq!(texts(&backlog.release(now)), ["kept"]);
    }
}
