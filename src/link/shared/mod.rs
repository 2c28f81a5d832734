//! The sending half of a connection, which any thread may use: one small lock, a queue, and a direct way to the socket.
//!
//! A message that finds nothing before it is encoded under the lock and written by its own thread, at once. The lock is not
//! held while the socket is written: `writing` says that a thread is at it, and the others only append. What the socket
//! does not take waits in the queue, and the reading thread goes on when the socket has room.
//!
//! In a sustained stream of small messages, a system call each would be most of the cost. So when one send follows the
//! other with nothing in between, messages are only appended, and written in large pieces: by the sender when a piece is
//! full, by the flusher when the stream pauses.

mod backlog;
mod coalesce;
mod guarded;
mod lifecycle;
mod room;
#[cfg(test)]
mod tests;
mod writing;

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::sender::{State, Stats};
use crate::deadline::after;
use crate::error::SendError;
use crate::message::{Outgoing, Payload};
use crate::protocol::Deflater;
use crate::protocol::frame::{self, Head, MAX_CONTROL_PAYLOAD};
use crate::protocol::handshake::Handshake;
use crate::protocol::send::SMALL;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, now};
pub(crate) use backlog::Kept;
use guarded::Inner;
use room::NoRoom;
pub(crate) use room::{CallbackScope, Wait};
use writing::Direct;

/// What the reading thread has to know of what other threads asked for.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) close: bool,
    pub(crate) abort: bool,
    pub(crate) reconnect: bool,
    pub(crate) write_error: Option<io::Error>,
}

/// The sending half: see the module's description.
pub(crate) struct Shared {
    guarded: Mutex<Inner>,
    /// Signalled when bytes have left the queue or the connection has ended, for those who wait for room or for `flush`.
    progress: Condvar,
    /// Whether anything may be waiting to be written: lets the reading thread skip the lock. Set under the lock.
    pending: AtomicBool,
    /// The socket, which was full, took bytes again: the peer lives, though it may not be heard. Looked at and cleared by
    /// the keepalive.
    progressed: AtomicBool,
    /// Set by `abort`: then nothing more is handed out. Also in `guarded`; here for a look without the lock.
    aborted: AtomicBool,
    pub(super) received: Received,
}

/// Counted by the reading thread.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) messages: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) pongs: AtomicU64,
    pub(super) wire_bytes: AtomicU64,
}

type Lock<'a> = MutexGuard<'a, Inner>;

/// Sending: any thread.
impl Shared {
    pub(crate) fn new() -> Self {
        Shared {
            guarded: Mutex::default(),
            progress: Condvar::new(),
            pending: AtomicBool::new(false),
            progressed: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            received: Received::default(),
        }
    }

    pub(crate) fn send(self: &Arc<Self>, message: Outgoing<'_>, wait: Wait) -> Result<(), SendError> {
        let len = message.payload.bytes().len();
        let (mut deadline, mut copy) = (None, None);
        loop {
            let guard = match self.room_for(frame::header_len(len) + len, wait, &mut deadline) {
                Ok(guard) => guard,
                Err(NoRoom::Waits(guard)) => return keep_waiting(guard, message),
                Err(no_room) => return Err(no_room.into_error(message)),
            };
            let Some(compressor) = guard.compressor_for(&message) else {
                if len > SMALL && message.payload.is_borrowed() && copy.is_none() && guard.would_copy() {
                    // That takes time, in which nobody is to wait for the lock. It is ours: an error does not hand it back.
                    drop(guard);
                    copy = Some(Outgoing { payload: Payload::Owned(message.payload.to_owned()), ..message });
                    continue;
                }
                let message = copy.as_ref().unwrap_or(&message);
                let guard = self.count_and_keep(guard, message, len);
                let guard = self.enqueue(guard, Head::of(message.is_text), &message.payload, None);
                return self.drive(guard, wait).map(drop).map_err(NoRoom::into_unwritten);
            };
            drop(guard);
            if let Some(guard) = self.compress(&compressor, &message) {
                return self.drive(guard, wait).map(drop).map_err(NoRoom::into_unwritten);
            }
            // The connection, or the room, was gone by then.
        }
    }

