//! A real server, Python's `websockets` (`tests/python/server.py`), over ws and wss: messages,
//! fragments, pings, subprotocols, closing, what the server sees of the request, certificates that
//! are refused.

/// permessage-deflate with each combination of its parameters.
#[cfg(feature = "deflate")]
mod compression;
pub(crate) mod servers;
/// Messages that are not in memory.
mod streamed;

use websocket_app::{ClosedBy, OwnedMessage, Phase};

use self::servers::{Server, Servers};
use crate::failure::{Failure, clean, lost};
use crate::recorder::Call;
use crate::running::{Running, run, run_in_fragments};
use crate::watchdog::Watchdog;

/// Around every length at which a frame's head changes, and enough for many reads and writes.
const SIZES: [usize; 12] =
    [0, 1, 2, 125, 126, 127, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 16 << 20];

#[test]
fn text_of_every_size_comes_back() {
    over_ws_and_wss(|server| {
        let app = run(server.app("/echo"));
        app.expect_open();
        for text in SIZES.map(text) {
            app.sender.send(&text).unwrap();
            app.expect_text(&text);
        }
        close(app);
    });
}

#[test]
fn binary_of_every_size_comes_back() {
    over_ws_and_wss(|server| {
        let app = run(server.app("/echo"));
        app.expect_open();
        for data in SIZES.map(binary) {
            app.sender.send(&data).unwrap();
            app.expect_binary(&data);
        }
        close(app);
    });
}

#[test]
fn messages_sent_without_waiting_come_back_in_order() {
    over_ws_and_wss(|server| {
        let app = run(server.app("/echo"));
        app.expect_open();
        for number in 0..5_000 {
            app.sender.send(format!("message {number}")).unwrap();
        }
        for number in 0..5_000 {
            app.expect_text(&format!("message {number}"));
        }
        close(app);
    });
}

#[test]
fn fragments_are_assembled_wherever_they_cut() {
    over_ws_and_wss(|server| {
        for (size, length) in [(1, 500), (2, 500), (3, 500), (1_000, 100_000), (65_537, 16 << 20)] {
            let app = run(server.app(&format!("/echo?fragments={size}")));
            app.expect_open();
            let (text, data) = (text(length), binary(length));
            app.sender.send(&text).unwrap();
            app.expect_text(&text);
            app.sender.send(&data).unwrap();
            app.expect_binary(&data);
            close(app);
        }
    });
}

#[test]
fn fragments_can_be_had_as_they_come() {
    over_ws_and_wss(|server| {
        for (size, length) in [(1, 100), (3, 100), (1_000, 100_000), (1 << 20, 5 << 20)] {
            let app =
                run_in_fragments(server.app(&format!("/echo?fragments={size}")), |_, _| Ok(()));
            app.expect_open();
            for message in [OwnedMessage::Text(text(length)), OwnedMessage::Binary(binary(length))]
            {
                app.sender.send(&message).unwrap();
                assert!(
                    collect_fragments(&app) == message,
                    "pieces of {size} bytes add up to something else"
                );
            }
            close(app);
        }
    });
}

#[test]
fn pings_of_the_server_are_answered() {
    over_ws_and_wss(|server| {
        let app = run(server.app("/ping"));
        app.expect_open();
        for payload in ["are you there?".to_owned(), "é".to_owned(), "x".repeat(125)] {
            app.sender.send(&payload).unwrap();
            app.expect(Call::Ping(payload.into_bytes()));
            app.expect_text("pong");
        }
        close(app);
    });
}

#[test]
fn our_pings_are_answered() {
    over_ws_and_wss(|server| {
        let app = run(server.app("/echo"));
        app.expect_open();
        for payload in [b"".as_slice(), b"are you there?", &[0xff; 125]] {
            app.sender.ping(payload).unwrap();
            app.expect(Call::Pong(payload.to_vec()));
        }
        close(app);
    });
}

#[test]
fn pongs_that_nobody_asked_for_do_no_harm() {
    over_ws_and_wss(|server| {
        let app = run(server.app("/pong?payload=heartbeat"));
        app.expect_open();
        app.expect(Call::Pong(b"heartbeat".to_vec()));
        app.sender.pong("back").unwrap();
        close(app);
    });
}

