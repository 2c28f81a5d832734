//! Where the system gives no more threads: an error in words and a status, at whichever thread that is, or
//! the work is done. Never a panic, and nothing that waits for ever.
//!
//! Each thread asks for a stack of its own out of an address space with room for so many.

use std::process::{Command, Stdio};

use websocket_app::WebSocket;

use crate::peers::echo;
use crate::process::{Ended, PATIENCE, Running, prepared, start_command};
use crate::temporary::temporary;

/// The room that a thread asks for, and what the rest of the process has, in KiB.
const STACK: u64 = 4 << 20;
const REST: u64 = 2 << 20;

/// More than any of the commands needs for one connection.
const ENOUGH: u64 = 12;

/// Starts it with this many threads besides the first.
fn start(threads: u64, args: &[&str], input: &str) -> Running {
    let mut command = Command::new("sh");
    let line = format!("ulimit -v {}; exec \"$@\"", threads * STACK + REST);
    command.args(["-c", &line, "sh", env!("CARGO_BIN_EXE_wsapp")]);
    let mut command = prepared(command, args);
    command.env("RUST_MIN_STACK", (STACK << 10).to_string()).stdin(Stdio::piped());
    let mut running = start_command(command);
    // It may have ended already.
    let _ = std::io::Write::write_all(&mut running.stdin.take().unwrap(), input.as_bytes());
    running
}

/// Runs it with ever more threads until it does its work. Returns how that ended.
#[track_caller]
fn run_with_ever_more(args: &[&str], input: &str) -> Ended {
    for threads in 0..ENOUGH {
        let ended = start(threads, args, input).wait();
        if ended.status == Some(0) {
            assert!(threads > 0, "{args:?} needs no thread");
            return ended;
        }
        assert_eq!(ended.status, Some(1), "{threads} threads, {args:?}: {ended:?}");
        let word = ["did not give", "Resource temporarily unavailable"];
        assert!(word.iter().any(|word| ended.stderr.contains(word)), "{args:?}: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{args:?}: {ended:?}");
    }
    panic!("{args:?} does not work with {ENOUGH} threads");
}

#[test]
fn a_conversation() {
    let peer = echo();
    run_with_ever_more(&[&peer.url()], "hello\n").wrote("hello\n");
    let file = temporary("file");
    std::fs::write(&file, "hello").unwrap();
    let url = peer.url();
    let args = [&*url, "--send-file", &file, "--text", "--receive-file", "-"];
    run_with_ever_more(&args, "").wrote("hello");
}

#[test]
fn bench_and_ping() {
    let peer = echo();
    run_with_ever_more(&["bench", &peer.url(), "-d", "0.05"], "");
    run_with_ever_more(&["bench", &peer.url(), "-d", "0.05", "-r", "1000"], "");
    run_with_ever_more(&["ping", &peer.url(), "-c", "1"], "");
}

#[test]
fn replay() {
    let file = temporary("recording.har");
    let message = |by: &str| serde_json::json!({"type": by, "time": 1.0, "opcode": 1, "data": "x"});
    let entry = serde_json::json!({"_webSocketMessages": [message("send"), message("receive")]});
    let har = serde_json::json!({"log": {"entries": [entry]}});
    std::fs::write(&file, har.to_string()).unwrap();
    run_with_ever_more(&["replay", &file, &echo().url()], "");
}

#[test]
fn a_server_whose_commands_have_none() {
    let mut worked = 0;
    for threads in 0..ENOUGH {
        let running = start(threads, &["serve", "127.0.0.1:0", "--exec", "cat"], "");
        let Some(url) = running.try_address() else {
            running.wait().with(1);
            continue;
        };
        // It may have none to call anybody on, and end.
        let ws = WebSocket::builder(&url).no_proxy().connect_timeout(PATIENCE).connect();
        if let Ok(mut ws) = ws {
            let _ = ws.send("hello");
            match ws.recv_timeout(PATIENCE) {
                Ok(Some(message)) if message == "hello" => worked += 1,
                Ok(_) => panic!("no answer with {threads} threads"),
                Err(_) => {}
            }
        }
        running.signal("INT");
        let ended = running.wait();
        assert!(matches!(ended.status, Some(1 | 130)), "{threads} threads: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{threads} threads: {ended:?}");
    }
    assert!(worked > 0);
}
