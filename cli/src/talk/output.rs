//! [`Output`]: bytes for standard output, collected by one thread and written by another, so that
//! what comes in a stream is written together, and what comes alone at once.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// How many bytes may wait for whoever reads standard output; then receiving waits too.
const ROOM: usize = 1 << 20;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something is there to be written, or it is over.
    filled: Condvar,
    /// There is room again.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    over: bool,
    /// Nobody takes it any more.
    failed: bool,
    writer_sleeps: bool,
}

/// Where to put bytes; clones mean the same.
#[derive(Clone)]
pub(crate) struct Output {
    shared: Arc<Shared>,
}

/// The thread that writes.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// Starts to write. `failed` is called once where that cannot go on.
pub(crate) fn start(
    mut to: impl Write + Send + 'static,
    failed: impl FnOnce(io::Error) + Send + 'static,
) -> (Output, Writer) {
    let shared = Arc::new(Shared::default());
    let its = Arc::clone(&shared);
    let thread = thread::spawn(move || {
        if let Err(error) = its.write_all(&mut to) {
            its.lock().failed = true;
            its.emptied.notify_all();
            failed(error);
        }
    });
    (Output { shared: Arc::clone(&shared) }, Writer { shared, thread })
}

impl Output {
    /// Appends what the closure writes; waits where there is no room.
    pub(crate) fn put(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.shared.lock();
        while state.waiting.len() >= ROOM && !state.failed {
            state = self.shared.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.failed {
            return;
        }
        write(&mut state.waiting);
        if mem::take(&mut state.writer_sleeps) {
            self.shared.filled.notify_one();
        }
    }
}

impl Writer {
    /// Waits until everything is written, or cannot be.
    pub(crate) fn finish(self) {
        self.shared.lock().over = true;
        self.shared.filled.notify_one();
        // It has no panics of its own; what there was to say has been said.
        let _ = self.thread.join();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until it is over and nothing is left.
    fn write_all(&self, to: &mut impl Write) -> io::Result<()> {
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let mut state = self.lock();
            while state.waiting.is_empty() {
                if state.over {
                    return Ok(());
                }
                state.writer_sleeps = true;
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            mem::swap(&mut batch, &mut state.waiting);
            drop(state);
            self.emptied.notify_all();
            to.write_all(&batch)?;
            to.flush()?;
        }
    }
}
