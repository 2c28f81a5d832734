//! [`MessageReader`]: what a program reads a message out of that it does not want in memory.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::mem;

use super::websocket::{Arriving, Piece, WebSocket};
use crate::error::Error;
use crate::message::MessageKind;

/// A message that is read while it arrives: from
/// [`WebSocket::recv_reader`](crate::WebSocket::recv_reader).
///
/// Reading waits for what comes next, and returns 0 at the message's end, and only there. In the
/// meantime pings are answered, and the keepalive runs, while it waits, as in
/// [`recv`](crate::WebSocket::recv). Text is checked to be UTF-8 as it arrives; what a read returns
/// may end within a character where the buffer does. What was compressed is inflated.
///
/// It holds what one read of the socket gave, 256 KiB, or what that inflates to, a little more than
/// 1 MiB at most; the message may be of any length. `max_message_size` does not count here, but
/// `max_fragments` does: it is to be raised for a message of more than 131,072 fragments.
///
/// Where it is dropped before the message ends, the rest is skipped by what is received next.
///
/// # Errors
///
/// Those of reading have an [`Error`] within them ([`io::Error::get_ref`]): the connection was lost
/// or closed in the middle of the message, or the peer broke the protocol, which is
/// [`InvalidData`](io::ErrorKind::InvalidData). Later calls of anything that receives give the same.
///
/// ```no_run
/// use std::fs::File;
/// use std::io;
///
/// use websocket_app::WebSocket;
///
/// let mut ws = WebSocket::connect("wss://download.example/")?;
/// let mut message = ws.recv_reader()?;
/// io::copy(&mut message, &mut File::create("a large file")?)?;
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub struct MessageReader<'a> {
    ws: &'a mut WebSocket,
    is_text: bool,
    message_len: Option<u64>,
    source: Source,
    /// How much of the source has been read.
    at: usize,
    /// Nothing comes behind the source.
    is_last: bool,
}

/// What is being read.
enum Source {
    None,
    /// What had come before.
    Begun(Vec<u8>),
    Piece(Piece),
}

impl<'a> MessageReader<'a> {
    pub(super) fn of(ws: &'a mut WebSocket) -> Result<Self, Error> {
        let (is_text, message_len, source, is_last) = loop {
            if let Arriving::Begun { is_text, message_len, data } = mem::take(&mut ws.arriving) {
                break (is_text, message_len, Source::Begun(data), false);
            }
            let Some(piece) = ws.next_piece(None)? else { continue };
            // Else it is the rest of one that was not read.
            if piece.first {
                let Piece { is_text, message_len, last, .. } = piece;
                break (is_text, message_len, Source::Piece(piece), last);
            }
        };
        Ok(MessageReader { ws, is_text, message_len, source, at: 0, is_last })
    }

    /// Returns which kind of message it is.
    pub fn kind(&self) -> MessageKind {
        if self.is_text { MessageKind::Text } else { MessageKind::Binary }
    }

    /// Returns the whole message's length in bytes, where that is known from the beginning: it
    /// comes in one frame (RFC 6455 §5.2), uncompressed.
    pub fn message_len(&self) -> Option<u64> {
        self.message_len
    }

    /// Returns what has come and was not read.
    fn left(&self) -> &[u8] {
        let (batch, buffer) = (&self.ws.reader.batch, &self.ws.reader.buffer);
        let whole = match &self.source {
            Source::None => &[],
            Source::Begun(data) => &data[..],
            Source::Piece(piece) => batch.payload(&piece.item, buffer),
        };
        &whole[self.at..]
    }
}

impl Read for MessageReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let left = self.fill_buf()?;
        let len = left.len().min(buffer.len());
        buffer[..len].copy_from_slice(&left[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for MessageReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.left().is_empty() && !self.is_last {
            // Nothing of what was read is left in the batch.
            (self.source, self.at) = (Source::None, 0);
            if let Some(piece) = self.ws.next_piece(None).map_err(into_io)? {
                self.is_last = piece.last;
                self.source = Source::Piece(piece);
            }
        }
        Ok(self.left())
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount.min(self.left().len());
    }
}

impl fmt::Debug for MessageReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageReader")
            .field("kind", &self.kind())
            .field("message_len", &self.message_len)
            .finish_non_exhaustive()
    }
}

fn into_io(error: Error) -> io::Error {
    let kind = match &error {
        Error::Network { source, .. } => source.kind(),
        Error::Timeout { .. } => io::ErrorKind::TimedOut,
        Error::Closed(_) => io::ErrorKind::ConnectionAborted,
        Error::Protocol(_) | Error::Limit(_) => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
