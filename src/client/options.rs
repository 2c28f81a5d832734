//! The options of a blocking connection: those of a [`WebSocketApp`](crate::WebSocketApp), whose
//! documentation says more of each.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::builder::WebSocketBuilder;
use crate::reconnect::Attempt;

/// What the connection is like.
impl WebSocketBuilder {
    /// Adds a header to the opening request, such as `Authorization`. Defaults to none. See
    /// [`WebSocketApp::header`](crate::WebSocketApp::header).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.headers.push((name.into(), value.into()));
        self
    }

    /// Offers subprotocols (`Sec-WebSocket-Protocol`, RFC 6455 §1.9), the preferred one first.
    /// Defaults to none. See [`WebSocketApp::subprotocols`](crate::WebSocketApp::subprotocols).
    pub fn subprotocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.config.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sends an `Origin` header, as a browser would (RFC 6455 §10.2). Defaults to none: only
    /// browsers must send one. See [`WebSocketApp::origin`](crate::WebSocketApp::origin).
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.config.origin = Some(origin.into());
        self
    }

    /// Sends a `Cookie` header. Defaults to none. See
    /// [`WebSocketApp::cookie`](crate::WebSocketApp::cookie).
    pub fn cookie(mut self, cookie: impl Into<String>) -> Self {
        self.config.cookie = Some(cookie.into());
        self
    }

    /// Keeps the cookies that the server sets with its answer to the upgrade, one that refuses it
    /// included, and sends them back with the requests of later connections, redirected ones
    /// included, to the hosts and paths that RFC 6265 says: a session that survives reconnecting.
    /// Defaults to `false`: a cookie may identify its user. See
    /// [`WebSocketApp::keep_cookies`](crate::WebSocketApp::keep_cookies).
    pub fn keep_cookies(mut self, keep: bool) -> Self {
        self.config.cookies = keep.then(crate::cookies::Cookies::default);
        self
    }

    /// Sends this in the `Host` header, for a server that goes by its name at another address than
    /// the URL's. Defaults to the URL's host, with its port unless that is the default one (RFC
    /// 6455 §4.1). See [`WebSocketApp::host`](crate::WebSocketApp::host).
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.config.host = Some(host.into());
        self
    }

    /// Says how `wss://` URLs are secured: extra roots, a client identity, a ready-made connector.
    /// Defaults to the operating system's trusted roots. See
    /// [`WebSocketApp::tls`](crate::WebSocketApp::tls).
    pub fn tls(mut self, tls: crate::TlsConfig) -> Self {
        self.config.tls = tls;
        self
    }

    /// Looks hosts up with a closure instead of the operating system's resolver: from its name and
    /// port to its addresses, the preferred one first. The [`Attempt`] is the first. Defaults to the
    /// operating system's. See [`WebSocketApp::resolver`](crate::WebSocketApp::resolver).
    pub fn resolver<A: IntoIterator<Item = SocketAddr>>(
        mut self,
        resolve: impl Fn(&str, u16, &Attempt) -> io::Result<A> + Send + Sync + 'static,
    ) -> Self {
        let resolve = move |host: &str, port, attempt: &Attempt| {
            resolve(host, port, attempt).map(|addresses| addresses.into_iter().collect())
        };
        self.config.route.resolver = Some(std::sync::Arc::new(resolve));
        self
    }

    /// Connects with a closure instead of looking up and TCP: from the URL's host and port to a
    /// connected [`Socket`](crate::Socket), or what becomes one: a `TcpStream`, a `UnixStream`, a
    /// [`Transport`](crate::Transport) of your own;
    /// [`Socket::from_stream`](crate::Socket::from_stream) makes one of any other stream. The
    /// [`Attempt`] is the first. Defaults to none. See
    /// [`WebSocketApp::connector`](crate::WebSocketApp::connector).
    pub fn connector<S: Into<crate::Socket>>(
        mut self,
        connect: impl Fn(&str, u16, &Attempt) -> io::Result<S> + Send + Sync + 'static,
    ) -> Self {
        let connect =
            move |host: &str, port, attempt: &Attempt| connect(host, port, attempt).map(Into::into);
        self.config.route.connector = Some(std::sync::Arc::new(connect));
        self
    }

    /// Uses a socket that is connected already: a `TcpStream`, a `UnixStream`, a
    /// [`Transport`](crate::Transport) of your own. Defaults to none. See
    /// [`WebSocketApp::socket`](crate::WebSocketApp::socket).
    pub fn socket(mut self, socket: impl Into<crate::Socket>) -> Self {
        self.config.route.socket = Some(crate::route::ReadyMade::new(socket.into()));
        self
    }

    /// Sets options of the TCP socket: keepalive, buffer sizes, the address or interface to connect
    /// from. Defaults to those of [`SocketOptions::new`](crate::SocketOptions::new). See
    /// [`WebSocketApp::socket_options`](crate::WebSocketApp::socket_options).
    pub fn socket_options(mut self, options: crate::SocketOptions) -> Self {
        self.config.route.options = options;
        self
    }

    /// Goes through this proxy, whatever the environment says. Defaults to what the environment
    /// says when the run begins: `ws_proxy` or else `http_proxy` for `ws://`, `wss_proxy` or else
    /// `https_proxy` for `wss://`, or else `all_proxy`; each in capitals where it is not set so
    /// (but `HTTP_PROXY` not where `REQUEST_METHOD` is set: to a CGI program it comes from the
    /// request). See [`WebSocketApp::proxy`](crate::WebSocketApp::proxy).
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.config.proxy = crate::config::ProxyChoice::Url(url.into());
        self
    }

    /// Goes through no proxy, whatever the environment says. Defaults to what the environment says:
    /// see [`proxy`](Self::proxy). See [`WebSocketApp::no_proxy`](crate::WebSocketApp::no_proxy).
    pub fn no_proxy(mut self) -> Self {
        self.config.proxy = crate::config::ProxyChoice::None;
        self
    }

    /// Says how TLS with an `https://` proxy is secured; [`tls`](Self::tls) is for the server
    /// alone. Defaults to the operating system's trusted roots. See
    /// [`WebSocketApp::proxy_tls`](crate::WebSocketApp::proxy_tls).
    pub fn proxy_tls(mut self, tls: crate::TlsConfig) -> Self {
        self.config.proxy_tls = tls;
        self
    }

    /// Follows up to so many redirects (HTTP statuses 301, 302, 303, 307 and 308) each time it
    /// connects, to `http://` and `https://` as to `ws://` and `wss://`, all within
    /// [`connect_timeout`](Self::connect_timeout). Defaults to 0: a redirect is
    /// [`Error::Rejected`](crate::Error::Rejected), and so is one that is not followed, with the
    /// reason. See [`WebSocketApp::max_redirects`](crate::WebSocketApp::max_redirects).
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.config.max_redirects = redirects;
        self
    }

    /// Limits looking up, TCP, proxy, TLS and upgrade together. Defaults to 10 s: a server that is
    /// up answers within one. See
    /// [`WebSocketApp::connect_timeout`](crate::WebSocketApp::connect_timeout).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// Limits the closing handshake, from `close()` to `on_close`, however dead the peer is.
    /// Defaults to 10 s. See [`WebSocketApp::close_timeout`](crate::WebSocketApp::close_timeout).
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.config.live.close_timeout = timeout;
        self
    }

    /// Limits how long a send waits for room in the queue. Defaults to 30 s. See
    /// [`WebSocketApp::send_timeout`](crate::WebSocketApp::send_timeout).
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.config.live.send_timeout = timeout;
        self
    }

    /// Pings the peer this often, so that a dead connection is noticed and middleboxes keep a quiet
    /// one (RFC 6455 §5.5.2). Defaults to 30 s, below the 60 s after which proxies commonly give
    /// up. See [`WebSocketApp::ping_interval`](crate::WebSocketApp::ping_interval).
    pub fn ping_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.config.live.ping_interval = interval.into();
        self
    }

    /// Gives the connection up this long after a ping, unless any byte at all came in since.
    /// Defaults to 10 s. See [`WebSocketApp::ping_timeout`](crate::WebSocketApp::ping_timeout).
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.config.live.ping_timeout = timeout;
        self
    }

    /// Takes the connection for lost when nothing of a message comes for this long, however well it
    /// answers pings: for servers that send something every so often. Defaults to `None`: off. See
    /// [`WebSocketApp::idle_timeout`](crate::WebSocketApp::idle_timeout).
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.live.idle_timeout = timeout.into();
        self
    }

    /// Offers compression of messages, permessage-deflate (RFC 7692). Defaults to none: it costs
    /// memory and time, and where secrets and what an attacker chooses are sent together, the
    /// compressed length tells about the secrets. See
    /// [`WebSocketApp::compression`](crate::WebSocketApp::compression).
    pub fn compression(mut self, deflate: crate::Deflate) -> Self {
        self.config.compression = Some(deflate);
        self
    }

    /// Limits a message's length in bytes, all fragments together. Defaults to 64 MiB. See
    /// [`WebSocketApp::max_message_size`](crate::WebSocketApp::max_message_size).
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.config.live.max_message_size = bytes;
        self
    }

    /// Limits the number of a message's fragments, against endless empty ones. Defaults to 131,072.
    /// See [`WebSocketApp::max_fragments`](crate::WebSocketApp::max_fragments).
    pub fn max_fragments(mut self, fragments: usize) -> Self {
        self.config.live.max_fragments = fragments;
        self
    }

    /// Limits the bytes that wait to be sent. Defaults to 16 MiB. See
    /// [`WebSocketApp::max_send_buffer`](crate::WebSocketApp::max_send_buffer).
    pub fn max_send_buffer(mut self, bytes: usize) -> Self {
        self.config.live.max_send_buffer = bytes;
        self
    }

    /// Spins for so long before each sleep, asking for news again and again: an answer within that
    /// time does not wait for the operating system to wake the thread up. Defaults to zero: it
    /// sleeps at once, but for up to 50 µs in the middle of a flood, where sleeping costs more than
    /// that. See [`WebSocketApp::busy_poll`](crate::WebSocketApp::busy_poll).
    pub fn busy_poll(mut self, spin: Duration) -> Self {
        self.config.live.busy_poll = spin;
        self
    }
}
