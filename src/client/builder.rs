//! [`WebSocketBuilder`]: a URL and options for a blocking connection.

use super::websocket::WebSocket;
use crate::config::Config;
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
}

impl WebSocketBuilder {
    pub(super) fn new(url: String) -> Self {
        WebSocketBuilder { url, config: Config::default() }
    }

    /// Connects. Blocks up to `connect_timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a bad URL or option, before any socket is opened; otherwise why there
    /// is no connection, and in which phase.
    pub fn connect(self) -> Result<WebSocket, Error> {
        WebSocket::open(&self.url, self.config)
    }
}

impl std::fmt::Debug for WebSocketBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // URL and headers may hold credentials.
        f.debug_struct("WebSocketBuilder").finish_non_exhaustive()
    }
}
