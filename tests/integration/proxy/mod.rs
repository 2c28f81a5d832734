//! Real proxies: tinyproxy and squid for HTTP CONNECT, dante, microsocks and Twisted for SOCKS.

/// What the environment says, in a process that has such a one.
mod environment;
/// The proxies.
mod programs;

use std::net::SocketAddr;
use std::time::Duration;

use websocket_app::{ClosedBy, Error, ProxyRefusal, Reconnect, WebSocket, WebSocketApp};

use self::programs::{dante, microsocks, squid, tinyproxy, twisted};
use crate::failure::{Failure, clean, lost, unanswered};
use crate::frame::Frame;
use crate::peer::{Peer, RefusedPort};
use crate::running::run;
use crate::watchdog::Gate;

/// An echo that counts: it takes this many clients, one after the other.
fn echo(clients: usize) -> Peer {
    Peer::start(move |listener| (0..clients).for_each(|_| converse(listener.open())))
}

fn converse(mut client: crate::connection::Connection) {
    client.expect_text("hello");
    // At once, and more than any buffer on the way has room for.
    client.send(Frame::text("hi"));
    client.send(Frame::binary(vec![7; 3 << 20]));
    client.close(1000, "bye");
}

/// A whole conversation through a proxy, which must be what the client is connected to.
fn converses(app: WebSocketApp, proxy: SocketAddr) {
    let app = run(app);
    app.expect_open();
    assert_eq!(app.sender.handshake().unwrap().peer_addr(), Some(proxy));
    app.sender.send("hello").unwrap();
    app.expect_text("hi");
    app.expect_binary(&[7; 3 << 20]);
    app.expect_close(clean(ClosedBy::Peer, 1000, "bye"));
    app.end_in_order();
}

/// The server by a name that the proxy has to look up.
fn by_name(peer: &Peer) -> String {
    format!("ws://localhost:{}/", peer.addr().port())
}

fn refusal(url: &str, proxy: String) -> ProxyRefusal {
    match WebSocket::builder(url).proxy(proxy).connect() {
        Err(Error::Proxy(refusal)) => *refusal,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("connected"),
    }
}

#[test]
fn tinyproxy_lets_us_through_with_the_right_password_only() {
    let Some(proxy) = tinyproxy("BasicAuth alice wonder") else { return };
    let (peer, addr) = (echo(2), proxy.addr());
    converses(peer.app().proxy(format!("http://alice:wonder@{addr}")), addr);
    converses(WebSocketApp::new(by_name(&peer)).proxy(format!("alice:wonder@{addr}")), addr);
    for (login, says) in
        [("", "user:password@"), ("alice:land@", "does not take this"), ("bob:wonder@", "not take")]
    {
        let refused = refusal(&peer.url(), format!("http://{login}{addr}"));
        // It says 401 where 407 is meant.
        assert!(
            matches!(refused.reply, Some(401 | 407)) && refused.problem.contains(says),
            "{refused}"
        );
    }
}

#[test]
fn squid_lets_us_through_and_says_what_it_does_not_allow() {
    let Some(proxy) = squid("acl forbidden port 1\nhttp_access deny forbidden") else { return };
    let (peer, addr) = (echo(2), proxy.addr());
    converses(peer.app().proxy(format!("http://{addr}")), addr);
    converses(WebSocketApp::new(by_name(&peer)).proxy(format!("http://{addr}")), addr);
    let refused = refusal("ws://127.0.0.1:1/", format!("http://{addr}"));
    assert!(refused.reply == Some(403) && refused.problem.contains("does not allow"), "{refused}");
    let nobody = RefusedPort::new();
    let refused = refusal(&nobody.url(), format!("http://{addr}"));
    assert!(refused.reply == Some(503) && refused.problem.contains("could not reach"), "{refused}");
}

#[test]
fn dante_lets_us_through_by_socks_4_and_5() {
    let Some(proxy) = dante("socks block { from: 0.0.0.0/0 to: 0.0.0.0/0 port = 1 }") else {
        return;
    };
    let (peer, addr) = (echo(5), proxy.addr());
    for scheme in ["socks4", "socks5", "socks5h"] {
        converses(peer.app().proxy(format!("{scheme}://{addr}")), addr);
    }
    for scheme in ["socks4", "socks5h"] {
        converses(WebSocketApp::new(by_name(&peer)).proxy(format!("{scheme}://{addr}")), addr);
    }
    for (scheme, reply) in [("socks4", 91), ("socks5", 2)] {
        let refused = refusal("ws://127.0.0.1:1/", format!("{scheme}://{addr}"));
        assert_eq!(refused.reply, Some(reply), "{refused}");
    }
    let nobody = RefusedPort::new();
    let refused = refusal(&nobody.url(), format!("socks5://{addr}"));
    assert!(refused.reply == Some(5) && refused.problem.contains("refused"), "{refused}");
}

