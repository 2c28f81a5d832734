//! A bot that runs for months: subscribes when connected, again when connected again, leaves a server
//! that does not answer its heartbeat, and ends cleanly on Ctrl-C.
//!
//! ```text
//! cargo run --features server --example reconnecting_bot                              # with a ticker of its own that breaks down thrice
//! cargo run --features server --example reconnecting_bot -- wss://ticker.example/     # until Ctrl-C
//! ```
//!
//! Tested in `tests/integration/examples/with_server.rs`, against a scripted peer too.

pub(crate) mod local_ticker;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use websocket_app::{CallbackError, Reconnect, Sender, Stats, WebSocketApp};

use self::local_ticker::Ticker;

/// How often the server has to say that it is well. For a real one some ten seconds rather.
const HEARTBEAT: Duration = Duration::from_millis(700);

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
    let stats = match env::args().nth(1) {
        Some(url) => bot(&url, closes_on_ctrl_c)?,
        None => {
            let mut ticker = Ticker::start()?;
            let url = ticker.url();
            println!("(no URL given: talking to a ticker started here, {url})");
            bot(&url, |ws| {
                closes_on_ctrl_c(ws.clone())?;
                thread::spawn(move || {
                    if let Err(error) = break_down_thrice(&mut ticker) {
                        eprintln!("the ticker does not come back: {error}");
                    }
                    println!("--- that was it: closing");
                    ws.close();
                });
                Ok(())
            })?
        }
    };
    println!(
        "{} messages received, connected again {} times",
        stats.messages_received, stats.reconnects
    );
    Ok(())
}

/// `close()` is final, at any time: it also ends the wait for the next attempt.
fn closes_on_ctrl_c(ws: Sender) -> Result<(), Box<dyn Error>> {
    ctrlc::set_handler(move || {
        println!("Ctrl-C: closing");
        ws.close();
    })?;
    Ok(())
}

/// `before` is given the handle to close with, right before the bot runs.
pub(crate) fn bot(
    url: &str,
    before: impl FnOnce(Sender) -> Result<(), Box<dyn Error>>,
) -> Result<Stats, Box<dyn Error>> {
    // The last tick that has come, so that a new subscription goes on where the last one ended.
    let last_tick = Arc::new(AtomicU64::new(0));
    let (on_reconnect, on_message) = (Arc::clone(&last_tick), Arc::clone(&last_tick));
    // Whether the latest heartbeat was answered, if there was one on this connection.
    let is_well = Arc::new(AtomicBool::new(true));
    let (begins_well, answers) = (Arc::clone(&is_well), Arc::clone(&is_well));

    let app = WebSocketApp::new(url)
        // Full jitter: the clients of a server that comes back do not come back all at once. For a
        // real server, from one second to a minute rather.
        .reconnect(Reconnect::exponential(Duration::from_millis(100), Duration::from_secs(1)))
        .on_open(|ws| {
            println!("connected: subscribing");
            ws.send("subscribe")
        })
        .on_reconnect(move |ws| {
            begins_well.store(true, Ordering::Relaxed);
            let after = on_reconnect.load(Ordering::Relaxed);
            println!("connected again: subscribing to what comes after tick {after}");
            ws.send(format!("subscribe after {after}"))
        })
        .on_message(move |_ws, message| -> Result<(), CallbackError> {
            println!("received: {message}");
            let text = message.as_text().unwrap_or_default();
            if let Some(number) = text.strip_prefix("tick ") {
                on_message.store(number.parse()?, Ordering::Relaxed);
            } else if text == "heartbeat acknowledged" {
                answers.store(true, Ordering::Relaxed);
            }
            Ok(())
        })
        // Only while connected. The WebSocket's own pings find a server that is gone; this finds one
        // that is there and does not do its work. It has until the next heartbeat to answer.
        .every(HEARTBEAT, move |ws| {
            if is_well.swap(false, Ordering::Relaxed) {
                return ws.send("heartbeat");
            }
            println!("no answer to the last heartbeat: connecting anew");
            ws.reconnect();
            Ok(())
        })
        .on_error(|_ws, error| println!("trouble: {error}"))
        .on_close(|_ws, close| println!("closed: {close}"));

    let ws = app.sender();
    before(ws.clone())?;
    app.run_forever()?;
    Ok(ws.stats())
}

/// What happens to every server once in a while.
fn break_down_thrice(ticker: &mut Ticker) -> Result<(), websocket_app::Error> {
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(1500));
        println!("--- the ticker is killed");
        ticker.stop()?;
        thread::sleep(Duration::from_millis(500));
        println!("--- and started again");
        ticker.restart()?;
    }
    thread::sleep(Duration::from_millis(1500));
    println!("--- the ticker gets stuck");
    ticker.get_stuck();
    thread::sleep(Duration::from_millis(3000));
    Ok(())
}
