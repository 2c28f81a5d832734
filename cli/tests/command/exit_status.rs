//! Each exit status, with a peer that brings it about, and what is said on standard error.

use std::fs;
use std::io::Write;
use std::net::TcpListener;

use websocket_app::server::Answer;

use crate::peers::{echo, echo_tls, nobody, recording, says, serve, socket};
use crate::process::{command, run, start, start_command, start_unread};
use crate::temporary::temporary;

#[test]
fn status_0_closed_in_order_by_us() {
    run(&[&echo().url()], "one\ntwo\n").with(0).wrote("one\ntwo\n").silently();
}

#[test]
fn status_0_closed_in_order_by_the_peer() {
    for code in [1000, 1005] {
        let peer = serve(move |server| {
            server.on_open(move |client| {
                client.send("bye").unwrap();
                match code {
                    1005 => client.close(),
                    code => client.close_with(code, "").unwrap(),
                }
            })
        });
        let running = start(&[&peer.url()]);
        // Its standard input stays open.
        running.wait().with(0).wrote("bye\n");
    }
}

#[test]
fn status_0_all_that_was_asked_for_came_from_a_server_that_does_not_close() {
    let url = format!("ws://{}/", says(b"\x81\x05hello"));
    let args = [&*url, "--no-stdin", "-n", "1", "--timeout", "5", "--close-timeout", "1000"];
    run(&args, "").with(0).wrote("hello\n");
}

#[test]
fn status_1_text_that_is_not_utf_8() {
    run(&[&echo().url()], b"fine\n\xff\n").with(1).wrote("fine\n").said(&[
        "standard input, message 2",
        "byte 1 is not UTF-8",
        "--binary",
    ]);
}

#[test]
#[cfg(target_os = "linux")]
fn status_1_standard_output_that_cannot_be_written_whatever_ends_it() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let echo = echo();
    // Which is noticed first is up to the scheduler.
    for _ in 0..25 {
        // A message, a Close frame, and the end of the connection at once.
        let address = socket(|mut stream| {
            crate::peers::shake_hands(&mut stream);
            stream.write_all(b"\x81\x05hello\x88\x02\x03\xe8").unwrap();
        });
        let mut last = command(&[&format!("ws://{address}/")]);
        last.stdin(std::process::Stdio::piped()).stdout(full());
        start_command(last).wait().with(1).said(&["standard output cannot be written"]);
        let mut enough = command(&[&echo.url(), "-x", "x", "-n", "1"]);
        enough.stdout(full());
        start_command(enough).wait().with(1).said(&["standard output cannot be written"]);
    }
}

#[test]
fn status_2_usage() {
    run(&["--no-such-option"], "").with(2).said(&["--no-such-option"]);
    run(&[], "").with(2).said(&["<URL>"]);
    let ended = run(&["ws://localhost:1/", "ws://user:secret@localhost/?token=secret"], "").with(2);
    let ended = ended.said(&["'ws://localhost/?…'"]);
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
    run(&["http//nothing"], "").with(2).said(&["http//nothing", "ws://"]);
    run(&["ws://localhost:1/", "--expect", "("], "").with(2).said(&["--expect"]);
    run(&["ws://localhost:1/", "--header", "secret"], "").with(2).said(&["colon"]);
    run(&["ws://localhost:1/", "--header", "@/nowhere"], "").with(2).said(&["/nowhere"]);
}

#[test]
fn status_3_nobody_listens() {
    let address = nobody().to_string();
    let ended = run(&[&format!("ws://user:secret@{address}/?token=secret")], "").with(3).said(&[
        &format!("ws://{address}/"),
        "connecting to",
        "refused",
    ]);
    for secret in ["secret", "token"] {
        assert!(!ended.stderr.contains(secret), "{ended:?}");
    }
    // Somebody who does listen is reached with the same.
    let peer = echo();
    let url = peer.url().replace("//", "//user:secret@") + "?token=secret";
    run(&[&url, "-x", "hi", "-n", "1"], "").with(0).wrote("hi\n");
}

#[test]
fn status_3_a_name_that_is_not_found() {
    // Longer than a name may be, so that nobody is asked for it.
    let url = format!("ws://{}/", "a".repeat(64));
    run(&[&url], "").with(3).said(&[&url, "looking up", "--proxy"]);
}

