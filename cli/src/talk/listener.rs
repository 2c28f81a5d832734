//! [`Listener`]: what the app calls back, on its own thread: messages go to the output, everything
//! else becomes a [`Happening`] for the main thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender as Channel;
use regex_lite::Regex;
use websocket_app::{CallbackError, Close, Error, Fragment, Handler, Message, SendError, Sender};

use super::controls::Controls;
use super::conversation::Happening;
use super::ending::Came;
use super::files::Incoming;
use super::format::Format;
use super::json_line;
use super::output::Output;
use super::progress::Progress;
use super::tape::Tape;
use super::terminal::{Screen, text_of};
use crate::escape;
use crate::failure::Failure;

pub(crate) struct Listener {
    pub(crate) to: To,
    pub(crate) tape: Tape,
    /// Where the first message goes instead, piece by piece.
    pub(crate) file: Option<Incoming>,
    pub(crate) has_file: bool,
    pub(crate) happenings: Channel<Happening>,
    pub(crate) progress: Arc<Progress>,
    /// What is sent whenever a connection opens.
    pub(crate) execute: Vec<String>,
    pub(crate) expected: Expected,
    pub(crate) show_ping_pong: bool,
    /// Those of them that are on their way.
    pub(crate) controls: Controls,
    /// From when times count, where they are shown.
    pub(crate) timings: Option<Instant>,
    pub(crate) unsent: Unsent,
}

/// What was queued, and is not in the hands of the operating system at the end of the run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unsent {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// Where messages go.
pub(crate) enum To {
    /// To standard output, as bytes.
    Bytes(Output, Format),
    /// To standard output, which is a terminal: nothing in them may change that.
    Shown(Output, Format),
    /// Above the line that is being typed.
    Screen(Screen, Format),
}

impl To {
    fn put(&self, message: Message<'_>, at: Option<Duration>) {
        match self {
            To::Bytes(output, format) => output.put(|to| format.write(message, at, to)),
            To::Screen(screen, Format::JsonLines) => {
                let mut shown = Vec::new();
                Format::JsonLines.show(message, at, &mut shown);
                screen.message(String::from_utf8_lossy(&shown).trim_end());
            }
            To::Screen(screen, _) => {
                let time = at.map(|at| format!("{:.6} ", at.as_secs_f64())).unwrap_or_default();
                screen.message(&format!("{time}{}", text_of(message)));
            }
            To::Shown(output, format) => output.put(|to| format.show(message, at, to)),
        }
    }
}

/// How much has to come until there is enough.
pub(crate) struct Expected {
    /// How many messages may still come.
    left: Option<u64>,
    /// What messages have to match, one after the other.
    patterns: Vec<Regex>,
    met: usize,
}

impl Expected {
    pub(crate) fn new(count: Option<u64>, patterns: Vec<Regex>) -> Self {
        Expected { left: count, patterns, met: 0 }
    }

    /// Returns whether there has been enough.
    fn is_over(&self) -> bool {
        self.left == Some(0) || self.is_met() == Some(true)
    }

    /// Returns whether all patterns have matched, where there are any.
    fn is_met(&self) -> Option<bool> {
        (!self.patterns.is_empty()).then_some(self.met == self.patterns.len())
    }

    fn count(&mut self, message: Message<'_>) {
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        if let Some(pattern) = self.patterns.get(self.met) {
            self.met += usize::from(pattern.is_match(&String::from_utf8_lossy(message.as_bytes())));
        }
    }
}

impl Listener {
    fn tell(&self, happening: Happening) {
        // Once the main thread is gone nobody wants to know.
        let _ = self.happenings.send(happening);
    }

    /// Sends what `-x` says.
    fn execute(&self, ws: &Sender) {
        for text in &self.execute {
            if let Err(error) = self.tape.send(ws, Message::Text(text)) {
                return self.tell(Happening::Failed(Failure::unsent("what -x says", &error)));
            }
        }
    }

    fn control(&self, kind: &str, payload: &[u8]) {
        if self.show_ping_pong {
            let at = self.timings.map(|began| began.elapsed());
            match &self.to {
                To::Bytes(output, Format::JsonLines) | To::Shown(output, Format::JsonLines) => {
                    output.put(|to| json_line::write_control(kind, payload, at, to));
                }
                To::Screen(screen, _) => screen.control(&line_of(kind, payload)),
                _ if self.controls.may_go() => {
                    self.tell(Happening::Control(line_of(kind, payload)));
                }
                _ => {}
            }
        }
    }
}

/// Returns how a ping or a pong is shown.
fn line_of(kind: &str, payload: &[u8]) -> String {
    let mut line = format!("{kind} ");
    escape::push_bytes(&mut line, payload);
    line.truncate(line.trim_end().len());
    line
}

/// Where the system has no thread for it, a run ends without a call.
impl Drop for Listener {
    fn drop(&mut self) {
        self.tell(Happening::Over);
    }
}

impl Handler for Listener {
    fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.tape.opened(ws);
        self.execute(ws);
        self.tell(Happening::Open);
        Ok(())
    }

    fn on_reconnect(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.tape.opened(ws);
        self.execute(ws);
        self.tell(Happening::Reconnect);
        Ok(())
    }

    fn on_message(&mut self, _ws: &Sender, message: Message<'_>) -> Result<(), CallbackError> {
        // What still comes while it is being closed was not asked for.
        if self.expected.is_over() {
            return Ok(());
        }
        let at = self.timings.map(|began| began.elapsed());
        self.tape.received(message);
        self.progress.message(|| self.to.put(message, at));
        self.expected.count(message);
        if self.expected.is_over() {
            self.tell(Happening::Enough);
        }
        Ok(())
    }

    fn wants_fragments(&self) -> bool {
        self.file.is_some()
    }

    fn on_fragment(&mut self, _ws: &Sender, fragment: Fragment<'_>) -> Result<(), CallbackError> {
        let Some(file) = self.file.as_mut().filter(|_| !self.has_file) else { return Ok(()) };
        let taken = self.progress.message(|| file.take(&fragment));
        match taken {
            Ok(false) => {}
            Ok(true) => {
                self.has_file = true;
                self.tell(Happening::Enough);
            }
            Err(error) => {
                self.has_file = true;
                let is_stdout = file.is_stdout();
                self.tell(match is_stdout {
                    true => Happening::OutputFailed(error),
                    false => Happening::Failed(Failure::io("--receive-file", &error)),
                });
            }
        }
        Ok(())
    }

    fn on_ping(&mut self, _ws: &Sender, payload: &[u8]) -> Result<(), CallbackError> {
        self.control("ping", payload);
        Ok(())
    }

    fn on_pong(&mut self, _ws: &Sender, payload: &[u8]) -> Result<(), CallbackError> {
        self.control("pong", payload);
        Ok(())
    }

    fn on_error(&mut self, _ws: &Sender, error: &Error) -> Result<(), CallbackError> {
        // Each of them comes back, before the last `on_close`.
        if let Error::Send(SendError::NotConnected { message: Some(message) }) = error {
            self.unsent.messages += 1;
            self.unsent.bytes += message.len() as u64;
            return Ok(());
        }
        self.tell(Happening::Error(error.clone()));
        Ok(())
    }

    fn on_close(&mut self, _ws: &Sender, close: &Close) -> Result<(), CallbackError> {
        let met = match &self.file {
            Some(_) => Some(self.has_file),
            None => self.expected.is_met(),
        };
        self.tell(Happening::Close(close.clone(), Came { met, unsent: self.unsent }));
        Ok(())
    }
}
