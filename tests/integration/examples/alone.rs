//! Those that run by themselves, each as the program that `cargo run --example` starts, with the
//! server that it brings along.

use std::env;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::program::skip;
use crate::watchdog::PATIENCE;

#[test]
fn echo() {
    says("echo", &[], &["received: Hello, server!", "closed: 1000, closed by us"]);
}

#[test]
fn blocking() {
    let lines =
        ["received: [3 bytes: 01 02 03]", "received: message 3", "closed: 1000, closed by us"];
    says("blocking", &[], &lines);
}

#[test]
fn callbacks() {
    let lines = [
        "on_open       connected",
        "on_ping       \"are you there?\"",
        "on_pong       \"hello?\"",
        "that is the number 42",
        "on_error      on_message returned an error: invalid digit found in string",
        "every         300 ms, for the 2. time",
        "pieces, 1048576 bytes in all",
        "on_close      1000, closed by us",
    ];
    says("callbacks", &[], &lines);
}

#[test]
fn select() {
    says("select", &[], &["open", "stopping", "closed: 1000, closed by us"]);
}

#[test]
fn send_from_threads() {
    says("send_from_threads", &[], &["4 threads sent 1000 messages, 1000 came back"]);
}

/// It reads `/proc`.
#[cfg(target_os = "linux")]
#[test]
fn many_connections() {
    let lines = [
        "open: 50 connections on one thread",
        "echo: one on each of 50 connections",
        "closed: all",
    ];
    says("many_connections", &["50"], &lines);
}

/// Runs one, which must end well and have said this.
fn says(name: &str, args: &[&str], lines: &[&str]) {
    // Beside this program's folder, where cargo puts those that it builds for tests.
    let program = env::current_exe().unwrap();
    let program = program.ancestors().nth(2).unwrap().join("examples").join(name);
    let program = program.with_extension(env::consts::EXE_EXTENSION);
    if !program.exists() {
        return skip(
            "needs the examples, which `cargo test` builds, and with --test only --examples does",
        );
    }
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped());
    // A proxy of the environment's is not for this machine.
    command.env("no_proxy", "*").env("NO_PROXY", "*");
    let mut running = Running(command.spawn().unwrap());
    let (is_well, said) = running.end();
    assert!(is_well, "{name}: {said}");
    for line in lines {
        assert!(said.contains(line), "{name} does not say {line:?}: {said}");
    }
}

/// Dropping it ends it.
struct Running(Child);

impl Running {
    /// Waits until it has ended, and gives whether that was in order, and what it has said.
    fn end(&mut self) -> (bool, String) {
        let mut output = self.0.stdout.take().expect("it is piped");
        let reading = thread::spawn(move || {
            let mut said = String::new();
            output.read_to_string(&mut said).map(|_| said)
        });
        let deadline = Instant::now() + 2 * PATIENCE;
        let status = loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end within {:?}", 2 * PATIENCE);
            thread::sleep(Duration::from_millis(10));
        };
        (status.success(), reading.join().unwrap().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _ = self.0.wait();
    }
}
