//! Pipes: every byte of every message, in order, whatever reads them.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::peers::{echo, recording, serve};
use crate::process::{PATIENCE, command, run, start_command, start_unread};

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
fn a_million_lines_come_back_in_order() {
    let lines: String = (0..1_000_000).map(|i| format!("line {i} ☃\n")).collect();
    let ended = run(&[&echo().url()], &lines).with(0);
    if ended.stdout == lines.as_bytes() {
        return;
    }
    // All of it is more than anybody reads.
    let count = ended.stdout.iter().filter(|byte| **byte == b'\n').count();
    let split = |bytes: &[u8]| bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (came, expected) = (split(&ended.stdout), split(lines.as_bytes()));
    let wrong = came.iter().zip(&expected).position(|(came, expected)| came != expected);
    let shown = wrong.map(|number| came[number].escape_ascii().to_string());
    panic!("{count} lines came back, and number {wrong:?} is {shown:?}");
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
            client.send("\u{1b}[31m\u{7f}\u{9b}\u{202e}").unwrap();
            client.close_with(1000, "").unwrap();
        })
    });
    let url = peer.url();
    run(&[&url], "").with(0).wrote("\u{1b}[31m\u{7f}\u{9b}\u{202e}\n");
    run(&[&url, "--null"], "").with(0).wrote("\u{1b}[31m\u{7f}\u{9b}\u{202e}\0");
    run(&[&url, "--stream"], "").with(0).wrote("\u{1b}[31m\u{7f}\u{9b}\u{202e}");
    run(&[&url, "--receive-file", "-"], "").with(0).wrote("\u{1b}[31m\u{7f}\u{9b}\u{202e}");
    run(&[&url, "--json-lines"], "")
        .with(0)
        .wrote("{\"type\":\"text\",\"data\":\"\\u001b[31m\u{7f}\u{9b}\u{202e}\"}\n");
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

/// More than pipes and buffers hold.
const FLOOD: usize = 3 << 20;

#[test]
fn while_a_reader_is_slow_it_is_not_quiet() {
    let (tell, told) = channel::<()>();
    let told = Mutex::new(told);
    let peer = recording(
        |server| server.max_send_buffer(1 << 30),
        move |client, message| {
            let line = "x".repeat(99);
            for _ in 0..FLOOD / 100 {
                client.send(line.as_str()).unwrap();
            }
            client.send(message).unwrap();
            told.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            client.send("last").unwrap();
        },
    );
    let mut running = start_unread(command(&[&peer.url(), "-x", "end", "--wait", "2"]));
    // Nobody reads for longer than it waits for messages.
    std::thread::sleep(Duration::from_secs(3));
    let mut flood = vec![0; FLOOD / 100 * 100 + "end\n".len()];
    running.stdout().read_exact(&mut flood).unwrap();
    assert!(flood.ends_with(b"xxx\nend\n"));
    // It would have closed by now.
    tell.send(()).unwrap();
    let mut rest = String::new();
    running.stdout().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "last\n");
    assert_eq!(running.wait(), Some(0));
}

#[test]
fn what_came_before_the_end_is_written_however_late_it_is_read() {
    let (tell, told) = channel::<()>();
    let peer = serve(|server| {
        server
            .max_send_buffer(1 << 30)
            .on_open(|client| {
                for _ in 0..5 {
                    client.send("x".repeat(99_999)).unwrap();
                }
                client.close_with(1000, "").unwrap();
            })
            .on_close(move |_, _| {
                let _ = tell.send(());
            })
    });
    let mut running = start_unread(command(&[&peer.url(), "--no-stdin"]));
    // It is over, and some of it is in nobody's hands but its own: a pipe has less room.
    told.recv_timeout(PATIENCE).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let mut read = Vec::new();
    running.stdout().read_to_end(&mut read).unwrap();
    assert_eq!(read.len(), 500_000);
    assert_eq!(running.wait(), Some(0));
}
