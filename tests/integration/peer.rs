//! The scripted raw peer: a server on a port of its own that does what a test says, on a thread of
//! its own.
//!
//! ```ignore
//! let peer = Peer::start(|listener| {
//!     let mut client = listener.open();       // accepts, reads the request, answers it
//!     client.send(Frame::text("hello"));
//!     client.close(1000, "bye");
//! });
//! ```
//!
//! An expectation that fails panics on the peer's thread, and dropping the peer joins that thread
//! and fails the test.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use websocket_app::{TlsBackend, TlsConfig, WebSocketApp};

use crate::connection::{Connection, Io};
use crate::tls::Certificate;
use crate::watchdog::{Gate, PATIENCE, Task, Watchdog};

/// Turns an accepted TCP connection into what the script reads and writes.
pub(crate) type Secure = Box<dyn Fn(TcpStream) -> Result<Box<dyn Io>, String> + Send>;

pub(crate) struct Peer {
    addr: SocketAddr,
    scheme: &'static str,
    tls: TlsConfig,
    done: Gate,
    // Dropped in this order: the script ends while it is still watched.
    _script: Task<()>,
    _watchdog: Watchdog,
}

impl Peer {
    /// A server for `ws://`.
    pub(crate) fn start(script: impl FnOnce(&Listener) + Send + 'static) -> Self {
        Peer::with("ws", TlsConfig::new(), Box::new(|tcp| Ok(Box::new(tcp))), script)
    }

    /// A server for `wss://` with a certificate of its own, and a client that has this library do
    /// it.
    #[cfg_attr(not(feature = "__tls"), allow(dead_code))]
    pub(crate) fn start_tls(
        backend: TlsBackend,
        script: impl FnOnce(&Listener) + Send + 'static,
    ) -> Self {
        Peer::start_tls_as(&Certificate::new(), backend, script)
    }

    /// The same with this certificate, which other servers may have too.
    #[cfg_attr(not(feature = "__tls"), allow(dead_code))]
    pub(crate) fn start_tls_as(
        certificate: &Certificate,
        backend: TlsBackend,
        script: impl FnOnce(&Listener) + Send + 'static,
    ) -> Self {
        Peer::start_secured(certificate, backend, certificate.secure(), script)
    }

    /// The same where the server's TLS is the test's own.
    #[cfg_attr(not(feature = "__tls"), allow(dead_code))]
    pub(crate) fn start_secured(
        certificate: &Certificate,
        backend: TlsBackend,
        secure: Secure,
        script: impl FnOnce(&Listener) + Send + 'static,
    ) -> Self {
        Peer::with("wss", certificate.trusted().backend(backend), secure, script)
    }

    fn with(
        scheme: &'static str,
        tls: TlsConfig,
        secure: Secure,
        script: impl FnOnce(&Listener) + Send + 'static,
    ) -> Self {
        let watchdog = Watchdog::new();
        let done = Gate::new();
        let listener = Listener { listener: bind(), secure, done: done.clone() };
        let addr = listener.listener.local_addr().unwrap();
        let script = Task::start("the peer's script", move || script(&listener));
        Peer { addr, scheme, tls, done, _script: script, _watchdog: watchdog }
    }

