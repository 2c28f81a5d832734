//! What threads share and wait by, in one place, so that a model checker can stand in for it:
//! locks, threads, the clock, and mio's poll with its waker. A leaf.
//!
//! In the library and in ordinary tests these are std's and mio's own, and cost nothing. With
//! `--cfg websocket_model` in RUSTFLAGS, unit tests get those of [`model`] instead, and what is
//! built on them (the sending half of a connection, the hand-off of the event loop) runs in every
//! order in which its threads may be scheduled.

#[cfg(all(test, websocket_model))]
pub(crate) mod model;

#[cfg(not(all(test, websocket_model)))]
mod real {
    use std::time::Instant;

    pub(crate) use mio::{Poll, Waker};
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};
    pub(crate) use std::{thread, thread_local};

    /// Returns the time. Only what decides by it under a lock needs this one: a model has to run
    /// the same way twice.
    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    /// Declares what the process has one of.
    macro_rules! process_wide {
        (static $name:ident: $type:ty = $value:expr;) => {
            static $name: $type = $value;
        };
    }
    pub(crate) use process_wide;
}

#[cfg(all(test, websocket_model))]
pub(crate) use model::{
    Condvar, Mutex, MutexGuard, Poll, Waker, atomic, now, process_wide, thread, thread_local,
};
#[cfg(not(all(test, websocket_model)))]
pub(crate) use real::*;
