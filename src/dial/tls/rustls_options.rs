//! Turns a [`TlsConfig`] into a rustls configuration.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ::rustls::client::WebPkiServerVerifier;
use ::rustls::crypto::{CryptoProvider, ring};
use ::rustls::pki_types::pem::PemObject;
use ::rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};
use ::rustls::{ClientConfig, KeyLog, RootCertStore, SupportedProtocolVersion, version};

use super::verify::Verifier;
use crate::error::Error;
use crate::tls::material::{self, Options};
use crate::tls::{Identity, Material, TlsConfig, TlsVersion};

/// Makes the configuration, or gives the ready-made one.
pub(super) fn connector(config: &TlsConfig) -> Result<Arc<ClientConfig>, Error> {
    if let Some(ready_made) = &config.rustls {
        return Ok(ready_made.clone());
    }
    // Never the process's default: that is the program's to choose, and may be none.
    let provider = Arc::new(ring::default_provider());
    let versions: &[&SupportedProtocolVersion] = match config.min_version {
        TlsVersion::Tls12 => &[&version::TLS13, &version::TLS12],
        TlsVersion::Tls13 => &[&version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|error| not_accepted("TlsConfig", &error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier(config, provider)?));
    let mut made = match &config.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = client_identity(identity)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| not_accepted("TlsConfig, with its client identity", &error))?
        }
    };
    if let Some(path) = &config.key_log {
        made.key_log = Arc::new(KeyLogFile::open(path)?);
    }
    Ok(Arc::new(made))
}

fn not_accepted(what: &str, error: &::rustls::Error) -> Error {
    Error::invalid(what, format!("the TLS library does not accept it: {error}"))
}

fn verifier(config: &TlsConfig, provider: Arc<CryptoProvider>) -> Result<Verifier, Error> {
    let algorithms = provider.signature_verification_algorithms;
    let mut handed_in = Vec::new();
    for root in &config.roots {
        handed_in.extend(root_certificates(root)?);
    }
    let chains = match config.accept_invalid_certs {
        true => None,
        false => {
            let roots = roots(config, &handed_in)?;
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            Some(verifier.map_err(|error| Error::invalid("TlsConfig", error.to_string()))?)
        }
    };
    Ok(Verifier { chains, handed_in, any_name: config.accept_invalid_hostnames, algorithms })
}

fn roots(
    config: &TlsConfig,
    handed_in: &[CertificateDer<'static>],
) -> Result<Arc<RootCertStore>, Error> {
    if handed_in.is_empty() && !config.only_these_roots && !config.bundled_roots {
        return native_roots();
    }
    let mut store = RootCertStore::empty();
    // Each has been found fit to be a root when it was read.
    store.add_parsable_certificates(handed_in.iter().cloned());
    if config.only_these_roots {
        return Ok(Arc::new(store));
    }
    if config.bundled_roots {
        store.extend(bundled_roots()?);
        return Ok(Arc::new(store));
    }
    // Some may be enough: those handed in.
    match native_roots() {
        Ok(roots) => store.extend(roots.roots.iter().cloned()),
        Err(_) if !store.is_empty() => {}
        Err(error) => return Err(error),
    }
    Ok(Arc::new(store))
}

/// The operating system's roots: read when they are wanted, and shared as long as they are, since
/// there are many.
fn native_roots() -> Result<Arc<RootCertStore>, Error> {
    static SHARED: Mutex<Weak<RootCertStore>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(roots) = shared.upgrade() {
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        log::debug!(target: crate::dial::LOG, "some of the operating system's roots cannot be read: {error}");
    }
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(Error::invalid(
            "TlsConfig",
            format!(
                "the operating system has no trusted roots{why}: install them (Debian: ca-certificates), add one with \
                 root_certificate_file, or use bundled_roots"
            ),
        ));
    }
    let store = Arc::new(store);
    *shared = Arc::downgrade(&store);
    Ok(store)
}

#[cfg(feature = "rustls-webpki-roots")]
fn bundled_roots() -> Result<impl Iterator<Item = TrustAnchor<'static>>, Error> {
    Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())
}

#[cfg(not(feature = "rustls-webpki-roots"))]
fn bundled_roots() -> Result<[TrustAnchor<'static>; 0], Error> {
    Err(Error::invalid(
        "TlsConfig::bundled_roots",
        "this program was built without roots: enable the feature `rustls-webpki-roots` of websocket-app",
    ))
}

fn root_certificates(root: &Material) -> Result<Vec<CertificateDer<'static>>, Error> {
    let root = material::root(ROOT, root)?;
    let certificates = match root.is_pem() {
        false => vec![CertificateDer::from(root.bytes.to_vec())],
        true => CertificateDer::pem_slice_iter(&root.bytes).collect::<Result<_, _>>().map_err(
            |error| root.invalid(format!("has a CERTIFICATE block that is damaged: {error}")),
        )?,
    };
    if certificates.is_empty() {
        return Err(root.invalid("is PEM, but without a certificate that can be read"));
    }
    for certificate in &certificates {
        RootCertStore::empty().add(certificate.clone()).map_err(|error| {
            root.invalid(match root.is_pem() {
                true => format!("has a CERTIFICATE block that is damaged: {error}"),
                false => format!("is neither PEM nor a DER certificate: {error}"),
            })
        })?;
    }
    Ok(certificates)
}

/// The option that is named where its files are wrong.
const ROOT: Options = ["TlsConfig::root_certificate", "TlsConfig::root_certificate_file"];
const PEM: Options = ["TlsConfig::identity_pem", "TlsConfig::identity_pem_files"];

fn client_identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    match identity {
        Identity::Pkcs12 { archive, .. } => Err(material::archive("TlsConfig::identity_pkcs12", archive)?.invalid(
            "rustls reads no PKCS#12 archives: convert it with `openssl pkcs12 -in archive.p12 -nodes -out identity.pem` \
             (with -legacy if that calls it unsupported) for identity_pem_files, which takes the same file twice, or choose \
             TlsBackend::NativeTls (feature `native-tls`)",
        )),
        Identity::Pem { certificates, key } => {
            let (chain, key) = (material::chain(PEM, certificates)?, material::key(PEM, key)?);
            let unusable = |error| chain.invalid(format!("the certificate or its key cannot be used: {error}"));
            let certificates = CertificateDer::pem_slice_iter(&chain.bytes).collect::<Result<_, _>>().map_err(unusable)?;
            let key = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(unusable)?;
            Ok((certificates, key))
        }
    }
}

/// Writes a session's keys where Wireshark and others read them (the NSS key log format).
#[derive(Debug)]
struct KeyLogFile(Mutex<File>);

impl KeyLogFile {
    fn open(path: &Path) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        // Whoever has the keys can read everything.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| {
            Error::invalid(
                format!("TlsConfig::key_log_file, file {}", path.display()),
                format!("cannot be opened: {error}"),
            )
        })?;
        Ok(KeyLogFile(Mutex::new(file)))
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            log::warn!(target: crate::dial::LOG, "the key log cannot be written: {error}");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(all(test, feature = "rustls-webpki-roots"))]
mod tests {
    use super::*;

    #[test]
    fn bundled_roots_are_mozillas_and_those_handed_in() {
        let mozillas = webpki_roots::TLS_SERVER_ROOTS.len();
        let config = TlsConfig::new().bundled_roots(true);
        assert_eq!(roots(&config, &[]).unwrap().len(), mozillas);
        let own = crate::dial::testing::tls::Authority::new().der().into();
        assert_eq!(roots(&config, &[own]).unwrap().len(), mozillas + 1);
    }
}
