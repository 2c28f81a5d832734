//! Promise 7: a panic in a callback is caught: Close 1011 on the wire, `on_error`, `on_close`, and
//! `run_forever` or `join` returns it as an error. The process lives on.

use std::time::Duration;

use websocket_app::{CallbackError, ClosedBy, Sender, WebSocketApp};

use crate::failure::{Failure, lost, unanswered};
use crate::frame::Frame;
use crate::peer::{Listener, Peer, RefusedPort};
use crate::recorder::{Call, record};
use crate::running::{Running, run_handler, run_in_fragments, run_with, run_with_timer};
use crate::watchdog::within;

#[test]
fn in_on_open() {
    let peer = Peer::start(sees_1011_after(None));
    let app = run_with(peer.app(), panic_at(|call| *call == Call::Open));
    app.expect_open();
    is_panicked(app);
}

#[test]
fn in_on_message() {
    let peer = Peer::start(sees_1011_after(Some(Frame::text("a"))));
    let app = run_with(peer.app(), panic_at(|call| *call == Call::text("a")));
    app.expect_open();
    app.expect_text("a");
    is_panicked(app);
}

#[test]
fn in_a_handler() {
    let peer = Peer::start(sees_1011_after(Some(Frame::text("a"))));
    let app = run_handler(peer.url(), false, Box::new(panic_at(|call| *call == Call::text("a"))));
    app.expect_open();
    app.expect_text("a");
    is_panicked(app);
}

#[test]
fn in_on_fragment() {
    let peer = Peer::start(sees_1011_after(Some(Frame::text("a"))));
    let app = run_in_fragments(peer.app(), panic_at(|call| matches!(call, Call::Fragment { .. })));
    app.expect_open();
    assert!(matches!(app.next(), Call::Fragment { .. }));
    is_panicked(app);
}

#[test]
fn in_on_ping_and_on_pong() {
    for (frame, when) in
        [(Frame::ping("a"), Call::Ping(b"a".into())), (Frame::pong("a"), Call::Pong(b"a".into()))]
    {
        let peer = Peer::start(sees_1011_after(Some(frame)));
        let here = when.clone();
        let app = run_with(peer.app(), panic_at(move |call| *call == here));
        app.expect_open();
        app.expect(when);
        is_panicked(app);
    }
}

#[test]
fn in_a_timer() {
    let peer = Peer::start(sees_1011_after(None));
    let app =
        run_with_timer(peer.app(), Duration::from_millis(1), panic_at(|call| *call == Call::Timer));
    app.expect_open();
    app.expect(Call::Timer);
    is_panicked(app);
}

/// An error that `on_error` has been told of is over by then.
#[test]
fn in_on_message_after_an_error_in_the_one_before_that_came_with_it() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.write([Frame::text("first").encode(), Frame::text("second").encode()].concat());
        client.expect_close_code();
    });
    let app = run_with(peer.app(), |_, call| {
        if *call == Call::text("first") {
            Err("no good")?;
        }
        assert!(*call != Call::text("second"), "as it should");
        Ok(())
    });
    app.expect_open();
    app.expect_text("first");
    app.expect_failure(Failure::Callback("on_message".into(), "no good".into()));
    app.expect_text("second");
    app.expect_failure(Failure::Panicked("as it should".into()));
    app.expect_close(unanswered());
    assert_eq!(app.end(), Err(Failure::Panicked("as it should".into())));
}

#[test]
fn in_on_error_while_open() {
    let peer = Peer::start(sees_1011_after(None));
    let app = run_with(peer.app(), |_, call| match call {
        Call::Open => Err("an error first")?,
        Call::Error(_) => panic!("boom"),
        _ => Ok(()),
    });
    app.expect_open();
    app.expect_failure(Failure::Callback("on_open".into(), "an error first".into()));
    app.expect_close(unanswered());
    assert_eq!(app.end(), Err(Failure::Panicked("boom".into())));
}

#[test]
fn in_on_error_of_a_connection_that_never_opened() {
    let nobody = RefusedPort::new();
    let app =
        run_with(WebSocketApp::new(nobody.url()), panic_at(|call| matches!(call, Call::Error(_))));
    app.failure();
    app.expect_close(lost());
    assert_eq!(app.end(), Err(Failure::Panicked("boom".into())));
}

#[test]
fn in_on_close() {
    let peer = Peer::start(|listener| listener.open().close(1000, ""));
    let app = run_with(peer.app(), panic_at(|call| matches!(call, Call::Close(_))));
    app.expect_open();
    app.expect_close(crate::failure::clean(ClosedBy::Peer, 1000, ""));
    assert_eq!(app.end(), Err(Failure::Panicked("boom".into())));
}

#[test]
fn join_returns_it_too() {
    let peer = Peer::start(sees_1011_after(None));
    let (app, calls) = record(peer.app(), Box::new(panic_at(|call| *call == Call::Open)));
    let app = app.spawn().unwrap();
    calls.expect_open();
    calls.expect_failure(Failure::Panicked("boom".into()));
    calls.expect_close(unanswered());
    assert_eq!(
        within("join", || app.join()).map_err(Failure::from),
        Err(Failure::Panicked("boom".into()))
    );
}

/// The script: the client's next data or Close frame is a Close with 1011, whatever became of a
/// ping.
fn sees_1011_after(frame: Option<Frame>) -> impl FnOnce(&Listener) + Send + 'static {
    move |listener| {
        let mut client = listener.open();
        if let Some(frame) = frame {
            client.send(frame);
        }
        let mut next = client.read_frame();
        if next == Frame::pong("a") {
            next = client.read_frame();
        }
        assert_eq!(next.payload[..2], 1011_u16.to_be_bytes(), "{next:?}");
        client.hang_up();
    }
}

fn panic_at(
    when: impl Fn(&Call) -> bool + Send + 'static,
) -> impl FnMut(&Sender, &Call) -> Result<(), CallbackError> + Send + 'static {
    move |_, call| {
        assert!(!when(call), "boom");
        Ok(())
    }
}

fn is_panicked(app: Running) {
    app.expect_failure(Failure::Panicked("boom".into()));
    app.expect_close(unanswered());
    app.end_given_up();
}
