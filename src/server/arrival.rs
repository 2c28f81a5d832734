//! [`Arrival`]: a connection of a server from its first byte until it is open, as a state machine.
//! Belongs to the thread that runs its loop.
//!
//! ```text
//!   Securing ──► Arriving ──► Asking ──► Answering ──► Opened
//!     TLS only      │ wrong      │ too late     │ a refusal
//!                   └────────────┴──────────────┴──► Lingering ──► Over
//! ```

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Interest, Registry};

use super::ask::{Accepted, Ask, Asked};
use super::hub::{Admission, Hub};
use super::listener::Peer;
use super::open_client::OpenClient;
use super::tls::{Secured, Securing};
use super::{Answer, LOG, Request};
use crate::calls;
use crate::deadline::after;
use crate::error::Error;
use crate::link::{Established, Place, Reader};
use crate::panics;
use crate::protocol::handshake::Negotiated;
use crate::protocol::handshake::echo::Secrets;
use crate::protocol::handshake::opening::{Arriving, Refused, RequestHead};
use crate::role::Role;
use crate::transport::{Socket, Stream, WAITS_FOR_PEER};

pub(super) struct NewConnection {
    pub(super) hub: Arc<Hub>,
    pub(super) socket: Socket,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) admission: Admission,
}

/// How long a connection that was refused waits for the client to end it, so that what it was told
/// is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);

/// How much of what a client that was refused still sends is read away.
const MAX_LINGERING: usize = 64 << 10;

/// How much of what a client sends before it has its answer is kept, where it has to be read.
const MAX_AHEAD: usize = 1 << 20;

pub(super) struct Arrival {
    hub: Arc<Hub>,
    place: Place,
    number: u64,
    phase: Phase,
    /// What was made for it, where it was gone before it was told that it is accepted.
    unopened: Option<Box<Accepted>>,
    /// Something happened that makes reading worth while, though no event says so.
    wants_read: bool,
    /// The poll has announced the end of the stream, or an error.
    announced: bool,
    /// The program is being asked.
    busy: bool,
    /// The request was HEAD, whose answer has no body (RFC 7231 §4.3.2).
    is_head: bool,
    /// Its place among those that are allowed, until it is open: then it is the client's.
    admission: Option<Admission>,
}

enum Phase {
    /// TLS shakes hands.
    Securing(Option<Box<Securing>>, SecuringFor),
    /// The request is on its way.
    Arriving(Box<Opening>),
    /// It is there, and the program is asked what to say to it.
    Asking(Box<Opening>, Option<Box<Ask>>),
    /// The answer is on its way.
    Answering(Box<Opening>, Outgoing),
    /// The answer was a refusal, and is written; or the alert of a TLS handshake that came to nothing.
    Lingering {
        stream: Stream,
        until: Instant,
        left: usize,
    },
    /// The answer is written, and the client is open.
    Opened(Box<OpenClient>),
    Over,
}

/// Whose handshake it is, and until when.
struct SecuringFor {
    peer_addr: Option<SocketAddr>,
    deadline: Instant,
}

/// What there is before the connection is open.
struct Opening {
    stream: Stream,
    arriving: Arriving,
    /// What came behind the request.
    rest: Vec<u8>,
    peer_addr: Option<SocketAddr>,
    deadline: Instant,
    tls: Option<Box<Negotiated>>,
}

/// An answer that is being written.
struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
    /// TLS has to hear something of the client before it can go on.
    waits_for_peer: bool,
    /// What comes of it: an open connection, if it is accepted.
    then: Option<Box<Accepted>>,
}

impl Opening {
    fn new(
        stream: Stream,
        peer_addr: Option<SocketAddr>,
        deadline: Instant,
        tls: Option<Box<Negotiated>>,
    ) -> Box<Self> {
        let (arriving, rest) = (Arriving::default(), Vec::new());
        Box::new(Opening { stream, arriving, rest, peer_addr, deadline, tls })
    }
}

