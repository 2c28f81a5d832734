use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::super::testing::{LONG, Server, dial, read_request, switching, text, wait_for_end};
use super::super::{Connected, Failure};
use crate::config::Config;
use crate::error::{Error, Phase, Rejection};

/// A server that answers rightly, with `more` headers before the empty line and `frames` behind it.
fn accepting(more: &'static str, frames: &'static [u8]) -> Server {
    Server::start(move |mut stream| {
        let head =
            switching(&read_request(&mut stream)).replace("\r\n\r\n", &format!("\r\n{more}\r\n"));
        stream.write_all(&[head.as_bytes(), frames].concat()).unwrap();
        wait_for_end(&mut stream);
    })
}

/// Connects, looks at the connection while the server is still there, and lets both go.
fn open(server: Server, config: &Config, look: impl FnOnce(&Connected)) {
    let url = format!("ws://127.0.0.1:{}/chat?token=secret", server.port);
    match dial(&url, config, LONG) {
        Ok(connected) => look(&connected),
        Err(failure) => panic!("{failure:?}"),
    }
    server.join(());
}

fn rejection(server: Server) -> Rejection {
    match server.connect(&Config::default()) {
        Err(Failure::Error(Error::Rejected(rejection))) => *rejection,
        Err(failure) => panic!("{failure:?}"),
        Ok(_) => panic!("connected"),
    }
}

#[test]
fn the_server_gets_the_request_and_the_client_the_handshake() {
    let server = Server::start(|mut stream| {
        let request = read_request(&mut stream);
        assert_eq!(request[0], "GET /chat?token=secret HTTP/1.1");
        assert!(request.contains(&"X-Custom: 1".to_owned()), "{request:?}");
        assert!(request.contains(&"Sec-WebSocket-Protocol: v2, v1".to_owned()), "{request:?}");
        let head = switching(&request);
        let (start, _) = head.split_once("\r\n\r\n").unwrap();
        let more = "\r\nSec-WebSocket-Protocol: v1\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n";
        stream.write_all(&[start, more].concat().into_bytes()).unwrap();
        wait_for_end(&mut stream);
    });
    let port = server.port;
    let config = Config {
        headers: vec![("X-Custom".into(), "1".into())],
        subprotocols: vec!["v2".into(), "v1".into()],
        ..Config::default()
    };
    open(server, &config, |connected| {
        let handshake = &connected.handshake;
        assert_eq!(
            (handshake.status(), handshake.subprotocol(), handshake.extensions()),
            (101, Some("v1"), None)
        );
        assert!(handshake.headers().get_all("set-cookie").eq(["a=b", "c=d"]));
        assert_eq!(handshake.peer_addr().map(|address| address.port()), Some(port));
        assert!(handshake.local_addr().is_some_and(|address| address.ip().is_loopback()));
        assert!(connected.leftover.is_empty());
    });
}

#[test]
fn the_first_frames_are_kept() {
    open(accepting("", b"\x81\x02hi\x81\x02ho"), &Config::default(), |connected| {
        assert_eq!(connected.leftover, b"\x81\x02hi\x81\x02ho");
    });
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let server = Server::start(|mut stream| {
        stream.set_nodelay(true).unwrap();
        let head = switching(&read_request(&mut stream))
            .replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "x".repeat(2000)));
        head.bytes().for_each(|byte| stream.write_all(&[byte]).unwrap());
        wait_for_end(&mut stream);
    });
    open(server, &Config::default(), |connected| assert_eq!(connected.handshake.status(), 101));
}

#[test]
fn interim_responses_are_skipped() {
    let server = Server::start(|mut stream| {
        let head = switching(&read_request(&mut stream));
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        stream.write_all(format!("{interim}{head}\u{1}").as_bytes()).unwrap();
        wait_for_end(&mut stream);
    });
    open(server, &Config::default(), |connected| assert_eq!(connected.leftover, [1]));
}

#[test]
fn a_head_may_be_64_kib_long_and_no_longer() {
    let answer = |length: usize| {
        Server::start(move |mut stream| {
            let head = switching(&read_request(&mut stream));
            let filling = length - head.len() - "X: \r\n".len();
            let head = head.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "x".repeat(filling)));
            assert_eq!(head.len(), length);
            let _ = stream.write_all(head.as_bytes());
            wait_for_end(&mut stream);
        })
    };
    open(answer(64 << 10), &Config::default(), |connected| assert!(connected.leftover.is_empty()));
    let error = text(answer((64 << 10) + 1).connect(&Config::default()));
    assert!(error.ends_with("the response head is over 64 KiB long"), "{error}");
    // Nor may it be endless, in one head or in many.
    for endless in [
        "HTTP/1.1 101 x\r\nX: ".to_owned() + &"x".repeat(1 << 20),
        "HTTP/1.1 100 x\r\n\r\n".repeat(1 << 14),
    ] {
        let error = text(Server::answering(endless).connect(&Config::default()));
        assert!(error.ends_with("the response head is over 64 KiB long"), "{error}");
    }
}

