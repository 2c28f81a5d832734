//! [`Output`]: bytes for standard output, collected by one thread and written by another, so that
//! what comes in a stream is written together, and what comes alone at once.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::threads;

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
    /// Nobody takes it any more, or we do not wait for that any more.
    failed: bool,
    /// The thread that writes has ended.
    ended: bool,
    writer_sleeps: bool,
}

/// Where to put bytes; clones mean the same.
#[derive(Clone)]
pub(crate) struct Output {
    shared: Arc<Shared>,
}

/// The thread that writes, as seen by who waits for its end.
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

/// Starts to write. `failed` is called once where that cannot go on.
pub(crate) fn start(
    mut to: impl Write + Send + 'static,
    failed: impl FnOnce(io::Error) + Send + 'static,
) -> Result<(Output, Writer), Failure> {
    let shared = Arc::new(Shared::default());
    let its = Arc::clone(&shared);
    threads::spawn(move || {
        let written = its.write_all(&mut to);
        if let Err(error) = written {
            its.lock().failed = true;
            failed(error);
        }
        its.lock().ended = true;
        its.emptied.notify_all();
    })?;
    Ok((Output { shared: Arc::clone(&shared) }, Writer { shared }))
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
    /// Waits until everything is written, or cannot be, for this long at most. Returns whether it is.
    pub(crate) fn finish(&self, patience: Duration) -> bool {
        let mut state = self.shared.lock();
        state.over = true;
        self.shared.filled.notify_one();
        let until = Instant::now() + patience;
        while !state.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.emptied.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Lets go of whoever waits for room: what is left is not written.
    pub(crate) fn give_up(&self) {
        self.shared.lock().failed = true;
        self.shared.emptied.notify_all();
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
