//! Promise 7: an `Err` from a callback goes to `on_error` right after that callback, and the
//! connection goes on. An `Err` from `on_error` or `on_close` ends the run.

use std::time::Duration;

use websocket_app::{CallbackError, ClosedBy, OwnedMessage, Sender};

use crate::failure::{Failure, clean, ending};
use crate::frame::Frame;
use crate::peer::{Listener, Peer};
use crate::recorder::{Call, Recorder, handler};
use crate::running::{run_handler, run_in_fragments, run_with, run_with_timer};

#[test]
fn in_on_open_on_message_on_ping_and_on_pong() {
    let peer = Peer::start(every_kind);
    let app = run_with(peer.app(), fail);
    sees_every_error(&app);
    app.end_in_order();
}

#[test]
fn in_a_handler() {
    let peer = Peer::start(every_kind);
    let app = run_handler(peer.url(), false, Box::new(fail));
    sees_every_error(&app);
    app.end_in_order();
}

#[test]
fn in_on_fragment() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("a"));
        client.send(Frame::text("b"));
        client.close(1000, "");
    });
    let app = run_in_fragments(peer.app(), fail);
    sees_error_after(&app, "on_open", Call::Open);
    for text in ["a", "b"] {
        let data = OwnedMessage::Text(text.to_owned());
        sees_error_after(&app, "on_fragment", Call::Fragment { data, first: true, last: true });
    }
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn in_a_timer_which_goes_on_too() {
    let peer = Peer::start(|listener| listener.open().answer_close());
    let mut left = 3;
    let app = run_with_timer(peer.app(), Duration::from_millis(1), move |ws, call| {
        if *call != Call::Timer {
            return Ok(());
        }
        left -= 1;
        if left > 0 {
            Err("failed")?;
        }
        ws.close();
        Ok(())
    });
    app.expect_open();
    sees_error_after(&app, "every", Call::Timer);
    sees_error_after(&app, "every", Call::Timer);
    app.expect(Call::Timer);
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn in_on_error_ends_the_run() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("fail"));
        client.skip_to_close();
        client.hang_up();
    });
    let app = run_with(peer.app(), |_, call| match call {
        Call::Message(_) => Err("first")?,
        Call::Error(_) => Err("second")?,
        _ => Ok(()),
    });
    app.expect_open();
    app.expect_text("fail");
    app.expect_failure(Failure::Callback("on_message".into(), "first".into()));
    let Call::Close(close) = app.next() else { panic!("a close is all there is to come") };
    assert_eq!((close.by, close.reconnect_in), (ClosedBy::Us, None));
    assert_eq!(app.end(), Err(Failure::Callback("on_error".into(), "second".into())));
}

#[test]
fn in_on_close_is_the_result_of_the_run() {
    let peer = Peer::start(|listener| listener.open().close(1000, ""));
    let app =
        run_with(
            peer.app(),
            |_, call| if matches!(call, Call::Close(_)) { Err("at last")? } else { Ok(()) },
        );
    app.expect_open();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    assert_eq!(app.end(), Err(Failure::Callback("on_close".into(), "at last".into())));
}

/// Any error type does, and what is lent to a callback may be used with `?`.
#[test]
fn closures_may_return_any_error() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("41"));
        client.expect_text("42");
        client.send(Frame::text("no number"));
        client.close(1000, "");
    });
    let (errors, seen) = crossbeam_channel::unbounded();
    let app = peer
        .app()
        .on_message(|ws, message| -> Result<(), CallbackError> {
            let number: i32 = message.as_text().ok_or("text is expected")?.parse()?;
            Ok(ws.send((number + 1).to_string())?)
        })
        .on_error(move |_, error| errors.send(error.to_string()));
    let close = crate::watchdog::within("run_forever", || app.run_forever()).unwrap();
    assert_eq!(ending(&close), clean(ClosedBy::Peer, 1000, ""));
    let seen: Vec<_> = seen.iter().collect();
    assert!(matches!(seen.as_slice(), [one] if one.contains("invalid digit")), "{seen:?}");
}

/// A handler that returns errors is as good as closures; what is not overridden does nothing.
#[test]
fn a_handlers_fragments() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("whole"));
        client.close(1000, "");
    });
    let (handler, calls) = handler(true, Box::new(|_, _| Ok(())));
    let app = websocket_app::WebSocketApp::with_handler(peer.url(), handler);
    crate::watchdog::within("run_forever", || app.run_forever()).unwrap();
    calls.expect_open();
    assert!(matches!(calls.next(), Call::Fragment { first: true, last: true, .. }));
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
}

fn every_kind(listener: &Listener) {
    let mut client = listener.open();
    for frame in [Frame::ping("i"), Frame::pong("o"), Frame::text("a"), Frame::binary("b")] {
        client.send(frame);
    }
    client.expect(Frame::pong("i"));
    client.close(1000, "");
}

fn fail(_: &Sender, call: &Call) -> Result<(), CallbackError> {
    if matches!(call, Call::Error(_) | Call::Close(_)) { Ok(()) } else { Err("failed")? }
}

fn sees_every_error(calls: &Recorder) {
    let ping_and_pong =
        [("on_ping", Call::Ping(b"i".into())), ("on_pong", Call::Pong(b"o".into()))];
    sees_error_after(calls, "on_open", Call::Open);
    for (callback, call) in ping_and_pong {
        sees_error_after(calls, callback, call);
    }
    sees_error_after(calls, "on_message", Call::text("a"));
    sees_error_after(calls, "on_message", Call::Message(OwnedMessage::Binary(b"b".into())));
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
}

fn sees_error_after(calls: &Recorder, callback: &str, call: Call) {
    calls.expect(call);
    calls.expect_failure(Failure::Callback(callback.into(), "failed".into()));
}
