//! [`MessageWriter`]: what a program writes a message into that it does not have in memory.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Weak};

use super::shared::{FRAGMENT, Part, Shared};
use super::writer::Wire;
use crate::error::SendError;
use crate::message::MessageKind;
use crate::protocol::Utf8;
use crate::protocol::frame::Head;

/// A message that is sent while it is written, in fragments (RFC 6455 §5.4): from
/// [`Sender::message_writer`](crate::Sender::message_writer). The peer gets it as one message.
///
/// It holds 32 KiB at most: once that is full and more comes, it goes out as a fragment, and
/// [`flush`](Write::flush) sends a shorter one, without waiting for the operating system.
/// [`finish`](Self::finish) sends the rest. What fits into one fragment goes as the one frame that
/// [`send`](crate::Sender::send) would send.
///
/// A write waits for room in the queue as `send` does, up to `send_timeout`, whatever
/// `send_policy` says; in a callback it never waits. Where there is no room nothing is taken of what
/// is given, and nothing is lost of what was: the same may be written again.
///
/// **Until it is finished or dropped no other message is sent**, for none may go between the
/// fragments of another: other threads' sends wait for their turn, up to `send_timeout`, and those
/// that may not wait are [`SendError::Busy`]. So is, when `send_timeout` is over, a send of the
/// thread that has the writer itself. Pings, pongs and Close frames go between the fragments.
///
/// **Dropped before it is finished, it fails the connection**, unless nothing was written into it:
/// the peer gets a Close frame with code 1011 instead of the rest, and `on_error`, or the next
/// [`recv`](crate::WebSocket::recv), gets [`SendError::Unfinished`].
///
/// It belongs to its connection. When that is lost, left or closed the message is given up, and
/// nothing of it is kept for the next one, whatever `queue_while_disconnected` says; but a message
/// of one fragment is kept once it is finished. [`close`](crate::Sender::close) does not wait for
/// it.
///
/// [`stats`](crate::Sender::stats) counts it as one message, and its bytes as they are sent.
///
/// # Errors
///
/// Those of writing have the [`SendError`] within them ([`io::Error::get_ref`]). Their kinds are
/// `NotConnected` when its connection is over or closing, `WouldBlock` when there is no room and
/// this is not to wait, `TimedOut` when there was none in time, and `InvalidData` for what is not
/// UTF-8 in a text message, of which nothing is sent then. A character may be cut anywhere.
///
/// ```no_run
/// use std::fs::File;
/// use std::io;
///
/// use websocket_app::{Error, MessageKind, WebSocket};
///
/// let mut ws = WebSocket::connect("wss://upload.example/")?;
/// let mut message = ws.message_writer(MessageKind::Binary)?;
/// io::copy(&mut File::open("a large file")?, &mut message)?;
/// message.finish()?;
/// println!("the server says: {}", ws.recv()?);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[must_use = "no other message is sent before it is finished"]
pub struct MessageWriter {
    shared: Arc<Shared>,
    /// Its connection; not to be kept open by this.
    wire: Weak<Wire>,
    kind: MessageKind,
    utf8: Utf8,
    /// What has not been sent yet.
    collected: Vec<u8>,
    /// Whether a fragment has been sent.
    begun: bool,
    /// Whether it needs no end any more.
    over: bool,
}

impl MessageWriter {
    pub(super) fn begin(shared: &Arc<Shared>, kind: MessageKind) -> Result<Self, SendError> {
        let wire = shared.begin_fragments()?;
        Ok(MessageWriter {
            shared: Arc::clone(shared),
            wire,
            kind,
            utf8: Utf8::default(),
            collected: Vec::new(),
            begun: false,
            over: false,
        })
    }

    /// Sends the rest, and so ends the message. Does not wait for room: there was some when it
    /// began. On a blocking [`WebSocket`](crate::WebSocket) it waits until the operating system has
    /// taken it, up to `send_timeout`, as `send` does.
    ///
    /// # Errors
    ///
    /// [`SendError::NotConnected`] when its connection is over or closing;
    /// [`SendError::Unfinished`] where text ends within a character, which fails the connection.
    pub fn finish(mut self) -> Result<(), SendError> {
        if self.kind == MessageKind::Text && self.utf8.finish().is_err() {
            return Err(self.fail("its text ends within a character"));
        }
        self.over = true;
        let is_text = self.kind == MessageKind::Text;
        let whole = (!self.begun).then_some((is_text, &self.collected[..]));
        let last =
            Part { head: self.head(), payload: &self.collected, written: self.collected.len() };
        self.shared.finish_fragments(&self.wire, last, whole)
    }

    /// Returns which kind of message it is.
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The head of the next frame, if that is the last.
    fn head(&self) -> Head {
        match self.begun {
            true => Head::CONTINUATION,
            false => Head::of(self.kind == MessageKind::Text),
        }
    }

    /// Sends what was collected as a fragment, if there is anything.
    fn send_fragment(&mut self) -> Result<(), SendError> {
        if self.collected.is_empty() {
            return Ok(());
        }
        let part = Part {
            head: self.head().unfinished(),
            payload: &self.collected,
            written: self.collected.len(),
        };
        let mut queued = false;
        let sent = self.shared.send_fragment(&self.wire, &part, &mut queued);
        if queued {
            self.begun = true;
            self.collected.clear();
        }
        sent
    }

    /// The message will not be finished.
    fn fail(&mut self, problem: &'static str) -> SendError {
        self.over = true;
        self.shared.fail_fragments(&self.wire, problem);
        SendError::Unfinished { problem }
    }
}

impl Write for MessageWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.is_empty() {
            return Ok(0);
        }
        if !self.shared.is_writing(&self.wire) {
            return Err(into_io(SendError::NotConnected { message: None }));
        }
        if self.collected.len() >= FRAGMENT {
            self.send_fragment().map_err(into_io)?;
        }
        let taken = &data[..data.len().min(FRAGMENT - self.collected.len())];
        if self.kind == MessageKind::Text {
            let mut utf8 = self.utf8;
            utf8.push(taken).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            self.utf8 = utf8;
        }
        self.collected.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_fragment().map_err(into_io)
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        if self.over {
        } else if !self.begun && self.collected.is_empty() {
            self.shared.cancel_fragments(&self.wire);
        } else {
            self.fail("its writer was dropped before finish()");
        }
    }
}

impl fmt::Debug for MessageWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageWriter").field("kind", &self.kind).finish_non_exhaustive()
    }
}

fn into_io(error: SendError) -> io::Error {
    let kind = match error {
        SendError::NotConnected { .. } => io::ErrorKind::NotConnected,
        SendError::QueueFull { .. } | SendError::Busy { .. } => io::ErrorKind::WouldBlock,
        SendError::Timeout { .. } | SendError::Unwritten { .. } => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
