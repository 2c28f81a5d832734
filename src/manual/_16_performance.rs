//! How fast it is beside others, what the figures do not show, how to repeat ours, and what to do
//! for more.
//!
//! The middle of three rounds in which all libraries took turns on the same work, each with a
//! client written as its users would, against one server that is none of them: 22 November 2026,
//! two virtual processors of an AMD EPYC, Linux 6.18, Rust 1.95, over loopback. "Bare socket"
//! writes prepared frames and does not look at what it reads: a floor, except where it pays for a
//! system call or a sleep per message that a library can save. "Best other" is the best of
//! tungstenite 0.30, tokio-tungstenite, tokio-websockets, fastwebsockets, sockudo-ws,
//! rust-websocket, ws-rs and ewebsock in that row. More is better, but for the round trips; the
//! best library of a row is in bold.
//!
//! | work | bare socket | websocket-app | tungstenite | best other |
//! |---|---|---|---|---|
//! | receive 64 B, a second | 37.6 M | **70.9 M** | 18.2 M | 18.2 M (tungstenite) |
//! | receive 1 KiB | 2.91 M | **4.48 M** | 3.20 M | 4.11 M (tokio-websockets) |
//! | receive 16 KiB | 180 k | **258 k** | 168 k | 246 k (rust-websocket) |
//! | receive 1 MiB | 3,270 | **5,040** | 3,540 | 4,120 (rust-websocket) |
//! | send 64 B one by one, a second | 0.16 M | **12.3 M** | 0.15 M | 1.47 M (ws-rs) |
//! | send 1 KiB | 0.12 M | **1.68 M** | 0.11 M | 0.38 M (ws-rs) |
//! | send 16 KiB | 50 k | **127 k** | 47 k | 48 k (sockudo-ws) |
//! | send 1 MiB | 1,460 | 2,260 | 1,370 | **2,340** (sockudo-ws) |
//! | send 64 B, batched by hand where the library can | 19.6 M | 10.9 M | **11.1 M** | **11.1 M** (tungstenite) |
//! | send 1 KiB, the same | 1.62 M | 1.45 M | **2.35 M** | **2.35 M** (tungstenite) |
//! | round trip 125 B, reply sent in the callback | 15.8 µs | 17.5 µs | 16.9 µs | **16.6 µs** (rust-websocket, which like tungstenite has none) |
//! | round trip 16 KiB, the same | 18.5 µs | 20.7 µs | **20.1 µs** | **20.1 µs** (tungstenite) |
//! | round trip 125 B, blocking `send` and `recv` | 15.8 µs | 17.1 µs | 16.7 µs | **16.3 µs** (rust-websocket) |
//! | round trip 125 B, sent by another thread |  | 19.6 µs | impossible | **18.6 µs** (rust-websocket) |
//!
//! websocket-app's peak memory was 5.8 to 7.8 MiB for the whole process, most of it the code of
//! libraries that processes share, and up to 23 where messages came faster than the server took
//! them, and waited (`max_send_buffer`). The bare socket's was 4.8 to 6.7.
//!
#![doc = include_str!("../../docs/figures/clients.svg")]
//!
//! The program that compared the clients, and the load of the servers' table below, are no part of
//! the project: others' columns cannot be measured anew from here. Ours can, as is said below, that
//! of the servers with another load.
//!
//! The charts here and in the README are drawn by `docs/figures/draw.py` in the repository, from the
//! JSON beside it, which is what these programs wrote: a list of
//! `{"work": "recv", "size": 64, "lib": "ours", "value": 70920844}` and so on. To draw them anew,
//! put new figures into `docs/figures/clients.json` or `servers.json`, where and when they were
//! taken into the `.txt` beside it, and call the script.
//!
//! # Servers
//!
//! The middle of three rounds in which all took turns, 22 November 2026, on the same machine: the
//! server on one processor, and on the other a load that is none of them and compares what comes back.
//! Each is written as its users would; tokio-tungstenite has a read buffer of 8 KiB, which makes it
//! quicker than its default of 128. In brackets the server's processor time for each message; ≥ where
//! the load was what took longest.
//!
//! | work | websocket-app | uWebSockets (C++) | fastwebsockets | tokio-tungstenite |
//! |---|---|---|---|---|
//! | echo 20 B on 100 connections, a second | 113 k (8.6 µs) | 118 k (8.1) | 139 k (6.9) | 121 k (8.1) |
//! | echo 1 KiB | 119 k (8.3) | 153 k (6.4) | 93.3 k (10.3) | 94.6 k (10.5) |
//! | echo 16 KiB | 67.0 k (14.6) | 67.4 k (14.2) | 53.2 k (18.4) | 44.2 k (22.2) |
//! | echo 1 MiB on 8 | 1,193 (808) | 1,095 (888) | 1,103 (874) | 830 (1,186) |
//! | echo 20 B on 512, 16 on their way on each | 1.58 M (0.63) | 1.41 M (0.69) | 0.15 M (6.5) | 1.38 M (0.72) |
//! | 64 B to 1,000 clients, deliveries | 1.07 M (0.91) | ≥ 1.20 M (0.77) | 0.15 M (6.2) | 0.75 M (1.31) |
//! | connect, upgrade, a message there and back, close | ≥ 14.8 k (64) | ≥ 12.9 k (65) | ≥ 13.7 k (61) | ≥ 14.5 k (63) |
//! | memory of an idle connection, of 10,000 | 2,041 B | 256 B | 5,757 B | 10,707 B |
//!
//! One thread each. Websocket-app's memory is of three rounds minutes later. Nine tenths of an echo
//! are the operating system's, and so the same for all; in another run that day fastwebsockets'
//! echo of 1 KiB took 7.9 µs, uWebSockets' of 20 B 7.1, and 16 on their way 0.49. So a difference below
//! a fifth is none.
//!
#![doc = include_str!("../../docs/figures/servers.svg")]
//!
//! To repeat our column, start `examples/bench_server`, which says how, and let `wsapp bench` loose
//! on it; the project's own benchmark, below, does such works beside a server of tungstenite's with
//! threads.
//!
//! # What they do not show
//!
//! * From one run to the next a round trip differs by 2 or 3 percent, all else by 20 and more, for
//!   all of them: what is closer than that is no lead.
//! * Over loopback there is no network. Over one, most of these rows measure the network.
//! * Nothing sleeps there. Where processors sleep, it is the wake-ups that count most: on the same
//!   machine, with the benchmarks below, receiving messages of those four sizes is about 3.4, 0.7
//!   to 1.2, 2.0 and 1.8 times as fast as with tungstenite, a blocking round trip 0.94.
//! * Plain, uncompressed; the clients' table one connection. TLS, compression and more of servers are
//!   in the benchmarks.
//!
//! # To repeat our column
//!
//! Start a server that does what the head of `examples/load_client.rs` says, on processor 1
//! (`taskset -c 1`), or for round trips on 0; a loop that does nothing on each processor, so that
//! none sleeps (`taskset -c 0 chrt -i 0 sh -c 'while :; do :; done'`); and then `taskset -c 0
//! target/release/examples/load_client ours WORKLOAD N SIZE PORT`. N was a million, 300,000, 30,000
//! and 400 for receiving messages of the four sizes, 400,000, 200,000, 20,000 and 400 for sending
//! them, a million and 300,000 in the batched rows, and 10,000 for round trips (5,000 with 16 KiB).
//!
//! # The benchmarks
//!
//! They need no such server, but the repository:
//!
//! ```sh
//! cargo bench                               # all of it, a minute or two
//! cargo bench --bench connection -- send    # what has this in its name
//! cargo bench --features server,rustls --bench server    # two minutes more
//! ```
//!
//! `parts` compares decode, encode and mask with tungstenite's, and UTF-8 with what tungstenite
//! uses, the standard library's, without a socket; `connection` compares round trips from 64 B to
//! 64 MiB, receiving, and sending from one to eight threads, over loopback, and shows 1 to 1,000
//! connections on one loop, beside what the system calls alone cost, and `busy_poll`. They take
//! turns, round after round, and print medians: only the ratios of one run mean anything, and on a
//! busy machine not even those.
//!
//! `server` has a process for each server, whose processor time and memory it tells: echo,
//! connecting and idle connections beside a thread for each connection, plain and over TLS;
//! broadcasts to 1,000, compressed or beside clients that do not read; an echo beside 4 and 64 who
//! flood the server; 10,000 that connect, rest, and are told that the server goes.
//!
//! `cargo run --release --manifest-path benches/compression/Cargo.toml` compares compression.
//!
//! # For more
//!
//! * Build with `--release`. `lto = "thin"` and `codegen-units = 1` are what the figures have.
//! * Send small messages one after the other from one thread: they are [batched by
//!   themselves](super::_06_sending#batching).
//! * Give large messages away (`Vec<u8>`, `Bytes`): then they need not be copied where they have to
//!   wait.
//! * Put many connections on one [`EventLoop`]; where that is one processor's work, on several.
//! * [`busy_poll`](crate::WebSocketApp::busy_poll) saves the wake-up, some microseconds, and takes
//!   a whole processor for it.
//! * [`compression`](crate::WebSocketApp::compression) pays where the network is what is slow, and
//!   nowhere else.
//! * A server's [`threads`](super::_25_questions_of_servers#how-many-threads) are for when one is
//!   busy all of the time.
//!
//! ---
//!
//! Next: [Every default](super::_17_defaults). All pages: [the manual](super).
//!
//! [`EventLoop`]: crate::EventLoop
