//! Recordings: whole at any time, exact, without credentials, and played by either side.

use std::fs;
#[cfg(unix)]
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use websocket_app::OwnedMessage;

use crate::peers::{echo, recording, serve};
use crate::process::{PATIENCE, run, start, start_command};
#[cfg(unix)]
use crate::temporary::temporary_socket;
use crate::temporary::{Temporary, temporary};

/// Text and binary messages that are hard to write down, as lines of JSON.
const MESSAGES: &str = r#"{"type":"text","data":"plain"}
{"type":"text","data":"\"quoted\"\n\u001b\u0000 ☃ \u2028 \ud83d\ude00"}
{"type":"binary","data":""}
{"type":"binary","data":"AAECAwoNGyKAwP/+"}
{"type":"text","data":""}
"#;

/// Returns direction, opcode and data of each message.
fn messages(har: &str) -> Vec<(String, i64, String)> {
    let har: serde_json::Value = serde_json::from_str(&fs::read_to_string(har).unwrap()).unwrap();
    let messages = har["log"]["entries"][0]["_webSocketMessages"].as_array().unwrap();
    let field =
        |message: &serde_json::Value, name: &str| message[name].as_str().unwrap().to_owned();
    messages
        .iter()
        .map(|m| (field(m, "type"), m["opcode"].as_i64().unwrap(), field(m, "data")))
        .collect()
}

