//! Room in the queue: who waits for it, how long, and what it means that there is none.

use std::cell::Cell;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::inner::{Inner, Wanted};
use super::turns::Turn;
use super::{Lock, Shared};
use crate::deadline::after;
use crate::error::SendError;
use crate::link::sender::SendPolicy;
use crate::link::waker::Place;
use crate::link::writer::{Tail, Writer};
use crate::message::Outgoing;
use crate::role::Role;
use crate::sync::{now, thread_local};

thread_local! {
    static WITHIN: Cell<Within> = const { Cell::new(Within::Nothing) };
}

/// What a thread is in, which says for whom it may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    /// An ordinary thread.
    Nothing,
    /// It runs a loop, where a logger may send. It waits for nobody: it may be the thread that would
    /// make room, and no other stands in for it.
    Loop,
    /// A callback of an app, or of a server's client, whose senders hold what is `of` this address,
    /// on the loop with that one. It may wait for apps of other loops: while it takes long another
    /// thread stands in for its own loop, so no loop's reading and writing ever waits for a
    /// callback, be it one that waits in the same way for an app of this loop.
    Callback { its_loop: usize, of: usize },
    /// A loop that was begun within a callback, or a callback of that. It waits for nobody either:
    /// what it waited for could be of the loop around it.
    LoopInCallback,
}

/// Marks this thread as running a loop, or being in a callback, until dropped.
pub(crate) struct CallbackScope(Within);

impl CallbackScope {
    /// This thread runs a loop.
    pub(crate) fn enter() -> Self {
        Self::replace(|outer| match outer {
            Within::Nothing | Within::Loop => Within::Loop,
            Within::Callback { .. } | Within::LoopInCallback => Within::LoopInCallback,
        })
    }

    /// This thread is in a callback of an app on the loop with this address, which is no other
    /// loop's meanwhile. `of` is the address of what the app's senders hold, 0 where it is of none.
    pub(crate) fn enter_callback(its_loop: usize, of: usize) -> Self {
        Self::replace(|outer| match outer {
            Within::LoopInCallback => Within::LoopInCallback,
            _ => Within::Callback { its_loop, of },
        })
    }

    fn replace(inner: impl FnOnce(Within) -> Within) -> Self {
        CallbackScope(WITHIN.with(|within| within.replace(inner(within.get()))))
    }

    /// Returns whether this thread must not wait for an app that runs at this place.
    pub(super) fn forbids_waiting_for(place: Option<&Place>) -> bool {
        match WITHIN.with(Cell::get) {
            Within::Nothing => false,
            Within::Callback { its_loop, .. } => {
                place.is_some_and(|place| place.its_loop() == its_loop)
            }
            Within::Loop | Within::LoopInCallback => true,
        }
    }

    /// Returns whether this thread is in a callback of what has this address.
    fn is_of(shared: usize) -> bool {
        matches!(WITHIN.with(Cell::get), Within::Callback { of, .. } if of == shared)
    }
}

impl Drop for CallbackScope {
    fn drop(&mut self) {
        WITHIN.with(|within| within.set(self.0));
    }
}

/// How long a send may wait for room.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Never,
    UpTo(Duration),
    /// Up to `send_timeout`.
    Default,
    /// The same, whatever the policy: of a message in fragments no part can be left out.
    Fragments,
}

impl Wait {
    pub(super) fn limit(self, guard: &Inner) -> Duration {
        match self {
            Wait::Never => Duration::ZERO,
            Wait::UpTo(timeout) => timeout,
            Wait::Default | Wait::Fragments => guard.send_timeout,
        }
    }

