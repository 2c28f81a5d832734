//! [`WebSocket`]: one connection whose owner waits for messages itself.
//!
//! The thread in `recv` does what an event loop does for an app. Other threads send through
//! [`Sender`] meanwhile.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Registry, Token};

use super::builder::WebSocketBuilder;
use super::message_reader::MessageReader;
use crate::busy_poll::Waiting;
use crate::close::{Close, ClosedBy, close_code};
use crate::config::Config;
use crate::deadline::after;
use crate::dial::{Cancel, Failure, Target, connect};
use crate::error::{Error, LimitError, SendError};
use crate::link::{
    CallbackScope, Established, Link, LoopWaker, MessageWriter, Opened, Place, Reader, Remains,
    Requested, Sender, Shared, Shrink, State, Step, Woken,
};
use crate::message::{MessageKind, Outgoing, OwnedMessage};
use crate::protocol::handshake::Handshake;
use crate::protocol::{End, InPieces, Item, Kind, message};
use crate::reconnect::Attempt;
use crate::role::Role;
use crate::sync::{Poll, Waker};

const WAKER: Token = Token(0);
const SOCKET: Token = Token(1);

/// How often the socket is read, at most, after `close_timeout` has passed, until that has emptied
/// it: 32 MiB, as much as Linux keeps for a connection unless it is told otherwise, so that all
/// that came in time is read. A peer that never stops sending is not read for ever.
const MAX_LATE_READS: u32 = 128;

/// A blocking connection, in the manner of Python's `create_connection`.
///
/// [`recv`](Self::recv) waits for the next message; pings are answered, and the keepalive runs,
/// while it waits, and only then. [`sender`](Self::sender) lets other threads send at the same
/// time, over TLS too. A send waits until the operating system has taken the message, up to
/// `send_timeout`.
///
/// Dropping it sends a Close frame and does not wait for anything. What was sent before goes out,
/// also where not all that the peer has sent was read; a peer that goes on sending may have its
/// connection reset before it has read all. Who has to know that the peer has everything calls
/// [`close`](Self::close).
///
/// ```no_run
/// use websocket_app::WebSocket;
///
/// let mut ws = WebSocket::connect("wss://echo.example/")?;
/// ws.send("hello")?;
/// println!("received: {}", ws.recv()?);
/// ws.close()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
pub struct WebSocket {
    sender: Sender,
    handshake: Arc<Handshake>,
    link: Link,
    pub(super) reader: Reader,
    shrink: Shrink,
    /// Which item of the reader's batch comes next.
    next: usize,
    /// What has come of a message that is not whole yet.
    pub(super) arriving: Arriving,
    max_message_size: usize,
    poll: Poll,
    busy_poll: Duration,
    waiting: Waiting,
    events: Events,
    waker: Arc<LoopWaker>,
    /// Whether the socket may have more to read without the poll saying so again.
    readable: bool,
    /// How often it was read after `close_timeout` had passed.
    late_reads: u32,
    ended: Option<Ended>,
}

/// A message that comes in pieces.
#[derive(Debug, Default)]
pub(super) enum Arriving {
    /// There is none, or none that is to be whole: a [`MessageReader`] has it, or nobody wants the
    /// rest of it.
    #[default]
    No,
    /// What has come of one that is to be whole.
    Begun { is_text: bool, message_len: Option<u64>, data: Vec<u8> },
}

/// A piece of a message in the reader's batch, or all of it.
pub(super) struct Piece {
    pub(super) item: Item,
    pub(super) is_text: bool,
    pub(super) first: bool,
    pub(super) last: bool,
    /// How long the message is, where that is known.
    pub(super) message_len: Option<u64>,
}

/// How much is allocated for a message before any of it has come, at most.
const MAX_AHEAD: usize = 1 << 20;

#[derive(Clone, Debug)]
struct Ended {
    close: Close,
    error: Option<Error>,
    /// Whether the iterator has told.
    told: bool,
}

impl WebSocket {
    /// Connects to a `ws://`, `wss://` or `ws+unix:` URL with the default options.
    ///
    /// # Errors
    ///
    /// As [`WebSocketBuilder::connect`].
    pub fn connect(url: impl Into<String>) -> Result<Self, Error> {
        Self::builder(url).connect()
    }

