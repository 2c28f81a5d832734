//! [`Secrets`]: whether what a server says repeats what may be secret of the opening request, as
//! pages for debugging do: then it is not fit for a log. Pure.

use super::credentials::percent_decode;

/// What is shorter is in many a text, and no secret.
const SHORTEST: usize = 4;

/// The same for a part of a value: of `Bearer …`, or of one cookie of several.
const SHORTEST_PART: usize = 8;

/// What is the handshake's own, or goes to every server without harm.
const HARMLESS: [&str; 8] = [
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Extensions",
    "Origin",
    "User-Agent",
];

/// What may be secret of a request: its query, and the values of its headers. Never shown.
#[derive(Clone, Default)]
pub(crate) struct Secrets(
    /// One in each line. Of most requests there is none, and no memory is held.
    Box<str>,
);

impl Secrets {
    pub(crate) fn of(request: &[u8]) -> Self {
        let request = String::from_utf8_lossy(request);
        let mut lines = request.split("\r\n");
        let target = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        let query = target.split_once('?').map(|(_, query)| query);
        let fields = lines.filter_map(|line| line.split_once(": "));
        let values = fields.filter(|(name, _)| !is_harmless(name)).map(|(_, value)| value);
        Secrets(query.into_iter().chain(values).collect::<Vec<_>>().join("\n").into())
    }

    /// Returns whether a text has one of them in it, or a part of one that may be the secret;
    /// escaped or not.
    pub(crate) fn are_in(&self, said: &str) -> bool {
        let said = [said, &decoded(said), &unescaped(said)].map(str::to_lowercase);
        let is_said = |text: &str, shortest| {
            [text, &decoded(text)].into_iter().any(|text| {
                let text = text.trim().to_lowercase();
                text.len() >= shortest && said.iter().any(|said| said.contains(&text))
            })
        };
        self.0.lines().any(|value| {
            is_said(value, SHORTEST) || parts(value).any(|part| is_said(part, SHORTEST_PART))
        })
    }
}

/// Returns whether the values of this header of a request may be shown.
pub(super) fn is_harmless(name: &str) -> bool {
    HARMLESS.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// Takes a value apart into words and into the values of pairs.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', '\t', ',', ';', '&', '"']).map(|part| {
        // What is at the end is padding.
        let part = part.trim_end_matches('=');
        part.split_once('=').map_or(part, |(_, value)| value)
    })
}

fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&percent_decode(text)).into_owned()
}

/// As HTML and JSON have what stands in URLs.
fn unescaped(text: &str) -> String {
    text.replace("&amp;", "&").replace("\\u0026", "&").replace("\\/", "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET /ws?token=SECRET%2B1&v=2 HTTP/1.1\r\nHost: server.example\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: 0123456789abcdef\r\nSec-WebSocket-Version: 13\r\nX-Api-Key: KEY-1\r\n\
        X-Short: x\r\nAuthorization: Bearer 0123456789==\r\nCookie: theme=dark; session=s3ss10n-id\r\n\
        Origin: http://page.example\r\n\r\n";

    fn repeats(request: &[u8], said: &str) -> bool {
        Secrets::of(request).are_in(said)
    }

    #[test]
    fn a_query_or_a_header_is_repeated() {
        for said in [
            "Cannot GET /ws?token=SECRET%2B1&v=2",
            "Cannot GET /ws?token=SECRET+1&v=2",
            "<p>/ws?token=SECRET%2B1&amp;v=2 was not found</p>",
            "{\"url\":\"\\/ws?token=SECRET%2B1\\u0026v=2\"}",
            "no such token: SECRET+1",
            "no such token: secret%2b1",
            "{\"x-api-key\":\"KEY-1\"}",
            "key-1 is unknown",
            "expired: 0123456789",
            "who is s3ss10n-id?",
            "GET%20/ws%3Ftoken%3DSECRET%252B1",
        ] {
            assert!(repeats(REQUEST, said), "{said}");
        }
    }

    #[test]
    fn a_secret_is_known_however_it_is_escaped() {
        let request = b"GET / HTTP/1.1\r\nX-Token: k1/k2&k3\r\n\r\n";
        for said in ["k1/k2&k3", "k1\\/k2\\u0026k3", "k1/k2&amp;k3", "k1%2Fk2%26k3"] {
            assert!(repeats(request, said), "{said}");
        }
    }

    #[test]
    fn what_is_no_secret_may_be_said() {
        for said in [
            "",
            "Cannot GET /ws",
            "the token is missing",
            "the Bearer has expired",
            "server.example has no websocket for http://page.example",
            "x",
            "no KEY",
        ] {
            assert!(!repeats(REQUEST, said), "{said}");
        }
        assert!(!repeats(b"GET / HTTP/1.1\r\n\r\n", "anything"));
        assert!(!repeats(b"", "anything"));
    }
}
