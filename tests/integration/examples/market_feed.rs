//! `market_feed`, against a scripted feed that has every trouble, and against its own.

use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use serde_json::{Value, json};
use websocket_app::{AppHandle, Handler, WebSocketApp};

use self::example::Feed;
use crate::connection::Connection;
use crate::frame::Frame;
use crate::peer::Peer;
use crate::watchdog::{PATIENCE, within};

#[allow(dead_code)]
#[path = "../../../examples/market_feed.rs"]
mod example;

/// Longer than any test: nothing is left for its silence.
const NEVER: Duration = Duration::from_secs(3600);

type Told = (String, u64, String);

/// Runs the example's app, and gives what it tells.
fn run(url: &str, symbols: &[&str], patience: Duration) -> (AppHandle, Receiver<Told>) {
    let (give, told) = unbounded();
    let symbols = symbols.iter().map(|&symbol| symbol.to_owned()).collect();
    let feed = Feed::new(symbols, patience, move |symbol: &str, number, price: &str| {
        let _nobody_looks = give.send((symbol.to_owned(), number, price.to_owned()));
    });
    (feed.app(url).spawn().unwrap(), told)
}

fn expect_subscription(client: &mut Connection, symbols: &[&str]) {
    let frame = client.read_frame();
    let message: Value = serde_json::from_slice(&frame.payload).unwrap();
    assert_eq!(message, json!({ "op": "subscribe", "symbols": symbols }));
}

fn price(kind: &str, symbol: &str, number: u64) -> Frame {
    let price = format!("{number}.5");
    let message = json!({ "type": kind, "symbol": symbol, "seq": number, "price": price });
    Frame::text(message.to_string())
}

fn heartbeat(numbers: Value) -> Frame {
    Frame::text(json!({ "type": "heartbeat", "seq": numbers }).to_string())
}

fn expect(told: &Receiver<Told>, prices: &[(&str, u64)]) {
    for &(symbol, number) in prices {
        let price = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(price, (symbol.to_owned(), number, format!("{number}.5")));
    }
}

/// In the middle, and at the end, where only a heartbeat tells. What comes twice, and what was on
/// its way when a snapshot was asked for, is no gap and is not told.
#[test]
fn a_gap_is_seen_and_begun_anew_behind() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        expect_subscription(&mut client, &["A", "B"]);
        for frame in [
            price("update", "A", 6),
            price("snapshot", "A", 7),
            price("snapshot", "B", 100),
            price("update", "A", 8),
            price("update", "A", 8),
            price("update", "A", 7),
            heartbeat(json!({ "A": 8, "B": 100 })),
            price("update", "A", 10),
            price("update", "A", 11),
            price("update", "B", 101),
        ] {
            client.send(frame);
        }
        expect_subscription(&mut client, &["A"]);
        client.send(price("snapshot", "A", 11));
        client.send(price("update", "A", 12));
        client.send(heartbeat(json!({ "A": 12, "B": 102 })));
        expect_subscription(&mut client, &["B"]);
        client.send(price("snapshot", "B", 102));
        client.skip_to_close();
        client.send(Frame::close(1000, ""));
    });
    let url = peer.url();
    within("the feed", move || {
        let (app, told) = run(&url, &["A", "B"], NEVER);
        expect(&told, &[("A", 7), ("B", 100), ("A", 8), ("B", 101)]);
        expect(&told, &[("A", 11), ("A", 12), ("B", 102)]);
        app.close();
        assert!(app.join().unwrap().clean);
        assert!(told.is_empty());
    });
}

/// Numbers of the connection before do not count: those of a restarted feed may begin at 1.
#[test]
fn another_connection_begins_with_snapshots() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        expect_subscription(&mut client, &["A"]);
        client.send(price("snapshot", "A", 7));
        client.send(price("update", "A", 8));
        client.reset();

        let mut client = listener.open();
        expect_subscription(&mut client, &["A"]);
        client.send(price("update", "A", 9));
        client.send(price("snapshot", "A", 1));
        client.send(price("update", "A", 2));
        client.skip_to_close();
        client.send(Frame::close(1000, ""));
    });
    let url = peer.url();
    within("the feed", move || {
        let (app, told) = run(&url, &["A"], NEVER);
        let first = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(first.1, 7);
        // The other may have been lost with the connection.
        let next = told.recv_timeout(PATIENCE).unwrap().1;
        if next == 8 {
            expect(&told, &[("A", 1)]);
        } else {
            assert_eq!(next, 1);
        }
        expect(&told, &[("A", 2)]);
        app.close();
        assert!(app.join().unwrap().clean);
    });
}

/// Its connection is open, and it pings.
#[test]
fn a_feed_that_falls_silent_is_left() {
    let (tell, told) = unbounded();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        expect_subscription(&mut client, &["A"]);
        client.send(price("snapshot", "A", 1));
        client.send(Frame::ping("well"));
        client.skip_to_close();
        client.send(Frame::close(1000, ""));
        let mut client = listener.open();
        expect_subscription(&mut client, &["A"]);
        tell.send(()).unwrap();
        client.answer_close_or_end();
    });
    let url = peer.url();
    within("the feed", move || {
        let (app, _prices) = run(&url, &["A"], Duration::from_millis(200));
        told.recv_timeout(PATIENCE).unwrap();
        app.close();
        let _the_second_may_be_left_too = app.join();
    });
}

/// A handler's methods can be called without a connection.
#[test]
fn what_is_no_price_is_an_error_and_no_more() {
    let mut feed = Feed::new(vec!["A".to_owned()], NEVER, |_: &str, _, _: &str| panic!("a price"));
    let ws = WebSocketApp::new("ws://test.example/").sender();
    for (text, says) in [
        ("hello", "expected value"),
        (r#"{"type":"error","no_such_symbol":"A"}"#, "no_such_symbol"),
        (r#"{"type":"snapshot","symbol":"B","seq":1,"price":"1"}"#, "nobody asked for"),
        (r#"{"type":"snapshot","symbol":"A","seq":-1,"price":"1"}"#, "without a number"),
        (r#"{"type":"snapshot","symbol":"A","seq":1,"price":1}"#, "no string"),
    ] {
        let error = feed.on_message(&ws, text.into()).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

/// The example's own feed loses every eighth message, falls silent and is restarted: numbers never
/// go back, and it ends.
#[test]
fn its_own_feed_talks() {
    use self::example::local_feed::{LocalFeed, SYMBOLS};

    within("the feed", || {
        let local = LocalFeed::start().unwrap();
        let url = local.url();
        let (app, told) = run(&url, &SYMBOLS, Duration::from_secs(1));
        local.have_troubles(app.sender());
        app.join().unwrap();
        let told: Vec<Told> = told.try_iter().collect();
        for symbol in SYMBOLS {
            let numbers: Vec<u64> =
                told.iter().filter(|told| told.0 == symbol).map(|told| told.1).collect();
            assert!(numbers.is_sorted() && numbers.len() > 5, "{symbol}: {numbers:?}");
        }
    });
}
