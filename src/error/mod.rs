//! What can go wrong, sorted by whose fault it is: the caller's input, the network, the server's
//! refusal, the peer's protocol violation, our own limits, the caller's callbacks. A leaf: no I/O,
//! no locks.

mod refusal;
mod send;
mod violation;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::refusal::is_temporary;
pub use self::refusal::{ProxyRefusal, Rejection};
pub use self::send::SendError;
pub use self::violation::{LimitError, ProtocolError};
use crate::close::Close;

/// The error type of the crate.
///
/// The variants say whose fault it is, so that a program can decide whether to try again:
/// [`Invalid`](Self::Invalid) never gets better by itself, [`Network`](Self::Network) and
/// [`Timeout`](Self::Timeout) often do. The text names the URL or option, the phase, and what to
/// do. [`source`](StdError::source) is set where there is an underlying error. Which come where is
/// [in the manual](crate::manual::_14_errors).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A URL, option, header or certificate that cannot be used. Found before any socket is opened.
    Invalid(Box<InvalidInput>),
    /// The network failed: a name that does not resolve, a refused or reset connection, an end of
    /// stream without a Close frame.
    Network {
        /// What the connection was doing.
        phase: Phase,
        /// The host and port, or the address.
        peer: Box<str>,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// Something took longer than its limit.
    Timeout {
        /// What took too long.
        phase: Phase,
        /// The host and port, or the address; where a TCP connection was waited for, with the
        /// addresses that did not answer.
        peer: Box<str>,
        /// The limit that was exceeded.
        after: Duration,
    },
    /// TLS could not be agreed: most often a certificate that is not trusted, expired, or for
    /// another name.
    Tls {
        /// The host and port.
        peer: Box<str>,
        /// What the TLS library said.
        source: Arc<dyn StdError + Send + Sync>,
        /// Whether it may go well the next time, as far as the TLS library tells: false where a
        /// certificate, a name or a version is what is wrong.
        temporary: bool,
    },
    /// The proxy opened no way to the server: it wants a password, does not allow the server,
    /// cannot reach it, or is no proxy.
    Proxy(Box<ProxyRefusal>),
    /// The server answered the upgrade with another status than 101: 403, 404, a redirect.
    Rejected(Box<Rejection>),
    /// The server's answer to the upgrade is not one that RFC 6455 §4.1 allows, or not HTTP at all.
    Upgrade {
        /// The host and port.
        peer: Box<str>,
        /// What is wrong with it.
        problem: Box<str>,
    },
    /// The peer broke the protocol. It was told so with a Close frame.
    Protocol(ProtocolError),
    /// The peer exceeded one of our limits. It was told so with a Close frame.
    Limit(LimitError),
    /// An attempt to connect failed, in an app that reconnects.
    Attempt {
        /// The number of the attempt, counted from 1 since the last lasting connection.
        attempt: u32,
        /// How long until the next one; `None` when the app gives up.
        retry_in: Option<Duration>,
        /// Why it failed.
        source: Arc<Error>,
    },
    /// A callback returned an error. The connection goes on, unless it was `on_error` or `on_close`,
    /// whose error ends the run.
    Callback {
        /// Which: `on_message`, `every`, `url_with`; `on_reconnect` also where `on_open` is called in
        /// its stead.
        callback: &'static str,
        /// What it returned.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// A callback panicked with this message, or what else of the program's is called on the event
    /// loop, such as its logger. The run is over.
    Panicked(Box<str>),
    /// The connection was closed while, or before, something was asked of it.
    Closed(Box<Close>),
    /// The program ended a blocking `connect` with its [`Canceller`](crate::Canceller).
    Cancelled,
    /// A message could not be sent.
    Send(SendError),
    /// A callback would wait for its own end: it joined its own app, or the event loop that its app
    /// runs on, or closed all apps of that.
    Deadlock {
        /// What it waited for.
        what: &'static str,
    },
    /// The operating system did not give what running needs: a thread, or something to wait on
    /// sockets with.
    System {
        /// What was asked for.
        what: &'static str,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
}

impl Error {
    /// Makes the error of a callback that has this name.
    pub(crate) fn of_callback(
        callback: &'static str,
    ) -> impl Fn(Box<dyn StdError + Send + Sync>) -> Self {
        move |error| Error::Callback { callback, source: error.into() }
    }

    pub(crate) fn invalid(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Error::Invalid(Box::new(InvalidInput { what: what.into(), problem: problem.into() }))
    }

    pub(crate) fn network(phase: Phase, peer: &str, source: io::Error) -> Self {
        Error::Network { phase, peer: peer.into(), source: source.into() }
    }

    pub(crate) fn system(what: &'static str, source: io::Error) -> Self {
        Error::System { what, source: source.into() }
    }
}

impl Error {
    /// Returns about how many bytes it holds: what a server said counts, of which there may be
    /// much.
    pub(crate) fn heap_size(&self) -> usize {
        match self {
            Error::Rejected(rejection) => {
                let Rejection { url, headers, body, .. } = rejection.as_ref();
                let fields = headers.iter().map(|(name, value)| name.len() + value.len());
                size_of::<Rejection>() + url.len() + fields.sum::<usize>() + body.len()
            }
            Error::Attempt { source, .. } => size_of::<Error>() + source.heap_size(),
            Error::Upgrade { problem, .. } => problem.len(),
            Error::Proxy(refusal) => size_of::<ProxyRefusal>() + refusal.problem.len(),
            Error::Send(error) => error.message().map_or(0, |message| message.len()),
            _ => 0,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid(input) => input.fmt(f),
            Error::Network { phase: Phase::Open, peer, source } => {
                write!(f, "connection to {peer} lost: {source}")
            }
            Error::Network { phase, peer, source } => write!(f, "{phase} {peer}: {source}"),
            Error::Timeout { phase: Phase::Open, peer, after } => {
                write!(f, "connection to {peer} lost: nothing heard for {after:?}")
            }
            Error::Timeout { phase, peer, after } => {
                write!(
                    f,
                    "{phase} {peer}: not done within the connect_timeout of {after:?} ({})",
                    phase.when_slow()
                )
            }
            Error::Tls { peer, source, .. } => write!(f, "TLS handshake with {peer}: {source}"),
            Error::Proxy(refusal) => refusal.fmt(f),
            Error::Rejected(rejection) => rejection.fmt(f),
            Error::Upgrade { peer, problem } => write!(f, "WebSocket upgrade by {peer}: {problem}"),
            Error::Protocol(violation) => {
                write!(f, "the peer broke the WebSocket protocol: {violation}")
            }
            Error::Limit(limit) => limit.fmt(f),
            Error::Attempt { attempt, retry_in: Some(delay), source } => {
                write!(f, "attempt {attempt} failed, the next is in {delay:.1?}: {source}")
            }
            Error::Attempt { attempt, retry_in: None, source } => {
                write!(f, "attempt {attempt} failed, there will be no other: {source}")
            }
            Error::Callback { callback, source } => {
                write!(f, "{callback} returned an error: {source}")
            }
            Error::Panicked(message) => write!(f, "a callback panicked: {message}"),
            Error::Closed(close) => write!(f, "the connection is closed: {close}"),
            Error::Cancelled => f.write_str("connecting was cancelled"),
            Error::Send(error) => error.fmt(f),
            Error::Deadlock { what } => {
                write!(f, "a callback cannot wait for the end of {what}: do that on another thread")
            }
            Error::System { what, source } => {
                write!(f, "the operating system did not give {what}: {source}")
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Network { source, .. } | Error::System { source, .. } => Some(source.as_ref()),
            Error::Tls { source, .. } | Error::Callback { source, .. } => Some(source.as_ref()),
            Error::Attempt { source, .. } => Some(source.as_ref()),
            Error::Protocol(violation) => Some(violation),
            Error::Limit(limit) => Some(limit),
            Error::Send(error) => Some(error),
            _ => None,
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Error::Send(error)
    }
}

/// What was wrong with the caller's input: see [`Error::Invalid`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidInput {
    /// What it is about: the URL or the option, with its value. Never a credential.
    pub what: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl fmt::Display for InvalidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.problem)
    }
}

/// What a connection was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Looking up the host's addresses.
    Resolve,
    /// Connecting by TCP, a Unix socket, or the program's own connector.
    Connect,
    /// Asking a proxy for a way to the server.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The HTTP request that becomes a WebSocket.
    Upgrade,
    /// Open: messages go back and forth.
    Open,
}

impl Phase {
    /// Returns what to try where this phase of connecting takes too long.
    fn when_slow(self) -> &'static str {
        match self {
            Phase::Resolve => "is the network up, and does its name server answer?",
            Phase::Connect => "is the address right, and does a firewall let us through?",
            Phase::Proxy => "is the proxy overloaded, or the server out of its reach?",
            Phase::Tls => "does it speak TLS on this port?",
            Phase::Upgrade | Phase::Open => {
                "is this its WebSocket port, and ws:// or wss:// right?"
            }
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "looking up",
            Phase::Connect => "connecting to",
            Phase::Proxy => "asking",
            Phase::Tls => "TLS handshake with",
            Phase::Upgrade => "WebSocket upgrade by",
            Phase::Open => "connected to",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_small_and_cross_threads() {
        fn crosses_threads<T: Send + Sync + 'static>() {}
        crosses_threads::<Error>();
        crosses_threads::<SendError>();
        assert!(size_of::<Error>() <= 56, "{}", size_of::<Error>());
        assert!(size_of::<SendError>() <= 56, "{}", size_of::<SendError>());
    }
}
