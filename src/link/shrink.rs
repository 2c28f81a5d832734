//! [`Shrink`]: when a thread gives back the memory that a large message made its
//! [`Reader`](super::Reader) grow to. Belongs to that thread: the event loop's, or the one that is
//! in a blocking `recv`. A leaf.

use std::time::{Duration, Instant};

/// How long memory is kept that nothing needs: long enough that a conversation of large messages,
/// with pauses, goes on in the same.
const KEEP_FOR: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Shrink {
    /// When to give it back, once it has not been needed.
    at: Option<Instant>,
}

impl Shrink {
    /// Something was read, which needed much or not.
    pub(crate) fn on_read(&mut self, needed_much: bool) {
        if needed_much {
            self.at = None;
        }
    }

    /// The thread is about to wait, with a reader that has grown or not. Returns when to look
    /// again.
    pub(crate) fn on_wait(&mut self, is_large: bool) -> Option<Instant> {
        match is_large {
            true => self.at = self.at.or_else(|| Some(Instant::now() + KEEP_FOR)),
            false => self.at = None,
        }
        self.at
    }

    /// Returns whether the memory is to be given back now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_when_nothing_needed_it_for_so_long_however_often_the_thread_woke_up_and_read() {
        let mut shrink = Shrink::default();
        assert_eq!(shrink.on_wait(false), None);
        let at = shrink.on_wait(true).unwrap();
        shrink.on_read(false);
        assert_eq!(shrink.on_wait(true), Some(at));
        assert!(!shrink.is_due(at - KEEP_FOR) && shrink.is_due(at));
        shrink.on_read(true);
        assert!(!shrink.is_due(at));
        assert!(shrink.on_wait(true) >= Some(at));
        assert_eq!(shrink.on_wait(false), None);
        assert!(!shrink.is_due(at + KEEP_FOR));
    }
}
