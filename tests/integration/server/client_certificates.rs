//! Clients that show a certificate, or should: who is let in, what the server knows of them, and what
//! those are told who are not. rustls asks for certificates, `native-tls` cannot.

use websocket_app::TlsBackend;
use websocket_app::server::{Server, ServerTls};

use crate::real_tls::certificates::{Authority, Certified, Kind};

/// A server's certificate by an authority, which its clients trust.
fn identity(authority: &Authority) -> ServerTls {
    let Certified { chain, key } = authority.certify(Kind::Right);
    ServerTls::from_pem(chain, key)
}

#[test]
#[cfg(not(feature = "rustls"))]
fn native_tls_says_that_it_cannot() {
    cannot(|tls| tls);
}

#[test]
#[cfg(feature = "native-tls")]
fn native_tls_says_that_it_cannot_where_it_was_chosen() {
    cannot(|tls| tls.backend(TlsBackend::NativeTls));
}

#[cfg(feature = "native-tls")]
fn cannot(choose: impl FnOnce(ServerTls) -> ServerTls) {
    let authority = Authority::new("the test's authority");
    let tls = choose(identity(&authority).client_roots(authority.pem()));
    let error = problem(tls);
    for word in ["ServerTls::client_roots", "native-tls", "TlsBackend::Rustls", "feature `rustls`"]
    {
        assert!(error.contains(word), "{error}");
    }
}

/// The error of a server that cannot be run.
fn problem(tls: ServerTls) -> String {
    match Server::new("127.0.0.1:0").tls(tls).spawn() {
        Err(error) => error.to_string(),
        Ok(server) => {
            server.abort();
            panic!("it runs");
        }
    }
}

#[cfg(feature = "rustls")]
mod with_rustls {
    use std::sync::Arc;

    use native_tls::{Identity, Protocol, TlsConnector};
    use websocket_app::server::Answer;
    use websocket_app::{ClosedBy, TlsConfig, TlsVersion, WebSocketApp};

    use super::*;
    use crate::failure::{Failure, clean, lost};
    use crate::real_tls::certificates::Folder;
    use crate::running::run;
    use crate::server::serving::{Serving, Style, echoes, serve_as};
    use crate::server::visitor::{Visitor, request};
    use crate::tls::on_each;
    use crate::watchdog::{PATIENCE, wait_until};

    /// Everything that is wrong with a certificate, as far as a server can tell.
    const WRONG: [Kind; 5] =
        [Kind::Untrusted, Kind::SelfSigned, Kind::Expired, Kind::NotYetValid, Kind::ExpiredIssuer];
    /// TLS 1.2 has a client's certificate within the handshake; in TLS 1.3 the client is done before
    /// it is judged (RFC 8446 §4.4.2).
    const VERSIONS: [Protocol; 2] = [Protocol::Tlsv12, Protocol::Tlsv13];

    fn serve(tls: ServerTls) -> Serving {
        serve_as(Style::Spawned, |server| server.tls(tls), echoes)
    }

    /// A connector that trusts this authority, with a certificate if it has one.
    fn visit(
        serving: &Serving,
        authority: &Authority,
        version: Protocol,
        own: Option<&Certified>,
    ) -> Result<Visitor, String> {
        let root = native_tls::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
        let mut connector = TlsConnector::builder();
        connector.disable_built_in_roots(true).add_root_certificate(root);
        connector.min_protocol_version(Some(version)).max_protocol_version(Some(version));
        if let Some(Certified { chain, key }) = own {
            connector.identity(Identity::from_pkcs8(chain.as_bytes(), key.as_bytes()).unwrap());
        }
        Visitor::secure(serving.addr(), &connector)
    }

    fn der(certified: &Certified) -> Vec<u8> {
        native_tls::Certificate::from_pem(certified.chain.as_bytes()).unwrap().to_der().unwrap()
    }

    /// Sees a client served, of whom the server knows this certificate.
    fn is_let_in(serving: &Serving, mut visitor: Visitor, shown: Option<Vec<u8>>) {
        visitor.upgrade(&request("/", ""));
        let calls = serving.next();
        calls.expect_open();
        let client = serving.handle().clients().pop().expect("it is there");
        assert_eq!(client.request().peer_certificate(), shown.as_deref());
        drop(client);
        visitor.echo("hello");
        calls.expect_text("hello");
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
    }

