//! A server that negotiates anew in the middle (RFC 5246 §7.4.1.1), as some do to ask for a
//! certificate late: meanwhile nothing may be sent, and nothing that is to be sent may get lost.
//! TLS 1.2 with native-tls: rustls does not take part.

use std::io::{self, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use websocket_app::{
    Message, OwnedMessage, SendError, Sender, TlsBackend, TlsConfig, Transport, WebSocket,
    WebSocketApp, WebSocketBuilder,
};

use super::certificates::{Authority, Kind};
use super::openssl::SServer;
use super::program::is_there;
use crate::frame::Frame;
use crate::running::run;
use crate::watchdog::{Gate, PATIENCE, Task};

/// What a record carries (RFC 5246 §6.2.1). A handshake within a session is encrypted, but for
/// this.
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;

/// Passes records on between a client and a server, and keeps the server's answer to the new
/// ClientHello back. It is all that the server says, since OpenSSL resumes the session (RFC 5246
/// §7.3), and comes in one piece then: had it come in two, the second may be read together with the
/// first, and the event that tells of it would have the client write once more.
struct Relay {
    addr: SocketAddr,
    /// From when on handshakes are new ones.
    armed: Arc<AtomicBool>,
    /// The client has begun.
    hello: Gate,
    released: Gate,
    // Dropped when all gates are open or the test has failed.
    _pumps: Task<()>,
}

impl Relay {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).unwrap();
        let addr = listener.local_addr().unwrap();
        let (armed, hello, released) = (Arc::new(AtomicBool::new(false)), Gate::new(), Gate::new());
        let (new, begun, go) = (Arc::clone(&armed), hello.clone(), released.clone());
        let pumps = Task::start("a relay", move || {
            let (client, _) = listener.accept().unwrap();
            let server = TcpStream::connect(server).unwrap();
            let (from_client, to_server) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            let is_new = Arc::clone(&new);
            let up = Task::start("upwards", move || {
                pump(from_client, to_server, |kind| {
                    if kind == HANDSHAKE && is_new.load(Ordering::SeqCst) {
                        begun.open();
                    }
                    true
                });
            });
            let (mut asked, mut changed) = (false, false);
            pump(server, client, |kind| match kind {
                _ if !new.load(Ordering::SeqCst) => true,
                // The first one asks the client to begin, and what comes then answers it.
                HANDSHAKE if !mem::replace(&mut asked, true) => true,
                // The last one, Finished.
                HANDSHAKE if changed => {
                    go.wait();
                    true
                }
                HANDSHAKE => false,
                CHANGE_CIPHER_SPEC => {
                    changed = true;
                    false
                }
                _ => true,
            });
            up.join();
        });
        Relay { addr, armed, hello, released, _pumps: pumps }
    }

    fn app(&self, tls: TlsConfig) -> WebSocketApp {
        WebSocketApp::new(self.url()).tls(tls)
    }

    fn url(&self) -> String {
        format!("wss://localhost:{}/", self.addr.port())
    }
}

/// Passes on records, each together with those before for which `ends`, which is told their kinds,
/// was false.
fn pump(mut from: TcpStream, mut to: TcpStream, mut ends: impl FnMut(u8) -> bool) {
    from.set_read_timeout(Some(PATIENCE)).unwrap();
    to.set_nodelay(true).unwrap();
    let (mut records, mut head) = (Vec::new(), [0; 5]);
    while from.read_exact(&mut head).is_ok() {
        let start = records.len() + head.len();
        records.extend(head);
        records.resize(start + usize::from(u16::from_be_bytes([head[3], head[4]])), 0);
        if from.read_exact(&mut records[start..]).is_err() {
            break;
        }
        if ends(head[0]) {
            if to.write_all(&records).is_err() {
                break;
            }
            records.clear();
        }
    }
    let _gone_already = to.shutdown(Shutdown::Write);
}

/// Starts a server and a relay to it.
fn test(test: impl Fn(SServer, Relay, TlsConfig)) {
    if is_there("openssl") {
        let authority = Authority::new("the test's authority");
        let server = SServer::start(&authority, Kind::Right, &["-tls1_2"]);
        let relay = Relay::to(server.addr());
        test(server, relay, authority.trusted().backend(TlsBackend::NativeTls));
    }
}

