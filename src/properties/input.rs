//! URL and header input: nothing panics, no error shows a credential, and what is accepted becomes
//! a request of exactly the lines that were asked for.

use websocket_app::fuzzing::{Accepted, Input};
use websocket_app::{Deflate, Error};

/// Stands for every credential. Made of the whole input, so that it is nowhere in it by itself.
fn secret(input: &[u8]) -> String {
    // FNV-1a
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The fields of an input are between these, which no text has.
const SEPARATOR: u8 = 0xff;

/// The parts of a program's input, and where its credentials are.
#[derive(Debug)]
struct Parts {
    secret: String,
    before_user: String,
    user: String,
    around_password: [String; 2],
    host: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
    origin: Option<String>,
    cookie: Option<String>,
    flags: u8,
}

pub fn input(input: &[u8]) {
    let Some(parts) = Parts::parse(input) else { return };
    let input = parts.input();
    match input.check() {
        Ok(accepted) => parts.check_accepted(&input, &accepted),
        Err(error) => parts.check_error(&input, &error),
    }
}

impl Parts {
    fn parse(input: &[u8]) -> Option<Self> {
        let (&flags, rest) = input.split_first()?;
        let mut fields = rest
            .split(|byte| *byte == SEPARATOR)
            .map(|field| String::from_utf8_lossy(field).into_owned());
        let mut next = || fields.next().unwrap_or_default();
        let optional = |text: String| (!text.is_empty()).then_some(text);
        Some(Parts {
            secret: secret(input),
            before_user: next(),
            user: next(),
            around_password: [next(), next()],
            host: next(),
            query: optional(next()),
            origin: optional(next()),
            cookie: optional(next()),
            subprotocols: next()
                .split(' ')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            headers: std::iter::from_fn(|| {
                Some((fields.next()?, fields.next().unwrap_or_default()))
            })
            .collect(),
            flags,
        })
    }

    fn has_password(&self) -> bool {
        self.flags & 1 != 0
    }

    fn input(&self) -> Input {
        let secret = &self.secret;
        let mut url = self.before_user.clone();
        if self.has_password() {
            let [before, after] = &self.around_password;
            url += &format!("{}:{before}{secret}{after}@", self.user);
        }
        url += &self.host;
        if let Some(query) = &self.query {
            url += &format!("?{query}{secret}");
        }
        let value = |value: &str| {
            if self.flags & 2 != 0 { format!("{value}{secret}") } else { value.to_owned() }
        };
        let mut headers: Vec<(String, String)> =
            self.headers.iter().map(|(name, text)| (name.clone(), value(text))).collect();
        if self.flags & 4 != 0 {
            // A whole line for a name.
            headers.push((format!("X-Token: {secret}"), String::new()));
        }
        Input {
            url,
            headers,
            subprotocols: self.subprotocols.clone(),
            origin: self.origin.as_deref().map(value),
            cookie: self.cookie.as_deref().map(value),
            compression: (self.flags & 8 != 0).then(Deflate::default),
        }
    }

    /// Whether the password is one by the URL standard as well, for which these characters end what
    /// may have one.
    fn is_password(&self) -> bool {
        let ends_it = |text: &str| text.contains(['/', '?', '#', '\\']);
        let before = self.before_user.split_once("://").map_or("", |(_, rest)| rest);
        !ends_it(before)
            && !ends_it(&self.user)
            && !self.around_password.iter().any(|text| ends_it(text))
    }

    fn check_accepted(&self, input: &Input, accepted: &Accepted) {
        if self.is_password() || !self.has_password() {
            assert!(
                !accepted.url.contains(&self.secret) && !accepted.peer.contains(&self.secret),
                "{accepted:?}"
            );
        }
        check_request(input, &accepted.request);
    }

    fn check_error(&self, input: &Input, error: &Error) {
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains(|c: char| c.is_control()), "control characters: {shown:?}");
            // It is about the host of a valid URL, which here may be what was meant as a password.
            if self.is_password() || !shown.contains("built without TLS") {
                assert!(!shown.contains(&self.secret), "{shown}\nfor {input:?}");
            }
        }
    }
}

/// Checks the request line by line against what was asked for.
fn check_request(input: &Input, request: &[u8]) {
    let text = str::from_utf8(request).expect("all that goes in is text");
    let head = text.strip_suffix("\r\n\r\n").expect("it ends with the empty line");
    assert!(!head.contains("\r\n\r\n"), "one empty line: {text:?}");
    assert!(
        !text.replace("\r\n", "").contains(['\r', '\n', '\0']),
        "line breaks are whole: {text:?}"
    );
    let mut lines = head.split("\r\n");

    let first = lines.next().unwrap_or_default();
    let path =
        first.strip_prefix("GET /").and_then(|rest| rest.strip_suffix(" HTTP/1.1")).expect(first);
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "{first:?}");

    let is = |name: &str, wanted: &str| name.eq_ignore_ascii_case(wanted);
    let own = |wanted: &str| {
        input.headers.iter().find(|(name, _)| is(name, wanted)).map(|(_, value)| value.as_str())
    };
    let mut expected: Vec<(&str, Option<&str>)> = vec![
        ("Host", own("Host")),
        ("Upgrade", Some("websocket")),
        ("Connection", Some("Upgrade")),
        ("Sec-WebSocket-Key", Some("KEY")),
        ("Sec-WebSocket-Version", Some("13")),
    ];
    let subprotocols = input.subprotocols.join(", ");
    if !input.subprotocols.is_empty() {
        expected.push(("Sec-WebSocket-Protocol", Some(&subprotocols)));
    }
    if input.compression.is_some() {
        expected
            .push(("Sec-WebSocket-Extensions", Some("permessage-deflate; client_max_window_bits")));
    }
    expected.extend(input.origin.as_deref().map(|origin| ("Origin", Some(origin))));
    expected.extend(input.cookie.as_deref().map(|cookie| ("Cookie", Some(cookie))));
    let mut lines = lines.peekable();
    let basic = |line: &str| line.starts_with("Authorization: Basic ");
    for (name, value) in expected {
        check_line(lines.next(), name, value);
    }
    // From the URL, where it has user info and no header replaces it.
    if own("Authorization").is_none() && lines.peek().is_some_and(|line| basic(line)) {
        let value = lines
            .next()
            .and_then(|line| line.strip_prefix("Authorization: Basic "))
            .unwrap_or_default();
        assert!(
            value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)),
            "{value:?}"
        );
    }
    for (name, value) in input.headers.iter().filter(|(name, _)| !is(name, "Host")) {
        check_line(lines.next(), name, Some(value));
    }
    assert_eq!(lines.next(), None, "a line that nobody asked for");
}

#[track_caller]
fn check_line(line: Option<&str>, name: &str, value: Option<&str>) {
    let (found, text) = line.and_then(|line| line.split_once(": ")).expect("a field");
    assert_eq!(found, name);
    assert!(value.is_none_or(|value| text == value), "{name}: {text:?} instead of {value:?}");
}
