//! What can go wrong, sorted by whose fault it is: the caller's input, the network, the server's
//! refusal, the peer's protocol violation, our own limits, the caller's callbacks. A leaf: no I/O,
//! no locks.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::close::Close;
use crate::headers::Headers;
use crate::message::OwnedMessage;
use crate::redact::{excerpt, shown_url};

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

/// What a proxy said instead of opening a way to the server: see [`Error::Proxy`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyRefusal {
    /// The proxy's URL, without credentials.
    pub proxy: String,
    /// The host and port that it was asked for.
    pub destination: String,
    /// The HTTP status, or the code of the SOCKS reply. `None` where there was no such: the answer
    /// was something else, or no way to authenticate suits both sides.
    pub reply: Option<u16>,
    /// What that means, and what to try.
    pub problem: String,
    /// Whether it may get better by itself.
    pub(crate) temporary: bool,
}

impl fmt::Display for ProxyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the proxy {} opened no way to {}: {}",
            self.proxy, self.destination, self.problem
        )
    }
}

/// The HTTP statuses among 4xx that get better by themselves: timeout, too early, too many
/// requests.
const TEMPORARY: [u16; 3] = [408, 425, 429];

/// Returns whether what an HTTP status says may get better by itself.
pub(crate) fn is_temporary(status: u16) -> bool {
    !(400..500).contains(&status) || TEMPORARY.contains(&status)
}

/// The server's refusal of the upgrade: see [`Error::Rejected`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The URL that was asked for, without credentials.
    pub url: String,
    /// The HTTP status code.
    pub status: u16,
    /// The response's headers.
    pub headers: Headers,
    /// The beginning of the response's body, 64 KiB of it at most.
    pub body: Vec<u8>,
    /// Why a redirect was not followed, where `max_redirects` asks for that.
    pub not_followed: Option<String>,
    /// What of it repeats the request, and so is not to be shown.
    pub(crate) repeats: Repeats,
}

/// Which parts of a refusal have something of the request in them that may be a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repeats {
    pub(crate) location: bool,
    pub(crate) body: bool,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused the upgrade with HTTP status {}", self.url, self.status)?;
        if let (300..400, Some(location)) = (self.status, self.headers.get("location")) {
            match self.repeats.location {
                true => f.write_str(", it redirects to what repeats the request")?,
                false => write!(f, ", it redirects to {}", shown_url(location))?,
            }
        }
        if let Some(why) = self.not_followed.as_ref().filter(|_| !self.repeats.location) {
            write!(f, ", which is not followed: {}", excerpt(why))?;
        } else if let Some(hint) = self.hint() {
            write!(f, " ({hint})")?;
        }
        match excerpt(&String::from_utf8_lossy(&self.body)).as_str() {
            "" => Ok(()),
            _ if self.repeats_the_request() => {
                f.write_str(": (its text repeats the request, and is not shown)")
            }
            text => write!(f, ": {text}"),
        }
    }
}

impl Rejection {
    /// Makes one without headers and body, to test with what is done about it. Its fields can be
    /// set.
    pub fn new(url: impl Into<String>, status: u16) -> Self {
        Rejection {
            url: url.into(),
            status,
            headers: Headers::default(),
            body: Vec::new(),
            not_followed: None,
            repeats: Repeats::default(),
        }
    }

    pub(crate) fn of(url: &str, status: u16, headers: Headers, body: Vec<u8>) -> Self {
        Rejection { headers, body, ..Rejection::new(url, status) }
    }

    /// Takes note of what repeats the request, if this says so of a text.
    pub(crate) fn note_repeats(&mut self, repeats: impl Fn(&str) -> bool) {
        // Whole: what is shown of it may be cut where the secret is not.
        let shown = |location: &str| location.split(['?', '#']).next().map(str::to_owned);
        let location = self.headers.get("location").and_then(shown);
        self.repeats = Repeats {
            location: location.is_some_and(|location| repeats(&location)),
            body: repeats(&String::from_utf8_lossy(&self.body)),
        };
    }

    /// Returns whether the body has headers of ours in it, as pages for debugging do: one of them
    /// may be a credential.
    fn repeats_the_request(&self) -> bool {
        if self.repeats.body {
            return true;
        }
        let body = String::from_utf8_lossy(&self.body).to_lowercase();
        ["authorization", "cookie", "sec-websocket-key"].iter().any(|name| body.contains(name))
    }

