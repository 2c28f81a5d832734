//! `socket_io`, against Flask-SocketIO: `tests/python/socket_io.py`. And against a scripted peer,
//! for pings and what becomes of silence.

use crossbeam_channel::{Receiver, unbounded};
use serde_json::{Value, json};
use websocket_app::{AppHandle, Sender};

use self::example::{Heard, SocketIo, emit};
use super::served::by_python;
use crate::frame::Frame;
use crate::peer::Peer;
use crate::watchdog::{PATIENCE, within};

#[allow(dead_code)]
#[path = "../../../examples/socket_io.rs"]
mod example;

/// An app of the example's, which acknowledges each event with `["seen"]`.
struct Running {
    app: AppHandle,
    ws: Sender,
    heard: Receiver<Heard>,
}

fn run(url: &str, auth: Value) -> Running {
    let (give, heard) = unbounded();
    let app = SocketIo::app(url, auth, move |_, heard| {
        give.send(heard)?;
        Ok(json!(["seen"]))
    });
    let app = app.spawn().unwrap();
    Running { ws: app.sender(), app, heard }
}

impl Running {
    fn expect(&self, expected: Heard) {
        assert_eq!(self.heard.recv_timeout(PATIENCE).unwrap(), expected);
    }

    fn close(self) {
        self.ws.close();
        assert!(self.app.join().unwrap().clean);
        assert!(self.heard.is_empty());
    }
}

/// Runs with a real server, joined.
fn with_flask(test: impl FnOnce(Running) + Send + 'static) {
    let Some(server) = by_python("socket_io.py") else { return };
    let url = format!("ws://{}/", server.addr());
    within("the client", move || {
        let running = run(&url, json!({ "token": "right" }));
        running.expect(Heard::Joined);
        test(running);
    });
}

/// Of calls that are made at once, too.
#[test]
fn events_are_acknowledged_with_their_own_values() {
    with_flask(|running| {
        for id in 1..=20 {
            emit(&running.ws, id, &json!(["add", id, 100])).unwrap();
        }
        // The server has a thread for each.
        let mut heard: Vec<(u64, Value)> = (1..=20)
            .map(|_| match running.heard.recv_timeout(PATIENCE).unwrap() {
                Heard::Acknowledged(id, values) => (id, values),
                other => panic!("{other:?}"),
            })
            .collect();
        heard.sort_by_key(|(id, _)| *id);
        let expected: Vec<(u64, Value)> = (1..=20).map(|id| (id, json!([id + 100]))).collect();
        assert_eq!(heard, expected);
        running.close();
    });
}

#[test]
fn events_of_the_server_come_and_are_acknowledged() {
    with_flask(|running| {
        emit(&running.ws, 7, &json!(["echo", { "a": ["é", null] }, "2"])).unwrap();
        running.expect(Heard::Event(json!(["echoed", { "a": ["é", null] }, "2"])));
        running.expect(Heard::Acknowledged(7, json!([])));
        emit(&running.ws, 8, &json!(["ask", 1.5])).unwrap();
        running.expect(Heard::Event(json!(["question", 1.5])));
        let (one, other) =
            (running.heard.recv_timeout(PATIENCE).unwrap(), running.heard.recv_timeout(PATIENCE));
        // In either order.
        let heard = [one, other.unwrap()];
        assert!(heard.contains(&Heard::Acknowledged(8, json!([]))), "{heard:?}");
        assert!(heard.contains(&Heard::Event(json!(["answered", "seen"]))), "{heard:?}");
        running.close();
    });
}

#[test]
fn it_joins_again_after_a_loss() {
    with_flask(|running| {
        emit(&running.ws, 1, &json!(["drop"])).unwrap();
        let mut heard = running.heard.recv_timeout(PATIENCE).unwrap();
        // What it may still have said.
        if heard == Heard::Acknowledged(1, json!([])) {
            heard = running.heard.recv_timeout(PATIENCE).unwrap();
        }
        assert_eq!(heard, Heard::Joined);
        emit(&running.ws, 2, &json!(["drop"])).unwrap();
        running.expect(Heard::Acknowledged(2, json!(["again"])));
        running.close();
    });
}

#[test]
fn where_the_server_kicks_it_out_it_stays_away() {
    with_flask(|running| {
        emit(&running.ws, 1, &json!(["kick"])).unwrap();
        assert!(running.app.join().is_ok());
        let heard: Vec<Heard> = running.heard.try_iter().collect();
        assert!(!heard.contains(&Heard::Joined), "{heard:?}");
    });
}

#[test]
fn where_it_is_refused_it_stays_away() {
    let Some(server) = by_python("socket_io.py") else { return };
    let url = format!("ws://{}", server.addr());
    within("the client", move || {
        let running = run(&url, json!({ "token": "wrong" }));
        assert!(running.app.join().is_ok());
        assert!(running.heard.is_empty());
    });
}

/// A server that has said how long it is silent at most, and then is for longer.
#[test]
fn pings_are_answered_and_silence_is_not_borne() {
    let (tell, told) = unbounded();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.send(Frame::text(r#"0{"sid":"a","pingInterval":3600000,"pingTimeout":1}"#));
        client.expect_text("40{}");
        client.send(Frame::text(r#"40{"sid":"b"}"#));
        client.send(Frame::text("6"));
        client.send(Frame::text("2"));
        client.expect_text("3");
        client.send(Frame::text("2probe"));
        client.expect_text("3probe");
        client.reset();

        let mut client = listener.open();
        client.send(Frame::text(r#"0{"sid":"a","pingInterval":100,"pingTimeout":100}"#));
        client.expect_text("40{}");
        client.expect(Frame::close(1000, ""));
        drop(client);

        let mut client = listener.open();
        client.send(Frame::text(r#"0{"sid":"a","pingInterval":3600000,"pingTimeout":1}"#));
        client.expect_text("40{}");
        tell.send(()).unwrap();
        client.answer_close_or_end();
    });
    let url = peer.url();
    within("the client", move || {
        let running = run(&url, json!({}));
        told.recv_timeout(PATIENCE).unwrap();
        running.expect(Heard::Joined);
        running.close();
    });
}
