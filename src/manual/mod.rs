//! The manual, in the order in which it can be read: each page ends with a link to the next.
//!
//! The pages are text; the modules have nothing in them. Every example is compiled, and tests compare
//! the tables of defaults and of log lines with the code.
//!
//! # Tutorial
//!
//! | | |
//! |---|---|
//! | [A first client](_01_echo) | Tutorial, step 1: a first client, that says hello and prints what comes back. |
//! | [A bot that survives](_02_bot) | Tutorial, step 2: a bot that survives its server, the network, and a token that expires. |
//! | [A chat, with its page](_03_chat) | Tutorial, step 3: a chat, whose server has its page for browsers on the same port. |
//!
//! # Topics
//!
//! | | |
//! |---|---|
//! | [What callbacks may rely on](_04_promises) | What callbacks may rely on: nine promises, each of which is tested from outside the library. |
//! | [Threads and slow callbacks](_05_threads) | Which thread does what, and what a callback that takes long costs: its own app's next message, and nothing else. |
//! | [Sending, back-pressure and batching](_06_sending) | What `send` does, when it waits, what it drops, and why small messages need no batching by hand. |
//! | [Connecting](_07_connecting) | How a URL becomes a connection, with one deadline over all of it, and what of it a program may do itself. |
//! | [Reconnecting, and what may be lost](_08_reconnecting) | When a lost connection is made again, what decides about it, and which messages may be lost or come twice. |
//! | [Closing](_09_closing) | How a connection ends: the closing handshake, what a close code says, and peers that say nothing. |
//! | [TLS](_10_tls) | How `wss://` is secured: whom it trusts, which library does it, and what each option is for. |
//! | [Proxies](_11_proxies) | Which proxy a connection goes through, what it gets to know, and what its refusals mean. |
//! | [Memory](_12_memory) | What takes memory, what bounds each of it, and what is given back when. |
//! | [Security](_13_security) | What is safe by default, what a program has to see to itself, and what the library does not defend against. |
//! | [Errors](_14_errors) | Which errors there are, sorted by whose fault they are, and what is worth trying again. |
//! | [Logging](_15_logging) | What is logged, by which target and at which level, what never is, and the trace of what goes over the wire. |
//! | [Performance](_16_performance) | How fast it is beside others, what the figures do not show, how to repeat ours, and what to do for more. |
//!
//! # To look things up
//!
//! | | |
//! |---|---|
//! | [Every default](_17_defaults) | Every option with its default, and why; a test compares the tables with the code. |
//! | [Features and systems](_18_features) | What each feature brings and costs, and on which systems it all runs. |
//!
//! # Coming from elsewhere
//!
//! | | |
//! |---|---|
//! | [Coming from Python: websocket-client](_19_from_python) | Every name of PyPI's `websocket-client` 1.9, and what to write here; "no" comes with the reason. |
//! | [Coming from Python: servers](_20_from_python_servers) | What to write for every documented name of PyPI's `websocket-server` 0.6 and of `websockets.sync.server`. |
//! | [Coming from tungstenite](_21_from_tungstenite) | What to write for each name of tungstenite 0.30, and why a program may want to. |
//! | [Coming from OkHttp](_22_from_okhttp) | What to write for each name of OkHttp's WebSocket (`okhttp3.WebSocket`, `WebSocketListener`). |
//! | [Coming from IXWebSocket](_23_from_ixwebsocket) | What to write for each name of IXWebSocket (`ix::WebSocket`, `ix::WebSocketServer`). |
//!
//! # Questions and answers
//!
//! | | |
//! |---|---|
//! | [Questions about clients](_24_questions) | Questions about clients, with answers: what users of such libraries ask most. |
//! | [Questions about servers](_25_questions_of_servers) | Questions about servers, with answers. |
//!
//! # How it works
//!
//! | | |
//! |---|---|
//! | [How it works](_26_how_it_works) | How it works: the modules, what lives how long, and which way a message takes. |
//! | [Decisions and their reasons](_27_decisions) | Why it is as it is: the decisions that somebody may want to undo, each with its reason. |
//! | [Non-goals](_28_non_goals) | What it is not for, and what to use instead. |
//!
//! # Examples
//!
//! In the repository `cargo run --example NAME` talks to a server that the example starts itself.
//! Arguments, mostly the URL of a server of yours, change that: the head of each file says which.
//! Those marked with * are servers too, or have one, and need `--features server`. Those marked
//! with † are clients of servers that they do not bring along, of which the head of each file names
//! one. The last ones are tools for testing this crate and need their arguments.
//!
//! | example | shows |
//! |---|---|
//! | `echo` | the first program |
//! | `callbacks` | every callback, and when it comes |
//! | `send_from_threads` | several threads, one connection |
//! | `blocking` | connect, send and receive without callbacks |
//! | `file_transfer` | a file of any size there and back, with a progress bar for either way: `file_transfer FILE URL` |
//! | `select` | messages, a clock and a stop signal in one `select!` |
//! | `frame_loop` | a GUI's loop: woken up, it takes what has come and draws; never waits |
//! | `reconnecting_bot` * | a bot that survives its server: reconnects, subscribes anew, leaves one that does not answer its heartbeat, ends on Ctrl-C |
//! | `market_feed` * | numbered prices: subscribes to snapshots, anew where a number is missing, leaves a feed whose heartbeats stop |
//! | `json_rpc` * | calls from several threads over one connection, each with its reply, and a server that answers them |
//! | `chromium` † | the same with a browser, over its debugging port |
//! | `graphql_ws` † | GraphQL by `graphql-transport-ws`: queries, mutations and subscriptions over one connection |
//! | `socket_io` † | Socket.IO: events, acknowledgements, its pings |
//! | `phoenix` † | Phoenix channels: joins, pushes with replies, heartbeats |
//! | `stomp` † | STOMP 1.2, which message brokers speak: subscriptions, receipts, heart-beats |
//! | `bridge` | two servers, each of which gets what the other sends, and its closing code |
//! | `chat_server` * | a room to talk in, with a page for browsers on the same port |
//! | `many_connections` | 10,000 connections on one thread, and what they cost |
//! | `autobahn_client`, `autobahn_server` * | what the Autobahn test suite tests |
//! | `load_client`, `bench_server` * | what throughput, latency and processor time are measured with |
//!
//! ---
//!
//! Next: [A first client](_01_echo).

// Pages about the server have one stand-in without the feature, since all of their links lead there.
#![allow(clippy::duplicate_mod)]

pub mod _01_echo;
pub mod _02_bot;
#[cfg_attr(not(feature = "server"), path = "of_servers.rs")]
pub mod _03_chat;
pub mod _04_promises;
pub mod _05_threads;
pub mod _06_sending;
pub mod _07_connecting;
pub mod _08_reconnecting;
pub mod _09_closing;
pub mod _10_tls;
pub mod _11_proxies;
pub mod _12_memory;
pub mod _13_security;
pub mod _14_errors;
pub mod _15_logging;
pub mod _16_performance;
pub mod _17_defaults;
pub mod _18_features;
pub mod _19_from_python;
#[cfg_attr(not(feature = "server"), path = "of_servers.rs")]
pub mod _20_from_python_servers;
pub mod _21_from_tungstenite;
pub mod _22_from_okhttp;
pub mod _23_from_ixwebsocket;
pub mod _24_questions;
#[cfg_attr(not(feature = "server"), path = "of_servers.rs")]
pub mod _25_questions_of_servers;
pub mod _26_how_it_works;
pub mod _27_decisions;
pub mod _28_non_goals;

#[cfg(test)]
pub(crate) mod checks;
