//! The opening request as a server reads it, and what it answers (RFC 6455 §4.2). Pure: who accepts
//! connections reads and writes the bytes.

use std::borrow::Cow;
use std::fmt::Write;

use tungstenite::handshake::derive_accept_key;

use crate::deflate::{Deflate, NegotiatedDeflate};
use crate::headers::Headers;

/// What a browser sends fits in many times: RFC 7230 §3.1.1 and §3.2.5 leave it to the server.
const MAX_LINE: usize = 8 << 10;
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 100;

/// Why a request is refused: with which status, and in words for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) why: String,
}

impl Refused {
    pub(crate) fn new(status: u16, why: impl Into<String>) -> Self {
        Refused { status, why: why.into() }
    }
}

/// A request whose head is arriving.
#[derive(Debug, Default)]
pub(crate) struct Arriving {
    bytes: Vec<u8>,
    /// So many of the bytes were searched in vain for the end of the head.
    searched: usize,
    /// Where the line begins that has not ended yet.
    line: usize,
}

impl Arriving {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the head, and what came behind it, once it is whole; says early what is wrong.
    pub(crate) fn take_head(&mut self) -> Result<Option<(RequestHead, Vec<u8>)>, Refused> {
        check_start(&self.bytes)?;
        while let Some(length) = self.bytes[self.searched..].iter().position(|&byte| byte == b'\n')
        {
            let end = self.searched + length;
            let line_len = self.check_line(end)?;
            self.searched = end + 1;
            if line_len == 0 && self.line > 0 {
                self.check_head(self.searched)?;
                let head = RequestHead::parse(&self.bytes[..self.searched])?;
                return Ok(Some((head, self.bytes[self.searched..].to_vec())));
            }
            self.line = self.searched;
        }
        self.searched = self.bytes.len();
        self.check_line(self.searched)?;
        self.check_head(self.searched)?;
        Ok(None)
    }

    /// Returns the length of the line up to here, without what may be the half of its end.
    fn check_line(&self, end: usize) -> Result<usize, Refused> {
        let line = &self.bytes[self.line..end];
        let length = line.strip_suffix(b"\r").unwrap_or(line).len();
        match (length > MAX_LINE, self.line) {
            (false, _) => Ok(length),
            (true, 0) => {
                Err(Refused::new(414, format!("the request line is longer than {MAX_LINE} bytes")))
            }
            (true, _) => {
                Err(Refused::new(431, format!("a header is longer than {MAX_LINE} bytes")))
            }
        }
    }

    fn check_head(&self, length: usize) -> Result<(), Refused> {
        match length > MAX_HEAD {
            true => Err(Refused::new(
                431,
                format!("the request's head is longer than {MAX_HEAD} bytes"),
            )),
            false => Ok(()),
        }
    }
}

/// Says early, from its first bytes, what is wrong with what will never be a request.
fn check_start(bytes: &[u8]) -> Result<(), Refused> {
    match bytes.first() {
        // RFC 8446 §5.1: the content type of a handshake.
        Some(0x16) => Err(Refused::new(400, "this port does not speak TLS")),
        // A method is a token (RFC 7230 §3.1.1); an empty line before it may be there (§3.5), and
        // no client sends one.
        Some(byte) if !byte.is_ascii_alphabetic() => {
            Err(Refused::new(400, "this is not an HTTP request"))
        }
        _ => Ok(()),
    }
}

/// The request line and headers.
#[derive(Clone, Debug)]
pub(crate) struct RequestHead {
    /// The method, and the target behind it: every client of a server has these.
    line: Box<str>,
    target_at: u32,
    pub(crate) headers: Headers,
}

impl RequestHead {
    pub(crate) fn new(method: &str, target: &str, headers: Headers) -> Self {
        // A line is no longer than 8 KiB.
        let target_at = method.len() as u32;
        RequestHead { line: [method, target].concat().into(), target_at, headers }
    }

    pub(crate) fn method(&self) -> &str {
        &self.line[..self.target_at as usize]
    }

