//! Notices callbacks that take long: one thread for the process, asleep while no callback runs, gone when no loop is left.
//!
//! It looks every [`LOOK`]; a core that it finds twice on its seat in the same stay is handed to a stand-in. So the loops
//! themselves need no clock.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::seat::Seat;
use crate::error::Error;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, process_wide, thread};

/// A slow callback is noticed within two of these: soon enough that pings are answered within 100 ms.
const LOOK: Duration = Duration::from_millis(20);
const _: () = assert!(2 * LOOK.as_millis() <= 50, "half of the time is for waking the threads up");

process_wide! {
    static MONITOR: Monitor = Monitor {
        state: Mutex::new(State { seats: Vec::new(), running: false }),
        woken: Condvar::new(),
        asleep: AtomicBool::new(false),
    };
}

struct Monitor {
    state: Mutex<State>,
    woken: Condvar,
    /// Set and cleared under the lock; looked at without it after a core was put on its seat.
    asleep: AtomicBool,
}

struct State {
    seats: Vec<Watched>,
    running: bool,
}

struct Watched {
    seat: Weak<Seat>,
    seen: Option<u64>,
}

/// Has a seat watched until dropped.
pub(super) struct Watch(Weak<Seat>);

pub(super) fn watch(seat: &Arc<Seat>) -> Result<Watch, Error> {
    let mut state = MONITOR.lock();
    state.seats.push(Watched { seat: Arc::downgrade(seat), seen: None });
    if !state.running {
        let thread = thread::Builder::new().name("websocket-monitor".into()).spawn(|| MONITOR.run());
        thread.map_err(|source| Error::system("a thread to watch for slow callbacks", source))?;
        state.running = true;
    }
    Ok(Watch(Arc::downgrade(seat)))
}

impl Drop for Watch {
    fn drop(&mut self) {
        MONITOR.lock().seats.retain(|watched| !watched.seat.ptr_eq(&self.0));
        // A sleeping monitor is to notice when that was the last.
        MONITOR.wake();
    }
}

/// A core was put on its seat.
pub(super) fn wake_if_asleep() {
    // Either the monitor's last look before sleeping saw the core, or this sees that it sleeps: both go through the seat's
    // lock.
    if MONITOR.asleep.load(Ordering::SeqCst) {
        MONITOR.wake();
    }
}

impl Monitor {
    fn lock(&self) -> MutexGuard<'_, State> {
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
            if look(&mut state.seats) {
                self.asleep.store(false, Ordering::SeqCst);
            }
            if state.seats.is_empty() {
                state.running = false;
                self.asleep.store(false, Ordering::SeqCst);
                return;
            }
            while self.asleep.load(Ordering::SeqCst) {
                state = self.woken.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let (guard, _) = self.woken.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner);
            state = guard;
        }
    }
}

/// Looks at every seat; returns whether any has a core on it.
fn look(seats: &mut Vec<Watched>) -> bool {
    let mut busy = false;
    seats.retain_mut(|watched| {
        let Some(seat) = watched.seat.upgrade() else { return false };
        let stay = seat.stay();
        busy |= stay.is_some();
        if let Some(stay) = stay
            && watched.seen == Some(stay)
        {
            seat.start_stand_in(stay);
        }
        watched.seen = stay;
        true
    });
    busy
}
