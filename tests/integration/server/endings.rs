//! Every way in which a connection ends, on each kind of server: at most one `on_error`, exactly one
//! `on_close`, and others are served on.

use std::time::{Duration, Instant};

use websocket_app::server::{Client, Server};
use websocket_app::{CallbackError, ClosedBy, LimitError, Phase, ProtocolError};

use super::serving::{STYLES, Serving, Style, echoes, serve_as};
use super::visitor::{Visitor, masked};
use crate::failure::{Failure, clean, ending, lost, unanswered};
use crate::frame::Frame;
use crate::recorder::{Call, Recorder};

const MAX_MESSAGE: usize = 1000;

/// What a client and the test do, on an open connection, and what is called.
type Ending = fn(&Serving, Visitor, &Recorder);

const ENDINGS: [(&str, Ending); 19] = [
    ("the client closes", |_, visitor, calls| {
        visitor.close(4321, "enough");
        calls.expect_close(clean(ClosedBy::Peer, 4321, "enough"));
    }),
    ("the client closes without a code", |_, mut visitor, calls| {
        visitor.send(Frame::empty_close());
        visitor.expect(Frame::empty_close());
        visitor.expect_end();
        calls.expect_close(clean(ClosedBy::Peer, 1005, ""));
    }),
    ("the client says something, then closes", |_, mut visitor, calls| {
        let both = [Frame::text("but"), Frame::close(1000, "")];
        visitor.write(both.each_ref().map(masked).concat());
        calls.expect_text("but");
        visitor.expect(Frame::close(1000, ""));
        visitor.expect_end();
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    }),
    ("the server closes in a callback", |_, mut visitor, calls| {
        visitor.text("close");
        calls.expect_text("close");
        visitor.answer_close(1000);
        calls.expect_close(clean(ClosedBy::Us, 1000, ""));
    }),
    ("the server closes in another thread", |serving, visitor, calls| {
        let clients = serving.handle().clients();
        clients.last().expect("it is there").close_with(4000, "go").unwrap();
        visitor.answer_close(4000);
        calls.expect_close(clean(ClosedBy::Us, 4000, ""));
    }),
    ("both close at once", |serving, mut visitor, calls| {
        let clients = serving.handle().clients();
        visitor.send(Frame::close(1000, ""));
        clients.last().expect("it is there").close();
        assert_eq!(visitor.expect_close(), 1000);
        visitor.expect_end();
        // Whichever was first.
        let how = ending(&calls.close());
        assert!(
            how == clean(ClosedBy::Peer, 1000, "") || how == clean(ClosedBy::Us, 1000, ""),
            "{how:?}"
        );
    }),
    ("the server closes, and the client goes on for a while", |_, mut visitor, calls| {
        visitor.text("close");
        calls.expect_text("close");
        assert_eq!(visitor.expect_close(), 1000);
        visitor.text("but");
        calls.expect_text("but");
        visitor.send(Frame::close(1000, ""));
        visitor.expect_end();
        calls.expect_close(clean(ClosedBy::Us, 1000, ""));
    }),
    ("the server closes, and the client hangs up", |_, mut visitor, calls| {
        visitor.text("close");
        calls.expect_text("close");
        assert_eq!(visitor.expect_close(), 1000);
        visitor.end_stream();
        visitor.expect_end();
        calls.expect_close(unanswered());
    }),
    ("the client resets", |_, visitor, calls| {
        visitor.reset();
        calls.expect_failure(Failure::Network(Phase::Open));
        calls.expect_close(lost());
    }),
    ("the client hangs up", |_, visitor, calls| {
        visitor.end_stream();
        visitor.stay_silent();
        calls.expect_failure(Failure::Network(Phase::Open));
        calls.expect_close(lost());
    }),
    ("the client hangs up in the middle of a frame", |_, mut visitor, calls| {
        visitor.write(&masked(&Frame::text("half"))[..7]);
        visitor.end_stream();
        visitor.stay_silent();
        calls.expect_failure(Failure::Network(Phase::Open));
        calls.expect_close(lost());
    }),
    ("the client breaks the protocol", |_, mut visitor, calls| {
        visitor.send(Frame::continuation("of nothing"));
        visitor.expect_failed(1002);
        calls.expect_failure(Failure::Protocol(ProtocolError::UnexpectedContinuation));
        calls.expect_close(unanswered());
    }),
    ("the client sends what is no text", |_, mut visitor, calls| {
        visitor.send(Frame::text([b'a', 0xff]));
        visitor.expect_failed(1007);
        calls.expect_failure(Failure::Protocol(ProtocolError::InvalidUtf8));
        calls.expect_close(unanswered());
    }),
    ("the client sends too much", |_, mut visitor, calls| {
        visitor.send(Frame::binary([7; MAX_MESSAGE + 1]));
        visitor.expect_failed(1009);
        calls.expect_failure(Failure::Limit(LimitError::MessageSize { limit: MAX_MESSAGE }));
        calls.expect_close(unanswered());
    }),
    ("a callback panics", |_, mut visitor, calls| {
        visitor.text("panic");
        calls.expect_text("panic");
        visitor.expect_failed(1011);
        calls.expect_failure(Failure::Panicked("as asked".into()));
        calls.expect_close(unanswered());
    }),
    ("a callback fails, and then the client closes", |_, mut visitor, calls| {
        visitor.text("fail");
        calls.expect_text("fail");
        calls.expect_failure(Failure::Callback("on_message".into(), "as asked".into()));
        visitor.echo("and on");
        calls.expect_text("and on");
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    }),
    ("abort in a callback", |_, mut visitor, calls| {
        visitor.text("abort");
        visitor.stay_silent();
        calls.expect_text("abort");
        calls.expect_close(unanswered());
    }),
    ("abort in another thread", |serving, visitor, calls| {
        serving.handle().clients().last().expect("it is there").abort();
        visitor.stay_silent();
        calls.expect_close(unanswered());
    }),
    ("the client does not answer a Close", |_, mut visitor, calls| {
        visitor.text("close soon");
        calls.expect_text("close soon");
        assert_eq!(visitor.expect_close(), 1000);
        calls.expect_close(unanswered());
        visitor.stay_silent();
    }),
];

