//! One thread of the server, and two, with callbacks that have something to do.

use crate::bed::Bed;
use crate::compare::Bench;
use crate::load::Exchange;

const CONNECTIONS: usize = 64;

const BYTES: usize = 64;

pub(crate) fn run(bench: &Bench) {
    let exchange = Exchange::new(BYTES, 4);
    let mut beds = [None, None];
    let mut case = bench.case("threads echo 64 B, 20 µs in the callback", BYTES);
    for (bed, threads) in beds.iter_mut().zip([1, 2]) {
        let (option, exchange) = (format!("threads={threads}"), &exchange);
        case = case.way_of_many(option.clone(), 4 * CONNECTIONS, move |count| {
            let new = || Bed::new(&["ours", &option], None, "/work", CONNECTIONS);
            bed.get_or_insert_with(new).echo(exchange, count)
        });
    }
    case.run();
}
