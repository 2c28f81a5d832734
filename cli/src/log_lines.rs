//! The library's log on standard error: `--verbose` shows what it does, `--trace` every frame.

use std::io::{self, Write};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::escape;

/// Writes lines to standard error.
struct LogLines {
    trace: bool,
}

/// Shows what happens with `verbose`, and every frame with `trace`; without either nothing, for what matters the
/// commands say themselves.
pub(crate) fn show(verbose: bool, trace: bool) {
    let filter = match (trace, verbose) {
        (true, _) => LevelFilter::Trace,
        (false, true) => LevelFilter::Debug,
        (false, false) => LevelFilter::Off,
    };
    if filter != LevelFilter::Off && log::set_boxed_logger(Box::new(LogLines { trace })).is_ok() {
        log::set_max_level(filter);
    }
}

impl Log for LogLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Nothing of other crates, such as the line editor's every key.
        metadata.target().starts_with("websocket_app")
            && (self.trace || metadata.level() <= Level::Debug)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("wsapp: {}", escape::lines(&record.args().to_string()));
            // There is nobody else to tell.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    fn flush(&self) {}
}
