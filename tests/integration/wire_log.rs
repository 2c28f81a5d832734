//! The log at level trace: what goes over the wire, both ways, and at no level a credential.
//!
//! Each test is alone in a process, as a logger is there for all of it.

use std::fmt::Write;
use std::panic;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use websocket_app::{
    CallbackError, Cause, ClosedBy, Reconnect, SendError, Sender, WebSocket, WebSocketApp,
};

use crate::connection::Connection;
use crate::failure::{clean, unanswered};
use crate::faults::census;
use crate::frame::Frame;
use crate::peer::{Listener, Peer};
use crate::recorder::Call;
use crate::running::{run, run_with};
use crate::tls::on_each;
use crate::watchdog::within;

const TARGET: &str = "websocket_app::wire";

/// Keeps every line, and does what a test says about it.
struct Keeps {
    lines: Mutex<Vec<Line>>,
    then: OnceLock<fn(&str)>,
}

struct Line {
    target: String,
    level: Level,
    text: String,
}

static LOGGER: Keeps = Keeps { lines: Mutex::new(Vec::new()), then: OnceLock::new() };

impl Log for Keeps {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let (target, text) = (record.target().to_owned(), record.args().to_string());
        if let (TARGET, Some(then)) = (&*target, self.then.get()) {
            then(&text);
        }
        self.lines().push(Line { target, level: record.level(), text });
    }

    fn flush(&self) {}
}

impl Keeps {
    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines of the wire so far, without the peer's name, of those who begin so.
    fn wire(&self, peer: &str, way: &str) -> Vec<String> {
        let lines = self.lines();
        let of_wire = lines.iter().filter(|line| line.target == TARGET);
        let text = |line: &Line| {
            assert_eq!(line.level, Level::Trace);
            line.text.strip_prefix(&format!("{peer}: {way} ")).map(str::to_owned)
        };
        of_wire.filter_map(text).collect()
    }
}

/// Runs a test in a process of its own, with this logger.
fn traced(test: &str, work: impl FnOnce()) {
    census::alone(&format!("wire_log::{test}"), |_| {
        log::set_logger(&LOGGER).expect("there is no other logger");
        log::set_max_level(LevelFilter::Trace);
        work();
        all_are_in_the_manual(&LOGGER.lines());
    });
}

/// Fails where something was logged by a target, or at a level, that the manual does not list.
fn all_are_in_the_manual(lines: &[Line]) {
    let page = include_str!("../../src/manual/_15_logging.rs");
    for Line { target, level, text } in lines.iter().filter(|line| is_ours(&line.target)) {
        let row = format!("| `{target}` | {} |", level.as_str().to_lowercase());
        assert!(page.contains(&row), "the manual does not list {target} {level}: {text}");
    }
}

fn is_ours(target: &str) -> bool {
    target.starts_with("websocket_app")
}

/// The frames among the lines: what comes behind the heads.
fn frames(lines: Vec<String>, head: usize) -> Vec<String> {
    lines.into_iter().skip(head).collect()
}