#[test]
fn json_lines_go_both_ways_as_they_are() {
    let ended = run(&[&echo().url(), "--json-lines", "--wait", "0.5"], MESSAGES).with(0);
    let parsed = |lines: &str| -> Vec<serde_json::Value> {
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(parsed(&String::from_utf8(ended.stdout.clone()).unwrap()), parsed(MESSAGES));
    // What was written is read again.
    let again = run(&[&echo().url(), "--json-lines", "--wait", "0.5"], &ended.stdout).with(0);
    again.wrote(&ended.stdout);
}

#[test]
fn json_lines_may_ping_and_close() {
    let (tell, told) = std::sync::mpsc::channel();
    let peer = serve(|server| {
        let close = tell.clone();
        server.on_ping(move |_, payload| drop(tell.send(payload.to_vec()))).on_close(
            move |_, end| drop(close.send(format!("{} {}", end.code, end.reason).into_bytes())),
        )
    });
    let lines = "{\"type\":\"ping\",\"data\":\"aGk=\"}\n\n{\"type\":\"close\",\"code\":4001,\"reason\":\"bye\"}\n";
    let mut running = start(&[&peer.url(), "--json-lines", "-P", "--wait", "forever"]);
    running.write(lines);
    let ended = running.wait().with(0);
    assert_eq!(told.recv().unwrap(), b"hi");
    assert_eq!(told.recv().unwrap(), b"4001 bye");
    ended.wrote("{\"type\":\"pong\",\"data\":\"aGk=\"}\n");
    run(&[&peer.url(), "--json-lines"], "nonsense\n").with(1).said(&["message 1", "{\"type\""]);
}

#[test]
fn json_lines_that_ping_wait_for_a_server_that_is_away() {
    let (tell, told) = std::sync::mpsc::channel();
    let peer = recording(
        |server| server.on_ping(move |_, payload| drop(tell.send(payload.to_vec()))),
        |client, message| {
            if *message == "go" {
                client.abort();
            }
        },
    );
    let mut running = start(&[&peer.url(), "--json-lines", "--reconnect=2"]);
    running.write("{\"type\":\"text\",\"data\":\"go\"}\n");
    running.says("closed");
    running.write("{\"type\":\"ping\",\"data\":\"aGk=\"}\n{\"type\":\"text\",\"data\":\"end\"}\n");
    running.stdin = None;
    running.wait().with(0);
    assert_eq!(told.recv_timeout(crate::process::PATIENCE).unwrap(), b"hi");
}

#[test]
fn json_lines_that_ping_stay_behind_the_messages_before() {
    let (tell, told) = std::sync::mpsc::channel();
    let pinged = tell.clone();
    let peer = serve(|server| {
        server.on_ping(move |_, payload| drop(pinged.send(payload.to_vec()))).on_message(
            move |client, message| match message.as_text() {
                Some("go") => client.abort(),
                _ => drop(tell.send(message.as_bytes().to_vec())),
            },
        )
    });
    // What -x says goes out in the callback that a new connection begins with.
    let mut args = vec!["--json-lines", "--reconnect=0.05", "--stdin"];
    args.extend(std::iter::repeat_n(["-x", "again"], 50).flatten());
    let url = peer.url();
    let mut running = start(&[&[&*url], &args[..]].concat());
    let next = || told.recv_timeout(PATIENCE).unwrap();
    for _ in 0..3 {
        (0..50).for_each(|_| assert_eq!(next(), b"again"));
        running.write("{\"type\":\"text\",\"data\":\"go\"}\n");
        running.says("closed");
        running.write("{\"type\":\"text\",\"data\":\"a\"}\n{\"type\":\"text\",\"data\":\"b\"}\n");
        running.write("{\"type\":\"ping\",\"data\":\"aGk=\"}\n");
        // Its place among those of -x is up to the library.
        let mut came: Vec<_> = (0..53).map(|_| next()).collect();
        came.retain(|message| message != b"again");
        assert_eq!(came, [&b"a"[..], b"b", b"hi"]);
        // There is nothing more to come of this connection: 50 are there already.
        running.write("{\"type\":\"text\",\"data\":\"go\"}\n");
        running.says("closed");
    }
    running.signal("INT");
    running.wait().with(130);
}

#[test]
fn a_recording_is_played_back_exactly_by_either_side() {
    let (first, second) = (temporary("first.har"), temporary("second.har"));
    let peer = echo();
    run(&[&peer.url(), "--json-lines", "--record", &first, "--wait", "0.5"], MESSAGES).with(0);
    let recorded = messages(&first);
    assert_eq!(recorded.len(), 10);
    let of = |direction: &str, all: &[(String, i64, String)]| -> Vec<(i64, String)> {
        all.iter().filter(|m| m.0 == direction).map(|m| (m.1, m.2.clone())).collect()
    };
    assert_eq!(of("send", &recorded), of("receive", &recorded));

    // As the client, of a server that does the same.
    run(&["replay", &first, &peer.url()], "").with(0);

    // As the server, for a client that is recorded too.
    let server = start_command(crate::process::command(&[
        "replay",
        &first,
        "--as-server",
        "127.0.0.1:0",
        "--once",
    ]));
    let url = server.address();
    run(&["record", &second, &url, "--json-lines", "--wait", "forever"], MESSAGES).with(0);
    server.wait().with(0);
    assert_eq!(of("send", &messages(&second)), of("send", &recorded));
    assert_eq!(of("receive", &messages(&second)), of("receive", &recorded));

    // As both.
    let server = start_command(crate::process::command(&[
        "replay",
        &first,
        "--as-server",
        "127.0.0.1:0",
        "--once",
    ]));
    run(&["replay", &first, &server.address()], "").with(0);
    server.wait().with(0);
}

/// How long what the client and the server of a recording say is.
const QUESTION: usize = 2 << 20;
const ANSWER: usize = 1000;

/// A recording with so many messages by the client, and then so many by the server.
fn write_recording(name: &str, questions: usize, answers: usize) -> Temporary {
    write_with_lengths(name, (questions, QUESTION), (answers, ANSWER))
}

/// The same with their lengths.
fn write_with_lengths(
    name: &str,
    (questions, question): (usize, usize),
    (answers, answer): (usize, usize),
) -> Temporary {
    let file = temporary(name);
    let message = |by: &str, length: usize| serde_json::json!({"type": by, "time": 1.7e9, "opcode": 1, "data": "x".repeat(length)});
    let messages = std::iter::repeat_n(message("send", question), questions)
        .chain(std::iter::repeat_n(message("receive", answer), answers));
    let messages: Vec<_> = messages.collect();
    let har = serde_json::json!({"log": {"entries": [{"_webSocketMessages": messages}]}});
    fs::write(&file, har.to_string()).unwrap();
    file
}

#[test]
fn a_server_that_is_quicker_than_recorded_is_heard_meanwhile() {
    // It says all that it has to say before it reads the rest of what the client says.
    const ANSWERS: usize = 20_000;
    let file = write_recording("quick.har", 20, ANSWERS);
    let peer = serve(|server| {
        let first = std::sync::atomic::AtomicBool::new(true);
        server.max_message_size(4 << 20).on_message(move |client, _| {
            if first.swap(false, std::sync::atomic::Ordering::Relaxed) {
                // In another thread a send waits for room, and this one for that.
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        for _ in 0..ANSWERS {
                            client.send("x".repeat(ANSWER)).unwrap();
                        }
                    });
                });
            }
        })
    });
    run(&["replay", &file, &peer.url()], "").with(0);
}

