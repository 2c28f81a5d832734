//! No callbacks: connect, send and receive in a straight line, as with `create_connection` in
//! Python.
//!
//! ```text
//! cargo run --example blocking                            # with an echo server that it starts itself
//! cargo run --example blocking -- wss://echo.example/
//! ```
//!
//! Tested in `tests/integration/examples/alone.rs`.

mod local_echo;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use websocket_app::WebSocket;

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

    // `WebSocket::connect(url)` where no option is wanted.
    let mut ws = WebSocket::builder(url).header("User-Agent", "blocking-example").connect()?;
    println!("connected, HTTP status {}", ws.handshake().status());

    // Text and binary.
    ws.send("Hello, server!")?;
    println!("received: {}", ws.recv()?);
    ws.send([1, 2, 3])?;
    println!("received: {}", ws.recv()?);

    // Waiting for a while only.
    match ws.recv_timeout(Duration::from_millis(100))? {
        Some(message) => println!("received: {message}"),
        None => println!("nothing received within 100 ms"),
    }

    // Another thread sends while this one waits in the iterator.
    let sender = ws.sender();
    let counting =
        thread::spawn(move || (1..=3).try_for_each(|i| sender.send(format!("message {i}"))));
    for message in ws.by_ref().take(3) {
        println!("received: {}", message?);
    }
    counting.join().map_err(|_| "the sending thread panicked")??;

    println!("closed: {}", ws.close()?);
    Ok(())
}
