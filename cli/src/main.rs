//! `wsapp`: a WebSocket client and server for the command line, made of the public interface of the
//! library `websocket-app` alone.
//!
//! `args` has the commands, `connection` the options that all clients share. Each command has a
//! module: `talk` is `wsapp URL`, the others go by their name. What all of them end with is in
//! `failure`: an exit status, and words for people.

#![forbid(unsafe_code)]

mod args;
mod bench;
mod connection;
mod escape;
mod failure;
mod generate;
mod har;
mod log_lines;
mod ping;
mod replay;
mod seconds;
mod serve;
mod signals;
mod status;
mod stdout;
mod talk;
mod threads;

use std::env;
use std::io::{self, Write};
use std::process::{self, ExitCode};

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use crate::args::{Cli, Command};
use crate::failure::shown_url;
use crate::status::Status;

fn main() -> ExitCode {
    let cli = parse().unwrap_or_else(|error| refuse(&error));
    let ended = match cli.command.map(|command| *command) {
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Ping(args)) => ping::run(&args),
        Some(Command::Completions(args)) => generate::completions(&args),
        Some(Command::Man(args)) => generate::man(&args),
        Some(Command::Record(args)) => talk::run(args.into_talk()),
        Some(Command::Replay(args)) => replay::run(&args),
        None => talk::run(cli.talk),
    };
    match ended {
        Ok(status) => status.into(),
        Err(failure) => {
            failure.print();
            failure.status.into()
        }
    }
}

/// Reads the arguments.
fn parse() -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(env::args_os())?;
    let replay = matches.subcommand_matches("replay");
    if let Some(problem) = replay.and_then(replay::conflict) {
        return Err(command.error(ErrorKind::ArgumentConflict, problem));
    }
    Cli::from_arg_matches(&matches)
}

/// Says what is wrong with the arguments, or what was asked about them, and ends. An argument that may have
/// a credential in it is shown as URLs are.
fn refuse(error: &clap::Error) -> ! {
    if !error.use_stderr() {
        error.exit();
    }
    let mut text = error.to_string();
    for argument in env::args_os().skip(1) {
        let argument = argument.to_string_lossy();
        // Of `--option=VALUE` the second is shown.
        let value = argument.split_once('=').filter(|_| argument.starts_with('-'));
        let value = value.map_or(&*argument, |(_, value)| value);
        if value.contains(['@', '?']) {
            text = text.replace(value, &shown_url(value));
        }
    }
    // There is nobody else to tell.
    let _ = write!(io::stderr(), "{text}");
    process::exit(Status::Usage as i32)
}
