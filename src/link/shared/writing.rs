//! How what is sent gets to the socket: directly on the sending thread, or in pieces from the queue.
//!
//! One thread at a time writes, without the lock; `writing` says so, and the others only append.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::{Inner, Lock, NoRoom, Shared, Wait, ring};
use crate::deadline::after;
use crate::link::flusher;
use crate::message::Payload;
use crate::protocol::frame::{self, Head, MaskingKey};
use crate::protocol::send::{Piece, SMALL};
use crate::sync::atomic::Ordering;
use crate::sync::now;
use crate::transport::buffers::{self as spare, PIECE};

/// How many pieces a thread writes for others before the reading thread takes over, and that before its other connections
/// have a turn: a message of 1 MiB goes out whole, which takes a fraction of a millisecond. To come back for more costs it
/// one look at its sockets.
const GENEROSITY: usize = 6;

/// The piece that is being written.
#[derive(Debug, Default)]
pub(super) struct Staged {
    piece: Piece,
    written: usize,
}

impl Staged {
    pub(super) fn is_done(&self) -> bool {
        self.written == self.piece.bytes.len()
    }

    /// How many messages of a piece that was not written whole were.
    pub(super) fn messages_written(&self) -> usize {
        self.piece.messages_within(self.written)
    }

    fn begin(&mut self) -> &mut Piece {
        self.written = 0;
        self.piece.clear();
        &mut self.piece
    }
}

/// The rest of a borrowed payload that its own thread is writing.
pub(super) struct Direct<'a> {
    payload: &'a [u8],
    key: MaskingKey,
    offset: usize,
}

impl Direct<'_> {
    pub(super) const NONE: Direct<'static> = Direct { payload: &[], key: [0; 4], offset: 0 };

    fn is_done(&self) -> bool {
        self.offset == self.payload.len()
    }

    fn stage(&mut self, piece: &mut Piece) {
        let end = self.payload.len().min(self.offset + PIECE);
        spare::reserve(&mut piece.bytes, end - self.offset);
        frame::encode_payload(&mut piece.bytes, &self.payload[self.offset..end], self.key, self.offset);
        piece.mid_frame = self.offset > 0;
        self.offset = end;
        piece.messages = usize::from(self.is_done());
    }
}

