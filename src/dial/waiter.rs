//! Waits for sockets, a lookup, the deadline or a cancellation, whichever comes first: the only
//! place where connecting blocks.
//!
//! A [`Waiter`] belongs to one connect and lives on its thread. [`Cancel`] is the part that other
//! threads touch; one lock guards it, held for a few instructions and never while waiting.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token, Waker};

use crate::error::{Error, Phase};
use crate::reconnect::Attempt;
use crate::transport::Stream;
use crate::transport::tls::own_error;

/// The waker's token. Sockets get [`SOCKET`]: whoever waits tries its sockets again anyway, so it
/// need not know which.
const WAKER: Token = Token(0);
pub(super) const SOCKET: Token = Token(1);

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It did not work.
    Error(Error),
    /// [`Cancel::cancel`] was called.
    Cancelled,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

/// Ends a connect from any thread at any time, before it begins too. Serves one connect at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancel(Arc<Mutex<CancelState>>);

#[derive(Debug, Default)]
struct CancelState {
    /// Never goes back to false.
    cancelled: bool,
    /// Of the connect that is under way.
    waker: Option<Arc<Waker>>,
}

impl Cancel {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Makes [`connect`](super::connect) return at once, and every later one that is given the same
    /// `Cancel`.
    pub(crate) fn cancel(&self) {
        let waker = {
            let mut state = self.lock();
            state.cancelled = true;
            state.waker.take()
        };
        if let Some(waker) = waker
            && let Err(error) = waker.wake()
        {
            log::warn!(target: super::LOG, "a connect could not be woken to be cancelled, it ends by its deadline: {error}");
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    fn lock(&self) -> MutexGuard<'_, CancelState> {
        // Nothing in here can panic half-way, so what a poisoned lock guards is still right.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connect's deadline, its cancellation, and what it waits on.
pub(super) struct Waiter<'a> {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    /// None where the limit is beyond what the clock can count.
    deadline: Option<Instant>,
    /// The limit itself and the peer's name: what a timeout error tells.
    timeout: Duration,
    peer: Box<str>,
    cancel: &'a Cancel,
    /// What the program's closures are told.
    attempt: Attempt,
}

impl<'a> Waiter<'a> {
    pub(super) fn new(peer: &str, timeout: Duration, cancel: &'a Cancel) -> Result<Self, Failure> {
        let deadline = Instant::now().checked_add(timeout);
        let no_poll = |source| Error::system("a way to wait for sockets", source);
        let poll = Poll::new().map_err(no_poll)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(no_poll)?);
        let mut state = cancel.lock();
        if state.cancelled {
            return Err(Failure::Cancelled);
        }
        state.waker = Some(waker.clone());
        drop(state);
        // One wake-up carries few events: the sockets of one race at most, and the rest come with
        // the next.
        Ok(Waiter {
            poll,
            events: Events::with_capacity(8),
            waker,
            deadline,
            timeout,
            peer: peer.into(),
            cancel,
            attempt: Attempt::new(),
        })
    }

    /// Says which attempt this is. Without that it is the first.
    pub(super) fn set_attempt(&mut self, attempt: &Attempt) {
        self.attempt = attempt.clone();
    }

    pub(super) fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// Names whom the connection is talking to, in errors.
    pub(super) fn peer(&self) -> &str {
        &self.peer
    }

    /// From here on it is somebody else: a proxy, or the server again.
    pub(super) fn set_peer(&mut self, peer: &str) {
        self.peer = peer.into();
    }

    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Ends a [`wait`](Self::wait) from another thread.
    pub(super) fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// Returns how long until the deadline, or `None` where there is none.
    #[cfg(unix)]
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Does something that may take no more than half of the time that is left, as there is
    /// something else to try.
    pub(super) fn in_half_the_time<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let (whole, now) = (self.deadline, Instant::now());
        self.deadline = whole.map(|deadline| now + deadline.saturating_duration_since(now) / 2);
        let done = work(self);
        self.deadline = whole;
        done
    }

