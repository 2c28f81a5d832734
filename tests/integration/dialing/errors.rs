//! What the errors say: the phase, the host, the addresses that were tried, and what to try. Whole
//! texts, as people get them.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use websocket_app::{Attempt, Error, WebSocketApp};

use crate::peer::{FullBacklog, Listener, Peer, RefusedPort};
use crate::watchdog::within;

const URL: &str = "ws://somewhere.invalid/";

/// What the run's error says, without the operating system's own words: where they are is `…`.
fn text(app: WebSocketApp) -> String {
    let text = within("run_forever", || app.run_forever()).unwrap_err().to_string();
    match (text.find("Connection refused"), text.find("(os error ")) {
        (Some(from), Some(code)) => {
            let end = text[code..].find(')').map_or(text.len(), |end| code + end + 1);
            format!("{}…{}", &text[..from], &text[end..])
        }
        _ => text,
    }
}

fn resolved(addresses: impl IntoIterator<Item = SocketAddr>) -> WebSocketApp {
    let addresses: Vec<_> = addresses.into_iter().collect();
    WebSocketApp::new(URL).resolver(move |_, _, _| Ok(addresses.clone()))
}

#[test]
fn looking_up() {
    let unknown = |_: &str, _, _: &Attempt| -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::new(ErrorKind::NotFound, "unknown"))
    };
    assert_eq!(
        text(WebSocketApp::new(URL).resolver(unknown)),
        "looking up somewhere.invalid:80: unknown (is the name spelt right, and is the network up?)"
    );
    assert_eq!(
        text(resolved([])),
        "looking up somewhere.invalid:80: the name has no address (is it spelt right?)"
    );
}

#[test]
fn refused_by_each_address() {
    let (first, second) = (RefusedPort::new(), RefusedPort::new());
    let (first, second) = (first.addr(), second.addr());
    const HINT: &str = "is it running, and is its port the right one?";
    // A host that is an address is not named twice.
    assert_eq!(
        text(WebSocketApp::new(format!("ws://{first}/"))),
        format!("connecting to {first}: …: {HINT}")
    );
    assert_eq!(
        text(resolved([first])),
        format!("connecting to somewhere.invalid:80: …, from {first}: {HINT}")
    );
    assert_eq!(
        text(resolved([first, second])),
        format!(
            "connecting to somewhere.invalid:80: …, from {second}, tried besides {first}: {HINT}"
        )
    );
    assert_eq!(
        text(WebSocketApp::new(URL).proxy(format!("http://{first}"))),
        format!("connecting to the proxy {first}: …: {HINT}")
    );
}

/// Linux drops without a word what a full backlog has no room for.
#[cfg(target_os = "linux")]
#[test]
fn no_answer() {
    let full = FullBacklog::new();
    let (silent, limit) = (full.addr(), Duration::from_millis(50));
    const LATE: &str = "not done within the connect_timeout of 50ms";
    const HINT: &str = "is the address right, and does a firewall let us through?";
    assert_eq!(
        text(resolved([silent]).connect_timeout(limit)),
        format!("connecting to somewhere.invalid:80 at {silent}: {LATE} ({HINT})")
    );
    assert_eq!(
        text(WebSocketApp::new(full.url()).connect_timeout(limit)),
        format!("connecting to {silent}: {LATE} ({HINT})")
    );
    let silent = Peer::start(|listener| listener.accept().stay_silent());
    assert_eq!(
        text(silent.app().connect_timeout(limit)),
        format!(
            "WebSocket upgrade by {}: {LATE} (is this its WebSocket port, and ws:// or wss:// right?)",
            silent.addr()
        )
    );
    let silent = Peer::start(|listener| listener.accept().stay_silent());
    assert_eq!(
        text(
            WebSocketApp::new(URL)
                .proxy(format!("http://{}", silent.addr()))
                .connect_timeout(limit)
        ),
        format!(
            "asking the proxy {} for somewhere.invalid:80: {LATE} (is the proxy overloaded, or the server out of its reach?)",
            silent.addr()
        )
    );
}

