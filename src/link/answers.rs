//! [`Answers`]: how many bytes of what a server's client was sent by its own callbacks wait, from where in
//! the stream they were queued and how much of that is written.
//!
//! In the [`Writer`](super::writer::Writer), and guarded by the lock of [`Shared`](super::Shared).

use std::ops::Range;

/// How much of what is queued callbacks of the connection's own have sent. In two heaps, by age, so that
/// it takes no list: of the older one all is counted that may be left before its end. So it may be too
/// much, by what was sent within the time in which all that is queued is written; and never too little.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Where in the stream the older ones end.
    older_end: u64,
    /// Where the last one ends.
    end: u64,
    /// Bytes. Every connection of a server has these: where they are 4 GiB it is enough to know that.
    older: u32,
    newer: u32,
}

impl Answers {
    /// Another was queued in this place of the stream, of which so much was written by then.
    pub(super) fn add(&mut self, place: Range<u64>, written: u64) {
        if written >= self.older_end {
            (self.older, self.older_end, self.newer) = (self.newer, self.end, 0);
        }
        let len = u32::try_from(place.end - place.start).unwrap_or(u32::MAX);
        self.newer = self.newer.saturating_add(len);
        self.end = place.end;
    }

    /// Counts the bytes that wait where so much of the stream is written.
    pub(super) fn waiting(&self, written: u64) -> u64 {
        let older = u64::from(self.older).min(self.older_end.saturating_sub(written));
        (older + u64::from(self.newer)).min(self.end.saturating_sub(written))
    }
}

#[cfg(test)]
mod tests {
    use super::Answers;

    /// Beside what others send all the time, so that never all is written.
    #[test]
    fn answers_are_counted_while_they_wait_and_not_much_longer() {
        let (mut answers, mut waiting) = (Answers::default(), Vec::new());
        let (mut accepted, mut written) = (0_u64, 0_u64);
        for i in 0..10_000_u64 {
            // Others send 900 bytes, and an answer of 10 follows.
            let from = accepted + 900;
            answers.add(from..from + 10, written);
            waiting.push(from + 10);
            accepted = from + 10;
            written = accepted.saturating_sub(100_000 + i % 7 * 1_000);
            waiting.retain(|end| *end > written);
            let (counted, exact) = (answers.waiting(written), 10 * waiting.len() as u64);
            assert!(counted >= exact, "{counted} of {exact} after {i}");
            assert!(counted <= 2 * exact + 200, "{counted} of {exact} after {i}");
        }
        // Nor what others have sent behind a long one.
        let mut answers = Answers::default();
        answers.add(0..2_000_000, 0);
        answers.add(3_000_000..3_000_004, 1_940_000);
        assert_eq!(answers.waiting(1_940_000), 60_004);
    }

    #[test]
    fn a_part_of_an_answer_counts_as_such() {
        let (mut answers, accepted) = (Answers::default(), 100);
        answers.add(40..accepted, 0);
        assert_eq!(answers.waiting(accepted), 0);
        assert_eq!(answers.waiting(accepted - 4), 4);
    }
}
