//! Redirects from one TLS server to another: a redirect leads to no server that the program would
//! not trust by itself.

use websocket_app::{Error, Rejection, TlsBackend, TlsConfig, WebSocket};

use super::redirect;
use crate::peer::{Listener, Peer};
use crate::tls::{Certificate, on_each};
use crate::watchdog::within;

/// Two servers with one certificate, which is for `localhost`: the first sends the client to the
/// other.
struct Two {
    first: Peer,
    _other: Peer,
    tls: TlsConfig,
}

impl Two {
    /// The first goes by its name. The other one goes by its address, with this script.
    fn start(backend: TlsBackend, script: fn(&Listener)) -> Self {
        let certificate = Certificate::new();
        let other = Peer::start_tls_as(&certificate, backend, script);
        let to = format!("https://{}/", other.addr());
        let first =
            Peer::start_tls_as(&certificate, backend, move |listener| redirect(listener, &to));
        Two { first, _other: other, tls: certificate.trusted().backend(backend) }
    }

    /// Connects to the first by its name.
    fn connect(&self, tls: TlsConfig) -> Error {
        connect(self.first.url(), tls)
    }

    /// Connects to the first by its address.
    fn connect_by_address(&self, tls: TlsConfig) -> Error {
        connect(format!("wss://{}/", self.first.addr()), tls)
    }
}

fn connect(url: String, tls: TlsConfig) -> Error {
    let builder = WebSocket::builder(url).tls(tls).max_redirects(1);
    within("the client", move || builder.connect().err())
        .expect("the other server is not to be trusted")
}

fn is_not_trusted(error: &Error) {
    assert!(
        matches!(error, Error::Tls { .. }) && error.to_string().contains("127.0.0.1"),
        "{error:?}"
    );
}

fn not_followed(error: Error) -> Box<Rejection> {
    match error {
        Error::Rejected(rejection) if rejection.not_followed.is_some() => rejection,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_danger_that_is_accepted_for_one_origin_is_not_for_another() {
    on_each(|backend| {
        let two = Two::start(backend, Listener::expect_no_agreement);
        is_not_trusted(
            &two.connect(TlsConfig::new().backend(backend).danger_accept_invalid_certs(true)),
        );
        let two = Two::start(backend, Listener::expect_no_agreement);
        is_not_trusted(
            &two.connect_by_address(two.tls.clone().danger_accept_invalid_hostnames(true)),
        );
    });
}

#[test]
fn the_name_of_one_server_is_not_anothers() {
    on_each(|backend| {
        let two = Two::start(backend, Listener::expect_no_agreement);
        is_not_trusted(&two.connect_by_address(two.tls.clone().server_name("localhost")));
    });
}

#[test]
fn within_the_origin_all_of_it_counts() {
    on_each(|backend| {
        let peer = Peer::start_tls(backend, |listener| {
            redirect(listener, "/there");
            listener.open().answer_close();
        });
        let url = format!("wss://{}/", peer.addr());
        let tls = TlsConfig::new().backend(backend).danger_accept_invalid_certs(true);
        let builder = WebSocket::builder(url).tls(tls).max_redirects(1);
        within("the client", move || builder.connect().unwrap().close().unwrap());
    });
}

#[test]
fn a_pin_counts_everywhere() {
    on_each(|backend| {
        let other = Peer::start_tls(backend, Listener::expect_no_agreement);
        let to = other.url();
        let first = Peer::start(move |listener| redirect(listener, &to));
        let error = connect(first.url(), other.tls().pin(format!("sha256/{}=", "A".repeat(43))));
        assert!(
            matches!(error, Error::Tls { .. }) && error.to_string().contains("pinned"),
            "{error}"
        );
    });
}

/// It may have a client certificate, or accept anything: there is no telling.
#[test]
fn what_is_ready_made_goes_to_no_other_origin() {
    on_each(|backend| {
        let (first, other) =
            (Certificate::new(), Peer::start_tls(backend, Listener::saw_nobody_else));
        let to = other.url();
        let peer = Peer::start_tls_as(&first, backend, move |listener| redirect(listener, &to));
        let rejection = not_followed(connect(peer.url(), ready_made(&first, backend)));
        assert!(rejection.to_string().contains("to another origin"), "{rejection}");
        assert_eq!(rejection.headers.get("location"), Some(other.url().as_str()));
    });
}

fn ready_made(trusted: &Certificate, backend: TlsBackend) -> TlsConfig {
    match backend {
        #[cfg(feature = "native-tls")]
        TlsBackend::NativeTls => {
            let root = native_tls::Certificate::from_pem(trusted.pem().as_bytes()).unwrap();
            TlsConfig::new().native_tls(
                native_tls::TlsConnector::builder().add_root_certificate(root).build().unwrap(),
            )
        }
        #[cfg(feature = "rustls")]
        TlsBackend::Rustls => {
            use rustls::pki_types::{CertificateDer, pem::PemObject};
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
            let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
            let builder = rustls::ClientConfig::builder_with_provider(provider);
            let builder = builder
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots);
            TlsConfig::new().rustls(builder.with_no_client_auth())
        }
        other => panic!("{other:?} is not compiled in"),
    }
}
