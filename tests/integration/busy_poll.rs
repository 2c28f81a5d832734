//! `busy_poll`: spinning changes when things are noticed and not what.

use std::time::Duration;

use websocket_app::{ClosedBy, OwnedMessage, WebSocket};

use crate::failure::clean;
use crate::frame::{CLOSE, Frame, PING};
use crate::peer::Peer;
use crate::running::run_with;

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

/// Counted by what processor time the threads use, and not by how soon anything is noticed.
#[cfg(target_os = "linux")]
mod on_the_processor {
    use crossbeam_channel::bounded;
    use websocket_app::{EventLoop, WebSocketApp};

    use super::*;
    use crate::many::{Added, add, add_with, echo_peer, join};
    use crate::observed::Observed;
    use crate::recorder::Call;
    use crate::watchdog::{PATIENCE, Task};

    /// Adds an app, and gives the thread that its loop runs on.
    fn add_observed(event_loop: &EventLoop, app: WebSocketApp) -> (Added, Observed) {
        let (tell, told) = bounded(1);
        let app = add_with(event_loop, app, move |_, call| match call {
            Call::Open => Ok(tell.send(Observed::current())?),
            _ => Ok(()),
        });
        app.expect_open();
        (app, told.recv_timeout(PATIENCE).unwrap())
    }

    #[test]
    fn a_loop_spins_as_long_as_one_of_its_apps_asks_for_it_and_then_sleeps() {
        let peer = echo_peer(4);
        let event_loop = EventLoop::new().unwrap();
        let (quiet, thread) = add_observed(&event_loop, peer.app());
        thread.sleeps();
        let spinning = [(); 2].map(|()| add_observed(&event_loop, peer.app().busy_poll(SPIN)).0);
        thread.spins();
        let [first, second] = spinning;
        // One is left that asks for it.
        first.close();
        thread.spins();
        // A longer time counts, and not the latest.
        let brief = add(&event_loop, peer.app().busy_poll(Duration::from_micros(1)));
        brief.expect_open();
        thread.spins();
        // None of those is left.
        brief.close();
        second.close();
        thread.sleeps();
        quiet.echoes("it still works");
        quiet.close();
        join(event_loop);
    }

    #[test]
    fn a_loop_without_any_app_sleeps() {
        let peer = echo_peer(1);
        let event_loop = EventLoop::new().unwrap();
        let (app, thread) = add_observed(&event_loop, peer.app().busy_poll(SPIN));
        thread.spins();
        app.close();
        thread.sleeps();
        join(event_loop);
    }

    #[test]
    fn an_app_with_a_loop_of_its_own_spins() {
        let peer = Peer::start(|listener| listener.open().answer_close());
        let (tell, told) = bounded(1);
        let app = run_with(peer.app().busy_poll(SPIN), move |_, call| match call {
            Call::Open => Ok(tell.send(Observed::current())?),
            _ => Ok(()),
        });
        app.expect_open();
        told.recv_timeout(PATIENCE).unwrap().spins();
        app.sender.close();
        app.expect_close(clean(ClosedBy::Us, 1000, ""));
        app.end_in_order();
    }

    #[test]
    fn a_blocking_client_spins_while_it_waits_for_a_message() {
        for (spin, spins) in [(SPIN, true), (Duration::ZERO, false)] {
            let peer = Peer::start(|listener| {
                let mut client = listener.open();
                client.expect_text("go");
                client.send(Frame::text("hello"));
                client.answer_close();
            });
            let mut ws = WebSocket::builder(peer.url()).busy_poll(spin).connect().unwrap();
            let (sender, (tell, told)) = (ws.sender(), bounded(1));
            let receiving = Task::start("recv", move || {
                tell.send(Observed::current()).unwrap();
                assert_eq!(ws.recv().unwrap(), OwnedMessage::Text("hello".into()));
                assert!(ws.close().unwrap().clean);
            });
            let thread: Observed = told.recv_timeout(PATIENCE).unwrap();
            if spins {
                thread.spins()
            } else {
                thread.sleeps()
            }
            sender.send("go").unwrap();
            receiving.join();
        }
    }
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
