//! What to write for each name of OkHttp's WebSocket (`okhttp3.WebSocket`, `WebSocketListener`).
//!
//! The shape is the same: a listener that is called back, and an object that any thread sends with.
//! What differs in behaviour:
//!
//! * There is one app for one connection at a time, which may come back by itself:
//!   [Reconnecting](super::_08_reconnecting).
//! * A queue that is full makes a thread wait, or fails the send
//!   ([Sending](super::_06_sending#back-pressure)); there it closes the connection.
//! * Pings go out every 30 s without asking, and any byte that comes in counts as life; there none
//!   go out by default, and the pong has to come within the interval.
//! * Pings are answered while a callback is busy; there the thread that calls the listener is the
//!   one that reads.
//! * `on_close` comes once for each connection, however it ended; there it is either `onClosed` or
//!   `onFailure`.
//! * The peer's Close is answered by itself; there `onClosing` has to call `close`.
//! * Compression is offered only if asked for; there it always is.
//!
//! | OkHttp | here |
//! |---|---|
//! | `client.newWebSocket(request, listener)` | [`WebSocketApp::new`]`(url)….`[`spawn`](crate::WebSocketApp::spawn)`()?` |
//! | a class that extends `WebSocketListener` | a [`Handler`], with [`with_handler`](crate::WebSocketApp::with_handler), or closures |
//! | `Request.Builder().header(…)` | [`header`](crate::WebSocketApp::header) |
//! | `Interceptor`, `Authenticator` | [`headers_with`](crate::WebSocketApp::headers_with), with [`retry_if`](crate::Reconnect::retry_if) for a 401 |
//! | `CookieJar` | [`keep_cookies`](crate::WebSocketApp::keep_cookies) |
//! | `Dns` | [`resolver`](crate::WebSocketApp::resolver) |
//! | `SocketFactory` | [`connector`](crate::WebSocketApp::connector) |
//! | `proxy`, `proxyAuthenticator` | [`proxy`](crate::WebSocketApp::proxy) |
//! | `CertificatePinner` | [`TlsConfig::pin`] |
//! | `sslSocketFactory` | [`tls`](crate::WebSocketApp::tls) |
//! | `followRedirects` | [`max_redirects`](crate::WebSocketApp::max_redirects), 0 by default |
//! | `connectTimeout`, `readTimeout`, `callTimeout` | [`connect_timeout`](crate::WebSocketApp::connect_timeout), which is for all of it |
//! | `writeTimeout` | [`send_timeout`](crate::WebSocketApp::send_timeout) |
//! | `pingInterval`, 0 by default | [`ping_interval`](crate::WebSocketApp::ping_interval), 30 s by default, and [`ping_timeout`](crate::WebSocketApp::ping_timeout) |
//! | `webSocketCloseTimeout`, 60 s | [`close_timeout`](crate::WebSocketApp::close_timeout), 10 s |
//! | `minWebSocketMessageToCompress` | [`Deflate::min_size`] |
//! | `onOpen(webSocket, response)` | `on_open(ws)`; [`Sender::handshake`] is the response |
//! | `onMessage(webSocket, text)`, `onMessage(webSocket, bytes)` | `on_message(ws, message)`, a [`Message`] of either kind |
//! | `onClosing`, `onClosed` | `on_close(ws, close)`, when it is over |
//! | `onFailure(webSocket, t, response)` | `on_error(ws, error)`, then `on_close`; [`Error::Rejected`] has the response |
//! | `webSocket.send(text)`, `send(bytes)`: false | [`Sender::send`]: a [`SendError`] that says why; [`try_send`](crate::Sender::try_send) never waits |
//! | sending before it is open, which is kept | [`wait_open`](crate::Sender::wait_open), or [`queue_while_disconnected`](crate::WebSocketApp::queue_while_disconnected) |
//! | `webSocket.queueSize()` | [`buffered_amount`](crate::Sender::buffered_amount) |
//! | `webSocket.close(code, reason)` | [`close_with`](crate::Sender::close_with)`(code, reason)?` |
//! | `webSocket.cancel()` | [`abort`](crate::Sender::abort) |
//! | `webSocket.request()` | [`Sender::handshake`] has the URL that was reached |
//! | `client.dispatcher.executorService.shutdown()` | no need: threads end with their apps |
//! | `MockWebServer` in tests | `server::Server` on port 0; callbacks can be [called without any](crate::Handler) |
//!
//! ---
//!
//! Next: [Coming from IXWebSocket](super::_23_from_ixwebsocket). All pages: [the manual](super).
//!
//! [`Deflate::min_size`]: crate::Deflate::min_size
//! [`Error::Rejected`]: crate::Error::Rejected
//! [`Handler`]: crate::Handler
//! [`Message`]: crate::Message
//! [`SendError`]: crate::SendError
//! [`Sender::handshake`]: crate::Sender::handshake
//! [`Sender::send`]: crate::Sender::send
//! [`TlsConfig::pin`]: crate::TlsConfig::pin
//! [`WebSocketApp::new`]: crate::WebSocketApp::new
