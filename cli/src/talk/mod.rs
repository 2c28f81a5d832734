//! `wsapp URL`: a conversation with a server.
//!
//! ```text
//!   standard input ─► input ─► feed ─► Sender            (a thread of its own)
//!   standard output ◄─ output ◄─ listener ◄─ the app     (the app's thread; output has its own)
//!                                   │
//!   the main thread ◄─ happenings ──┴── feed, Ctrl-C     conversation: when it is over, and how
//!
//!   on a terminal: terminal::Editor instead of feed, terminal::Screen instead of output
//! ```

mod args;
mod controls;
mod conversation;
mod ending;
mod feed;
mod files;
mod format;
mod input;
mod json_line;
mod listener;
pub(crate) mod output;
mod progress;
mod tape;
mod terminal;

pub(crate) use args::{RecordArgs, TalkArgs};
pub(crate) use format::{Format, Said};
pub(crate) use input::Pieces;
pub(crate) use terminal::text_of;

use crate::failure::Failure;
use crate::log_lines;
use crate::status::Status;

pub(crate) fn run(args: TalkArgs) -> Result<Status, Failure> {
    log_lines::show(args.verbose, args.trace);
    if args.record.is_some() && args.receives_or_sends_file() {
        // Also of `wsapp record`, which is an option's other name.
        return Err(Failure::usage("a recording has messages that fit into memory").advice(
            "--send-file and --receive-file take any: without a recording, or as lines of standard input and output",
        ));
    }
    conversation::hold(&args)
}
