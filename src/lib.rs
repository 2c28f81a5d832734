//! A blocking, callback-style WebSocket client (RFC 6455) in the manner of Python's
//! `websocket.WebSocketApp`: no async runtime, a read loop on its own thread, closures, and a
//! [`Sender`] that any thread may clone and use, over TLS too. A server in the same style is in the
//! module `server`, which the feature of that name brings.
//!
//! # Quick start
//!
//! ```no_run
//! use websocket_app::WebSocketApp;
//!
//! WebSocketApp::new("wss://echo.example/")
//!     .on_open(|ws| ws.send("Hello, server!"))
//!     .on_message(|_ws, message| println!("received: {message}"))
//!     .on_error(|_ws, error| eprintln!("error: {error}"))
//!     .on_close(|_ws, close| println!("closed: {close}"))
//!     .run_forever()?;
//! # Ok::<(), websocket_app::Error>(())
//! ```
//!
//! Every callback is optional, and every option is a chained method whose documentation ends with
//! what it defaults to. [`new`](WebSocketApp::new) never fails: a URL or option that is wrong is
//! the error of the run, before any socket is opened.
//!
//! There are five ways to run:
//!
//! | | where callbacks run | returns |
//! |---|---|---|
//! | [`run_forever`](WebSocketApp::run_forever) | on the caller's thread | when the run is over |
//! | [`spawn`](WebSocketApp::spawn) | on a thread of its own | at once, with an [`AppHandle`] |
//! | [`events`](WebSocketApp::events) | there are none: [`Event`]s come through a channel, for `select!` | at once, with a [`Sender`] and the channel |
//! | [`EventLoop::add`] | on the loop's thread, which may have many apps | at once, with an [`AppHandle`] |
//! | [`WebSocket::connect`] | there are none: [`recv`](WebSocket::recv) waits for a message | when connected |
//!
//! A callback returns nothing or a `Result`. Where it uses `?`, the closure needs to be told the
//! error type:
//!
//! ```no_run
//! use websocket_app::{CallbackError, WebSocketApp};
//!
//! WebSocketApp::new("wss://prices.example/")
//!     .on_message(|_ws, message| -> Result<(), CallbackError> {
//!         let price: f64 = message.as_text().ok_or("a binary message")?.parse()?;
//!         println!("{price:.2}");
//!         Ok(())
//!     })
//!     .on_error(|_ws, error| eprintln!("{error}"))
//!     .run_forever()?;
//! # Ok::<(), websocket_app::Error>(())
//! ```
//!
//! Closures that share state need an `Arc` or a channel. A [`Handler`] does not: its methods take
//! `&mut self`, and it comes back from the run.
//!
//! ```no_run
//! use websocket_app::{CallbackError, Handler, Message, Sender, WebSocketApp};
//!
//! #[derive(Default)]
//! struct Counter {
//!     messages: u64,
//! }
//!
//! impl Handler for Counter {
//!     fn on_message(&mut self, ws: &Sender, _message: Message<'_>) -> Result<(), CallbackError> {
//!         self.messages += 1;
//!         if self.messages == 100 {
//!             ws.close();
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let (result, counter) =
//!     WebSocketApp::with_handler("wss://ticker.example/", Counter::default()).run_handler();
//! println!("{} messages, {}", counter.messages, result?);
//! # Ok::<(), websocket_app::Error>(())
//! ```
//!
//! # Threads
//!
//! An app has one thread that reads and calls back: the caller's in `run_forever`, that of its
//! `EventLoop`, or one of its own. Connecting (looking up, TCP, proxy, TLS, upgrade) is done on a
//! short-lived thread beside it, so that `close()` ends that too. An idle connection wakes up for
//! its timers alone.
//!
//! Beside these the process has two threads at most, whatever the number of apps:
//! `websocket-watchdog` notices callbacks that take long, and sleeps while none runs;
//! `websocket-flusher` writes the end of streams of small messages, and what callbacks have sent that
//! then take their time; it is there only while there are such.
//!
//! A [`Sender`] is a handle to the connection: cheap to clone, `Send + Sync`, with methods that
//! take `&self`. Every callback gets one, and [`WebSocketApp::sender`] and [`AppHandle::sender`]
//! give it to any other thread. It works from before the run, when sending is
//! [`SendError::NotConnected`], to after its end.
//!
//! While a callback takes long, another thread stands in for reading and for answering pings, so
//! the connection and the other apps of an [`EventLoop`] do not suffer; the app's own next message
//! waits until the callback returns. The callbacks of `run_forever` stay on the caller's thread.
//! The blocking [`WebSocket`] has no thread of its own: it answers pings, and keeps the connection
//! alive, while a thread waits in [`recv`](WebSocket::recv).
//!
//! # What is promised to callbacks
//!
//! | | promise |
//! |---|---|
//! | 1 | Callbacks of one app never run at the same time, and never under a lock. Any [`Sender`] method may be called in any callback, `close()` included, without deadlock. |
//! | 2 | The order of one connection: `on_open` (for a later connection `on_reconnect`, or `on_open` where that is not set), then messages in the order of the wire, then at most one `on_error` for what ended it, then exactly one `on_close`. Nothing comes after it until the next connection. |
//! | 3 | [`Close`] tells the code, the reason, whether a Close frame went each way, who began, and when the next attempt is. The code is 1005 for a Close frame without one and 1006 where no Close frame was received. |
//! | 4 | A Close frame from the peer is no error: `on_close` only. Nor is anything that the peer does after our own `close()`: that it ends or resets the connection, sends what is no frame, or never answers; `on_close` says `clean: false` then, and the log has the rest. Everything else gives an `on_error` first: a refused connection, DNS, TLS, a rejected upgrade, a timeout, a reset, an end of stream without a Close frame, a violation of the protocol. |
//! | 5 | The last callback of a run is always an `on_close` with `reconnect_in: None`, also when no connection was ever opened. Failed attempts while reconnecting give one `on_error` each, with the attempt's number and the delay ([`Error::Attempt`]). (A URL or option that is wrong is found before the run: no callback at all.) |
//! | 6 | `close()` is final and may be called anywhere and any time: before running, in every phase of connecting, while waiting to reconnect (which ends at once), in any callback, while a send waits for room. It never leads to a reconnect. Messages that were queued go out before the Close frame, messages that arrive before the peer's are still delivered, and `on_close` comes within [`close_timeout`](WebSocketApp::close_timeout), however dead the peer is. |
//! | 7 | An `Err` from a callback goes to `on_error` right after it, and the connection goes on. A panic is caught: Close 1011 to the peer, `on_error` (also with what was kept and not sent), `on_close`, and the run returns [`Error::Panicked`]. An error or a panic within `on_error` or `on_close` ends the run. The process never dies of it. |
//! | 8 | A callback that takes long does not cost the connection: meanwhile the server's pings are answered, the keepalive does not fire falsely, a Close from the peer is answered, and other apps on the same [`EventLoop`] run on. What arrives waits for its turn, in order and bounded by [`max_receive_buffer`](WebSocketApp::max_receive_buffer); then reading pauses. |
//! | 9 | `run_forever` and `join` return `Ok(Close)` when either side closed, and `Err` when the app gave up on an error. |
//!
//! # Sending
//!
//! [`Sender::send`] takes anything that is text or binary by its type: `&str`, `String`, `&[u8]`,
//! `Vec<u8>`, `Bytes`, `Arc<[u8]>`, [`Message`], [`OwnedMessage`]. One thread's messages stay in
//! their order. `Ok` means that the message is written or queued, not that it has arrived;
//! [`flush`](Sender::flush) waits until the operating system has all of it.
//!
//! The queue is bounded in bytes ([`max_send_buffer`](WebSocketApp::max_send_buffer)). Where the
//! peer reads too slowly:
//!
//! | call | waits for room | then |
//! |---|---|---|
//! | `send` | for [`send_timeout`](WebSocketApp::send_timeout) | [`SendError::Timeout`] |
//! | `send_timeout(message, d)` | for `d` | [`SendError::Timeout`] |
//! | `try_send`; any send within a callback of this app, or of another on its loop | not for the peer; up to 10 ms for a thread that is just writing | [`SendError::QueueFull`] |
//!
//! A callback waits for apps on other loops as an ordinary thread does, so that a bridge between
//! two servers loses nothing: each app of `run_forever`, `spawn` and `events` has a loop of its own,
//! each [`EventLoop`] is one, and a [`WebSocket`] has none. Its own app is called back no further
//! meanwhile; the connections of its loop live on, for another thread stands in, one for each
//! callback that waits. Of two apps whose callbacks send to each other, where neither peer reads,
//! both wait until their time is over, and no longer. What is begun by `run_forever` within a
//! callback never waits.
//!
//! Threads that wait get room in the order in which they came, whatever each has to send. What finds
//! room when it comes goes before them, in all by as much as the queue may hold; then it waits
//! behind them, or is `QueueFull` where it must not wait, until the first of them had its turn.
//!
//! With another [`send_policy`](WebSocketApp::send_policy) `send` does not wait: it fails at once,
//! or the oldest messages are dropped to make room for it.
//!
//! A message that is not in memory is written into what
//! [`message_writer`](Sender::message_writer) returns, and goes out in fragments. No other is sent
//! until that is finished: the sends above wait for it as for room, and then are
//! [`SendError::Busy`]. To receive one, there are [`on_fragment`](WebSocketApp::on_fragment) and, in
//! the blocking style, [`recv_reader`](WebSocket::recv_reader).
//!
//! Without an open connection it is [`SendError::NotConnected`]. The error hands back a message
//! that was given away ([`SendError::into_message`]). Within a callback, `?` passes it to
//! `on_error`.
//!
//! # Closing
//!
//! [`Sender::close`] begins the closing handshake (RFC 6455 §7.1.2) with code 1000,
//! [`close_with`](Sender::close_with) with your code and reason; both return at once, and
//! `on_close` tells how it ended. Sends from then on are [`SendError::NotConnected`].
//! [`abort`](Sender::abort) drops the connection without a word. The peer's Close frame is answered
//! by itself.
//!
//! When a connection is closed or left, what was written to it still goes out, and what the peer
//! has sent and nobody reads any more is thrown away. A peer that goes on sending all the same is
//! told by a reset, and may then not have read all.
//!
//! A peer that vanishes without a word is noticed by the keepalive: a ping every
//! [`ping_interval`](WebSocketApp::ping_interval), and the connection is given up
//! [`ping_timeout`](WebSocketApp::ping_timeout) later unless any byte came in since. Both are on by
//! default.
//!
//! # Reconnecting
//!
//! Off unless asked for. [`reconnect`](WebSocketApp::reconnect) takes a [`Reconnect`]: after a
//! fixed time, or one that doubles, of which a random part is waited. A connection that was lost or
//! closed by the peer gives its `on_error` and `on_close` as always, the latter with
//! [`reconnect_in`](Close::reconnect_in); the next one begins with `on_reconnect`. What cannot get
//! better by itself (a bad URL, a certificate that is not trusted, most HTTP statuses 4xx) is not
//! tried again. Where tokens expire, [`headers_with`](WebSocketApp::headers_with) and
//! [`url_with`](WebSocketApp::url_with) are asked before each attempt.
//!
//! What is sent meanwhile is [`SendError::NotConnected`], unless
//! [`queue_while_disconnected`](WebSocketApp::queue_while_disconnected) keeps it for the next
//! connection.
//!
//! # Connecting
//!
//! A URL is `ws://`, `wss://`, or that of a Unix socket: `ws+unix:/path/to.sock:/uri` (`wss+unix:`
//! with TLS), where the server is asked for `localhost`. A host with several addresses is tried at
//! all of them, IPv6 and IPv4 in turns, each a quarter of a second after the one before, until one
//! connects (RFC 8305).
//!
//! A connection goes through the proxy that [`proxy`](WebSocketApp::proxy) names, HTTP or SOCKS, or
//! else the environment (`http_proxy`, `https_proxy`, `all_proxy`, `no_proxy`), which
//! [`no_proxy`](WebSocketApp::no_proxy) ignores. TLS goes through it to the server: a proxy sees no
//! more than the server's name. Redirects are followed where
//! [`max_redirects`](WebSocketApp::max_redirects) says so.
//!
//! | to | there is |
//! |---|---|
//! | look hosts up in a way of your own | [`resolver`](WebSocketApp::resolver) |
//! | set keepalive, buffer sizes, the address or interface to connect from | [`socket_options`](WebSocketApp::socket_options) |
//! | connect in a way of your own, over anything that can be waited for | [`connector`](WebSocketApp::connector), with [`Socket::from_stream`] or a [`Transport`] |
//! | use a socket that is connected already | [`socket`](WebSocketApp::socket) |
//! | ask for another host than the URL's | [`host`](WebSocketApp::host) |
//! | send back the cookies that the server sets | [`keep_cookies`](WebSocketApp::keep_cookies) |
//!
//! Whatever it is, it ends with [`connect_timeout`](WebSocketApp::connect_timeout), and `close()`
//! ends it at once: a resolver or connector that hangs is left alone, on a thread of its own; with
//! eight of an app's left so, its next attempt fails without asking, until one of them returns.
//! What has no limit of ours are the closures of [`url_with`](WebSocketApp::url_with),
//! [`headers_with`](WebSocketApp::headers_with) and
//! [`subprotocols_with`](WebSocketApp::subprotocols_with), before that time begins.
//!
//! A process makes 64 attempts at a time, each on a thread of its own; the others wait for their
//! turn, first come, first served. [`EventLoop::max_connecting`] gives a loop a number of its own.
//!
//! Unix sockets, connectors and sockets of your own have no proxy.
//!
//! # Errors
//!
//! [`Error`] says whose fault it is, which is what a program that tries again wants to know:
//!
//! | whose | variants | worth trying again |
//! |---|---|---|
//! | yours | [`Invalid`](Error::Invalid), [`Deadlock`](Error::Deadlock), [`Cancelled`](Error::Cancelled) | no |
//! | the network's | [`Network`](Error::Network), [`Timeout`](Error::Timeout), each with its [`Phase`] | often |
//! | the proxy's | [`Proxy`](Error::Proxy), with its status | unless it wants a password or forbids the server |
//! | the server's | [`Tls`](Error::Tls), [`Rejected`](Error::Rejected), [`Upgrade`](Error::Upgrade), [`Protocol`](Error::Protocol) | seldom; a `Rejection` has status and headers |
//! | any of these, while reconnecting | [`Attempt`](Error::Attempt), with the number and the delay | it is being tried |
//! | our limits' | [`Limit`](Error::Limit) | no: raise the limit |
//! | your callbacks' | [`Callback`](Error::Callback), [`Panicked`](Error::Panicked) | that is yours to say |
//! | the machine's | [`System`](Error::System) | when it has threads and files to spare |
//!
//! A send has an error type of its own, [`SendError`], which turns into [`Error::Send`] with `?`.
//! [`Error::Closed`] is what [`WebSocket::recv`] gives once either side has closed.
//!
//! # Logging
//!
//! Through the [`log`] facade. Nothing is logged that is a credential: no `Authorization`, no
//! cookie, no user info, no query of a URL. Where a server's refusal repeats one of these, or the
//! value of another header that the program set, it is left out. A logger may send over the app
//! whose line it writes: on a thread that runs apps, or is in a blocking client's `recv`, and in a
//! line of `websocket_app::wire`, that never waits, as in their callbacks.
//!
//! What messages say is logged at level trace only, by `websocket_app::wire`, which shows what goes
//! over each connection that opens while that is on, before TLS and masking. Its lines begin with
//! the peer, and `sent` or `received`; do not send them over the app that they are about, for each
//! would be followed by another.
//!
//! ```text
//! echo.example:443: sent GET /chat?… HTTP/1.1
//! echo.example:443: sent Authorization: …
//! echo.example:443: received HTTP/1.1 101
//! echo.example:443: sent text FIN, length 14: "Hello, server!"
//! echo.example:443: received binary FIN, length 70000: 00 01 02 03 04 05 06 07 08 09 …
//! ```
//!
//! | target | level | what |
//! |---|---|---|
//! | `websocket_app` | error | an error for which no `on_error` is set; what a callback ended the run with; a panic of what callbacks or a transport hold, as it is dropped |
//! | `websocket_app` | warn | `reconnect()` of a blocking connection or of a server's client, which does nothing; how many messages were not sent, where `on_error` could not be handed them since it had failed, or the app never ran |
//! | `websocket_app` | debug | how each run ended |
//! | `websocket_app::connect` | debug | the phases of connecting: addresses, attempts, the server's status |
//! | `websocket_app::connection` | debug | the peer's Close frame, without a reason that repeats a credential; what it did instead of answering ours |
//! | `websocket_app::event_loop` | error | why an event loop ended before its time |
//! | `websocket_app::event_loop` | debug | a slow callback, for which another thread stands in |
//! | `websocket_app::wire` | trace | the opening handshake, and that with an HTTP proxy, line by line: of headers all names, and the values of those that hold no credentials; every frame: opcode, FIN and RSV bits, length, the first 64 bytes of its payload, compressed as it may be |
//! | `websocket_app::server` | error | what `on_request` or a handler did that cannot be answered for |
//! | `websocket_app::server` | warn | accepting pauses, or a client and the server have no subprotocol in common |
//! | `websocket_app::server` | debug | who comes, who is refused and why; errors of clients for which no `on_error` is set; shutdown |
//! | `websocket_app::connect`, `websocket_app::event_loop` | warn | the operating system did not do what it should, or a key log cannot be written; never the peer's doing |
//!
//! # Features
//!
//! | feature | default | what it brings | what it costs |
//! |---|---|---|---|
//! | `native-tls` | yes | `wss://` through the operating system's TLS (OpenSSL, Schannel, Security.framework), and [`TlsConfig::native_tls`] for a ready-made connector | on Linux OpenSSL's headers to build and its library to run |
//! | `native-tls-vendored` | no | the same with an OpenSSL of its own, built from source | minutes to build, with perl and make; its security updates are up to you |
//! | `rustls` | no | `wss://` through rustls with the operating system's roots, and `TlsConfig::rustls` for a ready-made configuration | a C compiler to build (ring's cryptography), some 15 crates |
//! | `rustls-webpki-roots` | no | Mozilla's roots within the program, for [`TlsConfig::bundled_roots`] | roots as old as the build |
//! | `cookies` | no | [`keep_cookies`](WebSocketApp::keep_cookies): cookies that outlast a connection | ten more dependencies |
//! | `server` | no | the module `server` | httparse, which is in the tree anyway |
//! | `deflate` | yes | compression of messages ([`Deflate`], RFC 7692), for apps that ask for it | zlib in Rust, two crates |
//!
//! Both TLS libraries may be compiled in; [`TlsConfig::backend`] chooses between them. Without a
//! TLS feature a `wss://` URL is an [`Error::Invalid`] that names the feature. A feature never
//! changes what code that does not use it does, but for the choice of the TLS library where
//! [`TlsConfig::backend`] leaves it open. The crate has no `unsafe` code.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// The name that the properties know it by.
#[cfg(all(test, feature = "deflate"))]
extern crate self as websocket_app;

