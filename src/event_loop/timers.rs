//! Which app's deadline comes next. Time is an argument.
//!
//! Deadlines mostly move later, since a connection that lives puts its off. So a later one is not entered before the
//! earlier one has come: the app is then asked again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    /// For each app the earliest of its entries.
    armed: Vec<Option<Instant>>,
}

impl Timers {
    /// The app's next deadline is this one; the app is asked at that time at the latest.
    pub(crate) fn set(&mut self, app: usize, deadline: Option<Instant>) {
        if app >= self.armed.len() {
            self.armed.resize(app + 1, None);
        }
        let Some(deadline) = deadline else { return };
        if self.armed[app].is_none_or(|armed| deadline < armed) {
            self.armed[app] = Some(deadline);
            self.heap.push(Reverse((deadline, app)));
        }
    }

    /// The app is gone; its place may be taken by another.
    pub(crate) fn remove(&mut self, app: usize) {
        if let Some(armed) = self.armed.get_mut(app) {
            *armed = None;
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Takes an app out whose deadline has come; it must be set again.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        while let Some(Reverse((deadline, app))) = self.heap.peek().copied() {
            if deadline > now {
                return None;
            }
            self.heap.pop();
            if self.armed[app] == Some(deadline) {
                self.armed[app] = None;
                return Some(app);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_deadline_that_moves_later_is_asked_for_once_and_then_comes() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timers = Timers::default();
        timers.set(0, Some(at(1)));
        timers.set(0, Some(at(5)));
        timers.set(1, Some(at(3)));
        timers.set(1, Some(at(2)));
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.pop_due(at(1)), Some(0));
        assert_eq!(timers.pop_due(at(1)), None);
        timers.set(0, Some(at(5)));
        assert_eq!(timers.pop_due(at(4)), Some(1));
        assert_eq!(timers.pop_due(at(4)), None, "the entry for 3 s is stale");
        assert_eq!(timers.pop_due(at(5)), Some(0));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_removed_app_leaves_nothing_to_its_successor() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set(0, Some(start));
        timers.remove(0);
        assert_eq!(timers.pop_due(start), None);
    }
}
