//! Why no connection comes about: what is wrong with a server's certificate, or that it wants one
//! of the client. The error names the reason, with `openssl s_server` and with nginx, each by TLS
//! 1.2 and 1.3.

use std::any::Any;

use websocket_app::{TlsBackend, TlsConfig, WebSocketApp};

use super::certificates::{Authority, Kind};
use super::nginx::{Nginx, rejection, unused};
use super::openssl::{ASKS, SServer, refused};
use super::program::is_there;
use crate::tls::on_each;

/// Who is connected to, and by which version of TLS: 1.2 or 1.3.
#[derive(Clone, Copy, Debug)]
enum Counterpart {
    SServer { minor: u8 },
    Nginx { minor: u8 },
}

const ALL: [Counterpart; 4] = [
    Counterpart::SServer { minor: 2 },
    Counterpart::SServer { minor: 3 },
    Counterpart::Nginx { minor: 2 },
    Counterpart::Nginx { minor: 3 },
];

/// Runs a test with each library, which is to trust this authority.
fn test(test: impl Fn(Counterpart, TlsConfig, &Authority)) {
    let authority = Authority::new("the test's authority");
    let programs: Vec<_> =
        ["openssl", "nginx"].into_iter().filter(|program| is_there(program)).collect();
    on_each(|backend: TlsBackend| {
        for counterpart in
            ALL.into_iter().filter(|counterpart| programs.contains(&counterpart.program()))
        {
            println!("to {counterpart:?}");
            test(counterpart, authority.trusted().backend(backend), &authority);
        }
    });
}

impl Counterpart {
    fn program(self) -> &'static str {
        match self {
            Counterpart::SServer { .. } => "openssl",
            Counterpart::Nginx { .. } => "nginx",
        }
    }

    /// Starts it with a certificate of this kind; one that `asks` wants a client certificate by the
    /// same authority.
    fn start(self, authority: &Authority, kind: Kind, asks: bool) -> Server {
        match self {
            Counterpart::SServer { minor } => {
                let version = format!("-tls1_{minor}");
                let arguments = [&[version.as_str()][..], if asks { &ASKS } else { &[] }].concat();
                let server = SServer::start(authority, kind, &arguments);
                Server { url: server.url(), _running: Box::new(server) }
            }
            Counterpart::Nginx { minor } => {
                let asks = if asks {
                    "ssl_verify_client on; ssl_client_certificate root.pem;"
                } else {
                    ""
                };
                let (peer, directives) = (unused(), format!("ssl_protocols TLSv1.{minor}; {asks}"));
                let nginx = Nginx::start_with(&peer, authority, kind, &directives);
                Server { url: nginx.wss_url("/"), _running: Box::new((nginx, peer)) }
            }
        }
    }
}

/// Runs until it is dropped.
struct Server {
    url: String,
    _running: Box<dyn Any>,
}

impl Server {
    fn app(&self, tls: TlsConfig) -> WebSocketApp {
        WebSocketApp::new(&self.url).tls(tls)
    }
}

#[test]
fn a_wrong_certificate_is_refused_with_its_reason() {
    test(|counterpart, tls, authority| {
        for (kind, reason) in [
            (Kind::Expired, "certificate has expired"),
            (Kind::ExpiredIssuer, "certificate has expired"),
            (Kind::NotYetValid, "certificate is not yet valid"),
            (Kind::OtherName, "it is not for `localhost`"),
            (Kind::SelfSigned, "root_certificate_file can trust its root"),
            (Kind::Untrusted, "root_certificate_file can trust its root"),
        ] {
            let server = counterpart.start(authority, kind, false);
            let why = refused(server.app(tls.clone()));
            let said = why.contains("its certificate is not accepted: ") && why.contains(reason);
            assert!(said && why.contains("localhost"), "{kind:?}: {why}");
        }
    });
}

#[test]
fn a_client_certificate_that_is_missing_or_wrong_is_the_reason() {
    test(|counterpart, tls, authority| {
        let stranger = Authority::new("another authority").certify(Kind::Right);
        let wrong = tls.clone().identity_pem(stranger.chain, stranger.key);
        let (if_missing, if_wrong) = match counterpart {
            // TLS 1.2 has no word for it (RFC 5246 §7.4.6): "handshake failure".
            Counterpart::SServer { minor: 2 } => ("handshake", "unknown ca"),
            Counterpart::SServer { .. } => ("identity_pem_files", "unknown ca"),
            // It lets everybody in to tell them by HTTP.
            Counterpart::Nginx { .. } => {
                ("No required SSL certificate was sent", "The SSL certificate error")
            }
        };
        for (tls, reason) in [(tls, if_missing), (wrong, if_wrong)] {
            let server = counterpart.start(authority, Kind::Right, true);
            let why = match counterpart {
                Counterpart::SServer { .. } => refused(server.app(tls)),
                Counterpart::Nginx { .. } => rejection(server.app(tls)).to_string(),
            };
            assert!(bare(&why).contains(&bare(reason)), "{why}");
        }
    });
}

/// One library says "unknown ca", and the other `UnknownCA`.
fn bare(text: &str) -> String {
    text.to_lowercase().replace(' ', "")
}
