//! Tutorial, step 3: a chat, whose server has its page for browsers on the same port.
//!
//! The server is behind a feature: `cargo add websocket-app --features server`.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use websocket_app::close_code;
//! use websocket_app::server::{Answer, Server};
//!
//! const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>Chat</title>
//! <form><input autofocus></form><pre></pre><script>
//! const ws = new WebSocket(location.href.replace('http', 'ws'))
//! const [input, pre] = [document.querySelector('input'), document.querySelector('pre')]
//! ws.onmessage = event => pre.append(event.data + '\n')
//! ws.onclose = event => pre.append(`(closed: ${event.code} ${event.reason})\n`)
//! document.forms[0].onsubmit = event => {
//!   event.preventDefault()
//!   if (ws.readyState !== WebSocket.OPEN) return
//!   ws.send(input.value)
//!   input.value = ''
//! }
//! </script>"#;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let server = Server::new("127.0.0.1:9001")
//!         .on_request(|request| match (request.is_upgrade(), request.path()) {
//!             (true, _) => Answer::accept(),
//!             (false, "/") => Answer::http(200, "text/html; charset=utf-8", PAGE),
//!             (false, _) => Answer::refuse(404),
//!         })
//!         .on_open(|client| client.server().broadcast(format!("{} has joined", client.id())))
//!         .on_message(|client, message| {
//!             let said = message.as_text().ok_or("only text is heard here")?;
//!             client.server().broadcast(format!("{}: {said}", client.id()));
//!             Ok::<(), &str>(())
//!         })
//!         .on_close(|client, _close| {
//!             client.server().broadcast(format!("{} has left", client.id()))
//!         })
//!         .spawn()?;
//!     println!("open http://127.0.0.1:9001/ in two windows; Enter ends it");
//!     std::io::stdin().read_line(&mut String::new())?;
//!     server.shutdown(close_code::GOING_AWAY, "the chat is closed", Duration::from_secs(5))?;
//!     server.join()?;
//!     Ok(())
//! }
//! ```
//!
//! # What happens
//!
//! * A browser asks for `/` by HTTP and gets the page. The page opens a WebSocket to the same host
//!   and port, which the browser says in the header `Origin`, so it is let in. Pages of other sites
//!   are refused with 403 ([RFC 6455 §10.2]) unless
//!   [`allow_origins`](crate::server::Server::allow_origins) lists them.
//! * `127.0.0.1` is for this machine alone. `0.0.0.0:9001` lets everybody in who reaches the machine:
//!   read [what the program has to see to](super::_13_security#what-the-program-has-to-see-to) first.
//! * [`on_request`](crate::server::Server::on_request) decides about each request; without it any
//!   path is accepted, and what is no request for a WebSocket is refused.
//! * Each client has a number, [`id`](crate::server::Client::id), and one `on_close` for its
//!   `on_open`, at shutdown too. Callbacks of one client never run at the same time. Those of
//!   different clients may, so closures are `Fn` and `Sync`: a counter that they share is an
//!   `AtomicU64`, or a value in a `Mutex`.
//! * [`broadcast`](crate::server::ServerHandle::broadcast) waits for no client. Each has a queue of
//!   up to 1 MiB, which its loop writes; one that reads so slowly that it is full is closed with
//!   code 1013, or treated as [`slow_clients`](crate::server::Server::slow_clients) says. What it
//!   returns says how many got it.
//! * [`shutdown`](crate::server::ServerHandle::shutdown) listens no more and closes every client
//!   with 1001; what waits for them goes out first. A service, whose standard input is closed, ends
//!   [on Ctrl-C](super::_25_questions_of_servers#how-do-i-stop-it-in-order) instead.
//!
//! # State of each client
//!
//! A closure would need a map with a lock. A handler for each client needs none. Its methods take the
//! place of the closures, but for `on_request`, which is set as above:
//!
//! ```no_run
//! use websocket_app::server::{Client, Handler, Server};
//! use websocket_app::{CallbackError, Message};
//!
//! struct Guest {
//!     name: Option<String>,
//! }
//!
//! impl Handler for Guest {
//!     fn on_message(&mut self, client: &Client, message: Message<'_>) -> Result<(), CallbackError> {
//!         match &self.name {
//!             None => self.name = Some(message.to_string()),
//!             Some(name) => {
//!                 client.server().broadcast(format!("{name}: {message}"));
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), websocket_app::Error> {
//! Server::with_handlers("127.0.0.1:9001", |_request| Guest { name: None }).run_forever()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Rooms
//!
//! A client listens to as many topics as it likes: [`subscribe`](crate::server::Client::subscribe).
//! [`publish`](crate::server::ServerHandle::publish) sends to those of one. The example
//! `chat_server` is the first program with limits on what may be said; [questions about
//! servers](super::_25_questions_of_servers) has what is asked next.
//!
//! ---
//!
//! Next: [What callbacks may rely on](super::_04_promises). All pages: [the manual](super).
//!
//! [RFC 6455 §10.2]: https://www.rfc-editor.org/rfc/rfc6455#section-10.2
