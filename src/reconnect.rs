//! Whether and when to connect again: [`Reconnect`], the policy, and [`Backoff`], its course as a
//! function of time and of a source of chance. A leaf: knows no clock and no socket.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use crate::close::Close;
use crate::error::{Error, Rejection, is_temporary};

/// The longest that a `Retry-After` is waited for: one wrong line of a proxy is not to silence a
/// program for good.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// When a lost connection is made again, and when not: for
/// [`WebSocketApp::reconnect`](crate::WebSocketApp::reconnect). The manual says more:
/// [Reconnecting, and what may be lost](crate::manual::_08_reconnecting).
///
/// A connection is made again after it was lost, after the peer closed it, and after an attempt
/// failed; never after `close()` or a panic in a callback. What cannot get better by itself is not
/// tried again: a bad URL, a certificate that is not trusted, an HTTP status 4xx other than 408,
/// 425 and 429, a proxy's refusal of the password or of the server; [`retry_if`](Self::retry_if)
/// decides otherwise. A server's `Retry-After` is waited for, up to an hour.
///
/// ```no_run
/// use std::time::Duration;
/// use websocket_app::{Reconnect, WebSocketApp};
///
/// WebSocketApp::new("wss://ticker.example/")
///     .reconnect(Reconnect::exponential(Duration::from_secs(1), Duration::from_secs(60)))
///     .on_open(|ws| ws.send("subscribe"))
///     .run_forever()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Reconnect {
    first: Duration,
    max: Duration,
    jitter: bool,
    max_attempts: Option<u32>,
    reset_after: Duration,
    retry_if: Option<RetryIf>,
}

type RetryIf = Arc<dyn Fn(Cause<'_>) -> bool + Send + Sync>;

/// Why there is no connection any more: for [`Reconnect::retry_if`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Cause<'a> {
    /// It was lost, or could not be made.
    Error(&'a Error),
    /// The peer closed it in order.
    Close(&'a Close),
}

/// An attempt to connect, for the closures that compute something for it:
/// [`headers_with`](crate::WebSocketApp::headers_with) and the like.
///
/// ```no_run
/// # fn new_token() -> String { String::new() }
/// use std::time::Duration;
/// use websocket_app::{Reconnect, WebSocketApp};
///
/// let mut token = new_token();
/// WebSocketApp::new("wss://feed.example/")
///     .reconnect(Reconnect::fixed(Duration::from_secs(5)).retry_if(|_| true))
///     .headers_with(move |attempt| {
///         if attempt.rejection().is_some_and(|rejection| rejection.status == 401) {
///             token = new_token();
///         }
///         vec![("Authorization".to_owned(), format!("Bearer {token}"))]
///     })
///     .run_forever()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Counted from 1 since the last lasting connection.
    pub number: u32,
    /// How long ago the last connection was lost; `None` where there was none yet, or another was
    /// asked for.
    pub since_loss: Option<Duration>,
    /// Why the attempt before this one failed, or the connection before it was lost; `None` for the
    /// first, and where the peer closed in order.
    pub last_error: Option<Error>,
}

impl Attempt {
    /// Makes the first of a run, to test a closure with. Its fields can be set.
    #[expect(clippy::new_without_default, reason = "no attempt is the default")]
    #[must_use]
    pub fn new() -> Self {
        Attempt { number: 1, since_loss: None, last_error: None }
    }

    /// Returns the server's refusal, if that is why the attempt before this one failed.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match &self.last_error {
            Some(Error::Rejected(rejection)) => Some(rejection),
            _ => None,
        }
    }
}

impl Cause<'_> {
    /// Returns whether it may get better by itself: what decides where
    /// [`retry_if`](Reconnect::retry_if) does not. [`Reconnect`] has the list.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        match self {
            Cause::Error(error) => may_get_better(error),
            Cause::Close(_) => true,
        }
    }
}

impl Reconnect {
    /// Tries again after the same time each time. Many clients that lost the same server come back
    /// at once with this: [`exponential`](Self::exponential) does not.
    pub fn fixed(delay: Duration) -> Self {
        Reconnect { jitter: false, ..Self::exponential(delay, delay) }
    }

