//! [`ReturnedHandler`]: an app's handler, given back when its run is over.
//!
//! Until then it is within another one, which hands on all calls and gives it back as it is dropped:
//! at the end of the run, on the thread that runs the app, or with an app that never runs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::handler::Handler;
use crate::calls::{CallbackError, is_inside};
use crate::close::Close;
use crate::error::Error;
use crate::link::Sender;
use crate::message::{Fragment, Message};
use crate::promise::{Giver, Promise, promise};

/// The [`Handler`] of an app, once its run is over: from
/// [`WebSocketApp::return_handler`](crate::WebSocketApp::return_handler).
///
/// Dropping it has the handler dropped at the end of the run.
#[must_use = "the handler is dropped with it"]
pub struct ReturnedHandler<H> {
    handler: Promise<H>,
    /// The app's.
    sender: Sender,
}

impl<H> ReturnedHandler<H> {
    /// Waits until the run is over, or the app was dropped without having run, and returns its
    /// handler; as a panic has left it, if a method of it has panicked.
    ///
    /// # Errors
    ///
    /// [`Error::Deadlock`], at once, within a callback of this app; the app runs on, and the handler
    /// is dropped in the end.
    pub fn join(self) -> Result<H, Error> {
        match is_inside(Arc::as_ptr(self.sender.shared()).addr()) {
            true => Err(Error::Deadlock { what: "its own app" }),
            false => Ok(self.take()),
        }
    }

    pub(super) fn take(self) -> H {
        // Only `Lent` has the other end, and gives it when dropped: sooner or later it is.
        self.handler.wait().expect("what is lent is given back")
    }
}

impl<H> fmt::Debug for ReturnedHandler<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReturnedHandler").finish_non_exhaustive()
    }
}

/// Makes what runs in a handler's place, and what gets it back.
pub(super) fn lend<H: Handler>(handler: H, sender: &Sender) -> (Lent<H>, ReturnedHandler<H>) {
    let (giver, promise) = promise();
    let returned = ReturnedHandler { handler: promise, sender: sender.clone() };
    (Lent { lent: Some((handler, giver)) }, returned)
}

pub(super) struct Lent<H> {
    /// Until it is dropped.
    lent: Option<(H, Giver<H>)>,
}

impl<H> Lent<H> {
    fn handler(&mut self) -> Option<&mut H> {
        self.lent.as_mut().map(|(handler, _)| handler)
    }
}

impl<H> Drop for Lent<H> {
    fn drop(&mut self) {
        if let Some((handler, giver)) = self.lent.take() {
            giver.give(handler);
        }
    }
}

impl<H: Handler> Handler for Lent<H> {
    fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.handler().map_or(Ok(()), |handler| handler.on_open(ws))
    }

    fn on_reconnect(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.handler().map_or(Ok(()), |handler| handler.on_reconnect(ws))
    }

    fn on_message(&mut self, ws: &Sender, message: Message<'_>) -> Result<(), CallbackError> {
        self.handler().map_or(Ok(()), |handler| handler.on_message(ws, message))
    }

    fn on_fragment(&mut self, ws: &Sender, fragment: Fragment<'_>) -> Result<(), CallbackError> {
        self.handler().map_or(Ok(()), |handler| handler.on_fragment(ws, fragment))
    }

    fn on_ping(&mut self, ws: &Sender, payload: &[u8]) -> Result<(), CallbackError> {
        self.handler().map_or(Ok(()), |handler| handler.on_ping(ws, payload))
    }

    fn on_pong(&mut self, ws: &Sender, payload: &[u8]) -> Result<(), CallbackError> {
        self.handler().map_or(Ok(()), |handler| handler.on_pong(ws, payload))
    }

    fn on_error(&mut self, ws: &Sender, error: &Error) -> Result<(), CallbackError> {
        self.handler().map_or(Ok(()), |handler| handler.on_error(ws, error))
    }

    fn on_close(&mut self, ws: &Sender, close: &Close) -> Result<(), CallbackError> {
        self.handler().map_or(Ok(()), |handler| handler.on_close(ws, close))
    }

    fn on_timer(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.handler().map_or(Ok(()), |handler| handler.on_timer(ws))
    }

    fn every(&self) -> Option<Duration> {
        self.lent.as_ref().and_then(|(handler, _)| handler.every())
    }

    fn wants_fragments(&self) -> bool {
        self.lent.as_ref().is_some_and(|(handler, _)| handler.wants_fragments())
    }
}
