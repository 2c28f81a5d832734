//! A market-data feed with numbered messages: begins with a snapshot of each symbol, asks for a new
//! one where a number is missing or the connection was lost, leaves a server whose heartbeats stop.
//! To read: `Feed`, a `Handler`. Tested in `tests/integration/examples/market_feed.rs`.
//!
//! ```text
//! cargo run --features server --example market_feed                               # with a feed of its own that has every trouble
//! cargo run --features server --example market_feed -- wss://feed.example/ ACME   # until Ctrl-C
//! ```
//!
//! It says `{"op":"subscribe","symbols":["ACME"]}` and hears, of each symbol with numbers of its own,
//! `{"type":"snapshot","symbol":"ACME","seq":7,"price":"10.25"}`, then `update`s with 8, 9, …; and
//! now and then `{"type":"heartbeat","seq":{"ACME":9}}`, the numbers that should have come by now.

pub(crate) mod local_feed;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use websocket_app::{CallbackError, Handler, Message, Reconnect, Sender, WebSocketApp};

type Done = Result<(), CallbackError>;

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
    let (url, symbols, local) = local_feed::unless(env::args().skip(1))?;
    // Some three heartbeats: here they come every 300 ms.
    let feed = Feed::new(symbols, Duration::from_secs(1), |symbol, number, price| {
        println!("{symbol} {price:>8}   (number {number})");
    });
    let app = feed.app(&url);
    let ws = app.sender();
    ctrlc::set_handler(move || ws.close())?;
    if let Some(local) = local {
        local.have_troubles(app.sender());
    }
    println!("closed: {}", app.run_forever()?);
    Ok(())
}

/// Follows symbols, and tells each price in order and with none left out.
pub(crate) struct Feed<F> {
    /// The last number of each; `None` until its snapshot has come.
    symbols: BTreeMap<String, Option<u64>>,
    /// How long the server may be silent.
    patience: Duration,
    last_heard: Instant,
    tell: F,
}

impl<F: FnMut(&str, u64, &str) + Send + 'static> Feed<F> {
    pub(crate) fn new(symbols: Vec<String>, patience: Duration, tell: F) -> Self {
        let symbols = symbols.into_iter().map(|symbol| (symbol, None)).collect();
        Feed { symbols, patience, last_heard: Instant::now(), tell }
    }

    pub(crate) fn app(self, url: &str) -> WebSocketApp<Self> {
        let policy = Reconnect::exponential(Duration::from_millis(100), Duration::from_secs(30));
        WebSocketApp::with_handler(url, self).reconnect(policy)
    }

    /// Whatever was known of the symbol counts no more: what comes next is its snapshot.
    fn begin_anew(&mut self, ws: &Sender, symbol: &str, why: &str) -> Done {
        println!("{symbol}: {why}: subscribing again");
        self.symbols.insert(symbol.to_owned(), None);
        Ok(ws.send(json!({ "op": "subscribe", "symbols": [symbol] }).to_string())?)
    }

    fn on_price(&mut self, ws: &Sender, message: &Value) -> Done {
        let symbol = message["symbol"].as_str().ok_or("a price without a symbol")?;
        let number = message["seq"].as_u64().ok_or("a price without a number")?;
        // As text: a price is no binary fraction.
        let price = message["price"].as_str().ok_or("a price that is no string")?;
        match self.symbols.get(symbol) {
            None => return Err(format!("a price of {symbol}, which nobody asked for").into()),
            _ if message["type"] == "snapshot" => {}
            Some(Some(last)) if number == last + 1 => {}
            Some(Some(last)) if number > *last => {
                return self.begin_anew(ws, symbol, &format!("{number} came after {last}"));
            }
            Some(_) => return Ok(()), // It comes twice, or was on its way before the snapshot.
        }
        self.symbols.insert(symbol.to_owned(), Some(number));
        (self.tell)(symbol, number, price);
        Ok(())
    }

    /// Where it is quiet, no next number would tell that the last one is missing.
    fn on_heartbeat(&mut self, ws: &Sender, message: &Value) -> Done {
        for (symbol, number) in message["seq"].as_object().into_iter().flatten() {
            let last = self.symbols.get(symbol).copied().flatten();
            if last.is_some_and(|last| number.as_u64() > Some(last)) {
                self.begin_anew(ws, symbol, &format!("{number} has not come"))?;
            }
        }
        Ok(())
    }
}

impl<F: FnMut(&str, u64, &str) + Send + 'static> Handler for Feed<F> {
    /// On each connection: `on_reconnect` does the same unless it is written too.
    fn on_open(&mut self, ws: &Sender) -> Done {
        self.last_heard = Instant::now();
        self.symbols.values_mut().for_each(|number| *number = None);
        let symbols: Vec<&String> = self.symbols.keys().collect();
        println!("connected: subscribing to {symbols:?}");
        Ok(ws.send(json!({ "op": "subscribe", "symbols": symbols }).to_string())?)
    }

    fn on_message(&mut self, ws: &Sender, message: Message<'_>) -> Done {
        self.last_heard = Instant::now();
        let message: Value = serde_json::from_str(message.as_text().ok_or("a binary message")?)?;
        match message["type"].as_str() {
            Some("snapshot" | "update") => self.on_price(ws, &message),
            Some("heartbeat") => self.on_heartbeat(ws, &message),
            _ => Err(format!("the feed says {message}").into()),
        }
    }

    /// A server may answer pings, and have nothing behind it that sends prices any more.
    fn on_timer(&mut self, ws: &Sender) -> Done {
        if self.last_heard.elapsed() > self.patience {
            println!("nothing heard for {:?}: connecting anew", self.patience);
            ws.reconnect();
        }
        Ok(())
    }

    fn every(&self) -> Option<Duration> {
        Some(self.patience / 4)
    }

    fn on_error(&mut self, _ws: &Sender, error: &websocket_app::Error) -> Done {
        println!("trouble: {error}");
        Ok(())
    }
}
