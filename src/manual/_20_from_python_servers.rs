//! What to write for every documented name of PyPI's `websocket-server` 0.6 and of
//! `websockets.sync.server`.
//!
//! What differs in behaviour:
//!
//! * Pages of other sites are refused unless
//!   [`allow_origins`](crate::server::Server::allow_origins) lists them.
//! * A client that does not read is closed, and holds nobody up.
//! * There is a keepalive, and a limit on connections, handshakes and messages, without asking
//!   ([Defaults](super::_17_defaults#server)).
//! * A message is text or binary by its type. `websocket-server` drops a client that sends binary;
//!   here `on_message` gets it: `message.as_text().ok_or("only text")?`, or
//!   `client.close_with(1003, "only text")` to do likewise.
//! * In `on_close` the client is no longer among [`ServerHandle::clients`].
//!
//! # `websocket-server`
//!
//! | `websocket-server` 0.6 | here |
//! |---|---|
//! | `WebsocketServer(host, port)` | [`Server::new`]`("host:port")` |
//! | `key=`, `cert=` | [`Server::tls`] with [`ServerTls::from_pem_files`] |
//! | `set_fn_new_client` | [`Server::on_open`]`(\|client\| …)` |
//! | `set_fn_message_received` | [`Server::on_message`]`(\|client, message\| …)` |
//! | `set_fn_client_left` | [`Server::on_close`]`(\|client, close\| …)` |
//! | `server`, the second argument of these | [`Client::server`] |
//! | a global dict of what is known of each client | a [`Handler`] for each, by [`Server::with_handlers`]; or an `Arc<Mutex<…>>`, cloned for each closure |
//! | `run_forever()` | [`Server::run_forever`] |
//! | `run_forever(threaded=True)` | [`Server::spawn`] |
//! | `send_message(client, text)` | [`Client::send`] |
//! | `send_message_to_all(text)` | [`ServerHandle::broadcast`] |
//! | `deny_new_connections(status, reason)`, `allow_new_connections()` | [`ServerHandle::stop_accepting`], [`ServerHandle::accept_again`]: the refusal is HTTP's status 503 |
//! | `shutdown_gracefully(status, reason)` | [`ServerHandle::shutdown`] |
//! | `shutdown_abruptly()` | [`ServerHandle::abort`] |
//! | `disconnect_clients_gracefully(status, reason)`, `disconnect_clients_abruptly()` | [`Client::close_with`], [`Client::abort`] for each of [`ServerHandle::clients`] |
//! | the one of `server.clients` with an id | [`ServerHandle::client`], an `Option` |
//! | `server.clients`, `client["id"]`, `client["address"]` | [`ServerHandle::clients`], [`Client::id`], [`Request::peer_addr`] |
//! | `client["handler"]` | the [`Client`] itself |
//! | `server.port`, `server.host` | [`ServerHandle::local_addr`] |
//! | `loglevel=` | the level of the target `websocket_app::server` in the program's logger; without a logger nothing is shown |
//!
//! # `websockets.sync.server`
//!
//! | `websockets.sync.server` | here |
//! |---|---|
//! | `serve(handler, host, port)`, `unix_serve` | [`Server::new`] with callbacks, or [`Server::with_handlers`] |
//! | `sock=` | [`Server::with_listener`] |
//! | `ssl=` | [`Server::tls`] |
//! | `origins=` | [`Server::allow_origins`]; without it the server's own only, not any |
//! | `subprotocols=`, `select_subprotocol=` | [`Server::subprotocols`], [`Answer::subprotocol`] |
//! | `compression=` | [`Server::compression`]; off unless asked for |
//! | `extensions=` | no: that is the only one in use |
//! | `process_request=`, `process_response=`, `basic_auth` | [`Server::on_request`] |
//! | `open_timeout=`, `close_timeout=` | [`Server::handshake_timeout`], [`Server::close_timeout`] |
//! | `ping_interval=`, `ping_timeout=` | [`Server::ping_interval`], [`Server::ping_timeout`] |
//! | `max_size=`, `max_queue=` | [`Server::max_message_size`], [`Server::max_receive_buffer`], in bytes |
//! | `server_header=` | none is sent; [`Answer::header`] |
//! | `logger=`, the attribute `logger` | the target `websocket_app::server` of the program's logger |
//! | `create_connection=` | no: a [`Handler`] has what a subclass would |
//! | other arguments, for `socket.create_server` | [`Server::with_listener`] |
//! | `serve_forever()`, `shutdown()` | [`Server::run_forever`], [`ServerHandle::shutdown`] |
//! | `fileno()` | no: the socket is the server's |
//! | the end of `handler`, which closes | [`Client::close`] |
//! | `for message in connection`, `recv()`, `recv_streaming()` | [`Server::on_message`], [`Server::on_fragment`] |
//! | `send()`, `close()`, `ping()`, `pong()` | [`Client::send`], [`Client::close_with`], [`Sender::ping`](crate::Sender::ping) and [`Sender::pong`](crate::Sender::pong) of [`Client::sender`] |
//! | `send()` of an iterable, in fragments | `message_writer` of [`Client::sender`] |
//! | `respond(status, text)` | [`Answer::refuse`] with [`Answer::body`] |
//! | `id`, `state` | [`Client::id`], [`Client::state`](crate::server::Client::state) |
//! | `request`, `response`, `subprotocol`, `remote_address`, `local_address` | [`Client::request`], `Sender::handshake` of [`Client::sender`], [`Request::subprotocol`], [`Request::peer_addr`], [`Request::local_addr`] |
//! | `latency` | `last_round_trip` of [`Client::stats`] |
//! | `close_code`, `close_reason` | the [`Close`](crate::Close) of [`Server::on_close`] |
//! | `broadcast(connections, message)` | [`ServerHandle::broadcast`], [`ServerHandle::publish`] |
//!
//! ---
//!
//! Next: [Coming from tungstenite](super::_21_from_tungstenite). All pages: [the manual](super).
//!
//! [`Answer::body`]: crate::server::Answer::body
//! [`Answer::header`]: crate::server::Answer::header
//! [`Answer::refuse`]: crate::server::Answer::refuse
//! [`Answer::subprotocol`]: crate::server::Answer::subprotocol
//! [`Client`]: crate::server::Client
//! [`Client::abort`]: crate::server::Client::abort
//! [`Client::close`]: crate::server::Client::close
//! [`Client::close_with`]: crate::server::Client::close_with
//! [`Client::id`]: crate::server::Client::id
//! [`Client::request`]: crate::server::Client::request
//! [`Client::server`]: crate::server::Client::server
//! [`Handler`]: crate::server::Handler
//! [`Client::send`]: crate::server::Client::send
//! [`Client::sender`]: crate::server::Client::sender
//! [`Client::stats`]: crate::server::Client::stats
//! [`Request::local_addr`]: crate::server::Request::local_addr
//! [`Request::peer_addr`]: crate::server::Request::peer_addr
//! [`Request::subprotocol`]: crate::server::Request::subprotocol
//! [`Server::allow_origins`]: crate::server::Server::allow_origins
//! [`Server::close_timeout`]: crate::server::Server::close_timeout
//! [`Server::compression`]: crate::server::Server::compression
//! [`Server::handshake_timeout`]: crate::server::Server::handshake_timeout
//! [`Server::max_message_size`]: crate::server::Server::max_message_size
//! [`Server::max_receive_buffer`]: crate::server::Server::max_receive_buffer
//! [`Server::new`]: crate::server::Server::new
//! [`Server::on_close`]: crate::server::Server::on_close
//! [`Server::on_fragment`]: crate::server::Server::on_fragment
//! [`Server::on_message`]: crate::server::Server::on_message
//! [`Server::on_open`]: crate::server::Server::on_open
//! [`Server::on_request`]: crate::server::Server::on_request
//! [`Server::ping_interval`]: crate::server::Server::ping_interval
//! [`Server::ping_timeout`]: crate::server::Server::ping_timeout
//! [`Server::run_forever`]: crate::server::Server::run_forever
//! [`Server::spawn`]: crate::server::Server::spawn
//! [`Server::subprotocols`]: crate::server::Server::subprotocols
//! [`Server::tls`]: crate::server::Server::tls
//! [`Server::with_handlers`]: crate::server::Server::with_handlers
//! [`Server::with_listener`]: crate::server::Server::with_listener
//! [`ServerHandle::abort`]: crate::server::ServerHandle::abort
//! [`ServerHandle::accept_again`]: crate::server::ServerHandle::accept_again
//! [`ServerHandle::broadcast`]: crate::server::ServerHandle::broadcast
//! [`ServerHandle::client`]: crate::server::ServerHandle::client
//! [`ServerHandle::clients`]: crate::server::ServerHandle::clients
//! [`ServerHandle::local_addr`]: crate::server::ServerHandle::local_addr
//! [`ServerHandle::publish`]: crate::server::ServerHandle::publish
//! [`ServerHandle::shutdown`]: crate::server::ServerHandle::shutdown
//! [`ServerHandle::stop_accepting`]: crate::server::ServerHandle::stop_accepting
//! [`ServerTls::from_pem_files`]: crate::server::ServerTls::from_pem_files
