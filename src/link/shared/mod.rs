//! [`Shared`]: what every `Sender` of an app holds, whether there is a connection or not: one small
//! lock, what was asked for, and the [`Writer`] of the connection that is open.
//!
//! | file | what it has |
//! |---|---|
//! | `inner` | what the lock guards |
//! | `room` | who waits for room, and how long |
//! | `turns` | in which order |
//! | `write` | from the queue to the socket |
//! | `news` | who waits for an open connection, and for the answer to a ping |
//! | `lifecycle` | what the thread that reads does: begins and ends connections, answers control frames |
//! | `fragments` | messages that are written piece by piece |
//! | `backlog` | messages kept for the next connection |
//! | `broadcast` | messages for many connections |

mod backlog;
#[cfg(feature = "server")]
mod broadcast;
mod fragments;
mod inner;
mod lifecycle;
#[cfg(all(test, websocket_model))]
mod model;
mod news;
mod room;
#[cfg(test)]
mod tests;
mod turns;
mod write;

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::sender::{SendPolicy, State, Stats};
use super::writer::{Tail, Wire, Writer};
use crate::deadline::after;
use crate::dial::Cancel;
use crate::error::SendError;
use crate::message::{Outgoing, Payload};
use crate::protocol::Deflater;
use crate::protocol::close::close_payload;
use crate::protocol::frame::{Head, MAX_CONTROL_PAYLOAD};
use crate::protocol::handshake::Handshake;
use crate::role::Role;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, now};
use crate::transport::buffers;
pub(crate) use backlog::Kept;
#[cfg(feature = "server")]
pub(crate) use broadcast::{Broadcast, Queueing};
pub(super) use fragments::{FRAGMENT, Part, Way};
use inner::{Compression, Inner, SentCounts, Wanted};
pub(crate) use lifecycle::Opened;
use room::NoRoom;
pub(crate) use room::{CallbackScope, Wait};
use turns::Turn;

/// What other threads asked of the thread that reads.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) close: bool,
    pub(crate) abort: bool,
    pub(crate) reconnect: bool,
    /// What writing has failed with.
    pub(crate) write_error: Option<io::Error>,
    /// Why a message will not be finished.
    pub(crate) unfinished: Option<&'static str>,
}

/// What every `Sender` of an app holds: see the module's description.
pub(crate) struct Shared {
    /// Whose frames it sends.
    role: Role,
    inner: Mutex<Inner>,
    /// Signalled when bytes have left the queue, a connection has opened or ended, or the answer to
    /// a ping has come, for those who wait for one of these.
    progress: Condvar,
    /// Set by `abort`, for good: then nothing more is handed out. Set under the lock.
    aborted: AtomicBool,
    /// Much of what callbacks have answered waits, for the peer does not read. Set under the lock, and
    /// looked at without it before each message is handed out.
    unread: AtomicBool,
    received: ReceivedCounts,
    /// Queues what is kept beside the queue, which goes out before our Close frame.
    #[cfg(feature = "server")]
    before_close: std::sync::OnceLock<Box<BeforeClose>>,
}

/// Boxed twice, since most have none.
#[cfg(feature = "server")]
type BeforeClose = Box<dyn Fn() + Send + Sync>;

/// Counted by the thread that reads.
#[derive(Debug, Default)]
struct ReceivedCounts {
    messages: AtomicU64,
    bytes: AtomicU64,
    pongs: AtomicU64,
    wire_bytes: AtomicU64,
}

type Lock<'a> = MutexGuard<'a, Inner>;

/// Sending: any thread.
impl Shared {
    pub(crate) fn new(role: Role) -> Self {
        Shared {
            role,
            inner: Mutex::default(),
            progress: Condvar::new(),
            aborted: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            received: ReceivedCounts::default(),
            #[cfg(feature = "server")]
            before_close: std::sync::OnceLock::new(),
        }
    }

    pub(crate) fn send(
        self: &Arc<Self>,
        message: Outgoing<'_>,
        wait: Wait,
    ) -> Result<(), SendError> {
        let needed = self.frame_len(message.payload.bytes().len());
        let mut guard = self.lock();
        if guard.goes_at_once(&message, needed, wait, self.is_answer()) {
            self.take_room(&mut guard, needed, &mut None);
            return self.queue_message(guard, &message, wait, &mut None);
        }
        let mut turn = None;
        let sent = self.send_in_turn(guard, message, needed, wait, &mut turn);
        if turn.is_some() {
            self.leave_compressing(&mut self.lock(), &mut turn);
        }
        sent
    }

