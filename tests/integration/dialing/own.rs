//! A socket that is connected already, and closures that connect one.

use std::io;
use std::net::{Ipv6Addr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use websocket_app::{Message, Phase, Reconnect, WebSocket, WebSocketApp};

use super::{close_ends_it, echo, talks};
use crate::failure::{Failure, lost};
use crate::peer::Peer;
use crate::running::run;
use crate::watchdog::{Gate, wait_until, within};

/// What a URL says when nobody is to look it up.
const NOWHERE: &str = "ws://nowhere.invalid/";

#[test]
fn a_ready_made_tcp_stream() {
    let peer = Peer::start(echo);
    talks(WebSocketApp::new(NOWHERE).socket(TcpStream::connect(peer.addr()).unwrap()));
}

#[cfg(feature = "__tls")]
#[test]
fn a_ready_made_tcp_stream_gets_tls_for_the_urls_host() {
    crate::tls::on_each(|backend| {
        let peer = Peer::start_tls(backend, echo);
        talks(peer.app().socket(TcpStream::connect(peer.addr()).unwrap()));
    });
}

#[cfg(unix)]
#[test]
fn a_ready_made_unix_stream() {
    use std::os::unix::net::UnixStream;

    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(Some(crate::watchdog::PATIENCE)).unwrap();
    let server = crate::watchdog::Task::start("a server", move || {
        let mut server = tungstenite::accept(theirs).unwrap();
        let hello = server.read().unwrap();
        server.send(hello).unwrap();
        while server.read().is_ok() {}
    });
    talks(WebSocketApp::new(NOWHERE).socket(ours));
    server.join();
}

#[test]
fn a_ready_made_socket_of_the_blocking_client() {
    let peer = Peer::start(echo);
    let tcp = TcpStream::connect(peer.addr()).unwrap();
    let ours = tcp.local_addr().unwrap();
    within("the client", move || {
        let mut ws = WebSocket::builder(NOWHERE).socket(tcp).connect().unwrap();
        assert_eq!(ws.handshake().local_addr(), Some(ours));
        ws.send("hello").unwrap();
        assert_eq!(ws.recv().unwrap(), Message::Text("hello"));
        ws.close().unwrap();
    });
}

#[test]
fn a_ready_made_socket_is_good_for_one_connection() {
    let peer = Peer::start(|listener| listener.open().stay_silent());
    let app = run(WebSocketApp::new(NOWHERE).socket(TcpStream::connect(peer.addr()).unwrap()));
    app.expect_open();
    app.sender.reconnect();
    app.close();
    let Failure::Invalid(what, problem) = app.failure() else {
        panic!("another connection, of what?")
    };
    assert!(what == "socket(…)" && problem.contains("connector(…)"), "{what}: {problem}");
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn a_connector_is_called_for_each_connection() {
    let peer = Peer::start(|listener| {
        listener.open().close(1012, "restart");
        echo(listener);
    });
    let (addr, calls) = (peer.addr(), Arc::new(AtomicU32::new(0)));
    let called = Arc::clone(&calls);
    let app = WebSocketApp::new("ws://somewhere.invalid:8080/").connector(move |host, port, _| {
        assert_eq!((host, port), ("somewhere.invalid", 8080));
        called.fetch_add(1, Ordering::SeqCst);
        TcpStream::connect(addr)
    });
    let app = run(app.reconnect(Reconnect::fixed(Duration::from_millis(1))));
    app.expect_open();
    app.close();
    app.expect_reconnect();
    app.sender.send("hello").unwrap();
    app.expect_text("hello");
    app.sender.close();
    app.close();
    app.end_in_order();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

/// As std and every resolver take it: without the brackets that it has in the URL.
#[test]
fn a_connector_gets_an_ipv6_address_as_it_is_connected_to() {
    let peer = Peer::start(echo);
    let addr = peer.addr();
    talks(WebSocketApp::new("ws://[::1]:8080/").connector(move |host, port, _| {
        assert_eq!((host, port), ("::1", 8080));
        assert_eq!(
            (host, port).to_socket_addrs()?.next(),
            Some((Ipv6Addr::LOCALHOST, 8080).into())
        );
        TcpStream::connect(addr)
    }));
}

#[test]
fn a_connector_is_called_for_where_a_redirect_leads() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        assert_eq!(client.read_request().header("Host"), Some("first.invalid"));
        client.write(
            "HTTP/1.1 302 x\r\nLocation: ws://second.invalid:81/\r\nContent-Length: 0\r\n\r\n",
        );
        drop(client);
        let mut client = listener.accept();
        // What was set for the first server's name is not for the second.
        assert_eq!(client.read_request().header("Host"), Some("second.invalid:81"));
        let answer = client.acceptance("");
        client.write(answer);
        client.answer_close();
    });
    let (addr, asked) = (peer.addr(), Arc::new(Mutex::new(Vec::new())));
    let asks = Arc::clone(&asked);
    let builder = WebSocket::builder(NOWHERE).host("first.invalid").max_redirects(1).connector(
        move |host, port, attempt| {
            assert_eq!((attempt.number, attempt.since_loss), (1, None));
            asks.lock().unwrap().push(format!("{host}:{port}"));
            TcpStream::connect(addr)
        },
    );
    within("the client", move || builder.connect().unwrap().close().unwrap());
    assert_eq!(*asked.lock().unwrap(), ["nowhere.invalid:80", "second.invalid:81"]);
}

