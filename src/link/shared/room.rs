//! Room in the queue: who waits for it, how long, and what it means that there is none.

use std::cell::Cell;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::inner::Inner;
use super::turns::Turn;
use super::{Lock, Shared};
use crate::deadline::after;
use crate::error::SendError;
use crate::link::sender::SendPolicy;
use crate::link::writer::{Tail, Writer};
use crate::message::Outgoing;
use crate::sync::{now, thread_local};

thread_local! {
    /// Whether this thread is in a callback, or runs a loop, where a logger may send: there a send
    /// never waits, since the thread that waits may be the one that would make room.
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as being in a callback or running a loop, until dropped.
pub(crate) struct CallbackScope(bool);

impl CallbackScope {
    pub(crate) fn enter() -> Self {
        CallbackScope(IN_CALLBACK.with(|entered| entered.replace(true)))
    }

    /// Returns whether this thread is in a callback or runs a loop.
    pub(super) fn is_entered() -> bool {
        IN_CALLBACK.with(Cell::get)
    }
}

impl Drop for CallbackScope {
    fn drop(&mut self) {
        IN_CALLBACK.with(|entered| entered.set(self.0));
    }
}

/// How long a send may wait for room.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Never,
    UpTo(Duration),
    /// Up to `send_timeout`.
    Default,
}

impl Wait {
    pub(super) fn limit(self, guard: &Inner) -> Duration {
        match self {
            Wait::Never => Duration::ZERO,
            Wait::UpTo(timeout) => timeout,
            Wait::Default => guard.send_timeout,
        }
    }

    /// Returns whether this thread may not wait, or need not.
    pub(super) fn is_never(self, guard: &Inner) -> bool {
        CallbackScope::is_entered()
            || match (guard.policy, self) {
                (SendPolicy::DropOldest, _) | (SendPolicy::Fail, Wait::Default) => true,
                _ => self.limit(guard).is_zero(),
            }
    }
}

/// How long a caller that may not wait lets another thread get on with writing, which does not
/// block and makes room if the socket has any: many times what a piece takes, for that thread may
/// have to wait for a processor.
const WAIT_FOR_WRITER: Duration = Duration::from_millis(10);

impl Shared {
    /// Waits until a frame of this length may be queued, up to the deadline, which it sets where
    /// there is none yet. One that is data may have to wait for another connection instead, or for
    /// this one's first callback. Threads that wait get room in the order in which they came,
    /// however much each needs: one that has waited keeps its turn until it [takes the
    /// room](Self::take_room), or lets [others go first](Self::leave_room).
    pub(super) fn room_for(
        self: &Arc<Self>,
        (needed, is_data): (usize, bool),
        wait: Wait,
        deadline: &mut Option<Instant>,
        turn: &mut Option<Turn>,
    ) -> Result<Lock<'_>, NoRoom<'_>> {
        match self.room_in_turn((needed, is_data), wait, deadline, turn) {
            Ok(guard) => Ok(guard),
            Err(NoRoom::Waits(mut guard)) => {
                self.leave_room(&mut guard, turn);
                Err(NoRoom::Waits(guard))
            }
            Err(no_room) => {
                if turn.is_some() {
                    self.leave_room(&mut self.lock(), turn);
                }
                Err(no_room)
            }
        }
    }

    /// A frame of this length is queued now, for which there is room.
    pub(super) fn take_room(&self, guard: &mut Lock<'_>, needed: usize, turn: &mut Option<Turn>) {
        match turn {
            Some(_) => self.leave_room(guard, turn),
            // It did not have to wait, or goes before those who do.
            None => guard.for_room.went_by(needed),
        }
    }

    /// A thread waits for room no longer: there may be some for the next one too.
    pub(super) fn leave_room(&self, guard: &mut Lock<'_>, turn: &mut Option<Turn>) {
        if let Some(turn) = turn.take() {
            guard.for_room.leave(turn);
            self.notify(guard);
        }
    }

