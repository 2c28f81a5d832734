//! A loop and the hand-off of it while a call is slow, in every order in which their threads may
//! be scheduled: real but for what the loop drives, and for when time passes.
//!
//! A model's threads are the loop's owner, the watchdog, stand-ins, and the test's own. Who waits
//! in vain shows as a deadlock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;

use super::core::Core;
use super::driver::{self, Driver};
use super::handoff;
use super::mailbox::Mailbox;
use crate::error::Error;
use crate::link::{Place, Reader};
use crate::sync::model::{Bell, check, happened, pass_time_until};
use crate::sync::thread::{Builder, JoinHandle, yield_now};
use crate::sync::{Condvar, Mutex};

/// What the program is to be called with.
type Work = Box<dyn FnOnce() + Send>;

/// What other threads have of a driver: they ask it for calls, and see how it ends.
#[derive(Default)]
struct App {
    /// Which calls are wanted, and whether that is all.
    asked: Mutex<(VecDeque<Work>, bool)>,
    place: Mutex<Option<Place>>,
    is_called: AtomicBool,
    calls: AtomicUsize,
    started: Gate,
    ended: Gate,
}

impl App {
    fn call(&self, work: impl FnOnce() + Send + 'static) {
        self.ask(|(calls, _)| calls.push_back(Box::new(work)));
    }

    /// No more is called.
    fn close(&self) {
        self.ask(|(_, closed)| *closed = true);
    }

    fn ask(&self, ask: impl FnOnce(&mut (VecDeque<Work>, bool))) {
        ask(&mut self.asked.lock().unwrap());
        let place = self.place.lock().unwrap().clone();
        place.iter().for_each(Place::wake);
    }
}

/// Something that is waited for, without a time-out.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
        happened();
    }

    fn is_open(&self) -> bool {
        *self.is_open.lock().unwrap()
    }

    fn wait(&self) {
        let mut is_open = self.is_open.lock().unwrap();
        while !*is_open {
            is_open = self.opened.wait(is_open).unwrap();
        }
    }
}

/// An app on its way to its end, whatever that is.
struct Ending(Arc<App>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.ended.open();
    }
}

/// What the loop drives.
struct Played {
    app: Ending,
    calls: VecDeque<Work>,
    closed: bool,
    is_called: bool,
}

struct Call {
    app: Arc<App>,
    work: Work,
}

impl driver::Job for Call {
    type Done = ();

    fn needs_reader(&self) -> bool {
        false
    }

    fn run(self, _: Option<&Reader>) {
        assert!(!self.app.is_called.swap(true, Ordering::Relaxed), "called twice at once");
        (self.work)();
        self.app.is_called.store(false, Ordering::Relaxed);
        self.app.calls.fetch_add(1, Ordering::Relaxed);
    }
}

impl Driver for Played {
    const MAX_CALLS: usize = usize::MAX;

    type Start = Ending;
    type Job = Call;

    fn start(app: Ending, place: Place, _: &Registry) -> Self {
        *app.0.place.lock().unwrap() = Some(place);
        app.0.started.open();
        let mut played = Played { app, calls: VecDeque::new(), closed: false, is_called: false };
        played.look();
        played
    }

    fn on_event(&mut self, _: &Event) -> bool {
        false
    }

    fn on_wake(&mut self, _: &Registry) {
        self.look();
    }

    fn on_readable(&mut self, _: &mut Reader, _: bool) -> bool {
        false
    }

    fn on_deadline(&mut self, _: Instant) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn take_wants_read(&mut self) -> bool {
        false
    }

    fn has_job(&self) -> bool {
        !self.calls.is_empty() && !self.is_called
    }

    fn take_job(&mut self) -> Option<Call> {
        if self.is_called {
            return None;
        }
        let work = self.calls.pop_front()?;
        self.is_called = true;
        Some(Call { app: Arc::clone(&self.app.0), work })
    }

    fn done(&mut self, (): ()) {
        assert!(std::mem::take(&mut self.is_called), "came back twice");
    }

    fn busy_poll(&self) -> Duration {
        Duration::ZERO
    }

    fn is_finished(&self) -> bool {
        self.closed && self.calls.is_empty() && !self.is_called
    }

    fn finish(self) {}

    fn fail(self, _: &Error) {}
}

impl Played {
    /// Takes what other threads asked for.
    fn look(&mut self) {
        let mut asked = self.app.0.asked.lock().unwrap();
        self.calls.append(&mut asked.0);
        self.closed |= asked.1;
    }
}

/// A loop on a thread of its own.
struct Running {
    mailbox: Arc<Mailbox<Played>>,
    bell: Arc<Bell>,
    failed: Arc<AtomicBool>,
    owner: JoinHandle,
}

impl Running {
    /// One with these apps from the beginning, and no others.
    fn start(apps: &[&Arc<App>]) -> Self {
        let (core, mailbox) = Core::<Played>::new().unwrap();
        for app in apps {
            mailbox.add(Ending(Arc::clone(app))).unwrap();
        }
        mailbox.close();
        Running::of(core, mailbox)
    }

    fn of(core: Box<Core<Played>>, mailbox: Arc<Mailbox<Played>>) -> Self {
        let (failed, bell) = (Arc::<AtomicBool>::default(), core.bell());
        let (for_owner, told) = (Arc::clone(&mailbox), Arc::clone(&failed));
        let run = move || told.store(handoff::run(core, &for_owner).is_err(), Ordering::Relaxed);
        Running { mailbox, bell, failed, owner: Builder::new().spawn(run).unwrap() }
    }

