//! What happens at the end of standard input, where the peers' users were hurt: replies that come
//! later are lost (websocat #245, #299), or the connection is not waited for (wscat #4).

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use websocket_app::OwnedMessage;

use crate::peers::{echo, near, patience, recording, serve};
use crate::process::{run, start};

/// How many characters take longer than the end of a connection.
const LONG: usize = 8 << 20;

#[test]
fn replies_that_come_after_the_end_are_received() {
    // It answers when it knows that our input is over.
    let (tell, told) = channel::<()>();
    let told = Mutex::new(told);
    let peer = recording(
        |server| server,
        move |client, _| {
            told.lock().unwrap().recv_timeout(patience()).unwrap();
            client.send("late").unwrap();
        },
    );
    let mut running = start(&[&peer.url(), "--wait", "60", "-n", "1"]);
    running.write("question");
    running.stdin = None;
    tell.send(()).unwrap();
    running.wait().with(0).wrote("late\n");
    assert_eq!(peer.message(), "question");
}

#[test]
fn without_another_word_it_ends_a_second_after_the_last_message() {
    let began = std::time::Instant::now();
    run(&[&echo().url()], "hello").with(0).wrote("hello\n");
    assert!(began.elapsed().as_millis() >= 1000, "{:?}", began.elapsed());
}

#[test]
fn with_wait_0_it_closes_at_once_and_what_was_sent_arrives() {
    let peer = recording(|server| server, |_, _| {});
    let lines: String = (0..1000).map(|i| format!("{i}\n")).collect();
    run(&[&peer.url(), "--wait", "0"], &lines).with(0);
    for i in 0..1000 {
        assert_eq!(peer.message(), i.to_string());
    }
}

#[test]
fn a_message_that_is_being_read_when_the_server_closes_is_told_of() {
    let peer = recording(|server| server, |_, _| {});
    let mut running = start(&[&peer.url(), "--json-lines"]);
    running.write("{\"type\":\"text\",\"data\":\"first\"}\n");
    assert_eq!(peer.message(), "first");
    // What takes a while to be read.
    let text = "\\u00e9".repeat(LONG);
    running.write(format!("{{\"type\":\"text\",\"data\":\"{text}\"}}\n"));
    peer.handle().clients()[0].close_with(1000, "").unwrap();
    running.wait().with(1).said(&["message 2 of standard input was not sent"]);
}

#[test]
fn with_wait_forever_it_is_the_server_who_ends_it() {
    let peer = recording(
        |server| server,
        |client, _| {
            client.send("reply").unwrap();
            // After as long as it would take by default.
            let client = client.clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(1500));
                client.send("last").unwrap();
                client.close_with(1000, "").unwrap();
            });
        },
    );
    run(&[&peer.url(), "--wait", "forever"], "x\n").with(0).wrote("reply\nlast\n");
}

#[test]
fn standard_input_is_read_once_the_connection_is_open() {
    // It is not before all lines are written, and the pipe's other end is gone.
    let (tell, told) = channel::<()>();
    let told = Mutex::new(told);
    let peer = recording(
        |server| {
            server.on_request(move |_| {
                told.lock().unwrap().recv_timeout(patience()).unwrap();
                websocket_app::server::Answer::accept()
            })
        },
        |_, _| {},
    );
    let mut running = start(&[&peer.url(), "--wait", "0"]);
    running.write("first\nsecond\n");
    running.stdin = None;
    tell.send(()).unwrap();
    running.wait().with(0);
    assert_eq!(peer.message(), "first");
    assert_eq!(peer.message(), "second");
}

#[test]
fn messages_given_as_arguments_need_no_standard_input() {
    let peer = recording(|server| server, |_, _| {});
    // It is open, and never ends.
    let running = start(&[&peer.url(), "-x", "one", "-x", "two", "--wait", "0"]);
    running.wait().with(0);
    assert_eq!(peer.message(), "one");
    assert_eq!(peer.message(), "two");
    run(&[&peer.url(), "-x", "one", "--stdin", "--wait", "0"], "two\n").with(0);
    assert_eq!(peer.message(), "one");
    assert_eq!(peer.message(), "two");
}

#[test]
fn without_standard_input_it_only_listens() {
    let peer = serve(|server| {
        server.on_open(|client| {
            client.send("tick").unwrap();
            client.close_with(1000, "").unwrap();
        })
    });
    start(&[&peer.url(), "--no-stdin"]).wait().with(0).wrote("tick\n");
}

#[test]
fn the_servers_end_is_enough_where_no_line_is_left() {
    let peer = recording(|server| server, |client, _| client.close_with(1000, "enough").unwrap());
    let mut running = start(&[&peer.url(), "--verbose"]);
    running.write("one\n");
    assert_eq!(peer.message(), "one");
    // Its standard input stays open.
    running.wait().with(0).said(&["connected to"]);
}

