//! Files of any size: every byte, in bounded memory.

use std::fs;
use std::io::Write;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use websocket_app::MessageKind;

use crate::peers::{echo, patience, recording, serve};
use crate::process::{run, start};
use crate::screen::Screen;
use crate::temporary::temporary;

/// Far more than a process that keeps it may have.
const LARGE: usize = 96 << 20;

/// What a process of ours may have at most, in KiB: its buffers for sending, and the program.
const MEMORY: u64 = 56 << 10;

/// Bytes that are all different, in a way.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u64 / 8)
        .flat_map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .collect()
}

/// The most memory that a process had so far, in KiB.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_file_there_and_back_is_the_same() {
    let (there, back) = (temporary("there"), temporary("back"));
    let peer = echo_of_any_size();
    for length in [0, 8, 65_536, 10_000_000] {
        fs::write(&there, pattern(length)).unwrap();
        run(&[&peer.url(), "--send-file", &there, "--receive-file", &back], "").with(0).wrote("");
        assert!(fs::read(&back).unwrap() == pattern(length), "{length} bytes");
    }
    fs::write(&there, "text ☃").unwrap();
    run(&[&peer.url(), "--send-file", &there, "--text", "--wait", "0.5"], "")
        .with(0)
        .wrote("text ☃\n");
    run(&[&peer.url(), "--send-file", "-", "--receive-file", "-"], "a\nb\0")
        .with(0)
        .wrote("a\nb\0");
}

fn echo_of_any_size() -> crate::peers::Peer {
    serve(|server| {
        server.max_message_size(1 << 30).max_send_buffer(1 << 30).on_message(|c, m| c.send(m))
    })
}

#[test]
fn a_bar_shows_on_a_terminal_how_far_a_file_is() {
    const LENGTH: usize = 3_000_000;
    let Some(screen) = Screen::open() else { return };
    let sends = serve(|server| {
        server.max_send_buffer(1 << 30).on_open(|client| client.send(pattern(LENGTH)))
    });
    let (tell, told) = channel();
    let reads = serve(|server| {
        server.max_message_size(1 << 30).on_message(move |_, message| {
            tell.send(message.into_owned().into_bytes()).unwrap();
        })
    });
    screen.keep_all();
    let program = env!("CARGO_BIN_EXE_wsapp");
    screen.run_shell(&format!(
        "{program} {} --receive-file back && {program} {} --send-file back --wait 0",
        sends.url(),
        reads.url()
    ));
    assert!(told.recv_timeout(patience()).unwrap() == pattern(LENGTH));
    let shown = screen.kept_until("exit status 0");
    let full = format!("│{}│ 100 % of 3.0 MB", "█".repeat(30));
    for what in ["received back ", "sent back "] {
        let bars: Vec<&str> = shown.split(what).skip(1).collect();
        let last = bars.last().unwrap();
        assert!(last.starts_with(&full), "{what}: {last:?}");
        // Before that it was less.
        assert!(bars.len() > 1 && !bars[0].starts_with(&full), "{what}: {bars:?}");
    }
}

#[test]
fn sending_a_large_file_takes_little_memory() {
    let file = temporary("large");
    fs::write(&file, pattern(LARGE)).unwrap();
    let (tell, told) = channel();
    let received = Mutex::new((0, true));
    let expected = pattern(LARGE);
    let peer = serve(|server| {
        server.on_fragment(move |_, fragment| {
            let mut received = received.lock().unwrap();
            let data = fragment.data.as_bytes();
            let end = received.0 + data.len();
            received.1 &= expected.get(received.0..end) == Some(data);
            received.0 = end;
            if fragment.last {
                tell.send(*received).unwrap();
            }
        })
    });
    let running = start(&[&peer.url(), "--send-file", &file, "--wait", "forever"]);
    assert_eq!(told.recv_timeout(patience()).unwrap(), (LARGE, true));
    if let Some(peak) = peak_memory(running.id()) {
        assert!(peak < MEMORY, "{peak} KiB");
    }
    peer.handle().clients()[0].close_with(1000, "").unwrap();
    running.wait().with(0);
}

