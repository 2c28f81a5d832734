//! Completion of commands, and of paths behind `/file`; and the place where the line editor says that it
//! paints a line.

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper, Result};

use super::Screen;
use super::commands::COMMANDS;

pub(crate) struct Completion {
    paths: FilenameCompleter,
    screen: Screen,
}

impl Completion {
    pub(crate) fn new(screen: Screen) -> Self {
        Completion { paths: FilenameCompleter::new(), screen }
    }
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let typed = &line[..pos];
        if typed.starts_with("/file ") {
            return self.paths.complete_path(line, pos);
        }
        let known =
            COMMANDS.iter().filter(|entry| !typed.is_empty() && entry.name.starts_with(typed));
        let pairs = known.map(|entry| Pair {
            display: entry.name.into(),
            replacement: match entry.takes {
                "" => entry.name.into(),
                _ => format!("{} ", entry.name),
            },
        });
        Ok((0, pairs.collect()))
    }
}

impl Hinter for Completion {
    type Hint = String;

    /// Is asked when the terminal is in the mode in which a line is edited, before it is painted.
    fn hint(&self, _: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.screen.line_is_painted();
        None
    }
}

impl Highlighter for Completion {}

impl Validator for Completion {}

impl Helper for Completion {}
