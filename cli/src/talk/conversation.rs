//! The main thread of a conversation: waits for what happens, says when it is over, and how it
//! ended.

use std::io::{self, IsTerminal, Write};
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender as Channel, unbounded};
use regex_lite::Regex;
use websocket_app::{Close, ClosedBy, Error, Reconnect, Sender, WebSocketApp};

use super::TalkArgs;
use super::controls::Controls;
use super::ending::{Came, Ending, judge};
use super::feed::{Feed, InputEnd};
use super::files::{self, Incoming, Outgoing};
use super::input::Awaited;
use super::listener::{Expected, Listener, To, Unsent};
use super::output::{self, Writer};
use super::progress::Progress;
use super::tape::Tape;
use super::terminal::{Editor, Modes, Screen};
use crate::escape;
use crate::failure::{Failure, shown_url};
use crate::seconds::FOREVER;
use crate::signals;
use crate::status::Status;

/// What the other threads tell the main thread.
#[derive(Debug)]
pub(crate) enum Happening {
    Open,
    Reconnect,
    /// As many messages came, and such, as were asked for.
    Enough,
    /// What `-x` says could not be sent, or a file not be written.
    Failed(Failure),
    /// A ping or a pong, as it is shown.
    Control(String),
    Error(Error),
    Close(Close, Came),
    InputEnd(InputEnd),
    OutputFailed(io::Error),
    /// The recording is not whole.
    RecordingFailed(Failure),
    Interrupt,
    /// Nothing more is told: the run has ended, and where that is the first word of it, before its time.
    Over,
}

/// How long the peer has to answer the Close frame once the user wants to leave.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long what was sent may be answered, one message after the other, where the input has failed.
const ANSWERING: Duration = Duration::from_secs(5);

/// How long the line editor paints.
const PAINTING: Duration = Duration::from_millis(20);

/// How long the input has to notice that the peer is gone.
const NOTICING: Duration = Duration::from_millis(100);

/// How much is kept for the next connection.
const BACKLOG: usize = 16 << 20;

/// How much may be queued for a peer that reads slowly: enough for full packets all the time.
const QUEUE: usize = 4 << 20;

/// The longest time between two attempts to connect.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// Connects, talks, and returns how it ended.
pub(crate) fn hold(args: &TalkArgs) -> Result<Status, Failure> {
    let began = Instant::now();
    // clap insists on it.
    let url = args.url.clone().unwrap_or_default();
    let (tell, happenings) = unbounded();
    let (output, writer) = output::start(io::stdout(), {
        let tell = tell.clone();
        move |error| drop(tell.send(Happening::OutputFailed(error)))
    })?;
    let screen = args.is_interactive().then(|| Screen::new(args.colours())).transpose()?;
    let to = match (&screen, args.format()) {
        (Some(screen), format) => To::Screen(screen.clone(), format),
        (None, format) if io::stdout().is_terminal() => To::Shown(output, format),
        (None, format) => To::Bytes(output, format),
    };
    let expected = Expected::new(args.count, patterns(&args.expect)?);
    let outgoing = args.send_file.as_deref().map(Outgoing::open).transpose()?;
    let incoming = args.receive_file.as_deref().map(Incoming::create).transpose()?;
    let connection = args.connection.read()?;
    let tape = match &args.record {
        Some(file) => Tape::open(
            file,
            &url,
            connection.headers().to_owned(),
            args.record_credentials,
            tell.clone(),
        )?,
        None => Tape::none(),
    };
    let progress = Arc::new(Progress::new(began));
    let controls = Controls::default();
    let listener = Listener {
        to,
        file: incoming,
        has_file: false,
        tape: tape.clone(),
        happenings: tell.clone(),
        progress: Arc::clone(&progress),
        execute: args.execute.clone(),
        expected,
        show_ping_pong: args.show_ping_pong,
        controls: controls.clone(),
        timings: args.timings.then_some(began),
        unsent: Unsent::default(),
    };
    let mut app = connection.apply(WebSocketApp::with_handler(&url, listener));
    app = app.max_send_buffer(QUEUE);
    if let Some(reconnect) = reconnect(args) {
        app = app.reconnect(reconnect);
    }
    if args.send_file.is_none() {
        // Also where no connection follows: what is left at the end is then told of. A file belongs to
        // its connection, and the end of that is what a flush without this tells.
        app = app.queue_while_disconnected(BACKLOG, FOREVER);
    }
    signals::on_interrupt({
        let tell = tell.clone();
        move || drop(tell.send(Happening::Interrupt))
    })?;
    let app = app.spawn().map_err(|error| Failure::of(&error, &url))?;
    // What was recorded before is there until nothing is wrong with the options.
    tape.begin();
    let mut conversation = Conversation {
        args,
        url,
        sender: app.sender(),
        tell,
        outgoing,
        writer: &writer,
        screen,
        modes: Modes::remember(),
        tape: tape.clone(),
        progress,
        controls,
        began,
        opened: false,
        input: None,
        input_over: None,
        ending: None,
        closing: false,
        leaving: None,
        aborted: false,
        given_up: false,
        error: None,
        ended: None,
        recording_failed: false,
    };
    let last = conversation.follow(&happenings);
    conversation.leave_terminal();
    if !writer.finish(conversation.patience()) {
        conversation.note(Ending::TimedOut);
    }
    // A callback that waits for who reads what it writes goes on as long as the process.
    let run = if conversation.given_up { Err(Error::Cancelled) } else { app.join() };
    happenings.try_iter().for_each(|happening| conversation.take_late(happening));
    if signals::is_interrupted() {
        conversation.note(Ending::Interrupt);
    }
    if conversation.screen.is_some() {
        // Whoever has typed since may have ended a line.
        conversation.modes.restore();
    }
    let recording = tape.failure();
    recording.iter().filter(|_| !conversation.recording_failed).for_each(Failure::print);
    let Conversation { url, ending, ended, .. } = conversation;
    let judged = judge(args, &url, ending, ended, last, run);
    match recording {
        Some(failure) => {
            // The status of what is wrong otherwise is the conversation's.
            judged.map(|status| if status == Status::Done { failure.status } else { status })
        }
        None => judged,
    }
}

