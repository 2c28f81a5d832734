//! Ctrl-C in each mode, and while each waits for something: it ends within a second or two.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::peers::{Peer, patience, recording, says, serve};
use crate::process::{PATIENCE, Running, Unread, command};
use crate::temporary::temporary;

/// Longer than it takes on a machine that does other things too, and shorter than anything that it may
/// have waited for instead.
const SOON: Duration = Duration::from_secs(10);

/// What waits for the answer to a Close frame waits far longer than that.
const PATIENT: [&str; 2] = ["--close-timeout", "1000"];

/// Starts a client.
fn start(args: &[&str]) -> Running {
    crate::process::start(&[args, &PATIENT].concat())
}

/// The same, whose standard output nobody reads but by hand.
fn start_unread(args: &[&str]) -> Unread {
    crate::process::start_unread(command(&[args, &PATIENT].concat()))
}

/// Interrupts it, and waits for its end.
#[track_caller]
fn interrupt(running: Running) {
    let began = Instant::now();
    running.signal("INT");
    running.wait().with(130);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

/// One that says when it has received something, and is silent.
fn silent() -> Peer {
    recording(|server| server, |_, _| {})
}

/// One that sends all the time.
fn flood() -> Peer {
    serve(|server| {
        server.on_open(|client| {
            let client = client.clone();
            std::thread::spawn(move || while client.send("again and again").is_ok() {});
        })
    })
}

/// Waits until nobody takes what a peer sends.
#[track_caller]
fn wait_until_stuck(peer: &Peer) {
    let until = Instant::now() + PATIENCE;
    while peer.handle().clients().first().is_none_or(|client| client.buffered_amount() < 1 << 18) {
        assert!(Instant::now() < until, "somebody reads");
        std::thread::yield_now();
    }
}

#[test]
fn in_a_conversation() {
    let peer = silent();
    let (url, har) = (peer.url(), temporary("interrupted.har"));
    for args in [
        &[&*url, "-x", "x", "--wait", "forever"][..],
        &[&url, "-x", "x", "--stdin", "--json-lines"],
        &[&url, "-x", "x", "--expect", "never", "--wait", "forever"],
        &["record", &har, &url, "-x", "x", "--stdin"],
    ] {
        let running = start(args);
        assert_eq!(peer.message(), "x");
        interrupt(running);
    }
}

#[test]
fn while_it_waits_to_connect_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let running = start(&[&url, "--reconnect=100"]);
    // It is refused, and waits.
    drop(listener.accept().unwrap());
    interrupt(running);
}

#[test]
fn while_a_file_goes_out_or_comes_in() {
    let (tell, told) = channel();
    let (release, held) = channel::<()>();
    let held = std::sync::Mutex::new(held);
    let peer = serve(|server| {
        server.on_fragment(move |_, fragment| {
            if fragment.first {
                tell.send(()).unwrap();
            }
            // It reads no further.
            let _ = held.lock().unwrap().recv_timeout(PATIENCE);
        })
    });
    let file = temporary("interrupted");
    fs::write(&file, vec![7; 32 << 20]).unwrap();
    let running = start(&[&peer.url(), "--send-file", &file]);
    told.recv_timeout(patience()).unwrap();
    interrupt(running);
    drop(release);

    let peer = silent();
    let running = start(&[&peer.url(), "-x", "x", "--receive-file", &file]);
    assert_eq!(peer.message(), "x");
    interrupt(running);
}