    /// Fails when the connect was cancelled or its time is over.
    pub(super) fn check(&self, phase: Phase) -> Result<(), Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(
                Error::Timeout { phase, peer: self.peer.clone(), after: self.timeout }.into()
            );
        }
        Ok(())
    }

    /// Waits until something may have become ready, or until `until`. May return early: the caller
    /// tries again.
    pub(super) fn wait(&mut self, phase: Phase, until: Option<Instant>) -> Result<(), Failure> {
        loop {
            self.check(phase)?;
            let now = Instant::now();
            if until.is_some_and(|until| now >= until) {
                return Ok(());
            }
            let first = [self.deadline, until].into_iter().flatten().min();
            match self
                .poll
                .poll(&mut self.events, first.map(|first| first.saturating_duration_since(now)))
            {
                Ok(()) if self.events.is_empty() => {}
                Ok(()) if self.cancel.is_cancelled() => return Err(Failure::Cancelled),
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::system("news of sockets", source).into()),
            }
        }
    }

    /// Does a non-blocking operation until it is done, waiting whenever it would block.
    pub(super) fn retry<T>(
        &mut self,
        phase: Phase,
        mut operation: impl FnMut() -> io::Result<T>,
    ) -> Result<T, Failure> {
        loop {
            // Each time, not only when waiting: a peer that drips bytes must not outlast the
            // deadline.
            self.check(phase)?;
            match operation() {
                Ok(done) => return Ok(done),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(phase, None)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(phase, error)),
            }
        }
    }

    /// Writes all of it, waiting whenever the socket is full.
    pub(super) fn send(
        &mut self,
        phase: Phase,
        mut bytes: &[u8],
        stream: &Stream,
    ) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let written = self.retry(phase, || stream.write(bytes))?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Sorts an I/O error: what a TLS session makes itself is the refusal of whom it is with, the
    /// server or a proxy before it (TLS 1.3 sends that after the handshake); everything else is the
    /// network's.
    fn failed(&self, phase: Phase, error: io::Error) -> Failure {
        own_error(error).unwrap_or_else(|error| Error::network(phase, &self.peer, error)).into()
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        // A `Cancel` may live as long as the app; the poll must not stay open for its waker.
        self.cancel.lock().waker = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_before_the_wait_ends_it_at_once() {
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(matches!(Waiter::new("peer:1", Duration::MAX, &cancel), Err(Failure::Cancelled)));
    }

    #[test]
    fn a_cancel_during_the_wait_ends_it() {
        let cancel = Cancel::new();
        let mut waiter =
            Waiter::new("peer:1", Duration::MAX, &cancel).unwrap_or_else(|e| panic!("{e:?}"));
        std::thread::scope(|scope| {
            scope.spawn(|| cancel.cancel());
            assert!(matches!(waiter.wait(Phase::Connect, None), Err(Failure::Cancelled)));
        });
        assert!(matches!(waiter.retry(Phase::Tls, || Ok(())), Err(Failure::Cancelled)));
    }

    #[test]
    fn a_wait_ends_at_its_own_time_and_at_the_deadline() {
        let cancel = Cancel::new();
        let timeout = Duration::from_millis(20);
        let mut waiter =
            Waiter::new("peer:1", timeout, &cancel).unwrap_or_else(|e| panic!("{e:?}"));
        assert!(waiter.wait(Phase::Tls, Some(Instant::now())).is_ok());
        let Err(Failure::Error(error)) = waiter.wait(Phase::Tls, None) else {
            panic!("no timeout")
        };
        let told = "TLS handshake with peer:1: not done within the connect_timeout of 20ms (does it speak TLS on this port?)";
        assert_eq!(error.to_string(), told);
    }

    #[test]
    fn half_the_time_is_for_that_alone() {
        let cancel = Cancel::new();
        let mut waiter = Waiter::new("peer:1", Duration::from_secs(3600), &cancel)
            .unwrap_or_else(|e| panic!("{e:?}"));
        let whole = waiter.deadline.unwrap();
        let left = waiter.in_half_the_time(|waiter| {
            waiter.in_half_the_time(|waiter| {
                waiter.deadline.unwrap().saturating_duration_since(Instant::now())
            })
        });
        assert!(left <= Duration::from_secs(900) && left > Duration::from_secs(600), "{left:?}");
        assert_eq!(waiter.deadline, Some(whole));
    }

    #[test]
    fn an_operation_that_never_blocks_still_meets_the_deadline() {
        let cancel = Cancel::new();
        let mut waiter = Waiter::new("peer:1", Duration::from_millis(5), &cancel)
            .unwrap_or_else(|e| panic!("{e:?}"));
        let ended = waiter.retry::<()>(Phase::Upgrade, || Err(ErrorKind::Interrupted.into()));
        assert!(
            matches!(ended, Err(Failure::Error(Error::Timeout { phase: Phase::Upgrade, .. }))),
            "{ended:?}"
        );
    }
}
