//! [`Screen`]: what comes, above the line that is being typed, and such that nothing in it changes
//! the terminal.
//!
//! ```text
//!   the app's thread ─► message ─┐ waits for room
//!   all others ───────► notice ──┴─► lines ─► a thread of its own ─► the line editor, or the terminal
//! ```
//!
//! The line editor takes lines when it is ready to, which is while it waits for keys. Only that thread
//! waits for it, and holds no lock then. What it has taken and not shown when a line ends it shows with the
//! next; what it is given meanwhile goes to the terminal at once, and would overtake. So it is given lines
//! only when it has shown those before, and there is a further line to be typed as long as it has not. That, and
//! what [`Modes`](super::Modes) has to put right between two lines, is the price of a line editor that reads the
//! terminal itself; one that is given keys would need none of it.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustyline::ExternalPrinter;
use websocket_app::Message;

use super::modes;
use crate::escape;
use crate::failure::Failure;
use crate::talk::controls::more;
use crate::threads;

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
    /// How many pings and pongs had no room behind that.
    skipped: u64,
    /// What prints above the line that is being typed, until the thread that prints has it.
    printer: Option<Printer>,
    /// Whether there is a line being typed, or will be.
    above: bool,
    /// Whether the line editor has painted a line, and reads it.
    typing: bool,
    /// How many lines it has read so far.
    read: u64,
    /// The line editor may have lines that are not shown.
    taken: bool,
    /// Nobody waits for room any more.
    unbounded: bool,
    /// Nothing more comes.
    over: bool,
    /// Everything is shown.
    shown: bool,
}

type Printer = Box<dyn ExternalPrinter + Send>;

/// How many bytes may wait to be shown; then receiving waits too.
const ROOM: usize = 64 << 10;

/// How long the line editor takes from the end of a line to the next, about.
const RETRY: Duration = Duration::from_millis(1);

const MESSAGE: &str = "\u{1b}[32m";
const NOTICE: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// A line up and down again. The line editor has room for one thing to print: when there is room for this, it
/// has what was before in hand, and shows it. And it paints its line anew.
const NOTHING: &str = "\u{1b}[A\n";

impl Screen {
    pub(crate) fn new(colours: bool) -> Result<Self, Failure> {
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        threads::spawn(move || its.print())?;
        Ok(Screen { shared, colours })
    }

    /// Where a line is being typed, this prints above it.
    pub(crate) fn print_above(&self, printer: impl ExternalPrinter + Send + 'static) {
        let mut state = self.shared.lock();
        state.printer = Some(Box::new(printer));
        state.above = true;
    }

    /// Another line may be typed where that is wanted, but at the end, and is to be where the line editor
    /// has something to show. Returns whether it is; elsewhere there is no further one.
    pub(crate) fn begin_line(&self, wanted: bool) -> bool {
        let mut state = self.shared.lock();
        let begins = wanted && !state.over || state.taken;
        if !begins {
            state.above = false;
            self.shared.changed.notify_all();
        }
        begins
    }

    /// The line editor paints the line that is being typed.
    pub(crate) fn line_is_painted(&self) {
        let mut state = self.shared.lock();
        if !state.typing {
            state.typing = true;
            self.shared.changed.notify_all();
        }
    }

    /// The line editor has put the terminal back.
    pub(crate) fn end_line(&self) {
        let mut state = self.shared.lock();
        state.typing = false;
        state.read += 1;
    }

    /// The line editor reads no further line, whatever it has to show.
    pub(crate) fn end_lines(&self) {
        let mut state = self.shared.lock();
        state.above = false;
        state.taken = false;
        self.shared.changed.notify_all();
    }

    /// Returns whether nothing more comes.
    pub(crate) fn is_over(&self) -> bool {
        self.shared.lock().over
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

    /// Has the line editor paint its line again.
    #[cfg(unix)]
    pub(crate) fn repaint(&self) {
        self.shared.lock().waiting += NOTHING;
        self.shared.changed.notify_all();
    }

    /// Shows a ping or a pong, where there is room. Waits for nobody: elsewhere it is counted.
    pub(crate) fn control(&self, text: &str) {
        let mut state = self.shared.lock();
        if state.waiting.len() < ROOM {
            drop(state);
            self.notice(text);
        } else {
            state.skipped += 1;
        }
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
            let mut lines = mem::take(&mut state.waiting);
            if let Some(more) = more(mem::take(&mut state.skipped)) {
                lines += &format!("* {more}\n");
            }
            printer = state.printer.take().or(printer);
            drop(state);
            self.changed.notify_all();
            if lines.is_empty() {
                break;
            }
            self.show(&mut printer, &lines);
        }
        self.lock().shown = true;
        self.changed.notify_all();
    }

    /// Shows lines above the one that is being typed, where there is one.
    fn show(&self, printer: &mut Option<Printer>, lines: &str) {
        if let Some(above) = printer
            && self.line().is_some()
            && above.print(lines.into()).is_ok()
        {
            self.wait_until_shown(above);
            return;
        }
        *printer = None;
        // A terminal that is gone shows nothing.
        let _ = io::stdout().write_all(lines.as_bytes());
    }

    /// Waits until the line editor reads a line, and has there be one as long as it is not known to have shown
    /// what it is given then. Returns how many it has read before; `None` where there is none any more.
    fn line(&self) -> Option<u64> {
        let mut state = self.lock();
        while state.above {
            if state.reads() {
                state.taken = true;
                return Some(state.read);
            }
            state = match state.typing {
                // It is about to end, or the process is stopped.
                true => {
                    let waited = self.changed.wait_timeout(state, RETRY);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                false => self.wait(state),
            };
        }
        None
    }

    /// Waits until the line editor has shown what it was given.
    fn wait_until_shown(&self, printer: &mut Printer) {
        while let Some(line) = self.line() {
            // When the line editor is gone nothing is shown.
            let given = printer.print(NOTHING.into());
            let mut state = self.lock();
            // Where it has ended the line meanwhile that may have gone to the terminal itself.
            if given.is_err() || (state.reads() && state.read == line) {
                state.taken = false;
                return;
            }
        }
    }
}

impl State {
    /// Returns whether the line editor takes lines, and has done so since it has painted this line.
    fn reads(&self) -> bool {
        self.typing && modes::is_raw()
    }
}

/// Returns a message as a terminal may show it; binary data is told from text by its brackets. What looks like
/// its end is none: its further lines are indented.
pub(crate) fn text_of(message: Message<'_>) -> String {
    escape::lines(&message.to_string()).replace('\n', "\n  ")
}
