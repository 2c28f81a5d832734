//! [`Gather`]: what callbacks answer to messages that were read together goes out together.
//!
//! While a callback is handed one of several messages, what it sends over the same connection is
//! appended, and written with what is sent for the last of them, or after a few microseconds. Who
//! answers a single message never meets this. Where a callback then takes its time, the flusher
//! writes what was appended.

use std::cell::Cell;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::flusher;
use super::shared::Shared;
use crate::sync::{Mutex, MutexGuard, now, thread_local};

/// How long is gathered. As long as ten system calls take: what is still to be saved after that is
/// little, and what has waited so long is only noticed by who measures.
const GATHER_FOR: Duration = Duration::from_micros(50);

thread_local! {
    static GATHERING: Cell<Option<Gathering>> = const { Cell::new(None) };
    static GATHERED: Arc<Gathered> = Arc::default();
}

/// What this thread's callback is to gather.
#[derive(Clone, Copy)]
struct Gathering {
    /// The address of what its senders hold; 0 once the last message is handed out.
    shared: usize,
    /// Until when what is sent is appended.
    until: Instant,
    has_some: bool,
}

/// What one thread has gathered, as the flusher sees it.
#[derive(Default)]
pub(super) struct Gathered(Mutex<GatheredState>);

#[derive(Default)]
struct GatheredState {
    of: Option<Arc<Shared>>,
    /// Counts how often something was begun.
    rounds: u64,
}

impl Gathered {
    fn lock(&self) -> MutexGuard<'_, GatheredState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how often gathering was begun here, and for whom, if it is not over.
    pub(super) fn look(&self) -> (u64, Option<Arc<Shared>>) {
        let state = self.lock();
        (state.rounds, state.of.clone())
    }
}

/// Gathers what this thread sends over a connection, until dropped. Then it is written.
pub(crate) struct Gather<'a> {
    shared: &'a Arc<Shared>,
    outer: Option<Gathering>,
}

impl<'a> Gather<'a> {
    pub(crate) fn begin(shared: &'a Arc<Shared>) -> Self {
        let gathering = Gathering {
            shared: Arc::as_ptr(shared).addr(),
            until: now() + GATHER_FOR,
            has_some: false,
        };
        Gather { shared, outer: GATHERING.with(|at| at.replace(Some(gathering))) }
    }

    /// The last message is handed out: what is sent now is written at once, with what waits.
    pub(crate) fn on_last(&self) {
        GATHERING.with(|at| at.set(at.get().map(|all| Gathering { shared: 0, ..all })));
    }
}

impl Drop for Gather<'_> {
    fn drop(&mut self) {
        let gathering = GATHERING.with(|at| at.replace(self.outer));
        if gathering.is_some_and(|gathering| gathering.has_some) {
            self.shared.write_gathered();
            // Not before: whoever looks meanwhile finds nothing to write.
            let over = GATHERED.try_with(|gathered| gathered.lock().of.take());
            drop(over);
        }
    }
}

/// Returns whether what this thread sends over a connection is to be appended.
pub(super) fn gathers(shared: &Arc<Shared>) -> bool {
    let Some(gathering) = GATHERING.with(Cell::get) else { return false };
    if gathering.shared != Arc::as_ptr(shared).addr() {
        return false;
    }
    let now = now();
    if now <= gathering.until {
        return true;
    }
    // What waits goes with this one.
    let until = now + GATHER_FOR;
    GATHERING.with(|at| at.set(Some(Gathering { until, ..gathering })));
    false
}

/// Something was appended. Returns whether it is written if this thread does not do it.
pub(super) fn appended(shared: &Arc<Shared>) -> bool {
    let Some(gathering) = GATHERING.with(Cell::get) else { return false };
    if gathering.has_some {
        return true;
    }
    let begin = |gathered: &Arc<Gathered>| {
        let mut state = gathered.lock();
        (state.of, state.rounds) = (Some(Arc::clone(shared)), state.rounds + 1);
        drop(state);
        flusher::look_after(gathered)
    };
    let looked_after = GATHERED.try_with(begin).unwrap_or(false);
    GATHERING.with(|at| at.set(Some(Gathering { has_some: looked_after, ..gathering })));
    looked_after
}
