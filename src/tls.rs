//! How `wss://` connections are secured: [`TlsConfig`]. A leaf: plain data, turned into a connector when a run begins.

use std::fmt;
use std::path::PathBuf;

/// What to trust and who to be in TLS.
///
/// Nothing is read or parsed before the run begins: a file that is missing or a certificate that is none is the error of
/// the run, before any socket is opened.
///
/// ```no_run
/// use websocket_app::{TlsConfig, WebSocketApp};
///
/// WebSocketApp::new("wss://intranet.example/")
///     .tls(TlsConfig::new().root_certificate_file("company-root.pem"))
///     .run_forever()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct TlsConfig {
    pub(crate) roots: Vec<Material>,
    pub(crate) only_these_roots: bool,
    pub(crate) identity: Option<Identity>,
    pub(crate) server_name: Option<String>,
    pub(crate) accept_invalid_certs: bool,
    pub(crate) accept_invalid_hostnames: bool,
    #[cfg(feature = "native-tls")]
    pub(crate) native_tls: Option<native_tls::TlsConnector>,
}

/// A certificate or key: its bytes, or the file they are in.
#[derive(Clone)]
// Without a TLS feature it is never read: `wss://` is refused before that.
#[cfg_attr(not(feature = "native-tls"), allow(dead_code))]
pub(crate) enum Material {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// Who this client is.
#[derive(Clone)]
#[cfg_attr(not(feature = "native-tls"), allow(dead_code))]
pub(crate) enum Identity {
    Pkcs12 { archive: Material, password: String },
    Pem { certificates: Material, key: Material },
}

impl TlsConfig {
    /// Trusts what the operating system trusts, and is nobody in particular.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts another root certificate, or several in one PEM text. PEM or DER, told apart by their first bytes.
    /// Defaults to none.
    pub fn root_certificate(mut self, pem_or_der: impl Into<Vec<u8>>) -> Self {
        self.roots.push(Material::Bytes(pem_or_der.into()));
        self
    }

    /// Trusts the root certificates in a file, PEM or DER. Defaults to none.
    pub fn root_certificate_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots.push(Material::File(path.into()));
        self
    }

    /// Trusts no root but those given here. Defaults to `false`: the operating system's roots too.
    pub fn only_these_roots(mut self, only: bool) -> Self {
        self.only_these_roots = only;
        self
    }

    /// Presents a client certificate from a PKCS#12 archive. Defaults to none.
    pub fn identity_pkcs12(mut self, archive: impl Into<Vec<u8>>, password: impl Into<String>) -> Self {
        self.identity = Some(Identity::Pkcs12 { archive: Material::Bytes(archive.into()), password: password.into() });
        self
    }

    /// Presents a client certificate from PEM texts: the certificate with its chain, and its PKCS#8 key.
    /// Defaults to none.
    pub fn identity_pem(mut self, certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let (certificates, key) = (Material::Bytes(certificates.into()), Material::Bytes(key.into()));
        self.identity = Some(Identity::Pem { certificates, key });
        self
    }

    /// Presents a client certificate from PEM files: the certificate with its chain, and its PKCS#8 key.
    /// Defaults to none.
    pub fn identity_pem_files(mut self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (certificates, key) = (Material::File(certificates.into()), Material::File(key.into()));
        self.identity = Some(Identity::Pem { certificates, key });
        self
    }

    /// Expects the certificate to be for this name, and asks for it by SNI, instead of the URL's host. Defaults to the
    /// URL's host.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Accepts any certificate at all: anyone on the way can then read and change everything. For tests only.
    /// Defaults to `false`.
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.accept_invalid_certs = accept;
        self
    }

    /// Accepts a trusted certificate for any name: any of its holders can then pose as the server. For tests only.
    /// Defaults to `false`.
    pub fn danger_accept_invalid_hostnames(mut self, accept: bool) -> Self {
        self.accept_invalid_hostnames = accept;
        self
    }

    /// Uses a ready-made connector, which then decides everything but the server's name. Setting roots, an identity or a
    /// `danger_` switch here as well is an error. Defaults to one made from the other options.
    #[cfg(feature = "native-tls")]
    pub fn native_tls(mut self, connector: native_tls::TlsConnector) -> Self {
        self.native_tls = Some(connector);
        self
    }
}

/// Shows what was chosen, and nothing of keys and passwords.
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("roots", &self.roots.len())
            .field("only_these_roots", &self.only_these_roots)
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .field("accept_invalid_certs", &self.accept_invalid_certs)
            .field("accept_invalid_hostnames", &self.accept_invalid_hostnames)
            .finish_non_exhaustive()
    }
}
