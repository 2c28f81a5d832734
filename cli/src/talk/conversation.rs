//! The main thread of a conversation: waits for what happens, says when it is over, and how it
//! ended.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender as Channel, unbounded};
use regex_lite::Regex;
use websocket_app::{AppHandle, Close, ClosedBy, Error, Reconnect, WebSocketApp};

use super::TalkArgs;
use super::feed::{Feed, InputEnd};
use super::files::{Incoming, Outgoing};
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
    /// A ping or a pong.
    Control(String, Vec<u8>),
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

/// What has come, and gone, by the end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    /// Whether what was expected has come, where anything was.
    pub(crate) met: Option<bool>,
    pub(crate) unsent: Unsent,
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
    // What was recorded before is there until nothing is wrong with the options.
    let tape = match &args.record {
        Some(file) => Tape::create(
            file,
            &url,
            args.connection.headers()?,
            args.record_credentials,
            tell.clone(),
        )?,
        None => Tape::none(),
    };
    let progress = Arc::new(Progress::new(began));
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
        timings: args.timings.then_some(began),
        unsent: Unsent::default(),
    };
    let mut app = args.connection.apply(WebSocketApp::with_handler(&url, listener))?;
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
    let mut conversation = Conversation {
        args,
        url,
        app: &app,
        tell,
        outgoing,
        writer: &writer,
        screen,
        modes: Modes::remember(),
        tape: tape.clone(),
        progress,
        began,
        opened: false,
        input_over: None,
        input_failure: None,
        leaving: None,
        aborted: false,
        given_up: false,
        ending: None,
        error: None,
        ended: false,
        broken: None,
    };
    let last = conversation.follow(&happenings);
    conversation.leave_terminal();
    let patience = conversation.patience();
    let Conversation { url, ending, input_failure, broken, given_up, .. } = conversation;
    let ending = match (ending, input_failure) {
        (None | Some(Ending::Done), Some(failure)) => Some(Ending::Failed(failure)),
        (ending, _) => ending,
    };
    let ending = match (writer.finish(patience), ending) {
        (false, None | Some(Ending::Done | Ending::Enough)) => Some(Ending::TimedOut),
        (_, ending) => ending,
    };
    // A writer that failed at the very end has said so by now.
    let failed_late = happenings.try_iter().find_map(|happening| match happening {
        Happening::OutputFailed(error) => Some(Ending::OutputFailed(error)),
        _ => None,
    });
    let ending = match ending {
        None | Some(Ending::Done | Ending::Enough) => failed_late.or(ending),
        ending => ending,
    };
    // A callback that waits for who reads what it writes goes on as long as the process.
    let run = if given_up { Err(Error::Cancelled) } else { app.join() };
    let judged = judge(args, &url, (ending, broken), last, run);
    match (judged, tape.failure()) {
        (Ok(Status::Done), Some(failure)) => Err(failure),
        (judged, failure) => {
            // The status is that of the conversation, which is wrong too.
            failure.iter().for_each(Failure::print);
            judged
        }
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
    app: &'a AppHandle,
    tell: Channel<Happening>,
    writer: &'a Writer,
    /// A file to be sent once it is open.
    outgoing: Option<Outgoing>,
    /// Where somebody types and reads.
    screen: Option<Screen>,
    modes: Modes,
    tape: Tape,
    progress: Arc<Progress>,
    began: Instant,
    opened: bool,
    /// Since when there is nothing more to send.
    input_over: Option<Instant>,
    /// Why, where that is not its end.
    input_failure: Option<Failure>,
    /// Until when the peer may answer the Close frame.
    leaving: Option<Instant>,
    /// The connection has been dropped, since it did not end in time.
    aborted: bool,
    /// Nor is its end waited for any more.
    given_up: bool,
    /// Why we end it, where that is not the connection's own end.
    ending: Option<Ending>,
    /// What was wrong last with a connection.
    error: Option<Error>,
    /// Whether a connection has ended after which there is to be another.
    ended: bool,
    /// What was wrong with its end, if anything was.
    broken: Option<Failure>,
}

