//! What is logged, by which target and at which level, what never is, and the trace of what goes
//! over the wire.
//!
//! Through the [`log`](https://docs.rs/log) facade: any of its loggers shows it, and without one
//! nobody sees it. `env_logger` is one: `cargo add env_logger`, and at the beginning of `main`
//! `env_logger::init();`. Then `RUST_LOG=websocket_app=debug cargo run` tells how connections come
//! and go, and `RUST_LOG=websocket_app::wire=trace` what goes over them.
//!
//! Each line, with `…` for what differs; it begins with the peer where there is one:
//!
//! | target | level | line | when, or what |
//! |---|---|---|---|
//! | `websocket_app` | error | `…` | an error for which no `on_error` is set |
//! | `websocket_app` | error | `… ends: …` | what a callback ended the run, or a client's connection, with: an `Err` or a panic |
//! | `websocket_app` | error | `what a callback holds panicked while it was dropped` | |
//! | `websocket_app` | error | `a transport panicked while it was dropped` | a [`Transport`](crate::Transport) of the program's own |
//! | `websocket_app` | warn | `reconnect() of a blocking WebSocket, and of a server's client, does nothing: connect again, and drop this one` | |
//! | `websocket_app` | warn | `…: messages not sent, and no on_error to hand them to: …` | how many; `on_error` had failed before |
//! | `websocket_app` | warn | `messages not sent, and no run that could hand them back: …` | how many; the app never ran |
//! | `websocket_app` | debug | `…: over: …` | how a run ended |
//! | `websocket_app::connect` | warn | `a connect could not be woken to be cancelled, it ends by its deadline: …` | the operating system did not do what it should |
//! | `websocket_app::connect` | warn | `the key log cannot be written: …` | |
//! | `websocket_app::connect` | debug | `connecting to …` | the URL, without what may be secret |
//! | `websocket_app::connect` | debug | `… has the addresses …` | |
//! | `websocket_app::connect` | debug | `…: trying …`<br>`… at …: …`<br>`…: connected by TCP to …` | an address; why it failed |
//! | `websocket_app::connect` | debug | `trying …` | a Unix socket |
//! | `websocket_app::connect` | debug | `…: going through the proxy …`<br>`…, by …: …` | why the proxy did not reach an address, of several |
//! | `websocket_app::connect` | debug | `…: connected` | by TCP or a Unix socket, through the proxy if there is one |
//! | `websocket_app::connect` | debug | `some of the operating system's roots cannot be read: …` | rustls |
//! | `websocket_app::connect` | debug | `… answered with status …` | the server, or a proxy |
//! | `websocket_app::connect` | debug | `…: redirected to …` | |
//! | `websocket_app::connect` | debug | `…: open` | |
//! | `websocket_app::connection` | debug | `…: received Close … …`<br>`…: received Close …, whose reason repeats a credential` | the peer's Close frame: code and reason |
//! | `websocket_app::connection` | debug | `…: instead of an answer to Close: …` | what the peer did instead |
//! | `websocket_app::event_loop` | error | `the event loop ends: …` | before its time, and why |
//! | `websocket_app::event_loop` | warn | `no thread to stand in for a slow callback: …` | the operating system gives none |
//! | `websocket_app::event_loop` | warn | `the event loop could not be woken at once: …` | the operating system did not do what it should |
//! | `websocket_app::event_loop` | debug | `a callback is slow: another thread stands in` | |
//! | `websocket_app::server` | error | `…: on_request: …`<br>``…: on_request chose the subprotocol `…`, which the client does not offer`` | a panic, or an answer that cannot be given: the client gets 500 |
//! | `websocket_app::server` | error | `what a callback holds panicked while it was dropped`<br>`what a handler holds panicked while it was dropped` | |
//! | `websocket_app::server` | warn | `accepting pauses, again and again: …` | there are no file descriptors left, say |
//! | `websocket_app::server` | warn | `…` | TLS with a client cannot be begun |
//! | `websocket_app::server` | warn | `…: no place in the event loop: …` | for a client |
//! | `websocket_app::server` | warn | `…: no subprotocol in common: some browsers fail such a connection` | |
//! | `websocket_app::server` | debug | `…: refused: …` | before its request: too many connections, or the server accepts none |
//! | `websocket_app::server` | debug | `…` | a TLS handshake that failed |
//! | `websocket_app::server` | debug | `…: lost before its request: …`<br>`…: lost before its answer: …` | |
//! | `websocket_app::server` | debug | `…: refused with status …: …`<br>`…: answered by on_request with status …` | |
//! | `websocket_app::server` | debug | `…: open` | |
//! | `websocket_app::server` | debug | `client …: …` | an error of this client, where no `on_error` is set |
//! | `websocket_app::server` | debug | `the server shuts down` | |
//! | `websocket_app::wire` | trace | `…: … …` | the peer, `sent` or `received`, and what: [below](#the-wire) |
//!
//! A test compares the table with the source, line by line. Targets and levels are part of the
//! interface; the words are not, and may change with any version.
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
//! A logger may send over the app whose line it writes. Such a send never waits, as in a callback,
//! where the thread runs apps or is in a blocking client's `recv`, or where the line is of
//! `websocket_app::wire`. Do not send the lines of `websocket_app::wire` over the app that they are
//! about: each would be followed by another.
//!
//! ---
//!
//! Next: [Performance](super::_16_performance). All pages: [the manual](super).
