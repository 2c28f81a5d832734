//! A connection of the load, plain or TLS, that does not wait.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

/// With few of them free, the system looks for a port for longer, and there are 28,000 for each
/// address.
const ADDRESSES: usize = 8;

pub(crate) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(Box<rustls::ClientConnection>, TcpStream),
}

/// Begins to connect, from one of many addresses of this machine.
pub(crate) fn connect(address: SocketAddr, number: usize, reads_little: bool) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    if reads_little {
        // With large segments the server's system takes megabytes before it notices.
        socket.set_recv_buffer_size(4 << 10).unwrap();
        #[cfg(unix)]
        socket.set_tcp_mss(536).unwrap();
    }
    // Elsewhere than on Linux the machine may have one such address only.
    if cfg!(target_os = "linux") {
        let from = Ipv4Addr::new(127, 0, 0, 1 + (number % ADDRESSES) as u8);
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    }
    match socket.connect(&address.into()) {
        Err(error) if !is_under_way(&error) => panic!("cannot connect: {error}"),
        _ => TcpStream::from_std(socket.into()),
    }
}

/// Windows says `WouldBlock`; Unix has no kind for its `EINPROGRESS`.
fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

impl Stream {
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Stream::Plain(_))
    }

    /// Whether it goes on with a session of TLS that an earlier one has begun.
    pub(super) fn is_resumed(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            #[cfg(feature = "rustls")]
            Stream::Tls(tls, _) => tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        }
    }

    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            #[cfg(feature = "rustls")]
            Stream::Tls(_, tcp) => tcp,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(tcp) => tcp.read(buffer),
            #[cfg(feature = "rustls")]
            Stream::Tls(tls, tcp) => rustls::Stream::new(&mut **tls, tcp).read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(tcp) => tcp.write(bytes),
            #[cfg(feature = "rustls")]
            Stream::Tls(tls, tcp) => rustls::Stream::new(&mut **tls, tcp).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
