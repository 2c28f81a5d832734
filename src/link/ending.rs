//! [`Ending`]: why a connection is over, or will be: the one place that says so. Belongs to the
//! thread that reads. Time is an argument.
//!
//! What the peer does after our own `close()` is no error, whatever it is: the log has it.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::close::Close;
use crate::error::{Error, Phase};
use crate::protocol::handshake::echo::Secrets;
use crate::protocol::{Closing, End, Outcome};
use crate::role::Role;

/// The log target, part of the documented contract.
const LOG: &str = "websocket_app::connection";

pub(super) struct Ending {
    closing: Closing,
    close_timeout: Duration,
    peer: Box<str>,
    /// What the peer is not to be quoted with.
    secrets: Secrets,
    /// The peer did something wrong: nothing that it sends is looked at any more. It is told when
    /// the messages before that have been handed out.
    violated: bool,
    /// What it did, once callbacks hear of it.
    violation: Option<Box<Error>>,
    /// The poll has announced the end of the stream, or an error: then reading goes on until it is
    /// met.
    announced: bool,
    /// What the first write that failed failed with. What the peer sent before is read all the
    /// same, its Close above all; then this is why the connection is over, since the operating
    /// system tells each cause once.
    write_error: Option<io::Error>,
    ended_first: bool,
}

impl Ending {
    pub(super) fn new(role: Role, peer: &str, secrets: Secrets, close_timeout: Duration) -> Self {
        Ending {
            closing: Closing::new(role),
            close_timeout,
            peer: peer.into(),
            secrets,
            violated: false,
            violation: None,
            announced: false,
            write_error: None,
            ended_first: false,
        }
    }

    /// Returns whether our direction of the TCP connection is to be ended once our Close frame is
    /// written, and has not been.
    pub(super) fn may_end_first(&self) -> bool {
        !self.ended_first && self.closing.ends_first(true)
    }

    pub(super) fn on_ended_first(&mut self) {
        self.ended_first = true;
    }

    /// Returns whether anything that arrives is still wanted.
    pub(super) fn is_receiving(&self) -> bool {
        !self.violated && self.closing.is_receiving()
    }

    /// Returns whether the end has been announced, and is to be met by reading on.
    pub(super) fn is_announced(&self) -> bool {
        self.announced
    }

    /// The poll has announced the end of the stream or an error: a short read no longer means that
    /// there is nothing more.
    pub(super) fn on_announced(&mut self) {
        self.announced = true;
    }

    pub(super) fn on_write_error(&mut self, error: io::Error) {
        self.announced = true;
        self.write_error.get_or_insert(error);
    }

    pub(super) fn on_local_close(&mut self, now: Instant) {
        self.closing.on_local_close(now, self.close_timeout);
    }

    pub(super) fn on_peer_close(&mut self, code: u16, reason: String, now: Instant) {
        self.closing.on_peer_close(code, reason, now, self.close_timeout);
    }

    /// The peer did something wrong.
    pub(super) fn on_violation(&mut self) {
        self.violated = true;
    }

    /// We fail the connection, and have told the peer: for what it did wrong, or for what a
    /// callback did.
    pub(super) fn on_failed(&mut self, now: Instant) {
        self.closing.on_failure(now, self.close_timeout);
    }

    /// The peer did something wrong, and we have closed: there is nothing to tell it, or anybody.
    pub(super) fn on_violation_after_close(&mut self, end: Option<End>, now: Instant) {
        if let Some(violation) = end.and_then(End::into_error) {
            self.log_after_close(&violation);
        }
        self.on_local_close(now);
        self.on_failed(now);
    }

    /// Keeps what the peer did wrong, which callbacks hear of now.
    pub(super) fn note_violation(&mut self, violation: Error) {
        self.violation.get_or_insert_with(|| violation.into());
    }

    /// Returns whether we may still tell the peer that something is wrong.
    pub(super) fn can_fail(&self) -> bool {
        self.closing.is_receiving()
    }

    /// Returns what the peer did wrong, once callbacks hear of it.
    pub(super) fn violation(&self) -> Option<&Error> {
        self.violation.as_deref()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.closing.deadline()
    }

    /// Returns whether nobody is to be pinged or given up any more: whoever hands out what came
    /// before a violation will end it.
    pub(super) fn is_violated(&self) -> bool {
        self.violated
    }

    /// The deadline of the closing handshake has passed.
    pub(super) fn on_deadline(&self) {
        if self.closing.outcome() == Outcome::Unanswered {
            self.log_after_close(&format_args!("silence for {:?}", self.close_timeout));
        }
    }

    /// Returns whether a read that finds nothing has met the end: writing has failed, and all that
    /// had come has been read.
    pub(super) fn is_met_by_nothing(&self) -> bool {
        self.write_error.is_some()
    }

    /// The stream has ended, in order or not: returns what is wrong about that.
    pub(super) fn on_end(&mut self, error: Option<io::Error>) -> Option<Error> {
        let outcome = self.closing.outcome();
        // What the peer did wrong is what ended it; whoever hands out what came before will say so.
        if self.violated || outcome == Outcome::Over {
            return None;
        }
        let source = self.write_error.take().or(error).unwrap_or_else(|| {
            io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the peer ended the stream without a Close frame",
            )
        });
        if outcome == Outcome::Unanswered {
            self.log_after_close(&source);
            return None;
        }
        Some(Error::network(Phase::Open, &self.peer, source))
    }

    /// The peer's Close frame is there. A reason that repeats a credential is left out.
    pub(super) fn log_peer_close(&self, code: u16, reason: &str) {
        let peer = &self.peer;
        if self.secrets.are_in(reason) {
            log::debug!(target: LOG, "{peer}: received Close {code}, whose reason repeats a credential");
        } else {
            log::debug!(target: LOG, "{peer}: received Close {code} {reason:?}");
        }
    }

    fn log_after_close(&self, what: &dyn fmt::Display) {
        log::debug!(target: LOG, "{}: instead of an answer to Close: {what}", self.peer);
    }

    /// Returns what a peer is that was silent for so long.
    pub(super) fn silent(&self, after: Duration) -> Error {
        Error::Timeout { phase: Phase::Open, peer: self.peer.clone(), after }
    }

    /// Returns how it ended, for `on_close`. `told` is whether our Close frame was written.
    pub(super) fn close(&self, told: bool) -> Close {
        self.closing.close(told)
    }
}
