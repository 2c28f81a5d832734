//! What is below a TLS session: records that come in pieces, bytes that are no record, new keys
//! again and again, and messages whose records were written when the connection ended.

use std::io::{self, Read, Write};
use std::mem;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use websocket_app::{ClosedBy, Error, Phase, WebSocket};

use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::running::run;
use crate::tls::{Certificate, on_each, on_each_at_once};
use crate::watchdog::within;

/// What anybody on the way can write between the records: text, a record that was made with no key,
/// and two of them.
const GARBAGE: [&[u8]; 3] = [b"HTTP/1.1 400 Bad Request\r\n\r\n", FORGED, FORGED_TWICE];
const FORGED: &[u8] = FORGED_TWICE.split_at(FORGED_TWICE.len() / 2).0;
const FORGED_TWICE: &[u8] =
    b"\x17\x03\x03\x00\x14twenty bytes of it..\x17\x03\x03\x00\x14twenty bytes of it..";

/// The session is used once more after it failed, for our Close frame or its farewell: it is not to
/// be asked.
#[test]
fn bytes_that_are_no_record_end_one_connection() {
    on_each(|backend| {
        for garbage in GARBAGE {
            let peer = Peer::start_tls(backend, move |listener| {
                let mut client = listener.open();
                client.write_below_tls(garbage);
                client.stay_silent();
            });
            let app = run(peer.app());
            app.expect_open();
            app.expect_failure(Failure::Network(Phase::Open));
            app.expect_close(lost());
            app.end_given_up();
        }
    });
}

#[test]
fn bytes_that_are_no_record_end_a_blocking_connection() {
    on_each(|backend| {
        for garbage in GARBAGE {
            let peer = Peer::start_tls(backend, move |listener| {
                let mut client = listener.open();
                client.send(Frame::text("before"));
                client.write_below_tls(garbage);
                client.stay_silent();
            });
            let builder = WebSocket::builder(peer.url()).tls(peer.tls());
            within("recv", move || {
                let mut ws = builder.connect().unwrap();
                assert_eq!(ws.recv().unwrap(), websocket_app::Message::Text("before"));
                let broken = ws.recv();
                assert!(matches!(&broken, Err(Error::Network { .. })), "{broken:?}");
                assert!(ws.send("after it").is_err());
            });
        }
    });
}

/// A server's TCP connection, below TLS: what is written can be held back.
#[derive(Clone, Debug)]
struct Held {
    tcp: Arc<TcpStream>,
    /// What was written, while it is held back.
    back: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Read for Held {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.tcp).read(buf)
    }
}

impl Write for Held {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut *self.back.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(held) => held.write(buf),
            None => (&*self.tcp).write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Pings that are answered by a piece of one record each; the timeout is longer than any delay of a
/// busy machine, and shorter than all of them.
const PINGS: usize = 13;
const INTERVAL: Duration = Duration::from_millis(250);
const TIMEOUT: Duration = Duration::from_secs(2);

#[test]
fn a_peer_that_sends_one_record_slowly_is_alive() {
    on_each_at_once(|backend| {
        let (certificate, back) = (Certificate::new(), Arc::<Mutex<Option<Vec<u8>>>>::default());
        let held = Arc::clone(&back);
        let secure = certificate
            .secure_over(move |tcp| Held { tcp: Arc::new(tcp), back: Arc::clone(&held) });
        let peer = Peer::start_secured(&certificate, backend, secure, move |listener| {
            let hold = |held| {
                mem::replace(&mut *back.lock().unwrap_or_else(PoisonError::into_inner), held)
            };
            let mut client = listener.open();
            hold(Some(Vec::new()));
            client.send(Frame::text("x".repeat(10_000)));
            let record = hold(None).expect("it was held back");
            for piece in record.chunks(record.len().div_ceil(PINGS)) {
                client.expect_ping();
                client.write_below_tls(piece);
            }
            client.send(Frame::close(1000, ""));
            client.skip_to_close();
        });
        let app = run(peer.app().ping_interval(INTERVAL).ping_timeout(TIMEOUT));
        app.expect_open();
        app.expect_text(&"x".repeat(10_000));
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end_in_order();
    });
}

/// A server of rustls, of which a test has the session.
#[cfg(feature = "rustls")]
mod by_rustls {
    use std::sync::MutexGuard;

