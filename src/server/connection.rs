//! [`Connection`]: one connection of a server, from its first byte to its `on_close`, as a state
//! machine. Belongs to the thread that runs its loop.
//!
//! ```text
//!   Securing ──► Arriving ──► Asking ──► Answering ──► Open ──► Over
//!     TLS only      │ wrong      │ too late     │ a refusal
//!                   └────────────┴──────────────┴──► Lingering ──► Over
//! ```
//!
//! Nothing in it is shared but what the client's `Shared` and the `Hub` guard.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Interest, Registry};

use super::callbacks::{ClientCallee, Handlers};
use super::driver::{ServerDone, ServerJob};
use super::hub::{Admission, Hub, Program};
use super::listener::Peer;
use super::tls::{Secured, Securing};
use super::{Answer, Client, LOG, Request};
use crate::calls::{self, Call, Calls, Dispatcher, Done, Stopped};
use crate::close::ClosedBy;
use crate::deadline::after;
use crate::deflate::NegotiatedDeflate;
use crate::error::Error;
use crate::link::{
    CallbackScope, Established, Link, Opened, Place, Reader, Remains, Requested, Shared, State,
    Step,
};
use crate::panics;
use crate::protocol::End;
use crate::protocol::handshake::Negotiated;
use crate::protocol::handshake::echo::Secrets;
use crate::protocol::handshake::opening::{Arriving, Refused, RequestHead, answer_head};
use crate::role::Role;
use crate::transport::{Socket, Stream};

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

pub(super) struct Connection {
    hub: Arc<Hub>,
    place: Place,
    arrival: u64,
    phase: Phase,
    /// Where the connection is open, or was; away while a job runs.
    dispatcher: Option<Dispatcher<ClientCallee>>,
    /// The same for as long as it is open, whoever has the dispatcher.
    client: Option<Client>,
    /// What was made for it, where it was gone before it was told that it is accepted.
    unopened: Option<Box<Accepted>>,
    calls: Calls,
    /// More messages wait than there is room for: nothing more is read until they are worked off.
    paused: bool,
    /// What a callback ended the connection with.
    fatal: bool,
    /// What has come and nobody wants, of a connection that is over.
    remains: Option<Remains>,
    /// Something happened that makes reading worth while, though no event says so.
    wants_read: bool,
    /// The poll has announced the end of the stream, or an error.
    announced: bool,
    /// A job is out.
    busy: bool,
    /// The request was HEAD, whose answer has no body (RFC 7231 §4.3.2).
    is_head: bool,
    /// Its place among those that are allowed: dropped when all has been told.
    _admission: Admission,
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
    /// The answer was a refusal, and is written.
    Lingering {
        stream: Stream,
        until: Instant,
        left: usize,
    },
    Open(Box<Link>),
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
    /// What comes of it: an open connection, if it is accepted.
    then: Option<Box<Accepted>>,
}

pub(super) struct Accepted {
    request: Request,
    handlers: Handlers,
    in_pieces: bool,
    compression: Option<NegotiatedDeflate>,
}

/// A request for the program to say something to.
pub(super) struct Ask {
    hub: Arc<Hub>,
    request: Request,
    its_loop: usize,
}

