//! One message to a thousand clients: plain, compressed, and beside some who do not read.

use crate::bed::Bed;
use crate::child::Served;
use crate::compare::{Bench, Took};
use crate::load::{Clients, Exchange, masked};
use crate::processors::Apart;
use crate::{has_files_for, usage};

const CLIENTS: usize = 1_000;
const TRIED: usize = 50;

/// So many messages on their way, and as many at least.
const IN_FLIGHT: usize = 8;

/// What those who do not read are sent before it begins: so many messages at once, until no queue
/// has room for any of them. So often at most, which is many times what queues and sockets hold.
const FILL_AT_ONCE: usize = 1_000;
const FILL: usize = 200;

/// Made long enough for [`JSON_BYTES`].
const JSON: &str = r#"{"type":"l2update","symbol":"BTC-EUR","side":"buy","price":"67123.45","#;
const JSON_BYTES: usize = 1 << 10;

pub(crate) fn run(bench: &Bench, apart: &Apart) {
    if !has_files_for(CLIENTS, "broadcast") {
        return;
    }
    let clients = if bench.only_tries() { TRIED } else { CLIENTS };
    compressed(bench, apart, clients);
    for policy in ["Close", "Skip", "KeepLatest"] {
        beside_stalled(bench, apart, clients, policy);
    }
}

fn beside_stalled(bench: &Bench, apart: &Apart, clients: usize, policy: &str) {
    let exchange = &Exchange::new(64, IN_FLIGHT);
    let option = format!("slow={policy}");
    let costs = std::cell::RefCell::new(Vec::new());
    let mut case = bench.case(format!("broadcast 64 B to 1,000, SlowClients::{policy}"), 64);
    for stalled in [0, 10, 100] {
        let mut beds = None;
        let name = format!("beside {stalled} stalled");
        let stalled = stalled.min(clients / 10);
        let (option, costs) = (&option, &costs);
        case = case.way_of_many(name, IN_FLIGHT * clients, move |count| {
            let (bed, _stalled) = beds.get_or_insert_with(|| {
                let bed = bed(&["ours", option], apart, clients);
                let (stalled, cost) = Stalled::new(&bed.served, policy, stalled);
                costs.borrow_mut().extend(cost);
                (bed, stalled)
            });
            deliver(bed, exchange, count)
        });
    }
    case.run();
    if !bench.only_tries() {
        costs.borrow().iter().for_each(|cost| println!("  {cost}"));
    }
}

fn compressed(bench: &Bench, apart: &Apart, clients: usize) {
    let json: String = JSON.chars().cycle().take(JSON_BYTES).collect();
    let mut case = bench.case("broadcast 1 KiB of JSON to 1,000", JSON_BYTES);
    let mut ways = vec![("plain", &["ours"][..])];
    if cfg!(feature = "deflate") {
        ways.push(("compressed", &["ours", "deflate"]));
    }
    for (name, options) in ways {
        let (mut bedded, json) = (None, json.as_bytes());
        case = case.way_of_many(name, IN_FLIGHT * clients, move |count| {
            let (bed, exchange) = bedded.get_or_insert_with(|| {
                let mut bed = bed(options, apart, clients);
                let mut exchange = Exchange::of(0x81, json, IN_FLIGHT);
                // What they all have had once they are to have again.
                exchange.answer = bed.clients.ask(exchange.frames(1));
                assert_eq!(payload(&exchange.answer), json);
                (bed, exchange)
            });
            deliver(bed, exchange, count)
        });
    }
    case.run();
}

fn bed(options: &[&str], apart: &Apart, clients: usize) -> Bed {
    let mut bed = Bed::new(options, Some(apart), "/all", clients);
    bed.clients.open("/publish", 1);
    bed
}

fn deliver(bed: &mut Bed, exchange: &Exchange, count: usize) -> Took {
    // The last is the one who publishes.
    let clients = bed.clients.len() - 1;
    let messages = count.div_ceil(clients);
    let meter = crate::compare::Meter::of(bed.served.id());
    bed.clients.broadcast(exchange, messages);
    meter.stop(messages * clients)
}

/// What was in a server's frame, compressed or not.
fn payload(frame: &[u8]) -> Vec<u8> {
    let start = if frame[1] == 126 { 4 } else { 2 };
    let payload = &frame[start..];
    // RSV1: compressed (RFC 7692 §7.2.2).
    if frame[0] & 0x40 == 0 {
        return payload.to_vec();
    }
    let mut whole = Vec::with_capacity(JSON_BYTES);
    let mut inflate = flate2::Decompress::new(false);
    let compressed = [payload, &[0, 0, 0xff, 0xff]].concat();
    inflate.decompress_vec(&compressed, &mut whole, flate2::FlushDecompress::Sync).unwrap();
    whole
}

/// Clients who subscribe, and read nothing; and one who has had their queues filled.
struct Stalled {
    _clients: [Clients; 2],
}

impl Stalled {
    /// And what they cost, in words.
    fn new(served: &Served, policy: &str, count: usize) -> (Self, Option<String>) {
        let before = served.usage().memory;
        let mut clients = Clients::new(served.address(), &[]).that_read_little();
        let mut filler = Clients::new(served.address(), &[]);
        filler.open("/fill", 1);
        if count == 0 {
            return (Stalled { _clients: [clients, filler] }, None);
        }
        clients.open("/stalled", count);
        let ask = masked(0x81, FILL_AT_ONCE.to_string().as_bytes());
        let mut became = String::new();
        for _ in 0..FILL {
            became = String::from_utf8(payload(&filler.ask(&ask))).unwrap();
            if became.starts_with("clients 0,") {
                break;
            }
        }
        // What became of the last thousand messages to each.
        let all = count * FILL_AT_ONCE;
        let expected = match policy {
            "Close" => "clients 0, delayed 0, skipped 0".to_owned(),
            "Skip" => format!("clients 0, delayed 0, skipped {all}"),
            _ => format!("clients 0, delayed {all}, skipped 0"),
        };
        assert_eq!(became, expected, "{count} clients that do not read");
        let took = served.usage().memory.saturating_sub(before) as f64 / count as f64;
        let cost = usage::is_told().then(|| {
            format!("{count} stalled: {:.0} KiB of memory each once it is full", took / 1024.0)
        });
        (Stalled { _clients: [clients, filler] }, cost)
    }
}
