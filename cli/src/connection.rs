//! [`ConnectionArgs`]: the options of everything that connects, and what they make of an app.

use std::env::{self, VarError};
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use websocket_app::{
    Deflate, Handler, SocketOptions, TlsBackend, TlsConfig, TlsVersion, WebSocketApp,
};

use crate::failure::Failure;
use crate::seconds::{FOREVER, seconds, seconds_or_forever};
use crate::status::Status;

/// The environment's part: credentials that are in no list of processes.
const AUTH_VARIABLE: &str = "WSAPP_AUTH";
const HEADERS_VARIABLE: &str = "WSAPP_HEADERS";

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Add a header to the request, as often as you like; @FILE has one in each line, and so has the
    /// environment variable WSAPP_HEADERS: unlike arguments nobody else sees those
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE|@FILE")]
    headers: Vec<String>,

    /// Log in with Basic authentication; @FILE and the environment variable WSAPP_AUTH keep it out
    /// of the list of processes
    #[arg(long, value_name = "USER:PASSWORD|@FILE")]
    auth: Option<String>,

    /// Send a cookie; as often as you like
    #[arg(long = "cookie", value_name = "NAME=VALUE")]
    cookies: Vec<String>,

    /// Send back the cookies that the server sets, when connecting again
    #[arg(long)]
    keep_cookies: bool,

    /// Send an Origin header, as browsers do
    #[arg(short, long, value_name = "URL")]
    origin: Option<String>,

    /// Offer a subprotocol; as often as you like, the preferred one first
    #[arg(short, long = "subprotocol", value_name = "NAME", value_delimiter = ',')]
    subprotocols: Vec<String>,

    /// Ask for another host than the URL's, in the Host header
    #[arg(long, value_name = "NAME")]
    host: Option<String>,

    /// Go through a proxy: http, https, socks4, socks4a, socks5 or socks5h; without this the
    /// environment says (http_proxy, https_proxy, all_proxy, no_proxy)
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,

    /// Go through no proxy, whatever the environment says
    #[arg(long, conflicts_with = "proxy")]
    no_proxy: bool,

    /// Follow redirects, up to --max-redirects
    #[arg(short = 'L', long)]
    location: bool,

    /// How many redirects to follow
    #[arg(long, value_name = "NUMBER", default_value_t = 10, requires = "location")]
    max_redirects: u32,

    /// Offer to compress messages (permessage-deflate)
    #[arg(long)]
    compress: bool,

    /// Connect from this address
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,

    /// Give up connecting after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    connect_timeout: Duration,

    /// Give up waiting for the answer to a Close frame after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) close_timeout: Duration,

    /// Ping the server this often, or not at all: forever
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds_or_forever)]
    ping_interval: Duration,

    /// Take the connection for lost when nothing comes for so long after a ping
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    ping_timeout: Duration,

    /// Take the connection for lost when no message comes for so long
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    idle_timeout: Option<Duration>,

    /// The longest message that is received, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    pub(crate) max_message_size: usize,

    #[command(flatten)]
    tls: TlsArgs,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS (wss://)")]
struct TlsArgs {
    /// Accept any certificate, of anybody: for tests
    #[arg(short = 'k', long)]
    insecure: bool,

    /// Trust the certificates in this file too (PEM or DER)
    #[arg(long, value_name = "FILE")]
    ca: Vec<PathBuf>,

    /// Trust Mozilla's roots, which are in this program, instead of the system's
    #[arg(long)]
    bundled_roots: bool,

    /// Show this certificate to the server (PEM, with --key; or PKCS#12)
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,

    /// The key of --cert (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// A file with the password of a --cert that is PKCS#12
    #[arg(long, value_name = "FILE", requires = "cert", conflicts_with = "key")]
    passphrase_file: Option<PathBuf>,

    /// Expect the certificate of another name than the URL's
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,

    /// Expect this public key: sha256/… in base64, as often as you like
    #[arg(long = "pin", value_name = "PIN")]
    pins: Vec<String>,

    /// The lowest version of TLS that is good enough
    #[arg(long, value_name = "VERSION")]
    min_tls: Option<MinTls>,

    /// Which TLS library to use
    #[arg(long = "tls", value_name = "LIBRARY")]
    library: Option<TlsLibrary>,

    /// Write the session's keys to a file, for Wireshark (rustls)
    #[arg(long, value_name = "FILE")]
    key_log: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MinTls {
    #[value(name = "1.2")]
    Tls12,
    #[value(name = "1.3")]
    Tls13,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TlsLibrary {
    /// The operating system's
    Native,
    /// The one written in Rust
    Rustls,
}

/// The options, with what stands in the files that they name: some can be read only once.
pub(crate) struct Connection<'a> {
    args: &'a ConnectionArgs,
    headers: Vec<(String, String)>,
    tls: TlsConfig,
}

impl Connection<'_> {
    /// Returns the headers that the user gave, wherever, login included.
    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Sets what the options say.
    pub(crate) fn apply<H: Handler>(&self, app: WebSocketApp<H>) -> WebSocketApp<H> {
        let headers = self.headers.iter().cloned();
        let app = headers.fold(app, |app, (name, value)| app.header(name, value));
        self.args.apply(app).tls(self.tls.clone())
    }
}

impl ConnectionArgs {
    /// Reads the files that the options name.
    pub(crate) fn read(&self) -> Result<Connection<'_>, Failure> {
        Ok(Connection { args: self, headers: self.headers()?, tls: self.tls.config()? })
    }

    fn apply<H: Handler>(&self, mut app: WebSocketApp<H>) -> WebSocketApp<H> {
        if !self.cookies.is_empty() {
            app = app.cookie(self.cookies.join("; "));
        }
        if let Some(origin) = &self.origin {
            app = app.origin(origin);
        }
        if let Some(host) = &self.host {
            app = app.host(host);
        }
        if let Some(proxy) = &self.proxy {
            app = app.proxy(proxy);
        }
        if self.no_proxy {
            app = app.no_proxy();
        }
        if self.compress {
            app = app.compression(Deflate::default());
        }
        if let Some(address) = self.bind {
            app = app.socket_options(SocketOptions::new().bind_address(address));
        }
        app.keep_cookies(self.keep_cookies)
            .subprotocols(self.subprotocols.clone())
            .max_redirects(if self.location { self.max_redirects } else { 0 })
            .connect_timeout(self.connect_timeout)
            .close_timeout(self.close_timeout)
            .ping_interval(Some(self.ping_interval).filter(|interval| *interval != FOREVER))
            .ping_timeout(self.ping_timeout)
            .idle_timeout(self.idle_timeout)
            .max_message_size(self.max_message_size)
            // How long a peer may take to read is up to it; whether it lives, the pings tell.
            .send_timeout(FOREVER)
    }

    fn headers(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut headers = Vec::new();
        for header in &self.headers {
            match header.strip_prefix('@') {
                Some(file) => read_headers(&read_text("--header", file)?, header, &mut headers)?,
                None => headers.push(header_of(header, "--header")?),
            }
        }
        if let Some(lines) = variable(HEADERS_VARIABLE)? {
            read_headers(&lines, HEADERS_VARIABLE, &mut headers)?;
        }
        let auth = match &self.auth {
            Some(auth) => Some(match auth.strip_prefix('@') {
                Some(file) => read_text("--auth", file)?,
                None => auth.clone(),
            }),
            None => variable(AUTH_VARIABLE)?,
        };
        if let Some(auth) = auth {
            let login = BASE64_STANDARD.encode(auth.trim_end_matches(['\r', '\n']));
            headers.push(("Authorization".into(), format!("Basic {login}")));
        }
        Ok(headers)
    }
}

