//! The opening handshake (RFC 6455 §4) without I/O: a URL and headers into a request, bytes into a
//! response, and whether that opens the WebSocket. [`Handshake`] is what was agreed on, for the
//! application to look at.
//!
//! Apart from the rest of the protocol because it is over before the first frame: whoever connects
//! drives it, on its own thread, and knows nothing of frames. It owns what has arrived so far, and
//! nothing else.

pub(crate) mod body;
pub(crate) mod credentials;
pub(crate) mod echo;
#[cfg(feature = "server")]
pub(crate) mod opening;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod shown;

use std::fmt;
use std::net::SocketAddr;

use crate::deflate::NegotiatedDeflate;
use crate::headers::Headers;

/// The server's answer to the opening request (RFC 6455 §4.2.2), and the two ends of the
/// connection.
///
/// Stays what it was when the connection opened. `Debug` shows neither the subprotocol, which some
/// make a token, nor the values of [`Headers`] that may be credentials.
///
/// ```no_run
/// use websocket_app::WebSocketApp;
///
/// WebSocketApp::new("wss://chat.example/")
///     .subprotocols(["v2.chat", "v1.chat"])
///     .on_open(|ws| {
///         let handshake = ws.handshake().expect("it is there from on_open on");
///         println!("the server speaks {}", handshake.subprotocol().unwrap_or("no subprotocol"));
///     })
///     .run_forever()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(all(test, websocket_model), derive(Default))]
pub struct Handshake {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) subprotocol: Option<String>,
    pub(crate) extensions: Option<String>,
    pub(crate) compression: Option<NegotiatedDeflate>,
    pub(crate) local_addr: Option<SocketAddr>,
    pub(crate) peer_addr: Option<SocketAddr>,
    pub(crate) url: Box<str>,
    pub(crate) tls: Option<Box<Negotiated>>,
}

/// What a TLS handshake came to, as far as the library tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Negotiated {
    /// As everybody writes it: `TLSv1.3`.
    pub(crate) version: Option<&'static str>,
    /// The cipher suite's name in the registry of the IANA.
    pub(crate) cipher: Option<String>,
    /// The peer's own certificate in DER.
    pub(crate) certificate: Option<Vec<u8>>,
}

impl Handshake {
    /// Makes one without addresses from the headers of a response, to test with what is done about
    /// it.
    #[must_use]
    pub fn new(headers: Headers) -> Self {
        let value = |name| headers.get(name).map(str::to_owned);
        Handshake {
            status: 101,
            subprotocol: value("sec-websocket-protocol"),
            extensions: value("sec-websocket-extensions"),
            compression: None,
            local_addr: None,
            peer_addr: None,
            url: "".into(),
            tls: None,
            headers,
        }
    }

    pub(crate) fn compression(&self) -> Option<NegotiatedDeflate> {
        self.compression
    }

    /// Returns the HTTP status code: 101, for only that opens a WebSocket.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns all headers of the response: `Set-Cookie`, `Server`, and what the application's
    /// server adds.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Returns the subprotocol the server chose from those offered, or `None` if it chose none (RFC
    /// 6455 §1.9).
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns the extensions in use with their parameters, as the server wrote them, or `None` if
    /// there are none (RFC 6455 §9.1).
    #[must_use]
    pub fn extensions(&self) -> Option<&str> {
        self.extensions.as_deref()
    }

    /// Returns the URL that was reached, behind all redirects, without user info and query, in
    /// which credentials travel.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the version of TLS, `TLSv1.2` or `TLSv1.3`; `None` without TLS and where the library
    /// does not tell: native-tls does not, rustls does.
    #[must_use]
    pub fn tls_version(&self) -> Option<&str> {
        self.tls.as_ref()?.version
    }

    /// Returns the name of the cipher suite, such as `TLS_AES_256_GCM_SHA384`; `None` without TLS
    /// and where the library does not tell: native-tls does not, rustls does.
    #[must_use]
    pub fn tls_cipher(&self) -> Option<&str> {
        self.tls.as_ref()?.cipher.as_deref()
    }

    /// Returns the server's own certificate in DER (RFC 5280 §4.1), or `None` without TLS.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.tls.as_ref()?.certificate.as_deref()
    }

    /// Returns this end's address, or `None` if it is not TCP, or the connection was gone before it
    /// could be asked for.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addr
    }

    /// Returns the server's address, or that of what stands before it, or `None` if it is not TCP,
    /// or the connection was gone before it could be asked for.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("subprotocol", &self.subprotocol.as_ref().map(|_| "…"))
            .field("extensions", &self.extensions)
            .field("url", &self.url)
            .field("tls_version", &self.tls_version())
            .field("tls_cipher", &self.tls_cipher())
            .field("local_addr", &self.local_addr)
            .field("peer_addr", &self.peer_addr)
            .finish_non_exhaustive()
    }
}
