//! The contract, checked of a run whose course nobody knows beforehand: which call may follow
//! which, and with what.

use websocket_app::{Close, ClosedBy, Phase};

use crate::failure::Failure;
use crate::recorder::{Call, Recorder};

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// No connection; this attempt comes next or is under way.
    Attempt(u32),
    Open,
    /// `on_error` told why the connection is over.
    Failed,
    /// `on_error` told that there will be no other attempt.
    GivenUp,
    Over,
}

/// The calls of a run so far, each checked when it came.
pub(super) struct Course {
    at: At,
    has_been_open: bool,
    last_failure: Option<Failure>,
    /// For a message that tells how it came to this.
    calls: Vec<String>,
}

impl Course {
    pub(super) fn new() -> Self {
        Course { at: At::Attempt(1), has_been_open: false, last_failure: None, calls: Vec::new() }
    }

    /// Takes the next call. Returns the `Close` that is the last of the run.
    pub(super) fn next(&mut self, calls: &Recorder) -> Option<Close> {
        let call = calls.next();
        self.calls.push(format!("{call:?}").chars().take(150).collect());
        if let Call::Error(failure) = &call {
            self.last_failure = Some(failure.clone());
        }
        let next = match &call {
            Call::Error(failure) => self.after_error(failure),
            Call::Close(close) => self.after_close(close),
            other => self.after(other),
        };
        match next {
            Ok(at) => self.at = at,
            Err(problem) => panic!("{problem}, at {:?}, in\n{}", self.at, self.calls.join("\n")),
        }
        match call {
            Call::Close(close) if self.at == At::Over => Some(close),
            _ => None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Fails unless the result of the run is what its last calls say.
    pub(super) fn ended(self, close: Close, result: Result<Close, Failure>) {
        let expected = match (close.by, self.last_failure) {
            (ClosedBy::Lost, Some(failure)) => Err(failure),
            _ => Ok(close),
        };
        assert_eq!(result, expected, "after\n{}", self.calls.join("\n"));
    }

    fn after(&mut self, call: &Call) -> Result<At, &'static str> {
        match (self.at, call) {
            (At::Attempt(_), Call::Open) if self.has_been_open => Err("the first connection again"),
            (At::Attempt(_), Call::Reconnect) if !self.has_been_open => {
                Err("the first connection is none")
            }
            (At::Attempt(_), Call::Open | Call::Reconnect) => {
                self.has_been_open = true;
                Ok(At::Open)
            }
            (At::Open, Call::Message(_) | Call::Ping(_) | Call::Pong(_)) => Ok(At::Open),
            _ => Err("out of turn"),
        }
    }

    fn after_error(&self, failure: &Failure) -> Result<At, &'static str> {
        match (self.at, failure) {
            (At::Attempt(expected), Failure::Attempt(number, retry_in, _)) => match retry_in {
                _ if *number != expected => Err("another attempt was to fail"),
                Some(_) => Ok(At::Attempt(number + 1)),
                None => Ok(At::GivenUp),
            },
            (At::Open, Failure::Network(phase) | Failure::Timeout(phase, _)) => match phase {
                Phase::Open => Ok(At::Failed),
                _ => Err("a failed attempt of a connection that is open"),
            },
            _ => Err("an error out of turn"),
        }
    }

    fn after_close(&self, close: &Close) -> Result<At, &'static str> {
        if close.clean == (close.code == 1006) {
            return Err("clean is to have had a Close frame");
        }
        match (self.at, close.by, close.reconnect_in) {
            (At::Open, ClosedBy::Lost, _) => Err("lost without an error"),
            (At::Open, ClosedBy::Peer, _) if !close.clean => {
                Err("closed by the peer without its Close frame")
            }
            (At::Failed, ..) if close.clean => Err("failed and clean"),
            (At::Failed, ClosedBy::Peer, _) => Err("failed and closed by the peer"),
            (At::Open | At::Failed, _, Some(_)) if close.attempt > 0 => {
                Ok(At::Attempt(close.attempt))
            }
            // Between connections, only somebody who closes, or giving up, makes a last one.
            (At::Attempt(_), ClosedBy::Us, None) | (At::GivenUp, ClosedBy::Lost, None)
                if !close.clean =>
            {
                Ok(At::Over)
            }
            (At::Open | At::Failed, _, None) if close.attempt == 0 => Ok(At::Over),
            _ => Err("a close out of turn"),
        }
    }
}
