//! Puts this process and its servers on a processor each, so that it is not the scheduler's choice
//! which is measured. With `taskset`: there is no way to do it without unsafe code.

use std::cell::RefCell;
use std::fs;
use std::process::{self, Command, Stdio};

/// All are where they were put, until this is dropped.
pub(crate) struct Apart {
    servers: RefCell<Vec<u32>>,
    /// Where all may run, in the way of taskset: `0-3`.
    allowed: Option<String>,
}

impl Apart {
    /// Puts this process on the first of its processors.
    pub(crate) fn new() -> Self {
        let allowed = allowed().filter(|allowed| {
            let (first, last) = bounds(allowed);
            first != last && pin(process::id(), first)
        });
        match &allowed {
            Some(allowed) => println!("client and server each on one of the processors {allowed}"),
            None => println!(
                "client and server on the same processors: there is one only, or no taskset"
            ),
        }
        Apart { servers: RefCell::default(), allowed }
    }

    /// Puts a server on the last.
    pub(crate) fn put(&self, server: u32) {
        if let Some(allowed) = &self.allowed {
            pin(server, bounds(allowed).1);
            self.servers.borrow_mut().push(server);
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(allowed) = &self.allowed {
            pin(process::id(), allowed);
            for server in self.servers.get_mut() {
                pin(*server, allowed);
            }
        }
    }
}

/// The first and the last of what taskset calls `0,2-3`.
fn bounds(processors: &str) -> (&str, &str) {
    let end = |c: char| !c.is_ascii_digit();
    (
        processors.split(end).next().unwrap_or(processors),
        processors.rsplit(end).next().unwrap_or(processors),
    )
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
    taskset.args(["-a", "-c", "-p", processors, &process.to_string()]);
    // It complains about one that has ended.
    taskset.stdout(Stdio::null()).stderr(Stdio::null());
    taskset.status().is_ok_and(|status| status.success())
}
