//! The flusher: one thread of the process that writes what streams of small messages leave in their
//! queues.
//!
//! In a stream a message is only appended, and its sender writes when a piece is full. The rest
//! would wait for the next message, of which nobody knows whether it comes; the flusher writes it.
//! While its system call lasts, more is appended: so the calls make the batches, and a stream that
//! ends has been written a moment later, whatever callbacks and event loops are busy with. It is
//! told of a stream once, looks again for as long as that goes on, and sleeps while there is none;
//! after some seconds of that it is gone.

use std::io;
use std::mem;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::deadline::after;
use crate::panics;
use crate::sync::{Condvar, Mutex, MutexGuard, now, process_wide, thread};

/// How long the thread waits for another stream: to start it takes some tens of microseconds, which
/// the first stream after a pause pays.
const STAY_IDLE: Duration = Duration::from_secs(5);

/// How long after the operating system had no thread for us it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

process_wide! {
    static FLUSHER: Flusher = Flusher {
        state: Mutex::new(FlusherState { streams: Vec::new(), running: false, ask_from: None }),
        woken: Condvar::new(),
    };
}

struct Flusher {
    state: Mutex<FlusherState>,
    woken: Condvar,
}

/// The lock is held for a few instructions, and to start the thread. It comes after that of
/// `Shared`.
struct FlusherState {
    /// Who has begun a stream since the thread last looked.
    streams: Vec<Arc<Shared>>,
    running: bool,
    /// There was no thread to be had: when to ask for one again.
    ask_from: Option<Instant>,
}

/// Has a stream written from now on until it pauses. Returns whether there is a thread that does.
pub(super) fn write_soon(shared: &Arc<Shared>) -> bool {
    let mut state = FLUSHER.lock();
    let spawn = || {
        let thread = thread::Builder::new().name("websocket-flusher".into());
        thread.spawn(|| FLUSHER.run()).map(drop)
    };
    if !state.is_running(now, spawn) {
        // The sender writes by itself then, and nothing is lost but speed.
        return false;
    }
    state.streams.push(Arc::clone(shared));
    drop(state);
    FLUSHER.woken.notify_one();
    true
}

impl FlusherState {
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
        let mut streams = Vec::new();
        while self.wait(&mut streams) {
            while !streams.is_empty() {
                // Nothing here panics but what is the program's: a logger, or a transport as it is
                // dropped. That must not end the streams of all others.
                streams.retain_mut(|shared| {
                    panics::guarded(|| shared.write_stream()).unwrap_or(false)
                });
                // Lets a sender on this processor go on, so that there is more to write than one
                // message.
                thread::yield_now();
                streams.append(&mut self.lock().streams);
            }
        }
    }

    /// Waits for streams; `false` when none has come for long, and the thread is to end.
    fn wait(&self, into: &mut Vec<Arc<Shared>>) -> bool {
        let mut state = self.lock();
        if state.streams.is_empty() {
            let waited =
                self.woken.wait_timeout(state, STAY_IDLE).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
        }
        state.running = !state.streams.is_empty();
        mem::swap(into, &mut state.streams);
        state.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_thread_to_be_had_it_is_not_asked_for_with_each_message() {
        let mut state = FlusherState { streams: Vec::new(), running: false, ask_from: None };
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
}
