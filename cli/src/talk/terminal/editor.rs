//! [`Editor`]: reads what is typed, on a thread of its own, and does it on another: what is done may wait
//! for the peer, and the line editor is to be there for what comes, and for Ctrl-C, meanwhile.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender as Channel, unbounded};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{ColorMode, Config};
use websocket_app::{Message, MessageKind, SendError, Sender, State};

use super::commands::{self, COMMANDS, Typed};
use super::completion::Completion;
use super::{Modes, Screen, history};
use crate::failure::Failure;
use crate::status::Status;
use crate::talk::conversation::Happening;
use crate::talk::feed::InputEnd;
use crate::talk::format::{Format, Said};
use crate::talk::tape::Tape;
use crate::threads;

pub(crate) struct Editor {
    pub(crate) sender: Sender,
    pub(crate) happenings: Channel<Happening>,
    pub(crate) screen: Screen,
    /// The terminal's, before any line.
    pub(crate) modes: Modes,
    pub(crate) format: Format,
    pub(crate) tape: Tape,
    pub(crate) colours: bool,
    /// `None` keeps no history.
    pub(crate) history: Option<Option<std::path::PathBuf>>,
}

/// How long `/ping` waits.
const PING_PATIENCE: Duration = Duration::from_secs(10);

type Lines = rustyline::Editor<Completion, FileHistory>;

/// A line, or why there are no more.
type Typing = Result<String, Failure>;

impl Editor {
    pub(crate) fn start(self) -> Result<(), Failure> {
        let failed = |error: ReadlineError| {
            Failure::new(Status::Other, format!("the terminal cannot be used: {error}"))
        };
        let colours = if self.colours { ColorMode::Enabled } else { ColorMode::Disabled };
        let config = Config::builder().history_ignore_space(true).auto_add_history(false);
        let config = config.max_history_size(history::LINES).map_err(failed)?;
        // Ctrl-C is a signal as everywhere, and Ctrl-Z, which the editor would stop the process for in the mode of ours.
        let config = config.color_mode(colours).enable_signals(true).build();
        let mut lines = Lines::with_config(config).map_err(failed)?;
        lines.set_helper(Some(Completion::new(self.screen.clone())));
        let history = self.history.as_ref().and_then(|chosen| history::file(chosen.as_deref()));
        if let Some(file) = &history {
            // The first time there is none.
            let _ = lines.load_history(file);
        }
        // A dumb terminal has none: there nothing stands before what comes.
        let mut prompt = "";
        if let Ok(printer) = lines.create_external_printer() {
            self.screen.print_above(printer);
            prompt = "> ";
            // Elsewhere it is the terminal that edits lines.
            self.modes.keep_keys();
            #[cfg(unix)]
            super::stopping::start(self.modes.clone(), self.screen.clone())?;
        }
        let (typed, to_do) = unbounded();
        let (screen, happenings) = (self.screen.clone(), self.happenings.clone());
        let modes = self.modes.clone();
        threads::spawn(move || {
            let end = self.act_on_all(&to_do);
            // Once the main thread is gone nobody wants to know.
            let _ = self.happenings.send(Happening::InputEnd(end));
        })?;
        threads::spawn(move || {
            read(&mut lines, prompt, &screen, history.as_deref(), typed, &happenings);
            // From here on what comes goes to the terminal itself.
            drop(lines);
            screen.end_lines();
            if screen.is_over() {
                // The line ended after that, and its mode with it.
                modes.restore();
            }
        })?;
        Ok(())
    }

