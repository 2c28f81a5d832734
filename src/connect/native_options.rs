//! Turns a [`TlsConfig`] into a `native-tls` connector, before any socket is opened. The only file that reads certificate
//! files, and the one that says what is wrong with them.

use std::borrow::Cow;
use std::fs;
use std::net::IpAddr;

use native_tls::{Certificate, TlsConnector};
use url::Host;

use crate::error::Error;
use crate::tls::{Identity, Material, TlsConfig};

/// Gives the name that the certificate must be for, as the TLS library wants it.
pub(super) fn server_name(host: &Host<&str>, chosen: Option<&str>) -> Result<String, Error> {
    let Some(name) = chosen else {
        return Ok(match host {
            // RFC 6066 §3: without the trailing dot of an absolute name.
            Host::Domain(name) => name.trim_end_matches('.').to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        });
    };
    if name.parse::<IpAddr>().is_ok() {
        return Ok(name.to_owned());
    }
    match Host::parse(name) {
        Ok(Host::Domain(name)) => Ok(name.trim_end_matches('.').to_owned()),
        _ => Err(Error::invalid(format!("TlsConfig::server_name({name:?})"), "must be a host name or an IP address")),
    }
}

/// Makes the connector, or gives the ready-made one.
pub(super) fn connector(config: &TlsConfig) -> Result<TlsConnector, Error> {
    if let Some(connector) = &config.native_tls {
        let others = !config.roots.is_empty()
            || config.only_these_roots
            || config.identity.is_some()
            || config.accept_invalid_certs
            || config.accept_invalid_hostnames;
        return if others {
            Err(Error::invalid(
                "TlsConfig::native_tls",
                "a ready-made connector decides roots, identity and danger_ switches itself: set them when making it",
            ))
        } else {
            Ok(connector.clone())
        };
    }
    let mut builder = TlsConnector::builder();
    for root in &config.roots {
        for certificate in root_certificates(root)? {
            builder.add_root_certificate(certificate);
        }
    }
    if config.only_these_roots && config.roots.is_empty() && !config.accept_invalid_certs {
        return Err(Error::invalid(
            "TlsConfig::only_these_roots(true)",
            "trusts nobody without a root: add one with root_certificate or root_certificate_file",
        ));
    }
    builder.disable_built_in_roots(config.only_these_roots);
    if let Some(identity) = &config.identity {
        builder.identity(client_identity(identity)?);
    }
    builder.danger_accept_invalid_certs(config.accept_invalid_certs);
    builder.danger_accept_invalid_hostnames(config.accept_invalid_hostnames);
    builder.build().map_err(|error| {
        let what = if config.identity.is_some() { "TlsConfig, with its client identity" } else { "TlsConfig" };
        Error::invalid(what, format!("the TLS library does not accept it: {error}"))
    })
}

fn root_certificates(root: &Material) -> Result<Vec<Certificate>, Error> {
    let what = describe("root_certificate", root);
    let bytes = read(&what, root)?;
    if !contains(&bytes, PEM) {
        let not_der = |error| Error::invalid(&what, format!("is neither PEM nor a DER certificate: {error}"));
        return Ok(vec![Certificate::from_der(&bytes).map_err(not_der)?]);
    }
    if !contains(&bytes, PEM_CERTIFICATE) {
        return Err(Error::invalid(what, "is PEM, but without a CERTIFICATE block"));
    }
    let damaged = |error| Error::invalid(&what, format!("has a CERTIFICATE block that is damaged: {error}"));
    let certificates = Certificate::stack_from_pem(&bytes).map_err(damaged)?;
    if certificates.is_empty() {
        return Err(Error::invalid(what, "is PEM, but without a certificate that can be read"));
    }
    Ok(certificates)
}

