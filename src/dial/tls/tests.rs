//! What is right and wrong in a [`TlsConfig`], with each library.

use std::fs;
use std::path::PathBuf;

use url::Host;

use super::super::testing::tls::{Authority, BACKENDS};
use super::Connector;
use crate::tls::{TlsBackend, TlsConfig, TlsVersion};

/// Made by OpenSSL, with the password `secret`.
const ARCHIVE: &[u8] = include_bytes!("../testing/identity.p12");

/// The same, as OpenSSL and others encrypted it before 2021: with RC2.
#[cfg(feature = "native-tls")]
const OLD_ARCHIVE: &[u8] = include_bytes!("../testing/identity-rc2.p12");

fn problem(config: TlsConfig) -> String {
    Connector::new(&Host::Domain("example.com"), &config)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

/// A file that is gone when the test is over.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: &[u8]) -> Self {
        let path =
            std::env::temp_dir().join(format!("websocket-app-{}-{name}", std::process::id()));
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
    for &backend in BACKENDS {
        let new = || TlsConfig::new().backend(backend);
        for config in [
            new(),
            new().root_certificate(authority.der()),
            new().root_certificate(format!(
                "# ours\n{}{}",
                authority.pem(),
                Authority::new().pem()
            )),
            new().root_certificate_file(&root.0).only_these_roots(true),
            new().identity_pem(client.certificate.clone(), client.key.clone()),
            new().identity_pem(client.certificate.clone() + &authority.pem(), client.key.clone()),
            new().identity_pem_files(&certificate.0, &key.0),
            new().min_version(TlsVersion::Tls13),
            new().danger_accept_invalid_certs(true).only_these_roots(true),
        ] {
            let shown = format!("{config:?}");
            assert_eq!(problem(config), "", "{shown}");
        }
    }
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    let authority = Authority::new();
    let (client, other) = (authority.certify("client"), authority.certify("other"));
    let (pem, key) = (client.certificate.as_str(), client.key.as_str());
    let empty = File::new("empty.pem", b"");
    let damaged = authority.pem().replace("MII", "!!!");
    for &backend in BACKENDS {
        let new = || TlsConfig::new().backend(backend);
        for (config, says) in [
            (
                new().root_certificate_file("/nowhere/root.pem"),
                "file /nowhere/root.pem: cannot be read: No such file",
            ),
            (new().root_certificate_file(&empty.0), "empty.pem: is empty"),
            (new().root_certificate(""), "is empty"),
            (new().root_certificate("garbage"), "neither PEM nor a DER certificate"),
            (new().root_certificate(key), "without a CERTIFICATE block"),
            (new().root_certificate(damaged.clone()), "damaged"),
            (new().only_these_roots(true), "trusts nobody without a root"),
            (new().root_certificate(pem).only_these_roots(true).bundled_roots(true), "keep one"),
            (
                new().identity_pem_files("/nowhere/a.pem", "/nowhere/a.key"),
                "file /nowhere/a.pem: cannot be read",
            ),
            (new().identity_pem(key, key), "with a CERTIFICATE block"),
            (new().identity_pem(pem, ""), "its key: is empty"),
            (new().identity_pem(pem, "garbage"), "must be a private key in PEM"),
            (new().identity_pem(pem, key.replace("PRIVATE", "EC PRIVATE")), "openssl pkcs8 -topk8"),
            (new().identity_pem(pem, key.replace("PRIVATE", "RSA PRIVATE")), "not in PKCS#8 form"),
            (new().identity_pem(pem, key.replace("PRIVATE", "ENCRYPTED PRIVATE")), "is encrypted"),
            (new().identity_pem(pem, other.key.clone()), "does not accept it"),
            (new().pin("sha256/short"), "44 characters"),
        ] {
            is_refused(config, says);
        }
    }
}

fn is_refused(config: TlsConfig, says: &str) {
    let shown = format!("{config:?}");
    let problem = problem(config);
    assert!(
        problem.starts_with("TlsConfig") && problem.contains(says),
        "{shown}: {says}: {problem}"
    );
    assert!(!problem.contains("secret") && !problem.contains("hunter2"), "{problem}");
}

