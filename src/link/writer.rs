//! [`Writer`]: the sending half of one connection, made when that opens and dropped when it ends.
//!
//! A message that finds nothing before it is encoded under the lock and written by its own thread,
//! at once. The lock is not held while the socket is written: [`Writing::Active`] says that a
//! thread is at it, and the others only append. What the socket does not take waits in the queue,
//! and the loop's thread goes on when the socket has room. See [`Coalescer`] for what is sent in a
//! stream.
//!
//! Guarded by the lock of [`Shared`](super::Shared), whose [`write`](super::Shared::write) is the
//! loop that calls what is here.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;

use super::answers::Answers;
use super::coalesce::Coalescer;
use super::pings::AwaitedPongs;
use super::supplies::{Queue, Supplies};
use crate::message::{Outgoing, Payload};
use crate::protocol::Deflater;
#[cfg(feature = "server")]
use crate::protocol::common::Common;
use crate::protocol::frame::{self, Head, Mask};
use crate::protocol::send::{MAX_COPIED, Piece, Supplies as _};
use crate::role::Role;
use crate::sync::atomic::AtomicBool;
use crate::transport::buffers::{self, PIECE};
use crate::transport::{SocketPoll, SocketWaker, Stream, WAITS_FOR_PEER};

/// What the two halves of a connection, and a thread that writes without the lock, have in common.
pub(crate) struct Wire {
    pub(crate) stream: Stream,
    /// Whether anything may be waiting to be written: lets the loop's thread skip the lock. Set
    /// under the lock.
    pub(super) pending: AtomicBool,
    /// The socket, which was full, took bytes again: the peer lives, though it may not be heard.
    /// Looked at and cleared by the keepalive.
    pub(super) progressed: AtomicBool,
    /// When the connection has ended: up to which position it was written.
    pub(super) written: AtomicU64,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        let (pending, progressed) = (AtomicBool::new(false), AtomicBool::new(false));
        Wire { stream, pending, progressed, written: AtomicU64::new(0) }
    }

    /// Returns whether a socket that was full has taken bytes since the last look.
    pub(super) fn take_progress(&self) -> bool {
        self.progressed.swap(false, Ordering::Relaxed)
    }
}

/// In this order in memory: see [`Inner`](super::shared).
#[repr(C)]
pub(super) struct Writer {
    pub(super) wire: Arc<Wire>,
    pub(super) writing: Writing,
    pub(super) fragmented: Fragmented,
    /// Where permessage-deflate was agreed to; away while a thread compresses with it.
    deflater: Option<Box<Deflater>>,
    /// From which length on messages are compressed.
    compress_from: usize,
    /// Counts the bytes of frames that were queued, and not thrown away since: a position in the
    /// stream.
    accepted: u64,
    /// Bytes of the chunk, and of a payload that its own thread writes, still to be written.
    in_flight: usize,
    #[cfg(feature = "server")]
    held: Option<Box<Held>>,
    queue: Queue,
    /// What is next on the socket; away while a thread writes it.
    chunk: Chunk,
    /// The connection ends: nothing more is written.
    ended: bool,
    /// The connection's owner waits in its own calls for the socket: there is no loop that would go
    /// on writing.
    pub(super) is_driven_by_caller: bool,
    /// What was kept for this connection waits until a message in fragments is finished.
    pub(super) kept_waits: bool,
    answers: Answers,
    pub(super) coalescer: Coalescer,
    /// How many of the bytes accepted were dropped behind what is being written: they are passed with
    /// it, unless control frames that were kept come next.
    dropped: u64,
    /// How many were dropped before that, with control frames that are being written now.
    dropped_before: u64,
    /// Where no loop goes on writing, a thread waits until the socket has room: it goes on then, and
    /// nobody else. So it always learns of what is written. Wakes it.
    awaits_room: Option<Arc<SocketWaker>>,
    /// Threads that wait for an answer over this connection. What they wait for goes with it.
    pub(super) awaited_pongs: AwaitedPongs,
}

