//! A process whose operating system trusts the scripted peer: `SSL_CERT_FILE` says so to both
//! libraries. It is this program again, with one test that connects: a test must not change the
//! environment of those beside it.

use std::env;
use std::process::Command;

use websocket_app::{TlsConfig, WebSocket};

use super::certificates::Folder;
use crate::peer::Peer;
use crate::tls::{BACKENDS, Certificate, on_each};
use crate::watchdog::within;

/// Says to the process that runs it again what it is to connect to, and how.
const URL: &str = "WEBSOCKET_TEST_URL";
const BACKEND: &str = "WEBSOCKET_TEST_BACKEND";
const OPTION: &str = "WEBSOCKET_TEST_OPTION";

/// In the process that runs again: connects and prints whether it is connected, or the error.
#[test]
fn again() {
    let (Ok(url), Ok(backend)) = (env::var(URL), env::var(BACKEND)) else { return };
    let backend = BACKENDS.iter().find(|known| format!("{known:?}") == backend).unwrap();
    let tls = TlsConfig::new().backend(*backend);
    let tls = match env::var(OPTION).unwrap().as_str() {
        "" => tls,
        "root_certificate" => tls.root_certificate(Certificate::new().pem()),
        "only_these_roots" => tls.root_certificate(Certificate::new().pem()).only_these_roots(true),
        "bundled_roots" => tls.bundled_roots(true),
        other => panic!("{other}"),
    };
    match WebSocket::builder(url).no_proxy().tls(tls).connect() {
        Ok(_) => println!("connected"),
        Err(error) => println!("failed: {error}"),
    }
}

#[test]
fn they_are_trusted_besides_others_and_not_where_others_alone_are() {
    on_each(|backend| {
        for (option, trusted) in [
            ("", true),
            ("root_certificate", true),
            ("only_these_roots", false),
            #[cfg(feature = "rustls-webpki-roots")]
            ("bundled_roots", false),
        ] {
            // What only one library has.
            if option == "bundled_roots" && backend != websocket_app::TlsBackend::Rustls {
                continue;
            }
            let (certificate, folder) = (Certificate::new(), Folder::new());
            let peer = Peer::start_tls_as(&certificate, backend, move |listener| match trusted {
                true => listener.open().stay_silent(),
                false => listener.expect_no_agreement(),
            });
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", "real_tls::system_roots::again", "--nocapture"]);
            command
                .env("SSL_CERT_FILE", folder.write("roots.pem", certificate.pem()))
                .env_remove("SSL_CERT_DIR");
            command.env(URL, peer.url()).env(BACKEND, format!("{backend:?}")).env(OPTION, option);
            let output = within("the process", move || command.output().unwrap());
            let stdout = String::from_utf8(output.stdout).unwrap();
            assert_eq!(stdout.contains("connected\n"), trusted, "{option}: {stdout}");
            assert_eq!(stdout.contains("failed: TLS handshake"), !trusted, "{option}: {stdout}");
        }
    });
}
