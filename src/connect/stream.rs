//! [`Stream`]: the bytes of a connection, plain or within TLS, never blocking.
//!
//! Reader and writer are on different threads. Plain TCP needs no common lock: the operating system lets both use one
//! socket. A TLS session is one state for both directions, so it has a lock, held for a call and never while waiting.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
#[cfg(feature = "native-tls")]
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token, event::Source};

#[cfg(feature = "native-tls")]
use super::tls_native::{Session, explain_late};

/// A connected socket, with its TLS session where the URL is `wss://`. Within a TLS session with a proxy there is another
/// stream of this type: layers stack, and the common case of none or one pays nothing for it.
///
/// mio's registration is edge-triggered: after an event, read or write until the call would block or comes back short.
pub(crate) struct Stream(Kind);

enum Kind {
    Tcp(TcpStream),
    #[cfg(feature = "native-tls")]
    NativeTls(Box<Mutex<Session>>),
}

impl Stream {
    pub(super) fn tcp(tcp: TcpStream) -> Self {
        Stream(Kind::Tcp(tcp))
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
            Kind::Tcp(tcp) => (&mut &*tcp).read(buf),
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
            Kind::Tcp(tcp) => (&mut &*tcp).write(buf),
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

    /// Ends our direction, as well as can be done without waiting: close_notify (RFC 8446 §6.1), then TCP's end.
    pub(crate) fn shutdown(&self) {
        // An error means that the other side was quicker.
        match &self.0 {
            Kind::Tcp(tcp) => {
                let _ = tcp.shutdown(Shutdown::Write);
            }
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => {
                let mut session = lock(session);
                let _ = session.shutdown();
                session.get_ref().below().shutdown();
            }
        }
    }

    /// Ends both directions at once: a reader gets an end, the peer gets a reset if it goes on sending.
    pub(crate) fn abort(&self) {
        match &self.0 {
            Kind::Tcp(tcp) => {
                let _ = tcp.shutdown(Shutdown::Both);
            }
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => lock(session).get_ref().below().abort(),
        }
    }

    /// Waits until there is room to write, or something is wrong, or the time is over. For the blocking client, in which no
    /// event loop tells; waits on a duplicate of the socket, since the original is registered elsewhere.
    pub(crate) fn wait_writable(&self, timeout: Duration) -> io::Result<()> {
        let mut socket = self.duplicate()?;
        let mut poll = Poll::new()?;
        poll.registry().register(&mut socket, Token(0), Interest::WRITABLE)?;
        match poll.poll(&mut Events::with_capacity(1), Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives the local and the peer's address, where the operating system still knows them.
    pub(super) fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        match &self.0 {
            Kind::Tcp(tcp) => (tcp.local_addr().ok(), tcp.peer_addr().ok()),
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => lock(session).get_ref().below().addresses(),
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match &mut self.0 {
            Kind::Tcp(tcp) => tcp,
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => {
                session.get_mut().unwrap_or_else(PoisonError::into_inner).get_mut().below_mut().source()
            }
        }
    }

    fn duplicate(&self) -> io::Result<TcpStream> {
        match &self.0 {
            Kind::Tcp(tcp) => duplicate(tcp),
            #[cfg(feature = "native-tls")]
            Kind::NativeTls(session) => lock(session).get_ref().below().duplicate(),
        }
    }
}

#[cfg(unix)]
fn duplicate(tcp: &TcpStream) -> io::Result<TcpStream> {
    use std::os::fd::AsFd;
    Ok(TcpStream::from_std(tcp.as_fd().try_clone_to_owned()?.into()))
}

#[cfg(windows)]
fn duplicate(tcp: &TcpStream) -> io::Result<TcpStream> {
    use std::os::windows::io::AsSocket;
    Ok(TcpStream::from_std(tcp.as_socket().try_clone_to_owned()?.into()))
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
