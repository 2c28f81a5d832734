//! Which app's deadline comes next. Time is an argument.

use std::collections::BTreeSet;
use std::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// One entry for each app that has a deadline.
    queue: BTreeSet<(Instant, usize)>,
    /// The same by app.
    armed: Vec<Option<Instant>>,
}

impl Timers {
    /// The app's next deadline is this one.
    pub(crate) fn set(&mut self, app: usize, deadline: Option<Instant>) {
        if app >= self.armed.len() {
            self.armed.resize(app + 1, None);
        }
        // Asked after every read, and seldom another than before.
        if self.armed[app] == deadline {
            return;
        }
        if let Some(before) = std::mem::replace(&mut self.armed[app], deadline) {
            self.queue.remove(&(before, app));
        }
        if let Some(deadline) = deadline {
            self.queue.insert((deadline, app));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// Takes an app out whose deadline has come; it must be set again.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        let (_, app) = *self.queue.first().filter(|(deadline, _)| *deadline <= now)?;
        self.set(app, None);
        Some(app)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_app_has_one_deadline_its_latest() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timers = Timers::default();
        timers.set(0, Some(at(1)));
        timers.set(0, Some(at(5)));
        timers.set(1, Some(at(3)));
        timers.set(1, Some(at(2)));
        assert_eq!(timers.next(), Some(at(2)));
        assert_eq!(timers.pop_due(at(1)), None);
        assert_eq!(timers.pop_due(at(4)), Some(1));
        assert_eq!(timers.pop_due(at(4)), None);
        assert_eq!(timers.pop_due(at(5)), Some(0));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn what_is_set_again_and_again_leaves_nothing_behind() {
        let start = Instant::now();
        let mut timers = Timers::default();
        for i in 0..1000 {
            timers.set(0, Some(start + Duration::from_secs(1000 - i)));
        }
        timers.set(0, None);
        assert_eq!((timers.next(), timers.queue.len()), (None, 0));
    }
}
