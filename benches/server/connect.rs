//! Clients that come and go.

use crate::child::Served;
use crate::compare::{Bench, Meter, Took};
use crate::load::{Clients, Exchange};
use crate::processors::Apart;

/// No more than the sessions that rustls keeps of a server, for those who come again.
const AT_ONCE: usize = 8;

/// So many at least, since the processor time of threads that have ended is told by hundredths of a
/// second only.
const LEAST: usize = 256;

pub(crate) fn run(bench: &Bench, apart: &Apart) {
    compare(
        bench,
        apart,
        "connect, echo 20 B, close",
        &[("tungstenite, threads", &["tungstenite"]), ("websocket-app", &["ours"])],
    );
}

/// A case of several servers, by their names and options.
pub(crate) fn compare(bench: &Bench, apart: &Apart, name: &str, ways: &[(&str, &[&str])]) {
    let exchange = &Exchange::new(20, 1);
    let mut case = bench.case(name, 0);
    for (way, options) in ways {
        let mut visited: Option<(Served, Clients)> = None;
        case = case.way_of_many(*way, LEAST, move |count| {
            let (served, clients) = visited.get_or_insert_with(|| {
                let served = Served::start(options);
                apart.put(served.id());
                let clients = Clients::new(served.address(), options);
                (served, clients)
            });
            let (before, meter) = (served.usage(), Meter::of(served.id()));
            let resumed = clients.visit(exchange, count, AT_ONCE);
            let took = meter.stop(count);
            // The first have nothing to resume.
            let is_again = options.contains(&"resume");
            assert!((resumed > count / 2) == is_again, "{resumed} of {count} resumed");
            // Threads that are still there are told finely, but they need not be all.
            let of_all = served.usage().cpu - before.cpu;
            Took { cpu: took.cpu.map(|cpu| cpu.max(of_all)), ..took }
        });
    }
    case.run();
}
