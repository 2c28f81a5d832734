//! The receiving half of one connection: reads the socket, decodes, answers control frames, and keeps its deadlines.
//!
//! Belongs to the thread that reads. It never calls a callback: it fills a [`Batch`], and says when the connection is over.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::shared::{Requests, Shared};
use super::writer::Wire;
use crate::close::{Close, close_code};
use crate::config::Live;
use crate::deadline::after;
use crate::deflate::Agreed;
use crate::error::{Error, Phase};
use crate::protocol::frame::close_answer;
use crate::protocol::{Batch, Closing, End, Inbound, Item, Keepalive, KeepaliveAction, Kind, Limits, Outcome};

/// One read takes at most this much: enough that the system call and the event loop's turn cost little per message, and
/// still within a core's cache.
const READ_BUFFER: usize = 256 << 10;

/// What a thread reads with, shared by all of its connections.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) buffer: Vec<u8>,
    pub(crate) batch: Batch,
    /// How many bytes the latest read took off the socket.
    pub(crate) taken: usize,
    /// Empty, for the next connection that has an undecoded rest.
    tail: Vec<u8>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        // Zeroed by the operating system, and not in memory before it is used.
        Reader { buffer: vec![0; READ_BUFFER], batch: Batch::default(), taken: 0, tail: Vec::new() }
    }

    /// Whether it holds more than reading mostly needs: a large message made it grow.
    pub(crate) fn is_large(&self) -> bool {
        self.batch.is_large() || self.buffer.len() > READ_BUFFER
    }
}

/// What came of a read.
#[derive(Debug)]
pub(crate) enum Step {
    /// The batch is filled; `more` says that there may be more to read.
    Received { more: bool },
    /// There is nothing to read for now.
    Empty,
    /// The connection is over.
    Over(Option<Error>),
}

/// For `idle_timeout`: since when no message has come.
#[derive(Debug)]
struct Idle {
    timeout: Duration,
    since: Instant,
}

/// What a connection begins with, besides its stream.
pub(crate) struct Beginning<'a> {
    /// What came together with the response head.
    pub(crate) leftover: Vec<u8>,
    /// Whether messages are handed out piece by piece.
    pub(crate) in_pieces: bool,
    pub(crate) compression: Option<Agreed>,
    pub(crate) peer: &'a str,
}

pub(crate) struct Receiver {
    wire: Arc<Wire>,
    shared: Arc<Shared>,
    inbound: Inbound,
    /// Bytes read and not decoded yet: the beginning of a frame, or what came with the response head.
    tail: Vec<u8>,
    /// The tail holds whole frames, for which the last batch had no room.
    overfull: bool,
    closing: Closing,
    keepalive: Option<Keepalive>,
    idle: Option<Idle>,
    /// The keepalive's pings so far, their payload, and when the latest went out.
    pings: u64,
    pinged: Option<Instant>,
    close_timeout: Duration,
    peer: Box<str>,
    /// Whether the end of the stream, or an error, was announced: then reading goes on until it is met.
    hung_up: bool,
    /// What the first write that failed failed with. What the peer sent before is read all the same, its Close above all; then
    /// this is why the connection is over, since the operating system tells each cause once.
    write_error: Option<io::Error>,
    /// The peer did something wrong: nothing that it sends is looked at any more.
    violated: bool,
}

impl Receiver {
    pub(crate) fn new(
        wire: Arc<Wire>,
        shared: Arc<Shared>,
        beginning: Beginning<'_>,
        live: &Live,
        now: Instant,
    ) -> Self {
        let Beginning { leftover, in_pieces, compression, peer } = beginning;
        let limits = Limits { message_size: live.max_message_size, fragments: live.max_fragments };
        Receiver {
            wire,
            shared,
            inbound: Inbound::new(limits, in_pieces, compression),
            overfull: !leftover.is_empty(),
            tail: leftover,
            closing: Closing::default(),
            keepalive: live.ping_interval.map(|interval| Keepalive::new(interval, live.ping_timeout, now)),
            idle: live.idle_timeout.map(|timeout| Idle { timeout, since: now }),
            pings: 0,
            pinged: None,
            close_timeout: live.close_timeout,
            peer: peer.into(),
            hung_up: false,
            write_error: None,
            violated: false,
        }
    }

