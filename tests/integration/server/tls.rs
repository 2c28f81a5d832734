//! Servers over TLS, with each library: the same promises, and clients that mean harm before there is
//! a request.

use std::cell::RefCell;
use std::io::{Read, Write};
#[cfg(feature = "rustls")]
use std::net::SocketAddr;
use std::net::TcpStream;
#[cfg(feature = "rustls")]
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "rustls")]
use rustls::HandshakeKind;
use websocket_app::server::{Client, Server, ServerTls};
use websocket_app::{CallbackError, ClosedBy, Phase, TlsBackend, TlsVersion};

use super::serving::{A_MOMENT, STYLES, Serving, echoes, serve_as};
use super::visitor::{Visitor, request};
use crate::failure::{Failure, clean, lost, unanswered};
use crate::frame::Frame;
use crate::recorder::{Call, Recorder};
use crate::tls::{Certificate, on_each};
use crate::watchdog::{Gate, PATIENCE, wait_until};

fn identity(certificate: &Certificate, backend: TlsBackend) -> ServerTls {
    ServerTls::from_pem(certificate.pem(), certificate.key()).backend(backend)
}

/// Runs a test with each library and on each kind of server.
fn on_each_kind(
    hook: impl Fn(&Client, &Call) -> Result<(), CallbackError> + Clone + Send + Sync + 'static,
    test: impl Fn(&Certificate, Serving),
) {
    let certificate = Certificate::new();
    on_each(|backend| {
        for style in STYLES {
            println!("{style:?}");
            let tls = identity(&certificate, backend);
            test(&certificate, serve_as(style, |server| server.tls(tls), hook.clone()));
        }
    });
}

fn open(serving: &Serving, certificate: &Certificate) -> (Visitor, Recorder) {
    let mut visitor = Visitor::connect_tls(serving.addr(), certificate);
    visitor.upgrade(&request("/", ""));
    let calls = serving.next();
    calls.expect_open();
    (visitor, calls)
}

fn close(visitor: Visitor, calls: &Recorder) {
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
}

#[test]
fn messages_go_both_ways_and_closing_is_in_order() {
    let hook = |client: &Client, call: &Call| {
        assert!(client.request().is_tls());
        assert!(client.request().peer_certificate().is_none());
        match call {
            Call::Message(message) if *message == "close" => {
                client.close();
                Ok(())
            }
            _ => echoes(client, call),
        }
    };
    on_each_kind(hook, |certificate, serving| {
        let (mut visitor, calls) = open(&serving, certificate);
        visitor.echo("hello");
        calls.expect_text("hello");
        let large = vec![7; 1 << 20];
        visitor.send(Frame::binary(&large[..]));
        calls.expect_binary(&large);
        visitor.expect(Frame::binary(&large[..]));
        visitor.ping("ping");
        calls.expect(Call::Ping(b"ping".into()));
        close(visitor, &calls);
        calls.finish();

        let (mut visitor, calls) = open(&serving, certificate);
        visitor.text("close");
        calls.expect_text("close");
        visitor.answer_close(1000);
        calls.expect_close(clean(ClosedBy::Us, 1000, ""));
        calls.finish();
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    });
}

#[test]
fn each_violation_and_loss_ends_as_without_tls() {
    on_each_kind(echoes, |certificate, serving| {
        let (mut visitor, calls) = open(&serving, certificate);
        visitor.write(Frame::text("not masked").encode());
        visitor.expect_failed(1002);
        calls.expect_failure(Failure::Protocol(websocket_app::ProtocolError::UnmaskedFrame));
        calls.expect_close(unanswered());
        calls.finish();

        let (visitor, calls) = open(&serving, certificate);
        visitor.reset();
        calls.expect_failure(Failure::Network(Phase::Open));
        calls.expect_close(lost());
        calls.finish();

        let (visitor, calls) = open(&serving, certificate);
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        visitor.answer_close(1001);
        calls.expect_close(clean(ClosedBy::Us, 1001, ""));
        calls.finish();
        serving.ends();
    });
}

