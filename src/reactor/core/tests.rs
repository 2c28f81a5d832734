//! The loop's turns, with drivers that need no socket: some have calls to make, others read, and each
//! says when it had its turn. One thread; nothing is waited for but a deadline.

use std::sync::Mutex;

use super::*;

/// Asks for one call after another, where one at a time is made.
struct Caller {
    name: char,
    calls: usize,
    is_busy: bool,
}

struct Called(char);

impl Job for Called {
    type Done = ();

    fn needs_reader(&self) -> bool {
        false
    }

    fn run(self, _: Option<&Reader>) {
        assert_ne!(self.0, '!');
    }
}

impl Driver for Caller {
    const MAX_CALLS: usize = 1;

    type Start = (char, usize);
    type Job = Called;

    fn start((name, calls): (char, usize), _: Place, _: &mio::Registry) -> Self {
        Caller { name, calls, is_busy: false }
    }

    fn on_event(&mut self, _: &mio::event::Event) -> bool {
        false
    }

    /// It wants nothing any more.
    fn on_wake(&mut self, _: &mio::Registry) {
        self.calls = 0;
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
        self.calls > 0 && !self.is_busy
    }

    fn take_job(&mut self) -> Option<Called> {
        self.is_busy = true;
        self.calls = self.calls.checked_sub(1)?;
        Some(Called(self.name))
    }

    fn done(&mut self, (): ()) {
        self.is_busy = false;
    }

    fn busy_poll(&self) -> Duration {
        Duration::ZERO
    }

    fn is_finished(&self) -> bool {
        false
    }

    fn finish(self) {}

    fn fail(self, _: &Error) {}
}

/// What the next call is about, and the call.
fn next(core: &mut Core<Caller>) -> (char, TakenJob<Caller>) {
    let taken = core.step().or_else(|| {
        // So that it does not wait.
        core.mailbox.wake();
        core.wait().expect("the poll works");
        core.step()
    });
    let taken = taken.expect("somebody has something to call");
    let Work::Call(Called(name), _) = &taken.work else { panic!("nobody is over") };
    (*name, taken)
}

fn add(core: &mut Core<Caller>, callers: &[(char, usize)]) {
    for caller in callers {
        core.mailbox.add(*caller).expect("it goes on");
    }
}

#[test]
fn who_waits_for_a_place_is_not_overtaken() {
    let (mut core, mailbox) = Core::<Caller>::new().unwrap();
    add(&mut core, &[('a', 2), ('b', 1)]);
    let (name, taken) = next(&mut core);
    assert_eq!(name, 'a');
    assert!(core.step().is_none());
    assert!(core.queue.is_empty(), "it would not sleep");
    // In the turn in which it returns, another is there already, and has its turn first.
    add(&mut core, &[('c', 1)]);
    mailbox.bring_back(taken.run());
    let mut order = String::new();
    for _ in 0..3 {
        let (name, taken) = next(&mut core);
        order.push(name);
        core.done(taken.run()).unwrap();
    }
    assert_eq!(order, "bca");
}

#[test]
fn who_wants_its_place_no_more_leaves_it_to_the_next() {
    let (mut core, mailbox) = Core::<Caller>::new().unwrap();
    add(&mut core, &[('a', 1), ('b', 1), ('c', 1)]);
    let (_, taken) = next(&mut core);
    assert!(core.step().is_none());
    core.mailbox.waker.wake(Token(1));
    core.wait().unwrap();
    mailbox.bring_back(taken.run());
    core.wait().unwrap();
    assert_eq!(next(&mut core).0, 'c');
}

#[test]
fn a_call_that_panics_fails_the_loop() {
    for others in 0..2 {
        let (core, mailbox) = Core::<Caller>::new().unwrap();
        mailbox.add(('!', 1)).unwrap();
        (0..others).for_each(|_| mailbox.add(('a', 1)).unwrap());
        let failed = super::super::handoff::run(core, &mailbox);
        assert!(matches!(failed, Err(Error::Panicked(_))), "{failed:?}");
        // Whoever comes is told.
        assert!(matches!(mailbox.add(('b', 1)), Err(Error::Panicked(_))));
    }
}

