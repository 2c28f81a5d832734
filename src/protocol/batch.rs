//! What one read turned into: items that point into the read buffer or the arena, in wire order,
//! and what ended it.
//!
//! A whole read is decoded before the first callback runs, so that pings and a Close are answered
//! at once however long the callbacks take.

use std::ops::Range;
use std::str;

use super::arena::Arena;
use crate::error::{Error, LimitError, ProtocolError};
use crate::message::Message;

/// How many items one batch takes: a full read buffer of 64-byte messages. Bounds the memory that a
/// buffer full of empty messages needs.
const MAX_ITEMS: usize = 4096;

/// How many it takes of a server's client, so that one that sends as fast as it can, of what costs it
/// least, does not make the others wait for long: each waits for a batch of every such one.
const FEW_ITEMS: usize = 512;

/// One thing for a callback. Twelve bytes: a batch of 4,096 stays in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    in_arena: bool,
    /// Where it begins in the read buffer and its length; or which of the batch's `assembled` it
    /// is.
    start: u32,
    len: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
    TextFragment { first: bool, last: bool },
    BinaryFragment { first: bool, last: bool },
    Ping,
    Pong,
}

/// Why nothing more is to be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer's Close frame: code (1005 where it had none) and reason.
    Close { code: u16, reason: String },
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// The peer exceeded a limit.
    Limit(LimitError),
}

impl End {
    /// The error that callbacks get, where it is one.
    pub(crate) fn into_error(self) -> Option<Error> {
        match self {
            End::Close { .. } => None,
            End::Protocol(violation) => Some(Error::Protocol(violation)),
            End::Limit(limit) => Some(Error::Limit(limit)),
        }
    }
}

impl From<ProtocolError> for End {
    fn from(violation: ProtocolError) -> Self {
        End::Protocol(violation)
    }
}

/// How many empty arenas are kept, and how many bytes in all but for one that is larger by itself. They
/// are given back with what else a large message needed.
const MAX_SPARES: usize = 8;
const MAX_SPARE_BYTES: usize = 16 << 20;

/// The items of one read, and the arena that some of them lie in.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    pub(crate) arena: Arena,
    /// Others, empty, for the next messages that need one: of several connections that get large
    /// messages at a time, each has one.
    spares: Vec<Arena>,
    pub(crate) end: Option<End>,
    /// No more is to be added, though there is room for items.
    full: bool,
    /// Takes few items.
    pub(crate) few: bool,
    /// Where the items lie that are in the arena.
    assembled: Vec<Range<usize>>,
    /// Of fragments: from which item on they are of messages that are so long, where that is known.
    message_lens: Vec<(u32, Option<u64>)>,
    /// How many bytes of payload went into what is in the arena, compressed or not.
    pub(crate) assembled_from: usize,
    pub(crate) has_pings: bool,
    /// Something of a message has come that is not whole yet.
    pub(crate) has_unfinished: bool,
}

