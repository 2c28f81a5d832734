use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use super::super::testing::tls::{Authority, BACKENDS};
use super::super::testing::{LONG, Server, dial, read_request, switching, text, wait_for_end};
use super::super::{Connected, Failure, Stream};
use crate::config::Config;
use crate::error::{Error, Phase};
use crate::tls::{TlsBackend, TlsConfig};

/// Opens the WebSocket and waits for the client's end.
fn accept(mut stream: impl Read + Write) {
    let head = switching(&read_request(&mut stream));
    stream.write_all(head.as_bytes()).unwrap();
    wait_for_end(&mut stream);
}

/// Connects to a server that has `host`'s certificate from `authority`, by `wss://` and `name`.
fn connect(
    authority: &Authority,
    host: &str,
    name: &str,
    config: &Config,
) -> Result<Connected, Failure> {
    let server = authority.certify(host).serve(accept);
    let result = dial(&format!("wss://{name}:{}/", server.port), config, LONG);
    // The server waits for the end of what was opened.
    if let Ok(connected) = &result {
        connected.stream.shutdown();
    }
    server.join(result)
}

fn with(tls: TlsConfig) -> Config {
    Config { tls, ..Config::default() }
}

/// Runs a test with each library.
pub(super) fn on_each(test: impl Fn(TlsBackend)) {
    for &backend in BACKENDS {
        println!("with {backend:?}");
        test(backend);
    }
}

/// Options that trust this authority and no other.
pub(super) fn trusting(authority: &Authority, backend: TlsBackend) -> Config {
    with(TlsConfig::new().backend(backend).root_certificate(authority.pem()).only_these_roots(true))
}

#[test]
fn a_trusted_server_opens_by_name_and_by_address() {
    on_each(|backend| {
        let authority = Authority::new();
        for name in ["localhost", "127.0.0.1"] {
            let connected = connect(&authority, name, name, &trusting(&authority, backend));
            assert!(connected.is_ok_and(|connected| connected.handshake.status() == 101), "{name}");
        }
    });
}

#[test]
fn a_certificate_that_is_not_trusted_says_why_and_what_to_do() {
    on_each(|backend| {
        let (authority, other) = (Authority::new(), Authority::new());
        for (host, config, says) in [
            ("127.0.0.1", trusting(&other, backend), "root_certificate_file"),
            ("127.0.0.1", with(TlsConfig::new().backend(backend)), "root_certificate_file"),
            ("example.com", trusting(&authority, backend), "it is not for `127.0.0.1`"),
        ] {
            let result = connect(&authority, host, "127.0.0.1", &config);
            assert!(matches!(result, Err(Failure::Error(Error::Tls { .. }))), "{says}");
            let error = text(result);
            assert!(
                error.contains("its certificate is not accepted") && error.contains(says),
                "{error}"
            );
        }
        let expired = authority.certify_until_2020("127.0.0.1").serve(accept);
        let error = text(expired.connect_tls(&trusting(&authority, backend)));
        assert!(error.contains("not accepted: certificate has expired"), "{error}");
    });
}

/// Its owner is not sent to look for another name.
#[test]
#[cfg(feature = "rustls")]
fn a_certificate_that_names_no_host_says_so() {
    let authority = Authority::new();
    let nameless = authority.certify_without_alternative_name("localhost").serve(accept);
    let config = trusting(&authority, TlsBackend::Rustls);
    let error = text(nameless.connect_tls(&config));
    assert!(error.contains("not accepted: name mismatch: it names no host"), "{error}");
    assert!(error.contains("subjectAltName") && !error.contains("server_name"), "{error}");
}

#[test]
fn options_change_what_is_accepted() {
    on_each(|backend| {
        let authority = Authority::new();
        let root = || TlsConfig::new().backend(backend).root_certificate(authority.der());
        for (host, tls) in [
            ("other.example", root().server_name("other.example")),
            ("other.example", root().danger_accept_invalid_hostnames(true)),
            (
                "other.example",
                TlsConfig::new()
                    .backend(backend)
                    .danger_accept_invalid_certs(true)
                    .danger_accept_invalid_hostnames(true),
            ),
            ("127.0.0.1", TlsConfig::new().backend(backend).danger_accept_invalid_certs(true)),
            (
                "127.0.0.1",
                root()
                    .root_certificate(Authority::new().pem() + &authority.pem())
                    .only_these_roots(true),
            ),
        ] {
            let shown = format!("{tls:?}");
            let connected = connect(&authority, host, "127.0.0.1", &with(tls));
            assert!(connected.is_ok(), "{host}, {shown}: {:?}", connected.err());
        }
    });
}

