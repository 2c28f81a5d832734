//! What was measured, for people and as JSON.

use std::fmt::Write;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::BenchArgs;
use super::load::Outcome;
use super::number::{count, throughput, time};
use super::plot::plot;
use crate::failure::shown_url;

const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

pub(crate) fn text(args: &BenchArgs, outcome: &Outcome) -> String {
    let mut text = String::new();
    let rate = outcome.received as f64 / outcome.elapsed.as_secs_f64();
    let bytes = outcome.received as f64 * args.size as f64;
    let paced = match args.rate {
        Some(rate) => format!(", {} a second", count(rate)),
        None => String::new(),
    };
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        text,
        "{}: {} connections, {} bytes, up to {} under way on each{paced}, {:.1} s",
        shown_url(&args.url),
        count(args.connections as f64),
        count(args.size as f64),
        count(args.in_flight as f64),
        outcome.elapsed.as_secs_f64()
    );
    let _ = writeln!(
        text,
        "  there and back  {} messages, {} a second, {} each way",
        count(outcome.received as f64),
        count(rate),
        throughput(bytes, outcome.elapsed)
    );
    if outcome.lost > 0 {
        let _ = writeln!(text, "  lost            {} connections", count(outcome.lost as f64));
    }
    let missing = outcome.sent.saturating_sub(outcome.latency.len());
    if missing > 0 {
        let _ = writeln!(text, "  did not return  {} messages", count(missing as f64));
    }
    if outcome.unexpected > 0 {
        let _ = writeln!(
            text,
            "  unexpected      {} messages: it does not only echo",
            count(outcome.unexpected as f64)
        );
    }
    let _ = write!(text, "  {:10}{:>8}{:>8}", "", "min", "mean");
    for percentile in PERCENTILES {
        let _ = write!(text, "{:>8}", format!("{percentile} %"));
    }
    let _ = writeln!(text, "{:>8}", "max");
    let _ = writeln!(text, "  connecting{}", row(&outcome.connect));
    let _ = writeln!(text, "  latency   {}", row(&outcome.latency));
    text.push_str(&plot(&outcome.latency));
    text
}

fn row(histogram: &Histogram<u64>) -> String {
    if histogram.is_empty() {
        return "  nothing was measured".into();
    }
    let percentiles = PERCENTILES.map(|p| histogram.value_at_percentile(p) as f64);
    let ends = [histogram.min() as f64, histogram.mean()];
    let all = ends.into_iter().chain(percentiles).chain([histogram.max() as f64]);
    all.map(|nanos| format!("{:>8}", time(nanos))).collect()
}

pub(crate) fn json(args: &BenchArgs, outcome: &Outcome) -> Value {
    let seconds = outcome.elapsed.as_secs_f64();
    json!({
        "url": shown_url(&args.url),
        "connections": args.connections,
        "size": args.size,
        "in_flight": args.in_flight,
        "rate": args.rate,
        "seconds": seconds,
        "sent": outcome.sent,
        "received": outcome.received,
        "unexpected": outcome.unexpected,
        "lost": outcome.lost,
        "messages_per_second": outcome.received as f64 / seconds,
        "bytes_per_second": outcome.received as f64 * args.size as f64 / seconds,
        "connect_us": quantiles(&outcome.connect),
        "latency_us": quantiles(&outcome.latency),
    })
}

fn quantiles(histogram: &Histogram<u64>) -> Value {
    let micros = |nanos: f64| nanos / 1e3;
    let mut quantiles = json!({
        "count": histogram.len(),
        "min": micros(histogram.min() as f64),
        "mean": micros(histogram.mean()),
        "max": micros(histogram.max() as f64),
    });
    for percentile in PERCENTILES {
        let value = histogram.value_at_percentile(percentile) as f64;
        quantiles[format!("p{percentile}")] = json!(micros(value));
    }
    quantiles
}