    use rustls::{ServerConnection, StreamOwned};
    use websocket_app::{SocketOptions, TlsBackend};

    use super::*;
    use crate::peer::Listener;

    #[derive(Clone, Default)]
    pub(super) struct Session(Arc<Mutex<Option<StreamOwned<ServerConnection, TcpStream>>>>);

    impl Session {
        fn with<T>(
            &self,
            work: impl FnOnce(&mut StreamOwned<ServerConnection, TcpStream>) -> T,
        ) -> T {
            let mut session: MutexGuard<'_, _> =
                self.0.lock().unwrap_or_else(PoisonError::into_inner);
            work(session.as_mut().expect("a client has connected"))
        }

        /// Asks for new keys so many times, without reading anything. Returns how many bytes that
        /// took, or why it could not be written.
        fn ask_for_new_keys(&self, times: usize) -> io::Result<usize> {
            self.with(|StreamOwned { conn, sock }| {
                (0..times).for_each(|_| conn.refresh_traffic_keys().unwrap());
                let mut bytes = 0;
                while conn.wants_write() {
                    bytes += conn.write_tls(sock)?;
                }
                Ok(bytes)
            })
        }
    }

    impl Read for Session {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.with(|session| session.read(buf))
        }
    }

    impl Write for Session {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.with(|session| session.write(buf))
        }

        fn flush(&mut self) -> io::Result<()> {
            self.with(|session| session.flush())
        }
    }

    /// A server that has one session at a time.
    pub(super) fn start(
        backend: TlsBackend,
        script: impl FnOnce(&Listener, &Session) + Send + 'static,
    ) -> Peer {
        let certificate = Certificate::new();
        let (config, session) = (Arc::new(certificate.rustls()), Session::default());
        let here = session.clone();
        let secure = Box::new(move |tcp| {
            let conn = ServerConnection::new(Arc::clone(&config)).unwrap();
            *here.0.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(StreamOwned::new(conn, tcp));
            Ok(Box::new(here.clone()) as Box<_>)
        });
        Peer::start_secured(&certificate, backend, secure, move |listener| {
            script(listener, &session);
        })
    }

    /// Each is answered, and the answers are not read: they must not pile up without a bound.
    #[test]
    fn a_peer_that_asks_for_new_keys_for_ever_and_reads_nothing_is_left() {
        /// Far more than sockets hold, and what is asked for at once.
        const MUCH: usize = 16 << 20;
        const AT_ONCE: usize = 100;
        on_each(|backend| {
            let peer = start(backend, |listener, session| {
                let mut client = listener.accept();
                client.shrink_buffer();
                client.upgrade();
                let mut asked = 0;
                while let Ok(bytes) = session.ask_for_new_keys(AT_ONCE) {
                    asked += bytes;
                    assert!(asked < MUCH, "the client has not had enough");
                }
            });
            let small = SocketOptions::new().send_buffer_size(1 << 14);
            let app = run(peer.app().socket_options(small));
            app.expect_open();
            app.expect_failure(Failure::Network(Phase::Open));
            app.expect_close(lost());
            app.end_given_up();
        });
    }
}

/// Messages that are kept until they are written, and a socket that is full until the peer has
/// ended its side, and has room again before ours is ended.
#[cfg(unix)]
mod written {
    use std::net::Shutdown;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use websocket_app::{Reconnect, Transport};

    use super::*;
    use crate::connection::Connection;
    use crate::recorder::Call;
    use crate::watchdog::{Gate, wait_until};

    const HOUR: Duration = Duration::from_secs(3600);
    const MESSAGES: u32 = 3000;
    const LENGTH: usize = 1000;