/// What was queued for many connections while this one has a message in fragments.
#[cfg(feature = "server")]
#[derive(Default)]
struct Held {
    messages: Vec<Common>,
    /// With their headers.
    bytes: usize,
}

/// Whether a message is being written in fragments, between which no other may go (RFC 6455 §5.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fragmented {
    #[default]
    No,
    /// Nothing of it has been sent yet.
    Open,
    /// Its first fragment has been queued.
    Begun,
    /// It will not be finished, and so the connection fails: why, until the thread that reads has
    /// taken note.
    Failed(Option<&'static str>),
}

/// Who writes, if anybody does.
#[derive(Debug)]
pub(super) enum Writing {
    /// Nobody, and the socket had room when last written to.
    Idle,
    /// A thread, without the lock.
    Active {
        /// Another thread would have written meanwhile: the socket has room again, perhaps.
        again: bool,
        /// The socket was full, and has not taken anything since.
        was_full: bool,
    },
    /// Nobody before an event tells that the socket has room again.
    Full,
    /// Nobody before something was read: TLS waits for what the peer has to say.
    WaitsForPeer,
    /// Nobody any more: writing has failed. The error is there until it is taken.
    Failed(Option<io::Error>),
}

/// The piece that is being written.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    piece: Piece,
    written: usize,
}

impl Chunk {
    pub(super) fn left(&self) -> &[u8] {
        &self.piece.bytes[self.written..]
    }

    fn is_done(&self) -> bool {
        self.written == self.piece.len()
    }

    /// Masks what is next, of the tail where there is one. Not under the lock, since it takes time.
    pub(super) fn mask(&mut self, tail: &mut Tail<'_>) {
        if !tail.is_done() && !tail.goes_directly && self.piece.bytes.len() < PIECE {
            tail.stage(&mut self.piece);
        }
        self.piece.finish();
    }

    /// Returns how many messages of a piece that was not written whole were.
    fn messages_written(&self) -> usize {
        self.piece.messages_within(self.written)
    }

    fn begin(&mut self) -> &mut Piece {
        self.written = 0;
        self.piece.clear();
        &mut self.piece
    }
}

/// The rest of a borrowed payload that its own thread is writing.
pub(super) struct Tail<'a> {
    payload: &'a [u8],
    mask: Mask,
    offset: usize,
    /// It need not be masked, nor does TLS want it in one piece with what is before it: it is
    /// written behind the chunk from where it lies, and not copied.
    goes_directly: bool,
}

impl Tail<'_> {
    pub(super) const NONE: Tail<'static> =
        Tail { payload: &[], mask: None, offset: 0, goes_directly: false };

    pub(super) fn is_done(&self) -> bool {
        self.offset == self.payload.len()
    }

    /// Returns what is written behind the chunk.
    pub(super) fn direct(&self) -> &[u8] {
        if self.goes_directly { &self.payload[self.offset..] } else { &[] }
    }

    /// So much of that was written. Returns how many messages end in it.
    fn wrote(&mut self, bytes: usize) -> usize {
        self.offset += bytes;
        usize::from(bytes > 0 && self.is_done())
    }

    fn stage(&mut self, piece: &mut Piece) {
        let end = self.payload.len().min(self.offset + PIECE);
        buffers::reserve(&mut piece.bytes, end - self.offset);
        frame::encode_payload(
            &mut piece.bytes,
            &self.payload[self.offset..end],
            self.mask,
            self.offset,
        );
        piece.mid_frame = self.offset > 0;
        self.offset = end;
        piece.messages = usize::from(self.is_done());
    }

    /// Copies what is left, for the queue.
    pub(super) fn to_rest(&self) -> PayloadRest {
        PayloadRest {
            payload: Bytes::copy_from_slice(&self.payload[self.offset..]),
            mask: self.mask,
            offset: self.offset,
        }
    }
}

/// What is left of a payload whose frame has begun to go out.
pub(super) struct PayloadRest {
    payload: Bytes,
    mask: Mask,
    offset: usize,
}

