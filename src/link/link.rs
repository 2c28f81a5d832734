//! [`Link`]: one open connection, as the thread that drives it sees it: an event loop's, or that of
//! the blocking client's caller. It takes events, wake-ups and deadlines, and says when the
//! connection is over.
//!
//! It never calls a callback: what is received is in the reader's batch. Pings and a Close are
//! answered before any callback runs.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::event::Event;
use mio::{Interest, Registry};

use super::ending::Ending;
use super::receiver::{Reader, Received, Receiver};
use super::shared::{Opened, Requests, Shared};
use super::trace::WireTrace;
use super::waker::Place;
use super::writer::Wire;
use crate::close::{Close, close_code};
use crate::config::ConnectionOptions;
use crate::deflate::NegotiatedDeflate;
use crate::dial::Connected;
use crate::error::{Error, SendError};
use crate::protocol::close::close_answer;
use crate::protocol::handshake::Handshake;
use crate::protocol::handshake::echo::Secrets;
use crate::protocol::{Batch, End, InPieces, Item, Keepalive, KeepaliveAction, Kind, Limits};
use crate::role::Role;
use crate::transport::{Stream, Trace};

/// What came of a read.
#[derive(Debug)]
pub(crate) enum Step {
    /// The batch is filled; `more` says that there may be more to read.
    Received { more: bool },
    /// The batch is filled with what had been read before, and the socket was not looked at. There
    /// may be more.
    Decoded,
    /// There is nothing to read for now.
    Empty,
    /// The connection is over.
    Over(Option<Error>),
}

/// What other threads' requests come to.
#[derive(Debug)]
pub(crate) enum Requested {
    Nothing,
    /// There may be something to read that says more than a failed write.
    Read,
    /// The program wants another connection. This one may have failed at the same time, for what a
    /// thread did.
    Reconnect(Option<Error>),
    /// The connection fails, for what a thread did.
    Failed(Error),
    /// The connection is over.
    Abort,
}

/// A connection behind its opening handshake.
pub(crate) struct Established {
    pub(crate) role: Role,
    pub(crate) stream: Stream,
    /// What the peer sent right behind its part of the handshake: the first frames.
    pub(crate) leftover: Vec<u8>,
    pub(crate) compression: Option<NegotiatedDeflate>,
    /// A client's, for those who ask its senders.
    pub(crate) handshake: Option<Arc<Handshake>>,
    /// Names the peer in messages.
    pub(crate) peer: Box<str>,
    /// What the peer is not to be quoted with.
    pub(crate) secrets: Secrets,
}

impl From<Connected> for Established {
    fn from(connected: Connected) -> Self {
        let Connected { stream, leftover, handshake, peer, secrets } = connected;
        let compression = handshake.compression();
        let handshake = Some(Arc::new(handshake));
        Established { role: Role::Client, stream, leftover, compression, handshake, peer, secrets }
    }
}

impl Established {
    /// Has the poll tell of it.
    pub(crate) fn register(&mut self, registry: &Registry, place: &Place) -> io::Result<()> {
        self.stream.register(registry, place.token, Interest::READABLE | Interest::WRITABLE)
    }
}

pub(crate) struct Link {
    wire: Arc<Wire>,
    shared: Arc<Shared>,
    receiver: Receiver,
    keepalive: Keepalive,
    ending: Ending,
}

impl Link {
    /// Opens what was established and is registered. `None` when closing was asked for meanwhile.
    pub(crate) fn open(
        established: Established,
        shared: &Arc<Shared>,
        live: &ConnectionOptions,
        in_pieces: InPieces,
        opened: Opened,
    ) -> Option<Self> {
        let Established { role, mut stream, leftover, compression, handshake, peer, secrets } =
            established;
        if let Some(trace) = WireTrace::begin(&peer, &secrets) {
            trace.received(&leftover);
            stream = stream.traced(trace);
        }
        let wire = Arc::new(Wire::new(stream));
        if !shared.opened(&wire, handshake, compression, opened) {
            return None;
        }
        let limits = Limits { message_size: live.max_message_size, fragments: live.max_fragments };
        Some(Link {
            wire,
            shared: Arc::clone(shared),
            receiver: Receiver::new(role, limits, in_pieces, compression, leftover),
            keepalive: Keepalive::new(
                live.ping_interval,
                live.ping_timeout,
                live.idle_timeout,
                Instant::now(),
            ),
            ending: Ending::new(role, &peer, secrets, live.close_timeout),
        })
    }

