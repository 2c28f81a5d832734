//! The library's server.
//!
//! * Most paths: what comes is sent back.
//! * `/work`: the same after some work.
//! * `/all` and `/stalled` subscribe to what is published, the latter to what fills queues too.
//! * `/publish`: what comes is published.
//! * `/fill`: a number comes; so many messages are published for those who stall.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use websocket_app::server::{Client, Delivered, Server, SlowClients};
use websocket_app::{CallbackError, Message};

use super::Options;

const WORK: Duration = Duration::from_micros(20);

/// For those that do not go by themselves.
const SHUTDOWN: Duration = Duration::from_secs(20);

pub(super) fn serve(options: &Options) {
    let pings = options.value("pings").map(|seconds| seconds.parse().unwrap());
    let slow = match options.value("slow") {
        Some("Skip") => SlowClients::Skip,
        Some("KeepLatest") => SlowClients::KeepLatest,
        _ => SlowClients::Close,
    };
    let server = Server::new("127.0.0.1:0")
        .max_connections(20_000)
        .ping_interval(pings.map(Duration::from_secs))
        .slow_clients(slow)
        .threads(options.value("threads").map_or(1, |threads| threads.parse().unwrap()))
        .on_open(on_open)
        .on_message(on_message);
    let ends = Arc::new(Ends::default());
    let server = if options.has("ends") { counting(server, &ends) } else { server };
    let server = secured(compressing(server, options), options).spawn().unwrap();
    println!("{}", server.local_addr().unwrap());
    for command in super::commands() {
        assert_eq!(command, "shutdown");
        server.shutdown(1001, "", SHUTDOWN).unwrap();
        server.join().unwrap();
        let ends = ends.0.lock().unwrap();
        let once = ends.values().filter(|end| **end == (1, 1)).count();
        let [opened, closed] = [|end: &(_, _)| end.0, |end: &(_, _)| end.1]
            .map(|which: fn(&(usize, usize)) -> usize| ends.values().map(which).sum::<usize>());
        println!("{opened} {closed} {once}");
    }
}

fn on_open(client: &Client) {
    match client.request().path() {
        "/all" => client.subscribe("all"),
        "/stalled" => {
            client.subscribe("all");
            client.subscribe("fill");
        }
        _ => {}
    }
}

fn on_message(client: &Client, message: Message<'_>) -> Result<(), CallbackError> {
    match client.request().path() {
        "/publish" => drop(client.server().publish("all", message)),
        "/fill" => client.send(fill(client, message.as_bytes()))?,
        "/work" => {
            work();
            client.send(message)?;
        }
        _ => client.send(message)?,
    }
    Ok(())
}

/// What became of them all.
fn fill(client: &Client, number: &[u8]) -> String {
    let number: usize = std::str::from_utf8(number).unwrap().parse().unwrap();
    let mut all = Delivered::default();
    for _ in 0..number {
        let delivered = client.server().publish("fill", [b'x'; 64]);
        all.clients += delivered.clients;
        all.delayed += delivered.delayed;
        all.skipped += delivered.skipped;
    }
    format!("clients {}, delayed {}, skipped {}", all.clients, all.delayed, all.skipped)
}

fn work() {
    let began = Instant::now();
    while began.elapsed() < WORK {
        std::hint::spin_loop();
    }
}

/// How often each client was opened and closed.
#[derive(Default)]
struct Ends(Mutex<HashMap<u64, (usize, usize)>>);

fn counting(server: Server, ends: &Arc<Ends>) -> Server {
    let [opens, closes] = [Arc::clone(ends), Arc::clone(ends)];
    server
        .on_open(move |client| opens.0.lock().unwrap().entry(client.id()).or_default().0 += 1)
        .on_close(move |client, _| closes.0.lock().unwrap().entry(client.id()).or_default().1 += 1)
}

#[cfg(feature = "deflate")]
fn compressing(server: Server, options: &Options) -> Server {
    server.compression(options.has("deflate").then(websocket_app::Deflate::default))
}

#[cfg(not(feature = "deflate"))]
fn compressing(server: Server, _options: &Options) -> Server {
    server
}

#[cfg(feature = "rustls")]
fn secured(server: Server, options: &Options) -> Server {
    use websocket_app::TlsBackend;
    use websocket_app::server::ServerTls;

    server.tls(options.value("tls").map(|library| {
        let tls =
            ServerTls::from_pem(options.value("cert").unwrap(), options.value("key").unwrap());
        tls.backend(match library {
            "native-tls" => TlsBackend::NativeTls,
            _ => TlsBackend::Rustls,
        })
    }))
}

#[cfg(not(feature = "rustls"))]
fn secured(server: Server, _options: &Options) -> Server {
    server
}
