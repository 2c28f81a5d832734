//! TLS with real counterparts: OpenSSL's own server, and nginx as a reverse proxy. Certificates of
//! every kind, versions, client certificates, pins, new keys in the middle, a proxy's timeouts and
//! refusals.

/// Certificates of every kind.
pub(crate) mod certificates;
/// nginx in front of a scripted peer.
mod nginx;
/// `openssl s_server`, which does of TLS whatever it is told.
mod openssl;
/// A real server as a child process.
mod program;
/// Why no connection comes about, as either server has it.
mod reasons;
/// A server that negotiates anew in the middle.
#[cfg(feature = "native-tls")]
mod renegotiation;
/// The operating system's roots: trusted unless others alone are to be.
#[cfg(all(unix, not(target_vendor = "apple")))]
mod system_roots;
