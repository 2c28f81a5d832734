//! [`CiphertextOut`]: what is encrypted and not on the socket yet, and how much of what the caller
//! gave that is.
//!
//! A record that has been encrypted must go out as it is, before anything else. So bytes count as
//! written when the record that has them is on the socket, and until then the caller must offer
//! them again.

use std::collections::VecDeque;
use std::io;

use crate::transport::buffers::{self, PIECE};

/// The greatest length of a record (RFC 8446 §5.1).
const MAX_RECORD: usize = 16 << 10;

/// How much is encrypted at a time: a piece and the frame that it ends with, which then go out in
/// one write. It is all that a connection ever holds.
const MAX_BATCH: usize = PIECE + (48 << 10);

/// How much the TLS library may say for itself while the socket does not take all of it. A peer
/// that asks for new keys is answered with some thirty bytes (RFC 8446 §4.6.3), and one that asks
/// thousands of times and does not read the answers wants our memory.
const MAX_SAID: usize = 64 << 10;

/// How much longer a record is than what is in it, with the common suites: 29 and 22 (RFC 5246
/// §6.2.3, RFC 8446 §5.2).
pub(super) const OVERHEAD: usize = 64;

#[derive(Default)]
pub(crate) struct CiphertextOut {
    bytes: Vec<u8>,
    sent: usize,
    /// How much of what the TLS library said for itself was added since all was on the socket.
    said: usize,
    /// Of `bytes`, in order: records of the caller's. What the TLS library says for itself is in
    /// none.
    records: VecDeque<Record>,
}

struct Record {
    /// Where it ends in `bytes`.
    end: usize,
    /// How many bytes of the caller's are in it.
    length: usize,
}

