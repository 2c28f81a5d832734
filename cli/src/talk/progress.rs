//! [`Progress`]: when the last message came, for those who wait until none does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Written by the app's thread, read by the main thread.
pub(crate) struct Progress {
    began: Instant,
    /// Microseconds since then, or [`NOW`] while one is being written out.
    last: AtomicU64,
}

const NOW: u64 = u64::MAX;

impl Progress {
    pub(crate) fn new(began: Instant) -> Self {
        Progress { began, last: AtomicU64::new(0) }
    }

    /// Takes note of a message, for as long as the closure runs: it may wait for who reads them.
    pub(crate) fn message<R>(&self, write: impl FnOnce() -> R) -> R {
        self.last.store(NOW, Ordering::Relaxed);
        let written = write();
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(NOW - 1);
        self.last.store(micros, Ordering::Relaxed);
        written
    }

    /// Returns when the last message was written out; now, where one is not yet.
    pub(crate) fn last(&self) -> Instant {
        match self.last.load(Ordering::Relaxed) {
            NOW => Instant::now(),
            micros => self.began + Duration::from_micros(micros),
        }
    }
}