#[test]
#[cfg(feature = "native-tls")]
fn a_ready_made_native_tls_connector_is_used() {
    let authority = Authority::new();
    let mut ready_made = native_tls::TlsConnector::builder();
    ready_made.add_root_certificate(native_tls::Certificate::from_der(&authority.der()).unwrap());
    let tls = TlsConfig::new().native_tls(ready_made.build().unwrap()).server_name("other.example");
    assert!(connect(&authority, "other.example", "127.0.0.1", &with(tls)).is_ok());
}

#[test]
#[cfg(feature = "rustls")]
fn a_ready_made_rustls_configuration_is_used() {
    let authority = Authority::new();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().into()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let ready_made = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let ready_made = ready_made.with_root_certificates(roots).with_no_client_auth();
    let tls = TlsConfig::new().rustls(ready_made).server_name("other.example");
    assert!(connect(&authority, "other.example", "127.0.0.1", &with(tls)).is_ok());
}

#[test]
fn a_server_without_tls_is_told_by_its_answer() {
    on_each(|backend| {
        let server = Server::start(|mut stream| {
            let _ = stream.read(&mut [0; 1024]);
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        });
        let error = text(server.connect_tls(&with(TlsConfig::new().backend(backend))));
        assert!(
            error.contains("does not speak TLS on this port") && error.contains("ws://"),
            "{error}"
        );
    });
}

#[test]
fn a_server_that_hangs_up_is_a_network_error_of_the_tls_handshake() {
    on_each(|backend| {
        let server = Server::start(|mut stream| {
            // All of it, or the end would be a reset.
            let mut header = [0; 5];
            stream.read_exact(&mut header).unwrap();
            let mut hello = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
            stream.read_exact(&mut hello).unwrap();
        });
        let result = server.connect_tls(&with(TlsConfig::new().backend(backend)));
        assert!(matches!(result, Err(Failure::Error(Error::Network { phase: Phase::Tls, .. }))));
        assert!(text(result).contains("hung up without an answer"));
        let reset = Server::start(|mut stream| {
            // Closing with unread bytes is a reset.
            stream.read_exact(&mut [0]).unwrap();
        });
        let result = reset.connect_tls(&with(TlsConfig::new().backend(backend)));
        assert!(matches!(result, Err(Failure::Error(Error::Network { phase: Phase::Tls, .. }))));
    });
}

#[test]
fn a_tls_server_on_a_ws_url_is_told_by_its_answer() {
    let authority = Authority::new();
    let error = text(authority.certify("127.0.0.1").serve(accept).connect(&Config::default()));
    assert!(error.contains("wss://"), "{error}");
}

#[test]
fn nothing_stays_hidden_in_the_session() {
    on_each(|backend| {
        const FRAMES: usize = 100_000;
        let authority = Authority::new();
        let server = authority.certify("127.0.0.1").serve(|mut stream| {
            // Head and frames as one write, so that a record begins with the one and ends with the
            // other.
            let mut bytes = switching(&read_request(&mut stream)).into_bytes();
            bytes.extend(pattern(FRAMES));
            stream.write_all(&bytes).unwrap();
            wait_for_end(&mut stream);
        });
        let url = format!("wss://127.0.0.1:{}/", server.port);
        let Connected { mut stream, leftover: mut bytes, .. } =
            dial(&url, &trusting(&authority, backend), LONG)
                .unwrap_or_else(|failure| panic!("{failure:?}"));
        assert!(!bytes.is_empty(), "the first record had frames");
        // Driven by events alone: what the session hid, none would tell of.
        drive(&mut stream, |stream| {
            let mut buf = [0; 5_000];
            match stream.read(&mut buf) {
                Ok(n) => bytes.extend_from_slice(&buf[..n]),
                Err(error) => return Err(error),
            }
            Ok(bytes.len() >= FRAMES)
        });
        assert_eq!(bytes, pattern(FRAMES));
        drop(stream);
        server.join(());
    });
}

