//! [`Pieces`]: bytes cut into what becomes a message each; and whether somebody waits for them.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::format::Format;

/// As much as a pipe holds.
const CHUNK: usize = 64 << 10;

/// An input, and whether it is being waited for; otherwise what was read last is in hand. Clones of the sign mean
/// the same.
pub(crate) struct Watched<R> {
    from: R,
    awaited: Awaited,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Awaited(Arc<AtomicBool>);

impl Awaited {
    pub(crate) fn watch<R>(&self, from: R) -> Watched<R> {
        Watched { from, awaited: self.clone() }
    }

    /// Returns whether nothing is in hand.
    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.awaited.0.store(true, Ordering::Release);
        let read = self.from.read(buffer);
        self.awaited.0.store(false, Ordering::Release);
        read
    }
}

pub(crate) struct Pieces<R> {
    from: BufReader<R>,
    format: Format,
    piece: Vec<u8>,
    /// How many there were.
    pub(crate) count: u64,
}

impl<R: Read> Pieces<R> {
    pub(crate) fn of(from: R, format: Format) -> Self {
        Pieces { from: BufReader::with_capacity(CHUNK, from), format, piece: Vec::new(), count: 0 }
    }

    /// Waits for the next; `None` at the end. What stands behind the last separator is a piece,
    /// unless it is empty.
    pub(crate) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.piece.clear();
        let separator = match self.format {
            Format::Stream => None,
            Format::JsonLines => Some(b'\n'),
            Format::Separated { by, .. } => Some(by),
        };
        let read = match separator {
            Some(separator) => self.from.read_until(separator, &mut self.piece)?,
            None => {
                let available = self.from.fill_buf()?;
                self.piece.extend_from_slice(available);
                let read = available.len();
                self.from.consume(read);
                read
            }
        };
        if read == 0 {
            return Ok(None);
        }
        self.count += 1;
        if separator.is_some() && self.piece.last() == separator.as_ref() {
            self.piece.pop();
        }
        Ok(Some(&self.piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(bytes: &[u8], format: Format) -> Vec<Vec<u8>> {
        let mut pieces = Pieces::of(bytes, format);
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().expect("reading a slice") {
            all.push(piece.to_vec());
        }
        all
    }

    #[test]
    fn lines_are_cut_at_their_ends_and_nothing_else_is_changed() {
        let lines = Format::Separated { by: b'\n', binary: false };
        assert_eq!(pieces(b"a\n\nb\r\n\xff", lines), [&b"a"[..], b"", b"b\r", b"\xff"]);
        assert!(pieces(b"", lines).is_empty());
        assert_eq!(pieces(b"\n", lines), [b""]);
        let null = Format::Separated { by: 0, binary: false };
        assert_eq!(pieces(b"a\nb\0c", null), [&b"a\nb"[..], b"c"]);
        assert_eq!(pieces(b"a\nb\0c", Format::Stream), [b"a\nb\0c"]);
    }
}
