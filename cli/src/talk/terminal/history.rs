//! Where what was typed is kept: in the user's state directory, as the XDG Base Directory
//! Specification has it.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// How many lines are kept.
pub(crate) const LINES: usize = 1000;

/// Returns the file for the history, whose directory is there; `None` where there is none.
pub(crate) fn file(chosen: Option<&Path>) -> Option<PathBuf> {
    if let Some(file) = chosen {
        return Some(file.to_owned());
    }
    let state = match env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()) {
        Some(state) => PathBuf::from(state),
        None => Path::new(&env::var_os("HOME")?).join(".local/state"),
    };
    let directory = state.join("wsapp");
    fs::create_dir_all(&directory).ok()?;
    Some(directory.join("history"))
}
