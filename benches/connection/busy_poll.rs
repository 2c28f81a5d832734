//! The same round trip with a loop that sleeps and one that spins, each side on a processor of its
//! own.

use std::time::Duration;

use crate::clients::{self, Counting, payload};
use crate::compare::{Bench, Took, size};
use crate::server::Server;

const SPIN: Duration = Duration::from_micros(200);

pub(crate) fn run(bench: &Bench, server: &Server) {
    let round_trip = |bytes: usize, spin: Duration, count: usize| -> Took {
        let (counting, took) = Counting::new(payload(bytes), true, count);
        clients::run(clients::counting(server, "/echo", counting).busy_poll(spin), &took)
    };
    for bytes in [64, 1 << 10] {
        bench
            .case(format!("busy_poll round trip {}", size(bytes)), bytes)
            .way("websocket-app, asleep", |count| round_trip(bytes, Duration::ZERO, count))
            .way(format!("websocket-app, busy_poll {SPIN:?}"), |count| {
                round_trip(bytes, SPIN, count)
            })
            .run();
    }
}
