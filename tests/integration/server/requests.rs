//! Requests that are no good: each gets its status and one line that says why, the connection ends in
//! order, and others are served on.

use std::cell::Cell;
use std::net::TcpListener;

use websocket_app::ClosedBy;
use websocket_app::server::Server;

use super::serving::{A_MOMENT, Serving, echo, echoes, serve};
use super::visitor::{Answer, KEY, Visitor, request};
use crate::failure::{clean, lost};
use crate::recorder::{Call, Recorder};
use crate::watchdog::{wait_until, within};

/// What is wrong is told in one line, which has this in it.
fn is_refused(answer: &Answer, status: u16, why: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(!answer.reason.is_empty(), "{answer:?}");
    let line = answer.body.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {answer:?}"));
    assert!(!line.contains('\n') && line.contains(why), "not {why}: {answer:?}");
    assert!(answer.header("Content-Type").is_some_and(|kind| kind.starts_with("text/plain")));
}

fn ask(serving: &Serving, request: impl AsRef<[u8]>) -> Answer {
    Visitor::connect(serving.addr()).ask(request)
}

#[test]
fn each_has_its_status_and_a_line_that_says_why() {
    let good = request("/", "");
    let with = |what: &str, instead: &str| {
        assert!(good.contains(what), "{what}");
        good.replacen(what, instead, 1)
    };
    let key = format!("Sec-WebSocket-Key: {KEY}\r\n");
    let long = "x".repeat(8 << 10);
    let many: String = (0..100).map(|i| format!("X-{i}: y\r\n")).collect();
    let much: String = (0..4).map(|i| format!("X-{i}: {}\r\n", &long[..5000])).collect();
    let serving = echo();
    for (request, status, why) in [
        (with("GET", "POST"), 405, "GET"),
        (with("HTTP/1.1", "HTTP/1.0"), 505, "HTTP/1.1"),
        (with("HTTP/1.1", "HTTP/2.0"), 505, "HTTP/1.1"),
        (with("Host: localhost\r\n", ""), 400, "Host"),
        (with("Host: localhost\r\n", "Host: localhost\r\nHost: localhost\r\n"), 400, "Host"),
        (with("Upgrade: websocket\r\n", ""), 426, "upgrade"),
        (with("Upgrade: websocket", "Upgrade: h2c"), 426, "upgrade"),
        (with("Connection: Upgrade\r\n", ""), 400, "Connection"),
        (with("Connection: Upgrade", "Connection: keep-alive"), 400, "proxy"),
        (with("Version: 13", "Version: 12"), 426, "13"),
        (with("Sec-WebSocket-Version: 13\r\n", ""), 400, "Sec-WebSocket-Version"),
        (with("Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Version: 13\r\n"), 400, "Version"),
        (with(&key, ""), 400, "Sec-WebSocket-Key"),
        (with(&key, &key.repeat(2)), 400, "Sec-WebSocket-Key"),
        (with(KEY, "c2hvcnQ="), 400, "16 bytes"),
        (with(KEY, "not base64 at all !!!!!!"), 400, "16 bytes"),
        (with("Host: localhost\r\n", "Host: localhost\r\nContent-Length: 5\r\n"), 400, "body"),
        (
            with("Host: localhost\r\n", "Host: localhost\r\nTransfer-Encoding: chunked\r\n"),
            400,
            "body",
        ),
        (with("GET /", &format!("GET /{long}")), 414, "line"),
        (with("Host", &format!("X: {long}\r\nHost")), 431, "header"),
        (with("Host", &format!("{many}Host")), 431, "100 headers"),
        (with("Host", &format!("{much}Host")), 431, "head"),
        (with("Host", "no colon\r\nHost"), 400, "head"),
        (with("Host", "Bad Name: x\r\nHost"), 400, "head"),
        (with("Host", "X: \0\r\nHost"), 400, "head"),
        (with("GET /", "GET nonsense"), 400, "path"),
        ("\x16\x03\x01\x02\x00\x01".to_owned(), 400, "TLS"),
        ("\r\n".to_owned(), 400, "HTTP"),
        ("{\"not\": \"http\"}\r\n".to_owned(), 400, "HTTP"),
    ] {
        let answer = ask(&serving, &request);
        let shown: String = request.chars().take(60).collect();
        println!("{shown:?}: {} {:?}", answer.status, answer.body);
        is_refused(&answer, status, why);
        match status {
            405 => assert_eq!(answer.header("Allow"), Some("GET")),
            426 => {
                assert_eq!(answer.header("Upgrade"), Some("websocket"));
                assert_eq!(answer.header("Sec-WebSocket-Version"), Some("13"));
            }
            _ => {}
        }
    }
    assert_eq!(serving.handle().stats().refused, 29);
    serving.still_serves();
    serving.end();
}

