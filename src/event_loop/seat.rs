//! Who runs the loop: the thread it belongs to, unless that is busy in a callback for long. Then a stand-in does.
//!
//! Before a callback is called, the core is put on the [`Seat`]; after it, it is taken back. If it stays there for too
//! long, the monitor starts a stand-in, which takes it and goes on polling: pings are answered, other apps are served, and
//! what arrives for the busy app waits. The owner, when it returns, asks for the core, and gets it at the stand-in's next
//! turn. A stand-in whose own call takes too long is stood in for in the same way.
//!
//! Whoever has the core when the loop fails ends the apps, and the owner returns why: no app is left hanging.
//!
//! ```text
//!   owner     ─ poll ─ step ─┐ callback ............................... ┌ step ─ poll ─
//!   seat                     └ core ─ ─ ─┐                     ┌ core ─ ┘
//!   stand-in                             └ poll ─ step ─ poll ─┘
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use super::core::{Core, Inbox};
use super::dispatch::panicked;
use super::monitor;
use crate::error::Error;
use crate::sync::{Condvar, Mutex, MutexGuard, thread};

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
    /// The loop failed while a stand-in had the core, which is gone.
    failed: Option<Error>,
}

/// Runs the loop to its end on this thread, its owner.
pub(super) fn run(core: Box<Core>, inbox: &Arc<Inbox>) -> Result<(), Error> {
    let seat = Arc::new(Seat { state: Mutex::default(), given: Condvar::new(), inbox: Arc::clone(inbox) });
    let mut core = Some(core);
    let result = monitor::watch(&seat).and_then(|_watch| guarded(|| seat.run(&mut core)));
    if let (Err(error), Some(core)) = (&result, core) {
        core.fail(error);
    }
    result
}

/// Runs the loop; a panic becomes an error. No callback can make it do that, a logger can.
fn guarded<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| Err(panicked(payload)))
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the loop on its owner's thread. The core is left where it is at hand, also by a panic.
    fn run(&self, at_hand: &mut Option<Box<Core>>) -> Result<(), Error> {
        while let Some(core) = at_hand {
            match core.step() {
                Some(job) => {
                    self.put(at_hand.take());
                    let done = job.run();
                    match self.take_back() {
                        Ok(core) => at_hand.insert(core).done(done),
                        Err(error) => {
                            self.inbox.bring_back(done);
                            return Err(error);
                        }
                    }
                }
                None if core.is_finished() => break,
                None => core.wait()?,
            }
        }
        Ok(())
    }

    fn put(&self, core: Option<Box<Core>>) {
        let mut state = self.lock();
        state.core = core;
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
            self.inbox.wake();
            state = self.lock();
        }
        loop {
            if let Some(core) = state.core.take() {
                (state.wanted, state.stood_in) = (false, false);
                return Ok(core);
            }
            if let Some(error) = &state.failed {
                return Err(error.clone());
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
            Some(core)
        };
        let result = guarded(|| self.run_for_owner(&mut core));
        if let (Err(error), Some(core)) = (result, core) {
            core.fail(&error);
            self.lock().failed = Some(error);
            self.given.notify_all();
        }
    }

    /// Runs the loop until its owner is back. The core is left where it is at hand, also by a panic.
    fn run_for_owner(&self, at_hand: &mut Option<Box<Core>>) -> Result<(), Error> {
        log::debug!(target: "websocket_app::event_loop", "a callback is slow: another thread stands in");
        while let Some(core) = at_hand {
            if let Some(job) = core.step() {
                self.put(at_hand.take());
                let done = job.run();
                *at_hand = self.go_on();
                match at_hand {
                    Some(core) => core.done(done),
                    None => self.inbox.bring_back(done),
                }
                continue;
            }
            let mut state = self.lock();
            if state.wanted || core.is_finished() {
                state.core = at_hand.take();
                state.stays += 1;
                self.given.notify_all();
                break;
            }
            drop(state);
            core.wait()?;
        }
        Ok(())
    }

    /// Takes the core back after a call, unless the owner is back, or another stand-in is at it: then only the call's end is
    /// left to tell.
    fn go_on(&self) -> Option<Box<Core>> {
        let mut state = self.lock();
        let goes_on = state.stood_in && !state.wanted;
        state.core.take_if(|_| goes_on)
    }
}