    /// The poll announced the end of the stream or an error: a short read no longer means that there is nothing more.
    pub(crate) fn on_hang_up(&mut self) {
        self.hung_up = true;
    }

    /// The socket has room again: writes what waits.
    pub(crate) fn on_writable(&self) {
        self.shared.on_writable(&self.wire);
    }

    /// Reads once and decodes: fills the reader's batch. Pings and a Close are answered before any callback runs.
    pub(crate) fn receive(&mut self, reader: &mut Reader) -> Step {
        reader.batch.clear();
        if self.violated || !self.closing.is_receiving() {
            return self.discard(reader);
        }
        if self.overfull {
            let kept = self.take_tail(reader);
            self.decode(reader, kept);
            return Step::Received { more: true };
        }
        let (read, space) = match self.inbound.direct() {
            Some(space) => (read(&self.wire, &self.shared, space), space.len()),
            None => {
                let kept = self.take_tail(reader);
                let read = match read(&self.wire, &self.shared, &mut reader.buffer[kept..]) {
                    Ok(read) if read > 0 => {
                        reader.taken = read;
                        self.heard();
                        let full = kept + read == reader.buffer.len();
                        self.decode(reader, kept + read);
                        return Step::Received { more: full || self.overfull || self.may_read_on() };
                    }
                    other => other,
                };
                self.tail.extend_from_slice(&reader.buffer[..kept]);
                (read, usize::MAX)
            }
        };
        match read {
            Ok(0) => self.ended(None),
            Ok(read) => {
                reader.taken = read;
                self.heard();
                self.inbound.filled(read, &mut reader.batch);
                self.settle(reader);
                // What was announced may all have fitted in; the next read tells.
                Step::Received { more: read == space || self.may_read_on() }
            }
            Err(error) => self.read_failed(error),
        }
    }

    /// Reading is paused because callbacks are slow: what is not read cannot be heard, so the peer is not to be taken for
    /// dead.
    pub(crate) fn on_pause(&mut self) {
        self.heard();
        self.idle.iter_mut().for_each(|idle| idle.since = Instant::now());
    }

    /// Leaves the connection for another one: tells the peer, and does not wait for its answer.
    pub(crate) fn leave(&mut self) {
        self.shared.finish(close_answer(close_code::NORMAL).into());
        self.closing.on_local_close(Instant::now(), self.close_timeout);
    }

    /// What to do about requests of other threads; `Some` when the connection is over.
    pub(crate) fn on_requests(&mut self, note: Requests, now: Instant) -> Option<Step> {
        if note.abort {
            self.closing.on_local_close(now, self.close_timeout);
            self.wire.stream.abort();
            return Some(Step::Over(None));
        }
        if note.close {
            self.closing.on_local_close(now, self.close_timeout);
        }
        if let Some(error) = note.write_error {
            self.hung_up = true;
            self.write_error.get_or_insert(error);
        }
        None
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match self.closing.deadline() {
            Some(deadline) => Some(deadline),
            // Nothing is heard any more, and who hands out what came before will end it.
            None if self.violated => None,
            None => {
                let keepalive = self.keepalive.as_ref().map(Keepalive::next_deadline);
                let idle = self.idle.as_ref().map(|idle| after(idle.since, idle.timeout));
                keepalive.into_iter().chain(idle).min()
            }
        }
    }

