//! [`MessageWriter`]: what a program writes a message into that it does not have in memory.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use super::shared::{FRAGMENT, Part, Shared, Way};
use crate::error::SendError;
use crate::message::MessageKind;
use crate::protocol::Utf8;
use crate::protocol::frame::Head;

/// A message that is sent while it is written, in fragments (RFC 6455 §5.4): from
/// [`Sender::message_writer`](crate::Sender::message_writer). The peer gets it as one message.
///
/// It collects 32 KiB: once that is full and more comes, it goes out as a fragment, and
/// [`flush`](Write::flush) sends a shorter one, without waiting for the operating system.
/// [`finish`](Self::finish) sends the rest. What fits into one fragment goes as the one frame that
/// [`send`](crate::Sender::send) would send. Where messages are compressed this one is too (RFC
/// 7692 §7.2.1), as a stream; what is flushed then can be inflated.
///
/// A write waits for room in the queue as `send` does, up to `send_timeout`, whatever
/// `send_policy` says; in a callback of the same loop's it never waits. Where there is no room nothing is taken of what
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
/// Those of writing have a [`SendError`] within them ([`io::Error::get_ref`]). Their kinds are
/// `NotConnected` when its connection is over or closing, `WouldBlock` when there is no room and
/// this is not to wait, `TimedOut` when there was none in time. `InvalidData` is for what is not
/// UTF-8 in a text message, of which nothing is sent then; characters may be cut anywhere.
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
    /// `None` once the message needs no end any more.
    way: Option<Way>,
    kind: MessageKind,
    utf8: Utf8,
    compress: bool,
    /// What was written last, a fragment at most.
    collected: Vec<u8>,
    /// What was written before that and not sent yet, compressed or not.
    ready: Vec<u8>,
    /// How many bytes were written that `stats` has not counted.
    uncounted: usize,
    /// Whether anything has left `collected`, and whether a fragment has been sent.
    staged: bool,
    begun: bool,
}

impl MessageWriter {
    pub(super) fn begin(shared: &Arc<Shared>, kind: MessageKind) -> Result<Self, SendError> {
        let way = shared.begin_fragments()?;
        Ok(MessageWriter {
            shared: Arc::clone(shared),
            compress: way.deflater.is_some(),
            way: Some(way),
            kind,
            utf8: Utf8::default(),
            collected: Vec::new(),
            ready: Vec::new(),
            uncounted: 0,
            staged: false,
            begun: false,
        })
    }

    /// Has this message sent uncompressed on a connection that compresses: for what is compressed
    /// already, or secret. To be said before anything is written.
    pub fn uncompressed(mut self) -> Self {
        self.compress &= self.staged;
        self
    }

    /// Returns which kind of message it is.
    pub fn kind(&self) -> MessageKind {
        self.kind
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
        let is_text = self.kind == MessageKind::Text;
        if is_text && self.utf8.finish().is_err() {
            return Err(self.fail("its text ends within a character"));
        }
        let Some(mut way) = self.way.take() else {
            return Err(SendError::NotConnected { message: None });
        };
        if !self.staged {
            self.compress &= self.collected.len() >= way.compress_from;
        }
        self.uncounted += self.collected.len();
        match &mut way.deflater {
            Some(deflater) if self.compress => {
                deflater.add(&self.collected, &mut self.ready);
                deflater.finish(&mut self.ready);
            }
            _ => self.ready.extend_from_slice(&self.collected),
        }
        let whole = (!self.staged).then_some((is_text, &self.collected[..]));
        let last = Part { head: self.head(), payload: &self.ready, written: self.uncounted };
        self.shared.finish_fragments(way, last, whole)
    }

    /// The head of the next frame, if that is the last.
    fn head(&self) -> Head {
        let first = Head::of(self.kind == MessageKind::Text);
        match self.begun {
            true => Head::CONTINUATION,
            false if self.compress => first.compressed(),
            false => first,
        }
    }

    /// Sends what was collected, as far as it fills fragments; or all of it, in a shorter one.
    fn send(&mut self, all: bool) -> Result<(), SendError> {
        // What there was no room for before.
        self.send_ready(FRAGMENT)?;
        self.uncounted += self.collected.len();
        self.staged |= !self.collected.is_empty();
        match self.way.as_mut().and_then(|way| way.deflater.as_mut()) {
            Some(deflater) if self.compress => {
                deflater.add(&self.collected, &mut self.ready);
                if all {
                    deflater.flush(&mut self.ready);
                }
            }
            _ => self.ready.extend_from_slice(&self.collected),
        }
        self.collected.clear();
        self.send_ready(if all { 1 } else { FRAGMENT })
    }

    /// Sends fragments while there is so much for one.
    fn send_ready(&mut self, least: usize) -> Result<(), SendError> {
        while self.ready.len() >= least {
            let Some(way) = &self.way else { break };
            let len = self.ready.len().min(FRAGMENT);
            let (head, payload) = (self.head().unfinished(), &self.ready[..len]);
            let (part, mut queued) = (Part { head, payload, written: self.uncounted }, false);
            let sent = self.shared.send_fragment(&way.wire, &part, &mut queued);
            if queued {
                (self.begun, self.uncounted) = (true, 0);
                self.ready.drain(..len);
            }
            sent?;
        }
        Ok(())
    }

    fn is_writing(&self) -> bool {
        self.way.as_ref().is_some_and(|way| self.shared.is_writing(&way.wire))
    }

    /// The message will not be finished.
    fn fail(&mut self, problem: &'static str) -> SendError {
        if let Some(way) = self.way.take() {
            self.shared.fail_fragments(&way.wire, problem);
        }
        SendError::Unfinished { problem }
    }
}

impl Write for MessageWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.is_empty() {
            return Ok(0);
        }
        if !self.is_writing() {
            return Err(into_io(SendError::NotConnected { message: None }));
        }
        if self.collected.len() >= FRAGMENT {
            self.send(false).map_err(into_io)?;
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
        if !self.is_writing() {
            return Err(into_io(SendError::NotConnected { message: None }));
        }
        self.send(true).map_err(into_io)
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        if self.staged || !self.collected.is_empty() {
            self.fail("its writer was dropped before finish()");
        } else if let Some(way) = self.way.take() {
            self.shared.cancel_fragments(way);
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
