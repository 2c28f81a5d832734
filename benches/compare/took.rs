//! What a measurement gives: time, and the processor time of a process where the system tells.

use std::collections::HashMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// What it took to do something so many times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    pub(crate) count: usize,
    pub(crate) time: Duration,
    pub(crate) cpu: Option<Duration>,
}

impl Took {
    /// Seconds, each time.
    pub(crate) fn each(&self) -> f64 {
        self.time.as_secs_f64() / self.count as f64
    }

    pub(crate) fn cpu_each(&self) -> Option<f64> {
        self.cpu.map(|cpu| cpu.as_secs_f64() / self.count as f64)
    }
}

/// The beginning of a measurement of all threads of a process.
#[derive(Debug)]
pub(crate) struct Meter {
    /// As `/proc` names it.
    process: String,
    began: Instant,
    cpu: HashMap<String, u64>,
}

// Not every benchmark has both.
#[allow(dead_code)]
impl Meter {
    /// Of this process.
    pub(crate) fn start() -> Self {
        Meter::start_of("self".to_owned())
    }

    /// Of another one; the time is this one's.
    pub(crate) fn of(process: u32) -> Self {
        Meter::start_of(process.to_string())
    }

    fn start_of(process: String) -> Self {
        let cpu = cpu_by_thread(&process);
        Meter { process, began: Instant::now(), cpu }
    }

    /// Ends it. Only threads that are still there count.
    pub(crate) fn stop(&self, count: usize) -> Took {
        let time = self.began.elapsed();
        let used = |(thread, now): (String, u64)| {
            now.saturating_sub(self.cpu.get(&thread).copied().unwrap_or(0))
        };
        let cpu: u64 = cpu_by_thread(&self.process).into_iter().map(used).sum();
        Took { count, time, cpu: (cpu > 0).then_some(Duration::from_nanos(cpu)) }
    }
}

/// The processor time of every live thread in nanoseconds, as Linux tells it.
fn cpu_by_thread(process: &str) -> HashMap<String, u64> {
    // The kernel brings a running thread's figure up to date when the thread gives way.
    thread::yield_now();
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| {
            let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let nanos = schedstat.split(' ').next()?.parse().ok()?;
            Some((task.file_name().to_string_lossy().into_owned(), nanos))
        })
        .collect()
}