#[test]
fn while_a_file_goes_to_standard_output_that_nobody_reads() {
    let peer = serve(|server| {
        server.on_open(|client| {
            let client = client.clone();
            std::thread::spawn(move || {
                let kind = websocket_app::MessageKind::Binary;
                let mut message = client.sender().message_writer(kind).unwrap();
                while std::io::Write::write_all(&mut message, &[7; 4096]).is_ok() {}
            });
        })
    });
    let mut running = start_unread(&[&peer.url(), "--receive-file", "-"]);
    running.stdout().read_exact(&mut [0]).unwrap();
    wait_until_stuck(&peer);
    let began = Instant::now();
    running.signal("INT");
    assert_eq!(running.wait(), Some(130));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
#[cfg(target_os = "linux")]
fn while_the_last_lines_are_written_to_who_is_interrupted_too() {
    let peer = serve(|server| {
        server.max_send_buffer(1 << 30).on_open(|client| {
            for _ in 0..5 {
                client.send("x".repeat(99_999))?;
            }
            client.close_with(1000, "")
        })
    });
    let mut running = start_unread(&[&peer.url(), "--no-stdin"]);
    running.stdout().read_exact(&mut [0]).unwrap();
    wait_until(|| peer.handle().stats().opened == 1 && peer.handle().clients().is_empty());
    let threads = running.threads();
    running.signal("INT");
    // It has come: there is the thread that ends it in a while.
    wait_until(|| running.threads() > threads);
    assert_eq!(running.wait_without_reader(), Some(130));
}

#[track_caller]
#[cfg(target_os = "linux")]
fn wait_until(is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn in_bench_at_a_rate_and_without_a_reply() {
    let peer = silent();
    let url = peer.url();
    for more in [&[][..], &["-r", "0.01"], &["-r", "1000000", "-f", "1000"]] {
        let running = start(&[&["bench", &url, "-d", "1000"], more].concat());
        let _ = peer.message();
        interrupt(running);
        while peer.received.try_recv().is_ok() {}
    }
}

#[test]
fn in_bench_and_ping_of_one_that_does_not_shake_hands_or_answer() {
    for command in ["bench", "ping"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let running = start(&[command, &url, "--connect-timeout", "1000"]);
        let stream = listener.accept().unwrap();
        interrupt(running);
        drop(stream);
    }
    let mut running = start(&["ping", &format!("ws://{}/", says(b"")), "-W", "1000"]);
    assert!(running.line().starts_with("connected"));
    interrupt(running);
}

#[test]
fn in_replay_as_either_side() {
    let file = temporary("slow.har");
    let message = |time: f64, by: &str| serde_json::json!({"type": by, "time": time, "opcode": 1, "data": "x"});
    let messages = [message(0.0, "send"), message(1000.0, "send"), message(1000.0, "receive")];
    let har = serde_json::json!({"log": {"entries": [{"_webSocketMessages": messages}]}});
    fs::write(&file, har.to_string()).unwrap();
    let peer = silent();
    let url = peer.url();
    // It waits for the time of a message, or for one of the other side.
    for more in [&["--speed"][..], &["--wait", "1000"]] {
        let running = start(&[&["replay", &file, &url], more].concat());
        assert_eq!(peer.message(), "x");
        interrupt(running);
        while peer.received.try_recv().is_ok() {}
    }
    let running =
        crate::process::start(&["replay", &file, "--as-server", "127.0.0.1:0", "--wait", "1000"]);
    let client = start(&[&running.address(), "-x", "x", "--wait", "forever", "--verbose"]);
    client.says("connected to");
    interrupt(running);
    let _ = client.wait();
}

#[test]
fn in_serve_with_clients_in_each_of_its_ways() {
    let directory = temporary("directory");
    fs::create_dir_all(&directory).unwrap();
    for args in [&["--echo"][..], &["--broadcast"], &["--exec", "cat"], &["--dir", &directory], &[]]
    {
        let running = crate::process::start(&[&["serve", "127.0.0.1:0"], args].concat());
        let url = running.address();
        let mut client = start(&[&url, "-x", "x", "--stdin"]);
        if !matches!(args, [] | ["--dir", _]) {
            assert_eq!(client.line(), "x");
        }
        interrupt(running);
        let _ = client.wait();
    }
}

#[test]
fn in_serve_while_nobody_reads_what_clients_say() {
    let mut command = command(&["serve", "127.0.0.1:0"]);
    let (reader, writer) = std::io::pipe().unwrap();
    command.stdout(writer);
    let running = crate::process::start_command(command);
    let url = running.address();
    let client =
        websocket_app::WebSocketApp::new(&url).no_proxy().send_timeout(PATIENCE).spawn().unwrap();
    let ws = client.sender();
    ws.wait_open(PATIENCE).unwrap();
    // Until the pipe, its buffer and ours are full.
    while ws.send_timeout(vec![b'x'; 1 << 20], Duration::from_millis(300)).is_ok() {}
    interrupt(running);
    drop(reader);
    let _ = client.join();
}

#[test]
fn in_a_stream_that_nobody_reads() {
    let peer = flood();
    for format in ["--null", "--stream", "--json-lines"] {
        let mut running = start_unread(&[&peer.url(), "--no-stdin", format]);
        running.stdout().read_exact(&mut [0]).unwrap();
        wait_until_stuck(&peer);
        running.signal("INT");
        assert_eq!(running.wait(), Some(130));
        let until = Instant::now() + PATIENCE;
        while !peer.handle().clients().is_empty() {
            assert!(Instant::now() < until);
            std::thread::yield_now();
        }
    }
}
