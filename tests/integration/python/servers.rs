//! Makes and ends what `python.rs` talks to: a virtual environment, certificates, and one process
//! with a server for each.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::{env, thread};

use websocket_app::{TlsBackend, TlsConfig, WebSocket, WebSocketApp, WebSocketBuilder};

use crate::tls::BACKENDS;
use crate::watchdog::Task;

/// The running servers. One process serves the tests that run at the same time, and ends with the
/// last of them.
pub(super) struct Servers {
    process: Child,
    folder: PathBuf,
    ports: HashMap<String, u16>,
    /// Trusts the authority behind every certificate but that of the server `untrusted`.
    tls: TlsConfig,
}

/// What reaches one of the servers.
pub(super) struct Server {
    pub(super) authority: String,
    scheme: &'static str,
    tls: TlsConfig,
}

static SHARED: Mutex<Weak<Servers>> = Mutex::new(Weak::new());

impl Servers {
    /// Gives the running servers, or starts them. `None` where Python is not fit for it, which is
    /// said on standard error, and fails the test instead where the environment variable `CI` is
    /// set.
    pub(super) fn shared() -> Option<Arc<Servers>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        match environment() {
            Ok(python) => {
                let started = Arc::new(Servers::start(&python));
                *shared = Arc::downgrade(&started);
                Some(started)
            }
            Err(why) => {
                let test = thread::current().name().unwrap_or("a test").to_owned();
                assert!(env::var_os("CI").is_none(), "not to be skipped where CI is set: {why}");
                // Past the harness, which keeps what a passing test prints to itself.
                let message = format!("skipped {test}: needs python3 with venv and pip: {why}\n");
                io::stderr().write_all(message.as_bytes()).unwrap();
                None
            }
        }
    }

    fn start(python: &str) -> Servers {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("python-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let tls = write_certificates(&folder);
        let mut process = Command::new(python)
            .arg(script("server.py"))
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = process.stdout.take().expect("it is piped");
        let mut servers = Servers { process, folder, ports: HashMap::new(), tls };
        servers.ports = Task::start("the Python servers' ports", || read_ports(stdout)).join();
        servers
    }

    /// The plain server and, where TLS is compiled in, the one with the good certificate.
    pub(super) fn good(&self) -> Vec<Server> {
        let mut good = vec![self.plain()];
        good.extend(BACKENDS.iter().map(|&backend| self.secure("trusted", backend)));
        good
    }

    pub(super) fn plain(&self) -> Server {
        Server {
            authority: format!("127.0.0.1:{}", self.ports["ws"]),
            scheme: "ws",
            tls: TlsConfig::new(),
        }
    }

    /// A plain server that compresses, with the parameters that the bits of this number say.
    #[cfg(feature = "deflate")]
    pub(super) fn compressing(&self, number: u8) -> Server {
        let authority = format!("127.0.0.1:{}", self.ports[&format!("deflate{number}")]);
        Server { authority, scheme: "ws", tls: TlsConfig::new() }
    }

    /// Plain over IPv6, where there is IPv6.
    pub(super) fn plain_over_ipv6(&self) -> Option<Server> {
        let authority = format!("[::1]:{}", self.ports.get("ws6")?);
        Some(Server { authority, scheme: "ws", tls: TlsConfig::new() })
    }

    /// The server with the certificate of this name, for a client that has this library do it.
    pub(super) fn secure(&self, name: &str, backend: TlsBackend) -> Server {
        let tls = self.tls.clone().backend(backend);
        Server { authority: format!("localhost:{}", self.ports[name]), scheme: "wss", tls }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // It ends by itself when its input does; killed, it cannot be late.
        let _gone_already = self.process.kill();
        self.process.wait().unwrap();
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

impl Server {
    pub(super) fn app(&self, path: &str) -> WebSocketApp {
        self.app_as("", path)
    }

    /// With user info in the URL, `name:password@`.
    pub(super) fn app_as(&self, user_info: &str, path: &str) -> WebSocketApp {
        WebSocketApp::new(format!("{}://{user_info}{}{path}", self.scheme, self.authority))
            .tls(self.tls.clone())
    }

    pub(super) fn blocking(&self, path: &str) -> WebSocketBuilder {
        WebSocket::builder(format!("{}://{}{path}", self.scheme, self.authority))
            .tls(self.tls.clone())
    }

    /// Expects the certificate to be for another name than the URL's.
    #[cfg(feature = "__tls")]
    pub(super) fn named(self, name: &str) -> Server {
        Server { tls: self.tls.server_name(name), ..self }
    }
}

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)
}

/// Gives the path of a Python that has the packages the server needs, or why there is none.
pub(crate) fn environment() -> Result<String, String> {
    let made = Command::new("python3")
        .arg(script("environment.py"))
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("python"))
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("python3: {e}"))?;
    match made.status.success() {
        true => Ok(String::from_utf8_lossy(&made.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&made.stderr).trim().to_owned()),
    }
}

/// Reads `{"name": port, …}` from the first line.
fn read_ports(stdout: ChildStdout) -> HashMap<String, u16> {
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let members = line.trim().strip_prefix('{').and_then(|line| line.strip_suffix('}'));
    let members =
        members.unwrap_or_else(|| panic!("the Python server tells no ports, but {line:?}"));
    let port = |member: &str| {
        let (name, port) = member.split_once(": ").expect("a name and a port");
        (name.trim().trim_matches('"').to_owned(), port.parse().expect("a port"))
    };
    members.split(',').map(port).collect()
}

/// Writes `trusted.pem`, for this machine; `other_name.pem`, for another; `untrusted.pem`, by
/// another authority. Each has the certificate and its key.
#[cfg(feature = "__tls")]
fn write_certificates(folder: &Path) -> TlsConfig {
    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    };

    let common_name = |name: &str| {
        let mut names = DistinguishedName::new();
        names.push(DnType::CommonName, name);
        names
    };
    let authority = |name| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(params, key))
    };
    let certify = |file: &str, host: &str, issuer| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.distinguished_name = common_name(host);
        let certificate = params.signed_by(&key, issuer).unwrap();
        fs::write(folder.join(file), certificate.pem() + &key.serialize_pem()).unwrap();
    };
    let (root, known) = authority("the test's authority");
    let (_, unknown) = authority("an authority that nobody knows");
    certify("trusted.pem", "localhost", &known);
    certify("other_name.pem", "other.example", &known);
    certify("untrusted.pem", "localhost", &unknown);
    TlsConfig::new().root_certificate(root)
}

#[cfg(not(feature = "__tls"))]
fn write_certificates(_folder: &Path) -> TlsConfig {
    TlsConfig::new()
}
