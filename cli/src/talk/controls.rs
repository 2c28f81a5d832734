//! [`Controls`]: how many pings and pongs are on their way to who shows them. A peer may send them faster than
//! anybody reads: beyond some they are only counted.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Clones mean the same.
#[derive(Clone, Default)]
pub(crate) struct Controls {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    under_way: usize,
    /// Those that are not shown.
    skipped: u64,
}

/// More than anybody reads at a time.
const MOST: usize = 1000;

impl Controls {
    /// Returns whether another may be on its way: elsewhere it is counted, until all others are shown.
    pub(crate) fn may_go(&self) -> bool {
        let mut state = self.lock();
        let may_go = state.under_way < MOST && state.skipped == 0;
        match may_go {
            true => state.under_way += 1,
            false => state.skipped += 1,
        }
        may_go
    }

    /// One is shown. Returns how many behind it are not, where any are.
    pub(crate) fn shown(&self) -> Option<String> {
        let mut state = self.lock();
        state.under_way -= 1;
        if state.under_way > 0 {
            return None;
        }
        more(mem::take(&mut state.skipped))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says of how many nothing is shown.
pub(crate) fn more(skipped: u64) -> Option<String> {
    (skipped > 0).then(|| format!("… and {skipped} more pings and pongs"))
}
