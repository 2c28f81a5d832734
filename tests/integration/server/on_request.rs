//! What `on_request` sees of a request, and what becomes of its answer.

use std::sync::{Arc, Mutex};

use crossbeam_channel::unbounded;
use websocket_app::ClosedBy;
use websocket_app::server::{Answer, Handler, Request, Server};

use super::serving::{STYLES, Serving, echoes, serve, serve_as};
use super::visitor::{Visitor, request};
use crate::failure::clean;
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::run;
use crate::watchdog::{Gate, PATIENCE, Watchdog};

fn deciding(decide: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Serving {
    serve(|server| server.on_request(decide), echoes)
}

fn ask(serving: &Serving, path: &str) -> super::visitor::Answer {
    Visitor::connect(serving.addr()).ask(request(path, ""))
}

#[test]
fn it_sees_all_that_was_asked_for_and_so_do_callbacks() {
    type Seen = Vec<String>;
    fn see(request: &Request) -> Seen {
        let all = |name: &str| request.headers().get_all(name).collect::<Vec<_>>().join("|");
        vec![
            request.method().to_owned(),
            request.path().to_owned(),
            format!("{:?}", request.query()),
            format!("{:?}", request.query_value("room")),
            format!("{:?}", request.query_value("none")),
            format!("{:?} {:?}", request.cookie("id"), request.cookie("theme")),
            format!("{:?}", request.cookie("ID")),
            all("X-Twice"),
            format!("{:?}", request.headers().get("x-once")),
            request.subprotocols().collect::<Vec<_>>().join("|"),
            format!("{} {}", request.is_upgrade(), request.is_tls()),
        ]
    }
    let expected = [
        "GET",
        "/a%20b/c",
        "Some(\"room=a+b%21&room=2\")",
        "Some(\"a b!\")",
        "None",
        "Some(\"5\") Some(\"dark\")",
        "None",
        "1|2",
        "Some(\"value\")",
        "v2.chat|v1.chat|other",
        "true false",
    ];
    let seen = Arc::<Mutex<Vec<(Seen, Option<std::net::SocketAddr>)>>>::default();
    let [in_request, in_open] = [(); 2].map(|()| Arc::clone(&seen));
    let serving = serve(
        |server| {
            server.subprotocols(["v1.chat"]).on_request(move |request| {
                assert_eq!(request.subprotocol(), None, "none is chosen yet");
                in_request.lock().unwrap().push((see(request), request.peer_addr()));
                Answer::accept()
            })
        },
        move |client, call| {
            if *call == Call::Open {
                let request = client.request();
                assert_eq!(request.subprotocol(), Some("v1.chat"));
                in_open.lock().unwrap().push((see(request), request.peer_addr()));
                assert!(request.local_addr().is_some());
            }
            Ok(())
        },
    );
    let mut visitor = Visitor::connect(serving.addr());
    let answer = visitor.upgrade(&request(
        "/a%20b/c?room=a+b%21&room=2",
        "Cookie: id=5; theme=dark\r\nX-Twice: 1\r\nx-once:  value \r\nX-Twice: 2\r\n\
         Sec-WebSocket-Protocol: v2.chat, v1.chat\r\nSec-WebSocket-Protocol: other\r\n",
    ));
    assert_eq!(answer.header("Sec-WebSocket-Protocol"), Some("v1.chat"));
    let addr = visitor.addr();
    let calls = serving.next();
    calls.expect_open();
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    for (what, from) in seen.lock().unwrap().iter() {
        assert_eq!(*what, expected);
        assert_eq!(*from, Some(addr));
    }
    assert_eq!(seen.lock().unwrap().len(), 2);
    serving.end();
}

#[test]
fn it_accepts_refuses_or_answers_as_http() {
    // More than the operating system takes at once.
    const BIG: usize = 16 << 20;
    for style in STYLES {
        let decide = |request: &Request| match request.path() {
            "/chat" if request.cookie("session").is_some() => {
                Answer::accept().header("Set-Cookie", "seen=1").header("X-Room", "7")
            }
            "/chat" => {
                Answer::refuse(401).header("WWW-Authenticate", "Bearer").body("a token, please\n")
            }
            "/moved" => Answer::refuse(302).header("Location", "/chat"),
            "/health" => Answer::http(200, "text/plain", "ok\n"),
            "/big" => Answer::http(200, "text/html", "x".repeat(BIG)),
            _ => Answer::refuse(404),
        };
        let serving = serve_as(style, |server| server.on_request(decide), echoes);
        let mut visitor = Visitor::connect(serving.addr());
        let answer = visitor.upgrade(&request("/chat", "Cookie: session=1\r\n"));
        assert_eq!(answer.header("Set-Cookie"), Some("seen=1"));
        assert_eq!(answer.header("X-Room"), Some("7"));
        let calls = serving.next();
        calls.expect_open();
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();

        let refused = ask(&serving, "/chat");
        assert_eq!((refused.status, &*refused.body), (401, "a token, please\n"));
        assert_eq!(refused.header("WWW-Authenticate"), Some("Bearer"));
        let moved = ask(&serving, "/moved");
        assert_eq!((moved.status, moved.header("Location")), (302, Some("/chat")));
        assert_eq!(ask(&serving, "/nowhere").status, 404);
        // A browser asks without an upgrade.
        let plain = "GET /health?full HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let page = Visitor::connect(serving.addr()).ask(plain);
        assert_eq!((page.status, &*page.body), (200, "ok\n"));
        assert_eq!(page.header("Content-Type"), Some("text/plain"));
        let big = ask(&serving, "/big");
        assert_eq!((big.status, big.body.len()), (200, BIG));
        assert_eq!(serving.handle().stats().refused, 5);
        serving.end();
    }
}

/// Or a client would take what comes for the next answer (RFC 7230 §3.3.3).
#[test]
fn what_has_no_body_is_sent_without_one() {
    let serving = deciding(|request| match request.path() {
        "/none" => Answer::refuse(204).body("never"),
        "/same" => Answer::refuse(304),
        _ => Answer::http(200, "text/plain", "a body"),
    });
    for (line, status, length) in [
        ("GET /none", 204, None),
        ("GET /same", 304, None),
        ("HEAD /", 200, Some("6")),
        ("HEAD /none", 204, None),
    ] {
        let mut visitor = Visitor::connect(serving.addr());
        visitor.write(format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let answer = visitor.answer_head();
        assert_eq!((answer.status, answer.header("Content-Length")), (status, length), "{line}");
        visitor.expect_end();
    }
    serving.end();
}

/// What it accepts must be a request for a WebSocket all the same.
#[test]
fn it_cannot_accept_what_asks_for_no_websocket() {
    let serving = deciding(|_| Answer::accept());
    let plain = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(Visitor::connect(serving.addr()).ask(plain).status, 426);
    serving.still_serves();
    serving.end();
}

/// It may answer other methods, as a page's own server would.
#[test]
fn it_may_answer_any_method() {
    let serving = deciding(|request| {
        Answer::http(200, "text/plain", format!("{} {}\n", request.method(), request.path()))
    });
    for method in ["GET", "OPTIONS", "DELETE", "POST"] {
        let asked = format!("{method} /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = Visitor::connect(serving.addr()).ask(asked);
        assert_eq!((answer.status, answer.body), (200, format!("{method} /x\n")));
    }
    serving.end();
}

#[test]
fn a_panic_is_500_and_hurts_nobody_else() {
    for style in STYLES {
        let decide = |request: &Request| match request.path() {
            "/panic" => panic!("as asked"),
            _ => Answer::accept(),
        };
        let serving = serve_as(style, |server| server.on_request(decide), echoes);
        let (mut other, calls) = serving.open();
        for _ in 0..3 {
            let refused = ask(&serving, "/panic");
            assert_eq!(refused.status, 500);
            assert!(!refused.body.contains("as asked"), "it is nobody's business: {refused:?}");
        }
        other.echo("a");
        calls.expect_text("a");
        other.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
        serving.still_serves();
        serving.end();
    }
}

/// What cannot be sent, or is the server's own to say, is the program's mistake: the client is told no
/// more than that there is one.
#[test]
fn an_answer_that_is_wrong_is_500() {
    let wrong: [fn() -> Answer; 10] = [
        || Answer::accept().header("Two Words", "a"),
        || Answer::accept().header("X", "a\r\nSet-Cookie: b"),
        || Answer::accept().header("", "a"),
        || Answer::accept().header("sec-websocket-accept", "a"),
        || Answer::refuse(403).header("Content-Length", "0"),
        || Answer::refuse(403).header("Transfer-Encoding", "chunked"),
        || Answer::refuse(101),
        || Answer::refuse(600),
        || Answer::accept().body("more"),
        || Answer::accept().subprotocol("not offered"),
    ];
    let serving =
        deciding(move |request| match request.path().trim_matches('/').parse::<usize>() {
            Ok(number) => wrong[number](),
            Err(_) => Answer::accept(),
        });
    for number in 0..wrong.len() {
        let refused = ask(&serving, &format!("/{number}"));
        assert_eq!(refused.status, 500, "{number}: {refused:?}");
    }
    serving.still_serves();
    serving.end();
}

#[test]
fn of_subprotocols_the_first_offered_that_is_listed_is_chosen() {
    let listed = ["a", "b", "c"];
    for (ours, offered, chosen) in [
        (&listed[..], "b, a", Some("b")),
        (&listed, "x, c, a", Some("c")),
        (&listed, "x", None),
        (&listed, "A", None),
        (&listed, "", None),
        (&[], "a", None),
    ] {
        let serving = serve(
            |server: Server| server.subprotocols(ours.iter().copied()),
            move |client, call| {
                if *call == Call::Open {
                    assert_eq!(client.request().subprotocol(), chosen);
                }
                Ok(())
            },
        );
        let mut visitor = Visitor::connect(serving.addr());
        let header = match offered {
            "" => String::new(),
            offered => format!("Sec-WebSocket-Protocol: {offered}\r\n"),
        };
        let answer = visitor.upgrade(&request("/", &header));
        assert_eq!(answer.header("Sec-WebSocket-Protocol"), chosen, "{offered}");
        let calls = serving.next();
        calls.expect_open();
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
        serving.end();
    }
}

/// Its own choice goes before the list.
#[test]
fn on_request_may_choose_the_subprotocol() {
    let decide = |request: &Request| {
        let last = request.subprotocols().last();
        last.map_or_else(Answer::accept, |last| Answer::accept().subprotocol(last))
    };
    let serving = serve(|server| server.subprotocols(["a"]).on_request(decide), echoes);
    let mut visitor = Visitor::connect(serving.addr());
    let answer = visitor.upgrade(&request("/", "Sec-WebSocket-Protocol: a, b, z\r\n"));
    assert_eq!(answer.header("Sec-WebSocket-Protocol"), Some("z"));
    let calls = serving.next();
    calls.expect_open();
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    serving.end();
}

/// White space is what HTTP takes for it (RFC 7230 §3.2.3): another reader on the way would not take
/// more for none.
#[test]
fn a_cookie_keeps_what_is_no_white_space() {
    let seen = Arc::<Mutex<Vec<Option<String>>>>::default();
    let see = Arc::clone(&seen);
    let serving = deciding(move |request| {
        let value = |name| request.cookie(name).map(str::to_owned);
        see.lock().unwrap().extend([value("a"), value("b"), value("c")]);
        Answer::http(200, "text/plain", "")
    });
    let headers = "Cookie: a=1\t; \u{a0}b=2;c=3\u{a0} ; d=4\r\n";
    let answer = Visitor::connect(serving.addr()).ask(request("/", headers));
    assert_eq!(answer.status, 200);
    assert_eq!(*seen.lock().unwrap(), [Some("1".into()), None, Some("3\u{a0}".into())]);
    serving.handle().abort();
    serving.ends();
}

/// A handler that does nothing.
struct Idle;

impl Handler for Idle {}

/// As any callback it may wait for an app of another loop, and so may what makes handlers.
#[test]
fn it_may_wait_for_an_app_of_another_loop() {
    let _watchdog = Watchdog::new();
    for makes_handlers in [false, true] {
        let peer = Peer::start(|listener| listener.open().answer_close());
        let app = peer.app();
        let (ws, is_asked) = (app.sender(), Gate::new());
        let (tell, told) = unbounded();
        let asks = is_asked.clone();
        let wait = move || {
            asks.open();
            tell.send(ws.wait_open(PATIENCE)).unwrap();
        };
        let server = Server::new("127.0.0.1:0");
        let server = match makes_handlers {
            true => server.handlers(move |_| {
                wait();
                Idle
            }),
            false => server.on_request(move |_| {
                wait();
                Answer::accept()
            }),
        };
        let server = server.spawn().unwrap();
        let mut visitor = Visitor::connect(server.local_addr().expect("it is TCP"));
        visitor.write(request("/", ""));
        is_asked.wait();
        let running = run(app);
        running.expect_open();
        assert_eq!(told.recv_timeout(PATIENCE).expect("it waits no longer"), Ok(()));
        visitor.answer_head().expect_open();
        visitor.close(1000, "");
        running.sender.close();
        running.expect_close(clean(ClosedBy::Us, 1000, ""));
        running.end_in_order();
        server.abort();
        server.join().unwrap();
    }
}
