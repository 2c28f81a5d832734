//! Turns bytes into a response head, and decides whether it opens the WebSocket (RFC 6455 §4.1).
//! Pure: who connects reads the bytes.

use tungstenite::handshake::client::Response;
use tungstenite::handshake::machine::TryParse;

use crate::deflate::{Deflate, NegotiatedDeflate};
use crate::headers::Headers;
use crate::redact::excerpt;

/// Beyond this, a head is no answer to an upgrade but an attempt to fill our memory.
const MAX_HEAD: usize = 64 << 10;

/// What is shorter is no secret: the name of a version or of a format.
const MIN_SECRET: usize = 8;

/// What the server may choose from.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    pub(crate) subprotocols: Vec<String>,
    pub(crate) deflate: Option<Deflate>,
}

/// A response whose head is arriving.
#[derive(Debug, Default)]
pub(crate) struct Arriving {
    bytes: Vec<u8>,
    /// So many of the bytes were searched in vain for the end of the head.
    searched: usize,
    /// How long the interim responses before this one were.
    interim: usize,
}

impl Arriving {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the final response's head, and what came behind it, once the head is whole; says
    /// early what is wrong.
    pub(crate) fn take_head(&mut self) -> Result<Option<(ResponseHead, Vec<u8>)>, String> {
        loop {
            ResponseHead::check_start(&self.bytes)?;
            let end = ResponseHead::find_end(&self.bytes, self.searched);
            if end.unwrap_or(self.bytes.len()) + self.interim > MAX_HEAD {
                return Err(format!("the response head is over {} KiB long", MAX_HEAD >> 10));
            }
            let Some(end) = end else {
                self.searched = self.bytes.len();
                return Ok(None);
            };
            let head = ResponseHead::parse(&self.bytes[..end])?;
            self.bytes.drain(..end);
            // RFC 7231 §6.2: a client must be able to take any number of interim responses (100,
            // 103) before the final one.
            if head.status >= 200 || head.status == 101 {
                // A copy: the head's allocation would stay with the connection until the first
                // frame.
                return Ok(Some((head, self.bytes.as_slice().to_vec())));
            }
            self.interim += end;
            self.searched = 0;
        }
    }
}

/// The status line and headers of a response.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    /// HTTP/1.0: a server, or a proxy on the way, that cannot know of the upgrade (RFC 6455
    /// §4.2.2).
    is_http_1_0: bool,
}

impl ResponseHead {
    /// Finds the end of the head: just behind the first empty line. `searched` bytes were searched
    /// before in vain, so that a head that comes byte by byte is searched once.
    fn find_end(bytes: &[u8], searched: usize) -> Option<usize> {
        // An empty line may have begun in the part that was searched: `\n\r` of `\n\r\n`.
        let from = searched.saturating_sub(2);
        let line_end = |i: &usize| bytes[*i] == b'\n';
        (from..bytes.len()).filter(line_end).find_map(|i| match &bytes[i + 1..] {
            [b'\n', ..] => Some(i + 2),
            [b'\r', b'\n', ..] => Some(i + 3),
            _ => None,
        })
    }

    /// Tells early what is wrong with an answer that will never be a head, from its first bytes.
    fn check_start(bytes: &[u8]) -> Result<(), String> {
        const START: &[u8] = b"HTTP/1.";
        const GET: &[u8] = b"GET /";
        // Enough to recognise another protocol by.
        const SHOWN: usize = 24;
        let common = bytes.len().min(START.len());
        if bytes[..common] == START[..common] {
            return Ok(());
        }
        // RFC 8446 §5.1: the content types of an alert and of a handshake.
        if let Some(0x15 | 0x16) = bytes.first() {
            return Err(
                "the server speaks TLS on this port: is the URL's scheme meant to be wss://?"
                    .into(),
            );
        }
        let start = &bytes[..bytes.len().min(SHOWN)];
        if start.windows(GET.len()).any(|window| window == GET) {
            // Shown, it might have secrets of ours.
            return Err("the server sends back what it is sent, is the port right?".into());
        }
        let shown: String =
            start.iter().flat_map(|&byte| byte.escape_ascii()).map(char::from).collect();
        Err(format!("the answer is not HTTP/1.1, is the port right? It begins with \"{shown}…\""))
    }

