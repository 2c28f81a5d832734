//! Ctrl-Z, which stops the process, and Ctrl-\\, which ends it: the terminal is then as it was.

use std::io::{self, Write};

use nix::unistd::{getpgrp, getsid};
use signal_hook::consts::{SIGQUIT, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::{Modes, Screen};
use crate::failure::Failure;
use crate::status::Status;
use crate::threads;

/// What the line editor writes for its pastes, and takes back.
const PASTES: &str = "\u{1b}[?2004h";
const NO_PASTES: &str = "\u{1b}[?2004l\r\n";

/// Does what these do, on a thread of its own, and puts the terminal back before.
pub(crate) fn start(modes: Modes, screen: Screen) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGTSTP, SIGQUIT])
        .map_err(|error| Failure::new(Status::Other, format!("cannot wait for Ctrl-Z: {error}")))?;
    let thread = threads::spawn(move || {
        for signal in signals.forever().filter(|signal| *signal == SIGQUIT || may_stop()) {
            let edits = screen.is_typing();
            let now = modes.restore();
            write(if edits { NO_PASTES } else { "" });
            // It cannot fail for these two.
            let _ = emulate_default_handler(signal);
            // It goes on.
            now.restore();
            if edits {
                write(PASTES);
                screen.repaint();
            }
        }
    });
    thread.map(drop)
}

/// Returns whether somebody is there who may have it go on: a shell that gives each job a group of its own.
fn may_stop() -> bool {
    getsid(None) != Ok(getpgrp())
}

fn write(text: &str) {
    // A terminal that is gone needs no more.
    let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
}
