//! Cookies kept from one connection to the next.

use std::net::TcpStream;
use std::time::Duration;

use websocket_app::{Reconnect, WebSocket, WebSocketApp};

use crate::connection::Connection;
use crate::failure::Failure;
use crate::peer::{Listener, Peer};
use crate::running::run;
use crate::watchdog::within;

/// The cookies that a request has, one header at most.
pub(super) fn cookies(client: &mut Connection) -> Option<String> {
    let request = client.read_request();
    assert!(
        request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Cookie")).count() <= 1
    );
    request.header("Cookie").map(str::to_owned)
}

fn reconnecting(peer: &Peer) -> WebSocketApp {
    peer.app().keep_cookies(true).reconnect(Reconnect::fixed(Duration::from_millis(1)))
}

#[test]
fn they_are_sent_with_later_connections_and_replaced_by_later_ones() {
    let peer = Peer::start(|listener| {
        for (sent, sets) in [
            (
                "given=1",
                "Set-Cookie: session=a; HttpOnly\r\nSet-Cookie: elsewhere=1; Path=/other\r\n",
            ),
            ("given=1; session=a", "Set-Cookie: session=b\r\nSet-Cookie: given=2\r\n"),
            ("given=2; session=b", "Set-Cookie: session=; Max-Age=0\r\n"),
            ("given=2", ""),
        ] {
            let mut client = listener.accept();
            assert_eq!(cookies(&mut client).as_deref(), Some(sent));
            let answer = client.acceptance(sets);
            client.write(answer);
            client.close(1012, "again");
        }
        answers_with(listener, Some("given=2"));
    });
    let app = run(reconnecting(&peer).cookie("given=1"));
    app.expect_open();
    for _ in 0..4 {
        app.close();
        app.expect_reconnect();
    }
    app.sender.close();
    app.close();
    app.end_in_order();
}

#[test]
fn those_of_a_refusal_count_too() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        assert_eq!(cookies(&mut client), None);
        client.write("HTTP/1.1 503 Busy\r\nSet-Cookie: ticket=7\r\nContent-Length: 0\r\n\r\n");
        drop(client);
        answers_with(listener, Some("ticket=7"));
    });
    let app = run(reconnecting(&peer));
    assert!(matches!(app.failed_attempt(1).1, Failure::Rejected(_)));
    app.expect_open();
    app.sender.close();
    app.close();
    app.end_in_order();
}

#[test]
fn they_are_forgotten_unless_asked_for() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        assert_eq!(cookies(&mut client), None);
        let answer = client.acceptance("Set-Cookie: session=a\r\n");
        client.write(answer);
        client.close(1012, "again");
        answers_with(listener, None);
    });
    let app = run(reconnecting(&peer).keep_cookies(false));
    app.expect_open();
    app.close();
    app.expect_reconnect();
    app.sender.close();
    app.close();
    app.end_in_order();
}

/// Another host below it would get the cookie otherwise (RFC 6265 §5.3 step 5).
#[test]
fn none_is_for_a_whole_top_level_domain() {
    let peer = Peer::start(|listener| {
        for (domain, sent) in
            [("", None), ("; Domain=invalid", None), ("; Domain=host.invalid", Some("a=1"))]
        {
            let mut client = listener.accept();
            assert_eq!(cookies(&mut client), None);
            let to = "Location: ws://second.host.invalid/\r\nContent-Length: 0\r\n";
            client.write(format!("HTTP/1.1 302 Found\r\nSet-Cookie: a=1{domain}\r\n{to}\r\n"));
            drop(client);
            answers_with(listener, sent);
        }
    });
    let addr = peer.addr();
    for _ in 0..3 {
        let builder =
            WebSocket::builder("ws://first.host.invalid/").keep_cookies(true).max_redirects(1);
        let builder = builder.connector(move |_, _, _| TcpStream::connect(addr));
        within("the client", move || builder.connect().unwrap().close().unwrap());
    }
}

pub(super) fn answers_with(listener: &Listener, sent: Option<&str>) {
    let mut client = listener.accept();
    assert_eq!(cookies(&mut client).as_deref(), sent);
    let answer = client.acceptance("");
    client.write(answer);
    client.answer_close();
}
