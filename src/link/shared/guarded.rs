//! [`Inner`]: the state of a sending half, and the questions it answers by itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mio::Token;

use super::backlog::Backlog;
use super::coalesce::Coalescer;
use super::writing::Staged;
use crate::dial::Cancel;
use crate::link::sender::{State, Stats};
use crate::link::waker::LoopWaker;
use crate::message::Outgoing;
use crate::protocol::Deflater;
use crate::protocol::handshake::Handshake;
use crate::protocol::send::Queue;
use crate::sync::{Mutex, thread};
use crate::transport::Stream;

/// All that the lock guards.
#[derive(Default)]
pub(super) struct Inner {
    pub(super) state: State,
    pub(super) stream: Option<Arc<Stream>>,
    /// This connection's, where permessage-deflate was agreed to. Taken before `guarded`, never while that is held.
    pub(super) deflater: Option<Arc<Mutex<Deflater>>>,
    /// From which length on messages are compressed.
    pub(super) compress_from: usize,
    pub(super) queue: Queue,
    /// For `queue_while_disconnected`.
    pub(super) backlog: Option<Backlog>,
    /// The piece that is being written; away while a thread writes it.
    pub(super) staged: Staged,
    /// Bytes of the piece that is being written, and of a payload that its own thread writes, still to be written.
    pub(super) in_flight: usize,
    /// A thread is writing, without the lock.
    pub(super) writing: bool,
    /// The socket was full when last written to.
    pub(super) blocked: bool,
    /// It was full, and has not taken anything since.
    pub(super) full: bool,
    /// Counts how often what waited was thrown away: with its connection, or because the peer had closed.
    pub(super) losses: u64,
    /// Somebody else would have written while a thread was at it: because the socket has room again, perhaps.
    pub(super) retry: bool,
    /// The flusher writes what a stream of messages leaves, until it pauses.
    pub(super) flush_asked: bool,
    /// `max_send_buffer` and `send_timeout`.
    pub(super) max_buffer: usize,
    pub(super) send_timeout: Duration,
    /// There is no event loop behind this connection: who sends waits until it is written.
    pub(super) self_driven: bool,
    pub(super) waiting_threads: usize,
    pub(super) pace: Coalescer,
    /// What was asked for and not yet noted by the reading thread. A close is final, so it stays.
    pub(super) close: Option<Bytes>,
    pub(super) abort: bool,
    pub(super) reconnect: bool,
    pub(super) write_error: Option<io::Error>,
    pub(super) waker: Option<(Arc<LoopWaker>, Token)>,
    pub(super) cancel: Option<Cancel>,
    pub(super) handshake: Option<Arc<Handshake>>,
    pub(super) stats: Stats,
}

impl Inner {
    /// Bytes that the socket has not taken yet, frame headers included.
    pub(super) fn buffered(&self) -> usize {
        self.queue.len() + self.in_flight
    }

    /// Whether what is sent now is the next to be written.
    pub(super) fn is_idle(&self) -> bool {
        !self.writing && !self.blocked && self.staged.is_done() && self.queue.is_empty()
    }

    /// Whether a borrowed payload that is sent now has to be copied whole.
    pub(super) fn would_copy(&self) -> bool {
        !self.is_idle() || self.backlog.is_some()
    }

    /// Bytes that wait to be sent, on this connection or the next.
    pub(super) fn to_send(&self) -> usize {
        self.buffered() + self.backlog.as_ref().map_or(0, Backlog::len)
    }

    /// The compressor, if the message is to be compressed.
    pub(super) fn compressor_for(&self, message: &Outgoing<'_>) -> Option<Arc<Mutex<Deflater>>> {
        let deflater = self.deflater.as_ref()?;
        (message.compress && message.payload.bytes().len() >= self.compress_from).then(|| Arc::clone(deflater))
    }

    /// Whether a message of this compressor may be queued now.
    pub(super) fn takes(&self, compressor: &Arc<Mutex<Deflater>>, needed: usize) -> bool {
        self.state == State::Open
            && self.deflater.as_ref().is_some_and(|deflater| Arc::ptr_eq(deflater, compressor))
            && self.has_room(needed)
    }

    /// Whether a frame of this length may be queued. One that is longer than the limit may when nothing else waits.
    pub(super) fn has_room(&self, needed: usize) -> bool {
        let buffered = self.buffered();
        needed == 0 || buffered == 0 || buffered + needed <= self.max_buffer
    }

    /// The backlog, where a message from this thread goes there: no connection, or one that is not ready for it.
    pub(super) fn waits_in(&mut self) -> Option<&mut Backlog> {
        if self.close.is_some() {
            return None;
        }
        let backlog = self.backlog.as_mut()?;
        let waits = match self.state {
            // While the peer closes, too: we have not.
            State::Idle | State::Connecting | State::Waiting | State::Closing => true,
            State::Open => backlog.holds(thread::current().id()),
            State::Closed => false,
        };
        waits.then_some(backlog)
    }
}
