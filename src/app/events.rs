//! Callbacks as events in a channel, for `select!`.

use crossbeam_channel::{Receiver, Sender as Channel, bounded};

use super::callbacks::Callbacks;
use super::handler::{CallbackError, Handler};
use super::websocket_app::WebSocketApp;
use crate::close::{Close, ClosedBy};
use crate::error::Error;
use crate::link::{Sender, State};
use crate::message::{Message, OwnedMessage};

/// What happened to an app: from [`WebSocketApp::events`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The connection is open.
    Open,
    /// The connection is open again after it was lost.
    Reconnect,
    /// A message.
    Message(OwnedMessage),
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

/// Sends what happens into the channel, and closes the connection when nobody listens any more.
struct Forwarder {
    channel: Channel<Event>,
}

pub(super) fn run(app: WebSocketApp<Callbacks>, capacity: usize) -> (Sender, Receiver<Event>) {
    let (channel, events) = bounded(capacity);
    let sender = app.sender();
    let spawned = app.with_other_handler(Forwarder { channel }).spawn();
    if let Err(error) = spawned {
        // There is no thread that could wait for room, so there must be some.
        let (channel, events) = bounded(capacity.max(2));
        let _ = channel.send(Event::Error(error));
        let _ = channel.send(Event::Close(Close::without_frame(ClosedBy::Lost)));
        sender.shared().disconnected(State::Closed);
        return (sender, events);
    }
    (sender, events)
}

impl Forwarder {
    fn forward(&self, ws: &Sender, event: Event) -> Result<(), CallbackError> {
        if self.channel.send(event).is_err() {
            ws.close();
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
