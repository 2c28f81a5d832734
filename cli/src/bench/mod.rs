//! `wsapp bench`: how fast a server that echoes is, over many connections at a time.

mod load;
mod number;
mod pace;
mod plot;
mod prober;
mod report;

use std::time::Duration;

use clap::Args;

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, shown_url};
use crate::log_lines;
use crate::seconds::seconds;
use crate::status::Status;
use crate::stdout;

#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArgs {
    /// A server that sends back what it gets: ws://, wss:// or ws+unix:
    url: String,

    /// How many connections
    #[arg(short, long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    connections: u64,

    /// How many messages of each connection are under way at a time
    #[arg(short = 'f', long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    in_flight: u64,

    /// How many messages a second, all connections together, at even distances: a latency then counts
    /// from when its message was due. Without this each is sent when another has come back
    #[arg(short, long, value_name = "NUMBER", value_parser = rate)]
    rate: Option<f64>,

    /// The length of a message in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    size: usize,

    /// Send binary messages instead of text
    #[arg(short, long)]
    binary: bool,

    /// How long
    #[arg(short, long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    duration: Duration,

    /// On how many threads
    #[arg(short, long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    threads: u64,

    /// Write the result as JSON, times in microseconds
    #[arg(long)]
    json: bool,

    /// Show no progress; nor is any shown where standard error is no terminal
    #[arg(short, long)]
    quiet: bool,

    /// Say on standard error what happens
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    connection: ConnectionArgs,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| format!("`{text}` is no number of messages: 0.5 and 1000 are"))
}

pub(crate) fn run(args: &BenchArgs) -> Result<Status, Failure> {
    log_lines::show(args.verbose, false);
    let outcome = load::run(args)?;
    stdout::write(match args.json {
        true => format!("{}\n", report::json(args, &outcome)),
        false => report::text(args, &outcome),
    })?;
    match outcome.failure {
        // What the user did comes first.
        _ if outcome.interrupted => Ok(Status::Interrupted),
        Some(failure) => Err(failure),
        None if outcome.sent > 0 && outcome.latency.is_empty() => Err(Failure::new(
            Status::TimedOut,
            format!("{}: no message came back", shown_url(&args.url)),
        )),
        None => Ok(Status::Done),
    }
}
