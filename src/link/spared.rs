//! [`Spared`]: for how long memory that has grown is kept by a thread that waits. Belongs to that thread: the event loop's,
//! or the one that is in a blocking `recv`. A leaf.

use std::time::{Duration, Instant};

/// Long enough that a conversation of large messages, with pauses, goes on in the same memory.
const SPARED: Duration = Duration::from_secs(1);

/// What a large message made a [`Reader`](super::Reader) grow to is kept while there is something to read, and for a
/// moment longer.
#[derive(Debug, Default)]
pub(crate) struct Spared {
    until: Option<Instant>,
}

impl Spared {
    pub(crate) fn on_read(&mut self) {
        self.until = None;
    }

    /// The thread is about to wait, with memory that has grown or not: gives when to look again.
    pub(crate) fn on_wait(&mut self, has_grown: bool) -> Option<Instant> {
        match has_grown {
            true => self.until = self.until.or_else(|| Some(Instant::now() + SPARED)),
            false => self.until = None,
        }
        self.until
    }

    /// Whether it is to be given back now.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_nothing_was_read_for_so_long_however_often_the_thread_woke_up() {
        let mut spared = Spared::default();
        assert_eq!(spared.on_wait(false), None);
        let until = spared.on_wait(true).unwrap();
        assert_eq!(spared.on_wait(true), Some(until));
        assert!(!spared.is_over(until - SPARED) && spared.is_over(until));
        spared.on_read();
        assert!(!spared.is_over(until));
        assert!(spared.on_wait(true) >= Some(until));
        assert_eq!(spared.on_wait(false), None);
        assert!(!spared.is_over(until + SPARED));
    }
}
