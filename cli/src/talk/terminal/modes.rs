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
        .map_or(true, |termios| !termios.local_flags.contains(LocalFlags::IEXTEN))
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

    /// Has keys that are pressed between two lines wait for the next as they are: the terminal would take
    /// Ctrl-D, and show the others.
    #[cfg(unix)]
    pub(crate) fn keep_keys(&self) {
        use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, tcsetattr};

        if let Some(mut termios) = self.termios.clone() {
            termios.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            termios.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
            termios.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
            // Where it cannot be, it is as it was.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &termios);
        }
    }

    /// Puts it back, and returns what it was like until now. Waits for nobody who would have to read the
    /// terminal.
    #[cfg(unix)]
    pub(crate) fn restore(&self) -> Self {
        use nix::sys::termios::{SetArg, tcsetattr};

        let now = Modes::remember();
        if let Some(termios) = &self.termios {
            // A terminal that is gone needs no more.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, termios);
        }
        now
    }

    #[cfg(not(unix))]
    pub(crate) fn remember() -> Self {
        Modes {}
    }

    #[cfg(not(unix))]
    pub(crate) fn keep_keys(&self) {}

    #[cfg(not(unix))]
    pub(crate) fn restore(&self) -> Self {
        Modes {}
    }
}
