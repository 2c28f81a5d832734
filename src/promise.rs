//! One value that one thread gives and another waits for: the loop gives a run's result to whoever
//! joins it. One mutex guards it, held for a look. A leaf.
//!
//! A channel can do this too, and takes half a kibibyte, which each of ten thousand apps would hold
//! all its life.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

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
            self.0.changed.notify_one();
        }
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        self.settle(PromiseState::Broken);
    }
}

impl<T> Promise<T> {
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

#[cfg(test)]
mod tests {
    use std::thread;

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
}
