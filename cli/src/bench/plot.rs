//! A plot of latencies for a terminal: how many took how long, each line a third longer than the one
//! before.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::number::time;

/// How wide a bar may be, in characters.
const WIDTH: f64 = 50.0;

/// Three lines for a factor of two, and at most so many.
const LINES: usize = 24;
const STEP: f64 = 1.26;

/// Eighths of a character.
const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// Returns a line for each range of latencies between the shortest and the 99.9th percentile, and one
/// for what is longer.
pub(crate) fn plot(latency: &Histogram<u64>) -> String {
    let mut shown = String::new();
    if latency.is_empty() {
        return shown;
    }
    let all = latency.len() as f64;
    let longest = latency.value_at_quantile(0.999) as f64;
    let mut from = latency.min() as f64;
    let mut step = STEP;
    while from * step.powi(LINES as i32) < longest {
        step *= STEP;
    }
    let mut bars = Vec::new();
    while from <= longest {
        let to = from * step;
        bars.push((from, latency.count_between(from as u64, (to as u64).max(from as u64 + 1) - 1)));
        from = to.max(from + 1.0);
    }
    let beyond = latency.len().saturating_sub(bars.iter().map(|(_, count)| count).sum());
    if beyond > 0 {
        bars.push((from, beyond));
    }
    let most = bars.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1) as f64;
    for (from, count) in bars {
        let eighths = (count as f64 / most * WIDTH * 8.0).round() as usize;
        // What is there can be seen.
        let eighths = eighths.max(usize::from(count > 0));
        let bar = "█".repeat(eighths / 8) + PARTS[eighths % 8];
        let percent = count as f64 / all * 100.0;
        // Writing to a string cannot fail.
        let _ = writeln!(shown, "  {:>8} │{bar:<50} {percent:.2} %", time(from));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_is_in_one_bar() {
        let mut latency = super::super::prober::histogram();
        for nanos in (10_000..2_000_000).step_by(1000) {
            latency.saturating_record(nanos);
        }
        latency.saturating_record(900_000_000);
        let shown = plot(&latency);
        let percent: f64 = shown
            .lines()
            .map(|line| line.trim_end_matches(" %").rsplit(' ').next().expect("a number"))
            .map(|number| number.parse::<f64>().expect("a number"))
            .sum();
        assert!((99.0..101.0).contains(&percent), "{percent}\n{shown}");
        assert!(shown.lines().count() <= LINES + 2, "{shown}");
        assert!(plot(&super::super::prober::histogram()).is_empty());
    }
}
