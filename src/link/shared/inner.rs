//! [`Inner`]: what the lock of a `Shared` guards, and the questions it answers by itself.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::backlog::{Backlog, Kept};
use super::room::{CallbackScope, Wait};
use super::turns::{Turn, Turns};
use crate::dial::Cancel;
use crate::link::sender::{SendPolicy, State};
use crate::link::waker::Place;
use crate::link::writer::{Fragmented, Wire, Writer, Writing};
use crate::message::Outgoing;
use crate::protocol::Deflater;
use crate::protocol::frame::Head;
use crate::protocol::handshake::Handshake;
use crate::protocol::send::MAX_COPIED;
use crate::sync::{now, thread};

/// What part of the queue is dropped at once, where messages are dropped for lack of room.
const DROPPED_AT_ONCE: usize = 16;

/// What part of the queue's limit may be answers that wait while another message is handed out: a
/// client that reads its feed late, and gives short orders, is heard all the same.
const UNREAD_PART: usize = 16;

/// And how many bytes at most, where the queue is not limited.
const MAX_UNREAD: usize = 1 << 20;

/// In this order in memory: what every broadcast looks at lies together, and most of what every send
/// does, for of thousands of connections each cache line takes its time.
#[derive(Default)]
#[repr(C)]
pub(super) struct Inner {
    pub(super) state: State,
    /// What becomes of a message for which there is no room.
    pub(super) policy: SendPolicy,
    /// Closing was asked for, or giving up. Final.
    pub(super) is_closed_for_good: bool,
    /// Another connection was asked for, and the loop has not taken note of that yet.
    pub(super) reconnect: bool,
    /// The loop has something for which there was no room, or messages that wait until what was
    /// answered before is written: it is woken when something was.
    pub(super) wants_room: bool,
    /// `max_send_buffer`.
    pub(super) max_buffer: usize,
    /// How many threads wait for `progress`.
    pub(super) waiting_threads: usize,
    /// Those of them that wait for room in the queue.
    pub(super) for_room: Turns,
    /// Those of them that wait until another has compressed.
    pub(super) to_compress: Turns,
    /// Those of them that have a message, and wait until another in fragments is finished.
    pub(super) to_begin: Turns,
    /// For `queue_while_disconnected`.
    pub(super) backlog: Option<Box<Backlog>>,
    /// Where the loop is woken for this app, while that runs.
    pub(super) place: Option<Place>,
    pub(super) stats: SentCounts,
    /// The connection's sending half: there while one is open, its closing included.
    pub(super) writer: Option<Writer>,
    pub(super) send_timeout: Duration,
    /// Ends an attempt to connect, while there is one.
    pub(super) cancel: Option<Cancel>,
    /// Of the latest connection.
    pub(super) handshake: Option<Arc<Handshake>>,
}

/// Of [`Stats`](crate::link::Stats) what does not come with what is received. Every connection of a
/// server has these.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct SentCounts {
    pub(super) messages_dropped: u64,
    pub(super) last_round_trip: Option<Duration>,
    pub(super) pings_sent: u32,
    pub(super) reconnects: u32,
    pub(super) messages_sent: u64,
    pub(super) bytes_sent: u64,
    pub(super) wire_bytes_sent: u64,
}

/// What is to be queued.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    Control,
    /// A message in one frame.
    Message,
    /// The first of a message in fragments, which has yet to be written.
    Fragments,
    /// One of the message that is being written on this connection.
    Fragment(&'a Weak<Wire>),
}

/// Whether a message is compressed.
pub(super) enum Compression {
    None,
    /// With what is to be given back, for this connection.
    With(Box<Deflater>, Arc<Wire>),
    /// Another thread compresses.
    Busy,
}

/// What a `flush` waits for.
pub(super) struct FlushTarget {
    /// Where the connection's stream ended.
    position: Option<(Arc<Wire>, u64)>,
    /// How many kept messages had been given up by then.
    given_up: usize,
}

