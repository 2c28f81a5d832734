//! Recordings read back, of any program that writes `_webSocketMessages`.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use websocket_app::OwnedMessage;

/// A message of a recording.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    /// Whether the client sent it.
    pub(crate) by_client: bool,
    /// In seconds, since whenever.
    pub(crate) time: f64,
    pub(crate) message: OwnedMessage,
}

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "_webSocketMessages")]
    messages: Option<Vec<Frame>>,
}

#[derive(Deserialize)]
struct Frame {
    r#type: String,
    #[serde(default)]
    time: f64,
    opcode: i32,
    #[serde(default)]
    data: String,
}

/// Reads the messages of each connection of a recording. The error says what is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Vec<Vec<Recorded>>, String> {
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let har: Har =
        serde_json::from_slice(&bytes).map_err(|error| format!("is no HAR file: {error}"))?;
    let connections = har.log.entries.into_iter().filter_map(|entry| entry.messages);
    connections.map(|frames| frames.into_iter().filter_map(message_of).collect()).collect()
}

/// Returns a frame's message. Others than messages, such as Chromium's for errors, have none.
fn message_of(frame: Frame) -> Option<Result<Recorded, String>> {
    let message = match frame.opcode {
        1 => Ok(OwnedMessage::Text(frame.data)),
        2 => BASE64_STANDARD
            .decode(&frame.data)
            .map(OwnedMessage::Binary)
            .map_err(|error| format!("has a binary message that is not base64: {error}")),
        _ => return None,
    };
    let by_client = frame.r#type == "send";
    Some(message.map(|message| Recorded { by_client, time: frame.time, message }))
}
