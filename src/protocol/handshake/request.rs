//! Turns a URL and what the program sets into the opening request (RFC 6455 §4.1), and refuses what
//! would break it or change its meaning. Pure: who connects sends it, with a key and cookies of
//! that moment.

use url::{Position, Url};

use super::credentials::UserInfo;
use super::response::Offer;
use crate::deflate::Deflate;
use crate::error::Error;

/// What the program sets of a request.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) headers: &'a [(String, String)],
    pub(crate) host: Option<&'a str>,
    pub(crate) origin: Option<&'a str>,
    pub(crate) cookie: Option<&'a str>,
    /// Cookies are those of the moment: they are added when the request is made.
    pub(crate) keeps_cookies: bool,
    pub(crate) subprotocols: &'a [String],
    pub(crate) compression: Option<&'a Deflate>,
}

/// The opening request but for its key, which is new each time. Holds credentials: it is never
/// shown or logged.
pub(crate) struct Request {
    before_key: Vec<u8>,
    /// Up to the empty line that ends the head.
    after_key: Vec<u8>,
    pub(crate) offer: Offer,
}

impl Request {
    /// Checks headers and subprotocols.
    pub(crate) fn new(url: &Url, fields: &Fields<'_>) -> Result<Self, Error> {
        for (name, value) in fields.headers {
            check_header(name, value)?;
        }
        check_repeated(fields)?;
        check_value("origin", fields.origin.unwrap_or_default())?;
        if let Some(host) = fields.host {
            check_host("host", host)?;
        }
        check_value("cookie", fields.cookie.unwrap_or_default())?;
        check_subprotocols(fields.subprotocols)?;

        let mut head =
            format!("GET {} HTTP/1.1\r\n", &url[Position::BeforePath..Position::AfterQuery])
                .into_bytes();
        match fields.host.or(header(fields, "Host")) {
            Some(host) => push_field(&mut head, "Host", host),
            // Without the port where it is the scheme's default (RFC 7230 §5.4).
            None => push_field(&mut head, "Host", &url[Position::BeforeHost..Position::AfterPort]),
        }
        push_field(&mut head, "Upgrade", "websocket");
        push_field(&mut head, "Connection", "Upgrade");
        head.extend_from_slice(b"Sec-WebSocket-Key: ");

        let mut tail = b"\r\n".to_vec();
        push_field(&mut tail, "Sec-WebSocket-Version", "13");
        if !fields.subprotocols.is_empty() {
            push_field(&mut tail, "Sec-WebSocket-Protocol", &fields.subprotocols.join(", "));
        }
        if let Some(deflate) = fields.compression {
            push_field(&mut tail, "Sec-WebSocket-Extensions", &deflate.offer());
        }
        if let Some(origin) = fields.origin {
            push_field(&mut tail, "Origin", origin);
        }
        if let (Some(cookie), false) = (fields.cookie, fields.keeps_cookies) {
            push_field(&mut tail, "Cookie", cookie);
        }
        let basic = UserInfo::of(url).map(|user_info| user_info.basic_auth()).transpose();
        let basic = basic.map_err(|problem| Error::invalid("the URL's user info", problem))?;
        if let (Some(basic), None) = (basic, header(fields, "Authorization")) {
            push_field(&mut tail, "Authorization", &basic);
        }
        for (name, value) in
            fields.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Host"))
        {
            push_field(&mut tail, name, value);
        }

        let offer = Offer {
            subprotocols: fields.subprotocols.to_vec(),
            deflate: fields.compression.cloned(),
        };
        Ok(Request { before_key: head, after_key: tail, offer })
    }

    /// Returns what goes over the wire, for one connection's key, with the cookies of that moment
    /// where they are kept.
    pub(crate) fn to_bytes(&self, key: &str, cookie: Option<&str>) -> Vec<u8> {
        let mut bytes = [&self.before_key, key.as_bytes(), &self.after_key].concat();
        if let Some(cookie) = cookie {
            push_field(&mut bytes, "Cookie", cookie);
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

fn push_field(head: &mut Vec<u8>, name: &str, value: &str) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value.as_bytes());
    head.extend_from_slice(b"\r\n");
}

fn header<'a>(fields: &Fields<'a>, wanted: &str) -> Option<&'a str> {
    fields
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.as_str())
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

/// RFC 7230 §3.2: a line break would begin another header, other control characters have no place
/// in a value. Values are never shown.
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
        "upgrade" | "connection" | "sec-websocket-key" | "sec-websocket-version" => {
            "the handshake sets it itself"
        }
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

