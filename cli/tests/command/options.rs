//! What options become on the wire: a peer that writes down the request and the frames that follow.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::peers::{echo_tls, head, says, serve, shake_hands, socket};
use crate::process::{PATIENCE, run};
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

#[test]
fn compression_is_agreed_on_and_messages_come_as_they_are() {
    let peer = serve(|server| {
        server.compression(websocket_app::Deflate::default()).on_message(|client, m| client.send(m))
    });
    let line = "again and again ".repeat(1000) + "\n";
    let ended = run(&[&peer.url(), "--compress", "--trace"], &line).with(0).wrote(&line);
    assert!(ended.stderr.contains("permessage-deflate"), "{ended:?}");
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
