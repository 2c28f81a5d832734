//! Promise 4, of an open connection: reset, EOF without Close, half a frame: `on_error` first. The protocol's violations are
//! in `protocol`, the dead peers in `keepalive`.

use std::time::Duration;

use websocket_app::{ClosedBy, Phase, SendError};

use crate::connection::Connection;
use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::running::run;
use crate::watchdog::{Gate, Task};

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
        std::iter::repeat_with(|| ws.send(vec![0; 1 << 14])).find_map(Result::err).expect("it ends only by an error")
    });
    full.open();
    let error = waiting.join();
    assert!(matches!(error, SendError::NotConnected { message: Some(_) }), "{error:?}");
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close(lost());
    app.end_given_up();
}

fn is_a_lost_connection(then: impl FnOnce(Connection) + Send + 'static) {
    let peer = Peer::start(|listener| then(listener.open()));
    let app = run(peer.app());
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close(lost());
    app.end_given_up();
}