    /// Does what is due; `Some` when the connection is over.
    pub(crate) fn on_deadline(&mut self, now: Instant) -> Option<Step> {
        if let Some(deadline) = self.closing.deadline() {
            if deadline > now {
                return None;
            }
            let error = match self.closing.outcome() {
                Outcome::Unanswered => {
                    Some(Error::Timeout { phase: Phase::Closing, peer: self.peer.clone(), after: self.close_timeout })
                }
                Outcome::Lost | Outcome::Over => None,
            };
            return Some(Step::Over(error));
        }
        if self.violated {
            return None;
        }
        if let Some(idle) = &self.idle
            && after(idle.since, idle.timeout) <= now
        {
            return Some(Step::Over(Some(Error::Timeout {
                phase: Phase::Open,
                peer: self.peer.clone(),
                after: idle.timeout,
            })));
        }
        let keepalive = self.keepalive.as_mut()?;
        if self.wire.take_progress() {
            keepalive.heard();
        }
        match keepalive.on_deadline(now) {
            KeepaliveAction::Nothing => None,
            KeepaliveAction::Ping => {
                self.pings += 1;
                self.pinged = Some(now);
                self.shared.ping(&self.pings.to_be_bytes());
                None
            }
            KeepaliveAction::GiveUp => {
                let after = keepalive.timeout();
                Some(Step::Over(Some(Error::Timeout { phase: Phase::Open, peer: self.peer.clone(), after })))
            }
        }
    }

    /// Fails the connection for something found while its messages were being handed out: bad text, or a panic.
    pub(crate) fn fail(&mut self, code: u16, reason: &str) {
        if self.closing.is_receiving() {
            // Both are known to be allowed in a Close frame.
            let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
            self.shared.finish(payload.into());
            self.closing.on_failure(Instant::now(), self.close_timeout);
        }
    }

    /// How the connection ended, once it is over: closes the socket.
    pub(crate) fn close(&mut self) -> Close {
        let told = self.shared.close_is_written();
        self.wire.stream.shutdown();
        self.closing.close(told)
    }

    /// Whether there may be more to read behind a short read, which no event will tell of.
    fn may_read_on(&self) -> bool {
        self.hung_up || self.wire.stream.has_more()
    }

    /// Puts the undecoded bytes at the start of the read buffer and tells how many they are.
    fn take_tail(&mut self, reader: &mut Reader) -> usize {
        let kept = self.tail.len();
        if kept > 0 {
            if kept >= reader.buffer.len() {
                // Only what came with a response head, and the rest of an overfull batch, are ever that long.
                reader.buffer.resize(kept + READ_BUFFER, 0);
            }
            reader.buffer[..kept].copy_from_slice(&self.tail);
            self.tail.clear();
        }
        kept
    }

    fn decode(&mut self, reader: &mut Reader, len: usize) {
        let done = self.inbound.decode(&reader.buffer[..len], &mut reader.batch);
        self.overfull = reader.batch.is_full();
        if done < len {
            if self.tail.capacity() == 0 {
                self.tail = std::mem::take(&mut reader.tail);
            }
            self.tail.extend_from_slice(&reader.buffer[done..len]);
        } else if self.tail.capacity() > 0 {
            // An idle connection holds no buffer.
            reader.tail = std::mem::take(&mut self.tail);
            reader.tail.clear();
        }
        self.settle(reader);
    }

    /// Counts the batch and answers what must be answered at once.
    fn settle(&mut self, reader: &mut Reader) {
        let (batch, buffer) = (&mut reader.batch, &reader.buffer);
        self.count(batch);
        self.on_pongs(batch, buffer);
        if batch.has_pings {
            let pings = batch.items.iter().filter(|item| item.kind == Kind::Ping);
            self.shared.pongs(pings.map(|ping| batch.payload(ping, buffer)));
        }
        match &batch.end {
            None => {}
            Some(End::Close { code, reason }) => {
                log::debug!(target: "websocket_app::connection", "{}: received Close {code} {reason:?}", self.peer);
                let now = Instant::now();
                if self.shared.finish(close_answer(*code).into()) {
                    // The thread that closed may have been quicker than its ring.
                    self.closing.on_local_close(now, self.close_timeout);
                }
                self.closing.on_peer_close(*code, reason.clone(), now, self.close_timeout);
            }
            // The peer is told when the messages before it have been handed out: what they are answered with goes first.
            Some(_) => self.violated = true,
        }
    }

