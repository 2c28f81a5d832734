//! What ends a run whatever the policy says: a panic in any callback, an error or panic in
//! `on_error` and `on_close`.

use websocket_app::{CallbackError, ClosedBy, Phase, Sender, WebSocketApp};

use super::{late, see_off, soon};
use crate::failure::{Failure, ending, lost};
use crate::frame::Frame;
use crate::peer::{Peer, RefusedPort};
use crate::recorder::Call;
use crate::running::{Running, run_with};

#[test]
fn a_panic_in_a_callback_is_not_followed_by_another_connection() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("panic"));
        assert_eq!(client.expect_close_code(), 1011);
        drop(client);
        listener.saw_nobody_else();
    });
    let app = run_with(peer.app().reconnect(soon()), panic_at(|call| *call == Call::text("panic")));
    app.expect_open();
    app.expect_text("panic");
    is_ended_by_panic(app, true);
}

#[test]
fn a_panic_in_on_reconnect() {
    let peer = Peer::start(|listener| {
        drop(listener.open());
        let mut client = listener.open();
        assert_eq!(client.expect_close_code(), 1011);
        drop(client);
        listener.saw_nobody_else();
    });
    let app = run_with(peer.app().reconnect(soon()), panic_at(|call| *call == Call::Reconnect));
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    is_ended_by_panic(app, true);
}

#[test]
fn a_panic_after_asking_for_another_connection() {
    let peer = Peer::start(|listener| see_off(listener.open()));
    let app = run_with(peer.app().reconnect(soon()), |ws, call| {
        if *call == Call::Open {
            ws.reconnect();
            panic!("on purpose");
        }
        Ok(())
    });
    app.expect_open();
    app.expect_failure(Failure::Panicked("on purpose".into()));
    // A panic takes its time, and what was asked for may have begun before it was over.
    let mut close = app.close();
    if close.reconnect_in.is_some() {
        assert_eq!(close.by, ClosedBy::Us);
        close = app.close();
    }
    assert_eq!((close.reconnect_in, close.attempt), (None, 0));
    assert_eq!(app.end(), Err(Failure::Panicked("on purpose".into())));
}

#[test]
fn a_panic_in_on_error_of_a_lost_connection() {
    let peer = Peer::start(|listener| {
        drop(listener.open());
        listener.saw_nobody_else();
    });
    let app =
        run_with(peer.app().reconnect(late()), panic_at(|call| matches!(call, Call::Error(_))));
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    is_ended_by_panic(app, false);
}

#[test]
fn a_panic_in_on_close_while_waiting() {
    let peer = Peer::start(|listener| {
        drop(listener.open());
        listener.saw_nobody_else();
    });
    let waits = |call: &Call| matches!(call, Call::Close(close) if close.reconnect_in.is_some());
    let app = run_with(peer.app().reconnect(late()), panic_at(waits));
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    is_ended_by_panic(app, false);
}

#[test]
fn a_panic_or_an_error_in_on_error_of_a_failed_attempt() {
    let nobody = RefusedPort::new();
    let app = run_with(
        WebSocketApp::new(nobody.url()).reconnect(late()),
        panic_at(|call| matches!(call, Call::Error(_))),
    );
    app.failed_attempt(1);
    is_ended_by_panic(app, false);

    let app = run_with(WebSocketApp::new(nobody.url()).reconnect(late()), |_, call| match call {
        Call::Error(_) => Err("enough".into()),
        _ => Ok(()),
    });
    app.failed_attempt(1);
    assert_eq!(app.close().by, ClosedBy::Us);
    assert_eq!(app.end(), Err(Failure::Callback("on_error".into(), "enough".into())));
}

#[test]
fn an_error_in_a_callback_ends_nothing() {
    let peer = Peer::start(|listener| {
        drop(listener.open());
        listener.open().answer_close();
    });
    let app = run_with(peer.app().reconnect(soon()), |ws, call| match call {
        Call::Open => Err("not ready".into()),
        Call::Reconnect => {
            ws.close();
            Err("not ready again".into())
        }
        _ => Ok(()),
    });
    app.expect_open();
    app.expect_failure(Failure::Callback("on_open".into(), "not ready".into()));
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    let callback = "on_reconnect";
    app.expect_failure(Failure::Callback(callback.into(), "not ready again".into()));
    assert_eq!(app.close().reconnect_in, None);
    app.end_in_order();
}

fn panic_at(
    wanted: fn(&Call) -> bool,
) -> impl FnMut(&Sender, &Call) -> Result<(), CallbackError> + Send + 'static {
    let mut panicked = false;
    move |_, call| {
        if wanted(call) && !panicked {
            panicked = true;
            panic!("on purpose");
        }
        Ok(())
    }
}

/// `on_error`, unless that was what panicked or there was no connection, then the last `on_close`.
fn is_ended_by_panic(app: Running, reported: bool) {
    if reported {
        app.expect_failure(Failure::Panicked("on purpose".into()));
    }
    let close = app.close();
    assert_eq!((close.reconnect_in, close.attempt), (None, 0));
    assert_eq!(ending(&close).code, 1006);
    assert_eq!(app.end(), Err(Failure::Panicked("on purpose".into())));
}
