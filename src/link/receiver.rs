//! [`Receiver`]: reads the socket and decodes into a [`Batch`]. Belongs to the thread that reads.
//!
//! It answers nothing and judges nothing: that is its [`Link`](super::Link)'s.

use std::io;

use super::supplies::contexts;
use crate::deflate::NegotiatedDeflate;
use crate::protocol::{Batch, InPieces, Inbound, Lend, Limits};
use crate::role::Role;

/// One read takes at most this many bytes: enough that the system call and the event loop's turn
/// cost little per message, and still within a core's cache.
const READ_BUFFER: usize = 256 << 10;

/// And one of a server's, whose clients do not know each other: one that sends as fast as it can is not
/// to make the others wait for long.
const SERVER_READ: usize = 64 << 10;

/// What a thread reads with, shared by all of its connections.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) buffer: Vec<u8>,
    pub(crate) batch: Batch,
    /// How many bytes the latest read took off the socket.
    pub(crate) taken: usize,
    /// That was as much as one turn takes, of bytes or of messages.
    pub(crate) has_much: bool,
    /// Empty, for the next connection that has an undecoded rest.
    tail: Vec<u8>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        // Zeroed by the operating system, and not in memory before it is used.
        Reader {
            buffer: vec![0; READ_BUFFER],
            batch: Batch::default(),
            taken: 0,
            has_much: false,
            tail: Vec::new(),
        }
    }

    /// Another reads with it.
    pub(crate) fn begin(&mut self) {
        (self.taken, self.has_much) = (0, false);
    }

    /// Returns whether it holds more than reading mostly needs: a large message made it grow.
    pub(crate) fn is_large(&self) -> bool {
        self.batch.is_large() || self.buffer.len() > READ_BUFFER
    }

    /// Returns whether what was read last needs that much.
    pub(crate) fn needs_much(&self) -> bool {
        self.batch.arena.needs_much()
    }
}

/// What a connection has taken off its socket and not handed out.
pub(super) struct Receiver {
    inbound: Inbound,
    /// Bytes read and not decoded yet: the beginning of a frame, or what came with the response
    /// head.
    tail: Vec<u8>,
    /// The tail holds whole frames, for which the last batch had no room.
    overfull: bool,
    role: Role,
}

/// What came of a read.
pub(super) enum Received {
    /// The tail was decoded, which may go on, and the socket not read.
    Tail,
    /// The socket was read. `full` says that there may be more, for it gave all that was asked of
    /// it, or the batch has no room.
    Read { full: bool },
    /// The stream has ended.
    End,
}

impl Receiver {
    /// Begins with what came together with the response head. `in_pieces` says which messages
    /// are handed out piece by piece.
    pub(super) fn new(
        role: Role,
        limits: Limits,
        in_pieces: InPieces,
        compression: Option<NegotiatedDeflate>,
        leftover: Vec<u8>,
    ) -> Self {
        let compression = compression.map(|agreed| (agreed, contexts as Lend));
        let inbound = Inbound::new(role, limits, in_pieces, compression);
        Receiver { inbound, overfull: !leftover.is_empty(), tail: leftover, role }
    }

    /// Reads once and decodes: fills the reader's batch, which is empty.
    pub(super) fn receive(
        &mut self,
        reader: &mut Reader,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Received> {
        if self.overfull {
            let kept = self.take_tail(reader);
            self.decode(reader, kept);
            // It is the rest of much.
            reader.has_much = true;
            return Ok(Received::Tail);
        }
        if let Some(space) = self.inbound.direct() {
            let (size, taken) = (space.len(), read(space)?);
            reader.taken = taken;
            reader.has_much = taken >= SERVER_READ;
            if taken == 0 {
                return Ok(Received::End);
            }
            self.inbound.filled(taken, &mut reader.batch);
            // What was announced may all have fitted in; the next read tells.
            return Ok(Received::Read { full: taken == size });
        }
        let kept = self.take_tail(reader);
        let room = match self.role {
            Role::Client => reader.buffer.len() - kept,
            Role::Server => SERVER_READ.min(reader.buffer.len() - kept),
        };
        match read(&mut reader.buffer[kept..][..room]) {
            Ok(taken) if taken > 0 => {
                reader.taken = taken;
                let full = taken == room;
                self.decode(reader, kept + taken);
                reader.has_much = full || self.overfull;
                Ok(Received::Read { full: full || self.overfull })
            }
            other => {
                self.tail.extend_from_slice(&reader.buffer[..kept]);
                other.map(|_| Received::End)
            }
        }
    }

    /// Puts the undecoded bytes at the start of the read buffer and returns how many they are.
    fn take_tail(&mut self, reader: &mut Reader) -> usize {
        let kept = self.tail.len();
        if kept > 0 {
            if kept >= reader.buffer.len() {
                // Only what came with a response head, and the rest of an overfull batch, are ever
                // that long.
                reader.buffer.resize(kept + READ_BUFFER, 0);
            }
            reader.buffer[..kept].copy_from_slice(&self.tail);
            self.tail.clear();
        }
        kept
    }

    fn decode(&mut self, reader: &mut Reader, len: usize) {
        reader.batch.few = self.role == Role::Server;
        let done = self.inbound.decode(&mut reader.buffer[..len], &mut reader.batch);
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
    }
}
