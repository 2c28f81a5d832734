//! When to ping, and when to give a peer up, as a function of time (RFC 6455 §5.5.2).
//!
//! Any byte from the peer is life. So that receiving costs no look at the clock, reading only sets
//! a flag, which is looked at when a deadline comes.

use std::time::{Duration, Instant};

use crate::deadline::after;

/// Keeps an idle connection alive, and finds a dead one.
#[derive(Debug)]
pub(crate) struct Keepalive {
    pings: Option<Pings>,
    /// Boxed, since hardly any connection has it.
    idle: Option<Box<Idle>>,
    /// How many pings were sent; the payload of the latest is its number.
    number: u64,
    /// When the latest went out, until it is answered.
    sent: Option<Instant>,
}

/// For `ping_interval`.
#[derive(Debug)]
struct Pings {
    interval: Duration,
    timeout: Duration,
    next: Instant,
    /// When to give up unless something was heard since the ping before; set while a ping waits for
    /// a sign of life.
    give_up: Option<Instant>,
    heard: bool,
}

/// For `idle_timeout`: since when nothing of a message has come.
#[derive(Debug)]
struct Idle {
    timeout: Duration,
    since: Instant,
}

/// What a deadline asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepaliveAction {
    Nothing,
    /// Send a ping with this payload.
    Ping([u8; 8]),
    /// The peer is dead: nothing came for that long.
    GiveUp {
        after: Duration,
    },
}

impl Keepalive {
    pub(crate) fn new(
        ping_interval: Option<Duration>,
        ping_timeout: Duration,
        idle_timeout: Option<Duration>,
        now: Instant,
    ) -> Self {
        let pings = ping_interval.map(|interval| Pings {
            interval,
            timeout: ping_timeout,
            next: after(now, interval),
            give_up: None,
            heard: false,
        });
        Keepalive {
            pings,
            idle: idle_timeout.map(|timeout| Box::new(Idle { timeout, since: now })),
            number: 0,
            sent: None,
        }
    }

    /// Takes note that bytes came in, whichever.
    pub(crate) fn heard(&mut self) {
        if let Some(pings) = &mut self.pings {
            pings.heard = true;
        }
    }

    /// Takes note that a message came in, or a piece of one. Only where that matters does it look
    /// at the clock.
    pub(crate) fn on_data(&mut self, now: impl FnOnce() -> Instant) {
        if let Some(idle) = &mut self.idle {
            idle.since = now();
        }
    }

    /// Takes note that nothing is read for now, so that nothing can be heard.
    pub(crate) fn on_pause(&mut self, now: Instant) {
        self.heard();
        if let Some(idle) = &mut self.idle {
            idle.since = now;
        }
    }

