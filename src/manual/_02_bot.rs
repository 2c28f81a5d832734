//! Tutorial, step 2: a bot that survives its server, the network, and a token that expires.
//!
//! The program of [step 1](super::_01_echo) ends with its connection. This one runs until it is
//! told to stop:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use websocket_app::{Reconnect, WebSocketApp};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let app = WebSocketApp::new("ws://127.0.0.1:9001/")
//!         .reconnect(Reconnect::exponential(Duration::from_secs(1), Duration::from_secs(60)))
//!         .headers_with(|_attempt| -> Result<_, std::io::Error> {
//!             Ok(vec![("Authorization".to_owned(), format!("Bearer {}", fetch_token()?))])
//!         })
//!         .on_open(|ws| ws.send("subscribe prices"))
//!         .on_message(|_ws, message| println!("{message}"))
//!         .on_error(|_ws, error| eprintln!("error: {error}"))
//!         .on_close(|_ws, close| eprintln!("closed: {close}"))
//!         .every(Duration::from_secs(20), |ws| ws.send("heartbeat"))
//!         .idle_timeout(Duration::from_secs(60));
//!
//!     let ws = app.sender();
//!     // Ctrl-C, SIGTERM: cargo add ctrlc --features termination
//!     ctrlc::set_handler(move || ws.close())?;
//!     let close = app.run_forever()?;
//!     println!("over: {close}");
//!     Ok(())
//! }
//!
//! /// Yours to write: asks whoever gives out tokens. Without any, leave `headers_with` out.
//! fn fetch_token() -> Result<String, std::io::Error> {
//!     Ok("none yet".to_owned())
//! }
//! ```
//!
//! To try it, run the echo server of [step 1](super::_01_echo), stop it, and start it again: the bot
//! comes back by itself. A server that breaks down by itself comes with a longer program of this
//! kind, in the repository: `cargo run --features server --example reconnecting_bot`.
//!
//! # Line by line
//!
//! * **[`reconnect`](crate::WebSocketApp::reconnect).** After a loss the next attempt is up to one
//!   second away, then up to two, four and so on, up to sixty. A random part of that is waited: a
//!   thousand clients of one server are not to come back at the same moment.
//!   [`fixed`](crate::Reconnect::fixed) waits the same each time. Only a connection that held for 60
//!   s ([`reset_after`](crate::Reconnect::reset_after)) begins the count anew: after a shorter one
//!   the attempts are counted on, and the waits go on growing.
//! * **[`headers_with`](crate::WebSocketApp::headers_with)** is asked before each attempt, on a
//!   thread of its own, so it may block. Its [`Attempt`] tells the number, and what went wrong
//!   before. A server that refuses the token, with status 401, ends the run, unless
//!   [`retry_if`](crate::Reconnect::retry_if) says otherwise: the example at [`Attempt`] does.
//! * **[`on_open`](crate::WebSocketApp::on_open)** is called for each connection, so the bot
//!   subscribes again. Where a later connection needs something else,
//!   [`on_reconnect`](crate::WebSocketApp::on_reconnect) is called for those instead.
//! * **[`every`](crate::WebSocketApp::every)** is a heartbeat of the application's own, only while
//!   connected. Servers that read pings need none: one goes out every 30 s anyway.
//! * **[`idle_timeout`](crate::WebSocketApp::idle_timeout)** gives up a connection on which no
//!   message came for a minute, though the server answers pings.
//! * **[`close`](crate::Sender::close)** from another thread ends all of it, whatever it is at:
//!   connecting, waiting for the next attempt, or open. It never leads to another connection.
//!
//! # What it sees
//!
//! While the server is away, each failed attempt gives one `on_error` that says when the next is
//! ([`Error::Attempt`]), and no `on_close`. A connection that was lost gives `on_error` with the
//! reason and then `on_close`, whose [`reconnect_in`](crate::Close::reconnect_in) is the time to
//! the next attempt. The last callback of the run is an `on_close` with `reconnect_in: None`.
//!
//! Some errors end the run at once, since they do not get better by waiting: a URL that is wrong, a
//! certificate that is not trusted, a 404. [Reconnecting](super::_08_reconnecting) has the list.
//!
//! # What may be lost
//!
//! What either side sends while there is no connection, unless the program sees to it: [how, and what
//! else](super::_08_reconnecting#what-may-be-lost).
//!
//! ---
//!
//! Next: [A chat, with its page](super::_03_chat). All pages: [the manual](super).
//!
//! [`Attempt`]: crate::Attempt
//! [`Error::Attempt`]: crate::Error::Attempt
