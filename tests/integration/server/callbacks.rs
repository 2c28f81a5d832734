//! What a callback does to its own connection: it closes it, fails, panics, waits for the server.

use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use websocket_app::server::{Answer, Client, ServerHandle};
use websocket_app::{CallbackError, ClosedBy, Error, OwnedMessage, SendError};

use super::serving::{STYLES, Serving, Style, echoes, serve, serve_as, serve_fragments};
use super::visitor::{Visitor, request};
use crate::failure::{Failure, clean, unanswered};
use crate::frame::Frame;
use crate::recorder::{Call, Recorder};
use crate::watchdog::PATIENCE;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Callback {
    Open,
    Message,
    Fragment,
    Ping,
    Pong,
    Error,
    Close,
}

const CALLBACKS: [Callback; 7] = [
    Callback::Open,
    Callback::Message,
    Callback::Fragment,
    Callback::Ping,
    Callback::Pong,
    Callback::Error,
    Callback::Close,
];

impl Callback {
    fn name(self) -> &'static str {
        match self {
            Callback::Open => "on_open",
            Callback::Message => "on_message",
            Callback::Fragment => "on_fragment",
            Callback::Ping => "on_ping",
            Callback::Pong => "on_pong",
            Callback::Error => "on_error",
            Callback::Close => "on_close",
        }
    }

    fn is(self, call: &Call) -> bool {
        self == match call {
            Call::Open => Callback::Open,
            Call::Message(_) => Callback::Message,
            Call::Fragment { .. } => Callback::Fragment,
            Call::Ping(_) => Callback::Ping,
            Call::Pong(_) => Callback::Pong,
            Call::Error(_) => Callback::Error,
            Call::Close(_) => Callback::Close,
            Call::Reconnect | Call::Timer => return false,
        }
    }

    /// A server on which this callback does this, and a message makes for an error where it is
    /// `on_error`.
    fn serve(
        self,
        style: Style,
        what: impl Fn(&Client) -> Result<(), CallbackError> + Send + Sync + 'static,
    ) -> Serving {
        let hook = move |client: &Client, call: &Call| match call {
            _ if self.is(call) => what(client),
            Call::Message(_) if self == Callback::Error => Err("for on_error".into()),
            _ => Ok(()),
        };
        match self {
            Callback::Fragment => serve_fragments(style, hook),
            _ => serve_as(style, |server| server, hook),
        }
    }

    /// Has it called: the client does what that takes, and what is called before it and for it is
    /// looked at.
    fn happens(self, visitor: &mut Visitor, calls: &Recorder) {
        calls.expect_open();
        match self {
            Callback::Open => {}
            Callback::Message | Callback::Error => {
                visitor.text("a");
                calls.expect_text("a");
            }
            Callback::Fragment => {
                visitor.text("a");
                assert!(matches!(calls.next(), Call::Fragment { .. }));
            }
            Callback::Ping => {
                visitor.ping("a");
                calls.expect(Call::Ping(b"a".into()));
            }
            Callback::Pong => {
                visitor.send(Frame::pong("a"));
                calls.expect(Call::Pong(b"a".into()));
            }
            Callback::Close => visitor.send(Frame::close(1000, "")),
        }
        if self == Callback::Error {
            calls.expect_failure(Failure::Callback("on_message".into(), "for on_error".into()));
        }
    }
}

fn answered(visitor: Visitor, calls: &Recorder) {
    // The Close frame was sent with `happens`.
    let mut visitor = visitor;
    assert_eq!(visitor.expect_close(), 1000);
    visitor.expect_end();
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
}

#[test]
fn each_may_close() {
    for (callback, style) in CALLBACKS.into_iter().flat_map(|c| STYLES.map(|style| (c, style))) {
        println!("{callback:?}, {style:?}");
        let serving = callback.serve(style, |client| {
            client.close();
            Ok(())
        });
        let (mut visitor, calls) = serving.visit();
        callback.happens(&mut visitor, &calls);
        if callback == Callback::Close {
            answered(visitor, &calls);
        } else {
            visitor.answer_close(1000);
            calls.expect_close(clean(ClosedBy::Us, 1000, ""));
        }
        calls.finish();
        ends_all_the_same(callback, serving);
    }
}

#[test]
fn each_may_fail() {
    for (callback, style) in CALLBACKS.into_iter().flat_map(|c| STYLES.map(|style| (c, style))) {
        println!("{callback:?}, {style:?}");
        let serving = callback.serve(style, |_| Err("as asked".into()));
        let (mut visitor, calls) = serving.visit();
        callback.happens(&mut visitor, &calls);
        match callback {
            Callback::Close => answered(visitor, &calls),
            // There is nobody left to tell.
            Callback::Error => {
                visitor.expect_failed(1011);
                calls.expect_close(unanswered());
            }
            _ => {
                calls.expect_failure(Failure::Callback(callback.name().into(), "as asked".into()));
                visitor.close(1000, "");
                calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
            }
        }
        calls.finish();
        ends_all_the_same(callback, serving);
    }
}