#[test]
fn status_3_the_connection_is_lost() {
    let peer = recording(|server| server, |client, _| client.abort());
    run(&[&peer.url()], "hello\n").with(3).said(&["lost", "--reconnect"]);
}

#[test]
fn status_4_a_certificate_that_nobody_knows() {
    let (peer, pem) = echo_tls();
    for library in ["native", "rustls"] {
        let url = peer.url();
        run(&[&url, "--tls", library], "").with(4).said(&[&url, "TLS handshake", "--ca"]);
        run(&[&url, "--tls", library, "--insecure"], "hi\n").with(0).wrote("hi\n");
        let file = temporary(&format!("ca-{library}.pem"));
        fs::write(&file, &pem).unwrap();
        run(&[&url, "--tls", library, "--ca", &file], "hi\n").with(0).wrote("hi\n");
    }
}

#[test]
fn status_of_a_key_that_is_encrypted_or_none() {
    let (peer, pem) = echo_tls();
    let (cert, key) = (temporary("client.pem"), temporary("client-key.pem"));
    fs::write(&cert, &pem).unwrap();
    let armour = |kind: &str| format!("-----BEGIN {kind}-----\nMAA=\n-----END {kind}-----\n");
    for library in ["native", "rustls"] {
        fs::write(&key, armour("ENCRYPTED PRIVATE KEY")).unwrap();
        let args = [&*peer.url(), "-k", "--cert", &cert, "--key", &key, "--tls", library]
            .map(str::to_owned);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(&args, "").with(2).said(&["encrypted"]);
    }
}

#[test]
fn status_4_no_tls_at_all() {
    // Its first bytes are no TLS record.
    let address = socket(|mut stream| stream.write_all(b"220 mail.example ESMTP\r\n").unwrap());
    run(&[&format!("wss://{address}/")], "").with(4).said(&["TLS handshake"]);
}

#[test]
fn status_5_refused_with_status_and_body() {
    let peer = serve(|server| {
        server.on_request(|_| Answer::refuse(403).body("no \u{1b}[31mentry\n for you"))
    });
    let ended = run(&[&peer.url()], "").with(5);
    let ended = ended.said(&[&peer.url(), "403", "no [31mentry for you", "--auth"]);
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn status_6_the_peer_breaks_the_protocol() {
    // A frame with a reserved bit.
    let address = says(b"\xc1\x01a");
    let running = start(&[&format!("ws://{address}/")]);
    running.wait().with(6).said(&["broke the WebSocket protocol", "reserved bit"]);
}

#[test]
fn status_6_what_answers_is_no_http() {
    let address = socket(|mut stream| {
        crate::peers::head(&mut stream);
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").unwrap();
    });
    run(&[&format!("ws://{address}/")], "").with(6).said(&["WebSocket upgrade"]);
}

#[test]
fn status_6_a_message_that_is_too_long() {
    let peer = serve(|server| server.on_open(|client| client.send("longer than that")));
    let running = start(&[&peer.url(), "--max-message-size", "10"]);
    running.wait().with(6).said(&["max_message_size", "--max-message-size", "--receive-file"]);
}

#[test]
fn status_7_no_answer_to_the_upgrade() {
    // The system accepts the connection, and nobody reads the request.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    run(&[&url, "--connect-timeout", "200ms"], "").with(7).said(&[
        &url,
        "upgrade",
        "--connect-timeout",
    ]);
}

#[test]
fn status_7_no_message_for_so_long() {
    let peer = echo();
    start(&[&peer.url(), "--idle-timeout", "0.2"]).wait().with(7).said(&["--idle-timeout"]);
}

#[test]
fn status_7_the_whole_takes_too_long() {
    let peer = echo();
    let running = start(&[&peer.url(), "--timeout", "0.2"]);
    running.wait().with(7).said(&["--timeout"]);
    let file = temporary("late");
    let running = start(&[&peer.url(), "--receive-file", &file, "--timeout", "0.2"]);
    running.wait().with(7).said(&["--timeout"]);
}