/// Why a conversation ends before the connection does.
#[derive(Debug)]
enum Ending {
    /// There is nothing more to wait for.
    Done,
    /// There was as much as was asked for.
    Enough,
    Interrupt,
    TimedOut,
    OutputFailed(io::Error),
    Failed(Failure),
    /// The connection ended before all was sent: with what.
    Unsent(String),
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
        let reads = self.opened && self.input_over.is_none() && self.screen.is_none();
        let until = Instant::now() + NOTICING;
        while reads && self.ending.is_none() {
            match happenings.recv_deadline(until) {
                Ok(Happening::Open | Happening::Reconnect | Happening::Control(..)) => {}
                Ok(happening) => self.take(happening),
                Err(_) => return,
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
            Happening::Failed(failure) => self.fail(Ending::Failed(failure)),
            Happening::Control(kind, payload) => {
                let mut line = format!("{kind} ");
                escape::push_bytes(&mut line, &payload);
                self.notice(line.trim_end());
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
                self.broken = match error {
                    Some(error) => Some(Failure::of(&error, &self.url)),
                    None => Failure::of_close(&close, &self.url),
                };
                self.ended = true;
                self.give_up_the_unsent();
            }
            Happening::InputEnd(InputEnd::Sent) => self.input_over = Some(Instant::now()),
            Happening::InputEnd(InputEnd::Close(code, reason)) => {
                self.close_with(Ending::Done, code, &reason);
            }
            // What was sent before it may be answered still.
            Happening::InputEnd(InputEnd::Failed(failure)) => {
                self.input_failure = Some(failure);
                self.input_over = Some(Instant::now());
            }
            Happening::InputEnd(InputEnd::Unsent(what)) => {
                self.ending.get_or_insert(Ending::Unsent(what));
                self.give_up_the_unsent();
            }
            Happening::OutputFailed(error) => {
                self.fail(Ending::OutputFailed(error));
                self.leaving = Some(Instant::now() + PATIENCE);
            }
            // The conversation is worth more.
            Happening::RecordingFailed(failure) => self.notice(&failure.to_string()),
            // Its last callback has said so.
            Happening::Over => {}
            Happening::Interrupt => {
                self.close(Ending::Interrupt);
                // Also of what was ending anyway.
                self.ending = Some(Ending::Interrupt);
                self.leaving = Some(Instant::now() + PATIENCE);
            }
        }
    }

    /// What belonged to a connection that has ended cannot be sent on another.
    fn give_up_the_unsent(&self) {
        if self.ended && matches!(self.ending, Some(Ending::Unsent(_))) {
            self.app.close();
        }
    }

