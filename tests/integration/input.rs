//! Wrong URLs, options, headers and certificate files: an error that names what is wrong, before
//! any socket is opened and any callback called.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use websocket_app::{Error, Reconnect, SocketOptions, WebSocketApp};

use crate::failure::Failure;
use crate::peer::Bystander;
use crate::recorder::{only_record, record};
use crate::watchdog::within;

#[test]
fn urls() {
    let nobody = Bystander::new();
    let addr = nobody.addr();
    for (url, naming) in [
        (String::new(), ""),
        ("not a url".into(), "not a url"),
        (format!("{addr}"), "ws://"),
        (format!("localhost:{}", addr.port()), "ws://"),
        ("example.com/path".into(), "ws://"),
        (format!("//{addr}/"), "ws://"),
        (format!("http://{addr}/"), "ws://"),
        (format!("https://{addr}/"), "wss://"),
        (format!("ftp://{addr}/"), "ftp"),
        (format!("ws://{addr}/path#top"), "fragment"),
        (format!("ws://{addr}/#"), "fragment"),
        ("ws://".into(), "host"),
        ("ws:///path".into(), ""),
        ("ws://:80/".into(), "host"),
        ("ws://127.0.0.1:0/".into(), "port"),
        ("ws://127.0.0.1:65536/".into(), "port"),
        ("ws://127.0.0.1:http/".into(), "port"),
        ("ws://[::1/".into(), ""),
        ("ws://a b/".into(), ""),
        ("ws://exa\u{0}mple/".into(), ""),
        (format!("ws://{addr}/{}", "x".repeat(1 << 20)), "long"),
    ] {
        println!("{url:.100}");
        is_refused(|| WebSocketApp::new(url.clone()), naming);
    }
    nobody.saw_nobody();
}

#[cfg(unix)]
#[test]
fn urls_of_unix_sockets() {
    let long = format!("ws+unix:/{}:/", "x".repeat(200));
    for (url, naming) in [
        ("ws+unix:", "names no socket"),
        ("ws+unix://host/a.sock", "has a host"),
        ("ws+unix:/a.sock:/#top", "fragment"),
        (long.as_str(), "too long"),
    ] {
        is_refused(|| WebSocketApp::new(url), naming);
    }
    is_refused(
        || WebSocketApp::new("ws+unix:/a.sock").connector(|_, _, _| tcp_to_nobody()),
        "connector(…)",
    );
}

#[test]
fn ways_to_connect_that_contradict_each_other() {
    let nobody = Bystander::new();
    let app = || at(&nobody);
    let reconnect = || Reconnect::fixed(Duration::from_secs(1));
    let nodelay = SocketOptions::new().nodelay(false);
    is_refused(
        || with_socket(app()).connector(|_, _, _| tcp_to_nobody()),
        "socket(…) and connector(…)",
    );
    is_refused(|| with_socket(app()).reconnect(reconnect()), "connector(…) gives a new one");
    is_refused(
        || app().connector(|_, _, _| tcp_to_nobody()).resolver(|_, _, _| Ok([])),
        "resolver(…) with connector(…)",
    );
    is_refused(
        || with_socket(app()).socket_options(nodelay.clone()),
        "socket_options(…) with socket(…)",
    );
    is_refused(|| app().socket_options(SocketOptions::new().keepalive_retries(3)), "keepalive");
    is_refused(|| with_socket(app()).max_redirects(1), "connector(…) gives a new one");
    is_refused(|| with_socket(app()).proxy("http://127.0.0.1:1"), "proxy(…) with socket(…)");
    is_refused(
        || app().connector(|_, _, _| tcp_to_nobody()).proxy("http://127.0.0.1:1"),
        "proxy(…) with connector(…)",
    );
    #[cfg(unix)]
    {
        let unix = || WebSocketApp::new("ws+unix:/a.sock");
        is_refused(|| unix().resolver(|_, _, _| Ok([])), "resolver(…) with a URL of a Unix socket");
        is_refused(
            || unix().socket_options(nodelay.clone()),
            "socket_options(…) with a URL of a Unix socket",
        );
        is_refused(|| unix().proxy("http://127.0.0.1:1"), "proxy(…) with a URL of a Unix socket");
    }
    is_refused(|| app().host("a.example").header("Host", "b.example"), "host(…)");
    is_refused(|| app().host("a.example/path"), "one host");
    #[cfg(feature = "cookies")]
    is_refused(|| app().keep_cookies(true).header("Cookie", "a=b"), "keep_cookies(true)");
    #[cfg(not(feature = "cookies"))]
    is_refused(|| app().keep_cookies(true), "feature `cookies`");
    nobody.saw_nobody();
}

