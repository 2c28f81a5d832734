//! Times as options give them: `2`, `0.5`, `250ms`, `forever`.

use std::time::Duration;

/// How long "forever" is: longer than any process lives, and short enough to be added to any time.
pub(crate) const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Reads a number of seconds, or with a unit: `250ms`, `2s`, `5m`, `1h`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: 2, 0.5, 250ms, 5m and 1h are");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * factor).map(|time| time.min(FOREVER)).map_err(|_| wrong())
}

/// The same, or `forever`.
pub(crate) fn seconds_or_forever(text: &str) -> Result<Duration, String> {
    match text {
        "forever" | "-1" => Ok(FOREVER),
        _ => seconds(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_units() {
        for (text, millis) in [("2", 2000), ("0.5", 500), ("250ms", 250), ("5m", 300_000), ("0", 0)]
        {
            assert_eq!(seconds(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "x", "1x", "-1", "1.2.3", "inf"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds_or_forever("forever"), Ok(FOREVER));
    }
}
