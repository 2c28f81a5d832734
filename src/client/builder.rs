//! [`WebSocketBuilder`]: a URL and options for a blocking connection, and [`Canceller`], which ends
//! its `connect` from another thread.

use super::websocket::WebSocket;
use crate::config::Config;
use crate::dial::Cancel;
use crate::error::Error;

/// A URL and options for a blocking connection: from [`WebSocket::builder`].
///
/// ```no_run
/// use std::time::Duration;
/// use websocket_app::WebSocket;
///
/// let mut ws = WebSocket::builder("wss://echo.example/").connect_timeout(Duration::from_secs(3)).connect()?;
/// ws.send("hello")?;
/// println!("{}", ws.recv()?);
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[must_use = "nothing happens before `connect`"]
pub struct WebSocketBuilder {
    url: String,
    pub(super) config: Config,
    cancel: Cancel,
}

impl WebSocketBuilder {
    pub(super) fn new(url: String) -> Self {
        WebSocketBuilder { url, config: Config::default(), cancel: Cancel::new() }
    }

    /// Returns a handle with which another thread ends [`connect`](Self::connect): see
    /// [`Canceller`].
    pub fn canceller(&self) -> Canceller {
        Canceller(self.cancel.clone())
    }

    /// Connects. Blocks up to `connect_timeout`, or until [cancelled](Self::canceller).
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a bad URL or option, before any socket is opened;
    /// [`Error::Cancelled`]; otherwise why there is no connection, and in which phase.
    pub fn connect(self) -> Result<WebSocket, Error> {
        WebSocket::open(&self.url, self.config, &self.cancel)
    }
}

/// Ends a [`connect`](WebSocketBuilder::connect) from another thread: from
/// [`WebSocketBuilder::canceller`]. Clones are cheap and all mean the same connect.
///
/// ```no_run
/// use std::thread;
/// use std::time::Duration;
///
/// use websocket_app::{Error, WebSocket};
///
/// let builder = WebSocket::builder("wss://echo.example/");
/// let canceller = builder.canceller();
/// thread::spawn(move || {
///     // Until the user has had enough.
///     thread::sleep(Duration::from_secs(1));
///     canceller.cancel();
/// });
/// match builder.connect() {
///     Ok(ws) => println!("connected: {}", ws.handshake().status()),
///     Err(Error::Cancelled) => println!("cancelled"),
///     Err(error) => println!("error: {error}"),
/// }
/// ```
#[derive(Clone)]
pub struct Canceller(Cancel);

impl Canceller {
    /// Has `connect` return [`Error::Cancelled`] at once, whatever it is at: looking up, TCP, the
    /// proxy, TLS, the upgrade. Never blocks. A resolver or connector of the program's own that
    /// hangs is left alone, on a thread of its own.
    ///
    /// Called before `connect`, it is as if called during it. Once `connect` has returned it does
    /// nothing: [`Sender`](crate::Sender) has what ends a connection.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl std::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for WebSocketBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // URL and headers may hold credentials.
        f.debug_struct("WebSocketBuilder").finish_non_exhaustive()
    }
}
