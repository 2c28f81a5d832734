//! Turns a URL and options into an open connection: a non-blocking [`Stream`] and the server's
//! [`Handshake`].
//!
//! Straight-line code with one deadline: reach (look up, TCP, proxy), TLS, upgrade, each in its own
//! file. It blocks, so it runs on a short-lived thread, or on the caller's thread for the blocking
//! client; never on an event loop. That thread owns everything in here but [`Cancel`], through
//! which any thread ends it at once, under a lock of its own.
//!
//! ```text
//! URL, Config → target, request, tls::Connector, proxy     checked before any socket
//!               reach: resolve → tcp (race) → proxy
//!                      unix, or the program's own → tls → upgrade → Connected
//!               └────────────── redirect: from the beginning, elsewhere ────┘
//!               └───────────── waiter: deadline, cancel ────────────────────┘
//! ```
//!
//! Apart from its neighbours because nothing here lives longer than the attempt: the [`Stream`]
//! that it hands over is of `transport`, and what bytes mean in the opening handshake is in
//! `protocol`.
//!
//! Logs to the target `websocket_app::connect` what is tried, at debug level: hosts, addresses and
//! paths. Never user info, queries, headers or bodies, in which credentials travel. What goes over
//! the wire is traced by [`wire_log`](crate::wire_log).

#[cfg(any(fuzzing, all(test, feature = "deflate")))]
#[allow(missing_docs)]
pub(crate) mod fuzzing;
mod hints;
mod offload;
mod proxy;
mod race;
mod reach;
mod redirect;
mod request;
mod resolve;
mod target;
mod tcp;
#[cfg_attr(not(feature = "__tls"), path = "tls/none.rs")]
mod tls;
#[cfg(unix)]
mod unix;
mod unix_url;
mod upgrade;
mod waiter;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use target::Target;
pub(crate) use waiter::{Cancel, Failure};

use crate::error::{Error, Phase};
use crate::protocol::handshake::Handshake;
use crate::protocol::handshake::echo::Secrets;
use crate::reconnect::Attempt;
use crate::transport::Stream;
use waiter::Waiter;

/// The log target, part of the documented contract.
const LOG: &str = "websocket_app::connect";

/// An open connection. Nobody waits on its stream yet: register it, take `leftover` for the first
/// bytes, and read before waiting for an event: none tells of what a TLS session has already taken
/// off the socket.
pub(crate) struct Connected {
    pub(crate) stream: Stream,
    /// What the server sent right behind its response: the first frames.
    pub(crate) leftover: Vec<u8>,
    pub(crate) handshake: Handshake,
    /// Names the server in messages: another one than the target's, if it sent us there.
    pub(crate) peer: Box<str>,
    /// What the server is not to be quoted with.
    pub(crate) secrets: Secrets,
}

/// Connects, within `timeout` for all phases together and all redirects. Blocks the calling thread
/// until then or until `cancel`.
pub(crate) fn connect(
    target: &Target,
    timeout: Duration,
    cancel: &Cancel,
    attempt: &Attempt,
) -> Result<Connected, Failure> {
    let mut waiter = Waiter::new(target.peer(), timeout, cancel)?;
    waiter.set_attempt(attempt);
    let mut redirected: Option<Target> = None;
    loop {
        let target = redirected.as_ref().unwrap_or(target);
        match open(target, &mut waiter) {
            Err(Failure::Error(Error::Rejected(rejection))) => {
                let next = redirect::follow(target.redirects.as_deref(), rejection)?;
                log::debug!(target: LOG, "{}: redirected to {}", target.peer(), next.url());
                waiter.set_peer(next.peer());
                redirected = Some(next);
            }
            outcome => return outcome,
        }
    }
}

fn open(target: &Target, waiter: &mut Waiter<'_>) -> Result<Connected, Failure> {
    log::debug!(target: LOG, "connecting to {}", target.url());
    let mut stream = reach::reach(target, waiter)?;
    log::debug!(target: LOG, "{}: connected", target.peer());
    let mut tls = None;
    if let Some(connector) = &target.tls {
        let (secured, negotiated) = connector.handshake(stream, waiter)?;
        (stream, tls) = (secured, Some(Box::new(negotiated)));
    }
    let upgraded = upgrade::upgrade(target, &stream, waiter)?;
    let (local_addr, peer_addr) = stream.addresses();
    stream
        .deregister(waiter.registry())
        .map_err(|source| Error::network(Phase::Upgrade, target.peer(), source))?;
    log::debug!(target: LOG, "{}: open", target.peer());
    let handshake = Handshake {
        status: upgraded.head.status,
        headers: upgraded.head.headers,
        subprotocol: upgraded.accepted.subprotocol,
        extensions: upgraded.accepted.extensions,
        compression: upgraded.accepted.compression,
        local_addr,
        peer_addr,
        url: target.url().into(),
        tls,
    };
    Ok(Connected {
        stream,
        leftover: upgraded.leftover,
        handshake,
        peer: target.peer().into(),
        secrets: upgraded.secrets,
    })
}