    /// Tries again after a time that doubles from `first` up to `max`, of which a random part is
    /// waited ("full jitter"), so that the clients of a server that comes back do not come back all
    /// at once.
    pub fn exponential(first: Duration, max: Duration) -> Self {
        Reconnect {
            first,
            max: max.max(first),
            jitter: true,
            max_attempts: None,
            reset_after: Duration::from_secs(60),
            retry_if: None,
        }
    }

    /// Gives up after so many attempts in a row without a lasting connection, the first of the run
    /// included. Defaults to no limit.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// Counts a connection as lasting, so that attempts are counted and delays grow from the
    /// beginning again, when it was open this long. Defaults to 60 s: a server that accepts and
    /// closes at once is not stormed.
    pub fn reset_after(mut self, uptime: Duration) -> Self {
        self.reset_after = uptime;
        self
    }

    /// Decides for each cause whether to try again, in place of the default list. Called on the
    /// app's event loop, so it must not block. A panic in it ends the run.
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::{Cause, Reconnect};
    ///
    /// // The default, but not where the server says that the token has expired.
    /// Reconnect::fixed(Duration::from_secs(5)).retry_if(|cause| {
    ///     let expired = matches!(cause, Cause::Close(close) if close.code == 4001);
    ///     cause.is_temporary() && !expired
    /// });
    /// ```
    pub fn retry_if(mut self, decide: impl Fn(Cause<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.retry_if = Some(Arc::new(decide));
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        // Doubled, zero stays zero, whatever the maximum.
        if self.first.is_zero() {
            return Err(Error::invalid(
                "reconnect",
                "the delay must be longer than zero, or a dead server is stormed",
            ));
        }
        if self.max_attempts == Some(0) {
            return Err(Error::invalid(
                "reconnect: max_attempts(0)",
                "must be at least 1, the first attempt",
            ));
        }
        Ok(())
    }

    fn retries(&self, cause: Cause<'_>) -> Result<bool, Error> {
        match (&self.retry_if, cause) {
            (Some(decide), cause) => catch_unwind(AssertUnwindSafe(|| decide(cause)))
                .map_err(|_| Error::Panicked("retry_if".into())),
            (None, cause) => Ok(cause.is_temporary()),
        }
    }

    /// The delay before the attempt that follows this many.
    fn delay(&self, attempts: u32, rng: &mut impl Rng) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let bound = self.first.saturating_mul(1 << doublings).min(self.max);
        if self.jitter { bound.mul_f64(rng.random_range(0.0..=1.0)) } else { bound }
    }
}

/// Returns whether another attempt may end otherwise: by default, what cannot is not tried again.
fn may_get_better(error: &Error) -> bool {
    match error {
        Error::Invalid(_) | Error::Panicked(_) | Error::Cancelled => false,
        Error::Tls { temporary, .. } => *temporary,
        Error::Rejected(rejection) => is_temporary(rejection.status),
        Error::Proxy(refusal) => refusal.temporary,
        _ => true,
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("first", &self.first)
            .field("max", &self.max)
            .field("jitter", &self.jitter)
            .field("max_attempts", &self.max_attempts)
            .field("reset_after", &self.reset_after)
            .finish_non_exhaustive()
    }
}

/// The course of a run: how many attempts in a row, and since when there is a connection.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: Option<Reconnect>,
    attempts: u32,
    opened: Option<Instant>,
    /// While there is no connection. Boxed, as mostly there is one.
    loss: Option<Box<Loss>>,
}

/// What the next attempt is told.
#[derive(Debug, Default)]
struct Loss {
    /// When the last connection was lost.
    at: Option<Instant>,
    error: Option<Error>,
}

/// The next attempt: when, and which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) delay: Duration,
    pub(crate) attempt: u32,
}

impl Backoff {
    pub(crate) fn new(policy: Option<Reconnect>) -> Self {
        Backoff { policy, attempts: 0, opened: None, loss: None }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.policy.is_some()
    }

