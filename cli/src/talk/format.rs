//! [`Format`]: what stands between messages where they are bytes, on standard input and output.

use std::borrow::Cow;
use std::str;
use std::time::Duration;

use websocket_app::Message;

use super::json_line;
use super::terminal::text_of;
use crate::escape;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// This byte behind each message; what is read is text, or binary.
    Separated { by: u8, binary: bool },
    /// A JSON object in each line, which tells text from binary.
    JsonLines,
    /// Nothing: what is read at a time is a binary message.
    Stream,
}

/// What a piece of the input asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    Text(Cow<'a, str>),
    Binary(Cow<'a, [u8]>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
}

impl Format {
    /// Reads a piece of the input. The error says what is wrong with it, and what to do.
    pub(crate) fn read<'a>(self, piece: &'a [u8]) -> Result<Said<'a>, String> {
        match self {
            Format::Separated { binary: true, .. } | Format::Stream => {
                Ok(Said::Binary(piece.into()))
            }
            Format::JsonLines => json_line::read(piece),
            Format::Separated { binary: false, .. } => match str::from_utf8(piece) {
                Ok(text) => Ok(Said::Text(text.into())),
                Err(error) => Err(format!(
                    "byte {} is not UTF-8, which text has to be: --binary sends it as it is",
                    error.valid_up_to() + 1
                )),
            },
        }
    }

    /// Appends a message as a terminal may show it.
    pub(crate) fn show(self, message: Message<'_>, at: Option<Duration>, to: &mut Vec<u8>) {
        let time = at.map(|at| format!("{:.6} ", at.as_secs_f64())).unwrap_or_default();
        let mut shown = String::new();
        match self {
            Format::JsonLines => {
                let mut line = Vec::new();
                json_line::write(message, at, &mut line);
                // It is still the same JSON.
                escape::push_json(&mut shown, &String::from_utf8_lossy(&line));
            }
            Format::Stream => {
                shown += &time;
                escape::push_lines(&mut shown, message.as_bytes());
            }
            Format::Separated { .. } => shown = format!("{time}{}\n", text_of(message)),
        }
        to.extend_from_slice(shown.as_bytes());
    }

    /// Appends a message as it is written. With a time, that stands before it.
    pub(crate) fn write(self, message: Message<'_>, at: Option<Duration>, to: &mut Vec<u8>) {
        if let (Some(at), false) = (at, self == Format::JsonLines) {
            to.extend_from_slice(format!("{:.6} ", at.as_secs_f64()).as_bytes());
        }
        match self {
            Format::JsonLines => json_line::write(message, at, to),
            Format::Stream => to.extend_from_slice(message.as_bytes()),
            Format::Separated { by, .. } => {
                to.extend_from_slice(message.as_bytes());
                to.push(by);
            }
        }
    }
}
