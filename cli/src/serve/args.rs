//! [`ServeArgs`]: the options of a server.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use websocket_app::Deflate;
use websocket_app::server::{Server, ServerTls, SlowClients};

use crate::failure::Failure;
use crate::seconds::{FOREVER, seconds, seconds_or_forever};
use crate::talk::Format;

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Where to listen: HOST:PORT, or unix:PATH; with port 0 the system chooses one
    #[arg(default_value = "127.0.0.1:9001")]
    pub(crate) address: String,

    /// Send each message back to whom it came from
    #[arg(short, long, conflicts_with_all = ["broadcast", "execute"])]
    pub(crate) echo: bool,

    /// Send each message to all clients, its sender too
    #[arg(long, conflicts_with = "execute")]
    pub(crate) broadcast: bool,

    /// Run a command for each client, by the shell: messages are lines of its standard input, lines of
    /// its standard output are messages
    #[arg(long = "exec", value_name = "CMD")]
    pub(crate) execute: Option<String>,

    /// How long a command may go on when its client has gone and its standard input is over; then it
    /// gets SIGTERM, and after as long again SIGKILL
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds, requires = "execute")]
    pub(crate) grace: Duration,

    /// Answer browsers that want no WebSocket with the files of a directory
    #[arg(long = "dir", value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// Lines are binary messages
    #[arg(short, long, conflicts_with_all = ["echo", "broadcast"])]
    binary: bool,

    /// Separate messages by a zero byte instead of a line's end
    #[arg(short = '0', long, conflicts_with_all = ["echo", "broadcast"])]
    null: bool,

    /// A JSON object in each line, as with `wsapp URL --json-lines`
    #[arg(long, conflicts_with_all = ["binary", "null", "echo", "broadcast"])]
    json_lines: bool,

    /// The certificate for wss:// (PEM, with --key)
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// The key of --cert (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Ask clients for a certificate that one of these has signed (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    client_ca: Option<PathBuf>,

    /// Allow pages of this origin, https://example.com, as often as you like; by default those of the
    /// server itself
    #[arg(long = "allow-origin", value_name = "ORIGIN", conflicts_with = "any_origin")]
    origins: Vec<String>,

    /// Allow pages of any origin
    #[arg(long)]
    any_origin: bool,

    /// Allow to be asked for by this name too, as often as you like
    #[arg(long = "allow-host", value_name = "NAME")]
    hosts: Vec<String>,

    /// Agree to a subprotocol, as often as you like
    #[arg(short, long = "subprotocol", value_name = "NAME", value_delimiter = ',')]
    subprotocols: Vec<String>,

    /// Agree to compress messages (permessage-deflate)
    #[arg(long)]
    compress: bool,

    /// The longest message, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    max_message_size: usize,

    /// How many clients there may be; of --exec's commands twice as many, with those of clients that have
    /// gone
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub(crate) max_connections: usize,

    /// What becomes of a client that reads too slowly for what goes to all; by default it is closed
    #[arg(long, value_name = "WHAT", conflicts_with_all = ["echo", "execute"])]
    slow_clients: Option<Slow>,

    /// Ping each client this often, or not at all: forever
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds_or_forever)]
    ping_interval: Duration,

    /// On how many threads
    #[arg(short, long, value_name = "NUMBER", default_value_t = 1)]
    threads: usize,

    /// Say on standard error who comes and goes
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Show every frame on standard error
    #[arg(long)]
    pub(crate) trace: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Slow {
    /// It is closed with code 1013
    Close,
    /// It misses messages
    Skip,
}

/// How much may wait for a client that reads slowly.
const SEND_BUFFER: usize = 16 << 20;

impl ServeArgs {
    pub(crate) fn format(&self) -> Format {
        match self {
            ServeArgs { json_lines: true, .. } => Format::JsonLines,
            ServeArgs { null: true, binary, .. } => Format::Separated { by: 0, binary: *binary },
            ServeArgs { binary, .. } => Format::Separated { by: b'\n', binary: *binary },
        }
    }

    /// Returns whether somebody sits at it: lines go to all clients.
    pub(crate) fn is_console(&self) -> bool {
        !(self.echo || self.broadcast || self.execute.is_some() || self.directory.is_some())
    }

    /// Refuses what does nothing where there are only files; what else excludes what stands with the options.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let for_lines = self.is_console() || self.execute.is_some();
        let for_all = self.is_console() || self.broadcast;
        let useless = [
            ("--binary", self.binary && !for_lines, "lines"),
            ("--null", self.null && !for_lines, "lines"),
            ("--json-lines", self.json_lines && !for_lines, "lines"),
            ("--slow-clients", self.slow_clients.is_some() && !for_all, "messages to all clients"),
        ];
        match useless.into_iter().find(|(_, is_useless, _)| *is_useless) {
            Some((option, _, what)) => {
                let without =
                    format!("{option} is of no use with --dir alone: there are no {what}");
                Err(Failure::usage(without))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.cert.is_some() { "wss" } else { "ws" }
    }

    /// Sets what the options say.
    pub(crate) fn apply(&self, mut server: Server) -> Result<Server, Failure> {
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            let tls = ServerTls::from_pem_files(cert, key);
            server = server.tls(match &self.client_ca {
                Some(roots) => tls.client_roots_file(roots),
                None => tls,
            });
        }
        if self.any_origin {
            server = server.allow_any_origin();
        } else if !self.origins.is_empty() {
            server = server.allow_origins(self.origins.clone());
        }
        if !self.hosts.is_empty() {
            server = server.allow_hosts(self.hosts.clone());
        }
        if self.compress {
            server = server.compression(Deflate::default());
        }
        let slow = match self.slow_clients {
            Some(Slow::Skip) => SlowClients::Skip,
            Some(Slow::Close) | None => SlowClients::Close,
        };
        Ok(server
            .subprotocols(self.subprotocols.clone())
            .max_message_size(self.max_message_size)
            .max_connections(self.max_connections)
            .max_send_buffer(SEND_BUFFER)
            .slow_clients(slow)
            .ping_interval(Some(self.ping_interval).filter(|interval| *interval != FOREVER))
            .threads(self.threads))
    }
}