    /// Returns the path, and the query behind it.
    pub(crate) fn target(&self) -> &str {
        &self.line[self.target_at as usize..]
    }

    fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => {
                return Err(Refused::new(400, "the request's head is not valid HTTP"));
            }
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Refused::new(
                    431,
                    format!("the request has more than {MAX_HEADERS} headers"),
                ));
            }
            Err(httparse::Error::Version) => {
                return Err(Refused::new(505, "only HTTP/1.1 is understood here"));
            }
            Err(error) => {
                return Err(Refused::new(400, format!("the request's head is not valid: {error}")));
            }
        }
        if request.version != Some(1) {
            return Err(Refused::new(505, "only HTTP/1.1 is understood here"));
        }
        let fields = request
            .headers
            .iter()
            .map(|field| (field.name, String::from_utf8_lossy(field.value).into_owned()));
        let target = request.path.unwrap_or_default();
        let target =
            path_of(target).ok_or_else(|| Refused::new(400, "the target is not a path"))?;
        Ok(RequestHead::new(request.method.unwrap_or_default(), &target, fields.collect()))
    }

    /// Checks what any request must have (RFC 7230 §5.4) and this server does not take.
    pub(crate) fn check(&self) -> Result<(), Refused> {
        match self.headers.get_all("Host").count() {
            1 => {}
            0 => return Err(Refused::new(400, "there is no Host header")),
            _ => return Err(Refused::new(400, "there is more than one Host header")),
        }
        let body = self.headers.get_all("Content-Length").any(|length| trimmed(length) != "0");
        if body || self.headers.get("Transfer-Encoding").is_some() {
            return Err(Refused::new(400, "a body is not taken here"));
        }
        Ok(())
    }

    /// Returns whether it asks for a WebSocket.
    pub(crate) fn is_upgrade(&self) -> bool {
        self.tokens("Upgrade").any(|token| token.eq_ignore_ascii_case("websocket"))
    }

    /// Checks a request for a WebSocket (RFC 6455 §4.2.1). Returns what answers its key.
    pub(crate) fn check_upgrade(&self) -> Result<String, Refused> {
        if self.method() != "GET" {
            return Err(Refused::new(405, "a WebSocket is asked for with GET"));
        }
        if !self.is_upgrade() {
            return Err(Refused::new(426, "this is a WebSocket server: ask for an upgrade"));
        }
        if !self.tokens("Connection").any(|token| token.eq_ignore_ascii_case("upgrade")) {
            return Err(Refused::new(
                400,
                "the Connection header does not say `Upgrade`: does a proxy on the way take it out?",
            ));
        }
        match self.only("Sec-WebSocket-Version")? {
            Some("13") => {}
            Some(_) => {
                return Err(Refused::new(426, "only version 13 of WebSocket is spoken here"));
            }
            None => return Err(Refused::new(400, "there is no Sec-WebSocket-Version header")),
        }
        let Some(key) = self.only("Sec-WebSocket-Key")? else {
            return Err(Refused::new(400, "there is no Sec-WebSocket-Key header"));
        };
        if !is_key(key) {
            return Err(Refused::new(400, "the Sec-WebSocket-Key is not 16 bytes in base64"));
        }
        self.only("Origin")?;
        Ok(derive_accept_key(key.as_bytes()))
    }

    /// Returns the elements of a header that is a list, whether in one line or several (RFC 7230
    /// §3.2.2).
    pub(crate) fn tokens<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .get_all(name)
            .flat_map(|value| value.split(','))
            .map(trimmed)
            .filter(|token| !token.is_empty())
    }

    /// Returns the value of a header that must not be repeated.
    fn only(&self, name: &str) -> Result<Option<&str>, Refused> {
        match self.headers.get_all(name).count() {
            0 | 1 => Ok(self.headers.get(name).map(trimmed)),
            n => Err(Refused::new(400, format!("there are {n} {name} headers, one is allowed"))),
        }
    }

    /// Decides which of the offered compressions to take: the first that can be (RFC 7692 §7.1).
    pub(crate) fn agree(&self, deflate: &Deflate) -> Option<(NegotiatedDeflate, String)> {
        self.tokens("Sec-WebSocket-Extensions").find_map(|offer| deflate.accept(offer))
    }
}

