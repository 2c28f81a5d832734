//! What callbacks may rely on: nine promises, each of which is tested from outside the library.
//!
//! | | promise |
//! |---|---|
//! | 1 | Callbacks of one app never run at the same time, and never under a lock. Any [`Sender`] method may be called in any callback, `close()` included, without deadlock. |
//! | 2 | The order of one connection: `on_open` (for a later connection `on_reconnect`, or `on_open` where that is not set), then messages in the order of the wire, then at most one `on_error` for what ended it, then exactly one `on_close`. Nothing comes after it until the next connection. |
//! | 3 | [`Close`] tells the code, the reason, whether a Close frame went each way, who began, and when the next attempt is. The code is 1005 for a Close frame without one and 1006 where no Close frame was received. |
//! | 4 | A Close frame from the peer is no error: `on_close` only. Nor is anything that the peer does after our own `close()`: it may hang up, send nonsense, or never answer. `on_close` says `clean: false` then, and the log has the rest. Everything else gives an `on_error` first: a refused connection, DNS, TLS, a rejected upgrade, a timeout, a reset, an end of stream without a Close frame, a violation of the protocol. |
//! | 5 | The last callback of a run is always an `on_close` with `reconnect_in: None`, also when no connection was ever opened. Failed attempts while reconnecting give one `on_error` each, with the attempt's number and the delay ([`Error::Attempt`]). (A URL or option that is wrong is found before the run: no callback at all.) |
//! | 6 | `close()` is final and may be called anywhere and any time: before running, in every phase of connecting, while waiting to reconnect (which ends at once), in any callback, while a send waits for room. It never leads to a reconnect. Messages that were queued go out before the Close frame, messages that arrive before the peer's are still delivered, and `on_close` comes within [`close_timeout`](crate::WebSocketApp::close_timeout), however dead the peer is. |
//! | 7 | An `Err` from a callback goes to `on_error` right after it, and the connection goes on. A panic is caught: Close 1011 to the peer, `on_error` (also with what was kept and not sent), `on_close`, and the run returns [`Error::Panicked`]. An error or a panic within `on_error` or `on_close` ends the run. The process never dies of it. |
//! | 8 | A callback that takes long does not cost the connection: meanwhile the server's pings are answered, the keepalive does not fire falsely, a Close from the peer is answered, and other apps on the same [`EventLoop`] run on. What arrives waits for its turn, in order and bounded by [`max_receive_buffer`](crate::WebSocketApp::max_receive_buffer); then reading pauses. |
//! | 9 | `run_forever` and `join` return `Ok(Close)` when either side closed, and `Err` when the app gave up on an error. |
//!
//! # An app's life, as its callbacks see it
//!
#![doc = include_str!("../../docs/figures/app-life.svg")]
//!
//! The states are those of [`Sender::state`]: [`State`].
//!
//! # Of a server's clients
//!
//! A server promises the same to the callbacks of each of its clients, and one thing more: every
//! `on_open` has exactly one `on_close`, at shutdown too. An error or a panic in a callback ends at
//! most that client's connection, never the server. The module `server` tells the one exception: a
//! thread of the server's that the operating system, or a logger that panics, has ended.
//!
//! # What is not promised
//!
//! * That a message whose `send` returned `Ok` has arrived: [what may be
//!   lost](super::_08_reconnecting#what-may-be-lost).
//! * An order between callbacks of different apps, or of different clients of a server.
//! * On which thread callbacks run, but for those of
//!   [`run_forever`](crate::WebSocketApp::run_forever), which stay on the caller's.
//!
//! ---
//!
//! Next: [Threads and slow callbacks](super::_05_threads). All pages: [the manual](super).
//!
//! [`Close`]: crate::Close
//! [`Error::Attempt`]: crate::Error::Attempt
//! [`Error::Panicked`]: crate::Error::Panicked
//! [`EventLoop`]: crate::EventLoop
//! [`Sender`]: crate::Sender
//! [`Sender::state`]: crate::Sender::state
//! [`State`]: crate::State
