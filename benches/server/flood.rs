//! How long one waits for its answer beside others who send as fast as they can.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tungstenite::client::client;

use crate::child::Served;
use crate::compare::{Bench, seconds};
use crate::load::{Exchange, masked};
use crate::processors::Apart;

/// How long one echoes, one message after the other.
const TIME: Duration = Duration::from_secs(2);
const TRIED: Duration = Duration::from_millis(20);

/// A flood goes on in pieces of so many bytes, between which the answer is looked for.
const PIECE: usize = 4 << 10;

pub(crate) fn run(bench: &Bench, apart: &Apart) {
    for (what, first) in [("empty messages", 0x81), ("pings", 0x89)] {
        let frame = masked(first, b"");
        let frames = frame.repeat(PIECE / frame.len());
        for others in [0, 4, 64] {
            let name = format!("flood of {what} by {others}");
            bench.row(&name, || {
                let time = if bench.only_tries() { TRIED } else { TIME };
                let found = ["tungstenite", "ours"]
                    .map(|server| waits(server, apart, &frames, others, time));
                if !bench.only_tries() {
                    println!("{name}");
                    ["tungstenite, threads", "websocket-app"]
                        .into_iter()
                        .zip(found)
                        .for_each(print);
                }
            });
        }
    }
}

fn print((server, (mut times, answered)): (&str, (Vec<Duration>, f64))) {
    times.sort();
    let at = |share: usize| seconds(times[(times.len() - 1) * share / 100].as_secs_f64());
    println!(
        "  {server:<22} median {}, 99th of 100 {}; the others' {:.2} M/s",
        at(50),
        at(99),
        answered / 1e6
    );
}

/// How long each echo of 20 bytes took, while so many others send these frames again and again; and
/// how many of these were answered in a second.
fn waits(
    server: &str,
    apart: &Apart,
    frames: &[u8],
    others: usize,
    time: Duration,
) -> (Vec<Duration>, f64) {
    let served = Served::start(&[server]);
    apart.put(served.id());
    let mut one = open(&served);
    let mut others: Vec<_> = (0..others).map(|_| (open(&served), 0)).collect();
    let exchange = Exchange::new(20, 1);
    let mut answer = vec![0; exchange.answer.len()];
    let mut sink = vec![0; 64 << 10];
    // One after the other, so that the answer is looked for in between.
    let mut turn = (0..others.len()).cycle();
    let mut answered = 0;
    let mut flood = |others: &mut Vec<(TcpStream, usize)>| {
        let Some((stream, sent)) = turn.next().map(|next| &mut others[next]) else { return 0 };
        *sent = (*sent + now(stream.write(&frames[*sent..]))) % frames.len();
        let answers = now(stream.read(&mut sink));
        answered += answers;
        answers
    };
    // Each is served.
    let mut silent = vec![true; others.len()];
    for turn in (0..silent.len()).cycle() {
        silent[turn] &= flood(&mut others) == 0;
        if !silent.contains(&true) {
            break;
        }
    }
    let mut echo = || {
        let began = Instant::now();
        assert_eq!(one.write(exchange.frames(1)).unwrap(), exchange.frames(1).len());
        let mut read = 0;
        while read < answer.len() {
            read += now(one.read(&mut answer[read..]));
            flood(&mut others);
        }
        assert!(answer == exchange.answer, "another answer");
        began.elapsed()
    };
    let (began, mut times) = (Instant::now(), Vec::new());
    while times.is_empty() || began.elapsed() < time {
        times.push(echo());
    }
    // Empty frames: each answer has a header of two bytes.
    (times, answered as f64 / 2.0 / began.elapsed().as_secs_f64())
}

/// An open connection that never blocks.
fn open(served: &Served) -> TcpStream {
    let stream = TcpStream::connect(served.address()).unwrap();
    let (ws, _) = client(format!("ws://{}/", served.address()), stream).unwrap();
    let stream = ws.get_ref().try_clone().unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

/// How many bytes that was, without waiting.
fn now(done: io::Result<usize>) -> usize {
    match done {
        Ok(0) => panic!("the server has closed"),
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        Err(error) => panic!("{error}"),
    }
}