/// What browsers and proxies are free to do.
#[test]
fn what_is_right_is_taken() {
    let good = request("/", "");
    let with = |what: &str, instead: &str| good.replacen(what, instead, 1);
    let serving = echo();
    for request in [
        good.clone(),
        good.replace("\r\n", "\n"),
        with("Upgrade: websocket", "upgrade: WebSocket"),
        with("Connection: Upgrade", "Connection: keep-alive, upgrade"),
        with("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"),
        with("GET /", "GET http://localhost/path?query"),
        with("Host: localhost", "Host: localhost\r\nContent-Length: 0"),
        with("Host: localhost", "Host: LOCALHOST:1234"),
        with("Host: localhost", &format!("Host: localhost\r\nX: {}", "x".repeat(8000))),
        with("Host: localhost", "Host: localhost\r\nSec-WebSocket-Extensions: unknown; x=1"),
        with("Host: localhost", "Host: localhost\r\nX: \u{fc}"),
    ] {
        let mut visitor = Visitor::connect(serving.addr());
        visitor.write(&request);
        visitor.answer_head().expect_open();
        let calls = serving.next();
        calls.expect_open();
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
    }
    serving.end();
}

/// However it is cut on the way, and what comes right behind it is the first message.
#[test]
fn a_request_may_come_in_any_pieces_with_a_message_behind() {
    let serving = echo();
    let first = super::visitor::masked(&crate::frame::Frame::text("first"));
    let bytes = [request("/", "").as_bytes(), &first].concat();
    for piece in [1, 2, 7, 50, bytes.len()] {
        let mut visitor = Visitor::connect(serving.addr());
        bytes.chunks(piece).for_each(|piece| visitor.write(piece));
        visitor.answer_head().expect_open();
        visitor.expect_text("first");
        let calls = serving.next();
        calls.expect_open();
        calls.expect_text("first");
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
    }
    serving.end();
}

/// With a body on its way, which nobody wants, the answer arrives all the same: a reset would take it
/// away.
#[test]
fn the_answer_arrives_though_the_client_goes_on_sending() {
    let serving = echo();
    let body = "x".repeat(50_000);
    for _ in 0..50 {
        let head = format!(
            "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        is_refused(&ask(&serving, head + &body), 400, "body");
        // Refused before it is whole.
        is_refused(&ask(&serving, format!("GET /{body} HTTP/1.1\r\n")), 414, "line");
    }
    serving.end();
}

/// Also once it has the answer, for a while: what it sends is read away.
#[test]
fn a_client_that_is_refused_may_finish_what_it_sends() {
    let serving = echo();
    let mut visitor = Visitor::connect(serving.addr());
    visitor.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000\r\n\r\n");
    assert_eq!(visitor.answer_head().status, 400);
    (0..30).for_each(|_| visitor.write([b'x'; 1000]));
    serving.end();
}

/// Who has asked before there is anybody to say that there is no place for him.
#[test]
fn requests_that_wait_for_the_server_are_answered_all_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let mut early: Vec<_> = (0..6).map(|_| Visitor::connect(addr)).collect();
    early.iter_mut().for_each(|visitor| visitor.write(request("/", "")));
    let server = Server::with_listener(listener).max_connections(1).spawn().unwrap();
    let mut first = early.remove(0);
    first.answer_head().expect_open();
    for visitor in early {
        is_refused(&visitor.refusal(), 503, "as many connections");
    }
    first.close(1000, "");
    server.abort();
    within("the server's end", move || server.join()).unwrap();
}

#[test]
fn pages_of_other_sites_are_refused() {
    let serving = serve(
        |server| {
            server
                .allow_origins(["https://good.example", "https://*.team.example:8443"])
                .allow_hosts(["dev.example"])
        },
        echoes,
    );
    for (host, origin, may) in [
        ("localhost:80", "http://localhost", true),
        ("localhost:1234", "http://localhost:1234", true),
        ("localhost", "https://good.example", true),
        ("localhost", "https://a.team.example:8443", true),
        ("dev.example", "https://dev.example", true),
        ("localhost", "https://evil.example", false),
        ("localhost:1234", "http://localhost", false),
        ("localhost", "http://good.example", false),
        ("localhost", "https://team.example:8443", false),
        ("localhost", "null", false),
        ("localhost", "https://good.example.evil.example", false),
        ("127.0.0.1:1", "", true),
        ("[::1]:1", "", true),
        ("evil.example", "", false),
        ("localhost.evil.example", "", false),
        // A page that was reached by a name that is not ours says so.
        ("evil.example", "http://evil.example", false),
    ] {
        let origin_header = match origin {
            "" => String::new(),
            origin => format!("Origin: {origin}\r\n"),
        };
        let asked =
            request("/", &origin_header).replace("Host: localhost", &format!("Host: {host}"));
        if may {
            let mut visitor = Visitor::connect(serving.addr());
            visitor.upgrade(&asked);
            let calls = serving.next();
            calls.expect_open();
            visitor.close(1000, "");
            calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
            calls.finish();
        } else {
            let answer = ask(&serving, asked);
            is_refused(&answer, 403, host);
            match host.contains("evil") {
                true => assert!(answer.body.contains("allow_hosts"), "{answer:?}"),
                false => assert!(
                    answer.body.contains(origin) && answer.body.contains("allow_origins"),
                    "{answer:?}"
                ),
            }
        }
    }
    serving.end();
}

