//! [`Recorder`]: writes a recording while the conversation goes on. The file is a whole HAR after
//! each message, whatever ends the process.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::mem;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use websocket_app::{Handshake, Message};

use super::date::iso_8601;
use crate::failure::shown_url;

pub(crate) struct Recorder {
    file: File,
    /// Where the next thing goes, over what closes the brackets.
    end: u64,
    /// The file is ours from its beginning.
    begun: bool,
    /// Whether an entry is open, since when.
    entry: Option<Instant>,
    /// Whether a message stands in it.
    has_message: bool,
    buffer: Vec<u8>,
    /// What closed the brackets last.
    closing: Vec<u8>,
    /// It cannot be written any more.
    failed: bool,
}

/// What is known of a connection that is open.
pub(crate) struct Opened<'a> {
    pub(crate) url: &'a str,
    /// The headers that the user gave.
    pub(crate) headers: &'a [(String, String)],
    pub(crate) handshake: &'a Handshake,
    /// Whether to write what may be a credential: the values of headers, user info, the query.
    pub(crate) credentials: bool,
}

const BEGINNING: &str = concat!(
    r#"{"log":{"version":"1.2","creator":{"name":"wsapp","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""},"entries":["#
);

/// What closes the brackets around entries.
const END: &str = "]}}\n";

/// What stands for a value that may be a credential.
const HIDDEN: &str = "[hidden]";

/// The headers of an answer that hold none.
const HARMLESS: [&str; 10] = [
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
    "server",
    "upgrade",
];

impl Recorder {
    /// Opens the file, or makes it, and leaves it as it is.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Recorder {
            file: options.open(path)?,
            end: 0,
            begun: false,
            entry: None,
            has_message: false,
            buffer: Vec::new(),
            closing: Vec::new(),
            failed: false,
        })
    }

    /// Begins, where that has not been done: takes the place of what is in the file, which nobody but the user
    /// may read then: there may be secrets in messages. Where that cannot be done the file stays as it is.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        if mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        if let Err(error) = self.make_ours() {
            self.failed = true;
            return Err(error);
        }
        self.buffer.extend_from_slice(BEGINNING.as_bytes());
        self.write()
    }

    /// Keeps others from reading the file, and then empties it.
    fn make_ours(&self) -> io::Result<()> {
        if !self.file.metadata()?.is_file() {
            return Ok(());
        }
        #[cfg(unix)]
        self.file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        self.file.set_len(0)
    }

    /// Begins an entry.
    pub(crate) fn opened(&mut self, opened: &Opened<'_>) -> io::Result<()> {
        self.begin()?;
        if let Some(since) = self.entry.take() {
            self.buffer.extend_from_slice(end_of_entry(since).as_bytes());
            self.buffer.push(b',');
        }
        let entry = entry(opened).to_string();
        // The messages come in the place of its closing brace.
        self.buffer.extend_from_slice(&entry.as_bytes()[..entry.len() - 1]);
        self.buffer.extend_from_slice(br#","_webSocketMessages":["#);
        self.entry = Some(Instant::now());
        self.has_message = false;
        self.write()
    }

    pub(crate) fn sent(&mut self, message: Message<'_>) -> io::Result<()> {
        self.message("send", message)
    }

    pub(crate) fn received(&mut self, message: Message<'_>) -> io::Result<()> {
        self.message("receive", message)
    }

    fn message(&mut self, direction: &str, message: Message<'_>) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let (opcode, data) = match message {
            Message::Text(text) => (1, json!(text)),
            Message::Binary(data) => (2, json!(BASE64_STANDARD.encode(data))),
        };
        let comma = if mem::replace(&mut self.has_message, true) { "," } else { "" };
        write!(
            self.buffer,
            "{comma}\n{{\"type\":\"{direction}\",\"time\":{now:.6},\"opcode\":{opcode},\"data\":{data}}}"
        )?;
        self.write()
    }

    /// Writes the buffer, and behind it what makes a whole file of it. Where that cannot be done, a
    /// disk being full, the file is what it was before, and stays so.
    fn write(&mut self) -> io::Result<()> {
        if self.failed {
            self.buffer.clear();
            return Ok(());
        }
        let length = self.buffer.len();
        let closing = match self.entry {
            Some(since) => end_of_entry(since) + END,
            None => END.to_owned(),
        };
        self.buffer.extend_from_slice(closing.as_bytes());
        let written = self.write_at_end(&self.buffer);
        self.buffer.clear();
        if let Err(error) = written {
            self.failed = true;
            let repaired =
                self.file.set_len(self.end).and_then(|()| self.write_at_end(&self.closing));
            return Err(match repaired {
                Ok(()) => io::Error::new(
                    error.kind(),
                    format!("{error}; it is whole, and ends before that"),
                ),
                Err(_) => io::Error::new(error.kind(), format!("{error}; it is no HAR file now")),
            });
        }
        self.end += length as u64;
        self.closing = closing.into_bytes();
        Ok(())
    }

    fn write_at_end(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.end))?;
        file.write_all(bytes)
    }
}

/// What closes an entry: how long it took, in milliseconds. It is never shorter than the one before,
/// in whose place it stands.
fn end_of_entry(since: Instant) -> String {
    format!("\n],\"time\":{:.3}}}", since.elapsed().as_secs_f64() * 1e3)
}

fn entry(opened: &Opened<'_>) -> Value {
    let Opened { url, headers, handshake, credentials } = opened;
    let shown = |known_harmless: bool, value: &str| match known_harmless || *credentials {
        true => value.to_owned(),
        false => HIDDEN.to_owned(),
    };
    let asked: Vec<Value> = headers
        .iter()
        .map(|(name, value)| json!({"name": name, "value": shown(false, value)}))
        .collect();
    let answered: Vec<Value> = handshake
        .headers()
        .iter()
        .map(|(name, value)| json!({"name": name, "value": shown(HARMLESS.contains(&name), value)}))
        .collect();
    json!({
        "startedDateTime": iso_8601(SystemTime::now()),
        "request": {
            "method": "GET",
            "url": if *credentials { (*url).to_owned() } else { url_of(url) },
            "httpVersion": "HTTP/1.1",
            "headers": asked,
            "queryString": [],
            "cookies": [],
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": {
            "status": handshake.status(),
            "statusText": "Switching Protocols",
            "httpVersion": "HTTP/1.1",
            "headers": answered,
            "cookies": [],
            "content": {"size": 0, "mimeType": "x-unknown"},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
            "_transferSize": 0,
        },
        "cache": {},
        "timings": {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": 0, "receive": 0},
        "serverIPAddress": handshake.peer_addr().map(|address| address.ip().to_string()).unwrap_or_default(),
        "_initiator": {"type": "other"},
        "_resourceType": "websocket",
    })
}

/// Returns a URL without what may be a credential in it, which is a URL still.
fn url_of(url: &str) -> String {
    shown_url(url).trim_end_matches("?…").to_owned()
}
