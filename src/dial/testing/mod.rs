//! What the tests of connecting share: a scripted server on a thread of its own, bounded waiting,
//! and an address that never answers.

#[cfg(feature = "__tls")]
pub(super) mod tls;

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tungstenite::handshake::derive_accept_key;

use super::waiter::{Cancel, Waiter};
use super::{Connected, Failure, Target, connect};
use crate::config::Config;
use crate::reconnect::Attempt;

/// Long enough for any machine, short enough for a test that hangs.
pub(super) const LONG: Duration = Duration::from_secs(30);

pub(super) fn waiter(cancel: &Cancel) -> Waiter<'_> {
    Waiter::new("peer:1", LONG, cancel).unwrap_or_else(|failure| panic!("{failure:?}"))
}

/// A server that takes one connection and does with it what its script says.
pub(super) struct Server {
    pub(super) port: u16,
    thread: JoinHandle<()>,
}

impl Server {
    pub(super) fn start(script: impl FnOnce(TcpStream) + Send + 'static) -> Self {
        let mut script = Some(script);
        Server::taking(1, move |_, stream| script.take().expect("there is one connection")(stream))
    }

    /// Takes so many connections, one after the other.
    pub(super) fn taking(
        connections: usize,
        mut script: impl FnMut(usize, TcpStream) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // On Linux this bounds `accept` too: a client that never comes is a failed test, not one
        // that hangs.
        SockRef::from(&listener).set_read_timeout(Some(LONG)).unwrap();
        let thread = thread::spawn(move || {
            for i in 0..connections {
                let (stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(LONG)).unwrap();
                stream.set_write_timeout(Some(LONG)).unwrap();
                script(i, stream);
            }
        });
        Server { port, thread }
    }

    /// Takes the request, answers with `response` and waits for the client to hang up.
    pub(super) fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Server::start(move |mut stream| {
            read_request(&mut stream);
            // The client may have had enough before all of it is sent.
            let _ = stream.write_all(&response);
            wait_for_end(&mut stream);
        })
    }

    /// Connects to it by `ws://` and waits for the script to end.
    pub(super) fn connect(self, config: &Config) -> Result<Connected, Failure> {
        let result = dial(&format!("ws://127.0.0.1:{}/chat?token=secret", self.port), config, LONG);
        self.join(result)
    }

    /// Waits for the script to end, after the client's end was dropped if it failed.
    pub(super) fn join<T>(self, result: T) -> T {
        self.thread.join().unwrap();
        result
    }
}

pub(super) fn dial(url: &str, config: &Config, timeout: Duration) -> Result<Connected, Failure> {
    connect(&Target::new(url, config)?, timeout, &Cancel::new(), &Attempt::new())
}

/// Returns the error's text; a connection or a cancellation is a failed test.
pub(super) fn text(result: Result<Connected, Failure>) -> String {
    match result {
        Err(Failure::Error(error)) => error.to_string(),
        Err(Failure::Cancelled) => panic!("cancelled"),
        Ok(_) => panic!("connected"),
    }
}

/// Reads a request head and gives its lines.
pub(super) fn read_request(stream: &mut impl Read) -> Vec<String> {
    let mut lines = BufReader::with_capacity(1, stream).lines();
    lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty()).collect()
}

/// The correct answer to a request, without more headers than needed.
pub(super) fn switching(request: &[String]) -> String {
    let key = request.iter().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// Waits for the client to hang up, in order or not.
pub(super) fn wait_for_end(stream: &mut impl Read) {
    let mut sink = [0; 4096];
    while matches!(stream.read(&mut sink), Ok(n) if n > 0) {}
}

/// A listener whose queue is full: the kernel drops what else wants to connect, without a word.
pub(super) struct DeadListener(TcpListener);

impl DeadListener {
    /// Returns `None` where a full queue refuses, or cannot be had: there is nothing to test then,
    /// which is noted, or fails the test where the environment variable `CI` is set.
    pub(super) fn new() -> Option<Self> {
        let listener = cfg!(target_os = "linux").then(DeadListener::full).flatten();
        if listener.is_none() {
            let (test, why) = (
                thread::current().name().unwrap_or("a test").to_owned(),
                "no listener's queue fills up here",
            );
            assert!(env::var_os("CI").is_none(), "not to be skipped where CI is set: {why}");
            // Past the harness, which keeps what a passing test prints to itself.
            io::stderr().write_all(format!("skipped {test}: {why}\n").as_bytes()).unwrap();
        }
        listener
    }

    fn full() -> Option<Self> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).ok()?;
        // The shortest queue there is, which still has room for one.
        listener.listen(0).ok()?;
        let listener = TcpListener::from(listener);
        let address = listener.local_addr().ok()?;
        // A connection stays in the queue when its client has gone, so this needs no descriptors.
        let full = (0..10)
            .any(|_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err());
        full.then_some(DeadListener(listener))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}
