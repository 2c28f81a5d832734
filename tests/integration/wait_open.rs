//! `Sender::wait_open`: waits for the connection, whatever is before it, and tells never from late.

use std::time::Duration;

use websocket_app::{ClosedBy, Reconnect, SendError, Sender, State, WebSocket, WebSocketApp};

use crate::connection::Connection;
use crate::failure::{Failure, clean, lost, unanswered};
use crate::frame::Frame;
#[cfg(target_os = "linux")]
use crate::observed::Observed;
use crate::peer::{Bystander, FullBacklog, Listener, Peer, RefusedPort};
use crate::recorder::Call;
use crate::running::{run, run_with};
use crate::watchdog::{Gate, PATIENCE, Task, wait_until, within};

const HOUR: Duration = Duration::from_secs(3600);
const NEVER: Result<(), SendError> = Err(SendError::NotConnected { message: None });

/// Threads that wait, and are asleep by now where the system tells.
fn waiting(ws: &Sender) -> [Task<Result<(), SendError>>; 2] {
    [(); 2].map(|()| {
        let (ws, (tell, told)) = (ws.clone(), crossbeam_channel::bounded(1));
        let waits = Task::start("wait_open", move || {
            #[cfg(target_os = "linux")]
            tell.send(Observed::current()).unwrap();
            #[cfg(not(target_os = "linux"))]
            tell.send(()).unwrap();
            ws.wait_open(HOUR)
        });
        let _thread = told.recv_timeout(PATIENCE).unwrap();
        #[cfg(target_os = "linux")]
        _thread.sleeps();
        waits
    })
}

#[test]
fn from_before_the_run_until_it_is_open() {
    let answer = Gate::new();
    let may_answer = answer.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.accept();
        may_answer.wait();
        client.upgrade();
        for _ in 0..2 {
            client.expect_text("open");
        }
        client.answer_close();
    });
    let app = peer.app();
    let early = waiting(&app.sender());
    // Nor does it depend on what a callback does.
    let told = Gate::new();
    let is_told = told.clone();
    let app = run_with(app, move |_, call| {
        if *call == Call::Open {
            is_told.wait();
        }
        Ok(())
    });
    wait_until("it connects", || app.sender.state() == State::Connecting);
    let later = waiting(&app.sender);
    answer.open();
    app.expect_open();
    for waits in early.into_iter().chain(later) {
        assert_eq!(waits.join(), Ok(()));
    }
    told.open();
    assert_eq!(app.sender.wait_open(Duration::ZERO), Ok(()));
    (0..2).for_each(|_| app.sender.send("open").unwrap());
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn while_it_waits_to_connect_again() {
    let peer = Peer::start(|listener| {
        listener.open().reset();
        listener.open().answer_close();
    });
    let app = run(peer.app().reconnect(Reconnect::fixed(HOUR)));
    app.expect_open();
    app.failure();
    app.expect_close_for_now(lost());
    let waits = waiting(&app.sender);
    app.sender.reconnect();
    app.expect_reconnect();
    for waits in waits {
        assert_eq!(waits.join(), Ok(()));
    }
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn no_longer_than_it_is_to() {
    let silent = FullBacklog::new();
    let app = run(WebSocketApp::new(silent.url()).connect_timeout(HOUR));
    for after in [Duration::from_millis(30), Duration::ZERO] {
        let late = SendError::NotInTime { what: "an open connection", after };
        assert_eq!(app.sender.wait_open(after), Err(late));
    }
    app.sender.close();
    app.expect_close(unanswered());
    app.end_in_order();
}

#[test]
fn never_is_told_at_once() {
    // Dropped without a run, and refused one.
    let nobody = Bystander::new();
    for ends in [drop as fn(WebSocketApp), |app| drop(app.max_receive_buffer(0).run_forever())] {
        let app = WebSocketApp::new(format!("ws://{}/", nobody.addr()));
        let (ws, waits) = (app.sender(), waiting(&app.sender()));
        ends(app);
        for waits in waits {
            assert_eq!(waits.join(), NEVER);
        }
        assert_eq!(ws.wait_open(HOUR), NEVER);
    }
    nobody.saw_nobody();

    // Closed before the run, though that may still begin.
    let silent = FullBacklog::new();
    let app = WebSocketApp::new(silent.url());
    let waits = waiting(&app.sender());
    app.sender().close();
    waits.into_iter().for_each(|waits| assert_eq!(waits.join(), NEVER));

    // Closed and cut off while it connects.
    for end in [Sender::close, Sender::abort] {
        let app = run(WebSocketApp::new(silent.url()).connect_timeout(HOUR));
        let waits = waiting(&app.sender);
        end(&app.sender);
        waits.into_iter().for_each(|waits| assert_eq!(waits.join(), NEVER));
        app.expect_close(unanswered());
        app.end_in_order();
    }

    // Given up.
    let refused = RefusedPort::new();
    let app = WebSocketApp::new(refused.url());
    let (ws, waits) = (app.sender(), waiting(&app.sender()));
    let app = run(app);
    app.failure();
    app.expect_close(lost());
    waits.into_iter().for_each(|waits| assert_eq!(waits.join(), NEVER));
    app.end_given_up();
    assert_eq!(ws.wait_open(HOUR), NEVER);
}

/// It only says how it is: the connection would come to the thread that waits for it.
#[test]
fn not_in_a_callback() {
    let peer = Peer::start(|listener| {
        listener.open().reset();
        listener.open().answer_close();
    });
    let (tell, told) = crossbeam_channel::unbounded();
    let soon = Reconnect::fixed(Duration::from_millis(1));
    let app = run_with(peer.app().reconnect(soon), move |ws, call| {
        if matches!(call, Call::Open | Call::Close(_)) {
            tell.send(ws.wait_open(HOUR))?;
        }
        Ok(())
    });
    let next = || told.recv_timeout(PATIENCE).expect("a callback never waits");
    app.expect_open();
    assert_eq!(next(), Ok(()));
    assert!(matches!(app.failure(), Failure::Network(_)));
    app.expect_close_for_now(lost());
    let not_yet = next();
    // It may be open by then.
    if not_yet.is_err() {
        let after = Duration::ZERO;
        assert_eq!(not_yet, Err(SendError::NotInTime { what: "an open connection", after }));
    }
    app.expect_reconnect();
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    assert_eq!(next(), NEVER);
    app.end_in_order();
}

#[test]
fn a_blocking_connection_is_open_until_it_closes() {
    let ends: [fn(&Listener); 2] = [
        |listener| listener.open().answer_close(),
        |listener| {
            let mut client: Connection = listener.open();
            client.send(Frame::close(4000, ""));
            client.skip_to_close();
        },
    ];
    for (end, by_peer) in ends.into_iter().zip([false, true]) {
        let peer = Peer::start(end);
        let mut ws = WebSocket::builder(peer.url()).tls(peer.tls()).connect().unwrap();
        let sender = ws.sender();
        if by_peer {
            ws = within("recv", move || {
                assert!(ws.recv().is_err());
                ws
            });
        } else {
            assert_eq!(sender.wait_open(Duration::ZERO), Ok(()));
            sender.close();
        }
        assert_eq!(sender.wait_open(HOUR), NEVER);
        within("close", move || ws.close()).unwrap();
        assert_eq!(sender.wait_open(HOUR), NEVER);
    }
}
