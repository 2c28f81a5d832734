//! The checker's counterparts of what [`sync`](super) has, and how a model is run.
//!
//! The clock stands still, and how a wait that is not for ever ends depends on how long it may take. Up to [`SHORT`] it is
//! a look now and then, and ends as soon as another thread has done something. From [`LONG`] on it ends only by being woken,
//! so that a wake-up which is lost shows as a deadlock. Between them, it ends when the model has [time pass](pass_time).

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, LockResult, TryLockError, TryLockResult};
use std::time::{Duration, Instant};
use std::{fmt, io};

pub(crate) use loom::sync::atomic;
use mio::{Events, Registry, Token};

const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(3600);

/// Runs a model in every order that matters in which its threads can go on, up to so many preemptions in each, or up to
/// `MODEL_PREEMPTIONS`. Prints how many those were. `MODEL_SECONDS` limits the time, for a look at a model that takes long.
pub(crate) fn check(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let set = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(set("MODEL_PREEMPTIONS").unwrap_or(preemptions));
    builder.max_branches = 10_000;
    builder.checkpoint_interval = 100;
    builder.max_duration = set("MODEL_SECONDS").map(|seconds| Duration::from_secs(seconds as u64));
    let schedules = Arc::new(Schedules { name: name.to_owned(), began: Instant::now(), run: AtomicUsize::new(0) });
    let counted = Arc::clone(&schedules);
    builder.check(move || {
        counted.run.fetch_add(1, Ordering::Relaxed);
        TIME.with(|time| *time.borrow_mut() = Time::default());
        model();
        end();
    });
}

/// Says how many there were, also when one of them failed.
struct Schedules {
    name: String,
    began: Instant,
    run: AtomicUsize,
}

impl Drop for Schedules {
    fn drop(&mut self) {
        let (run, failed) = (self.run.load(Ordering::Relaxed), std::thread::panicking());
        let outcome = if failed { "failed in the last of" } else { "holds in" };
        println!("{} {outcome} {run} schedules, {:.1} s", self.name, self.began.elapsed().as_secs_f32());
    }
}

std::thread_local! {
    /// Of the model that runs on this thread: its threads take turns on it.
    static TIME: RefCell<Time> = RefCell::default();
}

/// No step of a model: what it changes shows where somebody is woken.
#[derive(Default)]
struct Time {
    passed: usize,
    /// The model is over: nothing is waited for any more.
    is_over: bool,
    /// Who waits for time to pass, and since when.
    waiting: Vec<(usize, Arc<loom::sync::Condvar>)>,
    /// Threads that nobody joins.
    detached: Vec<loom::thread::JoinHandle<()>>,
}

/// Ends the waits that are neither short nor long and have begun.
pub(crate) fn pass_time() {
    let now = TIME.with(|time| {
        time.borrow_mut().passed += 1;
        time.borrow().passed
    });
    loop {
        let late = TIME.with(|time| {
            let waiting = &time.borrow().waiting;
            waiting.iter().filter(|(since, _)| *since < now).map(|(_, condvar)| condvar.clone()).collect::<Vec<_>>()
        });
        if late.is_empty() {
            return;
        }
        late.iter().for_each(|condvar| condvar.notify_all());
        loom::thread::yield_now();
    }
}

/// Waits for the end of the threads that nobody joins.
fn end() {
    TIME.with(|time| time.borrow_mut().is_over = true);
    pass_time();
    while let Some(thread) = TIME.with(|time| time.borrow_mut().detached.pop()) {
        thread.join().unwrap();
    }
}

/// Returns a time that does not pass.
pub(crate) fn now() -> Instant {
    static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);
    *NOW
}

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// There but for the moment in which a condition variable has it.
    held: Option<loom::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(loom::sync::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(MutexGuard { mutex: self, held: self.0.lock().ok() })
    }

    #[allow(dead_code)]
    #[track_caller]
    pub(crate) fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(held) => Ok(MutexGuard { mutex: self, held: Some(held) }),
            Err(_) => Err(TryLockError::WouldBlock),
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().unwrap()
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().unwrap()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(Arc<loom::sync::Condvar>);

impl Condvar {
    pub(crate) fn new() -> Self {
        Condvar::default()
    }

