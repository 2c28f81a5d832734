//! `wsapp completions` and `wsapp man`: made of the options themselves, by the argument parser's own
//! generators.

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::Failure;
use crate::status::Status;
use crate::stdout;

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// The page of a command, such as serve; without this that of wsapp itself
    command: Option<String>,
}

pub(crate) fn completions(args: &CompletionsArgs) -> Result<Status, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "wsapp", &mut script);
    stdout::write(script).map(|_| Status::Done)
}

pub(crate) fn man(args: &ManArgs) -> Result<Status, Failure> {
    let mut command = Cli::command();
    // What a command inherits is there once it is built.
    command.build();
    let page: Command = match &args.command {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(found) => found.clone().name(format!("wsapp-{name}").leak() as &'static str),
            None => return Err(Failure::usage(format!("there is no command {name}"))),
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|error| Failure::io("the page cannot be made", &error))?;
    stdout::write(text).map(|_| Status::Done)
}
