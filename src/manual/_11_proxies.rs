//! Which proxy a connection goes through, what it gets to know, and what its refusals mean.
//!
//! A connection goes through the proxy that [`proxy`](crate::WebSocketApp::proxy) names, or else
//! through the one that [the environment](#from-the-environment) names when the run begins;
//! [`no_proxy`](crate::WebSocketApp::no_proxy) ignores the environment.
//!
//! | URL of the proxy | how | who looks the server up | port without one |
//! |---|---|---|---|
//! | `http://` or none | CONNECT ([RFC 9110 §9.3.6]), for `ws://` too | the proxy | 80 |
//! | `https://` | the same within TLS, secured by [`proxy_tls`](crate::WebSocketApp::proxy_tls) | the proxy | 443 |
//! | `socks4://` | an IPv4 address | we | 1080 |
//! | `socks4a://` | a name | the proxy | 1080 |
//! | `socks5://` ([RFC 1928]) | addresses, IPv6 and IPv4 in turns | we | 1080 |
//! | `socks5h://` | a name | the proxy | 1080 |
//!
//! `user:password@` before the host is what the proxy gets: Basic with HTTP, user and password with
//! SOCKS 5 ([RFC 1929]).
//!
//! ```no_run
//! use websocket_app::{Error, WebSocket};
//!
//! # fn main() -> Result<(), Error> {
//! match WebSocket::builder("wss://echo.example/").proxy("http://me:secret@proxy.example:3128").connect() {
//!     Ok(mut ws) => println!("{}", ws.recv()?),
//!     Err(Error::Proxy(refusal)) => eprintln!("{}: {:?}", refusal.problem, refusal.reply),
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # From the environment
//!
//! | URL | the first of these that is set |
//! |---|---|
//! | `ws://` | `ws_proxy`, `http_proxy`, `all_proxy` |
//! | `wss://` | `wss_proxy`, `https_proxy`, `all_proxy` |
//!
//! Each counts in capitals where it is not set in small letters, but `HTTP_PROXY` not where
//! `REQUEST_METHOD` is set: to a CGI program it comes from the request. None for hosts in
//! `no_proxy`: names, which stand for all names below them too, addresses and networks
//! (`10.0.0.0/8`), with `:port` if for one port only, separated by commas; `*` for all.
//!
//! These are curl's rules, but for the port of an HTTP proxy that is named without one (80 here,
//! 1080 with curl), for `HTTP_PROXY`, which curl never looks at, and for `:port` in `no_proxy`.
//!
//! Unix sockets, connectors and sockets of your own have no proxy.
//!
//! # What it gets to know
//!
//! With `wss://`, TLS goes through the proxy to the server: it sees the server's name and port, and
//! how much goes back and forth. With `ws://` it sees everything. The log has its address and never
//! the password.
//!
//! # What it answers
//!
//! A refusal is [`Error::Proxy`]: the HTTP status or SOCKS reply, what that means, and what to try.
//! It wants a password (407), or does not allow the server: not tried again by itself. It cannot
//! reach the server: tried again. What the network does on the way is [`Error::Network`] or
//! [`Error::Timeout`] with [`Phase::Proxy`]. The proxy's time is part of
//! [`connect_timeout`](crate::WebSocketApp::connect_timeout).
//!
//! What is not there: PAC files, NTLM and Kerberos. A [`connector`](crate::WebSocketApp::connector)
//! may speak to such a proxy and return the socket; TLS and the upgrade go over it.
//!
//! ---
//!
//! Next: [Memory](super::_12_memory). All pages: [the manual](super).
//!
//! [RFC 1928]: https://www.rfc-editor.org/rfc/rfc1928
//! [RFC 1929]: https://www.rfc-editor.org/rfc/rfc1929
//! [RFC 9110 §9.3.6]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
//! [`Error::Network`]: crate::Error::Network
//! [`Error::Proxy`]: crate::Error::Proxy
//! [`Error::Timeout`]: crate::Error::Timeout
//! [`Phase::Proxy`]: crate::Phase::Proxy