#[test]
#[cfg(feature = "native-tls")]
fn what_native_tls_has_and_lacks() {
    let new = || TlsConfig::new().backend(TlsBackend::NativeTls);
    let ready_made = || TlsConfig::new().native_tls(native_tls::TlsConnector::new().unwrap());
    assert_eq!(problem(new().identity_pkcs12(ARCHIVE, "secret")), "");
    is_refused(new().identity_pkcs12("garbage", "secret"), "no PKCS#12 archive");
    is_refused(new().identity_pkcs12(OLD_ARCHIVE, "secret"), "`openssl pkcs12 -legacy -in");
    is_refused(new().identity_pkcs12(ARCHIVE, "hunter2"), "its password is another one");
    is_refused(new().key_log_file("keys.log"), "TlsBackend::Rustls");
    is_refused(new().bundled_roots(true), "TlsBackend::Rustls");
    assert_eq!(problem(ready_made().server_name("other.example")), "");
    assert_eq!(problem(ready_made().backend(TlsBackend::NativeTls)), "");
    is_refused(ready_made().root_certificate("garbage"), "is ready-made");
    is_refused(ready_made().danger_accept_invalid_certs(true), "is ready-made");
    is_refused(ready_made().backend(TlsBackend::Rustls), "for the other library");
}

#[test]
#[cfg(feature = "rustls")]
fn what_rustls_has_and_lacks() {
    let new = || TlsConfig::new().backend(TlsBackend::Rustls);
    let ready_made = || {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        let roots = rustls::RootCertStore::empty();
        let builder =
            builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        TlsConfig::new().rustls(builder.with_no_client_auth())
    };
    is_refused(new().identity_pkcs12(ARCHIVE, "secret"), "openssl pkcs12");
    is_refused(new().key_log_file("/nowhere/keys.log"), "file /nowhere/keys.log: cannot be opened");
    match cfg!(feature = "rustls-webpki-roots") {
        true => assert_eq!(problem(new().bundled_roots(true)), ""),
        false => is_refused(new().bundled_roots(true), "feature `rustls-webpki-roots`"),
    }
    assert_eq!(problem(ready_made().server_name("other.example")), "");
    is_refused(ready_made().min_version(TlsVersion::Tls13), "is ready-made");
    #[cfg(feature = "native-tls")]
    {
        is_refused(
            ready_made().native_tls(native_tls::TlsConnector::new().unwrap()),
            "one does it",
        );
        is_refused(ready_made().backend(TlsBackend::NativeTls), "for the other library");
    }
}

#[test]
fn a_library_that_is_not_compiled_in_is_named() {
    for (backend, feature) in
        [(TlsBackend::NativeTls, "native-tls"), (TlsBackend::Rustls, "rustls")]
    {
        if !BACKENDS.contains(&backend) {
            is_refused(
                TlsConfig::new().backend(backend),
                &format!("enable the feature `{feature}`"),
            );
        }
    }
}

#[test]
fn a_further_feature_changes_nothing_by_itself() {
    let expected =
        if cfg!(feature = "native-tls") { TlsBackend::NativeTls } else { TlsBackend::Rustls };
    assert_eq!(TlsConfig::new().chosen_backend().unwrap(), expected);
}

#[test]
fn what_only_rustls_has_is_had_from_it_unless_another_one_is_named() {
    let expected =
        if cfg!(feature = "rustls") { TlsBackend::Rustls } else { TlsBackend::NativeTls };
    for config in [TlsConfig::new().bundled_roots(true), TlsConfig::new().key_log_file("keys.log")]
    {
        assert_eq!(config.chosen_backend().unwrap(), expected);
        for &backend in BACKENDS {
            assert_eq!(config.clone().backend(backend).chosen_backend().unwrap(), backend);
        }
    }
}

#[test]
fn the_expected_name_is_the_hosts_or_the_chosen_one() {
    let host: Host<&str> = Host::Domain("example.com.");
    assert_eq!(super::server_name(&host, None).unwrap(), "example.com");
    assert_eq!(
        super::server_name(&Host::Ipv6(std::net::Ipv6Addr::LOCALHOST), None).unwrap(),
        "::1"
    );
    for (chosen, expected) in [
        ("other.example", "other.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("::1", "::1"),
    ] {
        assert_eq!(super::server_name(&host, Some(chosen)).unwrap(), expected);
    }
    for wrong in ["", "a b", "https://example.com", "example.com:443"] {
        let error =
            super::server_name(&host, Some(wrong)).map_err(|error| error.to_string()).unwrap_err();
        assert!(error.contains("must be a host name or an IP address"), "{error}");
    }
}
