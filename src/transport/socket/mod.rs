//! [`Socket`]: a connected byte stream that an event loop can wait for, whatever is below: TCP, a
//! Unix socket, or a [`Transport`] of the program's own. A leaf: it is opened, and secured,
//! elsewhere.

mod custom;
mod handle;
mod options;
mod read_write;
mod system;

use std::fmt;
#[cfg(unix)]
use std::io::IoSlice;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::event::Source;
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use socket2::SockRef;

use custom::Custom;
pub use custom::Transport;
use handle::{AsFd, Handle};
pub(crate) use handle::{SocketPoll, SocketWaker};
pub use options::SocketOptions;
use read_write::ReadWrite;

/// A connected byte stream: made from a [`TcpStream`](std::net::TcpStream), from a Unix socket's
/// stream, from a [`Transport`] of your own, or from anything else that reads and writes and has a
/// descriptor ([`from_stream`](Self::from_stream)).
///
/// Whatever it is made from becomes non-blocking when it is used, and its clones with it.
pub struct Socket(SocketKind);

/// Whether a read that came back short may be the last until there is an event. On Windows there is
/// none before a read that would block: only that makes mio wait for the socket again.
const SHORT_IS_ALL: bool = cfg!(not(windows));

enum SocketKind {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Custom(Custom),
}

impl From<std::net::TcpStream> for Socket {
    fn from(tcp: std::net::TcpStream) -> Self {
        Socket::tcp(TcpStream::from_std(tcp))
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixStream> for Socket {
    fn from(unix: std::os::unix::net::UnixStream) -> Self {
        Socket(SocketKind::Unix(UnixStream::from_std(unix)))
    }
}

impl<T: Transport> From<T> for Socket {
    fn from(transport: T) -> Self {
        Socket(SocketKind::Custom(Custom::new(transport)))
    }
}

impl Socket {
    /// Makes one of any stream that reads and writes, and has a descriptor that the operating
    /// system can wait for (`AsFd`; on Windows a socket, `AsSocket`): a port of a virtual machine,
    /// a serial line, another crate's kind of socket.
    ///
    /// The stream becomes non-blocking when it is used, and is never flushed: what it has taken
    /// must be on its way. It is read and written by turns, under a lock that is not held while
    /// waiting; a [`Transport`] does both at once. In the end it is shut down, if it is a socket,
    /// and dropped.
    ///
    /// ```no_run
    /// # #[cfg(unix)]
    /// # fn main() -> Result<(), websocket_app::Error> {
    /// use std::fs::File;
    /// use websocket_app::{Socket, WebSocketApp};
    ///
    /// WebSocketApp::new("ws://host.example/")
    ///     .connector(|_host, _port, _| {
    ///         let port = File::options().read(true).write(true).open("/dev/virtio-ports/websocket")?;
    ///         Socket::from_stream(port)
    ///     })
    ///     .run_forever()?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(unix))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    ///
    /// The operating system does not duplicate the descriptor.
    pub fn from_stream(stream: impl Read + Write + AsFd + Send + 'static) -> io::Result<Self> {
        Ok(Socket::from(ReadWrite::new(stream)?))
    }

    pub(crate) fn tcp(tcp: TcpStream) -> Self {
        Socket(SocketKind::Tcp(tcp))
    }

    #[cfg(all(unix, feature = "server"))]
    pub(crate) fn unix(unix: UnixStream) -> Self {
        Socket(SocketKind::Unix(unix))
    }

    /// Makes a socket that came from the program fit for an event loop: one that blocks would hold
    /// up all of the loop's apps.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        match &self.0 {
            SocketKind::Tcp(tcp) => SockRef::from(tcp).set_nonblocking(true),
            #[cfg(unix)]
            SocketKind::Unix(unix) => SockRef::from(unix).set_nonblocking(true),
            SocketKind::Custom(custom) => custom.prepare(),
        }
    }

