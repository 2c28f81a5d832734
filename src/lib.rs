//! A blocking, callback-style WebSocket client ([RFC 6455]) in the manner of Python's
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
//! `echo.example` stands for your server. Every callback is optional, and every option is a chained
//! method whose documentation ends with what it defaults to. [`new`](WebSocketApp::new) never fails:
//! a URL or option that is wrong is the error of the run, before any socket is opened.
//!
//! It runs in one of five ways, and [which thread does what](manual::_05_threads) depends on that:
//! [`run_forever`](WebSocketApp::run_forever) on the caller's thread,
//! [`spawn`](WebSocketApp::spawn) on one of its own, [`EventLoop::add`] on one with other apps,
//! [`events`](WebSocketApp::events) with a channel for crossbeam's `select!` instead of callbacks,
//! and [`WebSocket::connect`] without either.
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
//! # The manual
//!
//! [It][the manual] has all the rest, in an order in which it can be read. Ways in: the
//! [tutorial](manual::_01_echo); [what callbacks may rely on](manual::_04_promises); [every
//! default](manual::_17_defaults); [coming from elsewhere](manual#coming-from-elsewhere), name by
//! name; [questions](manual::_24_questions) with answers; [how it works](manual::_26_how_it_works).
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
//! [the manual]: manual

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
// Text, for rustdoc; and tests of it.
#[cfg(any(doc, doctest, test))]
pub mod manual;
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
