//! A WebSocket server in the manner of Python's `websocket_server.WebsocketServer`: closures that
//! are called when a client comes, says something, and goes; many clients on one thread or a few.
//!
//! ```no_run
//! use websocket_app::server::Server;
//!
//! Server::new("127.0.0.1:9001")
//!     .on_open(|client| client.server().broadcast(format!("{} has joined", client.id())))
//!     .on_message(|client, message| client.server().broadcast(message))
//!     .on_close(|client, close| println!("{} left: {close}", client.id()))
//!     .run_forever()?;
//! # Ok::<(), websocket_app::Error>(())
//! ```
//!
//! A [`Client`] is one connection: any thread may keep one, send to it and close it. A
//! [`ServerHandle`] is the server itself, from [`spawn`](Server::spawn) or
//! [`Client::server`]: it finds clients, sends to all or to those of a topic, and shuts down.
//!
//! # Threads
//!
//! A server has the threads that [`threads`](Server::threads) says, one unless told otherwise, and
//! each client belongs to one of them. Callbacks run there, those of one client one at a time and in
//! order, never under a lock. While one takes long another thread stands in, so that it holds up
//! neither that client's connection nor anybody else. So up to 64 callbacks of one of the server's
//! threads run at a time; more wait for one of them to return, while reading goes on.
//!
//! # What is promised to callbacks
//!
//! To those of each client [what is promised](crate::manual::_04_promises) to those of an app, and
//! one thing more: every `on_open` has exactly one `on_close`, at shutdown too. An
//! error or a panic in a callback ends at most that client's connection, never the server.
//!
//! Except that one of the server's threads cannot go on: no callback makes it do that, a logger that
//! panics on it does, and an operating system that fails its poll. Then the server ends, and
//! [`run_forever`](Server::run_forever) and [`join`](ServerHandle::join) return why. The clients of
//! other threads are closed with code 1011, within [`close_timeout`](Server::close_timeout), and have
//! their `on_close`; those of that thread are dropped, sends to them fail at once, and there is
//! nobody left to call their `on_close`. Callbacks of theirs that are busy are not waited for: they may
//! still run when the server is over, and what they hold is dropped as they return.
//!
//! # More
//!
//! | in the manual | |
//! |---|---|
//! | [A chat, with its page](crate::manual::_03_chat) | a first server, step by step |
//! | [Questions about servers](crate::manual::_25_questions_of_servers) | to all, to one, from another thread; who it is, why 403, health checks, stopping in order |
//! | [Security](crate::manual::_13_security) | what is safe by default, and what is the program's to see to |
//! | [Every default](crate::manual::_17_defaults#server) | limits and times |
//! | [Coming from Python](crate::manual::_20_from_python_servers) | every name of `websocket-server` and of `websockets.sync.server` |

// `server` has the options and begins a run; `listener` accepts (`unix` opens what it listens on, where
// that has a path), `arrival` is a connection until it is open, `ask` what the program says to its
// request, `open_client` its life from then on; `driver` is what a loop sees of these. `hub` is what all
// threads share, with a `client` for each, for which `latest` keeps what there is no room for.
mod answer;
mod arrival;
mod ask;
mod callbacks;
mod client;
mod driver;
#[cfg(any(fuzzing, all(test, feature = "deflate")))]
#[allow(missing_docs)]
pub(crate) mod fuzzing;
mod handle;
mod handler;
mod hub;
mod latest;
mod listener;
mod open_client;
mod origin;
mod request;
// What users see first.
#[allow(clippy::module_inception)]
mod server;
mod tls;
#[cfg(unix)]
mod unix;

pub use answer::Answer;
pub use callbacks::Callbacks;
pub use client::Client;
pub use handle::{Delivered, ServerHandle, ServerStats};
pub use handler::Handler;
pub use hub::SlowClients;
pub use listener::Listener;
pub use request::Request;
pub use server::Server;
pub use tls::ServerTls;

/// The log target, part of the documented contract.
const LOG: &str = "websocket_app::server";
