//! Which thread runs a loop: the one it belongs to, unless that is busy in a callback for long.
//! Then a stand-in does.
//!
//! Before a callback is called, the core is laid down in the [`Handoff`]; after it, it is taken
//! back. If it lies there for too long, the watchdog starts a stand-in, which takes it and goes on
//! polling: pings are answered, other apps are served, and what arrives for the busy app waits. The
//! owner, when it returns, asks for the core, and gets it at the stand-in's next turn. A stand-in
//! whose own call takes too long is stood in for in the same way.
//!
//! If the loop fails, whoever has the core tells everybody, and the owner returns why: nobody is
//! left hanging.
//!
//! ```text
//!   owner     ─ poll ─ step ─┐ callback ............................... ┌ step ─ poll ─
//!   handoff                  └ core ─ ─ ─┐                     ┌ core ─ ┘
//!   stand-in                             └ poll ─ step ─ poll ─┘
//! ```

use std::sync::{Arc, PoisonError};

use super::core::Core;
use super::driver::Driver;
use super::mailbox::Mailbox;
use super::watchdog::{self, Watched};
use crate::error::Error;
use crate::link::CallbackScope;
use crate::panics;
use crate::sync::{Condvar, Mutex, MutexGuard, thread};

pub(super) struct Handoff<D: Driver> {
    state: Mutex<HandoffState<D>>,
    /// Signalled when the core lies here and the owner waits for it.
    given: Condvar,
    mailbox: Arc<Mailbox<D>>,
}

struct HandoffState<D: Driver> {
    core: Option<Box<Core<D>>>,
    /// Counts how often the core was laid down, so that the watchdog knows one stay from the next.
    stays: u64,
    /// The owner has come back and wants the core.
    wanted: bool,
    /// A stand-in took the core; the owner has not had it back yet.
    stood_in: bool,
    /// The loop failed while a stand-in had the core, which is gone.
    failed: Option<Error>,
}

/// Runs the loop to its end on this thread, its owner.
pub(super) fn run<D: Driver>(core: Box<Core<D>>, mailbox: &Arc<Mailbox<D>>) -> Result<(), Error> {
    let state = HandoffState { core: None, stays: 0, wanted: false, stood_in: false, failed: None };
    let handoff = Arc::new(Handoff {
        state: Mutex::new(state),
        given: Condvar::new(),
        mailbox: Arc::clone(mailbox),
    });
    let mut core = Some(core);
    let watched: Arc<dyn Watched> = Arc::clone(&handoff) as _;
    let result = watchdog::watch(&watched).and_then(|_watch| guarded(|| handoff.run(&mut core)));
    if let (Err(error), Some(core)) = (&result, core) {
        core.fail(error);
    }
    result
}

/// Runs the loop; a panic becomes an error. No callback can make it do that, a logger can.
/// The logger may also send over an app of this loop, for which it must not wait.
fn guarded<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let _scope = CallbackScope::enter();
    panics::guarded(run).unwrap_or_else(Err)
}

impl<D: Driver> Handoff<D> {
    fn lock(&self) -> MutexGuard<'_, HandoffState<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the loop on its owner's thread. The core is left where it is at hand, also by a panic.
    fn run(&self, at_hand: &mut Option<Box<Core<D>>>) -> Result<(), Error> {
        while let Some(core) = at_hand {
            match core.step() {
                Some(call) => {
                    self.lay_down(at_hand.take());
                    let done = call.run();
                    // Where the loop has failed meanwhile, nobody wants to know any more.
                    let core = self.take_back()?;
                    at_hand.insert(core).done(done)?;
                }
                None if core.is_finished() => break,
                None => core.wait()?,
            }
        }
        Ok(())
    }

    fn lay_down(&self, core: Option<Box<Core<D>>>) {
        let mut state = self.lock();
        state.core = core;
        state.stays += 1;
        if state.wanted {
            // A stand-in found a call to make before it saw that the owner is back.
            self.given.notify_all();
        }
        drop(state);
        watchdog::wake_if_asleep();
    }

    /// The owner is back: takes the core, from a stand-in if need be.
    fn take_back(&self) -> Result<Box<Core<D>>, Error> {
        let mut state = self.lock();
        if state.core.is_none() {
            state.wanted = true;
            drop(state);
            self.mailbox.wake();
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

    /// Runs the loop until its owner is back. The core is left where it is at hand, also by a
    /// panic.
    fn run_for_owner(&self, at_hand: &mut Option<Box<Core<D>>>) -> Result<(), Error> {
        log::debug!(target: "websocket_app::event_loop", "a callback is slow: another thread stands in");
        while let Some(core) = at_hand {
            if let Some(call) = core.step() {
                self.lay_down(at_hand.take());
                let done = call.run();
                *at_hand = self.go_on();
                match at_hand {
                    Some(core) => core.done(done)?,
                    None => self.mailbox.bring_back(done),
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

    /// Takes the core back after a call, unless the owner is back, or another stand-in is at it:
    /// then only the call's end is left to tell.
    fn go_on(&self) -> Option<Box<Core<D>>> {
        let mut state = self.lock();
        let goes_on = state.stood_in && !state.wanted;
        state.core.take_if(|_| goes_on)
    }
}

impl<D: Driver> Watched for Handoff<D> {
    fn stay(&self) -> Option<u64> {
        let state = self.lock();
        (state.core.is_some() && !state.wanted).then_some(state.stays)
    }

    fn start_stand_in(self: Arc<Self>, stay: u64) {
        let thread = thread::Builder::new()
            .name("websocket-stand-in".into())
            .spawn(move || self.stand_in(stay));
        if let Err(error) = thread {
            // The core stays where it is, and the watchdog tries again.
            log::warn!(target: "websocket_app::event_loop", "no thread to stand in for a slow callback: {error}");
        }
    }
}
