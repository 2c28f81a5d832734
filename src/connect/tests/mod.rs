//! `connect()` against scripted servers on the loopback interface.

/// Each phase times out by name and ends at once when cancelled.
mod phases;
/// Certificates, and what TLS does to the bytes.
#[cfg(feature = "__tls")]
mod tls;
/// What servers answer to the opening request.
mod upgrade;