/// Which of two it is, nobody can tell.
#[test]
fn two_origins_are_one_too_many() {
    let serving = echo();
    let two = "Origin: http://localhost\r\nOrigin: http://localhost\r\n";
    is_refused(&ask(&serving, request("/", two)), 400, "Origin");
    serving.end();
}

/// The answer says what was compared, whatever that has in it.
#[test]
fn what_was_compared_is_shown_in_one_line_and_cut() {
    let serving = echo();
    let long = format!("Origin: https://{}.example\r\n", "x".repeat(3000));
    let answer = ask(&serving, request("/", &long));
    is_refused(&answer, 403, "xxx");
    assert!(answer.body.len() < 500, "{answer:?}");
    let odd = "Origin: http://a\tb\u{fc}\r\n";
    is_refused(&ask(&serving, request("/", odd)), 403, "Origin");
    serving.end();
}

#[test]
fn any_origin_if_asked_for() {
    let serving = serve(|server| server.allow_any_origin(), echoes);
    for origin in ["https://evil.example", "null", "file://"] {
        let mut visitor = Visitor::connect(serving.addr());
        visitor.upgrade(&request("/", &format!("Origin: {origin}\r\n")));
        let calls = serving.next();
        calls.expect_open();
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
    }
    // The host is another thing.
    let rebound = request("/", "").replace("Host: localhost", "Host: evil.example");
    is_refused(&ask(&serving, rebound), 403, "evil.example");
    serving.end();
}

#[test]
fn a_request_that_does_not_end_gets_408() {
    let serving = serve(|server| server.handshake_timeout(A_MOMENT), echoes);
    let slow = ask(&serving, "GET / HTTP/1.1\r\nHost: loc");
    is_refused(&slow, 408, "too long");
    // One that says nothing gets nothing.
    Visitor::connect(serving.addr()).expect_end();
    wait_until("both are counted", || serving.handle().stats().refused == 2);
    serving.end();
}

#[test]
fn one_connection_too_many_gets_503() {
    let serving = serve(|server: Server| server.max_connections(3), echoes);
    let mut clients: Vec<_> = (0..3).map(|_| serving.open()).collect();
    for _ in 0..50 {
        let answer = ask(&serving, request("/", ""));
        is_refused(&answer, 503, "as many connections");
        assert!(answer.header("Retry-After").is_some());
    }
    assert_eq!(serving.handle().stats().refused, 50);
    // A place that is free is had by the next.
    let (visitor, calls) = clients.remove(0);
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    clients.push(open_once_there_is_room(&serving));
    for (visitor, calls) in clients {
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
    }
    serving.end();
}

/// The place is free a moment after `on_close`.
fn open_once_there_is_room(serving: &Serving) -> (Visitor, Recorder) {
    let visitor = Cell::new(None);
    wait_until("there is a place", || {
        let mut next = Visitor::connect(serving.addr());
        // One that is refused may be told so before it has said anything.
        let _refused = next.try_write(request("/", ""));
        match next.answer_head().status {
            101 => visitor.set(Some(next)),
            status => assert!(matches!(status, 429 | 503), "{status}"),
        }
        let found = visitor.take();
        let is_open = found.is_some();
        visitor.set(found);
        is_open
    });
    let calls = serving.next();
    calls.expect_open();
    (visitor.take().expect("it was waited for"), calls)
}

#[test]
fn too_many_from_one_address_get_429() {
    let serving = serve(|server| server.max_connections_per_address(2), echoes);
    let mut clients: Vec<_> = (0..2).map(|_| serving.open()).collect();
    for _ in 0..50 {
        is_refused(&ask(&serving, request("/", "")), 429, "from this address");
    }
    let (visitor, calls) = clients.remove(0);
    visitor.reset();
    assert!(matches!(calls.next(), Call::Error(_)));
    calls.expect_close(lost());
    calls.finish();
    clients.push(open_once_there_is_room(&serving));
    for (visitor, calls) in clients {
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
    }
    serving.end();
}
