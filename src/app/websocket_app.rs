//! [`WebSocketApp`]: a URL, options and callbacks, chained, and the ways to run them.

use std::sync::Arc;
use std::time::Duration;

use super::callbacks::{Callbacks, RenewalResult};
use super::callee::{AppCallee, Periodic};
use super::events::{self, EventOptions, Events};
use super::handle::{self, AppHandle};
use super::handler::Handler;
use super::owner::Owner;
use super::plan::{ConnectPlan, Renewal};
use super::returned::{ReturnedHandler, lend};
use super::session::{Session, Start};
use super::turns::DialTurns;
use crate::calls::CallbackResult;
use crate::calls::Dispatcher;
use crate::close::Close;
use crate::config::Config;
use crate::error::Error;
use crate::link::{SendPolicy, Sender, Shared};
use crate::message::{Fragment, Message};
use crate::panics;
use crate::promise::{Promise, promise};
use crate::reactor::{self, Running};
use crate::reconnect::{Attempt, Reconnect};
use crate::role::Role;

/// A WebSocket connection described by its URL, options and callbacks, in the manner of Python's
/// `WebSocketApp`.
///
/// Nothing happens before one of the ways to run is called: [`run_forever`](Self::run_forever) on
/// the calling thread, [`spawn`](Self::spawn) on a thread of its own, [`events`](Self::events) for
/// a channel instead of callbacks.
///
/// A callback gets the [`Sender`] first and returns nothing or a `Result`, whose error goes to
/// `on_error`. Callbacks of an app run on the thread that runs the app, one at a time, never under
/// a lock. The manual has [the whole contract](crate::manual::_04_promises).
///
/// ```no_run
/// use websocket_app::WebSocketApp;
///
/// WebSocketApp::new("wss://echo.example/")
///     .header("Authorization", "Bearer 1234")
///     .on_open(|ws| ws.send("Hello, server!"))
///     .on_message(|ws, message| {
///         println!("received: {message}");
///         ws.close();
///     })
///     .run_forever()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[must_use = "nothing happens before the app is run"]
pub struct WebSocketApp<H = Callbacks> {
    url: String,
    pub(super) config: Config,
    renewal: Renewal,
    handler: H,
    periodic: Vec<Periodic>,
    sender: Owner,
}

impl WebSocketApp {
    /// Describes a connection to a `ws://`, `wss://` or `ws+unix:` URL. Never fails: a bad URL is
    /// the error of the run.
    ///
    /// User info in the URL is sent as Basic authorization. A URL with a fragment is wrong (RFC
    /// 6455 §3).
    pub fn new(url: impl Into<String>) -> Self {
        WebSocketApp::with_handler(url, Callbacks::default())
    }

    /// Sets what is called when the connection is open. Messages can be sent from here on.
    pub fn on_open<R: CallbackResult>(
        mut self,
        mut callback: impl FnMut(&Sender) -> R + Send + 'static,
    ) -> Self {
        self.handler.on_open = Some(Box::new(move |ws| callback(ws).into_result()));
        self
    }

    /// Sets what is called when the connection is open again after it was lost. Defaults to
    /// `on_open`.
    pub fn on_reconnect<R: CallbackResult>(
        mut self,
        mut callback: impl FnMut(&Sender) -> R + Send + 'static,
    ) -> Self {
        self.handler.on_reconnect = Some(Box::new(move |ws| callback(ws).into_result()));
        self
    }

