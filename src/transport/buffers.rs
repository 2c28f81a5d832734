//! Buffers for sending, which go from connection to connection: a busy one need not make them, an idle one holds none.
//! Any thread. A leaf.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is offered to the socket at once: large enough that the cost of the system call, and of waking the peer up, is
/// spread, small enough that a piece that was just masked is still in the cache. Where a peer on another processor reads
/// as fast as we write, it may go to sleep after each packet, and to wake it up then takes half of our time. With pieces of
/// 64 KiB or of 320 and more it nearly always did, with 128 to 224 nearly never.
pub(crate) const PIECE: usize = 192 << 10;

/// The size of a small buffer: most messages that are sent one by one fit.
const SMALL: usize = 1 << 10;

/// The largest that is kept: a piece, and what its last frame goes beyond it or TLS adds.
const LARGE: usize = PIECE + PIECE / 2;

/// How much larger the next one is where a buffer turns out to be too small. What a stream has to copy until it fills pieces
/// is then a third of one, and who is held up with little holds little.
const GROWTH: usize = 4;

/// How many are kept for the next. Of small ones enough for threads that send at the same time; of large ones what one
/// stream works with over TLS: one is filled, one encrypted, and one written.
const SMALL_SPARES: usize = 16;
const LARGE_SPARES: usize = 3;

static SPARES: Mutex<Spares> = Mutex::new(Spares { small: Vec::new(), large: Vec::new() });

#[derive(Debug)]
struct Spares {
    small: Vec<Vec<u8>>,
    /// The largest last.
    large: Vec<Vec<u8>>,
}

/// Makes room for so many bytes more.
pub(crate) fn reserve(buffer: &mut Vec<u8>, more: usize) {
    let needed = buffer.len() + more;
    if needed <= buffer.capacity() {
        return;
    }
    let spare = lock().take(needed);
    let mut larger = spare.unwrap_or_else(|| Vec::with_capacity(size_for(needed)));
    larger.extend_from_slice(buffer);
    release(&mut std::mem::replace(buffer, larger));
}

/// Empties a buffer that is not needed for now: it holds no memory then.
pub(crate) fn release(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > 0 {
        // One that is not kept is freed when the lock no longer is held.
        let _surplus = lock().put(std::mem::take(buffer));
    }
}

/// How large a new buffer is.
fn size_for(needed: usize) -> usize {
    if needed <= SMALL { SMALL } else { needed.max(LARGE.min(needed.saturating_mul(GROWTH))) }
}

impl Spares {
    /// Gives one in which there is room for so many bytes: to whom a small one is not enough the largest, since who fills that
    /// mostly goes on.
    fn take(&mut self, needed: usize) -> Option<Vec<u8>> {
        if needed <= SMALL {
            return self.small.pop();
        }
        self.large.pop_if(|largest| largest.capacity() >= needed)
    }

    /// Keeps it or not: what is left over comes back.
    fn put(&mut self, buffer: Vec<u8>) -> Option<Vec<u8>> {
        let (kept, most) = match buffer.capacity() {
            SMALL => (&mut self.small, SMALL_SPARES),
            capacity if capacity > SMALL && capacity <= LARGE => (&mut self.large, LARGE_SPARES),
            _ => return Some(buffer),
        };
        kept.push(buffer);
        kept.sort_by_key(Vec::capacity);
        (kept.len() > most).then(|| kept.remove(0))
    }
}

fn lock() -> MutexGuard<'static, Spares> {
    SPARES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spares() -> Spares {
        Spares { small: Vec::new(), large: Vec::new() }
    }

    #[test]
    fn a_buffer_keeps_what_is_in_it_and_has_the_room() {
        for (before, more) in [(0, 1), (10, SMALL - 10), (10, SMALL), (SMALL, PIECE), (PIECE, 3 * PIECE)] {
            let content: Vec<u8> = (0..before).map(|i| i as u8).collect();
            let mut buffer = content.clone();
            reserve(&mut buffer, more);
            assert!(buffer == content && buffer.capacity() >= before + more, "{before} {more}");
            release(&mut buffer);
            assert_eq!((buffer.len(), buffer.capacity()), (0, 0));
        }
    }

    #[test]
    fn a_buffer_grows_with_what_is_in_it_and_in_few_steps() {
        let (mut len, mut capacity, mut copied) = (0, 0, 0);
        while len < PIECE {
            len += 70;
            if len > capacity {
                (copied, capacity) = (copied + len, size_for(len));
                assert!(capacity <= SMALL.max(GROWTH * len).min(LARGE), "{capacity} bytes for {len}");
            }
        }
        assert!(copied < PIECE / 2, "{copied} bytes were copied");
        assert_eq!(size_for(2 * LARGE), 2 * LARGE);
    }

    #[test]
    fn who_needs_little_gets_a_small_one_and_who_needs_more_the_largest() {
        let mut spares = spares();
        for size in [SMALL, LARGE, 10 * SMALL] {
            assert_eq!(spares.put(Vec::with_capacity(size)), None);
        }
        let mut take = |needed| spares.take(needed).as_ref().map(Vec::capacity);
        assert_eq!([take(1), take(1)], [Some(SMALL), None]);
        assert_eq!([take(SMALL + 1), take(10 * SMALL + 1), take(SMALL + 1)], [Some(LARGE), None, Some(10 * SMALL)]);
    }

    #[test]
    fn few_are_kept_the_largest_of_them_and_none_that_is_huge_or_tiny() {
        let mut spares = spares();
        let mut is_kept =
            |size| spares.put(Vec::with_capacity(size)).is_none_or(|left_over| left_over.capacity() != size);
        assert!((0..SMALL_SPARES).all(|_| is_kept(SMALL)));
        assert!((1..=LARGE_SPARES).all(|i| is_kept(2 * SMALL * i)));
        assert!(!is_kept(LARGE + 1) && !is_kept(SMALL - 1) && !is_kept(SMALL + 1) && is_kept(LARGE));
        assert_eq!((spares.small.len(), spares.large.len()), (SMALL_SPARES, LARGE_SPARES));
    }
}