/// A recording with a message each by these, at these times.
fn write_timed(name: &str, messages: &[(&str, f64)]) -> Temporary {
    let file = temporary(name);
    let message = |(by, time): &(&str, f64)| serde_json::json!({"type": by, "time": time, "opcode": 1, "data": "x"});
    let messages: Vec<_> = messages.iter().map(message).collect();
    let har = serde_json::json!({"log": {"entries": [{"_webSocketMessages": messages}]}});
    fs::write(&file, har.to_string()).unwrap();
    file
}

#[test]
fn a_recorded_pause_is_none_of_the_time_to_wait() {
    let file = write_timed("pause.har", &[("send", 0.0), ("receive", 14.0)]);
    let both = [&*file, "--speed=2", "--wait", "6"];
    let server = crate::process::command(
        &[&["replay"], &both[..], &["--as-server", "127.0.0.1:0", "--once"]].concat(),
    );
    // A little later than it, as it takes to connect.
    let server = start_command(server);
    run(&[&["replay"], &both[..], &[&server.address()]].concat(), "").with(0);
    server.wait().with(0);
}

#[test]
fn a_side_that_ends_during_a_pause_is_told_of_at_once() {
    let file = write_timed("long-pause.har", &[("send", 0.0), ("send", 1000.0)]);
    for code in [1000, 4001] {
        let peer =
            recording(|server| server, move |client, _| client.close_with(code, "enough").unwrap());
        let ended = run(&["replay", &file, &peer.url(), "--speed"], "");
        let code = code.to_string();
        ended.with(9).said(&["message 2 of 2", "the end of the connection", "enough", &code]);
    }
}

#[test]
fn a_connection_that_is_lost_is_told_of_with_how_far_it_had_come() {
    let file = write_timed("lost.har", &[("send", 0.0), ("send", 1000.0)]);
    let peer = recording(|server| server, |client, _| client.abort());
    let ended = run(&["replay", &file, &peer.url(), "--speed"], "");
    ended.with(3).said(&["lost", "message 2 of 2", "the end of the connection"]);
}

#[test]
#[cfg(unix)]
fn a_side_that_does_not_read_is_told_of() {
    // More than is queued for a peer, and less.
    for count in [20, 4] {
        let file = write_recording("deaf.har", count, 0);
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (url, peer, _socket) = crate::peers::near(move |_stream| {
            let _ = ended.recv();
        });
        let running =
            start(&["replay", &file, &url, "--wait", "0.3", "--close-timeout", "0.2", "--verbose"]);
        // Long before its pings would tell.
        running.wait_within(Duration::from_secs(20)).with(9).said(&["was not read in time"]);
        drop(end);
        peer.join().unwrap();
    }
}

#[test]
fn what_was_recorded_stays_where_an_option_is_wrong() {
    let file = temporary("kept.har");
    fs::write(&file, "old").unwrap();
    let url = format!("wss://{}/", crate::peers::nobody());
    for wrong in [
        ["--expect", "("],
        ["--send-file", "/nowhere"],
        ["--receive-file", "/nowhere/x"],
        ["--header", "no colon"],
        ["--header", "not one: \n"],
        ["--pin", "none"],
        ["--cert", "/nowhere"],
        ["--ca", "/nowhere"],
    ] {
        let ended = run(&[&["record", &file, &url], &wrong[..]].concat(), "");
        assert!(matches!(ended.status, Some(1 | 2)), "{wrong:?}: {ended:?}");
        assert_eq!(fs::read(&file).unwrap(), b"old", "{wrong:?}");
    }
    run(&["record", &file, "http//nothing"], "").with(2);
    assert_eq!(fs::read(&file).unwrap(), b"old");
    run(&["record", &file, &url], "").with(3);
    assert_ne!(fs::read(&file).unwrap(), b"old");
}

