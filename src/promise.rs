//! One value that one thread gives and another waits for: the loop gives a run's result to whoever
//! joins it. Others may wait until that is so. One mutex guards it, held for a look. A leaf.
//!
//! A channel can do this too, and takes half a kibibyte, which each of ten thousand apps would hold
//! all its life.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Instant;

/// Makes both ends.
pub(crate) fn promise<T>() -> (Giver<T>, Promise<T>) {
    let shared =
        Arc::new(Common { state: Mutex::new(PromiseState::Open), changed: Condvar::new() });
    (Giver(Arc::clone(&shared)), Promise(shared))
}

/// The end that gives. Dropped without having given, it breaks the promise.
#[derive(Debug)]
pub(crate) struct Giver<T>(Arc<Common<T>>);

/// The end that waits.
#[derive(Debug)]
pub(crate) struct Promise<T>(Arc<Common<T>>);

/// An end that only learns that there is an end of it. Any number of threads.
#[derive(Debug)]
pub(crate) struct Onlooker<T>(Weak<Common<T>>);

#[derive(Debug)]
struct Common<T> {
    state: Mutex<PromiseState<T>>,
    /// Signalled when the state is no longer open.
    changed: Condvar,
}

#[derive(Debug)]
enum PromiseState<T> {
    Open,
    Given(T),
    Broken,
}

impl<T> Giver<T> {
    pub(crate) fn give(self, value: T) {
        self.settle(PromiseState::Given(value));
    }

    /// Only the first settles it.
    fn settle(&self, outcome: PromiseState<T>) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let PromiseState::Open = *state {
            *state = outcome;
            self.0.changed.notify_all();
        }
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        self.settle(PromiseState::Broken);
    }
}

impl<T> Promise<T> {
    pub(crate) fn onlooker(&self) -> Onlooker<T> {
        Onlooker(Arc::downgrade(&self.0))
    }

    /// Waits for the value; `None` when the promise was broken.
    pub(crate) fn wait(self) -> Option<T> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match std::mem::replace(&mut *state, PromiseState::Broken) {
                PromiseState::Given(value) => return Some(value),
                PromiseState::Broken => return None,
                PromiseState::Open => *state = PromiseState::Open,
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Onlooker<T> {
    /// Waits until the promise is kept or broken, up to the deadline. Returns whether it is.
    pub(crate) fn is_settled_by(&self, deadline: Instant) -> bool {
        // Where nobody has either end any more, it is.
        let Some(common) = self.0.upgrade() else { return true };
        let mut state = common.state.lock().unwrap_or_else(PoisonError::into_inner);
        while matches!(*state, PromiseState::Open) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state =
                common.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl<T> Clone for Onlooker<T> {
    fn clone(&self) -> Self {
        Onlooker(Weak::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_given_arrives_whoever_is_first() {
        let (giver, kept) = promise();
        giver.give(1);
        assert_eq!(kept.wait(), Some(1));
        let (giver, kept) = promise();
        let waiting = thread::spawn(|| kept.wait());
        giver.give(2);
        assert_eq!(waiting.join().unwrap(), Some(2));
    }

    #[test]
    fn a_giver_that_is_gone_breaks_it() {
        let (giver, broken) = promise::<u8>();
        let waiting = thread::spawn(|| broken.wait());
        drop(giver);
        assert_eq!(waiting.join().unwrap(), None);
    }

    #[test]
    fn an_onlooker_learns_of_the_end_however_it_comes() {
        let (now, late) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        for end in [|giver: Giver<u8>| giver.give(1), drop] {
            let (giver, promise) = promise();
            let [first, second] = [(); 2].map(|()| promise.onlooker());
            assert!(!first.is_settled_by(now) && !second.is_settled_by(now));
            let looking = thread::spawn(move || first.is_settled_by(late));
            let waiting = thread::spawn(move || promise.wait());
            end(giver);
            assert!(looking.join().unwrap() && second.is_settled_by(now));
            waiting.join().unwrap();
            // Taken.
            assert!(second.is_settled_by(now));
        }
    }
}
