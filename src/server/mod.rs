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
//! neither that client's connection nor anybody else.
//!
//! # What is promised to callbacks
//!
//! To those of each client what the [crate](crate#what-is-promised-to-callbacks) promises to those
//! of an app, and one thing more: every `on_open` has exactly one `on_close`, at shutdown too. An
//! error or a panic in a callback ends at most that client's connection, never the server.

mod answer;
mod callbacks;
mod client;
mod connection;
mod driver;
mod handle;
mod handler;
mod hub;
mod listener;
mod origin;
mod request;
// What users see first.
#[allow(clippy::module_inception)]
mod server;
mod tls;

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