#[test]
fn every_frame_is_traced_both_ways_and_the_handshake() {
    traced("every_frame_is_traced_both_ways_and_the_handshake", || {
        let peer = Peer::start(|listener| {
            let mut client = listener.accept();
            client.read_request();
            let answer = client.acceptance("Server: scripted\r\n");
            // The first frame comes right behind the head.
            client.write([answer.as_bytes(), &Frame::text("first").encode()].concat());
            client.expect_text("from on_open");
            client.send(Frame::binary([1, 2, 255]));
            client.send(Frame::text("in \"two").unfinished());
            client.send(Frame::ping("are you there?"));
            client.send(Frame::continuation("\u{7}pieces"));
            client.expect(Frame::pong("are you there?"));
            client.send(Frame::text("x".repeat(70_000)));
            client.expect(Frame::binary(vec![7; 100_000]));
            client.close(4000, "that is all");
        });
        let app = run_with(peer.app(), |ws, call| match call {
            Call::Open => Ok(ws.send("from on_open")?),
            Call::Message(message) if message.len() == 70_000 => Ok(ws.send(vec![7; 100_000])?),
            _ => Ok::<(), CallbackError>(()),
        });
        app.expect_open();
        app.expect_text("first");
        app.expect_binary(&[1, 2, 255]);
        app.expect(Call::Ping(b"are you there?".to_vec()));
        app.expect_text("in \"two\u{7}pieces");
        app.expect_text(&"x".repeat(70_000));
        app.expect_close(clean(ClosedBy::Peer, 4000, "that is all"));
        app.end_in_order();

        let name = peer.addr().to_string();
        let mut sent = LOGGER.wire(&name, "sent");
        assert!(sent[4].starts_with("Sec-WebSocket-Key: ") && sent[4].len() > 30, "{sent:?}");
        sent.remove(4);
        let sevens = ["07"; 64].join(" ");
        assert_eq!(
            sent,
            [
                "GET / HTTP/1.1",
                &format!("Host: {name}"),
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Version: 13",
                "text FIN, length 12: \"from on_open\"",
                "pong FIN, length 14: 61 72 65 20 79 6f 75 20 74 68 65 72 65 3f",
                &format!("binary FIN, length 100000: {sevens}…"),
                "close FIN, length 2: 4000 \"\"",
            ]
        );
        let mut received = LOGGER.wire(&name, "received");
        assert_eq!(received.remove(0), "HTTP/1.1 101");
        received[..4].sort();
        assert!(received[1].starts_with("sec-websocket-accept: "), "{received:?}");
        received.remove(1);
        assert_eq!(
            received,
            [
                "connection: Upgrade",
                "server: scripted",
                "upgrade: websocket",
                "text FIN, length 5: \"first\"",
                "binary FIN, length 3: 01 02 ff",
                "text, length 7: \"in \\\"two\"",
                "ping FIN, length 14: 61 72 65 20 79 6f 75 20 74 68 65 72 65 3f",
                "continuation FIN, length 7: \"\\u{7}pieces\"",
                &format!("text FIN, length 70000: \"{}\"…", "x".repeat(64)),
                "close FIN, length 13: 4000 \"that is all\"",
            ]
        );
        // A request is told before its answer.
        let lines = LOGGER.lines();
        let at = |what: &str| lines.iter().position(|line| line.text.contains(what)).unwrap();
        assert!(at("sent text FIN, length 12") < at("received binary"));
        assert!(at("received ping") < at("sent pong"));
    });
}

/// Where the socket takes a part at a time, nothing is told twice, and nothing of what never went.
#[test]
fn what_goes_out_in_parts_is_traced_once() {
    traced("what_goes_out_in_parts_is_traced_once", || {
        const SIZE: usize = 3 << 20;
        let peer = Peer::start(|listener| {
            let mut client = listener.open_with_small_buffer();
            for number in 0..4 {
                client.expect(Frame::binary(vec![number; SIZE]));
            }
            client.expect_text("the last");
            client.answer_close();
        });
        let app = run(peer.app());
        app.expect_open();
        app.sender.send(&[0; SIZE][..]).unwrap();
        app.sender.send(vec![1; SIZE]).unwrap();
        app.sender.send(&[2; SIZE][..]).unwrap();
        app.sender.send(vec![3; SIZE]).unwrap();
        app.sender.send("the last").unwrap();
        app.sender.close();
        app.expect_close(clean(ClosedBy::Us, 1000, ""));
        app.end_in_order();
        let line = |number: u8| {
            format!("binary FIN, length {SIZE}: {}…", vec![format!("{number:02x}"); 64].join(" "))
        };
        let sent = frames(LOGGER.wire(&peer.addr().to_string(), "sent"), 6);
        let expected = [0, 1, 2, 3].map(line).to_vec();
        let expected = [
            expected,
            vec![
                "text FIN, length 8: \"the last\"".into(),
                "close FIN, length 2: 1000 \"\"".into(),
            ],
        ]
        .concat();
        assert_eq!(sent, expected);
    });
}

