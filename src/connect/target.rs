//! Turns a URL and the options into a [`Target`]: everything about a connection that can be checked before a socket is
//! opened, checked. Reads certificate files and otherwise does no I/O; a target never changes, so threads may share it.

use url::{Host, ParseError, Position, Url};

use super::proxy::Proxy;
use super::redirect::Redirects;
use super::request::Request;
use super::tls::Connector;
use crate::config::Config;
use crate::error::Error;

/// Longer URLs are refused: common servers take no request line beyond 8 KiB.
const MAX_URL: usize = 8 << 10;

/// Where to connect and what to ask for. One serves any number of connects.
pub(crate) struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
    /// `None` for `ws://`.
    pub(super) tls: Option<Connector>,
    pub(super) proxy: Option<Proxy>,
    pub(super) request: Request,
    pub(super) redirects: Option<Redirects>,
    peer: Box<str>,
    url: Box<str>,
}

impl Target {
    /// Checks the URL, the headers, the subprotocols, the TLS options and the proxy, which the environment may name. Errors show no credential.
    pub(crate) fn new(url: &str, config: &Config) -> Result<Self, Error> {
        let parsed = parse(url).map_err(|problem| Error::invalid(format!("URL {}", shown(url)), problem))?;
        let (Some(host), Some(port)) = (parsed.host(), parsed.port_or_known_default()) else {
            return Err(Error::invalid(format!("URL {}", shown(url)), NO_HOST));
        };
        let request = Request::new(&parsed, config)?;
        let tls = match parsed.scheme() {
            "wss" => Some(Connector::new(&host, &config.tls)?),
            _ => None,
        };
        Ok(Target {
            host: host.to_owned(),
            port,
            tls,
            proxy: Proxy::choose(config, parsed.scheme(), &host, port)?,
            request,
            redirects: Redirects::new(&parsed, config),
            peer: format!("{host}:{port}").into(),
            url: format!("{}://{}", parsed.scheme(), &parsed[Position::BeforeHost..Position::AfterPath]).into(),
        })
    }

    /// Names the server in messages: host and port.
    pub(crate) fn peer(&self) -> &str {
        &self.peer
    }

    /// Shows the URL without user info and query, in which credentials travel.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

const NO_HOST: &str = "names no host: it should look like ws://host/path";

/// RFC 6455 §3, with an answer to what people write instead.
fn parse(url: &str) -> Result<Url, String> {
    if url.len() > MAX_URL {
        return Err(format!("is {} bytes long, over {MAX_URL}: servers do not take such", url.len()));
    }
    // The URL standard drops some of these and escapes others, silently; here they are a mistake further up.
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("contains white space or a control character: trim it, or write it as %20 and the like".into());
    }
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return Err("has no scheme: it should begin with ws:// or wss://".into());
    };
    match scheme.to_ascii_lowercase().as_str() {
        "ws" | "wss" => {}
        "http" => return Err("is for HTTP: a WebSocket's begins with ws://".into()),
        "https" => return Err("is for HTTPS: a WebSocket's begins with wss://".into()),
        other => return Err(format!("has the scheme {other}://, a WebSocket's is ws:// or wss://")),
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
        ParseError::InvalidPort => "has an invalid port: it must be a number from 1 to 65535".into(),
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

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn ipv6_without_brackets(rest: &str) -> bool {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.matches(':').count() > 1 && !authority.contains(['[', '@'])
}

/// Shows a URL that may be no URL at all, and may have credentials anywhere before its last `@`, in its query and in its
/// fragment. Where it cannot be told which of them comes first, nothing but the scheme is shown.
pub(super) fn shown(url: &str) -> String {
    // Enough to recognise it by.
    const SHOWN: usize = 100;
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| is_scheme(scheme)).unwrap_or(("", url));
    let (rest, query) = rest.find(['?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    let (hidden, rest) = match rest.rsplit_once('@') {
        _ if query.contains('@') => ("", ""),
        Some((_, rest)) => ("…@", rest),
        None => ("", rest),
    };
    let separator = if scheme.is_empty() { "" } else { "://" };
    let cut: String = rest.chars().take(SHOWN).collect();
    let end = if cut.len() < rest.len() || !query.is_empty() { "…" } else { "" };
    format!("\"{scheme}{separator}{hidden}{}{end}\"", cut.escape_debug())
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
    #[cfg(feature = "native-tls")]
    fn wss_has_its_own_default_port() {
        let target = target("wss://example.com/").unwrap();
        assert!(target.peer() == "example.com:443" && target.tls.is_some());
    }

    #[test]
    #[cfg(not(feature = "native-tls"))]
    fn wss_without_tls_names_the_feature() {
        let error = target("wss://example.com/").err().map(|error| error.to_string()).unwrap_or_default();
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