    /// Returns what to try, where a status has a usual cause.
    fn hint(&self) -> Option<&'static str> {
        Some(match self.status {
            200..=299 => "there is something else than a WebSocket: is the path right?",
            300..=399 => "max_redirects(…) follows it",
            401 | 403 => "does it want a login, in the URL or in a header, or another Origin?",
            404 | 410 => "is the path right?",
            502..=504 => "the server is down, or has too much to do",
            _ => return None,
        })
    }
}

/// Shows what `Display` does: the headers may hold cookies, and the body is the server's.
impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rejection({self})")
    }
}

/// How the peer broke RFC 6455: see [`Error::Protocol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set without an extension that defines it (§5.2).
    ReservedBits,
    /// An opcode that no one has defined (§5.2).
    ReservedOpcode(u8),
    /// A server must not mask its frames (§5.1).
    MaskedFrame,
    /// A client must mask its frames (§5.1).
    UnmaskedFrame,
    /// A payload length with its highest bit set, or in more bytes than it takes (§5.2).
    InvalidLength,
    /// A control frame in fragments (§5.5).
    FragmentedControlFrame,
    /// A control frame with a payload of more than 125 bytes (§5.5).
    OversizedControlFrame,
    /// A continuation frame with nothing to continue (§5.4).
    UnexpectedContinuation,
    /// A new message before the last fragment of the one before (§5.4).
    UnfinishedMessage,
    /// Text, or a close reason, that is not UTF-8 (§8.1).
    InvalidUtf8,
    /// A compressed message that cannot be inflated (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// A Close frame with a payload of one byte (§5.5.1).
    InvalidClosePayload,
    /// A close code that must not be sent (§7.4).
    InvalidCloseCode(u16),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolError::ReservedBits => {
                f.write_str("a reserved bit is set, without an extension that uses it")
            }
            ProtocolError::ReservedOpcode(opcode) => write!(f, "opcode {opcode:#x} is reserved"),
            ProtocolError::MaskedFrame => f.write_str("a frame from the server is masked"),
            ProtocolError::UnmaskedFrame => f.write_str("a frame from the client is not masked"),
            ProtocolError::InvalidLength => {
                f.write_str("a payload length is out of range, or in more bytes than it takes")
            }
            ProtocolError::FragmentedControlFrame => f.write_str("a control frame is fragmented"),
            ProtocolError::OversizedControlFrame => {
                f.write_str("a control frame has a payload of over 125 bytes")
            }
            ProtocolError::UnexpectedContinuation => {
                f.write_str("a continuation frame continues nothing")
            }
            ProtocolError::UnfinishedMessage => {
                f.write_str("a message begins before the last one has ended")
            }
            ProtocolError::InvalidUtf8 => f.write_str("text is not valid UTF-8"),
            ProtocolError::InvalidDeflate => f.write_str("a compressed message cannot be inflated"),
            ProtocolError::InvalidClosePayload => {
                f.write_str("a Close frame has half a close code")
            }
            ProtocolError::InvalidCloseCode(code) => {
                write!(f, "close code {code} must not be sent")
            }
        }
    }
}

impl StdError for ProtocolError {}

/// Which of our limits the peer exceeded: see [`Error::Limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitError {
    /// A message is longer than `max_message_size`.
    MessageSize {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A message comes in more fragments than `max_fragments`.
    Fragments {
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitError::MessageSize { limit } => write!(
                f,
                "a message is longer than max_message_size, {limit} bytes: raise it, or take messages in pieces with on_fragment or recv_reader"
            ),
            LimitError::Fragments { limit } => {
                write!(f, "a message has more than max_fragments, {limit}, fragments")
            }
        }
    }
}

impl StdError for LimitError {}

