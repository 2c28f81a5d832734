//! One message at a time, and many.

use crate::bed::Bed;
use crate::compare::{Bench, size};
use crate::load::Exchange;
use crate::processors::Apart;

const CONNECTIONS: usize = 100;

/// So many on their way, where it is more than one.
const IN_FLIGHT: usize = 16;

/// So many messages each at least.
const LEAST: usize = 2;

pub(crate) fn run(bench: &Bench, apart: &Apart) {
    for bytes in [20, 1 << 10] {
        compare(bench, apart, &format!("echo {}", size(bytes)), bytes, 1);
    }
    compare(bench, apart, "pipelined 20 B, 16 in flight", 20, IN_FLIGHT);
}

fn compare(bench: &Bench, apart: &Apart, name: &str, bytes: usize, in_flight: usize) {
    let exchange = Exchange::new(bytes, in_flight);
    let [mut theirs, mut ours] = [None, None];
    bench
        .case(name, bytes)
        .way_of_many("tungstenite, threads", LEAST * in_flight * CONNECTIONS, |count| {
            let bed = || Bed::new(&["tungstenite"], Some(apart), "/", CONNECTIONS);
            theirs.get_or_insert_with(bed).echo(&exchange, count)
        })
        .way_of_many("websocket-app", LEAST * in_flight * CONNECTIONS, |count| {
            let bed = || Bed::new(&["ours"], Some(apart), "/", CONNECTIONS);
            ours.get_or_insert_with(bed).echo(&exchange, count)
        })
        .run();
}
