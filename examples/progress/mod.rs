//! Progress bars for the examples: one line, with a bar for either way. Not part of the library.

use std::sync::{Mutex, PoisonError};

/// How far both ways are, of which each is on a thread of its own.
pub(crate) struct Progress<F> {
    size: u64,
    /// Bytes that are sent, and received.
    done: Mutex<[u64; 2]>,
    show: F,
}

/// Which of the bars.
pub(crate) const SENT: usize = 0;
pub(crate) const RECEIVED: usize = 1;

impl<F: Fn(&str)> Progress<F> {
    /// Begins with the number of bytes that go either way. The line is shown whenever it changes.
    pub(crate) fn new(size: u64, show: F) -> Self {
        Progress { size, done: Mutex::default(), show }
    }

    /// Counts bytes of one way, and shows both if that changes what is to be seen.
    pub(crate) fn add(&self, way: usize, bytes: usize) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.bars(*done);
        done[way] += bytes as u64;
        let now = self.bars(*done);
        if now != before {
            (self.show)(&now);
        }
    }

    fn bars(&self, done: [u64; 2]) -> String {
        let [sent, received] = done.map(|done| {
            let percent =
                (done * 100).checked_div(self.size).map_or(100, |percent| percent.min(100));
            format!("[{:20}] {percent:3} %", "#".repeat(percent as usize / 5))
        });
        format!("sent {sent}   received {received}")
    }
}