/// The proxy is given an address, and hangs up.
#[test]
fn a_proxy_that_says_nothing_of_an_address() {
    let proxy = Peer::start(|listener| drop(listener.accept().read_bytes(3)));
    let (addr, server) = (proxy.addr(), SocketAddr::from(([192, 0, 2, 1], 80)));
    assert_eq!(
        text(resolved([server]).proxy(format!("socks5://{addr}"))),
        format!(
            "asking the proxy {addr} for somewhere.invalid:80 at {server}: \
             it hung up without an answer (does it speak socks5 on this port?)"
        )
    );
}

/// What a server or a proxy says that reads the request and gives this answer.
fn answered(app: impl FnOnce(&Peer) -> WebSocketApp, answer: &'static str) -> String {
    let peer = Peer::start(move |listener: &Listener| {
        let mut client = listener.accept();
        client.read_request();
        client.write(answer);
    });
    text(app(&peer)).replace(&peer.addr().to_string(), "PEER")
}

#[test]
fn what_is_sent_back_is_not_shown() {
    let peer = Peer::start(|listener: &Listener| {
        let mut client = listener.accept();
        let line = client.read_request().line.clone();
        client.write(line);
    });
    let error = text(WebSocketApp::new(format!("{}?token=s3cr3t", peer.url())));
    assert!(error.contains("sends back what it is sent") && !error.contains("s3cr3t"), "{error}");

    let peer = Peer::start(|listener: &Listener| {
        let mut client = listener.accept();
        let login = client.read_request().header("Authorization").unwrap().to_owned();
        let body = format!("authorization = {login}");
        client.write(format!("HTTP/1.1 400 x\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    });
    let error = text(WebSocketApp::new(format!("ws://user:pw@{}/", peer.addr())));
    assert!(error.contains("repeats the request") && !error.contains("dXNlcjpwdw"), "{error}");
}

/// Servers repeat what they were asked, in pages and in where they send us.
#[test]
fn a_query_or_a_header_that_a_refusal_repeats_is_not_shown() {
    let answers: [fn(&str, &str) -> String; 4] = [
        |target, _| answer(404, "", &format!("Cannot GET {target}")),
        |target, _| answer(404, "", &format!("<p>{} was not found", target.replace('&', "&amp;"))),
        |_, key| answer(403, "", &format!("{{\"x-api-key\":\"{key}\"}}")),
        |_, key| answer(302, &format!("Location: /keys/{key}/\r\n"), ""),
    ];
    for answer in answers {
        let peer = Peer::start(move |listener: &Listener| {
            let mut client = listener.accept();
            let request = client.read_request();
            let target = request.line.split(' ').nth(1).unwrap().to_owned();
            let key = request.header("X-Api-Key").unwrap().to_owned();
            client.write(answer(&target, &key));
        });
        let app = WebSocketApp::new(format!("{}ws?token=s3cr%33t&v=2", peer.url()))
            .header("X-Api-Key", "s3cr3t-key");
        let error = within("run_forever", || app.run_forever()).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("repeats the request") && !shown.contains("s3cr"), "{shown}");
        // The program may look at it.
        let Error::Rejected(rejection) = &error else { panic!("{error}") };
        let body = String::from_utf8_lossy(&rejection.body);
        let location = rejection.headers.get("location").unwrap_or_default();
        assert!(body.contains("s3cr") || location.contains("s3cr"), "{body} {location}");
    }
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// What is no HTTP either.
#[test]
fn a_request_that_is_sent_back_behind_something_is_not_shown() {
    let peer = Peer::start(|listener: &Listener| {
        let mut client = listener.accept();
        let line = client.read_request().line.clone();
        client.write(format!("ERR {line}\r\n\r\n"));
    });
    let error = text(WebSocketApp::new(format!("{}?t=s3cr3t", peer.url())));
    assert!(error.contains("sends back what it is sent") && !error.contains("s3c"), "{error}");
}

#[test]
fn what_a_proxy_says() {
    for (answer, expected) in [
        (
            "",
            "asking the proxy PEER for somewhere.invalid:80: it hung up without an answer (does it speak http on this port?)",
        ),
        (
            "HTTP/1.1 403 x\r\n\r\n",
            "the proxy http://PEER opened no way to somewhere.invalid:80: HTTP status 403 (Forbidden): \
             it does not allow that (many allow port 443 only, which is wss://)",
        ),
    ] {
        let proxied = |peer: &Peer| WebSocketApp::new(URL).proxy(format!("http://{}", peer.addr()));
        assert_eq!(answered(proxied, answer), expected);
    }
}

#[test]
fn what_a_server_says() {
    for (answer, expected) in [
        (
            "",
            "WebSocket upgrade by PEER: the server hung up without an answer \
             (is this its WebSocket port, and ws:// or wss:// right?)",
        ),
        (
            "SSH-2.0-x\r\n\r\n",
            "WebSocket upgrade by PEER: the answer is not HTTP/1.1, is the port right? It begins with \"SSH-2.0-x\\r\\n\\r\\n…\"",
        ),
        (
            "HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\nHello",
            "ws://PEER/ refused the upgrade with HTTP status 200 \
             (there is something else than a WebSocket: is the path right?): Hello",
        ),
        (
            "HTTP/1.1 301 x\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n",
            "ws://PEER/ refused the upgrade with HTTP status 301, it redirects to \"/new\" (max_redirects(…) follows it)",
        ),
        (
            "HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n",
            "ws://PEER/ refused the upgrade with HTTP status 401 \
             (does it want a login, in the URL or in a header, or another Origin?)",
        ),
        (
            "HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n",
            "ws://PEER/ refused the upgrade with HTTP status 404 (is the path right?)",
        ),
        (
            "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n",
            "ws://PEER/ refused the upgrade with HTTP status 503 (the server is down, or has too much to do)",
        ),
        // The server's own business: what it says is all there is.
        (
            "HTTP/1.1 418 x\r\nContent-Length: 6\r\n\r\nteapot",
            "ws://PEER/ refused the upgrade with HTTP status 418: teapot",
        ),
    ] {
        assert_eq!(answered(Peer::app, answer), expected);
    }
}

#[cfg(feature = "__tls")]
#[test]
fn tls() {
    use websocket_app::TlsConfig;

    crate::tls::on_each(|backend| {
        let tls = || TlsConfig::new().backend(backend);
        // It answers without TLS what it does not understand.
        let plain = |listener: &Listener| {
            let mut client = listener.accept();
            client.read_something();
            client.write("HTTP/1.1 400 x\r\n\r\n");
        };
        const NOT_TLS: &str = "it does not speak TLS on this port: is the URL's scheme meant to be ws:// (for a proxy, http://)?";
        let server = Peer::start(plain);
        let addr = server.addr();
        let app = WebSocketApp::new(format!("wss://{addr}/")).tls(tls());
        assert_eq!(text(app), format!("TLS handshake with {addr}: {NOT_TLS}"));
        let proxy = Peer::start(plain);
        let addr = proxy.addr();
        let app = WebSocketApp::new(URL).proxy(format!("https://{addr}")).proxy_tls(tls());
        assert_eq!(text(app), format!("TLS handshake with the proxy {addr}: {NOT_TLS}"));
        let untrusted = Peer::start_tls(backend, Listener::expect_no_agreement);
        let text = text(untrusted.app().tls(tls()));
        let (begins, ends) = (
            format!(
                "TLS handshake with localhost:{}: its certificate is not accepted: ",
                untrusted.addr().port()
            ),
            ": TlsConfig::root_certificate_file can trust its root",
        );
        assert!(text.starts_with(&begins) && text.ends_with(ends), "{text}");
    });
}
