//! URL, headers and subprotocols computed anew for each attempt, from its number.

use std::net::TcpStream;

use crossbeam_channel::unbounded;
use websocket_app::{Attempt, ClosedBy, Phase, WebSocketApp};

use super::{SHORT, late, soon};
use crate::failure::{Failure, clean, lost};
use crate::peer::{Bystander, Peer};
use crate::running::{Running, run};

#[test]
fn each_attempt_has_its_own_url_headers_and_subprotocols() {
    let peer = Peer::start(|listener| {
        for attempt in 1..=3 {
            let mut client = listener.accept();
            let request = client.read_request();
            assert_eq!(request.line, format!("GET /feed?attempt={attempt} HTTP/1.1"));
            assert_eq!(request.header("Authorization"), Some(format!("Bearer {attempt}").as_str()));
            assert_eq!(request.header("X-Fixed"), Some("same"), "what was set before stays");
            assert_eq!(
                request.header("Sec-WebSocket-Protocol"),
                Some(format!("v{attempt}").as_str())
            );
            let answer = client.acceptance(&format!("Sec-WebSocket-Protocol: v{attempt}\r\n"));
            client.write(answer);
            if attempt == 3 {
                client.answer_close();
            }
        }
    });
    let base = peer.url();
    let app = run(peer
        .app()
        .reconnect(soon())
        .header("X-Fixed", "same")
        .subprotocols(["never"])
        .url_with(move |attempt| format!("{base}feed?attempt={}", attempt.number))
        .headers_with(|attempt| {
            vec![("Authorization".into(), format!("Bearer {}", attempt.number))]
        })
        .subprotocols_with(|attempt| vec![format!("v{}", attempt.number)]));
    app.expect_open();
    for attempt in [2, 3] {
        app.expect_failure(Failure::Network(Phase::Open));
        assert_eq!(app.expect_close_for_now(lost()), (SHORT, attempt));
        app.expect_reconnect();
    }
    let subprotocol =
        app.sender.handshake().and_then(|shake| shake.subprotocol().map(str::to_owned));
    assert_eq!(subprotocol.as_deref(), Some("v3"));
    end(app);
}

#[test]
fn the_first_attempt_is_computed_too_without_a_policy() {
    let nobody = Bystander::new();
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        assert_eq!(client.read_request().header("X-Token"), Some("1"));
        let answer = client.acceptance("");
        client.write(answer);
        client.answer_close();
    });
    let url = peer.url();
    let app = run(WebSocketApp::new(format!("ws://{}/", nobody.addr()))
        .url_with(move |_| url.clone())
        .headers_with(|attempt| vec![("X-Token".into(), attempt.number.to_string())]));
    app.expect_open();
    end(app);
    nobody.saw_nobody();
}

#[test]
fn a_new_connection_that_was_asked_for_counts_from_one() {
    let peer = Peer::start(|listener| {
        for _ in 0..2 {
            let mut client = listener.accept();
            assert_eq!(client.read_request().header("X-Attempt"), Some("1"));
            let answer = client.acceptance("");
            client.write(answer);
            client.answer_close();
        }
    });
    let app = run(peer
        .app()
        .headers_with(|attempt| vec![("X-Attempt".into(), attempt.number.to_string())]));
    app.expect_open();
    app.sender.reconnect();
    assert_eq!(app.close().attempt, 1);
    app.expect_reconnect();
    end(app);
}

#[test]
fn an_attempt_knows_what_went_wrong_before_it() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        assert_eq!(client.read_request().header("X-Token"), Some("none"));
        client.write("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n\r\n");
        drop(client);
        let mut client = listener.accept();
        assert_eq!(client.read_request().header("X-Token"), Some("401 Bearer"));
        let answer = client.acceptance("");
        client.write(answer);
        drop(client);
        let mut client = listener.accept();
        assert_eq!(client.read_request().header("X-Token"), Some("after a loss"));
        let answer = client.acceptance("");
        client.write(answer);
        client.answer_close();
    });
    let policy = soon().retry_if(|_| true);
    let app = run(peer.app().reconnect(policy).headers_with(|attempt| {
        let token = match (attempt.rejection(), attempt.since_loss) {
            (Some(rejection), None) => {
                let asked = rejection.headers.get("www-authenticate").unwrap_or_default();
                format!("{} {asked}", rejection.status)
            }
            (None, Some(since)) if since >= SHORT && attempt.last_error.is_some() => {
                "after a loss".into()
            }
            (None, None) if attempt.number == 1 && attempt.last_error.is_none() => "none".into(),
            _ => format!("{attempt:?}"),
        };
        vec![("X-Token".into(), token)]
    }));
    let (_, why) = app.failed_attempt(1);
    assert!(matches!(&why, Failure::Rejected(rejection) if rejection.status == 401), "{why:?}");
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    end(app);
}