/// Whether what was sent has been handed to the operating system.
pub(super) enum Flushed {
    Yes,
    NotYet,
    /// It was lost.
    Never,
}

impl Inner {
    /// Counts the bytes that the socket has not taken yet, frame headers included.
    pub(super) fn buffered(&self) -> usize {
        self.writer.as_ref().map_or(0, Writer::buffered)
    }

    /// Counts the bytes that wait, of what a server's client was sent by its own callbacks.
    pub(super) fn answers(&self) -> usize {
        self.writer.as_ref().map_or(0, Writer::answers)
    }

    /// Returns whether so much of that waits for the peer to read that no other message is handed out.
    pub(super) fn has_unread(&self) -> bool {
        let Some(writer) = &self.writer else { return false };
        let part = (self.max_buffer / UNREAD_PART).min(MAX_UNREAD);
        // The first is quick, and mostly enough.
        writer.buffered() > part && writer.answers() > part && writer.waits_for_reading()
    }

    /// Returns whether bytes wait that no thread is writing, though the socket had room.
    pub(super) fn has_idle_bytes(&self) -> bool {
        let idle = |writer: &Writer| matches!(writer.writing, Writing::Idle);
        self.writer.as_ref().is_some_and(|writer| idle(writer) && writer.buffered() > 0)
    }

    /// Counts the bytes that wait to be sent, on this connection or the next.
    pub(super) fn to_send(&self) -> usize {
        self.buffered() + self.backlog.as_deref().map_or(0, Backlog::len)
    }

    /// Returns what a `flush` that begins now waits for.
    pub(super) fn flush_target(&self) -> FlushTarget {
        FlushTarget {
            position: self
                .writer
                .as_ref()
                .map(|writer| (Arc::clone(&writer.wire), writer.accepted())),
            given_up: self.backlog.as_deref().map_or(0, Backlog::given_up),
        }
    }

    /// Whether everything up to a position in a connection's stream has been handed to the
    /// operating system; with a backlog, everything that there is, over whatever connections.
    pub(super) fn flushed(&self, FlushTarget { position, given_up }: &FlushTarget) -> Flushed {
        if let Some(backlog) = &self.backlog {
            return match backlog.is_empty() && self.buffered() == 0 {
                _ if backlog.given_up() != *given_up => Flushed::Never,
                true => Flushed::Yes,
                false if self.state == State::Closed => Flushed::Never,
                false => Flushed::NotYet,
            };
        }
        let Some((wire, target)) = position else { return Flushed::Yes };
        let writer = self.writer.as_ref().filter(|writer| Arc::ptr_eq(&writer.wire, wire));
        let written = writer.map_or_else(|| wire.written.load(Ordering::Relaxed), Writer::written);
        match writer {
            // What was thrown away makes the stream shorter.
            Some(writer) if writer.accepted() < *target => Flushed::Never,
            _ if written >= *target => Flushed::Yes,
            Some(Writer { writing: Writing::Failed(_), .. }) | None => Flushed::Never,
            Some(_) => Flushed::NotYet,
        }
    }

