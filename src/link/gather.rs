//! [`Gather`]: what callbacks answer to messages that were read together goes out together.
//!
//! While a callback is handed one of several messages, what it sends over the same connection is
//! appended, and written with what is sent for the last of them, or before one of the next four once
//! it has waited for some microseconds. Where a callback takes its time instead, the flusher writes what was appended. All
//! this only while messages come together often: who answers one at a time never meets it.

use std::cell::{Cell, RefCell};
use std::mem;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::flusher;
use super::shared::Shared;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, now, thread_local};

/// How long is gathered. As long as ten system calls take: what is still to be saved after that is
/// little, and what has waited so long is only noticed by who measures.
const GATHER_FOR: Duration = Duration::from_micros(50);

/// At every which item the clock is read: that costs a third of what handing one out does.
const READ_CLOCK_EVERY: u32 = 4;

/// Messages that come together pay for the flusher's looks where they do so more often than this.
const OFTEN: Duration = flusher::LOOK_EVERY;

thread_local! {
    static GATHERING: RefCell<Option<Gathering>> = const { RefCell::new(None) };
    /// When messages that had come together were last handed out.
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
    static GATHERED: Arc<Gathered> = Arc::default();
}

/// What this thread's callback is to gather.
struct Gathering {
    /// The address of what its senders hold.
    shared: usize,
    /// Until when what is sent is appended.
    until: Instant,
    /// Counts the items that were handed out.
    items: u32,
    /// The item that is handed out now is the last.
    is_last: bool,
    /// Something was sent for it.
    has_sent: bool,
}

/// What one thread has gathered, as the flusher sees it too.
#[derive(Default)]
pub(super) struct Gathered {
    /// Whether there is anything. Set by its thread, cleared under the lock.
    is_open: AtomicBool,
    state: Mutex<GatheredState>,
}

/// The lock comes after those of `Shared` and of the flusher.
#[derive(Default)]
struct GatheredState {
    /// Over which connection.
    of: Option<Arc<Shared>>,
    /// Counts how often something was begun.
    rounds: u64,
}

impl Gathered {
    fn lock(&self) -> MutexGuard<'_, GatheredState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self) -> bool {
        // Who sends has the lock of `Shared`, which the flusher takes before it writes: so what is
        // appended after it was cleared is either seen to be, or written.
        self.is_open.load(Ordering::Relaxed)
    }

    fn begin(&self, shared: &Arc<Shared>) {
        let mut state = self.lock();
        state.of = Some(Arc::clone(shared));
        state.rounds += 1;
        self.is_open.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> Option<Arc<Shared>> {
        if !self.is_open() {
            return None;
        }
        let mut state = self.lock();
        self.is_open.store(false, Ordering::Relaxed);
        state.of.take()
    }

    /// Returns how often gathering was begun here, and for whom, if that was so at the last look
    /// too. Who asks is to write it.
    pub(super) fn look(&self, seen: u64) -> (u64, Option<Arc<Shared>>) {
        let mut state = self.lock();
        if state.rounds != seen {
            return (state.rounds, None);
        }
        self.is_open.store(false, Ordering::Relaxed);
        (seen, state.of.take())
    }
}

/// Gathers what this thread sends over a connection, until dropped. Then it is written.
pub(crate) struct Gather {
    outer: Option<Gathering>,
}

impl Gather {
    /// So many items are going to be handed out.
    pub(crate) fn begin(shared: &Arc<Shared>, items: usize) -> Self {
        // A callback may run another loop, and nobody knows for how long.
        let outer = GATHERING.with(|at| at.take());
        write_gathered();
        let gathering = (items > 1).then(|| Gather::of(shared)).flatten();
        GATHERING.with(|at| at.replace(gathering));
        Gather { outer }
    }

    fn of(shared: &Arc<Shared>) -> Option<Gathering> {
        let now = now();
        let last = LAST.with(|last| last.replace(Some(now)))?;
        (now.saturating_duration_since(last) < OFTEN).then(|| Gathering {
            shared: Arc::as_ptr(shared).addr(),
            until: now + GATHER_FOR,
            items: 0,
            is_last: false,
            has_sent: false,
        })
    }

    /// Another item is going to be handed out. What is sent for the last one is written at once,
    /// with what waits.
    pub(crate) fn on_item(&self, is_last: bool) {
        if of_this_thread(|gathering| gathering.on_item(is_last)) {
            write_gathered();
        }
    }
}

impl Gathering {
    /// Another item is going to be handed out. Returns whether what waits is to be written before.
    fn on_item(&mut self, is_last: bool) -> bool {
        (self.is_last, self.has_sent) = (is_last, false);
        self.items = self.items.wrapping_add(1);
        !is_last && self.items.is_multiple_of(READ_CLOCK_EVERY) && is_open() && self.has_waited()
    }

    /// Something is sent over this connection. Returns whether it is to be appended.
    fn gathers(&mut self, shared: &Arc<Shared>) -> bool {
        if self.is_last || self.shared != Arc::as_ptr(shared).addr() {
            return false;
        }
        // What waits too long goes with this one.
        !mem::replace(&mut self.has_sent, true) || !self.has_waited()
    }

    /// Returns whether what was gathered has waited long enough: then it is written, and gathering
    /// begins anew.
    fn has_waited(&mut self) -> bool {
        let now = now();
        let has_waited = now > self.until;
        if has_waited {
            self.until = now + GATHER_FOR;
        }
        has_waited
    }
}

impl Drop for Gather {
    fn drop(&mut self) {
        GATHERING.with(|at| at.replace(self.outer.take()));
        write_gathered();
    }
}

fn is_open() -> bool {
    GATHERED.try_with(|gathered| gathered.is_open()).unwrap_or(false)
}

/// Writes what this thread has gathered. It has no lock.
fn write_gathered() {
    if let Ok(Some(shared)) = GATHERED.try_with(|gathered| gathered.take()) {
        shared.write_gathered();
    }
}

/// Returns whether what this thread sends over a connection is to be appended.
pub(super) fn gathers(shared: &Arc<Shared>) -> bool {
    of_this_thread(|gathering| gathering.gathers(shared))
}

/// Asks what this thread's callback is to gather; `false` where that is nothing.
fn of_this_thread(ask: impl FnOnce(&mut Gathering) -> bool) -> bool {
    GATHERING.with(|at| at.borrow_mut().as_mut().is_some_and(ask))
}

/// Something was appended. Returns whether it is written if this thread does not do it.
pub(super) fn appended(shared: &Arc<Shared>) -> bool {
    let look_after = |gathered: &Arc<Gathered>| {
        if gathered.is_open() {
            return true;
        }
        gathered.begin(shared);
        let looked_after = flusher::look_after(gathered);
        if !looked_after {
            // The caller writes, and this is not to be met by who looks.
            drop(gathered.take());
        }
        looked_after
    };
    GATHERED.try_with(look_after).unwrap_or(false)
}
