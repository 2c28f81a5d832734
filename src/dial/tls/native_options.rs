//! Turns a [`TlsConfig`] into a `native-tls` connector.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use native_tls::{Certificate, Protocol, TlsConnector};

use crate::error::Error;
use crate::tls::material::{self, Options};
use crate::tls::{Identity, Material, TlsConfig, TlsVersion};

/// The one without options, while anybody has it: it holds the operating system's roots, which take
/// most of a megabyte and tens of milliseconds to load.
static PLAIN: Mutex<Weak<TlsConnector>> = Mutex::new(Weak::new());

/// Makes the connector, or gives the ready-made one, or the one that others without options have.
pub(super) fn connector(config: &TlsConfig) -> Result<Arc<TlsConnector>, Error> {
    if let Some(connector) = &config.native_tls {
        return Ok(Arc::new(connector.clone()));
    }
    if !config.is_plain() {
        return made(config).map(Arc::new);
    }
    let mut plain = PLAIN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(connector) = plain.upgrade() {
        return Ok(connector);
    }
    let connector = Arc::new(made(config)?);
    *plain = Arc::downgrade(&connector);
    Ok(connector)
}

fn made(config: &TlsConfig) -> Result<TlsConnector, Error> {
    if config.key_log.is_some() {
        return Err(unable("key_log_file", "gives no keys away"));
    }
    if config.bundled_roots {
        return Err(unable(
            "bundled_roots",
            "knows the operating system's roots, and those handed in",
        ));
    }
    let mut builder = TlsConnector::builder();
    for root in &config.roots {
        for certificate in root_certificates(root)? {
            builder.add_root_certificate(certificate);
        }
    }
    builder.disable_built_in_roots(config.only_these_roots);
    builder.min_protocol_version(Some(match config.min_version {
        TlsVersion::Tls12 => Protocol::Tlsv12,
        TlsVersion::Tls13 => Protocol::Tlsv13,
    }));
    if let Some(identity) = &config.identity {
        builder.identity(client_identity(identity)?);
    }
    builder.danger_accept_invalid_certs(config.accept_invalid_certs);
    builder.danger_accept_invalid_hostnames(config.accept_invalid_hostnames);
    builder.build().map_err(|error| {
        let what = if config.identity.is_some() {
            "TlsConfig, with its client identity"
        } else {
            "TlsConfig"
        };
        Error::invalid(what, format!("the TLS library does not accept it: {error}"))
    })
}

fn unable(option: &str, why: &str) -> Error {
    Error::invalid(
        format!("TlsConfig::{option}"),
        format!(
            "cannot be had from native-tls, which {why}: choose TlsBackend::Rustls (feature `rustls`)"
        ),
    )
}

fn root_certificates(root: &Material) -> Result<Vec<Certificate>, Error> {
    let root = material::root(ROOT, root)?;
    if !root.is_pem() {
        let not_der =
            |error| root.invalid(format!("is neither PEM nor a DER certificate: {error}"));
        return Ok(vec![Certificate::from_der(&root.bytes).map_err(not_der)?]);
    }
    let damaged = |error| root.invalid(format!("has a CERTIFICATE block that is damaged: {error}"));
    let certificates = Certificate::stack_from_pem(&root.bytes).map_err(damaged)?;
    if certificates.is_empty() {
        return Err(root.invalid("is PEM, but without a certificate that can be read"));
    }
    Ok(certificates)
}

/// The option that is named where its files are wrong.
const ROOT: Options = ["TlsConfig::root_certificate", "TlsConfig::root_certificate_file"];
const PEM: Options = ["TlsConfig::identity_pem", "TlsConfig::identity_pem_files"];

fn client_identity(identity: &Identity) -> Result<native_tls::Identity, Error> {
    match identity {
        Identity::Pkcs12 { archive, password } => {
            let archive = material::archive("TlsConfig::identity_pkcs12", archive)?;
            native_tls::Identity::from_pkcs12(&archive.bytes, password).map_err(|error| {
                archive.invalid(material::not_opened(&error, "identity_pem_files"))
            })
        }
        Identity::Pem { certificates, key } => {
            let (chain, key) = (material::chain(PEM, certificates)?, material::key(PEM, key)?);
            native_tls::Identity::from_pkcs8(&chain.bytes, &key.bytes).map_err(|error| {
                chain.invalid(format!("the certificate or its key cannot be used: {error}"))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_without_options_share_one_connector() {
        let plain = connector(&TlsConfig::new()).unwrap();
        let other = connector(&TlsConfig::new().server_name("another.example")).unwrap();
        assert!(Arc::ptr_eq(&plain, &other));
    }

    #[test]
    fn an_option_has_a_connector_of_its_own() {
        let plain = connector(&TlsConfig::new()).unwrap();
        for config in [
            TlsConfig::new().danger_accept_invalid_certs(true),
            TlsConfig::new().danger_accept_invalid_hostnames(true),
            TlsConfig::new().min_version(TlsVersion::Tls13),
            TlsConfig::new().only_these_roots(true),
        ] {
            assert!(!Arc::ptr_eq(&plain, &connector(&config).unwrap()));
        }
    }
}
