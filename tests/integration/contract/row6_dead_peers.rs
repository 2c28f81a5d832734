//! Promise 6, of peers that do not play along: `on_close` comes within `close_timeout` however dead
//! the peer is, also when nothing can be sent any more. Whatever the peer does then, no `on_error`
//! is called, and the run's result is `Ok`.

use std::time::Duration;

use websocket_app::{ClosedBy, SendError, Sender, State, WebSocketApp};

use crate::connection::Connection;
use crate::failure::{clean, ending, unanswered};
use crate::frame::Frame;
use crate::peer::{Listener, Peer};
use crate::recorder::Call;
use crate::running::{Running, run, run_with};
use crate::watchdog::Task;

/// Short, because it is waited for. The default is as long as a test's patience, so that ignoring
/// this fails.
const TIMEOUT: Duration = Duration::from_millis(200);

#[test]
fn a_peer_that_ignores_close() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::close(1000, ""));
        client.stay_silent();
    });
    let app = run(peer.app().close_timeout(TIMEOUT));
    app.expect_open();
    app.sender.close();
    is_given_up(app);
}

#[test]
fn a_peer_that_ends_the_stream_instead_of_answering() {
    for ending in [drop, Connection::reset] {
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            client.expect(Frame::close(1000, ""));
            ending(client);
        });
        let app = run(peer.app());
        app.expect_open();
        app.sender.close();
        app.expect_close(unanswered());
        app.end_in_order();
    }
}

#[test]
fn a_peer_that_sends_no_frame_instead_of_answering() {
    for instead in [Frame::text("not a frame").rsv(0b111), Frame::text("not a server's").masked()] {
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            client.expect(Frame::close(1000, ""));
            client.send(Frame::text("fine"));
            client.send(instead);
            client.hang_up();
        });
        let app = run(peer.app());
        app.expect_open();
        app.sender.close();
        app.expect_text("fine");
        app.expect_close(unanswered());
        app.end_in_order();
    }
}

/// Nothing that it could send would be an answer any more, so it is not waited for.
#[test]
fn a_peer_that_sends_no_frame_instead_of_answering_and_stays() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::close(1000, ""));
        client.send(Frame::text("not a frame").rsv(0b111));
        client.stay_silent();
    });
    let app = run(peer.app().close_timeout(Duration::from_secs(3600)));
    app.expect_open();
    app.sender.close();
    app.expect_close(unanswered());
    app.end_in_order();
}

/// Text is looked at when it is handed out.
#[test]
fn a_peer_that_sends_bad_text_instead_of_answering() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::close(1000, ""));
        client.send(Frame::text([0xff]));
        client.hang_up();
    });
    let app = run(peer.app());
    app.expect_open();
    app.sender.close();
    app.expect_close(unanswered());
    app.end_in_order();
}

/// Nor is what it did before, of which callbacks would hear only now.
#[test]
fn a_peer_whose_violation_is_met_after_close() {
    for violation in [Frame::text([0xff]), Frame::text("").rsv(0b111)] {
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            client.write([Frame::text("last").encode(), violation.encode()].concat());
            client.stay_silent();
        });
        let app = run_with(peer.app(), |ws, call| {
            if *call == Call::text("last") {
                ws.close();
            }
            Ok(())
        });
        app.expect_open();
        app.expect_text("last");
        app.expect_close(unanswered());
        app.end_in_order();
    }
}

#[test]
fn a_peer_that_sends_garbage_behind_its_answer() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::close(1000, ""));
        client.write([Frame::close(1000, "").encode(), b"not a frame".into()].concat());
        client.hang_up();
    });
    let app = run(peer.app());
    app.expect_open();
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_peer_that_ignores_close_and_goes_on_talking() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::close(1000, ""));
        while client.try_write(Frame::binary([7; 4096]).encode()).is_ok() {}
    });
    let app = run(peer.app().close_timeout(TIMEOUT));
    app.expect_open();
    app.sender.close();
    loop {
        match app.next() {
            Call::Message(message) => assert_eq!(message.as_message().len(), 4096),
            Call::Close(close) => break assert_eq!(ending(&close), unanswered()),
            call => panic!("{call:?}"),
        }
    }
    app.end_in_order();
}

#[test]
fn a_peer_that_stops_reading() {
    let peer = Peer::start(stops_reading);
    let app = run(small_queue(&peer));
    app.expect_open();
    fill(&app.sender);
    app.sender.close();
    is_given_up(app);
}

#[cfg(feature = "__tls")]
#[test]
fn a_peer_that_stops_reading_tls() {
    crate::tls::on_each(|backend| {
        let peer = Peer::start_tls(backend, stops_reading);
        let app = run(small_queue(&peer));
        app.expect_open();
        fill(&app.sender);
        app.sender.close();
        is_given_up(app);
    });
}

#[test]
fn a_peer_that_stops_in_the_middle_of_a_frame() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.write(Frame::text([]).head(1000));
        client.expect(Frame::close(1000, ""));
        client.stay_silent();
    });
    let app = run(peer.app().close_timeout(TIMEOUT));
    app.expect_open();
    app.sender.close();
    is_given_up(app);
}

#[test]
fn close_wakes_a_send_that_waits_for_room() {
    let peer = Peer::start(stops_reading);
    let app = run(small_queue(&peer).send_timeout(Duration::from_secs(3600)));
    app.expect_open();
    let ws = app.sender.clone();
    let stuck = Task::start("a send that waits", move || {
        loop {
            if let Err(e) = ws.send(vec![0; 1 << 14]) {
                return e;
            }
        }
    });
    fill(&app.sender);
    app.sender.close();
    let error = stuck.join();
    assert!(matches!(error, SendError::NotConnected { message: Some(_) }), "{error:?}");
    is_given_up(app);
}

#[test]
fn close_in_a_callback_after_filling_the_queue() {
    let peer = Peer::start(stops_reading);
    let app = run_with(small_queue(&peer), |ws, call| {
        if *call == Call::Open {
            fill(ws);
            ws.close();
        }
        Ok(())
    });
    app.expect_open();
    is_given_up(app);
}

#[test]
fn abort_does_not_wait_for_anything() {
    let peer = Peer::start(stops_reading);
    let app = run(peer.app().max_send_buffer(1 << 16).close_timeout(Duration::from_secs(3600)));
    app.expect_open();
    fill(&app.sender);
    app.sender.close();
    app.sender.abort();
    app.expect_close(unanswered());
    app.end_in_order();
}

/// Also where nobody has taken note of it yet.
#[test]
fn nothing_is_sent_after_abort() {
    let peer = Peer::start(|listener| listener.open().stay_silent());
    let app = run_with(peer.app(), |ws, call| {
        if *call == Call::Open {
            ws.abort();
            assert_eq!(ws.state(), State::Closing);
            assert_eq!(ws.send("x"), Err(SendError::NotConnected { message: None }));
        }
        Ok(())
    });
    app.expect_open();
    app.expect_close(unanswered());
    app.end_in_order();
}

fn stops_reading(listener: &Listener) {
    let _not_read = listener.open();
    listener.wait_for_the_test();
}

fn small_queue(peer: &Peer) -> WebSocketApp {
    peer.app().max_send_buffer(1 << 16).close_timeout(TIMEOUT)
}

/// Sends until neither the kernel nor the queue takes any more.
fn fill(ws: &Sender) {
    while ws.try_send([0; 1 << 14]).is_ok() {}
}

fn is_given_up(app: Running) {
    app.expect_close(unanswered());
    app.end_in_order();
}
