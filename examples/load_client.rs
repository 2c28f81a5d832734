//! Measures the library against a load server on this machine and prints one line of JSON: for
//! comparing it with other WebSocket libraries on the same work. Linux only: it reads `/proc`.
//!
//! ```text
//! cargo run --release --example load_client -- LIB WORKLOAD N SIZE PORT
//! ```
//!
//! LIB is `ours` (`ws://127.0.0.1:PORT`), or `ours-native-tls` or `ours-rustls`, if that feature is
//! on (`wss://localhost:PORT`, any certificate). SIZE is a message's length in bytes, N their
//! number. The server has `/echo`, `/flood?n=N&size=SIZE`, which waits for a message and then sends
//! N, and `/sink?n=N`, which answers the last of N messages with one of its own. WORKLOAD is one
//! of:
//!
//! * `rtt`: echo round trips, the next message sent in `on_message`.
//! * `brtt`: echo round trips with the blocking [`WebSocket`].
//! * `xrtt`: echo round trips, sent by another thread, which waits for `on_message` through a
//!   channel.
//! * `recv`: messages counted in `on_message`.
//! * `send`, `xsend`: another thread sends one by one.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel as channel;
use websocket_app::{
    AppHandle, CallbackError, Handler, Message, Sender, TlsBackend, TlsConfig, WebSocket,
    WebSocketApp,
};

const USAGE: &str =
    "usage: load_client ours|ours-native-tls|ours-rustls rtt|brtt|xrtt|recv|send|xsend N SIZE PORT";

type Outcome = Result<Report, Box<dyn Error>>;

fn main() -> ExitCode {
    match Job::from_args(env::args().skip(1).collect())
        .and_then(|job| job.run().map(|report| report.json(&job)))
    {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
struct Job {
    lib: String,
    work: String,
    n: usize,
    size: usize,
    url: String,
}

impl Job {
    fn from_args(args: Vec<String>) -> Result<Self, Box<dyn Error>> {
        let [lib, work, n, size, port] = <[String; 5]>::try_from(args).map_err(|_| USAGE)?;
        let (n, size, port): (usize, usize, u16) = (n.parse()?, size.parse()?, port.parse()?);
        let origin = match lib.as_str() {
            "ours" => format!("ws://127.0.0.1:{port}"),
            "ours-native-tls" | "ours-rustls" => format!("wss://localhost:{port}"),
            _ => return Err(USAGE.into()),
        };
        let url = match work.as_str() {
            "rtt" | "brtt" | "xrtt" => format!("{origin}/echo"),
            "recv" => format!("{origin}/flood?n={n}&size={size}"),
            "send" | "xsend" => format!("{origin}/sink?n={n}"),
            _ => return Err(USAGE.into()),
        };
        if n == 0 {
            return Err("N must be more than zero".into());
        }
        Ok(Job { lib, work, n, size, url })
    }

    fn run(&self) -> Outcome {
        match self.work.as_str() {
            "rtt" => self.in_callbacks(|report| RoundTrips {
                payload: self.payload(),
                left: self.n,
                latencies: Vec::with_capacity(self.n),
                meter: Meter::start(),
                sent_at: Instant::now(),
                report,
            }),
            "recv" => {
                self.in_callbacks(|report| Flood { left: self.n, meter: Meter::start(), report })
            }
            "brtt" => self.blocking(),
            "xrtt" => self.on_another_thread(|ws, arrived| self.round_trips(ws, arrived)),
            _ => self.on_another_thread(|ws, arrived| self.stream(ws, arrived)),
        }
    }

    fn payload(&self) -> Vec<u8> {
        vec![b'x'; self.size]
    }

    fn tls(&self) -> TlsConfig {
        let backend =
            if self.lib == "ours-rustls" { TlsBackend::Rustls } else { TlsBackend::NativeTls };
        TlsConfig::new().backend(backend).danger_accept_invalid_certs(true)
    }

    /// Runs a handler that measures and reports by itself.
    fn in_callbacks<H: Handler>(
        &self,
        handler: impl FnOnce(channel::Sender<Report>) -> H,
    ) -> Outcome {
        let (report, reported) = channel::bounded(1);
        WebSocketApp::with_handler(&self.url, handler(report))
            .tls(self.tls())
            .ping_interval(None)
            .max_message_size(usize::MAX)
            .run_forever()?;
        Ok(reported.try_recv().map_err(|_| "the server closed too early")?)
    }

    /// Runs an app that tells of every message through a channel, and the work on this thread.
    fn on_another_thread(
        &self,
        work: impl FnOnce(&Sender, &channel::Receiver<()>) -> Outcome,
    ) -> Outcome {
        let (opened, open) = channel::bounded(1);
        let (arrival, arrived) = channel::bounded(1);
        let app = WebSocketApp::new(&self.url)
            .tls(self.tls())
            .ping_interval(None)
            .max_message_size(usize::MAX)
            .on_open(move |_ws| opened.send(()))
            .on_message(move |_ws, _message| arrival.send(()))
            .spawn()?;
        let result = match open.recv() {
            Ok(()) => work(&app.sender(), &arrived),
            Err(_) => Err("no connection".into()),
        };
        finish(app, result)
    }

    fn round_trips(&self, ws: &Sender, arrived: &channel::Receiver<()>) -> Outcome {
        let payload = self.payload();
        let mut latencies = Vec::with_capacity(self.n);
        let meter = Meter::start();
        for _ in 0..self.n {
            let sent_at = Instant::now();
            ws.send(&payload)?;
            arrived.recv()?;
            latencies.push(sent_at.elapsed());
        }
        Ok(meter.stop(latencies))
    }

    fn stream(&self, ws: &Sender, arrived: &channel::Receiver<()>) -> Outcome {
        // What is large is shared, so that it is not copied where it has to wait for the socket.
        const LARGE: usize = 64 << 10;
        let payload = Bytes::from(self.payload());
        let meter = Meter::start();
        for _ in 0..self.n {
            match payload.len() >= LARGE {
                true => ws.send(payload.clone())?,
                false => ws.send(&payload[..])?,
            }
        }
        arrived.recv()?;
        Ok(meter.stop(Vec::new()))
    }

    fn blocking(&self) -> Outcome {
        let mut ws = WebSocket::builder(&self.url)
            .tls(self.tls())
            .ping_interval(None)
            .max_message_size(usize::MAX)
            .connect()?;
        let payload = self.payload();
        let mut latencies = Vec::with_capacity(self.n);
        let meter = Meter::start();
        for _ in 0..self.n {
            let sent_at = Instant::now();
            ws.send(&payload)?;
            ws.recv()?;
            latencies.push(sent_at.elapsed());
        }
        let report = meter.stop(latencies);
        ws.close()?;
        Ok(report)
    }
}

/// Ends the app. What ended it early, if anything did, explains the result better than the result
/// itself.
fn finish(app: AppHandle, result: Outcome) -> Outcome {
    app.close();
    app.join()?;
    result
}

/// `rtt`: sends the next message when the echo of the last has come.
struct RoundTrips {
    payload: Vec<u8>,
    left: usize,
    latencies: Vec<Duration>,
    meter: Meter,
    sent_at: Instant,
    report: channel::Sender<Report>,
}

impl Handler for RoundTrips {
    fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.meter = Meter::start();
        self.sent_at = Instant::now();
        Ok(ws.send(&self.payload)?)
    }

    fn on_message(&mut self, ws: &Sender, _message: Message<'_>) -> Result<(), CallbackError> {
        self.latencies.push(self.sent_at.elapsed());
        self.left -= 1;
        if self.left == 0 {
            self.report.send(self.meter.stop(std::mem::take(&mut self.latencies)))?;
            ws.close();
            return Ok(());
        }
        self.sent_at = Instant::now();
        Ok(ws.send(&self.payload)?)
    }
}

/// `recv`: counts what the server sends.
struct Flood {
    left: usize,
    meter: Meter,
    report: channel::Sender<Report>,
}

impl Handler for Flood {
    fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.meter = Meter::start();
        Ok(ws.send("go")?)
    }

    fn on_message(&mut self, ws: &Sender, _message: Message<'_>) -> Result<(), CallbackError> {
        self.left -= 1;
        if self.left == 0 {
            self.report.send(self.meter.stop(Vec::new()))?;
            ws.close();
        }
        Ok(())
    }
}

