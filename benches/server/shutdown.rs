//! Ten thousand who are told that the server goes.

use std::time::Instant;

use crate::bed::Bed;
use crate::compare::{Bench, seconds};
use crate::has_files_for;

const CONNECTIONS: usize = 10_000;
const TRIED: usize = 200;

/// 1001, going away (RFC 6455 §7.4.1).
const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];

pub(crate) fn run(bench: &Bench) {
    let name = "shutdown with 10,000 open";
    bench.row(name, || {
        let count = if bench.only_tries() { TRIED } else { CONNECTIONS };
        if !has_files_for(count, name) {
            return;
        }
        let mut bed = Bed::new(&["ours", "ends"], None, "/", count);
        let (before, began) = (bed.served.usage(), Instant::now());
        bed.served.tell("shutdown");
        bed.clients.until_closed(&GOING_AWAY);
        let closed = began.elapsed();
        // How many were opened, how many had their `on_close`, and how many had it once.
        let said = bed.served.says();
        let (over, after) = (began.elapsed(), bed.served.usage());
        assert_eq!(said, format!("{count} {count} {count}"));
        if bench.only_tries() {
            return;
        }
        println!("{name}: each had code 1001, and one on_close");
        println!(
            "  clients gone after {}, join() back after {}; CPU {} each",
            seconds(closed.as_secs_f64()),
            seconds(over.as_secs_f64()),
            seconds((after.cpu - before.cpu).as_secs_f64() / count as f64)
        );
    });
}
