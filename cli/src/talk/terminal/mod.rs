//! The conversation on a terminal: a line that is edited, with history and completion, and above it
//! what comes.

mod commands;
mod completion;
mod editor;
mod history;
mod modes;
mod screen;
#[cfg(unix)]
mod stopping;

pub(crate) use editor::Editor;
pub(crate) use modes::Modes;
pub(crate) use screen::{Screen, text_of};
