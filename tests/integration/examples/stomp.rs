//! `stomp`, against RabbitMQ, and npm's `stomp-broker-js`, which knows STOMP 1.1:
//! `tests/javascript/stomp.js`. What becomes of hearts, and what no broker says on demand, is a
//! scripted peer's.

use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use websocket_app::{AppHandle, Sender};

use self::example::Stomp;
use self::example::frame::Frame as Stanza;
use super::served::by_node;
use crate::frame::Frame;
use crate::peer::Peer;
use crate::watchdog::{PATIENCE, within};

#[allow(dead_code)]
#[path = "../../../examples/stomp/main.rs"]
mod example;

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);

/// An app of the example's.
struct Running {
    app: AppHandle,
    ws: Sender,
    heard: Receiver<Stanza>,
}

fn run(url: &str, destinations: &[&str], beat: Duration) -> Running {
    run_as(("a:user", "secret"), url, destinations, beat)
}

fn run_as(
    (user, password): (&str, &str),
    url: &str,
    destinations: &[&str],
    beat: Duration,
) -> Running {
    let (give, heard) = unbounded();
    let destinations = destinations.iter().map(|&destination| destination.to_owned()).collect();
    let login = Some((user.to_owned(), password.to_owned()));
    let stomp = Stomp::new(login, destinations, beat, move |_ws, frame| {
        let headers = frame.headers.iter().map(|(name, value)| (&**name, &**value));
        Ok(give.send(Stanza::new(&frame.command, headers, &frame.body))?)
    });
    let app = stomp.app(url).spawn().unwrap();
    Running { ws: app.sender(), app, heard }
}

impl Running {
    fn next(&self, command: &str) -> Stanza {
        let frame = self.heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(frame.command, command, "{frame:?}");
        frame
    }

    /// Sends, and waits until the broker has taken it, and so all that was said before.
    fn send(&self, destination: &str, body: &str) {
        let headers = [("destination", destination), ("receipt", "taken")];
        self.ws.send(Stanza::new("SEND", headers, body).encode()).unwrap();
        assert_eq!(self.next("RECEIPT").header("receipt-id"), "taken");
    }

    fn close(self) {
        self.ws.close();
        assert!(self.app.join().unwrap().clean);
        assert!(self.heard.is_empty());
    }
}

#[test]
fn who_has_subscribed_gets_what_others_send() {
    let Some(broker) = by_node("stomp.js") else { return };
    let url = format!("ws://{}/stomp", broker.addr());
    within("the clients", move || {
        let one = run(&url, &["/topic/one", "/topic/two"], NEVER);
        one.next("CONNECTED");
        one.send("/topic/nobodys", "");
        let other = run(&url, &[], NEVER);
        other.next("CONNECTED");
        for (destination, id) in [("/topic/two", "1"), ("/topic/one", "0")] {
            for body in ["a task", "", "é€😀: {\"a\": 1}", &"x".repeat(100_000)] {
                other.send(destination, body);
                let message = one.next("MESSAGE");
                assert_eq!(message.body, body);
                assert_eq!(message.header("destination"), destination);
                assert_eq!(message.header("subscription"), id);
            }
        }
        other.send("/topic/nobodys", "nobody");
        other.close();
        one.close();
    });
}

#[test]
fn after_a_loss_it_subscribes_again() {
    let Some(broker) = by_node("stomp.js") else { return };
    let url = format!("ws://{}/stomp", broker.addr());
    within("the clients", move || {
        let one = run(&url, &["/topic/one"], NEVER);
        let other = run(&url, &[], NEVER);
        one.next("CONNECTED");
        other.next("CONNECTED");
        for _ in 0..2 {
            one.send("/topic/nobodys", "");
            other.send("/control/drop", "");
            one.next("CONNECTED");
            one.send("/topic/nobodys", "");
            other.send("/topic/one", "again");
            assert_eq!(one.next("MESSAGE").body, "again");
        }
        other.close();
        one.close();
    });
}

