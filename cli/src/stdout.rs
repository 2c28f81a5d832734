//! Standard output, of the commands that write little to it.

use std::io::{self, ErrorKind, Write};

use crate::failure::Failure;

/// Writes a text. Returns whether anybody reads it still: who has seen enough, as `head` has, is no
/// failure.
pub(crate) fn write(text: impl AsRef<[u8]>) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::io("standard output cannot be written", &error)),
    }
}
