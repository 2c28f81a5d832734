//! Where redirects lead, and what goes there: scripted servers, each on a thread of its own.

use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::super::testing::{LONG, Server, dial, read_request, switching, text, wait_for_end};
use super::super::{Connected, Failure};
use super::phases::{cancel_with, phase_of_timeout_with};
use crate::config::{Config, ProxyChoice};
use crate::error::{Error, Phase, Rejection};

fn following(max_redirects: u32) -> Config {
    Config { max_redirects, proxy: ProxyChoice::None, ..Config::default() }
}

fn redirecting(status: u16, location: &str) -> Server {
    // More of a body than one waits for.
    Server::answering(format!(
        "HTTP/1.1 {status} x\r\nLocation: {location}\r\nContent-Length: 99\r\n\r\nmoved"
    ))
}

/// A server that opens the WebSocket and gives the request's lines.
fn opening() -> (Server, mpsc::Receiver<Vec<String>>) {
    let (tell, requests) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        let request = read_request(&mut stream);
        stream.write_all(&[switching(&request).as_bytes(), b"\x81\x02hi"].concat()).unwrap();
        tell.send(request).unwrap();
        wait_for_end(&mut stream);
    });
    (server, requests)
}

fn rejection(result: Result<Connected, Failure>) -> Rejection {
    match result {
        Err(Failure::Error(Error::Rejected(rejection))) => *rejection,
        other => panic!("{}", text(other)),
    }
}

#[test]
fn every_redirect_is_followed_to_where_it_leads() {
    for status in [301, 302, 303, 307, 308] {
        let (last, requests) = opening();
        let middle = redirecting(status, &format!("http://127.0.0.1:{}/there?a=b#top", last.port));
        let first = redirecting(status, &format!("//127.0.0.1:{}/", middle.port));
        let began = Instant::now();
        let connected = dial(&format!("ws://127.0.0.1:{}/", first.port), &following(2), LONG);
        assert!(began.elapsed() < Duration::from_millis(900), "{status}: a body was waited for");
        let connected = connected.unwrap_or_else(|failure| panic!("{failure:?}"));
        assert_eq!(requests.recv().unwrap()[0], "GET /there?a=b HTTP/1.1");
        assert_eq!(connected.leftover, b"\x81\x02hi");
        assert_eq!(*connected.peer, format!("127.0.0.1:{}", last.port));
        assert_eq!(connected.handshake.peer_addr().map(|address| address.port()), Some(last.port));
        drop(connected);
        last.join(());
        middle.join(());
        first.join(());
    }
}

