//! Callbacks as events in a channel, for `select!`, for loops, and for programs with a loop of
//! their own.

use std::fmt;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender as Channel, bounded};

use super::callbacks::Callbacks;
use super::handle::AppHandle;
use super::handler::Handler;
use super::websocket_app::WebSocketApp;
use crate::calls::CallbackError;
use crate::close::{Close, ClosedBy};
use crate::error::Error;
use crate::link::Sender;
use crate::message::{Fragment, Message, OwnedMessage};
use crate::promise::promise;

/// What happened to an app: from [`WebSocketApp::events`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The connection is open.
    Open,
    /// The connection is open again after it was lost.
    Reconnect,
    /// A message.
    Message(OwnedMessage),
    /// A piece of a message, instead of the whole, where [`EventOptions::fragments`] asks for them.
    Fragment {
        /// The piece; its kind is that of the whole message.
        data: OwnedMessage,
        /// Whether this piece begins a message.
        first: bool,
        /// Whether this piece ends it.
        last: bool,
        /// The whole message's length in bytes, where it is known: see
        /// [`Fragment::message_len`].
        message_len: Option<u64>,
    },
    /// A ping, which has been answered already.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// What went wrong. The error that ends a run is in the [`Event::Error`] before the last
    /// [`Event::Close`].
    Error(Error),
    /// The connection is closed, or the run is over without one.
    Close(Close),
}

/// How [`WebSocketApp::events`] gives events; a number alone is a capacity.
///
/// ```no_run
/// # fn request_repaint() {}
/// use websocket_app::{EventOptions, WebSocketApp};
///
/// // A frame loop: woken up when there is something to show, it takes what has come.
/// let options = EventOptions::new(1000).wake_with(request_repaint);
/// let events = WebSocketApp::new("wss://ticker.example/").events(options);
/// let draw_frame = || {
///     while let Some(event) = events.try_recv() {
///         println!("{event:?}");
///     }
/// };
/// # draw_frame();
/// ```
#[must_use]
pub struct EventOptions {
    capacity: usize,
    fragments: bool,
    wake: Option<Wake>,
}

type Wake = Box<dyn FnMut() + Send>;

impl EventOptions {
    /// Begins with how many events the channel holds; with none, each is handed over.
    pub fn new(capacity: usize) -> Self {
        EventOptions { capacity, fragments: false, wake: None }
    }

    /// Gives messages piece by piece as they arrive, as [`Event::Fragment`]. Defaults to `false`:
    /// whole, as [`Event::Message`].
    pub fn fragments(mut self, fragments: bool) -> Self {
        self.fragments = fragments;
        self
    }

    /// Calls a closure behind each event, once that can be received: for programs that sleep in a
    /// loop of their own, such as a GUI's. Called on the app's thread, which waits for it. Defaults
    /// to none. The channel holds at least one event then.
    pub fn wake_with(mut self, wake: impl FnMut() + Send + 'static) -> Self {
        self.wake = Some(Box::new(wake));
        self
    }
}

impl From<usize> for EventOptions {
    fn from(capacity: usize) -> Self {
        EventOptions::new(capacity)
    }
}

impl fmt::Debug for EventOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventOptions")
            .field("capacity", &self.capacity)
            .field("fragments", &self.fragments)
            .finish_non_exhaustive()
    }
}

/// What happens to an app that runs on a thread of its own: from [`WebSocketApp::events`].
///
/// Iterating waits for the next event, until the run is over and all have been received. Dropping
/// it closes the connection at the next event.
#[derive(Debug)]
#[must_use = "the connection is closed when it is dropped"]
pub struct Events {
    receiver: Receiver<Event>,
    app: AppHandle,
}

impl Events {
    /// Returns a handle to send and close with.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.app.sender()
    }

    /// Closes the connection for good: see [`Sender::close`]. The events go on until the last
    /// [`Event::Close`].
    pub fn close(&self) {
        self.app.close();
    }

    /// Waits for the next event; `None` when the run is over and all have been received.
    #[must_use]
    pub fn recv(&self) -> Option<Event> {
        self.receiver.recv().ok()
    }

    /// Waits for the next event for this long; `None` when none came, or none comes any more.
    #[must_use]
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        self.receiver.recv_timeout(timeout).ok()
    }

    /// Returns the next event, if there is one now.
    #[must_use]
    pub fn try_recv(&self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }

    /// Returns the channel's receiver, for crossbeam's `select!`. It is disconnected behind the
    /// last event.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<Event> {
        &self.receiver
    }

    /// Throws away what comes and waits until the run is over. Does not end it:
    /// [`close`](Self::close) does.
    ///
    /// # Errors
    ///
    /// What made the app give up: as [`AppHandle::join`].
    pub fn join(self) -> Result<Close, Error> {
        self.app.check_join()?;
        while self.recv().is_some() {}
        self.app.join()
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.recv()
    }
}

/// Sends what happens into the channel, and closes the connection when nobody listens any more.
struct Forwarder {
    channel: Channel<Event>,
    fragments: bool,
    wake: Option<Wake>,
}

pub(super) fn run(app: WebSocketApp<Callbacks>, options: EventOptions) -> Events {
    let EventOptions { capacity, fragments, wake } = options;
    let (channel, receiver) = bounded(capacity.max(usize::from(wake.is_some())));
    let sender = app.sender();
    match app.with_other_handler(Forwarder { channel, fragments, wake }).spawn() {
        Ok(app) => Events { receiver, app },
        Err(error) => {
            // There is no thread that could wait for room, so there must be some.
            let (channel, receiver) = bounded(capacity.max(2));
            let _ = channel.send(Event::Error(error.clone()));
            let _ = channel.send(Event::Close(Close::without_connection(ClosedBy::Lost)));
            let (giver, result) = promise();
            giver.give(Err(error));
            Events { receiver, app: AppHandle::new(sender, result) }
        }
    }
}

impl Forwarder {
    fn forward(&mut self, ws: &Sender, event: Event) -> Result<(), CallbackError> {
        if self.channel.send(event).is_err() {
            ws.close();
        } else if let Some(wake) = &mut self.wake {
            wake();
        }
        Ok(())
    }
}

impl Handler for Forwarder {
    fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.forward(ws, Event::Open)
    }

    fn on_reconnect(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.forward(ws, Event::Reconnect)
    }

    fn on_message(&mut self, ws: &Sender, message: Message<'_>) -> Result<(), CallbackError> {
        self.forward(ws, Event::Message(message.into_owned()))
    }

    fn on_fragment(&mut self, ws: &Sender, fragment: Fragment<'_>) -> Result<(), CallbackError> {
        let Fragment { data, first, last, message_len } = fragment;
        self.forward(ws, Event::Fragment { data: data.into_owned(), first, last, message_len })
    }

    fn wants_fragments(&self) -> bool {
        self.fragments
    }

    fn on_ping(&mut self, ws: &Sender, payload: &[u8]) -> Result<(), CallbackError> {
        self.forward(ws, Event::Ping(payload.to_owned()))
    }

    fn on_pong(&mut self, ws: &Sender, payload: &[u8]) -> Result<(), CallbackError> {
        self.forward(ws, Event::Pong(payload.to_owned()))
    }

    fn on_error(&mut self, ws: &Sender, error: &Error) -> Result<(), CallbackError> {
        self.forward(ws, Event::Error(error.clone()))
    }

    fn on_close(&mut self, ws: &Sender, close: &Close) -> Result<(), CallbackError> {
        self.forward(ws, Event::Close(close.clone()))
    }
}