#[test]
fn a_slow_callback_costs_nobody_anything() {
    let certificate = Certificate::new();
    on_each(|backend| {
        let gate = Gate::new();
        let opens = gate.clone();
        let tls = identity(&certificate, backend);
        let serving = serve_as(
            super::serving::Style::Spawned,
            |server| server.tls(tls),
            move |client, call| {
                if *call == Call::text("work") {
                    opens.wait();
                }
                echoes(client, call)
            },
        );
        let (mut busy, calls) = open(&serving, &certificate);
        busy.text("work");
        calls.expect_text("work");
        busy.ping("mine");
        let (mut other, its_calls) = open(&serving, &certificate);
        other.echo("hello");
        its_calls.expect_text("hello");
        close(other, &its_calls);
        its_calls.finish();
        gate.open();
        busy.expect_text("work");
        calls.expect(Call::Ping(b"mine".into()));
        close(busy, &calls);
        calls.finish();
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    });
}

/// Broadcasts to clients that read, of more than a record, come whole and in order.
#[test]
fn broadcasts_come_whole_and_in_order() {
    on_each_kind(
        |_, _| Ok(()),
        |certificate, serving| {
            let mut clients: Vec<_> = (0..3).map(|_| open(&serving, certificate)).collect();
            let message = |i: u8| vec![i; 1 + 20_000 * usize::from(i % 3)];
            for i in 0..30 {
                assert_eq!(serving.handle().broadcast(message(i)).clients, 3);
            }
            for (visitor, _) in &mut clients {
                (0..30).for_each(|i| visitor.expect(Frame::binary(message(i))));
            }
            for (visitor, calls) in clients {
                close(visitor, &calls);
                calls.finish();
            }
            serving.handle().shutdown(1001, "", PATIENCE).unwrap();
            serving.ends();
        },
    );
}

/// What never becomes TLS is cut off at the deadline or before, and nobody waits for it.
#[test]
fn handshakes_that_come_to_nothing_are_cut_off() {
    let certificate = Certificate::new();
    on_each(|backend| {
        let tls = identity(&certificate, backend);
        let options = |server: Server| {
            server.tls(tls).handshake_timeout(Duration::from_secs(3)).max_connections(12)
        };
        let serving = serve_as(super::serving::Style::Spawned, options, echoes);
        let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
        let sent: [&[u8]; 6] = [
            b"",
            // The beginning of one.
            &hello,
            // A request without it.
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            // An alert.
            &[0x15, 3, 3, 0, 2, 2, 40],
            &[0xff; 100],
            // Records of nothing.
            &[0x16, 3, 3, 0, 0, 0x16, 3, 3, 0, 0],
        ];
        let mut all = Vec::new();
        for bytes in sent.iter().cycle().take(11) {
            let mut tcp = TcpStream::connect(serving.addr()).unwrap();
            tcp.set_read_timeout(Some(PATIENCE)).unwrap();
            let _over = tcp.write_all(bytes);
            all.push(tcp);
        }
        // Others are served meanwhile.
        let (mut visitor, calls) = open(&serving, &certificate);
        visitor.echo("hello");
        calls.expect_text("hello");
        for mut tcp in all {
            let mut rest = Vec::new();
            if let Err(error) = tcp.read_to_end(&mut rest) {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "not cut off");
            }
        }
        close(visitor, &calls);
        calls.finish();
        // All places are free again, a moment later.
        let clients = RefCell::new(Vec::new());
        wait_until("there are places", || {
            let next = Visitor::try_connect_tls(serving.addr(), &certificate);
            clients.borrow_mut().extend(next);
            clients.borrow().len() == 12
        });
        serving.handle().abort();
        drop(clients);
        serving.ends();
    });
}

/// Why a handshake fails is no use to who sees only a reset.
#[test]
fn one_that_still_talks_is_told_that_it_failed() {
    const ALERT: u8 = 21;

    let certificate = Certificate::new();
    on_each(|backend| {
        let tls = identity(&certificate, backend);
        let serving = serve_as(super::serving::Style::Spawned, |server| server.tls(tls), echoes);
        let mut tcp = TcpStream::connect(serving.addr()).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        // No beginning of a session, and more behind it than is read at once.
        let record: Vec<u8> = [0x17, 3, 3, 0x40, 0].into_iter().chain([0xff; 0x4000]).collect();
        let _over = tcp.write_all(&record.repeat(5)[..74_000]);
        let mut told = Vec::new();
        tcp.read_to_end(&mut told).expect("the stream ends in order");
        assert_eq!(told.first(), Some(&ALERT), "{told:?}");
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    });
}

