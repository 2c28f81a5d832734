//! Connects, has messages go back and forth for a while, and collects what was measured.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};
use hdrhistogram::Histogram;
use websocket_app::{AppHandle, EventLoop, WebSocketApp};

use super::prober::{Measures, Prober};
use super::{BenchArgs, number, pace};
use crate::failure::Failure;
use crate::signals;
use crate::status::Status;

/// What was measured.
pub(crate) struct Outcome {
    pub(crate) elapsed: Duration,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) unexpected: u64,
    /// Connections that were lost on the way.
    pub(crate) lost: u64,
    /// In nanoseconds.
    pub(crate) latency: Histogram<u64>,
    pub(crate) connect: Histogram<u64>,
    pub(crate) interrupted: bool,
    /// Why the figures are not those of all connections.
    pub(crate) failure: Option<Failure>,
}

/// How long messages that are under way at the end may take.
const DRAIN: Duration = Duration::from_secs(5);

/// How long servers have to answer Close frames, and how long after Ctrl-C.
const CLOSE: Duration = Duration::from_secs(5);
const CLOSE_AT_ONCE: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &BenchArgs) -> Result<Outcome, Failure> {
    let (interrupt, interrupts) = bounded(1);
    signals::on_interrupt(move || {
        let _ = interrupt.try_send(());
    })?;
    let system = |error| Failure::of(&error, &args.url);
    let mut loops = Vec::new();
    for _ in 0..args.threads {
        loops.push((EventLoop::new().map_err(system)?, Arc::new(Measures::new())));
    }
    let all: Vec<Arc<Measures>> = loops.iter().map(|(_, measures)| Arc::clone(measures)).collect();

    // Connect.
    let message = Arc::new(vec![b'x'; args.size]);
    let connection = args.connection.read()?;
    let mut apps = Vec::new();
    let mut probers = Vec::new();
    for (_, (event_loop, measures)) in (0..args.connections).zip(loops.iter().cycle()) {
        let prober = Prober::new(Arc::clone(&message), args.binary, Arc::clone(measures));
        probers.push(prober.lane());
        let app = connection.apply(WebSocketApp::with_handler(&args.url, prober));
        // All that is under way at a time, and as much again for the frames' heads.
        let room = (args.size + 64).saturating_mul(args.in_flight as usize).saturating_mul(2);
        apps.push(event_loop.add(app.max_send_buffer(room.max(16 << 20))).map_err(system)?);
    }
    let mut progress = Progress::new(!args.quiet && io::stderr().is_terminal());
    let sum = |count: fn(&Measures) -> u64| all.iter().map(|measures| count(measures)).sum::<u64>();
    let mut interrupted = false;
    while !interrupted {
        let opened = sum(|m| m.opened.load(Ordering::Relaxed));
        let failed = sum(|m| m.failed.load(Ordering::Relaxed));
        if opened + failed >= args.connections {
            break;
        }
        progress.show(|| format!("{opened} of {} connections", args.connections));
        interrupted = interrupts.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout);
    }
    let failure = |apps: Vec<AppHandle>| -> Option<Failure> {
        let mut ends = apps.into_iter().map(AppHandle::join);
        ends.find_map(|end| match end {
            Ok(close) => Failure::of_close(&close, &args.url),
            Err(error) => Some(Failure::of(&error, &args.url)),
        })
    };
    if sum(|m| m.opened.load(Ordering::Relaxed)) == 0 {
        progress.clear();
        close(loops, &apps, interrupted);
        let unopened = failure(apps).filter(|_| !interrupted);
        return Err(unopened.unwrap_or_else(|| Failure::new(Status::Interrupted, "interrupted")));
    }

    // Send.
    let began = Instant::now();
    let end = began + args.duration;
    let pace = args.rate.map(|rate| pace::start(rate, args.in_flight, probers.clone(), end));
    let pace = pace.transpose()?;
    if pace.is_none() {
        for lane in &probers {
            lane.begin(args.in_flight, end);
        }
    }
    while !interrupted {
        let now = Instant::now();
        if now >= end || sum(Measures::ended) == args.connections {
            break;
        }
        let received = sum(|m| m.received.load(Ordering::Relaxed));
        progress.show(|| {
            let rate = number::count(received as f64 / began.elapsed().as_secs_f64());
            format!("{:.0?} of {:?}, {rate} messages a second", began.elapsed(), args.duration)
        });
        interrupted =
            interrupts.recv_timeout(TICK.min(end - now)) != Err(RecvTimeoutError::Timeout);
    }
    for lane in &probers {
        lane.stop();
    }
    pace.into_iter().for_each(pace::Pace::stop);
    let elapsed = began.elapsed();
    let received = sum(|m| m.received.load(Ordering::Relaxed));
    // What is still under way belongs to the latencies, not to the rate.
    let drained = Instant::now() + DRAIN;
    while !interrupted && Instant::now() < drained && probers.iter().any(|lane| lane.is_waiting()) {
        progress.show(|| "waiting for the last replies".into());
        interrupted = interrupts.recv_timeout(DRAIN_TICK).is_ok();
    }
    progress.clear();
    let lost = sum(|m| m.lost.load(Ordering::Relaxed));
    close(loops, &apps, interrupted);
    let failure = failure(apps);
    let (latency, connect) = merged(&all);
    Ok(Outcome {
        elapsed,
        sent: probers.iter().map(|lane| lane.sent()).sum(),
        received,
        unexpected: sum(|m| m.unexpected.load(Ordering::Relaxed)),
        lost,
        latency,
        connect,
        interrupted,
        failure,
    })
}

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);

/// How often it is asked whether the last replies are there.
const DRAIN_TICK: Duration = Duration::from_millis(10);

fn close(loops: Vec<(EventLoop, Arc<Measures>)>, apps: &[AppHandle], interrupted: bool) {
    let until = Instant::now() + if interrupted { CLOSE_AT_ONCE } else { CLOSE };
    // All servers at the same time.
    apps.iter().for_each(AppHandle::close);
    for (event_loop, _) in loops {
        // What does not close in time is cut off.
        let _ = event_loop.close_all(until.saturating_duration_since(Instant::now()));
    }
}

fn merged(all: &[Arc<Measures>]) -> (Histogram<u64>, Histogram<u64>) {
    let (mut latency, mut connect) = (super::prober::histogram(), super::prober::histogram());
    for measures in all {
        let histograms = measures.histograms();
        // They are all alike.
        let _ = latency.add(&histograms.latency);
        let _ = connect.add(&histograms.connect);
    }
    (latency, connect)
}

/// A line on standard error that is written again and again.
struct Progress {
    shows: bool,
}

impl Progress {
    fn new(shows: bool) -> Self {
        Progress { shows }
    }

    fn show(&mut self, line: impl FnOnce() -> String) {
        if self.shows {
            let _ = write!(io::stderr(), "\r\u{1b}[K{}", line());
        }
    }

    fn clear(&mut self) {
        self.show(String::new);
    }
}
