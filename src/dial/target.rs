//! Turns a URL and the options into a [`Target`]: everything about a connection that can be checked
//! before a socket is opened, checked. Reads certificate files and otherwise does no I/O; a target
//! never changes, so threads may share it.

use std::borrow::Cow;
use std::path::Path;
#[cfg(unix)]
use std::path::PathBuf;

use url::{Host, ParseError, Position, Url};

use super::proxy::Proxy;
use super::redirect::Redirects;
use super::request::Request;
use super::tls::Connector;
#[cfg(unix)]
use super::unix;
use super::unix_url::{self, UnixUrl};
use crate::config::{Config, ProxyChoice};
use crate::error::Error;
use crate::redact::{is_scheme, shown_url};
use crate::route::Route;

/// Longer URLs are refused: common servers take no request line beyond 8 KiB.
const MAX_URL: usize = 8 << 10;

/// Where to connect and what to ask for. One serves any number of connects.
pub(crate) struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
    /// `None` for `ws://`.
    pub(super) tls: Option<Connector>,
    // Boxed, as most have neither and all live as long as their app.
    pub(super) proxy: Option<Box<Proxy>>,
    pub(super) request: Request,
    pub(super) endpoint: Endpoint,
    pub(super) route: Route,
    pub(super) redirects: Option<Box<Redirects>>,
    peer: Box<str>,
    url: Box<str>,
}

/// What kind of socket the URL names.
pub(super) enum Endpoint {
    /// That of its host and port.
    Tcp,
    /// A file. Host and port are then what is asked for there.
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Endpoint {
    fn socket(&self) -> Option<&Path> {
        match self {
            Endpoint::Tcp => None,
            #[cfg(unix)]
            Endpoint::Unix(path) => Some(path),
        }
    }
}

impl Target {
    /// Checks the URL, the headers, the subprotocols, the TLS options and the proxy, which the
    /// environment may name. Errors show no credential.
    pub(crate) fn new(url: &str, config: &Config) -> Result<Self, Error> {
        let invalid = |problem: String| Error::invalid(format!("URL {}", shown_url(url)), problem);
        let Located { endpoint, url: asked, unix } = locate(url).map_err(invalid)?;
        let own = match (&unix, config.route.own()) {
            (Some(_), Some(option)) => {
                return Err(invalid(format!("says where to connect, and {option} does: keep one")));
            }
            (Some(_), None) => Some(UNIX_URL),
            (None, own) => own,
        };
        // A redirect may lead from there to another server, by TCP.
        if unix.is_some() && config.max_redirects == 0 {
            config.route.check_beside(UNIX_URL)?;
        }
        let parsed = parse(&asked).map_err(invalid)?;
        let (Some(host), Some(port)) = (parsed.host(), parsed.port_or_known_default()) else {
            return Err(invalid(NO_HOST.into()));
        };
        let request = Request::new(&parsed, endpoint.socket(), config)?;
        let tls = match parsed.scheme() {
            "wss" => Some(Connector::new(&host, &config.tls)?),
            _ => None,
        };
        let proxy = match (own, &config.proxy) {
            (None, _) => Proxy::choose(config, parsed.scheme(), &host, port)?,
            (Some(own), ProxyChoice::Url(_)) => {
                let problem = "each says where to connect: keep one";
                return Err(Error::invalid(format!("proxy(…) with {own}"), problem));
            }
            (Some(_), _) => None,
        };
        let (peer, before_path) = match &unix {
            Some(unix) => (unix.shown.clone(), format!("{}+unix:{}:", parsed.scheme(), unix.shown)),
            None => (
                format!("{host}:{port}"),
                format!(
                    "{}://{}",
                    parsed.scheme(),
                    &parsed[Position::BeforeHost..Position::BeforePath]
                ),
            ),
        };
        Ok(Target {
            host: host.to_owned(),
            port,
            tls,
            proxy: proxy.map(Box::new),
            request,
            redirects: Redirects::new(&parsed, unix.map(|unix| unix.before_uri), config)
                .map(Box::new),
            endpoint,
            route: config.route.clone(),
            peer: peer.into(),
            url: format!("{before_path}{}", parsed.path()).into(),
        })
    }

    /// Names the server in messages: host and port, or the path of a Unix socket.
    pub(crate) fn peer(&self) -> &str {
        &self.peer
    }