#[test]
fn each_may_panic() {
    for (callback, style) in CALLBACKS.into_iter().flat_map(|c| STYLES.map(|style| (c, style))) {
        println!("{callback:?}, {style:?}");
        let serving = callback.serve(style, |_| panic!("as asked"));
        let (mut visitor, calls) = serving.visit();
        callback.happens(&mut visitor, &calls);
        match callback {
            Callback::Close => answered(visitor, &calls),
            Callback::Error => {
                visitor.expect_failed(1011);
                calls.expect_close(unanswered());
            }
            _ => {
                visitor.expect_failed(1011);
                calls.expect_failure(Failure::Panicked("as asked".into()));
                calls.expect_close(unanswered());
            }
        }
        calls.finish();
        ends_all_the_same(callback, serving);
    }
}

/// Others are served as before, as far as this callback lets them; then the server ends.
fn ends_all_the_same(callback: Callback, serving: Serving) {
    let handle = serving.handle();
    let (mut visitor, calls) = serving.visit();
    callback.happens(&mut visitor, &calls);
    drop(visitor);
    while !matches!(calls.next(), Call::Close(_)) {}
    calls.finish();
    handle.shutdown(1001, "", crate::watchdog::PATIENCE).unwrap();
    drop(handle);
    serving.ends();
}

#[test]
fn each_may_abort() {
    for callback in CALLBACKS {
        println!("{callback:?}");
        let serving = callback.serve(Style::Spawned, |client| {
            client.abort();
            Ok(())
        });
        let (mut visitor, calls) = serving.visit();
        match callback {
            // The answer to a ping may be lost with the connection.
            Callback::Ping => {
                calls.expect_open();
                visitor.send(Frame::ping("a"));
                calls.expect(Call::Ping(b"a".into()));
            }
            _ => callback.happens(&mut visitor, &calls),
        }
        if callback == Callback::Close {
            answered(visitor, &calls);
        } else {
            visitor.stay_silent();
            calls.expect_close(unanswered());
        }
        calls.finish();
        serving.end();
    }
}

#[test]
fn each_that_waits_for_the_server_is_told_that_this_would_be_for_ever() {
    for (callback, style) in CALLBACKS.into_iter().flat_map(|c| STYLES.map(|style| (c, style))) {
        println!("{callback:?}, {style:?}");
        let serving = callback.serve(style, |client| match client.server().join() {
            Err(Error::Deadlock { .. }) => Ok(()),
            other => panic!("{other:?}"),
        });
        let (mut visitor, calls) = serving.visit();
        callback.happens(&mut visitor, &calls);
        if callback == Callback::Close {
            answered(visitor, &calls);
        } else {
            visitor.close(1000, "");
            calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        }
        calls.finish();
        ends_all_the_same(callback, serving);
    }
}

/// On two threads it is another loop's callback that waits, which is part of the same server.
#[test]
fn on_request_that_waits_for_the_server_is_told_too() {
    for threads in [1, 2] {
        let handle = Arc::<OnceLock<ServerHandle>>::default();
        let here = Arc::clone(&handle);
        let server = websocket_app::server::Server::new("127.0.0.1:0").threads(threads);
        let server = server.on_request(move |_| {
            // Here it would keep itself.
            let joined = here.get().map(ServerHandle::join);
            let is_told = matches!(joined, Some(Err(Error::Deadlock { .. })));
            Answer::http(if is_told { 200 } else { 500 }, "text/plain", "")
        });
        let spawned = server.spawn().unwrap();
        let addr = spawned.local_addr().expect("it is TCP");
        assert!(handle.set(spawned.clone()).is_ok());
        for _ in 0..4 {
            assert_eq!(Visitor::connect(addr).ask(request("/", "")).status, 200);
        }
        spawned.abort();
        crate::watchdog::within("the server's end", move || spawned.join()).unwrap();
    }
}

