//! Certificates made on the spot, and a scripted server that speaks TLS.

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use native_tls::{TlsAcceptor, TlsStream};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PublicKeyData,
    date_time_ymd,
};

use super::Server;
use crate::tls::TlsBackend;

/// The libraries that are compiled in: a test of TLS is run with each.
pub(crate) const BACKENDS: &[TlsBackend] = &[
    #[cfg(feature = "native-tls")]
    TlsBackend::NativeTls,
    #[cfg(feature = "rustls")]
    TlsBackend::Rustls,
];

/// A root of trust of our own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate that an [`Authority`] gave, and its key.
pub(crate) struct Certified {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // A name of its own, or its certificates would count as signed by themselves, or by another
        // authority.
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("authority {}", MADE.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// The certificate's SubjectPublicKeyInfo.
    pub(crate) fn public_key_info(&self) -> Vec<u8> {
        self.0.key().subject_public_key_info()
    }

    pub(crate) fn certify(&self, name: &str) -> Certified {
        self.sign(CertificateParams::new([name.to_owned()]).unwrap())
    }

    pub(crate) fn certify_until_2020(&self, name: &str) -> Certified {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    /// One that names the host as `CN` alone, as old instructions have it.
    #[cfg(feature = "rustls")]
    pub(crate) fn certify_without_alternative_name(&self, name: &str) -> Certified {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        Certified {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Certified {
    /// A server with this certificate. Where the handshake fails, the script is not run.
    pub(crate) fn serve(
        &self,
        script: impl FnOnce(TlsStream<TcpStream>) + Send + 'static,
    ) -> Server {
        let identity =
            native_tls::Identity::from_pkcs8(self.certificate.as_bytes(), self.key.as_bytes())
                .unwrap();
        let acceptor = TlsAcceptor::new(identity).unwrap();
        Server::start(move |tcp| {
            // What was written is on its way.
            tcp.set_nodelay(true).unwrap();
            if let Ok(stream) = acceptor.accept(tcp) {
                script(stream);
            }
        })
    }
}