    /// An attempt begins.
    pub(crate) fn on_attempt(&mut self, now: Instant) -> Attempt {
        self.attempts = self.attempts.saturating_add(1);
        let at = self.loss.as_ref().and_then(|loss| loss.at);
        Attempt {
            number: self.attempts,
            since_loss: at.map(|at| now.saturating_duration_since(at)),
            last_error: self.loss.as_ref().and_then(|loss| loss.error.clone()),
        }
    }

    pub(crate) fn on_open(&mut self, now: Instant) {
        (self.opened, self.loss) = (Some(now), None);
    }

    /// A connection has ended, or an attempt failed. `None` is to give up; an error is the policy's
    /// panic.
    pub(crate) fn on_end(
        &mut self,
        cause: Cause<'_>,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Result<Option<Retry>, Error> {
        let Some(policy) = &self.policy else { return Ok(None) };
        let loss = self.loss.get_or_insert_default();
        loss.error = match cause {
            Cause::Error(error) => Some(error.clone()),
            Cause::Close(_) => None,
        };
        if let Some(opened) = self.opened.take() {
            loss.at = Some(now);
            if now.saturating_duration_since(opened) >= policy.reset_after {
                self.attempts = 0;
            }
        }
        if policy.max_attempts.is_some_and(|max| self.attempts >= max) || !policy.retries(cause)? {
            return Ok(None);
        }
        let delay = policy.delay(self.attempts, rng).max(retry_after(cause).unwrap_or_default());
        Ok(Some(Retry { delay, attempt: self.attempts + 1 }))
    }

    /// The program asked for a new connection: attempts are counted from the beginning.
    pub(crate) fn on_asked(&mut self) -> Retry {
        (self.attempts, self.opened, self.loss) = (0, None, None);
        Retry { delay: Duration::ZERO, attempt: 1 }
    }
}

