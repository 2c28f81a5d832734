//! Turns the URL and the options into the opening request (RFC 6455 §4.1), and refuses what would break it or change its
//! meaning. Pure; [`upgrade`](super::upgrade) sends it.

use std::path::{Path, PathBuf};

use url::{Position, Url};

use crate::config::Config;
use crate::cookies::Cookies;
use crate::error::Error;
use crate::headers::Headers;
use crate::protocol::handshake::credentials::UserInfo;
use crate::protocol::handshake::response::Offer;

/// The opening request but for its key, which is new each time. Holds credentials: it is never shown or logged.
pub(super) struct Request {
    before_key: Vec<u8>,
    /// Up to the empty line that ends the head.
    after_key: Vec<u8>,
    /// What the program set, and where the server's are kept. Without the latter, the former is in `after_key`.
    cookie: Option<String>,
    cookies: Option<KeptCookies>,
    pub(super) offer: Offer,
}

/// The app's cookies, and what decides which of them are for this server.
struct KeptCookies {
    cookies: Cookies,
    url: Url,
    socket: Option<PathBuf>,
}

impl Request {
    /// Checks headers and subprotocols. The server is behind a Unix socket if there is one.
    pub(super) fn new(url: &Url, socket: Option<&Path>, config: &Config) -> Result<Self, Error> {
        for (name, value) in &config.headers {
            check_header(name, value)?;
        }
        check_repeated(config)?;
        check_value("origin", config.origin.as_deref().unwrap_or_default())?;
        if let Some(host) = &config.host {
            check_host("host", host)?;
        }
        check_value("cookie", config.cookie.as_deref().unwrap_or_default())?;
        check_subprotocols(&config.subprotocols)?;

        let mut head = format!("GET {} HTTP/1.1\r\n", &url[Position::BeforePath..Position::AfterQuery]).into_bytes();
        match config.host.as_deref().or(header(config, "Host")) {
            Some(host) => push_field(&mut head, "Host", host),
            // Without the port where it is the scheme's default (RFC 7230 §5.4).
            None => push_field(&mut head, "Host", &url[Position::BeforeHost..Position::AfterPort]),
        }
        push_field(&mut head, "Upgrade", "websocket");
        push_field(&mut head, "Connection", "Upgrade");
        head.extend_from_slice(b"Sec-WebSocket-Key: ");

        let mut tail = b"\r\n".to_vec();
        push_field(&mut tail, "Sec-WebSocket-Version", "13");
        if !config.subprotocols.is_empty() {
            push_field(&mut tail, "Sec-WebSocket-Protocol", &config.subprotocols.join(", "));
        }
        if let Some(deflate) = &config.compression {
            push_field(&mut tail, "Sec-WebSocket-Extensions", &deflate.offer());
        }
        if let Some(origin) = &config.origin {
            push_field(&mut tail, "Origin", origin);
        }
        let socket = socket.map(Path::to_owned);
        let cookies = config.cookies.clone().map(|cookies| KeptCookies { cookies, url: url.clone(), socket });
        if let (Some(cookie), None) = (&config.cookie, &cookies) {
            push_field(&mut tail, "Cookie", cookie);
        }
        let basic = UserInfo::of(url).map(|user_info| user_info.basic_auth()).transpose();
        let basic = basic.map_err(|problem| Error::invalid("the URL's user info", problem))?;
        if let (Some(basic), None) = (basic, header(config, "Authorization")) {
            push_field(&mut tail, "Authorization", &basic);
        }
        for (name, value) in config.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Host")) {
            push_field(&mut tail, name, value);
        }

        let offer = Offer { subprotocols: config.subprotocols.clone(), deflate: config.compression.clone() };
        Ok(Request { before_key: head, after_key: tail, cookie: config.cookie.clone(), cookies, offer })
    }

    /// Gives what goes over the wire, for one connection's key, with the cookies that were set up to now.
    pub(super) fn to_bytes(&self, key: &str) -> Vec<u8> {
        let mut bytes = [&self.before_key, key.as_bytes(), &self.after_key].concat();
        if let Some(kept) = &self.cookies
            && let Some(cookie) = kept.cookies.header(&kept.url, kept.socket.as_deref(), self.cookie.as_deref())
        {
            push_field(&mut bytes, "Cookie", &cookie);
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    /// Keeps the cookies that a response to it sets, if they are wanted.
    pub(super) fn keep_cookies(&self, headers: &Headers) {
        if let Some(kept) = &self.cookies {
            kept.cookies.store(&kept.url, kept.socket.as_deref(), headers);
        }
    }
}

fn push_field(head: &mut Vec<u8>, name: &str, value: &str) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value.as_bytes());
    head.extend_from_slice(b"\r\n");
}

fn header<'a>(config: &'a Config, wanted: &str) -> Option<&'a str> {
    config.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
}

