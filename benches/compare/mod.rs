//! Compares ways to do the same work: each in turn, round after round, so that whatever else the
//! machine does meanwhile meets all of them. Prints medians: the time of a message, messages and
//! bytes a second, processor time of a message.
//!
//! The ratio is taken within each round; its median says more than the figures beside it, which are
//! those of this machine at this time. The lowest and the highest tell how quiet it was.

mod took;

use std::cell::Cell;
use std::env;
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use self::took::{Meter, Took};

/// How many rounds at most, how long one measurement is to take, and after how much time for each
/// way there is no further round. Together they keep the whole under two minutes, on a slow machine
/// too.
const ROUNDS: usize = 7;
const MEASUREMENT: Duration = Duration::from_millis(80);
const BUDGET: Duration = Duration::from_secs(1);

/// Shorter measurements say nothing about how many times the work can be done.
const CALIBRATION: Duration = Duration::from_millis(8);

/// Longer than any comparison takes: then something hangs.
const PATIENCE: Duration = Duration::from_secs(180);

const USAGE: &str = "usage: cargo bench [--bench TARGET] -- [NAME]... [--test]
  NAME    only what has one of these in its name
  --test  whether it works: everything once, nothing measured; what `cargo test --benches` does";

/// What the command line asks for.
pub(crate) struct Bench {
    names: Vec<String>,
    only_try: bool,
    /// How many comparisons were wanted.
    wanted: Cell<usize>,
}

impl Bench {
    pub(crate) fn from_args() -> Self {
        // `cargo bench` says `--bench`; `cargo test` does not, and wants to know whether it works.
        let (options, names): (Vec<_>, Vec<_>) =
            env::args().skip(1).partition(|argument| argument.starts_with('-'));
        if options.iter().any(|option| option != "--bench" && option != "--test") {
            eprintln!("{USAGE}");
            process::exit(2);
        }
        let has = |name| options.iter().any(|option| option == name);
        Bench { names, only_try: has("--test") || !has("--bench"), wanted: Cell::new(0) }
    }

    /// Begins a comparison. `bytes` is the payload of one message.
    pub(crate) fn case(&self, name: impl Into<String>, bytes: usize) -> Case<'_> {
        Case { bench: self, name: name.into(), bytes, ways: Vec::new() }
    }

    /// Whether nothing is measured: then less will do.
    // Not in every benchmark.
    #[allow(dead_code)]
    pub(crate) fn only_tries(&self) -> bool {
        self.only_try
    }

    /// What is no comparison: it says for itself what it finds.
    // Not in every benchmark.
    #[allow(dead_code)]
    pub(crate) fn row(&self, name: &str, run: impl FnOnce()) {
        if !self.wants(name) {
            return;
        }
        self.wanted.set(self.wanted.get() + 1);
        within_patience(name, run);
        if self.only_try {
            println!("{name}: works");
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| name.contains(wanted))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.wanted.get() == 0 {
            println!("nothing here has one of these in its name: {}", self.names.join(", "));
        }
    }
}

/// One comparison: the first way is what the others are compared with.
pub(crate) struct Case<'a> {
    bench: &'a Bench,
    name: String,
    bytes: usize,
    ways: Vec<Way<'a>>,
}

struct Way<'a> {
    name: String,
    least: usize,
    run: Box<dyn FnMut(usize) -> Took + 'a>,
}

impl<'a> Case<'a> {
    /// Adds a way to do it: `run` does it at least so many times as it is told.
    // Not in every benchmark.
    #[allow(dead_code)]
    pub(crate) fn way(self, name: impl Into<String>, run: impl FnMut(usize) -> Took + 'a) -> Self {
        self.way_of_many(name, 1, run)
    }

    /// Adds a way that makes no sense less than `least` times.
    pub(crate) fn way_of_many(
        mut self,
        name: impl Into<String>,
        least: usize,
        run: impl FnMut(usize) -> Took + 'a,
    ) -> Self {
        self.ways.push(Way { name: name.into(), least, run: Box::new(run) });
        self
    }