    /// Takes so many bytes, and all others when the peer has ended its side.
    struct Narrow {
        tcp: TcpStream,
        room: Arc<AtomicUsize>,
    }

    impl Transport for Narrow {
        fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
            let n = (&self.tcp).read(buf)?;
            if n == 0 {
                self.room.store(usize::MAX, Ordering::SeqCst);
            }
            Ok(n)
        }

        fn write(&self, buf: &[u8]) -> io::Result<usize> {
            let room = self.room.load(Ordering::SeqCst);
            if room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let n = (&self.tcp).write(&buf[..buf.len().min(room)])?;
            if room < usize::MAX {
                self.room.store(room - n, Ordering::SeqCst);
            }
            Ok(n)
        }

        fn shutdown(&self, how: Shutdown) -> io::Result<()> {
            self.tcp.shutdown(how)
        }
    }

    impl AsFd for Narrow {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.tcp.as_fd()
        }
    }

    fn message(number: u32) -> Vec<u8> {
        let mut message = number.to_be_bytes().to_vec();
        message.resize(LENGTH, 7);
        message
    }

    /// Reads messages to the end, which must be in order, and a pong. Returns how many were whole.
    fn read_whole(client: &mut Connection) -> u32 {
        let mut next = 0;
        while let Ok(frame) = client.try_read_frame() {
            if frame == Frame::pong("") {
                continue;
            }
            assert!(frame == Frame::binary(message(next)), "{next} was expected: {frame:?}");
            next += 1;
        }
        next
    }

    #[test]
    fn what_the_peer_has_read_whole_is_not_sent_again() {
        on_each(|backend| {
            for room in [100_000, 123_456, 1_000_000, 1_100_000, 2_000_000] {
                let (has_room, full) = (Gate::new(), Gate::new());
                let (go, is_full) = (has_room.clone(), full.clone());
                let peer = Peer::start_tls(backend, move |listener| {
                    let mut first = listener.open();
                    go.wait();
                    // To be answered: so there is something to be written.
                    first.send(Frame::ping(""));
                    is_full.wait();
                    first.end_stream();
                    let read = read_whole(&mut first);
                    drop(first);
                    let mut second = listener.open();
                    for number in read..MESSAGES {
                        let frame = second.read_frame();
                        assert!(
                            frame == Frame::binary(message(number)),
                            "{read} were read, {number} was expected: {:?}",
                            &frame.payload[..4]
                        );
                    }
                    second.close(1000, "");
                });
                let left = Arc::new(AtomicUsize::new(usize::MAX));
                let (room_left, mut connections) = (Arc::clone(&left), 0);
                let rooms = Mutex::new(move || {
                    connections += 1;
                    if connections == 1 {
                        Arc::clone(&room_left)
                    } else {
                        Arc::new(usize::MAX.into())
                    }
                });
                let app = peer
                    .app()
                    .connector(move |host, port, _| {
                        let room = rooms.lock().unwrap_or_else(PoisonError::into_inner)();
                        Ok(Narrow { tcp: TcpStream::connect((host, port))?, room })
                    })
                    .reconnect(Reconnect::fixed(Duration::from_millis(1)).max_attempts(2))
                    .queue_while_disconnected(1 << 30, HOUR);
                let app = run(app);
                app.expect_open();
                left.store(0, Ordering::SeqCst);
                (0..MESSAGES).for_each(|number| app.sender.send(message(number)).unwrap());
                left.store(room, Ordering::SeqCst);
                has_room.open();
                app.expect(Call::Ping(Vec::new()));
                wait_until("the socket is full", || left.load(Ordering::SeqCst) == 0);
                full.open();
                app.expect_failure(Failure::Network(Phase::Open));
                app.expect_close_for_now(lost());
                app.expect_reconnect();
                app.expect_close(clean(ClosedBy::Peer, 1000, ""));
                app.end_in_order();
            }
        });
    }
}