    /// Sees a client told of an alert, and nothing else.
    fn is_refused(visitor: Result<Visitor, String>, alerts: &[&str]) {
        let why = match visitor {
            Err(why) => why,
            Ok(mut visitor) => {
                let _refused_already = visitor.try_write(request("/", ""));
                visitor.try_answer_head().expect_err("it is let in").to_string()
            }
        };
        assert!(alerts.iter().any(|alert| why.contains(alert)), "{why}");
    }

    #[test]
    fn the_right_ones_are_let_in_and_known() {
        let authority = Authority::new("the test's authority");
        let client = authority.certify(Kind::Right);
        for optional in [false, true] {
            let tls = identity(&authority).client_roots(authority.pem());
            let serving = serve(tls.client_certificate_optional(optional));
            for version in VERSIONS {
                let visitor = visit(&serving, &authority, version, Some(&client)).unwrap();
                is_let_in(&serving, visitor, Some(der(&client)));
            }
            serving.handle().shutdown(1001, "", PATIENCE).unwrap();
            serving.ends();
        }
    }

    /// They never are clients, and others are served.
    #[test]
    fn the_wrong_ones_are_told_so_whether_or_not_one_is_required() {
        let authority = Authority::new("the test's authority");
        let right = authority.certify(Kind::Right);
        for optional in [false, true] {
            let tls = identity(&authority).client_roots(authority.pem());
            let serving = serve(tls.client_certificate_optional(optional));
            let mut refused = 0;
            for version in VERSIONS {
                for kind in WRONG {
                    println!("{kind:?}, {version:?}, optional: {optional}");
                    let wrong = authority.certify(kind);
                    let visitor = visit(&serving, &authority, version, Some(&wrong));
                    let alerts =
                        ["unknown ca", "expired", "bad certificate", "certificate unknown"];
                    is_refused(visitor, &alerts);
                    refused += 1;
                    wait_until("it is counted", || serving.handle().stats().refused == refused);
                }
                let visitor = visit(&serving, &authority, version, Some(&right)).unwrap();
                is_let_in(&serving, visitor, Some(der(&right)));
            }
            serving.handle().shutdown(1001, "", PATIENCE).unwrap();
            serving.ends();
        }
    }

    #[test]
    fn those_without_one_are_let_in_where_it_is_optional() {
        let authority = Authority::new("the test's authority");
        for optional in [true, false] {
            let tls = identity(&authority).client_roots(authority.pem());
            let serving = serve(tls.client_certificate_optional(optional));
            for version in VERSIONS {
                let visitor = visit(&serving, &authority, version, None);
                match optional {
                    true => is_let_in(&serving, visitor.unwrap(), None),
                    // TLS 1.2 has no word for it (RFC 5246 §7.4.6).
                    false => is_refused(visitor, &["certificate required", "handshake failure"]),
                }
            }
            serving.handle().shutdown(1001, "", PATIENCE).unwrap();
            serving.ends();
        }
    }

    /// Several, of which each may be PEM, DER or a file.
    #[test]
    fn any_of_the_roots_will_do() {
        let authorities = ["one", "two", "three"].map(Authority::new);
        let [pem, der_of, file] = &authorities;
        let folder = Folder::new();
        let certificate = native_tls::Certificate::from_pem(der_of.pem().as_bytes()).unwrap();
        let tls = identity(pem)
            .client_roots(pem.pem())
            .client_roots(certificate.to_der().unwrap())
            .client_roots_file(folder.write("root.pem", file.pem()));
        let serving = serve(tls);
        for authority in &authorities {
            let own = authority.certify(Kind::Right);
            let visitor = visit(&serving, pem, Protocol::Tlsv13, Some(&own)).unwrap();
            is_let_in(&serving, visitor, Some(der(&own)));
        }
        let nobodys = Authority::new("nobody's").certify(Kind::Right);
        let visitor = visit(&serving, pem, Protocol::Tlsv13, Some(&nobodys));
        is_refused(visitor, &["unknown ca"]);
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    }

    /// Who is who is the program's to decide: `on_request` sees the certificate.
    #[test]
    fn a_request_is_decided_on_by_its_certificate() {
        let authority = Authority::new("the test's authority");
        let (friend, stranger) = (authority.certify(Kind::Right), authority.certify(Kind::Right));
        let known = der(&friend);
        let tls = identity(&authority).client_roots(authority.pem());
        let options = |server: Server| {
            server.tls(tls).on_request(move |request| match request.peer_certificate() {
                Some(shown) if shown == known => Answer::accept(),
                _ => Answer::refuse(403),
            })
        };
        let serving = serve_as(Style::Spawned, options, echoes);
        let visitor = visit(&serving, &authority, Protocol::Tlsv13, Some(&stranger)).unwrap();
        assert_eq!(visitor.ask(request("/", "")).status, 403);
        let visitor = visit(&serving, &authority, Protocol::Tlsv13, Some(&friend)).unwrap();
        is_let_in(&serving, visitor, Some(der(&friend)));
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    }