    /// Sends a message that something stands before. The turn is that of a thread that waits to
    /// compress, while it does.
    // On its own: what it needs room on the stack for is not what most messages wait for.
    #[inline(never)]
    fn send_in_turn<'a>(
        self: &'a Arc<Self>,
        mut guard: Lock<'a>,
        mut message: Outgoing<'_>,
        needed: usize,
        wait: Wait,
        turn: &mut Option<Turn>,
    ) -> Result<(), SendError> {
        let (mut deadline, mut copy, mut for_room) = (None, None, None);
        loop {
            let wanted = (needed, Wanted::Message);
            guard = match self.room_for(guard, wanted, wait, &mut deadline, &mut for_room) {
                Ok(guard) => guard,
                Err(NoRoom::Waits(guard)) => return keep_waiting(guard, message),
                Err(no_room) => return Err(no_room.into_error(message)),
            };
            match guard.compression(&message, *turn) {
                Compression::With(deflater, wire) => {
                    self.take_room(&mut guard, needed, &mut for_room);
                    self.leave_compressing(&mut guard, turn);
                    drop(guard);
                    if let Some(sent) =
                        self.send_compressed(deflater, &wire, &message, wait, &mut deadline)
                    {
                        return sent;
                    }
                    // The connection was gone by then.
                    guard = self.lock();
                    continue;
                }
                Compression::Busy => {
                    self.leave_room(&mut guard, &mut for_room);
                    let timeout = wait.limit(&guard);
                    let deadline = *deadline.get_or_insert_with(|| after(now(), timeout));
                    turn.get_or_insert_with(|| guard.to_compress.join());
                    guard = match self.wait(guard, deadline, timeout) {
                        Ok(waited) => waited,
                        Err(_) => {
                            // It goes uncompressed, which is always allowed (RFC 7692 §6).
                            message.compress = false;
                            let mut guard = self.lock();
                            self.leave_compressing(&mut guard, turn);
                            guard
                        }
                    };
                    continue;
                }
                Compression::None => {}
            }
            if copy.is_none() && guard.would_copy(&message) {
                // That takes time, in which nobody is to wait for the lock, and nobody who waits
                // for room goes first. It is ours: an error does not hand it back.
                if !wait.is_never(&guard) {
                    for_room.get_or_insert_with(|| guard.for_room.join());
                }
                drop(guard);
                copy = Some(Outgoing {
                    payload: Payload::Owned(message.payload.to_owned()),
                    ..message
                });
                guard = self.lock();
                continue;
            }
            self.take_room(&mut guard, needed, &mut for_room);
            let message = copy.as_ref().unwrap_or(&message);
            return self.queue_message(guard, message, wait, &mut deadline);
        }
    }

    /// Queues a message, for which there is room.
    // Without it there is one more call for each message, since there are two places that call it.
    #[inline(always)]
    fn queue_message<'a>(
        self: &'a Arc<Self>,
        mut guard: Lock<'a>,
        message: &Outgoing<'_>,
        wait: Wait,
        deadline: &mut Option<Instant>,
    ) -> Result<(), SendError> {
        guard.count_and_keep(message, message.payload.bytes().len());
        let head = Head::of(message.is_text);
        let (guard, target) = self.enqueue(guard, head, &message.payload, None);
        self.drive(guard, target.as_ref(), wait, deadline).map_err(NoRoom::into_unwritten)
    }

    /// Compresses and sends a message. No lock is held while it is compressed, since that takes its
    /// time: what compresses is lent, and given back before another message is queued, so that
    /// messages go out in the order in which they were compressed. `None` where the message cannot
    /// go out on this connection any more.
    fn send_compressed(
        self: &Arc<Self>,
        mut deflater: Box<Deflater>,
        wire: &Arc<Wire>,
        message: &Outgoing<'_>,
        wait: Wait,
        deadline: &mut Option<Instant>,
    ) -> Option<Result<(), SendError>> {
        let payload = message.payload.bytes();
        let prepared_from = now();
        let mut compressed = Vec::new();
        buffers::reserve(&mut compressed, payload.len() / 4);
        deflater.compress(payload, &mut compressed);
        let mut guard = self.lock();
        // A connection that closes meanwhile never opens again, so it does not matter that its
        // context is out of step with the peer's. The room may be gone again, by as much as one
        // message for each thread that does not compress: there is no way back.
        let sent = guard.compressed(deflater, wire).then(|| {
            self.notify(&guard);
            guard.count_and_keep(message, compressed.len());
            let (head, payload) =
                (Head::of(message.is_text).compressed(), Payload::Borrowed(&compressed[..]));
            let (guard, target) = self.enqueue(guard, head, &payload, Some(prepared_from));
            self.drive(guard, target.as_ref(), wait, deadline).map_err(NoRoom::into_unwritten)
        });
        // Not under the lock.
        buffers::release(&mut compressed);
        sent
    }

    /// A thread waits no longer until another has compressed: it may be the next one's turn.
    fn leave_compressing(&self, guard: &mut Lock<'_>, turn: &mut Option<Turn>) {
        if let Some(turn) = turn.take() {
            guard.to_compress.leave(turn);
            self.notify(guard);
        }
    }

    /// Sends a ping or pong of the user's own.
    pub(crate) fn control(self: &Arc<Self>, head: Head, payload: &[u8]) -> Result<(), SendError> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            let problem = format!(
                "a ping or pong payload of {} bytes is too long: 125 are allowed",
                payload.len()
            );
            return Err(SendError::InvalidControl { problem: problem.into() });
        }
        self.queue_control(head, payload, Wait::Default, |_writer| ())
    }

    /// Sends a ping or pong in its turn among the messages. `about_to` is called when it is its
    /// turn, under the lock.
    fn queue_control(
        self: &Arc<Self>,
        head: Head,
        payload: &[u8],
        wait: Wait,
        about_to: impl FnOnce(&mut Writer),
    ) -> Result<(), SendError> {
        let needed = self.frame_len(payload.len());
        let (mut deadline, mut for_room) = (None, None);
        let mut guard = self
            .room_for(self.lock(), (needed, Wanted::Control), wait, &mut deadline, &mut for_room)
            .map_err(|no_room| no_room.into_error(Outgoing::from(payload)))?;
        self.take_room(&mut guard, needed, &mut for_room);
        if head == Head::PING {
            guard.stats.pings_sent = guard.stats.pings_sent.saturating_add(1);
        }
        guard.writer.as_mut().map(about_to);
        let (guard, target) = self.enqueue(guard, head, &Payload::Borrowed(payload), None);
        let driven = self.drive(guard, target.as_ref(), wait, &mut deadline);
        driven.map_err(NoRoom::into_unwritten)
    }

    /// Begins to close: what is queued goes out first, then the Close frame. Only the first call
    /// counts.
    pub(crate) fn close(self: &Arc<Self>, code: u16, reason: &str) -> Result<(), SendError> {
        let payload = close_payload(code, reason)
            .map_err(|problem| SendError::InvalidControl { problem: problem.into() })?;
        #[cfg(feature = "server")]
        self.before_close.get().into_iter().for_each(|work| work());
        let mut guard = self.lock();
        if guard.is_closed_for_good || matches!(guard.state, State::Closed) {
            return Ok(());
        }
        guard.is_closed_for_good = true;
        let cancel = guard.cancel.clone();
        if guard.state == State::Open {
            guard.state = State::Closing;
            guard.give_up_unbegun();
            // Also where the first callback has not returned yet, which it would have waited for.
            guard.queue_kept(|backlog| backlog.release_all(now()));
            if let Some(writer) = &mut guard.writer {
                writer.set_close(payload);
            }
            guard = self.write(guard, Tail::NONE);
        }
        self.progress.notify_all();
        wake(&guard);
        drop(guard);
        // It may have something to log.
        cancel.iter().for_each(Cancel::cancel);
        Ok(())
    }

    /// Ends the connection at once, without a Close frame. Final, as `close` is.
    pub(crate) fn abort(&self) {
        let mut guard = self.lock();
        if matches!(guard.state, State::Closed) {
            return;
        }
        self.aborted.store(true, Ordering::Release);
        guard.is_closed_for_good = true;
        let cancel = guard.cancel.clone();
        if guard.state == State::Open {
            guard.state = State::Closing;
        }
        // There may be no thread that is woken by this, and one that waits for the socket.
        let driven = guard.writer.as_ref().filter(|writer| writer.is_driven_by_caller);
        let wire = driven.map(|writer| Arc::clone(&writer.wire));
        guard.writer.iter().for_each(Writer::wake_who_awaits_room);
        self.progress.notify_all();
        wake(&guard);
        drop(guard);
        // Not under the lock: it may be of the program's own make.
        wire.iter().for_each(|wire| wire.stream.abort());
        cancel.iter().for_each(Cancel::cancel);
    }

    /// Has the connection made anew, at once.
    pub(crate) fn reconnect(self: &Arc<Self>) {
        let mut guard = self.lock();
        let is_one_connection = self.role == Role::Server
            || guard.writer.as_ref().is_some_and(|writer| writer.is_driven_by_caller);
        if is_one_connection {
            drop(guard);
            log::warn!(target: "websocket_app", "reconnect() of a blocking WebSocket, and of a server's client, does nothing: connect again, and drop this one");
            return;
        }
        if matches!(guard.state, State::Open | State::Waiting) && !guard.is_closed_for_good {
            guard.reconnect = true;
            // What a callback or a stream has left is not to go with the connection.
            guard = self.write(guard, Tail::NONE);
            wake(&guard);
        }
    }

    pub(crate) fn is_closed_for_good(&self) -> bool {
        self.lock().is_closed_for_good
    }

    /// Waits until everything sent so far has been handed to the operating system.
    pub(crate) fn flush(self: &Arc<Self>, timeout: Duration) -> Result<(), SendError> {
        let deadline = after(now(), timeout);
        let guard = self.write(self.lock(), Tail::NONE);
        let target = guard.flush_target();
        self.wait_until_flushed(guard, &target, deadline, timeout).map_err(NoRoom::into_unwritten)
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Returns whether much of what callbacks have answered waits, for the peer does not read.
    pub(crate) fn has_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    pub(crate) fn buffered(&self) -> usize {
        self.lock().to_send()
    }

    pub(crate) fn state(&self) -> State {
        let guard = self.lock();
        match guard.state {
            State::Open if guard.has_failed_by_caller() => State::Closing,
            state => state,
        }
    }

    /// Returns whether a send has found the connection lost, and nobody has closed it.
    pub(crate) fn is_lost(&self) -> bool {
        let guard = self.lock();
        guard.has_failed_by_caller() && !guard.is_closed_for_good
    }

    pub(crate) fn handshake(&self) -> Option<Arc<Handshake>> {
        self.lock().handshake.clone()
    }

    pub(crate) fn stats(&self) -> Stats {
        let SentCounts {
            messages_sent,
            messages_dropped,
            bytes_sent,
            wire_bytes_sent,
            last_round_trip,
            pings_sent,
            reconnects,
        } = self.lock().stats;
        Stats {
            messages_sent,
            messages_dropped,
            messages_received: self.received.messages.load(Ordering::Relaxed),
            bytes_sent,
            bytes_received: self.received.bytes.load(Ordering::Relaxed),
            wire_bytes_sent,
            wire_bytes_received: self.received.wire_bytes.load(Ordering::Relaxed),
            pings_sent: pings_sent.into(),
            pongs_received: self.received.pongs.load(Ordering::Relaxed),
            last_round_trip,
            reconnects: reconnects.into(),
        }
    }
}

/// What happens under the lock.
impl Shared {
    fn lock(&self) -> Lock<'_> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the thread that reads, if there is one.
fn wake(guard: &Inner) {
    if let Some(place) = &guard.place {
        place.wake();
    }
}

/// Keeps a message for the next connection.
fn keep_waiting(mut guard: Lock<'_>, message: Outgoing<'_>) -> Result<(), SendError> {
    let len = message.payload.bytes().len();
    let kept = Kept::of(&message, now());
    let drops = guard.policy == SendPolicy::DropOldest;
    let Some(backlog) = guard.waits_in() else {
        return Err(SendError::NotConnected { message: message.into_owned_message() });
    };
    let dropped = if drops { backlog.make_room(len) } else { 0 };
    if !backlog.wait(kept) {
        return Err(SendError::BacklogFull {
            limit: backlog.limit(),
            message: message.into_owned_message(),
        });
    }
    guard.stats.messages_sent += 1;
    guard.stats.bytes_sent += len as u64;
    guard.stats.messages_dropped += dropped as u64;
    // What is kept may have to be reported when it is too old.
    wake(&guard);
    Ok(())
}