    /// The poll has announced the end of the stream, or an error, before the link was there.
    #[cfg(feature = "server")]
    pub(crate) fn on_announced(&mut self) {
        self.ending.on_announced();
    }

    /// The socket has something to tell. Returns whether it may have something to read.
    pub(crate) fn on_event(&mut self, event: &Event) -> bool {
        if event.is_writable() {
            self.shared.on_writable(&self.wire);
            self.end_first();
        }
        let announced = event.is_read_closed() || event.is_error();
        if announced {
            self.ending.on_announced();
        }
        event.is_readable() || announced
    }

    /// Other threads have asked for something.
    pub(crate) fn on_requests(&mut self, requests: Requests, now: Instant) -> Requested {
        if requests.close || requests.abort {
            self.ending.on_local_close(now);
        }
        if requests.abort {
            self.wire.stream.abort();
            return Requested::Abort;
        }
        let failed = requests.write_error.map(|error| self.ending.on_write_error(error));
        let unfinished = requests.unfinished.and_then(|problem| self.fail_unfinished(problem));
        if requests.reconnect && !requests.close {
            return Requested::Reconnect(unfinished);
        }
        self.end_first();
        match (unfinished, failed) {
            (Some(error), _) => Requested::Failed(error),
            (None, Some(())) => Requested::Read,
            (None, None) => Requested::Nothing,
        }
    }

    /// Reads once and decodes: fills the reader's batch.
    pub(crate) fn receive(&mut self, reader: &mut Reader) -> Step {
        reader.batch.clear();
        if !self.ending.is_receiving() {
            return self.discard(reader);
        }
        let (wire, shared) = (&self.wire, &self.shared);
        match self.receiver.receive(reader, |space| read(wire, shared, space)) {
            Ok(Received::End) => self.ended(None),
            Ok(Received::Tail) => {
                // Meanwhile the socket is not read, so that nothing can be heard.
                self.keepalive.heard();
                self.settle(reader);
                Step::Decoded
            }
            Ok(Received::Read { full }) => {
                self.keepalive.heard();
                self.settle(reader);
                // Behind a short read there may be what no event will tell of.
                Step::Received {
                    more: full || self.ending.is_announced() || self.wire.stream.has_more(),
                }
            }
            Err(error) => self.read_failed(error),
        }
    }

    /// Ends our direction of a connection that both sides have closed, where that is for us to do
    /// first. Asked after whatever may have written a Close frame: a callback may have.
    pub(crate) fn end_first(&mut self) {
        if self.ending.may_end_first() && self.shared.close_is_written() {
            self.ending.on_ended_first();
            self.wire.stream.shutdown();
        }
    }

    /// Reading is paused because callbacks are slow: what is not read cannot be heard, so the peer
    /// is not to be taken for dead.
    pub(crate) fn on_pause(&mut self) {
        self.keepalive.on_pause(Instant::now());
    }

    /// Returns whether a socket that was full has taken something since it was last asked, or takes
    /// something now: then the peer reads.
    pub(crate) fn has_progressed(&self) -> bool {
        // The poll tells only once there is much room.
        self.shared.on_writable(&self.wire);
        self.wire.take_progress()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match self.ending.deadline() {
            None if !self.ending.is_violated() => self.keepalive.next_deadline(),
            deadline => deadline,
        }
    }

    /// Returns when the closing handshake must be over, where one has begun.
    pub(crate) fn close_deadline(&self) -> Option<Instant> {
        self.ending.deadline()
    }

