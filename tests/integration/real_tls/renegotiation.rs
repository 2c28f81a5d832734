//! A server that negotiates anew in the middle (RFC 5246 §7.4.1.1), as some do to ask for a certificate late: meanwhile
//! nothing may be sent, and nothing that is to be sent may get lost. TLS 1.2 with native-tls: rustls does not take part.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use socket2::SockRef;
use websocket_app::{Message, SendError, TlsBackend, TlsConfig, WebSocket, WebSocketApp};

use super::certificates::{Authority, Kind};
use super::openssl::SServer;
use super::program::is_there;
use crate::frame::Frame;
use crate::running::run;
use crate::watchdog::{Gate, PATIENCE, Task};

/// What a record carries (RFC 5246 §6.2.1). A handshake within a session is encrypted, but for this.
const HANDSHAKE: u8 = 22;

/// Passes records on between a client and a server, and keeps the server's answer to the new ClientHello back.
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
            let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let is_new = Arc::clone(&new);
            let up = Task::start("upwards", move || {
                pump(from_client, to_server, |kind| {
                    if kind == HANDSHAKE && is_new.load(Ordering::SeqCst) {
                        begun.open();
                    }
                });
            });
            let asked = AtomicU32::new(0);
            pump(server, client, |kind| {
                // The first one asks the client to begin, and what comes then answers it.
                if kind == HANDSHAKE && new.load(Ordering::SeqCst) && asked.fetch_add(1, Ordering::SeqCst) > 0 {
                    go.wait();
                }
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

/// Passes on record by record, each when `before`, which is told its kind, has returned.
fn pump(mut from: TcpStream, mut to: TcpStream, before: impl Fn(u8)) {
    from.set_read_timeout(Some(PATIENCE)).unwrap();
    to.set_nodelay(true).unwrap();
    let mut record = vec![0; 5];
    while from.read_exact(&mut record[..5]).is_ok() {
        let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
        record.resize(5 + length, 0);
        if from.read_exact(&mut record[5..]).is_err() {
            break;
        }
        before(record[0]);
        if to.write_all(&record).is_err() {
            break;
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

/// The socket has room all the time, so nothing tells the sender but who reads.
#[test]
fn what_a_blocking_client_sends_meanwhile_goes_while_another_thread_receives() {
    test(|mut server, relay, tls| {
        let builder = WebSocket::builder(relay.url()).tls(tls);
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
        let late = sender.send_timeout("meanwhile", Duration::from_millis(1));
        assert!(matches!(late, Err(SendError::Unwritten { .. })), "{late:?}");
        let sends = Task::start("send", move || sender.send("and more"));
        relay.released.open();
        server.receives_text_of(9);
        server.receives_text_of(8);
        sends.join().unwrap();
        server.write(Frame::text("afterwards").encode());
        let (ws, message) = receiver.join();
        assert_eq!(message, Message::Text("afterwards"));
        drop(ws);
    });
}
