//! The sending half of a connection, which any thread may use: one small lock, a queue, and a direct way to the socket.
//!
//! A message that finds nothing before it is encoded under the lock and written by its own thread, at once. The lock is not
//! held while the socket is written: `writing` says that a thread is at it, and the others only append. What the socket
//! does not take waits in the queue, and the reading thread goes on when the socket has room.
//!
//! In a sustained stream of small messages, a system call each would be most of the cost. So when one send follows the
//! other with nothing in between, messages are only appended, and written in large pieces: by the sender when a piece is
//! full, by the reading thread when the stream pauses.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::Token;
use tungstenite::protocol::frame::coding::OpCode;

use super::doorbell::Doorbell;
use super::queue::{PIECE, Queue};
use super::sender::{State, Stats};
use crate::connect::{Cancel, Handshake, Stream};
use crate::deadline::after;
use crate::error::SendError;
use crate::message::{Outgoing, Payload};
use crate::protocol::frame::{self, MAX_CONTROL_PAYLOAD, MaskingKey};

/// How many pieces a thread writes for others before the reading thread takes over.
const GENEROSITY: usize = 16;

/// Sends that follow each other faster than this, and how many of them make a sustained stream. A reply to something that
/// was received takes longer, even over loopback: a lone message is never held back.
const STREAM_GAP: Duration = Duration::from_nanos(1500);
const STREAM_RUN: u32 = 8;

