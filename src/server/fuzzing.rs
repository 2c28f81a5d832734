//! The part of `crate::fuzzing` that needs the inside of the server: a client's request that comes
//! from memory instead of a socket, and what it is answered.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::ask::{Ask, Asked};
use super::callbacks::{Callbacks, Source};
use super::hub::{Hub, Options, Program};
use super::origin::Origins;
use super::{Answer, Request};
use crate::deflate::{Deflate, NegotiatedDeflate};
use crate::headers::Headers;
use crate::protocol::handshake::opening::{Arriving, Refused};

/// Which pages a server lets in, and where it listens.
#[derive(Clone, Copy, Debug)]
pub struct Doors {
    pub any_origin: bool,
    pub on_loopback: bool,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    Refused { status: u16, why: String, answer: Vec<u8> },
    Open { target: String, headers: Headers, subprotocol: Option<String>, answer: Vec<u8> },
}

/// What came of it, and what was agreed on; `None` is a head that is not whole.
type Outcome = Option<(Served, Option<NegotiatedDeflate>)>;

/// As much as a head may be.
const MAX_HEAD: usize = 16 << 10;

/// Reads a request in reads of so many bytes as `size` says. Gives what came of it, what came in the
/// same read as the head, and what was not read. Panics where more is kept than may be.
pub(crate) fn serve<'a>(
    wire: &'a [u8],
    doors: Doors,
    compression: Option<&Deflate>,
    mut size: impl FnMut() -> usize,
) -> (Outcome, Vec<u8>, &'a [u8]) {
    let (mut arriving, mut rest) = (Arriving::default(), wire);
    let refused = |refused: Refused, is_head| {
        let Refused { status, why } = refused.clone();
        let answer = Answer::refusal(refused).to_http(is_head);
        (Some((Served::Refused { status, why, answer }, None)), Vec::new())
    };
    let (head, leftover) = loop {
        match arriving.take_head() {
            Ok(Some(whole)) => break whole,
            Ok(None) => {
                let kept = wire.len() - rest.len();
                assert!(kept <= MAX_HEAD, "{kept} bytes are kept of a head that goes on");
            }
            Err(wrong) => {
                let (outcome, leftover) = refused(wrong, false);
                return (outcome, leftover, rest);
            }
        }
        if rest.is_empty() {
            return (None, Vec::new(), rest);
        }
        let (read, after) = rest.split_at(size().clamp(1, rest.len()));
        arriving.push(read);
        rest = after;
    };
    let is_head = head.method() == "HEAD";
    let request = Request { head, peer_addr: None, local_addr: None, tls: None, subprotocol: None };
    let hub = Arc::new(hub(doors, compression));
    let ask = Ask { hub, request, its_loop: 0 };
    let asked = match ask.judge() {
        Ok(()) => ask.run(),
        Err(wrong) => Asked::Refused(wrong),
    };
    let (outcome, leftover) = match asked {
        Asked::Accepted(answer, accepted) => {
            (opened(answer, accepted.request, accepted.compression), leftover)
        }
        Asked::Refused(wrong) => refused(wrong, is_head),
        // Nobody is there to give it.
        Asked::Answered(answer) => unreachable!("{answer:?}"),
    };
    (outcome, leftover, rest)
}

fn hub(doors: Doors, compression: Option<&Deflate>) -> Hub {
    let options = Options {
        subprotocols: vec!["v1".into(), "v2".into()],
        compression: compression.cloned(),
        ..Options::default()
    };
    let origins = Origins { any: doors.any_origin, ..Origins::default() };
    let program =
        Program { source: Source::Shared(Arc::new(Callbacks::default())), on_request: None };
    let address = doors.on_loopback.then_some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9001)));
    Hub::new(options, origins, program, address, None)
}

fn opened(answer: String, request: Request, compression: Option<NegotiatedDeflate>) -> Outcome {
    let served = Served::Open {
        target: request.head.target().into(),
        headers: request.head.headers,
        subprotocol: request.subprotocol.map(Into::into),
        answer: answer.into_bytes(),
    };
    Some((served, compression))
}
