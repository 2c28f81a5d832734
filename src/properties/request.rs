//! A client's request: any split of its bytes gives the same; nothing panics; it is accepted or
//! refused with a status as RFC 6455 §4.2.1 and the limits have it, by a second reading of it that
//! is simpler; what it is told is one short line that is safe to print, in an answer that is whole.

use websocket_app::fuzzing::{Connection, Doors, Served};

use super::{Splits, connection, expand};

/// As the server has them.
const MAX_LINE: usize = 8 << 10;
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 100;

/// What is longer is split at a line's end instead.
const BYTE_BY_BYTE: usize = 2_000;

pub fn request(input: &[u8]) {
    let Some((connection, splits, wire)) = connection(input) else { return };
    let doors = doors(input);
    let wire = expand(wire);
    let served = head_in(&connection, doors, &wire, || usize::MAX);
    check(served.as_ref(), &connection, doors, &wire);
    let mut sizes = splits;
    assert_same_served(
        head_in(&connection, doors, &wire, || sizes.size()).as_ref(),
        served.as_ref(),
        "split",
    );
    if wire.len() <= BYTE_BY_BYTE {
        let slowly = head_in(&connection, doors, &wire, || 1);
        assert_same_served(slowly.as_ref(), served.as_ref(), "byte by byte");
    }
    around_the_end(&connection, doors, &wire, splits, served.as_ref());
}

/// Where a line or the head ends is where a limit may be counted in two ways.
fn around_the_end(
    connection: &Connection,
    doors: Doors,
    wire: &[u8],
    mut splits: Splits,
    served: Option<&Served>,
) {
    let breaks: Vec<_> = (0..wire.len()).filter(|&at| matches!(wire[at], b'\r' | b'\n')).collect();
    let Some(any) = breaks.get(splits.number() as usize % breaks.len().max(1)) else { return };
    let lengths = wire.split_inclusive(|&byte| byte == b'\n').scan(0, |end, line| {
        *end += line.len();
        Some((line.len(), *end))
    });
    // Before the last byte of the longest line.
    let longest = lengths.max().map_or(0, |(_, end)| end - 1);
    for at in [longest, any + 1] {
        let mut sizes = [at].into_iter();
        let split = head_in(connection, doors, wire, || sizes.next().unwrap_or(usize::MAX));
        assert_same_served(split.as_ref(), served, "split at a line's end");
    }
}

/// The beginning of an input, as far as it is about a request.
pub(super) fn doors(input: &[u8]) -> Doors {
    let flags = input.first().copied().unwrap_or_default();
    Doors { any_origin: flags & 0x40 != 0, on_loopback: flags & 0x80 != 0 }
}

fn head_in(
    connection: &Connection,
    doors: Doors,
    wire: &[u8],
    size: impl FnMut() -> usize,
) -> Option<Served> {
    connection.serve(doors, &wire[..wire.len().min(head_end(wire))], size).0
}

/// Where the head ends, or more than there is.
pub(super) fn head_end(wire: &[u8]) -> usize {
    let ends = |pattern: &[u8]| {
        wire.windows(pattern.len())
            .position(|window| window == pattern)
            .map(|at| at + pattern.len())
    };
    match (ends(b"\n\n"), ends(b"\n\r\n")) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b).unwrap_or(usize::MAX),
    }
}

#[track_caller]
pub(super) fn assert_same_served(served: Option<&Served>, whole: Option<&Served>, how: &str) {
    match (served, whole) {
        // Which of the limits on headers comes first depends on how much is seen at once.
        (Some(Served::Refused { status: 431, .. }), Some(Served::Refused { status: 431, .. })) => {}
        _ => assert_eq!(served, whole, "{how}"),
    }
}

/// Compares what came of a request with what should.
pub(super) fn check(served: Option<&Served>, connection: &Connection, doors: Doors, wire: &[u8]) {
    let end = head_end(wire);
    let head = &wire[..end.min(wire.len())];
    match served {
        None => {
            assert!(end > wire.len(), "a head that is whole was not answered");
            assert!(limits(head).is_none(), "it goes on over its limits");
        }
        Some(Served::Refused { status, why, answer }) => {
            check_refusal(*status, why, answer, head.starts_with(b"HEAD "));
            check_status(*status, doors, head, end <= wire.len());
        }
        Some(Served::Open { target, headers, subprotocol, answer }) => {
            check_status(101, doors, head, end <= wire.len());
            assert!(target.starts_with('/') && !target.contains(is_ascii_space), "{target:?}");
            assert_eq!(headers.len(), lines(head).len() - 1);
            check_answer(answer, subprotocol.as_deref(), connection, head);
        }
    }
}