#[test]
fn a_redirect_is_a_rejection_that_tells_where_to() {
    let rejection = rejection(Server::answering(
        "HTTP/1.1 302 Found\r\nLocation: wss://other/\r\nContent-Length: 0\r\n\r\n",
    ));
    assert_eq!((rejection.status, rejection.headers.get("location")), (302, Some("wss://other/")));
    let shown = rejection.to_string();
    assert!(
        shown.ends_with(
            "/chat refused the upgrade with HTTP status 302, it redirects to \"wss://other/\" (max_redirects(…) follows it)"
        ),
        "{shown}"
    );
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn a_rejection_carries_its_body() {
    for (response, body) in [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nforbiddenX", &b"forbidden"[..]),
        (
            "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nforb\r\n5\r\nidden\r\n0\r\n\r\n",
            b"forbidden",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", b"OK"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", b""),
        ("HTTP/1.0 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", b"none"),
    ] {
        let began = Instant::now();
        assert_eq!(rejection(Server::answering(response)).body, body, "{response}");
        assert!(
            began.elapsed() < Duration::from_millis(900),
            "{response}: the body's end was not seen"
        );
    }
    let hangs_up = Server::start(|mut stream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 503 Busy\r\n\r\nlater, please").unwrap();
    });
    assert_eq!(rejection(hangs_up).body, b"later, please");
}

#[test]
fn a_rejection_does_not_wait_for_the_rest_of_its_body() {
    for headers in ["", "Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
        let response = format!("HTTP/1.1 403 Forbidden\r\n{headers}\r\n9\r\nforbidden");
        let began = Instant::now();
        let rejection = rejection(Server::answering(response));
        assert!(rejection.body.ends_with(b"forbidden"), "{headers}");
        assert!(began.elapsed() < LONG / 3, "{headers}: {:?}", began.elapsed());
    }
    let long = [&b"HTTP/1.1 500 Oops\r\n\r\n"[..], &vec![b'x'; 1 << 20]].concat();
    assert_eq!(rejection(Server::answering(long)).body.len(), 64 << 10);
}

#[test]
fn an_answer_that_is_no_upgrade_says_what_is_wrong() {
    for (response, says) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "is the port right? It begins with \"SSH-2.0-"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS on this port"),
        (b"HTTP/1.1 101\r\nbad header\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n", "no `Upgrade` header"),
        (
            b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
            "does not answer our key",
        ),
    ] {
        let result = Server::answering(response).connect(&Config::default());
        assert!(matches!(result, Err(Failure::Error(Error::Upgrade { .. }))), "{says}");
        let error = text(result);
        assert!(error.starts_with("WebSocket upgrade by 127.0.0.1:") && error.contains(says), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let error = text(accepting("Sec-WebSocket-Protocol: v1\r\n", b"").connect(&Config::default()));
    assert!(error.contains("subprotocol `v1`, which was not offered"), "{error}");
    let error = text(
        accepting("Sec-WebSocket-Extensions: permessage-deflate\r\n", b"")
            .connect(&Config::default()),
    );
    assert!(error.contains("extension `permessage-deflate`, which was not offered"), "{error}");
}

#[test]
fn a_server_that_hangs_up_is_a_network_error_of_the_upgrade() {
    for (beginning, says) in
        [("", "without an answer"), ("HTTP/1.1 101 Swi", "in the middle of its response head")]
    {
        let server = Server::start(move |mut stream| {
            read_request(&mut stream);
            stream.write_all(beginning.as_bytes()).unwrap();
        });
        let result = server.connect(&Config::default());
        assert!(
            matches!(result, Err(Failure::Error(Error::Network { phase: Phase::Upgrade, .. }))),
            "{says}"
        );
        assert!(text(result).contains(says));
    }
}

#[test]
fn a_port_where_nobody_listens_is_a_network_error_of_connecting() {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
    let result = dial(&format!("ws://127.0.0.1:{port}/"), &Config::default(), LONG);
    assert!(matches!(result, Err(Failure::Error(Error::Network { phase: Phase::Connect, .. }))));
    assert!(text(result).starts_with(&format!("connecting to 127.0.0.1:{port}: ")));
}
