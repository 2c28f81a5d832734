//! The first program: connects, says hello, prints what comes back, closes.
//!
//! ```text
//! cargo run --example echo                            # starts an echo server inside itself and talks to it
//! cargo run --example echo -- wss://echo.example/     # talks to that server
//! ```
//!
//! Tested in `tests/integration/examples/alone.rs`.

mod local_echo;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use websocket_app::{Message, WebSocketApp};

const HELLO: &str = "Hello, server!";
/// How long an echo may take before we stop waiting for it.
const PATIENCE: Duration = Duration::from_secs(10);

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
    println!("connecting to {url}");
    let echoed = Arc::new(AtomicBool::new(false));
    let on_echo = Arc::clone(&echoed);

    WebSocketApp::new(url)
        .on_open(|ws| {
            println!("connected, sending: {HELLO}");
            ws.send(HELLO)
        })
        .on_message(move |ws, message| {
            println!("received: {message}");
            if message == Message::Text(HELLO) {
                on_echo.store(true, Ordering::Relaxed);
                ws.close();
            }
        })
        .every(PATIENCE, |ws| ws.close())
        .on_close(|_ws, close| println!("closed: {close}"))
        .run_forever()?;

    if !echoed.load(Ordering::Relaxed) {
        return Err(format!("the server did not send {HELLO:?} back within {PATIENCE:?}").into());
    }
    Ok(())
}