    /// Begins with a URL, to add options to. Never fails: a bad URL is the error of
    /// [`connect`](WebSocketBuilder::connect).
    pub fn builder(url: impl Into<String>) -> WebSocketBuilder {
        WebSocketBuilder::new(url.into())
    }

    pub(super) fn open(url: &str, config: Config, cancel: &Cancel) -> Result<Self, Error> {
        config.check()?;
        let target = Target::new(url, &config)?;
        let (timeout, first) = (config.connect_timeout, Attempt::new());
        let connected = match connect(&target, timeout, cancel, &first) {
            Ok(connected) => connected,
            Err(Failure::Error(error)) => return Err(error),
            Err(Failure::Cancelled) => return Err(Error::Cancelled),
        };
        let poll =
            Poll::new().map_err(|source| Error::system("a way to wait for sockets", source))?;
        let waker = Waker::new(poll.registry(), WAKER);
        let waker = waker.map_err(|source| Error::system("a way to be woken", source))?;
        let place = Place { waker: Arc::new(LoopWaker::new(waker)), token: SOCKET };

        let shared = Arc::new(Shared::new(Role::Client));
        shared.limit(config.live.max_send_buffer, config.live.send_timeout);
        shared.attach(&place);
        let registry: &Registry = poll.registry();
        let (live, opened) = (&config.live, Opened::ByCaller);
        let mut connected = Established::from(connected);
        connected
            .register(registry, &place)
            .map_err(|source| Error::system("a way to wait for sockets", source))?;
        let link = Link::open(connected, &shared, live, InPieces::Large, opened);
        let (Some(link), Some(handshake)) = (link, shared.handshake()) else {
            // Nobody else has the sender yet.
            return Err(Error::Closed(Box::new(Close::without_frame(ClosedBy::Us))));
        };
        Ok(WebSocket {
            sender: Sender::new(shared),
            handshake,
            link,
            reader: Reader::new(),
            shrink: Shrink::default(),
            next: 0,
            arriving: Arriving::default(),
            max_message_size: config.live.max_message_size,
            poll,
            busy_poll: config.live.busy_poll,
            waiting: Waiting::default(),
            events: Events::with_capacity(4),
            waker: place.waker,
            readable: true,
            late_reads: 0,
            ended: None,
        })
    }