#[test]
fn a_blocking_connection_is_traced_and_tls_is_seen_through() {
    traced("a_blocking_connection_is_traced_and_tls_is_seen_through", || {
        let talks = |peer: Peer| {
            let (url, tls) = (peer.url(), peer.tls());
            within("the client", move || {
                let mut ws = WebSocket::builder(url).tls(tls).connect().unwrap();
                ws.send("hello").unwrap();
                assert_eq!(ws.recv().unwrap(), "hi");
                ws.close().unwrap();
            });
            let name = peer.url();
            let name = name.split_once("://").unwrap().1.trim_end_matches('/');
            let received = LOGGER.wire(name, "received");
            assert_eq!(
                frames(LOGGER.wire(name, "sent"), 6),
                ["text FIN, length 5: \"hello\"", "close FIN, length 2: 1000 \"\""]
            );
            assert_eq!(
                frames(received, 4),
                ["text FIN, length 2: \"hi\"", "close FIN, length 2: 1000 \"\""]
            );
        };
        fn script(listener: &Listener) {
            let mut client = listener.open();
            client.expect_text("hello");
            client.send(Frame::text("hi"));
            client.answer_close();
        }
        talks(Peer::start(script));
        on_each(|backend| talks(Peer::start_tls(backend, script)));
    });
}

#[cfg(feature = "deflate")]
#[test]
fn what_is_compressed_is_traced_as_it_goes_over_the_wire() {
    traced("what_is_compressed_is_traced_as_it_goes_over_the_wire", || {
        const AGREED: &str = "permessage-deflate";
        let peer = Peer::start(|listener| {
            let mut client = listener.accept();
            client.upgrade_with_extensions(AGREED);
            let mut zlib = crate::zlib::Zlib::new(AGREED);
            let message = client.read_frame();
            assert_eq!(zlib.inflate(&message), b"hello hello hello");
            // RFC 7692 §7.2.3.1 and §7.2.3.2 have these bytes.
            client.send(Frame::text([0xf2, 0x48, 0xcd, 0xc9, 0xc9, 7, 0]).rsv(0b100));
            client.send(Frame::text([0xf2, 0, 0x11, 0, 0]).rsv(0b100));
            client.close(1000, "");
        });
        let deflate = websocket_app::Deflate::default().min_size(0);
        let app = run(peer.app().compression(deflate));
        app.expect_open();
        app.sender.send("hello hello hello").unwrap();
        app.expect_text("Hello");
        app.expect_text("Hello");
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end_in_order();
        let name = peer.addr().to_string();
        let sent = LOGGER.wire(&name, "sent");
        assert!(sent.iter().any(|line| line.starts_with("Sec-WebSocket-Extensions: permessage-d")));
        let is_compressed = |line: &&String| {
            line.starts_with("text FIN RSV1, length ") && line.contains(", compressed: ")
        };
        let compressed: Vec<_> = sent.iter().filter(is_compressed).collect();
        assert!(compressed.len() == 1 && !compressed[0].contains("hello"), "{sent:?}");
        let received = LOGGER.wire(&name, "received");
        assert_eq!(
            received[received.len() - 3..],
            [
                "text FIN RSV1, length 7, compressed: f2 48 cd c9 c9 07 00",
                "text FIN RSV1, length 5, compressed: f2 00 11 00 00",
                "close FIN, length 2: 1000 \"\"",
            ]
        );
    });
}

/// Each kind of credential, as it is set, and as it goes over the wire.
const SECRETS: [&str; 12] = [
    "us3r-name",
    "p4ssw0rd",
    // Both in Base64.
    "dXMzci1uYW1lOnA0c3N3MHJk",
    "t0ken-in-query",
    "b3arer-token",
    "4pi-key",
    "c00kie-value",
    "subpr0tocol-token",
    "s3t-cookie",
    "pr0xy-user",
    "pr0xy-pass",
    // Both in Base64.
    "cHIweHktdXNlcjpwcjB4eS1wYXNz",
];

