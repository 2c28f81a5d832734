//! [`Handler`]: what is called for one client.

use super::Client;
use super::LOG;
use crate::calls::CallbackError;
use crate::close::Close;
use crate::error::Error;
use crate::message::{Fragment, Message};

/// The callbacks of one client, which share state without locks: made for each by what
/// [`Server::with_handlers`](super::Server::with_handlers) is given.
///
/// One is called at a time, never under a lock. Each has a default that does nothing, except that
/// `on_error` logs.
///
/// ```no_run
/// use websocket_app::server::{Client, Handler, Server};
/// use websocket_app::{CallbackError, Message};
///
/// #[derive(Default)]
/// struct Counter(u64);
///
/// impl Handler for Counter {
///     fn on_message(&mut self, client: &Client, _: Message<'_>) -> Result<(), CallbackError> {
///         self.0 += 1;
///         Ok(client.send(format!("your message number {}", self.0))?)
///     }
/// }
///
/// Server::with_handlers("127.0.0.1:9001", |_request| Counter::default()).run_forever()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[allow(unused_variables)]
pub trait Handler: Send + 'static {
    /// The connection is open.
    ///
    /// # Errors
    ///
    /// Like that of every method here, an error goes to [`on_error`](Self::on_error), and the
    /// connection goes on.
    fn on_open(&mut self, client: &Client) -> Result<(), CallbackError> {
        Ok(())
    }

    /// A message has arrived whole.
    fn on_message(&mut self, client: &Client, message: Message<'_>) -> Result<(), CallbackError> {
        Ok(())
    }

    /// A piece of a message has arrived. **Never called unless
    /// [`wants_fragments`](Self::wants_fragments) returns `true`**.
    fn on_fragment(
        &mut self,
        client: &Client,
        fragment: Fragment<'_>,
    ) -> Result<(), CallbackError> {
        Ok(())
    }

    /// A ping has arrived; it has been answered already.
    fn on_ping(&mut self, client: &Client, payload: &[u8]) -> Result<(), CallbackError> {
        Ok(())
    }

    /// A pong has arrived, those that answer the keepalive's pings included.
    fn on_pong(&mut self, client: &Client, payload: &[u8]) -> Result<(), CallbackError> {
        Ok(())
    }

    /// Something went wrong: a callback failed, or the connection did. An error or panic in here
    /// ends the connection. Defaults to a line in the log, at level debug: clients come and go as
    /// they please.
    fn on_error(&mut self, client: &Client, error: &Error) -> Result<(), CallbackError> {
        log::debug!(target: LOG, "client {}: {error}", client.id());
        Ok(())
    }

    /// The connection is closed. An error or panic in here is logged.
    fn on_close(&mut self, client: &Client, close: &Close) -> Result<(), CallbackError> {
        Ok(())
    }

    /// Returns whether messages go to [`on_fragment`](Self::on_fragment) in pieces as they arrive.
    /// Asked once, before `on_open`. Defaults to `false`.
    fn wants_fragments(&self) -> bool {
        false
    }
}
