//! Notices callbacks that take long: one thread for the process, asleep while no callback runs,
//! gone when no loop is left.
//!
//! It looks every [`LOOK_EVERY`]; a core that it finds laid down twice in the same stay is handed
//! to a stand-in. So the loops themselves need no clock.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use crate::error::Error;
use crate::panics;
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
    if !state.running {
        let thread =
            thread::Builder::new().name("websocket-watchdog".into()).spawn(|| WATCHDOG.run());
        thread.map_err(|source| Error::system("a thread to watch for slow callbacks", source))?;
        state.running = true;
    }
    state.loops.push(Looked { at: Arc::downgrade(watched), seen: None });
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
            let looked = look(&mut state.loops);
            if looked.busy {
                self.asleep.store(false, Ordering::SeqCst);
            }
            if !looked.slow.is_empty() {
                // Not under the lock: what starts them may log, and the logger run apps.
                drop(state);
                for (watched, stay) in looked.slow {
                    drop(panics::guarded(|| watched.start_stand_in(stay)));
                }
                state = self.lock();
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

/// What is seen at a look.
struct Look {
    /// A loop has its core laid down.
    busy: bool,
    /// Those whose core was laid down at the last look too, and in which stay.
    slow: Vec<(Arc<dyn Watched>, u64)>,
}

/// Looks at every loop.
fn look(loops: &mut Vec<Looked>) -> Look {
    let mut look = Look { busy: false, slow: Vec::new() };
    loops.retain_mut(|looked| {
        let Some(watched) = looked.at.upgrade() else { return false };
        let stay = watched.stay();
        look.busy |= stay.is_some();
        if let Some(stay) = stay
            && looked.seen == Some(stay)
        {
            look.slow.push((watched, stay));
        }
        looked.seen = stay;
        true
    });
    look
}

#[cfg(all(test, not(websocket_model)))]
mod tests {
    use std::mem::ManuallyDrop;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use super::*;

    /// A loop whose call never returns, and for which no thread is to be had.
    struct Stuck {
        starts: AtomicUsize,
        start: Box<dyn Fn(usize) + Send + Sync>,
    }

    impl Watched for Stuck {
        fn stay(&self) -> Option<u64> {
            Some(1)
        }

        fn start_stand_in(self: Arc<Self>, _: u64) {
            (self.start)(self.starts.fetch_add(1, Ordering::SeqCst));
        }
    }

    fn stuck(start: impl Fn(usize) + Send + Sync + 'static) -> Arc<dyn Watched> {
        Arc::new(Stuck { starts: AtomicUsize::new(0), start: Box::new(start) })
    }

    /// As a logger may, which is told that there is no thread: it runs an app, or panics.
    #[test]
    fn what_starts_a_stand_in_may_run_loops_and_panic() {
        let (told, hears) = mpsc::channel();
        let slow = stuck(move |times| {
            let other = stuck(|_| ());
            drop(watch(&other).unwrap());
            // The test may be over.
            let _ = told.send(());
            assert!(times > 0, "the first time");
        });
        // Not dropped where it fails: that would wait for the lock that the watchdog has.
        let watched = ManuallyDrop::new(watch(&slow).unwrap());
        for _ in 0..3 {
            hears.recv_timeout(Duration::from_secs(20)).expect("it starts one");
        }
        drop(ManuallyDrop::into_inner(watched));
    }

    /// The thread ends with the last loop. It is another one that watches those after it.
    #[test]
    fn loops_that_come_when_it_has_ended_are_watched_too() {
        let watchdog = Watchdog {
            state: Mutex::new(WatchdogState { loops: Vec::new(), running: true }),
            woken: Condvar::new(),
            asleep: AtomicBool::new(false),
        };
        watchdog.run();
        assert!(!watchdog.lock().running);
    }
}
