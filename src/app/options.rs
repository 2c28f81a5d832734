//! The options of a [`WebSocketApp`] that a blocking connection has too, each with its default and
//! the reason for it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::handler::Handler;
use super::websocket_app::WebSocketApp;
use crate::reconnect::Attempt;

/// What the connection is like.
impl<H: Handler> WebSocketApp<H> {
    /// Adds a header to the opening request, such as `Authorization`. May be called again, for the
    /// same name too.
    ///
    /// The headers of the handshake itself (`Upgrade`, `Connection`, `Sec-WebSocket-*`) cannot be
    /// set: use [`subprotocols`](Self::subprotocols) for `Sec-WebSocket-Protocol`. A wrong name or
    /// value is the error of the run. Defaults to none.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.headers.push((name.into(), value.into()));
        self
    }

    /// Offers subprotocols (`Sec-WebSocket-Protocol`, RFC 6455 §1.9), the preferred one first. The
    /// server picks one or none: [`Sender::handshake`](crate::Sender::handshake) tells. Defaults to
    /// none.
    pub fn subprotocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.config.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sends an `Origin` header, as a browser would (RFC 6455 §10.2). Defaults to none: only
    /// browsers must send one.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.config.origin = Some(origin.into());
        self
    }

    /// Sends a `Cookie` header: `"name=value; other=value"`. Defaults to none.
    pub fn cookie(mut self, cookie: impl Into<String>) -> Self {
        self.config.cookie = Some(cookie.into());
        self
    }

    /// Keeps the cookies that the server sets with its answer to the upgrade, one that refuses it
    /// included, and sends them back with the requests of later connections, redirected ones
    /// included, to the hosts and paths that RFC 6265 says: a session that survives reconnecting. A
    /// kept cookie replaces one of the same name that was given with [`cookie`](Self::cookie). They
    /// are kept in memory, as long as the app is.
    ///
    /// A cookie for a whole top-level domain (`Domain=com`) is not taken (§5.3, step 5). There is
    /// no list of public suffixes behind that: one for `co.uk` is taken, and goes to the other
    /// hosts there that this app connects to. A Unix socket's cookies go to that socket alone;
    /// those of the last eight are kept.
    ///
    /// Needs the feature `cookies`. Defaults to `false`: a cookie may identify its user.
    pub fn keep_cookies(mut self, keep: bool) -> Self {
        self.config.cookies = keep.then(crate::cookies::Cookies::default);
        self
    }

    /// Sends this in the `Host` header, for a server that goes by its name at another address than
    /// the URL's. TLS still checks the certificate against the URL's host:
    /// [`TlsConfig::server_name`](crate::TlsConfig::server_name) changes that. Defaults to the
    /// URL's host, with its port unless that is the default one (RFC 6455 §4.1).
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.config.host = Some(host.into());
        self
    }

    /// Says how `wss://` URLs are secured: extra roots, a client identity, a ready-made connector.
    /// Defaults to the operating system's trusted roots.
    pub fn tls(mut self, tls: crate::TlsConfig) -> Self {
        self.config.tls = tls;
        self
    }

    /// Looks hosts up with a closure instead of the operating system's resolver: from its name and
    /// port to its addresses, the preferred one first. It is also told of the [`Attempt`]: its
    /// number, and what went wrong before. They are tried as RFC 8305 has it, both
    /// families in turns. Called on a thread of its own for each attempt to connect, so it may
    /// block; when it takes too long it is left alone, and a later attempt may call it meanwhile;
    /// while eight calls hang, attempts fail at once. Not called for a URL with an IP address; with
    /// that of a Unix socket it is an error of the run, unless redirects may lead elsewhere.
    /// Defaults to the operating system's.
    ///
    /// ```no_run
    /// use std::net::SocketAddr;
    ///
    /// websocket_app::WebSocketApp::new("ws://device.example:8080/")
    ///     .resolver(|_host, port, _attempt| Ok([SocketAddr::from(([192, 0, 2, 7], port))]))
    ///     .run_forever()?;
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
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

    /// Connects with a closure instead of looking up and TCP: from the URL's host and port, and the
    /// [`Attempt`], to a connected [`Socket`](crate::Socket), or what becomes one: a `TcpStream`, a `UnixStream`, a
    /// [`Transport`](crate::Transport) of your own;
    /// [`Socket::from_stream`](crate::Socket::from_stream) makes one of any other stream. TLS, for
    /// `wss://`, and the upgrade go over it. An IPv6 address comes without brackets, as
    /// `TcpStream::connect((host, port))` takes it.
    ///
    /// Called on a thread of its own for each attempt to connect, so it may block; when it takes
    /// longer than [`connect_timeout`](Self::connect_timeout), or the app is closed, it is left
    /// alone and what it returns is dropped; while eight calls hang, attempts fail at once. What
    /// the environment says of proxies is not heeded. Defaults to none.
    ///
    /// ```no_run
    /// use std::net::TcpStream;
    ///
    /// websocket_app::WebSocketApp::new("ws://server.example/")
    ///     .connector(|host, port, attempt| {
    ///         println!("connecting to {host}:{port} by way of a gateway");
    ///         // If the first does not help, the second may.
    ///         let gateways = ["a.gateway.example:9000", "b.gateway.example:9000"];
    ///         TcpStream::connect(gateways[attempt.number as usize % 2])
    ///     })
    ///     .run_forever()?;
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
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
    /// [`Transport`](crate::Transport) of your own. The URL's host is then only what the server and
    /// its certificate are asked for. It serves one connection, so reconnecting and redirects need
    /// [`connector`](Self::connector) instead. Defaults to none.
    pub fn socket(mut self, socket: impl Into<crate::Socket>) -> Self {
        self.config.route.socket = Some(crate::route::ReadyMade::new(socket.into()));
        self
    }

    /// Sets options of the TCP socket: keepalive, buffer sizes, the address or interface to connect
    /// from. With the URL of a Unix socket they are an error of the run, unless redirects may lead
    /// elsewhere. Defaults to those of [`SocketOptions::new`](crate::SocketOptions::new).
    pub fn socket_options(mut self, options: crate::SocketOptions) -> Self {
        self.config.route.options = options;
        self
    }

    /// Goes through this proxy, whatever the environment says: `http://` (CONNECT, RFC 9110 §9.3.6,
    /// for `ws://` too), `https://` (the same, within TLS), `socks4://`, `socks4a://`, `socks5://`
    /// (RFC 1928) or `socks5h://`, with `user:password@` before the host where it wants them.
    ///
    /// `socks4a`, `socks5h` and the HTTP ones leave it to the proxy to look up the server's name;
    /// the other two look it up here, and ask for its addresses one after the other, IPv6 and IPv4
    /// in turns, each for half of the time left at most. Without a scheme it is `http://`; without
    /// a port 80, 443 for `https://`, 1080 for SOCKS. A URL that is wrong is the error of the run,
    /// a proxy's refusal [`Error::Proxy`](crate::Error::Proxy).
    ///
    /// Defaults to what the environment says when the run begins: `ws_proxy` or else `http_proxy`
    /// for `ws://`, `wss_proxy` or else `https_proxy` for `wss://`, or else `all_proxy`; each in
    /// capitals where it is not set so (but `HTTP_PROXY` not where `REQUEST_METHOD` is set: to a
    /// CGI program it comes from the request). None for hosts in `no_proxy`: names, which stand for
    /// all names below them too, addresses and networks (`10.0.0.0/8`), with `:port` if for one
    /// port only, separated by commas; `*` for all. See [`no_proxy`](Self::no_proxy), and [the
    /// manual](crate::manual::_11_proxies).
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.config.proxy = crate::config::ProxyChoice::Url(url.into());
        self
    }

    /// Goes through no proxy, whatever the environment says. Defaults to what the environment says:
    /// see [`proxy`](Self::proxy).
    pub fn no_proxy(mut self) -> Self {
        self.config.proxy = crate::config::ProxyChoice::None;
        self
    }

    /// Says how TLS with an `https://` proxy is secured; [`tls`](Self::tls) is for the server
    /// alone. Defaults to the operating system's trusted roots.
    pub fn proxy_tls(mut self, tls: crate::TlsConfig) -> Self {
        self.config.proxy_tls = tls;
        self
    }

    /// Follows up to so many redirects (HTTP statuses 301, 302, 303, 307 and 308) each time it
    /// connects, to `http://` and `https://` as to `ws://` and `wss://`, all within
    /// [`connect_timeout`](Self::connect_timeout). Never from `wss://` to `ws://`.
    ///
    /// Another origin (scheme, host or port) gets no credentials: not the URL's user info, not the
    /// cookie, no header that the program set but `User-Agent`, no client certificate. The
    /// subprotocols are offered to it: where a token is one of them, do not follow redirects.
    ///
    /// Nor do the `danger_` switches and the server name of [`tls`](Self::tls) count there. Its
    /// other options do: roots, the minimum version, and pins, so another origin's key has to be
    /// one of those that are pinned. With a ready-made connector or `ClientConfig`, which may hold
    /// any of it, a redirect to TLS at another origin is not followed.
    ///
    /// Defaults to 0: a redirect is [`Error::Rejected`](crate::Error::Rejected), and so is one that
    /// is not followed, with the reason.
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.config.max_redirects = redirects;
        self
    }

    /// Limits looking up, TCP, proxy, TLS and upgrade together. Defaults to 10 s: a server that is
    /// up answers within one.
    ///
    /// In a process that connects many apps, 64 attempts are made at a time and the others wait for
    /// their turn, or as many as
    /// [`EventLoop::max_connecting`](crate::EventLoop::max_connecting) says. This counts from when
    /// the turn comes. `close()` ends the waiting at once, too.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// Limits the closing handshake, from `close()` to `on_close`, however dead the peer is.
    /// Defaults to 10 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.config.live.close_timeout = timeout;
        self
    }

    /// Limits how long a send waits for room in the queue. In a callback of the app, or of another on
    /// its loop, a send never waits for the peer. Zero is never wait. Defaults to 30 s.
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.config.live.send_timeout = timeout;
        self
    }

    /// Pings the peer this often, so that a dead connection is noticed and middleboxes keep a quiet
    /// one (RFC 6455 §5.5.2). `None` turns it off. Defaults to 30 s, below the 60 s after which
    /// proxies commonly give up.
    pub fn ping_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.config.live.ping_interval = interval.into();
        self
    }

    /// Gives the connection up this long after a ping, unless any byte at all came in since.
    /// Defaults to 10 s.
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.config.live.ping_timeout = timeout;
        self
    }

    /// Takes the connection for lost when nothing of a message comes for this long, however well it
    /// answers pings: for servers that send something every so often. Defaults to `None`: off.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.live.idle_timeout = timeout.into();
        self
    }

    /// Offers compression of messages, permessage-deflate (RFC 7692). Needs the feature `deflate`,
    /// which is on by default. Defaults to none: it costs memory and time, and where secrets and
    /// what an attacker chooses are sent together, the compressed length tells about the secrets.
    pub fn compression(mut self, deflate: crate::Deflate) -> Self {
        self.config.compression = Some(deflate);
        self
    }

    /// Limits a message's length in bytes, all fragments together. A longer one ends the connection
    /// with close code
    /// 1009. Messages taken by `on_fragment` are not limited: nothing is assembled. Defaults to 64
    ///       MiB.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.config.live.max_message_size = bytes;
        self
    }

    /// Limits the number of a message's fragments, against endless empty ones. Defaults to 131,072.
    pub fn max_fragments(mut self, fragments: usize) -> Self {
        self.config.live.max_fragments = fragments;
        self
    }

    /// Limits the bytes that wait to be sent. A message that is longer still goes when nothing else
    /// waits. Defaults to 16 MiB.
    pub fn max_send_buffer(mut self, bytes: usize) -> Self {
        self.config.live.max_send_buffer = bytes;
        self
    }

    /// Spins for so long before each sleep, asking for news again and again: an answer within that
    /// time does not wait for the operating system to wake the thread up. Takes a whole processor
    /// for microseconds, so it is for those who have one to spare. On an `EventLoop` the longest
    /// time of its apps counts for all. Defaults to zero: it sleeps at once, but for up to 50 µs in
    /// the middle of a flood, where sleeping costs more than that.
    pub fn busy_poll(mut self, spin: Duration) -> Self {
        self.config.live.busy_poll = spin;
        self
    }
}