    /// Shows the URL without user info and query, in which credentials travel.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// What a URL says about where to connect.
struct Located<'a> {
    endpoint: Endpoint,
    /// What is asked for there.
    url: Cow<'a, str>,
    unix: Option<Unix>,
}

/// How a Unix socket is shown, and how its URLs begin.
struct Unix {
    shown: String,
    before_uri: String,
}

fn locate(url: &str) -> Result<Located<'_>, String> {
    match unix_url::split(url) {
        None => Ok(Located { endpoint: Endpoint::Tcp, url: url.into(), unix: None }),
        Some(split) => locate_unix(split?),
    }
}

#[cfg(unix)]
fn locate_unix(url: UnixUrl) -> Result<Located<'static>, String> {
    use std::os::unix::ffi::OsStringExt;
    let path = PathBuf::from(std::ffi::OsString::from_vec(url.path));
    unix::check(&path)?;
    let unix = Unix {
        shown: path.to_string_lossy().escape_debug().to_string(),
        before_uri: url.before_uri,
    };
    Ok(Located { endpoint: Endpoint::Unix(path), url: url.url.into(), unix: Some(unix) })
}

#[cfg(not(unix))]
fn locate_unix(_: UnixUrl) -> Result<Located<'static>, String> {
    Err("is for a Unix socket, which this operating system does not have for us: use ws://".into())
}

const UNIX_URL: &str = "a URL of a Unix socket";

const NO_HOST: &str = "names no host: it should look like ws://host/path";

/// RFC 6455 §3, with an answer to what people write instead.
fn parse(url: &str) -> Result<Url, String> {
    if url.len() > MAX_URL {
        return Err(format!(
            "is {} bytes long, over {MAX_URL}: servers do not take such",
            url.len()
        ));
    }
    // The URL standard drops some of these and escapes others, silently; here they are a mistake
    // further up.
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(
            "contains white space or a control character: trim it, or write it as %20 and the like"
                .into(),
        );
    }
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return Err("has no scheme: it should begin with ws:// or wss://".into());
    };
    match scheme.to_ascii_lowercase().as_str() {
        "ws" | "wss" => {}
        "http" => return Err("is for HTTP: a WebSocket's begins with ws://".into()),
        "https" => return Err("is for HTTPS: a WebSocket's begins with wss://".into()),
        other => {
            return Err(format!("has the scheme {other}://, a WebSocket's is ws:// or wss://"));
        }
    }
    // The URL standard would take the first part of the path for the host.
    if rest.is_empty() || rest.starts_with(['/', '\\', '?', '#']) {
        return Err(NO_HOST.into());
    }
    let url = Url::parse(url).map_err(|error| match error {
        ParseError::EmptyHost | ParseError::InvalidPort if ipv6_without_brackets(rest) => {
            "has an IPv6 address, which goes in brackets: ws://[::1]:8080/".into()
        }
        ParseError::EmptyHost => NO_HOST.into(),
        ParseError::InvalidPort => {
            "has an invalid port: it must be a number from 1 to 65535".into()
        }
        other => format!("cannot be used: {other}"),
    })?;
    if url.port() == Some(0) {
        return Err("has port 0: it must be a number from 1 to 65535".into());
    }
    // RFC 6455 §3: fragment identifiers are meaningless and must not be used.
    if url.fragment().is_some() {
        return Err("has a fragment (#…), which WebSocket URLs cannot have: write %23 if it is part of the path".into());
    }
    Ok(url)
}

