//! The trace of what goes over the wire, line by line: the log's target `websocket_app::wire`, at
//! level trace. It has no data; what a line says is made elsewhere, and has no credential in it.

use std::fmt;

use crate::panics;

const TARGET: &str = "websocket_app::wire";

/// Which way something goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Sent,
    Received,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Sent => "sent",
            Way::Received => "received",
        })
    }
}

/// Returns whether anybody wants to read it.
pub(crate) fn is_on() -> bool {
    log::log_enabled!(target: TARGET, log::Level::Trace)
}

/// Writes a line. Where a connection is written, a logger that panics must not leave it half
/// written.
pub(crate) fn line(peer: &str, way: Way, what: impl fmt::Display) {
    drop(panics::guarded(|| log::trace!(target: TARGET, "{peer}: {way} {what}")));
}

/// Writes the lines of a head, where anybody wants to read them.
pub(crate) fn head(peer: &str, way: Way, lines: impl FnOnce() -> Vec<String>) {
    if is_on() {
        lines().into_iter().for_each(|what| line(peer, way, what));
    }
}
