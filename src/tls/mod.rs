//! How `wss://` connections are secured: [`TlsConfig`]. A leaf: plain data, turned into a connector
//! when a run begins.

#[cfg(feature = "__tls")]
pub(crate) mod material;

use std::fmt;
use std::path::PathBuf;
#[cfg(feature = "rustls")]
use std::sync::Arc;

use crate::error::Error;

/// What to trust and who to be in TLS: [in the manual](crate::manual::_10_tls), what each option is
/// for.
///
/// Nothing is read or parsed before the run begins: a file that is missing or a certificate that is
/// none is the error of the run, before any socket is opened. Every option means the same with
/// either library ([`TlsBackend`]); what one of them cannot do is an error of that kind too, and
/// says which can.
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
#[must_use]
pub struct TlsConfig {
    pub(crate) roots: Vec<Material>,
    pub(crate) only_these_roots: bool,
    pub(crate) identity: Option<Identity>,
    pub(crate) server_name: Option<String>,
    pub(crate) accept_invalid_certs: bool,
    pub(crate) accept_invalid_hostnames: bool,
    pub(crate) min_version: TlsVersion,
    pub(crate) pins: Vec<String>,
    pub(crate) bundled_roots: bool,
    pub(crate) key_log: Option<PathBuf>,
    pub(crate) backend: Option<TlsBackend>,
    #[cfg(feature = "native-tls")]
    pub(crate) native_tls: Option<native_tls::TlsConnector>,
    #[cfg(feature = "rustls")]
    pub(crate) rustls: Option<Arc<rustls::ClientConfig>>,
}

/// The library that does TLS.
///
/// Both are always known by name; choosing one that is not compiled in is an error that names the
/// feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsBackend {
    /// `native-tls`: the operating system's library, OpenSSL, Schannel or Security.framework
    /// (feature `native-tls`).
    NativeTls,
    /// rustls, which is written in Rust and the same everywhere, with ring's cryptography (feature
    /// `rustls`). It trusts the operating system's roots, as the other one does.
    Rustls,
}

#[cfg(feature = "native-tls")]
impl TlsConfig {
    /// Returns whether it asks nothing of native-tls that it does not do by itself. Pins and the
    /// name are checked per connection.
    pub(crate) fn is_plain(&self) -> bool {
        let TlsConfig {
            roots,
            only_these_roots,
            identity,
            accept_invalid_certs,
            accept_invalid_hostnames,
            ..
        } = self;
        let options = *only_these_roots || *accept_invalid_certs || *accept_invalid_hostnames;
        let others = self.bundled_roots
            || self.key_log.is_some()
            || self.min_version != TlsVersion::default();
        roots.is_empty() && identity.is_none() && !options && !others
    }
}

impl TlsBackend {
    /// The feature that brings it, which has its name.
    pub(crate) fn feature(self) -> &'static str {
        match self {
            TlsBackend::NativeTls => "native-tls",
            TlsBackend::Rustls => "rustls",
        }
    }
}

/// Shows its crate's name.
///
/// ```
/// assert_eq!(websocket_app::TlsBackend::NativeTls.to_string(), "native-tls");
/// ```
impl fmt::Display for TlsBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.feature())
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// Shows it as [`Handshake::tls_version`](crate::Handshake::tls_version) does.
///
/// ```
/// assert_eq!(websocket_app::TlsVersion::Tls13.to_string(), "TLSv1.3");
/// ```
impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TlsVersion::Tls12 => "TLSv1.2",
            TlsVersion::Tls13 => "TLSv1.3",
        })
    }
}

/// A certificate or key: its bytes, or the file they are in.
#[derive(Clone)]
// Without a TLS feature it is never read: `wss://` is refused before that.
#[cfg_attr(not(feature = "__tls"), allow(dead_code))]
pub(crate) enum Material {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// Who this client is.
#[derive(Clone)]
// Rustls reads no archives, so it needs no password.
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

