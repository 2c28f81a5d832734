//! [`Status`]: the exit statuses, part of what is promised.

use std::process::ExitCode;

use crate::signals;

/// What the process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// All went well, and the connection was closed in order.
    Done = 0,
    /// What has no status of its own: a file that cannot be read, standard input that is not text.
    Other = 1,
    /// An option or the URL is wrong; clap's own is the same.
    Usage = 2,
    /// The name was not found, or TCP or the proxy failed, or the connection was lost.
    Network = 3,
    /// TLS was not agreed on.
    Tls = 4,
    /// The server refused the upgrade.
    Refused = 5,
    /// The peer broke the protocol, or a limit of ours.
    Protocol = 6,
    /// Something took too long.
    TimedOut = 7,
    /// The peer closed with another code than 1000.
    ClosedWithCode = 8,
    /// What `--expect` asks for did not come, or not what a recording says.
    NotAsExpected = 9,
    /// Ctrl-C, or another signal, as shells have it: 128 and the signal's number, which is known at the end.
    Interrupted = 130,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        ExitCode::from(match status {
            Status::Interrupted => signals::exit_status(),
            status => status as u8,
        })
    }
}
