//! How a URL becomes a connection, with one deadline over all of it, and what of it a program may
//! do itself.
//!
//! A URL is `ws://`, `wss://`, or that of a Unix socket: `ws+unix:/path/to.sock:/uri` (`wss+unix:`
//! with TLS), where the server is asked for `localhost`. `user:password@` becomes Basic
//! authorization ([RFC 7617]). A fragment (`#…`) is an error ([RFC 6455 §3]).
//!
//! URL and options are checked before any socket is opened. Then come, with one deadline over all of
//! it ([`connect_timeout`](crate::WebSocketApp::connect_timeout)), and ended at once by `close()`:
//!
//! * **Looking up** is done by the operating system, or by
//!   [`resolver`](crate::WebSocketApp::resolver).
//! * **TCP.** A host with several addresses is tried at all of them, IPv6 and IPv4 in turns, each a
//!   quarter of a second after the one before, until one connects ([RFC 8305]). The error names those
//!   that were tried.
//! * **A proxy**, where one is named: [Proxies](super::_11_proxies).
//! * **TLS** for `wss://`: [TLS](super::_10_tls).
//! * **The upgrade** ([RFC 6455 §4.1]). Another status than 101 is [`Error::Rejected`], with the
//!   status, the headers and up to 64 KiB of the body. Redirects are followed where
//!   [`max_redirects`](crate::WebSocketApp::max_redirects) says so, from the beginning within the same
//!   deadline; never from `wss://` to `ws://`, and another origin gets no credentials.
//!
//! | to | there is |
//! |---|---|
//! | add headers, a cookie, an `Origin` | [`header`](crate::WebSocketApp::header), [`cookie`](crate::WebSocketApp::cookie), [`origin`](crate::WebSocketApp::origin) |
//! | compute them anew for each attempt | [`headers_with`](crate::WebSocketApp::headers_with), [`url_with`](crate::WebSocketApp::url_with), [`subprotocols_with`](crate::WebSocketApp::subprotocols_with) |
//! | look hosts up in a way of your own | [`resolver`](crate::WebSocketApp::resolver) |
//! | set keepalive, buffer sizes, the address or interface to connect from | [`socket_options`](crate::WebSocketApp::socket_options) |
//! | connect in a way of your own, over anything that can be waited for | [`connector`](crate::WebSocketApp::connector), with [`Socket::from_stream`] or a [`Transport`] |
//! | use a socket that is connected already | [`socket`](crate::WebSocketApp::socket) |
//! | ask for another host than the URL's | [`host`](crate::WebSocketApp::host) |
//! | send back the cookies that the server sets | [`keep_cookies`](crate::WebSocketApp::keep_cookies), feature `cookies` |
//! | learn what was agreed | [`Sender::handshake`]: URL, status, headers, subprotocol, extensions, addresses, TLS |
//!
//! # What limits it
//!
//! An attempt ends with [`connect_timeout`](crate::WebSocketApp::connect_timeout), in whatever phase
//! it is (10 s: a server that is up answers within one), and the error names the [`Phase`] that took
//! too long. `close()` ends it at once; for a blocking `connect` that is its [`Canceller`]'s to do.
//! A resolver or connector that hangs is left to itself, on a thread of its own. Where eight of an
//! app's hang so, its next attempt fails without asking, until one of them returns. The closures of
//! `url_with`, `headers_with` and `subprotocols_with` run before that time begins, and nothing here
//! limits them: give what they ask a limit.
//!
//! A process makes 64 attempts at a time, each on a thread of its own; the others wait for their
//! turn, first come, first served, and their time counts from then. [`EventLoop::max_connecting`]
//! gives a loop a number of its own.
//!
//! Unix sockets, connectors and sockets of your own have no proxy.
//!
//! ---
//!
//! Next: [Reconnecting, and what may be lost](super::_08_reconnecting). All pages: [the
//! manual](super).
//!
//! [RFC 6455 §3]: https://www.rfc-editor.org/rfc/rfc6455#section-3
//! [RFC 6455 §4.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//! [RFC 7617]: https://www.rfc-editor.org/rfc/rfc7617
//! [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305
//! [`Canceller`]: crate::Canceller
//! [`Error::Rejected`]: crate::Error::Rejected
//! [`EventLoop::max_connecting`]: crate::EventLoop::max_connecting
//! [`Phase`]: crate::Phase
//! [`Sender::handshake`]: crate::Sender::handshake
//! [`Socket::from_stream`]: crate::Socket::from_stream
//! [`Transport`]: crate::Transport
