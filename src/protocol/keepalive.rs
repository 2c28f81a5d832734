//! When to ping, and when to give up, as a function of time (RFC 6455 §5.5.2).
//!
//! Any byte from the peer is life. So that receiving costs no look at the clock, reading only sets a flag, which is looked
//! at when a deadline comes.

use std::time::{Duration, Instant};

use crate::deadline::after;

/// Keeps an idle connection alive, and finds a dead one.
#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: Duration,
    timeout: Duration,
    next_ping: Instant,
    /// When to give up unless something was heard since the ping before; set while a ping waits for a sign of life.
    give_up: Option<Instant>,
    heard: bool,
}

/// What a deadline asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepaliveAction {
    Nothing,
    Ping,
    /// The peer is dead: nothing came for the whole timeout after a ping.
    GiveUp,
}

impl Keepalive {
    pub(crate) fn new(interval: Duration, timeout: Duration, now: Instant) -> Self {
        Keepalive { interval, timeout, next_ping: after(now, interval), give_up: None, heard: false }
    }

    /// Takes note that bytes came in, whichever.
    pub(crate) fn heard(&mut self) {
        self.heard = true;
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        self.give_up.map_or(self.next_ping, |give_up| give_up.min(self.next_ping))
    }

    pub(crate) fn on_deadline(&mut self, now: Instant) -> KeepaliveAction {
        if self.heard {
            self.give_up = None;
        }
        if self.give_up.is_some_and(|give_up| give_up <= now) {
            return KeepaliveAction::GiveUp;
        }
        if self.next_ping > now {
            return KeepaliveAction::Nothing;
        }
        // Counted from now, so that a program that was suspended does not send a burst of pings.
        self.next_ping = after(now, self.interval);
        self.heard = false;
        self.give_up.get_or_insert(after(now, self.timeout));
        KeepaliveAction::Ping
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Runs every deadline up to `until` seconds; `life` are the seconds at which a byte comes in.
    fn run(interval: u32, timeout: u32, until: u32, life: &[u32]) -> Vec<(u32, KeepaliveAction)> {
        let start = Instant::now();
        let at = |seconds: u32| start + seconds * SECOND;
        let mut keepalive = Keepalive::new(interval * SECOND, timeout * SECOND, start);
        let mut actions = Vec::new();
        for second in 1..=until {
            if life.contains(&second) {
                keepalive.heard();
            }
            if keepalive.next_deadline() > at(second) {
                continue;
            }
            match keepalive.on_deadline(at(second)) {
                KeepaliveAction::Nothing => {}
                action => actions.push((second, action)),
            }
            if actions.last().is_some_and(|(_, action)| *action == KeepaliveAction::GiveUp) {
                break;
            }
        }
        actions
    }

    #[test]
    fn a_silent_peer_is_given_up_a_timeout_after_the_ping() {
        assert_eq!(run(30, 10, 100, &[]), [(30, KeepaliveAction::Ping), (40, KeepaliveAction::GiveUp)]);
    }

    #[test]
    fn life_before_the_ping_does_not_count() {
        assert_eq!(run(30, 10, 100, &[29]), [(30, KeepaliveAction::Ping), (40, KeepaliveAction::GiveUp)]);
    }

    #[test]
    fn any_byte_after_the_ping_counts() {
        assert_eq!(
            run(30, 10, 75, &[31, 68]),
            [(30, KeepaliveAction::Ping), (60, KeepaliveAction::Ping)],
            "the second ping was answered at 68"
        );
    }

    #[test]
    fn a_timeout_longer_than_the_interval_counts_from_the_first_unanswered_ping() {
        let pings = |seconds: &[u32]| seconds.iter().map(|s| (*s, KeepaliveAction::Ping)).collect::<Vec<_>>();
        let mut expected = pings(&[10, 20, 30]);
        expected.push((35, KeepaliveAction::GiveUp));
        assert_eq!(run(10, 25, 100, &[]), expected);
        assert_eq!(run(10, 25, 59, &[34, 55]), pings(&[10, 20, 30, 40, 50]));
    }
}
