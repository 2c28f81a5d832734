//! Messages in a channel instead of callbacks, so that one loop waits for them, for a clock and for
//! a stop signal. Needs `crossbeam-channel` in your own Cargo.toml for its `select!`.
//!
//! ```text
//! cargo run --example select                          # with an echo server that it starts itself
//! cargo run --example select -- wss://echo.example/
//! ```
//!
//! Tested in `tests/integration/examples/alone.rs`.

mod local_echo;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use crossbeam_channel::{after, select, tick};
use websocket_app::{Event, WebSocketApp};

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

    // At most 64 events wait; when you are slower than the server, the app stops reading.
    let events = WebSocketApp::new(url).events(64);
    let ws = events.sender();
    let ticker = tick(Duration::from_millis(300));
    // Any channel will do: from a Ctrl-C handler, from another thread.
    let stop = after(Duration::from_secs(1));
    let mut failure = None;
    let mut ticks = 0;

    loop {
        select! {
            recv(events.receiver()) -> event => match event? {
                Event::Open => println!("open"),
                Event::Message(message) => println!("received: {message}"),
                Event::Error(error) => failure = Some(error),
                // Always the last one.
                Event::Close(close) => {
                    println!("closed: {close}");
                    return failure.map_or(Ok(()), |error| Err(error.into()));
                }
                _ => {}
            },
            recv(ticker) -> _ => {
                ticks += 1;
                // Also before the connection is open and after it ended: this is then an error, and
                // no more than that.
                if let Err(error) = ws.send(format!("tick {ticks}")) {
                    println!("tick {ticks} was {error}");
                }
            }
            recv(stop) -> _ => {
                println!("stopping");
                ws.close();
            }
        }
    }
}
