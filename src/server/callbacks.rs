//! The closures of a [`Server`](super::Server): every client's are the same.

use std::sync::Arc;

use super::{Answer, Client, Handler, LOG, Request};
use crate::calls::{CallbackError, Callee};
use crate::close::Close;
use crate::error::Error;
use crate::link::Shared;
use crate::message::{Fragment, Message};

type Outcome = Result<(), CallbackError>;
type OnEvent = Box<dyn Fn(&Client) -> Outcome + Send + Sync>;
type OnMessage = Box<dyn Fn(&Client, Message<'_>) -> Outcome + Send + Sync>;
type OnFragment = Box<dyn Fn(&Client, Fragment<'_>) -> Outcome + Send + Sync>;
type OnBytes = Box<dyn Fn(&Client, &[u8]) -> Outcome + Send + Sync>;
type OnError = Box<dyn Fn(&Client, &Error) -> Outcome + Send + Sync>;
type OnClose = Box<dyn Fn(&Client, &Close) -> Outcome + Send + Sync>;

/// The closures of a server made with [`Server::new`](super::Server::new); those that are not set do
/// nothing.
#[derive(Default)]
pub struct Callbacks {
    pub(super) on_open: Option<OnEvent>,
    pub(super) on_message: Option<OnMessage>,
    pub(super) on_fragment: Option<OnFragment>,
    pub(super) on_ping: Option<OnBytes>,
    pub(super) on_pong: Option<OnBytes>,
    pub(super) on_error: Option<OnError>,
    pub(super) on_close: Option<OnClose>,
}

/// Shows which are set: of a closure there is nothing else to see.
impl std::fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callbacks")
            .field("on_open", &self.on_open.is_some())
            .field("on_message", &self.on_message.is_some())
            .field("on_close", &self.on_close.is_some())
            .finish_non_exhaustive()
    }
}

pub(super) type OnRequest = Box<dyn Fn(&Request) -> Answer + Send + Sync>;
pub(super) type MakeHandler = Box<dyn Fn(&Request) -> Box<dyn Handler> + Send + Sync>;

/// What every client's callbacks are made of.
pub(super) enum Source {
    Shared(Arc<Callbacks>),
    Each(MakeHandler),
}

/// One client's callbacks.
pub(super) enum Handlers {
    Shared(Arc<Callbacks>),
    Own(Box<dyn Handler>),
}

impl Source {
    pub(super) fn handlers(&self, request: &Request) -> Handlers {
        match self {
            Source::Shared(callbacks) => Handlers::Shared(Arc::clone(callbacks)),
            Source::Each(make) => Handlers::Own(make(request)),
        }
    }
}

impl Handlers {
    pub(super) fn wants_fragments(&self) -> bool {
        match self {
            Handlers::Shared(callbacks) => callbacks.on_fragment.is_some(),
            Handlers::Own(handler) => handler.wants_fragments(),
        }
    }
}

/// A client's callbacks, as the loop calls them.
pub(super) struct ClientCallee {
    pub(super) handlers: Handlers,
    pub(super) client: Client,
}

/// Calls a method of the client's own handler, or the closure of that name.
macro_rules! call {
    ($callee:ident.$name:ident($($argument:expr)?)) => {
        match &mut $callee.handlers {
            Handlers::Own(handler) => handler.$name(&$callee.client $(, $argument)?),
            Handlers::Shared(callbacks) => match &callbacks.$name {
                Some(callback) => callback(&$callee.client $(, $argument)?),
                None => Ok(()),
            },
        }
    };
}

impl Callee for ClientCallee {
    const NAME: &str = "a client's connection";

    const ANSWERS: bool = true;

    fn shared(&self) -> &Arc<Shared> {
        self.client.shared()
    }

    fn on_open(&mut self) -> Outcome {
        call!(self.on_open())
    }

    fn on_message(&mut self, message: Message<'_>) -> Outcome {
        call!(self.on_message(message))
    }

    fn on_fragment(&mut self, fragment: Fragment<'_>) -> Outcome {
        call!(self.on_fragment(fragment))
    }

    fn on_ping(&mut self, payload: &[u8]) -> Outcome {
        call!(self.on_ping(payload))
    }

    fn on_pong(&mut self, payload: &[u8]) -> Outcome {
        call!(self.on_pong(payload))
    }

    fn on_error(&mut self, error: &Error) -> Outcome {
        if let Handlers::Shared(callbacks) = &self.handlers
            && callbacks.on_error.is_none()
        {
            log::debug!(target: LOG, "client {}: {error}", self.client.id());
        }
        call!(self.on_error(error))
    }

    fn on_close(&mut self, close: &Close) -> Outcome {
        call!(self.on_close(close))
    }
}
