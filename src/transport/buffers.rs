//! Buffers that go from connection to connection: a busy one need not make them, an idle one holds
//! none. Any thread.
//!
//! Whoever sends takes one by [`reserve`] and gives it back by [`release`]. A thread keeps the one
//! that it gave back last, if it is small enough for each thread to have one, so that a lone send
//! takes no lock; the others go to a shelf of the process, which has a lock. What a thread reads
//! ciphertext into is its own: [`borrow_for_reading`].

use std::cell::Cell;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is offered to the socket at once, at most. Each write begins after a piece was masked, and
/// a peer on another processor has read by then what went before, and sleeps: the operating system
/// then wakes it up for each of the next packets, in our time, until it falls behind again. Masking
/// a message of 1 MiB whole and writing it whole halves that. In a model few bytes are to go every
/// way.
pub(crate) const PIECE: usize = if cfg!(all(test, websocket_model)) { 64 } else { 1 << 20 };

/// The smallest buffer, in bytes: most messages that are sent one by one fit.
const SMALLEST: usize = 1 << 10;

/// The largest buffer that a thread keeps for itself, in bytes: a message that is copied to be sent
/// fits, with what it is grown by.
const MAX_OWN: usize = 144 << 10;

/// The largest that is kept at all, in bytes: a piece, and what its last frames go beyond it or TLS
/// adds.
const MAX_KEPT: usize = PIECE + PIECE / 2;

/// How much larger the next one is where a buffer turns out to be too small. What a stream has to
/// copy until it fills pieces is then a third of one, and a connection that is held up with little
/// holds little.
const GROWTH: usize = 4;

/// How many are on the shelf. Of the smallest, enough for threads whose messages the flusher
/// writes; of large ones what one stream works with over TLS, where one is filled, one encrypted,
/// and one written.
const MAX_SMALL: usize = 8;
const MAX_LARGE: usize = 3;

/// How many bytes of ciphertext one read of the socket takes at most: four records of the greatest
/// length, the point from which more does not pay.
#[cfg(feature = "__tls")]
pub(super) const READ_SIZE: usize = 64 << 10;

/// How many buffers to read into a thread keeps: one, and another for TLS within TLS.
#[cfg(feature = "__tls")]
const MAX_READ_BUFFERS: usize = 2;

thread_local! {
    /// What this thread gave back last.
    static LAST: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[cfg(feature = "__tls")]
thread_local! {
    static FOR_READING: std::cell::RefCell<Vec<Vec<u8>>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// What any thread may take that has none.
static SHELF: Mutex<Shelf> = Mutex::new(Shelf { small: Vec::new(), large: Vec::new() });

struct Shelf {
    /// Of the smallest size.
    small: Vec<Vec<u8>>,
    /// The largest last.
    large: Vec<Vec<u8>>,
}

/// Makes room for so many bytes more.
#[inline]
pub(crate) fn reserve(buffer: &mut Vec<u8>, more: usize) {
    let needed = buffer.len() + more;
    if needed > buffer.capacity() {
        grow(buffer, needed);
    }
}

fn grow(buffer: &mut Vec<u8>, needed: usize) {
    let mut larger = take(needed).unwrap_or_else(|| Vec::with_capacity(size_for(needed)));
    larger.extend_from_slice(buffer);
    release(&mut mem::replace(buffer, larger));
}

/// Empties a buffer that is not needed for now: it holds no memory then.
#[inline]
pub(crate) fn release(buffer: &mut Vec<u8>) {
    if buffer.capacity() > 0 {
        give_back(mem::take(buffer));
    }
}

fn give_back(mut buffer: Vec<u8>) {
    buffer.clear();
    if buffer.capacity() <= MAX_OWN {
        // The smaller of the two goes on; a thread that ends keeps none.
        let last = LAST.try_with(Cell::take).unwrap_or_default();
        if last.capacity() > buffer.capacity() {
            keep(last);
        } else {
            keep(mem::replace(&mut buffer, last));
        }
    }
    if buffer.capacity() > 0 {
        // One that is not kept is freed when the lock no longer is held.
        let _surplus = shelf().put(buffer);
    }
}

/// Returns one with so much room, if there is one: this thread's, or one from the shelf; there the
/// largest, since a caller that needs more than the least mostly goes on.
fn take(needed: usize) -> Option<Vec<u8>> {
    let last = LAST.try_with(Cell::take).unwrap_or_default();
    if last.capacity() >= needed {
        return Some(last);
    }
    keep(last);
    shelf().take(needed)
}

fn keep(buffer: Vec<u8>) {
    // Where the thread is about to end, it is dropped.
    let _ = LAST.try_with(|last| last.set(buffer));
}

impl Shelf {
    fn take(&mut self, needed: usize) -> Option<Vec<u8>> {
        if needed <= SMALLEST {
            return self.small.pop();
        }
        self.large.pop_if(|largest| largest.capacity() >= needed)
    }

    /// Keeps a buffer. Returns it, or a smaller one, where there are enough.
    fn put(&mut self, buffer: Vec<u8>) -> Option<Vec<u8>> {
        let (kept, most) = match buffer.capacity() {
            SMALLEST => (&mut self.small, MAX_SMALL),
            capacity if capacity > SMALLEST && capacity <= MAX_KEPT => (&mut self.large, MAX_LARGE),
            _ => return Some(buffer),
        };
        let at = kept.partition_point(|other| other.capacity() <= buffer.capacity());
        kept.insert(at, buffer);
        (kept.len() > most).then(|| kept.remove(0))
    }
}

fn shelf() -> MutexGuard<'static, Shelf> {
    SHELF.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns how large a new buffer is.
fn size_for(needed: usize) -> usize {
    if needed <= SMALLEST {
        SMALLEST
    } else {
        needed.max(MAX_KEPT.min(needed.saturating_mul(GROWTH)))
    }
}

/// Returns a buffer of [`READ_SIZE`] bytes, all of them initialised.
#[cfg(feature = "__tls")]
pub(super) fn borrow_for_reading() -> Vec<u8> {
    FOR_READING.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; READ_SIZE])
}

