//! A thread of this process, seen from outside: whether it sleeps, for how long at most, and what
//! processor time it has used. So a test can tell a thread that spins from one that sleeps without
//! measuring how long anything takes. Linux tells.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::watchdog::wait_until;

/// What a spinning thread has used soon, on any machine, and a sleeping one never does.
const MUCH: Duration = Duration::from_millis(100);

/// So many looks in a row must find a sleeping thread: one that waits for a lock is found asleep
/// once.
const LOOKS: u32 = 20;

/// Since Linux 2.6, whatever the processor, as `proc_pid_stat(5)` has it: `sysconf(_SC_CLK_TCK)`.
const TICKS_PER_SECOND: u64 = 100;

/// A thread, while it lives.
#[derive(Clone, Debug)]
pub(crate) struct Observed(PathBuf);

impl Observed {
    /// The calling thread.
    pub(crate) fn current() -> Self {
        Observed(fs::canonicalize("/proc/thread-self").unwrap())
    }

    /// All threads of this process but the calling one.
    pub(crate) fn others() -> Vec<Self> {
        let (current, tasks) = (
            Observed::current(),
            fs::read_dir(format!("/proc/{}/task", std::process::id())).unwrap(),
        );
        tasks
            .map(|task| Observed(task.unwrap().path()))
            .filter(|thread| thread.0 != current.0)
            .collect()
    }

    /// Waits for a moment in which no other thread of this process wakes up.
    pub(crate) fn nobody_wakes_up() {
        let switches = || Observed::others().iter().map(Observed::switches).collect::<Vec<_>>();
        wait_until("all threads sleep on", || {
            let before = switches();
            thread::sleep(MUCH);
            switches() == before
        });
    }

    /// Waits until the thread has used the processor for a while.
    pub(crate) fn spins(&self) {
        let until = self.processor_time() + MUCH;
        wait_until("the thread uses the processor", || self.processor_time() >= until);
    }

    /// Waits until the thread sleeps, and goes on sleeping.
    pub(crate) fn sleeps(&self) {
        wait_until("the thread sleeps", || {
            (0..LOOKS).all(|_| {
                thread::sleep(Duration::from_millis(1));
                self.is_asleep()
            })
        });
    }

    /// Waits until the thread waits for events, with a time-out or without one as is asked for
    /// here, and gives the time-out.
    pub(crate) fn waits_for_events(&self, with_timeout: bool) -> Option<Duration> {
        let found = std::cell::Cell::new(None);
        wait_until(
            if with_timeout { "it waits, up to a time" } else { "it waits, however long" },
            || {
                let timeout = self.timeout();
                found.set(timeout.flatten());
                timeout.is_some_and(|timeout| timeout.is_some() == with_timeout)
            },
        );
        found.get()
    }

    /// How often it has gone to sleep. Nothing is told of a thread that has ended meanwhile.
    fn switches(&self) -> Option<u64> {
        let status = fs::read_to_string(self.0.join("status")).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
    }

    fn is_asleep(&self) -> bool {
        self.stat()[0] == "S"
    }

    fn processor_time(&self) -> Duration {
        let stat = self.stat();
        let [user, system] = [11, 12].map(|i| stat[i].parse::<u64>().unwrap());
        Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND)
    }

    /// The fields of `stat` from the third on: the second is the name, which may have anything in
    /// it.
    fn stat(&self) -> Vec<String> {
        let stat = fs::read_to_string(self.0.join("stat")).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').map(str::to_owned).collect()
    }

    /// The time-out of the `epoll_wait` that the thread is in; `None` if it is not in one.
    fn timeout(&self) -> Option<Option<Duration>> {
        let call = fs::read_to_string(self.0.join("syscall")).unwrap();
        let mut fields = call.split_whitespace();
        // A thread that runs has no number here.
        let number: i64 = fields.next()?.parse().ok()?;
        if !is_epoll_wait(number) {
            return None;
        }
        // The fourth argument: milliseconds, -1 for ever.
        let timeout = u64::from_str_radix(fields.nth(3)?.strip_prefix("0x")?, 16).unwrap() as i32;
        Some(u64::try_from(timeout).ok().map(Duration::from_millis))
    }
}

fn is_epoll_wait(number: i64) -> bool {
    // Newer processors' kernels have no `epoll_wait` of their own.
    #[cfg(target_arch = "x86_64")]
    if number == libc::SYS_epoll_wait {
        return true;
    }
    number == libc::SYS_epoll_pwait
}
