//! [`Sender`]: what users hold to send and to close, from any thread and any callback.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::message_writer::MessageWriter;
use super::shared::{Shared, Wait};
use crate::close::close_code;
use crate::error::SendError;
use crate::message::{MessageKind, Outgoing};
use crate::protocol::frame::Head;
use crate::protocol::handshake::Handshake;

/// Sends messages and closes the connection, from any thread and in any callback. The manual says
/// when a send waits and what it may lose: [Sending](crate::manual::_06_sending).
///
/// Clones are cheap and all mean the same app; they stay valid when the connection is gone, and
/// then every send is [`SendError::NotConnected`]. Messages of one thread go out in its order. A
/// message that nothing waits before is written by the calling thread, at once, in one system call;
/// a large one in pieces of 1 MiB, of which the thread that reads writes what the socket has no
/// room for yet.
///
/// Where messages come together often, a thousand times a second and more, what callbacks answer is
/// written together too: with the answer to the last of them, or after some microseconds; where a
/// callback takes its time, within some milliseconds. What a callback sends over another connection
/// may then go first.
///
/// What is sent in a stream, one message after the other with little more than a microsecond
/// between them, is written together from the ninth message on: by a thread that the process has
/// for it, `websocket-flusher`, which is there while it is needed and a few seconds longer.
/// [`flush`](Self::flush) has everything written at once, in a callback too: for who ends the
/// process there.
///
/// ```no_run
/// use websocket_app::WebSocketApp;
///
/// let app = WebSocketApp::new("wss://echo.example/");
/// let ws = app.sender();
/// let running = app.spawn()?;
/// # std::thread::sleep(std::time::Duration::from_secs(1));
/// std::thread::spawn(move || ws.send("from another thread"));
/// running.join()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[derive(Clone)]
pub struct Sender {
    shared: Arc<Shared>,
}

impl Sender {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Sender { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Sends a message as one frame, masked (RFC 6455 §5.6): `&str` and `String` as text, `&[u8]`,
    /// `Vec<u8>`, `Bytes` and the like as binary.
    ///
    /// Returns when the message is written or queued. Where the queue is full (`max_send_buffer`),
    /// it waits for room up to `send_timeout`, unless `send_policy` says otherwise; but never for the
    /// peer in a callback of this app, or of another app on the same loop.
    ///
    /// # Errors
    ///
    /// [`SendError::NotConnected`] when there is no open connection, [`SendError::Timeout`] when
    /// there was no room in time, [`SendError::QueueFull`] when there is none and this is such a
    /// callback or `send_policy` is not to wait, [`SendError::Busy`] in the same cases while a
    /// [`message_writer`](Self::message_writer) is open, [`SendError::BacklogFull`] when there is no
    /// room to wait for a connection. An owned message comes back with the error.
    pub fn send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        self.shared.send(message.into(), Wait::Default)
    }