fn check_header(name: &str, value: &str) -> Result<(), Error> {
    // A wrong name may be a whole line, credential and all: only its beginning is shown.
    let token = &name[..name.find(|c| !is_token_char(c)).unwrap_or(name.len())];
    if token.is_empty() || token != name {
        return Err(Error::invalid(
            format!("header({token:?}…)"),
            "a header's name has letters, digits and !#$%&'*+-.^_`|~ only, and at least one (RFC 7230 §3.2.6)",
        ));
    }
    if let Some(advice) = reserved(name) {
        return Err(Error::invalid(format!("header({name:?})"), advice));
    }
    let what = format!("header({name:?})");
    match name.eq_ignore_ascii_case("Host") {
        true => check_host(&what, value),
        false => check_value(&what, value),
    }
}

/// RFC 7230 §5.4.
fn check_host(what: &str, host: &str) -> Result<(), Error> {
    check_value(what, host)?;
    if host.is_empty() || host.contains([' ', '\t', ',', '/', '@']) {
        return Err(Error::invalid(what, "must be one host, with its port if it has one"));
    }
    Ok(())
}

/// RFC 7230 §3.2: a line break would begin another header, other control characters have no place in a value. Values are
/// never shown.
fn check_value(what: &str, value: &str) -> Result<(), Error> {
    if value.contains(['\r', '\n']) {
        return Err(Error::invalid(what, "its value contains a line break: trim it"));
    }
    if value.chars().any(|c| c.is_ascii_control() && c != '\t') {
        return Err(Error::invalid(what, "its value contains a control character"));
    }
    Ok(())
}

/// Says what to do instead of setting a header that is not the caller's to set.
fn reserved(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "upgrade" | "connection" | "sec-websocket-key" | "sec-websocket-version" => "the handshake sets it itself",
        "sec-websocket-accept" => "only a server sends it",
        "sec-websocket-protocol" => "use subprotocols([…]), which also checks the server's choice",
        "sec-websocket-extensions" => {
            "an extension needs code on this side: the ones there are have options of their own"
        }
        // Either would let a proxy take frames for another request (RFC 7230 §9.5).
        "content-length" | "transfer-encoding" => "the opening request has no body",
        _ => return None,
    })
}

fn check_repeated(config: &Config) -> Result<(), Error> {
    let count = |wanted: &str| config.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).count();
    // RFC 6265 §5.4: one Cookie header at most.
    let keeps = config.cookies.as_ref().map(|_| "keep_cookies(true)");
    let cookie = config.cookie.as_ref().map(|_| "cookie(…)").or(keeps);
    for (name, by_option) in [
        ("Host", config.host.as_ref().map(|_| "host(…)")),
        ("Authorization", None),
        ("Origin", config.origin.as_ref().map(|_| "origin(…)")),
        ("Cookie", cookie),
    ] {
        match (count(name), by_option) {
            (1.., Some(option)) => {
                return Err(Error::invalid(format!("header({name:?})"), format!("is also set by {option}: keep one")));
            }
            (2.., None) => return Err(Error::invalid(format!("header({name:?})"), "is set twice: servers take one")),
            _ => {}
        }
    }
    Ok(())
}

/// RFC 6455 §4.1, item 10 of the request: tokens, and all different.
fn check_subprotocols(subprotocols: &[String]) -> Result<(), Error> {
    for (i, name) in subprotocols.iter().enumerate() {
        // Not the name: some servers want a secret in it.
        let what = || format!("subprotocols(…), number {}", i + 1);
        const RULE: &str = "a subprotocol's name has letters, digits and !#$%&'*+-.^_`|~ only";
        if name.is_empty() {
            return Err(Error::invalid(what(), format!("is empty: {RULE}")));
        }
        if let Some(odd) = name.chars().find(|c| !is_token_char(*c)) {
            return Err(Error::invalid(what(), format!("has {odd:?} in it: {RULE}")));
        }
        if subprotocols[..i].contains(name) {
            return Err(Error::invalid(what(), "is offered twice"));
        }
    }
    Ok(())
}

