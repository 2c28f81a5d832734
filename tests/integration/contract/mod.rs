//! The callback contract, promise by promise, as the crate's documentation numbers it.
//!
//! Promise 5, that the last callback of a run is an `on_close` also when no connection was ever
//! opened, is in the modules of promises 4 and 6 that are about connecting. Promise 8, slow
//! callbacks, has a module of its own beside this one.

/// Callbacks never run at the same time, nor under a lock; any `Sender` method works in any
/// callback.
mod row1_one_at_a_time;
/// Opened, then messages in wire order, then at most one error, then exactly one close, then
/// nothing.
mod row2_order;
/// What `Close` tells: code, reason, clean, who began.
mod row3_close_tells;
/// A Close frame is no error; a lost connection is.
mod row4_lost;
/// A connection that never opens is an error: refused, silent, not a WebSocket.
mod row4_never_opened;
/// The same over TLS: certificates, silence, plain servers.
#[cfg(feature = "__tls")]
mod row4_tls;
/// `close()` in every callback and at any time of an open connection: final, and nothing is lost.
mod row6_close;
/// `close()` before running and in every phase of connecting: at once.
mod row6_close_connecting;
/// `close()` however dead the peer is: within `close_timeout`.
mod row6_dead_peers;
/// A callback that returns an error: the connection goes on.
mod row7_errors;
/// A callback that panics: the run is over, the process is not.
mod row7_panics;
/// What `run_forever` and `join` return.
mod row9_result;
