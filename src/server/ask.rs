//! [`Ask`]: a request, and what the server and the program say to it. Runs where callbacks run.

use std::sync::Arc;

use super::callbacks::Handlers;
use super::hub::{Hub, Program};
use super::listener::Peer;
use super::{Answer, LOG, Request};
use crate::calls;
use crate::deflate::NegotiatedDeflate;
use crate::panics;
use crate::protocol::handshake::opening::{Refused, answer_head};

/// A request for the program to say something to.
pub(super) struct Ask {
    pub(super) hub: Arc<Hub>,
    pub(super) request: Request,
    /// The address of what wakes the loop.
    pub(super) its_loop: usize,
}

/// What is said to it.
pub(super) enum Asked {
    Accepted(String, Box<Accepted>),
    Answered(Answer),
    Refused(Refused),
}

/// What a connection is opened with.
pub(super) struct Accepted {
    pub(super) request: Request,
    pub(super) handlers: Handlers,
    pub(super) in_pieces: bool,
    pub(super) compression: Option<NegotiatedDeflate>,
}

impl Ask {
    /// Checks what must hold of any request, before the program is asked.
    pub(super) fn judge(&self) -> Result<(), Refused> {
        self.request.head.check()?;
        self.hub.origins.judge(&self.request, self.hub.local_addr)
    }

    /// Asks the program. It may wait there as in a callback.
    pub(super) fn run(self) -> Asked {
        let _inside = calls::enter(self.its_loop);
        self.answer()
    }

    /// Finds the answer; on the loop's own thread only where the program has no word in it.
    pub(super) fn answer(self) -> Asked {
        let Ask { hub, request, .. } = self;
        let peer_addr = request.peer_addr;
        panics::guarded(|| Ask::decide(&hub, request)).unwrap_or_else(|error| {
            // The logger may be what has panicked.
            drop(panics::guarded(
                || log::error!(target: LOG, "{}: on_request: {error}", Peer(peer_addr)),
            ));
            Asked::Refused(Refused::new(500, "the server could not decide"))
        })
    }

    fn decide(hub: &Hub, request: Request) -> Asked {
        let Some(program) = hub.program() else {
            return Asked::Refused(Refused::new(503, "the server shuts down"));
        };
        let answer = program.on_request.as_ref().map_or_else(Answer::accept, |ask| ask(&request));
        if let Err(problem) = answer.check() {
            log::error!(target: LOG, "{}: on_request: {problem}", Peer(request.peer_addr));
            return Asked::Refused(Refused::new(500, "the server could not answer"));
        }
        match answer.accepts {
            true => Ask::accept(hub, &program, request, &answer).unwrap_or_else(Asked::Refused),
            false => Asked::Answered(answer),
        }
    }

    /// Makes the answer that opens the connection (RFC 6455 §4.2.2).
    fn accept(
        hub: &Hub,
        program: &Program,
        mut request: Request,
        answer: &Answer,
    ) -> Result<Asked, Refused> {
        let accept_key = request.head.check_upgrade()?;
        let subprotocol = Ask::subprotocol(hub, &request, answer)?;
        let compression =
            hub.options.compression.as_ref().and_then(|deflate| request.head.agree(deflate));
        let mut headers = vec![
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", &accept_key),
        ];
        if let Some(name) = &subprotocol {
            headers.push(("Sec-WebSocket-Protocol", name));
        }
        if let Some((_, parameters)) = &compression {
            headers.push(("Sec-WebSocket-Extensions", parameters));
        }
        let own = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let head = answer_head(101, headers.into_iter().chain(own));
        request.subprotocol = subprotocol.map(Into::into);
        // They are made last, for who is accepted and nobody else.
        let handlers = program.source.handlers(&request);
        let in_pieces = handlers.wants_fragments();
        let compression = compression.map(|(agreed, _)| agreed);
        let accepted = Accepted { request, handlers, in_pieces, compression };
        Ok(Asked::Accepted(head, Box::new(accepted)))
    }

    /// Chooses a subprotocol: the program's choice, or the first offered that the server has.
    fn subprotocol(
        hub: &Hub,
        request: &Request,
        answer: &Answer,
    ) -> Result<Option<String>, Refused> {
        if let Some(chosen) = &answer.subprotocol {
            if request.subprotocols().any(|offered| offered == chosen) {
                return Ok(Some(chosen.clone()));
            }
            log::error!(target: LOG, "{}: on_request chose the subprotocol `{}`, which the client does not offer", Peer(request.peer_addr), chosen.escape_debug());
            return Err(Refused::new(500, "the server could not answer"));
        }
        let ours = &hub.options.subprotocols;
        let chosen = request.subprotocols().find(|offered| ours.iter().any(|own| own == offered));
        if chosen.is_none() && !ours.is_empty() && request.subprotocols().next().is_some() {
            log::warn!(target: LOG, "{}: no subprotocol in common: some browsers fail such a connection", Peer(request.peer_addr));
        }
        Ok(chosen.map(str::to_owned))
    }
}
