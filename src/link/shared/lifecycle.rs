//! What the thread that reads does with what is shared: begins and ends connections, answers
//! control frames, goes on writing.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::backlog::{Backlog, Kept};
use super::{Lock, Requests, Shared, wake};
use crate::deflate::NegotiatedDeflate;
use crate::dial::Cancel;
use crate::link::sender::{SendPolicy, State};
use crate::link::supplies::contexts;
use crate::link::waker::Place;
use crate::link::writer::{Tail, Wire, Writer};
use crate::protocol::Deflater;
use crate::protocol::handshake::Handshake;
use crate::sync::atomic::Ordering;
use crate::sync::{now, thread};

impl Shared {
    /// The options that limit sending.
    pub(crate) fn limit(&self, max_buffer: usize, send_timeout: Duration) {
        let mut guard = self.lock();
        (guard.max_buffer, guard.send_timeout) = (max_buffer, send_timeout);
    }

    /// The option that says what becomes of a message for which there is no room.
    pub(crate) fn set_policy(&self, policy: SendPolicy) {
        self.lock().policy = policy;
    }

    /// Keeps messages through lost connections.
    pub(crate) fn keep(&self, bytes: usize, max_age: Duration) {
        self.lock().backlog = Some(Box::new(Backlog::new(bytes, max_age)));
    }

    /// The run begins: from now on requests wake the loop.
    pub(crate) fn attach(&self, place: &Place) {
        self.lock().place = Some(place.clone());
    }

    /// An attempt to connect begins, unless closing was asked for already: then there is none.
    pub(crate) fn connecting(&self, cancel: &Cancel) -> bool {
        let mut guard = self.lock();
        if guard.is_closed_for_good {
            return false;
        }
        guard.state = State::Connecting;
        guard.cancel = Some(cancel.clone());
        true
    }

    /// A connection is there, unless closing was asked for meanwhile.
    pub(crate) fn opened(
        &self,
        wire: &Arc<Wire>,
        handshake: Option<Arc<Handshake>>,
        mut agreed: Option<NegotiatedDeflate>,
        opened: Opened,
    ) -> bool {
        if self.lock().policy == SendPolicy::DropOldest
            && let Some(agreed) = &mut agreed
        {
            // The peer has to inflate what follows without what was dropped. A sender may forget
            // each message, whatever was agreed to (RFC 7692 §7.1.1.2).
            agreed.forget_each_message(self.role);
        }
        let compressor = agreed.and_then(|agreed| {
            // zlib has no window of 2^8: nothing is compressed then.
            let from = Some(agreed.compress_from(self.role)).filter(|from| *from < usize::MAX)?;
            Some((Deflater::new(agreed, self.role, contexts)?, from))
        });
        let mut guard = self.lock();
        guard.cancel = None;
        if guard.is_closed_for_good {
            return false;
        }
        guard.state = State::Open;
        guard.writer =
            Some(Writer::new(self.role, Arc::clone(wire), compressor, opened == Opened::ByCaller));
        guard.handshake = handshake;
        guard.stats.reconnects += u32::from(opened == Opened::Again);
        guard.reconnect = false;
        if let Some(backlog) = &mut guard.backlog {
            backlog.hold();
        }
        self.notify(&guard);
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
        let guard = self.lock();
        if guard.state == State::Open {
            drop(self.send_kept(guard));
        }
    }

    /// Sends what was kept for the connection that is there, whose first callback has returned.
    pub(super) fn send_kept<'a>(self: &'a Arc<Self>, mut guard: Lock<'a>) -> Lock<'a> {
        guard.queue_kept(|backlog| backlog.release(now()));
        if guard.backlog.as_deref().is_some_and(Backlog::has_expired) {
            wake(&guard);
        }
        // Who has waited for that may go on.
        self.notify(&guard);
        self.write(guard, Tail::NONE)
    }

    /// The connection has ended, or the run: what was queued for it is gone, unless it is kept for
    /// the next.
    pub(crate) fn disconnected(&self, state: State) {
        let mut guard = self.lock();
        guard.state = state;
        guard.cancel = None;
        if let Some(writer) = &mut guard.writer {
            writer.stop();
        }
        // A thread that writes brings its piece back.
        guard = self.wait_for_writing(guard);
        let mut writer = guard.writer.take();
        self.note_unread(&guard);
        let written = writer.as_mut().map_or(0, Writer::finish);
        if let Some(backlog) = &mut guard.backlog {
            backlog.written(written);
            backlog.lost();
        }
        if state == State::Closed {
            guard.place = None;
        }
        self.progress.notify_all();
        drop(guard);
        // To free what it holds may take a while.
        drop(writer);
    }

    /// Waits until no thread is writing. Writing does not block.
    fn wait_for_writing<'a>(&'a self, mut guard: Lock<'a>) -> Lock<'a> {
        while guard.writer.as_ref().is_some_and(Writer::is_active) {
            guard.waiting_threads += 1;
            guard = self.progress.wait(guard).unwrap_or_else(PoisonError::into_inner);
            guard.waiting_threads -= 1;
        }
        guard
    }

    /// Nobody runs the app any more, though its run may not be over.
    pub(crate) fn forsake(&self) {
        let mut guard = self.lock();
        if guard.state == State::Closed {
            return;
        }
        let cancel = guard.cancel.take();
        drop(guard);
        if let Some(cancel) = cancel {
            cancel.cancel();
        }
        self.disconnected(State::Closed);
    }