#[test]
fn what_is_written_in_pieces_arrives_whole_and_an_end_without_close_notify_is_an_end() {
    on_each(|backend| {
        const LENGTH: usize = 8 << 20;
        let authority = Authority::new();
        let server = authority.certify("127.0.0.1").serve(|mut stream| {
            let head = switching(&read_request(&mut stream));
            stream.write_all(head.as_bytes()).unwrap();
            let mut received = vec![0; LENGTH];
            stream.read_exact(&mut received).unwrap();
            assert!(received == pattern(LENGTH));
            // Hangs up without a word of TLS.
            stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
            wait_for_end(stream.get_mut());
        });
        let url = format!("wss://127.0.0.1:{}/", server.port);
        let mut stream = dial(&url, &trusting(&authority, backend), LONG)
            .unwrap_or_else(|failure| panic!("{failure:?}"))
            .stream;
        let (bytes, mut written) = (pattern(LENGTH), 0);
        drive(&mut stream, |stream| {
            written += stream.write(&bytes[written..])?;
            Ok(written == LENGTH)
        });
        drive(&mut stream, |stream| Ok(stream.read(&mut [0; 100])? == 0));
        drop(stream);
        server.join(());
    });
}

#[test]
fn an_end_behind_the_last_bytes_needs_no_event() {
    on_each(|backend| {
        let authority = Authority::new();
        let (told, all_is_there) = mpsc::channel();
        let server = authority.certify("127.0.0.1").serve(move |mut stream| {
            let head = switching(&read_request(&mut stream));
            stream.write_all(head.as_bytes()).unwrap();
            stream.read_exact(&mut [0; 2]).unwrap();
            stream.write_all(b"the last bytes").unwrap();
            // Of TLS, and not of TCP: the socket stays open both ways.
            stream.shutdown().unwrap();
            told.send(()).unwrap();
            wait_for_end(stream.get_mut());
        });
        let url = format!("wss://127.0.0.1:{}/", server.port);
        let stream = dial(&url, &trusting(&authority, backend), LONG)
            .unwrap_or_else(|failure| panic!("{failure:?}"));
        let stream = stream.stream;
        let mut buf = [0; 100];
        while stream.has_more() {
            assert_eq!(stream.read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(stream.write(b"go").unwrap(), 2);
        all_is_there.recv_timeout(LONG).unwrap();
        let n = stream.read(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"the last bytes");
        assert!(stream.has_more(), "who waits for an event now waits for nothing");
        assert_eq!(stream.read(&mut buf).unwrap(), 0);
        drop(stream);
        server.join(());
    });
}

#[test]
fn a_short_read_has_taken_all_there_was() {
    on_each(|backend| {
        // What a socket takes before anybody reads.
        const LENGTH: usize = 60_000;
        let authority = Authority::new();
        let (told, all_is_there) = mpsc::channel();
        let server = authority.certify("127.0.0.1").serve(move |mut stream| {
            let head = switching(&read_request(&mut stream));
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&pattern(LENGTH)).unwrap();
            told.send(()).unwrap();
            wait_for_end(&mut stream);
        });
        let url = format!("wss://127.0.0.1:{}/", server.port);
        let Connected { stream, leftover, .. } = dial(&url, &trusting(&authority, backend), LONG)
            .unwrap_or_else(|failure| panic!("{failure:?}"));
        all_is_there.recv_timeout(LONG).unwrap();
        // Buffers that end within records, at their end, and beyond: as long as each comes back
        // full, there may be more.
        let mut received = leftover;
        for size in [1, 100, 16 << 10, 1000, 5000, 7, 256 << 10] {
            let mut buf = vec![0; size];
            let n = stream.read(&mut buf).unwrap();
            received.extend_from_slice(&buf[..n]);
            assert_eq!(n == size, stream.has_more(), "{n} of {size}");
        }
        assert!(received == pattern(LENGTH));
        assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(stream);
        server.join(());
    });
}

/// Otherwise a proxy's head, which is read so, would cost the square of its length.
#[test]
fn what_waits_stays_in_its_place_while_it_is_read_byte_by_byte() {
    on_each(|backend| {
        const LENGTH: usize = 60_000;
        let authority = Authority::new();
        let (told, all_is_there) = mpsc::channel();
        let server = authority.certify("127.0.0.1").serve(move |mut stream| {
            let head = switching(&read_request(&mut stream));
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&pattern(LENGTH)).unwrap();
            told.send(()).unwrap();
            wait_for_end(&mut stream);
        });
        let url = format!("wss://127.0.0.1:{}/", server.port);
        let Connected { stream, leftover: mut received, .. } =
            dial(&url, &trusting(&authority, backend), LONG)
                .unwrap_or_else(|failure| panic!("{failure:?}"));
        all_is_there.recv_timeout(LONG).unwrap();
        let read_byte = |received: &mut Vec<u8>| {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1);
            received.extend(byte);
        };
        read_byte(&mut received);
        let place = stream.layer().unwrap().waiting();
        assert!(place.start < place.end, "more than one record has come");
        while received.len() + (16 << 10) < LENGTH {
            read_byte(&mut received);
            assert_eq!(stream.layer().unwrap().waiting().end, place.end);
        }
        assert_eq!(received, pattern(received.len()));
        drop(stream);
        server.join(());
    });
}

