//! Pings of the server's, and how long their answers take, beside how late this machine wakes and
//! starts threads anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::frame::Frame;
use crate::watchdog::Task;

/// How long the client may take to answer while a callback is slow.
const PROMISED: Duration = Duration::from_millis(100);
/// How many threads are woken up or started one after the other for an answer: the watchdog, a
/// stand-in, and the one that waits for it. On an overloaded machine each is late.
const WAKE_UPS: u32 = 3;

/// Sends so many pings, one each 100 ms, and sees each answered before the next: that the callback
/// still runs then is up to the test. How long it took is printed. The median must keep the
/// promise, since a machine with other things to do holds up any thread for longer now and then;
/// and so must the first, the only one that comes before another thread runs the loop.
pub(super) fn ping(client: &mut Connection, count: u32) {
    let (start, machine) = (Instant::now(), Machine::watch());
    let (mut times, mut late) = (Vec::new(), Duration::ZERO);
    for i in 0..count {
        thread::sleep((start + i * PROMISED).saturating_duration_since(Instant::now()));
        times.push(is_alive(client, &i.to_string()));
        late = late.max(machine.lateness());
    }
    let first = times[0];
    assert!(
        first <= PROMISED + WAKE_UPS * late,
        "the first answer took {first:?}, not due to {late:?}"
    );
    times.sort_unstable();
    let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    let over = times.iter().filter(|time| **time > PROMISED).count();
    println!(
        "{count} pings: median {median:?}, slowest {slowest:?}, over {PROMISED:?}: {over}; any thread: {late:?}"
    );
    assert!(
        median <= PROMISED + WAKE_UPS * late,
        "half of the answers took {median:?}, not due to {late:?}"
    );
}

/// Has a callback become slow again and again, until for once the first ping meanwhile is answered
/// as is promised: what this machine holds up it does not hold up each time.
pub(super) fn first_ping(
    client: &mut Connection,
    mut becomes_slow: impl FnMut(&mut Connection),
    returns: impl Fn(),
) {
    const ROUNDS: usize = 10;
    let machine = Machine::watch();
    let mut times = Vec::new();
    while times.len() < ROUNDS {
        becomes_slow(client);
        machine.lateness();
        let time = is_alive(client, "first");
        let late = machine.lateness();
        times.push((time, late));
        returns();
        if time <= PROMISED + WAKE_UPS * late {
            println!("{time:?}, any thread: {late:?}; before that: {times:?}");
            return;
        }
    }
    panic!("the first answer is always late, and not because any thread is: {times:?}");
}

/// Sends a ping, which must be answered before anything else comes, and gives the time that took.
pub(super) fn is_alive(client: &mut Connection, payload: &str) -> Duration {
    let sent = Instant::now();
    client.send(Frame::ping(payload));
    client.expect(Frame::pong(payload));
    sent.elapsed()
}

/// Watches how late a thread is that only sleeps and starts another.
struct Machine {
    shared: Arc<Watched>,
    _thread: Task<()>,
}

#[derive(Default)]
struct Watched {
    /// In microseconds, since it was last asked for.
    worst: AtomicU64,
    beats: AtomicU64,
    is_over: AtomicBool,
}

impl Machine {
    fn watch() -> Self {
        const BEAT: Duration = Duration::from_millis(5);
        let shared = Arc::<Watched>::default();
        let watched = Arc::clone(&shared);
        let thread = Task::start("watching the machine", move || {
            while !watched.is_over.load(Ordering::SeqCst) {
                let slept = Instant::now();
                thread::sleep(BEAT);
                thread::spawn(|| {}).join().unwrap();
                let late = slept.elapsed().saturating_sub(BEAT);
                watched.worst.fetch_max(late.as_micros() as u64, Ordering::SeqCst);
                watched.beats.fetch_add(1, Ordering::SeqCst);
            }
        });
        Machine { shared, _thread: thread }
    }

    /// The most since the last time, the sleep that is going on included.
    fn lateness(&self) -> Duration {
        let beats = self.shared.beats.load(Ordering::SeqCst);
        while self.shared.beats.load(Ordering::SeqCst) == beats {
            thread::sleep(Duration::from_millis(1));
        }
        Duration::from_micros(self.shared.worst.swap(0, Ordering::SeqCst))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
    }
}
