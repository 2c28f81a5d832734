//! Decides when to try which of a host's addresses (RFC 8305, Happy Eyeballs). Pure: time is an
//! argument.
//!
//! The attempts themselves are made in [`tcp`](super::tcp).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long an attempt may be the only one: RFC 8305 §5 recommends it. A dead first address costs
/// no more than this.
const STAGGER: Duration = Duration::from_millis(250);

/// The addresses not yet tried, and the attempts under way.
pub(super) struct Race {
    waiting: VecDeque<SocketAddr>,
    running: usize,
    next_start: Instant,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RaceStep {
    /// Start an attempt at this address, and ask again.
    Start(SocketAddr),
    /// Wait for an attempt to succeed or fail, but no longer than this.
    Wait(Option<Instant>),
    /// Every address was tried and failed.
    Lost,
}

impl Race {
    pub(super) fn new(addresses: &[SocketAddr], now: Instant) -> Self {
        Race { waiting: interleave(addresses), running: 0, next_start: now }
    }

    pub(super) fn step(&mut self, now: Instant) -> RaceStep {
        let Some(&address) = self.waiting.front() else {
            return if self.running == 0 { RaceStep::Lost } else { RaceStep::Wait(None) };
        };
        if now < self.next_start {
            return RaceStep::Wait(Some(self.next_start));
        }
        self.waiting.pop_front();
        self.running += 1;
        self.next_start = now + STAGGER;
        RaceStep::Start(address)
    }

    /// Takes an attempt out of the race: the next address need not wait its turn.
    pub(super) fn failed(&mut self, now: Instant) {
        self.running -= 1;
        self.next_start = now;
    }
}

/// Alternates the address families, beginning with the one the resolver prefers (RFC 8305 §4):
/// where IPv6 is broken, the second attempt is IPv4, however many IPv6 addresses there are.
pub(super) fn interleave(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let preferred = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == preferred);
    let mut order = VecDeque::with_capacity(addresses.len());
    while let Some(address) = first.pop_front() {
        order.push_back(address);
        order.extend(second.pop_front());
    }
    order.extend(second);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_alternate_and_keep_their_order() {
        for (resolved, order) in [
            (vec![], vec![]),
            (vec!["[::1]:1"], vec!["[::1]:1"]),
            (
                vec!["[::1]:1", "[::2]:1", "1.1.1.1:1", "2.2.2.2:1"],
                vec!["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1"],
            ),
            (
                vec!["1.1.1.1:1", "[::1]:1", "[::2]:1", "[::3]:1"],
                vec!["1.1.1.1:1", "[::1]:1", "[::2]:1", "[::3]:1"],
            ),
            (vec!["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"], vec!["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]),
        ] {
            assert_eq!(interleave(&addresses(&resolved)), addresses(&order), "{resolved:?}");
        }
    }

    #[test]
    fn attempts_start_staggered_while_nothing_happens() {
        let list = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1"]);
        let start = Instant::now();
        let mut race = Race::new(&list, start);
        assert_eq!(race.step(start), RaceStep::Start(list[0]));
        assert_eq!(race.step(start), RaceStep::Wait(Some(start + STAGGER)));
        assert_eq!(race.step(start + STAGGER / 2), RaceStep::Wait(Some(start + STAGGER)));
        assert_eq!(race.step(start + STAGGER), RaceStep::Start(list[1]));
        // Late: the third waits its 250 ms from the second's real start.
        let late = start + 5 * STAGGER;
        assert_eq!(race.step(late), RaceStep::Start(list[2]));
        assert_eq!(race.step(late), RaceStep::Wait(None));
    }

    #[test]
    fn a_failure_starts_the_next_at_once_and_the_last_one_loses_the_race() {
        let list = addresses(&["[::1]:1", "1.1.1.1:1"]);
        let start = Instant::now();
        let mut race = Race::new(&list, start);
        assert_eq!(race.step(start), RaceStep::Start(list[0]));
        race.failed(start);
        assert_eq!(race.step(start), RaceStep::Start(list[1]));
        assert_eq!(race.step(start), RaceStep::Wait(None));
        race.failed(start);
        assert_eq!(race.step(start), RaceStep::Lost);
    }

    #[test]
    fn a_failure_leaves_the_other_attempts_running() {
        let list = addresses(&["[::1]:1", "1.1.1.1:1"]);
        let start = Instant::now();
        let mut race = Race::new(&list, start);
        race.step(start);
        assert_eq!(race.step(start + STAGGER), RaceStep::Start(list[1]));
        race.failed(start + STAGGER);
        assert_eq!(race.step(start + STAGGER), RaceStep::Wait(None));
        race.failed(start + STAGGER);
        assert_eq!(race.step(start + STAGGER), RaceStep::Lost);
    }
}
