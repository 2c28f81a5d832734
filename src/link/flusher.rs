//! The flusher: one thread of the process that writes what streams of small messages leave in their
//! queues.
//!
//! In a stream a message is only appended, and its sender writes when a piece is full. The rest
//! would wait for the next message, of which nobody knows whether it comes; the flusher writes it.
//! While its system call lasts, more is appended: so the calls make the batches, and a stream that
//! ends has been written a moment later, whatever callbacks and event loops are busy with. It is
//! told of a stream once, looks again for as long as that goes on, and sleeps while there is none;
//! after some seconds of that it is gone.
//!
//! It also looks, now and then while callbacks [gather](super::gather) what they send, whether one
//! of them takes its time before it goes out.

use std::io;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::gather::Gathered;
use super::shared::Shared;
use crate::deadline::after;
use crate::panics;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, now, process_wide, thread};

/// How long the thread waits for another stream: to start it takes some tens of microseconds, which
/// the first stream after a pause pays.
const STAY_IDLE: Duration = Duration::from_secs(5);

/// What was gathered is written within two of these.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How often in a row it looks while nothing new is gathered, before callbacks have to wake it
/// again.
const MAX_LOOKS_IN_VAIN: u32 = 3;

/// How long after the operating system had no thread for us it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

process_wide! {
    static FLUSHER: Flusher = Flusher {
        state: Mutex::new(FlusherState::new()),
        woken: Condvar::new(),
        looks: AtomicBool::new(false),
    };
}

struct Flusher {
    state: Mutex<FlusherState>,
    woken: Condvar,
    /// It looks at what is gathered. Set and cleared under the lock.
    looks: AtomicBool,
}

/// The lock is held for a few instructions, and to start the thread. It comes after that of
/// `Shared`.
struct FlusherState {
    /// Who has begun a stream since the thread last looked.
    streams: Vec<Arc<Shared>>,
    running: bool,
    /// There was no thread to be had: when to ask for one again.
    ask_from: Option<Instant>,
    /// What each thread gathers, where any has.
    gathered: Vec<Looked>,
    next_look: Option<Instant>,
    looks_in_vain: u32,
}

struct Looked {
    at: Weak<Gathered>,
    /// Which round it was in at the last look.
    seen: u64,
}

/// Has a stream written from now on until it pauses. Returns whether there is a thread that does.
pub(super) fn write_soon(shared: &Arc<Shared>) -> bool {
    let mut state = FLUSHER.lock();
    if !state.is_running(now, spawn) {
        // The sender writes by itself then, and nothing is lost but speed.
        return false;
    }
    state.streams.push(Arc::clone(shared));
    drop(state);
    FLUSHER.woken.notify_one();
    true
}

/// Has what a thread gathers written if that takes long. Returns whether there is a thread that
/// does.
pub(super) fn look_after(gathered: &Arc<Gathered>) -> bool {
    // Either the flusher's last look before it stops looking saw the round, or this sees that it
    // has stopped: both go through the lock of what is gathered.
    if FLUSHER.looks.load(Ordering::SeqCst) && Arc::weak_count(gathered) > 0 {
        return true;
    }
    let mut state = FLUSHER.lock();
    if !state.is_running(now, spawn) {
        return false;
    }
    if Arc::weak_count(gathered) == 0 {
        state.gathered.push(Looked { at: Arc::downgrade(gathered), seen: 0 });
    }
    (state.next_look, state.looks_in_vain) = (Some(after(now(), LOOK_EVERY)), 0);
    FLUSHER.looks.store(true, Ordering::SeqCst);
    drop(state);
    FLUSHER.woken.notify_one();
    true
}

fn spawn() -> io::Result<()> {
    let thread = thread::Builder::new().name("websocket-flusher".into());
    thread.spawn(|| FLUSHER.run()).map(drop)
}

impl FlusherState {
    const fn new() -> Self {
        FlusherState {
            streams: Vec::new(),
            running: false,
            ask_from: None,
            gathered: Vec::new(),
            next_look: None,
            looks_in_vain: 0,
        }
    }

