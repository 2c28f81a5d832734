//! [`Request`]: what a client asked for.

use std::fmt;
use std::net::SocketAddr;

use url::form_urlencoded;

use crate::headers::Headers;
use crate::protocol::handshake::Negotiated;
use crate::protocol::handshake::opening::{RequestHead, trimmed};

/// The opening request of a client (RFC 6455 §4.1), and where it came from: what
/// [`on_request`](super::Server::on_request) decides on, and [`Client::request`](super::Client::request)
/// returns.
///
/// `Debug` shows neither the query nor the values of headers that may be credentials.
#[derive(Clone)]
pub struct Request {
    pub(super) head: RequestHead,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) local_addr: Option<SocketAddr>,
    pub(super) tls: Option<Box<Negotiated>>,
    /// The one that was chosen, once one is.
    pub(super) subprotocol: Option<Box<str>>,
}

impl Request {
    /// Makes one, to test with what is done about it: a request for a WebSocket at this path and
    /// query, with these headers.
    ///
    /// ```
    /// use websocket_app::server::Request;
    ///
    /// let request = Request::new("/chat?room=7", [("Cookie", "id=5; theme=dark")]);
    /// assert_eq!((request.path(), request.query()), ("/chat", Some("room=7")));
    /// assert_eq!(request.query_value("room").as_deref(), Some("7"));
    /// assert_eq!(request.cookie("theme"), Some("dark"));
    /// ```
    pub fn new<N: Into<String>, V: Into<String>>(
        target: &str,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let upgrade = [("Upgrade".to_owned(), "websocket".to_owned())];
        let headers = headers.into_iter().map(|(name, value)| (name.into(), value.into()));
        Request {
            head: RequestHead::new("GET", target, upgrade.into_iter().chain(headers).collect()),
            peer_addr: None,
            local_addr: None,
            tls: None,
            subprotocol: None,
        }
    }

    /// Returns the method: `GET` where it asks for a WebSocket.
    pub fn method(&self) -> &str {
        self.head.method()
    }

    /// Returns the path, percent-encoded as it came: `/chat`.
    pub fn path(&self) -> &str {
        // Callbacks ask for it with each message, and most are short.
        let target = self.head.target();
        let end = target.bytes().position(|byte| byte == b'?');
        &target[..end.unwrap_or(target.len())]
    }

    /// Returns what stands behind the path's question mark, percent-encoded as it came.
    pub fn query(&self) -> Option<&str> {
        self.head.target().split_once('?').map(|(_, query)| query)
    }

    /// Returns the first value of this name in the query, decoded.
    pub fn query_value(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query()?.as_bytes());
        pairs.find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
    }

    /// Returns all headers.
    pub fn headers(&self) -> &Headers {
        &self.head.headers
    }

    /// Returns the value of a cookie (RFC 6265 §4.2).
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.headers().get_all("Cookie").flat_map(|line| line.split(';'));
        pairs
            .filter_map(|pair| trimmed(pair).split_once('='))
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value)
    }

    /// Returns whether it asks for a WebSocket. One that does not can be
    /// [answered](super::Answer::http) all the same.
    pub fn is_upgrade(&self) -> bool {
        self.head.is_upgrade()
    }

    /// Returns the subprotocols that the client offers, those that it likes best first (RFC 6455
    /// §1.9).
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.head.tokens("Sec-WebSocket-Protocol")
    }

    /// Returns the subprotocol that was chosen: `None` in `on_request`, which is before that, and where
    /// there is none.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns the client's address, or that of what stands before it; `None` where it is not TCP.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// Returns the address that the client reached; `None` where it is not TCP.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addr
    }

    /// Returns whether it came over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Returns the client's own certificate in DER, where it has shown one.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.tls.as_ref()?.certificate.as_deref()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("path", &self.path())
            .field("headers", self.headers())
            .field("peer_addr", &self.peer_addr)
            .finish_non_exhaustive()
    }
}
