//! [`Screen`]: what comes, above the line that is being typed, and such that nothing in it changes
//! the terminal.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustyline::ExternalPrinter;
use websocket_app::Message;

use crate::escape;

pub(crate) struct Screen {
    printer: Mutex<Option<Box<dyn ExternalPrinter + Send>>>,
    colours: bool,
}

const MESSAGE: &str = "\u{1b}[32m";
const NOTICE: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

impl Screen {
    pub(crate) fn new(colours: bool) -> Self {
        Screen { printer: Mutex::new(None), colours }
    }

    /// From now on a line is being typed; what prints above it is this.
    pub(crate) fn print_above(&self, printer: impl ExternalPrinter + Send + 'static) {
        *self.printer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(printer));
    }

    /// Returns whether there is such a line, as far as is known.
    pub(crate) fn is_typing(&self) -> bool {
        self.printer.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// There is no such line any more.
    pub(crate) fn print_plainly(&self) {
        *self.printer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Shows a message. What looks like its end is none: its further lines are indented.
    pub(crate) fn message(&self, message: Message<'_>, at: Option<Duration>) {
        let mut shown = String::from("< ");
        if let Some(at) = at {
            shown += &format!("{:.6} ", at.as_secs_f64());
        }
        shown += &text_of(message);
        self.print(MESSAGE, &shown);
    }

    /// Shows a word of ours.
    pub(crate) fn notice(&self, text: &str) {
        self.print(NOTICE, &format!("* {}", escape::lines(text).replace('\n', "\n  ")));
    }

    fn print(&self, colour: &str, text: &str) {
        let line = match self.colours {
            true => format!("{colour}{text}{PLAIN}\n"),
            false => format!("{text}\n"),
        };
        let mut printer = self.printer.lock().unwrap_or_else(PoisonError::into_inner);
        // A terminal that is gone shows nothing.
        match printer.as_mut() {
            Some(printer) => drop(printer.print(line)),
            None => drop(io::stdout().write_all(line.as_bytes())),
        }
    }
}

/// Returns a message as a terminal may show it; binary data is told from text by its brackets.
pub(crate) fn text_of(message: Message<'_>) -> String {
    escape::lines(&message.to_string()).replace('\n', "\n  ")
}
