//! The checker's counterparts of what [`sync`](super) has, and how a model is run.
//!
//! Time stands still: a wait that is given long ends only by being woken, so that a wake-up which is lost shows as a
//! deadlock. One that is given less than [`LONG`] is a look now and then: it ends as soon as another thread has done
//! something.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, LockResult, TryLockError, TryLockResult};
use std::time::{Duration, Instant};
use std::{fmt, io};

pub(crate) use loom::sync::atomic;
use mio::{Events, Registry, Token};

const LONG: Duration = Duration::from_secs(1);

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
        model();
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

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(MutexGuard { mutex: self, held: self.0.lock().ok() })
    }

    #[allow(dead_code)]
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
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Condvar::default()
    }

    pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        guard.held = self.0.wait(guard.held.take().unwrap()).ok();
        Ok(guard)
    }

    /// Whether the time was over is not told, since nobody asks.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        if timeout >= LONG {
            return Ok((self.wait(guard).unwrap(), ()));
        }
        guard.held = None;
        loom::thread::yield_now();
        guard.held = guard.mutex.0.lock().ok();
        Ok((guard, ()))
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

pub(crate) mod thread {
    use std::io;

    pub(crate) use loom::thread::{JoinHandle, ThreadId, current, yield_now};

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

        pub(crate) fn spawn<T: Send + 'static>(
            self,
            run: impl FnOnce() -> T + Send + 'static,
        ) -> io::Result<JoinHandle<T>> {
            self.0.spawn(run)
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

/// Whether a poll has been woken, and how it waits for that.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    ringing: Condvar,
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
        while !*rung && timeout.is_none_or(|timeout| timeout >= LONG) {
            rung = bell.ringing.wait(rung).unwrap();
        }
        *rung = false;
        self.mio.poll(events, Some(Duration::ZERO))
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
        *self.bell.rung.lock().unwrap() = true;
        self.bell.ringing.notify_one();
        Ok(())
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}
