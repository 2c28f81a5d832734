//! The scripted peer over TLS: a server side with a certificate made for the test, and the libraries for the client's.

use native_tls::{Identity, TlsAcceptor};
use websocket_app::{TlsBackend, TlsConfig};

use crate::peer::Secure;

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

/// A certificate for `localhost`: what a server does with it, and what a client needs to trust it.
pub(crate) fn server() -> (Secure, TlsConfig) {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (pem, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
    let acceptor = TlsAcceptor::new(Identity::from_pkcs8(pem.as_bytes(), key.as_bytes()).unwrap()).unwrap();
    let secure = move |tcp| match acceptor.accept(tcp) {
        Ok(stream) => Ok(Box::new(stream) as Box<_>),
        Err(e) => Err(format!("the client does not agree on TLS: {e}")),
    };
    (Box::new(secure), TlsConfig::new().root_certificate(pem))
}