    /// Takes what has waited for a connection for too long.
    pub(crate) fn expire(&self, now: Instant) -> Vec<Kept> {
        let mut guard = self.lock();
        let expired = guard.backlog.as_mut().map_or_else(Vec::new, |backlog| backlog.expire(now));
        if !expired.is_empty() {
            // They may be what somebody waits for in `flush`.
            self.progress.notify_all();
        }
        expired
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.lock().backlog.as_deref().and_then(Backlog::next_expiry)
    }

    /// Takes what will never be sent: the run is over.
    pub(crate) fn take_unsent(&self) -> Vec<Kept> {
        self.lock().backlog.as_deref_mut().map_or_else(Vec::new, Backlog::take_all)
    }

    /// Takes what was asked for since the last time.
    pub(crate) fn take_requests(&self) -> Requests {
        let mut guard = self.lock();
        Requests {
            close: guard.is_closed_for_good,
            abort: self.is_aborted(),
            reconnect: std::mem::take(&mut guard.reconnect),
            write_error: guard.writer.as_mut().and_then(Writer::take_error),
            unfinished: guard.writer.as_mut().and_then(Writer::take_unfinished),
        }
    }

    /// The socket has room again: writes what waits.
    pub(crate) fn on_writable(self: &Arc<Self>, wire: &Wire) {
        if wire.pending.load(Ordering::Acquire) {
            drop(self.write(self.lock(), Tail::NONE));
        }
    }

    /// A message for many was queued: writes what waits.
    #[cfg(feature = "server")]
    pub(crate) fn write_queued(self: &Arc<Self>) {
        let guard = self.lock();
        if guard.has_idle_bytes() || guard.state == State::Closing {
            drop(self.write(guard, Tail::NONE));
        }
    }

    /// Answers pings.
    pub(crate) fn pongs<'a>(self: &Arc<Self>, pings: impl Iterator<Item = &'a [u8]>) {
        let mut guard = self.lock();
        if let Some(writer) = &mut guard.writer {
            pings.for_each(|payload| writer.add_pong(payload));
        }
        drop(self.write(guard, Tail::NONE));
    }

    pub(crate) fn ping(self: &Arc<Self>, payload: &[u8]) {
        let mut guard = self.lock();
        guard.stats.pings_sent = guard.stats.pings_sent.saturating_add(1);
        if let Some(writer) = &mut guard.writer {
            writer.set_ping(payload);
        }
        drop(self.write(guard, Tail::NONE));
    }

    /// Pongs have come, among them perhaps the answer to the keepalive's latest ping, after so
    /// long.
    pub(crate) fn pongs_received<'a>(
        &self,
        pongs: impl Iterator<Item = &'a [u8]>,
        round_trip: Option<Duration>,
        now: Instant,
    ) {
        let mut guard = self.lock();
        guard.stats.last_round_trip = round_trip.or(guard.stats.last_round_trip);
        let Some(writer) = &mut guard.writer else { return };
        let awaited = &mut writer.awaited_pongs;
        pongs.for_each(|payload| awaited.on_pong(payload, now));
        let keepalive = round_trip.and_then(|round_trip| now.checked_sub(round_trip));
        keepalive.into_iter().for_each(|since| awaited.on_answer(since, now));
        self.notify(&guard);
    }

    /// Counts what was received.
    pub(crate) fn received(&self, messages: u64, bytes: u64, wire_bytes: u64, pongs: u64) {
        let received = &self.received;
        received.messages.fetch_add(messages, Ordering::Relaxed);
        received.bytes.fetch_add(bytes, Ordering::Relaxed);
        received.wire_bytes.fetch_add(wire_bytes, Ordering::Relaxed);
        received.pongs.fetch_add(pongs, Ordering::Relaxed);
    }

    /// Answers the peer's Close, or fails the connection: messages that wait are of no use to the
    /// peer any more. Returns whether we had begun to close before.
    pub(crate) fn finish(self: &Arc<Self>, payload: Bytes) -> bool {
        self.finish_locked(self.lock(), payload).is_closed_for_good
    }

    pub(super) fn finish_locked<'a>(
        self: &'a Arc<Self>,
        mut guard: Lock<'a>,
        payload: Bytes,
    ) -> Lock<'a> {
        guard.state = State::Closing;
        if let Some(writer) = &mut guard.writer {
            writer.drop_unsent();
            writer.set_close(payload);
        }
        let guard = self.write(guard, Tail::NONE);
        self.progress.notify_all();
        guard
    }

    /// Something was read: goes on writing if that may have waited for it.
    pub(crate) fn on_read(self: &Arc<Self>, wire: &Wire) {
        if wire.pending.load(Ordering::Acquire) {
            let guard = self.lock();
            if guard.writer.as_ref().is_some_and(Writer::may_wait_for_peer) {
                drop(self.write(guard, Tail::NONE));
            }
        }
    }

    /// Returns whether our Close frame has been handed to the operating system. A thread that is
    /// just writing it is waited for.
    pub(crate) fn close_is_written(&self) -> bool {
        let mut guard = self.lock();
        if guard.state == State::Open {
            // Nobody has begun to close. Senders could go on for ever; what they send now is lost
            // with the connection.
            guard.writer.iter_mut().for_each(Writer::stop);
            return false;
        }
        self.wait_for_writing(guard).writer.as_ref().is_some_and(Writer::close_is_written)
    }
}

/// How a connection came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// By a loop, for the first time.
    First,
    /// By a loop, after it was lost.
    Again,
    /// By its owner, in whose calls it is read and written.
    ByCaller,
}