/// Takes back what [`borrow_for_reading`] gave, unless it has grown.
#[cfg(feature = "__tls")]
pub(super) fn return_from_reading(buffer: Vec<u8>) {
    FOR_READING.with_borrow_mut(|buffers| {
        if buffers.len() < MAX_READ_BUFFERS && buffer.len() == READ_SIZE {
            buffers.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_keeps_what_is_in_it_and_has_the_room() {
        for (before, more) in
            [(0, 1), (10, SMALLEST - 10), (10, SMALLEST), (SMALLEST, PIECE), (PIECE, 3 * PIECE)]
        {
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
                assert!(
                    capacity <= SMALLEST.max(GROWTH * len).min(MAX_KEPT),
                    "{capacity} bytes for {len}"
                );
            }
        }
        assert!(copied < PIECE / 2, "{copied} bytes were copied");
        assert_eq!(size_for(2 * MAX_KEPT), 2 * MAX_KEPT);
    }

    #[test]
    fn a_thread_gets_back_what_it_gave_back() {
        for size in [100, 20 << 10, 32 << 10] {
            let mut buffer = Vec::new();
            reserve(&mut buffer, size);
            let place = buffer.as_ptr();
            release(&mut buffer);
            reserve(&mut buffer, size);
            assert_eq!(buffer.as_ptr(), place, "{size} bytes");
            release(&mut buffer);
        }
    }

    #[test]
    fn few_are_on_the_shelf_the_largest_of_them_and_none_that_is_huge_or_tiny() {
        let mut shelf = Shelf { small: Vec::new(), large: Vec::new() };
        let mut put =
            |size| shelf.put(Vec::with_capacity(size)).map(|buffer: Vec<u8>| buffer.capacity());
        let mut left_over = |times: usize| put(times * SMALLEST).map(|size| size / SMALLEST);
        assert_eq!([5, 3, 10, 4, 2].map(&mut left_over), [None, None, None, Some(3), Some(2)]);
        assert!((0..MAX_SMALL).all(|_| left_over(1).is_none()) && left_over(1) == Some(1));
        for size in [SMALLEST - 1, MAX_KEPT + 1] {
            assert_eq!(put(size), Some(size));
        }
        let mut take = |needed| shelf.take(needed).map(|buffer| buffer.capacity());
        assert_eq!([take(1), take(SMALLEST + 1)], [Some(SMALLEST), Some(10 * SMALLEST)]);
        assert_eq!([take(6 * SMALLEST), take(5 * SMALLEST)], [None, Some(5 * SMALLEST)]);
    }
}
