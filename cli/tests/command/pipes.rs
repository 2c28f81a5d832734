//! Pipes: every byte of every message, in order, whatever reads them.

use std::process::{Command, Stdio};

use crate::peers::{echo, serve};
use crate::process::{command, run, start_command};

/// Bytes that look like nothing, without this one.
fn noise(length: usize, without: u8) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(&mut next).filter(|byte| *byte != without).take(length).collect()
}

#[test]
fn a_hundred_thousand_lines_come_back_in_order() {
    let lines: String = (0..100_000).map(|i| format!("line {i} ☃\n")).collect();
    run(&[&echo().url()], &lines).with(0).wrote(&lines);
}

#[test]
fn binary_lines_are_byte_exact() {
    let mut bytes = noise(300_000, b'\n');
    for i in (0..bytes.len()).step_by(997) {
        bytes[i] = b'\n';
    }
    bytes.push(b'\n');
    run(&[&echo().url(), "--binary"], &bytes).with(0).wrote(&bytes);
}

#[test]
fn zero_bytes_separate_messages_with_lines_in_them() {
    run(&[&echo().url(), "--null"], "a\nb\0\0c\0").with(0).wrote("a\nb\0\0c\0");
}

#[test]
fn a_stream_has_nothing_between_messages() {
    let bytes = noise(1_000_000, 7);
    run(&[&echo().url(), "--stream"], &bytes).with(0).wrote(&bytes);
}

#[test]
fn lines_keep_what_stands_before_their_end() {
    run(&[&echo().url()], "a\r\n\n  b\t\nc").with(0).wrote("a\r\n\n  b\t\nc\n");
}

#[test]
fn control_characters_go_through_a_pipe_as_they_are() {
    let peer = serve(|server| {
        server.on_open(|client| {
            client.send("\u{1b}[31m\u{7}").unwrap();
            client.close_with(1000, "").unwrap();
        })
    });
    run(&[&peer.url()], "").with(0).wrote("\u{1b}[31m\u{7}\n");
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let peer = serve(|server| {
        server.on_open(|client| {
            let client = client.clone();
            std::thread::spawn(move || while client.send("again and again").is_ok() {});
        })
    });
    let mut head = Command::new("head");
    head.args(["-n", "3"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut head = head.spawn().unwrap();
    let mut wsapp = command(&[&peer.url(), "--no-stdin"]);
    wsapp.stdout(head.stdin.take().unwrap());
    let running = start_command(wsapp);
    let ended = running.wait().with(0);
    assert_eq!(ended.stderr, "");
    let lines = head.wait_with_output().unwrap();
    assert_eq!(lines.stdout, b"again and again\n".repeat(3));
}

#[test]
fn a_reader_that_is_slow_gets_everything_all_the_same() {
    let lines: String = (0..200_000).map(|i| format!("line {i}\n")).collect();
    let peer = echo();
    let mut wsapp = command(&[&peer.url(), "--wait", "0.3"]);
    wsapp.stdin(Stdio::piped());
    let mut child = wsapp.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = lines.clone();
    let writing =
        std::thread::spawn(move || std::io::Write::write_all(&mut stdin, input.as_bytes()));
    writing.join().unwrap().unwrap();
    // All of it is written; nobody has read for longer than it waits for messages.
    std::thread::sleep(std::time::Duration::from_millis(700));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout == lines.as_bytes(), "{} bytes of {}", output.stdout.len(), lines.len());
}