    #[track_caller]
    pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        guard.held = self.0.wait(guard.held.take().unwrap()).ok();
        Ok(guard)
    }

    /// Whether the time was over is not told, since nobody asks.
    #[track_caller]
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        if timeout >= LONG {
            return Ok((self.wait(guard).unwrap(), ()));
        }
        if timeout < SHORT {
            guard.held = None;
            loom::thread::yield_now();
            guard.held = guard.mutex.0.lock().ok();
            return Ok((guard, ()));
        }
        let begun = TIME.with(|time| {
            let mut time = time.borrow_mut();
            let begun = (time.passed, Arc::clone(&self.0));
            (!time.is_over).then(|| time.waiting.push(begun)).is_some()
        });
        if begun {
            guard = self.wait(guard).unwrap();
            TIME.with(|time| {
                let waiting = &mut time.borrow_mut().waiting;
                let at = waiting.iter().position(|(_, condvar)| Arc::ptr_eq(condvar, &self.0));
                waiting.remove(at.unwrap());
            });
        }
        Ok((guard, ()))
    }

    #[track_caller]
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    #[track_caller]
    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

pub(crate) mod thread {
    use std::io;

    use super::TIME;
    pub(crate) use loom::thread::{ThreadId, current, yield_now};

    /// In words. What the checker gives by itself is little for code without optimisations.
    const STACK: usize = 0x8000;

    pub(crate) struct Builder(loom::thread::Builder);

    impl Builder {
        pub(crate) fn new() -> Self {
            Builder(loom::thread::Builder::new().stack_size(STACK))
        }

        pub(crate) fn name(self, name: String) -> Self {
            Builder(self.0.name(name))
        }

        pub(crate) fn spawn(self, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle> {
            Ok(JoinHandle(Some(self.0.spawn(run)?)))
        }
    }

    /// Of a thread that is joined, now or when the model is over.
    pub(crate) struct JoinHandle(Option<loom::thread::JoinHandle<()>>);

    impl JoinHandle {
        #[track_caller]
        pub(crate) fn join(mut self) {
            self.0.take().unwrap().join().unwrap();
        }
    }

    impl Drop for JoinHandle {
        fn drop(&mut self) {
            TIME.with(|time| time.borrow_mut().detached.extend(self.0.take()));
        }
    }
}

macro_rules! process_wide {
    (static $name:ident: $type:ty = $value:expr;) => {
        loom::lazy_static! {
            static ref $name: $type = $value;
        }
    };
}
pub(crate) use process_wide;

macro_rules! model_thread_local {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = const { $value:expr };) => {
        loom::thread_local! {
            $(#[$attribute])*
            static $name: $type = $value;
        }
    };
}
pub(crate) use model_thread_local as thread_local;

/// What a poll waits by: its waker rings it, and so does a model's socket.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    ringing: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.ringing.notify_one();
    }
}

/// mio's own, which finds the waker's event, after a wait that the checker sees.
pub(crate) struct Poll {
    mio: mio::Poll,
    registry: PollRegistry,
}

/// mio's own, and what its poll waits by.
pub(crate) struct PollRegistry {
    mio: Registry,
    bell: Arc<Bell>,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        let mio = mio::Poll::new()?;
        let registry = PollRegistry { mio: mio.registry().try_clone()?, bell: Arc::default() };
        Ok(Poll { mio, registry })
    }

    pub(crate) fn registry(&self) -> &PollRegistry {
        &self.registry
    }

    pub(crate) fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let bell = &self.registry.bell;
        let mut rung = bell.rung.lock().unwrap();
        while !*rung && timeout.is_none_or(|timeout| timeout >= SHORT) {
            rung = bell.ringing.wait(rung).unwrap();
        }
        *rung = false;
        self.mio.poll(events, Some(Duration::ZERO))
    }
}

impl PollRegistry {
    pub(crate) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }
}

impl Deref for PollRegistry {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.mio
    }
}

pub(crate) struct Waker {
    mio: mio::Waker,
    bell: Arc<Bell>,
}

impl Waker {
    pub(crate) fn new(registry: &PollRegistry, token: Token) -> io::Result<Self> {
        Ok(Waker { mio: mio::Waker::new(&registry.mio, token)?, bell: Arc::clone(&registry.bell) })
    }

    pub(crate) fn wake(&self) -> io::Result<()> {
        self.mio.wake()?;
        self.bell.ring();
        Ok(())
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}
