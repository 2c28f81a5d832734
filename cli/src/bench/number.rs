//! Numbers as people read them.

use std::time::Duration;

/// Returns a number with its thousands apart: `1,234,567`.
pub(crate) fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut shown = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Returns nanoseconds with three digits and a unit that suits them: `12.3 µs`.
pub(crate) fn time(nanos: f64) -> String {
    let (number, unit) = match nanos {
        ..1e3 => (nanos, "ns"),
        ..1e6 => (nanos / 1e3, "µs"),
        ..1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    match number {
        ..10.0 => format!("{number:.2} {unit}"),
        ..100.0 => format!("{number:.1} {unit}"),
        _ => format!("{number:.0} {unit}"),
    }
}

/// Returns bytes a second.
pub(crate) fn throughput(bytes: f64, elapsed: Duration) -> String {
    let rate = bytes / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    match rate {
        ..1e3 => format!("{rate:.0} B/s"),
        ..1e6 => format!("{:.1} kB/s", rate / 1e3),
        ..1e9 => format!("{:.1} MB/s", rate / 1e6),
        _ => format!("{:.2} GB/s", rate / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(count(1_234_567.4), "1,234,567");
        assert_eq!(count(999.0), "999");
        assert_eq!(time(999.0), "999 ns");
        assert_eq!(time(12_345.0), "12.3 µs");
        assert_eq!(time(1_500_000_000.0), "1.50 s");
        assert_eq!(throughput(3e6, Duration::from_secs(2)), "1.5 MB/s");
    }
}
