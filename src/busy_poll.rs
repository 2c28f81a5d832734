//! Waits for sockets: asleep, or, for a while before that, by asking again and again. Runs on the
//! thread that reads, which owns the poll. A leaf.
//!
//! Who asked for it with `busy_poll` always polls so long. Beside that, a loop that much comes in
//! for without a pause does for a moment: the next piece is on its way, and to sleep and to be
//! woken up costs both sides more than the moment.

use std::hint;
use std::io;
use std::time::{Duration, Instant};

use mio::Events;

use crate::sync::Poll;

/// A read of this many bytes is much: more than most messages, so that questions and answers are no
/// flood, and less than a read in a flood takes.
const BULK_READ: usize = 32 << 10;

/// A wait for more that is over by then is no pause: a few times what it takes to wake a thread up.
const MAX_PAUSE: Duration = Duration::from_micros(100);

/// So many reads of much, without a pause, are a flood. It does not end with one small read, which
/// may be the rest of a frame, nor with one moment in vain: twice as many count, and each that
/// speaks against it takes some of them away.
const MIN_BULK_READS: u32 = 4;

/// How long the next piece of a flood is asked for. From 5 µs on it pays; where the peer's
/// processor sleeps as well, it has to outlast that one's waking up, which takes 35.
const SPIN_FOR: Duration = Duration::from_micros(50);

/// How the thread that reads waits.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Much has been read since the last wait.
    much: bool,
    /// How much speaks for a flood.
    signs: u32,
}

impl Waiting {
    pub(crate) fn on_read(&mut self, bytes: usize) {
        self.much |= bytes >= BULK_READ;
    }

    /// Polls, up to `timeout` long, the first `busy` of it without sleeping.
    pub(crate) fn poll(
        &mut self,
        poll: &mut Poll,
        events: &mut Events,
        timeout: Option<Duration>,
        busy: Duration,
    ) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            // Where there is more to do anyway, there is no pause either.
            return poll.poll(events, timeout);
        }
        let much = std::mem::take(&mut self.much);
        if busy.is_zero() && !much && self.signs == 0 {
            return poll.poll(events, timeout);
        }
        let busy = busy.max(self.moment());
        let began = Instant::now();
        let mut left = timeout;
        if !busy.is_zero() {
            let until = timeout.map_or(busy, |timeout| timeout.min(busy));
            while began.elapsed() < until {
                poll.poll(events, Some(Duration::ZERO))?;
                if !events.is_empty() {
                    self.waited(much, began.elapsed(), false);
                    return Ok(());
                }
                hint::spin_loop();
            }
            left = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
        }
        let result = poll.poll(events, left);
        self.waited(much, began.elapsed(), !busy.is_zero());
        result
    }

    /// Returns how long to ask before sleeping.
    fn moment(&self) -> Duration {
        if self.signs >= MIN_BULK_READS { SPIN_FOR } else { Duration::ZERO }
    }

    /// A wait is over, after a read of much or not; `in_vain` says that it came to sleeping though
    /// it was asked before.
    fn waited(&mut self, much: bool, time: Duration, in_vain: bool) {
        self.signs = match time <= MAX_PAUSE {
            false => 0,
            true if in_vain => self.signs.saturating_sub(2),
            true if much => (self.signs + 1).min(2 * MIN_BULK_READS),
            true => self.signs.saturating_sub(1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(30);

    fn flooded(reads: u32) -> Waiting {
        let mut waiting = Waiting::default();
        (0..reads).for_each(|_| waiting.waited(true, QUICK, false));
        assert_eq!(waiting.moment(), SPIN_FOR);
        waiting
    }

    #[test]
    fn a_flood_is_several_large_reads_without_a_pause() {
        let mut waiting = Waiting::default();
        for _ in 1..MIN_BULK_READS {
            waiting.waited(true, QUICK, false);
            assert_eq!(waiting.moment(), Duration::ZERO);
        }
        waiting.waited(true, QUICK, false);
        assert_eq!(waiting.moment(), SPIN_FOR);
    }

    #[test]
    fn a_pause_ends_it() {
        for (much, in_vain) in [(true, false), (true, true), (false, false)] {
            let mut waiting = flooded(10 * MIN_BULK_READS);
            waiting.waited(much, 2 * MAX_PAUSE, in_vain);
            assert_eq!(waiting.signs, 0, "{much} {in_vain}");
        }
    }

    #[test]
    fn a_small_read_now_and_then_does_not_end_it() {
        let mut waiting = flooded(2 * MIN_BULK_READS);
        for _ in 0..100 {
            waiting.waited(false, QUICK, false);
            assert_eq!(waiting.moment(), SPIN_FOR);
            waiting.waited(true, QUICK, false);
        }
    }

    #[test]
    fn small_reads_alone_and_asking_in_vain_end_it_soon() {
        for (much, in_vain) in [(false, false), (true, true), (false, true)] {
            let mut waiting = flooded(10 * MIN_BULK_READS);
            (0..=MIN_BULK_READS).for_each(|_| waiting.waited(much, QUICK, in_vain));
            assert_eq!(waiting.moment(), Duration::ZERO, "{much} {in_vain}");
        }
    }

    #[test]
    fn a_read_is_much_from_32_kib_on() {
        for (bytes, much) in [(0, false), (BULK_READ - 1, false), (BULK_READ, true)] {
            let mut waiting = Waiting::default();
            waiting.on_read(bytes);
            waiting.on_read(1);
            assert_eq!(waiting.much, much);
        }
    }
}