#[test]
fn a_connector_that_fails_fails_the_attempt() {
    let app = WebSocketApp::new(NOWHERE).connector(|_, _, _| -> io::Result<TcpStream> {
        Err(io::Error::other("the gateway is asleep"))
    });
    let error = within("run_forever", || app.run_forever()).unwrap_err();
    assert_eq!(error.to_string(), "connecting to nowhere.invalid:80: the gateway is asleep");
}

#[test]
fn a_connector_that_panics_ends_the_run() {
    let app = run(WebSocketApp::new(NOWHERE)
        .connector(|_, _, _| -> io::Result<TcpStream> { panic!("on purpose") }));
    assert!(matches!(app.failure(), Failure::Panicked(_)));
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn a_connector_that_hangs_holds_up_neither_the_deadline_nor_close() {
    let (_release, released) = mpsc::channel::<()>();
    let (released, busy) = (Arc::new(Mutex::new(released)), Gate::new());
    let hangs = |busy: Gate| {
        let released = Arc::clone(&released);
        WebSocketApp::new(NOWHERE).connector(move |_, _, _| -> io::Result<TcpStream> {
            busy.open();
            let _until_the_test_is_over = released.lock().map(|released| released.recv());
            Err(io::ErrorKind::TimedOut.into())
        })
    };
    let timeout = Duration::from_millis(50);
    let app = run(hangs(Gate::new()).connect_timeout(timeout));
    app.expect_failure(Failure::Timeout(Phase::Connect, timeout));
    app.expect_close(lost());
    app.end_given_up();
    close_ends_it(hangs(busy.clone()), &busy);
}

/// Each keeps a thread, and an app that runs for months tries again many times.
#[test]
fn connectors_that_hang_are_not_called_without_end() {
    let (over, calls) = (Gate::new(), Arc::new(AtomicU32::new(0)));
    let (released, called) = (over.clone(), Arc::clone(&calls));
    let soon = Duration::from_millis(1);
    let app = WebSocketApp::new(NOWHERE)
        .connect_timeout(soon)
        .reconnect(Reconnect::fixed(soon).max_attempts(9));
    let app = run(app.connector(move |_, _, _| -> io::Result<TcpStream> {
        called.fetch_add(1, Ordering::SeqCst);
        released.wait();
        Err(io::ErrorKind::TimedOut.into())
    }));
    let failed = |attempt, next, why| Failure::Attempt(attempt, next, Box::new(why));
    for attempt in 1..=8 {
        app.expect_failure(failed(attempt, Some(soon), Failure::Timeout(Phase::Connect, soon)));
    }
    app.expect_failure(failed(9, None, Failure::Network(Phase::Connect)));
    app.expect_close(lost());
    app.end_given_up();
    wait_until("all are called", || calls.load(Ordering::SeqCst) == 8);
    over.open();
}

/// What comes late is closed, so that the server is not left with a client that says nothing.
#[test]
fn what_a_late_connector_returns_is_closed() {
    let peer = Peer::start(|listener| listener.accept().expect_end());
    let (addr, late) = (peer.addr(), Gate::new());
    let over = late.clone();
    let timeout = Duration::from_millis(50);
    let app = WebSocketApp::new(NOWHERE).connect_timeout(timeout).connector(move |_, _, _| {
        over.wait();
        TcpStream::connect(addr)
    });
    let app = run(app);
    app.expect_failure(Failure::Timeout(Phase::Connect, timeout));
    app.expect_close(lost());
    app.end_given_up();
    late.open();
}