/// All of it with one RabbitMQ, which takes seconds to start.
#[cfg(target_os = "linux")]
#[test]
fn rabbitmq_speaks_stomp_1_2_with_it() {
    let Some(broker) = super::rabbitmq::start() else { return };
    let url = format!("ws://{}/ws", broker.addr());
    within("the clients", move || {
        let run = |destinations: &[&str]| {
            let running = run_as(("guest", "guest"), &url, destinations, NEVER);
            let connected = running.next("CONNECTED");
            assert_eq!(connected.header("version"), "1.2");
            assert_eq!(connected.header("heart-beat"), "3600000,3600000");
            running
        };
        // A queue keeps what nobody has asked for yet; a topic does not.
        let other = run(&[]);
        for destination in ["/queue/work", "/topic/two"] {
            other.send(destination, "early");
        }
        let one = run(&["/queue/work", "/topic/two"]);
        assert_eq!(one.next("MESSAGE").body, "early");
        one.send("/topic/nobodys", "");
        for (destination, id) in [("/topic/two", "1"), ("/queue/work", "0")] {
            for body in ["a task", "", "é€😀: {\"a\": 1}", "two\nlines\n", &"x".repeat(100_000)]
            {
                other.send(destination, body);
                let message = one.next("MESSAGE");
                assert_eq!(message.body, body);
                assert_eq!(message.header("destination"), destination);
                assert_eq!(message.header("subscription"), id);
            }
        }

        // What has to be escaped goes there and back.
        let odd = [("destination", "/topic/two"), ("a:b", "1\n2\\3\r4:5")];
        other.ws.send(Stanza::new("SEND", odd, "").encode()).unwrap();
        assert_eq!(one.next("MESSAGE").header("a:b"), "1\n2\\3\r4:5");

        // On the next connection it subscribes again.
        one.ws.reconnect();
        one.next("CONNECTED");
        one.send("/topic/nobodys", "");
        other.send("/topic/two", "again");
        assert_eq!(one.next("MESSAGE").body, "again");
        other.close();
        one.close();

        // Whom it does not know it tells so, and closes.
        let stranger = run_as(("guest", "wrong"), &url, &[], NEVER);
        assert_eq!(stranger.next("ERROR").header("message"), "Bad CONNECT");
        stranger.ws.close();
        stranger.app.join().unwrap();
    });
}

fn connected(beats: &str) -> Frame {
    Frame::text(Stanza::new("CONNECTED", [("version", "1.2"), ("heart-beat", beats)], "").encode())
}

/// What a client has to say, byte for byte; what it is told has all that STOMP 1.2 allows.
#[test]
fn its_frames_are_those_of_stomp_1_2() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        assert_eq!(
            client.read_request().header("Sec-WebSocket-Protocol"),
            Some("v12.stomp, v11.stomp")
        );
        let accepted = client.acceptance("Sec-WebSocket-Protocol: v12.stomp\r\n");
        client.write(accepted);
        client.expect_text(
            "CONNECT\naccept-version:1.1,1.2\nhost:/\nheart-beat:3600000,3600000\n\
             login:a:user\npasscode:secret\n\n\0",
        );
        client.send(Frame::text("CONNECTED\r\nversion:1.2\r\n\r\n\0\r\n"));
        client.expect_text("SUBSCRIBE\nid:0\ndestination:/queue/a\\cb\nack:auto\n\n\0");
        client.send(Frame::text("\n"));
        client.send(Frame::binary("MESSAGE\nx\\cy:1\\n2\\r\\\\n\nx:later\n\na\n\nb\0\n\n"));
        client.send(Frame::text("MESSAGE\n\nno end"));
        client.send(Frame::text("ERROR\nmessage:enough\n\nof it\0"));
        client.answer_close();
    });
    let url = peer.url();
    within("the client", move || {
        let running = run(&url, &["/queue/a:b"], NEVER);
        assert_eq!(running.next("CONNECTED").header("heart-beat"), "");
        let message = running.next("MESSAGE");
        assert_eq!((message.header("x:y"), &*message.body), ("1\n2\r\\n", "a\n\nb"));
        assert_eq!(running.next("ERROR").body, "of it");
        running.ws.close();
        assert!(running.app.join().unwrap().clean);
    });
}

/// Ours, which the broker wants; and the broker's, which it promised.
#[test]
fn hearts_beat_and_a_broker_whose_heart_stops_is_left() {
    let (tell, told) = unbounded();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.read_frame();
        client.send(connected("0,100"));
        (0..3).for_each(|_| client.expect_text("\n"));
        client.reset();

        let mut client = listener.open();
        client.read_frame();
        client.send(connected("100,0"));
        client.expect(Frame::close(1000, ""));
        drop(client);

        let mut client = listener.open();
        client.read_frame();
        tell.send(()).unwrap();
        client.answer_close_or_end();
    });
    let url = peer.url();
    within("the client", move || {
        let running = run(&url, &[], Duration::from_millis(100));
        told.recv_timeout(PATIENCE).unwrap();
        running.ws.close();
        assert!(running.app.join().unwrap().clean);
    });
}
