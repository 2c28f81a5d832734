//! What to write for each name of IXWebSocket (`ix::WebSocket`, `ix::WebSocketServer`).
//!
//! What differs in behaviour:
//!
//! * Reconnecting is off unless asked for; there it is on. The time between attempts has a random
//!   part.
//! * Callbacks are one for each kind of event, run on the app's own thread one at a time, and never
//!   within a `send` of yours.
//! * Pings are answered while a callback is busy, and go out every 30 s without asking; there they
//!   are off by default.
//! * `close()` never blocks and may be called in a callback; `stop()` there joins the thread.
//! * A server has one thread, or as many as it is told to; there it has one for each client. A
//!   `broadcast` waits for nobody.
//! * Compression is offered only if asked for.
//! * There are proxies, HTTP and SOCKS.
//!
//! # `ix::WebSocket`
//!
//! | IXWebSocket | here |
//! |---|---|
//! | `setUrl(url)` | [`WebSocketApp::new`]`(url)` |
//! | `setExtraHeaders` | [`header`](crate::WebSocketApp::header) for each |
//! | `addSubProtocol` | [`subprotocols`](crate::WebSocketApp::subprotocols) |
//! | `setTLSOptions`: `caFile`, `certFile`, `keyFile` | [`tls`](crate::WebSocketApp::tls): [`root_certificate_file`](crate::TlsConfig::root_certificate_file), [`identity_pem_files`](crate::TlsConfig::identity_pem_files) |
//! | `caFile = "NONE"`, `disable_hostname_validation` | [`danger_accept_invalid_certs`](crate::TlsConfig::danger_accept_invalid_certs), [`danger_accept_invalid_hostnames`](crate::TlsConfig::danger_accept_invalid_hostnames) |
//! | `setHandshakeTimeout`, 60 s | [`connect_timeout`](crate::WebSocketApp::connect_timeout), 10 s |
//! | `setPingInterval(seconds)` | [`ping_interval`](crate::WebSocketApp::ping_interval), on by default |
//! | `setPingMessage` | no: the keepalive's pings are its own; [`Sender::ping`] sends yours, [`every`](crate::WebSocketApp::every) is a clock |
//! | `enablePong`, `disablePong` | no: pings are answered ([RFC 6455 §5.5.2]) |
//! | `setPerMessageDeflateOptions`, `enablePerMessageDeflate`, `disablePerMessageDeflate` | [`compression`](crate::WebSocketApp::compression) with [`Deflate`]; without it none |
//! | `enableAutomaticReconnection` | [`reconnect`](crate::WebSocketApp::reconnect) |
//! | `setMinWaitBetweenReconnectionRetries`, `setMax…` | [`Reconnect::exponential`]`(min, max)` |
//! | `setOnMessageCallback`, by `msg->type`: | |
//! | – `Open`, `openInfo` | `on_open`, `on_reconnect`; [`Sender::handshake`] |
//! | – `Message`, `msg->str`, `msg->binary` | `on_message`, a [`Message`] of either kind |
//! | – `Fragment` | `on_fragment` |
//! | – `Ping`, `Pong` | `on_ping`, `on_pong` |
//! | – `Error`, `errorInfo.reason`, `http_status`, `retries`, `wait_time` | `on_error`: [`Error`]; [`Error::Rejected`] has the status, [`Error::Attempt`] the number and the time |
//! | – `Close`, `closeInfo.code`, `reason`, `remote` | `on_close`: [`Close::code`], [`Close::reason`], [`Close::by`] |
//! | `start()` | [`spawn`](crate::WebSocketApp::spawn) |
//! | `connect(seconds)`, then `run()` | [`run_forever`](crate::WebSocketApp::run_forever); without callbacks [`WebSocket::connect`](crate::WebSocket::connect) |
//! | `stop()` | [`Sender::close`], then [`AppHandle::join`] |
//! | `close(code, reason)` | [`Sender::close_with`] |
//! | `send(text)`, `sendText`, `sendUtf8Text`, `sendBinary` | [`Sender::send`], text or binary by its type |
//! | `WebSocketSendInfo::success` | the `Result`; `wireSize`: [`Stats::wire_bytes_sent`] |
//! | the progress callback of `send` | [`message_writer`](crate::Sender::message_writer): you write, piece by piece |
//! | `bufferedAmount()` | [`Sender::buffered_amount`] |
//! | `ping(text)` | [`Sender::ping`] |
//! | `getReadyState()`, `readyStateToString` | [`Sender::state`]; a [`State`](crate::State) can be shown |
//! | `setTrafficTrackerCallback`, `resetTrafficTrackerCallback` | [`Sender::stats`] |
//! | `getUrl()` | [`Sender::handshake`] has the URL that was reached |
//! | `getSubProtocols`, `getPingInterval`, `isAutomaticReconnectionEnabled` and the like | no: the program knows what it has set |
//! | `setAutoThreadName` | no: threads are named `websocket-…` |
//! | `ix::initNetSystem()` | no need |
//!
//! # `ix::WebSocketServer`
//!
//! | IXWebSocket | here, feature `server` |
//! |---|---|
//! | `WebSocketServer(port, host, …, maxConnections)` | `Server::new("host:port")`, `max_connections`: 10,000 instead of 128 |
//! | `setOnClientMessageCallback`, by `msg->type` | `on_open`, `on_message`, `on_close` … |
//! | `ConnectionState`, a subclass of it | `Server::with_handlers`: a value for each client |
//! | `connectionState->getId()`, `getRemoteIp()` | `Client::id`, `Request::peer_addr` |
//! | `openInfo.uri`, `openInfo.headers` | `Request::path`, `Request::headers` |
//! | `webSocket.send(…)` | `Client::send` |
//! | `getHost()`, `getPort()` | `ServerHandle::local_addr` |
//! | `server.getClients()` | `ServerHandle::clients` |
//! | `makeBroadcastServer()` | `on_message` with `ServerHandle::broadcast` |
//! | `setTLSOptions` | `Server::tls` |
//! | `listen()`, `start()`, `wait()` | `Server::run_forever`; or `spawn`, and `ServerHandle::join` |
//! | `stop()` | `ServerHandle::shutdown`, in order, or `abort` |
//! | `ix::HttpServer` on the same port | `Server::on_request` with `Answer::http` |
//!
//! `ix::HttpClient` has no counterpart: this is no HTTP client. The command `ws` is `wsapp`.
//!
//! ---
//!
//! Next: [Questions about clients](super::_24_questions). All pages: [the manual](super).
//!
//! [RFC 6455 §5.5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2
//! [`AppHandle::join`]: crate::AppHandle::join
//! [`Close::by`]: crate::Close::by
//! [`Close::code`]: crate::Close::code
//! [`Close::reason`]: crate::Close::reason
//! [`Deflate`]: crate::Deflate
//! [`Error`]: crate::Error
//! [`Error::Attempt`]: crate::Error::Attempt
//! [`Error::Rejected`]: crate::Error::Rejected
//! [`Message`]: crate::Message
//! [`Reconnect::exponential`]: crate::Reconnect::exponential
//! [`Sender::buffered_amount`]: crate::Sender::buffered_amount
//! [`Sender::close`]: crate::Sender::close
//! [`Sender::close_with`]: crate::Sender::close_with
//! [`Sender::handshake`]: crate::Sender::handshake
//! [`Sender::ping`]: crate::Sender::ping
//! [`Sender::send`]: crate::Sender::send
//! [`Sender::state`]: crate::Sender::state
//! [`Sender::stats`]: crate::Sender::stats
//! [`Stats::wire_bytes_sent`]: crate::Stats::wire_bytes_sent
//! [`WebSocketApp::new`]: crate::WebSocketApp::new