    /// Parses a head that ends where [`find_end`](Self::find_end) says.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let is_http_1_0 = bytes.starts_with(b"HTTP/1.0");
        // Any version that came before 1.1 is refused by the parser, while a refusal by an old
        // server is still worth showing.
        let parsed = match is_http_1_0 {
            true => Response::try_parse(&[b"HTTP/1.1", &bytes[8..]].concat()),
            false => Response::try_parse(bytes),
        };
        match parsed {
            Ok(Some((_, response))) => {
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                let fields = response
                    .headers()
                    .iter()
                    .map(|(name, value)| (name.to_string(), text(value.as_bytes())));
                let headers: Headers = fields.collect();
                Ok(ResponseHead { status: response.status().as_u16(), headers, is_http_1_0 })
            }
            Ok(None) => Err("the response head is not valid HTTP".into()),
            Err(error) => Err(format!("the response head is not valid HTTP: {error}")),
        }
    }

    /// Returns the version of HTTP that it says.
    pub(crate) fn version(&self) -> &'static str {
        if self.is_http_1_0 { "HTTP/1.0" } else { "HTTP/1.1" }
    }

    /// Checks a response with status 101 against RFC 6455 §4.1 and what was offered.
    pub(crate) fn accept(&self, accept_key: &str, offer: &Offer) -> Result<Accepted, String> {
        if self.is_http_1_0 {
            return Err("status 101 came by HTTP/1.0, which has no upgrade".into());
        }
        // Item 2, as the list that RFC 7230 §6.7 makes of it.
        if !self.tokens("Upgrade").any(|token| token.eq_ignore_ascii_case("websocket")) {
            return Err(format!(
                "the response {}, not `Upgrade: websocket`",
                self.found("Upgrade")
            ));
        }
        // Item 3: a list of tokens, `keep-alive, Upgrade` for one.
        if !self.tokens("Connection").any(|token| token.eq_ignore_ascii_case("upgrade")) {
            return Err(format!(
                "the response {}, not `Connection: Upgrade`",
                self.found("Connection")
            ));
        }
        // Item 4.
        match self.only("Sec-WebSocket-Accept")? {
            Some(key) if key == accept_key => {}
            Some(_) => {
                return Err(
                    "Sec-WebSocket-Accept does not answer our key: it may come from a cache".into(),
                );
            }
            None => {
                return Err(
                    "the response has no Sec-WebSocket-Accept: is this a WebSocket server?".into(),
                );
            }
        }
        // Item 5. More than one header is allowed here, and means one list (§9.1).
        let extensions: Vec<&str> = self.tokens("Sec-WebSocket-Extensions").collect();
        let mut compression = None;
        for extension in &extensions {
            let Some(deflate) = &offer.deflate else {
                let name = excerpt(extension_name(extension));
                return Err(format!(
                    "the server chose the extension `{name}`, which was not offered"
                ));
            };
            if compression.replace(deflate.agree(extension)?).is_some() {
                return Err("the server chose permessage-deflate twice".into());
            }
        }
        // Item 6. No choice at all is allowed (§4.2.2).
        let subprotocol = self.only("Sec-WebSocket-Protocol")?;
        match subprotocol {
            Some(name) if !offer.subprotocols.iter().any(|offered| offered == name) => {
                // Some hand over a token as a subprotocol.
                if offer
                    .subprotocols
                    .iter()
                    .any(|offered| offered.len() >= MIN_SECRET && name.contains(offered.as_str()))
                {
                    return Err("the server chose a subprotocol that was not offered, and repeats one that was".into());
                }
                return Err(format!(
                    "the server chose the subprotocol `{}`, which was not offered",
                    excerpt(name)
                ));
            }
            _ => {}
        }
        let extensions = (!extensions.is_empty()).then(|| extensions.join(", "));
        Ok(Accepted { subprotocol: subprotocol.map(str::to_owned), extensions, compression })
    }

    /// The elements of a header that is a list, whether in one line or several (RFC 7230 §3.2.2).
    fn tokens<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .get_all(name)
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|token| !token.is_empty())
    }

    /// The value of a header that must not be repeated.
    fn only(&self, name: &str) -> Result<Option<&str>, String> {
        match self.headers.get_all(name).count() {
            0 | 1 => Ok(self.headers.get(name)),
            n => Err(format!("the response has {n} {name} headers, only one is allowed")),
        }
    }

    fn found(&self, name: &str) -> String {
        match self.headers.get(name) {
            Some(value) => format!("has `{name}: {}`", excerpt(value)),
            None => format!("has no `{name}` header"),
        }
    }
}

