//! A server in a process of its own: this program again.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::usage::Usage;

/// What this program is started with to be a server.
pub(crate) const ARGUMENT: &str = "--serve";

/// Names the program of `benches/peers`, which is the servers of others.
const PEERS: &str = "WEBSOCKET_PEERS";

/// The option of a server that is one of those.
pub(crate) const PEER: &str = "peer";

/// Returns whether there is that program.
#[cfg(feature = "rustls")]
pub(crate) fn has_peers() -> bool {
    env::var_os(PEERS).is_some()
}

/// It ends when this is dropped, or when this process ends in whatever way.
pub(crate) struct Served {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Served {
    /// Starts one. `serve` knows the options.
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut command = match options.contains(&PEER) {
            true => Command::new(env::var_os(PEERS).unwrap()),
            false => {
                let mut command = Command::new(env::current_exe().unwrap());
                command.arg(ARGUMENT);
                command
            }
        };
        command.args(options).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let input = process.stdin.take();
        let address = line(&mut output).parse().unwrap();
        Served { process, input, output, address }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.id())
    }

    /// Tells it to do what it knows by this name.
    pub(crate) fn tell(&mut self, what: &str) {
        writeln!(self.input.as_mut().unwrap(), "{what}").unwrap();
    }

    /// Waits for what it says.
    pub(crate) fn says(&mut self) -> String {
        line(&mut self.output)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.input.take());
        let _however = self.process.wait();
    }
}

fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.ends_with('\n'), "the server ended: {line}");
    line.trim().to_owned()
}