/// What becomes of a frame that was queued.
pub(super) enum Queued<'a> {
    /// It goes out with what is before it: a thread writes, or will.
    Behind,
    /// It is the first of a stream: the flusher is to be told.
    Streaming,
    /// It waits for what is sent next.
    Gathered,
    /// The caller is to write, this payload among other things.
    Next(Tail<'a>),
}

impl Writer {
    pub(super) fn new(
        role: Role,
        wire: Arc<Wire>,
        compressor: Option<(Deflater, usize)>,
        is_driven_by_caller: bool,
    ) -> Self {
        let (deflater, compress_from) = compressor
            .map_or((None, usize::MAX), |(deflater, from)| (Some(Box::new(deflater)), from));
        Writer {
            wire,
            deflater,
            compress_from,
            queue: Queue::new(Supplies(role)),
            chunk: Chunk::default(),
            in_flight: 0,
            accepted: 0,
            answers: Answers::default(),
            dropped: 0,
            dropped_before: 0,
            writing: Writing::Idle,
            ended: false,
            coalescer: Coalescer::default(),
            is_driven_by_caller,
            awaits_room: None,
            awaited_pongs: AwaitedPongs::default(),
            fragmented: Fragmented::No,
            kept_waits: false,
            #[cfg(feature = "server")]
            held: None,
        }
    }

    /// Counts the bytes that the socket has not taken yet, frame headers included.
    pub(super) fn buffered(&self) -> usize {
        self.queue.len() + self.in_flight
    }

    /// Returns the position behind what was queued last.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Returns the position up to which everything is in the hands of the operating system, or was
    /// dropped.
    pub(super) fn written(&self) -> u64 {
        let dropped = self.dropped + self.dropped_before;
        self.accepted.saturating_sub(self.buffered() as u64 + dropped)
    }

    /// What was queued behind this position was sent by a callback of this connection.
    pub(super) fn answered(&mut self, from: u64) {
        self.answers.add(from..self.accepted, self.written());
    }

    /// Counts the bytes of what was sent so, and waits.
    pub(super) fn answers(&self) -> usize {
        // What is there once at most is in memory.
        self.answers.waiting(self.written()) as usize
    }

    /// Returns whether what waits is written when the peer reads: TLS may have to read first, and where
    /// writing has failed nobody ever will.
    pub(super) fn waits_for_reading(&self) -> bool {
        !matches!(self.writing, Writing::WaitsForPeer | Writing::Failed(_))
    }

    pub(super) fn is_active(&self) -> bool {
        matches!(self.writing, Writing::Active { .. })
    }

    /// Returns whether writing goes on when something was read, or may do so once the thread that
    /// writes is told.
    pub(super) fn may_wait_for_peer(&self) -> bool {
        matches!(self.writing, Writing::Active { .. } | Writing::WaitsForPeer)
    }