/// Whether the status is the one that a request must get.
fn check_status(status: u16, doors: Doors, head: &[u8], is_whole: bool) {
    let shown = || head.escape_ascii().to_string();
    if let Some(limit) = limits(head) {
        // The bytes before it may be none of a request.
        let first = head.first().is_some_and(|byte| !byte.is_ascii_alphabetic());
        assert!(status == limit || first && status == 400, "{status} instead of {limit}");
        return;
    }
    match Asked::strictly(head).filter(|_| is_whole) {
        Some(asked) => {
            let wanted = asked.status();
            let refused_at_the_door = status == 403 && asked.may_be_turned_away(doors);
            let comes_first = asked.is_a_request_at_all();
            assert!(
                status == wanted || refused_at_the_door && comes_first,
                "{status} instead of {wanted}: {}",
                shown()
            );
        }
        // Not as it is to be: what is put up with are targets of another form.
        None if status == 101 => {
            let first = String::from_utf8_lossy(lines(head)[0]).into_owned();
            let target = first.split(' ').nth(1).unwrap_or_default();
            assert!(target.starts_with("http") || !target.is_ascii(), "{}", shown());
        }
        None => {
            assert!(matches!(status, 400 | 403 | 405 | 426 | 431 | 505), "{status}: {}", shown())
        }
    }
}

/// The status of what is longer than it may be.
fn limits(head: &[u8]) -> Option<u16> {
    let lines = head.split(|&byte| byte == b'\n');
    let is_long = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).len() > MAX_LINE;
    let mut long = lines.map(is_long);
    if long.next() == Some(true) {
        return Some(414);
    }
    (long.any(|long| long) || head.len() > MAX_HEAD).then_some(431)
}

/// The lines of a head that is whole, without the empty one.
fn lines(head: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<_> = head
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines
}

/// A request as RFC 7230 has it, and no other.
struct Asked {
    method: String,
    headers: Vec<(String, String)>,
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

impl Asked {
    /// Returns `None` where a line of it is not to the letter.
    fn strictly(head: &[u8]) -> Option<Self> {
        let lines = lines(head);
        let (first, fields) = lines.split_first()?;
        let [method, target, b"HTTP/1.1"] =
            first.split(|&byte| byte == b' ').collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let is_path = target.starts_with(b"/") && target.iter().all(u8::is_ascii_graphic);
        if !is_token(method) || !method[0].is_ascii_alphabetic() || !is_path {
            return None;
        }
        let headers = fields.iter().map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let (name, value) = (&line[..colon], &line[colon + 1..]);
            let is_value = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
            (is_token(name) && value.iter().all(is_value)).then(|| {
                let value = String::from_utf8_lossy(value);
                let value = trimmed(&value).to_owned();
                (String::from_utf8_lossy(name).to_ascii_lowercase(), value)
            })
        });
        let method = String::from_utf8_lossy(method).into_owned();
        Some(Asked { method, headers: headers.collect::<Option<_>>()? })
    }

    fn all<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    }

    fn has_token(&self, name: &str, wanted: &str) -> bool {
        let tokens = self.all(name).into_iter().flat_map(|value| value.split(','));
        tokens.map(trimmed).any(|t| t.eq_ignore_ascii_case(wanted))
    }

    fn is_a_request_at_all(&self) -> bool {
        self.headers.len() <= MAX_HEADERS
            && self.all("host").len() == 1
            && self.all("transfer-encoding").is_empty()
            && self.all("content-length").iter().all(|length| *length == "0")
    }

    fn may_be_turned_away(&self, doors: Doors) -> bool {
        let is_ours = matches!(self.all("host")[..], ["localhost" | "127.0.0.1:9001"]);
        !doors.any_origin && !self.all("origin").is_empty() || doors.on_loopback && !is_ours
    }

    fn status(&self) -> u16 {
        if self.headers.len() > MAX_HEADERS {
            return 431;
        }
        if !self.is_a_request_at_all() {
            return 400;
        }
        if self.method != "GET" {
            return 405;
        }
        if !self.has_token("upgrade", "websocket") {
            return 426;
        }
        if !self.has_token("connection", "upgrade") {
            return 400;
        }
        match self.all("sec-websocket-version")[..] {
            ["13"] => {}
            [_] => return 426,
            _ => return 400,
        }
        let [key] = self.all("sec-websocket-key")[..] else { return 400 };
        if !is_key(key) || self.all("origin").len() > 1 {
            return 400;
        }
        101
    }
}

/// Whether it is the base64 of 16 bytes: all six bits of 21 characters, two of one, and padding.
fn is_key(key: &str) -> bool {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let Some(digits) = key.strip_suffix("==") else { return false };
    let values: Option<Vec<_>> =
        digits.bytes().map(|digit| ALPHABET.iter().position(|&known| known == digit)).collect();
    values.is_some_and(|values| values.len() == 22 && values[21].is_multiple_of(16))
}

