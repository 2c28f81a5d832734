//! The scripted peer over TLS: a server side with a certificate made for the test, and the
//! libraries for the client's.

use std::fmt;
use std::net::TcpStream;

use native_tls::{Identity, TlsAcceptor};
use websocket_app::{TlsBackend, TlsConfig};

use crate::connection::Io;
use crate::peer::Secure;
#[cfg(feature = "__tls")]
use crate::watchdog::at_once;

/// The libraries that are compiled in: what has to do with TLS is tested with each.
pub(crate) const BACKENDS: &[TlsBackend] = &[
    #[cfg(feature = "native-tls")]
    TlsBackend::NativeTls,
    #[cfg(feature = "rustls")]
    TlsBackend::Rustls,
];

/// Runs a test with each library.
pub(crate) fn on_each(test: impl Fn(TlsBackend)) {
    for &backend in BACKENDS {
        println!("with {backend:?}");
        test(backend);
    }
}

/// Runs a test with each library at the same time, where most of it is waiting.
#[cfg(feature = "__tls")]
pub(crate) fn on_each_at_once(test: impl Fn(TlsBackend) + Sync) {
    at_once(BACKENDS, |&backend| {
        println!("with {backend:?}");
        test(backend);
    });
}

/// A certificate for `localhost`, signed by itself, and its key.
pub(crate) struct Certificate {
    pem: String,
    key: String,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Certificate { pem: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    #[cfg(all(feature = "__tls", feature = "server"))]
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    #[cfg(feature = "__tls")]
    pub(crate) fn der(&self) -> Vec<u8> {
        native_tls::Certificate::from_pem(self.pem.as_bytes()).unwrap().to_der().unwrap()
    }

    /// What a server does with it.
    pub(crate) fn secure(&self) -> Secure {
        self.secure_over(|tcp| tcp)
    }

    /// The same over what is made of the TCP connection.
    pub(crate) fn secure_over<T: Io + fmt::Debug + 'static>(
        &self,
        below: impl Fn(TcpStream) -> T + Send + 'static,
    ) -> Secure {
        let identity = Identity::from_pkcs8(self.pem.as_bytes(), self.key.as_bytes()).unwrap();
        let acceptor = TlsAcceptor::new(identity).unwrap();
        Box::new(move |tcp| match acceptor.accept(below(tcp)) {
            Ok(stream) => Ok(Box::new(stream) as Box<_>),
            Err(e) => Err(format!("the client does not agree on TLS: {e}")),
        })
    }

    /// What a server of rustls does with it, by TLS 1.3.
    #[cfg(feature = "rustls")]
    pub(crate) fn rustls(&self) -> rustls::ServerConfig {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let chain = vec![CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()];
        rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap())
            .unwrap()
    }

    /// What a client needs to trust it, and it alone: reading the system's roots would be most of
    /// the work of most tests.
    pub(crate) fn trusted(&self) -> TlsConfig {
        TlsConfig::new().root_certificate(self.pem.as_str()).only_these_roots(true)
    }

    /// What a client needs to trust it beside the system's roots.
    #[cfg(feature = "__tls")]
    pub(crate) fn trusted_too(&self) -> TlsConfig {
        TlsConfig::new().root_certificate(self.pem.as_str())
    }
}