impl Shared {
    /// Queues a frame for which there is room, and writes it, or has it written. Where it took time to make its payload,
    /// `prepared_from` says since when: that time is no pause of the sender's.
    pub(super) fn enqueue<'a>(
        self: &'a Arc<Self>,
        mut guard: Lock<'a>,
        head: Head,
        payload: &Payload<'_>,
        prepared_from: Option<Instant>,
    ) -> Lock<'a> {
        let bytes = payload.bytes();
        let idle = guard.is_idle();
        let small = bytes.len() <= SMALL;
        let heard = self.received.messages.load(Ordering::Relaxed);
        let is_expected = guard.writing || guard.blocked || guard.flush_asked;
        let begins = || prepared_from.unwrap_or_else(now);
        let streaming = guard.pace.begins(heard, is_expected, begins) && small && !guard.self_driven;

        let mut direct = Direct::NONE;
        match payload {
            _ if small && idle && !streaming => {
                let piece = guard.staged.begin();
                piece.push(head, bytes);
                guard.in_flight = piece.bytes.len();
            }
            _ if small => guard.queue.push(head, bytes),
            Payload::Owned(bytes) => guard.queue.push_large(head, bytes.clone()),
            Payload::Borrowed(bytes) if idle => {
                direct = Direct { payload: bytes, key: frame::new_key(), offset: 0 };
                let piece = guard.staged.begin();
                spare::reserve(&mut piece.bytes, frame::header_len(bytes.len()) + bytes.len().min(PIECE));
                frame::encode_header(&mut piece.bytes, head, bytes.len(), direct.key);
                let header = piece.bytes.len();
                direct.stage(piece);
                guard.in_flight = header + bytes.len();
            }
            // What was compressed. Masked as it is copied, so that it is looked at once.
            Payload::Borrowed(bytes) => guard.queue.push(head, bytes),
        }
        if streaming && guard.queue.len() < PIECE {
            self.pending.store(true, Ordering::Release);
            if is_expected || flusher::write_soon(self) {
                guard.flush_asked |= !is_expected;
                if prepared_from.is_some() {
                    guard.pace.is_over(now());
                }
                return guard;
            }
        }
        if !guard.blocked {
            guard = self.write(guard, direct);
        }
        guard.pace.is_over(now());
        guard
    }

    /// Where no event loop does: waits for the socket and writes, until nothing is left.
    pub(super) fn drive<'a>(self: &'a Arc<Self>, mut guard: Lock<'a>, wait: Wait) -> Result<Lock<'a>, NoRoom<'a>> {
        if !guard.self_driven || guard.buffered() == 0 || matches!(wait, Wait::Never) {
            return Ok(guard);
        }
        let (timeout, losses) = (wait.limit(&guard), guard.losses);
        let deadline = after(now(), timeout);
        while guard.buffered() > 0 {
            let Some(stream) = guard.stream.clone() else { return Err(NoRoom::NotConnected) };
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                return Err(NoRoom::Timeout(timeout));
            }
            let waited = if stream.is_stalled() {
                // The socket has room. Whoever reads next makes progress.
                guard = self.wait(guard, deadline).map_err(|()| NoRoom::Timeout(timeout))?;
                Ok(())
            } else {
                drop(guard);
                let waited = stream.wait_writable(left);
                guard = self.lock();
                waited
            };
            guard.blocked = false;
            guard = self.write(guard, Direct::NONE);
            if waited.is_err() || guard.write_error.is_some() || guard.abort || guard.losses != losses {
                return Err(NoRoom::NotConnected);
            }
        }
        Ok(guard)
    }

    /// Writes until nothing is left or the socket is full, unless a thread is at it already. The lock is not held while
    /// the socket is written.
    pub(super) fn write<'a>(self: &'a Arc<Self>, mut guard: Lock<'a>, mut direct: Direct<'_>) -> Lock<'a> {
        if guard.writing {
            guard.retry = true;
            return guard;
        }
        let Some(stream) = guard.stream.clone() else { return guard };
        let mut staged = std::mem::take(&mut guard.staged);
        let mut pieces = 0;
        guard.writing = true;
        self.pending.store(true, Ordering::Release);
        let left = loop {
            if staged.is_done() {
                guard.on_written(&staged);
                if !refill(&mut staged, &mut direct, &mut guard) {
                    break false;
                }
            }
            if pieces >= GENEROSITY && direct.is_done() && !guard.self_driven {
                break true;
            }
            pieces += 1;
            guard.retry = false;
            drop(guard);
            let result = stream.write(&staged.piece.bytes[staged.written..]);
            guard = self.lock();
            match result {
                Ok(written) => {
                    staged.written += written;
                    if std::mem::take(&mut guard.full) {
                        self.progressed.store(true, Ordering::Relaxed);
                    }
                    guard.in_flight -= written;
                    if guard.waiting_threads > 0 {
                        self.progress.notify_all();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    guard.full = true;
                    if !guard.retry {
                        guard.blocked = true;
                        break true;
                    }
                }
                Err(error) => {
                    guard.blocked = true;
                    // The first tells why; those after it only that the stream is closed.
                    guard.write_error.get_or_insert(error);
                    break true;
                }
            }
            if guard.stream.is_none() {
                // The connection has ended meanwhile, and who ended it waits for us.
                break true;
            }
        };
        if !direct.is_done() {
            // That takes time, in which nobody is to wait for the lock. Who hears meanwhile that there is room clears `blocked`.
            drop(guard);
            let rest = Bytes::copy_from_slice(&direct.payload[direct.offset..]);
            guard = self.lock();
            guard.in_flight -= rest.len();
            guard.queue.push_front_rest(rest, direct.key, direct.offset);
        }
        guard.staged = staged;
        guard.writing = false;
        guard.blocked &= left;
        if guard.waiting_threads > 0 {
            self.progress.notify_all();
        }
        self.pending.store(left, Ordering::Release);
        if guard.write_error.is_some() {
            ring(&guard);
        } else if left && !guard.blocked && !guard.flush_asked {
            guard.flush_asked = flusher::write_soon(self);
        }
        guard
    }
}

impl Inner {
    /// The messages that end in this piece need not be sent again.
    fn on_written(&mut self, staged: &Staged) {
        if let Some(backlog) = &mut self.backlog {
            backlog.written(staged.piece.messages);
        }
    }
}

/// Stages the next piece: a frame that has begun goes on before anything else.
fn refill(staged: &mut Staged, direct: &mut Direct<'_>, guard: &mut Inner) -> bool {
    let piece = staged.begin();
    if direct.is_done() {
        let some = guard.queue.next_piece(piece);
        guard.in_flight = piece.bytes.len();
        return some;
    }
    direct.stage(piece);
    true
}
