//! [`Stream`]: the bytes of a connection, plain or within TLS, never blocking.
//!
//! Reader and writer are on different threads. Plain TCP needs no common lock: the operating system lets both use one
//! socket. TLS is a layer over another stream, and has a lock of its own.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};

#[cfg(feature = "__tls")]
use super::tls::Layer;

/// A connected socket, within TLS where the URL is `wss://`.
///
/// mio's registration is edge-triggered: after an event, write until the call would block or comes back short. Read until
/// then too, but go on where the poll has announced the stream's end, or [`has_more`](Self::has_more) says so.
pub(crate) struct Stream(Kind);

enum Kind {
    Tcp(TcpStream),
    #[cfg(feature = "__tls")]
    Tls(Box<Layer>),
}

impl Stream {
    pub(super) fn tcp(tcp: TcpStream) -> Self {
        Stream(Kind::Tcp(tcp))
    }

    #[cfg(feature = "__tls")]
    pub(super) fn tls(layer: Layer) -> Self {
        Stream(Kind::Tls(Box::new(layer)))
    }

    /// Reads what is there. Zero is the end of the stream; nothing there is an error of kind `WouldBlock`.
    ///
    /// TLS: fills `buf` from as many records as it takes. What ended the stream behind the bytes that it gives shows at the
    /// next read.
    pub(crate) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::Tcp(tcp) => (&mut &*tcp).read(buf),
            #[cfg(feature = "__tls")]
            Kind::Tls(layer) => layer.read(buf),
        }
    }

    /// Tells, after a short read, whether to read again although no event will say so: bytes were taken off the socket and
    /// not given yet, or an end or an error was met behind those that were.
    pub(crate) fn has_more(&self) -> bool {
        match &self.0 {
            Kind::Tcp(_) => false,
            #[cfg(feature = "__tls")]
            Kind::Tls(layer) => layer.has_more(),
        }
    }

    /// Writes what there is room for. A short count, or `WouldBlock`, means that the socket is full.
    ///
    /// TLS: may have encrypted more than it got rid of, so the rest must be offered again, unchanged and with at least as
    /// many bytes, before anything else is.
    pub(crate) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::Tcp(tcp) => (&mut &*tcp).write(buf),
            #[cfg(feature = "__tls")]
            Kind::Tls(layer) => layer.write(buf),
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        registry.register(self.socket_mut(), token, interest)
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(self.socket_mut())
    }

    /// Ends our direction, as well as can be done without waiting: close_notify (RFC 8446 §6.1), then TCP's end.
    pub(crate) fn shutdown(&self) {
        // An error means that the other side was quicker.
        match &self.0 {
            Kind::Tcp(tcp) => {
                let _ = tcp.shutdown(Shutdown::Write);
            }
            #[cfg(feature = "__tls")]
            Kind::Tls(layer) => layer.shutdown(),
        }
    }

    /// Ends both directions at once: a reader gets an end, the peer gets a reset if it goes on sending.
    pub(crate) fn abort(&self) {
        // An error means that the other side was quicker.
        let _ = self.socket().shutdown(Shutdown::Both);
    }

    /// Waits until there is room to write, or something is wrong, or the time is over. For the blocking client, in which no
    /// event loop tells; waits on a duplicate of the socket, since the original is registered elsewhere.
    pub(crate) fn wait_writable(&self, timeout: Duration) -> io::Result<()> {
        let mut socket = duplicate(self.socket())?;
        let mut poll = Poll::new()?;
        poll.registry().register(&mut socket, Token(0), Interest::WRITABLE)?;
        match poll.poll(&mut Events::with_capacity(1), Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives the local and the peer's address, where the operating system still knows them.
    pub(super) fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let socket = self.socket();
        (socket.local_addr().ok(), socket.peer_addr().ok())
    }

    /// The socket below all layers.
    fn socket(&self) -> &TcpStream {
        match &self.0 {
            Kind::Tcp(tcp) => tcp,
            #[cfg(feature = "__tls")]
            Kind::Tls(layer) => layer.below().socket(),
        }
    }

    fn socket_mut(&mut self) -> &mut TcpStream {
        match &mut self.0 {
            Kind::Tcp(tcp) => tcp,
            #[cfg(feature = "__tls")]
            Kind::Tls(layer) => layer.below_mut().socket_mut(),
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
