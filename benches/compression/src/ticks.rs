//! What is sent: JSON as an exchange sends it, prices that move a little from one to the next, of
//! one length.

/// So many different ones are made; then they repeat, further apart than any window reaches.
pub const DIFFERENT: usize = 2_000;

pub fn ticks(size: usize) -> Vec<String> {
    let mut chance = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: u64| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        chance % below
    };
    let mut price = 6_712_345_u64;
    let mut tick = move |number: usize| {
        let mut text = format!(
            "{{\"type\":\"l2update\",\"sequence\":{number},\"symbol\":\"BTC-EUR\",\"changes\":["
        );
        while text.len() < size.saturating_sub(2) {
            price = price + next(200) - 100;
            let side = if next(2) == 0 { "buy" } else { "sell" };
            text += &format!(
                "[\"{side}\",\"{}.{:02}\",\"0.{:08}\"],",
                price / 100,
                price % 100,
                next(100_000_000)
            );
        }
        text.truncate(size - 2);
        text + "]}"
    };
    (0..DIFFERENT).map(&mut tick).collect()
}
