//! Asks something that knows no deadline: the operating system's resolver, a program's own resolver
//! or connector, a Unix socket whose listener has a full backlog.
//!
//! A detached thread asks and wakes the connecting thread, which never waits for it beyond its own
//! deadline. The answer crosses in a channel; one for which nobody waits any more is dropped when
//! it comes, with the socket that it may be.
//!
//! A question that is never answered keeps its thread. An app that goes on trying asks no more when
//! it has left a few behind.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread;

use super::waiter::{Failure, Waiter};
use crate::error::{Error, Phase};
use crate::route::Unanswered;

/// How many questions of an app may be without an answer: more than slow name servers ever leave
/// behind, few enough to be no burden.
const MAX_UNANSWERED: usize = 8;

pub(super) fn ask<T: Send + 'static>(
    waiter: &mut Waiter<'_>,
    phase: Phase,
    unanswered: &Unanswered,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let before = unanswered.count();
    if before >= MAX_UNANSWERED {
        return Err(Error::network(phase, waiter.peer(), hanging(phase, before)).into());
    }
    let question = unanswered.another();
    let (answer, answers) = mpsc::sync_channel(1);
    let waker = waiter.waker();
    let asks = thread::Builder::new().name("websocket-ask".into()).spawn(move || {
        // A panic is the connecting thread's, which knows what to do with one.
        let answered = catch_unwind(AssertUnwindSafe(ask));
        drop(question);
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

fn hanging(phase: Phase, attempts: usize) -> io::Error {
    let hint = match phase {
        Phase::Resolve => "does the resolver ever answer?",
        _ => "does the connector ever return?",
    };
    let problem = format!(
        "{attempts} earlier attempts still hang in that, there is no other until one of them ends ({hint})"
    );
    io::Error::new(ErrorKind::ResourceBusy, problem)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::waiter::Cancel;
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn waiter(cancel: &Cancel, timeout: Duration) -> Waiter<'_> {
        Waiter::new("slow:1", timeout, cancel).unwrap_or_else(|e| panic!("{e:?}"))
    }

    fn none() -> Unanswered {
        Unanswered::default()
    }

    #[test]
    fn an_answer_comes_through() {
        let cancel = Cancel::new();
        assert_eq!(
            ask(&mut waiter(&cancel, LONG), Phase::Resolve, &none(), || 7).unwrap_or_default(),
            7
        );
    }

    #[test]
    fn what_never_answers_outlasts_neither_the_deadline_nor_a_cancel() {
        let (release, released) = mpsc::channel::<()>();
        let cancel = Cancel::new();
        let soon = Duration::from_millis(20);
        let late =
            ask(&mut waiter(&cancel, soon), Phase::Resolve, &none(), move || released.recv());
        assert!(
            matches!(late, Err(Failure::Error(Error::Timeout { phase: Phase::Resolve, .. }))),
            "{late:?}"
        );
        drop(release);

        let (release, released) = mpsc::channel::<()>();
        let (asked, was_asked) = mpsc::channel();
        let canceller = cancel.clone();
        let canceller = thread::spawn(move || {
            let _ = was_asked.recv();
            canceller.cancel();
        });
        let cancelled = ask(&mut waiter(&cancel, LONG), Phase::Connect, &none(), move || {
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
            let _ = ask(&mut waiter(&cancel, LONG), Phase::Resolve, &none(), || {
                panic!("not to be answered")
            });
        });
        assert!(panicked.is_err());
    }

    #[test]
    fn nobody_is_asked_while_eight_questions_have_no_answer() {
        let (cancel, unanswered) = (Cancel::new(), none());
        let hangs = || {
            let (release, released) = mpsc::channel::<()>();
            let mut waiter = waiter(&cancel, Duration::ZERO);
            let late = ask(&mut waiter, Phase::Resolve, &unanswered, move || released.recv());
            assert!(matches!(late, Err(Failure::Error(Error::Timeout { .. }))), "{late:?}");
            release
        };
        let releases: Vec<_> = std::iter::repeat_with(hangs).take(8).collect();
        let ninth = ask(&mut waiter(&cancel, LONG), Phase::Resolve, &unanswered, || {
            panic!("asked a ninth time")
        });
        let Err(Failure::Error(error)) = ninth else { panic!("{ninth:?}") };
        assert!(
            error.to_string().starts_with("looking up slow:1: 8 earlier attempts still hang"),
            "{error}"
        );
        // Another app has nothing to do with that.
        assert!(ask(&mut waiter(&cancel, LONG), Phase::Resolve, &none(), || ()).is_ok());
        // When they have ended, all is well again.
        drop(releases);
        let deadline = Instant::now() + LONG;
        while unanswered.count() > 0 {
            assert!(Instant::now() < deadline, "{} have not ended", unanswered.count());
            thread::yield_now();
        }
        assert!(ask(&mut waiter(&cancel, LONG), Phase::Resolve, &unanswered, || ()).is_ok());
    }
}
