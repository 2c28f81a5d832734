//! What options become on the wire: a peer that writes down the request and the frames that follow.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::peers::{echo_tls, head, says, serve, shake_hands, socket};
use crate::process::{PATIENCE, run, start};
use crate::temporary::temporary;

/// A frame: its first byte, and its payload.
type Frame = (u8, Vec<u8>);

/// Accepts one connection, answers its Close frame, and tells what frames came.
fn peer() -> (String, Receiver<Vec<Frame>>) {
    let (tell, told) = channel();
    let address = socket(move |mut stream| {
        shake_hands(&mut stream);
        let mut frames = Vec::new();
        loop {
            let (first, payload) = frame(&mut stream);
            frames.push((first, payload.clone()));
            if first == 0x88 {
                let length = u8::try_from(payload.len()).unwrap();
                stream.write_all(&[&[0x88, length], &payload[..]].concat()).unwrap();
                break;
            }
        }
        tell.send(frames).unwrap();
    });
    (format!("ws://{address}/"), told)
}

/// Connects with these options, and returns the request in lower case.
fn request(options: &[&str]) -> String {
    let (tell, told) = channel();
    let address = socket(move |mut stream| {
        tell.send(String::from_utf8(head(&mut stream)).unwrap().to_lowercase()).unwrap();
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    run(&[&[&*format!("ws://{address}/")], options].concat(), "").with(5);
    told.recv_timeout(PATIENCE).unwrap()
}

/// Reads a short frame of a client.
fn frame(from: &mut impl Read) -> (u8, Vec<u8>) {
    let mut start = [0; 6];
    from.read_exact(&mut start).unwrap();
    let mut payload = vec![0; usize::from(start[1] & 0x7f)];
    from.read_exact(&mut payload).unwrap();
    for (i, byte) in payload.iter_mut().enumerate() {
        *byte ^= start[2 + i % 4];
    }
    (start[0], payload)
}

#[test]
fn they_are_in_the_request() {
    for (options, line) in [
        (&["--origin", "https://example.com"][..], "origin: https://example.com"),
        (&["--subprotocol", "a,b", "-s", "c"], "sec-websocket-protocol: a, b, c"),
        (&["--host", "other.example"], "host: other.example"),
        (&["--compress"], "sec-websocket-extensions: permessage-deflate"),
        (&["--header", "X-Mine: yes"], "x-mine: yes"),
        (&["--cookie", "a=b", "--cookie", "c=d"], "cookie: a=b; c=d"),
        (&["--auth", "user:pass"], "authorization: basic dxnlcjpwyxnz"),
    ] {
        let there = request(options);
        assert!(there.lines().any(|it| it.starts_with(line)), "{line} is not in {there}");
        // Without it there is none.
        let without = request(&[]);
        assert!(!without.lines().any(|it| it.starts_with(line)), "{line} is in {without}");
    }
}

#[test]
fn a_login_is_read_from_its_file() {
    let file = temporary("login");
    std::fs::write(&file, "user:pass\n").unwrap();
    let there = request(&["--auth", &format!("@{file}")]);
    let line = "authorization: basic dxnlcjpwyxnz";
    assert!(there.lines().any(|it| it == line), "{line} is not in {there}");
    let peer = crate::peers::echo();
    run(&[&peer.url(), "--auth", "@/nowhere"], "").with(2).said(&["--auth", "/nowhere"]);
    assert_eq!(peer.handle().stats().opened, 0);
}

#[test]
fn they_are_in_the_frames() {
    let close =
        |code: u16, reason: &str| (0x88, [&code.to_be_bytes()[..], reason.as_bytes()].concat());
    for (options, expected) in [
        (&["--close-code", "4001"][..], close(4001, "")),
        (&["--close-code", "4001", "--close-reason", "good bye"], close(4001, "good bye")),
        (&["--close-reason", "good bye"], close(1000, "good bye")),
        (&[], close(1000, "")),
    ] {
        let (url, told) = peer();
        run(&[&[&*url, "-x", "x", "--wait", "0"], options].concat(), "").with(0);
        let frames = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(frames, [(0x81, b"x".to_vec()), expected]);
    }
    let (url, told) = peer();
    run(&[&url, "--no-stdin", "--ping-interval", "0.05", "--timeout", "1"], "").with(7);
    let frames = told.recv_timeout(PATIENCE).unwrap();
    assert!(frames.iter().any(|(first, _)| *first == 0x89), "{frames:?}");
}

#[test]
fn a_ping_without_an_answer_ends_it_after_its_time() {
    let url = format!("ws://{}/", says(b""));
    run(&[&url, "--no-stdin", "--ping-interval", "0.05", "--ping-timeout", "0.1"], "").with(7);
}

/// How many pings come, far more than are kept for who does not read them, or are answered before anybody is told.
const PINGS: usize = 300_000;

/// Pings so often, and hears of it when all of that has come.
fn pinging() -> (crate::peers::Peer, Receiver<()>) {
    let (tell, told) = channel();
    let peer = serve(|server| {
        server
            // Its own would be counted too, where all takes long.
            .ping_interval(None)
            .on_open(|client| {
                let client = client.clone();
                thread::spawn(move || {
                    for _ in 0..PINGS {
                        client.sender().ping("x".repeat(100)).unwrap();
                    }
                    client.sender().ping("last").unwrap();
                });
            })
            .on_pong(move |_, payload| {
                if payload == b"last" {
                    tell.send(()).unwrap();
                }
            })
    });
    (peer, told)
}

/// Looks whether each of the pings is shown or counted, and many are counted.
#[track_caller]
fn assert_that_many_are_counted(shown: &str) {
    let lines = shown.matches("ping ").count();
    let counted = shown.split("… and ").skip(1);
    let counted = counted.map(|more| more.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert_eq!(lines + counted.sum::<usize>(), PINGS + 1);
    assert!(lines < PINGS / 2, "{lines} lines");
}

#[test]
fn pings_that_nobody_reads_are_counted() {
    let (peer, told) = pinging();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = crate::process::command(&[&peer.url(), "--no-stdin", "-P"]);
    let mut child = command.stderr(writer).spawn().unwrap();
    drop(command);
    told.recv_timeout(PATIENCE).unwrap();
    let reading = thread::spawn(move || {
        let mut shown = String::new();
        reader.read_to_string(&mut shown).unwrap();
        shown
    });
    peer.handle().clients()[0].close_with(1000, "").unwrap();
    assert_that_many_are_counted(&reading.join().unwrap());
    assert!(child.wait().unwrap().success());
}

#[test]
#[cfg(target_os = "linux")]
fn pings_that_a_terminal_does_not_take_are_counted() {
    use std::process::{Command, Stdio};

    let (peer, told) = pinging();
    let line = format!("{} {} -P", env!("CARGO_BIN_EXE_wsapp"), peer.url());
    // A terminal that writes into a pipe, and ends with its input.
    let mut script =
        crate::process::prepared(Command::new("script"), &["-qec", &line, "/dev/null"]);
    let mut child = script.stdin(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut shown = child.stdout.take().unwrap();
    told.recv_timeout(PATIENCE).unwrap();
    let reading = thread::spawn(move || {
        let mut all = Vec::new();
        shown.read_to_end(&mut all).unwrap();
        String::from_utf8_lossy(&all).into_owned()
    });
    peer.handle().clients()[0].close_with(1000, "").unwrap();
    assert_that_many_are_counted(&reading.join().unwrap());
    assert!(child.wait().unwrap().success());
}

/// Passes on what goes to this port and comes back, once, and tells how many bytes that is each way.
fn relay(port: u16) -> (String, Receiver<[u64; 2]>) {
    let (tell, told) = channel();
    let address = socket(move |client| {
        let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let pass = |mut from: TcpStream, mut to: TcpStream| {
            thread::spawn(move || {
                let passed = std::io::copy(&mut from, &mut to).unwrap();
                // It may be closed already.
                let _ = to.shutdown(Shutdown::Write);
                passed
            })
        };
        let there = pass(client.try_clone().unwrap(), server.try_clone().unwrap());
        let back = pass(server, client);
        tell.send([there.join().unwrap(), back.join().unwrap()]).unwrap();
    });
    (format!("ws://localhost:{}/", address.port()), told)
}

#[test]
fn compression_is_agreed_on_and_messages_come_as_they_are() {
    let echo =
        |server: websocket_app::server::Server| server.on_message(|client, m| client.send(m));
    let willing = serve(|server| echo(server.compression(websocket_app::Deflate::default())));
    let unwilling = serve(echo);
    let line = "again and again ".repeat(1000) + "\n";
    for (peer, options, is_short) in [
        (&willing, &["--compress"][..], true),
        (&willing, &[], false),
        (&unwilling, &["--compress"], false),
    ] {
        let (url, told) = relay(peer.port());
        let mut running = start(&[&[&*url], options].concat());
        // What is said before the first callback has returned is not compressed.
        running.write("first\n");
        assert_eq!(running.line(), "first");
        running.write(&line);
        running.stdin = None;
        running.wait().with(0).wrote("first\n".to_owned() + &line);
        for bytes in told.recv_timeout(PATIENCE).unwrap() {
            assert_eq!(bytes < line.len() as u64 / 4, is_short, "{options:?}: {bytes} bytes");
        }
    }
}

#[test]
fn timings_stand_before_messages() {
    let peer = crate::peers::echo();
    let ended = run(&[&peer.url(), "--timings", "-x", "hello", "-n", "1"], "").with(0);
    let line = String::from_utf8(ended.stdout).unwrap();
    let (time, message) = line.split_once(' ').unwrap();
    assert!((0.0..PATIENCE.as_secs_f64()).contains(&time.parse().unwrap()), "{line}");
    assert_eq!(message, "hello\n");
}

#[test]
fn redirects_are_followed_so_often() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/0", listener.local_addr().unwrap());
    let (tell, told) = channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let request = String::from_utf8(head(&mut stream)).unwrap();
            let _ = tell.send(request.split_whitespace().nth(1).unwrap().to_owned());
            let answer = format!(
                "HTTP/1.1 302 Found\r\nLocation: /{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                number + 1
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let ended = run(&[&url, "--location", "--max-redirects", "2"], "");
    assert_ne!(ended.status, Some(0), "{ended:?}");
    let asked: Vec<String> = told.try_iter().collect();
    assert_eq!(asked, ["/0", "/1", "/2"]);
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    const URL: &str = "ws://localhost:1/";
    for (args, words) in [
        (&[URL, "--record-credentials"][..], &["--record"][..]),
        (&["record", "a.har", URL, "--record", "b.har"], &["--record"]),
        (&[URL, "--max-redirects", "3"], &["--location"]),
        (&["ping", URL, "--max-redirects", "3"], &["--location"]),
        (&["serve", "--echo", "--slow-clients", "skip"], &["--slow-clients", "--echo"]),
        (&["serve", "--exec", "cat", "--slow-clients", "skip"], &["--slow-clients", "--exec"]),
        (&["serve", "--dir", ".", "--slow-clients", "skip"], &["--slow-clients", "--dir"]),
        (&["serve", "--echo", "-b"], &["--binary", "--echo"]),
        (&["serve", "--echo", "-0"], &["--null", "--echo"]),
        (&["serve", "--echo", "--json-lines"], &["--json-lines", "--echo"]),
        (&["serve", "--broadcast", "-b"], &["--binary", "--broadcast"]),
        (&["serve", "--broadcast", "-0"], &["--null", "--broadcast"]),
        (&["serve", "--broadcast", "--json-lines"], &["--json-lines", "--broadcast"]),
        (&["serve", "--dir", ".", "-b"], &["--binary", "--dir"]),
        (&["replay", "a.har", URL, "--speed=0"], &["--speed", "no factor"]),
        (&["replay", "a.har", URL, "--speed=-1"], &["--speed", "no factor"]),
        (&["replay", "a.har", URL, "--speed=NaN"], &["--speed", "no factor"]),
        (&["replay", "a.har", URL, "--speed=inf"], &["--speed", "no factor"]),
    ] {
        let running = start(args);
        // One that is not refused may be a server, and go on.
        running.wait_within(PATIENCE / 6).with(2).said(words);
    }
    // Where it does something it is taken.
    let file = temporary("credentials.har");
    run(&["record", &file, URL, "--record-credentials"], "").with(3);
    run(&[URL, "--record", &file, "--record-credentials"], "").with(3);
    for args in [
        &["--broadcast", "--slow-clients", "skip"][..],
        &["--slow-clients", "close", "--json-lines"],
        &["--dir", ".", "--broadcast", "--slow-clients", "skip"],
        &["--dir", ".", "--exec", "cat", "--null"],
    ] {
        let running = start(&[&["serve", "127.0.0.1:0"], args].concat());
        running.address();
        running.signal("INT");
        running.wait().with(130);
    }
}

#[test]
#[cfg(unix)]
fn what_is_wrong_with_the_arguments_is_said_whatever_they_are() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let mut wrong = crate::process::command(&["--no-such-option"]);
    wrong.arg(OsStr::from_bytes(b"caf\xe9.har"));
    crate::process::start_command(wrong).wait().with(2);
    let ended = run(&["ws://localhost/", "--timeout=ws://user:s3cret@host/"], "").with(2);
    assert!(!ended.stderr.contains("s3cret") && ended.stderr.contains("host"), "{ended:?}");
}

#[test]
#[cfg(unix)]
fn variables_that_are_not_utf_8_are_refused_and_not_shown() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let peer = crate::peers::echo();
    let url = peer.url();
    for args in [&[&*url, "-x", "x"][..], &["ping", &url, "-c", "1"]] {
        for (variable, value) in
            [("WSAPP_AUTH", &b"user:s3cret\xe9"[..]), ("WSAPP_HEADERS", b"X-Key: s3cret\xe9")]
        {
            let mut command = crate::process::command(args);
            command.env(variable, OsStr::from_bytes(value));
            let ended = crate::process::start_command(command).wait().with(2);
            let ended = ended.said(&[variable, "not UTF-8"]);
            assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
        }
    }
    // Nobody was told anything without them.
    assert_eq!(peer.handle().stats().opened, 0);
}

#[test]
fn a_passphrase_is_read_from_its_file() {
    let (peer, _) = echo_tls();
    let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    let (pem, archive, password) =
        (temporary("client-both.pem"), temporary("client.p12"), temporary("password"));
    std::fs::write(&pem, made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
    let packed = std::process::Command::new("openssl")
        .args(["pkcs12", "-export", "-in", &pem, "-passout", "pass:s3cret", "-out", &archive])
        .output()
        .unwrap();
    assert!(packed.status.success(), "{packed:?}");
    let url = peer.url();
    let args = [&*url, "-k", "--tls", "native", "--cert", &archive, "--passphrase-file", &password];
    let args = [&args[..], &["-x", "hello", "-n", "1"]].concat();
    run(&args, "").with(2).said(&["--passphrase-file", &password]);
    std::fs::write(&password, "s3cret\n").unwrap();
    run(&args, "").with(0).wrote("hello\n");
    std::fs::write(&password, "wrong s3cret\n").unwrap();
    let ended = run(&args, "");
    assert!(ended.status != Some(0) && !ended.stderr.contains("s3cret"), "{ended:?}");
}
