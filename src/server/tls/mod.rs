//! [`ServerTls`]: who a server is in TLS; and the handshake of one connection, without waiting.
//!
//! The options are turned into an [`Acceptor`] before the server listens, so that what is wrong with
//! a certificate is the error of the run.

use std::fmt;
use std::path::PathBuf;
#[cfg(feature = "rustls")]
use std::sync::Arc;

use crate::error::Error;
use crate::tls::{Identity, Material, TlsBackend, TlsVersion};

#[cfg_attr(not(feature = "__tls"), path = "accept_none.rs")]
mod accept;

pub(super) use accept::{Acceptor, Secured, Securing};

/// The certificate of a server and its key, and what it asks of clients. Clients that come back
/// resume their sessions, however many they are: with tickets, which take the server no memory, and
/// which a replaced certificate makes worthless. Not where clients are asked for certificates:
/// these are looked at each time.
///
/// ```no_run
/// use websocket_app::server::{Server, ServerTls};
///
/// Server::new("0.0.0.0:443")
///     .tls(ServerTls::from_pem_files("fullchain.pem", "privkey.pem"))
///     .on_message(|client, message| client.send(message))
///     .run_forever()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[derive(Clone)]
#[cfg_attr(not(feature = "__tls"), allow(dead_code))]
pub struct ServerTls {
    identity: Who,
    min_version: TlsVersion,
    backend: Option<TlsBackend>,
    client_roots: Vec<Material>,
    clients_may_be_nobody: bool,
}

#[derive(Clone)]
#[cfg_attr(not(feature = "__tls"), allow(dead_code))]
enum Who {
    Identity(Identity),
    #[cfg(feature = "native-tls")]
    Native(native_tls::TlsAcceptor),
    #[cfg(feature = "rustls")]
    Rustls(Arc<rustls::ServerConfig>),
}

impl ServerTls {
    fn new(identity: Who) -> Self {
        ServerTls {
            identity,
            min_version: TlsVersion::default(),
            backend: None,
            client_roots: Vec::new(),
            clients_may_be_nobody: false,
        }
    }

    /// Takes the certificate with its chain, and its PKCS#8 key, from PEM files. They are read when
    /// the server is run, and when it is [replaced](super::ServerHandle::replace_tls).
    pub fn from_pem_files(certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (certificates, key) = (Material::File(certificates.into()), Material::File(key.into()));
        ServerTls::new(Who::Identity(Identity::Pem { certificates, key }))
    }

    /// The same from PEM texts.
    pub fn from_pem(certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let (certificates, key) =
            (Material::Bytes(certificates.into()), Material::Bytes(key.into()));
        ServerTls::new(Who::Identity(Identity::Pem { certificates, key }))
    }

    /// Takes both from a PKCS#12 archive. Needs `native-tls`: rustls reads none, and the error of the
    /// run then says how to make PEM of it.
    pub fn from_pkcs12(archive: impl Into<Vec<u8>>, password: impl Into<String>) -> Self {
        ServerTls::new(Who::Identity(Identity::Pkcs12 {
            archive: Material::Bytes(archive.into()),
            password: password.into(),
        }))
    }

    /// Uses a ready-made acceptor of `native-tls`, which then decides everything.
    #[cfg(feature = "native-tls")]
    pub fn native_tls(acceptor: native_tls::TlsAcceptor) -> Self {
        ServerTls::new(Who::Native(acceptor))
    }

    /// Uses a ready-made configuration of rustls, which then decides everything. What is the program's
    /// own in it, such as what finds a certificate for a name, runs on the thread that serves the
    /// clients, where none stands in for it: while it takes its time they all wait. A panic in it ends
    /// that client's connection.
    #[cfg(feature = "rustls")]
    pub fn rustls(config: impl Into<Arc<rustls::ServerConfig>>) -> Self {
        ServerTls::new(Who::Rustls(config.into()))
    }

    /// Refuses clients that speak only older versions. Defaults to TLS 1.2: those before it are
    /// retired (RFC 8996).
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Chooses the library that does TLS. Defaults to that of what is ready-made; else to rustls
    /// where that is compiled in and client certificates are asked for, which only it can; else to
    /// `native-tls` where that is compiled in; else to rustls.
    pub fn backend(mut self, backend: TlsBackend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Asks clients for a certificate that goes back to one of these roots, PEM or DER, and refuses
    /// those without one; [`Request::peer_certificate`](super::Request::peer_certificate) has it.
    /// Needs rustls. Defaults to none: clients are asked for nothing.
    pub fn client_roots(mut self, pem_or_der: impl Into<Vec<u8>>) -> Self {
        self.client_roots.push(Material::Bytes(pem_or_der.into()));
        self
    }

    /// The same from a file.
    pub fn client_roots_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.client_roots.push(Material::File(path.into()));
        self
    }

    /// Takes clients without a certificate too, where they are asked for one. Defaults to `false`.
    pub fn client_certificate_optional(mut self, optional: bool) -> Self {
        self.clients_may_be_nobody = optional;
        self
    }

    /// Checks what goes together, and makes what accepts connections.
    pub(super) fn acceptor(&self) -> Result<Acceptor, Error> {
        Acceptor::new(self)
    }
}

/// Shows what was chosen, and nothing of keys and passwords.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("min_version", &self.min_version)
            .field("backend", &self.backend)
            .field("client_roots", &self.client_roots.len())
            .finish_non_exhaustive()
    }
}
