//! `wsapp replay`: a recording as the client that it is of, or as the server.

mod as_client;
mod as_server;
mod said;
mod script;

use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};

use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::har::{self, Recorded};
use crate::log_lines;
use crate::seconds::seconds;
use crate::status::Status;

use script::Script;

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// A recording: a HAR file of --record, or of a browser
    file: PathBuf,

    /// Where to connect and be the client
    #[arg(required_unless_present = "as_server")]
    url: Option<String>,

    /// Be the server, at HOST:PORT, for each client that comes
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:9001", conflicts_with = "url")]
    as_server: Option<String>,

    /// End with the first client: exit status 9 where it does not say what the recorded one said
    #[arg(long, requires = "as_server")]
    once: bool,

    /// Which connection of the recording
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    connection_number: usize,

    /// Take the time that it took, so many times as fast; without this each message goes as soon as
    /// those before it have come
    #[arg(long, value_name = "FACTOR", num_args = 0..=1, default_missing_value = "1", value_parser = factor)]
    speed: Option<f64>,

    /// Wait for each message of the other side so long
    #[arg(short, long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    wait: Duration,

    /// Only count the other side's messages, do not compare them
    #[arg(long)]
    any_answer: bool,

    /// Say on standard error what happens
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    connection: ConnectionArgs,
}

fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0);
    factor.ok_or_else(|| format!("`{text}` is no factor: 0.5 and 10 are"))
}

/// Says which option is for a client, where the recording is played as the server.
pub(crate) fn conflict(matches: &ArgMatches) -> Option<String> {
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let options = ConnectionArgs::augment_args(Command::new("replay"));
    let given = options.get_arguments().find(|option| is_given(option.get_id().as_str()))?;
    is_given("as_server").then(|| {
        let name = given.get_long().unwrap_or_default();
        format!("--{name} is for a client, and --as-server plays the server")
    })
}

pub(crate) fn run(args: &ReplayArgs) -> Result<Status, Failure> {
    log_lines::show(args.verbose, false);
    let script = Script {
        messages: messages(args)?,
        speed: args.speed,
        wait: args.wait,
        compares: !args.any_answer,
    };
    match (&args.as_server, &args.url) {
        (Some(address), _) => as_server::run(address, args.once, script),
        (None, url) => as_client::run(url.as_deref().unwrap_or_default(), &args.connection, script),
    }
}

fn messages(args: &ReplayArgs) -> Result<Vec<Recorded>, Failure> {
    let file = args.file.display();
    let mut connections = har::read(&args.file)
        .map_err(|problem| Failure::new(Status::Usage, format!("{file} {problem}")))?;
    match connections.len() {
        0 => Err(Failure::usage(format!("{file} has no WebSocket connection")).advice(
            "--record FILE records one; in a browser, reload the page with its tools open",
        )),
        count if !(1..=count).contains(&args.connection_number) => Err(Failure::usage(format!(
            "--connection-number {}: {file} has {count}",
            args.connection_number
        ))),
        _ => Ok(connections.swap_remove(args.connection_number - 1)),
    }
}
