//! Promises 4 and 5 over TLS: a certificate that is not trusted or for another name, silence, a
//! server without TLS.

use std::time::Duration;

use websocket_app::{ClosedBy, Phase, TlsBackend, TlsConfig, WebSocketApp};

use crate::connection::Connection;
use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::running::run;
use crate::tls::{Certificate, on_each, on_each_at_once};

/// Short, because it is waited for, and long enough for a TLS handshake before the silence.
const TIMEOUT: Duration = Duration::from_secs(2);

#[test]
fn a_trusted_certificate_opens() {
    on_each(|backend| {
        let certificate = Certificate::new();
        for tls in [certificate.trusted(), certificate.trusted_too()] {
            let peer = Peer::start_tls_as(&certificate, backend, |listener| {
                let mut client = listener.open();
                client.send(Frame::text("hidden"));
                client.close(1000, "");
            });
            let app = run(peer.app().tls(tls.backend(backend)));
            app.expect_open();
            app.expect_text("hidden");
            app.expect_close(clean(ClosedBy::Peer, 1000, ""));
            app.end_in_order();
        }
    });
}

#[test]
fn the_handshake_says_what_tls_came_to() {
    on_each(|backend| {
        let certificate = Certificate::new();
        let peer = Peer::start_tls_as(&certificate, backend, |listener| {
            listener.open().close(1000, "");
        });
        let url = peer.url();
        let with_secrets = format!("{}?token=secret", url.replace("wss://", "wss://user:secret@"));
        let app = WebSocketApp::new(with_secrets).tls(certificate.trusted().backend(backend));
        let app = run(app);
        app.expect_open();
        let handshake = app.sender.handshake().unwrap();
        assert_eq!(handshake.url(), url);
        assert_eq!(handshake.peer_certificate(), Some(&*certificate.der()));
        let told = (handshake.tls_version(), handshake.tls_cipher());
        match backend {
            // The peer's library may not have the newest.
            TlsBackend::Rustls => assert!(
                matches!(told, (Some("TLSv1.3"), Some(suite)) if suite.starts_with("TLS_AES_"))
                    || matches!(told, (Some("TLSv1.2"), Some(suite)) if suite.starts_with("TLS_ECDHE_")),
                "{told:?}"
            ),
            _ => assert_eq!(told, (None, None)),
        }
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end_in_order();
    });
}

#[test]
fn a_certificate_that_nobody_trusts() {
    on_each(|backend| {
        let peer = Peer::start_tls(backend, |listener| listener.expect_no_agreement());
        let failure = failure(WebSocketApp::new(peer.url()).tls(TlsConfig::new().backend(backend)));
        assert!(matches!(&failure, Failure::Tls(why) if why.contains("localhost")), "{failure:?}");
    });
}

#[test]
fn a_certificate_for_another_name() {
    on_each(|backend| {
        let peer = Peer::start_tls(backend, |listener| listener.expect_no_agreement());
        let failure = failure(WebSocketApp::new(format!("wss://{}/", peer.addr())).tls(peer.tls()));
        assert!(matches!(failure, Failure::Tls(_)), "{failure:?}");
    });
}

#[test]
fn the_expected_name_and_the_dangers_can_be_chosen() {
    on_each(|backend| {
        let choices: [fn(TlsConfig, TlsBackend) -> TlsConfig; 3] = [
            |tls, _| tls.server_name("localhost"),
            |tls, _| tls.danger_accept_invalid_hostnames(true),
            |_, backend| {
                TlsConfig::new()
                    .backend(backend)
                    .danger_accept_invalid_certs(true)
                    .danger_accept_invalid_hostnames(true)
            },
        ];
        for choose in choices {
            let peer = Peer::start_tls(backend, |listener| listener.open().close(1000, ""));
            let app = run(WebSocketApp::new(format!("wss://{}/", peer.addr()))
                .tls(choose(peer.tls(), backend)));
            app.expect_open();
            app.expect_close(clean(ClosedBy::Peer, 1000, ""));
            app.end_in_order();
        }
    });
}

#[test]
fn any_name_is_not_any_certificate() {
    on_each(|backend| {
        let peer = Peer::start_tls(backend, |listener| listener.expect_no_agreement());
        let tls = TlsConfig::new().backend(backend).danger_accept_invalid_hostnames(true);
        let failure = failure(WebSocketApp::new(peer.url()).tls(tls));
        assert!(matches!(failure, Failure::Tls(_)), "{failure:?}");
    });
}

#[test]
fn silence_in_the_tls_handshake() {
    on_each_at_once(|backend| {
        let peer = Peer::start(|listener| listener.accept().stay_silent());
        let app = wss(&peer, backend).connect_timeout(TIMEOUT);
        assert_eq!(failure(app), Failure::Timeout(Phase::Tls, TIMEOUT));
    });
}

#[test]
fn silence_after_the_tls_handshake() {
    on_each_at_once(|backend| {
        let peer = Peer::start_tls(backend, |listener| listener.accept().stay_silent());
        assert_eq!(
            failure(peer.app().connect_timeout(TIMEOUT)),
            Failure::Timeout(Phase::Upgrade, TIMEOUT)
        );
    });
}

#[test]
fn a_reset_in_the_tls_handshake() {
    on_each(|backend| {
        let peer = Peer::start(|listener| {
            let mut client = listener.accept();
            client.read_something();
            client.reset();
        });
        assert_eq!(failure(wss(&peer, backend)), Failure::Network(Phase::Tls));
    });
}

#[test]
fn a_server_without_tls() {
    on_each(|backend| {
        let peer = Peer::start(|listener| {
            let mut client = listener.accept();
            client.read_something();
            client.write("HTTP/1.1 400 Bad Request\r\n\r\n");
            client.stay_silent();
        });
        let failure = failure(wss(&peer, backend));
        assert!(matches!(failure, Failure::Tls(_) | Failure::Upgrade(_)), "{failure:?}");
    });
}

#[test]
fn the_end_of_a_tls_stream_is_a_lost_connection() {
    on_each(|backend| {
        for ending in [drop, Connection::reset, |mut client: Connection| {
            client.write(&Frame::text("half").encode()[..3])
        }] {
            let peer = Peer::start_tls(backend, move |listener| ending(listener.open()));
            let app = run(peer.app());
            app.expect_open();
            app.expect_failure(Failure::Network(Phase::Open));
            app.expect_close(lost());
            app.end_given_up();
        }
    });
}

/// Talks TLS to a peer that does not.
fn wss(peer: &Peer, backend: TlsBackend) -> WebSocketApp {
    WebSocketApp::new(format!("wss://localhost:{}/", peer.addr().port()))
        .tls(peer.tls().backend(backend))
}

fn failure(app: WebSocketApp) -> Failure {
    let app = run(app);
    let failure = app.failure();
    app.expect_close(lost());
    app.end_given_up();
    failure
}
