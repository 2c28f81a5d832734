//! Tutorial, step 1: a first client, that says hello and prints what comes back.
//!
//! ```text
//! cargo new hello
//! cd hello
//! cargo add websocket-app
//! ```
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
//! It needs a server that says everything back. From this crate's repository `cargo run -p wsapp --
//! serve --echo 127.0.0.1:9001` is one, and `Server::new("127.0.0.1:9001").on_message(|client,
//! message| client.send(message))` another ([step 3](super::_03_chat)). Without any, `cargo
//! run` shows what an error looks like; `main` then ends with it, and Rust prints it once more, as
//! `Debug` does:
//!
//! ```text
//! error: connecting to 127.0.0.1:9001: Connection refused (os error 111): is it running, and is its port the right one?
//! closed: 1006, connection lost
//! ```
//!
//! # What happens
//!
//! 1. [`new`](crate::WebSocketApp::new) only takes the URL. Nothing is looked up or opened, and
//!    nothing can fail yet.
//! 2. [`run_forever`](crate::WebSocketApp::run_forever) checks the URL and all options. What is
//!    wrong with them is its error, before any socket is opened and without a callback.
//! 3. It connects: looks the host up, TCP, for `wss://` TLS, then the opening handshake (RFC 6455
//!    §4). All of it together may take 10 s, the default of
//!    [`connect_timeout`](crate::WebSocketApp::connect_timeout).
//! 4. It reads, and calls back, on this very thread, until the connection is over. Then it returns
//!    a [`Close`], or the error that the app gave up on.
//!
//! Every callback is optional. Its first argument is a [`Sender`], with which to send and to close;
//! it may be cloned, kept, and given to other threads.
//!
//! # What a callback returns
//!
//! Nothing, or a `Result`. `ws.send(…)` returns one, which is why `on_open` above can consist of it
//! alone. An `Err` goes to `on_error`, and the connection goes on; only that of `on_error` or
//! `on_close` ends the run. Where a closure uses `?` it has
//! to be told the error's type:
//!
//! ```no_run
//! use websocket_app::{CallbackError, WebSocketApp};
//!
//! # fn main() -> Result<(), websocket_app::Error> {
//! WebSocketApp::new("wss://prices.example/")
//!     .on_message(|_ws, message| -> Result<(), CallbackError> {
//!         let price: f64 = message.as_text().ok_or("a binary message")?.parse()?;
//!         println!("{price:.2}");
//!         Ok(())
//!     })
//!     .on_error(|_ws, error| eprintln!("{error}"))
//!     .run_forever()?;
//! # Ok(())
//! # }
//! ```
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
//! ---
//!
//! Next: [A bot that survives](super::_02_bot). All pages: [the manual](super).
//!
//! [`Close`]: crate::Close
//! [`Message`]: crate::Message
//! [`Sender`]: crate::Sender
//! [`WebSocket`]: crate::WebSocket
