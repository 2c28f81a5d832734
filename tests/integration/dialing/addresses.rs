//! Which addresses are tried when, and a resolver of the program's own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use websocket_app::ClosedBy::Us;
use websocket_app::{Phase, SocketOptions, WebSocketApp};

use super::{close_ends_it, echo, talks};
use crate::connection::Connection;
use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::peer::{Bystander, FullBacklog, Peer, RefusedPort};
use crate::running::run;
use crate::watchdog::{Gate, within};

#[test]
fn a_resolver_says_where_to_connect() {
    let peer = Peer::start(echo);
    let (addr, port) = (peer.addr(), peer.addr().port());
    let app = WebSocketApp::new(format!("ws://somewhere.invalid:{port}/"));
    talks(app.resolver(move |host, asked, _| {
        assert_eq!((host, asked), ("somewhere.invalid", port));
        Ok([addr])
    }));
}

#[test]
fn a_resolver_and_socket_options_are_for_the_way_to_a_proxy_too() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        assert_eq!(client.read_request().line, "CONNECT somewhere.invalid:80 HTTP/1.1");
        client.write("HTTP/1.1 200 OK\r\n\r\n");
        client.upgrade();
        client.answer_close();
    });
    let addr = peer.addr();
    let app = WebSocketApp::new("ws://somewhere.invalid/").proxy("http://proxy.invalid:8080");
    let app = app.socket_options(SocketOptions::new().tos(0x10)).resolver(move |host, port, _| {
        assert_eq!((host, port), ("proxy.invalid", 8080));
        Ok([addr])
    });
    let app = run(app);
    app.expect_open();
    app.sender.close();
    app.expect_close(clean(Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn an_address_that_is_silent_is_passed_over() {
    let peer = Peer::start(echo);
    let (silent, answers) = (FullBacklog::new(), peer.addr());
    let silent_addr = silent.addr();
    talks(
        WebSocketApp::new("ws://somewhere.invalid/")
            .resolver(move |_, _, _| Ok([silent_addr, answers])),
    );
}

#[test]
fn an_address_that_refuses_is_passed_over() {
    let peer = Peer::start(echo);
    let (refuses, answers) = (RefusedPort::new(), peer.addr());
    let refuses_addr = refuses.addr();
    talks(
        WebSocketApp::new("ws://somewhere.invalid/")
            .resolver(move |_, _, _| Ok([refuses_addr, answers])),
    );
}

/// Reads a SOCKS5 greeting without a login and a request, and gives the address that it asks for.
fn asked_for(client: &mut Connection) -> SocketAddr {
    assert_eq!(client.read_bytes(3), [5, 1, 0]);
    client.write([5, 0]);
    let octets: Vec<u8> = match client.read_bytes(4)[..] {
        [5, 1, 0, 1] => client.read_bytes(4),
        [5, 1, 0, 4] => client.read_bytes(16),
        ref other => panic!("{other:?} begins no request with an address"),
    };
    let ip = match <[u8; 4]>::try_from(octets.as_slice()) {
        Ok(ipv4) => IpAddr::from(ipv4),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(octets).unwrap()),
    };
    let port = client.read_bytes(2);
    (ip, u16::from_be_bytes([port[0], port[1]])).into()
}

fn addresses<const N: usize>(list: [&str; N]) -> [SocketAddr; N] {
    list.map(|address| address.parse().unwrap())
}

/// For documentation (RFC 3849, RFC 5737): nobody has them, and only the proxy is asked.
const RESOLVED: [&str; 4] =
    ["[2001:db8::1]:80", "[2001:db8::2]:80", "192.0.2.1:80", "192.0.2.2:80"];

#[test]
fn a_proxy_is_asked_for_both_families_in_turns_and_none_takes_all_the_time() {
    let proxy = Peer::start(|listener| {
        let [v6, v6_too, v4, v4_too] = addresses(RESOLVED);
        // One that waits for a dead address until the client gives up,
        let mut waits = listener.accept();
        assert_eq!(asked_for(&mut waits), v6);
        waits.expect_end();
        // one that hangs up on one, one that says so,
        assert_eq!(asked_for(&mut listener.accept()), v4);
        let mut refuses = listener.accept();
        assert_eq!(asked_for(&mut refuses), v6_too);
        refuses.write(b"\x05\x04\0\x01\0\0\0\0\0\0");
        // and one that gets there.
        let mut client = listener.accept();
        assert_eq!(asked_for(&mut client), v4_too);
        client.write(b"\x05\0\0\x01\0\0\0\0\0\0");
        client.upgrade();
        client.expect_text("hello");
        client.send(Frame::text("hello"));
        client.answer_close();
    });
    let app =
        WebSocketApp::new("ws://somewhere.invalid/").proxy(format!("socks5://{}", proxy.addr()));
    // Half of it is waited for in vain.
    talks(app.connect_timeout(Duration::from_secs(6)).resolver(|_, _, _| Ok(addresses(RESOLVED))));
}

#[test]
fn a_proxys_refusal_names_the_host_and_every_address_that_was_tried() {
    let proxy = Peer::start(|listener| {
        for _ in 0..2 {
            let mut client = listener.accept();
            asked_for(&mut client);
            client.write(b"\x05\x05\0\x01\0\0\0\0\0\0");
            client.expect_end();
        }
    });
    let url = format!("socks5://{}", proxy.addr());
    let app = WebSocketApp::new("ws://somewhere.invalid/").proxy(&url);
    let app = app.resolver(|_, _, _| Ok(addresses(["192.0.2.1:80", "[2001:db8::1]:80"])));
    let error = within("run_forever", || app.run_forever()).unwrap_err();
    let refused = "SOCKS5 reply 5: the server refused the connection";
    let tried = "looked up here for somewhere.invalid:80; tried 192.0.2.1:80 and [2001:db8::1]:80";
    let expected =
        format!("the proxy {url} opened no way to [2001:db8::1]:80: {refused} ({tried})");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_a_resolver_finds_wrong_is_the_error() {
    let nobody = Bystander::new();
    for (found, says) in [
        (Err("no such name"), "looking up somewhere.invalid:80: no such name"),
        (Ok(()), "looking up somewhere.invalid:80: the name has no address"),
    ] {
        let app = WebSocketApp::new("ws://somewhere.invalid/").resolver(
            move |_, _, _| -> io::Result<Vec<SocketAddr>> {
                found.map(|()| Vec::new()).map_err(io::Error::other)
            },
        );
        let error = within("run_forever", || app.run_forever()).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
    nobody.saw_nobody();
}

#[test]
fn a_resolver_that_hangs_holds_up_neither_the_deadline_nor_close() {
    let (_release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let hangs = |busy: Gate| {
        let released = Arc::clone(&released);
        WebSocketApp::new("ws://somewhere.invalid/").resolver(
            move |_, _, _| -> io::Result<Vec<SocketAddr>> {
                busy.open();
                let _until_the_test_is_over = released.lock().map(|released| released.recv());
                Ok(Vec::new())
            },
        )
    };
    let timeout = Duration::from_millis(50);
    let app = run(hangs(Gate::new()).connect_timeout(timeout));
    app.expect_failure(Failure::Timeout(Phase::Resolve, timeout));
    app.expect_close(lost());
    app.end_given_up();
    let busy = Gate::new();
    close_ends_it(hangs(busy.clone()), &busy);
}