fn ipv6_without_brackets(rest: &str) -> bool {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.matches(':').count() > 1 && !authority.contains(['[', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, Error> {
        Target::new(url, &Config::default())
    }

    #[test]
    fn a_url_says_where_to_connect() {
        for (url, peer, shown) in [
            ("ws://example.com", "example.com:80", "ws://example.com/"),
            ("ws://example.com:8080/chat?room=1", "example.com:8080", "ws://example.com:8080/chat"),
            ("WS://EXAMPLE.com:080/", "example.com:80", "ws://example.com/"),
            ("ws://user:secret@example.com/a", "example.com:80", "ws://example.com/a"),
            ("ws://127.0.0.1:9001/", "127.0.0.1:9001", "ws://127.0.0.1:9001/"),
            ("ws://[::1]:9001/", "[::1]:9001", "ws://[::1]:9001/"),
            ("ws://[::1]", "[::1]:80", "ws://[::1]/"),
            ("ws://bücher.example/", "xn--bcher-kva.example:80", "ws://xn--bcher-kva.example/"),
        ] {
            let target = target(url).unwrap();
            assert_eq!((target.peer(), target.url()), (peer, shown), "{url}");
            assert!(target.tls.is_none());
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_unix_url_says_which_socket_and_what_to_ask_for() {
        let target = target("ws+unix:/run/a%20b.sock:/chat?token=secret").unwrap();
        assert_eq!((target.peer(), target.url()), ("/run/a b.sock", "ws+unix:/run/a b.sock:/chat"));
        assert!(
            matches!(&target.endpoint, Endpoint::Unix(path) if path == &PathBuf::from("/run/a b.sock"))
        );
        let request = String::from_utf8(target.request.to_bytes("KEY")).unwrap();
        assert!(
            request.starts_with("GET /chat?token=secret HTTP/1.1\r\nHost: localhost\r\n"),
            "{request}"
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_unix_url_that_cannot_be_used() {
        let long = format!("ws+unix:/{}", "x".repeat(200));
        for (url, says) in [
            ("ws+unix:", "names no socket"),
            ("ws+unix:/a%00b.sock", "NUL"),
            ("ws+unix:/a.sock:/chat#top", "fragment"),
            ("ws+unix:/a.sock:/a b", "white space"),
            (long.as_str(), "201 bytes, too long"),
        ] {
            let error = super::Target::new(url, &Config::default())
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(error.contains(says), "{url:?}: {error:?}");
        }
    }

    #[test]
    #[cfg(feature = "__tls")]
    fn wss_has_its_own_default_port() {
        let target = target("wss://example.com/").unwrap();
        assert!(target.peer() == "example.com:443" && target.tls.is_some());
    }

    #[test]
    #[cfg(not(feature = "__tls"))]
    fn wss_without_tls_names_the_feature() {
        let error =
            target("wss://example.com/").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("feature `native-tls`"), "{error}");
    }

    #[test]
    fn a_wrong_url_gets_an_error_that_says_what_would_be_right() {
        for (url, says) in [
            ("", "has no scheme"),
            ("localhost:8080", "ws:// or wss://"),
            ("example.com/path", "ws:// or wss://"),
            ("example.com/?next=http://other/", "has no scheme"),
            ("//example.com/", "has no scheme"),
            ("ws:example.com", "has no scheme"),
            ("127.0.0.1:80", "has no scheme"),
            ("http://example.com/", "begins with ws://"),
            ("https://example.com/", "begins with wss://"),
            ("ftp://example.com/", "has the scheme ftp://"),
            ("ws://", "names no host"),
            ("ws:///chat", "names no host"),
            ("ws://:80/", "names no host"),
            ("ws://user@/", "names no host"),
            ("ws://?a", "names no host"),
            ("ws://example.com:0/", "port 0"),
            ("ws://example.com:65536/", "1 to 65535"),
            ("ws://example.com:http/", "1 to 65535"),
            ("ws://::1/", "goes in brackets"),
            ("ws://fe80::1:80/", "goes in brackets"),
            ("ws://[fe80::1%25eth0]/", "IPv6"),
            ("ws://1.2.3.256/", "IPv4"),
            ("ws://exa<mple/", "cannot be used"),
            ("ws://example.com/#top", "fragment"),
            ("ws://example.com/a b", "white space"),
            (" ws://example.com/", "white space"),
            ("ws://example.com/\r\nX: y", "white space or a control"),
            ("ws://example.com/\n", "trim it"),
            ("ws://us%3Aer@example.com/", "colon"),
        ] {
            let error = target(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(says), "{url:?}: {error:?}");
        }
        let long = format!("ws://example.com/{}", "x".repeat(MAX_URL));
        let error = target(&long).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("bytes long") && error.len() < 300, "{error}");
    }

    #[test]
    fn errors_show_no_credential() {
        for url in [
            "user:secret@example.com",
            "http://user:secret@example.com/",
            "ws://user:secret@example.com:0/",
            "ws://user:sec/secret@example.com/",
            "ws://user:sec?secret@example.com/",
            "ws://user:sec#secret@example.com/",
            "ws://user: secret@example.com/",
            "ws://example.com:0/?token=secret",
            "ws://example.com:0/?user=a@b&token=secret",
            "ws://example.com/#secret@x",
        ] {
            let error = target(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!error.is_empty() && !error.contains("secret"), "{url}: {error}");
            let ambiguous = url.split_once(['?', '#']).is_some_and(|(_, rest)| rest.contains('@'));
            assert_eq!(error.contains("example.com"), !ambiguous, "{url}: {error}");
        }
    }
}