/// What is behind a file's name may be a pipe.
#[test]
#[cfg(unix)]
fn headers_are_read_once() {
    let peer = serve(|server| {
        server.on_request(|request| match request.headers().get("x-mine") {
            Some("yes") => websocket_app::server::Answer::accept(),
            _ => websocket_app::server::Answer::refuse(401),
        })
    });
    let (fifo, file) = (temporary("fifo"), temporary("once.har"));
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let url = peer.url();
    let header = format!("@{fifo}");
    for args in [
        &[&*url, "--record", &file, "-x", "x", "--wait", "0"][..],
        &["bench", &url, "-c", "2", "-d", "0.01"],
    ] {
        let running = start(&[args, &["--header", &header]].concat());
        fs::write(&fifo, "X-Mine: yes\n").unwrap();
        let ended = running.wait_within(PATIENCE / 3);
        assert!(matches!(ended.status, Some(0 | 7)), "{ended:?}");
    }
}

/// What is for a client is not passed over where the server is played.
#[test]
fn options_of_a_client_are_refused_where_the_server_is_played() {
    for option in [&["--cert", "some.pem"][..], &["--compress"], &["--connect-timeout", "3"]] {
        let args = [&["replay", "some.har", "--as-server"], option].concat();
        run(&args, "").with(2).said(&[option[0], "is for a client", "--as-server"]);
    }
}

