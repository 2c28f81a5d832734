//! A server that a path tells what to do, the same for all real clients:
//!
//! ```text
//!   /                           a page of nothing but a script, `tests/javascript/clients.js`; sets a cookie
//!   /nobodys                    the same page, as one without a site, so that its origin is "null"
//!   /echo                       sends every message back
//!   /burst?messages=N           sends so many, "message 0" and so on
//!   /ping                       pings with each message's text, and says "pong" when that came back
//!   /pinged                     says "pinged: PAYLOAD" for each ping
//!   /close?code=C&reason=R      closes; without a code, as `close()` does
//!   /abort                      drops the connection
//!   /refuse?status=S            is refused
//!   /request                    sends what the server knows of the request, a line for each thing
//!   /sink?id=I                  takes messages
//!   /report?id=I                sends how /sink?id=I ended: "CODE REASON, by Peer, clean: N messages, M bytes"
//!   /hold?id=I                  says "held" to the first message, and takes no more until
//!   /release?id=I               is asked for, as a page
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, process};

use websocket_app::server::{Answer, Client, Request, Server, ServerHandle};
use websocket_app::{CallbackError, Close, Message};

use crate::watchdog::{Gate, within};

pub(super) const SUBPROTOCOLS: [&str; 2] = ["v2.telemetry", "v1.telemetry"];

/// A running server. Dropping it ends it.
pub(super) struct Served {
    handle: ServerHandle,
    scheme: &'static str,
    host: &'static str,
    authority: Option<AuthorityFile>,
}

/// A PEM file with what clients have to trust. Gone when it is dropped.
#[cfg_attr(not(feature = "__tls"), allow(dead_code))]
struct AuthorityFile(PathBuf);

/// What connections of one server have in common.
#[derive(Default)]
struct Common {
    reports: Mutex<HashMap<String, String>>,
    gates: Mutex<HashMap<String, Gate>>,
}

impl Served {
    /// Starts a plain server with options of its own.
    pub(super) fn start(configure: impl FnOnce(Server) -> Server) -> Served {
        let handle = configure(server()).spawn().unwrap();
        Served { handle, scheme: "ws", host: "127.0.0.1", authority: None }
    }

    /// Starts a plain one, and one for each TLS library.
    pub(super) fn over_ws_and_wss() -> Vec<Served> {
        let plain = [Served::start(|server| server)].into_iter();
        #[cfg(feature = "__tls")]
        let plain = plain.chain(crate::tls::BACKENDS.iter().map(|&it| Served::start_secure(it)));
        plain.collect()
    }

    #[cfg(feature = "__tls")]
    fn start_secure(backend: websocket_app::TlsBackend) -> Served {
        use rcgen::{
            BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
            KeyUsagePurpose,
        };
        use websocket_app::server::ServerTls;

        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "the test's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        // Newer Pythons ask for it (RFC 5280 §4.2.1.1).
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let tls = ServerTls::from_pem(certificate.pem(), key.serialize_pem()).backend(backend);
        let handle = server().tls(tls).spawn().unwrap();
        let authority = Some(AuthorityFile::write(&issuer.pem()));
        Served { handle, scheme: "wss", host: "localhost", authority }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}:{}{path}", self.scheme, self.host, self.port())
    }

    /// Returns the address of a page.
    pub(super) fn page(&self, path: &str) -> String {
        self.url(path).replacen("ws", "http", 1)
    }

    /// Returns what a script gets to reach the server: its URL, and the file with what to trust.
    pub(super) fn arguments(&self) -> Vec<String> {
        let file = self.authority.iter().map(|file| file.0.to_str().expect("UTF-8").to_owned());
        [self.url("")].into_iter().chain(file).collect()
    }

    fn port(&self) -> u16 {
        self.handle.local_addr().expect("it listens on TCP").port()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.handle.abort();
        let handle = self.handle.clone();
        if !std::thread::panicking() {
            within("the server's end", move || handle.join()).unwrap();
        }
    }
}

#[cfg_attr(not(feature = "__tls"), allow(dead_code))]
impl AuthorityFile {
    fn write(pem: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("served-{}-{}.pem", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, pem).unwrap();
        AuthorityFile(path)
    }
}

impl Drop for AuthorityFile {
    fn drop(&mut self) {
        let _only_a_file = fs::remove_file(&self.0);
    }
}

/// Plain servers that compress, with the parameters that the bits of their number say: the last is
/// the sixteenth. Open to each other's pages.
#[cfg(feature = "deflate")]
pub(super) fn compressing() -> Vec<Served> {
    let deflate = |number: u8| {
        websocket_app::Deflate::default()
            .min_size(0)
            .server_no_context_takeover(number & 1 != 0)
            .client_no_context_takeover(number & 2 != 0)
            .server_max_window_bits((number & 4 != 0).then_some(10))
            .client_max_window_bits((number & 8 != 0).then_some(11))
    };
    let start =
        |number| Served::start(|server| server.compression(deflate(number)).allow_any_origin());
    (0..16).map(start).collect()
}