#[test]
fn no_credential_is_in_any_line() {
    traced("no_credential_is_in_any_line", || {
        for by_proxy in [false, true] {
            let peer = Peer::start(move |listener| {
                let tunnel = |client: &mut Connection| {
                    if by_proxy {
                        let request = client.read_request();
                        assert!(request.line.starts_with("CONNECT "), "{}", request.line);
                        assert_eq!(
                            request.header("Proxy-Authorization"),
                            Some("Basic cHIweHktdXNlcjpwcjB4eS1wYXNz")
                        );
                        client.write(
                            "HTTP/1.1 200 cHIweHktdXNlcjpwcjB4eS1wYXNz\r\n\
                            Via: Basic cHIweHktdXNlcjpwcjB4eS1wYXNz\r\nX-Proxy: pr0xy-pass\r\n\r\n",
                        );
                    }
                };
                // A page for debugging: all of the request.
                let mut client = listener.accept();
                tunnel(&mut client);
                let request = client.read_request().clone();
                let mut body = request.line.clone();
                for (name, value) in &request.headers {
                    writeln!(body, "{name}: {value}").unwrap();
                }
                client.write(format!(
                    "HTTP/1.1 503 {line}\r\nServer: {line}\r\nX-Echo: b3arer-token\r\n\
                    Location: http://{line}/\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len(),
                    line = "t0ken-in-query"
                ));
                drop(client);
                // An answer that sets more, and repeats some.
                let mut client = listener.accept();
                tunnel(&mut client);
                client.read_request();
                let answer = client.acceptance(
                    "Set-Cookie: id=s3t-cookie\r\nServer: t0ken-in-query\r\nX-Echo: 4pi-key\r\n\
                    Sec-WebSocket-Protocol: subpr0tocol-token\r\nDate: c00kie-value\r\n",
                );
                client.write(answer);
                client.expect_text("hello");
                client.send(Frame::text("hi"));
                client.close(4001, "expired: b3arer-token");
            });
            let host = peer.addr();
            let url = format!("ws://us3r-name:p4ssw0rd@{host}/path?token=t0ken-in-query");
            let mut app = WebSocketApp::new(url)
                .header("X-Authorization", "Bearer b3arer-token")
                .header("X-Api-Key", "4pi-key")
                .cookie("session=c00kie-value")
                .subprotocols(["subpr0tocol-token"])
                .reconnect(
                    Reconnect::fixed(Duration::from_millis(1))
                        .retry_if(|cause| matches!(cause, Cause::Error(_))),
                )
                .on_open(|ws| ws.send("hello"));
            if by_proxy {
                app = app.proxy(format!("http://pr0xy-user:pr0xy-pass@{host}"));
            }
            let close = within("the app", move || app.run_forever()).unwrap();
            // It is told what the log leaves out.
            assert_eq!((close.code, &*close.reason), (4001, "expired: b3arer-token"));

            let name =
                if by_proxy { format!("the proxy {host} for {host}") } else { host.to_string() };
            let mut lines = LOGGER.lines();
            for Line { target, level, text } in lines.iter() {
                for secret in SECRETS {
                    assert!(
                        !text.to_lowercase().contains(&secret.to_lowercase()),
                        "{secret} is in {target} {level}: {text}"
                    );
                }
            }
            // And yet there is all else, of every target that has to do with it.
            let head = if by_proxy { format!("CONNECT {host} HTTP/1.1") } else { "GET ".into() };
            for (target, level, text) in [
                (TARGET, Level::Trace, format!("{host}: sent GET /path?… HTTP/1.1")),
                (TARGET, Level::Trace, format!("{host}: sent X-Api-Key: …")),
                (TARGET, Level::Trace, format!("{host}: sent Cookie: …")),
                (TARGET, Level::Trace, format!("{host}: sent Authorization: …")),
                (TARGET, Level::Trace, format!("{host}: sent Sec-WebSocket-Protocol: …")),
                (TARGET, Level::Trace, format!("{host}: received HTTP/1.1 503")),
                (TARGET, Level::Trace, format!("{host}: received set-cookie: …")),
                (TARGET, Level::Trace, format!("{host}: received server: …")),
                (TARGET, Level::Trace, format!("{host}: received text FIN, length 2: \"hi\"")),
                (TARGET, Level::Trace, format!("{host}: received close FIN, length 23: 4001 …")),
                (TARGET, Level::Trace, format!("{name}: sent {head}")),
                ("websocket_app::connection", Level::Debug, format!("{host}: received Close 4001")),
                ("websocket_app", Level::Debug, format!("{host}: over: 4001, closed by the peer")),
                ("websocket_app", Level::Error, "503".into()),
                ("websocket_app::connect", Level::Debug, "status 503".into()),
            ] {
                let is_it = |line: &Line| {
                    (&*line.target, line.level) == (target, level) && line.text.contains(&text)
                };
                assert!(lines.iter().any(is_it), "no {target} {level}: {text}");
            }
            if by_proxy {
                for text in
                    ["sent Proxy-Authorization: …", "received via: …", "received x-proxy: …"]
                {
                    let line = format!("{name}: {text}");
                    assert!(lines.iter().any(|it| it.text == line), "no {line}");
                }
            }
            all_are_in_the_manual(&lines);
            lines.clear();
        }
    });
}

