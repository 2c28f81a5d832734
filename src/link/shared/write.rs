//! How what is queued gets to the socket. One thread at a time writes, without the lock; the others
//! only append.

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::inner::{FlushTarget, Flushed, Inner};
use super::{Lock, NoRoom, Shared, Wait, wake};
use crate::deadline::after;
use crate::link::sender::State;
use crate::link::writer::{Chunk, Queued, Tail, Wire, WriteEnd, Writer, Writing};
use crate::link::{flusher, gather};
use crate::message::Payload;
use crate::protocol::frame::Head;
use crate::sync::atomic::Ordering;
use crate::sync::now;

/// How many pieces a thread writes for others before the flusher takes over, and that before its
/// other streams have a turn: that takes a fraction of a millisecond.
const PIECES_IN_A_TURN: usize = 2;

impl Shared {
    /// Queues a frame for which there is room, and writes it, or has it written. Returns up to
    /// where to [`drive`](Self::drive), where no loop does. For `prepared_from` see
    /// [`Writer::queue`].
    pub(super) fn enqueue<'a>(
        self: &'a Arc<Self>,
        mut guard: Lock<'a>,
        head: Head,
        payload: &Payload<'_>,
        prepared_from: Option<Instant>,
    ) -> (Lock<'a>, Option<FlushTarget>) {
        let heard = self.received.messages.load(Ordering::Relaxed);
        let gathers = gather::gathers(self);
        let Some(writer) = &mut guard.writer else { return (guard, None) };
        let before = writer.accepted();
        let queued = writer.queue(head, payload, prepared_from, heard, gathers);
        if self.is_answer() {
            writer.answered(before);
        }
        let tail = match queued {
            Queued::Next(tail) => tail,
            Queued::Gathered if gather::appended(self) => {
                self.note_unread(&guard);
                return (guard, None);
            }
            Queued::Gathered => Tail::NONE,
            Queued::Streaming if !flusher::write_soon(self) => Tail::NONE,
            queued => {
                writer.coalescer.set_flushing(
                    writer.coalescer.is_flushing() || matches!(queued, Queued::Streaming),
                );
                if prepared_from.is_some() {
                    writer.coalescer.is_over(now());
                }
                let target = writer.is_driven_by_caller.then(|| guard.flush_target());
                self.note_unread(&guard);
                return (guard, target);
            }
        };
        let target = writer.is_driven_by_caller.then(|| guard.flush_target());
        guard = self.write(guard, tail);
        if let Some(writer) = &mut guard.writer {
            writer.coalescer.is_over(now());
        }
        (guard, target)
    }

    /// Where no loop does: waits until the operating system has taken what was queued, up to the
    /// deadline, which it sets where there is none yet. Who may not wait leaves the rest to others.
    // Where a loop does, it is one comparison.
    #[inline(always)]
    pub(super) fn drive<'a>(
        self: &'a Arc<Self>,
        guard: Lock<'a>,
        target: Option<&FlushTarget>,
        wait: Wait,
        deadline: &mut Option<Instant>,
    ) -> Result<(), NoRoom<'a>> {
        let Some(target) = target else { return Ok(()) };
        let may_wait = !matches!(wait, Wait::Never) && !guard.must_not_wait();
        if !may_wait || matches!(guard.flushed(target), Flushed::Yes) {
            return Ok(());
        }
        let timeout = wait.limit(&guard);
        let deadline = *deadline.get_or_insert_with(|| after(now(), timeout));
        self.wait_until_flushed(guard, target, deadline, timeout)
    }

    /// Waits until everything up to there has been handed to the operating system. Who must not wait
    /// lets a thread that is writing get on with it, and no more.
    #[inline(never)]
    pub(super) fn wait_until_flushed<'a>(
        self: &'a Arc<Self>,
        mut guard: Lock<'a>,
        target: &FlushTarget,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<(), NoRoom<'a>> {
        let mut moment = None;
        loop {
            if guard.has_idle_bytes() {
                // The thread that wrote has left the rest of a stream to the flusher.
                guard = self.write(guard, Tail::NONE);
            }
            match guard.flushed(target) {
                Flushed::Yes => return Ok(()),
                Flushed::NotYet if !self.is_aborted() => {}
                Flushed::NotYet | Flushed::Never => return Err(NoRoom::NotConnected),
            }
            guard = if guard.must_not_wait() {
                let unwritten = |_| NoRoom::Timeout(Duration::ZERO);
                self.wait_for_writer(guard, &mut moment).map_err(unwritten)?
            } else {
                self.wait(guard, deadline, timeout)?
            };
        }
    }

    /// Writes until nothing is left or the socket is full, unless a thread is at it already. The
    /// lock is not held while the socket is written.
    pub(super) fn write<'a>(
        self: &'a Arc<Self>,
        mut guard: Lock<'a>,
        mut tail: Tail<'_>,
    ) -> Lock<'a> {
        let Some((wire, mut chunk)) = guard.writer.as_mut().and_then(Writer::begin) else {
            self.note_unread(&guard);
            return guard;
        };
        let (mut pieces, mut written) = (0, Ok(0));
        loop {
            match self.advance(&mut guard, &mut chunk, &mut tail, written, &mut pieces) {
                None => {
                    drop(guard);
                    chunk.mask(&mut tail);
                    written = write_guarded(&wire, &chunk, &tail);
                    guard = self.lock();
                }
                Some(stopped) => {
                    if !tail.is_done() {
                        // That takes time, in which nobody is to wait for the lock.
                        drop(guard);
                        let rest = mem::replace(&mut tail, Tail::NONE).to_rest();
                        guard = self.lock();
                        guard.writer.iter_mut().for_each(|writer| writer.take_over(&rest));
                    }
                    if !guard.writer.as_mut().is_some_and(|writer| writer.end(&mut chunk, stopped))
                    {
                        break;
                    }
                    written = Ok(0);
                }
            }
        }
        self.notify(&guard);
        if matches!(&guard.writer, Some(Writer { writing: Writing::Failed(_), .. })) {
            wake(&guard);
        }
        self.note_unread(&guard);
        if mem::take(&mut guard.wants_room) {
            wake(&guard);
        }
        guard
    }

    /// Takes note of whether answers wait for the peer to read.
    pub(super) fn note_unread(&self, guard: &Inner) {
        let unread = guard.has_unread();
        if unread != self.has_unread() {
            self.unread.store(unread, Ordering::Relaxed);
        }
    }

    /// Takes note of what was written, and stages what comes next; or returns why to stop.
    fn advance(
        self: &Arc<Self>,
        guard: &mut Lock<'_>,
        chunk: &mut Chunk,
        tail: &mut Tail<'_>,
        written: io::Result<usize>,
        pieces: &mut usize,
    ) -> Option<WriteEnd> {
        self.notify(guard);
        let Inner { writer: Some(writer), backlog, .. } = &mut **guard else {
            return Some(WriteEnd::Ended);
        };
        let mut messages = 0;
        let stopped = writer.advance(chunk, tail, written, &mut messages);
        if let Some(backlog) = backlog {
            // They need not be sent again.
            backlog.written(messages);
        }
        if stopped.is_some() {
            return stopped;
        }
        if *pieces >= PIECES_IN_A_TURN && tail.is_done() && !writer.is_driven_by_caller {
            if writer.coalescer.is_flushing() || flusher::write_soon(self) {
                writer.coalescer.set_flushing(true);
                return Some(WriteEnd::Turn);
            }
            // There is no thread to be had.
            *pieces = 0;
        }
        *pieces += 1;
        None
    }

    /// Returns whether an answer waits for the peer to read, and will be written when it does. Then
    /// the loop is woken when something was.
    pub(crate) fn await_reading(&self) -> bool {
        if !self.has_unread() {
            return false;
        }
        let mut guard = self.lock();
        // A thread that has begun to write since then will tell too.
        let awaits = self.has_unread() && guard.state == State::Open;
        guard.wants_room |= awaits;
        awaits
    }

    /// Writes what a callback has gathered, unless that has been done.
    pub(crate) fn write_gathered(self: &Arc<Self>) {
        let guard = self.lock();
        if guard.has_idle_bytes() {
            drop(self.write(guard, Tail::NONE));
        }
    }

    /// Writes what a stream of messages has left in the queue: for the flusher. Returns whether to
    /// come back soon, since the stream may go on.
    pub(crate) fn write_stream(self: &Arc<Self>) -> bool {
        let mut guard = self.lock();
        let Some(writer) = guard.writer.as_mut().filter(|writer| writer.coalescer.is_flushing())
        else {
            return false;
        };
        match writer.writing {
            Writing::Idle if writer.buffered() > 0 => writer.coalescer.set_flushing(true),
            // A thread that writes takes what is appended meanwhile.
            Writing::Idle | Writing::Active { .. } => return writer.coalescer.looked_in_vain(),
            // A full socket calls by itself when it has room.
            Writing::Full | Writing::WaitsForPeer | Writing::Failed(_) => {
                writer.coalescer.set_flushing(false);
                return false;
            }
        }
        self.write(guard, Tail::NONE).writer.is_some()
    }

    /// Tells those who wait that bytes have left, or the connection.
    pub(super) fn notify(&self, guard: &Lock<'_>) {
        if guard.waiting_threads > 0 {
            self.progress.notify_all();
        }
    }
}

/// A panic of a TLS library's own is an error of this connection, as that of a program's transport
/// is.
fn write_guarded(wire: &Wire, chunk: &Chunk, tail: &Tail<'_>) -> io::Result<usize> {
    catch_unwind(AssertUnwindSafe(|| wire.stream.write_both(chunk.left(), tail.direct())))
        .unwrap_or_else(|_| Err(io::Error::other("a panic while writing")))
}