#[test]
fn what_an_app_sends_meanwhile_goes_when_it_is_done() {
    test(|mut server, relay, tls| {
        let app = run(relay.app(tls));
        server.accept();
        app.expect_open();
        relay.armed.store(true, Ordering::SeqCst);
        server.ask_to_renegotiate();
        relay.hello.wait();
        app.sender.send("meanwhile").unwrap();
        assert!(app.sender.flush(Duration::from_millis(1)).is_err(), "it cannot be sent yet");
        relay.released.open();
        server.receives_text_of(9);
        server.says(&app, "afterwards");
        server.close(app);
    });
}

/// Connects a blocking client that receives on another thread, and has the server begin to
/// negotiate anew.
fn receiving(
    server: &mut SServer,
    relay: &Relay,
    builder: WebSocketBuilder,
) -> (Sender, Task<(WebSocket, OwnedMessage)>) {
    let connecting = Task::start("connect", move || builder.connect().unwrap());
    server.accept();
    let mut ws = connecting.join();
    let sender = ws.sender();
    relay.armed.store(true, Ordering::SeqCst);
    server.ask_to_renegotiate();
    let receiver = Task::start("recv", move || {
        let message = ws.recv().unwrap();
        (ws, message)
    });
    relay.hello.wait();
    (sender, receiver)
}

/// It is queued, and cannot be written for this long.
fn says_meanwhile(sender: &Sender, time: Duration) {
    let late = sender.send_timeout("meanwhile", time);
    assert!(matches!(late, Err(SendError::Unwritten { .. })), "{late:?}");
}

fn receives(mut server: SServer, receiver: Task<(WebSocket, OwnedMessage)>) {
    server.write(Frame::text("afterwards").encode());
    let (ws, message) = receiver.join();
    assert_eq!(message, Message::Text("afterwards"));
    drop(ws);
}

/// The socket has room all the time, so nothing tells of the queue but who reads.
#[test]
fn what_a_blocking_client_could_not_send_goes_when_another_thread_has_received_enough() {
    test(|mut server, relay, tls| {
        let (sender, receiver) =
            receiving(&mut server, &relay, WebSocket::builder(relay.url()).tls(tls));
        says_meanwhile(&sender, Duration::from_millis(1));
        relay.released.open();
        server.receives_text_of(9);
        receives(server, receiver);
    });
}

#[test]
fn what_a_blocking_client_sends_meanwhile_goes_while_another_thread_receives() {
    test(|mut server, relay, tls| {
        let (sender, receiver) =
            receiving(&mut server, &relay, WebSocket::builder(relay.url()).tls(tls));
        says_meanwhile(&sender, Duration::from_millis(1));
        let sends = Task::start("send", move || sender.send("and more"));
        relay.released.open();
        server.receives_text_of(9);
        server.receives_text_of(8);
        sends.join().unwrap();
        receives(server, receiver);
    });
}

/// To wait for room, which there is, would be no waiting.
#[cfg(unix)]
#[test]
fn a_blocking_client_sleeps_meanwhile() {
    test(|mut server, relay, tls| {
        let tcp = TcpStream::connect(relay.addr).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let looks = Arc::default();
        let watched = Watched { tcp, looks: Arc::clone(&looks) };
        let builder = WebSocket::builder(relay.url()).tls(tls).socket(watched);
        let (sender, receiver) = receiving(&mut server, &relay, builder);
        let before = looks.load(Ordering::SeqCst);
        says_meanwhile(&sender, Duration::from_millis(50));
        let times = looks.load(Ordering::SeqCst) - before;
        assert!(times < 10, "it has looked {times} times whether there is room");
        relay.released.open();
        server.receives_text_of(9);
        receives(server, receiver);
    });
}

/// Counts how often somebody begins to wait for it.
#[cfg(unix)]
struct Watched {
    tcp: TcpStream,
    looks: Arc<AtomicUsize>,
}

#[cfg(unix)]
impl Transport for Watched {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.tcp).read(buf)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        (&self.tcp).write(buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.tcp.shutdown(how)
    }
}

#[cfg(unix)]
impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.tcp.as_fd()
    }
}