/// Why a message was not sent, or what a [`Sender`](crate::Sender) waited for did not come. An owned
/// message comes back with [`into_message`](Self::into_message).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no open connection: not yet, not any more, or it is closing.
    /// [`wait_open`](crate::Sender::wait_open) waits for one, and
    /// [`queue_while_disconnected`](crate::WebSocketApp::queue_while_disconnected) keeps messages for
    /// it.
    NotConnected {
        /// The message, where the caller gave it away.
        message: Option<OwnedMessage>,
    },
    /// The queue has no room, and waiting is not allowed: `try_send`, any send within a callback of
    /// the app or of another on its loop, or [`SendPolicy::Fail`](crate::SendPolicy::Fail). In a
    /// callback of a server's client, to that client: more was sent than may wait, for one message.
    QueueFull {
        /// The message, where the caller gave it away.
        message: Option<OwnedMessage>,
        /// The limit, `max_send_buffer`, in bytes.
        limit: usize,
    },
    /// There is no open connection, or its first callback has not returned, and what waits for that
    /// is as much as `queue_while_disconnected` allows.
    BacklogFull {
        /// The message, where the caller gave it away.
        message: Option<OwnedMessage>,
        /// The limit in bytes.
        limit: usize,
    },
    /// The queue had no room for as long as the caller would wait.
    Timeout {
        /// The message, where the caller gave it away.
        message: Option<OwnedMessage>,
        /// How long that was.
        after: Duration,
    },
    /// Another message is being written in fragments, between which no other may go (RFC 6455
    /// §5.4), and it was not finished for as long as the caller would wait: its
    /// [`MessageWriter`](crate::MessageWriter) is open, maybe on this very thread.
    Busy {
        /// The message, where the caller gave it away.
        message: Option<OwnedMessage>,
        /// How long that was: zero where it was not to wait.
        after: Duration,
    },
    /// A message that was written in fragments was not finished, so the connection fails: its
    /// [`MessageWriter`](crate::MessageWriter) was dropped before `finish`, or its text ended within
    /// a character.
    Unfinished {
        /// Which of them it was.
        problem: &'static str,
    },
    /// What was sent is queued, but the operating system did not take all of it in time: from
    /// [`flush`](crate::Sender::flush), and from a blocking connection's sends. It may still go
    /// out: sending it again may double it.
    Unwritten {
        /// How long that was: zero where it was not to wait, as a `flush` in a callback.
        after: Duration,
    },
    /// It waited for a connection for longer than `queue_while_disconnected` allows.
    Expired {
        /// The message.
        message: Option<OwnedMessage>,
        /// How long it waited.
        age: Duration,
    },
    /// What was waited for did not come in time: from [`wait_open`](crate::Sender::wait_open) and
    /// [`ping_wait`](crate::Sender::ping_wait).
    NotInTime {
        /// What that was.
        what: &'static str,
        /// How long it was waited for: zero where that was not to be, as in a callback.
        after: Duration,
    },
    /// The payload of a ping, pong or Close is not allowed.
    InvalidControl {
        /// What is wrong, and what would be right.
        problem: Box<str>,
    },
}

impl SendError {
    /// Returns the message, where it was given away.
    fn message(&self) -> Option<&OwnedMessage> {
        match self {
            SendError::NotConnected { message }
            | SendError::QueueFull { message, .. }
            | SendError::BacklogFull { message, .. }
            | SendError::Timeout { message, .. }
            | SendError::Busy { message, .. }
            | SendError::Expired { message, .. } => message.as_ref(),
            SendError::Unfinished { .. }
            | SendError::Unwritten { .. }
            | SendError::NotInTime { .. }
            | SendError::InvalidControl { .. } => None,
        }
    }

    /// Returns the message back, where it was given away as a `String`, `Vec<u8>`, `Bytes` or the
    /// like.
    #[must_use]
    pub fn into_message(self) -> Option<OwnedMessage> {
        match self {
            SendError::NotConnected { message }
            | SendError::QueueFull { message, .. }
            | SendError::BacklogFull { message, .. }
            | SendError::Timeout { message, .. }
            | SendError::Busy { message, .. }
            | SendError::Expired { message, .. } => message,
            SendError::Unfinished { .. }
            | SendError::Unwritten { .. }
            | SendError::NotInTime { .. }
            | SendError::InvalidControl { .. } => None,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::NotConnected { .. } => f.write_str(
                "not sent: there is no open connection, not yet (wait_open waits for it) or not any more",
            ),
            SendError::QueueFull { limit, .. } => {
                write!(
                    f,
                    "not sent: the send queue is full (max_send_buffer, {limit} bytes), the peer reads too slowly"
                )
            }
            SendError::BacklogFull { limit, .. } => {
                write!(
                    f,
                    "not sent: there is no open connection, and no room to wait for one (queue_while_disconnected, {limit} bytes)"
                )
            }
            SendError::Timeout { after, .. } => {
                write!(
                    f,
                    "not sent: the send queue had no room for {after:?}, the peer reads too slowly"
                )
            }
            SendError::Busy { after: Duration::ZERO, .. } => f.write_str(
                "not sent: another message is being written (message_writer), and this was not to wait for its end",
            ),
            SendError::Busy { after, .. } => write!(
                f,
                "not sent: another message is being written (message_writer) and was not finished for {after:?}, maybe by this very thread"
            ),
            SendError::Unfinished { problem } => {
                write!(f, "a message was begun and not finished: {problem}")
            }
            SendError::Unwritten { after: Duration::ZERO } => {
                f.write_str("queued, but not yet sent, and this was not to wait for the peer")
            }
            SendError::Unwritten { after } => {
                write!(
                    f,
                    "queued, but not yet sent: the peer took less in {after:?}; do not send it again"
                )
            }
            SendError::Expired { age, .. } => {
                write!(f, "not sent: there was no connection for {age:.1?}")
            }
            SendError::NotInTime { what, after: Duration::ZERO } => {
                write!(
                    f,
                    "{what} is not there, and this was not to wait for it: in a callback it cannot, on another thread it can"
                )
            }
            SendError::NotInTime { what, after } => {
                write!(f, "{what} did not come within {after:?}")
            }
            SendError::InvalidControl { problem } => write!(f, "not sent: {problem}"),
        }
    }
}

