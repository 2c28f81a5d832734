//! TLS with parts of the program's own, which panic: no more than that client's connection ends.

use std::net::TcpStream;
use std::sync::Arc;

use native_tls::TlsConnector;
use rustls::ServerConfig;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ConnectionTrafficSecrets, Tls13CipherSuite};

use websocket_app::server::ServerTls;
use websocket_app::{ClosedBy, Phase};

use super::serving::{STYLES, Serving, echoes, serve_as};
use super::visitor::{Visitor, request};
use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::tls::Certificate;
use crate::watchdog::{PATIENCE, wait_until};

/// Finds the certificate for the right name, and panics at any other.
#[derive(Debug)]
struct OneName(Arc<CertifiedKey>);

impl ResolvesServerCert for OneName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        assert_eq!(hello.server_name(), Some("localhost"));
        Some(Arc::clone(&self.0))
    }
}

/// The length of a record that the cipher panics at, and of any longer one.
const TOO_LONG: usize = 5_000;

/// AES with 128 bits, for short records.
struct ShortRecords;

fn real() -> &'static Tls13CipherSuite {
    ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().expect("it is of TLS 1.3")
}

impl Tls13AeadAlgorithm for ShortRecords {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        real().aead_alg.encrypter(key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Short(real().aead_alg.decrypter(key, iv)))
    }

    fn key_len(&self) -> usize {
        real().aead_alg.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        real().aead_alg.extract_keys(key, iv)
    }
}

struct Short(Box<dyn MessageDecrypter>);

impl MessageDecrypter for Short {
    fn decrypt<'a>(
        &mut self,
        message: InboundOpaqueMessage<'a>,
        number: u64,
    ) -> Result<InboundPlainMessage<'a>, rustls::Error> {
        assert!(message.payload.len() < TOO_LONG, "the record is too long");
        self.0.decrypt(message, number)
    }
}

fn own_tls(certificate: &Certificate) -> ServerTls {
    let suite = Tls13CipherSuite {
        common: rustls::CipherSuiteCommon { ..real().common },
        hkdf_provider: real().hkdf_provider,
        aead_alg: &ShortRecords,
        quic: None,
    };
    let suite = rustls::SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)));
    let provider =
        Arc::new(CryptoProvider { cipher_suites: vec![suite], ..ring::default_provider() });
    let chain = CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(certificate.key().as_bytes()).unwrap();
    let certified = CertifiedKey::from_der(vec![chain], key, &provider).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(OneName(Arc::new(certified))));
    ServerTls::rustls(config)
}

/// A server with such TLS, on which one client is served before this is done and after.
fn on_each_kind(harm: impl Fn(&Certificate, &Serving)) {
    let certificate = Certificate::new();
    for style in STYLES {
        println!("{style:?}");
        let serving = serve_as(style, |server| server.tls(own_tls(&certificate)), echoes);
        let mut bystander = Visitor::connect_tls(serving.addr(), &certificate);
        bystander.upgrade(&request("/", ""));
        let calls = serving.next();
        calls.expect_open();
        harm(&certificate, &serving);
        bystander.echo("still here");
        calls.expect_text("still here");
        bystander.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    }
}

#[test]
fn a_certificate_resolver_that_panics_ends_no_more_than_a_handshake() {
    on_each_kind(|_, serving| {
        for count in 1..=3 {
            let tcp = TcpStream::connect(serving.addr()).unwrap();
            tcp.set_read_timeout(Some(PATIENCE)).unwrap();
            let connector = TlsConnector::builder().danger_accept_invalid_certs(true).build();
            let handshake = connector.unwrap().connect("another.example", tcp);
            assert!(handshake.is_err(), "there is no certificate of that name");
            wait_until("it is counted", || serving.handle().stats().refused == count);
        }
    });
}

#[test]
fn a_cipher_that_panics_ends_no_more_than_a_request() {
    on_each_kind(|certificate, serving| {
        let mut visitor = Visitor::connect_tls(serving.addr(), certificate);
        let padding = "x".repeat(TOO_LONG);
        visitor.write(request("/", &format!("X-Padding: {padding}\r\n")));
        visitor.stay_silent();
    });
}

#[test]
fn a_cipher_that_panics_ends_no_more_than_a_connection() {
    on_each_kind(|certificate, serving| {
        let mut visitor = Visitor::connect_tls(serving.addr(), certificate);
        visitor.upgrade(&request("/", ""));
        let calls = serving.next();
        calls.expect_open();
        visitor.send(Frame::binary([7; TOO_LONG]));
        visitor.stay_silent();
        calls.expect_failure(Failure::Network(Phase::Open));
        calls.expect_close(lost());
        calls.finish();
    });
}
