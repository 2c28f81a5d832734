//! The checker's counterparts of what [`sync`](super) has, and how a model is run.
//!
//! The clock stands still but for a [tick](TICK) whenever time passes. A wait for [`LONG`] or more ends
//! only by being woken, so that a wake-up which is lost shows as a deadlock; a shorter one ends too
//! when the model has [time pass](pass_time_until), before or after whatever else happens.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, LockResult, Once};
use std::time::{Duration, Instant};
use std::{fmt, io, panic};

pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
use mio::{Events, Registry, Token};

const LONG: Duration = Duration::from_secs(3600);

/// As long as the shortest wait.
const TICK: Duration = Duration::from_millis(1);

/// Runs a model in every order that matters in which its threads can go on, up to so many
/// preemptions in each, or up to `MODEL_PREEMPTIONS`. Prints how many those were. `MODEL_SECONDS`
/// limits the time, for a look at a model that takes long.
pub(crate) fn check(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let set = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let preemptions = set("MODEL_PREEMPTIONS").unwrap_or(preemptions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    builder.checkpoint_interval = 100;
    builder.max_duration = set("MODEL_SECONDS").map(|seconds| Duration::from_secs(seconds as u64));
    tell_of_failures();
    let began = Instant::now();
    RUNNING.set(Some((name.to_owned(), 0)));
    builder.check(move || {
        RUNNING.with_borrow_mut(|running| {
            running.iter_mut().for_each(|(_, schedules)| *schedules += 1)
        });
        World::make();
        model();
        end();
    });
    if let Some((name, schedules)) = RUNNING.take() {
        let (took, time) = (began.elapsed(), builder.max_duration);
        let which = if time.is_some_and(|time| took >= time) {
            "some of those with up to"
        } else {
            "all with up to"
        };
        println!(
            "{name} holds in {schedules} schedules, {which} {preemptions} preemptions, {:.1} s",
            took.as_secs_f32()
        );
    }
}

/// Says in which schedule a model failed. A panic in one may be the last thing that its process
/// does.
fn tell_of_failures() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            tell(panic);
            if let Some((name, schedules)) = RUNNING.take() {
                println!("{name} failed in the last of {schedules} schedules");
            }
        }));
    });
}

std::thread_local! {
    /// The name of the model that runs on this thread, and how many schedules there have been.
    static RUNNING: RefCell<Option<(String, usize)>> = const { RefCell::new(None) };
    /// What that has around it: its threads take turns on this one.
    static WORLD: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
}

/// What the threads of a model have around them.
struct World {
    waits: Mutex<Waits>,
    /// Signalled when a thread begins to wait for time to pass, or need not any more.
    begun: Condvar,
    /// Threads that nobody joins, and how many there are in all.
    detached: std::sync::Mutex<Vec<loom::thread::JoinHandle<()>>>,
    threads: AtomicUsize,
    /// How often time has passed, for who looks at the clock: that is no step of a model's.
    ticks: AtomicU32,
}

#[derive(Default)]
struct Waits {
    /// How often time has passed.
    passed: usize,
    /// The model is over: nothing is waited for any more.
    is_over: bool,
    /// By what threads wait for time to pass, and since when.
    waiting: Vec<(usize, Arc<loom::sync::Condvar>)>,
}

impl World {
    fn make() {
        let (waits, begun, detached) =
            (Mutex::default(), Condvar::default(), std::sync::Mutex::default());
        let (threads, ticks) = (AtomicUsize::new(1), AtomicU32::new(0));
        let world = World { waits, begun, detached, threads, ticks };
        WORLD.set(Some(Arc::new(world)));
    }

    fn current() -> Arc<World> {
        WORLD.with_borrow(Option::clone).expect("in a model")
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap()
    }

    /// Begins to wait; returns since when, unless the model is over.
    fn begin(&self, condvar: &Arc<loom::sync::Condvar>) -> Option<usize> {
        let mut waits = self.waits();
        let since = waits.passed;
        (!waits.is_over).then(|| {
            waits.waiting.push((since, Arc::clone(condvar)));
            self.begun.notify_all();
            since
        })
    }