    /// Returns whether this thread may not wait, or need not.
    pub(super) fn is_never(self, guard: &Inner) -> bool {
        guard.must_not_wait()
            || match (guard.policy, self) {
                (_, Wait::Fragments) => self.limit(guard).is_zero(),
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
    /// there is none yet. A message may have to wait for another connection instead, or for this
    /// one's first callback. Threads that wait get room in the order in which they came, however
    /// much each needs: one that has waited keeps its turn until it [takes the
    /// room](Self::take_room), or lets [others go first](Self::leave_room).
    pub(super) fn room_for<'a>(
        self: &'a Arc<Self>,
        guard: Lock<'a>,
        frame: (usize, Wanted<'_>),
        wait: Wait,
        deadline: &mut Option<Instant>,
        turn: &mut Option<Turn>,
    ) -> Result<Lock<'a>, NoRoom<'a>> {
        let mut to_begin = None;
        let room = self.room_in_turn(guard, frame, wait, deadline, turn, &mut to_begin);
        match room {
            Ok(mut guard) => {
                self.leave_beginning(&mut guard, &mut to_begin);
                Ok(guard)
            }
            Err(NoRoom::Waits(mut guard)) => {
                self.leave_room(&mut guard, turn);
                self.leave_beginning(&mut guard, &mut to_begin);
                Err(NoRoom::Waits(guard))
            }
            Err(no_room) => {
                if turn.is_some() || to_begin.is_some() {
                    let mut guard = self.lock();
                    self.leave_room(&mut guard, turn);
                    self.leave_beginning(&mut guard, &mut to_begin);
                }
                Err(no_room)
            }
        }
    }

    /// A frame of this length is queued now, for which there is room.
    pub(super) fn take_room(
        self: &Arc<Self>,
        guard: &mut Lock<'_>,
        needed: usize,
        turn: &mut Option<Turn>,
    ) {
        match turn {
            Some(_) => self.leave_room(guard, turn),
            // That is other room.
            None if self.is_answer() => {}
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

    /// The same for a thread that has waited to begin a message.
    fn leave_beginning(&self, guard: &mut Lock<'_>, turn: &mut Option<Turn>) {
        if let Some(turn) = turn.take() {
            guard.to_begin.leave(turn);
            self.notify(guard);
        }
    }

    fn room_in_turn<'a>(
        self: &'a Arc<Self>,
        mut guard: Lock<'a>,
        (needed, wanted): (usize, Wanted<'_>),
        wait: Wait,
        deadline: &mut Option<Instant>,
        turn: &mut Option<Turn>,
        to_begin: &mut Option<Turn>,
    ) -> Result<Lock<'a>, NoRoom<'a>> {
        let mut moment = None;
        let is_message = matches!(wanted, Wanted::Message);
        let is_answer = self.is_answer();
        loop {
            if is_message && guard.waits_in().is_some() {
                return Err(NoRoom::Waits(guard));
            }
            if !guard.is_open() {
                return Err(NoRoom::NotConnected);
            }
            if let Wanted::Fragment(wire) = wanted
                && guard.fragmenting(wire).is_none()
            {
                return Err(NoRoom::NotConnected);
            }
            let timeout = wait.limit(&guard);
            if !guard.may_begin(wanted, wait, *to_begin) {
                if wait.is_never(&guard) {
                    return Err(NoRoom::Busy(Duration::ZERO));
                }
                // Who waits for room behind this one need not wait for the end of a message.
                self.leave_room(&mut guard, turn);
                let deadline = *deadline.get_or_insert_with(|| after(now(), timeout));
                to_begin.get_or_insert_with(|| guard.to_begin.join());
                guard = self.wait(guard, deadline, timeout).map_err(NoRoom::into_busy)?;
                continue;
            }
            if guard.may_queue(needed, *turn, is_answer) {
                return Ok(guard);
            }
            if guard.has_idle_bytes() {
                // What fills it is a stream that nobody writes just now.
                guard = self.write(guard, Tail::NONE);
                if guard.may_queue(needed, *turn, is_answer) {
                    continue;
                }
            }
            if wait.is_never(&guard) {
                match self.wait_for_writer(guard, &mut moment) {
                    Ok(waited) => guard = waited,
                    Err(mut guard) => {
                        let limit = guard.max_buffer;
                        let has_room = guard.make_room(needed, is_message);
                        // What was dropped may have made room for others too.
                        self.notify(&guard);
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

    /// Returns whether what this thread sends is sent to a server's client by its own callback.
    pub(super) fn is_answer(self: &Arc<Self>) -> bool {
        self.role == Role::Server && CallbackScope::is_of(Arc::as_ptr(self).addr())
    }

    /// Waits for progress, up to the deadline; the error says how long that was. Who must not wait
    /// does not. Where no loop does, the first that waits is who writes when the socket
    /// has room; the others wait for that one.
    pub(super) fn wait<'a>(
        self: &'a Arc<Self>,
        mut guard: Lock<'a>,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Lock<'a>, NoRoom<'a>> {
        let left = deadline.saturating_duration_since(now());
        if left.is_zero() || guard.must_not_wait() {
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

    pub(super) fn wait_for_progress<'a>(
        &'a self,
        mut guard: Lock<'a>,
        timeout: Duration,
    ) -> Lock<'a> {
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
    /// Another message is being written in fragments, for that long.
    Busy(Duration),
}

impl NoRoom<'_> {
    /// The same for a message that has waited for the end of another.
    fn into_busy(self) -> Self {
        match self {
            NoRoom::Timeout(after) => NoRoom::Busy(after),
            other => other,
        }
    }

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
            NoRoom::Busy(after) => SendError::Busy { message, after },
        }
    }
}
