//! How things ended, in a form that tests compare: [`Failure`] for an `Error`, [`Ending`] for a
//! `Close`.

use std::time::Duration;

use websocket_app::{
    Close, ClosedBy, Error, LimitError, Phase, ProtocolError, Rejection, SendError,
};

/// An `Error` without what differs from run to run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// What it is about, and what is wrong.
    Invalid(String, String),
    Network(Phase),
    Timeout(Phase, Duration),
    Tls(String),
    /// What the proxy replied, if it was a status or code.
    Proxy(Option<u16>),
    Rejected(Box<Rejection>),
    Upgrade(String),
    Protocol(ProtocolError),
    Limit(LimitError),
    /// Which, and with what.
    Callback(String, String),
    Panicked(String),
    Closed(Box<Close>),
    Send(SendError),
    /// Of an app that reconnects: the attempt's number, how long until the next, and why it failed.
    Attempt(u32, Option<Duration>, Box<Failure>),
    /// Anything else, as text.
    Other(String),
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error {
            Error::Invalid(input) => Failure::Invalid(input.what.clone(), input.problem.clone()),
            Error::Network { phase, .. } => Failure::Network(*phase),
            Error::Timeout { phase, after, .. } => Failure::Timeout(*phase, *after),
            Error::Tls { .. } => Failure::Tls(error.to_string()),
            Error::Proxy(refusal) => Failure::Proxy(refusal.reply),
            Error::Rejected(rejection) => Failure::Rejected(rejection.clone()),
            Error::Upgrade { .. } => Failure::Upgrade(error.to_string()),
            Error::Protocol(violation) => Failure::Protocol(*violation),
            Error::Limit(limit) => Failure::Limit(*limit),
            Error::Callback { callback, source } => {
                Failure::Callback((*callback).to_owned(), source.to_string())
            }
            Error::Panicked(message) => Failure::Panicked(message.to_string()),
            Error::Closed(close) => Failure::Closed(close.clone()),
            Error::Send(error) => Failure::Send(error.clone()),
            Error::Attempt { attempt, retry_in, source } => {
                Failure::Attempt(*attempt, *retry_in, Box::new(Failure::from(source.as_ref())))
            }
            other => Failure::Other(other.to_string()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::from(&error)
    }
}

/// A `Close` without what belongs to reconnecting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ending {
    pub(crate) by: ClosedBy,
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) clean: bool,
}

pub(crate) fn ending(close: &Close) -> Ending {
    Ending { by: close.by, code: close.code, reason: close.reason.clone(), clean: close.clean }
}

/// Both Close frames were seen; code and reason are the peer's.
pub(crate) fn clean(by: ClosedBy, code: u16, reason: &str) -> Ending {
    Ending { by, code, reason: reason.to_owned(), clean: true }
}

/// We closed and the peer did not answer, or there was no connection to close.
pub(crate) fn unanswered() -> Ending {
    Ending { by: ClosedBy::Us, code: 1006, reason: String::new(), clean: false }
}

/// The connection was lost, or never made.
pub(crate) fn lost() -> Ending {
    Ending { by: ClosedBy::Lost, code: 1006, reason: String::new(), clean: false }
}
