//! Reconnecting with any policy, causes, times and chance: nothing panics, delays are within their
//! bounds, `Retry-After` is waited for, up to an hour, and there are never more attempts than the
//! policy allows.

use std::time::Duration;

use arbitrary::Arbitrary;
use websocket_app::fuzzing::{Backoff, closed_by_peer, rejection};
use websocket_app::{Cause, Error, Reconnect, SendError};

use super::arbitrary;

#[derive(Arbitrary, Clone, Debug)]
struct Policy {
    fixed: bool,
    first: Time,
    max: Time,
    max_attempts: Option<u8>,
    reset_after: Option<Time>,
    /// Decides by the bits of this.
    retry_if: Option<u8>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Time {
    Millis(u16),
    Seconds(u32),
    Any(u64, u32),
    Longest,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Chance {
    Least,
    Most,
    Any(u64),
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// An attempt that fails.
    Fail {
        why: Why,
        chance: Chance,
    },
    /// An attempt that opens, for so long.
    Open {
        uptime: Time,
        lost: bool,
        chance: Chance,
    },
    Wait(Time),
    /// `Sender::reconnect()`.
    Asked,
}

#[derive(Arbitrary, Debug)]
enum Why {
    Network,
    Rejected { status: u16, retry_after: RetryAfter },
}

#[derive(Arbitrary, Debug)]
enum RetryAfter {
    None,
    Seconds(u64),
    Padded(u8),
    Text(String),
}

impl Time {
    fn get(self) -> Duration {
        match self {
            Time::Millis(millis) => Duration::from_millis(millis.into()),
            Time::Seconds(seconds) => Duration::from_secs(seconds.into()),
            Time::Longest => Duration::MAX,
            Time::Any(seconds, nanos) => {
                Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()))
            }
        }
    }
}

impl Chance {
    fn get(self) -> u64 {
        match self {
            Chance::Least => 0,
            Chance::Most => u64::MAX,
            Chance::Any(chance) => chance,
        }
    }
}

impl RetryAfter {
    fn header(&self) -> Vec<String> {
        match self {
            RetryAfter::None => Vec::new(),
            RetryAfter::Seconds(seconds) => vec![seconds.to_string()],
            RetryAfter::Padded(seconds) => vec![format!(" {seconds:04}\t")],
            RetryAfter::Text(text) => vec![text.clone()],
        }
    }

    fn asked(&self) -> Duration {
        match self {
            // No longer than an hour, as documented.
            RetryAfter::Seconds(seconds) => Duration::from_secs(*seconds).min(HOUR),
            RetryAfter::Padded(seconds) => Duration::from_secs((*seconds).into()),
            RetryAfter::None | RetryAfter::Text(_) => Duration::ZERO,
        }
    }
}

impl Policy {
    fn reconnect(&self) -> Reconnect {
        let mut policy = match self.fixed {
            true => Reconnect::fixed(self.first.get()),
            false => Reconnect::exponential(self.first.get(), self.max.get()),
        };
        if let Some(attempts) = self.max_attempts {
            policy = policy.max_attempts(attempts.into());
        }
        if let Some(uptime) = self.reset_after {
            policy = policy.reset_after(uptime.get());
        }
        if let Some(bits) = self.retry_if {
            policy = policy.retry_if(move |cause| decides(bits, cause));
        }
        policy
    }

    fn reset_after(&self) -> Duration {
        self.reset_after.map_or(Duration::from_secs(60), Time::get)
    }

    /// The longest that is waited after so many attempts, without what the server asks for.
    fn bound(&self, attempts: u32) -> Duration {
        let (first, max) = (self.first.get(), self.max.get());
        if self.fixed {
            return first;
        }
        let doubled = 1_u32.checked_shl(attempts - 1).and_then(|times| first.checked_mul(times));
        doubled.unwrap_or(Duration::MAX).min(max.max(first))
    }

