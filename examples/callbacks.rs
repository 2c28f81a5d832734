//! Every callback, and when it is called.
//!
//! ```text
//! cargo run --example callbacks                           # with an echo server that it starts itself
//! cargo run --example callbacks -- wss://echo.example/
//! ```
//!
//! Tested in `tests/integration/examples/alone.rs`.

mod local_echo;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use websocket_app::{CallbackError, WebSocketApp};

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
    whole_messages(&url)?;
    message_in_pieces(&url)
}

fn whole_messages(url: &str) -> Result<(), Box<dyn Error>> {
    let mut ticks = 0;
    WebSocketApp::new(url)
        // A callback returns nothing or a `Result`: an `Err` goes to `on_error`, and the connection
        // goes on.
        .on_open(|ws| -> Result<(), CallbackError> {
            println!("on_open       connected");
            ws.ping("hello?")?;
            ws.send("42")?;
            ws.send("forty-two")?;
            ws.send(vec![4, 2])?;
            Ok(())
        })
        // Called instead of `on_open` for every connection but the first, where reconnecting was
        // asked for.
        .on_reconnect(|_ws| println!("on_reconnect  connected again"))
        .on_message(|_ws, message| -> Result<(), CallbackError> {
            println!("on_message    {message}");
            if let Some(text) = message.as_text() {
                let number: u32 = text.parse()?;
                println!("              that is the number {number}");
            }
            Ok(())
        })
        // The answer has been sent already; nothing needs to be done here.
        .on_ping(|_ws, payload| println!("on_ping       {:?}", String::from_utf8_lossy(payload)))
        .on_pong(|_ws, payload| println!("on_pong       {:?}", String::from_utf8_lossy(payload)))
        .on_error(|_ws, error| println!("on_error      {error}"))
        .every(Duration::from_millis(300), move |ws| {
            ticks += 1;
            println!("every         300 ms, for the {ticks}. time");
            if ticks == 2 {
                ws.close();
            }
        })
        // Always comes, once, and last.
        .on_close(|_ws, close| println!("on_close      {close}"))
        .run_forever()?;
    Ok(())
}

/// With `on_fragment` set, messages come piece by piece as they arrive, and `on_message` is not
/// called.
fn message_in_pieces(url: &str) -> Result<(), Box<dyn Error>> {
    println!();
    let (mut pieces, mut bytes) = (0, 0);
    WebSocketApp::new(url)
        .on_open(|ws| {
            println!("on_open       connected, sending a message of 1 MiB");
            ws.send(vec![b'x'; 1 << 20])
        })
        .on_fragment(move |ws, fragment| {
            pieces += 1;
            bytes += fragment.data.len();
            if fragment.last {
                println!("on_fragment   the last of {pieces} pieces, {bytes} bytes in all");
                ws.close();
            }
        })
        .on_error(|_ws, error| println!("on_error      {error}"))
        .on_close(|_ws, close| println!("on_close      {close}"))
        .run_forever()?;
    Ok(())
}