mod app;
mod busy_poll;
mod calls;
mod client;
mod close;
mod config;
// What a feature brings that is off has a stand-in of the same name, here and below: nothing else
// asks for the feature.
#[cfg_attr(not(feature = "cookies"), path = "cookies_none.rs")]
mod cookies;
mod deadline;
mod deflate;
mod dial;
mod error;
#[cfg(any(fuzzing, all(test, feature = "deflate")))]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod fuzzing;
mod headers;
mod link;
mod message;
mod panics;
mod promise;
#[cfg(all(test, feature = "deflate"))]
mod properties;
mod protocol;
mod reactor;
mod reconnect;
mod redact;
mod role;
mod route;
#[cfg(feature = "server")]
pub mod server;
mod sync;
mod tls;
mod transport;
mod wire_log;

pub use app::{
    AppHandle, Callbacks, Event, EventLoop, EventOptions, Events, Handler, RenewalResult,
    ReturnedHandler, WebSocketApp,
};
pub use calls::{CallbackError, CallbackResult};
pub use client::{Canceller, MessageReader, WebSocket, WebSocketBuilder};
pub use close::{Close, ClosedBy, close_code};
pub use deflate::Deflate;
pub use error::{
    Error, InvalidInput, LimitError, Phase, ProtocolError, ProxyRefusal, Rejection, SendError,
};
pub use headers::{Headers, HeadersIter};
pub use link::{MessageWriter, SendPolicy, Sender, State, Stats};
pub use message::{Fragment, Message, MessageKind, Outgoing, OwnedMessage};
pub use protocol::handshake::Handshake;
pub use reconnect::{Attempt, Cause, Reconnect};
pub use tls::{TlsBackend, TlsConfig, TlsVersion};
pub use transport::{Socket, SocketOptions, Transport};

/// The README's examples are tested with the documentation's, all of them where all is there.
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../README.md")]
struct Readme;
