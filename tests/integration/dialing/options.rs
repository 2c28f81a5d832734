//! Options of the TCP socket, as the operating system says they are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use websocket_app::{Error, Message, Phase, SocketOptions, WebSocket, WebSocketApp};

use super::{echo, talks};
use crate::peer::{Bystander, Peer};
use crate::watchdog::within;

#[test]
fn an_app_talks_with_all_that_are_everywhere() {
    let peer = Peer::start(echo);
    talks(
        peer.app().socket_options(
            SocketOptions::new()
                .nodelay(false)
                .keepalive(Duration::from_secs(60))
                .send_buffer_size(1 << 16)
                .receive_buffer_size(1 << 16)
                .tos(0x10)
                .bind_address(Ipv4Addr::LOCALHOST),
        ),
    );
}

/// All of 127.0.0.0/8 is this machine there.
#[cfg(target_os = "linux")]
#[test]
fn the_address_and_the_interface_to_connect_from() {
    let ours = Ipv4Addr::new(127, 1, 2, 3);
    let peer = Peer::start(echo);
    let builder = WebSocket::builder(peer.url());
    within("the client", move || {
        let options = SocketOptions::new().bind_address(ours).bind_interface("lo");
        let mut ws = builder.socket_options(options).connect().unwrap();
        assert_eq!(ws.handshake().local_addr().map(|addr| addr.ip()), Some(IpAddr::V4(ours)));
        ws.send("hello").unwrap();
        assert_eq!(ws.recv().unwrap(), Message::Text("hello"));
        ws.close().unwrap();
    });
}

#[test]
fn what_the_operating_system_refuses_is_named() {
    let nobody = Bystander::new();
    for (options, says) in [
        // For documentation (RFC 5737): no machine has it.
        (SocketOptions::new().bind_address(Ipv4Addr::new(192, 0, 2, 1)), "bind_address(192.0.2.1)"),
        (SocketOptions::new().bind_address(Ipv6Addr::LOCALHOST), "bind_address"),
        #[cfg(target_os = "linux")]
        (SocketOptions::new().bind_interface("no-such-thing"), "bind_interface(\"no-such-thing\")"),
    ] {
        let app = WebSocketApp::new(format!("ws://{}/", nobody.addr())).socket_options(options);
        let error = within("run_forever", || app.run_forever()).unwrap_err();
        assert!(matches!(error, Error::Network { phase: Phase::Connect, .. }), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    nobody.saw_nobody();
}