thread_local! {
    /// Whether this thread is in a callback: there a send never waits, since the thread that waits may be the one that
    /// would make room.
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as being in a callback, until dropped.
pub(crate) struct CallbackScope(bool);

impl CallbackScope {
    pub(crate) fn enter() -> Self {
        CallbackScope(IN_CALLBACK.replace(true))
    }
}

impl Drop for CallbackScope {
    fn drop(&mut self) {
        IN_CALLBACK.set(self.0);
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

/// What the reading thread has to know of what other threads asked for.
#[derive(Debug, Default)]
pub(crate) struct Note {
    pub(crate) close: bool,
    pub(crate) abort: bool,
    pub(crate) reconnect: bool,
    pub(crate) write_error: Option<io::Error>,
}

/// The sending half: see the module's description.
pub(crate) struct Outbound {
    guarded: Mutex<Guarded>,
    /// Signalled when bytes have left the queue or the connection has ended, for those who wait for room or for `flush`.
    progress: Condvar,
    /// Whether anything may be waiting to be written: lets the reading thread skip the lock. Set under the lock.
    pending: AtomicBool,
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
}

/// All that the lock guards.
#[derive(Default)]
struct Guarded {
    state: State,
    stream: Option<Arc<Stream>>,
    /// Counts connections, so that a thread that was writing to an earlier one notices.
    epoch: u64,
    queue: Queue,
    /// The piece that is being written; away while a thread writes it.
    staged: Staged,
    /// Bytes of the piece that is being written, and of a payload that its own thread writes, still to be written.
    in_flight: usize,
    /// A thread is writing, without the lock.
    writing: bool,
    /// The socket was full when last written to.
    blocked: bool,
    /// The reading thread heard that the socket has room while another thread was writing.
    retry: bool,
    /// The reading thread was asked to write, and has not done so yet.
    flush_asked: bool,
    /// `max_send_buffer` and `send_timeout`.
    max_buffer: usize,
    send_timeout: Duration,
    /// There is no event loop behind this connection: who sends waits until it is written.
    self_driven: bool,
    waiting_threads: usize,
    stream_run: u32,
    last_send: Option<Instant>,
    /// What was asked for and not yet noted by the reading thread. A close is final, so it stays.
    close: Option<Bytes>,
    abort: bool,
    reconnect: bool,
    write_error: Option<io::Error>,
    doorbell: Option<(Arc<Doorbell>, Token)>,
    cancel: Option<Cancel>,
    handshake: Option<Arc<Handshake>>,
    stats: Stats,
}

#[derive(Debug, Default)]
struct Staged {
    bytes: Vec<u8>,
    written: usize,
}

impl Guarded {
    /// Bytes that the socket has not taken yet, frame headers included.
    fn buffered(&self) -> usize {
        self.queue.len() + self.in_flight
    }
}

impl Staged {
    fn is_done(&self) -> bool {
        self.written == self.bytes.len()
    }
}

/// The rest of a borrowed payload that its own thread is writing.
struct Direct<'a> {
    payload: &'a [u8],
    key: MaskingKey,
    offset: usize,
}

impl Direct<'_> {
    const NONE: Direct<'static> = Direct { payload: &[], key: [0; 4], offset: 0 };

    fn is_done(&self) -> bool {
        self.offset == self.payload.len()
    }
}

type Lock<'a> = MutexGuard<'a, Guarded>;

/// Sending: any thread.
impl Outbound {
    pub(crate) fn new() -> Self {
        Outbound {
            guarded: Mutex::default(),
            progress: Condvar::new(),
            pending: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            received: Received::default(),
        }
    }

    pub(crate) fn send(&self, message: Outgoing<'_>, wait: Wait) -> Result<(), SendError> {
        let needed = frame::header_len(message.bytes().len()) + message.bytes().len();
        let mut guard = match self.room_for(needed, wait) {
            Ok(guard) => guard,
            Err(no_room) => return Err(no_room.into_error(message)),
        };
        guard.stats.messages_sent += 1;
        guard.stats.bytes_sent += message.bytes().len() as u64;
        let guard = self.enqueue(guard, frame::data_opcode(message.is_text), message.payload);
        self.drive(guard, wait)
    }

    /// Sends a ping or pong of the user's own, in its turn among the messages.
    pub(crate) fn control(&self, opcode: OpCode, payload: &[u8]) -> Result<(), SendError> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            let problem = format!("a ping or pong payload of {} bytes is too long: 125 are allowed", payload.len());
            return Err(SendError::InvalidControl { problem: problem.into() });
        }
        let needed = frame::header_len(payload.len()) + payload.len();
        let mut guard =
            self.room_for(needed, Wait::Default).map_err(|no_room| no_room.into_error(Outgoing::from(payload)))?;
        if opcode == frame::PING {
            guard.stats.pings_sent += 1;
        }
        let guard = self.enqueue(guard, opcode, Payload::Borrowed(payload));
        self.drive(guard, Wait::Default)
    }

    /// Begins to close: what is queued goes out first, then the Close frame. Only the first call counts.
    pub(crate) fn close(&self, code: u16, reason: &str) -> Result<(), SendError> {
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
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), SendError> {
        let deadline = after(Instant::now(), timeout);
        let mut guard = self.write(self.lock(), Direct::NONE);
        if guard.self_driven {
            return self.drive(guard, Wait::UpTo(timeout));
        }
        let limit = guard.max_buffer;
        while guard.buffered() > 0 {
            if guard.stream.is_none() {
                return Err(SendError::NotConnected { message: None });
            }
            guard = match self.wait(guard, deadline) {
                Ok(guard) => guard,
                Err(_) if IN_CALLBACK.get() => {
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
        self.lock().buffered()
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
            ..self.lock().stats
        }
    }
}

/// The reading thread's side.
impl Outbound {
    /// The options that limit sending.
    pub(crate) fn limit(&self, max_buffer: usize, send_timeout: Duration) {
        let mut guard = self.lock();
        (guard.max_buffer, guard.send_timeout) = (max_buffer, send_timeout);
    }

    /// There will be no event loop: who sends waits until it is written.
    pub(crate) fn drive_yourself(&self) {
        self.lock().self_driven = true;
    }

    /// The run begins: from now on requests ring.
    pub(crate) fn attach(&self, doorbell: &Arc<Doorbell>, token: Token) {
        self.lock().doorbell = Some((Arc::clone(doorbell), token));
    }

    /// An attempt to connect begins, unless closing was asked for already: then there is none.
    pub(crate) fn connecting(&self, cancel: &Cancel) -> bool {
        let mut guard = self.lock();
        if guard.close.is_some() {
            return false;
        }
        guard.state = State::Connecting;
        guard.cancel = Some(cancel.clone());
        true
    }

    /// A connection is there, unless closing was asked for meanwhile.
    pub(crate) fn opened(&self, stream: &Arc<Stream>, handshake: Arc<Handshake>, again: bool) -> bool {
        let mut guard = self.lock();
        guard.cancel = None;
        if guard.close.is_some() {
            return false;
        }
        guard.state = State::Open;
        guard.stream = Some(Arc::clone(stream));
        guard.handshake = Some(handshake);
        guard.stats.reconnects += u64::from(again);
        guard.reconnect = false;
        guard.write_error = None;
        guard.epoch += 1;
        true
    }

    /// The connection has ended, or the run: what was queued for it is gone.
    pub(crate) fn disconnected(&self, state: State) {
        let mut guard = self.lock();
        guard.state = state;
        guard.stream = None;
        guard.cancel = None;
        guard.epoch += 1;
        guard.queue = Queue::default();
        guard.staged = Staged::default();
        guard.in_flight = 0;
        (guard.writing, guard.blocked, guard.retry, guard.flush_asked) = (false, false, false, false);
        if state == State::Closed {
            guard.doorbell = None;
        }
        self.pending.store(false, Ordering::Release);
        self.progress.notify_all();
    }

    /// What was asked for since the last time.
    pub(crate) fn take_note(&self) -> Note {
        let mut guard = self.lock();
        Note {
            close: guard.close.is_some(),
            abort: guard.abort,
            reconnect: std::mem::take(&mut guard.reconnect),
            write_error: guard.write_error.take(),
        }
    }

    /// The socket has room again: writes what waits.
    pub(crate) fn on_writable(&self) {
        if self.pending.load(Ordering::Acquire) {
            let mut guard = self.lock();
            guard.blocked = false;
            drop(self.write(guard, Direct::NONE));
        }
    }

    /// Writes what a stream of messages has left in the queue. Returns whether to come back soon, since the stream may go
    /// on: its senders rely on it and do not ring.
    pub(crate) fn on_flush_asked(&self) -> bool {
        let mut guard = self.lock();
        if !guard.flush_asked {
            return false;
        }
        guard.flush_asked = guard.buffered() > 0 && !guard.blocked;
        if guard.flush_asked {
            guard = self.write(guard, Direct::NONE);
            // A full socket calls by itself when it has room.
            guard.flush_asked = !guard.blocked;
        }
        guard.flush_asked
    }

    pub(crate) fn pong(&self, payload: &[u8]) {
        self.urgent(|queue| queue.set_pong(payload));
    }

    pub(crate) fn ping(&self, payload: &[u8]) {
        let mut guard = self.lock();
        guard.stats.pings_sent += 1;
        guard.queue.set_ping(payload);
        drop(self.write(guard, Direct::NONE));
    }

    pub(crate) fn pong_received(&self, round_trip: Duration) {
        self.lock().stats.last_round_trip = Some(round_trip);
    }

    /// Answers the peer's Close, or fails the connection: messages that wait are of no use to the peer any more. Returns
    /// whether we had begun to close before.
    pub(crate) fn finish(&self, payload: Bytes) -> bool {
        let mut guard = self.lock();
        guard.state = State::Closing;
        guard.queue.drop_unsent();
        guard.queue.set_close(payload);
        let guard = self.write(guard, Direct::NONE);
        self.progress.notify_all();
        guard.close.is_some()
    }

    /// Whether our Close frame has been handed to the operating system. A thread that is just writing it is waited for:
    /// writing does not block.
    pub(crate) fn close_is_written(&self) -> bool {
        let mut guard = self.lock();
        while guard.writing {
            guard.waiting_threads += 1;
            guard = self.progress.wait(guard).unwrap_or_else(PoisonError::into_inner);
            guard.waiting_threads -= 1;
        }
        guard.queue.is_closed() && guard.staged.is_done()
    }

    fn urgent(&self, change: impl FnOnce(&mut Queue)) {
        let mut guard = self.lock();
        change(&mut guard.queue);
        drop(self.write(guard, Direct::NONE));
    }
}

/// What happens under the lock, and the writing itself.
impl Outbound {
    fn lock(&self) -> Lock<'_> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a frame of this length may be queued. One that is longer than the limit may when nothing else waits.
    fn room_for(&self, needed: usize, wait: Wait) -> Result<Lock<'_>, NoRoom> {
        let mut guard = self.lock();
        let mut deadline = None;
        loop {
            if guard.state != State::Open {
                return Err(NoRoom::NotConnected);
            }
            let buffered = guard.buffered();
            if buffered == 0 || buffered + needed <= guard.max_buffer {
                return Ok(guard);
            }
            let timeout = match wait {
                Wait::Never => Duration::ZERO,
                Wait::UpTo(timeout) => timeout,
                Wait::Default => guard.send_timeout,
            };
            if IN_CALLBACK.get() || timeout.is_zero() {
                return Err(NoRoom::Full { limit: guard.max_buffer });
            }
            let deadline = *deadline.get_or_insert_with(|| after(Instant::now(), timeout));
            guard = self.wait(guard, deadline).map_err(|_| NoRoom::Timeout(timeout))?;
        }
    }

    /// Waits for progress. In a callback there is no waiting.
    fn wait<'a>(&'a self, mut guard: Lock<'a>, deadline: Instant) -> Result<Lock<'a>, ()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || IN_CALLBACK.get() {
            return Err(());
        }
        guard.waiting_threads += 1;
        let (mut guard, _) = self.progress.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner);
        guard.waiting_threads -= 1;
        Ok(guard)
    }

    /// Queues a frame for which there is room, and writes it, or has it written.
    fn enqueue<'a>(&'a self, mut guard: Lock<'a>, opcode: OpCode, payload: Payload<'_>) -> Lock<'a> {
        let bytes: &[u8] = match &payload {
            Payload::Borrowed(bytes) => bytes,
            Payload::Owned(bytes) => bytes,
        };
        let idle = !guard.writing && guard.staged.is_done() && guard.queue.is_empty();
        let started = Instant::now();
        let gap = guard.last_send.map(|last| started.saturating_duration_since(last));
        guard.stream_run = if gap.is_some_and(|gap| gap < STREAM_GAP) { guard.stream_run.saturating_add(1) } else { 0 };
        let streaming = guard.stream_run >= STREAM_RUN && !guard.self_driven;

        let mut direct = Direct::NONE;
        match &payload {
            _ if bytes.len() <= PIECE / 2 => {
                if idle && !streaming {
                    guard.staged.written = 0;
                    guard.staged.bytes.clear();
                    frame::encode(&mut guard.staged.bytes, opcode, bytes);
                    guard.in_flight = guard.staged.bytes.len();
                } else {
                    guard.queue.push(opcode, bytes);
                }
            }
            Payload::Owned(bytes) => guard.queue.push_large(opcode, bytes.clone()),
            Payload::Borrowed(bytes) if idle => {
                direct = Direct { payload: bytes, key: frame::new_key(), offset: 0 };
                guard.staged.written = 0;
                guard.staged.bytes.clear();
                frame::encode_header(&mut guard.staged.bytes, opcode, bytes.len(), direct.key);
                guard.in_flight = guard.staged.bytes.len() + bytes.len();
                direct.stage(&mut guard.staged.bytes);
            }
            Payload::Borrowed(bytes) => guard.queue.push_large(opcode, Bytes::copy_from_slice(bytes)),
        }
        if streaming && guard.queue.len() < PIECE {
            guard.last_send = Some(started);
            self.pending.store(true, Ordering::Release);
            if !guard.writing && !guard.flush_asked && !guard.blocked {
                guard.flush_asked = true;
                ring(&guard);
            }
            return guard;
        }
        if !guard.blocked {
            guard = self.write(guard, direct);
        }
        guard.last_send = Some(if streaming { started } else { Instant::now() });
        guard
    }

    /// Where no event loop does: waits for the socket and writes, until nothing is left.
    fn drive<'a>(&'a self, mut guard: Lock<'a>, wait: Wait) -> Result<(), SendError> {
        if !guard.self_driven || guard.buffered() == 0 {
            return Ok(());
        }
        let timeout = match wait {
            Wait::Never => return Ok(()),
            Wait::UpTo(timeout) => timeout,
            Wait::Default => guard.send_timeout,
        };
        let deadline = after(Instant::now(), timeout);
        while guard.buffered() > 0 {
            let Some(stream) = guard.stream.clone() else { return Err(SendError::NotConnected { message: None }) };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(SendError::Timeout { message: None, after: timeout });
            }
            drop(guard);
            let waited = stream.wait_writable(left);
            guard = self.lock();
            guard.blocked = false;
            guard = self.write(guard, Direct::NONE);
            if waited.is_err() || guard.write_error.is_some() {
                return Err(SendError::NotConnected { message: None });
            }
        }
        Ok(())
    }

    /// Writes until nothing is left or the socket is full, unless a thread is at it already. The lock is not held while
    /// the socket is written.
    fn write<'a>(&'a self, mut guard: Lock<'a>, mut direct: Direct<'_>) -> Lock<'a> {
        if guard.writing {
            guard.retry = true;
            return guard;
        }
        let Some(stream) = guard.stream.clone() else { return guard };
        let epoch = guard.epoch;
        let mut staged = std::mem::take(&mut guard.staged);
        let mut pieces = 0;
        guard.writing = true;
        self.pending.store(true, Ordering::Release);
        let left = loop {
            if staged.is_done() && !refill(&mut staged, &mut direct, &mut guard) {
                break false;
            }
            if pieces >= GENEROSITY && direct.is_done() && !guard.self_driven {
                break true;
            }
            pieces += 1;
            guard.retry = false;
            drop(guard);
            let result = stream.write(&staged.bytes[staged.written..]);
            guard = self.lock();
            if guard.epoch != epoch {
                // The connection ended meanwhile: its queue and our piece are gone.
                return guard;
            }
            match result {
                Ok(written) => {
                    staged.written += written;
                    guard.in_flight -= written;
                    if guard.waiting_threads > 0 {
                        self.progress.notify_all();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !guard.retry {
                        guard.blocked = true;
                        break true;
                    }
                }
                Err(error) => {
                    guard.blocked = true;
                    guard.write_error = Some(error);
                    break true;
                }
            }
        };
        if !direct.is_done() {
            let rest = Bytes::copy_from_slice(&direct.payload[direct.offset..]);
            guard.in_flight -= rest.len();
            guard.queue.push_front_rest(rest, direct.key, direct.offset);
        }
        guard.staged = staged;
        guard.writing = false;
        if guard.waiting_threads > 0 {
            self.progress.notify_all();
        }
        self.pending.store(left, Ordering::Release);
        if left && (!guard.blocked || guard.write_error.is_some()) {
            guard.flush_asked = true;
            ring(&guard);
        }
        guard
    }
}

