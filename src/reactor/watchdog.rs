//! Notices callbacks that take long: one thread for the process, asleep while no callback runs,
//! gone when no loop is left.
//!
//! It looks every [`LOOK_EVERY`]; a core that it finds laid down twice in the same stay is handed
//! to a stand-in. So the loops themselves need no clock.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use crate::error::Error;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, process_wide, thread};

/// A slow callback is noticed within two of these: soon enough that pings are answered within 100
/// ms.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const _: () =
    assert!(2 * LOOK_EVERY.as_millis() <= 50, "half of the time is for waking the threads up");

process_wide! {
    static WATCHDOG: Watchdog = Watchdog {
        state: Mutex::new(WatchdogState { loops: Vec::new(), running: false }),
        woken: Condvar::new(),
        asleep: AtomicBool::new(false),
    };
}

struct Watchdog {
    state: Mutex<WatchdogState>,
    woken: Condvar,
    /// Set and cleared under the lock; looked at without it after a core was laid down.
    asleep: AtomicBool,
}

struct WatchdogState {
    loops: Vec<Looked>,
    running: bool,
}

struct Looked {
    at: Weak<dyn Watched>,
    /// In which stay its core was at the last look.
    seen: Option<u64>,
}

/// A loop, as the watchdog sees it.
pub(super) trait Watched: Send + Sync {
    /// Returns which stay of the core this is, if it is laid down and nobody waits for it.
    fn stay(&self) -> Option<u64>;

    /// The core has been laid down for too long: has a thread take it.
    fn start_stand_in(self: Arc<Self>, stay: u64);
}

/// Has a loop watched until dropped.
pub(super) struct Watch(Weak<dyn Watched>);

pub(super) fn watch(watched: &Arc<dyn Watched>) -> Result<Watch, Error> {
    let mut state = WATCHDOG.lock();
    state.loops.push(Looked { at: Arc::downgrade(watched), seen: None });
    if !state.running {
        let thread =
            thread::Builder::new().name("websocket-watchdog".into()).spawn(|| WATCHDOG.run());
        thread.map_err(|source| Error::system("a thread to watch for slow callbacks", source))?;
        state.running = true;
    }
    Ok(Watch(Arc::downgrade(watched)))
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHDOG.lock().loops.retain(|looked| !looked.at.ptr_eq(&self.0));
        // A sleeping watchdog is to notice when that was the last.
        WATCHDOG.wake();
    }
}

/// A core was laid down.
pub(super) fn wake_if_asleep() {
    // Either the watchdog's last look before sleeping saw the core, or this sees that it sleeps:
    // both go through the handoff's lock.
    if WATCHDOG.asleep.load(Ordering::SeqCst) {
        WATCHDOG.wake();
    }
}

impl Watchdog {
    fn lock(&self) -> MutexGuard<'_, WatchdogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let _state = self.lock();
        self.asleep.store(false, Ordering::SeqCst);
        self.woken.notify_one();
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            self.asleep.store(true, Ordering::SeqCst);
            if look(&mut state.loops) {
                self.asleep.store(false, Ordering::SeqCst);
            }
            if state.loops.is_empty() {
                state.running = false;
                self.asleep.store(false, Ordering::SeqCst);
                return;
            }
            while self.asleep.load(Ordering::SeqCst) {
                state = self.woken.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let (guard, _) =
                self.woken.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner);
            state = guard;
        }
    }
}

/// Looks at every loop; returns whether any has its core laid down.
fn look(loops: &mut Vec<Looked>) -> bool {
    let mut busy = false;
    loops.retain_mut(|looked| {
        let Some(watched) = looked.at.upgrade() else { return false };
        let stay = watched.stay();
        busy |= stay.is_some();
        if let Some(stay) = stay
            && looked.seen == Some(stay)
        {
            watched.start_stand_in(stay);
        }
        looked.seen = stay;
        true
    });
    busy
}
