//! [`Stream`]: the bytes of a connection, plain or within TLS, never blocking.
//!
//! Reader and writer are on different threads. A plain socket needs no common lock: the operating
//! system lets both use it at once. TLS is a layer over another stream, and has locks of its own.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::{Interest, Registry, Token};

use super::tls::Layer;
use super::traced::{Trace, Traced};
use crate::transport::{Socket, SocketPoll};

/// A connected socket, within TLS where the URL is `wss://`. Within a TLS session with a proxy
/// there is another stream of this type: layers stack, and the common case of none or one pays
/// nothing for it. So it is where what goes through is traced, above all others.
///
/// mio's registration is edge-triggered: after an event, write until the call would block. Read
/// until then or until it comes back short, but go on where the poll has announced the stream's
/// end, or [`has_more`](Self::has_more) says so.
pub(crate) struct Stream(StreamKind);

enum StreamKind {
    Plain(Socket),
    Tls(Box<Layer>),
    Traced(Box<Traced>),
}

/// The kind of error with which a write says that it waits for what the peer has to say first: no
/// event tells the writer.
pub(crate) const WAITS_FOR_PEER: io::ErrorKind = io::ErrorKind::ResourceBusy;

/// How many reads there are before others have their turn, of 64 KiB at most.
const DISCARDS_IN_A_TURN: usize = 4;

impl Stream {
    pub(crate) fn plain(socket: Socket) -> Self {
        Stream(StreamKind::Plain(socket))
    }

    // Where no TLS feature is on, there is no layer.
    #[cfg_attr(not(feature = "__tls"), allow(dead_code))]
    pub(crate) fn tls(layer: Layer) -> Self {
        Stream(StreamKind::Tls(Box::new(layer)))
    }

    /// The same, with what goes through it shown.
    pub(crate) fn traced(self, trace: Box<dyn Trace>) -> Self {
        Stream(StreamKind::Traced(Box::new(Traced::new(self, trace))))
    }