    /// Sends a text message: see [`send`](Self::send).
    pub fn send_text<'a>(&self, text: impl Into<Cow<'a, str>>) -> Result<(), SendError> {
        self.send(text.into())
    }

    /// Sends a binary message, of text too: see [`send`](Self::send).
    pub fn send_binary<'a>(&self, data: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        self.send(data.into().binary())
    }

    /// Closes the connection with code 1000, for good: it is not dialled again.
    ///
    /// May be called at any time, before the run and while connecting too, and never blocks. Queued
    /// messages go out first, then the Close frame (RFC 6455 §7.1.2); messages that still arrive
    /// are delivered; `on_close` comes when the peer has answered, within `close_timeout` however
    /// dead it is. Further sends are [`SendError::NotConnected`].
    pub fn close(&self) {
        // Code 1000 without a reason is always allowed.
        let _ = self.shared.close(close_code::NORMAL, "");
    }

    /// Closes as [`close`](Self::close) does, with a code and a reason for the peer.
    ///
    /// # Errors
    ///
    /// [`SendError::InvalidControl`] for a code that must not be sent (allowed are 1000–1003,
    /// 1007–1014 and 3000–4999, RFC 6455 §7.4) or a reason of more than 123 bytes; nothing is
    /// closed then.
    pub fn close_with(&self, code: u16, reason: &str) -> Result<(), SendError> {
        self.shared.close(code, reason)
    }

    /// Sends a message if there is room for it now (in a callback of a server's client, to that client,
    /// as [`send`](Self::send) does); never waits for the peer. Where the queue is
    /// full and another thread is just writing, it lets that one get on with it, for 10 ms at most.
    ///
    /// # Errors
    ///
    /// [`SendError::QueueFull`] when there is no room, [`SendError::Busy`] while a
    /// [`message_writer`](Self::message_writer) is open, [`SendError::NotConnected`] when there is no
    /// open connection, [`SendError::BacklogFull`] when there is no room to wait for one.
    pub fn try_send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        self.shared.send(message.into(), Wait::Never)
    }

    /// Sends a message, waiting for room this long instead of `send_timeout`. In a callback of this
    /// app, or of another on its loop, it does not wait.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_timeout<'a>(
        &self,
        message: impl Into<Outgoing<'a>>,
        timeout: Duration,
    ) -> Result<(), SendError> {
        self.shared.send(message.into(), Wait::UpTo(timeout))
    }

    /// Begins a message that is not in memory: what is written goes out in fragments (RFC 6455 §5.4)
    /// of up to 32 KiB.
    ///
    /// An ordinary thread waits for its turn, and for room for a fragment, up to `send_timeout`,
    /// whatever `send_policy` says. Until the message is finished no other is sent: see
    /// [`MessageWriter`].
    ///
    /// # Errors
    ///
    /// [`SendError::NotConnected`] when there is no open connection, whether or not
    /// `queue_while_disconnected` is set; [`SendError::Busy`] when another message is being written
    /// so, and in a callback also where another thread is just compressing one;
    /// [`SendError::Timeout`] and [`SendError::QueueFull`] as [`send`](Self::send).
    pub fn message_writer(&self, kind: MessageKind) -> Result<MessageWriter, SendError> {
        MessageWriter::begin(&self.shared, kind)
    }

    /// Sends a ping (RFC 6455 §5.5.2) with a payload of up to 125 bytes. The answer comes to
    /// `on_pong`. The keepalive's own pings do not need this.
    ///
    /// # Errors
    ///
    /// [`SendError::InvalidControl`] when the payload is too long; otherwise as
    /// [`send`](Self::send).
    pub fn ping(&self, payload: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.shared.control(Head::PING, payload.as_ref())
    }

    /// Asks the peer whether it is there now: sends a ping and waits for its pong, for this long at
    /// most. Returns the round-trip time.
    ///
    /// The ping goes out in its turn, behind what is queued, with a payload that no other has. A
    /// pong to a later ping of the keepalive's, or of this method, counts as well: of several a peer
    /// need only answer the latest (RFC 6455 §5.5.3). One to a later [`ping`](Self::ping) does not.
    /// `on_pong` is called as with every pong. Where reading pauses, for a callback that is slow or a
    /// server's client that does not read (`max_receive_buffer`), no pong is seen.
    ///
    /// Blocks the calling thread and no other; several threads may ask at a time. In a callback of
    /// this app, or of another on its loop, it is an error at once, and no ping is sent: the thread
    /// that waits may be the one that reads.
    /// A blocking [`WebSocket`](crate::WebSocket) sees the pong while another thread is in `recv`,
    /// and only then.
    ///
    /// # Errors
    ///
    /// [`SendError::NotInTime`] when no pong has come by then, or in such a callback;
    /// [`SendError::Timeout`], or for a blocking connection [`SendError::Unwritten`], when the ping
    /// itself could not go out for so long; [`SendError::NotConnected`], at once, when there is no
    /// open connection or it is lost meanwhile. Otherwise as [`send`](Self::send).
    pub fn ping_wait(&self, timeout: Duration) -> Result<Duration, SendError> {
        self.shared.ping_wait(timeout)
    }

    /// Sends a pong that answers no ping, a heartbeat in one direction (RFC 6455 §5.5.3). Pings are
    /// answered without it.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn pong(&self, payload: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.shared.control(Head::PONG, payload.as_ref())
    }

    /// Drops the connection at once, without a Close frame and without waiting for what is queued,
    /// for good. `on_close` follows with code 1006.
    pub fn abort(&self) {
        self.shared.abort();
    }

    /// Drops this connection and makes another at once, whether or not the app reconnects by
    /// itself. While waiting for the next attempt it ends the wait. Does nothing while connecting,
    /// and after `close()`.
    ///
    /// The peer gets a Close frame with code 1000, whose answer is not waited for. `on_close` comes
    /// with `reconnect_in: Some(0)`, then `on_reconnect`.
    ///
    /// A blocking [`WebSocket`](crate::WebSocket) is one connection, and so is a server's client: of
    /// those it does nothing but write a warning to the log.
    pub fn reconnect(&self) {
        self.shared.reconnect();
    }

    /// Waits until everything sent so far is in the hands of the operating system. In a callback of
    /// this app, or of another on its loop, it does not wait.
    ///
    /// # Errors
    ///
    /// [`SendError::Unwritten`] when that takes longer, or where it would have to wait in such
    /// a callback; [`SendError::NotConnected`] when the connection ended first.
    pub fn flush(&self, timeout: Duration) -> Result<(), SendError> {
        self.shared.flush(timeout)
    }

    /// Waits until the connection is open, for this long at most: from before the run on, while
    /// connecting, and while the app waits to connect again. Returns at once where it is open
    /// already, as a blocking [`WebSocket`](crate::WebSocket) is. `on_open` may then not have
    /// returned yet, or not have been called.
    ///
    /// Blocks the calling thread and no other. In a callback of this app, or of another on its loop,
    /// it does not wait.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use websocket_app::WebSocketApp;
    ///
    /// let app = WebSocketApp::new("wss://echo.example/").spawn()?;
    /// let ws = app.sender();
    /// ws.wait_open(Duration::from_secs(10))?;
    /// ws.send("hello")?;
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::NotInTime`] when it is not open by then, or where it would have to wait in
    /// such a callback; [`SendError::NotConnected`], at once, when it will not be: the app is closed, its
    /// run is over, or it was dropped without one.
    pub fn wait_open(&self, timeout: Duration) -> Result<(), SendError> {
        self.shared.wait_open(timeout)
    }

    /// Counts the bytes that wait to be handed to the operating system, frame headers included. Also
    /// those that only wait for what is sent next.
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        self.shared.buffered()
    }

    /// Returns where the app is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// Returns the opening handshake of the latest connection: the server's headers, the
    /// subprotocol, the addresses. `None` before the first.
    #[must_use]
    pub fn handshake(&self) -> Option<Arc<Handshake>> {
        self.shared.handshake()
    }

    /// Counts what went through this app so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// Where an app is in its life: see [`Sender::state`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It does not run yet.
    #[default]
    Idle,
    /// It looks up, dials, or shakes hands, or waits for its turn to do so.
    Connecting,
    /// Messages can be sent.
    Open,
    /// One side has begun to close, or a send over a blocking `WebSocket` has found the connection
    /// lost: nothing more can be sent.
    Closing,
    /// The connection was lost, and it waits for the next attempt.
    Waiting,
    /// The run is over, or there will be none: the app was refused, or dropped.
    Closed,
}

/// Shows its name in lower case.
///
/// ```
/// assert_eq!(websocket_app::State::Waiting.to_string(), "waiting");
/// ```
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Idle => "idle",
            State::Connecting => "connecting",
            State::Open => "open",
            State::Closing => "closing",
            State::Waiting => "waiting",
            State::Closed => "closed",
        })
    }
}

