//! Promises 4 and 5, of a connection that never opens: refused, silence in every phase, an answer
//! that is none. `on_error` that says why, and an `on_close` even so.

use std::time::Duration;

use websocket_app::{Phase, WebSocketApp};

use crate::connection::Connection;
use crate::failure::{Failure, lost};
use crate::peer::{FullBacklog, Peer, RefusedPort};
use crate::running::run;

/// Short, because it is waited for, and long enough for what comes before the silence.
const TIMEOUT: Duration = Duration::from_secs(1);

#[test]
fn a_refused_port() {
    let nobody = RefusedPort::new();
    assert_eq!(failure(WebSocketApp::new(nobody.url())), Failure::Network(Phase::Connect));
}

#[test]
fn a_name_that_cannot_be_looked_up() {
    // A label of more than 63 characters: no resolver asks anyone for it.
    let url = format!("ws://{}.example/", "x".repeat(64));
    assert_eq!(failure(WebSocketApp::new(url)), Failure::Network(Phase::Resolve));
}

#[test]
fn silence_when_connecting_by_tcp() {
    let peer = FullBacklog::new();
    let app = WebSocketApp::new(peer.url()).connect_timeout(TIMEOUT);
    assert_eq!(failure(app), Failure::Timeout(Phase::Connect, TIMEOUT));
}

#[test]
fn silence_instead_of_the_response() {
    let peer = Peer::start(|listener| listener.accept().stay_silent());
    assert_eq!(
        failure(peer.app().connect_timeout(TIMEOUT)),
        Failure::Timeout(Phase::Upgrade, TIMEOUT)
    );
}

#[test]
fn silence_after_half_a_response() {
    let peer = after_request(|mut client| {
        let acceptance = client.acceptance("");
        client.write(&acceptance[..acceptance.len() - 1]);
        client.stay_silent();
    });
    let failure = failure(peer.app().connect_timeout(TIMEOUT));
    assert_eq!(failure, Failure::Timeout(Phase::Upgrade, TIMEOUT));
}

#[test]
fn a_response_in_single_bytes_without_end_is_not_waited_for_longer_than_the_timeout() {
    let peer = after_request(|mut client| {
        client.write("HTTP/1.1 101 Switching Protocols\r\nX: ");
        while client.try_write("x").is_ok() {
            std::thread::yield_now();
        }
    });
    let failure = failure(peer.app().connect_timeout(TIMEOUT));
    // The bytes may come so fast that the limit of 64 KiB comes first.
    let Failure::Upgrade(_) = failure else {
        return assert_eq!(failure, Failure::Timeout(Phase::Upgrade, TIMEOUT));
    };
}

#[test]
fn the_end_instead_of_the_response() {
    let nothing = failure_after_request(drop);
    assert!(
        matches!(nothing, Failure::Network(Phase::Upgrade) | Failure::Upgrade(_)),
        "{nothing:?}"
    );
    let half = failure_after_request(|mut client| client.write("HTTP/1.1 101 Swit"));
    assert!(matches!(half, Failure::Network(Phase::Upgrade) | Failure::Upgrade(_)), "{half:?}");
}

#[test]
fn a_reset_instead_of_the_response() {
    assert_eq!(failure_after_request(Connection::reset), Failure::Network(Phase::Upgrade));
}

#[test]
fn a_403_with_a_body() {
    let failure = failure_after_request(|mut client| {
        client
            .write("HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\nX-Why: because\r\n\r\ngo away");
        client.stay_silent();
    });
    let Failure::Rejected(rejection) = failure else { panic!("{failure:?}") };
    assert_eq!((rejection.status, rejection.body.as_slice()), (403, b"go away".as_slice()));
    assert_eq!(rejection.headers.get("x-why"), Some("because"));
    assert!(
        rejection.to_string().contains("403") && rejection.to_string().contains("go away"),
        "{rejection}"
    );
}

