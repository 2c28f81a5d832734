//! Processor time, to see what spins.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// The processor time of this process, which takes no file descriptor to ask for once it is there.
pub(super) struct Clock(File);

impl Clock {
    pub(super) fn new() -> Self {
        Clock(File::open("/proc/self/stat").unwrap())
    }

    pub(super) fn used(&self) -> Duration {
        let mut stat = [0; 1024];
        let length = self.0.read_at(&mut stat, 0).unwrap();
        let stat = std::str::from_utf8(&stat[..length]).unwrap();
        // `proc_pid_stat(5)`: from the third field on, since the second may have anything in it. In
        // hundredths of a second.
        let (_, fields) = stat.rsplit_once(") ").expect("the name is in parentheses");
        let fields: Vec<_> = fields.split(' ').collect();
        let [user, system] = [11, 12].map(|i| fields[i].parse::<u64>().unwrap());
        Duration::from_millis((user + system) * 10)
    }
}
