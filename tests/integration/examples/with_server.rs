//! Those that have a server of the library's own, against scripted peers and against that.

use crossbeam_channel::bounded;
use websocket_app::{Phase, Sender};

use crate::failure::Failure;
use crate::frame::Frame;
use crate::peer::Peer;
use crate::watchdog::{PATIENCE, Task, within};

#[allow(dead_code)]
#[path = "../../../examples/json_rpc.rs"]
mod json_rpc;
#[allow(dead_code)]
#[path = "../../../examples/reconnecting_bot.rs"]
mod reconnecting_bot;

/// It subscribes where it was, after a server that did not answer its heartbeat and after one that
/// broke down.
#[test]
fn reconnecting_bot_leaves_a_server_that_is_stuck() {
    let (tell, told) = bounded::<()>(1);
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.expect_text("subscribe");
        client.send(Frame::text("tick 5"));
        client.expect_text("heartbeat");
        client.send(Frame::text("heartbeat acknowledged"));
        client.expect_text("heartbeat");
        // That has no answer.
        client.expect(Frame::close(1000, ""));
        drop(client);

        let mut client = listener.open();
        client.expect_text("subscribe after 5");
        client.send(Frame::text("tick 6"));
        // It begins well again.
        client.expect_text("heartbeat");
        client.reset();

        let mut client = listener.open();
        client.expect_text("subscribe after 6");
        tell.send(()).unwrap();
        client.skip_to_close();
        client.send(Frame::close(1000, ""));
    });
    let (url, (give, ws)) = (peer.url(), bounded::<Sender>(1));
    let bot = Task::start("the bot", move || {
        let stats = reconnecting_bot::bot(&url, |ws| Ok(give.send(ws)?));
        stats.map_err(|error| error.to_string())
    });
    let ws = ws.recv_timeout(PATIENCE).unwrap();
    told.recv_timeout(PATIENCE).unwrap();
    ws.close();
    let stats = bot.join().unwrap();
    assert_eq!((stats.messages_received, stats.reconnects), (3, 2));
}

fn reply(call: &Frame, result: &str) -> Frame {
    let call = String::from_utf8(call.payload.clone()).unwrap();
    let id = json_rpc::field(&call, "id").expect("a call has an id");
    Frame::text(format!(r#"{{"jsonrpc": "2.0", "result": {result}, "id": {id}}}"#))
}

/// The replies come in another order than the calls, among others that nobody asked for; then the
/// connection is lost.
#[test]
fn json_rpc_gives_each_thread_the_reply_to_its_call() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        let mut calls = [(); 3].map(|()| client.read_frame());
        calls.reverse();
        for call in &calls {
            client.send(Frame::text(r#"{"jsonrpc": "2.0", "method": "notify"}"#));
            let text = String::from_utf8(call.payload.clone()).unwrap();
            let params = json_rpc::field(&text, "params").expect("a call has parameters");
            client.send(reply(call, params));
            client.send(reply(call, "\"twice\""));
        }
        client.read_frame();
        client.reset();
    });
    let url = peer.url();
    within("the client", move || {
        let (client, app) = json_rpc::Client::connect(&url).unwrap();
        let calling = ["1", "2", "3"].map(|params| {
            let client = client.clone();
            let call = move || client.call("echo", params).map_err(|error| error.to_string());
            (params, Task::start("a call", call))
        });
        for (params, call) in calling {
            assert_eq!(call.join().as_deref(), Ok(params));
        }
        let lost = client.call("echo", "4").unwrap_err().to_string();
        assert!(lost.contains("disconnected"), "{lost}");
        assert!(client.call("echo", "5").unwrap_err().to_string().contains("not sent"));
        assert_eq!(app.join().map_err(Failure::from), Err(Failure::Network(Phase::Open)));
    });
}

#[test]
fn json_rpc_and_its_server_talk() {
    within("the client", || {
        let url = json_rpc::local_rpc::url(None).unwrap();
        let (client, app) = json_rpc::Client::connect(&url).unwrap();
        assert_eq!(client.call("add", "[2, -3]").unwrap(), "-1");
        let error = client.call("multiply", "[2, 3]").unwrap_err().to_string();
        assert!(error.contains("Method not found"), "{error}");
        app.close();
        assert!(app.join().unwrap().clean);
    });
}

/// The ticker that the bot has for itself: ticks go on where a subscription says, also after it has
/// been away, until it gets stuck.
#[test]
fn reconnecting_bots_ticker_goes_on_where_it_was() {
    use reconnecting_bot::local_ticker::Ticker;
    use websocket_app::WebSocket;

    within("the client", || {
        let mut ticker = Ticker::start().unwrap();
        let connect = |ticker: &Ticker| WebSocket::builder(ticker.url()).connect().unwrap();
        let mut ws = connect(&ticker);
        ws.send("subscribe after 0").unwrap();
        let tick = |ws: &mut WebSocket, number| {
            assert_eq!(ws.recv().unwrap().as_text(), Some(&*format!("tick {number}")));
        };
        (1..=2).for_each(|number| tick(&mut ws, number));
        ticker.stop().unwrap();
        assert!(ws.recv().is_err());
        ticker.restart().unwrap();
        let mut ws = connect(&ticker);
        ws.send("subscribe after 1").unwrap();
        (2..=4).for_each(|number| tick(&mut ws, number));
        ws.send("heartbeat").unwrap();
        assert!((5..99).any(|_| ws.recv().unwrap().as_text() == Some("heartbeat acknowledged")));
        ticker.get_stuck();
        ws.send("heartbeat").unwrap();
        while let Some(message) =
            ws.recv_timeout(3 * reconnecting_bot::local_ticker::PERIOD).unwrap()
        {
            assert!(message.as_text().is_some_and(|text| text.starts_with("tick ")));
        }
    });
}
