//! `wsapp ping`: whether a server is there, and how far away.

use std::time::{Duration, Instant};

use clap::Args;
use crossbeam_channel::{RecvTimeoutError, bounded};
use websocket_app::{Error, SendError, WebSocketApp};

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, shown_url};
use crate::log_lines;
use crate::seconds::{FOREVER, seconds};
use crate::signals;
use crate::status::Status;
use crate::stdout;

#[derive(Args, Debug)]
pub(crate) struct PingArgs {
    /// Where to connect: ws://, wss:// or ws+unix:
    url: String,

    /// End after so many pings; 0 goes on until Ctrl-C
    #[arg(short, long, value_name = "NUMBER", default_value_t = 4)]
    count: u64,

    /// The time from one to the next
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,

    /// How long to wait for each
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    timeout: Duration,

    /// Say on standard error what happens
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) fn run(args: &PingArgs) -> Result<Status, Failure> {
    log_lines::show(args.verbose, false);
    let failed = |error: &Error| Failure::of(error, &args.url);
    let began = Instant::now();
    let app = args.connection.read()?.apply(WebSocketApp::new(&args.url));
    let (interrupt, interrupts) = bounded(1);
    let (ws, closer) = (app.sender(), app.sender());
    signals::on_interrupt(move || {
        let _ = interrupt.try_send(());
        closer.close();
    })?;
    let app = app.spawn().map_err(|error| failed(&error))?;
    if ws.wait_open(FOREVER).is_err() {
        return match app.join() {
            _ if !interrupts.is_empty() => Ok(Status::Interrupted),
            Err(error) => Err(failed(&error)),
            Ok(close) => Failure::of_close(&close, &args.url).map_or(Ok(Status::Done), Err),
        };
    }
    let peer = ws.handshake().and_then(|handshake| handshake.peer_addr());
    let peer = peer.map_or_else(|| shown_url(&args.url), |address| address.to_string());
    let connected = format!("connected to {peer} in {:.3} ms", millis(began.elapsed()));
    let mut is_read = say(&connected)?;
    let mut times = Times::default();
    let mut sent = 0;
    let mut interrupted = false;
    while is_read && !interrupted && (args.count == 0 || sent < args.count) {
        let next = Instant::now() + args.interval;
        sent += 1;
        match ws.ping_wait(args.timeout) {
            Ok(time) => {
                is_read = say(&format!("pong from {peer}: number {sent}, {:.3} ms", millis(time)))?;
                times.add(time);
            }
            Err(SendError::NotInTime { .. } | SendError::Timeout { .. }) => {
                is_read =
                    say(&format!("no pong from {peer}: number {sent}, within {:?}", args.timeout))?;
            }
            Err(_) => {
                sent -= 1;
                interrupted = !interrupts.is_empty();
                break;
            }
        }
        if is_read && sent != args.count {
            interrupted = interrupts.recv_deadline(next) != Err(RecvTimeoutError::Timeout);
        }
    }
    is_read = is_read && say(&summary(sent, &times))?;
    app.close();
    match app.join() {
        _ if interrupted => Ok(Status::Interrupted),
        // Nobody reads it any more, as `head` does when it has seen enough.
        _ if !is_read => Ok(Status::Done),
        Err(error) => Err(failed(&error)),
        Ok(close) => match (Failure::of_close(&close, &args.url), sent - times.count) {
            (Some(failure), _) => Err(failure),
            (None, 0) => Ok(Status::Done),
            (None, missing) => Err(Failure::new(
                Status::TimedOut,
                format!("{}: {missing} pings without a pong", shown_url(&args.url)),
            )),
        },
    }
}

/// Returns whether anybody reads it.
fn say(line: &str) -> Result<bool, Failure> {
    stdout::write(format!("{line}\n"))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The answers so far.
#[derive(Default)]
struct Times {
    count: u64,
    least: Duration,
    most: Duration,
    all: Duration,
}

impl Times {
    fn add(&mut self, time: Duration) {
        self.least = if self.count == 0 { time } else { self.least.min(time) };
        self.most = self.most.max(time);
        self.all += time;
        self.count += 1;
    }
}

fn summary(sent: u64, times: &Times) -> String {
    let mut summary = format!("{sent} pings, {} pongs", times.count);
    if times.count > 0 {
        summary += &format!(
            "; min {:.3} ms, mean {:.3} ms, max {:.3} ms",
            millis(times.least),
            millis(times.all) / times.count as f64,
            millis(times.most)
        );
    }
    summary
}
