//! `phoenix`, against a scripted peer that keeps to Phoenix's documentation, "Writing a Channels
//! Client". Phoenix itself comes from Elixir's own registry (hex.pm) alone: no package of Debian's,
//! npm's or PyPI's has a server of it.

use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use serde_json::{Value, json};
use websocket_app::{AppHandle, Sender};

use self::example::{Heard, Phoenix};
use crate::connection::Connection;
use crate::frame::Frame;
use crate::peer::Peer;
use crate::watchdog::{PATIENCE, within};

#[allow(dead_code)]
#[path = "../../../examples/phoenix/main.rs"]
mod example;

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);

/// An app of the example's, which pushes "hello" to each topic that it has joined.
struct Running {
    app: AppHandle,
    ws: Sender,
    heard: Receiver<Heard>,
}

fn run(url: &str, topics: &[&str], heartbeat: Duration) -> Running {
    let (give, heard) = unbounded();
    let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
    let phoenix = Phoenix::new(topics, heartbeat, move |to, ws, heard| {
        if let Heard::Joined(topic, _) = &heard {
            to.push(ws, topic, "new_msg", &json!({ "body": "hello" }))?;
        }
        Ok(give.send(heard)?)
    });
    let app = phoenix.app(&format!("{url}socket/websocket")).spawn().unwrap();
    Running { ws: app.sender(), app, heard }
}

impl Running {
    fn expect(&self, expected: Heard) {
        assert_eq!(self.heard.recv_timeout(PATIENCE).unwrap(), expected);
    }
}

fn send(client: &mut Connection, message: Value) {
    client.send(Frame::text(message.to_string()));
}

fn expect(client: &mut Connection, message: Value) {
    assert_eq!(serde_json::from_slice::<Value>(&client.read_frame().payload).unwrap(), message);
}

fn reply(join: Value, number: &str, topic: &str, status: &str, response: Value) -> Value {
    json!([join, number, topic, "phx_reply", { "status": status, "response": response }])
}

fn joined(topic: &str) -> Heard {
    Heard::Joined(topic.to_owned(), json!({}))
}

/// What a client has to say, and all that a server says by itself; then a loss, after which all is
/// joined but what the server has put us out of.
#[test]
fn topics_are_joined_pushed_to_and_joined_again() {
    let (tell, told) = unbounded();
    let peer = Peer::start(move |listener| {
        let mut client = listener.accept();
        assert!(client.read_request().line.contains("/socket/websocket?vsn=2.0.0 "));
        client.write(client.acceptance(""));
        expect(&mut client, json!(["1", "1", "room:a", "phx_join", {}]));
        expect(&mut client, json!(["2", "2", "room:b", "phx_join", {}]));
        expect(&mut client, json!(["3", "3", "room:c", "phx_join", {}]));
        send(&mut client, reply(json!("1"), "1", "room:a", "ok", json!({})));
        expect(&mut client, json!(["1", "4", "room:a", "new_msg", { "body": "hello" }]));
        send(&mut client, reply(json!("1"), "4", "room:a", "error", json!("too loud")));
        send(&mut client, json!(["1", null, "room:a", "said", { "a": [1] }]));
        // Of a broadcast; and of a join that is no more.
        send(&mut client, json!([null, null, "room:a", "said", 2]));
        send(&mut client, json!(["0", null, "room:a", "said", 3]));
        send(&mut client, reply(json!("2"), "2", "room:b", "error", json!("unauthorized")));
        send(&mut client, reply(json!("3"), "3", "room:c", "ok", json!({})));
        expect(&mut client, json!(["3", "5", "room:c", "new_msg", { "body": "hello" }]));
        send(&mut client, json!(["3", "3", "room:c", "phx_close", {}]));
        send(&mut client, json!(["1", "1", "room:a", "phx_error", {}]));
        // A second later.
        expect(&mut client, json!(["6", "6", "room:a", "phx_join", {}]));
        send(&mut client, reply(json!("6"), "6", "room:a", "ok", json!({})));
        expect(&mut client, json!(["6", "7", "room:a", "new_msg", { "body": "hello" }]));
        client.reset();

        let mut client = listener.open();
        expect(&mut client, json!(["8", "8", "room:a", "phx_join", {}]));
        tell.send(()).unwrap();
        client.answer_close();
    });
    let url = peer.url();
    within("the client", move || {
        let running = run(&url, &["room:a", "room:b", "room:c"], NEVER);
        running.expect(joined("room:a"));
        let refused = json!({ "status": "error", "response": "too loud" });
        running.expect(Heard::Reply("4".to_owned(), refused));
        running.expect(Heard::Event("room:a".to_owned(), "said".to_owned(), json!({ "a": [1] })));
        running.expect(Heard::Event("room:a".to_owned(), "said".to_owned(), json!(2)));
        let refused = json!({ "status": "error", "response": "unauthorized" });
        running.expect(Heard::Left("room:b".to_owned(), refused));
        running.expect(joined("room:c"));
        running.expect(Heard::Left("room:c".to_owned(), json!({})));
        running.expect(joined("room:a"));
        told.recv_timeout(PATIENCE).unwrap();
        running.ws.close();
        assert!(running.app.join().unwrap().clean);
    });
}

#[test]
fn a_server_that_does_not_answer_the_heartbeat_is_left() {
    let (tell, told) = unbounded();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for number in ["1", "2"] {
            expect(&mut client, json!([null, number, "phoenix", "heartbeat", {}]));
            send(&mut client, reply(Value::Null, number, "phoenix", "ok", json!({})));
        }
        expect(&mut client, json!([null, "3", "phoenix", "heartbeat", {}]));
        client.expect(Frame::close(1000, ""));
        drop(client);
        let mut client = listener.open();
        // It begins well again.
        expect(&mut client, json!([null, "4", "phoenix", "heartbeat", {}]));
        tell.send(()).unwrap();
        client.answer_close_or_end();
    });
    let url = peer.url();
    within("the client", move || {
        let running = run(&url, &[], Duration::from_millis(50));
        told.recv_timeout(PATIENCE).unwrap();
        running.ws.close();
        assert!(running.app.join().is_ok());
        assert!(running.heard.is_empty());
    });
}
