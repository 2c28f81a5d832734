//! `connect()` against scripted servers on the loopback interface.

/// A server that says, within TLS, endlessly what means nothing.
#[cfg(all(unix, feature = "native-tls", feature = "rustls"))]
mod flood;
/// Each phase times out by name and ends at once when cancelled.
mod phases;
/// What proxies answer, and what goes through them.
mod proxy;
/// Where redirects lead, and what goes there.
mod redirects;
/// Certificates, and what TLS does to the bytes.
#[cfg(feature = "__tls")]
mod tls;
/// What servers answer to the opening request.
mod upgrade;
