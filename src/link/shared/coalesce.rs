//! [`Coalescer`]: whether sends follow each other so fast that they are better written in large pieces. Inner by the lock of
//! `Shared`. A leaf.

use std::mem;
use std::time::{Duration, Instant};

/// Sends that follow each other faster than this, on average where not each is timed, with nothing received in between, and
/// how many of them make a sustained stream. A reply to something that was received is none: a lone message is never held
/// back. At a slower pace there is less to gain than the system call's time, some microseconds, and more to lose: until the
/// other thread is awake, ten times that. Eight are more than a request and its followers.
const GAP: Duration = Duration::from_nanos(1500);
const RUN: u32 = 8;

/// How many sends of a stream in a row do without the clock, which would take a third of their time. So one that comes within
/// 12 µs behind a stream may still be taken for a part of it.
const UNTIMED: u32 = 7;

#[derive(Debug, Default)]
pub(super) struct Coalescer {
    /// How many sends have followed another without a pause.
    run: u32,
    /// When the last send that was timed was over, and how many have been since.
    timed: Option<Instant>,
    untimed: u32,
    /// How many messages had been received by then.
    heard: u64,
}

impl Coalescer {
    /// A send begins: tells whether it is one of a stream. `heard` counts the messages received: on a busy processor the
    /// answer may be there as soon as the question has been written. Where others are waiting to be written, it does not
    /// matter much when this one is.
    pub(super) fn begins(&mut self, heard: u64, others_wait: bool, now: impl FnOnce() -> Instant) -> bool {
        if mem::replace(&mut self.heard, heard) != heard {
            self.run = 0;
            return false;
        }
        if others_wait && self.run >= RUN && self.untimed < UNTIMED {
            self.untimed += 1;
            return true;
        }
        let now = now();
        let gap = self.timed.map(|timed| now.saturating_duration_since(timed));
        let follows = gap.is_some_and(|gap| gap < GAP * (self.untimed + 1));
        self.run = if follows { self.run.saturating_add(1) } else { 0 };
        self.is_over(now);
        self.run >= RUN
    }

    /// It took until now to make the message ready, or to write it: that time is no pause of the sender's.
    pub(super) fn is_over(&mut self, now: Instant) {
        (self.timed, self.untimed) = (Some(now), 0);
    }

    /// Many sends, the last of which is not over.
    #[cfg(test)]
    pub(super) fn stream() -> Self {
        Coalescer { run: u32::MAX, timed: Some(Instant::now() + Duration::from_secs(3600)), untimed: 0, heard: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 100 sends, so far apart, count as one of a stream.
    fn streamed(gap: Duration, heard: impl Fn(u64) -> u64, others_wait: bool) -> usize {
        let (mut pace, began) = (Coalescer::default(), Instant::now());
        (0..100).filter(|i| pace.begins(heard((*i).into()), others_wait, || began + gap * *i)).count()
    }

    #[test]
    fn sends_in_a_row_are_a_stream_from_the_ninth_on() {
        for others_wait in [false, true] {
            assert_eq!(streamed(Duration::from_nanos(200), |_| 0, others_wait), 92);
            assert_eq!(streamed(GAP - Duration::from_nanos(1), |_| 0, others_wait), 92);
            assert_eq!(streamed(GAP, |_| 0, others_wait), 0);
        }
    }

    #[test]
    fn questions_and_answers_are_no_stream_however_fast() {
        assert_eq!(streamed(Duration::from_nanos(200), |i| i, true), 0);
        // A batch of messages, each replied to.
        assert_eq!(streamed(Duration::from_nanos(200), |i| i / 50, false), 100 - 2 * 8);
    }

    #[test]
    fn a_stream_is_timed_now_and_then_and_always_where_nothing_waits() {
        for (others_wait, timed) in [(true, 10), (false, 80)] {
            let (mut pace, mut now, mut looks) = (Coalescer::default(), Instant::now(), 0);
            for i in 0..80 + RUN {
                now += Duration::from_nanos(200);
                let streams = pace.begins(0, others_wait, || {
                    looks += u32::from(i >= RUN);
                    now
                });
                assert_eq!(streams, i >= RUN);
            }
            assert_eq!(looks, timed);
        }
    }

    #[test]
    fn the_time_to_write_is_no_pause() {
        let (mut pace, mut now) = (Coalescer::default(), Instant::now());
        for i in 0..20 {
            assert_eq!(pace.begins(0, false, || now), i >= RUN, "send {i}");
            pace.is_over(now + GAP * 4);
            now += GAP * 4 + Duration::from_nanos(200);
        }
    }

    #[test]
    fn a_pause_ends_a_stream() {
        for others_wait in [false, true] {
            let (mut pace, now) = (Coalescer::default(), Instant::now());
            (0..50).for_each(|_| _ = pace.begins(0, others_wait, || now));
            // What is sent first after the pause may still go with what waits, but not alone.
            let later = now + GAP * (UNTIMED + 1);
            assert!(!pace.begins(0, false, || later));
            assert!(!pace.begins(0, others_wait, || later));
        }
    }
}