/// Nor is more read of one that was refused than it may have said already.
#[test]
fn one_that_is_refused_and_goes_on_is_cut_off() {
    /// More than operating systems keep for a connection.
    const MOST: usize = 32 << 20;
    on_each_kind(echoes, |certificate, serving| {
        let mut visitor = Visitor::connect_tls(serving.addr(), certificate);
        visitor.write("GET / HTTP/3.7\r\n\r\n");
        assert_eq!(visitor.answer_head().status, 505);
        let piece = [0; 16 << 10];
        let taken = (0..).find(|_| visitor.try_write(piece).is_err()).expect("it has no end");
        assert!(taken * piece.len() < MOST, "{} KiB were taken", (taken * piece.len()) >> 10);
        let (visitor, calls) = open(&serving, certificate);
        close(visitor, &calls);
        calls.finish();
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    });
}

#[test]
fn shutdown_does_not_wait_for_handshakes() {
    on_each_kind(echoes, |certificate, serving| {
        let silent: Vec<_> = (0..3).map(|_| TcpStream::connect(serving.addr()).unwrap()).collect();
        // They were accepted before the next.
        let (visitor, calls) = open(&serving, certificate);
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        visitor.answer_close(1001);
        calls.expect_close(clean(ClosedBy::Us, 1001, ""));
        calls.finish();
        // Without any answer of theirs.
        serving.ends();
        drop(silent);
    });
}

#[test]
fn a_certificate_may_be_replaced_while_running() {
    let (old, new) = (Certificate::new(), Certificate::new());
    on_each(|backend| {
        let tls = identity(&old, backend);
        let serving = serve_as(super::serving::Style::Spawned, |server| server.tls(tls), echoes);
        let (mut stays, calls) = open(&serving, &old);
        serving.handle().replace_tls(&identity(&new, backend)).unwrap();
        // Those who are there stay, and who comes sees the new one.
        stays.echo("still here");
        calls.expect_text("still here");
        let (visitor, its_calls) = open(&serving, &new);
        close(visitor, &its_calls);
        its_calls.finish();
        assert!(Visitor::try_connect_tls(serving.addr(), &old).is_err());
        // One that cannot be used changes nothing.
        let bad = ServerTls::from_pem("nonsense", new.key()).backend(backend);
        assert!(serving.handle().replace_tls(&bad).is_err());
        let (visitor, its_calls) = open(&serving, &new);
        close(visitor, &its_calls);
        its_calls.finish();
        close(stays, &calls);
        calls.finish();
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    });
}

/// Before anybody is accepted, as with other options.
#[test]
fn an_identity_that_cannot_be_used_is_an_error() {
    let (one, other) = (Certificate::new(), Certificate::new());
    on_each(|backend| {
        let unusable = [
            ("nonsense", one.key()),
            ("", one.key()),
            (one.pem(), "nonsense"),
            (one.pem(), ""),
            (one.pem(), other.key()),
        ];
        for (certificates, key) in &unusable {
            let tls = ServerTls::from_pem(*certificates, *key).backend(backend);
            let error = match Server::new("127.0.0.1:0").tls(tls).spawn() {
                Err(error) => error.to_string(),
                Ok(server) => {
                    server.abort();
                    panic!("it is accepted with {backend:?}: {certificates:.20} {key:.20}");
                }
            };
            assert!(error.contains("ServerTls::from_pem"), "{error}");
            // Nothing of a key is shown.
            assert!(!error.contains("MIG"), "{error}");
        }
    });
}

#[test]
fn an_identity_in_files_is_called_by_its_option_and_file() {
    on_each(|backend| {
        let tls = ServerTls::from_pem_files("no/such.pem", "no/such-key.pem").backend(backend);
        let error = Server::new("127.0.0.1:0").tls(tls).spawn().map(|server| server.abort());
        let error = error.expect_err("there is no file").to_string();
        assert!(error.contains("ServerTls::from_pem_files, file no/such.pem"), "{error}");
    });
}