#[test]
#[cfg(unix)]
fn a_client_that_does_not_read_is_told_of() {
    // Less than is queued for a client.
    let file = write_with_lengths("deaf.har", (0, 0), (3, 300_000));
    let socket = crate::temporary::temporary_socket();
    let address = format!("unix:{socket}");
    let running = start(&["replay", &file, "--as-server", &address, "--once", "--wait", "0.3"]);
    let until = std::time::Instant::now() + PATIENCE;
    let mut stream = loop {
        match std::os::unix::net::UnixStream::connect(&socket) {
            Ok(stream) => break stream,
            // It does not listen yet.
            Err(error) => assert!(std::time::Instant::now() < until, "{error}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    running.wait().with(9).said(&["was not read in time"]);
}

#[test]
fn what_differs_from_a_recording_is_told() {
    let file = temporary("differs.har");
    run(&[&echo().url(), "--record", &file, "-x", "question", "--wait", "0.3"], "").with(0);
    let other = recording(|server| server, |client, _| client.send("another answer").unwrap());
    run(&["replay", &file, &other.url()], "").with(9).said(&[
        "message 2",
        "another answer",
        "question",
    ]);
    run(&["replay", &file, &other.url(), "--any-answer"], "").with(0);
    let silent = recording(|server| server, |_, _| {});
    run(&["replay", &file, &silent.url(), "--wait", "0.2"], "").with(9).said(&["nothing in time"]);
    let gone = recording(|server| server, |client, _| client.close());
    run(&["replay", &file, &gone.url()], "").with(9).said(&["end of the connection"]);
    run(&["replay", "/nowhere", &silent.url()], "").with(2).said(&["/nowhere"]);

    let server = start_command(crate::process::command(&[
        "replay",
        &file,
        "--as-server",
        "127.0.0.1:0",
        "--once",
    ]));
    run(&[&server.address(), "-x", "another question", "--wait", "forever"], "")
        .with(8)
        .said(&["1008"]);
    server.wait().with(9).said(&["another question"]);
}

#[test]
fn a_recording_is_whole_whenever_the_process_ends() {
    let file = temporary("killed.har");
    let peer = echo();
    let mut running = start(&[&peer.url(), "--record", &file]);
    running.write("one\n");
    assert_eq!(running.line(), "one");
    running.signal("KILL");
    assert_eq!(running.wait().status, None);
    let expected = [("send", "one"), ("receive", "one")];
    assert_eq!(messages(&file), expected.map(|(by, data)| (by.into(), 1, data.into())));
}

#[test]
fn each_connection_is_an_entry() {
    let file = temporary("reconnected.har");
    let peer = recording(
        |server| server,
        |client, message| match *message == "leave" {
            true => client.abort(),
            false => client.send(message).unwrap(),
        },
    );
    let mut running = start(&[
        &peer.url(),
        "-x",
        "hi",
        "--stdin",
        "--record",
        &file,
        "--reconnect=0.05",
        "-n",
        "2",
    ]);
    assert_eq!(running.line(), "hi");
    running.write("leave\n");
    assert_eq!(running.line(), "hi");
    running.wait().with(0);
    let har: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(har["log"]["entries"].as_array().unwrap().len(), 2);
    let replayed = run(&["replay", &file, &peer.url(), "--connection-number", "2"], "");
    replayed.with(0);
    run(&["replay", &file, &peer.url(), "--connection-number", "3"], "").with(2).said(&["has 2"]);
}

#[test]
fn credentials_are_in_no_recording_trace_or_message_unless_asked_for() {
    let peer = serve(|server| {
        server.on_request(|request| {
            let sent = request.headers().get("authorization") == Some("Basic dXNlcjpzM2NyZXQ=");
            let key = request.headers().get("x-api-key") == Some("s3cret-key");
            let cookie = request.cookie("session") == Some("s3cret-cookie");
            match sent && key && cookie {
                true => {
                    websocket_app::server::Answer::accept().header("Set-Cookie", "a=s3cret-answer")
                }
                false => websocket_app::server::Answer::refuse(401),
            }
        })
    });
    let headers = temporary("headers");
    fs::write(&headers, "# what is a key\nX-Api-Key: s3cret-key\n\n").unwrap();
    let file = temporary("credentials.har");
    let url = format!("{}?token=s3cret-query", peer.url());
    let args = [
        url.as_str(),
        "--header",
        &format!("@{headers}"),
        "--cookie",
        "session=s3cret-cookie",
        "--record",
        &file,
        "--trace",
        "--verbose",
        "--wait",
        "0",
        "-x",
        "hello",
    ];
    let mut command = crate::process::command(&args);
    // Not in the arguments, which everybody sees.
    command.env("WSAPP_AUTH", "user:s3cret");
    let ended = start_command(command).wait().with(0).said(&["sent text FIN", "Authorization"]);
    assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
    let har = fs::read_to_string(&file).unwrap();
    assert!(!har.contains("s3cret") && !har.contains("dXNlcjpzM2NyZXQ"), "{har}");
    assert!(har.contains("X-Api-Key") && har.contains("hello"), "{har}");

    let mut command = crate::process::command(&[&args[..], &["--record-credentials"]].concat());
    command.env("WSAPP_AUTH", "user:s3cret");
    start_command(command).wait().with(0);
    let har = fs::read_to_string(&file).unwrap();
    for secret in ["s3cret-key", "dXNlcjpzM2NyZXQ", "s3cret-answer", "s3cret-query"] {
        assert!(har.contains(secret), "{secret}: {har}");
    }

    // The same from the environment, and by way of a refusal.
    let mut command = crate::process::command(&[
        &peer.url(),
        "--cookie",
        "session=s3cret-cookie",
        "--wait",
        "0",
        "-x",
        "",
    ]);
    command.env("WSAPP_AUTH", "user:s3cret").env("WSAPP_HEADERS", "X-Api-Key: s3cret-key");
    start_command(command).wait().with(0);
    let ended = run(&[&url, "--auth", "user:s3cret"], "").with(5);
    assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
}

#[test]
#[cfg(unix)]
fn nobody_else_may_read_a_recording() {
    use std::os::unix::fs::PermissionsExt;

    let file = temporary("private.har");
    // Nor one that is written over.
    for _ in 0..2 {
        run(&[&echo().url(), "--record", &file, "-x", "x", "--wait", "0"], "").with(0);
        assert_eq!(Path::new(&file).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    }
    run(&[&echo().url(), "--record", "/nowhere/x.har"], "").with(1).said(&["/nowhere/x.har"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_others_could_go_on_reading_is_told_of_and_not_written() {
    // What the system lets one write to, and not chmod: the name of the process itself.
    let peer = echo();
    let mut running = start(&[&peer.url(), "--record", "/proc/self/comm"]);
    running.write("hello\n");
    assert_eq!(running.line(), "hello");
    assert_eq!(fs::read_to_string(format!("/proc/{}/comm", running.id())).unwrap(), "wsapp\n");
    running.stdin = None;
    running.wait().with(1).said(&["/proc/self/comm cannot be written", "not permitted"]);
}

#[test]
#[cfg(unix)]
fn a_file_of_somebody_else_stays_as_it_is() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    let place = temporary_socket();
    let folder = Path::new(&*place).parent().unwrap();
    let file = format!("{}/old.har", folder.display());
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
    fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    let as_somebody_else = |args: &[&str]| {
        let mut command = crate::process::command(args);
        command.uid(65_534).gid(65_534);
        command
    };
    let is_root = fs::metadata(&file).unwrap().uid() == 0;
    // Where it was built may be for nobody else.
    if !is_root || as_somebody_else(&["--version"]).output().is_err() {
        return println!("skipped: it cannot be run as somebody else");
    }
    let peer = echo();
    let url = peer.url();
    let args = [&*url, "--record", &file, "-x", "hello", "-n", "1"];
    let ended = start_command(as_somebody_else(&args)).wait();
    ended.with(1).wrote("hello\n").said(&[&file, "not permitted"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
}

#[test]
#[cfg(unix)]
fn a_recording_that_does_not_fit_is_whole_up_to_there_and_told_of() {
    let file = temporary("full.har");
    let peer = echo();
    // The shell's units are 512 or 1024 bytes; the signal would end it without a word.
    let mut shell = std::process::Command::new("sh");
    let line = format!(
        "trap '' XFSZ; ulimit -f 20; exec {} {} --record {file} --wait 0.3",
        env!("CARGO_BIN_EXE_wsapp"),
        peer.url()
    );
    shell.args(["-c", &line]).stdin(std::process::Stdio::piped());
    shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut running = start_command(shell);
    let lines: String = (0..50).map(|i| format!("{i} {}\n", "x".repeat(1000))).collect();
    running.write(&lines);
    running.stdin = None;
    let ended = running.wait().with(1).wrote(&lines);
    assert_eq!(ended.stderr.matches("File too large").count(), 1, "{ended:?}");
    let _ = ended.said(&[&file, "File too large", "it is whole, and ends before that"]);
    let recorded = messages(&file);
    assert!((5..50).contains(&recorded.len()), "{} messages", recorded.len());
    assert_eq!(recorded[0].2.len(), 1002);

    // The same of one that is interrupted, and of one that the server ends otherwise: its status is that
    // of the end, and it is told at once.
    let line = format!(
        "trap '' XFSZ; ulimit -f 20; exec {} {} --record {file}",
        env!("CARGO_BIN_EXE_wsapp"),
        peer.url()
    );
    let mut statuses = Vec::new();
    for ends in [true, false] {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &line]).stdin(std::process::Stdio::piped());
        shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut running = start_command(shell);
        running.write(&lines);
        running.says("File too large");
        // It is known to the server, too.
        running.line();
        match ends {
            true => peer.handle().clients()[0].close_with(4001, "bye").unwrap(),
            false => running.signal("INT"),
        }
        let ended = running.wait().said(&[&file, "File too large"]);
        assert_eq!(ended.stderr.contains("bye"), ends, "{ended:?}");
        assert_eq!(ended.stderr.matches("File too large").count(), 1, "{ended:?}");
        statuses.push(ended.status);
    }
    assert_eq!(statuses, [Some(8), Some(130)]);

    run(&[&peer.url(), "--record", "/dev/full", "-x", "x"], "").with(1).said(&["/dev/full"]);
    assert!(!std::fs::metadata("/dev/full").unwrap().is_file());
}

#[test]
fn what_could_not_be_sent_is_in_no_recording() {
    let file = temporary("unsent.har");
    let peer = recording(
        |server| server,
        |client, message| {
            if *message == "last" {
                client.close_with(1000, "").unwrap();
            }
        },
    );
    let mut running = start(&[&peer.url(), "--record", &file]);
    running.write("last\n");
    assert_eq!(peer.message(), "last");
    let until = std::time::Instant::now() + crate::process::PATIENCE;
    while !peer.handle().clients().is_empty() {
        assert!(std::time::Instant::now() < until);
        std::thread::yield_now();
    }
    // It may have ended by now.
    let _ = std::io::Write::write_all(running.stdin.as_mut().unwrap(), b"too late\n");
    let ended = running.wait();
    assert!(matches!(ended.status, Some(0 | 1)), "{ended:?}");
    assert_eq!(messages(&file), [("send".into(), 1, "last".into())]);
    // Nor what one message after the other has too little room for.
    let flood: String = (0..200_000).map(|i| format!("{i}\n")).collect();
    let echo = echo();
    let ended = run(&[&echo.url(), "--record", &file, "--wait", "1"], &flood).with(0);
    let recorded = messages(&file);
    assert_eq!(ended.stdout, flood.as_bytes());
    for direction in ["send", "receive"] {
        let said = recorded.iter().filter(|message| message.0 == direction);
        assert!(said.map(|message| &*message.2).eq(flood.lines()), "{direction}");
    }
    // No answer stands before its question.
    let mut questions = 0;
    for (direction, _, data) in &recorded {
        match &**direction {
            "send" => questions += 1,
            _ => assert!(data.parse::<usize>().unwrap() < questions),
        }
    }
}

#[test]
fn files_of_any_size_are_not_recorded() {
    for args in
        [["--record", "x.har", "--send-file", "x"], ["--record", "x.har", "--receive-file", "x"]]
    {
        let args = [&["ws://localhost:1/"], &args[..]].concat();
        run(&args, "").with(2).said(&["--send-file", "--receive-file"]);
    }
    run(&["record", "x.har", "ws://localhost:1/", "--send-file", "x"], "")
        .with(2)
        .said(&["recording"]);
}

#[test]
fn a_recording_has_what_chromiums_tools_insist_on() {
    let file = temporary("fields.har");
    run(&[&echo().url(), "--record", &file, "-x", "x", "-n", "1"], "").with(0);
    let har: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let log = &har["log"];
    assert_eq!(log["version"], "1.2");
    assert_eq!(log["creator"]["name"], "wsapp");
    let entry = &log["entries"][0];
    let date = entry["startedDateTime"].as_str().unwrap();
    assert!(date.starts_with("20") && date.ends_with('Z') && date.len() == 24, "{date}");
    for number in [
        &entry["time"],
        &entry["request"]["headersSize"],
        &entry["request"]["bodySize"],
        &entry["response"]["status"],
        &entry["response"]["headersSize"],
        &entry["response"]["bodySize"],
        &entry["response"]["content"]["size"],
        &entry["timings"]["send"],
        &entry["timings"]["wait"],
        &entry["timings"]["receive"],
    ] {
        assert!(number.is_number(), "{entry}");
    }
    // By this it is shown as a WebSocket, and what it does not know it would show as an error.
    assert_eq!(entry["_resourceType"], "websocket");
    assert_eq!(entry["response"]["status"], 101);
    assert!(
        entry["response"].get("_error").is_none() && entry.get("_priority").is_none(),
        "{entry}"
    );
    let message = &entry["_webSocketMessages"][0];
    let seconds = message["time"].as_f64().unwrap();
    assert!(seconds > 1.7e9 && seconds < 1e11, "seconds since 1970: {message}");
}

#[test]
fn a_recording_of_a_browser_is_played() {
    // As Chromium writes it, with what is no message among the messages.
    let file = temporary("chromium.har");
    let har = serde_json::json!({"log": {"version": "1.2", "creator": {"name": "WebInspector", "version": "537.36"}, "pages": [],
    "entries": [
        {"_resourceType": "document", "request": {}},
        {"_resourceType": "websocket", "_webSocketMessages": [
            {"type": "send", "time": 1_700_000_000.25, "opcode": 1, "data": "hello"},
            {"type": "receive", "time": 1_700_000_000.35, "opcode": 1, "data": "hello"},
            {"type": "send", "time": 1_700_000_000.45, "opcode": 2, "data": "AP8="},
            {"type": "receive", "time": 1_700_000_000.5, "opcode": -1, "data": "Frame error"},
            {"type": "receive", "time": 1_700_000_000.55, "opcode": 2, "data": "AP8="},
        ]},
    ]}});
    fs::write(&file, har.to_string()).unwrap();
    let peer = recording(|server| server, |client, message| client.send(message).unwrap());
    let began = std::time::Instant::now();
    run(&["replay", &file, &peer.url(), "--speed"], "").with(0);
    assert!(began.elapsed().as_millis() >= 200, "{:?}", began.elapsed());
    assert_eq!(peer.message(), "hello");
    assert_eq!(peer.message(), OwnedMessage::Binary(vec![0, 255]));
}