#[test]
fn receiving_a_large_file_takes_little_memory() {
    let file = temporary("received");
    let process = Arc::new(Mutex::new(None));
    let peak = Arc::new(Mutex::new(None));
    let (begin, begun) = channel::<()>();
    let begun = Arc::new(Mutex::new(begun));
    let peer = serve(|server| {
        let (process, peak) = (Arc::clone(&process), Arc::clone(&peak));
        server.send_timeout(patience()).on_open(move |client| {
            let (client, begun) = (client.clone(), Arc::clone(&begun));
            let (process, peak) = (Arc::clone(&process), Arc::clone(&peak));
            thread::spawn(move || {
                begun.lock().unwrap().recv_timeout(patience()).unwrap();
                let mut message = client.sender().message_writer(MessageKind::Binary).unwrap();
                let data = pattern(LARGE);
                let (most, rest) = data.split_at(LARGE - 8);
                message.write_all(most).unwrap();
                // All but what is on the way has arrived.
                *peak.lock().unwrap() = process.lock().unwrap().and_then(peak_memory);
                message.write_all(rest).unwrap();
                message.finish().unwrap();
            });
        })
    });
    let running = start(&[&peer.url(), "--receive-file", &file]);
    *process.lock().unwrap() = Some(running.id());
    begin.send(()).unwrap();
    running.wait().with(0).wrote("");
    assert!(fs::read(&file).unwrap() == pattern(LARGE));
    if let Some(peak) = *peak.lock().unwrap() {
        assert!(peak < MEMORY, "{peak} KiB");
    }
}

#[test]
fn a_file_that_does_not_come_whole_is_told_and_has_not_its_name() {
    let file = temporary("half");
    let peer = serve(|server| {
        server.on_open(|client| {
            let client = client.clone();
            thread::spawn(move || {
                let mut message = client.sender().message_writer(MessageKind::Binary).unwrap();
                message.write_all(&pattern(100_000)).unwrap();
                // Unfinished.
                drop(message);
            });
        })
    });
    let ended = start(&[&peer.url(), "--receive-file", &file]).wait();
    assert!(matches!(ended.status, Some(1 | 3 | 8)), "{ended:?}");
    assert!(fs::metadata(&file).is_err());
    assert!(fs::metadata(format!("{file}.part")).is_ok());

    let polite = recording(|server| server, |client, _| client.close_with(1000, "").unwrap());
    let ended = start(&[&polite.url(), "-x", "x", "--receive-file", &file]).wait();
    ended.with(1).said(&["--receive-file", "did not come whole"]);
}

/// Sends half of a message to the first that comes, and drops it; to the second all.
fn torn() -> crate::peers::Peer {
    let first = std::sync::atomic::AtomicBool::new(true);
    serve(|server| {
        server.on_open(move |client| {
            let (client, first) =
                (client.clone(), first.swap(false, std::sync::atomic::Ordering::Relaxed));
            thread::spawn(move || {
                let mut message = client.sender().message_writer(MessageKind::Binary).unwrap();
                message.write_all(&pattern(800_000)).unwrap();
                if first {
                    message.flush().unwrap();
                    client.flush(patience()).unwrap();
                    drop(message);
                    client.abort();
                } else {
                    message.finish().unwrap();
                }
            });
        })
    })
}

#[test]
fn a_message_that_begins_anew_is_written_anew_or_told_of() {
    let file = temporary("anew");
    run(&[&torn().url(), "--no-stdin", "--reconnect=0.01", "--receive-file", &file], "").with(0);
    assert!(fs::read(&file).unwrap() == pattern(800_000));
    // Standard output cannot be taken back.
    run(&[&torn().url(), "--no-stdin", "--reconnect=0.01", "--receive-file", "-"], "")
        .with(1)
        .said(&["began anew"]);
}

