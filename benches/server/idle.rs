//! What connections take while nothing happens.

use std::thread;
use std::time::Duration;

use crate::bed::Bed;
use crate::compare::{Bench, seconds};
use crate::has_files_for;
use crate::load::Exchange;
use crate::processors::Apart;
use crate::usage::{self, Usage};

const CONNECTIONS: usize = 10_000;
/// With a thread each.
const CONNECTIONS_OF_THREADS: usize = 1_000;
const TRIED: usize = 100;

/// So many are there before, so that what the server takes once is not counted.
const BEFORE: usize = 100;

const REST: Duration = Duration::from_secs(4);
const TRIED_REST: Duration = Duration::from_millis(50);

pub(crate) fn run(bench: &Bench, apart: &Apart) {
    compare(
        bench,
        apart,
        "idle",
        &[
            ("tungstenite, threads", &["tungstenite"], CONNECTIONS_OF_THREADS),
            ("websocket-app", &["ours"], CONNECTIONS),
            ("websocket-app, pings each 2 s", &["ours", "pings=2"], CONNECTIONS),
        ],
    );
}

/// Several servers, by their names and options, and how many connections each is to have.
pub(crate) fn compare(
    bench: &Bench,
    apart: &Apart,
    name: &str,
    servers: &[(&str, &[&str], usize)],
) {
    bench.row(name, || {
        if !bench.only_tries() {
            println!("{name}");
        }
        for (way, options, count) in servers {
            let (count, rest) =
                if bench.only_tries() { (TRIED, TRIED_REST) } else { (*count, REST) };
            if has_files_for(count + BEFORE, way) {
                let found = look(options, apart, count, rest);
                if !bench.only_tries() && usage::is_told() {
                    println!("  {way:<32} {found}");
                }
            }
        }
    });
}

fn look(options: &[&str], apart: &Apart, count: usize, rest: Duration) -> String {
    let exchanges = [Exchange::new(20, 1), Exchange::new(1 << 10, 1)];
    let mut bed = Bed::new(options, Some(apart), "/", BEFORE);
    exchanges.iter().for_each(|exchange| bed.clients.echo(exchange, 1));
    let empty = bed.served.usage();
    bed.clients.open("/", count);
    let opened = bed.served.usage();
    thread::sleep(rest);
    let rested = bed.served.usage();
    let each = |now: Usage| now.memory.saturating_sub(empty.memory) / count as u64;
    let rest = format!(
        "in {rest:?} at rest: CPU {}, {} switches",
        seconds((rested.cpu - opened.cpu).as_secs_f64()),
        rested.switches - opened.switches
    );
    if bed.clients.forget() > 0 {
        // Pings, and there may be more of them between answers.
        return format!("{count} open: {} B each; {rest}", each(opened));
    }
    let [small, large] = exchanges.map(|exchange| {
        bed.clients.echo(&exchange, 1);
        bed.served.usage()
    });
    format!(
        "{count} open: {} B each, {} after a message of 20 B, {} after one of 1 KiB; {rest}",
        each(opened),
        each(small),
        each(large)
    )
}
