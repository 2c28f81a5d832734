//! What runs in a server's process: it prints its address, and serves until standard input ends,
//! which it does when the process that started this one ends, in whatever way.

mod ours;
mod tungstenite;

use std::io;

pub(crate) fn serve(options: Vec<String>) {
    let options = Options(options);
    if options.has("ours") {
        ours::serve(&options);
    } else {
        tungstenite::serve(&options);
    }
}

/// Words, and pairs of the form `name=value`. What a server does not know is for the load.
struct Options(Vec<String>);

impl Options {
    fn has(&self, word: &str) -> bool {
        self.0.iter().any(|option| option == word)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }
}

/// What it is told, line by line.
fn commands() -> impl Iterator<Item = String> {
    io::stdin().lines().map_while(Result::ok)
}
