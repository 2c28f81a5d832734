//! Promise 6, of an open connection: `close()` works in every callback and from any thread, queued
//! messages go out before the Close frame, and messages that arrive before the peer's Close are
//! still delivered.

use std::time::Duration;

use websocket_app::{CallbackError, ClosedBy, SendError, Sender, State, WebSocketApp};

use crate::failure::{clean, lost};
use crate::frame::Frame;
use crate::peer::{Listener, Peer, RefusedPort};
use crate::recorder::Call;
use crate::running::{Running, run, run_in_fragments, run_with, run_with_timer};
use crate::watchdog::Gate;

#[test]
fn in_on_open() {
    let peer = Peer::start(|listener| listener.open().answer_close());
    let app = run_with(peer.app(), close_if(|call| *call == Call::Open));
    app.expect_open();
    is_closed_by_us(app);
}

#[test]
fn in_on_message() {
    closes_at(Frame::text("stop"), Call::text("stop"));
}

#[test]
fn in_on_fragment() {
    let peer = Peer::start(sends_then_answers_close(Frame::text("stop").unfinished()));
    let app = run_in_fragments(peer.app(), close_if(|call| matches!(call, Call::Fragment { .. })));
    app.expect_open();
    assert!(matches!(app.next(), Call::Fragment { first: true, last: false, .. }));
    is_closed_by_us(app);
}

#[test]
fn in_on_ping_and_on_pong() {
    // The Close may go before the ping's pong or after it, and a pong may be left out then.
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::ping("stop"));
        while client.read_frame() != Frame::close(1000, "") {}
        client.send(Frame::close(1000, ""));
    });
    let app = run_with(peer.app(), close_if(|call| matches!(call, Call::Ping(_))));
    app.expect_open();
    app.expect(Call::Ping(b"stop".into()));
    is_closed_by_us(app);

    closes_at(Frame::pong("stop"), Call::Pong(b"stop".into()));
}

#[test]
fn in_on_error_after_a_callbacks_error() {
    let peer = Peer::start(|listener| listener.open().answer_close());
    let app = run_with(peer.app(), |ws, call| {
        if matches!(call, Call::Error(_)) {
            ws.close();
        }
        if *call == Call::Open { Err("failed")? } else { Ok(()) }
    });
    app.expect_open();
    app.failure();
    is_closed_by_us(app);
}

#[test]
fn in_on_error_and_on_close_when_it_is_over_anyway() {
    let nobody = RefusedPort::new();
    let app = run_with(WebSocketApp::new(nobody.url()), |ws, _| {
        ws.close();
        Ok(())
    });
    app.failure();
    app.expect_close(lost());
    app.end_given_up();

    let peer = Peer::start(|listener| listener.open().close(1000, "first"));
    let app = run_with(peer.app(), close_if(|call| matches!(call, Call::Close(_))));
    app.expect_open();
    app.expect_close(clean(ClosedBy::Peer, 1000, "first"));
    app.end_in_order();
}

#[test]
fn in_a_timer() {
    let peer = Peer::start(|listener| listener.open().answer_close());
    let app =
        run_with_timer(peer.app(), Duration::from_millis(1), close_if(|call| *call == Call::Timer));
    app.expect_open();
    app.expect(Call::Timer);
    is_closed_by_us(app);
}

#[test]
fn from_another_thread_again_and_again_and_after_the_run() {
    let peer = Peer::start(|listener| listener.open().answer_close());
    let app = run(peer.app());
    app.expect_open();
    let sender = app.sender.clone();
    (0..3).for_each(|_| sender.close());
    is_closed_by_us(app);
    sender.close();
    assert_eq!(sender.state(), State::Closed);
}

#[test]
fn queued_messages_go_out_before_the_close_frame() {
    let read_now = Gate::new();
    goes_out_first(Peer::start(reads_the_queue(read_now.clone())), &read_now);
}

#[cfg(feature = "__tls")]
#[test]
fn queued_messages_go_out_before_the_close_frame_over_tls() {
    crate::tls::on_each(|backend| {
        let read_now = Gate::new();
        goes_out_first(Peer::start_tls(backend, reads_the_queue(read_now.clone())), &read_now);
    });
}

const QUEUED: usize = 64;

fn reads_the_queue(read_now: Gate) -> impl FnOnce(&Listener) + Send + 'static {
    move |listener| {
        let mut client = listener.open();
        read_now.wait();
        (0..QUEUED).for_each(|i| client.expect(Frame::binary(vec![i as u8; 1 << 17])));
        client.answer_close();
    }
}

/// Eight MiB, of which the kernel takes the half.
fn goes_out_first(peer: Peer, read_now: &Gate) {
    let app = run(peer.app());
    app.expect_open();
    (0..QUEUED).for_each(|i| app.sender.send(vec![i as u8; 1 << 17]).unwrap());
    app.sender.close();
    assert_eq!(app.sender.state(), State::Closing);
    let refused = app.sender.send("too late".to_owned());
    assert!(matches!(refused, Err(SendError::NotConnected { message: Some(_) })), "{refused:?}");
    read_now.open();
    is_closed_by_us(app);
}

#[test]
fn messages_before_the_peers_close_are_still_delivered() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::close(1000, ""));
        (0..10).for_each(|i| client.send(Frame::text(i.to_string())));
        client.send(Frame::close(1000, ""));
    });
    let app = run(peer.app());
    app.expect_open();
    app.sender.close();
    (0..10).for_each(|i| app.expect_text(&i.to_string()));
    is_closed_by_us(app);
}

#[test]
fn nothing_is_sent_after_close() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::close(1000, ""));
        client.send(Frame::ping("not to be answered"));
        client.send(Frame::close(1000, ""));
        client.hang_up();
    });
    let app = run_with(peer.app(), |ws, call| {
        ws.close();
        let refused = [ws.send("late"), ws.try_send("late"), ws.ping("late"), ws.pong("late")];
        assert!(refused.iter().all(Result::is_err), "{call:?}: {refused:?}");
        Ok(())
    });
    app.expect_open();
    app.expect(Call::Ping(b"not to be answered".into()));
    is_closed_by_us(app);
}

fn close_if(
    is_it: impl Fn(&Call) -> bool + Send + 'static,
) -> impl FnMut(&Sender, &Call) -> Result<(), CallbackError> + Send + 'static {
    move |ws, call| {
        if is_it(call) {
            ws.close();
        }
        Ok(())
    }
}

fn sends_then_answers_close(frame: Frame) -> impl FnOnce(&Listener) + Send + 'static {
    move |listener| {
        let mut client = listener.open();
        client.send(frame);
        client.answer_close();
    }
}

/// Closes when the peer sends this frame, which is delivered as this call.
fn closes_at(frame: Frame, when: Call) {
    let peer = Peer::start(sends_then_answers_close(frame));
    let expected = when.clone();
    let app = run_with(peer.app(), close_if(move |call| *call == expected));
    app.expect_open();
    app.expect(when);
    is_closed_by_us(app);
}

fn is_closed_by_us(app: Running) {
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}