/// Where a library has not the version, that is said, and not that the certificate is no good.
#[test]
fn a_version_that_cannot_be_had_is_not_the_certificates_fault() {
    let certificate = Certificate::new();
    on_each(|backend| {
        let tls = identity(&certificate, backend).min_version(TlsVersion::Tls13);
        match Server::new("127.0.0.1:0").tls(tls).spawn() {
            // rustls has it, and so may native-tls some day.
            Ok(server) => server.abort(),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("ServerTls::min_version(Tls13)"), "{error}");
                assert!(error.contains("TlsBackend::Rustls"), "{error}");
            }
        }
        // And without a version it is the certificate's.
        let bad = ServerTls::from_pem(certificate.pem(), Certificate::new().key());
        let bad = bad.backend(backend).min_version(TlsVersion::Tls13);
        let error = Server::new("127.0.0.1:0").tls(bad).spawn().map(|server| server.abort());
        let error = error.expect_err("its key is another").to_string();
        assert!(error.contains("ServerTls::from_pem"), "{error}");
    });
}

/// A port where TLS is spoken says nothing to who has no place.
#[test]
fn one_connection_too_many_is_cut_off() {
    let certificate = Certificate::new();
    on_each(|backend| {
        let tls = identity(&certificate, backend);
        let options = |server: Server| server.tls(tls).max_connections(1);
        let serving = serve_as(super::serving::Style::Spawned, options, echoes);
        let (mut visitor, calls) = open(&serving, &certificate);
        assert!(Visitor::try_connect_tls(serving.addr(), &certificate).is_err());
        visitor.echo("still here");
        calls.expect_text("still here");
        close(visitor, &calls);
        calls.finish();
        wait_until("there is a place", || {
            std::thread::sleep(A_MOMENT / 10);
            Visitor::try_connect_tls(serving.addr(), &certificate).is_ok()
        });
        serving.handle().abort();
        serving.ends();
    });
}

/// Clients that come back at once, however many they are, shake hands without certificates.
#[cfg(feature = "rustls")]
#[test]
fn a_crowd_that_comes_back_resumes_its_sessions() {
    /// More than rustls keeps by itself.
    const CROWD: usize = 260;
    let certificate = Certificate::new();
    on_each(|backend| {
        let server = Server::new("127.0.0.1:0").tls(identity(&certificate, backend));
        let server = server.spawn().unwrap();
        let crowd: Vec<_> = (0..CROWD).map(|_| resuming(&certificate)).collect();
        let addr = server.local_addr().unwrap();
        for client in &crowd {
            assert_eq!(handshake(addr, client), HandshakeKind::Full, "{backend:?}");
        }
        // The first would be forgotten first.
        assert_eq!(handshake(addr, &crowd[0]), HandshakeKind::Resumed, "{backend:?}");
        server.abort();
        server.join().unwrap();
    });
}

#[cfg(feature = "rustls")]
fn resuming(certificate: &Certificate) -> Arc<rustls::ClientConfig> {
    resuming_with(certificate, rustls::DEFAULT_VERSIONS)
}

#[cfg(feature = "rustls")]
fn resuming_with(
    certificate: &Certificate,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<rustls::ClientConfig> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(versions).unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Opens a connection, and returns how its handshake was.
#[cfg(feature = "rustls")]
fn handshake(addr: SocketAddr, config: &Arc<rustls::ClientConfig>) -> HandshakeKind {
    let name = "localhost".try_into().unwrap();
    let session = rustls::ClientConnection::new(Arc::clone(config), name).unwrap();
    let tcp = TcpStream::connect(addr).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = rustls::StreamOwned::new(session, tcp);
    stream.write_all(request("/", "").as_bytes()).unwrap();
    // What the session is resumed with comes before the answer.
    stream.read_exact(&mut [0; 12]).unwrap();
    stream.conn.handshake_kind().expect("it is over")
}

/// What they show is looked at each time: a session that is resumed would have it from before.
#[cfg(feature = "rustls")]
#[test]
fn who_is_asked_for_a_certificate_resumes_nothing() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let certificate = Certificate::new();
        let tls = identity(&certificate, TlsBackend::Rustls);
        let tls = tls.client_roots(certificate.pem()).client_certificate_optional(true);
        let server = Server::new("127.0.0.1:0").tls(tls).spawn().unwrap();
        let client = resuming_with(&certificate, &[version]);
        for _ in 0..3 {
            let kind = handshake(server.local_addr().unwrap(), &client);
            assert_eq!(kind, HandshakeKind::Full, "{version:?}");
        }
        server.abort();
        server.join().unwrap();
    }
}
