//! What the system allows, and what this process uses of it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::fs;
use std::process;
use std::time::Duration;

/// Files that are open anyway: standard input and output, the event loop's, the channel to the
/// server.
const OTHER_FILES: usize = 50;

/// Raises the limit of open files as far as allowed, and gives the number of connections for which
/// it and the ports do.
pub(crate) fn what_the_system_allows(
    wanted: usize,
    more_files: usize,
) -> Result<usize, Box<dyn Error>> {
    let needed = wanted + more_files + OTHER_FILES;
    let before = rlimit::increase_nofile_limit(0)?;
    let files = rlimit::increase_nofile_limit(needed as u64)?;
    match files > before {
        true => {
            println!("open files: the limit was {before}, raised to {files}; {needed} are needed")
        }
        false => println!("open files: the limit is {files}; {needed} are needed"),
    }
    let mut allowed = wanted.min((files as usize).saturating_sub(more_files + OTHER_FILES));
    // All connections go from one address to one address and port, so each needs a local port of
    // its own.
    if let Some(ports) = local_ports() {
        allowed = allowed.min(ports * 9 / 10);
    }
    match allowed {
        0 => Err("the limit of open files is too low for a single connection".into()),
        _ if allowed < wanted => {
            println!("{allowed} connections instead of {wanted}: the system allows no more");
            Ok(allowed)
        }
        _ => Ok(wanted),
    }
}

/// How many ports there are for outgoing connections.
fn local_ports() -> Option<usize> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut bounds = range.split_whitespace().map(str::parse::<usize>);
    let (first, last) = (bounds.next()?.ok()?, bounds.next()?.ok()?);
    Some(last + 1 - first)
}

/// In bytes.
pub(crate) fn resident_memory() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib: usize = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))?
        .parse()
        .ok()?;
    Some(kib << 10)
}

/// How often each thread has gone to sleep by itself, and so was woken up.
pub(crate) fn wake_ups() -> Option<BTreeMap<String, u64>> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        // It may have ended meanwhile.
        let Ok(status) = fs::read_to_string(task.path().join("status")) else { continue };
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let count = field("voluntary_ctxt_switches:")?.parse().ok()?;
        threads
            .insert(format!("{} {}", field("Name:")?, task.file_name().to_string_lossy()), count);
    }
    Some(threads)
}

/// Whether this is the main thread's name among [`wake_ups`].
pub(crate) fn is_main(thread: &str) -> bool {
    thread.ends_with(&format!(" {}", process::id()))
}

pub(crate) struct Percentiles(Vec<Duration>);

impl Percentiles {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Percentiles(times)
    }

    fn at(&self, percent: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * percent / 100).copied().unwrap_or_default()
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, all] = [50, 99, 100].map(|percent| self.at(percent));
        write!(
            f,
            "{} one by one: median {half:.1?}, 99 % within {most:.1?}, slowest {all:.1?}",
            self.0.len()
        )
    }
}
