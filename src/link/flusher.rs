//! The flusher: one thread of the process that writes what streams of small messages leave in their
//! queues.
//!
//! In a stream a message is only appended, and its sender writes when a piece is full. The rest
//! would wait for the next message, of which nobody knows whether it comes; the flusher writes it.
//! While its system call lasts, more is appended: so the calls make the batches, and a stream that
//! ends has been written a moment later, whatever callbacks and event loops are busy with. It is
//! told of a stream once, looks again for as long as that goes on, and sleeps while there is none;
//! after some seconds of that it is gone.

use std::mem;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::shared::Shared;
use crate::panics;
use crate::sync::{Condvar, Mutex, MutexGuard, process_wide, thread};

/// How long the thread waits for another stream: to start it takes some tens of microseconds, which
/// the first stream after a pause pays.
const STAY_IDLE: Duration = Duration::from_secs(5);

process_wide! {
    static FLUSHER: Flusher = Flusher {
        state: Mutex::new(FlusherState { streams: Vec::new(), running: false }),
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
}

/// Has a stream written from now on until it pauses. Returns whether there is a thread that does.
pub(super) fn write_soon(shared: &Arc<Shared>) -> bool {
    let mut state = FLUSHER.lock();
    if !state.running {
        let thread =
            thread::Builder::new().name("websocket-flusher".into()).spawn(|| FLUSHER.run());
        if thread.is_err() {
            // The sender writes by itself then, and nothing is lost but speed.
            return false;
        }
        state.running = true;
    }
    state.streams.push(Arc::clone(shared));
    drop(state);
    FLUSHER.woken.notify_one();
    true
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