/// What is said to it.
pub(super) enum Asked {
    Accepted(String, Box<Accepted>),
    Answered(Answer),
    Refused(Refused),
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

impl Ask {
    pub(super) fn run(self) -> Asked {
        let Ask { hub, request, its_loop } = self;
        let _inside = calls::enter(its_loop);
        let _scope = CallbackScope::enter();
        let peer_addr = request.peer_addr;
        panics::guarded(|| Ask::decide(&hub, request)).unwrap_or_else(|error| {
            log::error!(target: LOG, "{}: on_request: {error}", Peer(peer_addr));
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

impl Connection {
    pub(super) fn start(new: NewConnection, place: Place, registry: &Registry) -> Self {
        let NewConnection { hub, socket, peer_addr, admission } = new;
        let mut stream = Stream::plain(socket);
        let registered =
            stream.register(registry, place.token, Interest::READABLE | Interest::WRITABLE);
        let arrival = hub.arrived(&place);
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
        Connection {
            hub,
            place,
            arrival,
            phase,
            dispatcher: None,
            client: None,
            unopened: None,
            calls: Calls::default(),
            paused: false,
            fatal: false,
            remains: None,
            // It may be there already.
            wants_read: true,
            announced: false,
            busy: false,
            is_head: false,
            _admission: admission,
        }
    }

    pub(super) fn on_event(&mut self, event: &Event) -> bool {
        // Told once, in whatever phase: the end is then to be met by reading on.
        self.announced |= event.is_read_closed() || event.is_error();
        match &mut self.phase {
            Phase::Open(link) => {
                let readable = link.on_event(event);
                link.end_first();
                if event.is_writable() {
                    self.send_latest();
                }
                readable
            }
            Phase::Answering(..) => {
                self.write_answer();
                // What follows it may have come.
                true
            }
            Phase::Securing(..) | Phase::Arriving(_) | Phase::Lingering { .. } => true,
            Phase::Asking(..) | Phase::Over => false,
        }
    }

    pub(super) fn on_wake(&mut self, _registry: &Registry) {
        match &mut self.phase {
            Phase::Open(link) => {
                let shared = Arc::clone(link.shared());
                shared.on_queued();
                match link.on_requests(shared.take_requests(), Instant::now()) {
                    Requested::Abort => self.ended(None),
                    Requested::Failed(error) => {
                        link.end_first();
                        if !self.fatal {
                            self.calls.push(Call::Error(error));
                        }
                    }
                    Requested::Read => self.wants_read = true,
                    // There is nobody to connect to.
                    Requested::Reconnect(_) | Requested::Nothing => link.end_first(),
                }
                // What was queued is written, so there may be room for more.
                self.send_latest();
            }
            Phase::Securing(..) if self.hub.is_shutting_down() => self.over(),
            // Also where the program has not been asked yet.
            Phase::Arriving(_) | Phase::Asking(_, Some(_)) if self.hub.is_shutting_down() => {
                self.refuse(Refused::new(503, "the server shuts down"));
            }
            _ => {}
        }
        if let Some(order) = self.hub.shutdown_order()
            && order.deadline <= Instant::now()
            && !matches!(self.phase, Phase::Open(_) | Phase::Asking(_, None))
        {
            self.over();
        }
    }

    pub(super) fn on_readable(&mut self, reader: &mut Reader, calls_next: bool) -> bool {
        match &mut self.phase {
            Phase::Securing(..) => self.secure(),
            Phase::Arriving(_) => self.read_head(reader),
            Phase::Lingering { stream, left, .. } => {
                match stream.read(&mut reader.buffer) {
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
            Phase::Open(_) => self.read_open(reader, calls_next),
            Phase::Over => {
                self.remains.take_if(|remains| !remains.discard());
                self.remains.is_some()
            }
            Phase::Asking(..) | Phase::Answering(..) => false,
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
        self.is_head = &*head.method == "HEAD";
        let request = Request { head, peer_addr, local_addr, tls, subprotocol: None };
        let judged = match self.hub.is_shutting_down() {
            true => Err(Refused::new(503, "the server shuts down")),
            false => request
                .head
                .check()
                .and_then(|()| self.hub.origins.judge(&request, self.hub.local_addr)),
        };
        if let Err(refused) = judged {
            return self.refuse(refused);
        }
        let ask = Ask { hub: Arc::clone(&self.hub), request, its_loop: self.place.its_loop() };
        if self.hub.asks() {
            let Phase::Arriving(opening) = std::mem::replace(&mut self.phase, Phase::Over) else {
                return;
            };
            self.phase = Phase::Asking(opening, Some(Box::new(ask)));
        } else {
            self.answer(ask.run());
        }
    }

    /// Says what the program has said.
    fn answer(&mut self, asked: Asked) {
        match asked {
            Asked::Accepted(_, accepted) if self.hub.is_shutting_down() => {
                self.unopened = Some(accepted);
                self.refuse(Refused::new(503, "the server shuts down"));
            }
            Asked::Accepted(head, accepted) => self.write(head.into_bytes(), Some(accepted)),
            Asked::Answered(answer) => {
                self.hub.refused();
                self.write(http(&answer, self.is_head), None);
            }
            Asked::Refused(refused) => self.refuse(refused),
        }
    }

    /// Refuses the client, in words.
    fn refuse(&mut self, refused: Refused) {
        let Refused { status, why } = refused;
        let peer_addr = match &self.phase {
            Phase::Arriving(opening) | Phase::Asking(opening, _) => opening.peer_addr,
            _ => None,
        };
        self.hub.refused();
        log::debug!(target: LOG, "{}: refused with status {status}: {why}", Peer(peer_addr));
        let mut answer = Answer::http(status, "text/plain; charset=utf-8", why + "\n");
        match status {
            405 => answer = answer.header("Allow", "GET"),
            503 => answer = answer.header("Retry-After", "5"),
            _ => {}
        }
        self.write(http(&answer, self.is_head), None);
    }

    /// Begins to write an answer.
    fn write(&mut self, bytes: Vec<u8>, then: Option<Box<Accepted>>) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Arriving(opening) | Phase::Asking(opening, _) => {
                self.phase = Phase::Answering(opening, Outgoing { bytes, written: 0, then });
                self.write_answer();
            }
            _ => {}
        }
    }

    fn write_answer(&mut self) {
        let Phase::Answering(opening, outgoing) = &mut self.phase else { return };
        while outgoing.written < outgoing.bytes.len() {
            match opening.stream.write(&outgoing.bytes[outgoing.written..]) {
                Ok(n) => outgoing.written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
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
            None => {
                opening.stream.shutdown();
                let until = after(Instant::now(), LINGER);
                self.phase =
                    Phase::Lingering { stream: opening.stream, until, left: MAX_LINGERING };
                self.wants_read = true;
            }
        }
    }

    /// The answer is written: the connection is open.
    fn open(&mut self, opening: Opening, accepted: Accepted) {
        let Opening { stream, rest, peer_addr, .. } = opening;
        let Accepted { request, handlers, in_pieces, compression } = accepted;
        let id = self.hub.next_client();
        let mut live = self.hub.options.live;
        live.ping_interval = live.ping_interval.map(|interval| sooner(interval, rand::random()));
        let live = &live;
        let shared = Arc::new(Shared::new(Role::Server));
        shared.limit(live.max_send_buffer, live.send_timeout);
        shared.attach(&self.place);
        let established = Established {
            role: Role::Server,
            stream,
            leftover: rest,
            compression,
            handshake: None,
            secrets: Secrets::default(),
            peer: format!("client {id} ({})", Peer(peer_addr)).into(),
        };
        let Some(link) = Link::open(established, &shared, live, in_pieces.into(), Opened::First)
        else {
            return;
        };
        let mut link = link;
        if self.announced {
            link.on_announced();
        }
        let client = Client::new(id, shared, request, Arc::clone(&self.hub));
        let mut dispatcher = Dispatcher::new(ClientCallee { handlers, client: client.clone() });
        dispatcher.attach(&self.place);
        self.hub.join(&client, self.arrival);
        if let Some(order) = self.hub.shutdown_order() {
            // It came in between.
            let _ = client.close_with(order.code, &order.reason);
        }
        log::debug!(target: LOG, "client {id}: open, from {}", Peer(peer_addr));
        (self.dispatcher, self.client) = (Some(dispatcher), Some(client));
        self.phase = Phase::Open(Box::new(link));
        self.calls.next_connection();
        self.calls.push(Call::Open);
        self.wants_read = true;
    }

    fn has_room(&self) -> bool {
        self.calls.size() < self.hub.options.live.max_receive_buffer
    }

    fn read_open(&mut self, reader: &mut Reader, calls_next: bool) -> bool {
        if !self.has_room() {
            self.paused = true;
            return false;
        }
        let Phase::Open(link) = &mut self.phase else { return false };
        let step = link.receive(reader);
        link.end_first();
        match step {
            Step::Received { .. } | Step::Decoded => {
                let end = reader.batch.end.take();
                if !reader.batch.items.is_empty() && !self.fatal {
                    if calls_next && self.dispatcher.is_some() && self.calls.is_empty() {
                        self.calls.push(Call::Batch);
                    } else {
                        self.calls.push_copy(reader);
                    }
                }
                if let Some(end) = end.filter(|end| !matches!(end, End::Close { .. })) {
                    self.calls.push(Call::Fail(end));
                }
                !matches!(step, Step::Received { more: false })
            }
            Step::Empty => false,
            Step::Over(error) => {
                self.ended(error);
                false
            }
        }
    }

    /// The connection is over: what is left are calls.
    fn ended(&mut self, error: Option<Error>) {
        let Phase::Open(link) = &mut self.phase else { return };
        let shared = Arc::clone(link.shared());
        let (mut close, remains) = link.close();
        self.wants_read = remains.is_some();
        self.remains = remains;
        if shared.is_closed_for_good() && close.by == ClosedBy::Lost {
            // Closed a moment too late to find it open.
            close.by = ClosedBy::Us;
        }
        shared.disconnected(State::Closed);
        if let Some(error) = error.filter(|_| !self.fatal) {
            self.calls.push(Call::Error(error));
        }
        self.calls.push(Call::Close(close));
        self.phase = Phase::Over;
        // It is not found any more from now on, and gets nothing.
        if let Some(client) = self.client.take() {
            self.hub.leave(&client);
        }
    }

    /// It is over before it was open.
    fn over(&mut self) {
        self.hub.gone(self.arrival);
        if let Phase::Answering(_, outgoing) = std::mem::replace(&mut self.phase, Phase::Over) {
            self.unopened = outgoing.then;
        }
    }

    fn send_latest(&self) {
        if let Some(client) = &self.client {
            client.send_latest();
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
            Phase::Open(link) => {
                if self.paused {
                    link.on_pause();
                }
                if let Some(error) = link.on_deadline(now) {
                    self.ended(error);
                }
            }
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
            Phase::Open(link) => link.next_deadline(),
            Phase::Asking(_, None) | Phase::Over => None,
        }
    }

    pub(super) fn take_wants_read(&mut self) -> bool {
        std::mem::take(&mut self.wants_read)
    }

    pub(super) fn has_job(&self) -> bool {
        match &self.phase {
            Phase::Asking(_, ask) => ask.is_some(),
            _ => !self.calls.is_empty() && self.dispatcher.is_some(),
        }
    }

    pub(super) fn take_job(&mut self) -> Option<ServerJob> {
        if let Phase::Asking(_, ask) = &mut self.phase {
            let ask = ask.take()?;
            self.busy = true;
            return Some(ServerJob::Ask(ask));
        }
        if let Some((_, end)) = self.calls.take_end() {
            self.fail_now(end);
        }
        let dispatcher = self.dispatcher.take()?;
        let Some((connection, call)) = self.calls.pop() else {
            self.dispatcher = Some(dispatcher);
            return None;
        };
        self.busy = true;
        Some(ServerJob::Call(calls::Job { connection, call, dispatcher }))
    }

    pub(super) fn done(&mut self, done: ServerDone) {
        self.busy = false;
        let Done { dispatcher, result, .. } = match done {
            ServerDone::Asked(asked) => return self.answer(*asked),
            ServerDone::Called(done) => done,
        };
        self.dispatcher = Some(dispatcher);
        match result {
            Ok(()) => {}
            Err(Stopped::BadText(violation)) => {
                self.calls.drop_messages(self.calls.connection());
                self.fail_now(End::Protocol(violation));
            }
            Err(Stopped::Fatal { error, report }) => self.end_by_callback(error, report),
        }
        if self.paused && self.has_room() {
            if let Phase::Open(link) = &mut self.phase {
                link.on_pause();
            }
            self.paused = false;
            self.wants_read = true;
        }
        if let Phase::Open(link) = &mut self.phase {
            link.end_first();
        }
    }

    /// The client did something wrong, and what it sent before that has been handed out.
    fn fail_now(&mut self, end: End) {
        match &mut self.phase {
            Phase::Open(link) => {
                let error = link.fail(end).filter(|_| !self.fatal);
                link.end_first();
                if let Some(error) = error {
                    self.calls.push(Call::Error(error));
                }
            }
            // Of one that we have closed it is no error.
            _ if self.fatal || self.calls.is_closed_by_us(self.calls.connection()) => {}
            _ => {
                if let Some(error) = end.into_error() {
                    self.calls.insert_before_close(self.calls.connection(), error);
                }
            }
        }
    }

    /// A callback has panicked, or `on_error` or `on_close` failed: no more is called than `on_error`
    /// with this, and `on_close`.
    fn end_by_callback(&mut self, error: Error, report: bool) {
        if !report {
            self.calls.mute();
        }
        if self.fatal {
            return;
        }
        self.fatal = true;
        self.calls.keep_the_end();
        if report {
            self.calls.push_front(Call::Error(error));
        }
        if let Phase::Open(link) = &mut self.phase {
            link.fail_by_callback();
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Over)
            && self.remains.is_none()
            && self.calls.is_empty()
            && !self.busy
    }

    /// Drops what the callbacks hold, which is the program's.
    pub(super) fn finish(self) {
        if self.dispatcher.is_none() {
            // It was never open.
            self.hub.gone(self.arrival);
        }
        let Connection { dispatcher, unopened, place, _admission, .. } = self;
        let dropped = panics::guarded(|| {
            if let Some(dispatcher) = dispatcher {
                dispatcher.drop_callbacks();
            }
            let _inside = calls::enter(place.its_loop());
            let _scope = CallbackScope::enter();
            drop(unopened);
        });
        if dropped.is_err() {
            log::error!(target: LOG, "what a handler holds panicked while it was dropped");
        }
    }

    pub(super) fn fail(mut self, error: &Error) {
        if let Some(client) = self.client.take() {
            client.shared().forsake();
            self.hub.leave(&client);
        }
        self.hub.gone(self.arrival);
        self.hub.loop_failed(error);
        self.finish();
    }
}

/// Returns an interval that is shorter by up to a tenth.
fn sooner(interval: Duration, chance: u16) -> Duration {
    interval - interval / 10 / u32::from(u16::MAX) * u32::from(chance)
}

/// Returns an answer that is not an upgrade, as it goes over the wire.
fn http(answer: &Answer, is_head: bool) -> Vec<u8> {
    let length = answer.body.len().to_string();
    let mut headers = vec![("Connection", "close")];
    // These have no body, and no word of one (RFC 7230 §3.3.2, §3.3.3).
    let has_none = matches!(answer.status, 204 | 304);
    if !has_none {
        headers.push(("Content-Length", length.as_str()));
    }
    if answer.status == 426 {
        headers.push(("Upgrade", "websocket"));
        headers.push(("Sec-WebSocket-Version", "13"));
    }
    let own = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut bytes = answer_head(answer.status, headers.into_iter().chain(own)).into_bytes();
    if !has_none && !is_head {
        bytes.extend_from_slice(&answer.body);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_come_up_to_a_tenth_sooner() {
        for interval in [Duration::from_nanos(3), Duration::from_secs(30), Duration::MAX] {
            assert_eq!(sooner(interval, 0), interval);
            assert!(sooner(interval, u16::MAX) >= interval - interval / 10);
            assert!(sooner(interval, 1000) <= interval);
        }
    }
}