fn patterns(expect: &[String]) -> Result<Vec<Regex>, Failure> {
    expect
        .iter()
        .map(|pattern| {
            Regex::new(pattern)
                .map_err(|error| Failure::usage(format!("--expect {pattern}: {error}")))
        })
        .collect()
}

fn reconnect(args: &TalkArgs) -> Option<Reconnect> {
    let first = args.reconnect?;
    let reconnect = Reconnect::exponential(first, MAX_DELAY.max(first));
    Some(match args.max_attempts {
        Some(attempts) => reconnect.max_attempts(attempts),
        None => reconnect,
    })
}

struct Conversation<'a> {
    args: &'a TalkArgs,
    url: String,
    sender: Sender,
    tell: Channel<Happening>,
    writer: &'a Writer,
    /// A file to be sent once it is open.
    outgoing: Option<Outgoing>,
    /// Where somebody types and reads.
    screen: Option<Screen>,
    modes: Modes,
    tape: Tape,
    progress: Arc<Progress>,
    controls: Controls,
    began: Instant,
    opened: bool,
    /// Whether input is waited for, where any is read.
    input: Option<Awaited>,
    /// Since when there is nothing more to send.
    input_over: Option<Instant>,
    /// What it ends with, where that is not the connection's own end.
    ending: Option<Ending>,
    /// We have asked for its end.
    closing: bool,
    /// Until when the peer may answer the Close frame.
    leaving: Option<Instant>,
    /// The connection has been dropped, since it did not end in time.
    aborted: bool,
    /// Nor is its end waited for any more.
    given_up: bool,
    /// What was wrong last with a connection.
    error: Option<Error>,
    /// How a connection has ended after which there is to be another.
    ended: Option<Result<(), Failure>>,
    /// It has been said why the recording is not whole.
    recording_failed: bool,
}

