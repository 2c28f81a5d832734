//! [`AwaitedPongs`]: pings of one connection whose answers threads wait for. Time is an argument.
//!
//! Guarded by the lock of [`Shared`](super::Shared), as the [`Writer`](super::writer::Writer) is
//! that it belongs to. An answer outlasts them: who waits looks for it first.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// What a ping says and its pong says again (RFC 6455 §5.5.3): drawn by lot, so that no other ping
/// has it, and nobody can answer it who has not received it.
pub(super) type PingPayload = [u8; 16];

/// How long the answer took, once it is there.
pub(super) type PingAnswer = Arc<OnceLock<Duration>>;

/// In the order in which they were queued. Takes no memory to speak of while nobody waits.
#[derive(Debug, Default)]
pub(super) struct AwaitedPongs(Option<Box<Awaited>>);

#[derive(Debug, Default)]
struct Awaited {
    pings: Vec<AwaitedPong>,
}

#[derive(Debug)]
struct AwaitedPong {
    payload: PingPayload,
    /// When its ping was queued.
    since: Instant,
    answer: PingAnswer,
}

impl AwaitedPongs {
    pub(super) fn add(&mut self, payload: PingPayload, since: Instant) -> PingAnswer {
        let answer = PingAnswer::default();
        let pings = &mut self.0.get_or_insert_default().pings;
        pings.push(AwaitedPong { payload, since, answer: Arc::clone(&answer) });
        answer
    }

    /// A pong has come.
    pub(super) fn on_pong(&mut self, payload: &[u8], now: Instant) {
        let mut pings = self.0.iter().flat_map(|awaited| &awaited.pings);
        if let Some(since) = pings.find(|ping| ping.payload == payload).map(|ping| ping.since) {
            self.on_answer(since, now);
        }
    }

    /// A ping has been answered that was queued at that time, and with it those before it: of
    /// several a peer need only answer the latest (RFC 6455 §5.5.3).
    pub(super) fn on_answer(&mut self, since: Instant, now: Instant) {
        let Some(awaited) = &mut self.0 else { return };
        awaited.pings.retain(|ping| {
            let is_answered = ping.since <= since;
            if is_answered {
                let _only_once = ping.answer.set(now.saturating_duration_since(ping.since));
            }
            !is_answered
        });
        self.forget_if_empty();
    }

    /// Returns whether the answer may still come over this connection.
    pub(super) fn has(&self, payload: &PingPayload) -> bool {
        self.0.iter().flat_map(|awaited| &awaited.pings).any(|ping| ping.payload == *payload)
    }

    /// Nobody waits for this one any more.
    pub(super) fn remove(&mut self, payload: &PingPayload) {
        if let Some(awaited) = &mut self.0 {
            awaited.pings.retain(|ping| ping.payload != *payload);
            self.forget_if_empty();
        }
    }

    fn forget_if_empty(&mut self) {
        self.0.take_if(|awaited| awaited.pings.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PAYLOADS: [PingPayload; 3] = [[1; 16], [2; 16], [3; 16]];

    /// Three pings, a second after each other.
    fn three(start: Instant) -> (AwaitedPongs, impl Fn() -> [Option<u64>; 3]) {
        let mut pongs = AwaitedPongs::default();
        let answers = [0, 1, 2].map(|i| pongs.add(PAYLOADS[i], start + i as u32 * SECOND));
        (pongs, move || answers.each_ref().map(|answer| answer.get().map(Duration::as_secs)))
    }

    #[test]
    fn an_answer_is_one_to_those_before_it_and_to_none_behind_it() {
        let start = Instant::now();
        let (mut pongs, answers) = three(start);
        for other in [&b""[..], &[2; 15], &[2; 17], &[9; 16]] {
            pongs.on_pong(other, start + 5 * SECOND);
        }
        assert_eq!(answers(), [None; 3]);
        pongs.on_pong(&PAYLOADS[1], start + 5 * SECOND);
        assert_eq!(answers(), [Some(5), Some(4), None]);
        assert_eq!(PAYLOADS.map(|payload| pongs.has(&payload)), [false, false, true]);
        pongs.on_pong(&PAYLOADS[2], start + 6 * SECOND);
        assert_eq!(answers(), [Some(5), Some(4), Some(4)]);
    }

    #[test]
    fn the_keepalives_answer_is_one_to_what_was_sent_before_its_ping() {
        let start = Instant::now();
        let (mut pongs, answers) = three(start);
        pongs.on_answer(start + SECOND, start + 2 * SECOND);
        assert_eq!(answers(), [Some(2), Some(1), None]);
    }

    #[test]
    fn nothing_is_kept_of_what_nobody_waits_for() {
        let start = Instant::now();
        let (mut pongs, _) = three(start);
        pongs.remove(&PAYLOADS[2]);
        assert!(pongs.has(&PAYLOADS[1]) && !pongs.has(&PAYLOADS[2]));
        pongs.on_pong(&PAYLOADS[1], start);
        assert!(pongs.0.is_none());
        assert_eq!(size_of::<AwaitedPongs>(), size_of::<usize>());
    }
}