/// Returns a header's value without the white space around it, which is of two kinds and not of
/// Unicode's (RFC 7230 §3.2.3): another reader on the way would not take more for none.
pub(crate) fn trimmed(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

/// Returns the path and query of a request's target, which a proxy may have sent as a whole URL
/// (RFC 7230 §5.3.2).
fn path_of(target: &str) -> Option<Cow<'_, str>> {
    if target.starts_with('/') {
        return Some(target.into());
    }
    let rest = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"))?;
    match rest.find(['/', '?']) {
        None => Some("/".into()),
        Some(at) if rest[at..].starts_with('?') => Some(format!("/{}", &rest[at..]).into()),
        Some(at) => Some(rest[at..].into()),
    }
}

/// Returns whether this is 16 bytes in base64 (RFC 6455 §4.2.1), whose last character has two bits.
fn is_key(key: &str) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match key.as_bytes() {
        [digits @ .., last, b'=', b'='] => {
            digits.len() == 21
                && digits.iter().all(is_digit)
                && matches!(last, b'A' | b'Q' | b'g' | b'w')
        }
        _ => false,
    }
}

/// Writes the head of an answer.
pub(crate) fn answer_head<'a>(
    status: u16,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason_phrase(status));
    for (name, value) in headers {
        // To a string it always works.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head += "\r\n";
    head
}

