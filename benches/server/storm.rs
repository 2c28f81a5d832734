//! Ten thousand who connect at once.

use std::time::Instant;

use crate::child::Served;
use crate::compare::{Bench, seconds};
use crate::has_files_for;
use crate::load::{Clients, Exchange};

const CONNECTIONS: usize = 10_000;
const TRIED: usize = 200;

pub(crate) fn run(bench: &Bench) {
    let name = "storm of 10,000 that connect at once";
    bench.row(name, || {
        let count = if bench.only_tries() { TRIED } else { CONNECTIONS };
        if !has_files_for(count, name) {
            return;
        }
        let served = Served::start(&["ours"]);
        let mut clients = Clients::new(served.address(), &[]);
        let (before, began) = (served.usage(), Instant::now());
        let mut times = clients.open_at_once("/", count, count);
        let (all, after) = (began.elapsed(), served.usage());
        // All of them are served.
        clients.echo(&Exchange::new(20, 1), 1);
        if bench.only_tries() {
            return;
        }
        times.sort();
        let at = |share: usize| seconds(times[(times.len() - 1) * share / 100].as_secs_f64());
        println!("{name}");
        println!(
            "  open after: median {}, 99th of 100 {}, last {}; all within {}; CPU {} each",
            at(50),
            at(99),
            at(100),
            seconds(all.as_secs_f64()),
            seconds((after.cpu - before.cpu).as_secs_f64() / count as f64)
        );
    });
}
