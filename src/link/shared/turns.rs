//! [`Turns`]: who waits for something that one thread at a time gets, in the order in which they
//! came. Any thread that sends; guarded by the lock of `Shared`.

use std::collections::VecDeque;

/// Takes no memory to speak of while nobody waits.
#[derive(Debug, Default)]
pub(super) struct Turns(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    turns: VecDeque<Turn>,
    /// Counts all who came since somebody has been waiting.
    came: u64,
    /// How many bytes went before the first of them while that has been the first.
    went_before: usize,
}

/// The place of a thread that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn(u64);

impl Turns {
    /// Returns whether a thread with this turn is next; one that has none is where nobody waits.
    pub(super) fn is_next(&self, turn: Option<Turn>) -> bool {
        self.0.as_ref().and_then(|waiting| waiting.turns.front().copied()) == turn
    }

    /// Begins to wait, behind all others.
    pub(super) fn join(&mut self) -> Turn {
        let waiting = self.0.get_or_insert_default();
        waiting.came += 1;
        let turn = Turn(waiting.came);
        waiting.turns.push_back(turn);
        turn
    }

    /// Waits no longer, whether or not it was next.
    pub(super) fn leave(&mut self, turn: Turn) {
        let was_next = self.is_next(Some(turn));
        let Some(waiting) = &mut self.0 else { return };
        if was_next {
            waiting.went_before = 0;
        }
        waiting.turns.retain(|other| *other != turn);
        if waiting.turns.is_empty() {
            self.0 = None;
        }
    }

    /// Returns whether so many bytes of a thread that finds room may go before those who wait for
    /// some: as many as the limit for each of them, so that nobody waits for ever.
    pub(super) fn lets_by(&self, bytes: usize, limit: usize) -> bool {
        let went_before = self.0.as_ref().map_or(0, |waiting| waiting.went_before);
        went_before.saturating_add(bytes) <= limit
    }

    /// So many bytes have gone before those who wait.
    pub(super) fn went_by(&mut self, bytes: usize) {
        if let Some(waiting) = &mut self.0 {
            waiting.went_before += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_next_when_those_before_it_have_left() {
        let mut turns = Turns::default();
        assert!(turns.is_next(None));
        let [first, second, third] = [(); 3].map(|()| turns.join());
        assert!(turns.is_next(Some(first)) && !turns.is_next(Some(second)) && !turns.is_next(None));
        turns.leave(second);
        assert!(turns.is_next(Some(first)));
        turns.leave(first);
        assert!(turns.is_next(Some(third)));
        turns.leave(third);
        assert!(turns.is_next(None));
    }

    #[test]
    fn who_finds_room_goes_before_each_of_those_who_wait_by_as_much_as_the_limit() {
        let mut turns = Turns::default();
        let [first, second] = [(); 2].map(|()| turns.join());
        for waits in [first, second] {
            for _ in 0..10 {
                assert!(turns.lets_by(10, 100));
                turns.went_by(10);
            }
            assert!(!turns.lets_by(1, 100));
            turns.leave(waits);
        }
        assert!(turns.lets_by(100, 100));
    }
}
