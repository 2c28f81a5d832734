//! How it works: the modules, what lives how long, and which way a message takes.
//!
//! # The modules
//!
//! Two questions made the tree: what does it live as long as, and which way do bytes go? Imports
//! point down only; a step of `.ci/run` checks it.
//!
//! | from the top | |
//! |---|---|
//! | `app`, `client`, `server` | one app; the blocking style; one server and its clients |
//! | `calls` | what callbacks are to be told, one at a time |
//! | `reactor` | one thread, many connections: poll, timers, hand-off to a stand-in |
//! | `link` | one open connection: who reads, who writes |
//! | `dial` | one attempt to connect: look up, TCP, proxy, TLS, upgrade |
//! | `transport`, `protocol` | a live byte stream, socket and TLS; [RFC 6455], without I/O and clock |
//! | `error`, `close`, `message`, `headers` and the like | what users name |
//!
//! | lives as long as | what |
//! |---|---|
//! | the process | the watchdog, the flusher, the turns for connecting, a few buffers |
//! | an event loop | its poll, its thread, one reader with one buffer |
//! | an app, or a server's client | its callbacks, its options, what every [`Sender`] holds |
//! | a connection | the writer, the receiver, the keepalive, the closing handshake, contexts of compression |
//! | an attempt | its thread, its deadline, its addresses |
//!
//! A connection's end is a drop: what belongs to it is made with it and goes with it, and nothing
//! is put back by hand.
//!
//! # The way of a message
//!
#![doc = include_str!("../../docs/figures/message-path.svg")]
//!
//! The states that an app goes through are [drawn
//! too](super::_04_promises#an-apps-life-as-its-callbacks-see-it).
//!
//! **Receiving.** The loop's thread waits in the operating system's poll for all its sockets and
//! for the nearest deadline. What a socket has is read into the loop's one buffer and decoded where
//! it lies: a message that is whole in it is handed to the callback as a slice of it, and never
//! copied. Pings and a Close frame ([RFC 6455 §5.5]) are answered before any callback runs. A
//! message that comes in pieces ([§5.4]), or compressed ([RFC 7692]), has memory of its own while it
//! lasts. Each connection has one read in its turn; one that sends more than that without a pause has
//! its next turn behind those that send little, so that these do not wait for it.
//!
//! **Calling back.** Before a callback runs, the loop's state is laid down where another thread can
//! take it; after it, it is taken back. Nothing more is done for a callback that returns at once.
//! For one that is still there after 20 to 40 ms a thread stands in
//! ([Threads](super::_05_threads#slow-callbacks)).
//!
//! **Sending.** [`Sender`]s of an app share one lock, held to append a frame, not to write. Who
//! finds nobody writing writes, and goes on while others append. What the socket does not take
//! waits in the queue, and the loop's thread goes on when there is room. In a stream of small
//! messages senders only append, and each system call takes what has come since the one before.
//! What a server sends to many is made a frame once, of which each client's queue has a reference;
//! the loop writes what several messages have queued for a client at once.
//!
//! **TLS** is a layer over the byte stream with two locks: that of the session, which is for both
//! directions, and that of the output, which is encrypted already. Records are written without the
//! session's lock, so that a reader does not wait for a writer's system call.
//!
//! **Connecting** is straight-line blocking code with one deadline, on a short-lived thread, which
//! hands a finished, non-blocking stream to the loop. `close()` wakes that thread, which then ends.
//!
//! **The protocol** does no I/O and reads no clock: bytes and times go in, messages, frames and
//! deadlines come out. So it is tested by any split of the bytes, under a clock that tests move,
//! and by fuzzing.
//!
//! # How it is tested
//!
//! * Every promise to callbacks is a module of tests against a scripted peer that drops, resets,
//!   stalls and lies.
//! * The Autobahn test suite runs against client and server, plain and over TLS.
//! * What threads share is run in every order of a bounded number of preemptions (loom).
//! * Parsers and the receiving path are fuzzed.
//! * Allocations are counted.
//! * A soak sends numbered messages through every fault at once, for a minute.
//! * Examples run against other people's servers, where these can be installed.
//!
//! `.ci/run` does all of it, but for most of Autobahn's cases of compression
//! over TLS.
//!
//! ---
//!
//! Next: [Decisions and their reasons](super::_27_decisions). All pages: [the manual](super).
//!
//! [§5.4]: https://www.rfc-editor.org/rfc/rfc6455#section-5.4
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
//! [RFC 6455 §5.5]: https://www.rfc-editor.org/rfc/rfc6455#section-5.5
//! [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692
//! [`Sender`]: crate::Sender