    /// Measures and prints.
    pub(crate) fn run(self) {
        let Case { bench, name, bytes, mut ways } = self;
        if !bench.wants(&name) {
            return;
        }
        bench.wanted.set(bench.wanted.get() + 1);
        within_patience(&name, || {
            if bench.only_try {
                for way in &mut ways {
                    (way.run)(way.least);
                }
                return println!("{name}: works");
            }
            let rounds = measure(&mut ways);
            print(&name, bytes, &ways, &rounds);
        });
    }
}

/// Ends the process if the work does not end.
fn within_patience(name: &str, work: impl FnOnce()) {
    let (done, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                eprintln!(
                    "{name}: no end after {PATIENCE:?}: something hangs, or the machine is far too busy to measure"
                );
                process::exit(1);
            }
        });
        // Dropped in a panic too, so that the thread ends.
        let _done = done;
        work();
    });
}

/// What each way took, round by round.
fn measure(ways: &mut [Way<'_>]) -> Vec<Vec<Took>> {
    let counts: Vec<usize> = ways.iter_mut().map(calibrate).collect();
    let mut rounds = Vec::new();
    let began = Instant::now();
    while rounds.len() < ROUNDS
        && (rounds.is_empty() || began.elapsed() < BUDGET * ways.len() as u32)
    {
        rounds.push(ways.iter_mut().zip(&counts).map(|(way, count)| (way.run)(*count)).collect());
    }
    rounds
}

/// How many times it can be done in one measurement. Warms it up, too.
fn calibrate(way: &mut Way<'_>) -> usize {
    let mut count = way.least;
    loop {
        let took = (way.run)(count);
        if took.time >= CALIBRATION {
            return ((MEASUREMENT.as_secs_f64() / took.each()) as usize).max(way.least);
        }
        count *= 8;
    }
}

fn print(name: &str, bytes: usize, ways: &[Way<'_>], rounds: &[Vec<Took>]) {
    println!("{name} ({} rounds)", rounds.len());
    for (i, way) in ways.iter().enumerate() {
        let median_of = |figure: &dyn Fn(&[Took]) -> f64| {
            median(rounds.iter().map(|round| figure(round)).collect())
        };
        let each = median_of(&|round| round[i].each());
        let mut line =
            format!("  {:<32} {:>10} {:>9}/s", way.name, seconds(each), amount(1.0 / each, ""));
        if bytes > 0 {
            line += &format!(" {:>9}/s", amount(bytes as f64 / each, "B"));
        }
        if rounds.iter().all(|round| round[i].cpu.is_some()) {
            let cpu = median_of(&|round| round[i].cpu_each().unwrap_or(0.0));
            line += &format!("   CPU {:>9}", seconds(cpu));
        }
        if i > 0 {
            let ratios =
                sorted(rounds.iter().map(|round| round[0].each() / round[i].each()).collect());
            let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
            line += &format!("   {:>6.2} times as fast ({least:.2} to {most:.2})", median(ratios));
        }
        println!("{line}");
    }
}

fn median(values: Vec<f64>) -> f64 {
    let values = sorted(values);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// A time with three digits or so.
pub(crate) fn seconds(time: f64) -> String {
    match time {
        time if time < 1e-6 => format!("{:.1} ns", time * 1e9),
        time if time < 1e-3 => format!("{:.2} µs", time * 1e6),
        time if time < 1.0 => format!("{:.2} ms", time * 1e3),
        time => format!("{time:.2} s"),
    }
}

/// A number of something with three digits or so.
fn amount(number: f64, unit: &str) -> String {
    match number {
        number if number >= 1e9 => format!("{:.2} G{unit}", number / 1e9),
        number if number >= 1e6 => format!("{:.2} M{unit}", number / 1e6),
        number if number >= 1e3 => format!("{:.1} k{unit}", number / 1e3),
        number => format!("{number:.1} {unit}"),
    }
}

/// Names a size as people do: 64 B, 16 KiB, 1 MiB.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => {
            format!("{} MiB", bytes >> 20)
        }
        bytes if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => {
            format!("{} KiB", bytes >> 10)
        }
        bytes => format!("{bytes} B"),
    }
}
