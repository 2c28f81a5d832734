//! What this process has in use, where /proc tells.

use std::fmt;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::watchdog::PATIENCE;

#[derive(Clone, Copy, Default)]
pub(super) struct Resources {
    /// Resident, in bytes.
    pub(super) memory: usize,
    pub(super) threads: usize,
    pub(super) files: usize,
}

impl Resources {
    pub(super) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let count = |folder| fs::read_dir(folder).map_or(0, Iterator::count);
        Resources {
            memory: resident.and_then(|kib| kib.parse::<usize>().ok()).unwrap_or_default() << 10,
            threads: count("/proc/self/task"),
            files: count("/proc/self/fd"),
        }
    }

    /// Gives what is in use later, once there are no more threads and files than now, or after a
    /// while: threads that were joined may still be on the system's list.
    pub(super) fn wait_for_no_more(self) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Resources::now();
            if now.threads <= self.threads && now.files <= self.files || Instant::now() > deadline {
                return now;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} MiB, {} threads, {} files",
            self.memory as f64 / 1048576.0,
            self.threads,
            self.files
        )
    }
}
