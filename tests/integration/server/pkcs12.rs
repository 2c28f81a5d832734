//! A server's identity from a PKCS#12 archive, which `native-tls` reads and rustls does not.

use std::fs;
use std::path::PathBuf;

use websocket_app::server::{Server, ServerTls};
use websocket_app::{ClosedBy, TlsBackend};

use super::serving::{Style, echoes, serve_as};
use super::visitor::{Visitor, request};
use crate::failure::clean;
use crate::program::{skip, system};
use crate::real_tls::certificates::{Authority, Folder, Kind};
use crate::watchdog::PATIENCE;

const PASSWORD: &str = "secret";

/// An archive, made as users do, and who has signed what is in it.
struct Archive {
    authority: Authority,
    #[cfg_attr(not(feature = "rustls"), allow(dead_code))]
    folder: Folder,
    path: PathBuf,
}

impl Archive {
    /// `None`, said on standard error, where there is no program to make it.
    fn make() -> Option<Self> {
        let (authority, folder) = (Authority::new("the test's authority"), Folder::new());
        let certified = authority.certify(Kind::Right);
        let path = folder.path().join("archive.p12");
        let mut convert = system("openssl");
        convert.args(["pkcs12", "-export", "-passout"]).arg(format!("pass:{PASSWORD}"));
        convert.arg("-in").arg(folder.write("chain.pem", certified.chain));
        convert.arg("-inkey").arg(folder.write("key.pem", certified.key));
        match convert.arg("-out").arg(&path).output() {
            Err(why) => {
                skip(&format!("needs openssl: {why}"));
                None
            }
            Ok(output) => {
                assert!(output.status.success(), "{output:?}");
                Some(Archive { authority, folder, path })
            }
        }
    }

    fn tls(&self, password: &str) -> ServerTls {
        ServerTls::from_pkcs12(fs::read(&self.path).unwrap(), password)
    }

    /// Fails unless a server with this is who the archive says.
    fn serves(&self, tls: ServerTls) {
        let serving = serve_as(Style::Spawned, |server| server.tls(tls), echoes);
        let root = native_tls::Certificate::from_pem(self.authority.pem().as_bytes()).unwrap();
        let mut connector = native_tls::TlsConnector::builder();
        connector.disable_built_in_roots(true).add_root_certificate(root);
        let mut visitor = Visitor::secure(serving.addr(), &connector).unwrap();
        visitor.upgrade(&request("/", ""));
        let calls = serving.next();
        calls.expect_open();
        visitor.echo("hello");
        calls.expect_text("hello");
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    }
}

/// The error of a server that cannot be run, which names the option and shows no password.
fn problem(tls: ServerTls) -> String {
    match Server::new("127.0.0.1:0").tls(tls).spawn() {
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains("ServerTls::from_pkcs12"), "{error}");
            assert!(!error.contains(PASSWORD) && !error.contains("hunter2"), "{error}");
            error
        }
        Ok(server) => {
            server.abort();
            panic!("it runs");
        }
    }
}

#[test]
#[cfg(feature = "native-tls")]
fn native_tls_reads_it() {
    let Some(archive) = Archive::make() else { return };
    let native = |tls: ServerTls| tls.backend(TlsBackend::NativeTls);
    // It is the default where it is compiled in.
    archive.serves(archive.tls(PASSWORD));
    archive.serves(native(archive.tls(PASSWORD)));
    let why = problem(native(archive.tls("hunter2")));
    assert!(why.contains("its password is another one"), "{why}");
    let why = problem(native(ServerTls::from_pkcs12("nonsense", PASSWORD)));
    assert!(why.contains("no PKCS#12 archive"), "{why}");
    let why = problem(native(ServerTls::from_pkcs12("", PASSWORD)));
    assert!(why.contains("is empty"), "{why}");
}

/// The error names a command, and what that makes is what it says.
#[test]
#[cfg(feature = "rustls")]
fn rustls_says_what_to_do() {
    const COMMAND: &str = "openssl pkcs12 -in archive.p12 -nodes -out identity.pem";

    let Some(archive) = Archive::make() else { return };
    let why = problem(archive.tls(PASSWORD).backend(TlsBackend::Rustls));
    for words in ["rustls reads no PKCS#12", COMMAND, "from_pem_files", "TlsBackend::NativeTls"] {
        assert!(why.contains(words), "{words}: {why}");
    }
    let mut words = COMMAND.split(' ');
    let mut convert = system(words.next().expect("split gives one piece at least"));
    convert.args(words).args(["-passin", &format!("pass:{PASSWORD}")]);
    let output = convert.current_dir(archive.folder.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let made = archive.folder.path().join("identity.pem");
    archive.serves(ServerTls::from_pem_files(&made, &made).backend(TlsBackend::Rustls));
}
