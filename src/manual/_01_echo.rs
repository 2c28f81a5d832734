//! Tutorial, step 1: a first client, that says hello and prints what comes back.
//!
//! ```text
//! cargo new hello
//! cd hello
//! cargo add websocket-app
//! ```
//!
//! From a clone of the repository it is `cargo add --path` and where that is. On Debian `apt-get
//! install pkg-config libssl-dev` comes first; [features](super::_18_features) has ways without
//! OpenSSL. [The words](#the-words) of the protocol are explained below.
//!
//! In `src/main.rs`:
//!
//! ```no_run
//! use websocket_app::WebSocketApp;
//!
//! fn main() -> Result<(), websocket_app::Error> {
//!     let close = WebSocketApp::new("ws://127.0.0.1:9001/")
//!         .on_open(|ws| ws.send("Hello, server!"))
//!         .on_message(|ws, message| {
//!             println!("received: {message}");
//!             ws.close();
//!         })
//!         .on_error(|_ws, error| eprintln!("error: {error}"))
//!         .on_close(|_ws, close| println!("closed: {close}"))
//!         .run_forever()?;
//!     println!("the code was {}", close.code);
//!     Ok(())
//! }
//! ```
//!
//! It needs a server that says everything back. `cargo run -p wsapp -- serve --echo 127.0.0.1:9001`
//! is one, in this crate's repository (where `cargo run --example echo` is client and server in one).
//! Another is this program, which needs `cargo add websocket-app --features server`:
//!
//! ```no_run
//! # #[cfg(not(feature = "server"))]
//! # fn main() {}
//! # #[cfg(feature = "server")]
//! use websocket_app::server::Server;
//!
//! # #[cfg(feature = "server")]
//! fn main() -> Result<(), websocket_app::Error> {
//!     Server::new("127.0.0.1:9001")
//!         .on_message(|client, message| client.send(message))
//!         .run_forever()
//! }
//! ```
//!
//! Without a server, `cargo run` shows what an error looks like:
//!
//! ```text
//! error: connecting to 127.0.0.1:9001: Connection refused (os error 111): is it running, and is its port the right one?
//! closed: 1006, not connected
//! ```
//!
//! `main` returns the error too, and Rust prints that a second time, in the form of `Debug`:
//! [Errors](super::_14_errors#in-main) has a `main` that does not. What 1000, 1006 and other numbers
//! mean is in [Closing](super::_09_closing#codes).
//!
//! # What happens
//!
//! 1. [`new`](crate::WebSocketApp::new) only takes the URL. Nothing is looked up or opened, and
//!    nothing can fail yet.
//! 2. [`run_forever`](crate::WebSocketApp::run_forever) checks the URL and all options. What is
//!    wrong with them is its error, before any socket is opened and without a callback.
//! 3. It connects: looks the host up, TCP, for `wss://` TLS, then the handshake ([RFC 6455
//!    §4]). All of it together may take 10 s, the default of
//!    [`connect_timeout`](crate::WebSocketApp::connect_timeout).
//! 4. It reads, and calls back, on this very thread, until the connection is over. Then it returns
//!    a [`Close`], or the error that the app gave up on.
//!
//! Every callback is optional; without `on_error`, errors go to the [log](super::_15_logging), which
//! nobody sees in a program without a logger. The first argument of each is a [`Sender`], with which
//! to send and to close; it may be cloned, kept, and given to other threads.
//!
//! # What a callback returns
//!
//! Nothing, or a `Result`. `ws.send(…)` returns one, which is why `on_open` above can consist of it
//! alone. An `Err` goes to `on_error`, and the connection goes on; only that of `on_error` or
//! `on_close` ends the run. Where a closure uses `?` it has to be told the error's type, `|ws, message|
//! -> Result<(), CallbackError> { … }`: the crate's page has [an example](crate#quick-start).
//!
//! A message is text or binary by its type: a [`Message`] is `Text(&str)` or `Binary(&[u8])`,
//! borrowed from what was read. [`into_owned`](crate::Message::into_owned) keeps one. To send,
//! `&str` and `String` are text, `&[u8]` and `Vec<u8>` binary.
//!
//! # Without callbacks
//!
//! Where the program asks and then waits for the answer, [`WebSocket`] is shorter:
//!
//! ```no_run
//! use websocket_app::WebSocket;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut ws = WebSocket::connect("ws://127.0.0.1:9001/")?;
//! ws.send("Hello, server!")?;
//! println!("received: {}", ws.recv()?);
//! ws.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! It has no thread of its own. While nobody is in [`recv`](crate::WebSocket::recv), nothing is
//! read: no ping is answered, and a server that went away is not noticed.
//!
//! # The words
//!
//! A WebSocket is a connection over which client and server send each other messages, each whenever
//! it likes, until one of them closes it.
//!
//! | word | what it is |
//! |---|---|
//! | handshake, upgrade | how it begins: the client asks by HTTP, and the server's answer 101 turns the connection into a WebSocket. Any other status refuses it |
//! | message | text or binary; arrives whole, and in order |
//! | frame, fragment | a frame is how a message is packed. Usually there is one for each; a message in several has fragments |
//! | ping, pong | "are you there?" and "yes". Both sides' libraries send and answer them; the keepalive is the library asking by itself |
//! | Close frame | the last thing that each side says: a code, and a reason in words. One says it, the other answers with its own: the closing handshake |
//! | masking | clients scramble their bytes, so that a proxy in between cannot mistake them for HTTP |
//! | `Origin` | the header with which a browser says which site's page opens the WebSocket |
//! | subprotocol | the name of the language that the messages are in, where the two agree on one |
//! | back-pressure | who sends more than the other takes has to wait, or is told so, instead of filling memory |
//! | loop, poll | a loop is a thread that serves many connections: it asks the operating system which of them has something for it, its poll, does that, and asks again |
//! | loopback | the network within one machine: `127.0.0.1`, `localhost` |
//! | reverse proxy | a server in front of yours, such as nginx, that hands it what comes from outside. A proxy without that word is in front of clients |
//! | PAC file | a script by which browsers choose their proxy |
//!
//! ---
//!
//! Next: [A bot that survives](super::_02_bot). All pages: [the manual](super).
//!
//! [RFC 6455 §4]: https://www.rfc-editor.org/rfc/rfc6455#section-4
//! [`Close`]: crate::Close
//! [`Message`]: crate::Message
//! [`Sender`]: crate::Sender
//! [`WebSocket`]: crate::WebSocket