impl Conversation<'_> {
    /// Waits until the run is over, or is given up. Returns what has come by then.
    fn follow(&mut self, happenings: &Receiver<Happening>) -> Option<Came> {
        loop {
            let happening = match self.deadline() {
                Some(deadline) => happenings.recv_deadline(deadline),
                None => happenings.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match happening {
                Ok(Happening::Close(close, came)) if close.reconnect_in.is_none() => {
                    self.look_for_the_unsent(happenings);
                    return Some(came);
                }
                Ok(Happening::Over) => return None,
                Ok(happening) => self.take(happening),
                Err(RecvTimeoutError::Timeout) => {
                    self.time_is_over();
                    if self.given_up {
                        return None;
                    }
                }
                // This has a sender itself.
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Where the peer ended it, waits for a moment for the input to notice: a file whose next line has
    /// nowhere to go is to be told of, one who has not typed a line is not waited for.
    fn look_for_the_unsent(&mut self, happenings: &Receiver<Happening>) {
        let Some(awaited) = self.input.clone() else { return };
        let mut until = Instant::now() + NOTICING;
        while self.input_over.is_none() && self.ending.is_none() {
            match happenings.recv_deadline(until) {
                Ok(Happening::Open | Happening::Reconnect | Happening::Control(_)) => {}
                Ok(happening) => self.take(happening),
                Err(_) if awaited.is_so() || self.time_left().is_zero() => {
                    // Unlike a line, a file has begun, and its end has not been read.
                    if let Some(file) = &self.args.send_file {
                        self.note(Ending::Unsent(files::name_of(file)));
                    }
                    return;
                }
                // What it has in hand is to be told of.
                Err(_) => until = Instant::now() + NOTICING,
            }
        }
    }

    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Open => {
                self.verbose(|| format!("connected to {}", shown_url(&self.url)));
                if !self.opened {
                    self.opened = true;
                    if let Err(failure) = self.start_input() {
                        self.close(Ending::Failed(failure));
                    }
                }
            }
            Happening::Reconnect => {
                self.opened = true;
                self.notice(&format!("connected again to {}", shown_url(&self.url)));
            }
            Happening::Enough => self.close(Ending::Enough),
            Happening::Failed(failure) => self.close(Ending::Failed(failure)),
            Happening::Control(line) => {
                self.notice(&line);
                self.controls.shown().iter().for_each(|more| self.notice(more));
            }
            // The last is what the run ends with.
            Happening::Error(error) => {
                match error {
                    Error::Attempt { retry_in: Some(_), .. } => self.notice(&error.to_string()),
                    _ => self.verbose(|| error.to_string()),
                }
                self.error = Some(error);
            }
            Happening::Close(close, _) => {
                self.notice(&format!("closed: {close}"));
                let error = self.error.take().filter(|_| close.by == ClosedBy::Lost);
                let failure = match error {
                    Some(error) => Some(Failure::of(&error, &self.url)),
                    None => Failure::of_close(&close, &self.url),
                };
                self.ended = Some(failure.map_or(Ok(()), Err));
                self.give_up_the_unsent();
            }
            Happening::InputEnd(InputEnd::Sent) => self.input_over = Some(Instant::now()),
            Happening::InputEnd(InputEnd::Close(code, reason)) => {
                self.close_with(Ending::Done, code, &reason);
            }
            // What was sent before it may be answered still.
            Happening::InputEnd(InputEnd::Failed(failure)) => {
                self.note(Ending::InputFailed(failure));
                self.input_over = Some(Instant::now());
            }
            Happening::InputEnd(InputEnd::Unsent(what)) => {
                self.note(Ending::Unsent(what));
                self.give_up_the_unsent();
            }
            Happening::OutputFailed(error) => {
                self.close(Ending::OutputFailed(error));
                self.leaving = Some(Instant::now() + PATIENCE);
            }
            // The conversation is worth more.
            Happening::RecordingFailed(failure) => {
                self.recording_failed = true;
                self.notice(&failure.to_string());
            }
            // Its last callback has said so.
            Happening::Over => {}
            Happening::Interrupt => {
                self.close(Ending::Interrupt);
                self.leaving = Some(Instant::now() + PATIENCE);
            }
        }
    }

    /// Takes what is told when the run is over.
    fn take_late(&mut self, happening: Happening) {
        match happening {
            Happening::OutputFailed(error) => self.note(Ending::OutputFailed(error)),
            Happening::Interrupt => self.note(Ending::Interrupt),
            Happening::RecordingFailed(failure) => {
                self.recording_failed = true;
                failure.print();
            }
            _ => {}
        }
    }

    /// What belonged to a connection that has ended cannot be sent on another.
    fn give_up_the_unsent(&self) {
        if self.ended.is_some() && matches!(self.ending, Some(Ending::Unsent(_))) {
            self.sender.close();
        }
    }

    fn start_input(&mut self) -> Result<(), Failure> {
        if let Some(screen) = &self.screen {
            let url = shown_url(&self.url);
            screen.notice(&format!(
                "connected to {url}; Ctrl-D closes, /help shows what else there is"
            ));
            let editor = Editor {
                sender: self.sender.clone(),
                happenings: self.tell.clone(),
                screen: screen.clone(),
                modes: self.modes.clone(),
                format: self.args.format(),
                tape: self.tape.clone(),
                colours: self.args.colours(),
                history: (!self.args.no_history).then(|| self.args.history.clone()),
            };
            // However it ends, also not in order.
            let modes = self.modes.clone();
            signals::before_the_end(move || {
                modes.restore();
            });
            return editor.start();
        }
        if let Some(file) = self.outgoing.take() {
            let awaited = self.input.insert(Awaited::default());
            file.start(self.sender.clone(), !self.args.text, awaited, self.tell.clone())?;
        } else if self.args.reads_stdin() {
            let feed = Feed {
                sender: self.sender.clone(),
                happenings: self.tell.clone(),
                format: self.args.format(),
                tape: self.tape.clone(),
                reconnects: self.args.reconnect.is_some(),
            };
            feed.start(self.input.insert(Awaited::default()).watch(io::stdin()))?;
        } else {
            self.input_over = Some(Instant::now());
        }
        Ok(())
    }

    /// Shows what has come, and puts the terminal back as it was, where a line is still being typed.
    fn leave_terminal(&self) {
        if let Some(screen) = &self.screen {
            screen.finish(self.patience());
            if screen.is_typing() {
                // It may be just painting its prompt again; one that comes later is only ugly.
                thread::sleep(PAINTING);
                // No bracketed paste any more; and what follows does not stand behind that line.
                let _ =
                    io::stdout().write_all(b"\x1b[?2004l\r\n").and_then(|()| io::stdout().flush());
            }
            self.modes.restore();
        }
    }

    /// Returns how long whoever reads the messages may take to read those that have come.
    fn patience(&self) -> Duration {
        match self.ending {
            Some(Ending::Interrupt) => PATIENCE,
            _ => self.time_left().max(PATIENCE),
        }
    }

    /// Returns how long it may take until --timeout.
    fn time_left(&self) -> Duration {
        let left = self.args.timeout.map(|timeout| timeout.saturating_sub(self.began.elapsed()));
        left.unwrap_or(FOREVER)
    }

    /// Returns when something is to be done if nothing happens until then.
    fn deadline(&self) -> Option<Instant> {
        let timeout = self.args.timeout.map(|timeout| self.began + timeout);
        let quiet = self.quiet_until().filter(|_| !self.closing);
        let timeout = timeout.filter(|_| self.leaving.is_none());
        [timeout, quiet, self.leaving].into_iter().flatten().min()
    }

    /// Returns until when messages are waited for once the input is over.
    fn quiet_until(&self) -> Option<Instant> {
        let wait = self.args.wait(self.screen.is_some());
        let over = self.input_over?;
        let since = over.max(self.progress.last());
        match self.ending {
            // Whoever waits for ever is to hear of it, and where messages come all the time too.
            Some(Ending::InputFailed(_)) => {
                Some((since + wait.min(PATIENCE)).min(over + ANSWERING))
            }
            // At once, also where a message is just being written out, as one always is in a stream.
            _ if wait.is_zero() => Some(over),
            _ => (wait != FOREVER).then(|| since + wait),
        }
    }

    fn time_is_over(&mut self) {
        let now = Instant::now();
        if self.leaving.is_some_and(|leaving| leaving <= now) {
            // A callback may be waiting for who reads standard output.
            self.writer.give_up();
            self.screen.iter().for_each(Screen::give_up);
            self.sender.abort();
            self.given_up = self.aborted;
            self.aborted = true;
            // It has no deadline any more, unless a callback waits for who reads what it writes.
            self.leaving = Some(now + PATIENCE);
        } else if self.leaving.is_none()
            && self.args.timeout.is_some_and(|timeout| self.began + timeout <= now)
        {
            // What is ending has ended in time, as far as it is up to us.
            match (self.closing, self.opened) {
                (true, _) => self.note(Ending::CutOff),
                (false, true) => self.close(Ending::TimedOut),
                (false, false) => self.close(Ending::NotConnected),
            }
            self.leaving = Some(now + PATIENCE);
        } else if self.quiet_until().is_some_and(|until| until <= now) {
            self.close(Ending::Done);
        }
    }

    fn note(&mut self, ending: Ending) {
        ending.note(&mut self.ending);
    }

    fn close(&mut self, ending: Ending) {
        self.close_with(ending, self.args.close_code, &self.args.close_reason);
    }

    fn close_with(&mut self, ending: Ending, code: u16, reason: &str) {
        self.note(ending);
        if mem::replace(&mut self.closing, true) {
            return;
        }
        if let Err(error) = self.sender.close_with(code, reason) {
            self.note(Ending::Failed(Failure::usage(error.to_string())));
            self.sender.close();
        }
    }

    fn verbose(&self, text: impl FnOnce() -> String) {
        if self.args.verbose {
            self.notice(&text());
        }
    }

    /// Tells the user, but not whoever reads the messages.
    fn notice(&self, text: &str) {
        match &self.screen {
            Some(screen) => screen.notice(text),
            None => drop(writeln!(io::stderr(), "wsapp: {}", escape::lines(text))),
        }
    }
}
