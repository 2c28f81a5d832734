//! [`Coalescer`]: whether a message is written at once, or with those that follow it. A leaf.
//!
//! In a sustained stream of small messages a system call each would be most of the cost. So when
//! one send follows the other with nothing in between, messages are only appended, and written in
//! large pieces: by the sender when a piece is full, by the flusher when the stream pauses. A lone
//! message is never held back.
//!
//! Guarded by the lock of `Shared`.

use std::mem;
use std::time::{Duration, Instant};

use crate::sync::now;

/// Sends that follow each other faster than this, on average where not each is timed, with nothing
/// received in between, and how many of them make a sustained stream. A reply to something that was
/// received is none. At a slower pace there is less to gain than the system call's time, some
/// microseconds, and more to lose: until the flusher is awake, ten times that. Eight are more than
/// a request and its followers.
const MAX_GAP: Duration = Duration::from_nanos(1500);
const MIN_RUN: u32 = 8;

/// How many sends of a stream in a row do without the clock, which would take a third of their
/// time. So one that comes within 12 µs behind a stream may still be taken for a part of it.
const MAX_UNTIMED: u8 = 7;

/// How often in a row the flusher looks in vain before a stream is over: while a sender writes a
/// full piece itself, there is nothing for the flusher, and to wake it up for what follows costs as
/// much as some tens of looks.
const MAX_IN_VAIN: u8 = if cfg!(all(test, websocket_model)) { 1 } else { 32 };

#[derive(Debug, Default)]
pub(super) struct Coalescer {
    /// How many sends have followed another without a pause.
    run: u32,
    /// When the last send that was timed was over, and how many have been since.
    timed: Option<Instant>,
    untimed: u8,
    /// How many messages had been received by then.
    heard: u64,
    /// The flusher writes what is appended, until it has found nothing for a while.
    flushing: bool,
    /// How often in a row it has found nothing.
    in_vain: u8,
}

impl Coalescer {
    /// A send begins: returns whether it is one of a stream. `heard` counts the messages received:
    /// on a busy processor the answer may be there as soon as the question has been written. Where
    /// others are waiting to be written, it does not matter much when this one is. `began` is when
    /// the sender began to prepare it, if not now.
    pub(super) fn is_stream(
        &mut self,
        heard: u64,
        others_wait: bool,
        began: Option<Instant>,
    ) -> bool {
        self.is_stream_at(heard, others_wait, || began.unwrap_or_else(now))
    }

    fn is_stream_at(
        &mut self,
        heard: u64,
        others_wait: bool,
        began: impl FnOnce() -> Instant,
    ) -> bool {
        if mem::replace(&mut self.heard, heard) != heard {
            self.run = 0;
            return false;
        }
        if others_wait && self.run >= MIN_RUN && self.untimed < MAX_UNTIMED {
            self.untimed += 1;
            return true;
        }
        let began = began();
        let gap = self.timed.map(|timed| began.saturating_duration_since(timed));
        let follows = gap.is_some_and(|gap| gap < MAX_GAP * u32::from(self.untimed + 1));
        self.run = if follows { self.run.saturating_add(1) } else { 0 };
        self.is_over(began);
        self.run >= MIN_RUN
    }

    /// It took until now to make the message ready, or to write it: that time is no pause of the
    /// sender's.
    pub(super) fn is_over(&mut self, now: Instant) {
        (self.timed, self.untimed) = (Some(now), 0);
    }

    pub(super) fn is_flushing(&self) -> bool {
        self.flushing
    }

    pub(super) fn set_flushing(&mut self, flushing: bool) {
        (self.flushing, self.in_vain) = (flushing, 0);
    }

    /// The flusher has looked, and found nothing that it could write. Returns whether it is to look
    /// again.
    pub(super) fn looked_in_vain(&mut self) -> bool {
        self.in_vain = self.in_vain.saturating_add(1);
        self.flushing = self.in_vain < MAX_IN_VAIN;
        self.flushing
    }

    /// Has had many sends, the last of which is not over.
    #[cfg(test)]
    pub(in crate::link) fn make_stream(&mut self) {
        (self.run, self.timed, self.untimed) =
            (u32::MAX, Some(Instant::now() + Duration::from_secs(3600)), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many of 100 sends, so far apart, count as one of a stream.
    fn streamed(gap: Duration, heard: impl Fn(u64) -> u64, others_wait: bool) -> usize {
        let (mut coalescer, began) = (Coalescer::default(), Instant::now());
        (0..100)
            .filter(|i| {
                coalescer.is_stream_at(heard((*i).into()), others_wait, || began + gap * *i)
            })
            .count()
    }

    #[test]
    fn the_flusher_looks_no_longer_once_nothing_more_comes() {
        let mut coalescer = Coalescer::default();
        coalescer.set_flushing(true);
        let looks = (1..=u8::MAX).find(|_| !coalescer.looked_in_vain());
        assert_eq!(looks, Some(MAX_IN_VAIN));
        assert!(!coalescer.is_flushing());
    }

    #[test]
    fn sends_in_a_row_are_a_stream_from_the_ninth_on() {
        for others_wait in [false, true] {
            assert_eq!(streamed(Duration::from_nanos(200), |_| 0, others_wait), 92);
            assert_eq!(streamed(MAX_GAP - Duration::from_nanos(1), |_| 0, others_wait), 92);
            assert_eq!(streamed(MAX_GAP, |_| 0, others_wait), 0);
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
            let (mut coalescer, mut now, mut looks) = (Coalescer::default(), Instant::now(), 0);
            for i in 0..80 + MIN_RUN {
                now += Duration::from_nanos(200);
                let streams = coalescer.is_stream_at(0, others_wait, || {
                    looks += u32::from(i >= MIN_RUN);
                    now
                });
                assert_eq!(streams, i >= MIN_RUN);
            }
            assert_eq!(looks, timed);
        }
    }

    #[test]
    fn the_time_to_write_is_no_pause() {
        let (mut coalescer, mut now) = (Coalescer::default(), Instant::now());
        for i in 0..20 {
            assert_eq!(coalescer.is_stream_at(0, false, || now), i >= MIN_RUN, "send {i}");
            coalescer.is_over(now + MAX_GAP * 4);
            now += MAX_GAP * 4 + Duration::from_nanos(200);
        }
    }

    #[test]
    fn a_pause_ends_a_stream() {
        for others_wait in [false, true] {
            let (mut coalescer, now) = (Coalescer::default(), Instant::now());
            (0..50).for_each(|_| _ = coalescer.is_stream_at(0, others_wait, || now));
            // What is sent first after the pause may still go with what waits, but not alone.
            let later = now + MAX_GAP * u32::from(MAX_UNTIMED + 1);
            assert!(!coalescer.is_stream_at(0, false, || later));
            assert!(!coalescer.is_stream_at(0, others_wait, || later));
        }
    }
}