    /// Does what is due. Returns what the connection is over with, when it is.
    pub(crate) fn on_deadline(&mut self, now: Instant) -> Option<Option<Error>> {
        if let Some(deadline) = self.ending.deadline() {
            return (deadline <= now).then(|| {
                self.ending.on_deadline();
                None
            });
        }
        if self.ending.is_violated() {
            return None;
        }
        if self.keepalive.next_deadline().is_none_or(|deadline| deadline > now) {
            return None;
        }
        if self.has_progressed() | self.wire.stream.take_heard() {
            self.keepalive.heard();
        }
        match self.keepalive.on_deadline(now) {
            KeepaliveAction::Nothing => None,
            KeepaliveAction::Ping(payload) => {
                self.shared.ping(&payload);
                None
            }
            KeepaliveAction::GiveUp { after } => Some(Some(self.ending.silent(after))),
        }
    }

    /// Fails the connection for what the peer did wrong: what it sent before that has been handed
    /// out. Returns the error, the first time, unless we have closed.
    pub(crate) fn fail(&mut self, end: End) -> Option<Error> {
        if self.shared.is_closed_for_good() {
            self.ending.on_violation_after_close(Some(end), Instant::now());
            return None;
        }
        let (code, reason) = (end.close_code(), end.close_reason());
        let violation = end.into_error().filter(|_| self.ending.violation().is_none());
        // Also where the peer has closed meanwhile: it is why the connection is over.
        violation.iter().for_each(|violation| self.ending.note_violation(violation.clone()));
        self.close_with_failure(code, &reason);
        violation
    }

    /// Fails the connection for what a callback did.
    pub(crate) fn fail_by_callback(&mut self) {
        self.close_with_failure(close_code::INTERNAL_ERROR, "");
    }

    /// Fails the connection for a message that will not be finished, of which the peer has been
    /// told. Returns the error, unless there was another before.
    fn fail_unfinished(&mut self, problem: &'static str) -> Option<Error> {
        let error = Error::Send(SendError::Unfinished { problem });
        let is_first = self.ending.violation().is_none();
        self.ending.note_violation(error.clone());
        self.close_with_failure(close_code::INTERNAL_ERROR, "");
        is_first.then_some(error)
    }

    fn close_with_failure(&mut self, code: u16, reason: &str) {
        if self.ending.can_fail() {
            self.shared.finish([&close_answer(code), reason.as_bytes()].concat().into());
            self.ending.on_failed(Instant::now());
        }
        self.end_first();
    }

    /// Returns what the peer did wrong, once callbacks hear of it.
    pub(crate) fn violation(&self) -> Option<&Error> {
        self.ending.violation()
    }

    /// Leaves the connection for another one: tells the peer, and does not wait for its answer.
    pub(crate) fn leave(&mut self) -> (Close, Option<Remains>) {
        self.shared.finish(close_answer(close_code::NORMAL).into());
        self.ending.on_local_close(Instant::now());
        self.close()
    }

    /// Shuts the socket of a connection that is over down, so that what was written still goes out.
    /// Returns how it ended, and what is left of it where more has come than is read away at once.
    pub(crate) fn close(&mut self) -> (Close, Option<Remains>) {
        let told = self.shared.close_is_written();
        self.wire.stream.shutdown();
        let mut remains = Remains { wire: Arc::clone(&self.wire), left: MAX_DISCARDED };
        // Of an abort nothing has to go out any more, and a peer that goes on sending gets its
        // reset.
        let is_more = !self.shared.is_aborted() && remains.discard();
        (self.ending.close(told), is_more.then_some(remains))
    }

    /// Counts the batch and answers what must be answered at once.
    fn settle(&mut self, reader: &mut Reader) {
        let (batch, buffer) = (&mut reader.batch, &reader.buffer);
        if self.count(batch) > 0 {
            let pongs = || {
                let pongs = batch.items.iter().filter(|item| item.kind == Kind::Pong);
                pongs.map(|pong| batch.payload(pong, buffer))
            };
            let now = Instant::now();
            let round_trip =
                pongs().filter_map(|payload| self.keepalive.on_pong(payload, now)).next();
            self.shared.pongs_received(pongs(), round_trip, now);
        }
        if batch.has_pings {
            let pings = batch.items.iter().filter(|item| item.kind == Kind::Ping);
            self.shared.pongs(pings.map(|ping| batch.payload(ping, buffer)));
        }
        match &batch.end {
            None => {}
            // The thread that failed the connection may have been quicker than its wake-up.
            Some(End::Close { .. }) if self.shared.is_unfinished() => {
                self.close_with_failure(close_code::INTERNAL_ERROR, "");
            }
            Some(End::Close { code, reason }) => {
                self.ending.log_peer_close(*code, reason);
                let now = Instant::now();
                if self.shared.finish(close_answer(*code).into()) {
                    // The thread that closed may have been quicker than its wake-up.
                    self.ending.on_local_close(now);
                }
                self.ending.on_peer_close(*code, reason.clone(), now);
            }
            Some(_) if self.shared.is_closed_for_good() => {
                let end = batch.end.take();
                self.ending.on_violation_after_close(end, Instant::now());
            }
            // The peer is told when the messages before it have been handed out: what they are
            // answered with goes first.
            Some(_) => self.ending.on_violation(),
        }
        self.end_first();
    }