#[test]
fn lines_that_are_left_when_the_server_ends_it_are_told_of() {
    for (code, status) in [(1000, 1), (4000, 8)] {
        let peer = recording(
            |server| server,
            move |client, message| {
                if *message == "line 9" {
                    client.close_with(code, "enough").unwrap();
                }
            },
        );
        let lines: String = (0..3_000_000).map(|i| format!("line {i}\n")).collect();
        run(&[&peer.url()], &lines)
            .with(status)
            .said(&["enough", "of standard input was not sent"]);
    }
}

/// What is read and in no other hands than ours when the connection ends: each message is either on the
/// way or told of.
#[test]
#[cfg(unix)]
fn lines_that_are_queued_when_the_server_ends_it_are_told_of() {
    const LINES: usize = 3000;
    const LENGTH: usize = 1000;
    // Closed in order, with a code, and lost.
    for (end, status) in [(&b"\x88\x02\x03\xe8"[..], 1), (b"\x88\x02\x0f\xa0", 8), (b"", 3)] {
        let (read, all_read) = channel::<()>();
        let (end_of_process, ended) = channel::<()>();
        let (count, counted) = channel();
        let (url, peer, _socket) = near(move |mut stream| {
            all_read.recv_timeout(patience()).unwrap();
            // What it has read last is queued by now, or what follows does not matter.
            thread::sleep(Duration::from_millis(200));
            if end.is_empty() {
                // It is gone with what it has not read.
                return count.send(None).unwrap();
            }
            stream.write_all(end).unwrap();
            ended.recv_timeout(patience()).unwrap();
            let mut received = Vec::new();
            let _ = stream.read_to_end(&mut received);
            // Each frame has a head of four bytes, and a mask.
            count.send(Some(received.len() / (LENGTH + 8))).unwrap();
        });
        let mut running = start(&[&url, "--close-timeout", "0.2"]);
        let line = "x".repeat(LENGTH) + "\n";
        running.write(line.repeat(LINES));
        running.stdin = None;
        read.send(()).unwrap();
        let ended = running.wait().with(status);
        end_of_process.send(()).unwrap_or_default();
        let told = ended.stderr.split(" messages of ").next().unwrap();
        let told: usize = told.rsplit(' ').next().unwrap().parse().expect(&ended.stderr);
        let _ = ended.said(&[&format!(
            "{told} messages of {} bytes were queued and not sent",
            told * LENGTH
        )]);
        if let Some(received) = counted.recv_timeout(patience()).unwrap() {
            assert_eq!(received + told, LINES);
        }
        peer.join().unwrap();
    }
}

#[test]
#[cfg(unix)]
fn what_a_server_does_not_read_is_told_of_as_that() {
    let text = "x".repeat(100_000);
    for (more, status, words) in [
        (&["--close-timeout", "0.2"][..], 1, "has not read that in time"),
        (&["--close-timeout", "1000", "--timeout", "3"], 7, "not over within --timeout"),
    ] {
        let (end, ended) = channel::<()>();
        let (url, peer, _socket) = near(move |stream| {
            ended.recv_timeout(patience()).unwrap();
            drop(stream);
        });
        let args = [&[&*url, "--wait", "0"], more, &["-x", &text].repeat(10)[..]].concat();
        let ended = run(&args, "").with(status).said(&[words, "queued and not sent"]);
        // It was we who closed it.
        assert!(!ended.stderr.contains("has closed"), "{}", ended.stderr);
        end.send(()).unwrap();
        peer.join().unwrap();
    }
}

#[test]
fn a_server_that_closes_in_order_is_connected_to_again_too() {
    let peer = serve(|server| {
        server.on_open(|client| {
            client.send("tick").unwrap();
            client.close_with(1000, "").unwrap();
        })
    });
    run(&[&peer.url(), "--no-stdin", "--reconnect=0.05", "-n", "3"], "")
        .with(0)
        .wrote("tick\ntick\ntick\n")
        .said(&["closed: 1000", "connected again"]);
    // As is said where it is asked for.
    let help = String::from_utf8(run(&["--help"], "").with(0).stdout).unwrap();
    let (_, about) = help.split_once("--reconnect").unwrap();
    let (about, _) = about.split_once("--max-attempts").unwrap();
    assert!(about.contains("when the server has closed it"), "{about}");
}

#[test]
fn what_was_asked_for_is_sent_again_to_a_server_that_comes_back() {
    let opened = Arc::new(Mutex::new(0));
    let peer = recording(
        |server| {
            let opened = Arc::clone(&opened);
            server.on_open(move |_| *opened.lock().unwrap() += 1)
        },
        |client, message| match message {
            OwnedMessage::Text(text) if text == "leave" => client.abort(),
            message => client.send(message).unwrap(),
        },
    );
    let mut running =
        start(&[&peer.url(), "-x", "subscribe", "--stdin", "--reconnect=0.05", "-n", "3"]);
    assert_eq!(running.line(), "subscribe");
    running.write("leave\n");
    assert_eq!(running.line(), "subscribe");
    running.write("more\n");
    assert_eq!(running.line(), "more");
    running.wait().with(0).said(&["connection lost, attempt", "connected again"]);
    assert_eq!(*opened.lock().unwrap(), 2);
}
