//! A bot that runs for months: subscribes when connected, again when connected again, sends a
//! heartbeat, and ends cleanly on Ctrl-C.
//!
//! ```text
//! cargo run --example reconnecting_bot                              # with a ticker of its own that breaks down twice
//! cargo run --example reconnecting_bot -- wss://ticker.example/     # until Ctrl-C
//! ```

mod local_ticker;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use websocket_app::{CallbackError, Reconnect, Sender, WebSocketApp};

use self::local_ticker::Ticker;

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
    match env::args().nth(1) {
        Some(url) => bot(&url, |_ws| {}),
        None => {
            let mut ticker = Ticker::start()?;
            let url = ticker.url();
            println!("(no URL given: talking to a ticker started here, {url})");
            bot(&url, |ws| {
                thread::spawn(move || {
                    let result = break_down_twice(&mut ticker);
                    if let Err(error) = result {
                        eprintln!("the ticker does not come back: {error}");
                    }
                    println!("--- that was it: closing");
                    ws.close();
                });
            })
        }
    }
}

/// `meanwhile` is given the handle to close with, right before the bot runs.
fn bot(url: &str, meanwhile: impl FnOnce(Sender)) -> Result<(), Box<dyn Error>> {
    // The last tick that has come, so that a new subscription goes on where the last one ended.
    let last_tick = Arc::new(AtomicU64::new(0));
    let (on_reconnect, on_message) = (Arc::clone(&last_tick), Arc::clone(&last_tick));

    let app = WebSocketApp::new(url)
        // Full jitter: the clients of a server that comes back do not come back all at once. For a
        // real server, from one second to a minute rather.
        .reconnect(Reconnect::exponential(Duration::from_millis(100), Duration::from_secs(1)))
        .on_open(|ws| {
            println!("connected: subscribing");
            ws.send("subscribe")
        })
        .on_reconnect(move |ws| {
            let after = on_reconnect.load(Ordering::Relaxed);
            println!("connected again: subscribing to what comes after tick {after}");
            ws.send(format!("subscribe after {after}"))
        })
        .on_message(move |_ws, message| -> Result<(), CallbackError> {
            println!("received: {message}");
            if let Some(number) = message.as_text().and_then(|text| text.strip_prefix("tick ")) {
                on_message.store(number.parse()?, Ordering::Relaxed);
            }
            Ok(())
        })
        // Only while connected. The WebSocket's own pings are sent anyway; this is what some
        // servers ask for besides.
        .every(Duration::from_millis(700), |ws| ws.send("heartbeat"))
        .on_error(|_ws, error| println!("trouble: {error}"))
        .on_close(|_ws, close| println!("closed: {close}"));

    // `close()` is final, at any time: it also ends the wait for the next attempt.
    let ws = app.sender();
    let on_ctrl_c = ws.clone();
    ctrlc::set_handler(move || {
        println!("Ctrl-C: closing");
        on_ctrl_c.close();
    })?;
    meanwhile(ws.clone());
    app.run_forever()?;
    let stats = ws.stats();
    println!(
        "{} messages received, connected again {} times",
        stats.messages_received, stats.reconnects
    );
    Ok(())
}

/// What happens to every server once in a while.
fn break_down_twice(ticker: &mut Ticker) -> std::io::Result<()> {
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(1500));
        println!("--- the ticker is killed");
        ticker.stop();
        thread::sleep(Duration::from_millis(500));
        println!("--- and started again");
        ticker.restart()?;
    }
    thread::sleep(Duration::from_millis(1500));
    Ok(())
}
