//! Which addresses are tried when, and a resolver of the program's own.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use websocket_app::ClosedBy::Us;
use websocket_app::{Phase, SocketOptions, WebSocketApp};

use super::{close_ends_it, echo, talks};
use crate::failure::{Failure, clean, lost};
use crate::peer::{Bystander, FullBacklog, Peer, RefusedPort};
use crate::running::run;
use crate::watchdog::{Gate, within};

#[test]
fn a_resolver_says_where_to_connect() {
    let peer = Peer::start(echo);
    let (addr, port) = (peer.addr(), peer.addr().port());
    let app = WebSocketApp::new(format!("ws://somewhere.invalid:{port}/"));
    talks(app.resolver(move |host, asked| {
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
    let app = app.socket_options(SocketOptions::new().tos(0x10)).resolver(move |host, port| {
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
    talks(WebSocketApp::new("ws://somewhere.invalid/").resolver(move |_, _| Ok([silent_addr, answers])));
}

#[test]
fn an_address_that_refuses_is_passed_over() {
    let peer = Peer::start(echo);
    let (refuses, answers) = (RefusedPort::new(), peer.addr());
    let refuses_addr = refuses.addr();
    talks(WebSocketApp::new("ws://somewhere.invalid/").resolver(move |_, _| Ok([refuses_addr, answers])));
}

#[test]
fn what_a_resolver_finds_wrong_is_the_error() {
    let nobody = Bystander::new();
    for (found, says) in [
        (Err("no such name"), "looking up somewhere.invalid:80: no such name"),
        (Ok(()), "looking up somewhere.invalid:80: the name has no address"),
    ] {
        let app = WebSocketApp::new("ws://somewhere.invalid/").resolver(move |_, _| -> io::Result<Vec<SocketAddr>> {
            found.map(|()| Vec::new()).map_err(io::Error::other)
        });
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
        WebSocketApp::new("ws://somewhere.invalid/").resolver(move |_, _| -> io::Result<Vec<SocketAddr>> {
            busy.open();
            let _until_the_test_is_over = released.lock().map(|released| released.recv());
            Ok(Vec::new())
        })
    };
    let timeout = Duration::from_millis(50);
    let app = run(hangs(Gate::new()).connect_timeout(timeout));
    app.expect_failure(Failure::Timeout(Phase::Resolve, timeout));
    app.expect_close(lost());
    app.end_given_up();
    let busy = Gate::new();
    close_ends_it(hangs(busy.clone()), &busy);
}
