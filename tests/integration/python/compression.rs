//! permessage-deflate with each combination of its four parameters: those we offer, and those the server demands. Messages
//! of every size, that compress well or not at all, there and back.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use websocket_app::{Deflate, OwnedMessage};

use super::servers::Servers;
use super::{close, text};
use crate::running::run;
use crate::watchdog::Watchdog;

const SIZES: [usize; 8] = [0, 1, 100, 1_023, 1_024, 65_536, 100_000, 4 << 20];

/// The parameters by the bits of a number, as the servers have them.
const PARAMETERS: [&str; 4] = [
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits=10",
    "client_max_window_bits=11",
];

#[test]
fn each_combination_that_we_may_offer() {
    let Some(servers) = Servers::shared() else { return };
    for number in 0..16 {
        let deflate = Deflate::default()
            .server_no_context_takeover(number & 1 != 0)
            .client_no_context_takeover(number & 2 != 0)
            .server_max_window_bits((number & 4 != 0).then_some(10))
            .client_max_window_bits((number & 8 != 0).then_some(11));
        // It need not say what binds only us (RFC 7692 §7.1.1.2, §7.1.2.2).
        there_and_back(&servers, 0, deflate, number & 0b0101);
    }
}

#[test]
fn each_combination_that_a_server_may_demand() {
    let Some(servers) = Servers::shared() else { return };
    for number in 0..16 {
        there_and_back(&servers, number, Deflate::default(), number);
    }
}

/// The server must have agreed to these parameters at least.
fn there_and_back(servers: &Servers, server: u8, deflate: Deflate, agreed: u8) {
    let _watchdog = Watchdog::new();
    println!("server {server}, {deflate:?}");
    // Short ones too.
    let app = run(servers.compressing(server).app("/echo").compression(deflate.min_size(0)));
    app.expect_open();
    let handshake = app.sender.handshake().expect("it is open");
    let extensions = handshake.extensions().expect("it agrees to compress");
    for (bit, parameter) in PARAMETERS.iter().enumerate() {
        assert!(agreed & 1 << bit == 0 || extensions.contains(parameter), "{parameter} is not in {extensions}");
    }
    let mut random = StdRng::seed_from_u64(server.into());
    for size in SIZES {
        app.sender.send(text(size)).unwrap();
        app.expect_text(&text(size));
        let mut data = vec![0; size];
        random.fill_bytes(&mut data);
        app.sender.send(&data).unwrap();
        app.expect_binary(&data);
        app.sender.send(OwnedMessage::Binary(vec![7; size])).unwrap();
        app.expect_binary(&vec![7; size]);
    }
    let stats = app.sender.stats();
    assert!(stats.wire_bytes_sent < stats.bytes_sent / 2 && stats.wire_bytes_received < stats.bytes_received / 2);
    close(app);
}
