//! What is left in this process after something is over: threads, file descriptors, memory. Other
//! tests have them too, so a test that counts runs itself again in a process of its own.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, io};

use crate::watchdog::PATIENCE;

/// Set in the process of its own.
const ALONE: &str = "WEBSOCKET_APP_TEST_ALONE";

/// A child is given this long: it has watchdogs of its own.
const CHILD_PATIENCE: Duration = Duration::from_secs(300);

/// How much memory may be more after a while than it was in the beginning, for what allocators
/// keep.
const SLACK: u64 = 3 << 20;

/// Runs a test in a process of its own, by its full name. Its output is shown when it fails.
pub(crate) fn alone(test: &str, work: impl FnOnce(&mut Census)) {
    if !cfg!(target_os = "linux") || env::var(ALONE).as_deref() == Ok(test) {
        return work(&mut Census::take());
    }
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ALONE, test)
        // One arena, so that memory that is given back is used again; and what is large goes back
        // to the system at once, as it does by default until the first such block is given back.
        .env("MALLOC_ARENA_MAX", "1")
        .env("MALLOC_MMAP_THRESHOLD_", "131072")
        .env("MALLOC_TRIM_THRESHOLD_", "131072")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let readers = [
        read(child.stdout.take().expect("it is piped")),
        read(child.stderr.take().expect("it is piped")),
    ];
    let deadline = Instant::now() + CHILD_PATIENCE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    let [stdout, stderr] = readers.map(|reader| reader.join().unwrap());
    match status {
        Some(status) if status.success() && stdout.contains("1 passed") => eprint!("{stderr}"),
        Some(status) => panic!("{test}, alone: {status}\n{stdout}\n{stderr}"),
        None => panic!("{test}, alone: not done within {CHILD_PATIENCE:?}\n{stdout}\n{stderr}"),
    }
}

fn read(mut pipe: impl io::Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut output = Vec::new();
        pipe.read_to_end(&mut output).unwrap();
        String::from_utf8_lossy(&output).into_owned()
    })
}

/// What there was in the beginning.
pub(crate) struct Census {
    threads: BTreeMap<String, usize>,
    files: usize,
    memory: Option<u64>,
}

impl Census {
    fn take() -> Self {
        Census { threads: threads(), files: files().len(), memory: None }
    }

    /// Fails unless everything but memory is as it was in the beginning, now or soon: a thread that
    /// was told to end may be about to.
    pub(crate) fn nothing_is_left(&self, after: &str) {
        if !cfg!(target_os = "linux") {
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        while threads() != self.threads || files().len() != self.files {
            assert!(
                Instant::now() < deadline,
                "after {after}:\nthreads {:?}\nof which there were {:?}\nfiles {:#?}\nof which there were {}",
                threads(),
                self.threads,
                files(),
                self.files
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Says that by now everything has happened that takes memory once.
    pub(crate) fn has_warmed_up(&mut self) {
        self.memory = memory();
    }

    /// Does the same again and again until it takes no more memory than the time before; fails if
    /// it always does. Once, it may: there is much that is made once and kept, and where memory is
    /// given back in another order, gaps are left.
    pub(crate) fn memory_settles(&mut self, what: &str, mut work: impl FnMut(&Self)) {
        const COURSES: u32 = 5;
        let mut courses = Vec::new();
        for _ in 0..COURSES {
            let before = memory();
            work(self);
            let (Some(before), Some(now)) = (before, memory()) else { return };
            courses.push(now >> 10);
            if now <= before + SLACK {
                eprintln!("KiB in memory after each course: {courses:?}, {what}");
                return;
            }
        }
        panic!("memory grows, {what}: KiB after each course {courses:?}");
    }

    /// Fails unless there is no more memory in use than when it had warmed up, now or soon.
    pub(crate) fn memory_is_back(&self, after: &str) {
        let deadline = Instant::now() + PATIENCE;
        while let (Some(before), Some(now)) = (self.memory, memory()) {
            if now <= before + SLACK {
                eprintln!("memory: {} KiB, then {} KiB after {after}", before >> 10, now >> 10);
                return;
            }
            let late = Instant::now() > deadline;
            assert!(!late, "after {after}: {now} bytes in memory, where there were {before}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The threads' names, and how many have each.
fn threads() -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        // One that ends meanwhile has no name any more, and is not there.
        if let Ok(name) = fs::read_to_string(task.path().join("comm")) {
            *names.entry(name.trim().to_owned()).or_default() += 1;
        }
    }
    names
}

/// Counts the threads of this name, which is cut to 15 characters.
pub(crate) fn threads_named(name: &str) -> usize {
    threads().get(name).copied().unwrap_or_default()
}

/// Counts all threads.
pub(crate) fn thread_count() -> usize {
    threads().values().sum()
}

/// What the file descriptors are of. The one this is read with is always there.
fn files() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string()))
        .collect()
}

/// Bytes of this process that are in memory.
pub(crate) fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}