fn tcp_to_nobody() -> io::Result<TcpStream> {
    unreachable!("it is refused before that")
}

/// With a socket that leads nowhere in particular.
fn with_socket(app: WebSocketApp) -> WebSocketApp {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    app.socket(TcpStream::connect(listener.local_addr().unwrap()).unwrap())
}

#[test]
fn a_password_in_a_url_is_never_shown() {
    let nobody = Bystander::new();
    for url in [
        "http://user:secret@127.0.0.1/",
        "ws://user:secret@127.0.0.1/#x",
        "ws://user:secret@127.0.0.1:0/",
    ] {
        let error = WebSocketApp::new(url).run_forever().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
    nobody.saw_nobody();
}

#[test]
fn proxies() {
    let nobody = Bystander::new();
    for (url, naming) in [
        ("", "names no host"),
        ("ftp://127.0.0.1", "none of http, https, socks4"),
        ("http://127.0.0.1:99999", "port"),
        ("socks4://user:secret@127.0.0.1", "no passwords"),
    ] {
        is_refused(|| at(&nobody).proxy(url), naming);
        assert!(!at(&nobody).proxy(url).run_forever().unwrap_err().to_string().contains("secret"));
    }
    #[cfg(not(feature = "native-tls"))]
    is_refused(|| at(&nobody).proxy("https://127.0.0.1"), "native-tls");
    nobody.saw_nobody();
}

#[test]
fn headers() {
    let nobody = Bystander::new();
    for (name, value, naming) in [
        ("", "x", ""),
        ("Bad Name", "x", "Bad"),
        ("Bad:", "x", "Bad"),
        ("X\r\nInjected", "x", "X"),
        ("Ünicode", "x", "header"),
        ("X-Value", "a\r\nInjected: b", "X-Value"),
        ("X-Value", "a\nb", "X-Value"),
        ("X-Value", "a\0b", "X-Value"),
        ("Upgrade", "h2c", "Upgrade"),
        ("connection", "close", "onnection"),
        ("Sec-WebSocket-Key", "x", "Sec-WebSocket-Key"),
        ("Sec-WebSocket-Version", "8", "Sec-WebSocket-Version"),
        ("Sec-WebSocket-Accept", "x", "Sec-WebSocket-Accept"),
        ("sec-websocket-protocol", "chat", "subprotocols"),
        ("Sec-WebSocket-Extensions", "x", "Sec-WebSocket-Extensions"),
        ("Content-Length", "5", "Content-Length"),
        ("Transfer-Encoding", "chunked", "Transfer-Encoding"),
    ] {
        println!("{name:?}: {value:?}");
        is_refused(|| at(&nobody).header(name, value), naming);
    }
    is_refused(|| at(&nobody).header("Host", "a").header("host", "b"), "ost");
    is_refused(|| at(&nobody).header("Origin", "https://a").origin("https://b"), "rigin");
    is_refused(|| at(&nobody).header("Cookie", "a=1").cookie("b=2"), "ookie");
    is_refused(|| at(&nobody).origin("https://a\r\nInjected: b"), "rigin");
    is_refused(|| at(&nobody).cookie("a=1\r\nInjected: b"), "ookie");
    nobody.saw_nobody();
}

#[test]
fn the_value_of_a_header_that_is_a_credential_is_never_shown() {
    let nobody = Bystander::new();
    for name in ["Authorization", "Proxy-Authorization", "Cookie", "X-Token"] {
        let error = at(&nobody).header(name, "secret\r\n").run_forever().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
    nobody.saw_nobody();
}

#[test]
fn subprotocols() {
    let nobody = Bystander::new();
    for (names, naming) in [
        (vec![""], "empty"),
        (vec!["a b"], "has ' '"),
        (vec!["a,b"], "has ','"),
        (vec!["chat", "chat"], "number 2"),
    ] {
        is_refused(|| at(&nobody).subprotocols(names.clone()), naming);
    }
    nobody.saw_nobody();
}

#[test]
fn options() {
    let nobody = Bystander::new();
    is_refused(|| at(&nobody).connect_timeout(Duration::ZERO), "connect_timeout");
    is_refused(|| at(&nobody).close_timeout(Duration::ZERO), "close_timeout");
    is_refused(|| at(&nobody).ping_interval(Duration::ZERO), "ping_interval");
    is_refused(|| at(&nobody).ping_timeout(Duration::ZERO), "ping_timeout");
    is_refused(|| at(&nobody).max_message_size(0), "max_message_size");
    is_refused(|| at(&nobody).max_fragments(0), "max_fragments");
    is_refused(|| at(&nobody).max_send_buffer(0), "max_send_buffer");
    is_refused(|| at(&nobody).every(Duration::ZERO, |_| ()), "every");
    nobody.saw_nobody();
}

#[test]
fn the_largest_values_are_not_too_large() {
    let peer = crate::peer::Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("text");
        client.close(1000, "");
    });
    let app = peer
        .app()
        .connect_timeout(Duration::MAX)
        .close_timeout(Duration::MAX)
        .send_timeout(Duration::MAX)
        .ping_interval(Duration::MAX)
        .ping_timeout(Duration::MAX)
        .max_message_size(usize::MAX)
        .max_fragments(usize::MAX)
        .max_send_buffer(usize::MAX)
        .every(Duration::MAX, |_| ())
        .on_open(|ws| ws.send_timeout("text", Duration::MAX));
    // An error that names the option would do as well; a panic would not.
    match within("run_forever", || app.run_forever()).map_err(Failure::from) {
        Ok(_) => {}
        Err(Failure::Invalid(..)) => drop(std::net::TcpStream::connect(peer.addr())),
        Err(other) => panic!("{other:?}"),
    }
}

