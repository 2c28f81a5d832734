//! What both ends send: a number, and behind it what tells whether the message has arrived as it
//! was sent.

use std::sync::LazyLock;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Longer than any message, so that it is a while until a compressor sees it again.
static NOISE: LazyLock<String> = LazyLock::new(|| {
    let mut rng = StdRng::seed_from_u64(1);
    (0..1 << 17).map(|_| char::from(rng.random_range(b'0'..b'p'))).collect()
});

/// From the client. Mostly small; some of a size of which a part may be written, compressed or not.
pub(super) fn up(number: u64) -> String {
    numbered(number, if number.is_multiple_of(20) { 40_000 } else { number as usize % 30 })
}

/// From the server.
pub(super) fn down(number: u64) -> String {
    numbered(number, number as usize % 200)
}

fn numbered(number: u64, length: usize) -> String {
    let start = number as usize * 1000 % (NOISE.len() - length);
    format!("{number} {}", &NOISE[start..start + length])
}

/// Gives the number of a message that must be as `sent` makes it.
pub(super) fn number(text: &str, sent: fn(u64) -> String) -> Result<u64, String> {
    match text.split(' ').next().unwrap_or_default().parse() {
        Ok(number) if text == sent(number) => Ok(number),
        Ok(number) => Err(format!("{number} is not as it was sent: {text:.80}")),
        Err(_) => Err(format!("not a numbered message: {text:.80}")),
    }
}