#[test]
fn a_redirect_within_the_origin_keeps_the_credentials_and_one_out_of_it_loses_them() {
    let config = Config {
        headers: vec![("X-Api-Key".into(), "secret".into()), ("User-Agent".into(), "test".into())],
        cookie: Some("a=secret".into()),
        subprotocols: vec!["v1".into()],
        ..following(1)
    };
    let (last, requests) = opening();
    let first = redirecting(302, &format!("ws://user:secret@127.0.0.1:{}/", last.port));
    let connected = dial(&format!("ws://user:secret@127.0.0.1:{}/", first.port), &config, LONG);
    assert!(connected.is_ok(), "{}", text(connected));
    let request = requests.recv().unwrap().join("\n");
    assert!(!request.contains("secret") && !request.contains("Authorization"), "{request}");
    assert!(
        request.contains("User-Agent: test") && request.contains("Sec-WebSocket-Protocol: v1"),
        "{request}"
    );
    drop(connected);
    last.join(());
    first.join(());

    // Two connections to one port.
    let server = Server::taking(2, |i, mut stream| {
        let request = read_request(&mut stream);
        for line in
            ["Authorization: Basic dXNlcjpzZWNyZXQ=", "X-Api-Key: secret", "Cookie: a=secret"]
        {
            assert!(request.iter().any(|sent| sent == line), "{i}: {request:?}");
        }
        let answer = match i {
            0 => "HTTP/1.1 307 x\r\nLocation: there\r\nContent-Length: 0\r\n\r\n".to_owned(),
            _ => switching(&request),
        };
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let connected =
        dial(&format!("ws://user:secret@127.0.0.1:{}/here", server.port), &config, LONG);
    assert!(connected.is_ok(), "{}", text(connected));
    server.join(());
}

#[test]
fn a_circle_ends_with_the_number_that_is_allowed() {
    for max in [0, 1, 4] {
        let server = Server::taking(max + 1, |_, mut stream| {
            read_request(&mut stream);
            stream
                .write_all(b"HTTP/1.1 302 x\r\nLocation: /again\r\nContent-Length: 5\r\n\r\nagain")
                .unwrap();
        });
        let result =
            dial(&format!("ws://127.0.0.1:{}/again", server.port), &following(max as u32), LONG);
        let rejection = rejection(server.join(result));
        assert_eq!((rejection.status, rejection.body.as_slice()), (302, &b"again"[..]));
        match max {
            0 => assert_eq!(rejection.not_followed, None),
            _ => assert!(rejection.to_string().contains(&format!(
                "it redirects to \"/again\", which is not followed: {max} came before it, as many as max_redirects allows"
            ))),
        }
    }
}

#[test]
fn what_cannot_be_followed_is_a_rejection_that_says_why() {
    for (answer, why) in [
        ("302 x\r\nLocation: ftp://other/", Some("ftp://")),
        ("302 x\r\nLocation: ws://", Some("no URL")),
        ("302 x\r\nLocation: ws://other:0/?token=secret", Some("port 0")),
        ("302 x\r\nX: y", Some("does not say where to")),
        ("304 x\r\nLocation: ws://other/", None),
        ("300 x\r\nLocation: ws://other/", None),
        ("200 x\r\nLocation: ws://other/", None),
    ] {
        let server = Server::answering(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n"));
        let result = dial(&format!("ws://127.0.0.1:{}/", server.port), &following(5), LONG);
        let rejection = rejection(server.join(result));
        match why {
            None => assert_eq!(rejection.not_followed, None, "{answer}"),
            Some(why) => assert!(
                rejection.not_followed.as_ref().is_some_and(|said| said.contains(why)),
                "{rejection}"
            ),
        }
        assert!(!rejection.to_string().contains("secret"), "{rejection}");
    }
}

#[test]
fn what_fails_behind_a_redirect_names_who_failed() {
    let last = Server::answering("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
    let first = redirecting(302, &format!("ws://127.0.0.1:{}/there", last.port));
    let url = format!("ws://127.0.0.1:{}/there", last.port);
    let result = dial(&format!("ws://127.0.0.1:{}/", first.port), &following(5), LONG);
    let rejection = rejection(first.join(last.join(result)));
    assert_eq!((rejection.url, rejection.status, rejection.body), (url, 404, b"none".to_vec()));
    let last = Server::start(|mut stream| drop(read_request(&mut stream)));
    let (first, port) = (redirecting(302, &format!("ws://127.0.0.1:{}/", last.port)), last.port);
    let error = text(dial(&format!("ws://127.0.0.1:{}/", first.port), &following(5), LONG));
    assert!(
        error.starts_with(&format!("WebSocket upgrade by 127.0.0.1:{port}: the server hung up")),
        "{error}"
    );
    last.join(());
    first.join(());
}

#[test]
fn the_time_and_a_cancel_are_for_all_of_it() {
    let silent = Server::start(|mut stream| wait_for_end(&mut stream));
    let first = redirecting(302, &format!("ws://127.0.0.1:{}/", silent.port));
    let phase = phase_of_timeout_with(&format!("ws://127.0.0.1:{}/", first.port), &following(1));
    assert_eq!(first.join(silent.join(phase)), Some(Phase::Upgrade));

    let (reach, reached) = mpsc::channel();
    let silent = Server::start(move |mut stream| {
        read_request(&mut stream);
        reach.send(()).unwrap();
        wait_for_end(&mut stream);
    });
    let first = redirecting(302, &format!("ws://127.0.0.1:{}/", silent.port));
    cancel_with(&format!("ws://127.0.0.1:{}/", first.port), &following(1), &reached);
    silent.join(());
    first.join(());
}

#[cfg(feature = "__tls")]
mod secure {
    use super::super::super::testing::tls::Authority;
    use super::super::tls::{on_each, trusting};
    use super::*;
    use crate::tls::TlsBackend;

    #[test]
    fn tls_is_never_given_up_and_may_be_taken_up() {
        on_each(tls_is_never_given_up_and_may_be_taken_up_with);
    }

    fn tls_is_never_given_up_and_may_be_taken_up_with(backend: TlsBackend) {
        let authority = Authority::new();
        let config = Config { tls: trusting(&authority, backend).tls, ..following(5) };
        for scheme in ["ws", "http"] {
            let server = authority.certify("127.0.0.1").serve(move |mut stream| {
                read_request(&mut stream);
                let head = format!("HTTP/1.1 302 x\r\nLocation: {scheme}://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
            });
            let result = dial(&format!("wss://127.0.0.1:{}/", server.port), &config, LONG);
            let rejection = rejection(server.join(result));
            assert_eq!(rejection.not_followed.as_deref(), Some("it would give up TLS"));
        }
        let last = authority.certify("127.0.0.1").serve(|mut stream| {
            let head = switching(&read_request(&mut stream));
            stream.write_all(head.as_bytes()).unwrap();
        });
        let first = redirecting(301, &format!("https://127.0.0.1:{}/", last.port));
        let result = dial(&format!("ws://127.0.0.1:{}/", first.port), &config, LONG);
        assert!(result.is_ok(), "{}", text(result));
        last.join(());
        first.join(());
    }
}
