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
//! To those of each client what the [crate](crate#what-is-promised-to-callbacks) promises to those
//! of an app, and one thing more: every `on_open` has exactly one `on_close`, at shutdown too. An
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
//! # Coming from Python
//!
//! | `websocket-server` 0.6 | here |
//! |---|---|
//! | `WebsocketServer(host, port)` | [`Server::new`]`("host:port")` |
//! | `key=`, `cert=` | [`Server::tls`] with [`ServerTls::from_pem_files`] |
//! | `set_fn_new_client` | [`Server::on_open`] |
//! | `set_fn_message_received` | [`Server::on_message`] |
//! | `set_fn_client_left` | [`Server::on_close`] |
//! | `run_forever()` | [`Server::run_forever`] |
//! | `run_forever(threaded=True)` | [`Server::spawn`] |
//! | `send_message(client, text)` | [`Client::send`] |
//! | `send_message_to_all(text)` | [`ServerHandle::broadcast`] |
//! | `deny_new_connections(status, reason)`, `allow_new_connections()` | [`ServerHandle::stop_accepting`], [`ServerHandle::accept_again`]: the refusal is HTTP's status 503 |
//! | `shutdown_gracefully(status, reason)` | [`ServerHandle::shutdown`] |
//! | `shutdown_abruptly()` | [`ServerHandle::abort`] |
//! | `disconnect_clients_gracefully(status, reason)`, `disconnect_clients_abruptly()` | [`Client::close_with`], [`Client::abort`] for each of [`ServerHandle::clients`] |
//! | `server.clients`, `client["id"]`, `client["address"]` | [`ServerHandle::clients`], [`Client::id`], [`Request::peer_addr`] |
//! | `client["handler"]` | the [`Client`] itself |
//! | `server.port` | [`ServerHandle::local_addr`] |
//!
//! | `websockets.sync.server` | here |
//! |---|---|
//! | `serve(handler, host, port)`, `unix_serve` | [`Server::new`] with callbacks, or [`Server::with_handlers`] |
//! | `sock=` | [`Server::with_listener`] |
//! | `ssl=` | [`Server::tls`] |
//! | `origins=` | [`Server::allow_origins`]; without it the server's own only, not any |
//! | `subprotocols=`, `select_subprotocol=` | [`Server::subprotocols`], [`Answer::subprotocol`] |
//! | `compression=` | [`Server::compression`]; off unless asked for |
//! | `process_request=`, `process_response=`, `basic_auth` | [`Server::on_request`] |
//! | `open_timeout=`, `close_timeout=` | [`Server::handshake_timeout`], [`Server::close_timeout`] |
//! | `ping_interval=`, `ping_timeout=` | [`Server::ping_interval`], [`Server::ping_timeout`] |
//! | `max_size=`, `max_queue=` | [`Server::max_message_size`], [`Server::max_receive_buffer`], in bytes |
//! | `serve_forever()`, `shutdown()` | [`Server::run_forever`], [`ServerHandle::shutdown`] |
//! | `for message in connection`, `recv()`, `recv_streaming()` | [`Server::on_message`], [`Server::on_fragment`] |
//! | `send()`, `close()`, `ping()`, `pong()` | [`Client::send`], [`Client::close_with`], [`Sender::ping`](crate::Sender::ping) and [`Sender::pong`](crate::Sender::pong) of [`Client::sender`] |
//! | `request`, `subprotocol`, `remote_address`, `local_address` | [`Client::request`], [`Request::subprotocol`], [`Request::peer_addr`], [`Request::local_addr`] |
//! | `latency` | `last_round_trip` of [`Client::stats`] |
//! | `close_code`, `close_reason` | the [`Close`](crate::Close) of [`Server::on_close`] |
//! | `broadcast(connections, message)` | [`ServerHandle::broadcast`], [`ServerHandle::publish`] |

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
