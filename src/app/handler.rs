//! [`Handler`]: what the event loop calls. The closures of [`WebSocketApp`](crate::WebSocketApp)
//! are one implementation.

use std::time::Duration;

use crate::calls::CallbackError;
use crate::close::Close;
use crate::error::Error;
use crate::link::Sender;
use crate::message::{Fragment, Message};

/// Callbacks that share state without locks: the alternative to closures, for
/// [`WebSocketApp::with_handler`](crate::WebSocketApp::with_handler).
///
/// All methods are called by the thread that runs the app, one at a time and never under a lock, in
/// the order that [is promised](crate::manual::_04_promises). Each has a default that does nothing,
/// except that `on_error` logs.
///
/// ```no_run
/// use websocket_app::{CallbackError, Handler, Message, Sender, WebSocketApp};
///
/// #[derive(Default)]
/// struct Counter {
///     messages: u64,
/// }
///
/// impl Handler for Counter {
///     fn on_message(&mut self, ws: &Sender, message: Message<'_>) -> Result<(), CallbackError> {
///         self.messages += 1;
///         println!("{}: {message}", self.messages);
///         if self.messages == 10 {
///             ws.close();
///         }
///         Ok(())
///     }
/// }
///
/// let app = WebSocketApp::with_handler("wss://echo.example/", Counter::default());
/// let (result, counter) = app.run_handler();
/// println!("{} messages, and then: {}", counter.messages, result?);
/// # Ok::<(), websocket_app::Error>(())
/// ```
///
/// [`run_handler`](crate::WebSocketApp::run_handler) gives it back when the run is over; where the
/// app runs elsewhere, [`return_handler`](crate::WebSocketApp::return_handler) does.
///
/// To test one, call its methods: a [`Sender`] comes with any app, which need not run, and all that
/// callbacks get can be made.
///
/// ```
/// # use websocket_app::{CallbackError, Handler, Sender};
/// use websocket_app::{Close, ClosedBy, WebSocketApp};
///
/// #[derive(Default)]
/// struct Losses(u32);
///
/// impl Handler for Losses {
///     fn on_close(&mut self, _ws: &Sender, close: &Close) -> Result<(), CallbackError> {
///         self.0 += u32::from(close.by == ClosedBy::Lost);
///         Ok(())
///     }
/// }
///
/// let (mut losses, ws) = (Losses::default(), WebSocketApp::new("ws://test.example/").sender());
/// losses.on_close(&ws, &Close::new(1006, "", ClosedBy::Lost))?;
/// losses.on_close(&ws, &Close::new(1000, "bye", ClosedBy::Peer))?;
/// assert_eq!(losses.0, 1);
/// # Ok::<(), CallbackError>(())
/// ```
#[allow(unused_variables)]
pub trait Handler: Send + 'static {
    /// The connection is open.
    ///
    /// # Errors
    ///
    /// Like that of every method here, an error goes to [`on_error`](Self::on_error), and the
    /// connection goes on.
    fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        Ok(())
    }

    /// The connection is open again. Defaults to [`on_open`](Self::on_open).
    fn on_reconnect(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.on_open(ws)
    }

    /// A message has arrived whole.
    fn on_message(&mut self, ws: &Sender, message: Message<'_>) -> Result<(), CallbackError> {
        Ok(())
    }

    /// A piece of a message has arrived. **Never called unless
    /// [`wants_fragments`](Self::wants_fragments) returns `true`**: write both.
    fn on_fragment(&mut self, ws: &Sender, fragment: Fragment<'_>) -> Result<(), CallbackError> {
        Ok(())
    }

    /// A ping has arrived; it has been answered already.
    fn on_ping(&mut self, ws: &Sender, payload: &[u8]) -> Result<(), CallbackError> {
        Ok(())
    }

    /// A pong has arrived, those that answer the keepalive's pings included.
    fn on_pong(&mut self, ws: &Sender, payload: &[u8]) -> Result<(), CallbackError> {
        Ok(())
    }

    /// Something went wrong: a callback failed, or the connection did. An error or panic in here
    /// ends the run. Defaults to a line in the log, at level error.
    fn on_error(&mut self, ws: &Sender, error: &Error) -> Result<(), CallbackError> {
        log::error!(target: "websocket_app", "{error}");
        Ok(())
    }

    /// The connection is closed, or the run is over without one. An error or panic in here ends the
    /// run.
    fn on_close(&mut self, ws: &Sender, close: &Close) -> Result<(), CallbackError> {
        Ok(())
    }

    /// A period of the timer is over, while connected. **Never called unless
    /// [`every`](Self::every) returns one**: write both.
    fn on_timer(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        Ok(())
    }

    /// Returns how often [`on_timer`](Self::on_timer) is called while connected, the first time one
    /// period after the connection opened. It keeps to its schedule, as
    /// [`WebSocketApp::every`](crate::WebSocketApp::every) does, and zero is the error of the run.
    /// Asked once, on the thread that starts the run, before it begins: a panic in here is that
    /// call's error. Defaults to `None`, with which `on_timer` is never called.
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::{CallbackError, Handler, Sender};
    ///
    /// struct Heart {
    ///     beats: u64,
    /// }
    ///
    /// impl Handler for Heart {
    ///     fn on_timer(&mut self, ws: &Sender) -> Result<(), CallbackError> {
    ///         self.beats += 1;
    ///         ws.send(format!("beat {}", self.beats))?;
    ///         Ok(())
    ///     }
    ///
    ///     fn every(&self) -> Option<Duration> {
    ///         Some(Duration::from_secs(20))
    ///     }
    /// }
    /// ```
    fn every(&self) -> Option<Duration> {
        None
    }

    /// Returns whether messages go to [`on_fragment`](Self::on_fragment) in pieces as they arrive,
    /// instead of whole to [`on_message`](Self::on_message). Asked once, on the thread that starts
    /// the run, before it begins: a panic in here is that call's error. Defaults to `false`, with
    /// which `on_fragment` is never called.
    ///
    /// ```
    /// use websocket_app::{CallbackError, Fragment, Handler, Sender};
    ///
    /// struct Download {
    ///     bytes: usize,
    /// }
    ///
    /// impl Handler for Download {
    ///     fn on_fragment(&mut self, ws: &Sender, piece: Fragment<'_>) -> Result<(), CallbackError> {
    ///         self.bytes += piece.data.as_bytes().len();
    ///         Ok(())
    ///     }
    ///
    ///     fn wants_fragments(&self) -> bool {
    ///         true
    ///     }
    /// }
    /// ```
    fn wants_fragments(&self) -> bool {
        false
    }
}