impl Arrival {
    pub(super) fn start(new: NewConnection, place: Place, registry: &Registry) -> Self {
        let NewConnection { hub, socket, peer_addr, admission } = new;
        let mut stream = Stream::plain(socket);
        let registered =
            stream.register(registry, place.token, Interest::READABLE | Interest::WRITABLE);
        let number = hub.arrived(&place);
        if hub.is_shutting_down() {
            // Those who were there by then have been told.
            place.wake();
        }
        let deadline = after(Instant::now(), hub.options.handshake_timeout);
        let phase = match registered {
            Ok(()) => match hub.acceptor() {
                None => Phase::Arriving(Opening::new(stream, peer_addr, deadline, None)),
                Some(acceptor) => {
                    let peer = Peer(peer_addr).to_string();
                    match Securing::begin(&acceptor, stream, peer) {
                        Ok(securing) => {
                            Phase::Securing(Some(securing), SecuringFor { peer_addr, deadline })
                        }
                        Err(error) => {
                            log::warn!(target: LOG, "{error}");
                            Phase::Over
                        }
                    }
                }
            },
            Err(error) => {
                log::warn!(target: LOG, "{}: no place in the event loop: {error}", Peer(peer_addr));
                Phase::Over
            }
        };
        Arrival {
            hub,
            place,
            number,
            phase,
            unopened: None,
            // It may be there already.
            wants_read: true,
            announced: false,
            busy: false,
            is_head: false,
            admission: Some(admission),
        }
    }