/// Does what the message says.
pub(super) fn obey(client: &Client, call: &Call) -> Result<(), CallbackError> {
    let Call::Message(message) = call else { return Ok(()) };
    match message.as_text() {
        Some("close" | "close soon") => client.close(),
        Some("abort") => client.abort(),
        Some("panic") => panic!("as asked"),
        Some("fail") => return Err("as asked".into()),
        // The Close behind it, or before it, is sooner than any answer.
        Some("but") => {}
        _ => return echoes(client, call),
    }
    Ok(())
}

fn options(server: Server, ending: &str) -> Server {
    let server = server.max_message_size(MAX_MESSAGE);
    match ending {
        // The others are not to depend on it.
        "the client does not answer a Close" => {
            server.close_timeout(std::time::Duration::from_millis(100))
        }
        _ => server,
    }
}

fn each_ending(style: Style) {
    for (name, ending) in ENDINGS {
        println!("{style:?}: {name}");
        let serving = serve_as(style, |server| options(server, name), obey);
        // One that has nothing to do with it.
        let (mut bystander, its_calls) = serving.open();
        let (visitor, calls) = serving.open();
        ending(&serving, visitor, &calls);
        calls.finish();
        bystander.echo("still here");
        its_calls.expect_text("still here");
        bystander.close(1000, "");
        its_calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        its_calls.finish();
        assert_eq!(serving.handle().clients().len(), 0, "{name}");
        serving.end();
    }
}

#[test]
fn each_has_one_close_with_closures() {
    each_ending(Style::Spawned);
}

#[test]
fn each_has_one_close_where_it_runs_for_ever() {
    each_ending(Style::Forever);
}

#[test]
fn each_has_one_close_with_handlers() {
    each_ending(Style::Handlers);
}

#[test]
fn each_has_one_close_on_two_threads() {
    each_ending(Style::TwoThreads);
}

/// Messages of one client come in the order in which it sent them, however they come in.
#[test]
fn messages_are_in_order_in_any_pieces() {
    const MESSAGES: usize = 300;
    for style in STYLES {
        let serving = serve_as(style, |server| server, |_, _| Ok(()));
        let (mut visitor, calls) = serving.open();
        let texts = (0..MESSAGES).map(|i| format!("message {i}"));
        let bytes: Vec<u8> = texts.flat_map(|text| masked(&Frame::text(text))).collect();
        for piece in [1, 2, 3, 5, 8, 13, 1000].iter().cycle().scan(0, |from, length| {
            let piece = bytes.get(*from..(*from + length).min(bytes.len()))?;
            *from += length;
            Some(piece)
        }) {
            if piece.is_empty() {
                break;
            }
            visitor.write(piece);
        }
        (0..MESSAGES).for_each(|i| calls.expect_text(&format!("message {i}")));
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        serving.end();
    }
}

/// A client waits for that (RFC 6455 §7.1.1), and here a server has a second for it before it gives
/// the connection up. Of several one is quick, however busy the machine is.
#[test]
fn the_tcp_connection_is_ended_as_soon_as_both_have_closed() {
    let serving = serve_as(STYLES[0], |server| server, echoes);
    let took = |by_server: bool| {
        let (visitor, calls) = serving.open();
        let begun = Instant::now();
        if by_server {
            serving.handle().clients().last().expect("it is there").close();
            visitor.answer_close(1000);
        } else {
            visitor.close(1000, "");
        }
        calls.close();
        calls.finish();
        begun.elapsed()
    };
    for by_server in [false, true] {
        assert!((0..10).any(|_| took(by_server) < Duration::from_millis(500)));
    }
    serving.end();
}