#[test]
fn status_7_not_connected_in_time_whatever_is_expected() {
    // The system accepts the connection, and nobody reads the request.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    for more in [&[][..], &["--expect", "x"], &["-x", "x"], &["--reconnect=0.05"]] {
        let args = [&[&*url, "--timeout", "0.2"], more].concat();
        start(&args).wait().with(7).said(&[&url, "not connected within --timeout"]);
    }
}

#[test]
fn status_7_nobody_reads_what_comes() {
    let flood = || {
        serve(|server| {
            server.on_open(|client| {
                let client = client.clone();
                std::thread::spawn(move || {
                    let kind = websocket_app::MessageKind::Binary;
                    let mut message = client.sender().message_writer(kind).unwrap();
                    while message.write_all(&[7; 4096]).is_ok() {}
                });
            })
        })
    };
    let unread = |args: &[&str]| {
        let running = start_unread(command(args));
        assert_eq!(running.wait(), Some(7), "{args:?}");
    };
    unread(&[&flood().url(), "--receive-file", "-", "--timeout", "0.5"]);
    #[cfg(unix)]
    {
        let fifo = temporary("fifo");
        let made = std::process::Command::new("mkfifo").arg(&*fifo).status().unwrap();
        assert!(made.success());
        unread(&[&flood().url(), "--receive-file", &fifo, "--timeout", "0.5"]);
    }
    // And where it has ended meanwhile.
    let peer = serve(|server| {
        server.max_send_buffer(1 << 30).on_open(|client| {
            for _ in 0..5 {
                client.send("x".repeat(99_999))?;
            }
            client.close_with(1000, "")
        })
    });
    unread(&[&peer.url(), "--no-stdin", "--timeout", "1"]);
}

#[test]
fn status_8_closed_with_another_code() {
    let peer =
        serve(|server| server.on_open(|client| client.close_with(4001, "token \u{9b}31mexpired")));
    let ended = start(&[&peer.url()]).wait().with(8).said(&["4001", "token", "expired"]);
    assert!(!ended.stderr.contains('\u{9b}'), "{ended:?}");
}

#[test]
fn status_9_what_is_expected_does_not_come() {
    let peer = echo();
    let url = peer.url();
    run(&[&url, "-x", "hello", "--expect", "^h.*o$"], "").with(0).wrote("hello\n");
    run(&[&url, "-x", "hello", "--expect", "good bye", "--wait", "0.1"], "")
        .with(9)
        .said(&["good bye"]);
    run(&[&url, "-x", "a", "-x", "b", "--expect", "a", "--expect", "b", "--wait", "forever"], "")
        .with(0);
    run(&[&url, "-x", "b", "-x", "a", "--expect", "a", "--expect", "b", "--wait", "0.1"], "")
        .with(9);
    // It is what is expected that is not there in time, which is enough to connect.
    run(&[&url, "--no-stdin", "--expect", "x", "--timeout", "5"], "").with(9);
}

#[test]
fn status_130_ctrl_c() {
    let peer = echo();
    let mut running = start(&[&peer.url()]);
    running.write("there\n");
    assert_eq!(running.line(), "there");
    running.signal("INT");
    // Its standard input stays open.
    running.wait().with(130).silently();
}

#[test]
fn status_130_ctrl_c_while_connecting_and_of_a_peer_that_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let running = start_command(command(&[&url, "--connect-timeout", "100"]));
    let stream = listener.accept().unwrap();
    running.signal("INT");
    running.wait().with(130);
    drop(stream);
}

#[test]
fn status_130_ctrl_c_while_nobody_reads_standard_output() {
    let peer = serve(|server| {
        server.on_open(|client| {
            let client = client.clone();
            std::thread::spawn(move || while client.send("again and again").is_ok() {});
        })
    });
    // A reader that is there, and reads one byte.
    let mut running = start_unread(command(&[&peer.url(), "--no-stdin"]));
    std::io::Read::read_exact(running.stdout(), &mut [0]).unwrap();
    // The pipe, its buffer and the peer's are full when the peer can send no more.
    let until = std::time::Instant::now() + crate::process::PATIENCE;
    while peer.handle().clients()[0].buffered_amount() < 1 << 18 {
        assert!(std::time::Instant::now() < until, "somebody reads");
        std::thread::yield_now();
    }
    running.signal("INT");
    assert_eq!(running.wait(), Some(130));
}
