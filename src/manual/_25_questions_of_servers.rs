//! Questions about servers, with answers.
//!
//! # How do I send to all, to some, to one?
//!
//! ```no_run
//! use websocket_app::server::Server;
//!
//! # fn main() -> Result<(), websocket_app::Error> {
//! let server = Server::new("127.0.0.1:9001")
//!     .on_open(|client| client.subscribe("news"))
//!     .on_message(|client, message| client.send(message))
//!     .spawn()?;
//! // From any thread, at any time:
//! let delivered = server.broadcast("to all");
//! server.publish("news", "to those who have subscribed");
//! if let Some(client) = server.client(7) {
//!     client.send("to one").ok();
//! }
//! println!("{} clients got it", delivered.clients);
//! # Ok(())
//! # }
//! ```
//!
//! To all but the sender, in a callback:
//!
//! ```no_run
//! # use websocket_app::server::Client;
//! # fn to_the_others(client: &Client, said: &str) {
//! for other in client.server().clients() {
//!     if other.id() != client.id() {
//!         // One who has just left, or has no room, does not keep it from the rest.
//!         other.send(said).ok();
//!     }
//! }
//! # }
//! ```
//!
//! [`clients`](crate::server::ServerHandle::clients) and `broadcast` include a client from its
//! `on_open` on, and no longer in its `on_close`.
//!
//! # How do I send from another thread?
//!
//! A [`ServerHandle`] from [`spawn`](crate::server::Server::spawn), or from [`Client::server`], and
//! a [`Client`] are cheap to clone and for any thread. A client that is kept and gone gives
//! [`SendError::NotConnected`].
//!
//! # How do I know who it is: path, query, headers, cookies, address?
//!
//! They are in [`Client::request`]: [`path`](crate::server::Request::path),
//! [`query_value`](crate::server::Request::query_value),
//! [`headers`](crate::server::Request::headers), [`cookie`](crate::server::Request::cookie),
//! [`peer_addr`](crate::server::Request::peer_addr),
//! [`peer_certificate`](crate::server::Request::peer_certificate). Behind a reverse proxy the
//! address is the proxy's: take the header that it sets, where only the proxy can reach the server.
//!
//! # How do I refuse somebody?
//!
//! In [`on_request`](crate::server::Server::on_request), before the connection is open:
//! [`Answer::refuse`] with a status, headers and a body. It sees the request alone. What depends on
//! who else is there, such as a name that is taken, is for `on_open`:
//! [`close_with`](crate::server::Client::close_with)`(4001, "this name is taken")`. The client still
//! has its `on_close`, so do not announce there that somebody has left who never came in.
//!
//! # How do I ask for a password?
//!
//! ```no_run
//! use websocket_app::server::{Answer, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let expected = format!("Bearer {}", std::env::var("CHAT_TOKEN")?);
//! Server::new("127.0.0.1:9001")
//!     .on_request(move |request| match request.headers().get("Authorization") {
//!         Some(given) if given == expected => Answer::accept(),
//!         _ => Answer::refuse(401).header("WWW-Authenticate", "Bearer").body("wrong token\n"),
//!     })
//!     .run_forever()?;
//! # Ok(())
//! # }
//! ```
//!
//! A client of this library sends it with
//! [`header`](crate::WebSocketApp::header)`("Authorization", "Bearer …")`. A URL with
//! `user:password@` comes as `Basic` and what `printf user:password | base64` prints. A page's script
//! can set no headers: take a [`cookie`](crate::server::Request::cookie), or have the token sent as
//! the first message. Without [TLS](super::_10_tls#to-try-it) everybody on the way reads it.
//!
//! # Why is a client refused with 403?
//!
//! A browser sent an `Origin` that is not the `Host`: the page is from another site, or a reverse
//! proxy changes the `Host`. The body of the answer and the log, `websocket_app::server` at level
//! debug, say what was compared. Either list the site,
//! [`allow_origins`](crate::server::Server::allow_origins), or have the proxy pass `Host` on.
//!
//! A server that listens on `127.0.0.1` or `localhost` also refuses a `Host` that is no name of this
//! machine, as it gets from a proxy that asks for the name by which the world knows it:
//! [`allow_hosts`](crate::server::Server::allow_hosts) adds that.
//!
//! # Why does it close with 1009?
//!
//! A message was too long for who was to read it:
//!
//! | which way | what the server sees | what helps |
//! |---|---|---|
//! | a client sent it | `on_error`: [`LimitError::MessageSize`]; `on_close`: 1006, closed by us. The client sees 1009 | [`max_message_size`](crate::server::Server::max_message_size), 1 MiB, also after inflating; or [`on_fragment`](crate::server::Server::on_fragment), for which it does not count. 1008 is for [`max_fragments`](crate::server::Server::max_fragments) |
//! | the server sent it | `on_close`: 1009 by the peer | the *client's* limit: with this library [`max_message_size`](crate::WebSocketApp::max_message_size), 64 MiB. Or several messages |
//!
//! Without an `on_error` the log has it, `websocket_app::server` at level debug. What a server sends
//! or answers is limited by `max_send_buffer` only where something else waits already.
//!
//! # Why does a browser fail a connection that other clients have?
//!
//! Its page asks for a subprotocol, `new WebSocket(url, 'name')`, and the server does not choose it,
//! which some browsers take for a failure. List those that you speak with
//! [`subprotocols`](crate::server::Server::subprotocols); where the page wants none of them, the log
//! warns.
//!
//! # How do I answer a health check, or serve a page?
//!
//! [`on_request`](crate::server::Server::on_request) with [`Answer::http`], on the same port: its
//! example answers a health check, [the chat](super::_03_chat) has a page.
//!
//! It is no web server: one answer, then the connection ends. Files belong to one.
//!
//! # How do I put it behind nginx?
//!
//! ```text
//! location /chat {
//!     proxy_pass http://127.0.0.1:9001;
//!     proxy_http_version 1.1;
//!     proxy_set_header Upgrade $http_upgrade;
//!     proxy_set_header Connection "upgrade";
//!     proxy_set_header Host $http_host;
//! }
//! ```
//!
//! The server, on a loopback address, has to know the name:
//! [`allow_hosts`](crate::server::Server::allow_hosts)`(["chat.example"])`. Its pings every 30 s keep
//! the connection within the 60 s that nginx allows.
//!
//! # How do I stop it in order?
//!
//! [`shutdown`](crate::server::ServerHandle::shutdown)`(1001, "…", time)` and then
//! [`join`](crate::server::ServerHandle::join): it listens no more, what waits goes out, each
//! client is closed and has its `on_close`; what is left after the time is dropped. For a rolling
//! restart, [`stop_accepting`](crate::server::ServerHandle::stop_accepting) first: new clients get
//! 503, and over TLS, where that would take a handshake, are hung up on. On Ctrl-C and SIGTERM
//! ([the crate and its feature](super::_24_questions#how-do-i-stop-on-ctrl-c)):
//!
//! ```no_run
//! use std::time::Duration;
//!
//! # use websocket_app::server::ServerHandle;
//! # fn stop(server: ServerHandle) -> Result<(), Box<dyn std::error::Error>> {
//! let handle = server.clone();
//! ctrlc::set_handler(move || {
//!     let _ = handle.shutdown(1001, "", Duration::from_secs(5));
//! })?;
//! server.join()?;
//! # Ok(())
//! # }
//! ```
//!
//! # How do I answer without losing anything?
//!
//! Send from the callback. Of what callbacks send to their own client,
//! [`max_send_buffer`](crate::server::Server::max_send_buffer), 1 MiB, may wait, and one message
//! more, however long; what others send to it takes none of that room. While more than a sixteenth
//! of it waits, because the client reads more slowly than it sends, no other message of its is
//! handed out. They wait, in order, up to
//! [`max_receive_buffer`](crate::server::Server::max_receive_buffer). Then nothing more is read
//! from it, and TCP slows it down. So an answer is lost only where one message is answered with
//! several, of more than some 1 MiB in all: then the send is [`SendError::QueueFull`]. No thread
//! waits. What a callback sends to *another* client is `QueueFull` once that one has 1 MiB waiting,
//! and for the program to look at.
//!
//! # What about a client that does not read?
//!
//! It costs some memory, and no callback's nor broadcast's time: what waits for it is at most its
//! queue of 1 MiB, [its answers](#how-do-i-answer-without-losing-anything), and 1 MiB of what it has
//! sent itself.
//! [`slow_clients`](crate::server::Server::slow_clients) says what becomes of it when a broadcast
//! finds that full: closed with 1013, left out, or given the latest of each topic once there is
//! room. A thread of yours that sends to one client waits for it, up to
//! [`send_timeout`](crate::server::Server::send_timeout); a callback never does.
//!
//! # What about a client that is gone without a word?
//!
//! It is given up 10 s after a ping that brought no byte, so within 40 s, and has its `on_close`. A
//! client that sends and never reads is given up likewise, though it is alive: once its messages
//! fill [`max_receive_buffer`](crate::server::Server::max_receive_buffer), nothing is read from it
//! and it takes nothing, so no byte moves either way.
//!
//! # How do I close a client that says nothing?
//!
//! [`idle_timeout`](crate::server::Server::idle_timeout).
//!
//! # How many threads?
//!
//! One serves tens of thousands that are mostly idle. Where `top` shows it busy all of the time,
//! [`threads`](crate::server::Server::threads)`(n)` gives each its share of the clients. Slow
//! callbacks need none: another thread stands in.
//!
//! # How do I keep state for each client?
//!
//! [`Server::with_handlers`] makes a value of yours for each, whose methods take `&mut self`. Or keep
//! a map in a `Mutex`, by [`id`](crate::server::Client::id): no two clients get the same number.
//!
//! # How do I limit clients?
//!
//! [`max_connections`](crate::server::Server::max_connections),
//! [`max_connections_per_address`](crate::server::Server::max_connections_per_address),
//! [`max_message_size`](crate::server::Server::max_message_size); how often one may send is the
//! program's to count.
//!
//! # How do I renew the certificate?
//!
//! [`replace_tls`](crate::server::ServerHandle::replace_tls) reads the files again; open
//! connections stay.
//!
//! # May server and client be in one program?
//!
//! Yes, on different threads or the same: a callback of the one may send over the other, and waits
//! for room where it has to. The example `bridge` does so with two clients.
//!
//! # Can it take a listener that somebody else has opened?
//!
//! Yes, with [`Server::with_listener`]: one that systemd has opened (socket activation), one with
//! options of your own, a Unix socket. Port 0 takes a free port, and
//! [`local_addr`](crate::server::ServerHandle::local_addr) tells which.
//!
//! ---
//!
//! Next: [How it works](super::_26_how_it_works). All pages: [the manual](super).
//!
//! [`Answer::http`]: crate::server::Answer::http
//! [`Answer::refuse`]: crate::server::Answer::refuse
//! [`Client`]: crate::server::Client
//! [`Client::request`]: crate::server::Client::request
//! [`Client::server`]: crate::server::Client::server
//! [`LimitError::MessageSize`]: crate::LimitError::MessageSize
//! [`SendError::NotConnected`]: crate::SendError::NotConnected
//! [`SendError::QueueFull`]: crate::SendError::QueueFull
//! [`Server::with_handlers`]: crate::server::Server::with_handlers
//! [`Server::with_listener`]: crate::server::Server::with_listener
//! [`ServerHandle`]: crate::server::ServerHandle