    /// Reads what is there. Zero is the end of the stream; nothing there is an error of kind
    /// `WouldBlock`; `Interrupted` is to be tried again, when others have had their turn.
    ///
    /// TLS: fills `buf` from as many records as it takes. What ended the stream behind the bytes
    /// that it gives shows at the next read.
    // Without it there is one more call for each: what is traced has a second place that calls it.
    #[inline(always)]
    pub(crate) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            StreamKind::Plain(socket) => socket.read(buf),
            StreamKind::Tls(layer) => layer.read(buf),
            StreamKind::Traced(traced) => traced.read(buf),
        }
    }

    /// Returns, after a short read, whether to read again although no event will say so: bytes were
    /// taken off the socket and not given yet, or an end or an error was met behind those that
    /// were.
    pub(crate) fn has_more(&self) -> bool {
        match &self.0 {
            StreamKind::Plain(socket) => socket.has_more(),
            StreamKind::Tls(layer) => layer.has_more(),
            StreamKind::Traced(traced) => traced.below().has_more(),
        }
    }

    /// Returns whether the peer has been heard since the last look though no read gave anything:
    /// within TLS, by a piece of a record.
    pub(crate) fn take_heard(&self) -> bool {
        match &self.0 {
            StreamKind::Plain(_) => false,
            StreamKind::Tls(layer) => layer.take_heard(),
            StreamKind::Traced(traced) => traced.below().take_heard(),
        }
    }

    /// Writes what there is room for. An error of kind `WouldBlock` means that the socket is full;
    /// one of kind [`WAITS_FOR_PEER`] that TLS needs to hear something from the peer first, which a
    /// read takes.
    ///
    /// TLS: may have encrypted more than it got rid of, so the rest must be offered again,
    /// unchanged and with at least as many bytes, before anything else is.
    #[inline(always)]
    pub(crate) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        match &self.0 {
            StreamKind::Plain(socket) => socket.write(buf),
            StreamKind::Tls(layer) => layer.write(buf),
            StreamKind::Traced(traced) => traced.write(buf),
        }
    }

    /// Writes this, and what comes behind it, where there is room: without TLS as one.
    #[inline(always)]
    pub(crate) fn write_both(&self, first: &[u8], then: &[u8]) -> io::Result<usize> {
        match &self.0 {
            StreamKind::Plain(socket) if !then.is_empty() => socket.write_both(first, then),
            _ => self.write(first),
        }
    }

    /// Returns how many bytes, of those that were offered last, have been written since: within TLS
    /// what was encrypted goes out with a read that has something to say, and with the
    /// [`shutdown`](Self::shutdown). A write tells of it too, so this is for who writes nothing
    /// more.
    pub(crate) fn take_written_late(&self) -> usize {
        match &self.0 {
            StreamKind::Plain(_) => 0,
            StreamKind::Tls(layer) => layer.take_written_late(),
            StreamKind::Traced(traced) => traced.below().take_written_late(),
        }
    }

    /// Returns whether a read may be what a write waits for.
    pub(crate) fn is_tls(&self) -> bool {
        // What is traced may be.
        !matches!(self.0, StreamKind::Plain(_))
    }

    pub(crate) fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        registry.register(self.socket_mut().source(), token, interest)
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(self.socket_mut().source())
    }

    /// Ends our direction, as well as can be done without waiting: close_notify (RFC 8446 §6.1),
    /// then the socket's end.
    pub(crate) fn shutdown(&self) {
        match &self.0 {
            StreamKind::Plain(socket) => socket.shutdown(Shutdown::Write),
            StreamKind::Tls(layer) => layer.shutdown(),
            StreamKind::Traced(traced) => traced.below().shutdown(),
        }
    }

    /// Reads away some of what has come and nobody wants, without waiting. Returns how much is left
    /// of what may be read away in all; nothing, where nothing more has come. An operating system
    /// resets a connection that is closed with something unread in it, and throws away what it has
    /// not sent yet.
    pub(crate) fn discard(&self, most: usize) -> usize {
        let (mut buffer, mut left) = ([0; 64 << 10], most);
        for _ in 0..DISCARDS_IN_A_TURN {
            match self.socket().read(&mut buffer) {
                Ok(n) if n > 0 => left = left.saturating_sub(n),
                _ => return 0,
            }
        }
        left
    }

    /// Reads what is there as it comes, within TLS as ciphertext: for who wants nothing of it but to
    /// know how much it is, and when it ends.
    #[cfg(feature = "server")]
    pub(crate) fn read_away(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket().read(buffer)
    }

    /// Ends both directions at once: a reader gets an end, the peer gets a reset if it goes on
    /// sending.
    pub(crate) fn abort(&self) {
        self.socket().shutdown(Shutdown::Both);
    }

    /// Waits until there is room to write, or something is wrong, or the poll is woken, or the time
    /// is over. For the blocking client, in which no event loop tells.
    pub(crate) fn wait_writable(&self, poll: &mut SocketPoll, timeout: Duration) -> io::Result<()> {
        poll.wait_writable(self.socket().handle()?, timeout)
    }

    /// Returns the local and the peer's address, where it is TCP and the operating system still
    /// knows them.
    pub(crate) fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        self.socket().addresses()
    }

    /// Returns the outermost TLS session, for a test to play its library.
    #[cfg(all(test, feature = "__tls"))]
    pub(crate) fn layer(&self) -> Option<&Layer> {
        match &self.0 {
            StreamKind::Plain(_) => None,
            StreamKind::Tls(layer) => Some(layer),
            StreamKind::Traced(traced) => traced.below().layer(),
        }
    }

    /// The socket below all layers.
    fn socket(&self) -> &Socket {
        match &self.0 {
            StreamKind::Plain(socket) => socket,
            StreamKind::Tls(layer) => layer.below().socket(),
            StreamKind::Traced(traced) => traced.below().socket(),
        }
    }

    fn socket_mut(&mut self) -> &mut Socket {
        match &mut self.0 {
            StreamKind::Plain(socket) => socket,
            StreamKind::Tls(layer) => layer.below_mut().socket_mut(),
            StreamKind::Traced(traced) => traced.below_mut().socket_mut(),
        }
    }
}
