//! `busy_poll`: spinning changes when things are noticed and not what.

use std::time::Duration;

use websocket_app::{ClosedBy, OwnedMessage, WebSocket};

use crate::failure::clean;
use crate::frame::{CLOSE, Frame, PING};
use crate::peer::Peer;
use crate::running::{run, run_with};

/// Longer than any of these tests.
const SPIN: Duration = Duration::from_secs(600);

#[test]
fn messages_timers_and_other_threads_are_noticed_while_spinning() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("hello"));
        client.expect_text("hello");
        let mut told = false;
        loop {
            let frame = client.read_frame();
            match frame.opcode {
                PING => client.send(Frame::pong(frame.payload)),
                CLOSE => break,
                _ => told = frame == Frame::text("from another thread"),
            }
        }
        assert!(told, "nothing came from another thread");
        client.send(Frame::close(1000, ""));
    });
    let app = peer.app().busy_poll(SPIN).ping_interval(Duration::from_millis(50));
    let app = run_with(app, |ws, call| match call {
        crate::recorder::Call::Message(message) => Ok(ws.send(message.as_message())?),
        _ => Ok(()),
    });
    app.expect_open();
    app.expect_text("hello");
    assert!(matches!(app.next(), crate::recorder::Call::Pong(_)));
    app.sender.send("from another thread").unwrap();
    app.sender.close();
    loop {
        match app.next() {
            crate::recorder::Call::Pong(_) => {}
            crate::recorder::Call::Close(close) => {
                assert!(close.clean && close.by == ClosedBy::Us, "{close:?}");
                break;
            }
            call => panic!("{call:?}"),
        }
    }
    app.end_in_order();
}

#[test]
fn a_loop_that_spun_for_an_app_sleeps_when_that_is_gone() {
    let peer = Peer::start(|listener| {
        listener.open().close(1000, "");
        let client = listener.open();
        client.answer_close();
    });
    let event_loop = websocket_app::EventLoop::new().unwrap();
    let spinning = event_loop.add(peer.app().busy_poll(SPIN)).unwrap();
    assert_eq!(spinning.join().unwrap().code, 1000);
    let other = run(peer.app());
    other.expect_open();
    other.sender.close();
    other.expect_close(clean(ClosedBy::Us, 1000, ""));
    other.end_in_order();
    event_loop.join().unwrap();
}

#[test]
fn the_blocking_client_may_spin_too() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("go");
        client.send(Frame::text("hello"));
        client.answer_close();
    });
    let mut ws = WebSocket::builder(peer.url()).busy_poll(SPIN).connect().unwrap();
    assert_eq!(ws.recv_timeout(Duration::from_millis(20)).unwrap(), None);
    ws.send("go").unwrap();
    assert_eq!(ws.recv().unwrap(), OwnedMessage::Text("hello".into()));
    assert!(ws.close().unwrap().clean);
}
