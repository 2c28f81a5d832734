//! Wrong addresses and options: an error that names them and says what would be right, before anybody
//! is accepted.

use std::net::TcpListener;
use std::time::Duration;

use websocket_app::Error;
use websocket_app::server::{Server, ServerHandle};

use crate::failure::Failure;
use crate::watchdog::within;

/// What is wrong, and words of the message: the first in what it is about, the others in the problem.
fn is_refused(server: Server, what: &str, problem: &str) {
    match server.spawn() {
        Err(Error::Invalid(input)) => {
            assert!(input.what.contains(what), "{input:?} does not name {what}");
            assert!(input.problem.contains(problem), "{input:?} does not say {problem}");
        }
        Err(error) => panic!("{what}: {error}"),
        Ok(handle) => {
            handle.abort();
            panic!("{what} is accepted");
        }
    }
}

fn anywhere() -> Server {
    Server::new("127.0.0.1:0")
}

#[test]
fn an_address_that_is_none() {
    for address in
        ["", "nonsense", "127.0.0.1", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:70000", ":9001 "]
    {
        is_refused(Server::new(address), &format!("`{address}`"), "such as 127.0.0.1:9001");
    }
    // As it is written for a client.
    is_refused(Server::new("ws://127.0.0.1:9001"), "ws://127.0.0.1:9001", "such as 127.0.0.1:9001");
    // A line of two would be a line of the log too many.
    is_refused(Server::new("127.0.0.1\n:1"), "127.0.0.1\\n:1", "");
}

#[test]
fn an_address_of_another_machine() {
    // RFC 5737: nobody's.
    is_refused(Server::new("192.0.2.1:0"), "`192.0.2.1:0`", "no address of this machine");
}

#[test]
fn a_name_that_nobody_has() {
    // RFC 6761 §6.4.
    is_refused(Server::new("nobody.invalid:0"), "`nobody.invalid:0`", "cannot be listened on");
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    is_refused(Server::new(address.clone()), &address, "another program listens there");
    // The other way to run it.
    let run = move || Server::new(address).run_forever().map_err(Failure::from);
    assert!(matches!(within("the run", run), Err(Failure::Invalid(..))));
}

#[cfg(unix)]
#[test]
fn a_socket_that_cannot_be() {
    is_refused(Server::new("unix:/no/such/folder/s"), "unix:/no/such", "cannot be listened on");
    is_refused(Server::new("unix:"), "unix:", "cannot be listened on");
    let long = format!("unix:/tmp/{}", "x".repeat(200));
    is_refused(Server::new(long.clone()), &long, "cannot be listened on");
}

#[test]
fn limits_of_zero() {
    let zero = Duration::ZERO;
    for (server, name) in [
        (anywhere().threads(0), "threads(0)"),
        (anywhere().max_connections(0), "max_connections(0)"),
        (anywhere().max_connections_per_address(0), "max_connections_per_address(0)"),
        (anywhere().max_message_size(0), "max_message_size(0)"),
        (anywhere().max_fragments(0), "max_fragments(0)"),
        (anywhere().max_send_buffer(0), "max_send_buffer(0)"),
        (anywhere().max_receive_buffer(0), "max_receive_buffer(0)"),
    ] {
        is_refused(server, name, "more than zero");
    }
    for (server, name) in [
        (anywhere().handshake_timeout(zero), "handshake_timeout(0s)"),
        (anywhere().close_timeout(zero), "close_timeout(0s)"),
        (anywhere().ping_interval(zero), "ping_interval(0s)"),
        (anywhere().ping_timeout(zero), "ping_timeout(0s)"),
        (anywhere().idle_timeout(zero), "idle_timeout(0s)"),
    ] {
        is_refused(server, name, "longer than zero");
    }
}

#[test]
fn origins_that_are_none() {
    for pattern in [
        "",
        "*",
        "example.com",
        "https://",
        "https://example.com/page",
        "https://*",
        "https://ex*mple.com",
        "https://example.com?x",
        "https://user@example.com",
        "https://example.com:port",
        "chrome",
    ] {
        let server = anywhere().allow_origins(["https://good.example", pattern]);
        is_refused(server, &format!("{pattern:?}"), "https://example.com");
    }
}

#[test]
fn subprotocols_that_cannot_be_sent() {
    for name in ["", "two words", "a,b", "ünï", "a\r\nb"] {
        let server = anywhere().subprotocols(["good", name]);
        is_refused(server, &format!("{name:?}"), "letters");
    }
}

#[cfg(feature = "deflate")]
#[test]
fn compression_that_cannot_be() {
    use websocket_app::Deflate;
    let server = anywhere().compression(Deflate::default().server_max_window_bits(7));
    is_refused(server, "server_max_window_bits(7)", "8");
}

/// Options at their limits are fine; all of them together too.
#[test]
fn what_is_right_is_taken() {
    let year = Duration::from_secs(365 * 86_400);
    let server = anywhere()
        .threads(3)
        .subprotocols(["a.b-c~1", "d"])
        .allow_origins(["https://example.com", "http://*.example.com:8080", "null"])
        .allow_any_origin()
        .allow_hosts(["dev.example", "dev.example:81"])
        .max_connections(usize::MAX)
        .max_connections_per_address(1)
        .handshake_timeout(Duration::MAX)
        .close_timeout(Duration::MAX)
        .send_timeout(Duration::MAX)
        .ping_interval(Duration::MAX)
        .ping_timeout(year)
        .idle_timeout(None)
        .max_send_buffer(usize::MAX)
        .max_receive_buffer(usize::MAX)
        .max_message_size(1)
        .max_fragments(1);
    let handle = server.spawn().unwrap();
    let mut visitor = super::visitor::Visitor::open(addr_of(&handle));
    visitor.ping("a");
    visitor.close(1000, "");
    handle.shutdown(1001, "", Duration::MAX).unwrap();
    within("the server's end", move || handle.join()).unwrap();
}

fn addr_of(handle: &ServerHandle) -> std::net::SocketAddr {
    handle.local_addr().expect("it is TCP")
}