/// What the server chose.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Accepted {
    pub(crate) subprotocol: Option<String>,
    pub(crate) extensions: Option<String>,
    pub(crate) compression: Option<NegotiatedDeflate>,
}

/// The part of an extension before its parameters (RFC 6455 §9.1).
fn extension_name(extension: &str) -> &str {
    extension.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn offer() -> Offer {
        let subprotocols = vec!["v2".into(), "v1".into(), "bearer.secret".into()];
        Offer { subprotocols, deflate: Some(Deflate::default()) }
    }

    /// A correct response, but for the headers of the same name as these; one that ends in `-` is
    /// left out.
    fn accept(changed: &[&str]) -> Result<Accepted, String> {
        let correct =
            ["Upgrade: websocket", "Connection: Upgrade", &format!("Sec-WebSocket-Accept: {KEY}")]
                .map(str::to_owned);
        let name = |line: &str| line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let kept = correct
            .iter()
            .map(String::as_str)
            .filter(|line| !changed.iter().any(|c| name(c) == name(line)));
        let lines: Vec<&str> =
            kept.chain(changed.iter().copied().filter(|line| !line.ends_with('-'))).collect();
        let head = format!("HTTP/1.1 101 Switching Protocols\r\n{}\r\n\r\n", lines.join("\r\n"));
        ResponseHead::parse(head.as_bytes())?.accept(KEY, &offer())
    }

    #[test]
    fn what_rfc_6455_allows_is_accepted() {
        for changed in [
            &[][..],
            &["upgrade: WebSocket"],
            &["Upgrade: h2c, websocket"],
            &["connection: keep-alive, UPGRADE"],
            &["Connection: keep-alive", "Connection: upgrade"],
            &["Set-Cookie: a=b", "Set-Cookie: c=d"],
        ] {
            assert_eq!(accept(changed), Ok(Accepted::default()), "{changed:?}");
        }
        let chosen = accept(&[
            "Sec-WebSocket-Protocol: v1",
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9",
        ]);
        let chosen = chosen.unwrap();
        assert_eq!(chosen.subprotocol.as_deref(), Some("v1"));
        assert_eq!(
            chosen.extensions.as_deref(),
            Some("permessage-deflate; server_max_window_bits=9")
        );
        assert_eq!(chosen.compression.map(|agreed| agreed.server_max_window_bits), Some(9));
    }

    #[test]
    fn what_rfc_6455_does_not_allow_is_refused_by_name() {
        let repeated = format!("Sec-WebSocket-Accept: {KEY}");
        for (changed, says) in [
            (&["Upgrade: -"][..], "no `Upgrade`"),
            (&["Upgrade: h2c"], "has `Upgrade: h2c`"),
            (&["Upgrade: websocket/13"], "not `Upgrade: websocket`"),
            (&["Connection: -"], "no `Connection`"),
            (&["Connection: close"], "has `Connection: close`"),
            (&["Connection: notupgrade"], "not `Connection: Upgrade`"),
            (&["Sec-WebSocket-Accept: -"], "no Sec-WebSocket-Accept"),
            (&["Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo="], "does not answer our key"),
            (&[&repeated, &repeated], "2 Sec-WebSocket-Accept headers"),
            (&["Sec-WebSocket-Extensions: x-other"], "`x-other`, which was not offered"),
            (
                &["Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate"],
                "permessage-deflate twice",
            ),
            (&["Sec-WebSocket-Extensions: permessage-deflate; x=1"], "unknown parameter"),
            (&["Sec-WebSocket-Protocol: v3"], "subprotocol `v3`"),
            (&["Sec-WebSocket-Protocol: V1"], "subprotocol `V1`"),
            (&["Sec-WebSocket-Protocol: v1, v2"], "subprotocol `v1, v2`"),
            (&["Sec-WebSocket-Protocol: v1, bearer.secret"], "not offered, and repeats one"),
            (
                &["Sec-WebSocket-Protocol: v1", "Sec-WebSocket-Protocol: v1"],
                "2 Sec-WebSocket-Protocol headers",
            ),
        ] {
            let refused = accept(changed);
            assert!(
                refused.as_ref().is_err_and(|problem| problem.contains(says)),
                "{changed:?}: {refused:?}"
            );
        }
    }

    #[test]
    fn names_are_in_lower_case_and_the_values_of_each_in_order() {
        let head = ResponseHead::parse(
            b"HTTP/1.1 200 x\r\nSet-Cookie: 2\r\nServer: x\r\nSET-COOKIE: 1\r\nset-cookie: 3\r\n\r\n",
        );
        let headers = head.unwrap().headers;
        assert_eq!(headers.get_all("Set-Cookie").collect::<Vec<_>>(), ["2", "1", "3"]);
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        let (cookies, server) = (["set-cookie"; 3], ["server"]);
        assert!(
            names == [&cookies[..], &server].concat() || names == [&server[..], &cookies].concat(),
            "{names:?}"
        );
    }

    #[test]
    fn nothing_was_offered_so_nothing_may_be_chosen() {
        let head = |line: &str| {
            let head = format!(
                "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {KEY}\r\n{line}\r\n\r\n"
            );
            ResponseHead::parse(head.as_bytes()).unwrap().accept(KEY, &Offer::default())
        };
        assert!(
            head("Sec-WebSocket-Protocol: v1")
                .is_err_and(|problem| problem.contains("not offered"))
        );
        assert!(
            head("Sec-WebSocket-Extensions: permessage-deflate")
                .is_err_and(|p| p.contains("not offered"))
        );
    }

    #[test]
    fn the_head_ends_behind_its_first_empty_line_however_it_arrives() {
        for (bytes, end) in [
            (&b"HTTP/1.1 101 x\r\nA: b\r\n\r\n\x81\x00"[..], Some(24)),
            (b"HTTP/1.1 101 x\nA: b\n\n\x81\x00", Some(21)),
            (b"HTTP/1.1 101 x\r\n\r\n", Some(18)),
            (b"HTTP/1.1 101 x\r\nA: b\r\n", None),
            (b"HTTP/1.1 101 x\r\nA: b\r\n\r", None),
            (b"", None),
        ] {
            assert_eq!(ResponseHead::find_end(bytes, 0), end, "{bytes:?}");
            // Byte by byte it is found with the last one that it needs, and each byte is looked at
            // a few times only.
            let found =
                (0..bytes.len()).find_map(|had| ResponseHead::find_end(&bytes[..=had], had));
            assert_eq!(found, end, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_not_http_is_told_from_its_first_bytes() {
        for start in ["", "H", "HTTP/1.", "HTTP/1.1 101"] {
            assert_eq!(ResponseHead::check_start(start.as_bytes()), Ok(()));
        }
        for (start, says) in [
            (&b"\x15\x03\x01"[..], "wss://"),
            (b"\x16\x03\x01", "wss://"),
            (b"SSH-2.0-OpenSSH\r\n", "\"SSH-2.0-OpenSSH\\r\\n…\""),
            (b"HTTP/2 101", "not HTTP/1.1"),
            (b"\x00\x00\x12\x04", "\\x00\\x00\\x12\\x04"),
        ] {
            let problem = ResponseHead::check_start(start).unwrap_err();
            assert!(problem.contains(says), "{start:?}: {problem}");
        }
    }

    #[test]
    fn an_old_servers_refusal_is_read_and_its_upgrade_is_not() {
        assert_eq!(ResponseHead::parse(b"HTTP/1.0 404 Not Found\r\n\r\n").unwrap().status, 404);
        let upgraded =
            ResponseHead::parse(b"HTTP/1.0 101 x\r\nUpgrade: websocket\r\n\r\n").unwrap();
        assert!(upgraded.accept(KEY, &offer()).is_err_and(|problem| problem.contains("HTTP/1.0")));
    }

    #[test]
    fn a_malformed_head_is_an_error() {
        let many = format!("HTTP/1.1 101 x\r\n{}\r\n", "A: b\r\n".repeat(200));
        for head in [
            "HTTP/1.1 abc x\r\n\r\n",
            "HTTP/1.1 101 x\r\nno colon\r\n\r\n",
            "HTTP/1.9 101\r\n\r\n",
            &many,
        ] {
            let parsed = ResponseHead::parse(head.as_bytes());
            assert!(
                parsed.as_ref().is_err_and(|problem| problem.contains("not valid HTTP")),
                "{parsed:?}"
            );
        }
    }
}
