//! [`Ending`]: what a conversation ends with, where several things happen before its end the one that matters most;
//! and what the exit status says of it.

use std::io::{self, ErrorKind};

use websocket_app::{Close, ClosedBy, Error};

use super::TalkArgs;
use super::files::Incoming;
use super::listener::Unsent;
use crate::failure::{Failure, shown_url};
use crate::status::Status;

/// What a conversation ends with.
#[derive(Debug)]
pub(crate) enum Ending {
    /// There is nothing more to wait for.
    Done,
    /// It was being closed, and --timeout was over before the peer had read everything, or had closed it too.
    CutOff,
    /// The connection ended before all was sent: with what.
    Unsent(String),
    /// There may still be answers to what was read before.
    InputFailed(Failure),
    /// There was as much as was asked for; nothing else is waited for.
    Enough,
    TimedOut,
    /// So, and there never was a connection.
    NotConnected,
    OutputFailed(io::Error),
    Failed(Failure),
    Interrupt,
}

impl Ending {
    /// Takes the place of another that matters less; of equals the first stays.
    pub(crate) fn note(self, of: &mut Option<Ending>) {
        if of.as_ref().is_none_or(|before| before.rank() < self.rank()) {
            *of = Some(self);
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Ending::Done => 0,
            Ending::CutOff => 1,
            Ending::Unsent(_) | Ending::InputFailed(_) => 2,
            Ending::Enough => 3,
            Ending::TimedOut
            | Ending::NotConnected
            | Ending::OutputFailed(_)
            | Ending::Failed(_) => 4,
            Ending::Interrupt => 5,
        }
    }
}

/// What has come, and gone, by the end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    /// Whether what was expected has come, where anything was.
    pub(crate) met: Option<bool>,
    pub(crate) unsent: Unsent,
}

/// Says how it ended: what the user did comes first, then what we could not do, then what was asked
/// for, then what the connection says.
///
/// `ended` is how a connection ended after which there was to be another; `last` is what had come at the end,
/// and `run` the end itself.
pub(crate) fn judge(
    args: &TalkArgs,
    url: &str,
    ending: Option<Ending>,
    ended: Option<Result<(), Failure>>,
    last: Option<Came>,
    run: Result<Close, Error>,
) -> Result<Status, Failure> {
    let unmet = last.is_some_and(|came| came.met == Some(false));
    let queued = last.map(|came| came.unsent).unwrap_or_default();
    let unsent = what_was_not_sent(ending.as_ref(), queued);
    let lost = |failure: Failure| match &unsent {
        Some(what) => failure.advice(what),
        None => failure,
    };
    let not_over = || {
        let what = format!("{}: not over within --timeout", shown_url(url));
        lost(Failure::new(Status::TimedOut, what))
    };
    match &ending {
        Some(Ending::Interrupt) => return Ok(Status::Interrupted),
        // Nobody reads it any more, as `head` does when it has seen enough.
        Some(Ending::OutputFailed(error)) if error.kind() == ErrorKind::BrokenPipe => {
            return Ok(Status::Done);
        }
        Some(Ending::OutputFailed(error)) => {
            return Err(Failure::io("standard output cannot be written", error));
        }
        Some(Ending::Failed(failure) | Ending::InputFailed(failure)) => {
            return Err(failure.clone());
        }
        Some(Ending::NotConnected) => {
            let what = format!("{}: not connected within --timeout", shown_url(url));
            return Err(Failure::new(Status::TimedOut, what));
        }
        // It is what is expected that is not there in time.
        Some(Ending::TimedOut) if !unmet || args.receive_file.is_some() => {
            return Err(not_over());
        }
        _ => {}
    }
    let close = match run {
        Ok(close) => close,
        Err(error) => return Err(lost(Failure::of(&error, url))),
    };
    if let (true, Some(file)) = (unmet, &args.receive_file) {
        return Err(lost(Incoming::missing(file).advice(format!("closed: {close}"))));
    }
    if unmet {
        let what =
            format!("{}: no message for --expect {}", shown_url(url), args.expect.join(", "));
        return Err(Failure::new(Status::NotAsExpected, format!("{what}; closed: {close}")));
    }
    if let Some(failure) = Failure::of_close(&close, url) {
        return Err(lost(failure));
    }
    if let (Some(Ending::Unsent(_)), Some(Err(failure))) = (&ending, ended) {
        return Err(lost(failure));
    }
    let Some(what) = &unsent else { return Ok(Status::Done) };
    let url = shown_url(url);
    let why = match (&ending, close.by) {
        (Some(Ending::CutOff), _) => return Err(not_over()),
        // It is the connection before that it belonged to.
        (Some(Ending::Unsent(_)), ClosedBy::Us) => format!("{url} has closed the connection"),
        (_, ClosedBy::Us) => {
            format!("{url} has not read that in time; --close-timeout SECONDS waits longer")
        }
        _ => format!("{url} has closed the connection: {close}"),
    };
    Err(Failure::new(Status::Other, what).advice(why))
}

/// Says what has not been sent, where anything has not.
fn what_was_not_sent(ending: Option<&Ending>, queued: Unsent) -> Option<String> {
    let Unsent { messages, bytes } = queued;
    let queued = match messages {
        0 => None,
        1 => Some(format!("a message of {bytes} bytes was queued and not sent")),
        _ => Some(format!("{messages} messages of {bytes} bytes were queued and not sent")),
    };
    match (ending, queued) {
        // It was not waited for.
        (Some(Ending::Enough), _) => None,
        (Some(Ending::Unsent(what)), None) => Some(format!("{what} was not sent")),
        (Some(Ending::Unsent(what)), Some(queued)) => {
            Some(format!("{what} was not sent; before it {queued}"))
        }
        (_, queued) => queued,
    }
}
