//! Where messages are put together that do not lie whole in the read buffer.
//!
//! All of it is initialised, and a mark tells how much is in use: so a large frame can be read
//! straight into it, and nothing is ever cleared twice.

/// How far ahead of what has arrived the arena grows: a peer that announces a huge frame and sends
/// nothing costs this much and no more.
const MAX_AHEAD: usize = 1 << 20;

/// What an arena may keep for good, in bytes; its owner drops a larger one that is not needed for
/// long.
const MAX_KEPT: usize = 64 << 10;

#[derive(Debug, Default)]
pub(crate) struct Arena {
    bytes: Vec<u8>,
    used: usize,
}

impl Arena {
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.bytes[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }

    /// A place for up to `wanted` more bytes to be read into; [`advance`](Self::advance) then tells
    /// how many came.
    pub(crate) fn space(&mut self, wanted: usize) -> &mut [u8] {
        let size = wanted.min(MAX_AHEAD);
        self.reserve(size);
        &mut self.bytes[self.used..self.used + size]
    }

    pub(crate) fn advance(&mut self, read: usize) {
        debug_assert!(self.used + read <= self.bytes.len());
        self.used += read;
    }

    /// Takes back what was added after the arena had this length.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.used = self.used.min(len);
    }

    /// Returns whether it has grown beyond what may be kept for good.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes.len() > MAX_KEPT
    }

    /// Counts the bytes that it has made room for.
    pub(crate) fn allocated(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_allocated(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Returns whether what is in it needs more than that.
    pub(crate) fn needs_much(&self) -> bool {
        self.used > MAX_KEPT
    }

    /// Forgets the contents.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }

    /// Gives back what is not in use.
    pub(crate) fn shrink(&mut self) {
        self.bytes.truncate(self.used);
        self.bytes.shrink_to_fit();
    }

    fn reserve(&mut self, more: usize) {
        let needed = self.used + more;
        if needed <= self.bytes.len() {
            return;
        }
        // The capacity grows ahead by itself, at the price of address space only; memory is touched
        // as it is needed.
        self.bytes.resize(needed, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_frame_costs_no_more_than_what_has_come() {
        let mut arena = Arena::default();
        assert_eq!(arena.space(1 << 30).len(), MAX_AHEAD);
        arena.advance(MAX_AHEAD);
        assert_eq!(arena.space(1 << 30).len(), MAX_AHEAD);
        assert!(arena.bytes.len() <= 2 * MAX_AHEAD, "{}", arena.bytes.len());
    }

    #[test]
    fn contents_survive_growth() {
        let mut arena = Arena::default();
        for i in 0..100_000_u32 {
            arena.extend(&i.to_ne_bytes());
        }
        assert!(arena.bytes().chunks(4).zip(0_u32..).all(|(bytes, i)| bytes == i.to_ne_bytes()));
        assert!(arena.is_large() && arena.needs_much());
        arena.clear();
        arena.extend(b"small");
        assert!(arena.is_large() && !arena.needs_much());
    }
}
