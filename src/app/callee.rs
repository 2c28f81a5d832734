//! [`AppCallee`]: an app's callbacks, as the loop calls them.

use std::sync::Arc;
use std::time::Duration;

use super::handler::Handler;
use super::owner::Owner;
use crate::calls::{CallbackError, Callee};
use crate::close::Close;
use crate::error::Error;
use crate::link::{Sender, Shared};
use crate::message::{Fragment, Message};

type OnTime = Box<dyn FnMut(&Sender) -> Result<(), CallbackError> + Send>;

/// A callback of `every`, or the handler's own timer.
pub(crate) struct Periodic {
    pub(crate) period: Duration,
    callback: Option<OnTime>,
}

impl Periodic {
    pub(crate) fn new(period: Duration, callback: OnTime) -> Self {
        Periodic { period, callback: Some(callback) }
    }

    pub(crate) fn of_handler(period: Duration) -> Self {
        Periodic { period, callback: None }
    }
}

pub(crate) struct AppCallee {
    handler: Box<dyn Handler>,
    periodic: Vec<Periodic>,
    sender: Owner,
}

impl AppCallee {
    pub(super) fn new(handler: Box<dyn Handler>, periodic: Vec<Periodic>, sender: Owner) -> Self {
        AppCallee { handler, periodic, sender }
    }

    pub(super) fn periods(&self) -> impl Iterator<Item = Duration> {
        self.periodic.iter().map(|periodic| periodic.period)
    }
}

impl Callee for AppCallee {
    const NAME: &str = "the run";

    /// A feed is to be heard whether or not what is sent gets through.
    const ANSWERS: bool = false;

    fn shared(&self) -> &Arc<Shared> {
        self.sender.shared()
    }

    fn on_open(&mut self) -> Result<(), CallbackError> {
        self.handler.on_open(&self.sender)
    }

    fn on_reconnect(&mut self) -> Result<(), CallbackError> {
        self.handler.on_reconnect(&self.sender)
    }

    fn on_message(&mut self, message: Message<'_>) -> Result<(), CallbackError> {
        self.handler.on_message(&self.sender, message)
    }

    fn on_fragment(&mut self, fragment: Fragment<'_>) -> Result<(), CallbackError> {
        self.handler.on_fragment(&self.sender, fragment)
    }

    fn on_ping(&mut self, payload: &[u8]) -> Result<(), CallbackError> {
        self.handler.on_ping(&self.sender, payload)
    }

    fn on_pong(&mut self, payload: &[u8]) -> Result<(), CallbackError> {
        self.handler.on_pong(&self.sender, payload)
    }

    fn on_time(&mut self, number: usize) -> Result<(), CallbackError> {
        match &mut self.periodic[number].callback {
            Some(callback) => callback(&self.sender),
            None => self.handler.on_timer(&self.sender),
        }
    }

    fn timer(&self, number: usize) -> &'static str {
        if self.periodic[number].callback.is_some() { "every" } else { "on_timer" }
    }

    fn on_error(&mut self, error: &Error) -> Result<(), CallbackError> {
        self.handler.on_error(&self.sender, error)
    }

    fn on_close(&mut self, close: &Close) -> Result<(), CallbackError> {
        self.handler.on_close(&self.sender, close)
    }
}