    /// Takes note of a pong. Returns the round-trip time, if it answers the latest ping.
    pub(crate) fn on_pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let sent = if payload == self.number.to_be_bytes() { self.sent.take() } else { None };
        sent.map(|sent| now.saturating_duration_since(sent))
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let ping = self
            .pings
            .as_ref()
            .map(|pings| pings.give_up.map_or(pings.next, |at| at.min(pings.next)));
        let idle = self.idle.as_ref().map(|idle| after(idle.since, idle.timeout));
        ping.into_iter().chain(idle).min()
    }

    pub(crate) fn on_deadline(&mut self, now: Instant) -> KeepaliveAction {
        if let Some(idle) = self.idle.as_ref().filter(|idle| after(idle.since, idle.timeout) <= now)
        {
            return KeepaliveAction::GiveUp { after: idle.timeout };
        }
        let Some(pings) = &mut self.pings else { return KeepaliveAction::Nothing };
        if pings.heard {
            pings.give_up = None;
        }
        if pings.give_up.is_some_and(|give_up| give_up <= now) {
            return KeepaliveAction::GiveUp { after: pings.timeout };
        }
        if pings.next > now {
            return KeepaliveAction::Nothing;
        }
        // Counted from now, so that a program that was suspended does not send a burst of pings.
        pings.next = after(now, pings.interval);
        pings.heard = false;
        pings.give_up.get_or_insert(after(now, pings.timeout));
        self.number += 1;
        self.sent = Some(now);
        KeepaliveAction::Ping(self.number.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Action {
        Ping,
        GiveUp,
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// Runs every deadline up to `until` seconds; `life` are the seconds at which a byte comes in.
    fn run(interval: u32, timeout: u32, until: u32, life: &[u32]) -> Vec<(u32, Action)> {
        let start = Instant::now();
        let at = |seconds: u32| start + seconds * SECOND;
        let mut keepalive = Keepalive::new(Some(interval * SECOND), timeout * SECOND, None, start);
        let mut actions = Vec::new();
        for second in 1..=until {
            if life.contains(&second) {
                keepalive.heard();
            }
            if keepalive.next_deadline().unwrap() > at(second) {
                continue;
            }
            match keepalive.on_deadline(at(second)) {
                KeepaliveAction::Nothing => {}
                KeepaliveAction::Ping(_) => actions.push((second, Action::Ping)),
                KeepaliveAction::GiveUp { .. } => {
                    actions.push((second, Action::GiveUp));
                    break;
                }
            }
        }
        actions
    }

    #[test]
    fn a_silent_peer_is_given_up_a_timeout_after_the_ping() {
        assert_eq!(run(30, 10, 100, &[]), [(30, Action::Ping), (40, Action::GiveUp)]);
    }

    #[test]
    fn life_before_the_ping_does_not_count() {
        assert_eq!(run(30, 10, 100, &[29]), [(30, Action::Ping), (40, Action::GiveUp)]);
    }

    #[test]
    fn any_byte_after_the_ping_counts() {
        assert_eq!(
            run(30, 10, 75, &[31, 68]),
            [(30, Action::Ping), (60, Action::Ping)],
            "the second ping was answered at 68"
        );
    }

    #[test]
    fn a_timeout_longer_than_the_interval_counts_from_the_first_unanswered_ping() {
        let pings =
            |seconds: &[u32]| seconds.iter().map(|s| (*s, Action::Ping)).collect::<Vec<_>>();
        let mut expected = pings(&[10, 20, 30]);
        expected.push((35, Action::GiveUp));
        assert_eq!(run(10, 25, 100, &[]), expected);
        assert_eq!(run(10, 25, 59, &[34, 55]), pings(&[10, 20, 30, 40, 50]));
    }

    #[test]
    fn without_an_interval_there_is_no_deadline_and_no_ping() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(None, SECOND, None, start);
        assert_eq!(keepalive.next_deadline(), None);
        assert_eq!(keepalive.on_deadline(start + 1000 * SECOND), KeepaliveAction::Nothing);
    }

    #[test]
    fn a_peer_without_messages_is_given_up_whatever_else_it_sends() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(None, SECOND, Some(5 * SECOND), start);
        keepalive.heard();
        assert_eq!(keepalive.next_deadline(), Some(start + 5 * SECOND));
        assert_eq!(keepalive.on_deadline(start + 4 * SECOND), KeepaliveAction::Nothing);
        keepalive.on_pause(start + SECOND);
        assert_eq!(keepalive.on_deadline(start + 5 * SECOND), KeepaliveAction::Nothing);
        assert_eq!(
            keepalive.on_deadline(start + 6 * SECOND),
            KeepaliveAction::GiveUp { after: 5 * SECOND }
        );
    }

    #[test]
    fn only_the_answer_to_the_latest_ping_gives_the_round_trip_time() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(Some(SECOND), SECOND, None, start);
        let mut ping = |at: u32| match keepalive.on_deadline(start + at * SECOND) {
            KeepaliveAction::Ping(payload) => payload,
            other => panic!("{other:?}"),
        };
        let first = ping(1);
        keepalive.heard();
        let KeepaliveAction::Ping(second) = keepalive.on_deadline(start + 2 * SECOND) else {
            panic!("no ping")
        };
        let at = start + 5 * SECOND;
        assert_eq!([keepalive.on_pong(&first, at), keepalive.on_pong(b"", at)], [None, None]);
        assert_eq!(keepalive.on_pong(&second, at), Some(3 * SECOND));
        assert_eq!(keepalive.on_pong(&second, at), None);
    }
}