/// RFC 7230 §3.2.6.
fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::Deflate;

    fn config(headers: &[(&str, &str)]) -> Config {
        let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Config { headers, ..Config::default() }
    }

    fn request(url: &str, config: &Config) -> Result<String, Error> {
        let request = Request::new(&Url::parse(url).unwrap(), None, config)?;
        Ok(String::from_utf8(request.to_bytes("KEY")).unwrap())
    }

    #[test]
    fn the_request_is_that_of_rfc_6455() {
        let plain = request("ws://example.com/chat?room=1", &config(&[])).unwrap();
        let expected = "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Key: KEY\r\nSec-WebSocket-Version: 13\r\n\r\n";
        assert_eq!(plain, expected);
    }

    #[test]
    fn options_become_headers_and_the_callers_keep_their_order_and_case() {
        let mut config = config(&[("x-b", "2"), ("X-A", "é"), ("x-b", "1")]);
        config.subprotocols = vec!["v2".into(), "v1".into()];
        config.origin = Some("https://example.com".into());
        config.cookie = Some("a=b; c=d".into());
        let url = Url::parse("ws://user:pw@h/").unwrap();
        config.compression = Some(Deflate::default());
        let request = Request::new(&url, None, &config).unwrap();
        let text = String::from_utf8(request.to_bytes("KEY")).unwrap();
        let tail = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v2, v1\r\n\
                    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
                    Origin: https://example.com\r\nCookie: a=b; c=d\r\nAuthorization: Basic dXNlcjpwdw==\r\n\
                    x-b: 2\r\nX-A: é\r\nx-b: 1\r\n\r\n";
        assert!(text.ends_with(tail), "{text}");
        assert_eq!(request.offer.deflate, Some(Deflate::default()));
    }

    #[test]
    fn the_host_header_leaves_a_default_port_out() {
        for (url, host) in [
            ("ws://example.com:80/", "example.com"),
            ("wss://example.com:443/", "example.com"),
            ("ws://example.com:443/", "example.com:443"),
            ("ws://user:pw@example.com:9001/", "example.com:9001"),
            ("ws://[::1]/", "[::1]"),
            ("ws://[::1]:9001/", "[::1]:9001"),
            ("ws://bücher.example/", "xn--bcher-kva.example"),
        ] {
            let request = request(url, &config(&[])).unwrap();
            assert!(request.contains(&format!("\r\nHost: {host}\r\n")), "{url}: {request}");
        }
        let replaced = request("ws://127.0.0.1:80/", &config(&[("host", "virtual.example")])).unwrap();
        assert!(replaced.starts_with("GET / HTTP/1.1\r\nHost: virtual.example\r\nUpgrade"), "{replaced}");
        assert!(!replaced.contains("127.0.0.1") && !replaced.contains("host:"), "{replaced}");
    }

    #[test]
    fn an_authorization_header_replaces_the_urls() {
        let request = request("ws://user:pw@h/", &config(&[("authorization", "Bearer x")])).unwrap();
        assert!(request.contains("authorization: Bearer x\r\n") && !request.contains("Basic"), "{request}");
    }

    #[test]
    fn wrong_headers_are_refused_without_showing_their_values() {
        for (headers, says) in [
            (&[("", "secret")][..], "at least one"),
            (&[("X-Token: secret", "")], "header(\"X-Token\"…)"),
            (&[("X Token", "secret")], "header(\"X\"…)"),
            (&[("Tökén", "secret")], "RFC 7230"),
            (&[("X-Token", "secret\r\nX-Other: y")], "line break"),
            (&[("X-Token", "secret\n")], "trim it"),
            (&[("X-Token", "secret\0")], "control character"),
            (&[("upgrade", "secret")], "handshake sets it"),
            (&[("Connection", "secret")], "handshake sets it"),
            (&[("Sec-WebSocket-Key", "secret")], "handshake sets it"),
            (&[("Sec-WebSocket-Version", "secret")], "handshake sets it"),
            (&[("Sec-WebSocket-Accept", "secret")], "only a server"),
            (&[("Sec-WebSocket-Extensions", "secret")], "options of their own"),
            (&[("Sec-WebSocket-Protocol", "secret")], "subprotocols("),
            (&[("Content-Length", "secret")], "no body"),
            (&[("Transfer-Encoding", "secret")], "no body"),
            (&[("Host", "a"), ("host", "secret")], "twice"),
            (&[("Host", "")], "one host"),
            (&[("Host", "a secret")], "one host"),
            (&[("Authorization", "a"), ("authorization", "secret")], "twice"),
            (&[("ORIGIN", "secret")], "origin("),
            (&[("cookie", "secret")], "cookie("),
        ] {
            let mut config = config(headers);
            config.origin = Some("https://example.com".into());
            config.cookie = Some("a=b".into());
            let error = request("ws://h/", &config).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("secret"), "{headers:?}: {error}");
        }
    }

    #[test]
    fn wrong_subprotocols_origins_and_cookies_are_refused() {
        for names in [&[""][..], &["a b"], &["a,b"], &["é"], &["a", "b", "a"]] {
            let config = Config { subprotocols: names.iter().map(ToString::to_string).collect(), ..config(&[]) };
            let error = request("ws://h/", &config).unwrap_err().to_string();
            assert!(error.contains("subprotocol"), "{names:?}: {error}");
        }
        let origin = Config { origin: Some("https://a\r\nX: y".into()), ..config(&[]) };
        assert!(request("ws://h/", &origin).unwrap_err().to_string().contains("origin: its value contains a line"));
        let cookie = Config { cookie: Some("a=secret\n".into()), ..config(&[]) };
        assert!(request("ws://h/", &cookie).unwrap_err().to_string().contains("cookie: its value"));
    }
}