    /// Returns whether what is queued now is the next to be written.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.writing, Writing::Idle) && self.chunk.is_done() && self.queue.is_empty()
    }

    /// Returns whether the message is to be compressed.
    pub(super) fn compresses(&self, message: &Outgoing<'_>) -> bool {
        message.compress && message.payload.bytes().len() >= self.compress_from
    }

    /// Lends what compresses, to one thread at a time: messages have to go out in the order in
    /// which they were compressed.
    pub(super) fn lend_deflater(&mut self) -> Option<Box<Deflater>> {
        self.deflater.take()
    }

    /// A message was queued that was compressed elsewhere: what the peer has inflated is not what
    /// was compressed here.
    #[cfg(feature = "server")]
    pub(super) fn forget_past(&mut self) {
        self.deflater.iter_mut().for_each(|deflater| deflater.forget());
    }

    pub(super) fn take_deflater_back(&mut self, deflater: Box<Deflater>) {
        self.deflater = Some(deflater);
    }

    pub(super) fn compress_from(&self) -> usize {
        self.compress_from
    }

    /// Returns whether no thread compresses just now: what it compresses goes out in any case.
    pub(super) fn has_deflater(&self) -> bool {
        self.deflater.is_some() || self.compress_from == usize::MAX
    }

    /// Queues a frame. Where it took time to make its payload, `prepared_from` says since when:
    /// that time is no pause of the sender's. `heard` counts the messages received. `gathers` says
    /// that its thread writes it later if it is small.
    pub(super) fn queue<'a>(
        &mut self,
        head: Head,
        payload: &Payload<'a>,
        prepared_from: Option<Instant>,
        heard: u64,
        gathers: bool,
    ) -> Queued<'a> {
        let small = payload.bytes().len() <= MAX_COPIED;
        let will_be_written =
            self.coalescer.is_flushing() || !matches!(self.writing, Writing::Idle);
        let gathers = gathers && small;
        let streaming = !gathers
            && self.coalescer.is_stream(heard, will_be_written, prepared_from)
            && small
            && !self.is_driven_by_caller;

        let mut tail = Tail::NONE;
        let before = self.buffered();
        match payload {
            Payload::Owned(bytes) if !small => self.queue.push_large(head, bytes.clone()),
            Payload::Borrowed(bytes) if !small && self.is_idle() => {
                let mask = self.queue.supplies().mask();
                let goes_directly = mask.is_none() && !self.wire.stream.is_tls();
                tail = Tail { payload: bytes, mask, offset: 0, goes_directly };
                let copied = if goes_directly { 0 } else { bytes.len().min(PIECE) };
                let piece = self.chunk.begin();
                buffers::reserve(
                    &mut piece.bytes,
                    frame::header_len(bytes.len(), self.queue.supplies().role()) + copied,
                );
                frame::encode_header(&mut piece.bytes, head, bytes.len(), tail.mask);
                self.in_flight = piece.bytes.len() + bytes.len();
            }
            _ if small && !streaming && !gathers && self.is_idle() => {
                let piece = self.chunk.begin();
                piece.push(self.queue.supplies(), head, payload.bytes());
                self.in_flight = piece.bytes.len();
            }
            // A large one was compressed: masked as it is copied, so that it is looked at once.
            _ => self.queue.push(head, payload.bytes()),
        }
        self.accepted += (self.buffered() - before) as u64;
        if (streaming || gathers) && self.queue.len() < PIECE {
            self.wire.pending.store(true, Ordering::Release);
            return match self.writing {
                Writing::Idle if gathers => Queued::Gathered,
                _ if will_be_written => Queued::Behind,
                _ => Queued::Streaming,
            };
        }
        match self.writing {
            Writing::Full | Writing::WaitsForPeer | Writing::Failed(_) => Queued::Behind,
            Writing::Idle | Writing::Active { .. } => Queued::Next(tail),
        }
    }

    /// Queues a whole message that was kept for this connection.
    pub(super) fn queue_kept(&mut self, head: Head, payload: Bytes) {
        let before = self.queue.len();
        self.queue.push_owned(head, payload);
        self.accepted += (self.queue.len() - before) as u64;
    }

    /// Queues a message that others get too.
    #[cfg(feature = "server")]
    pub(super) fn queue_common(&mut self, message: &Common) {
        self.queue.push_common(message);
        self.accepted += message.len() as u64;
    }

    /// Keeps such a message until the one in fragments is over.
    #[cfg(feature = "server")]
    pub(super) fn hold(&mut self, message: &Common) {
        let held = self.held.get_or_insert_default();
        held.messages.push(message.clone());
        held.bytes += message.len();
    }

    /// Counts the bytes that are kept so.
    #[cfg(feature = "server")]
    pub(super) fn held(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.bytes)
    }

    #[cfg(not(feature = "server"))]
    pub(super) fn queue_held(&mut self) -> bool {
        false
    }

    /// Queues what was kept so. Returns whether there was anything.
    #[cfg(feature = "server")]
    pub(super) fn queue_held(&mut self) -> bool {
        let held = self.held.take();
        let some = held.is_some();
        for message in held.into_iter().flat_map(|held| held.messages) {
            self.queue_common(&message);
        }
        some
    }

    pub(super) fn add_pong(&mut self, payload: &[u8]) {
        self.queue.add_pong(payload);
    }

    pub(super) fn set_ping(&mut self, payload: &[u8]) {
        self.queue.set_ping(payload);
    }

    /// Ends the queue with a Close frame. Who waits for room gets none any more.
    pub(super) fn set_close(&mut self, payload: Bytes) {
        self.queue.set_close(payload);
        self.wake_who_awaits_room();
    }

    /// Returns whether the Close frame has been handed to the operating system.
    pub(super) fn close_is_written(&self) -> bool {
        self.queue.is_closed() && self.chunk.is_done()
    }

    /// Throws the messages away that have not begun to go out.
    pub(super) fn drop_unsent(&mut self) {
        let before = self.queue.len();
        self.queue.drop_unsent();
        self.accepted -= (before - self.queue.len()) as u64;
    }

    /// Drops messages that have not begun to go out, the oldest first, until so many bytes have
    /// gone or none is left. Returns how many messages.
    pub(super) fn drop_oldest(&mut self, bytes: usize) -> usize {
        let before = self.queue.len();
        let messages = self.queue.drop_oldest(bytes);
        self.dropped += (before - self.queue.len()) as u64;
        messages
    }

    /// Counts the messages that have not begun to go out.
    pub(super) fn messages(&self) -> usize {
        self.queue.messages()
    }

    /// Returns the connection, and what to wait with, if the caller is to wait until its socket has
    /// room: no loop does, nor another thread. Then [`room_was_awaited`](Self::room_was_awaited).
    pub(super) fn await_room(&mut self) -> Option<io::Result<(Arc<Wire>, SocketPoll)>> {
        let nobody_waits = self.is_driven_by_caller && self.awaits_room.is_none();
        (nobody_waits && matches!(self.writing, Writing::Full)).then(|| {
            let poll = SocketPoll::new()?;
            self.awaits_room = Some(poll.waker());
            Ok((Arc::clone(&self.wire), poll))
        })
    }

    pub(super) fn room_was_awaited(&mut self) {
        self.awaits_room = None;
    }

    /// Has a thread that waits for the socket look at what has happened, by other threads.
    pub(super) fn wake_who_awaits_room(&self) {
        self.awaits_room.iter().for_each(|waker| waker.wake());
    }

    #[cfg(test)]
    pub(super) fn is_room_awaited(&self) -> bool {
        self.awaits_room.is_some()
    }

    /// Begins to write: takes the chunk away. `None` where nobody may write now; a thread that is
    /// at it is told.
    pub(super) fn begin(&mut self) -> Option<(Arc<Wire>, Chunk)> {
        if self.ended {
            return None;
        }
        let was_full = match &mut self.writing {
            Writing::Idle | Writing::WaitsForPeer => false,
            Writing::Full if self.awaits_room.is_some() => return None,
            Writing::Full => true,
            Writing::Active { again, .. } => {
                *again = true;
                return None;
            }
            Writing::Failed(_) => return None,
        };
        self.writing = Writing::Active { again: false, was_full };
        self.wire.pending.store(true, Ordering::Release);
        Some((Arc::clone(&self.wire), mem::take(&mut self.chunk)))
    }

    /// Takes note of what the socket took of the chunk, and puts in what is next when that was all:
    /// a frame that has begun goes on before anything else. Adds to `messages` how many end in what
    /// was written. Returns why to stop, if it is time to.
    pub(super) fn advance(
        &mut self,
        chunk: &mut Chunk,
        tail: &mut Tail<'_>,
        written: io::Result<usize>,
        messages: &mut usize,
    ) -> Option<WriteEnd> {
        let Writing::Active { again, was_full } = &mut self.writing else {
            return Some(WriteEnd::Ended);
        };
        let again = mem::take(again);
        let mut of_tail = 0;
        match written {
            Ok(0) => {}
            Ok(written) => {
                let of_chunk = written.min(chunk.left().len());
                chunk.written += of_chunk;
                of_tail = tail.wrote(written - of_chunk);
                self.in_flight -= written;
                if mem::take(was_full) {
                    self.wire.progressed.store(true, Ordering::Relaxed);
                }
            }
            Err(error) => {
                let stopped = match error.kind() {
                    io::ErrorKind::Interrupted => None,
                    io::ErrorKind::WouldBlock => {
                        *was_full = true;
                        Some(WriteEnd::Full)
                    }
                    WAITS_FOR_PEER => Some(WriteEnd::WaitsForPeer),
                    _ => return Some(WriteEnd::Failed(error)),
                };
                if !again && stopped.is_some() {
                    return stopped;
                }
            }
        }
        *messages += of_tail;
        if self.ended {
            return Some(WriteEnd::Ended);
        }
        if !chunk.is_done() {
            return None;
        }
        *messages += chunk.piece.messages;
        let had_messages = chunk.piece.messages + of_tail > 0;
        let piece = chunk.begin();
        if !tail.is_done() {
            return None;
        }
        let some = self.queue.next_piece(piece);
        self.in_flight = piece.len();
        if piece.begins_with_control() {
            // It may have stood between messages that were dropped, or before them. All such are
            // before the next message that goes out.
            if had_messages {
                self.dropped_before = 0;
            }
            self.dropped_before += mem::take(&mut self.dropped);
        } else if !piece.mid_frame {
            (self.dropped, self.dropped_before) = (0, 0);
        }
        (!some).then_some(WriteEnd::Done)
    }

    /// Queues what its own thread did not write of a payload, before everything else.
    pub(super) fn take_over(&mut self, rest: &PayloadRest) {
        self.in_flight -= rest.payload.len();
        self.queue.push_front_rest(rest.payload.clone(), rest.mask, rest.offset);
    }

    /// Brings the chunk back when a thread has written. Returns whether it is to go on all the
    /// same: what it waited for may be there by now.
    pub(super) fn end(&mut self, chunk: &mut Chunk, stopped: WriteEnd) -> bool {
        let waits = matches!(stopped, WriteEnd::Full | WriteEnd::WaitsForPeer);
        if let (true, false, Writing::Active { again: true, .. }) =
            (waits, self.ended, &self.writing)
        {
            return true;
        }
        self.chunk = mem::take(chunk);
        self.wire.pending.store(!matches!(stopped, WriteEnd::Done), Ordering::Release);
        self.writing = match stopped {
            WriteEnd::Done | WriteEnd::Turn | WriteEnd::Ended => Writing::Idle,
            WriteEnd::Full => Writing::Full,
            WriteEnd::WaitsForPeer => Writing::WaitsForPeer,
            WriteEnd::Failed(error) => Writing::Failed(Some(error)),
        };
        false
    }

    /// Takes why a message will not be finished, once.
    pub(super) fn take_unfinished(&mut self) -> Option<&'static str> {
        match &mut self.fragmented {
            Fragmented::Failed(problem) => problem.take(),
            _ => None,
        }
    }

    /// Takes what writing has failed with, once.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        match &mut self.writing {
            Writing::Failed(error) => error.take(),
            _ => None,
        }
    }

    /// The connection ends: a thread that is writing is to stop, and none is to begin. Then
    /// [`finish`](Self::finish).
    pub(super) fn stop(&mut self) {
        self.ended = true;
        self.wake_who_awaits_room();
    }

    /// Says for good how much was written. Returns how many messages were that nobody was told of
    /// yet. The stream is shut down, or nobody will do that.
    pub(super) fn finish(&mut self) -> usize {
        let late = self.wire.stream.take_written_late();
        self.chunk.written += late;
        self.in_flight -= late;
        self.wire.written.store(self.written(), Ordering::Relaxed);
        self.wire.pending.store(false, Ordering::Release);
        self.chunk.messages_written()
    }
}

/// Why a thread stops writing.
#[derive(Debug)]
pub(super) enum WriteEnd {
    /// Nothing is left.
    Done,
    /// It has written enough for others; the flusher goes on.
    Turn,
    Full,
    WaitsForPeer,
    Failed(io::Error),
    /// The connection has ended.
    Ended,
}