    /// Waits for the end. Returns whether it was in order.
    fn join(self) -> bool {
        self.owner.join();
        !self.failed.load(Ordering::Relaxed)
    }
}

#[test]
fn each_call_is_made_once_and_in_order() {
    check("calls", 3, || {
        let app = Arc::new(App::default());
        let running = Running::start(&[&app]);
        let next = Arc::new(AtomicUsize::new(0));
        for i in 0..2 {
            let next = Arc::clone(&next);
            app.call(move || assert_eq!(next.swap(i + 1, Ordering::Relaxed), i));
        }
        app.close();
        assert!(running.join());
        assert_eq!(app.calls.load(Ordering::Relaxed), 2);
        assert!(app.ended.is_open());
    });
}

#[test]
fn what_is_added_while_the_loop_runs_is_run() {
    check("add", 3, || {
        let (core, mailbox) = Core::<Played>::new().unwrap();
        let running = Running::of(core, mailbox);
        let app = Arc::new(App::default());
        running.mailbox.add(Ending(Arc::clone(&app))).unwrap();
        running.mailbox.close();
        app.call(|| ());
        app.close();
        assert!(running.join());
        assert_eq!(app.calls.load(Ordering::Relaxed), 1);
    });
}

/// An app whose call returns when the first gate opens, and one whose call opens the second.
fn slow_and_other() -> (Running, [Arc<App>; 2], [Arc<Gate>; 2]) {
    let (apps, gates): ([Arc<App>; 2], [Arc<Gate>; 2]) = Default::default();
    let running = Running::start(&apps.each_ref());
    let [slow, other] = gates.clone();
    // The loop and the watchdog have nothing to do yet, and sleep.
    apps[1].started.wait();
    yield_now();
    apps[0].call(move || slow.wait());
    apps[1].call(move || other.open());
    (running, apps, gates)
}

fn calls<const N: usize>(apps: &[Arc<App>; N]) -> [usize; N] {
    apps.each_ref().map(|app| app.calls.load(Ordering::Relaxed))
}

#[test]
fn a_slow_call_holds_up_no_other_app() {
    check("slow call", 1, || {
        let (running, apps, [slow, other]) = slow_and_other();
        apps.iter().for_each(|app| app.close());
        pass_time_until(|| other.is_open());
        slow.open();
        assert!(running.join());
        assert_eq!(calls(&apps), [1, 1]);
    });
}

#[test]
fn an_owner_that_comes_back_gets_the_loop_and_goes_on() {
    check("owner comes back", 1, || {
        let (running, apps, [slow, other]) = slow_and_other();
        pass_time_until(|| other.is_open());
        apps[1].call(|| ());
        slow.open();
        apps[0].call(|| ());
        apps.iter().for_each(|app| app.close());
        assert!(running.join());
        assert_eq!(calls(&apps), [2, 2]);
    });
}

#[test]
fn a_stand_in_whose_call_is_slow_is_stood_in_for() {
    check("slow calls", 1, || {
        let (apps, gates): ([Arc<App>; 3], [Arc<Gate>; 2]) = Default::default();
        let running = Running::start(&apps.each_ref());
        let [(first, second), (opens_first, opens_second)] =
            [(); 2].map(|()| (Arc::clone(&gates[0]), Arc::clone(&gates[1])));
        apps[0].call(move || first.wait());
        apps[1].call(move || {
            second.wait();
            opens_first.open();
        });
        apps[2].call(move || opens_second.open());
        apps.iter().for_each(|app| app.close());
        pass_time_until(|| gates[0].is_open());
        assert!(running.join());
        assert_eq!(calls(&apps), [1; 3]);
    });
}

/// A call may be found slow at any time, and return then.
#[test]
fn a_call_that_returns_while_a_stand_in_comes_is_made_once() {
    check("not so slow", 3, || {
        let app = Arc::<App>::default();
        let running = Running::start(&[&app]);
        app.call(|| ());
        app.call(|| ());
        app.close();
        pass_time_until(|| app.ended.is_open());
        assert!(running.join());
        assert_eq!(app.calls.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn a_loop_that_fails_leaves_nobody_waiting() {
    check("fails", 1, || {
        let (running, apps, [slow, other]) = slow_and_other();
        pass_time_until(|| other.is_open());
        running.bell.break_off();
        slow.open();
        apps.iter().for_each(|app| app.ended.wait());
        let mailbox = Arc::clone(&running.mailbox);
        assert!(!running.join());
        assert!(mailbox.add(Ending(Arc::default())).is_err());
    });
}

/// On its owner's thread, on a stand-in's, or on one that has the loop no more.
#[test]
fn a_call_that_panics_leaves_nobody_waiting() {
    check("panics", 1, || {
        let (apps, gate): ([Arc<App>; 2], Arc<Gate>) = Default::default();
        let running = Running::start(&apps.each_ref());
        let opened = Arc::clone(&gate);
        apps[0].call(move || opened.wait());
        apps[1].call(move || {
            gate.open();
            std::panic::resume_unwind(Box::new("as asked"));
        });
        pass_time_until(|| apps.iter().all(|app| app.ended.is_open()));
        let mailbox = Arc::clone(&running.mailbox);
        assert!(!running.join());
        assert!(mailbox.add(Ending(Arc::default())).is_err());
    });
}
