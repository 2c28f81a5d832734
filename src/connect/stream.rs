//! [`Stream`]: the bytes of a connection, plain or within TLS, never blocking.
//!
//! Reader and writer are on different threads. A plain socket needs no common lock: the operating system lets both use it
//! at once. A TLS session is one state for both directions, so it has a lock, held for a call and never while waiting.

use std::io;
#[cfg(feature = "native-tls")]
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
#[cfg(feature = "native-tls")]
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::{Interest, Registry, Token};

#[cfg(feature = "native-tls")]
use super::tls_native::{Session, explain_late};
use crate::socket::Socket;

/// A connected socket, with its TLS session where the URL is `wss://`.
///
/// mio's registration is edge-triggered: after an event, read or write until the call would block or comes back short.
pub(crate) struct Stream(Kind);

enum Kind {
    Plain(Socket),
    #[cfg(feature = "native-tls")]
    NativeTls(Box<Mutex<Session>>),
}

impl Stream {
    pub(super) fn plain(socket: Socket) -> Self {
        Stream(Kind::Plain(socket))
    }

    #[cfg(feature = "native-tls")]
    pub(super) fn native_tls(session: Session) -> Self {
        Stream(Kind::NativeTls(Box::new(Mutex::new(session))))
    }

    /// Reads what is there. Zero is the end of the stream; nothing there is an error of kind `WouldBlock`.
    ///
    /// TLS: fills `buf` from as many records as it takes, so that a short count means the same as for TCP: no more is
    /// there. What ended the stream behind the bytes of a short read shows at the next read. An end without TLS's
    /// close_notify is an end: WebSocket's own Close frame tells an orderly one from a cut (RFC 6455 §7.1.5).
    pub(crate) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::Plain(socket) => socket.read(buf),
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => read_records(&mut lock(session), buf),
        }
    }

    /// Writes what there is room for. A short count, or `WouldBlock`, means that the socket is full.
    ///
    /// TLS: may have encrypted the next record without getting rid of it, so the rest must be offered again, unchanged and
    /// with at least as many bytes, before anything else is.
    pub(crate) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::Plain(socket) => socket.write(buf),
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => write_records(&mut lock(session), buf),
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        registry.register(self.source(), token, interest)
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(self.source())
    }

    /// Ends our direction, as well as can be done without waiting: close_notify (RFC 8446 §6.1), then the socket's end.
    pub(crate) fn shutdown(&self) {
        match &self.0 {
            Kind::Plain(socket) => socket.shutdown(Shutdown::Write),
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => {
                let mut session = lock(session);
                // An error means that the other side was quicker.
                let _ = session.shutdown();
                session.get_ref().socket().shutdown(Shutdown::Write);
            }
        }
    }

    /// Ends both directions at once: a reader gets an end, the peer gets a reset if it goes on sending.
    pub(crate) fn abort(&self) {
        match &self.0 {
            Kind::Plain(socket) => socket.shutdown(Shutdown::Both),
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => lock(session).get_ref().socket().shutdown(Shutdown::Both),
        }
    }

    /// Waits until there is room to write, or something is wrong, or the time is over. For the blocking client, in which no
    /// event loop tells.
    pub(crate) fn wait_writable(&self, timeout: Duration) -> io::Result<()> {
        let handle = match &self.0 {
            Kind::Plain(socket) => socket.handle()?,
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => lock(session).get_ref().socket().handle()?,
        };
        handle.wait_writable(timeout)
    }

    /// Counts the bytes that were taken off the socket and not read yet. No event will tell of them.
    pub(super) fn buffered(&self) -> usize {
        match &self.0 {
            Kind::Plain(_) => 0,
            // An error can only mean that the session is of no use any more, which the next read says better.
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => lock(session).buffered_read_size().unwrap_or(0),
        }
    }

    /// Gives the local and the peer's address, where it is TCP and the operating system still knows them.
    pub(super) fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        match &self.0 {
            Kind::Plain(socket) => socket.addresses(),
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => lock(session).get_ref().socket().addresses(),
        }
    }

    fn source(&mut self) -> &mut Socket {
        match &mut self.0 {
            Kind::Plain(socket) => socket,
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => {
                session.get_mut().unwrap_or_else(PoisonError::into_inner).get_mut().socket_mut()
            }
        }
    }
}

#[cfg(feature = "native-tls")]
fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    // A panic within the TLS library may leave the session unusable, which its next call reports: nothing to add here.
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(feature = "native-tls")]
fn read_records(session: &mut Session, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match session.read(&mut buf[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(_) if filled > 0 || session.get_ref().ended() => break,
            Err(error) => return Err(explain_late(error)),
        }
    }
    Ok(filled)
}

#[cfg(feature = "native-tls")]
fn write_records(session: &mut Session, buf: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < buf.len() {
        match session.write(&buf[written..]) {
            Ok(0) => break,
            Ok(n) => written += n,
            Err(_) if written > 0 => break,
            Err(error) => return Err(explain_late(error)),
        }
    }
    Ok(written)
}
