//! [`TalkArgs`]: the options of a conversation.

use std::env;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::connection::ConnectionArgs;
use crate::seconds::{FOREVER, seconds, seconds_or_forever};

use super::format::Format;

#[derive(Args, Debug)]
pub(crate) struct TalkArgs {
    /// Where to connect: ws://, wss://, or ws+unix:/path/to.sock:/uri for a Unix socket
    #[arg(required = true)]
    pub(crate) url: Option<String>,

    /// Send a text message once connected, and again whenever connected anew; as often as you like.
    /// Standard input is not read then, unless on a terminal or with --stdin
    #[arg(short = 'x', long = "execute", value_name = "TEXT")]
    pub(crate) execute: Vec<String>,

    /// Read standard input although there is -x
    #[arg(long)]
    pub(crate) stdin: bool,

    /// Only receive, until the server closes or --wait is over; standard input is not read
    #[arg(long, conflicts_with = "stdin")]
    pub(crate) no_stdin: bool,

    /// At the end of input wait until so long has passed without a message, then close: 1 by
    /// default, 0 on a terminal; forever waits until the server closes
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds_or_forever)]
    wait: Option<Duration>,

    /// Close after so many messages have come
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Close once a message matches; several have to match in this order. Exit status 9 if that does
    /// not happen
    #[arg(long, value_name = "REGEX")]
    pub(crate) expect: Vec<String>,

    /// End after so many seconds, with exit status 7
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,

    /// Send lines as binary messages
    #[arg(short, long)]
    binary: bool,

    /// Separate messages by a zero byte instead of a line's end, both ways
    #[arg(short = '0', long, conflicts_with_all = ["json_lines", "stream"])]
    null: bool,

    /// Both ways a JSON object in each line: {"type":"text","data":"…"}, {"type":"binary","data":
    /// "base64"}, {"type":"close","code":1000,"reason":"…"}, {"type":"ping"}, {"type":"pong"}
    #[arg(long, conflicts_with_all = ["binary", "stream"])]
    json_lines: bool,

    /// Send binary messages of whatever is read at a time, and write messages without anything
    /// between them
    #[arg(long)]
    stream: bool,

    /// Connect again when the connection is lost or cannot be made, and when the server has closed it, in
    /// order too: after so many seconds, or by default after one, then two, up to 30
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = seconds)]
    pub(crate) reconnect: Option<Duration>,

    /// Give up after so many attempts to connect again
    #[arg(long, value_name = "NUMBER", requires = "reconnect")]
    pub(crate) max_attempts: Option<u32>,

    /// Close with this code instead of 1000
    #[arg(long, value_name = "CODE", default_value_t = 1000)]
    pub(crate) close_code: u16,

    /// Close with this reason
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) close_reason: String,

    /// Begin each message with the seconds since the start
    #[arg(long)]
    pub(crate) timings: bool,

    /// Show pings and pongs that come; of those that nobody reads in time only how many
    #[arg(short = 'P', long)]
    pub(crate) show_ping_pong: bool,

    /// Say on standard error what happens
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Show the handshake and every frame on standard error, without credentials
    #[arg(long)]
    pub(crate) trace: bool,

    /// Send a file as one message, binary unless --text, of any size; - is standard input, which
    /// otherwise is not read
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stdin", "stream", "json_lines", "null"])]
    pub(crate) send_file: Option<PathBuf>,

    /// The file is text
    #[arg(long, requires = "send_file")]
    pub(crate) text: bool,

    /// Write the first message to a file, of any size, and close; - is standard output. Until it is
    /// whole the file has .part behind its name, and a number where there is such a file; a pipe or
    /// a device is written to as it comes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["count", "expect"])]
    pub(crate) receive_file: Option<PathBuf>,

    /// Record the conversation as a HAR file, which browsers' tools open and `wsapp replay` plays;
    /// without credentials: headers' values, the URL's user and query
    #[arg(long, value_name = "FILE", group = "recording")]
    pub(crate) record: Option<PathBuf>,

    /// Record credentials too
    #[arg(long, requires = "recording")]
    pub(crate) record_credentials: bool,

    /// Keep what is typed in this file; by default in wsapp/history of the user's state directory
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,

    /// Keep no history of what is typed
    #[arg(long, conflicts_with = "history")]
    pub(crate) no_history: bool,

    /// Use no colours; nor are any used where the environment variable NO_COLOR is set
    #[arg(long)]
    no_color: bool,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RecordArgs {
    /// The HAR file to write
    #[arg(group = "recording")]
    file: PathBuf,

    #[command(flatten)]
    talk: TalkArgs,
}

impl RecordArgs {
    pub(crate) fn into_talk(self) -> TalkArgs {
        TalkArgs { record: Some(self.file), ..self.talk }
    }
}

/// How long to wait for messages once the input is over, where nothing else is said.
const WAIT: Duration = Duration::from_secs(1);

impl TalkArgs {
    pub(crate) fn format(&self) -> Format {
        match self {
            TalkArgs { json_lines: true, .. } => Format::JsonLines,
            TalkArgs { stream: true, .. } => Format::Stream,
            TalkArgs { null: true, binary, .. } => Format::Separated { by: 0, binary: *binary },
            TalkArgs { binary, .. } => Format::Separated { by: b'\n', binary: *binary },
        }
    }

    /// Returns how long the connection is kept without a message once the input is over.
    pub(crate) fn wait(&self, on_terminal: bool) -> Duration {
        match self.wait {
            Some(wait) => wait,
            // Whoever waits for one thing waits for it.
            None if self.no_stdin || self.receive_file.is_some() => FOREVER,
            None if on_terminal => Duration::ZERO,
            None => WAIT,
        }
    }

    /// Returns whether somebody types messages and reads them.
    pub(crate) fn is_interactive(&self) -> bool {
        !self.no_stdin
            && !self.receives_or_sends_file()
            && io::stdin().is_terminal()
            && io::stdout().is_terminal()
    }

    pub(crate) fn receives_or_sends_file(&self) -> bool {
        self.send_file.is_some() || self.receive_file.is_some()
    }

    /// Returns whether a terminal may show colours (no-color.org).
    pub(crate) fn colours(&self) -> bool {
        let off = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        !self.no_color && !off && env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Returns whether messages come from standard input.
    pub(crate) fn reads_stdin(&self) -> bool {
        let others = !self.execute.is_empty() || self.receives_or_sends_file();
        !self.no_stdin && (self.stdin || !others)
    }
}
