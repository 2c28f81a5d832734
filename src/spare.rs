//! Large buffers for sending, which go from connection to connection: a busy one need not make them, an idle one holds none.
//! Any thread. A leaf.

use std::sync::{Mutex, PoisonError};

/// What is offered to the socket at once: large enough that the cost of the system call, and of waking the peer up, is
/// spread, small enough that a piece that was just masked is still in the cache.
pub(crate) const PIECE: usize = 256 << 10;

/// A buffer up to this stays with its connection.
const OWN: usize = 1 << 10;

/// How many are kept for the next: enough for threads that send at the same time.
const SPARES: usize = 4;

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Makes room for so many bytes more.
pub(crate) fn reserve(buffer: &mut Vec<u8>, more: usize) {
    let needed = buffer.len() + more;
    if needed <= buffer.capacity() {
        return;
    }
    // Who needs a large one mostly fills it. Memory that is not used is not there yet.
    let size = if needed > OWN { PIECE + PIECE / 2 } else { OWN };
    let mut other = take().unwrap_or_else(|| Vec::with_capacity(size));
    other.extend_from_slice(buffer);
    *buffer = other;
    buffer.reserve(more);
}

/// Empties a buffer that is not needed for now.
pub(crate) fn release(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > OWN {
        put(std::mem::take(buffer));
    }
}

fn take() -> Option<Vec<u8>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

fn put(buffer: Vec<u8>) {
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    if spare.len() < SPARES && buffer.capacity() <= 2 * PIECE {
        spare.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_keeps_what_is_in_it_and_has_the_room() {
        for (before, more) in [(0, 1), (10, OWN - 10), (10, OWN), (OWN, PIECE), (PIECE, 3 * PIECE)] {
            let content: Vec<u8> = (0..before).map(|i| i as u8).collect();
            let mut buffer = content.clone();
            reserve(&mut buffer, more);
            assert!(buffer == content && buffer.capacity() >= before + more, "{before} {more}");
        }
    }

    #[test]
    fn a_small_buffer_stays_and_a_large_one_does_not() {
        let mut small = Vec::with_capacity(OWN);
        small.push(1);
        release(&mut small);
        assert_eq!((small.len(), small.capacity()), (0, OWN));
        let mut large = vec![1; OWN + 1];
        release(&mut large);
        assert_eq!(large.capacity(), 0);
    }

    #[test]
    fn few_are_kept_and_none_that_is_huge() {
        (0..2 * SPARES).for_each(|_| release(&mut vec![0; 2 * PIECE]));
        release(&mut vec![0; 2 * PIECE + 1]);
        let spare = SPARE.lock().unwrap();
        assert!(spare.len() <= SPARES && spare.iter().all(|buffer| buffer.capacity() <= 2 * PIECE));
    }
}
