//! [`Answer`]: what a server says to a request.

use std::fmt;

use crate::protocol::handshake::opening::{Refused, answer_head, is_header_name, is_header_value};

/// What [`on_request`](super::Server::on_request) returns: the client is accepted, refused, or gets
/// a page.
///
/// ```
/// use websocket_app::server::Answer;
///
/// let welcome = Answer::accept().subprotocol("v2.chat").header("Set-Cookie", "seen=1");
/// let refused = Answer::refuse(401).header("WWW-Authenticate", "Bearer").body("a token is missing\n");
/// let page = Answer::http(200, "text/html; charset=utf-8", "<h1>Hello</h1>");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use = "on_request has to return it"]
pub struct Answer {
    pub(super) accepts: bool,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) subprotocol: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Accepts the client: the connection opens, where the request is one for a WebSocket.
    pub fn accept() -> Self {
        Answer {
            accepts: true,
            status: 101,
            headers: Vec::new(),
            subprotocol: None,
            body: Vec::new(),
        }
    }

    /// Refuses the client with an HTTP status, from 200 to 599: 401, 403, 404, or a redirect with a
    /// `Location`.
    pub fn refuse(status: u16) -> Self {
        Answer { accepts: false, status, ..Answer::accept() }
    }

    /// Answers as an HTTP server does, and ends the connection: a page from which a browser then
    /// opens its WebSocket, or a health check.
    pub fn http(status: u16, content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Answer::refuse(status).header("Content-Type", content_type).body(body)
    }

    /// Adds a header. One that cannot be sent as it is, or is the server's own to set, makes the
    /// answer a 500, and the log says why.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Chooses a subprotocol. Defaults to the first that the client offers of those that
    /// [`Server::subprotocols`](super::Server::subprotocols) lists; one that it does not offer makes
    /// the answer a 500.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// Sets the body of what is not accepted. Defaults to none.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Returns what a client is told that is refused, in words.
    pub(super) fn refusal(Refused { status, why }: Refused) -> Self {
        let answer = Answer::http(status, "text/plain; charset=utf-8", why + "\n");
        match status {
            405 => answer.header("Allow", "GET"),
            503 => answer.header("Retry-After", "5"),
            _ => answer,
        }
    }

    /// Returns one that is not an upgrade, as it goes over the wire.
    pub(super) fn to_http(&self, is_head: bool) -> Vec<u8> {
        let length = self.body.len().to_string();
        let mut headers = vec![("Connection", "close")];
        // These have no body, and no word of one (RFC 7230 §3.3.2, §3.3.3).
        let has_none = matches!(self.status, 204 | 304);
        if !has_none {
            headers.push(("Content-Length", length.as_str()));
        }
        if self.status == 426 {
            headers.push(("Upgrade", "websocket"));
            headers.push(("Sec-WebSocket-Version", "13"));
        }
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut bytes = answer_head(self.status, headers.into_iter().chain(own)).into_bytes();
        if !has_none && !is_head {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }

    /// Returns what is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        /// What the server sets itself.
        const OURS: [&str; 8] = [
            "connection",
            "content-length",
            "sec-websocket-accept",
            "sec-websocket-extensions",
            "sec-websocket-protocol",
            "sec-websocket-version",
            "transfer-encoding",
            "upgrade",
        ];
        for (name, value) in &self.headers {
            if !is_header_name(name) || !is_header_value(value) {
                return Err(format!("`{}` is no header that can be sent", name.escape_debug()));
            }
            if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
                return Err(format!("the header {name} is the server's own to set"));
            }
        }
        if !self.accepts && !(200..600).contains(&self.status) {
            return Err(format!("the status {} is not from 200 to 599", self.status));
        }
        if self.accepts && !self.body.is_empty() {
            return Err("a client that is accepted gets no body".into());
        }
        Ok(())
    }
}

/// Shows no value of a header: it may be a cookie.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}
