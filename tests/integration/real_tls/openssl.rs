//! `openssl s_server`: what it reads from its standard input goes to the client, what the client
//! says to its output.

use std::process::Command;

use tungstenite::handshake::derive_accept_key;
use websocket_app::{ClosedBy, TlsBackend, TlsConfig, TlsVersion, WebSocketApp};

use super::certificates::{Authority, Folder, Kind};
use super::program::{Program, is_there};
use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::program::system;
use crate::redirects::redirect;
use crate::running::{Running, run};
use crate::tls::on_each;
use crate::watchdog::Watchdog;

pub(super) struct SServer {
    program: Program,
    port: String,
    _folder: Folder,
    _watchdog: Watchdog,
}

impl SServer {
    /// Starts it with a certificate of this kind and these arguments.
    pub(super) fn start(authority: &Authority, kind: Kind, arguments: &[&str]) -> Self {
        let (watchdog, folder) = (Watchdog::new(), Folder::new());
        let certified = authority.certify(kind);
        let certificate = folder.write("chain.pem", certified.chain);
        let key = folder.write("key.pem", certified.key);
        let root = folder.write("root.pem", authority.pem());
        let mut command = system("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0"]);
        command
            .arg("-cert")
            .arg(&certificate)
            .arg("-cert_chain")
            .arg(&certificate)
            .arg("-key")
            .arg(key);
        command.arg("-CAfile").arg(root).args(arguments);
        let program = Program::start(&mut command);
        let port = program.find_behind("ACCEPT 127.0.0.1:");
        SServer { program, port, _folder: folder, _watchdog: watchdog }
    }

    pub(super) fn url(&self) -> String {
        format!("wss://localhost:{}/", self.port)
    }

    fn app(&self, tls: TlsConfig) -> WebSocketApp {
        WebSocketApp::new(self.url()).tls(tls)
    }

    /// Answers the request.
    pub(super) fn accept(&mut self) {
        let accept = derive_accept_key(self.program.find_behind("Sec-WebSocket-Key: ").as_bytes());
        self.program.write(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ));
    }

    /// Opens, says something, and closes.
    fn converse(&mut self, app: WebSocketApp) {
        let app = run(app);
        self.accept();
        app.expect_open();
        self.says(&app, "hello");
        self.close(app);
    }

    pub(super) fn says(&mut self, app: &Running, text: &str) {
        self.program.write(Frame::text(text).encode());
        app.expect_text(text);
    }

    pub(super) fn close(&mut self, app: Running) {
        self.program.write(Frame::close(1000, "").encode());
        // The client's, with a code and masked.
        self.program.find("Close frame", |output| {
            output.windows(2).any(|head| head == [0x88, 0x82]).then_some(())
        });
        // Ends the connection, as a server should then.
        self.program.write("Q\n");
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end_in_order();
    }
}

/// For a server that negotiates anew.
#[cfg(feature = "native-tls")]
impl SServer {
    pub(super) fn addr(&self) -> std::net::SocketAddr {
        (std::net::Ipv4Addr::LOCALHOST, self.port.parse().unwrap()).into()
    }

    /// Has it negotiate anew, where it is not TLS 1.3.
    pub(super) fn ask_to_renegotiate(&mut self) {
        self.program.write("r\n");
    }

    pub(super) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.program.write(bytes);
    }

    /// Waits for a masked text of this length.
    pub(super) fn receives_text_of(&self, length: u8) {
        self.program.find("text", |output| {
            output.windows(2).any(|head| head == [0x81, 0x80 | length]).then_some(())
        });
    }
}

/// Runs a test with each library, and an authority for its certificates.
fn test(test: impl Fn(TlsBackend, &Authority)) {
    if is_there("openssl") {
        let authority = Authority::new("the test's authority");
        on_each(|backend| test(backend, &authority));
    }
}

