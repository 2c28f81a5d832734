//! Sends what the input says, on a thread of its own, as fast as the peer takes it.

use std::io::Read;
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender as Channel;
use websocket_app::{Message, SendError, Sender, State};

use super::conversation::Happening;
use super::format::{Format, Said};
use super::input::Pieces;
use crate::failure::Failure;
use crate::seconds::FOREVER;
use crate::status::Status;
use crate::talk::tape::Tape;
use crate::threads;

/// How long to wait where what is kept for a connection is on its way to it.
const RETRY: Duration = Duration::from_millis(1);

pub(crate) struct Feed {
    pub(crate) sender: Sender,
    pub(crate) happenings: Channel<Happening>,
    pub(crate) format: Format,
    pub(crate) tape: Tape,
    /// Whether what cannot be sent now may be sent to a later connection.
    pub(crate) reconnects: bool,
}

/// How the input ended.
#[derive(Debug)]
pub(crate) enum InputEnd {
    /// All of it is in the hands of the operating system.
    Sent,
    /// It asked to close.
    Close(u16, String),
    /// It could not be read, or what it says is no message.
    Failed(Failure),
    /// There is a message that the peer did not wait for: what it is.
    Unsent(String),
}

impl Feed {
    /// Reads and sends until the end of what is read.
    pub(crate) fn start(self, from: impl Read + Send + 'static) -> Result<(), Failure> {
        let thread = threads::spawn(move || {
            let end = self.run(from);
            // Once the main thread is gone nobody wants to know.
            let _ = self.happenings.send(Happening::InputEnd(end));
        });
        thread.map(drop)
    }

    fn run(&self, from: impl Read) -> InputEnd {
        let mut pieces = Pieces::of(from, self.format);
        loop {
            let piece = match pieces.next() {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => {
                    return InputEnd::Failed(Failure::io("standard input cannot be read", &error));
                }
            };
            // An empty line between JSON objects says nothing.
            if self.format == Format::JsonLines && piece.trim_ascii().is_empty() {
                continue;
            }
            let sent = match self.format.read(piece) {
                Ok(Said::Text(text)) => self.send_message(Message::Text(&text)),
                Ok(Said::Binary(data)) => self.send_message(Message::Binary(&data)),
                Ok(Said::Ping(payload)) => self.send_control(|| self.sender.ping(&payload)),
                Ok(Said::Pong(payload)) => self.send_control(|| self.sender.pong(&payload)),
                Ok(Said::Close(code, reason)) => {
                    self.flush();
                    return InputEnd::Close(code, reason);
                }
                Err(problem) => {
                    let what = format!("standard input, message {}: {problem}", pieces.count);
                    return InputEnd::Failed(Failure::new(Status::Other, what));
                }
            };
            if let Err(error) = sent {
                let what = format!("message {} of standard input", pieces.count);
                return match error {
                    SendError::NotConnected { .. } => InputEnd::Unsent(what),
                    error => InputEnd::Failed(Failure::unsent(&what, &error)),
                };
            }
        }
        self.flush();
        InputEnd::Sent
    }

    fn send_message(&self, message: Message<'_>) -> Result<(), SendError> {
        self.send(|| self.tape.send(&self.sender, message))
    }

    /// Sends a ping or a pong, which would overtake what waits for the next connection.
    fn send_control(&self, send: impl Fn() -> Result<(), SendError>) -> Result<(), SendError> {
        self.send(|| {
            if self.reconnects {
                self.flush();
            }
            send()
        })
    }

    /// Sends, waiting for the peer to read, and for the next connection where there will be one.
    fn send(&self, send: impl Fn() -> Result<(), SendError>) -> Result<(), SendError> {
        loop {
            match send() {
                // The first callback of a connection has not returned, or there is none: what waits
                // for that goes first.
                Err(SendError::NotConnected { .. }) if self.reconnects => {
                    self.sender.wait_open(FOREVER)?;
                }
                Err(SendError::BacklogFull { .. }) if self.sender.state() == State::Open => {
                    thread::sleep(RETRY);
                }
                Err(SendError::BacklogFull { .. }) => self.sender.wait_open(FOREVER)?,
                Err(SendError::Timeout { .. }) => {}
                sent => return sent,
            }
        }
    }

    /// Waits until everything is on its way, or cannot be: what that is the listener hears.
    fn flush(&self) {
        while let Err(SendError::Unwritten { .. }) = self.sender.flush(FOREVER) {}
    }
}