fn server() -> Server {
    let common = Arc::<Common>::default();
    let [request, open, message, close] = [(); 4].map(|()| Arc::clone(&common));
    Server::new("127.0.0.1:0")
        .subprotocols(SUBPROTOCOLS)
        .max_message_size(64 << 20)
        .max_send_buffer(64 << 20)
        .ping_interval(None)
        .on_request(move |asked| request.on_request(asked))
        .on_open(move |client| open.on_open(client))
        .on_message(move |client, said| message.on_message(client, said))
        .on_ping(|client, payload| match client.request().path() {
            "/pinged" => client.send(format!("pinged: {}", String::from_utf8_lossy(payload))),
            _ => Ok(()),
        })
        .on_pong(|client, _| match client.request().path() {
            "/ping" => client.send("pong"),
            _ => Ok(()),
        })
        .on_close(move |client, how| close.on_close(client, how))
}

impl Common {
    fn on_request(&self, request: &Request) -> Answer {
        match (request.path(), request.is_upgrade()) {
            ("/refuse", _) => Answer::refuse(number(request, "status")).body("not you\n"),
            (_, true) => Answer::accept().header("X-Served", "yes"),
            ("/", false) => Answer::http(200, "text/html; charset=utf-8", PAGE)
                .header("Set-Cookie", "session=abc; Path=/; SameSite=Strict; HttpOnly"),
            ("/nobodys", false) => Answer::http(200, "text/html; charset=utf-8", PAGE)
                .header("Content-Security-Policy", "sandbox allow-scripts"),
            ("/release", false) => {
                self.gate(request).open();
                Answer::http(200, "text/plain", "released\n")
            }
            _ => Answer::refuse(404),
        }
    }

    fn on_open(&self, client: &Client) -> Result<(), CallbackError> {
        let request = client.request();
        match request.path() {
            "/burst" => {
                for i in 0..number::<u32>(request, "messages") {
                    client.send(format!("message {i}"))?;
                }
            }
            "/close" => match request.query_value("code") {
                None => client.close(),
                Some(_) => client.close_with(
                    number(request, "code"),
                    &request.query_value("reason").unwrap_or_default(),
                )?,
            },
            "/abort" => client.abort(),
            "/by_turns" => client.subscribe(client.id().to_string()),
            "/request" => client.send(described(request))?,
            "/report" => {
                let id = id(request);
                // It may come from now on; or it was there before, or both.
                client.subscribe(&id);
                let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
                let report = reports.get(&id).cloned();
                drop(reports);
                if let Some(report) = report {
                    client.send(report)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn on_message(&self, client: &Client, message: Message<'_>) -> Result<(), CallbackError> {
        match client.request().path() {
            "/echo" => client.send(message)?,
            // What is for all is compressed otherwise than what is for one.
            "/by_turns" if client.stats().messages_received.is_multiple_of(2) => {
                client.send(message)?;
            }
            "/by_turns" => _ = client.server().publish(client.id().to_string(), message),
            "/ping" => client.sender().ping(message.to_string())?,
            "/hold" => {
                let gate = self.gate(client.request());
                if client.stats().messages_sent == 0 {
                    client.send("held")?;
                }
                // Open for good, once it is.
                gate.wait();
            }
            _ => {}
        }
        Ok(())
    }

    fn on_close(&self, client: &Client, close: &Close) {
        if client.request().path() == "/sink" {
            let (id, stats) = (id(client.request()), client.stats());
            let clean = if close.clean { "clean" } else { "not clean" };
            let report = format!(
                "{} {}, by {:?}, {clean}: {} messages, {} bytes",
                close.code, close.reason, close.by, stats.messages_received, stats.bytes_received
            );
            let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
            reports.insert(id.clone(), report.clone());
            drop(reports);
            client.server().publish(id, report);
        }
    }

    fn gate(&self, request: &Request) -> Gate {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry(id(request)).or_default().clone()
    }
}

fn id(request: &Request) -> String {
    request.query_value("id").expect("an id is asked for")
}

fn number<T: std::str::FromStr>(request: &Request, name: &str) -> T {
    let value = request.query_value(name).unwrap_or_default();
    value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number"))
}

/// What is known of a request.
fn described(request: &Request) -> String {
    let headers = request.headers().iter().map(|(name, value)| format!("{name}: {value}"));
    let first = [
        format!("{} {}", request.method(), request.path()),
        format!("query {}", request.query().unwrap_or_default()),
        format!("subprotocol {}", request.subprotocol().unwrap_or("none")),
        format!("cookie {}", request.cookie("session").unwrap_or("none")),
        format!("tls {}", request.is_tls()),
        format!("local {}", request.peer_addr().is_some_and(|peer| peer.ip().is_loopback())),
    ];
    first.into_iter().chain(headers).collect::<Vec<_>>().join("\n")
}

const PAGE: &str = concat!(
    "<!doctype html>\n<title>A page</title>\n<script>\n",
    include_str!("../../javascript/clients.js"),
    "</script>\n"
);