/// What becomes of a message for which the queue has no room: see
/// [`WebSocketApp::send_policy`](crate::WebSocketApp::send_policy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendPolicy {
    /// A send on an ordinary thread waits for room, up to `send_timeout`.
    #[default]
    Wait,
    /// It is [`SendError::QueueFull`] at once. [`Sender::send_timeout`] waits as long as it says.
    Fail,
    /// The oldest messages make room for it: those that wait and have not begun to go out are
    /// dropped, for whom the latest is what counts. No send waits for the peer, and no message is
    /// refused for lack of room, but one that is longer than `queue_while_disconnected` allows
    /// while it has to wait for a connection. Control frames are not dropped.
    ///
    /// Some more are dropped than have to be, up to a sixteenth of `max_send_buffer`.
    /// [`Stats::messages_dropped`] counts them all. What `queue_while_disconnected` keeps makes
    /// room in the same way, and a dropped message is not kept. [`Sender::flush`] does not wait for
    /// one that was dropped. With compression each message is compressed by itself, as if
    /// `client_no_context_takeover` had been agreed to.
    ///
    /// What a [`MessageWriter`] sends in several fragments is not dropped, and waits for room.
    DropOldest,
}

/// What went through an app so far, all connections together: see [`Sender::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Data messages given to `send` that were written or queued.
    pub messages_sent: u64,
    /// Those of them that were dropped to make room for later ones: see [`SendPolicy::DropOldest`].
    pub messages_dropped: u64,
    /// Data messages that were handed to callbacks, or are about to be.
    pub messages_received: u64,
    /// Payload bytes of the messages sent.
    pub bytes_sent: u64,
    /// Payload bytes of the messages received.
    pub bytes_received: u64,
    /// Payload bytes of the messages sent, as they go over the wire: fewer than `bytes_sent` by
    /// what was saved by compression.
    pub wire_bytes_sent: u64,
    /// Payload bytes of the messages received, as they came over the wire.
    pub wire_bytes_received: u64,
    /// Pings sent, the keepalive's included.
    pub pings_sent: u64,
    /// Pongs received.
    pub pongs_received: u64,
    /// The time between the keepalive's latest answered ping and its pong.
    pub last_round_trip: Option<Duration>,
    /// How many times the connection was made anew.
    pub reconnects: u64,
}