impl CiphertextOut {
    /// Returns where the TLS library adds what it has to say.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Adds what it has said, which the peer is to hear before anything else. Returns whether the
    /// peer makes it say too much.
    pub(super) fn say(
        &mut self,
        said: &mut Vec<u8>,
        socket: impl Fn(&[u8]) -> io::Result<usize>,
    ) -> bool {
        self.said += said.len();
        self.bytes.append(said);
        // What does not fit goes with the next write; if the socket is broken, that finds out.
        let _ = self.flush(socket);
        self.said > MAX_SAID
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Writes what there is room for, and tells how many bytes of `buf` are on the socket now.
    /// Those that were encrypted before and are not, are the first of `buf`. `encrypt` makes a
    /// record of the beginning of what it is given, and tells how much that is.
    pub(super) fn write(
        &mut self,
        buf: &[u8],
        socket: impl Fn(&[u8]) -> io::Result<usize>,
        mut encrypt: impl FnMut(&[u8], &mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut written = 0;
        loop {
            let flushed = self.flush(&socket);
            written += self.take_written();
            match flushed {
                Ok(()) if written >= buf.len() => return Ok(written),
                Ok(()) => {}
                // The next call meets the same error.
                Err(_) if written > 0 => return Ok(written),
                Err(error) => return Err(error),
            }
            let batch = &buf[written..buf.len().min(written + MAX_BATCH)];
            buffers::reserve(
                &mut self.bytes,
                batch.len() + batch.len().div_ceil(MAX_RECORD) * OVERHEAD,
            );
            let mut encrypted = 0;
            while encrypted < batch.len() {
                let piece = &batch[encrypted..batch.len().min(encrypted + MAX_RECORD)];
                match encrypt(piece, &mut self.bytes) {
                    Ok(length) => {
                        self.records.push_back(Record { end: self.bytes.len(), length });
                        encrypted += length;
                    }
                    // What went well goes out first, and what the TLS library says to it; then this
                    // comes again.
                    Err(_) if self.len() > 0 => break,
                    Err(_) if written > 0 => return Ok(written),
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Writes until all is on the socket, or the socket says that it is full: an event follows
    /// nothing else. A short write of a program's own transport means only that it took no more at
    /// once.
    pub(crate) fn flush(&mut self, socket: impl Fn(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        while self.len() > 0 {
            self.sent += socket(&self.bytes[self.sent..])?;
        }
        self.said = 0;
        self.tidy();
        Ok(())
    }

    /// Forgets what has been sent and told.
    fn tidy(&mut self) {
        if self.len() == 0 && self.records.is_empty() {
            self.sent = 0;
            buffers::release(&mut self.bytes);
        }
    }

    /// Returns how many bytes of the caller's are on the socket that no write has told of. What is
    /// below has told of `below` bytes more, at a time when nothing was written to it.
    pub(super) fn take_written_late(&mut self, below: usize) -> usize {
        self.sent += below;
        self.take_written()
    }

    fn take_written(&mut self) -> usize {
        let mut written = 0;
        while let Some(record) = self.records.front().filter(|record| record.end <= self.sent) {
            written += record.length;
            self.records.pop_front();
        }
        self.tidy();
        written
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// A socket with room for so many bytes.
    struct Socket {
        room: Cell<usize>,
        got: RefCell<Vec<u8>>,
    }

    impl Socket {
        fn new(room: usize) -> Self {
            Socket { room: Cell::new(room), got: RefCell::default() }
        }

        fn take(&self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.room.get());
            if n == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room.set(self.room.get() - n);
            self.got.borrow_mut().extend_from_slice(&bytes[..n]);
            Ok(n)
        }
    }

    /// Every record is what it carries, between brackets.
    #[allow(clippy::unnecessary_wraps)]
    fn encrypt(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        out.push(b'<');
        out.extend_from_slice(bytes);
        out.push(b'>');
        Ok(bytes.len())
    }

    #[test]
    fn bytes_count_as_written_when_their_record_is_on_the_socket() {
        let message: Vec<u8> = (0..3 * MAX_RECORD + 5).map(|i| (i % 251) as u8).collect();
        let mut expected = Vec::new();
        message.chunks(MAX_RECORD).for_each(|piece| drop(encrypt(piece, &mut expected)));
        let (mut outgoing, socket) = (CiphertextOut::default(), Socket::new(0));
        let (mut written, mut turns) = (0, 0);
        while written < message.len() {
            let before = socket.got.borrow().len();
            match outgoing.write(&message[written..], |bytes| socket.take(bytes), encrypt) {
                Ok(n) => written += n,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            let whole = socket.got.borrow().len() / (MAX_RECORD + 2) * MAX_RECORD;
            assert_eq!(written.min(3 * MAX_RECORD), whole, "after {before} bytes");
            assert_eq!(written == message.len(), outgoing.len() == 0);
            socket.room.set(1);
            turns += 1;
        }
        assert!(turns > message.len() && *socket.got.borrow() == expected);
        assert!(outgoing.bytes.capacity() == 0);
    }

    #[test]
    fn what_goes_out_without_a_write_is_told_when_it_is_asked_for() {
        let (mut outgoing, socket) = (CiphertextOut::default(), Socket::new(MAX_RECORD + 10));
        let message = vec![1; 3 * MAX_RECORD];
        let written = outgoing.write(&message, |bytes| socket.take(bytes), encrypt).unwrap();
        assert_eq!((written, outgoing.take_written_late(0)), (MAX_RECORD, 0));
        socket.room.set(MAX_RECORD);
        assert!(outgoing.flush(|bytes| socket.take(bytes)).is_err());
        assert_eq!([(); 2].map(|()| outgoing.take_written_late(0)), [MAX_RECORD, 0]);
        // Below is TLS too, and had its own ciphertext of the rest.
        assert_eq!(outgoing.take_written_late(outgoing.len()), MAX_RECORD);
        assert_eq!((outgoing.len(), outgoing.bytes.capacity()), (0, 0));
    }

    #[test]
    fn an_error_behind_what_was_written_is_told_the_next_time() {
        let mut outgoing = CiphertextOut::default();
        let socket = Socket::new(MAX_RECORD + 10);
        let broken = |bytes: &[u8]| match socket.take(bytes) {
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
            some => some,
        };
        let message = vec![1; 2 * MAX_RECORD];
        assert_eq!(outgoing.write(&message, broken, encrypt).unwrap(), MAX_RECORD);
        let error = outgoing.write(&message[MAX_RECORD..], broken, encrypt).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_the_library_says_instead_of_encrypting_goes_out() {
        let (mut outgoing, socket) = (CiphertextOut::default(), Socket::new(100));
        let mut words = Some(b"new keys first");
        let encrypt = |_: &[u8], out: &mut Vec<u8>| {
            out.extend_from_slice(words.take().map_or(&[], |words| words));
            Err(io::ErrorKind::WouldBlock.into())
        };
        let error = outgoing.write(b"hello", |bytes| socket.take(bytes), encrypt).unwrap_err();
        assert_eq!(
            (error.kind(), &socket.got.borrow()[..]),
            (io::ErrorKind::WouldBlock, &b"new keys first"[..])
        );
    }

    #[test]
    fn it_is_told_when_too_much_was_said_that_the_socket_did_not_take() {
        let (mut outgoing, socket) = (CiphertextOut::default(), Socket::new(3 * MAX_SAID));
        let mut say = |bytes| outgoing.say(&mut vec![0; bytes], |bytes| socket.take(bytes));
        for _ in 0..3 {
            assert!(!say(MAX_SAID), "there was room");
        }
        assert!(!say(MAX_SAID / 2));
        assert!(!say(MAX_SAID / 2));
        assert!(say(1));
        socket.room.set(2 * MAX_SAID);
        assert!(!say(1), "all is on the socket");
    }

    #[test]
    fn little_is_encrypted_ahead_of_a_full_socket() {
        let mut outgoing = CiphertextOut::default();
        let full = |_: &[u8]| Err(io::ErrorKind::WouldBlock.into());
        let error = outgoing.write(&vec![0; 2 * MAX_BATCH], full, encrypt).unwrap_err();
        assert_eq!(
            (error.kind(), outgoing.len()),
            (io::ErrorKind::WouldBlock, MAX_BATCH + 2 * MAX_BATCH.div_ceil(MAX_RECORD))
        );
    }
}