    /// Sends a message: see [`Sender::send`]. Waits until the operating system has taken it, up to
    /// `send_timeout`. After [`SendError::NotConnected`], [`recv`](Self::recv) says why. Who sends
    /// much before reading may stand still with a server that waits likewise: let another thread
    /// send.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub fn send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        self.sender.send(message)
    }

    /// Begins a message that is not in memory: see [`Sender::message_writer`]. Each write that sends
    /// a fragment waits until the operating system has taken it, up to `send_timeout`.
    ///
    /// # Errors
    ///
    /// As [`Sender::message_writer`].
    pub fn message_writer(&self, kind: MessageKind) -> Result<MessageWriter, SendError> {
        self.sender.message_writer(kind)
    }

    /// Returns a handle with which other threads can send and close.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Returns the opening handshake: the server's headers, the subprotocol, the addresses.
    #[must_use]
    pub fn handshake(&self) -> Arc<Handshake> {
        Arc::clone(&self.handshake)
    }

    /// Waits for the next message. A peer that is dead is noticed by the keepalive
    /// (`ping_interval`, `ping_timeout`).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when either side has closed; otherwise why the connection was lost. Every
    /// later call gives the same.
    pub fn recv(&mut self) -> Result<OwnedMessage, Error> {
        loop {
            if let Some(message) = self.next_message(None)? {
                return Ok(message);
            }
        }
    }

    /// Waits for the next message and returns a reader of it, for one that is not to be in memory:
    /// it need not be whole yet. See [`MessageReader`].
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_reader(&mut self) -> Result<MessageReader<'_>, Error> {
        MessageReader::of(self)
    }

    /// Waits for the next message for this long; `None` when none came.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<OwnedMessage>, Error> {
        self.next_message(Some(after(Instant::now(), timeout)))
    }

    /// Closes with code 1000 and waits for the peer's answer, up to `close_timeout`. Messages that
    /// arrive meanwhile are dropped: to have them, close through [`sender`](Self::sender) and go on
    /// with [`recv`](Self::recv). Where the peer does anything else than answer, `clean` is false
    /// in what is returned.
    ///
    /// # Errors
    ///
    /// What [`recv`](Self::recv) would have given before: the connection was lost.
    pub fn close(&mut self) -> Result<Close, Error> {
        self.close_with(close_code::NORMAL, "")
    }

    /// Closes as [`close`](Self::close) does, with a code and a reason for the peer.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close), and [`Error::Send`] for a code or reason that is not allowed;
    /// nothing is closed then.
    pub fn close_with(&mut self, code: u16, reason: &str) -> Result<Close, Error> {
        // What a send has found lost is not closed: why it was lost is still to be met.
        if !self.sender.shared().is_lost() {
            self.sender.close_with(code, reason)?;
        }
        loop {
            match self.next_piece(None) {
                Ok(_) => {}
                Err(Error::Closed(close)) => return Ok(*close),
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the next message, waiting until the deadline.
    fn next_message(&mut self, deadline: Option<Instant>) -> Result<Option<OwnedMessage>, Error> {
        loop {
            let Some(piece) = self.next_piece(deadline)? else { return Ok(None) };
            if let Some(message) = self.put_together(&piece) {
                return Ok(Some(message));
            }
            // More of it may come without end.
            let is_all = self.next == self.reader.batch.items.len();
            if is_all && deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(None);
            }
        }
    }

    /// Puts a message together, of which this is the next piece. Returns it when it is whole.
    fn put_together(&mut self, piece: &Piece) -> Option<OwnedMessage> {
        let Piece { is_text, first, last, message_len, .. } = *piece;
        if first {
            self.arriving = Arriving::Begun { is_text, message_len, data: Vec::new() };
        }
        let bytes = self.reader.batch.payload(&piece.item, &self.reader.buffer);
        // Else it is the rest of one that was not read.
        let Arriving::Begun { data, .. } = &mut self.arriving else { return None };
        let len = message_len.map_or(data.len() + bytes.len(), |len| len as usize);
        if len > self.max_message_size {
            let limit = self.max_message_size;
            self.fail(End::Limit(LimitError::MessageSize { limit }));
            return None;
        }
        if first {
            data.reserve_exact(if last { bytes.len() } else { len.min(MAX_AHEAD) });
        }
        data.extend_from_slice(bytes);
        if !last {
            return None;
        }
        let data = mem::take(data);
        self.arriving = Arriving::No;
        Some(OwnedMessage::from_parts(is_text, data))
    }

    /// What the peer sent is not to be taken: nothing of it is looked at any more.
    fn fail(&mut self, end: End) {
        self.reader.batch.clear();
        self.arriving = Arriving::No;
        self.link.fail(end);
    }

    /// Returns the next piece of a message, waiting until the deadline.
    pub(super) fn next_piece(&mut self, deadline: Option<Instant>) -> Result<Option<Piece>, Error> {
        // A logger may send: this is the thread that would make room.
        let _scope = CallbackScope::enter();
        loop {
            if let Some(piece) = self.take_piece()? {
                return Ok(Some(piece));
            }
            if let Some(ended) = &self.ended {
                return Err(ended.error());
            }
            let before = Instant::now();
            let mut looked = self.look(deadline, before)?;
            if self.readable && self.ended.is_none() {
                looked = self.read();
            }
            if looked && self.ended.is_none() {
                self.on_looked(before);
            }
            if deadline.is_some_and(|deadline| deadline <= before) && self.ended.is_none() {
                return self.take_piece();
            }
        }
    }

    /// Takes the next piece of a message out of the batch.
    fn take_piece(&mut self) -> Result<Option<Piece>, Error> {
        while let Some(&item) = self.reader.batch.items.get(self.next) {
            let message_len = self.reader.batch.message_len(self.next);
            self.next += 1;
            let (is_text, first, last) = match item.kind {
                Kind::Ping | Kind::Pong => continue,
                Kind::TextFragment { first, last } => (true, first, last),
                Kind::BinaryFragment { first, last } => (false, first, last),
                Kind::Text | Kind::Binary => {
                    let is_text = item.kind == Kind::Text;
                    let payload = self.reader.batch.payload(&item, &self.reader.buffer);
                    let message_len = Some(payload.len() as u64);
                    if let Err(violation) = message(is_text, payload) {
                        self.fail(End::Protocol(violation));
                        continue;
                    }
                    return Ok(Some(Piece { item, is_text, first: true, last: true, message_len }));
                }
            };
            return Ok(Some(Piece { item, is_text, first, last, message_len }));
        }
        if let Some(end) =
            self.reader.batch.end.take().filter(|end| !matches!(end, End::Close { .. }))
        {
            self.link.fail(end);
        }
        match self.link.violation() {
            // The peer has been told; there is no need to wait until it is gone.
            Some(error) => Err(error.clone()),
            None => Ok(None),
        }
    }

    /// The socket was looked at: does what is due by the time before that, so that a peer is not
    /// judged by how long the program was busy elsewhere. Every turn that reads comes here, also in
    /// a flood.
    fn on_looked(&mut self, before: Instant) {
        let closes = self.link.close_deadline().is_some_and(|deadline| deadline <= before);
        if closes && self.readable && self.late_reads < MAX_LATE_READS {
            // The peer's Close may lie behind what has been read so far.
            self.late_reads += 1;
        } else if let Some(error) = self.link.on_deadline(before) {
            self.over(error);
        }
    }

    /// Returns whether that was from the socket: what was taken off it before is decoded first.
    fn read(&mut self) -> bool {
        self.next = 0;
        self.reader.taken = 0;
        let step = self.link.receive(&mut self.reader);
        self.waiting.on_read(self.reader.taken);
        self.shrink.on_read(self.reader.needs_much());
        match step {
            Step::Decoded => return false,
            Step::Received { more } => self.readable = more,
            Step::Empty => self.readable = false,
            Step::Over(error) => self.over(error),
        }
        true
    }

    /// Sleeps until the socket, another thread, or a deadline; not at all while there is more to
    /// read. Returns whether the poll has told what there is.
    fn look(&mut self, deadline: Option<Instant>, now: Instant) -> Result<bool, Error> {
        // Nothing is left in the reader, or there would be nothing to wait for.
        if self.shrink.is_due(now) {
            (self.reader, self.next) = (Reader::new(), 0);
        }
        let shrink_at = self.shrink.on_wait(self.reader.is_large());
        let next = deadline.into_iter().chain(self.link.next_deadline()).chain(shrink_at).min();
        let timeout = match self.readable {
            true => Some(Duration::ZERO),
            false => next.map(|next| next.saturating_duration_since(now)),
        };
        match self.waiting.poll(&mut self.poll, &mut self.events, timeout, self.busy_poll) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(false),
            Err(error) => return Err(Error::system("news of sockets", error)),
        }
        let mut rang = false;
        for event in &self.events {
            rang |= event.token() == WAKER;
            if event.token() == SOCKET {
                self.readable |= self.link.on_event(event);
            }
        }
        if rang {
            self.waker.drain(&mut Woken::default());
            match self.link.on_requests(self.sender.shared().take_requests(), Instant::now()) {
                Requested::Abort => self.over(None),
                // There is no other connection to be made here.
                Requested::Read | Requested::Reconnect(_) => self.readable = true,
                // `take_piece` says so.
                Requested::Failed(_) | Requested::Nothing => {}
            }
        }
        Ok(true)
    }

    /// Closes the socket, so that what was written still goes out. Returns how it ended.
    fn close_socket(&mut self) -> Close {
        let (close, mut remains) = self.link.close();
        while remains.as_mut().is_some_and(Remains::discard) {}
        close
    }

    fn over(&mut self, error: Option<Error>) {
        let close = self.close_socket();
        self.sender.shared().disconnected(State::Closed);
        self.readable = false;
        self.ended = Some(Ended { close, error, told: false });
    }
}

impl Ended {
    fn error(&self) -> Error {
        self.error.clone().unwrap_or_else(|| Error::Closed(Box::new(self.close.clone())))
    }
}

/// The messages until the connection is closed; then, unless it was closed in order, why it was
/// lost.
impl Iterator for WebSocket {
    type Item = Result<OwnedMessage, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended.as_ref().is_some_and(|ended| ended.told) {
            return None;
        }
        match self.recv() {
            Ok(message) => Some(Ok(message)),
            Err(error) => {
                if self.ended.is_none() {
                    self.over(Some(error.clone()));
                }
                if let Some(ended) = &mut self.ended {
                    ended.told = true;
                }
                match error {
                    Error::Closed(_) => None,
                    error => Some(Err(error)),
                }
            }
        }
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.sender.close();
            self.close_socket();
            self.sender.shared().disconnected(State::Closed);
        }
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket").field("sender", &self.sender).finish_non_exhaustive()
    }
}