/// A resolver or connector may go by which attempt it is, and by what was wrong with the last.
#[test]
fn a_resolver_and_a_connector_know_the_attempt_too() {
    let told = |attempt: &Attempt| {
        let status = attempt.rejection().map(|rejection| rejection.status);
        (attempt.number, status, attempt.since_loss.is_some())
    };
    for by_resolver in [true, false] {
        let peer = Peer::start(|listener| {
            let mut client = listener.accept();
            client.read_request();
            client.write("HTTP/1.1 503 Service Unavailable\r\n\r\n");
            drop(client);
            drop(listener.open());
            listener.open().answer_close();
        });
        let (addr, (asked, asks)) = (peer.addr(), unbounded());
        let app = WebSocketApp::new("ws://somewhere.invalid/").reconnect(soon());
        let app = run(match by_resolver {
            true => app.resolver(move |_, _, attempt| {
                asked.send(told(attempt)).unwrap();
                // The port is the peer's, not the URL's.
                Ok([addr])
            }),
            false => app.connector(move |_, _, attempt| {
                asked.send(told(attempt)).unwrap();
                TcpStream::connect(addr)
            }),
        });
        let (_, why) = app.failed_attempt(1);
        assert!(matches!(&why, Failure::Rejected(rejection) if rejection.status == 503), "{why:?}");
        app.expect_open();
        app.expect_failure(Failure::Network(Phase::Open));
        app.expect_close_for_now(lost());
        app.expect_reconnect();
        end(app);
        let asked: Vec<_> = asks.try_iter().collect();
        assert_eq!(asked, [(1, None, false), (2, Some(503), false), (3, None, true)]);
    }
}

#[test]
fn what_is_computed_wrong_is_told_and_not_tried_again() {
    for (url, header) in
        [("http://127.0.0.1/", "fine"), ("no URL", "fine"), ("", "in\r\ntwo lines")]
    {
        let nobody = Bystander::new();
        let base = format!("ws://{}/", nobody.addr());
        let url = if url.is_empty() { base.clone() } else { url.to_owned() };
        let app = run(WebSocketApp::new(base)
            .reconnect(late())
            .url_with(move |_| url.clone())
            .headers_with(move |_| vec![("X-Header".into(), header.into())]));
        let (retry_in, why) = app.failed_attempt(1);
        assert!(retry_in.is_none() && matches!(why, Failure::Invalid(..)), "{retry_in:?} {why:?}");
        app.expect_close(lost());
        app.end_given_up();
        nobody.saw_nobody();
    }
}

#[test]
fn an_error_in_a_closure_fails_the_attempt_and_the_next_is_made() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        assert_eq!(client.read_request().header("X-Token"), Some("2"));
        let answer = client.acceptance("");
        client.write(answer);
        client.answer_close();
    });
    let app = run(peer.app().reconnect(soon()).headers_with(|attempt| match attempt.number {
        1 => Err("the token server is away"),
        _ => Ok(vec![("X-Token".into(), attempt.number.to_string())]),
    }));
    let (retry_in, why) = app.failed_attempt(1);
    assert_eq!(retry_in, Some(SHORT));
    assert!(
        matches!(&why, Failure::Callback(which, text) if which == "headers_with" && text.contains("token server")),
        "{why:?}"
    );
    app.expect_open();
    end(app);
}

#[test]
fn a_panic_in_a_closure_ends_the_run() {
    let nobody = Bystander::new();
    let app = run(WebSocketApp::new(format!("ws://{}/", nobody.addr()))
        .reconnect(soon())
        .url_with(|_| -> String { panic!("no idea") }));
    let (retry_in, why) = app.failed_attempt(1);
    assert!(retry_in.is_none() && matches!(why, Failure::Panicked(_)), "{retry_in:?} {why:?}");
    app.expect_close(lost());
    app.end_given_up();
    nobody.saw_nobody();
}

/// Closes the run's connection, which the peer answers.
fn end(app: Running) {
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}