impl StdError for SendError {}

/// Shows of the message no more than its kind and length: errors are logged, and it may be a
/// secret, or megabytes.
impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outline = |message: &Option<OwnedMessage>| message.as_ref().map(OwnedMessage::outline);
        match self {
            SendError::NotConnected { message } => {
                f.debug_struct("NotConnected").field("message", &outline(message)).finish()
            }
            SendError::QueueFull { message, limit } => f
                .debug_struct("QueueFull")
                .field("message", &outline(message))
                .field("limit", limit)
                .finish(),
            SendError::BacklogFull { message, limit } => f
                .debug_struct("BacklogFull")
                .field("message", &outline(message))
                .field("limit", limit)
                .finish(),
            SendError::Timeout { message, after } => f
                .debug_struct("Timeout")
                .field("message", &outline(message))
                .field("after", after)
                .finish(),
            SendError::Busy { message, after } => f
                .debug_struct("Busy")
                .field("message", &outline(message))
                .field("after", after)
                .finish(),
            SendError::Unfinished { problem } => {
                f.debug_struct("Unfinished").field("problem", problem).finish()
            }
            SendError::Unwritten { after } => {
                f.debug_struct("Unwritten").field("after", after).finish()
            }
            SendError::Expired { message, age } => f
                .debug_struct("Expired")
                .field("message", &outline(message))
                .field("age", age)
                .finish(),
            SendError::NotInTime { what, after } => {
                f.debug_struct("NotInTime").field("what", what).field("after", after).finish()
            }
            SendError::InvalidControl { problem } => {
                f.debug_struct("InvalidControl").field("problem", problem).finish()
            }
        }
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

    #[test]
    fn debug_shows_nothing_of_a_message_but_its_kind_and_length() {
        let message = Some(OwnedMessage::Text("secret".into()));
        let full = SendError::QueueFull { message: message.clone(), limit: 7 };
        assert_eq!(format!("{full:?}"), "QueueFull { message: Some(Text(6 bytes)), limit: 7 }");
        let second = Duration::from_secs(1);
        for error in [
            SendError::NotConnected { message: message.clone() },
            SendError::BacklogFull { message: message.clone(), limit: 7 },
            SendError::Timeout { message: message.clone(), after: second },
            SendError::Busy { message: message.clone(), after: second },
            SendError::Expired { message: message.clone(), age: second },
        ] {
            let shown = format!("{error:?} {error:#?} {:?}", Error::Send(error.clone()));
            assert!(shown.contains("Text(6 bytes)") && !shown.contains("secret"), "{shown}");
        }
        assert_eq!(
            format!("{:?}", SendError::NotConnected { message: None }),
            "NotConnected { message: None }"
        );
    }

    #[test]
    fn a_rejections_location_is_looked_through_whole_though_it_is_shown_cut() {
        let token = "0123456789".repeat(30);
        for (location, hidden) in [
            (format!("https://login.example/ws/{token}"), true),
            (format!("https://login.example/?token={token}"), false),
        ] {
            let headers = Headers::from_iter([("Location", location)]);
            let mut rejection = Rejection::of("ws://host/", 302, headers, Vec::new());
            rejection.note_repeats(|text| text.contains(&token));
            let shown = rejection.to_string();
            assert!(!shown.contains("0123456789"), "{shown}");
            assert_eq!(shown.contains("login.example"), !hidden, "{shown}");
        }
    }

    #[test]
    fn a_rejection_shows_where_it_redirects_and_the_start_of_its_body() {
        let headers = Headers::from_iter([("Location", "/new")]);
        let rejection = Rejection::of("ws://host/", 302, headers, vec![b'x'; 1000]);
        let shown = rejection.to_string();
        assert!(shown.contains("302") && shown.contains("redirects to \"/new\""), "{shown}");
        assert!(shown.len() < 350, "{}", shown.len());
    }
}
