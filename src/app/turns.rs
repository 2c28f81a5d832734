//! [`DialTurns`]: how many attempts to connect there are at a time, each on a thread of its own,
//! and who waits, first come, first served. Those that are still at what knows no deadline, the
//! program's own closures, have turns of their own: where such never return, the others go on. A
//! lock guards either, held for a few instructions; whoever's turn comes is woken without it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::link::Place;

/// How many attempts of a process there are at a time: enough to keep a network busy, few enough
/// threads for any machine.
pub(super) const DEFAULT_LIMIT: usize = 64;

/// Those of all apps that have none of their loop's.
static OF_THE_PROCESS: LazyLock<Arc<DialTurns>> = LazyLock::new(|| DialTurns::new(DEFAULT_LIMIT));

#[derive(Debug)]
pub(crate) struct DialTurns {
    limit: usize,
    to_compute: Mutex<DialTurnsState>,
    to_connect: Mutex<DialTurnsState>,
}

/// What a turn is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// To compute where to connect to.
    Compute,
    Connect,
}

#[derive(Debug, Default)]
struct DialTurnsState {
    /// How many have their turn.
    taken: usize,
    /// How many have asked so far.
    asked: u64,
    /// Who waits, by the number that each got as it asked.
    waiting: BTreeMap<u64, Place>,
}

impl DialTurns {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(DialTurns { limit, to_compute: Mutex::default(), to_connect: Mutex::default() })
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn of_the_process() -> Arc<Self> {
        Arc::clone(&OF_THE_PROCESS)
    }

    /// Asks for a turn, which has come already or of whose coming the place is told.
    pub(super) fn ask(self: &Arc<Self>, purpose: Purpose, place: &Place) -> DialTurn {
        let mut state = self.lock(purpose);
        let number = state.asked;
        state.asked += 1;
        if state.taken < self.limit {
            state.taken += 1;
        } else {
            state.waiting.insert(number, place.clone());
        }
        DialTurn { turns: Arc::clone(self), purpose, number }
    }

    fn lock(&self, purpose: Purpose) -> MutexGuard<'_, DialTurnsState> {
        let state = match purpose {
            Purpose::Compute => &self.to_compute,
            Purpose::Connect => &self.to_connect,
        };
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn, or a place in the queue for one. Dropping it lets the next have it.
#[derive(Debug)]
pub(crate) struct DialTurn {
    turns: Arc<DialTurns>,
    purpose: Purpose,
    number: u64,
}

impl DialTurn {
    pub(super) fn has_come(&self) -> bool {
        !self.turns.lock(self.purpose).waiting.contains_key(&self.number)
    }
}

impl Drop for DialTurn {
    fn drop(&mut self) {
        let mut state = self.turns.lock(self.purpose);
        if state.waiting.remove(&self.number).is_some() {
            return;
        }
        let next = state.waiting.pop_first();
        if next.is_none() {
            state.taken -= 1;
        }
        drop(state);
        if let Some((_, place)) = next {
            place.wake();
        }
    }
}
