//! Recordings: HAR 1.2 with `_webSocketMessages`, what Chromium's and Firefox' tools write and read.

mod date;
mod reading;
mod recorder;

pub(crate) use reading::{Recorded, read};
pub(crate) use recorder::{Opened, Recorder};
