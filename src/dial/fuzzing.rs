//! The part of `crate::fuzzing` that needs the inside of connecting: the request that a program's
//! input becomes, and a server's answer that comes from memory instead of a socket.

use super::target::Target;
use crate::config::Config;
use crate::deflate::Deflate;
use crate::error::{Error, Rejection};
use crate::protocol::handshake::Handshake;
use crate::protocol::handshake::body::Body;
use crate::protocol::handshake::response::Arriving;
use crate::protocol::handshake::response::Offer;

/// URL and options as a program gives them.
#[derive(Clone, Debug, Default)]
pub struct Input {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub subprotocols: Vec<String>,
    pub origin: Option<String>,
    pub cookie: Option<String>,
    pub compression: Option<Deflate>,
}

/// What was accepted: how the server is shown, and what goes over the wire with `KEY` for its key.
#[derive(Debug)]
pub struct Accepted {
    pub peer: String,
    pub url: String,
    pub request: Vec<u8>,
}

impl Input {
    /// Checks everything that is checked before a socket is opened.
    pub fn check(&self) -> Result<Accepted, Error> {
        let config = Config {
            headers: self.headers.clone(),
            subprotocols: self.subprotocols.clone(),
            origin: self.origin.clone(),
            cookie: self.cookie.clone(),
            compression: self.compression.clone(),
            ..Config::default()
        };
        config.check()?;
        let target = Target::new(&self.url, &config)?;
        Ok(Accepted {
            peer: target.peer().into(),
            url: target.url().into(),
            request: target.request.to_bytes("KEY"),
        })
    }
}

/// The accept key that answers the key of RFC 6455 §1.3.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What came of the server's answer.
pub(crate) enum Answer {
    /// It has not come whole.
    Incomplete,
    Failed(Error),
    /// With what came in the same read as the head.
    Open(Handshake, Vec<u8>),
}

/// Reads an answer in reads of so many bytes as `size` says, and gives what was not read.
pub(crate) fn answer<'a>(
    wire: &'a [u8],
    compression: Option<&Deflate>,
    mut size: impl FnMut() -> usize,
) -> (Answer, &'a [u8]) {
    let offer =
        Offer { subprotocols: vec!["v2".into(), "v1".into()], deflate: compression.cloned() };
    let (mut arriving, mut rest) = (Arriving::default(), wire);
    let mut read = |rest: &mut &'a [u8]| {
        let (read, after) = rest.split_at(size().clamp(1, rest.len()));
        *rest = after;
        read
    };
    let refused = |problem: String| {
        Answer::Failed(Error::Upgrade { peer: "peer:1".into(), problem: problem.into() })
    };
    let (head, leftover) = loop {
        match arriving.take_head() {
            Ok(Some(whole)) => break whole,
            Ok(None) if rest.is_empty() => return (Answer::Incomplete, rest),
            Ok(None) => arriving.push(read(&mut rest)),
            Err(problem) => return (refused(problem), rest),
        }
    };
    if head.status != 101 {
        let mut body = Body::new(head.status, &head.headers);
        body.push(&leftover);
        while !body.is_complete() && !rest.is_empty() {
            body.push(read(&mut rest));
        }
        let rejection = Rejection::of("ws://peer:1/", head.status, head.headers, body.into_bytes());
        return (Answer::Failed(Error::Rejected(Box::new(rejection))), rest);
    }
    match head.accept(ACCEPT, &offer) {
        Ok(accepted) => {
            let handshake = Handshake {
                status: head.status,
                headers: head.headers,
                subprotocol: accepted.subprotocol,
                extensions: accepted.extensions,
                compression: accepted.compression,
                local_addr: None,
                peer_addr: None,
                url: "ws://peer:1/".into(),
                tls: None,
            };
            (Answer::Open(handshake, leftover), rest)
        }
        Err(problem) => (refused(problem), rest),
    }
}
