//! Real clients of our server, over ws and wss: Python's `websocket-client` and `websockets`, Node's
//! `ws`, Chromium, Firefox. Each goes through all that it can do, in a script that fails loudly;
//! the server does what a path tells it. And the chat example, with two clients of our own.

/// What browsers have in common.
mod browser;
mod chat;
mod chromium;
mod firefox;
mod node;
mod python;
/// The server, and the paths that tell it what to do.
mod served;

use std::process::{Command, Stdio};

use self::served::Served;
use crate::watchdog::Watchdog;

/// Runs a script to its end, which it has a limit of its own for. It must succeed.
fn run_to_the_end(script: &mut Command) {
    let _watchdog = Watchdog::new();
    let output = script.stdin(Stdio::null()).output().unwrap();
    let (told, wrong) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{told}");
    assert!(output.status.success(), "{script:?} ended with {}:\n{wrong}", output.status);
}

/// Does something with a server that is plain, and with one for each TLS library.
fn over_ws_and_wss(test: impl Fn(&Served)) {
    for served in Served::over_ws_and_wss() {
        println!("{}", served.url("/"));
        test(&served);
    }
}