/// What the app is told, if not why its certificate is refused.
pub(super) fn refused(app: WebSocketApp) -> String {
    let app = run(app);
    let failure = app.failure();
    app.expect_close(lost());
    app.end_given_up();
    match failure {
        Failure::Tls(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_versions_talk() {
    test(|backend, authority| {
        for version in ["-tls1_2", "-tls1_3"] {
            let mut server = SServer::start(authority, Kind::Right, &[version]);
            let app = server.app(authority.trusted().backend(backend));
            server.converse(app);
        }
    });
}

#[test]
fn wrong_certificates_where_anything_is_accepted() {
    test(|backend, authority| {
        for kind in
            [Kind::Expired, Kind::NotYetValid, Kind::OtherName, Kind::SelfSigned, Kind::Untrusted]
        {
            let mut server = SServer::start(authority, kind, &[]);
            let tls = TlsConfig::new().backend(backend).danger_accept_invalid_certs(true);
            let app = server.app(tls.danger_accept_invalid_hostnames(true));
            server.converse(app);
        }
    });
}

#[test]
fn a_self_signed_certificate_may_be_trusted_itself() {
    test(|backend, authority| {
        let (mut server, folder) =
            (SServer::start(authority, Kind::SelfSigned, &[]), Folder::new());
        let own = std::fs::read(server._folder.path().join("chain.pem")).unwrap();
        let tls = TlsConfig::new().backend(backend).only_these_roots(true);
        let tls = tls.root_certificate_file(folder.write("own.pem", own));
        let app = server.app(tls.clone());
        server.converse(app);
        let server = SServer::start(authority, Kind::SelfSigned, &[]);
        let why = refused(server.app(tls));
        assert!(why.contains("is not accepted"), "another one: {why}");
    });
}

/// The server has that certificate only for who asks for that name (RFC 6066 §3).
#[test]
fn another_name_is_asked_for_and_expected() {
    test(|backend, authority| {
        let (folder, other) = (Folder::new(), authority.certify(Kind::OtherName));
        let (chain, key) =
            (folder.write("other.pem", other.chain), folder.write("other.key", other.key));
        let arguments = ["-servername", "other.example", "-servername_fatal", "-cert2"];
        let arguments =
            [&arguments[..], &[chain.to_str().unwrap(), "-key2", key.to_str().unwrap()]].concat();
        let mut server = SServer::start(authority, Kind::Right, &arguments);
        let app = server.app(authority.trusted().backend(backend).server_name("other.example"));
        server.converse(app);
    });
}

#[test]
fn a_minimum_version_is_kept() {
    test(|backend, authority| {
        let tls = || authority.trusted().backend(backend).min_version(TlsVersion::Tls13);
        let mut server = SServer::start(authority, Kind::Right, &["-tls1_3"]);
        let app = server.app(tls());
        server.converse(app);
        let server = SServer::start(authority, Kind::Right, &["-tls1_2"]);
        let why = refused(server.app(tls()));
        assert!(why.to_lowercase().contains("version"), "{why}");
        // What is retired is not offered to begin with.
        let server =
            SServer::start(authority, Kind::Right, &["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"]);
        let why = refused(server.app(authority.trusted().backend(backend)));
        assert!(why.to_lowercase().contains("version"), "{why}");
    });
}

/// Asks for a client certificate, and hangs up without one.
pub(super) const ASKS: [&str; 3] = ["-Verify", "1", "-verify_return_error"];

#[test]
fn a_client_certificate_is_shown_where_one_is_asked_for() {
    test(|backend, authority| {
        let client = authority.certify(Kind::Right);
        for version in ["-tls1_2", "-tls1_3"] {
            let mut server =
                SServer::start(authority, Kind::Right, &[&[version], &ASKS[..]].concat());
            let tls = authority.trusted().backend(backend);
            let app = server.app(tls.identity_pem(client.chain.clone(), client.key.clone()));
            server.converse(app);
        }
    });
}

/// With TLS 1.3 it says so behind the handshake, when it has been asked for a tunnel.
#[test]
fn a_proxy_that_wants_a_client_certificate_is_the_one_that_is_named() {
    test(|backend, authority| {
        let proxy = SServer::start(authority, Kind::Right, &[&["-tls1_3"], &ASKS[..]].concat());
        let url = format!("https://localhost:{}", proxy.port);
        let why = refused(
            WebSocketApp::new("ws://server.invalid/")
                .proxy(url)
                .proxy_tls(authority.trusted().backend(backend)),
        );
        let expected = format!(
            "TLS handshake with the proxy localhost:{}: it wants a client certificate: ",
            proxy.port
        );
        assert!(why.starts_with(&expected), "{why}");
    });
}

#[test]
fn a_client_certificate_is_not_shown_to_another_origin() {
    test(|backend, authority| {
        let client = authority.certify(Kind::Right);
        let tls = || {
            authority
                .trusted()
                .backend(backend)
                .identity_pem(client.chain.clone(), client.key.clone())
        };
        let server = SServer::start(authority, Kind::Right, &[&["-tls1_3"], &ASKS[..]].concat());
        let to = format!("https://localhost:{}/", server.port);
        let first = Peer::start(move |listener| redirect(listener, &to));
        let why = refused(WebSocketApp::new(first.url()).tls(tls()).max_redirects(1));
        assert!(why.contains("identity_pem_files"), "{why}");
    });
}

#[test]
#[cfg(feature = "native-tls")]
fn a_client_certificate_may_be_in_an_archive() {
    let test = |authority: &Authority| {
        let (client, folder) = (authority.certify(Kind::Right), Folder::new());
        let (chain, key) =
            (folder.write("chain.pem", client.chain), folder.write("key.pem", client.key));
        let archive = folder.path().join("identity.p12");
        let mut convert = Command::new("openssl");
        convert.args(["pkcs12", "-export", "-passout", "pass:secret"]);
        convert.arg("-in").arg(chain).arg("-inkey").arg(key).arg("-out").arg(&archive);
        assert!(convert.status().unwrap().success());
        let mut server = SServer::start(authority, Kind::Right, &ASKS);
        let tls = authority.trusted().backend(TlsBackend::NativeTls);
        let app = server.app(tls.identity_pkcs12(std::fs::read(archive).unwrap(), "secret"));
        server.converse(app);
    };
    if is_there("openssl") {
        test(&Authority::new("the test's authority"));
    }
}

/// The command that the option's error message gives.
fn pin(certificate: &std::path::Path) -> String {
    let command = "openssl x509 -in \"$1\" -noout -pubkey | openssl pkey -pubin -outform der | \
                   openssl dgst -sha256 -binary | base64";
    let made = Command::new("sh").args(["-c", command, "pin"]).arg(certificate).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    format!("sha256/{}", String::from_utf8(made.stdout).unwrap().trim())
}

#[test]
fn a_pinned_key_is_accepted_and_another_is_not() {
    test(|backend, authority| {
        for version in ["-tls1_2", "-tls1_3"] {
            let mut server = SServer::start(authority, Kind::Right, &[version]);
            let right = pin(&server._folder.path().join("chain.pem"));
            let wrong = pin(&server._folder.path().join("root.pem"));
            let tls = || authority.trusted().backend(backend).pin(wrong.clone());
            let why = refused(server.app(tls()));
            assert!(why.contains("none of the pinned ones") && why.contains(&right), "{why}");
            let app = server.app(tls().pin(right));
            server.converse(app);
        }
    });
}

#[test]
fn new_keys_in_the_middle_change_nothing() {
    test(|backend, authority| {
        let mut server = SServer::start(authority, Kind::Right, &["-tls1_3", "-msg"]);
        let app = run(server.app(authority.trusted().backend(backend)));
        server.accept();
        app.expect_open();
        // The server's own, then the client's as well, which come with what it sends next at the
        // latest (RFC 8446 §4.6.3).
        for (command, sent, answered) in [("k\n", 1, 0), ("K\n", 2, 1), ("K\n", 3, 2)] {
            server.program.write(command);
            server.program.find_times(">>> TLS 1.3, Handshake [length 0005], KeyUpdate", sent);
            server.says(&app, command.trim());
            app.sender.ping(b"").unwrap();
            server.program.find_times("<<< TLS 1.3, Handshake [length 0005], KeyUpdate", answered);
        }
        server.says(&app, "the last");
        server.close(app);
    });
}

#[test]
#[cfg(feature = "rustls")]
fn keys_are_logged_by_the_library_that_can() {
    let test = |authority: &Authority| {
        let folder = Folder::new();
        let log = folder.path().join("keys.log");
        let mut server = SServer::start(authority, Kind::Right, &["-tls1_3"]);
        let app = server.app(authority.trusted().key_log_file(&log));
        server.converse(app);
        let keys = std::fs::read_to_string(&log).unwrap();
        let labels: Vec<_> = keys.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(
            labels.contains(&"CLIENT_TRAFFIC_SECRET_0")
                && labels.contains(&"SERVER_TRAFFIC_SECRET_0"),
            "{keys}"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
        }
    };
    if is_there("openssl") {
        test(&Authority::new("the test's authority"));
    }
}