#[cfg(not(feature = "__tls"))]
#[test]
fn wss_without_a_tls_feature() {
    let nobody = Bystander::new();
    is_refused(|| WebSocketApp::new(format!("wss://{}/", nobody.addr())), "native-tls");
    nobody.saw_nobody();
}

#[cfg(feature = "__tls")]
#[test]
fn certificates() {
    use websocket_app::TlsConfig;

    let nobody = Bystander::new();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("certificates-of-input");
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (empty, text) = (file("empty.pem", b""), file("text.pem", b"no certificate"));
    let (missing, no_key) = (folder.join("missing.pem"), file("no-key.pem", b"no key"));
    let valid = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    let certificate = file("certificate.pem", valid.as_bytes());
    let broken_pem = valid.replace("MII", "!!!");
    crate::tls::on_each(|backend| {
        let new = || TlsConfig::new().backend(backend);
        for (tls, naming) in [
            (new().root_certificate_file(&missing), "missing.pem"),
            (new().root_certificate_file(&empty), "empty.pem"),
            (new().root_certificate_file(&text), "root_certificate_file, file"),
            (new().root_certificate_file(&folder), "certificates-of-input"),
            (new().root_certificate(b"garbage"), "root_certificate"),
            (new().root_certificate(b""), "root_certificate"),
            (new().root_certificate([0x30, 0x82, 0, 1, 0]), "root_certificate"),
            (new().root_certificate(broken_pem.as_str()), "root_certificate"),
            (new().identity_pem_files(&certificate, &missing), "missing.pem"),
            (new().identity_pem_files(&certificate, &no_key), "no-key.pem"),
            (new().identity_pem_files(&text, &certificate), "identity_pem_files, file"),
            (new().identity_pem(valid.as_str(), "no key"), "identity_pem"),
            (new().identity_pkcs12(b"garbage", "secret"), "identity_pkcs12"),
            (new().only_these_roots(true), "only_these_roots"),
        ] {
            println!("{naming}");
            is_refused(
                || WebSocketApp::new(format!("wss://{}/", nobody.addr())).tls(tls.clone()),
                naming,
            );
        }
    });
    nobody.saw_nobody();
}

fn at(nobody: &Bystander) -> WebSocketApp {
    WebSocketApp::new(format!("ws://{}/", nobody.addr()))
}

/// `run_forever` and `spawn` both refuse it, with a text that names this, and no callback is
/// called.
fn is_refused(app: impl Fn() -> WebSocketApp, naming: &str) {
    let (recorded, calls) = record(app(), only_record());
    let error = within("run_forever", || recorded.run_forever()).unwrap_err();
    calls.finish();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert!(error.to_string().contains(naming), "{naming:?} is not in: {error}");
    let (recorded, calls) = record(app(), only_record());
    let spawned = within("spawn", || recorded.spawn()).unwrap_err();
    calls.finish();
    assert_eq!(spawned.to_string(), error.to_string());
}
