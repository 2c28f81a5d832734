//! Which errors there are, sorted by whose fault they are, and what is worth trying again.
//!
//! [`Error`] says whose fault it is, which is what a program that tries again wants to know:
//!
//! | whose | variants | worth trying again |
//! |---|---|---|
//! | yours | [`Invalid`](crate::Error::Invalid), [`Deadlock`](crate::Error::Deadlock), [`Cancelled`](crate::Error::Cancelled) | no |
//! | the network's | [`Network`](crate::Error::Network), [`Timeout`](crate::Error::Timeout), each with its [`Phase`] | often |
//! | the proxy's | [`Proxy`](crate::Error::Proxy), with its status | unless it wants a password or forbids the server |
//! | the server's | [`Tls`](crate::Error::Tls), [`Rejected`](crate::Error::Rejected), [`Upgrade`](crate::Error::Upgrade), [`Protocol`](crate::Error::Protocol) | seldom; a [`Rejection`] has status and headers |
//! | any of these, while reconnecting | [`Attempt`](crate::Error::Attempt), with the number and the delay | it is being tried, unless its `retry_in` is `None`: then it is what the run ends with, and `source` is why |
//! | our limits' | [`Limit`](crate::Error::Limit) | seldom: raise the limit. With `reconnect` it is tried all the same, unless [`retry_if`](crate::Reconnect::retry_if) says no |
//! | your callbacks' | [`Callback`](crate::Error::Callback), [`Panicked`](crate::Error::Panicked) | that is yours to say |
//! | the machine's | [`System`](crate::Error::System) | when it has threads and files to spare |
//!
//! [`Closed`](crate::Error::Closed) is what [`WebSocket::recv`] gives once either side has closed.
//!
//! A send has an error type of its own, [`SendError`], which turns into [`Error::Send`] with `?`:
//!
//! | [`SendError`] | when | the message |
//! |---|---|---|
//! | `NotConnected` | there is no open connection | comes back |
//! | `QueueFull` | no room, and this is not to wait | comes back |
//! | `Timeout` | no room in time | comes back |
//! | `Busy` | another message is being written by a `message_writer` | comes back |
//! | `BacklogFull` | no connection, and no room to wait for one | comes back |
//! | `Expired` | it waited for a connection for too long; only in `on_error` | comes back |
//! | `Unwritten` | queued, but the operating system did not take it in time | may still go out: do not send it again |
//! | `Unfinished` | a `message_writer` was dropped before its end | |
//! | `NotInTime` | `wait_open` and `ping_wait` | |
//! | `InvalidControl` | a close code, reason or ping that must not be sent | |
//!
//! "Comes back" is for what was given away, a `String`, a `Vec<u8>`, `Bytes`:
//! [`into_message`](crate::SendError::into_message).
//!
//! # Where they come
//!
//! | | where |
//! |---|---|
//! | a wrong URL or option | the `Err` of the call that would run it, without a callback |
//! | what ends a connection | `on_error`, once, then `on_close` |
//! | an attempt that failed while reconnecting | `on_error` |
//! | an `Err` of a callback | `on_error`, right after it; the connection goes on. That of `on_error` or `on_close` ends the run |
//! | what the app gives up on | also the `Err` of `run_forever` and `join` |
//! | without an `on_error` | a line in the log, level error; for a server's clients debug |
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use websocket_app::{Error, Phase, Reconnect, WebSocketApp};
//!
//! # fn main() {
//! let policy = Reconnect::fixed(Duration::from_secs(5));
//! let result = WebSocketApp::new("wss://api.example/").reconnect(policy).run_forever();
//! let error = match result {
//!     Ok(close) => return println!("closed: {close}"),
//!     Err(error) => error,
//! };
//! // With `reconnect`, why an attempt has failed is within.
//! let cause = match &error {
//!     Error::Attempt { source, .. } => source,
//!     other => other,
//! };
//! match cause {
//!     Error::Rejected(rejection) if rejection.status == 401 => println!("log in first"),
//!     Error::Network { phase: Phase::Resolve, .. } => println!("is the network up?"),
//!     _ => println!("{error}"),
//! }
//! # }
//! ```
//!
//! # In `main`
//!
//! Where `main` returns an error, Rust prints it by `Debug`, which is for programmers. This prints
//! the text:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! # fn run() -> Result<(), websocket_app::Error> { Ok(()) }
//! fn main() -> ExitCode {
//!     let Err(error) = run() else { return ExitCode::SUCCESS };
//!     eprintln!("error: {error}");
//!     ExitCode::FAILURE
//! }
//! ```
//!
//! The text names the URL or option, the phase, the host and the addresses that were tried, and
//! what to do; it has no credential in it. [`source`](std::error::Error::source) has the operating
//! system's error, or the TLS library's. All are `Send + Sync`, `Clone`, and non-exhaustive: new
//! ones may come.
//!
//! ---
//!
//! Next: [Logging](super::_15_logging). All pages: [the manual](super).
//!
//! [`Error`]: crate::Error
//! [`Error::Send`]: crate::Error::Send
//! [`Phase`]: crate::Phase
//! [`Rejection`]: crate::Rejection
//! [`SendError`]: crate::SendError
//! [`WebSocket::recv`]: crate::WebSocket::recv