    /// Looks for what was gathered before the last look, and waits.
    fn look(&mut self, late: &mut Vec<Arc<Shared>>) {
        let mut in_vain = true;
        self.gathered.retain_mut(|looked| {
            let Some(gathered) = looked.at.upgrade() else { return false };
            let (round, is_late) = gathered.look(looked.seen);
            in_vain &= round == looked.seen;
            late.extend(is_late);
            looked.seen = round;
            true
        });
        self.looks_in_vain = if in_vain { self.looks_in_vain + 1 } else { 0 };
    }

    /// The same, when it is time.
    fn look_in_time(&mut self, looks: &AtomicBool, late: &mut Vec<Arc<Shared>>) {
        let Some(next) = self.next_look else { return };
        let now = now();
        if now < next {
            return;
        }
        if self.looks_in_vain >= MAX_LOOKS_IN_VAIN {
            looks.store(false, Ordering::SeqCst);
        }
        self.look(late);
        let goes_on = self.looks_in_vain <= MAX_LOOKS_IN_VAIN;
        looks.store(goes_on, Ordering::SeqCst);
        if !goes_on {
            self.gathered.clear();
        }
        self.next_look = goes_on.then(|| after(now, LOOK_EVERY));
    }

    /// Returns whether the thread is there, which is started where it is not.
    fn is_running(
        &mut self,
        now: impl FnOnce() -> Instant,
        spawn: impl FnOnce() -> io::Result<()>,
    ) -> bool {
        if !self.running {
            let now = now();
            if self.ask_from.is_none_or(|from| from <= now) {
                self.running = spawn().is_ok();
                self.ask_from = (!self.running).then(|| after(now, ASK_AGAIN));
            }
        }
        self.running
    }
}

impl Flusher {
    fn lock(&self) -> MutexGuard<'_, FlusherState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let (mut streams, mut late) = (Vec::new(), Vec::new());
        while self.wait(&mut streams, &mut late) {
            // Nothing here panics but what is the program's: a logger, or a transport as it is
            // dropped. That must not end the streams of all others.
            for shared in late.drain(..) {
                drop(panics::guarded(move || shared.write_gathered()));
            }
            streams.retain_mut(|shared| panics::guarded(|| shared.write_stream()).unwrap_or(false));
            if !streams.is_empty() {
                // Lets a sender on this processor go on, so that there is more to write than one
                // message.
                thread::yield_now();
            }
        }
    }

    /// Waits for something to do, where there is none; `false` when nothing has come for long, and
    /// the thread is to end.
    fn wait(&self, streams: &mut Vec<Arc<Shared>>, late: &mut Vec<Arc<Shared>>) -> bool {
        let mut state = self.lock();
        let mut is_idle = false;
        if streams.is_empty() && state.streams.is_empty() {
            is_idle = state.next_look.is_none();
            let until_look = |next: Instant| next.saturating_duration_since(now());
            let timeout = state.next_look.map_or(STAY_IDLE, until_look);
            let waited =
                self.woken.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
        }
        streams.append(&mut state.streams);
        state.look_in_time(&self.looks, late);
        state.running =
            !is_idle || !streams.is_empty() || !late.is_empty() || state.next_look.is_some();
        state.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_thread_to_be_had_it_is_not_asked_for_with_each_message() {
        let mut state = FlusherState::new();
        let (began, mut asked) = (Instant::now(), 0);
        let mut is_running = |after, there_is_one: bool| {
            state.is_running(
                || began + after,
                || {
                    asked += 1;
                    there_is_one.then_some(()).ok_or_else(|| io::Error::other("none"))
                },
            )
        };
        assert!(!(0..100).any(|i| is_running(ASK_AGAIN * i / 100, false)));
        assert!(is_running(ASK_AGAIN, true) && is_running(ASK_AGAIN, false));
        assert_eq!(asked, 2);
    }

    #[test]
    fn it_looks_no_longer_where_nothing_new_is_gathered() {
        let (mut state, gathered, looks) =
            (FlusherState::new(), Arc::default(), AtomicBool::new(true));
        state.gathered.push(Looked { at: Arc::downgrade(&gathered), seen: 0 });
        state.next_look = Some(now());
        let looked = (1..100).find(|_| {
            state.look_in_time(&looks, &mut Vec::new());
            // It need not be waited for.
            state.next_look.as_mut().map(|next| *next = now()).is_none()
        });
        assert_eq!(looked, Some(MAX_LOOKS_IN_VAIN + 1));
        assert!(!looks.load(Ordering::SeqCst) && state.gathered.is_empty());
    }
}