fn check_repeated(fields: &Fields<'_>) -> Result<(), Error> {
    let count = |wanted: &str| {
        fields.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).count()
    };
    // RFC 6265 §5.4: one Cookie header at most.
    let keeps = fields.keeps_cookies.then_some("keep_cookies(true)");
    let cookie = fields.cookie.map(|_| "cookie(…)").or(keeps);
    for (name, by_option) in [
        ("Host", fields.host.map(|_| "host(…)")),
        ("Authorization", None),
        ("Origin", fields.origin.map(|_| "origin(…)")),
        ("Cookie", cookie),
    ] {
        match (count(name), by_option) {
            (1.., Some(option)) => {
                return Err(Error::invalid(
                    format!("header({name:?})"),
                    format!("is also set by {option}: keep one"),
                ));
            }
            (2.., None) => {
                return Err(Error::invalid(
                    format!("header({name:?})"),
                    "is set twice: servers take one",
                ));
            }
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

    fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn request(url: &str, fields: &Fields<'_>) -> Result<String, Error> {
        let request = Request::new(&Url::parse(url).unwrap(), fields)?;
        Ok(String::from_utf8(request.to_bytes("KEY", None)).unwrap())
    }

    fn with_headers(url: &str, headers: &[(&str, &str)]) -> String {
        request(url, &Fields { headers: &owned(headers), ..Fields::default() }).unwrap()
    }

    #[test]
    fn the_request_is_that_of_rfc_6455() {
        let plain = with_headers("ws://example.com/chat?room=1", &[]);
        let expected = "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Key: KEY\r\nSec-WebSocket-Version: 13\r\n\r\n";
        assert_eq!(plain, expected);
    }

    #[test]
    fn options_become_headers_and_the_callers_keep_their_order_and_case() {
        let fields = Fields {
            headers: &owned(&[("x-b", "2"), ("X-A", "é"), ("x-b", "1")]),
            subprotocols: &["v2".into(), "v1".into()],
            origin: Some("https://example.com"),
            cookie: Some("a=b; c=d"),
            compression: Some(&Deflate::default()),
            ..Fields::default()
        };
        let request = Request::new(&Url::parse("ws://user:pw@h/").unwrap(), &fields).unwrap();
        let text = String::from_utf8(request.to_bytes("KEY", None)).unwrap();
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
            let request = with_headers(url, &[]);
            assert!(request.contains(&format!("\r\nHost: {host}\r\n")), "{url}: {request}");
        }
        let replaced = with_headers("ws://127.0.0.1:80/", &[("host", "virtual.example")]);
        assert!(
            replaced.starts_with("GET / HTTP/1.1\r\nHost: virtual.example\r\nUpgrade"),
            "{replaced}"
        );
        assert!(!replaced.contains("127.0.0.1") && !replaced.contains("host:"), "{replaced}");
    }

    #[test]
    fn an_authorization_header_replaces_the_urls() {
        let request = with_headers("ws://user:pw@h/", &[("authorization", "Bearer x")]);
        assert!(
            request.contains("authorization: Bearer x\r\n") && !request.contains("Basic"),
            "{request}"
        );
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
            let (origin, cookie) = (Some("https://example.com"), Some("a=b"));
            let fields = Fields { headers: &owned(headers), origin, cookie, ..Fields::default() };
            let error = request("ws://h/", &fields).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("secret"), "{headers:?}: {error}");
        }
    }

    #[test]
    fn wrong_subprotocols_origins_and_cookies_are_refused() {
        for names in [&[""][..], &["a b"], &["a,b"], &["é"], &["a", "b", "a"]] {
            let subprotocols: Vec<_> = names.iter().map(ToString::to_string).collect();
            let fields = Fields { subprotocols: &subprotocols, ..Fields::default() };
            let error = request("ws://h/", &fields).unwrap_err().to_string();
            assert!(error.contains("subprotocol"), "{names:?}: {error}");
        }
        let origin = Fields { origin: Some("https://a\r\nX: y"), ..Fields::default() };
        assert!(
            request("ws://h/", &origin)
                .unwrap_err()
                .to_string()
                .contains("origin: its value contains a line")
        );
        let cookie = Fields { cookie: Some("a=secret\n"), ..Fields::default() };
        assert!(request("ws://h/", &cookie).unwrap_err().to_string().contains("cookie: its value"));
    }

    #[test]
    fn cookies_that_are_kept_are_those_of_the_moment() {
        let fields = Fields { cookie: Some("a=b"), keeps_cookies: true, ..Fields::default() };
        let request = Request::new(&Url::parse("ws://h/").unwrap(), &fields).unwrap();
        let text = |cookie| String::from_utf8(request.to_bytes("KEY", cookie)).unwrap();
        assert!(
            text(Some("a=b; c=d")).ends_with("\r\nCookie: a=b; c=d\r\n\r\n"),
            "{}",
            text(Some("a=b; c=d"))
        );
        assert!(!text(None).contains("Cookie"), "{}", text(None));
        let headers = owned(&[("Cookie", "secret")]);
        let error =
            Request::new(&Url::parse("ws://h/").unwrap(), &Fields { headers: &headers, ..fields })
                .err();
        assert!(error.is_some_and(|error| error.to_string().contains("cookie(")));
    }
}
