//! What to write for each name of tungstenite 0.30, and why a program may want to.
//!
//! tungstenite is a protocol over any stream: it reads and writes when it is asked to, and leaves
//! connecting, threads, timers and deadlines to the program. This crate, which reads frame headers
//! and makes handshakes with parts of tungstenite's, has those. Stay with tungstenite where you
//! need the protocol alone, for instance over a stream that is no socket and cannot be waited for.
//!
//! What differs in behaviour:
//!
//! * One thread reads while others send: tungstenite's `WebSocket` has one owner, for both.
//! * A close in order is no error: `Error::ConnectionClosed` and `AlreadyClosed` have no
//!   counterpart in callbacks, and `recv` gives [`Error::Closed`] with the code.
//! * With callbacks, pings are answered at once, not with the next read or write, and pings of our
//!   own go out by themselves. With [`WebSocket`] both happen while a thread is in
//!   [`recv`](crate::WebSocket::recv), and only then.
//! * Connecting, sending and closing have deadlines, and a host's next address is tried a quarter
//!   of a second after the one before, without waiting for that to fail.
//! * Redirects are not followed unless asked for; `connect` there follows three.
//! * A `wss://` URL works without choosing a feature.
//! * Compression is there, if asked for.
//! * A message is one frame, however long, unless a [`MessageWriter`](crate::MessageWriter) wrote it.
//!   tungstenite's peers take frames of up to 16 MiB unless told otherwise:
//!   [`message_writer`](crate::Sender::message_writer) for longer ones.
//! * A callback of a server never waits for its client, as a loop of `read` and `send` does: [How do I
//!   answer without losing anything?](super::_25_questions_of_servers#how-do-i-answer-without-losing-anything)
//!
//! # A client's loop
//!
//! ```no_run
//! use websocket_app::{Error, WebSocket};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut ws = WebSocket::connect("ws://127.0.0.1:9001/")?;
//! ws.send("Hello WebSocket")?;
//! loop {
//!     match ws.recv() {
//!         Ok(message) => println!("{message}"),
//!         // Error::ConnectionClosed, with the code and the reason.
//!         Err(Error::Closed(close)) => break println!("closed: {close}"),
//!         Err(error) => return Err(error.into()),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # One thread reads, another sends
//!
//! No read timeout, no channel, no mutex:
//!
//! ```no_run
//! use websocket_app::WebSocket;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut ws = WebSocket::connect("ws://127.0.0.1:9001/")?;
//! let sender = ws.sender().clone();
//! std::thread::spawn(move || {
//!     (0..5).try_for_each(|i| sender.send(format!("line {i}")))?;
//!     sender.close();
//!     Ok::<(), websocket_app::SendError>(())
//! });
//! // Until the connection is closed.
//! for message in &mut ws {
//!     println!("{}", message?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Clients
//!
//! | tungstenite | here |
//! |---|---|
//! | `connect(url)` | [`WebSocket::connect`]`(url)?`, or [`WebSocketApp`] with callbacks |
//! | the `Response` beside it | [`WebSocket::handshake`] |
//! | `connect_with_config(request, config, redirects)` | [`WebSocket::builder`]`(url)…`, [`max_redirects`](crate::WebSocketApp::max_redirects) |
//! | `ClientRequestBuilder::with_header`, `with_sub_protocol` | [`header`](crate::WebSocketApp::header), [`subprotocols`](crate::WebSocketApp::subprotocols) |
//! | `IntoClientRequest`, a `Request` of the crate `http` | a URL as text, with [`header`](crate::WebSocketApp::header) and its like |
//! | `client(request, stream)`, `client_tls` | [`socket`](crate::WebSocketApp::socket), [`connector`](crate::WebSocketApp::connector), [`Socket::from_stream`] |
//! | `Connector::NativeTls`, `Connector::Rustls` | `TlsConfig::native_tls`, `TlsConfig::rustls` |
//! | `read()` | [`recv`](crate::WebSocket::recv), or `on_message` |
//! | `set_read_timeout` of the stream | [`recv_timeout`](crate::WebSocket::recv_timeout) |
//! | `set_nonblocking` of the stream | no need: [`Sender`] for other threads, [`events`](crate::WebSocketApp::events) for `select!` |
//! | `send(message)` | [`send`](crate::WebSocket::send), [`Sender::send`] |
//! | `write(message)`, then `flush()` | `send`: small messages are [batched by themselves](super::_06_sending#batching); [`Sender::flush`] |
//! | `Message::Text(Utf8Bytes)`, `Message::Binary(Bytes)` | [`Message`] borrowed, [`OwnedMessage`] kept; to send, any text or bytes |
//! | `is_text()`, `to_text()`, `into_data()` | [`as_text`](crate::Message::as_text), [`as_bytes`](crate::Message::as_bytes), [`OwnedMessage`]'s own |
//! | `Message::Ping`, `Message::Pong` | `on_ping`, `on_pong` of [`WebSocketApp`] and of servers, `recv` gives neither; [`Sender::ping`], [`Sender::pong`], [`ping_wait`](crate::Sender::ping_wait) |
//! | `Message::Close(frame)` | `on_close`; [`Error::Closed`] of `recv` |
//! | `CloseCode` | a `u16`, with names in [`close_code`](crate::close_code) |
//! | `Message::Frame` | no: messages only |
//! | `close(Some(CloseFrame { code, reason }))`, then reading on | [`close_with`](crate::WebSocket::close_with)`(code, reason)?`, which waits for the answer; from another thread [`Sender::close_with`], after which `recv` gives [`Error::Closed`] |
//! | `close(None)`, which sends no code | [`close`](crate::WebSocket::close), which sends 1000 |
//! | `can_read()`, `can_write()` | [`Sender::state`] |
//! | `get_ref()`, `get_mut()`, `into_inner()` | no: the socket is the connection's; [`socket_options`](crate::WebSocketApp::socket_options) |
//! | `MaybeTlsStream`, `NoDelay` | the same; [`SocketOptions::nodelay`](crate::SocketOptions::nodelay) |
//! | `HandshakeError::Interrupted` | no: a non-blocking handshake is the library's own affair |
//! | `from_raw_socket`, `from_partially_read` | no: an opening handshake is made |
//! | `set_config`, `get_config` | no: limits are set before the run |
//! | `WebSocketContext`, `FrameSocket`, `ReadBuffer` | no: they are the protocol alone, tungstenite's own field |
//!
//! # `WebSocketConfig`
//!
//! | tungstenite | here |
//! |---|---|
//! | `max_message_size` | [`max_message_size`](crate::WebSocketApp::max_message_size), 64 MiB too; of a server 1 MiB |
//! | `max_frame_size` | no: a frame is limited by its message |
//! | `max_write_buffer_size` | [`max_send_buffer`](crate::WebSocketApp::max_send_buffer), 16 MiB instead of no limit; of a server 1 MiB for each client |
//! | `write_buffer_size`, `read_buffer_size` | no: sizes are found |
//! | `accept_unmasked_frames` | no ([RFC 6455 §5.1]) |
//!
//! # Errors
//!
//! | tungstenite | here |
//! |---|---|
//! | `Error::Io` | [`Error::Network`], with its [`Phase`] |
//! | `Error::Tls` | [`Error::Tls`] |
//! | `Error::Capacity` | [`Error::Limit`] |
//! | `Error::Protocol`, `Error::Utf8` | [`Error::Protocol`] |
//! | `Error::WriteBufferFull(message)` | [`SendError::QueueFull`], which hands the message back |
//! | `Error::Url`, `Error::HttpFormat` | [`Error::Invalid`] |
//! | `Error::AttackAttempt` | [`Error::Upgrade`]: a head that is too long |
//! | `Error::Http(response)` | [`Error::Rejected`] |
//! | `Error::ConnectionClosed`, `Error::AlreadyClosed` | [`Error::Closed`], [`SendError::NotConnected`] |
//!
//! # Servers
//!
//! | tungstenite | here, feature `server` |
//! |---|---|
//! | `TcpListener`, a thread for each, `accept(stream)` | `Server::new(address)`, `Server::with_listener(listener)`: no thread for each, nor a handshake of one stream |
//! | `accept_hdr(stream, callback)` | `Server::on_request` |
//! | `accept_with_config` | `Server::max_message_size` and its like |
//! | a loop of `read` and `send` | `Server::on_message`, `Client::send`, which never waits there: see above |
//! | a list of clients behind a `Mutex` | `ServerHandle::clients`, `broadcast`, `publish` |
//!
//! tokio-tungstenite's `StreamExt::split` has no counterpart, since nothing need be split; its
//! futures have none, since there are none: [Non-goals](super::_28_non_goals).
//!
//! ---
//!
//! Next: [Coming from OkHttp](super::_22_from_okhttp). All pages: [the manual](super).
//!
//! [RFC 6455 §5.1]: https://www.rfc-editor.org/rfc/rfc6455#section-5.1
//! [`Error::Closed`]: crate::Error::Closed
//! [`Error::Invalid`]: crate::Error::Invalid
//! [`Error::Limit`]: crate::Error::Limit
//! [`Error::Network`]: crate::Error::Network
//! [`Error::Protocol`]: crate::Error::Protocol
//! [`Error::Rejected`]: crate::Error::Rejected
//! [`Error::Tls`]: crate::Error::Tls
//! [`Error::Upgrade`]: crate::Error::Upgrade
//! [`Message`]: crate::Message
//! [`OwnedMessage`]: crate::OwnedMessage
//! [`Phase`]: crate::Phase
//! [`SendError::NotConnected`]: crate::SendError::NotConnected
//! [`SendError::QueueFull`]: crate::SendError::QueueFull
//! [`Sender`]: crate::Sender
//! [`Sender::close_with`]: crate::Sender::close_with
//! [`Sender::flush`]: crate::Sender::flush
//! [`Sender::ping`]: crate::Sender::ping
//! [`Sender::pong`]: crate::Sender::pong
//! [`Sender::send`]: crate::Sender::send
//! [`Sender::state`]: crate::Sender::state
//! [`Socket::from_stream`]: crate::Socket::from_stream
//! [`WebSocket`]: crate::WebSocket
//! [`WebSocket::builder`]: crate::WebSocket::builder
//! [`WebSocket::connect`]: crate::WebSocket::connect
//! [`WebSocket::handshake`]: crate::WebSocket::handshake
//! [`WebSocketApp`]: crate::WebSocketApp
