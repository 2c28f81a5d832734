//! Puts this process and the server on a processor each, so that it is not the scheduler's choice
//! which is measured. With `taskset`: there is no way to do it without unsafe code.

use std::fs;
use std::process::{self, Command, Stdio};

/// Both are where they were put, until this is dropped.
pub(crate) struct Apart {
    server: u32,
    /// Where both may run, in the way of taskset: `0-3`.
    allowed: Option<String>,
}

impl Apart {
    pub(crate) fn put(server: u32) -> Self {
        let allowed = allowed().filter(|allowed| {
            let bounds =
                |end: fn(char) -> bool| (allowed.split(end).next(), allowed.rsplit(end).next());
            let (Some(first), Some(last)) = bounds(|c| !c.is_ascii_digit()) else { return false };
            first != last && pin(process::id(), first) && pin(server, last)
        });
        match &allowed {
            Some(allowed) => println!("client and server each on one of the processors {allowed}"),
            None => println!(
                "client and server on the same processors: there is one only, or no taskset"
            ),
        }
        Apart { server, allowed }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(allowed) = &self.allowed {
            pin(process::id(), allowed);
            pin(self.server, allowed);
        }
    }
}

fn allowed() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .map(|list| list.trim().to_owned())
}

/// All threads of the process; those to come inherit it.
fn pin(process: u32, processors: &str) -> bool {
    let mut taskset = Command::new("taskset");
    taskset.args(["-a", "-c", "-p", processors, &process.to_string()]).stdout(Stdio::null());
    taskset.status().is_ok_and(|status| status.success())
}
