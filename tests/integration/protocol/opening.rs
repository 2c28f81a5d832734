//! The opening request as the server sees it (RFC 6455 §4.1), and the handshake as a `Sender` tells
//! it.

use websocket_app::{ClosedBy, State, WebSocketApp};

use crate::connection::Request;
use crate::failure::clean;
use crate::frame::Frame;
use crate::peer::Peer;
use crate::running::run;

#[test]
fn the_request_is_as_the_rfc_asks() {
    let request =
        request_of(|peer| WebSocketApp::new(format!("{}chat/room?user=me&x=%20", peer.url())));
    assert_eq!(request.line, "GET /chat/room?user=me&x=%20 HTTP/1.1");
    assert!(request.header("Host").is_some_and(|host| host.starts_with("127.0.0.1:")));
    assert!(request.header("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")));
    assert!(
        request.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade"))
    );
    assert_eq!(request.header("Sec-WebSocket-Version"), Some("13"));
    assert_eq!(request.header("Sec-WebSocket-Key").map(str::len), Some(24), "16 bytes in base64");
    for absent in
        ["Origin", "Cookie", "Authorization", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"]
    {
        assert_eq!(request.header(absent), None);
    }
}

#[test]
fn the_options_are_in_the_request() {
    let request = request_of(|peer| {
        WebSocketApp::new(peer.url().replace("127.0.0.1", "user:p%40ss@127.0.0.1"))
            .header("X-Custom", "one")
            .origin("https://page.example")
            .cookie("a=1; b=2")
            .subprotocols(["chat", "superchat"])
    });
    assert_eq!(request.header("X-Custom"), Some("one"));
    assert_eq!(request.header("Origin"), Some("https://page.example"));
    assert_eq!(request.header("Cookie"), Some("a=1; b=2"));
    assert_eq!(request.header("Sec-WebSocket-Protocol"), Some("chat, superchat"));
    assert_eq!(request.header("Authorization"), Some("Basic dXNlcjpwQHNz"));
}

#[test]
fn every_request_has_a_key_of_its_own() {
    let key = || request_of(Peer::app).header("Sec-WebSocket-Key").map(str::to_owned);
    assert_ne!(key(), key());
}

#[test]
fn the_handshake_is_told() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        client.read_request();
        let answer = client.acceptance("Sec-WebSocket-Protocol: superchat\r\nX-Server: raw\r\n");
        client.write(answer);
        client.answer_close();
    });
    let app = peer.app().subprotocols(["chat", "superchat"]);
    let before = app.sender();
    assert_eq!(before.state(), State::Idle);
    assert!(before.handshake().is_none());
    let app = run(app);
    app.expect_open();
    assert_eq!(app.sender.state(), State::Open);
    let handshake = app.sender.handshake().expect("it is open");
    assert_eq!(
        (handshake.status(), handshake.subprotocol(), handshake.extensions()),
        (101, Some("superchat"), None)
    );
    assert_eq!(handshake.headers().get("x-server"), Some("raw"));
    assert_eq!(handshake.peer_addr(), Some(peer.addr()));
    assert!(
        handshake.local_addr().is_some_and(|addr| addr.ip().is_loopback() && addr != peer.addr())
    );
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn what_may_be_a_credential_is_told_and_not_shown() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        client.read_request();
        let fields =
            "Set-Cookie: a=secret\r\nX-Token: secret\r\nAuthorization: secret\r\nServer: raw\r\n";
        let answer = client.acceptance(&format!("Sec-WebSocket-Protocol: secret\r\n{fields}"));
        client.write(answer);
        client.answer_close();
    });
    let app = run(peer.app().subprotocols(["secret"]));
    app.expect_open();
    let handshake = app.sender.handshake().expect("it is open");
    let shown = format!("{handshake:?} {handshake:#?} {:?}", handshake.headers());
    assert!(
        shown.contains("set-cookie") && shown.contains("raw") && !shown.contains("secret"),
        "{shown}"
    );
    assert_eq!(handshake.subprotocol(), Some("secret"));
    assert!(handshake.headers().iter().any(|field| field == ("set-cookie", "a=secret")));
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_response_in_any_case_and_with_lists_is_accepted() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        client.read_request();
        let answer = client
            .acceptance("")
            .replace("Upgrade: websocket", "UPGRADE:WebSocket")
            .replace("Connection: Upgrade", "connection: keep-alive, upgrade")
            .replace("101 Switching Protocols", "101 ");
        client.write(format!("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n{answer}"));
        client.send(Frame::text("hello"));
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect_text("hello");
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

fn request_of(app: impl FnOnce(&Peer) -> WebSocketApp) -> Request {
    let (seen, request) = crossbeam_channel::bounded(1);
    let peer = Peer::start(move |listener| {
        let mut client = listener.accept();
        seen.send(client.read_request().clone()).unwrap();
        let answer = client.acceptance("");
        client.write(answer);
        client.close(1000, "");
    });
    let app = run(app(&peer));
    app.expect_open();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
    request.recv().unwrap()
}
