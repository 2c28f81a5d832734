//! Servers to talk to: the library's own, and sockets that do what no server should.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use websocket_app::OwnedMessage;
use websocket_app::server::{Server, ServerHandle, ServerTls};

use crate::process::PATIENCE;
#[cfg(unix)]
use crate::temporary::{Temporary, temporary_socket};

/// A server of the library's that ends with the test.
pub(crate) struct Peer {
    handle: ServerHandle,
    /// The messages that came, where it records them.
    pub(crate) received: Receiver<OwnedMessage>,
    scheme: &'static str,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.handle.abort();
        let _ = self.handle.join();
    }
}

impl Peer {
    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}/", self.scheme, self.port())
    }

    pub(crate) fn port(&self) -> u16 {
        self.handle.local_addr().unwrap().port()
    }

    pub(crate) fn handle(&self) -> &ServerHandle {
        &self.handle
    }

    /// Waits for a message.
    #[track_caller]
    pub(crate) fn message(&self) -> OwnedMessage {
        self.received.recv_timeout(PATIENCE).expect("a message")
    }
}

/// Starts a server that is described by a closure.
pub(crate) fn serve(describe: impl FnOnce(Server) -> Server) -> Peer {
    let (_, received) = channel();
    let handle = describe(Server::new("127.0.0.1:0")).spawn().unwrap();
    Peer { handle, received, scheme: "ws" }
}

/// One that sends back what comes.
pub(crate) fn echo() -> Peer {
    serve(|server| {
        server.max_send_buffer(1 << 30).on_message(|client, message| client.send(message))
    })
}

/// One that records what comes, and does what a closure says about it.
pub(crate) fn recording(
    describe: impl FnOnce(Server) -> Server,
    then: impl Fn(&websocket_app::server::Client, &OwnedMessage) + Send + Sync + 'static,
) -> Peer {
    let (tell, received) = channel();
    let server = describe(Server::new("127.0.0.1:0")).on_message(move |client, message| {
        let message = message.into_owned();
        then(client, &message);
        let _ = tell.send(message);
    });
    Peer { handle: server.spawn().unwrap(), received, scheme: "ws" }
}

/// An echo server over TLS, and its certificate as PEM.
pub(crate) fn echo_tls() -> (Peer, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = ServerTls::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let mut peer =
        serve(|server| server.tls(tls).on_message(|client, message| client.send(message)));
    peer.scheme = "wss";
    (peer, made.cert.pem())
}

/// A port of this machine on which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Accepts one connection and does with it what a closure says.
pub(crate) fn socket(act: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        act(stream);
    });
    address
}

/// Shakes hands as a server does, by way of one, and then writes these bytes and reads to the end.
pub(crate) fn says(bytes: &'static [u8]) -> SocketAddr {
    socket(move |mut stream| {
        shake_hands(&mut stream);
        stream.write_all(bytes).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// Accepts connections, shakes hands as a server does, by way of one, and then reads and says nothing.
pub(crate) fn says_nothing_more() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                shake_hands(&mut stream);
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    address
}

/// Shakes hands as a server does, by way of one.
pub(crate) fn shake_hands(stream: &mut (impl Read + Write)) {
    let server = serve(|server| server);
    let mut inner = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    inner.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = String::from_utf8(head(stream)).unwrap();
    // It looks at the name by which it is asked for.
    let lines = request.split_inclusive('\n').map(|line| match line.starts_with("Host:") {
        true => "Host: localhost\r\n",
        false => line,
    });
    inner.write_all(lines.collect::<String>().as_bytes()).unwrap();
    let answer = head(&mut inner);
    stream.write_all(&answer).unwrap();
}

/// Accepts one connection on a Unix socket, whose buffers are small, shakes hands, and does with it what
/// a closure says. Returns the URL, and what has to stay until it is used.
#[cfg(unix)]
pub(crate) fn near(
    act: impl FnOnce(std::os::unix::net::UnixStream) + Send + 'static,
) -> (String, thread::JoinHandle<()>, Temporary) {
    let path = temporary_socket();
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let url = format!("ws+unix:{path}:/");
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        shake_hands(&mut stream);
        act(stream);
    });
    (url, thread, path)
}

/// Reads the head of a request or an answer.
pub(crate) fn head(stream: &mut impl Read) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    head
}

/// Long enough for anything but a test that has failed.
pub(crate) fn patience() -> Duration {
    PATIENCE
}