    pub(crate) fn url(&self) -> String {
        // By name where there is a certificate, which is for a name.
        match self.scheme {
            "wss" => format!("wss://localhost:{}/", self.addr.port()),
            scheme => format!("{scheme}://{}/", self.addr),
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What a client needs to trust this server.
    pub(crate) fn tls(&self) -> TlsConfig {
        self.tls.clone()
    }

    /// An app for this server, not yet running, with every option as it is by default.
    pub(crate) fn app(&self) -> WebSocketApp {
        WebSocketApp::new(self.url()).tls(self.tls())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.done.open();
    }
}

pub(crate) struct Listener {
    listener: TcpListener,
    secure: Secure,
    done: Gate,
}

impl Listener {
    /// Accepts a connection, and the TLS handshake where there is one.
    pub(crate) fn accept(&self) -> Connection {
        let (tcp, _) = self.listener.accept().expect("a client connects in time");
        Connection::new(tcp, &self.secure)
    }

    /// Accepts a connection and its upgrade.
    pub(crate) fn open(&self) -> Connection {
        let mut client = self.accept();
        client.upgrade();
        client
    }

    /// Accepts a connection whose TLS handshake fails, because the client does not trust the
    /// certificate.
    #[cfg(feature = "__tls")]
    pub(crate) fn expect_no_agreement(&self) {
        let (tcp, _) = self.listener.accept().expect("a client connects in time");
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        // In TLS 1.3 the server learns of it by the first read after the handshake.
        if let Ok(mut agreed) = (self.secure)(tcp) {
            let read = agreed.read(&mut [0]);
            assert!(!matches!(read, Ok(1)), "the client goes on to talk");
        }
    }

    /// Does nothing until the test is done: for a client that could not tell that it has hung up.
    pub(crate) fn wait_for_the_test(&self) {
        // A test that takes too long fails by itself.
        let _done = self.done.opens();
    }

    /// Accepts a connection, and the TLS handshake where there is one; `None` if the client goes
    /// away before that is done.
    pub(crate) fn try_accept(&self) -> Option<Connection> {
        let (tcp, _) = self.listener.accept().expect("a client connects in time");
        Connection::try_new(tcp, &self.secure).ok()
    }

    /// Accepts a connection and its upgrade; `None` if the client goes away before that is done.
    pub(crate) fn try_open(&self) -> Option<Connection> {
        let mut client = self.try_accept()?;
        client.try_upgrade().ok()?;
        Some(client)
    }

    /// Waits until the test is done, and fails if another client has connected meanwhile.
    pub(crate) fn saw_nobody_else(&self) {
        self.wait_for_the_test();
        self.listener.set_nonblocking(true).unwrap();
        if let Ok((_, from)) = self.listener.accept() {
            panic!("{from} connected once more than it should");
        }
    }

    /// Fails if another client connects within this time.
    pub(crate) fn is_quiet_for(&self, time: Duration) {
        thread::sleep(time);
        self.listener.set_nonblocking(true).unwrap();
        let another = self.listener.accept();
        self.listener.set_nonblocking(false).unwrap();
        assert!(another.is_err(), "{another:?} connected, and nobody should yet");
    }

    /// Makes the kernel take little for a script that does not read, so that the client's queue
    /// fills up soon.
    pub(crate) fn open_with_small_buffer(&self) -> Connection {
        let mut client = self.accept();
        client.shrink_buffer();
        client.upgrade();
        client
    }
}

/// A listener that must see no connection.
pub(crate) struct Bystander(TcpListener);

impl Bystander {
    pub(crate) fn new() -> Self {
        Bystander(bind())
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn saw_nobody(self) {
        self.0.set_nonblocking(true).unwrap();
        if let Ok((_, from)) = self.0.accept() {
            panic!("{from} connected, and nobody should");
        }
    }
}

/// A listener with a full backlog: the kernel lets whoever else connects wait for ever.
pub(crate) struct FullBacklog {
    listener: Socket,
    _waiting: Vec<Socket>,
}

impl FullBacklog {
    pub(crate) fn new() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into();
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&any).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap();
        // A backlog of nothing has room for one; what more a system may grant is taken by the
        // others.
        let waiting = (0..8).map(|i| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(i > 0).unwrap();
            let _connected_or_in_progress = socket.connect(&addr);
            socket
        });
        FullBacklog { _waiting: waiting.collect(), listener }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        addr_of(&self.listener)
    }

    pub(crate) fn url(&self) -> String {
        url_of(&self.listener)
    }
}

/// A port that is taken, so that no other test gets it, and where nobody listens.
pub(crate) struct RefusedPort(Socket);

impl RefusedPort {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        RefusedPort(socket)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        addr_of(&self.0)
    }

    pub(crate) fn url(&self) -> String {
        url_of(&self.0)
    }
}

fn url_of(socket: &Socket) -> String {
    format!("ws://{}/", addr_of(socket))
}

fn addr_of(socket: &Socket) -> SocketAddr {
    socket.local_addr().unwrap().as_socket().expect("an IPv4 address")
}

fn bind() -> TcpListener {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // On Linux this bounds `accept` too; elsewhere the watchdog does.
    SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).unwrap();
    listener
}
