//! What is logged, by which target and at which level, what never is, and the trace of what goes
//! over the wire.
//!
//! Through the [`log`](https://docs.rs/log) facade: any of its loggers shows it, and without one
//! nobody sees it. `env_logger` is one: `cargo add env_logger`, and at the beginning of `main`
//! `env_logger::init();`. Then `RUST_LOG=websocket_app=debug cargo run` tells how connections come
//! and go, and `RUST_LOG=websocket_app::wire=trace` what goes over them.
//!
//! | target | level | what |
//! |---|---|---|
//! | `websocket_app` | error | an error for which no `on_error` is set; what a callback ended the run with; a panic of what callbacks or a transport hold, as it is dropped |
//! | `websocket_app` | warn | `reconnect()` of a blocking connection or of a server's client, which does nothing; how many messages were not sent, where `on_error` could not be handed them since it had failed, or the app never ran |
//! | `websocket_app` | debug | how each run ended |
//! | `websocket_app::connect` | warn | the operating system did not do what it should, or a key log cannot be written; never the peer's doing |
//! | `websocket_app::connect` | debug | the phases of connecting: addresses, attempts, the proxy, the server's status |
//! | `websocket_app::connection` | debug | the peer's Close frame, without a reason that repeats a credential; what it did instead of answering ours |
//! | `websocket_app::event_loop` | error | why an event loop ended before its time |
//! | `websocket_app::event_loop` | warn | the operating system did not do what it should: no thread to stand in for a slow callback, a loop that could not be woken at once |
//! | `websocket_app::event_loop` | debug | a slow callback, for which another thread stands in |
//! | `websocket_app::server` | error | what `on_request` or a handler did that cannot be answered for |
//! | `websocket_app::server` | warn | accepting pauses, TLS with a client cannot be begun, a client has no place in the event loop, or a client and the server have no subprotocol in common |
//! | `websocket_app::server` | debug | who comes, who is refused and why; errors of clients for which no `on_error` is set; shutdown |
//! | `websocket_app::wire` | trace | the opening handshake, and that with an HTTP proxy, line by line: of headers all names, and the values of those that hold no credentials; every frame: opcode, FIN and RSV bits, length, the first 64 bytes of its payload, compressed as it may be |
//!
//! A test compares the table with the source. Targets and levels are part of the interface; the
//! words are not.
//!
//! # What is never logged
//!
//! Nothing that is a credential: no `Authorization`, no cookie, no user info, no query of a URL.
//! Where a server's refusal repeats one of these, or the value of another header that the program
//! set, it is left out. What comes from outside cannot change a terminal or make a line two:
//! control characters are escaped.
//!
//! # The wire
//!
//! What messages say is logged at level trace only, by `websocket_app::wire`, which shows what goes
//! over each connection that opens while that is on, before TLS and masking:
//!
//! ```text
//! echo.example:443: sent GET /chat?… HTTP/1.1
//! echo.example:443: sent Authorization: …
//! echo.example:443: received HTTP/1.1 101
//! echo.example:443: sent text FIN, length 14: "Hello, server!"
//! echo.example:443: received binary FIN, length 70000: 00 01 02 03 04 05 06 07 08 09 …
//! ```
//!
//! # A logger that sends
//!
//! A logger may send over the app whose line it writes: on a thread that runs apps, or is in a
//! blocking client's `recv`, and in a line of `websocket_app::wire`, that never waits, as in their
//! callbacks. Do not send the lines of `websocket_app::wire` over the app that they are about: each
//! would be followed by another.
//!
//! ---
//!
//! Next: [Performance](super::_16_performance). All pages: [the manual](super).
