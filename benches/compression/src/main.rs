//! Compressed messages: `websocket-app` beside others, in one run.
//!
//! ```text
//! cargo run --release --manifest-path benches/compression/Cargo.toml [ROUNDS]
//! ```
//!
//! JSON ticks of 200 B to 4 KiB, received and sent over loopback, one connection. Each measurement
//! is a process of its own, client and server on a processor each where `taskset` is there, and the
//! rounds are interleaved. The server is none of the libraries: it writes what it compressed
//! before, and counts the frames that come without inflating them. Everyone compresses with level 1
//! or the library's fastest, every message, and takes the context over. tokio-tungstenite cannot
//! compress and is there for what compression costs on a network that is for nothing.

mod clients;
mod server;
mod ticks;

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// What a client is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    Receive,
    Send,
}

const LIBRARIES: [&str; 3] = ["websocket-app", "yawc", "tokio-tungstenite"];
/// Payload bytes, and how many messages take about half a second.
const SIZES: [(usize, usize); 4] =
    [(200, 200_000), (500, 120_000), (1_000, 80_000), (4_000, 30_000)];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["server"] => server::run(),
        [library, work, messages, size, port] => {
            let work = if *work == "Send" { Work::Send } else { Work::Receive };
            clients::run(
                library,
                work,
                messages.parse().unwrap(),
                size.parse().unwrap(),
                port.parse().unwrap(),
            );
        }
        rounds => {
            compare(rounds.first().map_or(5, |rounds| rounds.parse().expect("how many rounds")))
        }
    }
}

fn compare(rounds: usize) {
    let (mut server, port) = start_server();
    // By work and size: messages a second, processor microseconds a message, and bytes on the wire
    // a message, of each.
    let mut results = BTreeMap::<_, BTreeMap<&str, Vec<[f64; 3]>>>::new();
    for _ in 0..rounds {
        for work in [Work::Receive, Work::Send] {
            for (size, messages) in SIZES {
                for library in LIBRARIES {
                    let figures = measure(library, work, messages, size, &port);
                    results
                        .entry((work, size))
                        .or_default()
                        .entry(library)
                        .or_default()
                        .push(figures);
                }
            }
        }
    }
    server.kill().unwrap();
    server.wait().unwrap();
    for ((work, size), by_library) in results {
        println!(
            "\n{work:?} ticks of {size} bytes (medians of {rounds}): messages/s, CPU, bytes on the wire"
        );
        for (library, figures) in by_library {
            let median = |i: usize| {
                let mut values: Vec<f64> = figures.iter().map(|figures| figures[i]).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            };
            println!(
                "  {library:18} {:>10.0}/s {:>8.2} µs {:>8.0} B",
                median(0),
                median(1),
                median(2)
            );
        }
    }
}

fn start_server() -> (Child, String) {
    let mut server = on_processor("1").arg("server").stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
    (server, port.trim().to_owned())
}

fn measure(library: &str, work: Work, messages: usize, size: usize, port: &str) -> [f64; 3] {
    let arguments = [library, &format!("{work:?}"), &messages.to_string(), &size.to_string(), port];
    let output = on_processor("0").args(arguments).stderr(Stdio::inherit()).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    let figures: Vec<f64> = line.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
    figures.try_into().unwrap_or_else(|_| panic!("{library} {work:?} {size}: {line:?}"))
}

/// This program, on this processor where that can be had.
fn on_processor(processor: &str) -> Command {
    let this = env::current_exe().unwrap();
    if Command::new("taskset").arg("--version").stdout(Stdio::null()).status().is_ok() {
        let mut command = Command::new("taskset");
        command.args(["-c", processor]).arg(this);
        return command;
    }
    Command::new(this)
}