/// Returns the words of a status (RFC 7231 §6.1, RFC 6585).
fn reason_phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// Returns whether a name may be that of a header (RFC 7230 §3.2.6).
pub(crate) fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Returns whether a value may be that of a header: one that has a line's end would be two (RFC 7230
/// §3.2.4).
pub(crate) fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: server.example\r\nUpgrade: websocket\r\n\
                           Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                           Sec-WebSocket-Version: 13\r\n\r\n";

    fn head(request: &str) -> Result<RequestHead, Refused> {
        let mut arriving = Arriving::default();
        arriving.push(request.as_bytes());
        Ok(arriving.take_head()?.expect("a whole head").0)
    }

    fn refused(request: &str) -> u16 {
        match head(request).and_then(|head| head.check().and_then(|()| head.check_upgrade())) {
            Ok(_) => 0,
            Err(refused) => refused.status,
        }
    }

    #[test]
    fn the_request_of_the_rfc_is_accepted_in_any_pieces() {
        // RFC 6455 §1.3 has the key and its answer.
        assert_eq!(head(REQUEST).unwrap().check_upgrade().unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let mut arriving = Arriving::default();
        for (i, byte) in REQUEST.bytes().enumerate() {
            arriving.push(&[byte]);
            let head = arriving.take_head().unwrap();
            assert_eq!(head.is_some(), i + 1 == REQUEST.len());
            if let Some((head, rest)) = head {
                assert_eq!((head.target(), head.headers.len()), ("/chat?room=1", 5));
                assert_eq!(rest, b"");
            }
        }
        arriving = Arriving::default();
        arriving.push(REQUEST.as_bytes());
        arriving.push(b"\x81\x80");
        assert_eq!(arriving.take_head().unwrap().unwrap().1, b"\x81\x80");
    }

    #[test]
    fn each_wrong_request_is_refused_with_its_status() {
        let with = |a: &str, b: &str| {
            assert!(REQUEST.contains(a), "{a}");
            REQUEST.replacen(a, b, 1)
        };
        let long = "x".repeat(MAX_LINE + 1);
        for (request, status) in [
            (REQUEST.to_owned(), 0),
            (with("\r\n", "\n"), 0),
            (with("GET", "POST"), 405),
            (with("GET", "{}"), 400),
            (with("HTTP/1.1", "HTTP/1.0"), 505),
            (with("HTTP/1.1", "HTTP/2.0"), 505),
            (with("/chat", "chat"), 400),
            (with("/chat", "http://server.example/chat"), 0),
            (with("/chat?room=1", "http://server.example?room=/1"), 0),
            (
                with(
                    "Upgrade: websocket",
                    "Content-Length: 0\r\nContent-Length: 5\r\nUpgrade: websocket",
                ),
                400,
            ),
            (with("Host: server.example\r\n", ""), 400),
            (with("Host: server.example\r\n", "Host: a\r\nHost: b\r\n"), 400),
            (with("Upgrade: websocket\r\n", ""), 426),
            (with("Upgrade: websocket", "Upgrade: h2c, WebSocket"), 0),
            (with("keep-alive, Upgrade", "keep-alive"), 400),
            (with("Version: 13", "Version: 8"), 426),
            (with("Sec-WebSocket-Version: 13\r\n", ""), 400),
            (with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZR=="), 400),
            (with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ=="), 400),
            (with("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: "), 400),
            (with("Upgrade: websocket", "Content-Length: 5\r\nUpgrade: websocket"), 400),
            (with("Upgrade: websocket", "Content-Length: 0\r\nUpgrade: websocket"), 0),
            (with("Upgrade: websocket", "Transfer-Encoding: chunked\r\nUpgrade: websocket"), 400),
            (with("/chat", &format!("/{long}")), 414),
            (with("Host", &format!("X: {long}\r\nHost")), 431),
            (with("Host", &format!("{}Host", "X: y\r\n".repeat(MAX_HEADERS))), 431),
            (with("Host", &format!("{}Host", format!("X: {}\r\n", &long[..4000]).repeat(5))), 431),
            ("\x16\x03\x01\x02".to_owned(), 400),
        ] {
            assert_eq!(refused(&request), status, "{request}");
        }
    }

    #[test]
    fn a_line_that_is_as_long_as_it_may_be_may_end_in_pieces() {
        let most = "x".repeat(MAX_LINE - "X: ".len());
        let request = REQUEST.replacen("Host", &format!("X: {most}\r\nHost"), 1);
        let mut arriving = Arriving::default();
        let (first, rest) = request.split_at(request.find("\nHost").unwrap());
        arriving.push(first.as_bytes());
        assert!(arriving.take_head().unwrap().is_none());
        arriving.push(rest.as_bytes());
        assert!(arriving.take_head().unwrap().is_some());
    }

    #[test]
    fn a_space_of_unicode_is_part_of_a_value() {
        for (sent, status) in [
            ("Upgrade: websocket\u{a0}", 426),
            ("Upgrade: websocket\r\nContent-Length: 0\u{a0}", 400),
            ("Upgrade: websocket\r\nContent-Length: \t0 ", 0),
        ] {
            assert_eq!(refused(&REQUEST.replacen("Upgrade: websocket", sent, 1)), status, "{sent}");
        }
        let key = REQUEST.replacen("Key: ", "Key: \u{a0}", 1);
        assert_eq!(refused(&key), 400);
    }

    #[test]
    fn a_head_that_does_not_end_is_refused_before_it_is_kept() {
        for line in ["GET /", "GET / HTTP/1.1\r\nX: "] {
            let mut arriving = Arriving::default();
            arriving.push(line.as_bytes());
            let mut pushed = 0;
            while let Ok(None) = arriving.take_head() {
                arriving.push(&[b'x'; 100]);
                pushed += 100;
            }
            assert!(pushed <= MAX_LINE + 200, "{pushed}");
        }
    }

    #[test]
    fn names_and_values_of_headers_cannot_become_others() {
        assert!(is_header_name("X-Token") && !is_header_name("X Token") && !is_header_name(""));
        assert!(is_header_value("a b; c=\u{e9}") && !is_header_value("a\r\nb"));
        let head = answer_head(403, [("Content-Length", "0")]);
        assert_eq!(head, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    }
}