/// Callbacks do not hear of it.
#[test]
fn what_a_peer_does_instead_of_answering_close_is_logged() {
    traced("what_a_peer_does_instead_of_answering_close_is_logged", || {
        let (soon, hour) = (Duration::from_millis(50), Duration::from_secs(3600));
        let ends: [(fn(Connection), _, _); 2] = [
            (Connection::stay_silent, soon, "silence for 50ms"),
            (Connection::hang_up, hour, "the peer ended the stream without a Close frame"),
        ];
        for (end, timeout, what) in ends {
            let peer = Peer::start(move |listener| {
                let mut client = listener.open();
                client.expect(Frame::close(1000, ""));
                end(client);
            });
            let app = run(peer.app().close_timeout(timeout));
            app.expect_open();
            app.sender.close();
            app.expect_close(unanswered());
            app.end_in_order();
            let line = format!("{}: instead of an answer to Close: {what}", peer.addr());
            assert!(LOGGER.lines().iter().any(|it| it.text == line), "no {line}");
        }
    });
}

#[test]
fn a_logger_that_panics_does_not_harm_the_connection() {
    traced("a_logger_that_panics_does_not_harm_the_connection", || {
        let then = |_: &str| panic!("a logger");
        assert!(LOGGER.then.set(then).is_ok());
        panic::set_hook(Box::new(|_| {}));
        let peer = Peer::start(|listener| {
            let mut client = listener.open();
            client.expect_text("hello");
            client.send(Frame::text("hi"));
            client.send(Frame::ping("x"));
            client.expect(Frame::pong("x"));
            client.answer_close();
        });
        let app = run(peer.app());
        app.expect_open();
        app.sender.send("hello").unwrap();
        app.expect_text("hi");
        app.expect(Call::Ping(b"x".to_vec()));
        app.sender.close();
        app.expect_close(clean(ClosedBy::Us, 1000, ""));
        app.end_in_order();
        let _ = panic::take_hook();
    });
}

/// The thread whose line it is writes the connection, and would wait for itself.
#[test]
fn a_logger_that_sends_what_was_sent_does_not_wait() {
    const FULL: usize = 1 << 16;
    static SENDER: OnceLock<Sender> = OnceLock::new();
    traced("a_logger_that_sends_what_was_sent_does_not_wait", || {
        let then = |line: &str| {
            let ws = || SENDER.get().expect("it was set before");
            if line.contains("sent binary FIN, length 65000") {
                let full = Err(SendError::QueueFull { message: None, limit: FULL });
                assert_eq!(ws().send(&[0; 1000][..]), full);
                ws().send("a logger").unwrap();
            } else if line.contains("received text") {
                ws().send("another").unwrap();
            }
        };
        assert!(LOGGER.then.set(then).is_ok());
        let peer = Peer::start(|listener| {
            let mut client = listener.open();
            client.expect(Frame::binary([7; 65_000]));
            client.expect_text("a logger");
            client.send(Frame::text("hi"));
            client.expect_text("another");
            client.answer_close();
        });
        let hour = Duration::from_secs(3600);
        let app = run(peer.app().max_send_buffer(FULL).send_timeout(hour));
        app.expect_open();
        assert!(SENDER.set(app.sender.clone()).is_ok());
        app.sender.send(&[7; 65_000][..]).unwrap();
        app.expect_text("hi");
        app.sender.flush(hour).unwrap();
        app.sender.close();
        app.expect_close(clean(ClosedBy::Us, 1000, ""));
        app.end_in_order();
    });
}
