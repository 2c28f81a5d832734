//! Questions about clients, with answers: what users of such libraries ask most.
//!
//! # How do I send from another thread?
//!
//! Clone a [`Sender`]: `app.sender()` before the run, or the `ws` of any callback. Any number of
//! threads may send, while the app reads: [Threads](super::_05_threads#senders).
//!
//! # How do I send before it is open?
//!
//! Send in `on_open`, or wait: [`wait_open`](crate::Sender::wait_open). A send before that is
//! [`SendError::NotConnected`], unless
//! [`queue_while_disconnected`](crate::WebSocketApp::queue_while_disconnected) keeps it.
//!
//! # Why does what stands behind `run_forever` not run?
//!
//! It runs when the app is over: `run_forever` is the loop. [`spawn`](crate::WebSocketApp::spawn)
//! returns at once, with the app on a thread of its own; then
//! [`wait_open`](crate::Sender::wait_open) and send.
//!
//! # Why does my program end at once?
//!
//! Because `main` does, which ends the process with all of its threads. `app.spawn()?;` as its last
//! line lets the app run for no longer than that. Keep what it returns, and end with
//! `running.join()?;`; or call `run_forever`. The same goes for a server.
//!
//! # How do I send something every ten seconds?
//!
//! [`every`](crate::WebSocketApp::every), which is called while connected and does not drift.
//!
//! # Can an app be run again?
//!
//! A run takes the app with it. Make another, in a function that returns one, or let it
//! [`reconnect`](crate::WebSocketApp::reconnect).
//!
//! # How do I wait for the answer to a question?
//!
//! The protocol has no questions and answers; the application's messages need a number by which
//! they are told apart. With one question at a time, [`WebSocket`] is enough: `send`, then `recv`.
//! With many, `on_message` looks up who waits for that number, in a map of channels: the example
//! `json_rpc`.
//!
//! # How do I run it beside my own loop?
//!
//! [`spawn`](crate::WebSocketApp::spawn) with callbacks that write into your channel. Or
//! [`events`](crate::WebSocketApp::events), which is such a channel: `crossbeam_channel::select!`
//! waits for it and for others of yours (the example `select`), and
//! [`wake_with`](crate::EventOptions::wake_with) tells a GUI that there is something to draw.
//!
//! # Why does it close after a minute?
//!
//! With code 1006 after 60 s without messages, it is most often a reverse proxy: nginx's
//! `proxy_read_timeout` is 60 s unless set. The pings that this library sends every 30 s prevent that,
//! so look whether `ping_interval` was turned off, and which side closes: `on_close` and
//! `RUST_LOG=websocket_app=debug` tell. Some servers close clients that send no *messages*:
//! [`every`](crate::WebSocketApp::every) sends what they want to hear. Others close each connection
//! after a day: [`reconnect`](crate::WebSocketApp::reconnect).
//!
//! # Why does it close with 1009?
//!
//! A message was too long for who was to read it:
//!
//! | which way | what this side sees | what helps |
//! |---|---|---|
//! | the server sent it | `on_error`: [`LimitError::MessageSize`]; `on_close`: 1006, closed by us | [`max_message_size`](crate::WebSocketApp::max_message_size) of this client, 64 MiB; or [`on_fragment`](crate::WebSocketApp::on_fragment) or [`recv_reader`](crate::WebSocket::recv_reader), for which it does not count |
//! | this client sent it | `on_close`: 1009 by the peer, and no `on_error` | the *server's* limit: [here](super::_25_questions_of_servers#why-does-it-close-with-1009) `Server::max_message_size`, 1 MiB; elsewhere `max_size`, `maxPayload` or the like. Or several messages |
//!
//! [`message_writer`](crate::Sender::message_writer) does not help there: its fragments are one
//! message all the same. It does where a *frame* is too long, 16 MiB with tungstenite. No message is
//! too long for `max_send_buffer`, with nothing else waiting.
//!
//! # Why is it 403, or 400, or 200 instead of 101?
//!
//! [`Error::Rejected`] has the status, the headers and the body, in which servers often say why.
//!
//! | status | most often | try |
//! |---|---|---|
//! | 401 | who you are is not said, or wrong | [`header`](crate::WebSocketApp::header)`("Authorization", …)` |
//! | 403 | the server wants the `Origin` that a browser would send | [`origin`](crate::WebSocketApp::origin) |
//! | 400, 426 | the request lacks something, such as a subprotocol | [`subprotocols`](crate::WebSocketApp::subprotocols), another path |
//! | 200, 404 | this is a page: the path is wrong, or a proxy in between does not pass the upgrade on | another path |
//! | 301 to 308 | the server is elsewhere | [`max_redirects`](crate::WebSocketApp::max_redirects), which follows it |
//!
//! # Why does `wss://` fail with a certificate?
//!
//! The error has the TLS library's words. A company's proxy that looks into TLS, or a server with a
//! certificate of its own, needs its root:
//! [`root_certificate_file`](crate::TlsConfig::root_certificate_file). A container without roots
//! needs the package `ca-certificates`, or [`bundled_roots`](crate::TlsConfig::bundled_roots).
//!
//! # Why is `close` not clean?
//!
//! The server dropped the connection instead of answering. Many do, and [it is no
//! error](super::_09_closing#what-is-no-error).
//!
//! # How do I notice that the network is gone?
//!
//! You do not have to: the connection is lost [within 40 s](super::_09_closing#a-peer-that-vanishes).
//! A program that is told by the operating system that the network has changed calls
//! [`reconnect`](crate::Sender::reconnect) at once.
//!
//! # How do I subscribe again after a reconnect?
//!
//! In `on_open`, which is called for each connection unless `on_reconnect` is set. Ask for what was
//! missed: [What may be lost](super::_08_reconnecting#what-may-be-lost).
//!
//! # How do I renew a token?
//!
//! [`headers_with`](crate::WebSocketApp::headers_with) or
//! [`url_with`](crate::WebSocketApp::url_with) are asked before each attempt. After a 401 there
//! is another attempt only where [`retry_if`](crate::Reconnect::retry_if) says so: the example at
//! [`Attempt`](crate::Attempt). Where the server wants new tokens on an open connection,
//! [`every`](crate::WebSocketApp::every) sends it one in time.
//!
//! # My callback is slow. Do I lose the connection?
//!
//! No: [Slow callbacks](super::_05_threads#slow-callbacks). Messages wait, in order.
//!
//! # How do I stop on Ctrl-C?
//!
//! With `cargo add ctrlc --features termination`, which catches SIGTERM too: that is what
//! `systemctl stop` and `docker stop` send.
//!
//! ```no_run
//! use websocket_app::WebSocketApp;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = WebSocketApp::new("wss://ticker.example/");
//! let (ws, mut again) = (app.sender(), false);
//! ctrlc::set_handler(move || {
//!     if again { ws.abort() } else { ws.close() }
//!     again = true;
//! })?;
//! app.run_forever()?;
//! # Ok(())
//! # }
//! ```
//!
//! `run_forever` then returns when the server has answered, at the latest after
//! [`close_timeout`](crate::WebSocketApp::close_timeout), 10 s; a second Ctrl-C ends the wait. Many
//! apps: [`EventLoop::close_all`].
//!
//! # How do I see what is sent?
//!
//! `RUST_LOG=websocket_app::wire=trace` with [`env_logger`](super::_15_logging): [The
//! wire](super::_15_logging#the-wire).
//! For `wss://` in Wireshark, [`key_log_file`](crate::TlsConfig::key_log_file).
//!
//! # How do I send JSON?
//!
//! As text: `ws.send(serde_json::to_string(&value)?)`. To read it,
//! `serde_json::from_str(message.as_text().ok_or("binary")?)`.
//!
//! # How do I keep a message?
//!
//! [`Message::into_owned`]. It is borrowed from what was read, so that most messages are never
//! copied.
//!
//! # How do I test my callbacks?
//!
//! Call them. `WebSocketApp::new("ws://test/").sender()` gives the [`Sender`] that they want, with no
//! need to run the app, and [`Message`], [`Close`](crate::Close::new),
//! [`Attempt`](crate::Attempt::new) and the rest can be made: [`Handler`] has an example. For a test
//! with a connection run a server in it, on port 0.
//!
//! # Does it work with Socket.IO, STOMP, MQTT, GraphQL?
//!
//! These are languages that are spoken over a WebSocket: each of their packets is a message here.
//! Tell the server which one you speak, by [`subprotocols`](crate::WebSocketApp::subprotocols) (for
//! STOMP `v12.stomp`). Reading and writing the packets is up to the program; of most of them there
//! is [an example](super#examples).
//!
//! # Can I use it in async code?
//!
//! Its threads do not mind: `spawn`, with a callback that sends into your runtime's channel. Do not
//! block a runtime's thread in `recv` or `join`. A program that is async throughout is better off
//! with tokio-tungstenite.
//!
//! ---
//!
//! Next: [Questions about servers](super::_25_questions_of_servers). All pages: [the
//! manual](super).
//!
//! [`Error::Rejected`]: crate::Error::Rejected
//! [`LimitError::MessageSize`]: crate::LimitError::MessageSize
//! [`EventLoop::close_all`]: crate::EventLoop::close_all
//! [`Handler`]: crate::Handler
//! [`Message`]: crate::Message
//! [`Message::into_owned`]: crate::Message::into_owned
//! [`SendError::NotConnected`]: crate::SendError::NotConnected
//! [`Sender`]: crate::Sender
//! [`WebSocket`]: crate::WebSocket