    /// Compresses and queues a message. The compressor is held from the one to the other, so that messages go out in the order
    /// in which they were compressed; nobody waits for room with it. The lock that the reading thread needs is not held
    /// meanwhile, since compressing takes its time. `None` where the message cannot go out on this connection now.
    fn compress(self: &Arc<Self>, compressor: &Arc<Mutex<Deflater>>, message: &Outgoing<'_>) -> Option<Lock<'_>> {
        let payload = message.payload.bytes();
        let mut deflater = compressor.lock().unwrap_or_else(PoisonError::into_inner);
        let needed = frame::header_len(payload.len()) + payload.len();
        // Before, since what is compressed and not sent puts the context out of step with the peer's.
        if !self.lock().takes(compressor, needed) {
            return None;
        }
        let prepared_from = now();
        let compressed = deflater.compress(payload);
        let guard = self.lock();
        // The room may be gone again, by as much as one message for each thread that does not compress. A connection that
        // closes meanwhile never opens again, so its context does not matter.
        if !guard.takes(compressor, 0) {
            return None;
        }
        let guard = self.count_and_keep(guard, message, compressed.len());
        let head = Head::of(message.is_text).compressed();
        let guard = self.enqueue(guard, head, &Payload::Borrowed(&compressed), Some(prepared_from));
        deflater.give_back(compressed);
        Some(guard)
    }

    /// Counts a message that goes out, and keeps it where it may have to go out again.
    fn count_and_keep<'a>(&self, mut guard: Lock<'a>, message: &Outgoing<'_>, on_wire: usize) -> Lock<'a> {
        guard.stats.messages_sent += 1;
        guard.stats.bytes_sent += message.payload.bytes().len() as u64;
        guard.stats.wire_bytes_sent += on_wire as u64;
        if let Some(backlog) = &mut guard.backlog {
            let (is_text, payload) = (message.is_text, message.payload.to_owned());
            backlog.hand(Kept { is_text, payload, since: now() });
        }
        guard
    }

    /// Sends a ping or pong of the user's own, in its turn among the messages.
    pub(crate) fn control(self: &Arc<Self>, head: Head, payload: &[u8]) -> Result<(), SendError> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            let problem = format!("a ping or pong payload of {} bytes is too long: 125 are allowed", payload.len());
            return Err(SendError::InvalidControl { problem: problem.into() });
        }
        let needed = frame::header_len(payload.len()) + payload.len();
        let mut guard = self
            .room_for(needed, Wait::Default, &mut None)
            .map_err(|no_room| no_room.into_error(Outgoing::from(payload)))?;
        if head == Head::PING {
            guard.stats.pings_sent += 1;
        }
        let guard = self.enqueue(guard, head, &Payload::Borrowed(payload), None);
        self.drive(guard, Wait::Default).map(drop).map_err(NoRoom::into_unwritten)
    }

    /// Begins to close: what is queued goes out first, then the Close frame. Only the first call counts.
    pub(crate) fn close(self: &Arc<Self>, code: u16, reason: &str) -> Result<(), SendError> {
        let payload = frame::close_payload(code, reason)
            .map_err(|problem| SendError::InvalidControl { problem: problem.into() })?;
        let mut guard = self.lock();
        if guard.close.is_some() || matches!(guard.state, State::Closed) {
            return Ok(());
        }
        guard.close = Some(payload.clone());
        if let Some(cancel) = &guard.cancel {
            cancel.cancel();
        }
        if guard.state == State::Open {
            guard.state = State::Closing;
            guard.queue.set_close(payload);
            guard = self.write(guard, Direct::NONE);
        }
        self.progress.notify_all();
        ring(&guard);
        Ok(())
    }

    /// Ends the connection at once, without a Close frame. Final, as `close` is.
    pub(crate) fn abort(&self) {
        let mut guard = self.lock();
        if matches!(guard.state, State::Closed) {
            return;
        }
        guard.abort = true;
        self.aborted.store(true, Ordering::Release);
        guard.close.get_or_insert_default();
        if let Some(cancel) = &guard.cancel {
            cancel.cancel();
        }
        if guard.state == State::Open {
            guard.state = State::Closing;
        }
        if let (true, Some(stream)) = (guard.self_driven, &guard.stream) {
            // There may be no thread that hears the waker, and one that waits for the socket.
            stream.abort();
        }
        self.progress.notify_all();
        ring(&guard);
    }

    /// Has the connection made anew, at once.
    pub(crate) fn reconnect(&self) {
        let mut guard = self.lock();
        if matches!(guard.state, State::Open | State::Waiting) && guard.close.is_none() {
            guard.reconnect = true;
            ring(&guard);
        }
    }

    pub(crate) fn is_closed_for_good(&self) -> bool {
        self.lock().close.is_some()
    }

    /// Waits until everything sent so far has been handed to the operating system.
    pub(crate) fn flush(self: &Arc<Self>, timeout: Duration) -> Result<(), SendError> {
        let deadline = after(now(), timeout);
        let mut guard = self.write(self.lock(), Direct::NONE);
        if guard.self_driven {
            let driven = self.drive(guard, Wait::UpTo(timeout)).map(drop);
            return driven.map_err(|no_room| no_room.into_error(Outgoing::from(&[][..])));
        }
        let (limit, losses) = (guard.max_buffer, guard.losses);
        while guard.to_send() > 0 || guard.losses != losses {
            if guard.losses != losses
                || guard.stream.is_none() && guard.backlog.is_none()
                || guard.state == State::Closed
            {
                return Err(SendError::NotConnected { message: None });
            }
            guard = match self.wait(guard, deadline) {
                Ok(guard) => guard,
                Err(_) if CallbackScope::is_entered() => {
                    return Err(SendError::QueueFull { message: None, limit });
                }
                Err(_) => return Err(SendError::Timeout { message: None, after: timeout }),
            };
        }
        Ok(())
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    pub(crate) fn buffered(&self) -> usize {
        self.lock().to_send()
    }

    pub(crate) fn state(&self) -> State {
        self.lock().state
    }

    pub(crate) fn handshake(&self) -> Option<Arc<Handshake>> {
        self.lock().handshake.clone()
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            messages_received: self.received.messages.load(Ordering::Relaxed),
            bytes_received: self.received.bytes.load(Ordering::Relaxed),
            pongs_received: self.received.pongs.load(Ordering::Relaxed),
            wire_bytes_received: self.received.wire_bytes.load(Ordering::Relaxed),
            ..self.lock().stats
        }
    }
}

/// What happens under the lock.
impl Shared {
    fn lock(&self) -> Lock<'_> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rings for the reading thread, if there is one. The waker's lock comes after ours, and never the other way.
fn ring(guard: &Inner) {
    if let Some((waker, token)) = &guard.waker {
        waker.wake(*token);
    }
}

/// Keeps a message for the next connection.
fn keep_waiting(mut guard: Lock<'_>, message: Outgoing<'_>) -> Result<(), SendError> {
    let len = message.payload.bytes().len();
    let kept = Kept { is_text: message.is_text, payload: message.payload.to_owned(), since: now() };
    let Some(backlog) = guard.waits_in() else {
        return Err(SendError::NotConnected { message: message.into_owned_message() });
    };
    if !backlog.wait(kept) {
        return Err(SendError::QueueFull { limit: backlog.limit(), message: message.into_owned_message() });
    }
    guard.stats.messages_sent += 1;
    guard.stats.bytes_sent += len as u64;
    // What is kept may have to be reported when it is too old.
    ring(&guard);
    Ok(())
}
