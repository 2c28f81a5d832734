//! What a process has taken, as Linux tells it; zeroes elsewhere.

use std::fs;
use std::time::Duration;

/// Whether there are figures.
pub(crate) fn is_told() -> bool {
    Usage::of(std::process::id()).memory > 0
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
    /// Processor time, that of threads which have ended too. It goes by hundredths of a second.
    pub(crate) cpu: Duration,
    /// How often its threads, as far as they are still there, went to sleep or had to give way.
    pub(crate) switches: u64,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Self {
        let directory = format!("/proc/{process}");
        let status = fs::read_to_string(format!("{directory}/status")).unwrap_or_default();
        let stat = fs::read_to_string(format!("{directory}/stat")).unwrap_or_default();
        // The name, which may have anything in it, ends with the last parenthesis. Then `utime` is
        // the twelfth and `stime` the thirteenth (proc(5)).
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks = |at| after_name.split_whitespace().nth(at).and_then(|ticks| ticks.parse().ok());
        let ticks: u64 = ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0);
        let tasks = fs::read_dir(format!("{directory}/task")).into_iter().flatten().flatten();
        let switches = tasks.map(|task| {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            number(&status, "voluntary_ctxt_switches:")
                + number(&status, "nonvoluntary_ctxt_switches:")
        });
        Usage {
            memory: number(&status, "VmRSS:") << 10,
            cpu: Duration::from_millis(ticks * 10),
            switches: switches.sum(),
        }
    }
}

/// What stands in the line that begins so.
fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
