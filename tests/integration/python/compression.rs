//! permessage-deflate with each combination of its four parameters: those we offer, and those the
//! server demands. Messages of every size, that compress well or not at all, there and back.

use std::sync::LazyLock;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use websocket_app::Deflate;

use super::servers::Servers;
use super::{close, text};
use crate::running::run;
use crate::watchdog::Watchdog;

const SIZES: [usize; 9] = [0, 1, 100, 1_023, 1_024, 65_536, 100_000, LONG, LONGEST];
/// More than is read or written at once.
const LONG: usize = (1 << 20) + (1 << 19);
/// Takes a while, so it is for no parameter and for all of them.
const LONGEST: usize = 4 << 20;

/// Nothing in it repeats itself, and no size is sent the same as another. Made once, since that
/// takes a while.
static RANDOM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = vec![0; SIZES.iter().sum()];
    StdRng::seed_from_u64(7).fill_bytes(&mut random);
    random
});

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
        there_and_back(&servers, 0, deflate, number & 0b0101, longest(number));
    }
}

#[test]
fn each_combination_that_a_server_may_demand() {
    let Some(servers) = Servers::shared() else { return };
    for number in 0..16 {
        there_and_back(&servers, number, Deflate::default(), number, longest(number));
    }
}

fn longest(number: u8) -> usize {
    if [0, 15].contains(&number) { LONGEST } else { LONG }
}

/// The server must have agreed to these parameters at least.
fn there_and_back(servers: &Servers, server: u8, deflate: Deflate, agreed: u8, longest: usize) {
    let _watchdog = Watchdog::new();
    println!("server {server}, {deflate:?}");
    // Short ones too.
    let app = run(servers.compressing(server).app("/echo").compression(deflate.min_size(0)));
    app.expect_open();
    let handshake = app.sender.handshake().expect("it is open");
    let extensions = handshake.extensions().expect("it agrees to compress");
    for (bit, parameter) in PARAMETERS.iter().enumerate() {
        assert!(
            agreed & 1 << bit == 0 || extensions.contains(parameter),
            "{parameter} is not in {extensions}"
        );
    }
    let mut random = RANDOM.as_slice();
    for size in SIZES.into_iter().filter(|size| *size <= longest) {
        let text = text(size);
        app.sender.send(&text).unwrap();
        app.expect_text(&text);
        let data = random.split_off(..size).expect("there is as much");
        app.sender.send(data).unwrap();
        app.expect_binary(data);
        // Not `vec![7; size]`, which takes a while where nothing is optimised.
        let sevens = [7].repeat(size);
        app.sender.send(&sevens).unwrap();
        app.expect_binary(&sevens);
    }
    let stats = app.sender.stats();
    assert!(
        stats.wire_bytes_sent < stats.bytes_sent / 2
            && stats.wire_bytes_received < stats.bytes_received / 2
    );
    close(app);
}