fn check_refusal(status: u16, why: &str, answer: &[u8], is_head: bool) {
    assert!(!why.is_empty() && why.len() < 2_300, "a line of {} bytes", why.len());
    assert!(!why.contains(|c: char| c.is_control()), "it is not safe to print: {why:?}");
    let (head, body) = parts(answer);
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    let has = |line: &str| head.lines().filter(|l| *l == line).count() == 1;
    assert!(
        has("Connection: close") && has(&format!("Content-Length: {}", why.len() + 1)),
        "{head}"
    );
    assert_eq!(has("Allow: GET"), status == 405, "{head}");
    assert_eq!(has("Sec-WebSocket-Version: 13"), status == 426, "{head}");
    let body = String::from_utf8_lossy(body);
    // Of what is refused before it is whole, it is not known.
    assert!(body == format!("{why}\n") || is_head && body.is_empty(), "{body:?}");
}

fn check_answer(answer: &[u8], subprotocol: Option<&str>, connection: &Connection, request: &[u8]) {
    let (head, body) = parts(answer);
    assert_eq!(body, b"", "frames are behind it");
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("HTTP/1.1 101 Switching Protocols"));
    assert_eq!(lines.next(), Some("Upgrade: websocket"));
    assert_eq!(lines.next(), Some("Connection: Upgrade"));
    let accept = lines.next().and_then(|line| line.strip_prefix("Sec-WebSocket-Accept: "));
    let asked = Asked::strictly(request);
    let is_sample = asked
        .as_ref()
        .is_some_and(|asked| asked.all("sec-websocket-key") == ["dGhlIHNhbXBsZSBub25jZQ=="]);
    assert!(
        accept.is_some_and(|accept| accept.len() == 28)
            && (!is_sample || accept == Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
        "{accept:?}"
    );
    for line in lines {
        match line.split_once(": ") {
            Some(("Sec-WebSocket-Protocol", name)) => {
                assert!(matches!(name, "v1" | "v2") && subprotocol == Some(name), "{name:?}");
                assert!(
                    asked.iter().all(|asked| asked.offers("sec-websocket-protocol", |o| o == name))
                );
            }
            Some(("Sec-WebSocket-Extensions", said)) => {
                assert!(connection.compression.is_some(), "an extension that was not asked for");
                assert!(
                    asked.iter().all(|asked| asked
                        .offers("sec-websocket-extensions", |offer| may_answer(offer, said))),
                    "{said:?} answers no offer: {}",
                    request.escape_ascii()
                );
            }
            other => panic!("{other:?} in an answer"),
        }
    }
}

impl Asked {
    fn offers(&self, name: &str, fits: impl Fn(&str) -> bool) -> bool {
        self.all(name)
            .into_iter()
            .flat_map(|value| value.split(','))
            .any(|offer| fits(trimmed(offer)))
    }
}

/// Without the white space of headers (RFC 7230 §3.2.3).
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Whether a server may answer an offer of compression so (RFC 7692 §7.1).
fn may_answer(offer: &str, said: &str) -> bool {
    let parameters = |text: &str| -> Vec<(String, Option<u8>)> {
        let parts = text.split(';').skip(1).map(|part| match part.split_once('=') {
            Some((name, value)) => {
                (trimmed(name).to_owned(), trimmed(value).trim_matches('"').parse().ok())
            }
            None => (trimmed(part).to_owned(), None),
        });
        parts.collect()
    };
    let (offered, said) = (parameters(offer), parameters(said));
    let find = |name: &str| offered.iter().find(|(n, _)| n == name);
    let all_may_be_said = said.iter().all(|(name, bits)| match (name.as_str(), bits) {
        ("server_no_context_takeover" | "client_no_context_takeover", None) => true,
        ("server_max_window_bits", Some(bits @ 8..=15)) => {
            find(name).is_none_or(|(_, most)| *bits <= most.unwrap_or(0))
        }
        ("client_max_window_bits", Some(bits @ 8..=15)) => {
            find(name).is_some_and(|(_, most)| *bits <= most.unwrap_or(15))
        }
        _ => false,
    });
    let must = ["server_no_context_takeover", "server_max_window_bits"];
    let all_is_said =
        must.iter().all(|name| find(name).is_none() || said.iter().any(|(n, _)| n == name));
    offer.starts_with("permessage-deflate") && all_may_be_said && all_is_said
}

/// An answer's head, without the empty line, and its body.
fn parts(answer: &[u8]) -> (String, &[u8]) {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an empty line");
    let head = str::from_utf8(&answer[..end]).expect("text").to_owned();
    assert!(!head.replace("\r\n", "").contains(|c: char| c.is_control()), "{head:?}");
    (head, &answer[end + 4..])
}

fn is_ascii_space(c: char) -> bool {
    c.is_ascii_whitespace() || c.is_ascii_control()
}