    fn start_input(&mut self) -> Result<(), Failure> {
        if let Some(screen) = &self.screen {
            let url = shown_url(&self.url);
            screen.notice(&format!(
                "connected to {url}; Ctrl-D closes, /help shows what else there is"
            ));
            let editor = Editor {
                sender: self.app.sender(),
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
            signals::before_the_end(move || modes.restore());
            return editor.start();
        }
        if let Some(file) = self.outgoing.take() {
            file.start(self.app.sender(), !self.args.text, self.tell.clone())?;
        } else if self.args.reads_stdin() {
            let feed = Feed {
                sender: self.app.sender(),
                happenings: self.tell.clone(),
                format: self.args.format(),
                tape: self.tape.clone(),
                reconnects: self.args.reconnect.is_some(),
            };
            feed.start(io::stdin())?;
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
        let until = self.args.timeout.map(|timeout| self.began + timeout);
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match self.ending {
            Some(Ending::Interrupt | Ending::TimedOut) => PATIENCE,
            _ => left.unwrap_or(FOREVER),
        }
    }

    /// Returns when something is to be done if nothing happens until then.
    fn deadline(&self) -> Option<Instant> {
        let timeout = self.args.timeout.map(|timeout| self.began + timeout);
        let quiet = self.quiet_until().filter(|_| self.ending.is_none());
        let timeout = timeout.filter(|_| self.leaving.is_none());
        [timeout, quiet, self.leaving].into_iter().flatten().min()
    }

    /// Returns until when messages are waited for once the input is over.
    fn quiet_until(&self) -> Option<Instant> {
        let wait = self.args.wait(self.screen.is_some());
        let over = self.input_over?;
        let since = over.max(self.progress.last());
        match self.input_failure {
            // Whoever waits for ever is to hear of it, and where messages come all the time too.
            Some(_) => Some((since + wait.min(PATIENCE)).min(over + ANSWERING)),
            // At once, also where a message is just being written out, as one always is in a stream.
            None if wait.is_zero() => Some(over),
            None => (wait != FOREVER).then(|| since + wait),
        }
    }

    fn time_is_over(&mut self) {
        let now = Instant::now();
        if self.leaving.is_some_and(|leaving| leaving <= now) {
            // A callback may be waiting for who reads standard output.
            self.writer.give_up();
            self.screen.iter().for_each(Screen::give_up);
            self.app.sender().abort();
            self.given_up = self.aborted;
            self.aborted = true;
            // It has no deadline any more, unless a callback waits for who reads what it writes.
            self.leaving = Some(now + PATIENCE);
        } else if self.leaving.is_none()
            && self.args.timeout.is_some_and(|timeout| self.began + timeout <= now)
        {
            self.close(Ending::TimedOut);
            self.leaving = Some(now + PATIENCE);
        } else if self.quiet_until().is_some_and(|until| until <= now) {
            self.close(Ending::Done);
        }
    }

    /// Ends it for what we could not do, also where it was ending in order.
    fn fail(&mut self, ending: Ending) {
        match self.ending {
            Some(Ending::Done | Ending::Enough) => self.ending = Some(ending),
            _ => self.close(ending),
        }
    }

    fn close(&mut self, ending: Ending) {
        self.close_with(ending, self.args.close_code, &self.args.close_reason);
    }

    fn close_with(&mut self, ending: Ending, code: u16, reason: &str) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(ending);
        if let Err(error) = self.app.sender().close_with(code, reason) {
            self.ending = Some(Ending::Failed(Failure::usage(error.to_string())));
            self.app.close();
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

/// Says how it ended: what the user did comes first, then what we could not do, then what was asked
/// for, then what the connection says.
fn judge(
    args: &TalkArgs,
    url: &str,
    (ending, broken): (Option<Ending>, Option<Failure>),
    last: Option<Came>,
    run: Result<Close, Error>,
) -> Result<Status, Failure> {
    let unmet = last.is_some_and(|came| came.met == Some(false));
    match &ending {
        Some(Ending::Interrupt) => return Ok(Status::Interrupted),
        // Nobody reads it any more, as `head` does when it has seen enough.
        Some(Ending::OutputFailed(error)) if error.kind() == ErrorKind::BrokenPipe => {
            return Ok(Status::Done);
        }
        Some(Ending::OutputFailed(error)) => {
            return Err(Failure::io("standard output cannot be written", error));
        }
        Some(Ending::Failed(failure)) => return Err(failure.clone()),
        // It is what is expected that is not there in time.
        Some(Ending::TimedOut) if !unmet || args.receive_file.is_some() => {
            let what = format!("{}: not over within --timeout", shown_url(url));
            return Err(Failure::new(Status::TimedOut, what));
        }
        _ => {}
    }
    let queued = last.map(|came| came.unsent).unwrap_or_default();
    let unsent = what_was_not_sent(ending.as_ref(), queued);
    let lost = |failure: Failure| match &unsent {
        Some(what) => failure.advice(what),
        None => failure,
    };
    let close = match run {
        Ok(close) => close,
        Err(error) => return Err(lost(Failure::of(&error, url))),
    };
    if let (true, Some(file)) = (unmet, &args.receive_file) {
        return Err(Incoming::missing(file).advice(format!("closed: {close}")));
    }
    if unmet {
        let what =
            format!("{}: no message for --expect {}", shown_url(url), args.expect.join(", "));
        return Err(Failure::new(Status::NotAsExpected, format!("{what}; closed: {close}")));
    }
    if let Some(failure) = Failure::of_close(&close, url) {
        return Err(lost(failure));
    }
    if let (Some(Ending::Unsent(_)), Some(failure)) = (&ending, broken) {
        return Err(lost(failure));
    }
    match unsent {
        Some(what) => {
            let failure = Failure::new(Status::Other, what);
            Err(failure.advice(format!("{} has closed the connection: {close}", shown_url(url))))
        }
        None => Ok(Status::Done),
    }
}

/// Says what has not been sent, where anything has not.
fn what_was_not_sent(ending: Option<&Ending>, queued: Unsent) -> Option<String> {
    let Unsent { messages, bytes } = queued;
    let queued = match messages {
        0 => None,
        1 => Some(format!("a message of {bytes} bytes was queued and not sent")),
        _ => Some(format!("{messages} messages of {bytes} bytes were queued and not sent")),
    };
    match (ending, queued) {
        // It was not waited for.
        (Some(Ending::Enough), _) => None,
        (Some(Ending::Unsent(what)), None) => Some(format!("{what} was not sent")),
        (Some(Ending::Unsent(what)), Some(queued)) => {
            Some(format!("{what} was not sent; before it {queued}"))
        }
        (_, queued) => queued,
    }
}
