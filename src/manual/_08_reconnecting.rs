//! When a lost connection is made again, what decides about it, and which messages may be lost or
//! come twice.
//!
//! Off unless asked for: without [`reconnect`](crate::WebSocketApp::reconnect) the run ends with
//! the connection. With it, a connection that was lost, or closed by the peer, gives its `on_error`
//! and `on_close` as always, the latter with [`reconnect_in`](crate::Close::reconnect_in); the next
//! one begins with `on_reconnect`, or with `on_open` where that is not set.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use websocket_app::{Cause, Reconnect, WebSocketApp};
//!
//! # fn main() -> Result<(), websocket_app::Error> {
//! let policy = Reconnect::exponential(Duration::from_secs(1), Duration::from_secs(60))
//!     .max_attempts(20)
//!     .retry_if(|cause| {
//!         // The default, but not where the server says that the account is closed.
//!         let closed = matches!(cause, Cause::Close(close) if close.code == 4003);
//!         cause.is_temporary() && !closed
//!     });
//! WebSocketApp::new("wss://ticker.example/")
//!     .reconnect(policy)
//!     .on_open(|ws| ws.send("subscribe"))
//!     .run_forever()?;
//! # Ok(())
//! # }
//! ```
//!
//! # When
//!
//! | | |
//! |---|---|
//! | [`Reconnect::fixed(d)`](crate::Reconnect::fixed) | after `d` each time |
//! | [`Reconnect::exponential(first, max)`](crate::Reconnect::exponential) | after a random time of up to `first`, then of up to twice that, and so on to `max`: by chance, so that the clients of one server do not come back together |
//! | [`max_attempts`](crate::Reconnect::max_attempts) | gives up after so many in a row, the first of the run included; no limit by default |
//! | [`reset_after`](crate::Reconnect::reset_after) | a connection that held so long, 60 s by default, begins the count anew: a server that accepts and closes at once is not stormed |
//! | the header `Retry-After` of a refusal | is waited for, seconds or date, an hour at most |
//! | [`Sender::reconnect`] | drops this connection and makes another now; while waiting it ends the wait |
//! | [`Sender::close`] | ends the waiting, for good |
//!
//! # Whether
//!
//! By default what cannot get better by itself is not tried again.
//! [`retry_if`](crate::Reconnect::retry_if) decides otherwise.
//!
//! | not tried again | tried again |
//! |---|---|
//! | a bad URL or option | a name that does not resolve, a refused, lost or reset connection |
//! | TLS: a certificate, a name or a version that is wrong | TLS: a handshake that was cut off |
//! | HTTP status 4xx | 408, 425 and 429; every other status |
//! | a proxy that wants a password or forbids the server | a proxy that cannot reach it now |
//! | a panic in a callback, `close()` | a Close frame from the peer, whatever its code; a peer that breaks the protocol or exceeds a limit |
//!
//! So a server that closes with "you are banned" is asked again, for ever. In production end at the
//! codes that will not get better. Those are 1002, 1003 and 1007 to 1010, of which one of the two
//! programs is the cause ([what they mean](super::_09_closing#codes)), and of the server's own codes,
//! from 4000 on, those that it describes as final.
//!
//! Where a token expires and the server answers 401,
//! [`headers_with`](crate::WebSocketApp::headers_with) alone does not help: the example at
//! [`Attempt`] has `retry_if` beside it.
//!
//! # What may be lost
//!
//! TCP tells nobody which of the last bytes the other side's *program* has read. So without a word
//! of the application's own there is no protocol with which nothing is lost and nothing comes
//! twice; there is only the choice between the two.
//!
//! | what | what becomes of it |
//! |---|---|
//! | sent with `Ok` before the loss, taken by the operating system | it may have been read, or not |
//! | sent with `Ok`, still in our queue | lost; with `queue_while_disconnected` kept for the next connection |
//! | sent while there is no connection | [`SendError::NotConnected`]; with `queue_while_disconnected` kept |
//! | half written when the connection was lost | lost; with `queue_while_disconnected` sent again, whole. It does not come twice: half a message is not delivered |
//! | sent by the server meanwhile | it never was on this connection: ask for it when you subscribe again |
//! | received before the loss, waiting for a callback | delivered, before `on_error` and `on_close` |
//! | written by a `message_writer` | lost, with an error of the writer; kept by `queue_while_disconnected` only where it was finished and short enough for one fragment |
//!
//! [`queue_while_disconnected(bytes, max_age)`](crate::WebSocketApp::queue_while_disconnected)
//! keeps messages within a bound of bytes and age. They go out oldest first, right behind what
//! `on_open` or `on_reconnect` sends: so a login goes before them. What is too old is reported to
//! `on_error` as [`SendError::Expired`] with the message, and what is left at the end of the run as
//! `NotConnected`: nothing disappears in silence. It is off by default, since an order that arrives
//! late can do harm.
//!
//! What must arrive exactly once needs numbers in the application: the receiver answers with the
//! last number that it has, the sender keeps what is not answered for and sends it again, and the
//! receiver drops what it has already.
//!
//! ---
//!
//! Next: [Closing](super::_09_closing). All pages: [the manual](super).
//!
//! [`Attempt`]: crate::Attempt
//! [`SendError::Expired`]: crate::SendError::Expired
//! [`SendError::NotConnected`]: crate::SendError::NotConnected
//! [`Sender::close`]: crate::Sender::close
//! [`Sender::reconnect`]: crate::Sender::reconnect