#[test]
fn the_server_picks_a_subprotocol_or_none() {
    over_ws_and_wss(|server| {
        for (offered, picked) in [
            (&["v1.telemetry", "v2.telemetry"][..], Some("v2.telemetry")),
            (&["v9.telemetry", "v1.telemetry"], Some("v1.telemetry")),
            (&["v9.telemetry"], None),
            (&[], None),
        ] {
            let app = run(server.app("/echo").subprotocols(offered.iter().copied()));
            app.expect_open();
            assert_eq!(
                app.sender.handshake().expect("it is open").subprotocol(),
                picked,
                "of {offered:?}"
            );
            close(app);
        }
    });
}

#[test]
fn close_codes_and_reasons_of_the_server_are_told() {
    over_ws_and_wss(|server| {
        for (query, code, reason) in [
            ("?code=1000", 1000, ""),
            ("?code=1001&reason=going%20down", 1001, "going down"),
            ("?code=1011&reason=%C3%BCberlastet", 1011, "überlastet"),
            ("?code=3000", 3000, ""),
            ("?code=4999&reason=ours", 4999, "ours"),
            ("", 1005, ""),
        ] {
            let app = run(server.app(&format!("/close{query}")));
            app.expect_open();
            app.expect_close(clean(ClosedBy::Peer, code, reason));
            app.end_in_order();
        }
    });
}

#[test]
fn the_server_sees_how_we_close() {
    over_ws_and_wss(|server| {
        for (code, reason) in [(1000, ""), (1001, "the user left"), (4001, "ça suffit")] {
            let id = format!("{}/{code}", server.authority);
            let app = run(server.app(&format!("/sink?id={id}")));
            app.expect_open();
            app.sender.close_with(code, reason).unwrap();
            app.expect_close(clean(ClosedBy::Us, code, reason));
            app.end_in_order();
            assert_eq!(server_report(server, &id), format!("{code} {reason}: 0 messages, 0 bytes"));
        }
    });
}

#[test]
fn messages_sent_before_closing_arrive() {
    over_ws_and_wss(|server| {
        let id = format!("{}/sink", server.authority);
        let app = run(server.app(&format!("/sink?id={id}")));
        app.expect_open();
        app.sender.send(binary(4 << 20)).unwrap();
        for _ in 0..1_000 {
            app.sender.send("and one more").unwrap();
        }
        close(app);
        assert_eq!(
            server_report(server, &id),
            format!("1000 : 1001 messages, {} bytes", (4 << 20) + 12_000)
        );
    });
}

#[test]
fn a_connection_that_the_server_drops_is_lost() {
    over_ws_and_wss(|server| {
        let app = run(server.app("/abort"));
        app.expect_open();
        app.expect_failure(Failure::Network(Phase::Open));
        app.expect_close(lost());
        app.end_given_up();
    });
}

#[test]
fn the_server_sees_that_we_drop_the_connection() {
    over_ws_and_wss(|server| {
        let id = format!("{}/abort", server.authority);
        let app = run(server.app(&format!("/sink?id={id}")));
        app.expect_open();
        app.sender.abort();
        assert!(matches!(app.next(), Call::Close(close) if !close.clean && close.code == 1006));
        app.end_in_order();
        assert_eq!(server_report(server, &id), "1006 : 0 messages, 0 bytes");
    });
}

#[test]
fn the_server_sees_the_request_as_it_was_meant() {
    over_ws_and_wss(|server| {
        let app = server
            .app_as("us%20er:p%40ss@", "/request?q=a%20b&r=%C3%A9")
            .header("X-Trace", "one")
            .header("X-Trace", "two")
            .origin("https://page.example")
            .cookie("session=abc; theme=dark")
            .subprotocols(["v1.telemetry", "v2.telemetry"]);
        let request = the_one_text(run(app));
        let mut lines = request.lines();
        assert_eq!(lines.next(), Some("GET /request?q=a%20b&r=%C3%A9"));
        let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
        let values = |name: &str| -> Vec<&str> {
            headers
                .iter()
                .filter(|(n, _)| n.eq_ignore_ascii_case(name))
                .map(|(_, value)| *value)
                .collect()
        };
        assert_eq!(values("Host"), [server.authority.as_str()]);
        assert_eq!(values("X-Trace"), ["one", "two"]);
        assert_eq!(values("Origin"), ["https://page.example"]);
        assert_eq!(values("Cookie"), ["session=abc; theme=dark"]);
        // "us er:p@ss" in base64 (RFC 7617 §2).
        assert_eq!(values("Authorization"), ["Basic dXMgZXI6cEBzcw=="]);
        assert_eq!(values("Sec-WebSocket-Version"), ["13"]);
        assert_eq!(values("Sec-WebSocket-Protocol").join(", "), "v1.telemetry, v2.telemetry");
        assert_eq!(values("Sec-WebSocket-Key").len(), 1);
    });
}

