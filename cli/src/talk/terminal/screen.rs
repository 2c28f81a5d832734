//! [`Screen`]: what comes, above the line that is being typed, and such that nothing in it changes
//! the terminal.
//!
//! ```text
//!   the app's thread ─► message ─┐ waits for room
//!   all others ───────► notice ──┴─► lines ─► a thread of its own ─► the line editor, or the terminal
//! ```
//!
//! The line editor takes a line when it is ready to, which is while it waits for keys. Only that thread
//! waits for it, and holds no lock then.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustyline::ExternalPrinter;
use websocket_app::Message;

use super::modes;
use crate::escape;

/// Clones mean the same.
#[derive(Clone)]
pub(crate) struct Screen {
    shared: Arc<Shared>,
    colours: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What is to be shown.
    waiting: String,
    /// What prints above the line that is being typed, until the thread that prints has it.
    printer: Option<Box<dyn ExternalPrinter + Send>>,
    /// Whether there is, or was, such a thing.
    above: bool,
    /// Whether a line is being typed, or about to be.
    typing: bool,
    /// Nobody waits for room any more.
    unbounded: bool,
    /// Nothing more comes.
    over: bool,
    /// Everything is shown.
    shown: bool,
}

/// How many bytes may wait to be shown; then receiving waits too.
const ROOM: usize = 64 << 10;

/// How long that takes, about.
const RETRY: Duration = Duration::from_millis(1);

const MESSAGE: &str = "\u{1b}[32m";
const NOTICE: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// A line up and down again. The line editor has room for one thing to print: when it has taken the
/// second of these, all before them is shown.
const NOTHING: &str = "\u{1b}[A\n";

impl Screen {
    pub(crate) fn new(colours: bool) -> Self {
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        thread::spawn(move || its.print());
        Screen { shared, colours }
    }

    /// Where a line is being typed, this prints above it.
    pub(crate) fn print_above(&self, printer: impl ExternalPrinter + Send + 'static) {
        let mut state = self.shared.lock();
        state.printer = Some(Box::new(printer));
        state.above = true;
    }

    /// A line is about to be typed. Returns whether it may be: not at the end.
    pub(crate) fn begin_line(&self) -> bool {
        let mut state = self.shared.lock();
        state.typing = !state.over;
        self.shared.changed.notify_all();
        state.typing
    }

    /// There is no further line.
    pub(crate) fn end_lines(&self) {
        self.shared.lock().above = false;
        self.shared.changed.notify_all();
    }

    /// The line editor has put the terminal back.
    pub(crate) fn end_line(&self) {
        self.shared.lock().typing = false;
    }

    /// Returns whether a line is being typed on a terminal that can do more than write.
    pub(crate) fn is_typing(&self) -> bool {
        let state = self.shared.lock();
        state.typing && state.above
    }

    /// Shows a message, given as a terminal may show it. Waits where there is no room.
    pub(crate) fn message(&self, message: &str) {
        let shown = format!("< {message}");
        let mut state = self.shared.lock();
        while state.waiting.len() >= ROOM && !state.over && !state.unbounded {
            state = self.shared.wait(state);
        }
        self.push(state, MESSAGE, &shown);
    }

    /// Shows a word of ours. Waits for nobody.
    pub(crate) fn notice(&self, text: &str) {
        let shown = format!("* {}", escape::lines(text).replace('\n', "\n  "));
        self.push(self.shared.lock(), NOTICE, &shown);
    }

    fn push(&self, mut state: MutexGuard<'_, State>, colour: &str, text: &str) {
        state.waiting += &match self.colours {
            true => format!("{colour}{text}{PLAIN}\n"),
            false => format!("{text}\n"),
        };
        self.shared.changed.notify_all();
    }

    /// Nothing more comes, and nobody is waited for any more: waits until everything is shown, for this
    /// long at most.
    pub(crate) fn finish(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut state = self.shared.lock();
        state.over = true;
        self.shared.changed.notify_all();
        while !state.shown {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lets go of whoever waits for room.
    pub(crate) fn give_up(&self) {
        self.shared.lock().unbounded = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what waits until nothing more comes.
    fn print(&self) {
        let mut printer = None;
        loop {
            let mut state = self.lock();
            while state.waiting.is_empty() && !state.over {
                state = self.wait(state);
            }
            let lines = mem::take(&mut state.waiting);
            printer = state.printer.take().or(printer);
            drop(state);
            self.changed.notify_all();
            if lines.is_empty() {
                break;
            }
            if printer.is_some() {
                self.wait_for_line();
            }
            show(&mut printer, lines);
        }
        if printer.is_some() {
            self.wait_for_line();
        }
        if printer.is_some() && self.lock().typing {
            show(&mut printer, NOTHING.into());
            show(&mut printer, NOTHING.into());
        }
        self.lock().shown = true;
        self.changed.notify_all();
    }

    /// Waits until the line editor takes lines, where it will: between two of its own it would have them
    /// overtake the one that it has taken and not shown.
    fn wait_for_line(&self) {
        let mut state = self.lock();
        while state.above && !state.typing && !state.over {
            state = self.wait(state);
        }
        drop(state);
        // Only where it has just begun to does the line editor put the terminal into its mode.
        while self.lock().typing && !modes::is_raw() {
            thread::sleep(RETRY);
        }
    }
}

/// Shows lines above the one that is being typed, where there is one still.
fn show(printer: &mut Option<Box<dyn ExternalPrinter + Send>>, lines: String) {
    if let Some(above) = printer {
        if above.print(lines.clone()).is_ok() {
            return;
        }
        // The line editor has gone meanwhile.
        *printer = None;
    }
    if lines != NOTHING {
        // A terminal that is gone shows nothing.
        let _ = io::stdout().write_all(lines.as_bytes());
    }
}

/// Returns a message as a terminal may show it; binary data is told from text by its brackets. What looks like
/// its end is none: its further lines are indented.
pub(crate) fn text_of(message: Message<'_>) -> String {
    escape::lines(&message.to_string()).replace('\n', "\n  ")
}