    /// Trusts another root certificate, or several in one PEM text. PEM or DER, told apart by their
    /// first bytes. Defaults to none.
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
    pub fn identity_pkcs12(
        mut self,
        archive: impl Into<Vec<u8>>,
        password: impl Into<String>,
    ) -> Self {
        self.identity = Some(Identity::Pkcs12 {
            archive: Material::Bytes(archive.into()),
            password: password.into(),
        });
        self
    }

    /// Presents a client certificate from PEM texts: the certificate with its chain, and its PKCS#8
    /// key. Defaults to none.
    pub fn identity_pem(
        mut self,
        certificates: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        let (certificates, key) =
            (Material::Bytes(certificates.into()), Material::Bytes(key.into()));
        self.identity = Some(Identity::Pem { certificates, key });
        self
    }

    /// Presents a client certificate from PEM files: the certificate with its chain, and its PKCS#8
    /// key. Defaults to none.
    pub fn identity_pem_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let (certificates, key) = (Material::File(certificates.into()), Material::File(key.into()));
        self.identity = Some(Identity::Pem { certificates, key });
        self
    }

    /// Expects the certificate to be for this name, and asks for it by SNI, instead of the URL's
    /// host. Defaults to the URL's host.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Accepts any certificate at all: anyone on the way can then read and change everything. For
    /// tests only. A redirect does not take it along to another origin. Defaults to `false`.
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.accept_invalid_certs = accept;
        self
    }

    /// Accepts a trusted certificate for any name: any of its holders can then pose as the server.
    /// For tests only. A redirect does not take it along to another origin. Defaults to `false`.
    pub fn danger_accept_invalid_hostnames(mut self, accept: bool) -> Self {
        self.accept_invalid_hostnames = accept;
        self
    }

    /// Accepts only servers whose certificate has this key, or one of several: call it again for
    /// each. Everything else about the certificate must be right as well, unless a `danger_` switch
    /// says otherwise.
    ///
    /// A pin is `sha256/` and the Base64 of the SHA-256 of the certificate's SubjectPublicKeyInfo,
    /// as curl and RFC 7469 have it. It is the server's own certificate that counts, not one
    /// further up. Checked at the end of the handshake, before the request is sent, and with TLS
    /// 1.3 before a client certificate is. TLS 1.2 has that sent within the handshake: where only
    /// this server may see it, set [`min_version`](Self::min_version). A server that a redirect
    /// leads to is checked too: pin its key as well. Defaults to none: any trusted certificate will
    /// do.
    pub fn pin(mut self, pin: impl Into<String>) -> Self {
        self.pins.push(pin.into());
        self
    }

    /// Refuses servers that speak only older versions. Defaults to TLS 1.2: those before it are
    /// retired (RFC 8996).
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Trusts Mozilla's root certificates, as they were when this program was built, instead of the
    /// operating system's: for systems that have none. Those given here are trusted as well. Needs
    /// rustls and the feature `rustls-webpki-roots`. Defaults to `false`: an operating system takes
    /// roots back that prove bad, and a program does not.
    pub fn bundled_roots(mut self, bundled: bool) -> Self {
        self.bundled_roots = bundled;
        self
    }

    /// Appends the keys of every session to this file, in the NSS key log format that Wireshark
    /// reads (`SSLKEYLOGFILE` in other programs; the environment is never asked here). Whoever has
    /// the file can read what was said. Needs rustls: native-tls gives no keys away, and choosing it
    /// too is an error of the run. Defaults to none.
    pub fn key_log_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_log = Some(path.into());
        self
    }

    /// Chooses the library that does TLS. Defaults to that of a ready-made configuration where
    /// there is one; else to rustls where that is compiled in and only it has what is asked for,
    /// [`bundled_roots`](Self::bundled_roots) or [`key_log_file`](Self::key_log_file); else to
    /// `native-tls` where that is compiled in; else to rustls.
    ///
    /// So another crate's wish for rustls changes nothing. Its wish for `native-tls` changes one
    /// thing: a program that has rustls alone, asks for nothing that only rustls has and does not
    /// choose, then gets `native-tls`. Choose where it matters.
    pub fn backend(mut self, backend: TlsBackend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Uses a ready-made connector of `native-tls`, which then decides everything but the server's
    /// name and the pins. Setting anything else here as well is an error. As nobody can tell what
    /// it holds for the first server alone, no redirect to TLS at another origin is followed with
    /// it. Defaults to one made from the other options.
    #[cfg(feature = "native-tls")]
    pub fn native_tls(mut self, connector: native_tls::TlsConnector) -> Self {
        self.native_tls = Some(connector);
        self
    }

    /// Uses a ready-made configuration of rustls, which then decides everything but the server's
    /// name and the pins. Setting anything else here as well is an error. As nobody can tell what
    /// it holds for the first server alone, no redirect to TLS at another origin is followed with
    /// it. Defaults to one made from the other options.
    #[cfg(feature = "rustls")]
    pub fn rustls(mut self, config: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.rustls = Some(config.into());
        self
    }

    /// Checks what goes together, and tells which library is to do it.
    #[cfg(feature = "__tls")]
    pub(crate) fn chosen_backend(&self) -> Result<TlsBackend, Error> {
        if self.only_these_roots && !self.accept_invalid_certs && self.roots.is_empty() {
            return Err(Error::invalid(
                "TlsConfig::only_these_roots(true)",
                "trusts nobody without a root: add one with root_certificate or root_certificate_file",
            ));
        }
        if self.only_these_roots && self.bundled_roots {
            return Err(Error::invalid(
                "TlsConfig::only_these_roots(true) with bundled_roots(true)",
                "each says whom to trust: keep one",
            ));
        }
        let Some((option, ready_made)) = self.ready_made()? else {
            return Ok(self.backend.unwrap_or_else(|| self.capable_backend()));
        };
        if self.backend.is_some_and(|backend| backend != ready_made) {
            return Err(Error::invalid(
                option,
                "is for the other library than TlsConfig::backend chooses",
            ));
        }
        let others = !self.roots.is_empty()
            || self.only_these_roots
            || self.identity.is_some()
            || self.accept_invalid_certs
            || self.accept_invalid_hostnames
            || self.bundled_roots
            || self.key_log.is_some()
            || self.min_version != TlsVersion::default();
        match others {
            true => Err(Error::invalid(
                option,
                "is ready-made, and decides roots, identity, versions and danger_ switches itself: set them when making it",
            )),
            false => Ok(ready_made),
        }
    }

    /// Picks the library that has what is asked for where only one has it: which others are
    /// compiled in, by the wish of another crate perhaps, is then all the same.
    #[cfg(feature = "__tls")]
    fn capable_backend(&self) -> TlsBackend {
        let only_rustls_has_it = self.bundled_roots || self.key_log.is_some();
        match cfg!(feature = "native-tls") && !(cfg!(feature = "rustls") && only_rustls_has_it) {
            true => TlsBackend::NativeTls,
            false => TlsBackend::Rustls,
        }
    }

    /// Finds what was handed in ready-made, and for which library.
    pub(crate) fn ready_made(&self) -> Result<Option<(&'static str, TlsBackend)>, Error> {
        let (mut native, mut rustls) = (None, None);
        #[cfg(feature = "native-tls")]
        if self.native_tls.is_some() {
            native = Some(("TlsConfig::native_tls", TlsBackend::NativeTls));
        }
        #[cfg(feature = "rustls")]
        if self.rustls.is_some() {
            rustls = Some(("TlsConfig::rustls", TlsBackend::Rustls));
        }
        match (native.take(), rustls.take()) {
            (Some(_), Some(_)) => Err(Error::invalid(
                "TlsConfig::rustls",
                "cannot be had together with TlsConfig::native_tls: one does it",
            )),
            (native, rustls) => Ok(native.or(rustls)),
        }
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
            .field("min_version", &self.min_version)
            .field("pins", &self.pins)
            .field("bundled_roots", &self.bundled_roots)
            .field("key_log", &self.key_log)
            .field("backend", &self.backend)
            .field("accept_invalid_certs", &self.accept_invalid_certs)
            .field("accept_invalid_hostnames", &self.accept_invalid_hostnames)
            .finish_non_exhaustive()
    }
}