    /// Counts what was received. Returns how many pongs.
    fn count(&mut self, batch: &Batch) -> u64 {
        let (mut messages, mut bytes, mut pongs) = (0, 0, 0);
        let mut wire = batch.assembled_from as u64;
        let payload_len = |item: &Item| batch.payload_len(item) as u64;
        for item in &batch.items {
            match item.kind {
                Kind::Text | Kind::Binary => messages += 1,
                Kind::TextFragment { last, .. } | Kind::BinaryFragment { last, .. } => {
                    messages += u64::from(last)
                }
                Kind::Ping => continue,
                Kind::Pong => {
                    pongs += 1;
                    continue;
                }
            }
            bytes += payload_len(item);
            wire += if Batch::is_assembled(item) { 0 } else { payload_len(item) };
        }
        if messages > 0 || batch.has_unfinished {
            self.keepalive.on_data(Instant::now);
        }
        self.shared.received(messages, bytes, wire, pongs);
        pongs
    }

    /// After the last thing of interest, what still comes is thrown away until the peer ends the
    /// stream.
    fn discard(&mut self, reader: &mut Reader) -> Step {
        match read(&self.wire, &self.shared, &mut reader.buffer) {
            Ok(0) => self.ended(None),
            Ok(_) => Step::Received { more: true },
            Err(error) => self.read_failed(error),
        }
    }

    fn read_failed(&mut self, error: io::Error) -> Step {
        match error.kind() {
            io::ErrorKind::WouldBlock if self.ending.is_met_by_nothing() => self.ended(None),
            io::ErrorKind::WouldBlock => Step::Empty,
            io::ErrorKind::Interrupted => Step::Received { more: true },
            _ => self.ended(Some(error)),
        }
    }

    /// The stream has ended, in order or not.
    fn ended(&mut self, error: Option<io::Error>) -> Step {
        // Here too.
        let unfinished = self.shared.take_unfinished();
        if let Some(error) = unfinished.and_then(|problem| self.fail_unfinished(problem)) {
            return Step::Over(Some(error));
        }
        let aborted = self.shared.is_aborted();
        if aborted || self.shared.is_closed_for_good() {
            // The thread that closed may have been quicker than its wake-up.
            self.ending.on_local_close(Instant::now());
        }
        Step::Over(if aborted { None } else { self.ending.on_end(error) })
    }
}

/// How many bytes are read away when a connection is closed, at most: as many as Linux keeps for
/// one, unless it is told otherwise. A peer that sends on and on is not read for ever.
const MAX_DISCARDED: usize = 32 << 20;

/// What is left of a connection that is over while its peer has sent more than anybody wants. Its
/// socket is closed when it is dropped.
pub(crate) struct Remains {
    wire: Arc<Wire>,
    left: usize,
}

impl Remains {
    /// Reads some of it away. Returns whether there may be more.
    pub(crate) fn discard(&mut self) -> bool {
        self.left = self.wire.stream.discard(self.left);
        self.left > 0
    }
}

/// Reads, and lets a writer go on that has waited for what came.
fn read(wire: &Wire, shared: &Arc<Shared>, space: &mut [u8]) -> io::Result<usize> {
    let read = wire.stream.read(space);
    if wire.stream.is_tls() {
        shared.on_read(wire);
    }
    read
}
