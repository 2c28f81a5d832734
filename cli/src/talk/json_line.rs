//! Messages as JSON, one object in each line: what one `wsapp` writes another reads.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use websocket_app::{Message, close_code};

use super::format::Said;

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Read {
    Text {
        data: String,
        #[serde(rename = "time")]
        _time: Option<f64>,
    },
    Binary {
        data: String,
        #[serde(rename = "time")]
        _time: Option<f64>,
    },
    Ping {
        #[serde(default)]
        data: String,
        #[serde(rename = "time")]
        _time: Option<f64>,
    },
    Pong {
        #[serde(default)]
        data: String,
        #[serde(rename = "time")]
        _time: Option<f64>,
    },
    Close {
        #[serde(default = "normal")]
        code: u16,
        #[serde(default)]
        reason: String,
    },
}

fn normal() -> u16 {
    close_code::NORMAL
}

#[derive(Serialize)]
struct Written<'a> {
    r#type: &'a str,
    data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<f64>,
}

/// Reads a line. Pings' and pongs' data is base64, as that of binary messages.
pub(crate) fn read(line: &[u8]) -> Result<Said<'static>, String> {
    let read = serde_json::from_slice(line).map_err(|error| {
        format!("{error}; a line is such as {{\"type\":\"text\",\"data\":\"hello\"}}")
    })?;
    let bytes = |data: String| {
        BASE64_STANDARD.decode(data).map_err(|error| format!("its data is not base64: {error}"))
    };
    Ok(match read {
        Read::Text { data, .. } => Said::Text(data.into()),
        Read::Binary { data, .. } => Said::Binary(bytes(data)?.into()),
        Read::Ping { data, .. } => Said::Ping(bytes(data)?),
        Read::Pong { data, .. } => Said::Pong(bytes(data)?),
        Read::Close { code, reason } => Said::Close(code, reason),
    })
}

/// Appends a line for a message.
pub(crate) fn write(message: Message<'_>, at: Option<Duration>, to: &mut Vec<u8>) {
    match message {
        Message::Text(text) => push("text", text, at, to),
        Message::Binary(data) => push("binary", &BASE64_STANDARD.encode(data), at, to),
    }
}

/// Appends a line for a ping or a pong.
pub(crate) fn write_control(kind: &str, payload: &[u8], at: Option<Duration>, to: &mut Vec<u8>) {
    push(kind, &BASE64_STANDARD.encode(payload), at, to);
}

fn push(kind: &str, data: &str, at: Option<Duration>, to: &mut Vec<u8>) {
    let written = Written { r#type: kind, data, time: at.map(|at| at.as_secs_f64()) };
    // A vector takes everything, and strings and numbers are JSON.
    let _ = serde_json::to_writer(&mut *to, &written);
    to.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for message in [
            Message::Text(""),
            Message::Text("\"quoted\"\n\u{1b}\u{0} ☃ \u{2028}"),
            Message::Binary(b""),
            Message::Binary(&[0, 255, 10, 13, 34]),
        ] {
            for at in [None, Some(Duration::from_millis(1500))] {
                let mut line = Vec::new();
                write(message, at, &mut line);
                assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
                let said = match message {
                    Message::Text(text) => Said::Text(text.into()),
                    Message::Binary(data) => Said::Binary(data.into()),
                };
                assert_eq!(read(&line), Ok(said), "{message:?}");
            }
        }
    }

    #[test]
    fn what_is_no_message_says_why() {
        for (line, why) in [
            ("hello", "expected value"),
            ("{}", "missing field `type`"),
            (r#"{"type":"text"}"#, "missing field `data`"),
            (r#"{"type":"txt","data":""}"#, "unknown variant `txt`"),
            (r#"{"type":"binary","data":"?"}"#, "not base64"),
            (r#"{"type":"text","data":"","colour":1}"#, "unknown field `colour`"),
        ] {
            let error = read(line.as_bytes()).expect_err(line);
            assert!(error.contains(why), "{line}: {error}");
        }
        assert_eq!(read(br#"{"type":"close"}"#), Ok(Said::Close(1000, String::new())));
        assert_eq!(read(br#"{"type":"ping","data":"aGk="}"#), Ok(Said::Ping(b"hi".to_vec())));
    }
}