/// Each is encrypted with the next number.
#[test]
fn what_the_library_says_goes_out_before_what_is_encrypted_after_it() {
    const ALERT_IN_THE_CLEAR: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];
    on_each(|backend| {
        for then in ["write", "read", "shutdown"] {
            let authority = Authority::new();
            let server = authority.certify("127.0.0.1").serve(|mut stream| {
                let head = switching(&read_request(&mut stream));
                stream.write_all(head.as_bytes()).unwrap();
                let error = stream.read(&mut [0; 1]).expect_err("the alert comes first");
                assert_ne!(error.kind(), ErrorKind::WouldBlock, "nothing came");
            });
            let url = format!("wss://127.0.0.1:{}/", server.port);
            let connected = dial(&url, &trusting(&authority, backend), LONG);
            let stream = connected.unwrap_or_else(|failure| panic!("{failure:?}")).stream;
            stream.layer().unwrap().has_said(&ALERT_IN_THE_CLEAR);
            match then {
                "write" => assert_eq!(stream.write(b"x").unwrap(), 1),
                "read" => {
                    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock)
                }
                _ => stream.shutdown(),
            }
            server.join(stream);
        }
    });
}

/// Its library is not asked what it makes of that.
#[test]
fn what_comes_after_our_farewell_is_thrown_away_and_nothing_can_be_written() {
    on_each(|backend| {
        let authority = Authority::new();
        let server = authority.certify("127.0.0.1").serve(|mut stream| {
            let head = switching(&read_request(&mut stream));
            stream.write_all(head.as_bytes()).unwrap();
            assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
            stream.get_mut().write_all(b"this is no record of TLS").unwrap();
        });
        let url = format!("wss://127.0.0.1:{}/", server.port);
        let connected = dial(&url, &trusting(&authority, backend), LONG);
        let mut stream = connected.unwrap_or_else(|failure| panic!("{failure:?}")).stream;
        stream.shutdown();
        assert_eq!(stream.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        drive(&mut stream, |stream| match stream.read(&mut [0; 100]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
            read => read.map(|n| n == 0),
        });
        server.join(stream);
    });
}

#[test]
fn reading_and_writing_need_no_exclusive_access() {
    fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<Stream>();
    crosses_threads::<super::super::Target>();
    crosses_threads::<super::super::Cancel>();
}

/// Calls `step` until it says that it is done, and waits for an event whenever it would block.
pub(super) fn drive(stream: &mut Stream, mut step: impl FnMut(&Stream) -> std::io::Result<bool>) {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(8);
    stream.register(poll.registry(), Token(0), Interest::READABLE | Interest::WRITABLE).unwrap();
    loop {
        match step(stream) {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll.poll(&mut events, Some(LONG)).unwrap();
                assert!(!events.is_empty(), "no event for {LONG:?}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    stream.deregister(poll.registry()).unwrap();
}

/// Bytes that differ from their neighbours, so that a lost or repeated piece shows.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

impl Server {
    fn connect_tls(self, config: &Config) -> Result<Connected, Failure> {
        let result =
            dial(&format!("wss://127.0.0.1:{}/", self.port), config, Duration::from_secs(20));
        self.join(result)
    }
}