    /// Sets what is called with each message. The message is borrowed: [`Message::into_owned`]
    /// keeps it.
    pub fn on_message<R: CallbackResult>(
        mut self,
        mut callback: impl FnMut(&Sender, Message<'_>) -> R + Send + 'static,
    ) -> Self {
        self.handler.on_message =
            Some(Box::new(move |ws, message| callback(ws, message).into_result()));
        self
    }

    /// Sets what is called with each piece of a message as it arrives; nothing is put together, and
    /// `max_message_size` does not apply. Once set, every message comes here, in one or more
    /// pieces, and none to `on_message`.
    pub fn on_fragment<R: CallbackResult>(
        mut self,
        mut callback: impl FnMut(&Sender, Fragment<'_>) -> R + Send + 'static,
    ) -> Self {
        self.handler.on_fragment =
            Some(Box::new(move |ws, fragment| callback(ws, fragment).into_result()));
        self
    }

    /// Sets what is called with each ping's payload. The ping has been answered already.
    pub fn on_ping<R: CallbackResult>(
        mut self,
        mut callback: impl FnMut(&Sender, &[u8]) -> R + Send + 'static,
    ) -> Self {
        self.handler.on_ping =
            Some(Box::new(move |ws, payload| callback(ws, payload).into_result()));
        self
    }

    /// Sets what is called with each pong's payload, those that answer the keepalive's pings
    /// included.
    pub fn on_pong<R: CallbackResult>(
        mut self,
        mut callback: impl FnMut(&Sender, &[u8]) -> R + Send + 'static,
    ) -> Self {
        self.handler.on_pong =
            Some(Box::new(move |ws, payload| callback(ws, payload).into_result()));
        self
    }

    /// Sets what is called when something goes wrong: a callback's error, a failed connection. A
    /// Close from the peer is no error. Its own error ends the run. Defaults to a line in the log.
    pub fn on_error<R: CallbackResult>(
        mut self,
        mut callback: impl FnMut(&Sender, &Error) -> R + Send + 'static,
    ) -> Self {
        self.handler.on_error = Some(Box::new(move |ws, error| callback(ws, error).into_result()));
        self
    }

    /// Sets what is called when a connection is closed, and at the end of a run that never had one.
    /// With [`reconnect`](Self::reconnect) that is once for each connection; the last has no
    /// [`reconnect_in`](crate::Close::reconnect_in). Its error ends the run: there is nothing to send
    /// over any more.
    pub fn on_close<R: CallbackResult>(
        mut self,
        mut callback: impl FnMut(&Sender, &Close) -> R + Send + 'static,
    ) -> Self {
        self.handler.on_close = Some(Box::new(move |ws, close| callback(ws, close).into_result()));
        self
    }

    /// Runs the app on a thread of its own and gives what happens as [`Event`](crate::Event)s in a
    /// channel, for `select!` and loops: so many at a time, or as [`EventOptions`] say.
    ///
    /// While the channel is full the app waits, and what arrives waits with it, up to
    /// `max_receive_buffer`. The last event is an [`Event::Close`](crate::Event::Close); then the
    /// channel is disconnected. A bad URL or option is an [`Event::Error`](crate::Event::Error)
    /// before that. When the [`Events`] are dropped, the connection is closed at the next event.
    /// Callbacks set before are not called, but for those of [`every`](Self::every), on the app's
    /// thread.
    ///
    /// ```no_run
    /// use websocket_app::{Event, WebSocketApp};
    ///
    /// let events = WebSocketApp::new("wss://echo.example/").events(100);
    /// let ws = events.sender();
    /// for event in events {
    ///     match event {
    ///         Event::Open => ws.send("hello")?,
    ///         Event::Message(message) => println!("{message}"),
    ///         other => println!("{other:?}"),
    ///     }
    /// }
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
    pub fn events(self, options: impl Into<EventOptions>) -> Events {
        events::run(self, options.into())
    }
}

impl<H: Handler> WebSocketApp<H> {
    /// Describes a connection whose callbacks are the methods of one value, and so share its state
    /// without locks.
    pub fn with_handler(url: impl Into<String>, handler: H) -> Self {
        let sender = Owner::new(Sender::new(Arc::new(Shared::new(Role::Client))));
        WebSocketApp {
            url: url.into(),
            config: Config::default(),
            renewal: Renewal::default(),
            handler,
            periodic: Vec::new(),
            sender,
        }
    }

    /// Runs the app on the calling thread until it is over.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a bad URL or option, before any socket is opened and without a
    /// callback; [`Error::Panicked`] where [`Handler::wants_fragments`] or [`Handler::every`]
    /// panics. Otherwise what made the app give up, after `on_error` and `on_close`: the connection
    /// failed or was lost, or a callback panicked. A close by either side is no error.
    pub fn run_forever(self) -> Result<Close, Error> {
        let (start, result) = self.prepare()?;
        reactor::run::<Session>(start)?;
        handle::take(result)
    }

    /// Runs the app on a thread of its own, named `websocket-app`. The process does not wait for it
    /// at the end of `main`: [`AppHandle::join`] does.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a bad URL or option, before any socket is opened;
    /// [`Error::Panicked`] where [`Handler::wants_fragments`] or [`Handler::every`] panics. What
    /// goes wrong later is the result of [`AppHandle::join`].
    pub fn spawn(self) -> Result<AppHandle, Error> {
        let sender = self.sender();
        let (start, result) = self.prepare()?;
        let running = Running::<Session>::start("websocket-app")?;
        running.add(start)?;
        running.close();
        Ok(AppHandle::new(sender, result))
    }

    /// Runs the app on the calling thread until it is over, as [`run_forever`](Self::run_forever)
    /// does, and gives the handler back with the result: also where that is an error, and after a
    /// panic in a method of the handler, which is then as the panic left it.
    ///
    /// ```no_run
    /// use websocket_app::{CallbackError, Handler, Message, Sender, WebSocketApp};
    ///
    /// #[derive(Default)]
    /// struct Log(Vec<String>);
    ///
    /// impl Handler for Log {
    ///     fn on_message(&mut self, _: &Sender, message: Message<'_>) -> Result<(), CallbackError> {
    ///         self.0.push(message.to_string());
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let app = WebSocketApp::with_handler("wss://feed.example/", Log::default());
    /// let (result, log) = app.run_handler();
    /// println!("{} messages, {result:?}", log.0.len());
    /// ```
    pub fn run_handler(self) -> (Result<Close, Error>, H) {
        let (app, returned) = self.return_handler();
        let result = app.run_forever();
        (result, returned.take())
    }

    /// Has the handler given back when the run is over, wherever the app runs: by
    /// [`spawn`](Self::spawn), on an [`EventLoop`](crate::EventLoop), or never.
    ///
    /// ```no_run
    /// # #[derive(Default)]
    /// # struct Counter { messages: u64 }
    /// # impl websocket_app::Handler for Counter {}
    /// use websocket_app::WebSocketApp;
    ///
    /// let app = WebSocketApp::with_handler("wss://feed.example/", Counter::default());
    /// let (app, counter) = app.return_handler();
    /// let running = app.spawn()?;
    /// running.join()?;
    /// println!("{} messages", counter.join()?.messages);
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
    pub fn return_handler(self) -> (WebSocketApp<impl Handler>, ReturnedHandler<H>) {
        let WebSocketApp { url, config, renewal, handler, periodic, sender } = self;
        let (handler, returned) = lend(handler, &sender);
        (WebSocketApp { url, config, renewal, handler, periodic, sender }, returned)
    }

    /// Returns the handle to send and close with, before the app runs; callbacks get it anyway.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Connects again when the connection is lost, as the policy says. Defaults to off, as in
    /// Python's `WebSocketApp`: the run ends with the connection.
    pub fn reconnect(mut self, policy: Reconnect) -> Self {
        self.config.reconnect = Some(policy);
        self
    }

    /// Keeps up to so many bytes of messages that are sent while there is no connection, for the
    /// next one; some 60 more are counted for each, which keeping it takes. Without it, a send is
    /// then [`SendError::NotConnected`](crate::SendError::NotConnected). Defaults to off: orders
    /// that arrive late can do harm.
    ///
    /// The messages go out oldest first, those not wholly written to the lost connection included,
    /// right after `on_open` or `on_reconnect` has returned: what that callback sends goes before
    /// them. What is too much is [`SendError::BacklogFull`](crate::SendError::BacklogFull), unless
    /// [`send_policy`](Self::send_policy) has the oldest make room. What gets older than `max_age`
    /// is reported to `on_error` as [`SendError::Expired`](crate::SendError::Expired), and what is
    /// left at the end of the run as [`SendError::NotConnected`](crate::SendError::NotConnected),
    /// each with the message, also when a callback panicked; where `on_error` or `on_close` itself
    /// ended the run, the log tells how many.
    ///
    /// A message is written when the operating system has taken its last byte, over TLS the last
    /// byte of the record that this is in. So what the server has read whole is not sent again; of
    /// one that is, it may have read the beginning. A message that was handed to the operating
    /// system may still be lost with the connection: only the server's answer tells. The manual has
    /// [what may be lost](crate::manual::_08_reconnecting#what-may-be-lost).
    pub fn queue_while_disconnected(self, bytes: usize, max_age: Duration) -> Self {
        self.sender.shared().keep(bytes, max_age);
        self
    }

    /// Says what becomes of a message for which there is no room (`max_send_buffer`): its sender
    /// waits, it fails, or older ones are dropped for it. Defaults to
    /// [`SendPolicy::Wait`](crate::SendPolicy::Wait): nothing is lost, and who sends too much is
    /// slowed down.
    ///
    /// ```no_run
    /// use websocket_app::{SendPolicy, WebSocketApp};
    ///
    /// WebSocketApp::new("wss://display.example/")
    ///     .max_send_buffer(256 << 10)
    ///     .send_policy(SendPolicy::DropOldest)
    ///     .run_forever()?;
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
    pub fn send_policy(self, policy: SendPolicy) -> Self {
        self.sender.shared().set_policy(policy);
        self
    }

    /// Computes the URL anew for each attempt to connect: see [`Attempt`] for what it is told.
    /// Called on a thread of its own, so it may block. Defaults to the URL that the app was made
    /// with, which must be right all the same.
    ///
    /// Nothing limits how long it takes: `connect_timeout` counts from its return. Until then the
    /// attempt goes on, and has one of the turns that there are for this, as many as to connect
    /// ([`EventLoop::max_connecting`](crate::EventLoop::max_connecting)), so that it holds up no
    /// app without such a closure; `close()` ends the run at once all the same, and leaves it
    /// alone. Give what it asks a limit of its own.
    ///
    /// It may return a `Result`: an error fails the attempt, and the next is made as the policy
    /// says.
    pub fn url_with<R: RenewalResult<String>>(
        mut self,
        mut url: impl FnMut(&Attempt) -> R + Send + 'static,
    ) -> Self {
        self.renewal.url = Some(Box::new(move |attempt| url(attempt).into_result()));
        self
    }

    /// Computes headers anew for each attempt to connect, as [`url_with`](Self::url_with) does the
    /// URL, without a limit on its time either; they are added to those set with
    /// [`header`](Self::header): tokens expire. Defaults to none.
    pub fn headers_with<R: RenewalResult<Vec<(String, String)>>>(
        mut self,
        mut headers: impl FnMut(&Attempt) -> R + Send + 'static,
    ) -> Self {
        self.renewal.headers = Some(Box::new(move |attempt| headers(attempt).into_result()));
        self
    }

    /// Computes the subprotocols anew for each attempt to connect, as [`url_with`](Self::url_with)
    /// does the URL, without a limit on its time either. Defaults to those set with
    /// [`subprotocols`](Self::subprotocols).
    pub fn subprotocols_with<R: RenewalResult<Vec<String>>>(
        mut self,
        mut subprotocols: impl FnMut(&Attempt) -> R + Send + 'static,
    ) -> Self {
        self.renewal.subprotocols =
            Some(Box::new(move |attempt| subprotocols(attempt).into_result()));
        self
    }

    /// Limits the bytes of messages that wait while a callback is busy; then nothing more is read
    /// until it returns. The errors of attempts that fail meanwhile count too; then no other
    /// attempt is made until it returns. Defaults to 16 MiB.
    pub fn max_receive_buffer(mut self, bytes: usize) -> Self {
        self.config.live.max_receive_buffer = bytes;
        self
    }

    /// Calls a closure every so often while connected, first one period after the connection
    /// opened: an application's own heartbeat, or the renewal of a token. May be called several
    /// times. Each is counted from when the one before was to be, so they do not come later and
    /// later; those that a slow callback ate are not made up for. A period of zero is the error of
    /// the run.
    pub fn every<R: CallbackResult>(
        mut self,
        period: Duration,
        mut callback: impl FnMut(&Sender) -> R + Send + 'static,
    ) -> Self {
        let callback = Box::new(move |ws: &Sender| callback(ws).into_result());
        self.periodic.push(Periodic::new(period, callback));
        self
    }

    /// Checks everything that can be checked before a socket is opened.
    pub(super) fn prepare(mut self) -> Result<(Start, Promise<Result<Close, Error>>), Error> {
        // The program's own code: here it can fail nobody but the caller, nor hold anybody else up.
        let asked = panics::guarded(|| (self.handler.wants_fragments(), self.handler.every()));
        let (in_pieces, timer) = asked?;
        self.periodic.extend(timer.map(Periodic::of_handler));
        if self.periodic.iter().any(|periodic| periodic.period.is_zero()) {
            return Err(Error::invalid("every(0s)", "must be longer than zero"));
        }
        let plan = ConnectPlan::new(self.url, self.config, self.renewal)?;
        let live = plan.live();
        self.sender.shared().limit(live.max_send_buffer, live.send_timeout);
        let (giver, result) = promise();
        let dispatcher =
            Dispatcher::new(AppCallee::new(Box::new(self.handler), self.periodic, self.sender));
        let turns = DialTurns::of_the_process();
        Ok((Start { plan, dispatcher, in_pieces, turns, result: giver }, result))
    }

    /// The same connection with other callbacks.
    pub(super) fn with_other_handler<O: Handler>(self, handler: O) -> WebSocketApp<O> {
        let WebSocketApp { url, config, renewal, periodic, sender, .. } = self;
        WebSocketApp { url, config, renewal, handler, periodic, sender }
    }
}

impl<H> std::fmt::Debug for WebSocketApp<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold credentials.
        f.debug_struct("WebSocketApp").finish_non_exhaustive()
    }
}