fn client_identity(identity: &Identity) -> Result<native_tls::Identity, Error> {
    match identity {
        Identity::Pkcs12 { archive, password } => {
            let what = describe("identity_pkcs12", archive);
            let bytes = read(&what, archive)?;
            native_tls::Identity::from_pkcs12(&bytes, password).map_err(|error| {
                let text = error.to_string();
                // OpenSSL's words for a key that does not fit; the other libraries' say "password" themselves.
                let problem = match text.contains("mac verify failure") {
                    true => "its password is another one".to_owned(),
                    false => format!("is no PKCS#12 archive that can be opened with this password: {text}"),
                };
                Error::invalid(what, problem)
            })
        }
        Identity::Pem { certificates, key } => {
            let what = describe("identity_pem", certificates);
            let chain = read(&what, certificates)?;
            if !contains(&chain, PEM_CERTIFICATE) {
                return Err(Error::invalid(what, "the certificate must be PEM, with a CERTIFICATE block"));
            }
            let key_what = format!("{}, its key", describe("identity_pem", key));
            let key = read(&key_what, key)?;
            let key = pkcs8_key(&key).map_err(|problem| Error::invalid(&key_what, problem))?;
            native_tls::Identity::from_pkcs8(&chain, key)
                .map_err(|error| Error::invalid(what, format!("the certificate or its key cannot be used: {error}")))
        }
    }
}

/// Cuts off what stands before the key (OpenSSL writes attributes there), and says how to convert what is none.
fn pkcs8_key(pem: &[u8]) -> Result<&[u8], &'static str> {
    if let Some(start) = position(pem, PKCS8_KEY) {
        return Ok(&pem[start..]);
    }
    if contains(pem, b"-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return Err("is encrypted: decrypt it with `openssl pkcs8 -in key.pem -out plain.pem`, or use identity_pkcs12");
    }
    if contains(pem, b"PRIVATE KEY-----") {
        return Err("is not in PKCS#8 form (`-----BEGIN PRIVATE KEY-----`): convert it with \
             `openssl pkcs8 -topk8 -nocrypt -in key.pem -out pkcs8.pem`");
    }
    Err("must be a private key in PEM, in PKCS#8 form (`-----BEGIN PRIVATE KEY-----`)")
}

const PEM: &[u8] = b"-----BEGIN ";
const PEM_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
const PKCS8_KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----";

fn describe(option: &str, material: &Material) -> String {
    match material {
        Material::Bytes(bytes) => format!("TlsConfig::{option} ({} bytes)", bytes.len()),
        Material::File(path) => format!("TlsConfig::{option}, file {}", path.display()),
    }
}