#[test]
fn a_call_that_panics_elsewhere_fails_the_loop_as_it_comes_back() {
    let (mut core, mailbox) = Core::<Caller>::new().unwrap();
    add(&mut core, &[('!', 1)]);
    let (_, taken) = next(&mut core);
    mailbox.bring_back(taken.run());
    assert!(matches!(core.wait(), Err(Error::Panicked(_))));
}

/// Reads so many times, as soon as it is there, and says so.
struct Reading {
    name: char,
    reads: usize,
    wants_read: bool,
    /// Each read puts it off by so much.
    idle: Option<Duration>,
    deadline: Option<Instant>,
    said: Said,
}

type Said = Arc<Mutex<String>>;

/// Reads without an end.
const FLOOD: usize = usize::MAX;

impl Driver for Reading {
    const MAX_CALLS: usize = 1;

    type Start = (char, usize, Option<Duration>, Said);
    type Job = Called;

    fn start((name, reads, idle, said): Self::Start, _: Place, _: &mio::Registry) -> Self {
        let deadline = idle.map(|idle| Instant::now() + idle);
        Reading { name, reads, wants_read: true, idle, deadline, said }
    }

    fn on_event(&mut self, _: &mio::event::Event) -> bool {
        false
    }

    fn on_wake(&mut self, _: &mio::Registry) {
        (self.reads, self.wants_read) = (FLOOD, true);
    }

    fn on_readable(&mut self, reader: &mut Reader, _: bool) -> bool {
        self.said.lock().expect("no test panics with it").push(self.name);
        if let Some(idle) = self.idle {
            self.deadline = Some(Instant::now() + idle);
        }
        self.reads = self.reads.saturating_sub(1);
        // Who says its name in a capital letter reads little at a time.
        reader.has_much = self.name.is_lowercase();
        self.reads > 0
    }

    fn on_deadline(&mut self, _: Instant) {
        self.said.lock().expect("no test panics with it").push('!');
        self.deadline = None;
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn take_wants_read(&mut self) -> bool {
        std::mem::take(&mut self.wants_read)
    }

    fn has_job(&self) -> bool {
        false
    }

    fn take_job(&mut self) -> Option<Called> {
        None
    }

    fn done(&mut self, (): ()) {}

    fn busy_poll(&self) -> Duration {
        Duration::ZERO
    }

    fn is_finished(&self) -> bool {
        false
    }

    fn finish(self) {}

    fn fail(self, _: &Error) {}
}

/// A loop of those that read.
struct Readers {
    core: Box<Core<Reading>>,
    mailbox: Arc<Mailbox<Reading>>,
    said: Said,
}

impl Readers {
    fn new() -> Self {
        let (core, mailbox) = Core::new().expect("there is room for a poll");
        Readers { core, mailbox, said: Said::default() }
    }

    fn add(&self, name: char, reads: usize, idle: Option<Duration>) {
        let reading = (name, reads, idle, Arc::clone(&self.said));
        self.mailbox.add(reading).expect("the loop goes on");
    }

    /// Polls, and gives those their turns who have one then. Returns who.
    fn poll(&mut self) -> String {
        // So that it does not wait.
        self.core.mailbox.wake();
        self.core.wait().expect("the poll works");
        assert!(self.core.step().is_none(), "nobody calls");
        std::mem::take(&mut *self.said.lock().expect("no test panics with it"))
    }

