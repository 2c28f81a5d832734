//! Who runs the loop: the thread it belongs to, unless that is busy in a callback for long. Then a stand-in does.
//!
//! Before a callback is called, the core is put on the [`Seat`]; after it, it is taken back. If it stays there for too
//! long, the monitor starts a stand-in, which takes it and goes on polling: pings are answered, other apps are served, and
//! what arrives for the busy app waits. The owner, when it returns, asks for the core, and gets it at the stand-in's next
//! turn. A stand-in whose own call takes too long is stood in for in the same way.
//!
//! ```text
//!   owner     ─ poll ─ step ─┐ callback ............................... ┌ step ─ poll ─
//!   seat                     └ core ─ ─ ─┐                     ┌ core ─ ┘
//!   stand-in                             └ poll ─ step ─ poll ─┘
//! ```

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::core::{Core, Inbox};
use super::monitor;
use crate::error::Error;

pub(super) struct Seat {
    state: Mutex<State>,
    /// Signalled when the core is on the seat and the owner waits for it.
    given: Condvar,
    inbox: Arc<Inbox>,
}

#[derive(Default)]
struct State {
    core: Option<Box<Core>>,
    /// Counts how often the core was put here, so that the monitor knows one stay from the next.
    stays: u64,
    /// The owner has come back and wants the core.
    wanted: bool,
    /// A stand-in took the core; the owner has not had it back yet.
    stood_in: bool,
    /// A stand-in failed, and the core with it.
    lost: bool,
}

/// Runs the loop to its end on this thread, its owner.
pub(super) fn run(core: Box<Core>, inbox: &Arc<Inbox>) -> Result<(), Error> {
    let seat = Arc::new(Seat { state: Mutex::default(), given: Condvar::new(), inbox: Arc::clone(inbox) });
    let _watch = monitor::watch(&seat)?;
    let mut core = core;
    loop {
        match core.step() {
            Some(job) => {
                seat.put(core);
                let done = job.run();
                core = seat.take_back()?;
                core.done(done);
            }
            None if core.is_finished() => return Ok(()),
            None => core.wait()?,
        }
    }
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, core: Box<Core>) {
        let mut state = self.lock();
        state.core = Some(core);
        state.stays += 1;
        if state.wanted {
            // A stand-in found a call to make before it saw that the owner is back.
            self.given.notify_all();
        }
        drop(state);
        monitor::wake_if_asleep();
    }

    /// The owner is back: takes the core, from a stand-in if need be.
    fn take_back(&self) -> Result<Box<Core>, Error> {
        let mut state = self.lock();
        if state.core.is_none() {
            state.wanted = true;
            drop(state);
            self.inbox.ring();
            state = self.lock();
        }
        loop {
            if let Some(core) = state.core.take() {
                (state.wanted, state.stood_in) = (false, false);
                return Ok(core);
            }
            if state.lost {
                let source = std::io::Error::other("the thread that stood in for a busy one failed");
                return Err(Error::system("the event loop", source));
            }
            state = self.given.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Which stay of the core this is, if it is here and nobody waits for it.
    pub(super) fn stay(&self) -> Option<u64> {
        let state = self.lock();
        (state.core.is_some() && !state.wanted).then_some(state.stays)
    }

    /// The core has been here for too long: has a thread take it.
    pub(super) fn start_stand_in(self: &Arc<Self>, stay: u64) {
        let seat = Arc::clone(self);
        let thread = thread::Builder::new().name("websocket-stand-in".into()).spawn(move || seat.stand_in(stay));
        if let Err(error) = thread {
            // The core stays where it is, and the monitor tries again.
            log::warn!(target: "websocket_app::event_loop", "no thread to stand in for a slow callback: {error}");
        }
    }

    fn stand_in(&self, stay: u64) {
        let mut core = {
            let mut state = self.lock();
            if state.stays != stay || state.wanted {
                return;
            }
            let Some(core) = state.core.take() else { return };
            state.stood_in = true;
            core
        };
        log::debug!(target: "websocket_app::event_loop", "a callback is slow: another thread stands in");
        let _guard = LostOnPanic(self);
        loop {
            match core.step() {
                Some(job) => {
                    self.put(core);
                    let done = job.run();
                    let mut state = self.lock();
                    // The owner may be back, or another stand-in be at it: then only the call's end is ours to tell.
                    let goes_on = state.stood_in && !state.wanted;
                    match state.core.take_if(|_| goes_on) {
                        Some(taken) => core = taken,
                        None => {
                            drop(state);
                            self.inbox.bring_back(done);
                            return;
                        }
                    }
                    drop(state);
                    core.done(done);
                }
                None => {
                    let mut state = self.lock();
                    if state.wanted || core.is_finished() {
                        state.core = Some(core);
                        state.stays += 1;
                        self.given.notify_all();
                        return;
                    }
                    drop(state);
                    if let Err(error) = core.wait() {
                        log::error!(target: "websocket_app::event_loop", "{error}");
                        self.lose();
                        return;
                    }
                }
            }
        }
    }

    fn lose(&self) {
        self.lock().lost = true;
        self.given.notify_all();
    }
}

/// Tells the owner when a stand-in panics, which no callback can make it do.
struct LostOnPanic<'a>(&'a Seat);

impl Drop for LostOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lose();
        }
    }
}