    /// Reads what is there. Zero is the end of the stream; a short count means that no more is
    /// there, unless [`has_more`](Self::has_more) says so.
    #[inline]
    pub(crate) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            SocketKind::Tcp(tcp) => (&mut &*tcp).read(buf),
            #[cfg(unix)]
            SocketKind::Unix(unix) => (&mut &*unix).read(buf),
            SocketKind::Custom(custom) => custom.read(buf),
        }
    }

    /// Returns, after a short read, whether to read again although no event will say so.
    pub(crate) fn has_more(&self) -> bool {
        match &self.0 {
            SocketKind::Custom(custom) => custom.has_more(),
            _ => !SHORT_IS_ALL,
        }
    }

    /// Writes what there is room for. Only `WouldBlock` means that the socket is full: an event
    /// follows nothing else.
    #[inline]
    pub(crate) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        match &self.0 {
            SocketKind::Tcp(tcp) => (&mut &*tcp).write(buf),
            #[cfg(unix)]
            SocketKind::Unix(unix) => (&mut &*unix).write(buf),
            SocketKind::Custom(custom) => custom.write(buf),
        }
    }

    /// Writes one behind the other, which is not empty, as one where the system has a way for that.
    pub(crate) fn write_both(&self, first: &[u8], then: &[u8]) -> io::Result<usize> {
        match &self.0 {
            #[cfg(unix)]
            SocketKind::Tcp(tcp) => tcp.try_io(|| send_both(tcp, first, then)),
            #[cfg(unix)]
            SocketKind::Unix(unix) => unix.try_io(|| send_both(unix, first, then)),
            _ => self.write(if first.is_empty() { then } else { first }),
        }
    }

    /// Ends one direction or both.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        // An error means that the other side was quicker.
        let _ = match &self.0 {
            SocketKind::Tcp(tcp) => tcp.shutdown(how),
            #[cfg(unix)]
            SocketKind::Unix(unix) => unix.shutdown(how),
            SocketKind::Custom(custom) => custom.shutdown(how),
        };
    }

    /// Returns the local and the peer's address, where it is TCP and the operating system still
    /// knows them.
    pub(crate) fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        match &self.0 {
            SocketKind::Tcp(tcp) => (tcp.local_addr().ok(), tcp.peer_addr().ok()),
            _ => (None, None),
        }
    }

    /// Returns what another poll can wait for: the socket is registered with one already.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        match &self.0 {
            SocketKind::Tcp(tcp) => Handle::of(tcp),
            #[cfg(unix)]
            SocketKind::Unix(unix) => Handle::of(unix),
            SocketKind::Custom(custom) => custom.handle(),
        }
    }

    /// Returns what a poll waits for.
    pub(crate) fn source(&mut self) -> &mut dyn Source {
        match &mut self.0 {
            SocketKind::Tcp(tcp) => tcp,
            #[cfg(unix)]
            SocketKind::Unix(unix) => unix,
            SocketKind::Custom(custom) => custom,
        }
    }
}

/// Sends two buffers as one. Unlike std's writing of several, this ends no program that has the
/// system's way of handling `SIGPIPE` when the peer is gone.
#[cfg(unix)]
fn send_both(socket: &impl AsFd, first: &[u8], then: &[u8]) -> io::Result<usize> {
    // On Apple's systems it is an option of the socket, as it is for every other write there.
    #[cfg(target_vendor = "apple")]
    const FLAGS: libc::c_int = 0;
    #[cfg(not(target_vendor = "apple"))]
    const FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
    let both = [IoSlice::new(first), IoSlice::new(then)];
    SockRef::from(socket).send_vectored_with_flags(&both, FLAGS)
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            SocketKind::Tcp(_) => "Socket(TCP)",
            #[cfg(unix)]
            SocketKind::Unix(_) => "Socket(Unix)",
            SocketKind::Custom(_) => "Socket(Transport)",
        })
    }
}
