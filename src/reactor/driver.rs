//! [`Driver`]: what the loop knows of what it runs.

use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;

use crate::error::Error;
use crate::link::{Place, Reader};

/// What a loop runs many of: in an app's loop its session, with one connection at a time.
///
/// It belongs to the thread that has the loop's core; which thread that is may change between two
/// calls.
pub(crate) trait Driver: Send + Sized + 'static {
    /// How many calls may be on their way at a time, each on a thread that stands in for the one
    /// before it: what comes then waits for one of them to return, while reading goes on.
    const MAX_CALLS: usize;

    /// What is made into a driver on the loop's thread.
    type Start: Send + 'static;
    type Job: Job;

    /// Begins, at a place in the poll.
    fn start(start: Self::Start, place: Place, registry: &Registry) -> Self;

    /// The socket has something to tell. Returns whether it may have something to read.
    fn on_event(&mut self, event: &Event) -> bool;

    /// A thread wants something.
    fn on_wake(&mut self, registry: &Registry);

    /// Reads once. Returns whether there may be more. What is read is for the next
    /// [`take_job`](Self::take_job), which follows at once where `calls_next`; else it is to be kept.
    fn on_readable(&mut self, reader: &mut Reader, calls_next: bool) -> bool;

    fn on_deadline(&mut self, now: Instant);

    fn next_deadline(&self) -> Option<Instant>;

    /// Returns whether something happened that makes reading worth while, though no event says so.
    /// Told once.
    fn take_wants_read(&mut self) -> bool;

    /// Returns whether there is something to call, and nothing being called.
    fn has_job(&self) -> bool;

    /// Takes what is to be called, if [there is anything](Self::has_job).
    fn take_job(&mut self) -> Option<Self::Job>;

    /// A job has come back.
    fn done(&mut self, done: <Self::Job as Job>::Done);

    /// Returns how long the loop is to ask for events before it sleeps.
    fn busy_poll(&self) -> Duration;

    /// Returns whether it is over, and everything has been called.
    fn is_finished(&self) -> bool;

    /// Returns whether it holds something of the program's, once it is over: else its end is no call,
    /// and waits for none.
    fn ends_with_call(&self) -> bool {
        true
    }

    /// It is over. Called as a [`Job`] is where it [holds](Self::ends_with_call) something of the
    /// program's.
    fn finish(self);

    /// The loop has failed, and nothing is called any more. Tells whoever waits.
    fn fail(self, error: &Error);
}

/// A call to the program: with all that it needs, so that nothing is shared while it runs, on
/// whichever thread has time.
pub(crate) trait Job: Send + 'static {
    /// What comes back when the call has returned.
    type Done: Send + 'static;

    /// Returns whether it hands out what the reader has read, which then comes along.
    fn needs_reader(&self) -> bool;

    fn run(self, reader: Option<&Reader>) -> Self::Done;
}
