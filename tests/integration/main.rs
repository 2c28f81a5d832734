//! The library from outside, against scripted peers. One binary, so that it links once.

// In a test, what cannot go wrong may say so by failing.
#![allow(clippy::unwrap_used)]

// The vocabulary.
/// The scripted peer's end of a connection.
mod connection;
/// How things ended, to compare.
mod failure;
/// Frames, right and wrong.
mod frame;
/// What the library writes to the log.
mod logged;
/// Several connections at a time: peers that serve them, apps that share an event loop.
mod many;
/// Threads, seen from outside.
#[cfg(target_os = "linux")]
mod observed;
/// The scripted raw peer.
mod peer;
/// Programs of other people, started by tests.
mod program;
/// The recorder of callbacks that must end exhausted.
mod recorder;
/// An app that runs with its callbacks recorded.
mod running;
/// The scripted peer over TLS.
#[cfg_attr(not(feature = "__tls"), allow(dead_code))]
mod tls;
/// Bounds on every wait.
mod watchdog;
/// The scripted peer's zlib.
mod zlib;

// The tests.
/// The blocking `WebSocket`.
mod blocking;
/// Callbacks that send over other apps.
mod bridging;
/// Spinning before sleeping.
mod busy_poll;
/// permessage-deflate (RFC 7692) from outside.
#[cfg(feature = "deflate")]
mod compression;
/// The callback contract, a module for each promise.
mod contract;
/// Other ways to connect: Unix sockets, the program's own sockets and resolver, socket options.
mod dialing;
/// What is dropped, and what fails, when the peer does not read.
mod dropping;
/// Many apps on one thread.
mod event_loop;
/// `events()`, `every()`, and the handle of a spawned app.
mod events;
/// The examples, run.
mod examples;
/// Every fault in every phase, then random sequences of them; nothing is left after any.
mod faults;
/// What only a `Handler` has: its timer, and that it comes back.
mod handler;
/// Wrong URLs, options, headers, certificates: refused before any socket is opened.
mod input;
/// Callbacks that wait for their own end.
mod joining;
/// Pings at the interval, and dead peers.
mod keepalive;
/// Half-open connections for real, in network namespaces.
#[cfg(target_os = "linux")]
mod netns;
/// `ping_wait`.
mod ping_wait;
/// RFC 6455 from outside.
mod protocol;
/// Real proxies, and the environment that names them.
#[cfg(unix)]
mod proxy;
/// A real server: Python's `websockets`.
mod python;
/// What is sent while there is no connection.
mod queueing;
/// Messages that are read while they arrive.
mod reading;
/// Real clients of our server: Python's, Node's, a browser.
#[cfg(feature = "server")]
mod real_clients;
/// TLS with real counterparts: OpenSSL's server, nginx.
#[cfg(feature = "__tls")]
mod real_tls;
/// Connecting again after a loss.
mod reconnect;
/// Redirects, followed where an app asks for that.
mod redirects;
/// `Sender` with a full queue, an empty one, and without a connection.
mod sending;
/// The server.
#[cfg(feature = "server")]
mod server;
/// A slow callback does not cost the connection.
mod slow_callbacks;
/// Many apps, many faults, numbered messages: nothing is lost but what was in flight.
mod soak;
/// Many threads, one `Sender`.
mod threads;
/// What is below a TLS session: records in pieces, bytes that are none, keys that are never used.
#[cfg(feature = "__tls")]
mod tls_records;
/// `wait_open`.
mod wait_open;
/// The log at level trace, and no credential at any level.
#[cfg(target_os = "linux")]
mod wire_log;
/// Messages that are written piece by piece.
mod writing;