fn read<'a>(what: &str, material: &'a Material) -> Result<Cow<'a, [u8]>, Error> {
    let bytes = match material {
        Material::Bytes(bytes) => Cow::Borrowed(bytes.as_slice()),
        Material::File(path) => {
            Cow::Owned(fs::read(path).map_err(|error| Error::invalid(what, format!("cannot be read: {error}")))?)
        }
    };
    if bytes.is_empty() {
        return Err(Error::invalid(what, "is empty"));
    }
    Ok(bytes)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    position(bytes, part).is_some()
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::testing::tls::Authority;
    use super::*;

    /// Made by OpenSSL, with the password `secret`.
    const ARCHIVE: &[u8] = include_bytes!("testing/identity.p12");

    fn problem(config: TlsConfig) -> String {
        connector(&config).err().map(|error| error.to_string()).unwrap_or_default()
    }

    /// A file that is gone when the test is over.
    struct File(PathBuf);

    impl File {
        fn new(name: &str, content: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("websocket-app-{}-{name}", std::process::id()));
            fs::write(&path, content).unwrap();
            File(path)
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn what_is_right_makes_a_connector() {
        let authority = Authority::new();
        let client = authority.certify("client");
        let root = File::new("root.pem", authority.pem().as_bytes());
        let certificate = File::new("client.pem", client.certificate.as_bytes());
        let key = File::new("client.key", format!("Bag Attributes\n{}", client.key).as_bytes());
        for config in [
            TlsConfig::new(),
            TlsConfig::new().root_certificate(authority.der()),
            TlsConfig::new().root_certificate(format!("# ours\n{}{}", authority.pem(), Authority::new().pem())),
            TlsConfig::new().root_certificate_file(&root.0).only_these_roots(true),
            TlsConfig::new().identity_pem(client.certificate.clone(), client.key.clone()),
            TlsConfig::new().identity_pem(client.certificate.clone() + &authority.pem(), client.key.clone()),
            TlsConfig::new().identity_pem_files(&certificate.0, &key.0),
            TlsConfig::new().identity_pkcs12(ARCHIVE, "secret"),
            TlsConfig::new().native_tls(TlsConnector::new().unwrap()).server_name("other.example"),
        ] {
            let shown = format!("{config:?}");
            assert_eq!(problem(config), "", "{shown}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        let authority = Authority::new();
        let (client, other) = (authority.certify("client"), authority.certify("other"));
        let (pem, key) = (client.certificate.as_str(), client.key.as_str());
        let new = TlsConfig::new;
        let empty = File::new("empty.pem", b"");
        let damaged = authority.pem().replace("MII", "!!!");
        for (config, says) in [
            (new().root_certificate_file("/nowhere/root.pem"), "file /nowhere/root.pem: cannot be read: No such file"),
            (new().root_certificate_file(&empty.0), "empty.pem: is empty"),
            (new().root_certificate(""), "is empty"),
            (new().root_certificate("garbage"), "neither PEM nor a DER certificate"),
            (new().root_certificate(key), "without a CERTIFICATE block"),
            (new().root_certificate(damaged), "damaged"),
            (new().only_these_roots(true), "trusts nobody without a root"),
            (new().identity_pem_files("/nowhere/a.pem", "/nowhere/a.key"), "file /nowhere/a.pem: cannot be read"),
            (new().identity_pem(key, key), "with a CERTIFICATE block"),
            (new().identity_pem(pem, ""), "its key: is empty"),
            (new().identity_pem(pem, "garbage"), "must be a private key in PEM"),
            (new().identity_pem(pem, key.replace("PRIVATE", "EC PRIVATE")), "openssl pkcs8 -topk8"),
            (new().identity_pem(pem, key.replace("PRIVATE", "RSA PRIVATE")), "not in PKCS#8 form"),
            (new().identity_pem(pem, key.replace("PRIVATE", "ENCRYPTED PRIVATE")), "is encrypted"),
            (new().identity_pem(pem, other.key), "does not accept it"),
            (new().identity_pkcs12("garbage", "secret"), "no PKCS#12 archive"),
            (new().identity_pkcs12(ARCHIVE, "hunter2"), "its password is another one"),
            (new().native_tls(TlsConnector::new().unwrap()).root_certificate(authority.pem()), "ready-made connector"),
            (new().native_tls(TlsConnector::new().unwrap()).danger_accept_invalid_certs(true), "ready-made connector"),
        ] {
            let problem = problem(config);
            assert!(problem.starts_with("TlsConfig") && problem.contains(says), "{says}: {problem}");
            assert!(!problem.contains("secret") && !problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn the_expected_name_is_the_hosts_or_the_chosen_one() {
        let host = Host::Domain("example.com.");
        assert_eq!(server_name(&host, None).unwrap(), "example.com");
        assert_eq!(server_name(&Host::Ipv6(std::net::Ipv6Addr::LOCALHOST), None).unwrap(), "::1");
        for (chosen, expected) in
            [("other.example", "other.example"), ("BÜCHER.example", "xn--bcher-kva.example"), ("::1", "::1")]
        {
            assert_eq!(server_name(&host, Some(chosen)).unwrap(), expected);
        }
        for wrong in ["", "a b", "https://example.com", "example.com:443"] {
            let error = server_name(&host, Some(wrong)).map_err(|error| error.to_string()).unwrap_err();
            assert!(error.contains("must be a host name or an IP address"), "{error}");
        }
    }
}