#[test]
fn a_body_without_end_or_that_never_comes_does_not_hold_the_refusal_back() {
    let endless = failure_after_request(|mut client| {
        client.write("HTTP/1.1 503 Service Unavailable\r\n\r\n");
        while client.try_write([b'x'; 4096]).is_ok() {}
    });
    let Failure::Rejected(rejection) = endless else { panic!("{endless:?}") };
    assert_eq!(rejection.status, 503);
    assert!(rejection.body.len() <= 64 << 10, "{}", rejection.body.len());

    let missing = failure_after_request(|mut client| {
        client.write("HTTP/1.1 404 Not Found\r\nContent-Length: 1000\r\n\r\nhalf");
        client.stay_silent();
    });
    let Failure::Rejected(rejection) = missing else { panic!("{missing:?}") };
    assert_eq!((rejection.status, rejection.body.as_slice()), (404, b"half".as_slice()));
}

#[test]
fn a_redirect_is_not_followed() {
    let failure = failure_after_request(|mut client| {
        client.write(
            "HTTP/1.1 302 Found\r\nLocation: ws://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
        );
        client.stay_silent();
    });
    let Failure::Rejected(rejection) = failure else { panic!("{failure:?}") };
    assert_eq!(
        (rejection.status, rejection.headers.get("Location")),
        (302, Some("ws://elsewhere.example/"))
    );
    assert!(rejection.to_string().contains("ws://elsewhere.example/"), "{rejection}");
}

#[test]
fn answers_that_are_no_acceptance() {
    const ACCEPT: &str = "HTTP/1.1 101 Switching Protocols\r\n";
    for (answer, expected) in [
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n".into(), "HTTP"),
        ("\x16\x03\x01\x02\0\x01\r\n\r\n".into(), "TLS"),
        ("\r\n\r\n\r\n\r\n".into(), ""),
        (format!("{ACCEPT}{}", "X: y\r\n".repeat(20_000)), ""),
        (
            format!("{ACCEPT}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
            "Sec-WebSocket-Accept",
        ),
        (
            format!(
                "{ACCEPT}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"
            ),
            "Accept",
        ),
    ] {
        let failure = failure_after_request(move |mut client| {
            // A client that has seen enough may have hung up before the end.
            let _enough = client.try_write(answer);
            client.stay_silent();
        });
        let Failure::Upgrade(problem) = failure else { panic!("{failure:?}") };
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn acceptances_with_something_wrong() {
    for (expected, right, wrong) in [
        ("Upgrade", "Upgrade: websocket\r\n", ""),
        ("Upgrade", "Upgrade: websocket", "Upgrade: h2c"),
        ("Connection", "Connection: Upgrade\r\n", ""),
        ("Connection", "Connection: Upgrade", "Connection: keep-alive"),
        ("HTTP/1.", "HTTP/1.1", "HTTP/1.0"),
        (
            "permessage-deflate",
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        ),
        ("chat", "\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
    ] {
        let failure = failure_after_request(move |mut client| {
            let acceptance = client.acceptance("").replace(right, wrong);
            client.write(acceptance);
            client.stay_silent();
        });
        let Failure::Upgrade(problem) = failure else { panic!("{failure:?}") };
        assert!(problem.contains(expected), "{problem}");
    }
}

fn failure_after_request(then: impl FnOnce(Connection) + Send + 'static) -> Failure {
    failure(after_request(then).app())
}

fn after_request(then: impl FnOnce(Connection) + Send + 'static) -> Peer {
    Peer::start(|listener| {
        let mut client = listener.accept();
        client.read_request();
        then(client);
    })
}

/// Why the app never opens its connection; that there is one `on_error` and one `on_close`, and an
/// `Err`.
fn failure(app: WebSocketApp) -> Failure {
    let app = run(app);
    let failure = app.failure();
    app.expect_close(lost());
    app.end_given_up();
    failure
}
