//! [`Cli`]: the commands and what they take, of which help, completion and the manual page are made.

use clap::{Parser, Subcommand};

use crate::bench::BenchArgs;
use crate::generate::{CompletionsArgs, ManArgs};
use crate::ping::PingArgs;
use crate::replay::ReplayArgs;
use crate::serve::ServeArgs;
use crate::talk::{RecordArgs, TalkArgs};

/// A WebSocket client and server for the command line
///
/// With a URL alone it connects: on a terminal you type messages and see what comes, with a history
/// and commands such as /ping and /close; in a pipe each line of standard input is a message, and
/// each message a line of standard output.
#[derive(Debug, Parser)]
#[command(
    name = "wsapp",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Exit status: 0 closed in order, 1 other, 2 usage, 3 name or TCP, 4 TLS, 5 refused upgrade, 6 protocol, \
                  7 time-out, 8 closed with another code, 9 not what --expect asks for, 130 Ctrl-C."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Box<Command>>,

    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Listen for clients: echo, broadcast, run a command for each, serve files
    Serve(ServeArgs),
    /// Measure a server that echoes: rates and latencies
    Bench(BenchArgs),
    /// Ask a server whether it is there, and how long its answer takes
    Ping(PingArgs),
    /// Record a conversation: the same as `wsapp URL --record FILE`
    Record(RecordArgs),
    /// Play a recording: as the client, or as the server
    Replay(ReplayArgs),
    /// Write a completion script: wsapp completions bash > /etc/bash_completion.d/wsapp
    Completions(CompletionsArgs),
    /// Write a manual page: wsapp man > wsapp.1
    Man(ManArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_options_are_consistent() {
        Cli::command().debug_assert();
    }
}