    /// A configuration of the program's own.
    #[test]
    fn a_ready_made_configuration_asks_for_them_itself() {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        use rustls::server::WebPkiClientVerifier;
        use rustls::{RootCertStore, ServerConfig};

        let authority = Authority::new("the test's authority");
        let (server, client) = (authority.certify(Kind::Right), authority.certify(Kind::Right));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let chain = CertificateDer::from_pem_slice(server.chain.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![chain], key)
            .unwrap();
        // It decides alone.
        let both = ServerTls::rustls(config.clone()).client_roots(authority.pem());
        let error = problem(both);
        assert!(error.contains("ServerTls::rustls") && error.contains("ready-made"), "{error}");

        let serving = serve(ServerTls::rustls(config));
        let visitor = visit(&serving, &authority, Protocol::Tlsv13, Some(&client)).unwrap();
        is_let_in(&serving, visitor, Some(der(&client)));
        is_refused(visit(&serving, &authority, Protocol::Tlsv13, None), &["certificate required"]);
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    }

    #[test]
    fn whom_to_trust_may_be_replaced_while_running() {
        let (old, new) = (Authority::new("the old one"), Authority::new("the new one"));
        let serving = serve(identity(&old).client_roots(old.pem()));
        let [former, later] = [&old, &new].map(|authority| authority.certify(Kind::Right));
        let come = |own| visit(&serving, &old, Protocol::Tlsv13, Some(own));
        is_let_in(&serving, come(&former).unwrap(), Some(der(&former)));
        is_refused(come(&later), &["unknown ca"]);
        serving.handle().replace_tls(&identity(&old).client_roots(new.pem())).unwrap();
        is_refused(come(&former), &["unknown ca"]);
        is_let_in(&serving, come(&later).unwrap(), Some(der(&later)));
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    }

    #[test]
    fn roots_that_cannot_be_used_are_an_error() {
        let authority = Authority::new("the test's authority");
        let new = || identity(&authority).backend(TlsBackend::Rustls);
        for (tls, says) in [
            (new().client_roots(""), "is empty"),
            (new().client_roots("nonsense"), "cannot be read"),
            (new().client_roots(authority.certify(Kind::Right).key), "without a CERTIFICATE block"),
            (new().client_roots_file("/nowhere/roots.pem"), "/nowhere/roots.pem: cannot be read"),
        ] {
            let error = problem(tls);
            assert!(error.contains("ServerTls::client_roots") && error.contains(says), "{error}");
        }
    }

    /// Our own client, with each library.
    #[test]
    fn our_own_client_shows_what_it_has_and_is_told_what_it_lacks() {
        let authority = Authority::new("the test's authority");
        let client = authority.certify(Kind::Right);
        let serving = serve(identity(&authority).client_roots(authority.pem()));
        let url = format!("wss://localhost:{}/", serving.addr().port());
        let shown = der(&client);
        on_each(|backend| {
            let trusting = || authority.trusted().backend(backend);
            let tls = trusting().identity_pem(client.chain.clone(), client.key.clone());
            let app = run(WebSocketApp::new(&url).tls(tls));
            app.expect_open();
            let calls = serving.next();
            calls.expect_open();
            let its = serving.handle().clients().pop().expect("it is there");
            assert_eq!(its.request().peer_certificate(), Some(&shown[..]));
            drop(its);
            app.sender.close();
            app.expect_close(clean(ClosedBy::Us, 1000, ""));
            app.end_in_order();
            calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
            calls.finish();

            let why = refused(&url, trusting());
            assert!(why.contains("TlsConfig::identity_pem_files"), "{why}");
            let nobodys = Authority::new("nobody's").certify(Kind::Right);
            let why = refused(&url, trusting().identity_pem(nobodys.chain, nobodys.key));
            let why = why.to_lowercase().replace(' ', "");
            assert!(why.contains("unknownca"), "{why}");
            wait_until("all are gone", || serving.handle().stats().open == 0);
        });
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    }

    /// What an app is told that is not let in.
    fn refused(url: &str, tls: TlsConfig) -> String {
        let app = run(WebSocketApp::new(url).tls(tls.min_version(TlsVersion::Tls13)));
        let Failure::Tls(why) = app.failure() else { panic!("no failure of TLS") };
        app.expect_close(lost());
        app.end_given_up();
        why
    }
}
