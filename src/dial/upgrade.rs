//! Turns a byte stream into a WebSocket: sends the opening request, reads the response head and
//! what came right behind it (RFC 6455 §4.1). Runs on the connecting thread; request, head and body
//! are made and judged in the pure modules beside.
//!
//! Key and accept key are tungstenite's. Its handshake machine is not used: it refuses heads in
//! many small pieces and `Connection: keep-alive, Upgrade`, and logs the request with its
//! credentials.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::target::Target;
use super::waiter::{Failure, Waiter};
use crate::error::{Error, Phase, Rejection};
use crate::protocol::handshake::body::Body;
use crate::protocol::handshake::echo::Secrets;
use crate::protocol::handshake::response::{Accepted, Arriving, ResponseHead};
use crate::protocol::handshake::shown;
use crate::transport::Stream;
use crate::wire_log::{self, Way};

/// How long the body of a refusal may take: the refusal is the news, and a server that keeps the
/// connection open must not delay it.
const BODY_TIME: Duration = Duration::from_secs(1);

/// What one read takes: a TLS record.
const CHUNK: usize = 16 << 10;

/// The server's consent.
pub(super) struct Upgraded {
    pub(super) head: ResponseHead,
    pub(super) accepted: Accepted,
    /// What the server sent right behind its head: the first frames.
    pub(super) leftover: Vec<u8>,
    /// What the server is not to be quoted with.
    pub(super) secrets: Secrets,
}

pub(super) fn upgrade(
    target: &Target,
    stream: &Stream,
    waiter: &mut Waiter<'_>,
) -> Result<Upgraded, Failure> {
    let key = generate_key();
    let request = target.request.to_bytes(&key);
    let secrets = Secrets::of(&request);
    wire_log::head(waiter.peer(), Way::Sent, || shown::request(&request));
    waiter.send(Phase::Upgrade, &request, stream)?;
    let (head, leftover) = read_head(stream, waiter)?;
    wire_log::head(waiter.peer(), Way::Received, || shown::response(&head, &secrets));
    target.request.keep_cookies(&head.headers);
    if head.status != 101 {
        let body = match &target.redirects {
            Some(redirects) if redirects.wants(head.status, &head.headers) => Vec::new(),
            _ => read_body(&head, &leftover, stream, waiter)?,
        };
        let ResponseHead { status, headers, .. } = head;
        let mut rejection = Rejection::of(target.url(), status, headers, body);
        rejection.note_repeats(|said| secrets.are_in(said));
        return Err(Error::Rejected(Box::new(rejection)).into());
    }
    let accepted = head
        .accept(&derive_accept_key(key.as_bytes()), target.request.offer())
        .map_err(|problem| refused(problem, waiter))?;
    Ok(Upgraded { head, accepted, leftover, secrets })
}

/// Reads up to the end of the final response's head, and gives what was read beyond.
fn read_head(stream: &Stream, waiter: &mut Waiter<'_>) -> Result<(ResponseHead, Vec<u8>), Failure> {
    let mut arriving = Arriving::default();
    loop {
        if let Some((head, rest)) =
            arriving.take_head().map_err(|problem| refused(problem, waiter))?
        {
            log::debug!(target: super::LOG, "{} answered with status {}", waiter.peer(), head.status);
            return Ok((head, rest));
        }
        read_more(&mut arriving, stream, waiter)?;
    }
}

fn read_more(
    arriving: &mut Arriving,
    stream: &Stream,
    waiter: &mut Waiter<'_>,
) -> Result<(), Failure> {
    let mut chunk = [0; CHUNK];
    let n = waiter.retry(Phase::Upgrade, || match stream.read(&mut chunk) {
        Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, hung_up(arriving))),
        // A server that cannot make sense of the request closes with part of it unread, which is a
        // reset.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {
            Err(io::Error::new(error.kind(), hung_up(arriving)))
        }
        other => other,
    })?;
    arriving.push(&chunk[..n]);
    Ok(())
}

fn hung_up(received: &Arriving) -> &'static str {
    match received.is_empty() {
        true => {
            "the server hung up without an answer (is this its WebSocket port, and ws:// or wss:// right?)"
        }
        false => "the server hung up in the middle of its response head",
    }
}

/// Reads what can be had quickly of a refusal's body. Only a cancellation is an error: the refusal
/// itself is known.
fn read_body(
    head: &ResponseHead,
    beginning: &[u8],
    stream: &Stream,
    waiter: &mut Waiter<'_>,
) -> Result<Vec<u8>, Failure> {
    let until = Instant::now() + BODY_TIME;
    let mut body = Body::new(head.status, &head.headers);
    body.push(beginning);
    let mut chunk = [0; CHUNK];
    while !body.is_complete() && Instant::now() < until && waiter.check(Phase::Upgrade).is_ok() {
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 => body.push(&chunk[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if waiter.wait(Phase::Upgrade, Some(until)).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    match waiter.check(Phase::Upgrade) {
        Err(Failure::Cancelled) => Err(Failure::Cancelled),
        _ => Ok(body.into_bytes()),
    }
}

fn refused(problem: String, waiter: &Waiter<'_>) -> Failure {
    Error::Upgrade { peer: waiter.peer().into(), problem: problem.into() }.into()
}