impl Direct<'_> {
    fn stage(&mut self, piece: &mut Vec<u8>) {
        let end = self.payload.len().min(self.offset + PIECE);
        frame::encode_payload(piece, &self.payload[self.offset..end], self.key, self.offset);
        self.offset = end;
    }
}

/// Stages the next piece: a frame that has begun goes on before anything else.
fn refill(staged: &mut Staged, direct: &mut Direct<'_>, guard: &mut Guarded) -> bool {
    staged.written = 0;
    if direct.is_done() {
        let some = guard.queue.next_piece(&mut staged.bytes);
        guard.in_flight = staged.bytes.len();
        return some;
    }
    staged.bytes.clear();
    direct.stage(&mut staged.bytes);
    true
}

/// Rings for the reading thread, if there is one. It never holds the doorbell's lock and ours together.
fn ring(guard: &Guarded) {
    if let Some((doorbell, token)) = &guard.doorbell {
        doorbell.ring(*token);
    }
}

/// Why a frame may not be queued.
enum NoRoom {
    NotConnected,
    Full { limit: usize },
    Timeout(Duration),
}

impl NoRoom {
    fn into_error(self, message: Outgoing<'_>) -> SendError {
        let message = message.into_owned_message();
        match self {
            NoRoom::NotConnected => SendError::NotConnected { message },
            NoRoom::Full { limit } => SendError::QueueFull { message, limit },
            NoRoom::Timeout(after) => SendError::Timeout { message, after },
        }
    }
}
