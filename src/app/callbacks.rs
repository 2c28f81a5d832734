//! The closures of a [`WebSocketApp`](crate::WebSocketApp) as one [`Handler`].

use std::fmt;

use super::handler::Handler;
use crate::calls::CallbackError;
use crate::close::Close;
use crate::error::Error;
use crate::link::Sender;
use crate::message::{Fragment, Message};

/// What a closure that computes something for an attempt to connect may return: the value, or a
/// `Result` whose error fails the attempt, which is then tried again as any other.
pub trait RenewalResult<T>: sealed_renewal::Sealed<T> {
    #[doc(hidden)]
    fn into_result(self) -> Result<T, CallbackError>;
}

/// For what is computed, and for no other type: it would be on the page of each.
macro_rules! renewal_results {
    ($($computed:ty),*) => {$(
        impl RenewalResult<$computed> for $computed {
            fn into_result(self) -> Result<$computed, CallbackError> {
                Ok(self)
            }
        }

        impl sealed_renewal::Sealed<$computed> for $computed {}
    )*};
}

renewal_results!(String, Vec<String>, Vec<(String, String)>);

impl<T, E: Into<CallbackError>> RenewalResult<T> for Result<T, E> {
    fn into_result(self) -> Result<T, CallbackError> {
        self.map_err(Into::into)
    }
}

mod sealed_renewal {
    pub trait Sealed<T> {}
    impl<T, E> Sealed<T> for Result<T, E> {}
}

type OnEvent = Box<dyn FnMut(&Sender) -> Result<(), CallbackError> + Send>;
type OnMessage = Box<dyn FnMut(&Sender, Message<'_>) -> Result<(), CallbackError> + Send>;
type OnFragment = Box<dyn FnMut(&Sender, Fragment<'_>) -> Result<(), CallbackError> + Send>;
type OnBytes = Box<dyn FnMut(&Sender, &[u8]) -> Result<(), CallbackError> + Send>;
type OnError = Box<dyn FnMut(&Sender, &Error) -> Result<(), CallbackError> + Send>;
type OnClose = Box<dyn FnMut(&Sender, &Close) -> Result<(), CallbackError> + Send>;

/// The closures of an app made with [`WebSocketApp::new`](crate::WebSocketApp::new); those that are
/// not set do nothing.
#[derive(Default)]
pub struct Callbacks {
    pub(super) on_open: Option<OnEvent>,
    pub(super) on_reconnect: Option<OnEvent>,
    pub(super) on_message: Option<OnMessage>,
    pub(super) on_fragment: Option<OnFragment>,
    pub(super) on_ping: Option<OnBytes>,
    pub(super) on_pong: Option<OnBytes>,
    pub(super) on_error: Option<OnError>,
    pub(super) on_close: Option<OnClose>,
}

/// Shows which are set.
///
/// ```
/// assert_eq!(format!("{:?}", websocket_app::Callbacks::default()), "Callbacks {}");
/// ```
impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_set = [
            ("on_open", self.on_open.is_some()),
            ("on_reconnect", self.on_reconnect.is_some()),
            ("on_message", self.on_message.is_some()),
            ("on_fragment", self.on_fragment.is_some()),
            ("on_ping", self.on_ping.is_some()),
            ("on_pong", self.on_pong.is_some()),
            ("on_error", self.on_error.is_some()),
            ("on_close", self.on_close.is_some()),
        ];
        let set = is_set.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name);
        f.write_str("Callbacks ")?;
        f.debug_set().entries(set).finish()
    }
}

impl Handler for Callbacks {
    fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.on_open.as_mut().map_or(Ok(()), |callback| callback(ws))
    }

    fn on_reconnect(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        match &mut self.on_reconnect {
            Some(callback) => callback(ws),
            None => self.on_open(ws),
        }
    }

    fn on_message(&mut self, ws: &Sender, message: Message<'_>) -> Result<(), CallbackError> {
        self.on_message.as_mut().map_or(Ok(()), |callback| callback(ws, message))
    }

    fn on_fragment(&mut self, ws: &Sender, fragment: Fragment<'_>) -> Result<(), CallbackError> {
        self.on_fragment.as_mut().map_or(Ok(()), |callback| callback(ws, fragment))
    }

    fn on_ping(&mut self, ws: &Sender, payload: &[u8]) -> Result<(), CallbackError> {
        self.on_ping.as_mut().map_or(Ok(()), |callback| callback(ws, payload))
    }

    fn on_pong(&mut self, ws: &Sender, payload: &[u8]) -> Result<(), CallbackError> {
        self.on_pong.as_mut().map_or(Ok(()), |callback| callback(ws, payload))
    }

    fn on_error(&mut self, ws: &Sender, error: &Error) -> Result<(), CallbackError> {
        match &mut self.on_error {
            Some(callback) => callback(ws, error),
            None => {
                log::error!(target: "websocket_app", "{error}");
                Ok(())
            }
        }
    }

    fn on_close(&mut self, ws: &Sender, close: &Close) -> Result<(), CallbackError> {
        self.on_close.as_mut().map_or(Ok(()), |callback| callback(ws, close))
    }

    fn wants_fragments(&self) -> bool {
        self.on_fragment.is_some()
    }
}