#[test]
fn microsocks_lets_us_through_with_the_right_password_only() {
    let Some(proxy) = microsocks("alice", "wonder") else { return };
    let (peer, addr) = (echo(3), proxy.addr());
    for scheme in ["socks5", "socks5h"] {
        converses(peer.app().proxy(format!("{scheme}://alice:wonder@{addr}")), addr);
    }
    converses(
        WebSocketApp::new(by_name(&peer)).proxy(format!("socks5h://alice:wonder@{addr}")),
        addr,
    );
    for (login, says) in
        [("", "wants a user name"), ("alice:land@", "does not take this user name")]
    {
        let refused = refusal(&peer.url(), format!("socks5h://{login}{addr}"));
        assert!(refused.reply.is_none() && refused.problem.contains(says), "{refused}");
    }
}

#[test]
fn twisted_lets_us_through_by_socks_4_and_4a() {
    let Some(proxy) = twisted() else { return };
    let (peer, addr) = (echo(3), proxy.addr);
    for scheme in ["socks4", "socks4a"] {
        converses(peer.app().proxy(format!("{scheme}://alice@{addr}")), addr);
    }
    converses(WebSocketApp::new(by_name(&peer)).proxy(format!("socks4a://{addr}")), addr);
    let nobody = RefusedPort::new();
    assert_eq!(refusal(&nobody.url(), format!("socks4a://{addr}")).reply, Some(91));
}

#[test]
fn close_ends_the_wait_for_a_proxy_at_once() {
    let asked = Gate::new();
    let proxy = Peer::start({
        let asked = asked.clone();
        move |listener| {
            let mut client = listener.accept();
            client.read_request();
            asked.open();
            client.stay_silent();
        }
    });
    let app = WebSocketApp::new("ws://server.invalid/").proxy(format!("http://{}", proxy.addr()));
    let app = run(app.connect_timeout(Duration::from_secs(3600)));
    asked.wait();
    app.sender.close();
    app.expect_close(unanswered());
    app.end_in_order();
}

#[test]
fn a_wrong_password_is_not_tried_again_and_a_proxy_in_trouble_is() {
    let proxy = Peer::start(|listener| {
        for status in [503, 407] {
            let mut client = listener.accept();
            client.read_request();
            client.write(format!("HTTP/1.1 {status} x\r\n\r\n"));
            client.expect_end();
        }
        listener.saw_nobody_else();
    });
    let app = WebSocketApp::new("ws://server.invalid/")
        .proxy(format!("http://alice:land@{}", proxy.addr()));
    let soon = Duration::from_millis(1);
    let app = run(app.reconnect(Reconnect::fixed(soon)));
    app.expect_failure(Failure::Attempt(1, Some(soon), Box::new(Failure::Proxy(Some(503)))));
    app.expect_failure(Failure::Attempt(2, None, Box::new(Failure::Proxy(Some(407)))));
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn one_that_speaks_something_else_is_told() {
    let Some(socks) = microsocks("alice", "wonder") else { return };
    let url = format!("http://{}", socks.addr());
    let error =
        WebSocket::builder("ws://127.0.0.1:1/").proxy(&url).connect().err().unwrap().to_string();
    // It hangs up or answers in its own way.
    assert!(
        error.contains("does it speak http on this port")
            || error.contains("meant to be socks5h://"),
        "{error}"
    );
}

#[cfg(feature = "__tls")]
mod secure {
    use websocket_app::{TlsBackend, TlsConfig};

    use super::*;
    use crate::tls::{on_each, on_each_at_once};

    /// `wss://` through each.
    #[test]
    fn tls_goes_through_every_kind() {
        on_each(tls_goes_through_every_kind_with);
    }

    fn tls_goes_through_every_kind_with(backend: TlsBackend) {
        let (Some(http), Some(socks)) = (tinyproxy(""), dante("")) else { return };
        let peer =
            Peer::start_tls(backend, |listener| (0..4).for_each(|_| converse(listener.open())));
        converses(peer.app().proxy(format!("http://{}", http.addr())), http.addr());
        for scheme in ["socks4", "socks5", "socks5h"] {
            converses(peer.app().proxy(format!("{scheme}://{}", socks.addr())), socks.addr());
        }
    }

    #[test]
    fn tls_to_squid_has_anything_within() {
        on_each_at_once(tls_to_squid_has_anything_within_with);
    }

    fn tls_to_squid_has_anything_within_with(backend: TlsBackend) {
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (pem, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
        let Some(proxy) = programs::squid_tls(&pem, &key) else { return };
        let addr = proxy.addr();
        let through = |app: WebSocketApp| {
            let trusted = TlsConfig::new().backend(backend).root_certificate(pem.as_str());
            app.proxy(format!("https://localhost:{}", addr.port())).proxy_tls(trusted)
        };
        let plain = echo(1);
        converses(through(plain.app()), addr);
        let secure = Peer::start_tls(backend, |listener| converse(listener.open()));
        converses(through(secure.app()), addr);
        // Trusting the server is not trusting the proxy.
        let untrusted = through(plain.app()).proxy_tls(secure.tls());
        let error = crate::watchdog::within("run_forever", || untrusted.run_forever()).unwrap_err();
        assert!(
            error.to_string().starts_with("TLS handshake with the proxy localhost:"),
            "{error}"
        );
    }
}