    fn end(&self, since: usize, condvar: &Arc<loom::sync::Condvar>) {
        let mut waits = self.waits();
        let at =
            waits.waiting.iter().position(|wait| wait.0 == since && Arc::ptr_eq(&wait.1, condvar));
        waits.waiting.swap_remove(at.unwrap());
    }
}

/// Has time pass once, when a thread waits for that.
pub(crate) fn pass_time_when_waited_for() {
    let world = World::current();
    let mut waits = world.waits();
    while waits.waiting.is_empty() {
        waits = world.begun.wait(waits).unwrap();
    }
    drop(waits);
    pass_time();
}

/// Has time pass: ends the waits that have a time-out and have begun.
fn pass_time() {
    let world = World::current();
    let now = {
        let mut waits = world.waits();
        waits.passed += 1;
        world.ticks.fetch_add(1, Ordering::Relaxed);
        waits.passed
    };
    loop {
        let late: Vec<_> = world
            .waits()
            .waiting
            .iter()
            .filter(|wait| wait.0 < now)
            .map(|wait| wait.1.clone())
            .collect();
        if late.is_empty() {
            return;
        }
        // One that has only just begun may not hear it the first time.
        late.iter().for_each(|condvar| condvar.notify_all());
        loom::thread::yield_now();
    }
}

/// Has time pass whenever a thread waits for that, until something has happened that [`happened`]
/// tells of.
pub(crate) fn pass_time_until(it_is_so: impl Fn() -> bool) {
    let world = World::current();
    loop {
        let mut waits = world.waits();
        while waits.waiting.is_empty() && !it_is_so() {
            waits = world.begun.wait(waits).unwrap();
        }
        drop(waits);
        if it_is_so() {
            return;
        }
        pass_time();
    }
}

/// Something has happened for which time may be passing.
pub(crate) fn happened() {
    let world = World::current();
    let _waits = world.waits();
    world.begun.notify_all();
}

/// Waits for the end of the threads that nobody joins.
fn end() {
    let world = World::current();
    world.waits().is_over = true;
    pass_time();
    loop {
        let thread = world.detached.lock().unwrap().pop();
        match thread {
            Some(thread) => thread.join().unwrap(),
            None => break,
        }
    }
    WORLD.set(None);
}

pub(crate) fn now() -> Instant {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let ticks = |world: &Arc<World>| world.ticks.load(Ordering::Relaxed);
    *BEGAN + TICK * WORLD.with_borrow(|world| world.as_ref().map_or(0, ticks))
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(Arc<loom::sync::Condvar>);

impl Condvar {
    pub(crate) fn new() -> Self {
        Condvar::default()
    }

    #[track_caller]
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    /// Whether the time was over is not told, since nobody asks.
    #[track_caller]
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        if timeout >= LONG {
            return Ok((self.0.wait(guard).unwrap(), ()));
        }
        let world = World::current();
        if let Some(since) = world.begin(&self.0) {
            guard = self.0.wait(guard).unwrap();
            world.end(since, &self.0);
        } else {
            world.ticks.fetch_add(1, Ordering::Relaxed);
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

    use std::sync::atomic::Ordering;

    use super::World;
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
            // The checker allows no more; a program may not be able to start one either.
            if World::current().threads.fetch_add(1, Ordering::Relaxed) >= loom::MAX_THREADS {
                return Err(io::ErrorKind::WouldBlock.into());
            }
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
            if let Some(thread) = self.0.take() {
                World::current().detached.lock().unwrap().push(thread);
            }
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
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        $(loom::thread_local! {
            $(#[$attribute])*
            static $name: $type = $value;
        })*
    };
}
pub(crate) use model_thread_local as thread_local;

/// What a poll waits by: its waker rings it, and so does a model's socket.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    ringing: Condvar,
    /// The poll fails when it looks next.
    broken: AtomicBool,
}

impl Bell {
    pub(crate) fn break_off(&self) {
        self.broken.store(true, Ordering::Relaxed);
        self.ring();
    }

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

    pub(crate) fn poll(
        &mut self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let bell = &self.registry.bell;
        let mut rung = bell.rung.lock().unwrap();
        while !*rung && timeout != Some(Duration::ZERO) {
            rung = bell.ringing.wait(rung).unwrap();
        }
        *rung = false;
        if bell.broken.load(Ordering::Relaxed) {
            return Err(io::Error::other("a poll that fails"));
        }
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