/// The beginning of a measurement.
struct Meter {
    began: Instant,
    cpu: HashMap<String, u64>,
}

impl Meter {
    fn start() -> Self {
        let cpu = cpu_by_thread();
        Meter { began: Instant::now(), cpu }
    }

    fn stop(&self, latencies: Vec<Duration>) -> Report {
        let elapsed = self.began.elapsed();
        let used = |(thread, now): (String, u64)| {
            now.saturating_sub(self.cpu.get(&thread).copied().unwrap_or(0))
        };
        let cpu = Duration::from_nanos(cpu_by_thread().into_iter().map(used).sum());
        Report { elapsed, cpu, peak_rss_kb: peak_rss_kb(), latencies }
    }
}

/// What was measured.
struct Report {
    elapsed: Duration,
    cpu: Duration,
    peak_rss_kb: u64,
    latencies: Vec<Duration>,
}

impl Report {
    fn json(mut self, job: &Job) -> String {
        let (seconds, n) = (self.elapsed.as_secs_f64(), job.n as f64);
        let mut line = format!(
            r#"{{"lib":"{}","work":"{}","size":{},"n":{},"secs":{:.4},"msg_s":{:.0},"mb_s":{:.1},"cpu_us":{:.3},"rss_kb":{}"#,
            job.lib,
            job.work,
            job.size,
            job.n,
            seconds,
            n / seconds,
            n * job.size as f64 / seconds / 1e6,
            self.cpu.as_secs_f64() * 1e6 / n,
            self.peak_rss_kb,
        );
        if let Some(last) = self.latencies.len().checked_sub(1) {
            self.latencies.sort_unstable();
            let micros =
                |share: f64| self.latencies[(last as f64 * share) as usize].as_nanos() as f64 / 1e3;
            line += &format!(r#","p50":{:.1},"p99":{:.1}"#, micros(0.5), micros(0.99));
        }
        line + "}"
    }
}

/// The CPU time of every live thread in nanoseconds, or that of the process in clock ticks where
/// the kernel does not say. The threads that do the work live from before the measurement until
/// after it.
fn cpu_by_thread() -> HashMap<String, u64> {
    // The kernel brings a running thread's figure up to date when the thread gives way.
    thread::yield_now();
    let by_thread: HashMap<_, _> = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| {
            let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let nanos = schedstat.split(' ').next()?.parse().ok()?;
            Some((task.file_name().to_string_lossy().into_owned(), nanos))
        })
        .collect();
    if by_thread.is_empty() {
        HashMap::from([(String::new(), cpu_of_process().unwrap_or(0))])
    } else {
        by_thread
    }
}

/// From `/proc/self/stat`: fields 14 and 15, user and system time, in ticks of 10 ms.
fn cpu_of_process() -> Option<u64> {
    const NANOS_PER_TICK: u64 = 10_000_000;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the program's name in parentheses, may hold spaces.
    let mut from_14 = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let (user, system): (u64, u64) = (from_14.next()?.parse().ok()?, from_14.next()?.parse().ok()?);
    Some((user + system) * NANOS_PER_TICK)
}

fn peak_rss_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    peak.unwrap_or(0)
}
