//! Asks something that knows no deadline: the operating system's resolver, a program's own resolver or connector, a Unix
//! socket whose listener has a full backlog.
//!
//! A detached thread asks and wakes the connecting thread, which never waits for it beyond its own deadline. The answer
//! crosses in a channel; one for which nobody waits any more is dropped when it comes, with the socket that it may be.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread;

use super::waiter::{Failure, Waiter};
use crate::error::{Error, Phase};

pub(super) fn ask<T: Send + 'static>(
    waiter: &mut Waiter<'_>,
    phase: Phase,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let (answer, answers) = mpsc::sync_channel(1);
    let waker = waiter.waker();
    let asks = thread::Builder::new().name("websocket-ask".into()).spawn(move || {
        // A panic is the connecting thread's, which knows what to do with one.
        let answered = catch_unwind(AssertUnwindSafe(ask));
        // Both fail only when nobody waits any more.
        let _ = answer.send(answered);
        let _ = waker.wake();
    });
    asks.map_err(|source| Error::system("a thread to connect with", source))?;
    loop {
        waiter.check(phase)?;
        match answers.try_recv() {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => waiter.wait(phase, None)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::waiter::Cancel;
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn waiter(cancel: &Cancel, timeout: Duration) -> Waiter<'_> {
        Waiter::new("slow:1", timeout, cancel).unwrap_or_else(|e| panic!("{e:?}"))
    }

    #[test]
    fn an_answer_comes_through() {
        let cancel = Cancel::new();
        assert_eq!(ask(&mut waiter(&cancel, LONG), Phase::Resolve, || 7).unwrap_or_default(), 7);
    }

    #[test]
    fn what_never_answers_outlasts_neither_the_deadline_nor_a_cancel() {
        let (release, released) = mpsc::channel::<()>();
        let cancel = Cancel::new();
        let late = ask(&mut waiter(&cancel, Duration::from_millis(20)), Phase::Resolve, move || released.recv());
        assert!(matches!(late, Err(Failure::Error(Error::Timeout { phase: Phase::Resolve, .. }))), "{late:?}");
        drop(release);

        let (release, released) = mpsc::channel::<()>();
        let (asked, was_asked) = mpsc::channel();
        let canceller = cancel.clone();
        let canceller = thread::spawn(move || {
            let _ = was_asked.recv();
            canceller.cancel();
        });
        let cancelled = ask(&mut waiter(&cancel, LONG), Phase::Connect, move || {
            let _ = asked.send(());
            released.recv()
        });
        assert!(matches!(cancelled, Err(Failure::Cancelled)), "{cancelled:?}");
        drop(release);
        canceller.join().unwrap();
    }

    #[test]
    fn a_panic_is_the_connecting_threads() {
        let panicked = catch_unwind(|| {
            let cancel = Cancel::new();
            let _ = ask(&mut waiter(&cancel, LONG), Phase::Resolve, || panic!("not to be answered"));
        });
        assert!(panicked.is_err());
    }
}