/// Returns what a refusal's `Retry-After` header asks for (RFC 9110 §10.2.3): a number of seconds,
/// or a date. That is counted from the response's own `Date`, so that it does not matter how wrong
/// either clock is.
fn retry_after(cause: Cause<'_>) -> Option<Duration> {
    let Cause::Error(Error::Rejected(rejection)) = cause else { return None };
    let date = |value: &str| httpdate::parse_http_date(value.trim()).ok();
    let asked = rejection.headers.get("retry-after")?;
    let wait = match asked.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => date(asked)?.duration_since(date(rejection.headers.get("date")?)?).ok()?,
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use std::io;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::close::ClosedBy;
    use crate::error::Phase;
    use crate::headers::Headers;

    const SECOND: Duration = Duration::from_secs(1);

    fn lost() -> Error {
        Error::network(Phase::Open, "host:80", io::ErrorKind::ConnectionReset.into())
    }

    fn rejected(status: u16, retry_after: Option<&str>) -> Error {
        refused(status, retry_after.map(|value| ("Retry-After", value)).as_slice())
    }

    fn refused(status: u16, headers: &[(&str, &str)]) -> Error {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers: Headers = headers.collect();
        Error::Rejected(Box::new(Rejection::of("ws://host/", status, headers, Vec::new())))
    }

    /// The delays of a run whose every attempt fails with this error, up to ten.
    fn delays(policy: Reconnect, error: &Error) -> Vec<Duration> {
        let (mut backoff, mut rng) = (Backoff::new(Some(policy)), StdRng::seed_from_u64(7));
        let now = Instant::now();
        let mut delays = Vec::new();
        for number in 1..=10 {
            assert_eq!(backoff.on_attempt(now).number, number);
            let Some(retry) = backoff.on_end(Cause::Error(error), now, &mut rng).unwrap() else {
                break;
            };
            assert_eq!(retry.attempt, number + 1);
            delays.push(retry.delay);
        }
        delays
    }

    #[test]
    fn fixed_delays_are_fixed_and_attempts_are_limited() {
        assert_eq!(delays(Reconnect::fixed(SECOND).max_attempts(4), &lost()), [SECOND; 3]);
    }

    #[test]
    fn exponential_delays_are_jittered_below_a_bound_that_doubles() {
        let delays = delays(Reconnect::exponential(SECOND, 60 * SECOND), &lost());
        assert_eq!(delays.len(), 10);
        for (i, delay) in delays.iter().enumerate() {
            assert!(*delay <= (SECOND * (1 << i)).min(60 * SECOND), "{i}: {delay:?}");
        }
        // Full jitter: neither all at the bound nor all near zero.
        let last = &delays[6..];
        assert!(
            last.iter().any(|d| *d > 20 * SECOND) && last.iter().any(|d| *d < 40 * SECOND),
            "{delays:?}"
        );
    }

    #[test]
    fn a_delay_that_stays_zero_is_refused() {
        for policy in
            [Reconnect::fixed(Duration::ZERO), Reconnect::exponential(Duration::ZERO, 60 * SECOND)]
        {
            assert!(policy.check().is_err(), "{policy:?}");
        }
    }

    #[test]
    fn what_cannot_get_better_is_not_tried_again() {
        let tls = |temporary| {
            let source = std::sync::Arc::from(Box::from("expired"));
            Error::Tls { peer: "host:443".into(), source, temporary }
        };
        for error in
            [Error::invalid("URL", "bad"), tls(false), rejected(403, None), rejected(404, None)]
        {
            assert!(delays(Reconnect::fixed(SECOND), &error).is_empty(), "{error}");
        }
        for error in
            [lost(), tls(true), rejected(408, None), rejected(429, None), rejected(503, None)]
        {
            assert_eq!(delays(Reconnect::fixed(SECOND), &error).len(), 10, "{error}");
        }
        let always = Reconnect::fixed(SECOND).retry_if(|_| true);
        assert_eq!(delays(always, &rejected(403, None)).len(), 10);
    }

    #[test]
    fn retry_after_is_waited_for() {
        assert_eq!(
            delays(Reconnect::fixed(SECOND).max_attempts(2), &rejected(503, Some("2"))),
            [2 * SECOND]
        );
        assert_eq!(
            delays(Reconnect::fixed(SECOND).max_attempts(2), &rejected(503, Some("soon"))),
            [SECOND]
        );
    }

    #[test]
    fn a_date_is_waited_for_by_the_servers_own_clock() {
        let policy = || Reconnect::fixed(SECOND).max_attempts(2);
        let date = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let until = |value| refused(503, &[date, ("Retry-After", value)]);
        assert_eq!(delays(policy(), &until("Sun, 06 Nov 1994 08:50:07 GMT")), [30 * SECOND]);
        // The two forms that are obsolete (RFC 9110 §5.6.7).
        assert_eq!(delays(policy(), &until("Sunday, 06-Nov-94 08:50:07 GMT")), [30 * SECOND]);
        assert_eq!(delays(policy(), &until("Sun Nov  6 08:50:07 1994")), [30 * SECOND]);
        assert_eq!(
            delays(policy(), &until("Sat, 06 Nov 2094 08:49:37 GMT")),
            [LONGEST_RETRY_AFTER]
        );
        for past in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:00 GMT",
            "Sun, 31 Feb 1994 08:50:07 GMT",
        ] {
            assert_eq!(delays(policy(), &until(past)), [SECOND], "{past}");
        }
        // Without the server's time a date says nothing.
        assert_eq!(
            delays(policy(), &rejected(503, Some("Sat, 06 Nov 2094 08:49:37 GMT"))),
            [SECOND]
        );
    }

    #[test]
    fn only_a_lasting_connection_starts_the_count_again() {
        let policy = Reconnect::fixed(SECOND).max_attempts(2).reset_after(10 * SECOND);
        let (mut backoff, mut rng) = (Backoff::new(Some(policy)), StdRng::seed_from_u64(7));
        let closed = Close::without_frame(ClosedBy::Peer);
        let mut now = Instant::now();
        let mut live = |backoff: &mut Backoff, uptime: Duration| {
            backoff.on_attempt(now);
            backoff.on_open(now);
            now += uptime;
            backoff.on_end(Cause::Close(&closed), now, &mut rng).unwrap().map(|retry| retry.attempt)
        };
        assert_eq!(live(&mut backoff, SECOND), Some(2));
        assert_eq!(live(&mut backoff, 10 * SECOND), Some(1));
        assert_eq!(live(&mut backoff, 9 * SECOND), Some(2));
        assert_eq!(live(&mut backoff, 9 * SECOND), None);
    }
}