    /// The process is stopped until all deadlines are due.
    fn stop(&self) {
        let deadlines = self.core.slots.iter().flatten().filter_map(|slot| slot.driver.deadline);
        let Some(last) = deadlines.max() else { return };
        std::thread::sleep(last.saturating_duration_since(Instant::now()));
    }
}

#[test]
fn who_comes_has_its_turn_before_those_who_go_on_reading() {
    let mut readers = Readers::new();
    "abc".chars().for_each(|name| readers.add(name, 3, None));
    assert_eq!(readers.poll(), "abc");
    readers.add('x', 1, None);
    assert_eq!(readers.poll(), "xa");
    readers.add('Y', 2, None);
    readers.add('z', 1, None);
    assert_eq!(readers.poll(), "Yzb");
    // Little at a time is no flood.
    assert_eq!([readers.poll(), readers.poll(), readers.poll()], ["Yc", "a", "b"]);
    assert_eq!([readers.poll(), readers.poll()], ["c", ""]);
    assert!(
        readers.core.queue.is_empty() && readers.core.going_on.is_empty(),
        "it would not sleep"
    );
}

#[test]
fn a_part_of_those_who_go_on_reading_have_a_turn_after_each_poll() {
    let mut readers = Readers::new();
    (0..=2 * GOING_ON_PART).for_each(|_| readers.add('a', FLOOD, None));
    readers.poll();
    assert_eq!(readers.poll().len(), 3);
    // The more others there are, the more of them, for these do not wait much longer then.
    (0..5 * GOING_ON_PART).for_each(|_| readers.add('x', 1, None));
    assert_eq!(readers.poll().matches('a').count(), 5);
}

#[test]
fn who_is_woken_while_it_goes_on_reading_has_its_turn_at_once() {
    let mut readers = Readers::new();
    "abcd".chars().for_each(|name| readers.add(name, FLOOD, None));
    readers.poll();
    readers.mailbox.waker.wake(Token(3));
    assert_eq!(readers.poll(), "da");
    // And no more turns than the others from then on.
    let turns: String = (0..12).map(|_| readers.poll()).collect();
    assert!("abcd".chars().all(|name| turns.matches(name).count() == 3), "{turns}");
    assert_eq!(readers.core.going_on.len(), 4);
}

#[test]
fn what_came_before_a_deadline_is_read_before_it_is_judged() {
    let mut readers = Readers::new();
    "abcdefgh".chars().for_each(|name| readers.add(name, FLOOD, None));
    let idle = Duration::from_millis(20);
    readers.add('x', FLOOD, Some(idle));
    readers.poll();
    for _ in 0..2 * GOING_ON_PART {
        readers.stop();
        let turns = readers.poll();
        assert!(turns.contains('x') && !turns.contains('!'), "{turns}");
    }
}

#[test]
fn who_has_read_for_its_deadline_has_no_turn_more_than_others() {
    let mut readers = Readers::new();
    "abc".chars().for_each(|name| readers.add(name, FLOOD, None));
    readers.add('x', 1, Some(Duration::from_millis(20)));
    readers.poll();
    readers.stop();
    // What it wants to read is for its next turn, and its deadline for now.
    readers.mailbox.waker.wake(Token(3));
    assert_eq!(readers.poll(), "ax");
    let turns: String = (0..12).map(|_| readers.poll()).collect();
    assert!("abcx".chars().all(|name| turns.matches(name).count() == 3), "{turns}");
}

#[test]
fn who_never_pauses_has_deadlines_too() {
    let mut readers = Readers::new();
    "abcx".chars().for_each(|name| readers.add(name, FLOOD, None));
    readers.poll();
    for slot in readers.core.slots.iter_mut().flatten() {
        slot.driver.deadline = Some(readers.core.polled);
    }
    (0..4).for_each(|at| readers.core.touched(Token(at)));
    let turns = readers.poll();
    assert_eq!(turns.matches('!').count(), 4, "{turns}");
    // Each has read before.
    assert!(!turns.starts_with('!') && !turns.contains("!!"), "{turns}");
    assert_eq!(readers.poll().len(), 1);
}