    /// Does what is typed, one line after the other. Returns how it ended.
    fn act_on_all(&self, to_do: &Receiver<Typing>) -> InputEnd {
        for typing in to_do {
            match typing.map(|line| self.act(&line)) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(end))) => return end,
                Ok(Err(problem)) => self.screen.notice(&problem),
                Err(failure) => return InputEnd::Failed(failure),
            }
        }
        InputEnd::Sent
    }

    /// Does what a line says. Returns an end where it asks for one, and in words what is wrong.
    fn act(&self, line: &str) -> Result<Option<InputEnd>, String> {
        match commands::read(line)? {
            Typed::Message(text) => return self.say(text),
            Typed::Ping(payload) => self.ping(payload)?,
            Typed::Pong(payload) => self.sender.pong(payload).map_err(|e| self.why(&e))?,
            Typed::Close(code, reason) => {
                return Ok(Some(match code {
                    Some(code) => InputEnd::Close(code, reason.into()),
                    None => InputEnd::Sent,
                }));
            }
            Typed::Binary(bytes) => {
                self.send(Message::Binary(&bytes))?;
            }
            Typed::File(path) => self.send_file(&path)?,
            Typed::Stats => self.screen.notice(&self.stats()),
            Typed::Reconnect => self.sender.reconnect(),
            Typed::Help => {
                for entry in COMMANDS {
                    let usage = format!("{} {}", entry.name, entry.takes);
                    self.screen.notice(&format!("{usage:24} {}", entry.does));
                }
            }
        }
        Ok(None)
    }

    fn say(&self, text: &str) -> Result<Option<InputEnd>, String> {
        let sent = match self.format.read(text.as_bytes())? {
            Said::Text(text) => self.tape.send(&self.sender, Message::Text(&text)),
            Said::Binary(data) => self.tape.send(&self.sender, Message::Binary(&data)),
            Said::Ping(payload) => self.sender.ping(payload),
            Said::Pong(payload) => self.sender.pong(payload),
            Said::Close(code, reason) => return Ok(Some(InputEnd::Close(code, reason))),
        };
        sent.map_err(|error| self.why(&error))?;
        Ok(None)
    }

    fn send(&self, message: Message<'_>) -> Result<(), String> {
        self.tape.send(&self.sender, message).map_err(|error| self.why(&error))
    }

    /// Asks, and shows the answer when it comes, while more is typed.
    fn ping(&self, payload: &str) -> Result<(), String> {
        if !payload.is_empty() {
            return self.sender.ping(payload).map_err(|error| self.why(&error));
        }
        let (sender, screen) = (self.sender.clone(), self.screen.clone());
        let asking = threads::spawn(move || match sender.ping_wait(PING_PATIENCE) {
            Ok(time) => screen.notice(&format!("pong after {:.3} ms", time.as_secs_f64() * 1e3)),
            Err(error) => screen.notice(&format!("no pong: {error}")),
        });
        asking.map(drop).map_err(|failure| failure.to_string())
    }

    fn send_file(&self, path: &Path) -> Result<(), String> {
        let unread = |error: io::Error| format!("{}: {error}", path.display());
        if self.tape.is_on() {
            let data = fs::read(path).map_err(unread)?;
            return self.send(Message::Binary(&data));
        }
        let mut file = File::open(path).map_err(unread)?;
        let mut message =
            self.sender.message_writer(MessageKind::Binary).map_err(|e| self.why(&e))?;
        let copied = io::copy(&mut file, &mut message).map_err(unread)?;
        message.finish().map_err(|error| self.why(&error))?;
        self.screen.notice(&format!("sent {copied} bytes of {}", path.display()));
        Ok(())
    }

    fn stats(&self) -> String {
        let stats = self.sender.stats();
        format!(
            "{}; sent {} messages, {} bytes; received {} messages, {} bytes; {} reconnects",
            self.sender.state(),
            stats.messages_sent,
            stats.bytes_sent,
            stats.messages_received,
            stats.bytes_received,
            stats.reconnects
        )
    }

    fn why(&self, error: &SendError) -> String {
        match self.sender.state() {
            State::Open => format!("not sent: {error}"),
            state => format!("not sent: {error} ({state})"),
        }
    }
}

/// Reads lines until their end, or until one asks to close. Those that are typed while the line editor shows
/// what it has taken before are nobody's.
fn read(
    lines: &mut Lines,
    mut prompt: &str,
    screen: &Screen,
    history: Option<&Path>,
    typed: Channel<Typing>,
    happenings: &Channel<Happening>,
) {
    let mut typed = Some(typed);
    while screen.begin_line(typed.is_some()) {
        let read = lines.readline(prompt);
        screen.end_line();
        let ends = match (read, &typed) {
            (Ok(line), Some(typed)) => {
                if lines.add_history_entry(&line).unwrap_or(false)
                    && let Some(file) = history
                {
                    // Without it the line is kept as long as the process lives.
                    let _ = lines.append_history(file);
                }
                let closes = matches!(commands::read(&line), Ok(Typed::Close(..)));
                // Nobody acts on it any more: it is over.
                typed.send(Ok(line)).is_err() || closes
            }
            // Where Ctrl-C is a key.
            (Err(ReadlineError::Interrupted), _) => {
                let _ = happenings.send(Happening::Interrupt);
                true
            }
            (Ok(_) | Err(ReadlineError::Eof), _) => true,
            (Err(error), _) => {
                if let Some(typed) = &typed {
                    let what = format!("the terminal cannot be read: {error}");
                    let _ = typed.send(Err(Failure::new(Status::Other, what)));
                }
                return;
            }
        };
        if ends {
            typed = None;
            prompt = "";
        }
    }
}
