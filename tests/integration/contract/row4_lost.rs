//! Promise 4, of an open connection: reset, EOF without Close, half a frame: `on_error` first. The
//! protocol's violations are in `protocol`, the dead peers in `keepalive`.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use websocket_app::{ClosedBy, Error, Phase, SendError, WebSocket};

use crate::connection::Connection;
use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::running::run;
use crate::watchdog::{Gate, PATIENCE, Task, wait_until, within};

#[test]
fn a_close_frame_is_no_error() {
    let peer = Peer::start(|listener| listener.open().close(1011, "the server's own trouble"));
    let app = run(peer.app());
    app.expect_open();
    app.expect_close(clean(ClosedBy::Peer, 1011, "the server's own trouble"));
    app.end_in_order();
}

#[test]
fn a_reset() {
    is_a_lost_connection(Connection::reset);
}

#[test]
fn the_end_of_the_stream_without_a_close_frame() {
    is_a_lost_connection(drop);
    is_a_lost_connection(|client| {
        client.end_stream();
        client.stay_silent();
    });
}

#[test]
fn half_a_frame_then_the_end() {
    is_a_lost_connection(|mut client| client.write(&Frame::text("cut off").encode()[..5]));
    is_a_lost_connection(|mut client| client.write(&Frame::text("x".repeat(1000)).encode()[..3]));
    is_a_lost_connection(|mut client| client.write(&Frame::close(1000, "cut off").encode()[..3]));
}

#[test]
fn half_a_message_then_the_end() {
    is_a_lost_connection(|mut client| client.send(Frame::text("to be continued").unfinished()));
}

#[test]
fn a_reset_ends_a_send_that_waits_for_room() {
    let full = Gate::new();
    let reset = full.clone();
    let peer = Peer::start(move |listener| {
        let client = listener.open();
        reset.wait();
        client.reset();
    });
    let app = run(peer.app().max_send_buffer(1 << 16).send_timeout(Duration::from_secs(3600)));
    app.expect_open();
    while app.sender.try_send([0; 1 << 14]).is_ok() {}
    let ws = app.sender.clone();
    let waiting = Task::start("a send that waits", move || {
        std::iter::repeat_with(|| ws.send(vec![0; 1 << 14]))
            .find_map(Result::err)
            .expect("it ends only by an error")
    });
    full.open();
    let error = waiting.join();
    assert!(matches!(error, SendError::NotConnected { message: Some(_) }), "{error:?}");
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close(lost());
    app.end_given_up();
}

/// The operating system tells a cause once, here to the write, while reading is paused; what the
/// read says after that is no more than that the stream has ended.
#[test]
fn a_reset_that_a_write_was_told_of_is_the_cause() {
    let (busy, reset, sent) = (Gate::new(), Gate::new(), Gate::new());
    let (is_busy, is_reset, was_sent) = (busy.clone(), reset.clone(), sent.clone());
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.send(Frame::text("work"));
        is_busy.wait();
        client.send(Frame::text("fills the buffer"));
        client.expect_text("is read");
        client.reset();
        reset.open();
    });
    let (causes, cause) = crossbeam_channel::unbounded();
    let app = peer.app().max_receive_buffer(1).on_error(move |_, error| causes.send(kind(error)));
    let app = app.on_message(move |ws, message| {
        if message.as_text() == Some("work") {
            busy.open();
            // The stand-in has read it, so it reads no more; the end of the stream it does not see.
            wait_until("the other message waits", || ws.stats().messages_received == 2);
            ws.send("is read").unwrap();
            was_sent.wait();
        }
    });
    let app = app.spawn().unwrap();
    is_reset.wait();
    app.sender().send("fails").unwrap();
    sent.open();
    assert_eq!(cause.recv_timeout(PATIENCE), Ok(Some(io::ErrorKind::ConnectionReset)));
    assert_eq!(
        within("the run", || app.join()).map_err(|error| kind(&error)),
        Err(Some(io::ErrorKind::ConnectionReset))
    );
}

#[test]
fn a_reset_that_a_blocking_connections_write_was_told_of_is_the_cause() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("is read");
        client.reset();
    });
    let mut ws = WebSocket::connect(peer.url()).unwrap();
    ws.send("is read").unwrap();
    drop(peer);
    // It is over by now; some of these may be the first to be told.
    let _refused = ws.send("fails");
    let _refused = ws.send("fails");
    let error = within("the next message", move || ws.recv()).unwrap_err();
    assert_eq!(kind(&error), Some(io::ErrorKind::ConnectionReset));
}

/// What the operating system said.
fn kind(error: &Error) -> Option<io::ErrorKind> {
    error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind)
}

fn is_a_lost_connection(then: impl FnOnce(Connection) + Send + 'static) {
    let peer = Peer::start(|listener| then(listener.open()));
    let app = run(peer.app());
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close(lost());
    app.end_given_up();
}