/// Everything a client can be asked to do may be done in its callback, without waiting for itself.
#[test]
fn a_callback_may_use_everything() {
    let serving = serve(
        |server| server,
        |client, call| {
            if let Call::Message(_) = call {
                let server = client.server();
                client.subscribe("all");
                server.publish("all", "published");
                server.broadcast("broadcast");
                client.send("sent")?;
                client.try_send("tried")?;
                client.sender().send_binary(b"binary".as_slice())?;
                client.sender().ping("ping")?;
                client.unsubscribe("all");
                assert_eq!(server.publish("all", "nobody").clients, 0);
                assert_eq!(server.clients().len(), 1);
                assert_eq!(server.client(client.id()).map(|same| same.id()), Some(client.id()));
                assert_eq!(server.stats().open, 1);
                client.close();
                assert!(client.send("late").is_err());
            }
            Ok(())
        },
    );
    let (mut visitor, calls) = serving.open();
    visitor.text("go");
    calls.expect_text("go");
    // What is sent to one, and what is sent to many, are each in order.
    let (frames, code) = visitor.read_to_close();
    let has = |frame: &Frame| frames.iter().position(|its| its == frame);
    let all = [
        Frame::text("published"),
        Frame::text("broadcast"),
        Frame::text("sent"),
        Frame::text("tried"),
        Frame::binary("binary"),
    ];
    let at: Vec<_> = all.iter().map(|frame| has(frame).expect("it was sent")).collect();
    assert!(at.is_sorted(), "{frames:?}");
    assert!(has(&Frame::ping("ping")).is_some());
    assert_eq!((frames.len(), code), (6, 1000));
    visitor.send(Frame::close(1000, ""));
    visitor.expect_end();
    calls.expect_close(clean(ClosedBy::Us, 1000, ""));
    serving.end();
}

#[test]
fn flush_says_whether_what_was_sent_is_in_the_hands_of_the_operating_system() {
    // More than its buffers hold.
    const LARGE: usize = 16 << 20;
    let (tell, told) = mpsc::channel();
    let serving = serve(
        |server| server,
        move |client, call| {
            if let Call::Message(OwnedMessage::Text(text)) = call {
                client.send(vec![7; if text == "much" { LARGE } else { 1 }])?;
                tell.send(client.flush(Duration::ZERO))?;
            }
            Ok(())
        },
    );
    let (mut visitor, calls) = serving.open();
    for (text, len, flushed) in [
        ("much", LARGE, Err(SendError::Unwritten { after: Duration::ZERO })),
        ("little", 1, Ok(())),
    ] {
        visitor.text(text);
        calls.expect_text(text);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), flushed);
        assert_eq!(visitor.read_frame().payload.len(), len);
    }
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    serving.end();
}

/// A client that is kept stays valid when it is gone.
#[test]
fn a_client_that_is_gone_takes_nothing() {
    let serving = serve(|server| server, echoes);
    let (visitor, calls) = serving.open();
    let client = serving.handle().clients().pop().expect("it is there");
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    assert!(matches!(client.send("late"), Err(websocket_app::SendError::NotConnected { .. })));
    client.subscribe("news");
    client.close();
    client.abort();
    let delivered = serving.handle().publish("news", "anybody?");
    assert_eq!(delivered.clients, 0);
    assert!(serving.handle().client(client.id()).is_none());
    drop(client);
    serving.end();
}

/// An error that panics as it is dropped.
#[derive(Debug)]
struct Spiteful;

impl std::fmt::Display for Spiteful {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("spiteful")
    }
}

impl std::error::Error for Spiteful {}

impl Drop for Spiteful {
    fn drop(&mut self) {
        panic!("spiteful to the end");
    }
}

/// It is told and dropped as any other, whichever callback fails with it, and again and again.
#[test]
fn an_error_that_panics_as_it_is_dropped_hurts_nobody_else() {
    type Fails = fn(&Call) -> bool;
    let failing: [(&str, Fails, bool); 4] = [
        ("on_message", |call| matches!(call, Call::Message(_)), false),
        ("on_error", |call| matches!(call, Call::Error(_)), true),
        ("on_error and on_close", |call| matches!(call, Call::Error(_) | Call::Close(_)), true),
        ("on_close", |call| matches!(call, Call::Close(_)), false),
    ];
    for ((name, fails, for_on_error), style) in
        failing.into_iter().flat_map(|f| STYLES.map(|style| (f, style)))
    {
        println!("{name}, {style:?}");
        let hook = move |_: &Client, call: &Call| match call {
            call if fails(call) => Err(CallbackError::from(Spiteful)),
            Call::Message(message) if message.as_text() == Some("fail") => {
                Err("for on_error".into())
            }
            _ => Ok(()),
        };
        let serving = serve_as(style, |server| server, hook);
        let (mut visitor, calls) = serving.open();
        visitor.text(if for_on_error { "fail" } else { "a" });
        calls.expect_text(if for_on_error { "fail" } else { "a" });
        if name == "on_close" {
            visitor.close(1000, "");
        } else {
            visitor.stay_silent();
        }
        while !matches!(calls.next(), Call::Close(_)) {}
        calls.finish();
        // Also where its messages are not echoed, it is there.
        let (other, its) = serving.open();
        other.close(1000, "");
        its.expect_close(clean(ClosedBy::Peer, 1000, ""));
        its.finish();
        serving.handle().shutdown(1001, "", crate::watchdog::PATIENCE).unwrap();
        serving.ends();
    }
}
