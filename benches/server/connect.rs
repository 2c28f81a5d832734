//! Clients that come and go.

use crate::child::Served;
use crate::compare::{Bench, Took};
use crate::load::{Clients, Exchange};
use crate::processors::Apart;

const AT_ONCE: usize = 64;

/// Processor time goes by hundredths of a second here: that of threads which have ended is not told
/// more finely.
const LEAST: usize = 2_000;
const LEAST_TLS: usize = 500;

pub(crate) fn run(bench: &Bench, apart: &Apart) {
    compare(
        bench,
        apart,
        "connect, echo 20 B, close",
        LEAST,
        &[("tungstenite, threads", &["tungstenite"]), ("websocket-app", &["ours"])],
    );
}

/// A case of several servers, by their names and options.
pub(crate) fn compare(
    bench: &Bench,
    apart: &Apart,
    name: &str,
    least: usize,
    ways: &[(&str, &[&str])],
) {
    let exchange = &Exchange::new(20, 1);
    let mut case = bench.case(name, 0);
    for (way, options) in ways {
        let mut visited: Option<(Served, Clients)> = None;
        case = case.way_of_many(*way, least, move |count| {
            let (served, clients) = visited.get_or_insert_with(|| {
                let served = Served::start(options);
                apart.put(served.id());
                let clients = Clients::new(served.address(), options);
                (served, clients)
            });
            let (before, began) = (served.usage(), std::time::Instant::now());
            clients.visit(exchange, count, AT_ONCE);
            let (time, cpu) = (began.elapsed(), served.usage().cpu - before.cpu);
            Took { count, time, cpu: (!cpu.is_zero()).then_some(cpu) }
        });
    }
    case.run();
}

/// The same for TLS.
#[cfg(feature = "rustls")]
pub(crate) fn compare_tls(bench: &Bench, apart: &Apart, name: &str, ways: &[(&str, &[&str])]) {
    compare(bench, apart, name, LEAST_TLS, ways);
}
