//! [`Failure`]: why a command ends before its time, for people and, as a [`Status`], for scripts.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use websocket_app::{Close, ClosedBy, Error, LimitError, Phase, SendError, close_code};

use crate::escape;
use crate::status::Status;

/// What happened, to what, and what to do about it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    what: String,
    /// Each stands on a line of its own.
    advice: Vec<String>,
}

impl Failure {
    pub(crate) fn new(status: Status, what: impl Into<String>) -> Self {
        Failure { status, what: what.into(), advice: Vec::new() }
    }

    /// Something wrong with an option or an argument.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Failure::new(Status::Usage, what)
    }

    /// Something that could not be done to a file or a stream.
    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        Failure::new(Status::Other, format!("{what}: {error}"))
    }

    /// Adds a line to what it says.
    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice.push(advice.into());
        self
    }

    /// Adds what went wrong besides.
    pub(crate) fn and(mut self, other: Failure) -> Self {
        self.advice.push(other.what);
        self.advice.extend(other.advice);
        self
    }

    /// What ended the run of a connection to this URL, or kept it from beginning.
    pub(crate) fn of(error: &Error, url: &str) -> Self {
        let what = match error {
            Error::Attempt { source, .. } => return Failure::of(source, url),
            Error::Invalid(_) | Error::Rejected(_) => error.to_string(),
            _ => format!("{}: {error}", shown_url(url)),
        };
        let failure = Failure::new(status_of(error), what);
        match advice_for(error) {
            Some(advice) => failure.advice(advice),
            None => failure,
        }
    }

    /// What a message was not sent for.
    pub(crate) fn unsent(what: &str, error: &SendError) -> Self {
        Failure::new(Status::Other, format!("{what} was not sent: {error}"))
    }

    /// What is wrong with the end of a connection, if anything is: the peer may have closed it with a
    /// code that says so.
    pub(crate) fn of_close(close: &Close, url: &str) -> Option<Self> {
        match (close.by, close.code) {
            (ClosedBy::Us, _) | (_, close_code::NORMAL | close_code::NO_STATUS) => None,
            _ => Some(Failure::closed(close, url)),
        }
    }

    fn closed(close: &Close, url: &str) -> Self {
        Failure::new(Status::ClosedWithCode, format!("{}: {close}", shown_url(url)))
    }

    /// Writes it to standard error.
    pub(crate) fn print(&self) {
        // There is nobody else to tell.
        let _ = writeln!(io::stderr(), "wsapp: {self}");
    }
}

/// Shows nothing that changes a terminal: some of it is the server's.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape::lines(&self.what))?;
        self.advice.iter().try_for_each(|advice| write!(f, "\n  {}", escape::lines(advice)))
    }
}

fn status_of(error: &Error) -> Status {
    match error {
        Error::Attempt { source, .. } => status_of(source),
        Error::Invalid(_) => Status::Usage,
        Error::Network { phase: Phase::Tls, .. } | Error::Tls { .. } => Status::Tls,
        Error::Network { .. } | Error::Proxy(_) => Status::Network,
        Error::Timeout { .. } => Status::TimedOut,
        Error::Rejected(_) => Status::Refused,
        Error::Upgrade { .. } | Error::Protocol(_) | Error::Limit(_) => Status::Protocol,
        Error::Cancelled => Status::Interrupted,
        _ => Status::Other,
    }
}

/// What to do about it, in the options of this program.
fn advice_for(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::Network { phase: Phase::Resolve, .. } => {
            "is the host's name right, and is there a network? --proxy URL leaves looking it up to a proxy"
        }
        Error::Network { phase: Phase::Connect, source, .. } => match source.kind() {
            // The error itself asks.
            ErrorKind::ConnectionRefused => return None,
            ErrorKind::NotFound => "is the server running, and is this the path of its socket?",
            _ => "is the address right, and does a firewall let us through?",
        },
        Error::Network { phase: Phase::Proxy, .. } | Error::Proxy(_) => {
            "is the proxy right? --proxy URL names another, --no-proxy goes without"
        }
        Error::Network { phase: Phase::Tls, .. } => {
            "does it speak TLS on this port? ws:// is without"
        }
        Error::Network { phase: Phase::Upgrade, .. } => {
            "is this its WebSocket port, and ws:// or wss:// right?"
        }
        Error::Network { phase: Phase::Open, .. } => "--reconnect connects again",
        Error::Tls { .. } => {
            "--ca FILE trusts a certificate that the system does not know, --server-name NAME expects another name, --insecure checks nothing"
        }
        Error::Rejected(rejection) => match rejection.status {
            300..=399 => "--location follows redirects",
            401 | 403 => {
                "--auth USER:PASSWORD, --header NAME:VALUE, --cookie or --origin may be what it wants"
            }
            _ => return None,
        },
        Error::Timeout { phase: Phase::Open, .. } => {
            "--ping-interval, --ping-timeout and --idle-timeout say when a silent server counts as gone"
        }
        Error::Timeout { .. } => "--connect-timeout SECONDS waits longer",
        Error::Limit(LimitError::MessageSize { .. }) => {
            "--max-message-size BYTES allows more, --receive-file FILE takes any size"
        }
        _ => return None,
    })
}

/// Shows a URL without what may be a credential in it: user info, query, fragment.
pub(crate) fn shown_url(url: &str) -> String {
    match with_authority(url) {
        Some((scheme, authority, rest)) => {
            let (_, address) = authority.rsplit_once('@').unwrap_or(("", authority));
            let end = rest.find(['?', '#']);
            let path = &rest[..end.unwrap_or(rest.len())];
            let query = if end.is_some() { "?…" } else { "" };
            escape::lines(&format!("{scheme}://{address}{path}{query}"))
        }
        None => shown_otherwise(url),
    }
}

/// Splits a URL where that is certain: what stands for its host and port is one.
fn with_authority(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    // Of an address in brackets what is behind them.
    let behind = address.rsplit_once(']').map_or(address, |(_, behind)| behind);
    let port = behind.split_once(':').map_or("", |(_, port)| port);
    (!address.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some((scheme, authority, rest))
}

/// Shows what may be a URL as carefully as can be.
fn shown_otherwise(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    // Which is the password, and which the query, where it has an `@` too?
    if url[end..].contains('@') {
        return url
            .split_once("://")
            .map_or(String::from("…"), |(scheme, _)| format!("{scheme}://…"));
    }
    let shown = &url[..end];
    let shown = match (shown.split_once("://"), shown.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        (None, Some((_, rest))) => rest.to_owned(),
        (_, None) => shown.to_owned(),
    };
    escape::lines(&if end < url.len() { shown + "?…" } else { shown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_credentials() {
        for (url, shown) in [
            ("ws://host:81/a", "ws://host:81/a"),
            ("wss://user:secret@host/a", "wss://host/a"),
            ("ws://host/a?token=secret", "ws://host/a?…"),
            ("ws://host/a#secret", "ws://host/a?…"),
            ("ws://user:sec?ret@host/", "ws://…"),
            ("user:secret@host", "host"),
            ("ws://user:sec/ret@host/", "ws://host/"),
            ("wss://host:9443/ws/btcusdt@trade", "wss://host:9443/ws/btcusdt@trade"),
            ("wss://user:secret@host/ws/a@trade", "wss://host/ws/a@trade"),
            ("wss://host/stream?streams=a@trade", "wss://host/stream?…"),
            ("ws://u:secret@[::1]:81/a@b?c", "ws://[::1]:81/a@b?…"),
        ] {
            assert_eq!(shown_url(url), shown, "{url}");
        }
    }
}