    /// Takes note of pongs: one that carries the latest ping's payload gives the round-trip time.
    fn on_pongs(&mut self, batch: &Batch, buffer: &[u8]) {
        let latest = self.pings.to_be_bytes();
        let answers = |item: &&Item| item.kind == Kind::Pong && batch.payload(item, buffer) == latest;
        if let Some(pinged) = self.pinged
            && batch.items.iter().any(|item| answers(&item))
        {
            self.pinged = None;
            self.shared.pong_received(pinged.elapsed());
        }
    }

    fn count(&mut self, batch: &Batch) {
        let (mut messages, mut bytes, mut pongs) = (0, 0, 0);
        let mut wire = batch.assembled_from as u64;
        for item in &batch.items {
            match item.kind {
                Kind::Text | Kind::Binary => messages += 1,
                Kind::TextFragment { last, .. } | Kind::BinaryFragment { last, .. } => messages += u64::from(last),
                Kind::Ping => continue,
                Kind::Pong => {
                    pongs += 1;
                    continue;
                }
            }
            let len = batch.payload_len(item) as u64;
            bytes += len;
            wire += if Batch::is_assembled(item) { 0 } else { len };
        }
        if messages > 0
            && let Some(idle) = &mut self.idle
        {
            idle.since = Instant::now();
        }
        let received = &self.shared.received;
        received.messages.fetch_add(messages, Ordering::Relaxed);
        received.bytes.fetch_add(bytes, Ordering::Relaxed);
        received.wire_bytes.fetch_add(wire, Ordering::Relaxed);
        received.pongs.fetch_add(pongs, Ordering::Relaxed);
    }

    fn heard(&mut self) {
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.heard();
        }
    }

    /// After the last thing of interest, what still comes is thrown away until the peer ends the stream.
    fn discard(&mut self, reader: &mut Reader) -> Step {
        match read(&self.wire, &self.shared, &mut reader.buffer) {
            Ok(0) => self.ended(None),
            Ok(_) => Step::Received { more: true },
            Err(error) => self.read_failed(error),
        }
    }

    fn read_failed(&mut self, error: io::Error) -> Step {
        match error.kind() {
            // All has been read that had come, and no more will be written.
            io::ErrorKind::WouldBlock if self.write_error.is_some() => self.ended(None),
            io::ErrorKind::WouldBlock => Step::Empty,
            io::ErrorKind::Interrupted => Step::Received { more: true },
            _ => self.ended(Some(error)),
        }
    }

    /// The stream has ended, in order or not.
    fn ended(&mut self, error: Option<io::Error>) -> Step {
        if self.shared.is_aborted() {
            self.closing.on_local_close(Instant::now(), self.close_timeout);
            return Step::Over(None);
        }
        if self.shared.is_closed_for_good() {
            // The thread that closed may have been quicker than its ring.
            self.closing.on_local_close(Instant::now(), self.close_timeout);
        }
        let phase = match self.closing.outcome() {
            // What the peer did wrong is what ended it; whoever hands out what came before will say so.
            _ if self.violated => return Step::Over(None),
            Outcome::Over => return Step::Over(None),
            Outcome::Unanswered => Phase::Closing,
            Outcome::Lost => Phase::Open,
        };
        let source = self.write_error.take().or(error).unwrap_or_else(|| {
            io::Error::new(io::ErrorKind::UnexpectedEof, "the peer ended the stream without a Close frame")
        });
        Step::Over(Some(Error::network(phase, &self.peer, source)))
    }
}

/// Reads, and lets a writer go on that has waited for what came.
fn read(wire: &Wire, shared: &Arc<Shared>, space: &mut [u8]) -> io::Result<usize> {
    let read = wire.stream.read(space);
    if wire.stream.take_stalled() {
        shared.on_writable(wire);
    }
    read
}