    /// Returns whether writing has failed, which no loop may take note of.
    pub(super) fn has_failed_by_caller(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| {
            writer.is_driven_by_caller && matches!(writer.writing, Writing::Failed(_))
        })
    }

    /// Returns whether this thread must not wait for anything that comes of this app: it may be the
    /// thread that would bring it about.
    #[inline(never)]
    pub(super) fn must_not_wait(&self) -> bool {
        CallbackScope::forbids_waiting_for(self.place.as_ref())
    }

    /// Returns whether there is a connection to send on.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open && !self.has_failed_by_caller()
    }

    /// Returns whether no other connection will be opened: the app is closed for good, or one
    /// connection is all that there is.
    pub(super) fn opens_no_more(&self) -> bool {
        self.is_closed_for_good
            || self.state == State::Closed
            || self.writer.as_ref().is_some_and(|writer| writer.is_driven_by_caller)
    }

    /// Returns whether nothing stands before a message that is sent now: it is queued at once, as it
    /// is. Otherwise it is kept for later, waits for one thing or another, is compressed or copied
    /// first, or is refused.
    pub(super) fn goes_at_once(
        &mut self,
        message: &Outgoing<'_>,
        needed: usize,
        wait: Wait,
        is_answer: bool,
    ) -> bool {
        self.waits_in().is_none()
            && self.is_open()
            && self.may_begin(Wanted::Message, wait, None)
            && self.may_queue(needed, None, is_answer)
            && !self.compresses(message)
            && !self.would_copy(message)
    }

    /// Returns whether a message that is sent now has to be copied whole, which takes time.
    pub(super) fn would_copy(&self, message: &Outgoing<'_>) -> bool {
        message.payload.bytes().len() > MAX_COPIED
            && message.payload.is_borrowed()
            && (self.backlog.is_some() || !self.writer.as_ref().is_some_and(Writer::is_idle))
    }

    /// Counts a message that goes out, and keeps it where it may have to go out again.
    #[inline]
    pub(super) fn count_and_keep(&mut self, message: &Outgoing<'_>, on_wire: usize) {
        self.stats.messages_sent += 1;
        self.stats.bytes_sent += message.payload.bytes().len() as u64;
        self.stats.wire_bytes_sent += on_wire as u64;
        if let Some(backlog) = &mut self.backlog {
            backlog.hand(Kept::of(message, now()));
        }
    }

    /// Returns whether the message is to be compressed.
    fn compresses(&self, message: &Outgoing<'_>) -> bool {
        self.writer.as_ref().is_some_and(|writer| writer.compresses(message))
    }

    /// Decides whether the message is to be compressed, by a thread with this turn among those who
    /// wait for that.
    pub(super) fn compression(
        &mut self,
        message: &Outgoing<'_>,
        turn: Option<Turn>,
    ) -> Compression {
        let Some(writer) = self.writer.as_mut().filter(|writer| writer.compresses(message)) else {
            return Compression::None;
        };
        let deflater = self.to_compress.is_next(turn).then(|| writer.lend_deflater()).flatten();
        deflater.map_or(Compression::Busy, |deflater| {
            Compression::With(deflater, Arc::clone(&writer.wire))
        })
    }

    /// Takes back what has compressed for this connection. Returns whether that is still there, and
    /// open.
    pub(super) fn compressed(&mut self, deflater: Box<Deflater>, wire: &Arc<Wire>) -> bool {
        let writer = self.writer.as_mut().filter(|writer| Arc::ptr_eq(&writer.wire, wire));
        let Some(writer) = writer else { return false };
        writer.take_deflater_back(deflater);
        self.state == State::Open
    }

    /// Returns the sending half of this connection, while a message is being written on it in
    /// fragments and may go on.
    pub(super) fn fragmenting(&mut self, wire: &Weak<Wire>) -> Option<&mut Writer> {
        let writer = self.writer.as_mut().filter(|_| self.state == State::Open)?;
        let is_it = wire.as_ptr() == Arc::as_ptr(&writer.wire);
        let goes_on = matches!(writer.fragmented, Fragmented::Open | Fragmented::Begun);
        (is_it && goes_on).then_some(writer)
    }

    /// The connection closes: a message in fragments will not be finished, and is in nobody's way
    /// where nothing of it was sent.
    pub(super) fn give_up_unbegun(&mut self) {
        if let Some(writer) = &mut self.writer
            && writer.fragmented == Fragmented::Open
        {
            writer.fragmented = Fragmented::No;
            writer.queue_held();
        }
    }

    /// Returns whether this thread, with this turn among those who have to wait for that, may queue
    /// a message, or the first fragment of one: no other is being written in fragments. One in
    /// fragments can be written only while no thread compresses, nor any has messages that are kept
    /// until the first callback has returned.
    #[inline]
    pub(super) fn may_begin(&self, wanted: Wanted<'_>, wait: Wait, turn: Option<Turn>) -> bool {
        let Some(writer) = &self.writer else { return true };
        let may_begin = match wanted {
            Wanted::Control | Wanted::Fragment(_) => return true,
            Wanted::Message => true,
            Wanted::Fragments => writer.has_deflater() && !self.holds_messages(),
        };
        may_begin
            && writer.fragmented == Fragmented::No
            && (self.to_begin.is_next(turn) || wait.is_never(self))
    }

    /// Returns whether a frame of this length may be queued. One that is longer than the limit may
    /// when nothing else waits. Answers do not count: they have room of their own.
    pub(super) fn has_room(&self, needed: usize) -> bool {
        let buffered = self.buffered();
        let fits = |buffered: usize| buffered == 0 || buffered + needed <= self.max_buffer;
        needed == 0 || fits(buffered) || fits(buffered.saturating_sub(self.answers()))
    }

    /// Queues what was kept for the connection that is there; a message in fragments is finished
    /// before.
    pub(super) fn queue_kept(&mut self, kept: impl FnOnce(&mut Backlog) -> Vec<Kept>) {
        let Inner { backlog: Some(backlog), writer: Some(writer), stats, .. } = self else {
            return;
        };
        writer.kept_waits = writer.fragmented != Fragmented::No;
        if writer.kept_waits {
            return;
        }
        for Kept { is_text, payload, .. } in kept(backlog) {
            // Uncompressed, which is always allowed: compressing all of it would hold the lock for
            // long.
            stats.wire_bytes_sent += payload.len() as u64;
            writer.queue_kept(Head::of(is_text), payload);
        }
    }

    /// Returns whether a thread with this turn among those who wait may queue such a frame. One
    /// that finds room goes before them, within a limit: were each to wait for its turn, every
    /// message of several threads would cost as much as waking one takes.
    ///
    /// What a server's client is sent by its own callback has room for itself, and may be as long as it
    /// likes: no other message is handed out while much of that waits, so what one message is answered
    /// with is all that comes on top.
    pub(super) fn may_queue(&self, needed: usize, turn: Option<Turn>, is_answer: bool) -> bool {
        if is_answer {
            return self.buffered() <= self.max_buffer || self.answers() <= self.max_buffer;
        }
        self.has_room(needed)
            && (self.for_room.is_next(turn)
                || turn.is_none() && self.for_room.lets_by(needed, self.max_buffer))
    }

    /// Makes room for a frame of this length where the policy is to drop messages for it: a part of
    /// the queue at a time, since that takes as long as its oldest piece is long. Returns whether
    /// the frame may be queued: a message in any case, when no other is left that could be dropped.
    pub(super) fn make_room(&mut self, needed: usize, is_data: bool) -> bool {
        let (SendPolicy::DropOldest, Some(writer)) = (self.policy, &mut self.writer) else {
            return false;
        };
        let too_much = (writer.buffered() + needed).saturating_sub(self.max_buffer);
        let messages = writer.drop_oldest(too_much.max(self.max_buffer / DROPPED_AT_ONCE));
        self.stats.messages_dropped += messages as u64;
        if let Some(backlog) = &mut self.backlog {
            backlog.dropped(messages, writer.messages());
        }
        is_data || self.has_room(needed)
    }

    /// Returns the backlog, where a message from this thread goes there: no connection, or one that
    /// is not ready for it.
    pub(super) fn waits_in(&mut self) -> Option<&mut Backlog> {
        if self.is_closed_for_good || self.backlog.is_none() {
            return None;
        }
        let waits = match self.state {
            // While the peer closes, too: we have not.
            State::Idle | State::Connecting | State::Waiting | State::Closing => true,
            State::Open => self.holds_messages(),
            State::Closed => false,
        };
        self.backlog.as_deref_mut().filter(|_| waits)
    }

    /// Returns whether a message from this thread waits although there is a connection.
    fn holds_messages(&self) -> bool {
        let holds = |backlog: &Backlog| backlog.holds(thread::current().id());
        self.backlog.as_deref().is_some_and(holds)
    }
}
