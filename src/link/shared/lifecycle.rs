//! What the reading thread does with the sending half: begins and ends connections, answers control frames, flushes.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::Token;

use super::backlog::{Backlog, Kept};
use super::writing::{Direct, Staged};
use super::{Requests, Shared, ring};
use crate::dial::Cancel;
use crate::link::sender::State;
use crate::link::waker::LoopWaker;
use crate::protocol::Deflater;
use crate::protocol::frame::Head;
use crate::protocol::handshake::Handshake;
use crate::protocol::send::Queue;
use crate::sync::atomic::Ordering;
use crate::sync::{Mutex, now, thread};
use crate::transport::Stream;

impl Shared {
    /// The options that limit sending.
    pub(crate) fn limit(&self, max_buffer: usize, send_timeout: Duration) {
        let mut guard = self.lock();
        (guard.max_buffer, guard.send_timeout) = (max_buffer, send_timeout);
    }

    /// Keeps messages through lost connections.
    pub(crate) fn keep(&self, bytes: usize, max_age: Duration) {
        self.lock().backlog = Some(Backlog::new(bytes, max_age));
    }

    /// There will be no event loop: who sends waits until it is written.
    pub(crate) fn drive_yourself(&self) {
        self.lock().self_driven = true;
    }

    /// The run begins: from now on requests ring.
    pub(crate) fn attach(&self, waker: &Arc<LoopWaker>, token: Token) {
        self.lock().waker = Some((Arc::clone(waker), token));
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
        let agreed = handshake.compression();
        let mut guard = self.lock();
        guard.cancel = None;
        if guard.close.is_some() {
            return false;
        }
        guard.state = State::Open;
        guard.stream = Some(Arc::clone(stream));
        guard.deflater = agreed.and_then(Deflater::new).map(|deflater| Arc::new(Mutex::new(deflater)));
        guard.compress_from = agreed.map_or(usize::MAX, |agreed| agreed.compress_from());
        guard.handshake = Some(handshake);
        guard.stats.reconnects += u64::from(again);
        guard.reconnect = false;
        guard.write_error = None;
        if let Some(backlog) = &mut guard.backlog {
            backlog.hold();
        }
        true
    }

    /// The first callback of a connection is about to be called, on this thread.
    pub(crate) fn on_opening(&self) {
        if let Some(backlog) = &mut self.lock().backlog {
            backlog.opened_by(thread::current().id());
        }
    }

    /// That callback has returned: what was kept for this connection goes out.
    pub(crate) fn on_opening_done(self: &Arc<Self>) {
        let mut guard = self.lock();
        if guard.state != State::Open {
            return;
        }
        let Some(backlog) = &mut guard.backlog else { return };
        for Kept { is_text, payload, .. } in backlog.release(now()) {
            // Uncompressed, which is always allowed: compressing all of it would hold the lock for long.
            guard.stats.wire_bytes_sent += payload.len() as u64;
            guard.queue.push_owned(Head::of(is_text), payload);
        }
        if guard.backlog.as_ref().is_some_and(Backlog::has_expired) {
            ring(&guard);
        }
        drop(self.write(guard, Direct::NONE));
    }

    /// The connection has ended, or the run: what was queued for it is gone, unless it is kept for the next.
    pub(crate) fn disconnected(&self, state: State) {
        let mut guard = self.lock();
        guard.state = state;
        guard.stream = None;
        guard.cancel = None;
        // Whoever is writing notices at once, and brings its piece back.
        while guard.writing {
            guard.waiting_threads += 1;
            guard = self.progress.wait(guard).unwrap_or_else(PoisonError::into_inner);
            guard.waiting_threads -= 1;
        }
        let written = guard.staged.messages_written();
        if let Some(backlog) = &mut guard.backlog {
            backlog.written(written);
            backlog.lost();
        }
        if guard.backlog.is_none() && guard.buffered() > 0 {
            guard.losses += 1;
        }
        guard.full = false;
        guard.queue = Queue::default();
        guard.staged = Staged::default();
        guard.in_flight = 0;
        (guard.blocked, guard.retry, guard.flush_asked) = (false, false, false);
        if state == State::Closed {
            guard.waker = None;
        }
        let compressor = guard.deflater.take();
        self.pending.store(false, Ordering::Release);
        self.progress.notify_all();
        drop(guard);
        drop(compressor);
    }

    /// Nobody runs the app any more, though its run may not be over.
    pub(crate) fn forsake(&self) {
        let mut guard = self.lock();
        if guard.state == State::Closed {
            return;
        }
        guard.state = State::Closed;
        (guard.stream, guard.waker) = (None, None);
        if let Some(cancel) = guard.cancel.take() {
            cancel.cancel();
        }
        self.progress.notify_all();
    }

    /// Takes what has waited for a connection for too long.
    pub(crate) fn expire(&self, now: Instant) -> Vec<Kept> {
        self.lock().backlog.as_mut().map_or_else(Vec::new, |backlog| backlog.expire(now))
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.lock().backlog.as_ref().and_then(Backlog::next_expiry)
    }

    /// Takes what will never be sent: the run is over.
    pub(crate) fn take_unsent(&self) -> Vec<Kept> {
        self.lock().backlog.as_mut().map_or_else(Vec::new, Backlog::take_all)
    }

    /// What was asked for since the last time.
    pub(crate) fn take_requests(&self) -> Requests {
        let mut guard = self.lock();
        Requests {
            close: guard.close.is_some(),
            abort: guard.abort,
            reconnect: std::mem::take(&mut guard.reconnect),
            write_error: guard.write_error.take(),
        }
    }

    /// The socket has room again: writes what waits.
    pub(crate) fn on_writable(self: &Arc<Self>) {
        if self.pending.load(Ordering::Acquire) {
            let mut guard = self.lock();
            guard.blocked = false;
            drop(self.write(guard, Direct::NONE));
        }
    }

    /// Writes what a stream of messages has left in the queue. Returns whether to come back soon, since the stream may go
    /// on: its senders rely on it.
    pub(crate) fn write_stream(self: &Arc<Self>) -> bool {
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

    /// Whether a socket that was full has taken bytes since the last look.
    pub(crate) fn take_progress(&self) -> bool {
        self.progressed.swap(false, Ordering::Relaxed)
    }

    /// Answers pings.
    pub(crate) fn pongs<'a>(self: &Arc<Self>, pings: impl Iterator<Item = &'a [u8]>) {
        let mut guard = self.lock();
        pings.for_each(|payload| guard.queue.add_pong(payload));
        drop(self.write(guard, Direct::NONE));
    }

    pub(crate) fn ping(self: &Arc<Self>, payload: &[u8]) {
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
    pub(crate) fn finish(self: &Arc<Self>, payload: Bytes) -> bool {
        let mut guard = self.lock();
        guard.state = State::Closing;
        if guard.queue.drop_unsent() {
            guard.losses += 1;
        }
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
}
