//! Several threads send through clones of one `Sender` while the app receives.
//!
//! ```text
//! cargo run --example send_from_threads                           # with an echo server that it starts itself
//! cargo run --example send_from_threads -- wss://echo.example/
//! ```
//!
//! Tested in `tests/integration/examples/alone.rs`.

mod local_echo;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use websocket_app::{SendError, Sender, WebSocketApp};

const THREADS: usize = 4;
const MESSAGES: usize = 250; // from each

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let url = local_echo::url(env::args().nth(1))?;
    let (opened, open) = mpsc::channel();
    let mut received = 0;

    // `spawn` runs the app on a thread of its own, so that this one is free.
    let app = WebSocketApp::new(url)
        .on_open(move |_ws| opened.send(()))
        .on_message(move |ws, message| {
            received += 1;
            if received % 100 == 0 {
                println!("{received} echoes, the last one: {message}");
            }
            if received == THREADS * MESSAGES {
                ws.close();
            }
        })
        .on_error(|_ws, error| eprintln!("on_error: {error}"))
        .spawn()?;

    // Before the connection is open, a send is an error. Where it never opens, the callbacks are
    // dropped, so this ends too.
    let mut threads = Vec::new();
    if open.recv().is_ok() {
        for number in 1..=THREADS {
            let ws = app.sender();
            threads.push(thread::spawn(move || count(number, &ws)));
        }
    }
    let ws = app.sender();
    let close = app.join()?;
    for thread in threads {
        thread.join().map_err(|_| "a sending thread panicked")??;
    }
    println!("closed: {close}");
    let stats = ws.stats();
    println!(
        "{THREADS} threads sent {} messages, {} came back",
        stats.messages_sent, stats.messages_received
    );
    Ok(())
}

/// Sends as any thread may, at any time. One thread's messages stay in their order.
fn count(thread: usize, ws: &Sender) -> Result<(), SendError> {
    let result =
        (1..=MESSAGES).try_for_each(|i| ws.send(format!("message {i} of thread {thread}")));
    if result.is_err() {
        ws.close();
    }
    result
}
