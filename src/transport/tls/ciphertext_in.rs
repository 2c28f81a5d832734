//! [`CiphertextIn`]: ciphertext taken off the socket and not decrypted yet.
//!
//! The socket is read in large pieces, many records at a time, into a buffer that belongs to the
//! thread. A connection keeps only what is left over, the beginning of a record as a rule, so that
//! an idle one holds nothing.

use std::io;

use crate::transport::buffers::{self, READ_SIZE};

/// No handshake message is longer than 64 KiB, which the TLS libraries see to, and none takes more
/// than this in records.
const MAX_HELD: usize = 256 << 10;

#[derive(Default)]
pub(crate) struct CiphertextIn {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl CiphertextIn {
    /// Moves what is left over into a buffer with room behind it.
    pub(crate) fn borrow_buffer(&mut self) {
        if self.bytes.len() >= READ_SIZE {
            return;
        }
        let buffer = buffers::borrow_for_reading();
        let left = std::mem::replace(self, CiphertextIn { bytes: buffer, start: 0, end: 0 });
        self.end = left.waiting().len();
        self.bytes[..self.end].copy_from_slice(left.waiting());
    }

    /// Gives the buffer back to the thread, and keeps what is left over.
    pub(crate) fn return_buffer(&mut self) {
        let left =
            CiphertextIn { bytes: self.waiting().to_vec(), start: 0, end: self.waiting().len() };
        let CiphertextIn { bytes: buffer, .. } = std::mem::replace(self, left);
        buffers::return_from_reading(buffer);
    }

    pub(crate) fn waiting(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    #[cfg(feature = "rustls")]
    pub(crate) fn waiting_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Takes off the front what was decrypted.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Returns the room for the next read. A TLS library that goes on wanting more without taking
    /// anything is an error.
    pub(crate) fn room(&mut self) -> io::Result<&mut [u8]> {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() {
            if self.end >= MAX_HELD {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a TLS message has no end"));
            }
            self.bytes.resize((self.end * 2).clamp(READ_SIZE, MAX_HELD), 0);
        }
        Ok(&mut self.bytes[self.end..])
    }

    pub(crate) fn filled(&mut self, n: usize) {
        self.end += n;
    }
}

#[cfg(feature = "native-tls")]
impl io::Read for CiphertextIn {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(self.waiting().len());
        buf[..n].copy_from_slice(&self.waiting()[..n]);
        self.consume(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(ahead: &mut CiphertextIn, bytes: &[u8]) {
        ahead.room().unwrap()[..bytes.len()].copy_from_slice(bytes);
        ahead.filled(bytes.len());
    }

    #[test]
    fn what_is_left_over_is_all_that_a_connection_keeps() {
        let mut ahead = CiphertextIn::default();
        ahead.borrow_buffer();
        put(&mut ahead, b"record, and the next");
        ahead.consume(8);
        ahead.return_buffer();
        assert_eq!((ahead.waiting(), ahead.bytes.capacity()), (&b"and the next"[..], 12));
        ahead.borrow_buffer();
        put(&mut ahead, b" one");
        assert_eq!(ahead.waiting(), b"and the next one");
        ahead.consume(16);
        ahead.return_buffer();
        assert_eq!((ahead.waiting(), ahead.bytes.capacity()), (&b""[..], 0));
    }

    #[test]
    fn room_ends_somewhere() {
        let mut ahead = CiphertextIn::default();
        ahead.borrow_buffer();
        for size in [READ_SIZE, READ_SIZE, READ_SIZE * 2] {
            assert_eq!(ahead.room().unwrap().len(), size);
            ahead.filled(size);
        }
        assert!(ahead.room().is_err());
        ahead.consume(1);
        assert_eq!(ahead.room().unwrap().len(), 1);
    }
}
