//! The chat example, with two clients of our own; its page is `chromium.rs`'s.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use websocket_app::server::ServerHandle;
use websocket_app::{ClosedBy, OwnedMessage, WebSocketApp, close_code};

use crate::failure::{clean, ending};
use crate::recorder::Call;
use crate::running::{Running, run};
use crate::watchdog::{PATIENCE, Watchdog, within};

// Ctrl-C is for the program only.
#[allow(dead_code)]
#[path = "../../../examples/chat_server.rs"]
pub(super) mod chat_server;

#[test]
fn everybody_hears_who_comes_talks_and_goes() {
    let _watchdog = Watchdog::new();
    let server = chat_server::room("127.0.0.1:0").spawn().unwrap();
    // Who reads a page is no client.
    assert!(page(&server, "/").starts_with("HTTP/1.1 200 "));
    assert!(page(&server, "/favicon.ico").starts_with("HTTP/1.1 404 "));
    let first = join(&server);
    first.expect_text("1 has joined");
    let second = join(&server);
    let third = join(&server);
    for id in 2..=3 {
        first.expect_text(&format!("{id} has joined"));
    }
    second.expect_text("2 has joined");
    second.expect_text("3 has joined");
    third.expect_text("3 has joined");

    first.sender.send("hello <b>everybody</b>").unwrap();
    second.sender.send("é".repeat(201)).unwrap();
    // Not a word of this.
    second.sender.send(b"\x01").unwrap();
    for app in [&first, &second, &third] {
        let mut heard = [text(app), text(app)];
        heard.sort();
        let cut = format!("2: {}…", "é".repeat(200));
        assert_eq!(heard, ["1: hello <b>everybody</b>".to_owned(), cut]);
    }

    second.sender.close();
    second.expect_close(clean(ClosedBy::Us, 1000, ""));
    second.end_in_order();
    for app in [&first, &third] {
        app.expect_text("2 has left");
    }

    server.shutdown(close_code::GOING_AWAY, "the room is closed", Duration::from_secs(10)).unwrap();
    for app in [first, third] {
        // Who leaves a moment before may still be heard to.
        let close = loop {
            match app.next() {
                Call::Message(OwnedMessage::Text(text)) => assert!(text.ends_with("has left")),
                Call::Close(close) => break close,
                call => panic!("expected the end, it was {call:?}"),
            }
        };
        assert_eq!(
            ending(&close),
            clean(ClosedBy::Peer, close_code::GOING_AWAY, "the room is closed")
        );
        app.end_in_order();
    }
    within("the server's end", move || server.join()).unwrap();
}

fn page(server: &ServerHandle, path: &str) -> String {
    let mut tcp = TcpStream::connect(server.local_addr().expect("it listens on TCP")).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(tcp, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

fn join(server: &ServerHandle) -> Running {
    let address = server.local_addr().expect("it listens on TCP");
    let app = run(WebSocketApp::new(format!("ws://{address}/")));
    app.expect_open();
    app
}

fn text(app: &Running) -> String {
    match app.next() {
        Call::Message(OwnedMessage::Text(text)) => text,
        call => panic!("expected a text, it was {call:?}"),
    }
}