    fn room_in_turn(
        self: &Arc<Self>,
        (needed, is_data): (usize, bool),
        wait: Wait,
        deadline: &mut Option<Instant>,
        turn: &mut Option<Turn>,
    ) -> Result<Lock<'_>, NoRoom<'_>> {
        let (mut guard, mut moment) = (self.lock(), None);
        loop {
            if is_data && guard.waits_in().is_some() {
                return Err(NoRoom::Waits(guard));
            }
            if !guard.is_open() {
                return Err(NoRoom::NotConnected);
            }
            if guard.may_queue(needed, wait, *turn) {
                return Ok(guard);
            }
            if guard.has_idle_bytes() {
                // What fills it is a stream that nobody writes just now.
                guard = self.write(guard, Tail::NONE);
                if guard.may_queue(needed, wait, *turn) {
                    continue;
                }
            }
            let timeout = wait.limit(&guard);
            if wait.is_never(&guard) {
                match self.wait_for_writer(guard, &mut moment) {
                    Ok(waited) => guard = waited,
                    Err(mut guard) => {
                        let limit = guard.max_buffer;
                        let has_room = guard.make_room(needed, is_data);
                        return if has_room { Ok(guard) } else { Err(NoRoom::Full { limit }) };
                    }
                }
                continue;
            }
            let deadline = *deadline.get_or_insert_with(|| after(now(), timeout));
            turn.get_or_insert_with(|| guard.for_room.join());
            guard = self.wait(guard, deadline, timeout)?;
        }
    }

    /// Waits for progress, up to the deadline; the error says how long that was. In a callback
    /// there is no waiting. Where no loop does, the first that waits is who writes when the socket
    /// has room; the others wait for that one.
    pub(super) fn wait<'a>(
        self: &'a Arc<Self>,
        mut guard: Lock<'a>,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Lock<'a>, NoRoom<'a>> {
        let left = deadline.saturating_duration_since(now());
        if left.is_zero() || CallbackScope::is_entered() {
            return Err(NoRoom::Timeout(timeout));
        }
        let (wire, mut poll) = match guard.writer.as_mut().and_then(Writer::await_room) {
            None => return Ok(self.wait_for_progress(guard, left)),
            Some(Err(_)) => return Err(NoRoom::NotConnected),
            Some(Ok(awaited)) => awaited,
        };
        drop(guard);
        let waited = wire.stream.wait_writable(&mut poll, left);
        // The connection may have ended meanwhile, and the socket be of the program's own make: it
        // is not dropped under the lock.
        drop((wire, poll));
        guard = self.lock();
        guard.writer.iter_mut().for_each(Writer::room_was_awaited);
        // Also when the time is over: of what has happened meanwhile, nobody else took note. That
        // tells those who wait as well.
        guard = self.write(guard, Tail::NONE);
        waited.map(|()| guard).map_err(|_| NoRoom::NotConnected)
    }

    /// Lets a thread that is writing get on with it, for a caller that may not wait: up to the
    /// moment, which this sets where there is none yet. An error where no thread writes, or not for
    /// longer.
    pub(super) fn wait_for_writer<'a>(
        &'a self,
        guard: Lock<'a>,
        moment: &mut Option<Instant>,
    ) -> Result<Lock<'a>, Lock<'a>> {
        let moment = *moment.get_or_insert_with(|| after(now(), WAIT_FOR_WRITER));
        let left = moment.saturating_duration_since(now());
        if guard.writer.as_ref().is_some_and(Writer::is_active) && !left.is_zero() {
            Ok(self.wait_for_progress(guard, left))
        } else {
            Err(guard)
        }
    }

    pub(super) fn wait_for_progress<'a>(&'a self, mut guard: Lock<'a>, timeout: Duration) -> Lock<'a> {
        guard.waiting_threads += 1;
        let (mut guard, _) =
            self.progress.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner);
        guard.waiting_threads -= 1;
        guard
    }
}

/// Why a frame may not be queued, or is not written.
pub(super) enum NoRoom<'a> {
    NotConnected,
    /// It is for the backlog.
    Waits(Lock<'a>),
    Full {
        limit: usize,
    },
    Timeout(Duration),
}

impl NoRoom<'_> {
    /// The same for a message that was queued before: it has not been refused.
    pub(super) fn into_unwritten(self) -> SendError {
        match self {
            NoRoom::Timeout(after) => SendError::Unwritten { after },
            _ => SendError::NotConnected { message: None },
        }
    }

    pub(super) fn into_error(self, message: Outgoing<'_>) -> SendError {
        let message = message.into_owned_message();
        match self {
            NoRoom::NotConnected | NoRoom::Waits(_) => SendError::NotConnected { message },
            NoRoom::Full { limit } => SendError::QueueFull { message, limit },
            NoRoom::Timeout(after) => SendError::Timeout { message, after },
        }
    }
}