impl TlsArgs {
    fn config(&self) -> Result<TlsConfig, Failure> {
        let mut tls = TlsConfig::new();
        for file in &self.ca {
            tls = tls.root_certificate_file(file);
        }
        if let Some(library) = self.library {
            tls = tls.backend(match library {
                TlsLibrary::Native => TlsBackend::NativeTls,
                TlsLibrary::Rustls => TlsBackend::Rustls,
            });
        }
        if self.bundled_roots {
            tls = tls.bundled_roots(true);
        }
        if self.insecure {
            tls = tls.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true);
        }
        if let Some(name) = &self.server_name {
            tls = tls.server_name(name);
        }
        for pin in &self.pins {
            tls = tls.pin(pin);
        }
        if let Some(version) = self.min_tls {
            tls = tls.min_version(match version {
                MinTls::Tls12 => TlsVersion::Tls12,
                MinTls::Tls13 => TlsVersion::Tls13,
            });
        }
        if let Some(file) = &self.key_log {
            tls = tls.key_log_file(file);
        }
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Ok(tls.identity_pem_files(cert, key)),
            (Some(cert), None) => {
                let archive = fs::read(cert)
                    .map_err(|error| Failure::io(&format!("--cert {}", cert.display()), &error))?;
                let password = match &self.passphrase_file {
                    Some(file) => read_text("--passphrase-file", &file.to_string_lossy())?,
                    None => String::new(),
                };
                Ok(tls.identity_pkcs12(archive, password.trim_end_matches(['\r', '\n'])))
            }
            (None, _) => Ok(tls),
        }
    }
}

/// Returns what a variable of the environment holds, where there is one.
fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        // What it is may be a credential.
        Err(VarError::NotUnicode(_)) => Err(Failure::usage(format!("{name}: is not UTF-8"))),
    }
}

fn read_text(option: &str, file: &str) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| {
        Failure::new(Status::Usage, format!("{option} @{file}: cannot be read: {error}"))
    })
}

/// Reads a header a line; empty lines and those that begin with `#` are none.
fn read_headers(
    lines: &str,
    source: &str,
    headers: &mut Vec<(String, String)>,
) -> Result<(), Failure> {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !line.starts_with('#') {
            headers.push(header_of(line, source)?);
        }
    }
    Ok(())
}

/// Never shows what it was: it may be a credential.
fn header_of(line: &str, source: &str) -> Result<(String, String), Failure> {
    match line.split_once(':') {
        Some((name, value)) => Ok((name.trim().into(), value.trim().into())),
        None => Err(Failure::usage(format!("{source}: a header without a colon"))
            .advice("--header 'NAME: VALUE', or --header @FILE with one in each line")),
    }
}
