//! The opening handshake, and a proxy's, as a trace shows them: without credentials. Pure.

use super::echo::{Secrets, is_harmless};
use super::response::ResponseHead;
use crate::headers;
use crate::redact::excerpt;

/// Shows a request, line by line: no query, and values only of headers that have another purpose
/// than to be secret.
pub(crate) fn request(head: &[u8]) -> Vec<String> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let first = match first.split_once('?') {
        Some((before, query)) => {
            let version = query.rsplit_once(' ').map_or("", |(_, version)| version);
            format!("{}?… {}", excerpt(before), excerpt(version))
        }
        None => excerpt(first),
    };
    let fields = lines.filter_map(|line| line.split_once(": "));
    let fields = fields.map(|(name, value)| field(name, value, is_harmless(name)));
    [first].into_iter().chain(fields).collect()
}

/// Shows a response, line by line: values only of headers that HTTP or RFC 6455 has for other things
/// than credentials, and none that repeats one.
pub(crate) fn response(head: &ResponseHead, secrets: &Secrets) -> Vec<String> {
    let first = format!("{} {}", head.version(), head.status);
    let fields = head.headers.iter().map(|(name, value)| {
        field(name, value, headers::is_harmless(name) && !secrets.are_in(value))
    });
    [first].into_iter().chain(fields).collect()
}

fn field(name: &str, value: &str, is_shown: bool) -> String {
    format!("{}: {}", excerpt(name), if is_shown { excerpt(value) } else { "…".into() })
}

#[cfg(test)]
mod tests {
    use super::super::response::Arriving;
    use super::*;

    #[test]
    fn a_request_is_shown_without_query_and_what_may_be_secret() {
        let head =
            b"GET /chat/room?token=a?b HTTP/1.1\r\nHost: server.example\r\nUpgrade: websocket\r\n\
            Authorization: Bearer abc\r\nX-Key: def\r\nSec-WebSocket-Version: 13\r\n\r\n";
        assert_eq!(
            request(head),
            [
                "GET /chat/room?… HTTP/1.1",
                "Host: server.example",
                "Upgrade: websocket",
                "Authorization: …",
                "X-Key: …",
                "Sec-WebSocket-Version: 13",
            ]
        );
        let head =
            b"CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\nProxy-Authorization: Basic x\r\n\r\n";
        assert_eq!(
            request(head),
            ["CONNECT host:443 HTTP/1.1", "Host: host:443", "Proxy-Authorization: …"]
        );
    }

    #[test]
    fn a_response_is_shown_without_what_may_be_secret() {
        let mut arriving = Arriving::default();
        arriving.push(
            b"HTTP/1.1 101 TOPSECRET\r\nServer: one\r\nSet-Cookie: id=1\r\nVia: 1.1 TOPSECRET\r\n\r\n",
        );
        let (head, _) = arriving.take_head().unwrap().expect("it is whole");
        let mut lines = response(&head, &Secrets::of(b"GET /?TOPSECRET HTTP/1.1\r\n\r\n"));
        lines[1..].sort();
        assert_eq!(lines, ["HTTP/1.1 101", "server: one", "set-cookie: …", "via: …"]);
    }
}