#[test]
fn the_server_sees_an_ipv6_address_in_brackets() {
    let Some(servers) = Servers::shared() else { return };
    let _watchdog = Watchdog::new();
    let Some(server) = servers.plain_over_ipv6() else {
        println!("no IPv6 here");
        return;
    };
    let request = the_one_text(run(server.app("/request")));
    assert!(request.contains(&format!("Host: {}", server.authority)), "{request}");
}

#[cfg(feature = "__tls")]
mod certificates {
    use super::*;
    use crate::tls::on_each;

    #[test]
    fn of_an_unknown_authority_are_refused() {
        let Some(servers) = Servers::shared() else { return };
        let _watchdog = Watchdog::new();
        on_each(|backend| refuses(&servers.secure("untrusted", backend)));
    }

    #[test]
    fn for_another_name_are_refused() {
        let Some(servers) = Servers::shared() else { return };
        let _watchdog = Watchdog::new();
        on_each(|backend| refuses(&servers.secure("other_name", backend)));
    }

    #[test]
    fn for_the_name_that_is_expected_are_accepted() {
        let Some(servers) = Servers::shared() else { return };
        let _watchdog = Watchdog::new();
        on_each(|backend| {
            let app =
                run(servers.secure("other_name", backend).named("other.example").app("/echo"));
            app.expect_open();
            close(app);
        });
    }

    fn refuses(server: &Server) {
        let app = run(server.app("/echo"));
        let failure = app.failure();
        assert!(
            matches!(&failure, Failure::Tls(text) if text.contains("localhost")),
            "{failure:?}"
        );
        app.expect_close(lost());
        app.end_given_up();
    }
}

fn over_ws_and_wss(test: impl Fn(&Server)) {
    let Some(servers) = Servers::shared() else { return };
    for server in servers.good() {
        println!("{}", server.authority);
        let _watchdog = Watchdog::new();
        test(&server);
    }
}

/// Closes in order, with nothing left to look at.
fn close(app: Running) {
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

/// The text that the server sends first.
fn the_one_text(app: Running) -> String {
    app.expect_open();
    let Call::Message(OwnedMessage::Text(text)) = app.next() else { panic!("expected a text") };
    close(app);
    text
}

/// What the server has to say of the connection of that id, which has ended.
fn server_report(server: &Server, id: &str) -> String {
    the_one_text(run(server.app(&format!("/report?id={id}"))))
}

/// Puts a message together; only its first and last pieces may say that they are.
fn collect_fragments(app: &Running) -> OwnedMessage {
    let (mut bytes, mut begins) = (Vec::new(), true);
    loop {
        let Call::Fragment { data, first, last } = app.next() else {
            panic!("expected a fragment")
        };
        assert_eq!(first, begins);
        begins = false;
        let is_text = matches!(data, OwnedMessage::Text(_));
        bytes.extend(data.into_bytes());
        if last {
            return if is_text {
                OwnedMessage::Text(String::from_utf8(bytes).expect("its pieces are text"))
            } else {
                OwnedMessage::Binary(bytes)
            };
        }
    }
}

/// Text of so many bytes, with characters of every length in UTF-8.
fn text(bytes: usize) -> String {
    const LINE: &str = "aé€😀";
    let mut text = LINE.repeat(bytes / LINE.len());
    for c in LINE.chars() {
        if text.len() + c.len_utf8() > bytes {
            break;
        }
        text.push(c);
    }
    text += &"x".repeat(bytes - text.len());
    text
}

fn binary(bytes: usize) -> Vec<u8> {
    // As often as it takes for the line to begin again.
    let line: Vec<u8> = (0..251).map(|i| (i * 31 % 251) as u8).collect();
    let mut data = line.repeat(bytes / line.len() + 1);
    data.truncate(bytes);
    data
}
