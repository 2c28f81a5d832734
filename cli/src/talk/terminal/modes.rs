//! [`Modes`]: what the terminal was like before a line was edited on it.

/// The line editor puts the terminal back when a line ends; where the conversation ends first, this
/// does.
#[derive(Clone)]
pub(crate) struct Modes {
    #[cfg(unix)]
    termios: Option<nix::sys::termios::Termios>,
}

/// Returns whether the terminal is in the mode in which a line is edited, as far as is known.
#[cfg(unix)]
pub(crate) fn is_raw() -> bool {
    use nix::sys::termios::{LocalFlags, tcgetattr};

    tcgetattr(std::io::stdin())
        .map_or(true, |termios| !termios.local_flags.contains(LocalFlags::ICANON))
}

#[cfg(not(unix))]
pub(crate) fn is_raw() -> bool {
    true
}

impl Modes {
    #[cfg(unix)]
    pub(crate) fn remember() -> Self {
        Modes { termios: nix::sys::termios::tcgetattr(std::io::stdin()).ok() }
    }

    /// Waits for nobody who would have to read the terminal.
    #[cfg(unix)]
    pub(crate) fn restore(&self) {
        use nix::sys::termios::{SetArg, tcsetattr};

        if let Some(termios) = &self.termios {
            // A terminal that is gone needs no more.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, termios);
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn remember() -> Self {
        Modes {}
    }

    #[cfg(not(unix))]
    pub(crate) fn restore(&self) {}
}