    /// Returns the client that it has become, once.
    pub(super) fn take_opened(&mut self) -> Option<Box<OpenClient>> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Opened(client) => Some(client),
            phase => {
                self.phase = phase;
                None
            }
        }
    }

    pub(super) fn on_event(&mut self, event: &Event) -> bool {
        // Told once, in whatever phase: the end is then to be met by reading on.
        self.announced |= event.is_read_closed() || event.is_error();
        match &mut self.phase {
            Phase::Answering(..) => {
                self.write_answer();
                // What follows it may have come.
                true
            }
            Phase::Securing(..) | Phase::Arriving(_) | Phase::Lingering { .. } => true,
            Phase::Asking(..) | Phase::Opened(_) | Phase::Over => false,
        }
    }

    pub(super) fn on_wake(&mut self) {
        let Some(order) = self.hub.shutdown_order() else { return };
        match &mut self.phase {
            Phase::Securing(..) => self.over(),
            // Also where the program has not been asked yet.
            Phase::Arriving(_) | Phase::Asking(_, Some(_)) => {
                self.refuse(Refused::new(503, "the server shuts down"));
            }
            _ => {}
        }
        if order.deadline <= Instant::now()
            && !matches!(self.phase, Phase::Asking(_, None) | Phase::Opened(_))
        {
            self.over();
        }
    }

    pub(super) fn on_readable(&mut self, reader: &mut Reader) -> bool {
        match &mut self.phase {
            Phase::Securing(..) => self.secure(),
            Phase::Arriving(_) => self.read_head(reader),
            Phase::Lingering { stream, left, .. } => {
                match stream.read_away(&mut reader.buffer) {
                    Ok(n) if n > 0 && *left > n => {
                        *left -= n;
                        return true;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                    Err(error) if error.kind() == ErrorKind::Interrupted => return true,
                    _ => self.over(),
                }
                false
            }
            Phase::Answering(..) => self.hear(reader),
            Phase::Asking(..) | Phase::Opened(_) | Phase::Over => false,
        }
    }

    /// Goes on with the TLS handshake. Returns whether there may be more to read.
    fn secure(&mut self) -> bool {
        let Phase::Securing(securing, SecuringFor { peer_addr, deadline }) = &mut self.phase else {
            return false;
        };
        let (peer_addr, deadline) = (*peer_addr, *deadline);
        let Some(attempt) = securing.take() else { return false };
        match (*attempt).advance() {
            Ok(Secured::NotYet(attempt)) => {
                *securing = Some(attempt);
                false
            }
            Ok(Secured::Done(stream, negotiated)) => {
                let tls = Some(Box::new(negotiated));
                self.phase = Phase::Arriving(Opening::new(stream, peer_addr, deadline, tls));
                true
            }
            Ok(Secured::Failed(stream, error)) => {
                log::debug!(target: LOG, "{error}");
                self.hub.refused();
                self.linger(stream);
                false
            }
            Err(error) => {
                log::debug!(target: LOG, "{error}");
                self.hub.refused();
                self.over();
                false
            }
        }
    }

    /// Reads what there is of the request.
    fn read_head(&mut self, reader: &mut Reader) -> bool {
        /// As much as a head may be: what comes with it is read later.
        const CHUNK: usize = 16 << 10;
        let Phase::Arriving(opening) = &mut self.phase else { return false };
        let head = match opening.stream.read(&mut reader.buffer[..CHUNK]) {
            Ok(0) => {
                self.over();
                return false;
            }
            Ok(n) => {
                opening.arriving.push(&reader.buffer[..n]);
                opening.arriving.take_head()
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => {
                log::debug!(target: LOG, "{}: lost before its request: {error}", Peer(opening.peer_addr));
                self.over();
                return false;
            }
        };
        match head {
            Ok(None) => true,
            Ok(Some((head, rest))) => {
                opening.rest = rest;
                opening.arriving = Arriving::default();
                self.asked_for(head);
                // What came behind it is in no event.
                self.wants_read = true;
                false
            }
            Err(refused) => {
                self.refuse(refused);
                false
            }
        }
    }

    /// The request is there.
    fn asked_for(&mut self, head: RequestHead) {
        let Phase::Arriving(opening) = &mut self.phase else { return };
        let (local_addr, peer_addr) = (opening.stream.addresses().0, opening.peer_addr);
        let tls = opening.tls.take();
        self.is_head = head.method() == "HEAD";
        let request = Request { head, peer_addr, local_addr, tls, subprotocol: None };
        let ask = Ask { hub: Arc::clone(&self.hub), request, its_loop: self.place.its_loop() };
        let judged = match self.hub.is_shutting_down() {
            true => Err(Refused::new(503, "the server shuts down")),
            false => ask.judge(),
        };
        if let Err(refused) = judged {
            return self.refuse(refused);
        }
        if self.hub.asks() {
            let Phase::Arriving(opening) = std::mem::replace(&mut self.phase, Phase::Over) else {
                return;
            };
            self.phase = Phase::Asking(opening, Some(Box::new(ask)));
        } else {
            self.answer(ask.answer());
        }
    }

    /// Says what the program has said.
    pub(super) fn answer(&mut self, asked: Asked) {
        self.busy = false;
        match asked {
            Asked::Accepted(_, accepted) if self.hub.is_shutting_down() => {
                self.unopened = Some(accepted);
                self.refuse(Refused::new(503, "the server shuts down"));
            }
            Asked::Accepted(head, accepted) => self.write(head.into_bytes(), Some(accepted)),
            Asked::Answered(answer) => {
                self.hub.refused();
                let (peer, status) = (Peer(self.peer_addr()), answer.status);
                log::debug!(target: LOG, "{peer}: answered by on_request with status {status}");
                self.write(answer.to_http(self.is_head), None);
            }
            Asked::Refused(refused) => self.refuse(refused),
        }
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        match &self.phase {
            Phase::Arriving(opening) | Phase::Asking(opening, _) => opening.peer_addr,
            _ => None,
        }
    }

    /// Refuses the client, in words.
    fn refuse(&mut self, refused: Refused) {
        self.hub.refused();
        let (peer, Refused { status, why }) = (Peer(self.peer_addr()), &refused);
        log::debug!(target: LOG, "{peer}: refused with status {status}: {why}");
        let answer = Answer::refusal(refused);
        self.write(answer.to_http(self.is_head), None);
    }

    /// Begins to write an answer.
    fn write(&mut self, bytes: Vec<u8>, then: Option<Box<Accepted>>) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Arriving(opening) | Phase::Asking(opening, _) => {
                self.phase = Phase::Answering(
                    opening,
                    Outgoing { bytes, written: 0, waits_for_peer: false, then },
                );
                self.write_answer();
            }
            _ => {}
        }
    }

    fn write_answer(&mut self) {
        let Phase::Answering(opening, outgoing) = &mut self.phase else { return };
        while outgoing.written < outgoing.bytes.len() {
            let left = &outgoing.bytes[outgoing.written..];
            match opening.stream.write(left).and_then(not_nothing) {
                Ok(n) => outgoing.written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == WAITS_FOR_PEER => {
                    outgoing.waits_for_peer = true;
                    self.wants_read = true;
                    return;
                }
                Err(error) => {
                    log::debug!(target: LOG, "{}: lost before its answer: {error}", Peer(opening.peer_addr));
                    return self.over();
                }
            }
        }
        let Phase::Answering(opening, outgoing) = std::mem::replace(&mut self.phase, Phase::Over)
        else {
            return;
        };
        let opening = *opening;
        match outgoing.then {
            Some(accepted) => self.open(opening, *accepted),
            None => self.linger(opening.stream),
        }
    }

    /// TLS has to hear something before more of the answer can be written. Reads that, and keeps what
    /// comes with it, which follows the request. Returns whether there may be more.
    fn hear(&mut self, reader: &mut Reader) -> bool {
        let Phase::Answering(opening, outgoing) = &mut self.phase else { return false };
        if !outgoing.waits_for_peer {
            return false;
        }
        match opening.stream.read(&mut reader.buffer) {
            Ok(n) if n > 0 && opening.rest.len() + n <= MAX_AHEAD => {
                opening.rest.extend_from_slice(&reader.buffer[..n]);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => {
                self.over();
                return false;
            }
        }
        outgoing.waits_for_peer = false;
        self.write_answer();
        // Either more of what it waits for, or what follows the answer.
        true
    }

    /// The client was told why it is refused: hears it out, for a while.
    fn linger(&mut self, stream: Stream) {
        stream.shutdown();
        let until = after(Instant::now(), LINGER);
        self.phase = Phase::Lingering { stream, until, left: MAX_LINGERING };
        self.wants_read = true;
    }

    /// The answer is written: the connection is open.
    fn open(&mut self, opening: Opening, accepted: Accepted) {
        let Opening { stream, rest, peer_addr, .. } = opening;
        let Some(admission) = self.admission.take() else { return };
        let established = Established {
            role: Role::Server,
            stream,
            leftover: rest,
            compression: accepted.compression,
            handshake: None,
            secrets: Secrets::default(),
            peer: Peer(peer_addr).to_string().into(),
        };
        let opened =
            OpenClient::open(&self.hub, &self.place, established, accepted, self.number, admission);
        if let Some(mut client) = opened {
            if self.announced {
                client.on_announced();
            }
            self.phase = Phase::Opened(client);
        }
    }

    /// It is over before it was open.
    fn over(&mut self) {
        if let Phase::Answering(_, outgoing) = std::mem::replace(&mut self.phase, Phase::Over) {
            self.unopened = outgoing.then;
        }
    }

    pub(super) fn on_deadline(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Arriving(opening) if opening.deadline <= now => {
                match opening.arriving.is_empty() {
                    // It has said nothing: there is nothing to answer.
                    true => {
                        self.hub.refused();
                        self.over();
                    }
                    false => self.refuse(Refused::new(408, "the request took too long")),
                }
            }
            Phase::Securing(_, SecuringFor { deadline, .. }) if *deadline <= now => {
                self.hub.refused();
                self.over();
            }
            Phase::Asking(opening, Some(_)) if opening.deadline <= now => {
                self.refuse(Refused::new(503, "the server is busy"));
            }
            Phase::Answering(opening, _) if opening.deadline <= now => self.over(),
            Phase::Lingering { until, .. } if *until <= now => self.over(),
            _ => {}
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Securing(_, SecuringFor { deadline, .. }) => Some(*deadline),
            Phase::Arriving(opening)
            | Phase::Asking(opening, Some(_))
            | Phase::Answering(opening, _) => Some(opening.deadline),
            Phase::Lingering { until, .. } => Some(*until),
            Phase::Asking(_, None) | Phase::Opened(_) | Phase::Over => None,
        }
    }

    pub(super) fn take_wants_read(&mut self) -> bool {
        std::mem::take(&mut self.wants_read)
    }

    /// Returns whether the program is to be asked.
    pub(super) fn has_job(&self) -> bool {
        matches!(self.phase, Phase::Asking(_, Some(_)))
    }

    pub(super) fn take_job(&mut self) -> Option<Box<Ask>> {
        let Phase::Asking(_, ask) = &mut self.phase else { return None };
        let ask = ask.take()?;
        self.busy = true;
        Some(ask)
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Over) && !self.busy
    }

    /// Returns whether something was made for it, which is the program's.
    pub(super) fn ends_with_call(&self) -> bool {
        self.unopened.is_some()
    }

    /// Drops what was made for it.
    pub(super) fn finish(self) {
        self.hub.gone(self.number);
        let Arrival { unopened, place, admission: _admission, .. } = self;
        let dropped = panics::guarded(|| {
            let _inside = calls::enter(place.its_loop());
            drop(unopened);
        });
        if dropped.is_err() {
            log::error!(target: LOG, "what a handler holds panicked while it was dropped");
        }
    }

    pub(super) fn fail(mut self, error: &Error) {
        self.hub.loop_failed(error);
        // So that what was made for it is dropped as it would have been.
        self.over();
        self.finish();
    }
}

/// What takes nothing and says no more than that would be tried for ever.
fn not_nothing(written: usize) -> io::Result<usize> {
    match written {
        0 => Err(ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}