impl Batch {
    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.arena.clear();
        self.end = None;
        self.assembled.clear();
        self.message_lens.clear();
        self.full = false;
        self.assembled_from = 0;
        self.has_pings = false;
        self.has_unfinished = false;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full || self.items.len() >= if self.few { FEW_ITEMS } else { MAX_ITEMS }
    }

    pub(crate) fn set_full(&mut self) {
        self.full = true;
    }

    /// Returns an empty arena, one that has been allocated if there is one.
    pub(super) fn take_spare(&mut self) -> Arena {
        self.spares.pop().unwrap_or_else(|| match self.arena.len() {
            0 => std::mem::take(&mut self.arena),
            _ => Arena::default(),
        })
    }

    pub(super) fn give_spare(&mut self, mut arena: Arena) {
        let others: usize = self.spares.iter().map(Arena::allocated).sum();
        let is_enough = self.spares.len() == MAX_SPARES
            || others > 0 && others + arena.allocated() > MAX_SPARE_BYTES;
        if arena.is_allocated() && !is_enough {
            arena.clear();
            self.spares.push(arena);
        }
    }

    /// Returns whether an arena has grown beyond what may be kept for good.
    pub(crate) fn is_large(&self) -> bool {
        self.arena.is_large() || self.spares.iter().any(Arena::is_large)
    }

    /// Returns a copy of what is in it.
    pub(crate) fn copy(&self) -> Self {
        let mut arena = Arena::default();
        arena.extend(self.arena.bytes());
        Batch {
            items: self.items.clone(),
            arena,
            assembled: self.assembled.clone(),
            message_lens: self.message_lens.clone(),
            ..Batch::default()
        }
    }

    /// Keeps no more memory than what is in it needs.
    pub(crate) fn shrink(&mut self) {
        self.spares = Vec::new();
        self.arena.shrink();
        self.items.shrink_to_fit();
        self.assembled.shrink_to_fit();
        self.message_lens.shrink_to_fit();
    }

    /// Adds an item that lies whole in the read buffer.
    pub(crate) fn push(&mut self, kind: Kind, start: usize, len: usize) {
        // The read buffer is far smaller than 4 GiB.
        debug_assert!(u32::try_from(start + len).is_ok());
        self.has_pings |= kind == Kind::Ping;
        self.items.push(Item { kind, in_arena: false, start: start as u32, len: len as u32 });
    }

    /// Adds an item that lies in the arena.
    pub(crate) fn push_assembled(&mut self, kind: Kind, place: Range<usize>) {
        // There are at most `MAX_ITEMS` of them.
        self.items.push(Item { kind, in_arena: true, start: self.assembled.len() as u32, len: 0 });
        self.assembled.push(place);
    }

    /// The next item is a fragment of a message that is so long, if that is known.
    pub(super) fn set_message_len(&mut self, len: Option<u64>) {
        if self.message_lens.last().and_then(|(_, len)| *len) != len {
            // There are at most `MAX_ITEMS` of them.
            self.message_lens.push((self.items.len() as u32, len));
        }
    }

    /// Returns how long the message is of which the item at this place is a fragment, where that is
    /// known.
    pub(crate) fn message_len(&self, index: usize) -> Option<u64> {
        let later = self.message_lens.partition_point(|(from, _)| *from as usize <= index);
        self.message_lens[..later].last().and_then(|(_, len)| *len)
    }

    /// Returns whether any item lies in the arena.
    pub(crate) fn uses_arena(&self) -> bool {
        !self.assembled.is_empty()
    }

    /// Sets what ended the batch. Text that has not been looked at comes before it on the wire, so
    /// if that is bad, then it is what ended the batch.
    pub(crate) fn end(&mut self, end: End, read: &[u8]) {
        let unchecked = |item: &Item| item.kind == Kind::Text && !item.in_arena;
        let bad = self
            .items
            .iter()
            .position(|i| unchecked(i) && message(true, self.payload(i, read)).is_err());
        self.end = Some(match bad {
            Some(position) => {
                self.items.truncate(position);
                ProtocolError::InvalidUtf8.into()
            }
            None => end,
        });
    }

    /// Returns up to where items lie in the read buffer.
    pub(crate) fn end_in_buffer(&self) -> usize {
        let in_buffer = self.items.iter().filter(|item| !item.in_arena);
        in_buffer.map(|item| item.start as usize + item.len as usize).max().unwrap_or(0)
    }

    /// The bytes of an item: `read` is the buffer that was decoded.
    pub(crate) fn payload<'a>(&'a self, item: &Item, read: &'a [u8]) -> &'a [u8] {
        if item.in_arena {
            return &self.arena.bytes()[self.assembled[item.start as usize].clone()];
        }
        &read[item.start as usize..][..item.len as usize]
    }

    /// Returns whether an item is in the arena, so that its length says nothing about the wire.
    pub(crate) fn is_assembled(item: &Item) -> bool {
        item.in_arena
    }

    pub(crate) fn payload_len(&self, item: &Item) -> usize {
        if item.in_arena { self.assembled[item.start as usize].len() } else { item.len as usize }
    }
}

/// The message that a payload is. Text that lay whole in the read buffer is checked here and not
/// before, so that it is looked at once only; text that came in pieces was checked as they arrived,
/// and passes.
pub(crate) fn message(text: bool, payload: &[u8]) -> Result<Message<'_>, ProtocolError> {
    if !text {
        return Ok(Message::Binary(payload));
    }
    str::from_utf8(payload).map(Message::Text).map_err(|_| ProtocolError::InvalidUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_items_are_fewer() {
        for (few, most) in [(false, MAX_ITEMS), (true, FEW_ITEMS)] {
            let mut batch = Batch { few, ..Batch::default() };
            let mut taken = 0;
            while !batch.is_full() {
                batch.push(Kind::Ping, 0, 0);
                taken += 1;
            }
            assert_eq!(taken, most);
            // That goes for the connection, not for the batch.
            batch.clear();
            assert!(batch.few == few && !batch.is_full());
        }
    }
    #[test]
    fn arenas_come_back_but_not_too_many_nor_too_much() {
        let arena = |bytes| {
            let mut arena = Arena::default();
            arena.extend(&vec![7; bytes]);
            arena
        };
        let taken = |batch: &mut Batch| {
            let arenas = std::iter::from_fn(|| Some(batch.take_spare()));
            let lens = arenas.take_while(Arena::is_allocated).map(|arena| {
                assert_eq!(arena.len(), 0);
                arena.allocated()
            });
            lens.collect::<Vec<_>>()
        };
        let mut batch = Batch::default();
        (1..=10).for_each(|bytes| batch.give_spare(arena(bytes)));
        assert_eq!(taken(&mut batch), [8, 7, 6, 5, 4, 3, 2, 1]);
        let too_much = MAX_SPARE_BYTES + 1;
        [too_much, 1].into_iter().for_each(|bytes| batch.give_spare(arena(bytes)));
        assert_eq!(taken(&mut batch), [too_much]);
        [1, too_much].into_iter().for_each(|bytes| batch.give_spare(arena(bytes)));
        assert!(!batch.is_large());
        batch.give_spare(arena(MAX_SPARE_BYTES - 1));
        assert!(batch.is_large());
        batch.shrink();
        assert_eq!(taken(&mut batch), []);
    }
}