    /// Whether this cause is worth another attempt.
    fn retries(&self, cause: Cause<'_>) -> bool {
        match (self.retry_if, cause) {
            (Some(bits), cause) => decides(bits, cause),
            (None, Cause::Error(Error::Rejected(rejection))) => {
                !(400..500).contains(&rejection.status)
                    || [408, 425, 429].contains(&rejection.status)
            }
            (None, _) => true,
        }
    }
}

fn decides(bits: u8, cause: Cause<'_>) -> bool {
    let bit = match cause {
        Cause::Error(Error::Rejected(rejection)) => rejection.status % 6,
        Cause::Error(_) => 6,
        _ => 7,
    };
    bits >> bit & 1 == 1
}

const HOUR: Duration = Duration::from_secs(3600);

/// Beyond this, a time is as good as never, and is not told from it.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

pub fn backoff(input: &[u8]) {
    let Some((policy, steps)) = arbitrary::<(Policy, Vec<Step>)>(input) else { return };
    let checked = Backoff::new(policy.reconnect());
    let valid = policy.max_attempts != Some(0) && !policy.first.get().is_zero();
    assert_eq!(checked.is_ok(), valid, "{checked:?}");
    let Ok(mut backoff) = checked else { return };
    let network = Error::Send(SendError::NotConnected { message: None });
    // In a row without a lasting connection.
    let mut attempts = 0;
    let mut now = Duration::ZERO;
    for step in steps {
        let (cause_error, uptime, chance, asked) = match &step {
            Step::Wait(time) => {
                now = now.saturating_add(time.get()).min(CENTURY);
                continue;
            }
            Step::Asked => {
                assert_eq!(backoff.on_asked(), (Duration::ZERO, 1));
                attempts = 0;
                continue;
            }
            Step::Fail { why: Why::Network, chance } => {
                (Some(network.clone()), None, *chance, Duration::ZERO)
            }
            Step::Fail { why: Why::Rejected { status, retry_after }, chance } => (
                Some(rejection(*status, &retry_after.header())),
                None,
                *chance,
                retry_after.asked(),
            ),
            Step::Open { uptime, lost, chance } => {
                (lost.then(|| network.clone()), Some(uptime.get()), *chance, Duration::ZERO)
            }
        };
        attempts += 1;
        assert_eq!(backoff.on_attempt(), attempts);
        assert!(policy.max_attempts.is_none_or(|max| attempts <= max.into()), "attempt {attempts}");
        if let Some(uptime) = uptime {
            backoff.on_open(now);
            let opened = now;
            now = now.saturating_add(uptime).min(CENTURY);
            if now - opened >= policy.reset_after() {
                attempts = 0;
            }
        }
        let closed = closed_by_peer();
        let cause = cause_error.as_ref().map_or(Cause::Close(&closed), Cause::Error);
        let next = backoff.on_end(cause, now, chance.get()).expect("no policy here panics");
        let over =
            policy.max_attempts.is_some_and(|max| attempts >= max.into()) || !policy.retries(cause);
        assert_eq!(next.is_none(), over, "{next:?} after attempt {attempts}");
        let Some((delay, attempt)) = next else { return };
        assert_eq!(attempt, attempts + 1);
        let bound = policy.bound(attempts.max(1));
        assert!(delay >= asked, "{delay:?} though {asked:?} was asked for");
        let asked_at_most = if text_asks(&step) { HOUR } else { asked };
        assert!(delay <= bound.max(asked_at_most), "{delay:?} is over {bound:?}");
        if policy.fixed && !text_asks(&step) {
            assert_eq!(delay, bound.max(asked));
        }
    }
}

/// Whether `Retry-After` is arbitrary text, which may happen to be a number.
fn text_asks(step: &Step) -> bool {
    matches!(step, Step::Fail { why: Why::Rejected { retry_after: RetryAfter::Text(_), .. }, .. })
}
