//! A small market-data feed for the examples that leaves out a message now and then, falls silent
//! once and is restarted once. Not part of the library.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use websocket_app::server::{Client, Server, ServerHandle};
use websocket_app::{CallbackError, Error, Sender};

/// Who gets heartbeats.
const HEARTBEATS: &str = "heartbeats";

/// The number of the last price of each symbol.
type Prices = Arc<Mutex<Vec<(&'static str, u64)>>>;

/// What there are prices of.
pub(crate) const SYMBOLS: [&str; 2] = ["ACME", "INIT"];

pub(crate) struct LocalFeed {
    server: ServerHandle,
    address: String,
    prices: Prices,
}

/// Gives the URL and the symbols that were asked for, or else those of a feed started here.
pub(crate) fn unless(
    mut args: impl Iterator<Item = String>,
) -> Result<(String, Vec<String>, Option<LocalFeed>), Error> {
    if let Some(url) = args.next() {
        return Ok((url, args.collect(), None));
    }
    let local = LocalFeed::start()?;
    Ok((local.url(), SYMBOLS.map(str::to_owned).to_vec(), Some(local)))
}

impl LocalFeed {
    pub(crate) fn start() -> Result<Self, Error> {
        let prices: Prices = Arc::new(Mutex::new(vec![(SYMBOLS[0], 100), (SYMBOLS[1], 2000)]));
        let server = serve("127.0.0.1:0", &prices)?;
        let address = server.local_addr().expect("it is TCP").to_string();
        println!("(no URL given: talking to a feed started here, ws://{address}/)");
        Ok(LocalFeed { server, address, prices })
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// Has all of its troubles, on a thread of its own, then closes the client.
    pub(crate) fn have_troubles(self, ws: Sender) {
        thread::spawn(move || {
            if let Err(error) = self.each_trouble() {
                eprintln!("the feed does not come back: {error}");
            }
            println!("--- that was it: closing");
            ws.close();
        });
    }

    fn each_trouble(self) -> Result<(), Error> {
        let LocalFeed { server, address, prices } = self;
        println!("--- the feed loses every eighth message");
        send_prices(&server, &prices);
        println!("--- the feed falls silent");
        for client in server.clients() {
            lock(&prices).iter().for_each(|(symbol, _)| client.unsubscribe(symbol));
            client.unsubscribe(HEARTBEATS);
        }
        send_prices(&server, &prices);
        println!("--- the feed is restarted");
        server.abort();
        server.join()?;
        let server = serve(&address, &prices)?;
        send_prices(&server, &prices);
        Ok(())
    }
}

fn serve(address: &str, prices: &Prices) -> Result<ServerHandle, Error> {
    let prices = Arc::clone(prices);
    Server::new(address)
        .on_message(move |client, message| {
            subscribe(client, message.as_text().unwrap_or_default(), &lock(&prices))
        })
        .on_error(|client, error| eprintln!("client {}: {error}", client.id()))
        .spawn()
}

/// Sends for two seconds.
fn send_prices(server: &ServerHandle, prices: &Prices) {
    for tick in 1..=20 {
        thread::sleep(Duration::from_millis(100));
        let mut prices = lock(prices);
        let which = tick % prices.len();
        let (symbol, number) = &mut prices[which];
        *number += 1;
        if tick % 8 != 0 {
            server.publish(*symbol, price("update", symbol, *number));
        }
        if tick % 3 == 0 {
            let numbers: Value = prices.iter().map(|(symbol, number)| (*symbol, *number)).collect();
            let heartbeat = json!({ "type": "heartbeat", "seq": numbers });
            server.publish(HEARTBEATS, heartbeat.to_string());
        }
    }
}

/// Under the lock that each price is made under, so that none is missing behind the snapshot.
fn subscribe(
    client: &Client,
    text: &str,
    prices: &[(&'static str, u64)],
) -> Result<(), CallbackError> {
    let message: Value = serde_json::from_str(text)?;
    for wanted in message["symbols"].as_array().ok_or("no symbols")? {
        let Some((symbol, number)) = prices.iter().find(|(symbol, _)| wanted == symbol) else {
            client.send(json!({ "type": "error", "no_such_symbol": wanted }).to_string())?;
            continue;
        };
        client.send(price("snapshot", symbol, *number))?;
        client.subscribe(*symbol);
    }
    client.subscribe(HEARTBEATS);
    Ok(())
}

fn price(kind: &str, symbol: &str, number: u64) -> String {
    let price = format!("{}.{:02}", number / 100, number * 7 % 100);
    json!({ "type": kind, "symbol": symbol, "seq": number, "price": price }).to_string()
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
