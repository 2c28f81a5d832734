//! A server that somebody sits at: what clients say is on standard output, and lines of standard
//! input go to all of them.

use std::io::{self, IsTerminal};

use websocket_app::Message;
use websocket_app::server::ServerHandle;

use super::tell;
use crate::failure::Failure;
use crate::talk::output::{self, Output, Writer};
use crate::talk::{Format, Pieces, Said, text_of};
use crate::threads;

/// Where messages are written.
pub(crate) struct Shown {
    output: Output,
    format: Format,
    on_terminal: bool,
}

/// Returns that, and the thread that writes: whoever reads slowly has clients wait.
pub(crate) fn output(format: Format) -> Result<(Shown, Writer), Failure> {
    // The clients need not know, and the server goes on: lines of standard input still go to them.
    let (output, writer) = output::start(io::stdout(), |error| {
        tell(&format!(
            "standard output cannot be written: {error}; what clients say is not shown any more"
        ));
    })?;
    Ok((Shown { output, format, on_terminal: io::stdout().is_terminal() }, writer))
}

impl Shown {
    pub(crate) fn show(&self, client: u64, message: Message<'_>) {
        self.output.put(|bytes| match self.on_terminal {
            true => {
                bytes.extend_from_slice(format!("{client} < {}\n", text_of(message)).as_bytes());
            }
            false => self.format.write(message, None, bytes),
        });
    }
}

/// Sends what is read to all clients, on a thread of its own. Its end is not the server's.
pub(crate) fn read(server: ServerHandle, format: Format) -> Result<(), Failure> {
    let thread = threads::spawn(move || {
        let mut pieces = Pieces::of(io::stdin(), format);
        while let Ok(Some(piece)) = pieces.next() {
            match format.read(piece) {
                Ok(Said::Text(text)) => drop(server.broadcast(&*text)),
                Ok(Said::Binary(data)) => drop(server.broadcast(&*data)),
                Ok(_) => tell("only messages go to all clients"),
                Err(problem) => tell(&problem),
            }
        }
    });
    thread.map(drop)
}