#[test]
#[cfg(unix)]
fn what_has_not_come_whole_is_no_more_open_than_what_it_replaces() {
    use std::os::unix::fs::PermissionsExt;

    let file = temporary("secret");
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let ended = run(&[&torn().url(), "--receive-file", &file], "");
    assert!(matches!(ended.status, Some(1 | 3)), "{ended:?}");
    let part = fs::metadata(format!("{file}.part")).unwrap();
    assert_eq!(part.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_is_no_text_is_told_of_with_the_connection_still_there() {
    let file = temporary("no-text");
    fs::write(&file, b"fine\xff").unwrap();
    let peer = echo();
    for more in [&[][..], &["--reconnect=0.05"], &["--wait", "forever"]] {
        let url = peer.url();
        let args = [&[&*url, "--send-file", &file, "--text"], more].concat();
        start(&args).wait().with(1).said(&["no-text was not sent", "UTF-8"]);
    }
}

#[test]
fn a_file_whose_connection_is_lost_or_closed_ends_it_with_the_reason() {
    let file = temporary("unsent");
    fs::write(&file, pattern(LARGE)).unwrap();
    for (code, status) in [(None, 3), (Some(1000), 1), (Some(4000), 8)] {
        for more in [&[][..], &["--reconnect=0.05"]] {
            let peer = serve(|server| {
                server.on_fragment(move |client, _| match code {
                    None => client.abort(),
                    Some(code) => client.close_with(code, "enough").unwrap(),
                })
            });
            let url = peer.url();
            let args = [&[&*url, "--send-file", &file], more].concat();
            let ended = start(&args).wait().with(status).said(&["unsent was not sent"]);
            assert_eq!(ended.stderr.contains("enough"), code.is_some(), "{ended:?}");
        }
    }
}

#[test]
fn a_file_whose_end_is_still_awaited_when_the_server_closes_is_told_of() {
    // As much as may be kept until there is more of it.
    const KEPT: usize = 64 << 10;
    for (code, status) in [(1000, 1), (4000, 8)] {
        let (tell, told) = channel();
        let peer = serve(|server| {
            server.on_fragment(move |_, fragment| {
                // Once there is enough nobody counts.
                let _ = tell.send(fragment.data.as_bytes().len());
            })
        });
        let mut running = start(&[&peer.url(), "--send-file", "-"]);
        running.write(pattern(8 * KEPT));
        let mut received = 0;
        while received < 7 * KEPT {
            received += told.recv_timeout(patience()).unwrap();
        }
        peer.handle().clients()[0].close_with(code, "enough").unwrap();
        // Its standard input stays open.
        running.wait().with(status).said(&["standard input was not sent", "enough"]);
    }
}

#[test]
fn files_that_are_not_there_cost_no_connection() {
    let peer = echo();
    run(&[&peer.url(), "--send-file", "/nowhere"], "").with(1).said(&["--send-file /nowhere"]);
    run(&[&peer.url(), "--receive-file", "/nowhere/x"], "")
        .with(1)
        .said(&["--receive-file /nowhere/x"]);
    run(&[&peer.url(), "--send-file", "/"], "").with(2).said(&["directory"]);
    assert_eq!(peer.handle().stats().opened, 0);
}

#[test]
#[cfg(unix)]
fn what_is_no_file_is_written_to_and_what_is_there_is_kept() {
    use std::process::Command;

    let peer = echo();
    let receive = |path: &str| {
        run(&[&peer.url(), "-x", "hello", "--receive-file", path], "").with(0).wrote("");
    };
    let directory = temporary("kept");
    fs::create_dir_all(&directory).unwrap();
    let path = |name: &str| format!("{directory}/{name}");

    // A FIFO's reader gets it.
    let fifo = path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let reader = thread::spawn({
        let fifo = fifo.clone();
        move || fs::read(fifo).unwrap()
    });
    receive(&fifo);
    assert_eq!(reader.join().unwrap(), b"hello");

    // A link stays one, also where it leads to nothing yet.
    for there in [true, false] {
        let (target, link) = (path(&format!("target-{there}")), path(&format!("link-{there}")));
        if there {
            fs::write(&target, "old").unwrap();
        }
        std::os::unix::fs::symlink(&target, &link).unwrap();
        receive(&link);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"hello");
    }

    // Somebody else's file of that name.
    let file = path("file");
    fs::write(format!("{file}.part"), "mine").unwrap();
    receive(&file);
    assert_eq!(fs::read(&file).unwrap(), b"hello");
    assert_eq!(fs::read(format!("{file}.part")).unwrap(), b"mine");

    // Nothing where nothing came.
    let nobody = format!("ws://{}/", crate::peers::nobody());
    run(&[&nobody, "--receive-file", &path("none")], "").with(3);
    let mut names: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["fifo", "file", "file.part", "link-false", "link-true", "target-false", "target-true"]
    );
}
