//! Bounds every wait: a [`Task`] that must end, a [`Gate`] that must open, and a [`Watchdog`] for
//! what hangs all the same.

use std::fmt;
use std::io::{self, Write};
use std::panic;
use std::process;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// How long anything is waited for. No test needs a noticeable part of it: it only tells "slow"
/// from "never".
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// After this long a test hangs: longer than a few waits of [`PATIENCE`] in a row, which tell more.
const HOPE: Duration = Duration::from_secs(60);

/// Work on a thread of its own that must end in time. Dropping it joins it.
pub(crate) struct Task<T> {
    what: String,
    outcome: Receiver<T>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Task<T> {
    /// Starts the work on a thread that is named after the test.
    pub(crate) fn start(
        what: impl fmt::Display,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Self {
        let (done, outcome) = bounded(1);
        let thread = thread::Builder::new()
            .name(format!("{}, {what}", thread::current().name().unwrap_or("a test")))
            .spawn(move || done.send(work()).unwrap_or_default())
            .unwrap();
        Task { what: what.to_string(), outcome, thread: Some(thread) }
    }

    /// Waits for the work's result; a panic of its thread goes on here.
    pub(crate) fn join(mut self) -> T {
        self.wait().expect("the thread sends its result or panics")
    }
}

impl<T> Task<T> {
    /// Returns whether its result is there.
    #[cfg(feature = "server")]
    pub(crate) fn is_over(&self) -> bool {
        !self.outcome.is_empty()
    }

    /// For a message only.
    pub(crate) fn result_if_over(self) -> Option<T> {
        self.outcome.recv_timeout(Duration::from_millis(100)).ok()
    }

    fn wait(&mut self) -> Option<T> {
        let thread = self.thread.take()?;
        match self.outcome.recv_timeout(PATIENCE) {
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} has not ended within {PATIENCE:?}", self.what)
            }
            outcome => match thread.join() {
                Ok(()) => outcome.ok(),
                Err(panicked) => panic::resume_unwind(panicked),
            },
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        // A test that fails already has a better message than a late thread's.
        if !thread::panicking() {
            self.wait();
        }
    }
}

/// Runs what may block for ever, on a thread of its own, and gives its result or fails.
pub(crate) fn within<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    Task::start(what, work).join()
}

/// Does something with each at the same time, so that what all of them wait for is waited for once.
pub(crate) fn at_once<T: Send>(each: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        let start = |one| {
            // Named after the test.
            let thread = thread::Builder::new()
                .name(thread::current().name().unwrap_or("a test").to_owned());
            thread.spawn_scoped(scope, || work(one)).unwrap()
        };
        let threads: Vec<_> = each.into_iter().map(start).collect();
        threads.into_iter().for_each(|thread| {
            thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
        });
    });
}

/// A point that some threads wait at until another opens it, for good.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn new() -> Self {
        Gate::default()
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        assert!(self.opens(), "nobody opened the gate within {PATIENCE:?}");
    }

    /// Waits, and tells whether it was opened in time.
    pub(crate) fn opens(&self) -> bool {
        let open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        *self
            .0
            .1
            .wait_timeout_while(open, PATIENCE, |open| !*open)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

/// Looks until something is so, where nothing tells of it.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not so within {PATIENCE:?}");
        // Others need the processor, those that are to make it so among them.
        thread::sleep(Duration::from_micros(200));
    }
}

/// Ends the whole run, with a message, when the test that made it is not done long after every wait
/// should have failed.
pub(crate) struct Watchdog {
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    pub(crate) fn new() -> Self {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        let (alive, watched) = bounded::<()>(0);
        let thread = thread::spawn(move || {
            if watched.recv_timeout(HOPE) == Err(RecvTimeoutError::Timeout) {
                // Not by `eprintln!`, which a test run captures and would not show any more.
                let _ = io::stderr()
                    .write_all(format!("\n{test} hangs: not done after {HOPE:?}\n").as_bytes());
                process::exit(101);
            }
        });
        Watchdog { alive: Some(alive), thread: Some(thread) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it only waits");
        }
    }
}
