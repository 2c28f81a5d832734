//! Callbacks that send over other apps: those of another loop they wait for, those of their own
//! never.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};
use websocket_app::{
    ClosedBy, EventLoop, SendError, Sender, SocketOptions, State, WebSocket, WebSocketApp,
};

use crate::failure::{clean, unanswered};
use crate::frame::Frame;
use crate::many::{add, add_with, join};
use crate::peer::{FullBacklog, Listener, Peer};
use crate::recorder::Call;
use crate::running::{Running, run, run_with};
use crate::watchdog::{Gate, PATIENCE, within};

const HOUR: Duration = Duration::from_secs(3600);
const LIMIT: usize = 1 << 16;
const CHUNK: usize = 1 << 14;

/// An app whose messages wait soon, where the peer does not read.
fn narrow(peer: &Peer) -> WebSocketApp {
    peer.app()
        .max_send_buffer(LIMIT)
        .send_timeout(HOUR)
        .socket_options(SocketOptions::new().send_buffer_size(1 << 16))
}

fn never_reads(listener: &Listener) {
    let _client = listener.open_with_small_buffer();
    listener.wait_for_the_test();
}

/// Says that it is time, and never reads.
fn says_go(listener: &Listener) {
    let mut client = listener.open_with_small_buffer();
    client.send(Frame::text("go"));
    listener.wait_for_the_test();
}

/// Sends until it is refused, and tells how. (A kernel that is full may take more a little later.)
fn until_refused(ws: &Sender) -> SendError {
    std::iter::repeat_with(|| ws.send([0; CHUNK])).find_map(Result::err).expect("it has no end")
}

fn abort(app: Running) {
    app.sender.abort();
    app.expect_close(unanswered());
    app.end_in_order();
}

/// Meanwhile the callback's own connection lives: its server's ping is answered.
#[test]
fn what_comes_from_one_server_goes_to_a_slow_one_and_none_is_lost() {
    const MESSAGES: usize = 256;
    let message = |i: usize| {
        let mut data = vec![7; CHUNK];
        data[..2].copy_from_slice(&(i as u16).to_be_bytes());
        data
    };
    let [alive, read] = [(); 2].map(|()| Gate::new());
    let (is_alive, may_read) = (alive.clone(), read.clone());
    let slow = Peer::start(move |listener| {
        // It holds little until it is read.
        let mut client = listener.open();
        may_read.wait();
        (0..MESSAGES).for_each(|i| client.expect(Frame::binary(message(i))));
        client.answer_close();
    });
    let source = Peer::start(move |listener| {
        let mut client = listener.open();
        (0..MESSAGES).for_each(|i| client.send(Frame::binary(message(i))));
        client.send(Frame::ping("are you there?"));
        client.expect(Frame::pong("are you there?"));
        alive.open();
        client.answer_close();
    });
    let to = run(narrow(&slow));
    to.expect_open();
    let (ws, forwarded) = (to.sender.clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&forwarded);
    let from = run_with(source.app(), move |_, call| {
        if let Call::Message(message) = call {
            ws.send(message)?;
            count.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    });
    from.expect_open();
    is_alive.wait();
    assert!(forwarded.load(Ordering::SeqCst) < MESSAGES, "the slow server took all of it");
    read.open();
    for i in 0..MESSAGES {
        from.expect_binary(&message(i));
    }
    from.expect(Call::Ping(b"are you there?".into()));
    to.sender.flush(PATIENCE).unwrap();
    for app in [from, to] {
        app.sender.close();
        app.expect_close(clean(ClosedBy::Us, 1000, ""));
        app.end_in_order();
    }
}

/// Each callback waits for room in the other's queue, and neither peer reads.
#[test]
fn two_apps_that_wait_for_each_other_wait_no_longer_than_told() {
    let after = Duration::from_millis(50);
    let peers = [(); 2].map(|()| Peer::start(says_go));
    let apps = peers.each_ref().map(|peer| narrow(peer).send_timeout(after));
    let others = [apps[1].sender(), apps[0].sender()];
    let (tell, told) = unbounded();
    let [first, second] = [(); 2].map(|()| Gate::new());
    let gates = [(first.clone(), second.clone()), (second, first)];
    let running: Vec<_> = apps
        .into_iter()
        .zip(others)
        .zip(gates)
        .map(|((app, other), (mine, its))| {
            let tell = tell.clone();
            run_with(app, move |_, call| {
                if *call == Call::text("go") {
                    mine.open();
                    its.wait();
                    for _ in 0..3 {
                        tell.send(until_refused(&other))?;
                    }
                }
                Ok(())
            })
        })
        .collect();
    for _ in 0..6 {
        let error = told.recv_timeout(PATIENCE).expect("each wait has an end");
        assert!(
            matches!(error, SendError::Timeout { after: waited, .. } if waited == after),
            "{error:?}"
        );
    }
    for app in running {
        app.expect_open();
        app.expect_text("go");
        abort(app);
    }
}

#[test]
fn over_an_app_of_its_own_loop_a_callback_never_waits() {
    let peers = [Peer::start(never_reads), Peer::start(says_go)];
    let event_loop = EventLoop::new().unwrap();
    let full = add(&event_loop, narrow(&peers[0]));
    full.expect_open();
    let (ws, (tell, told)) = (full.sender.clone(), unbounded());
    let sends = add_with(&event_loop, narrow(&peers[1]), move |own, call| {
        if *call == Call::text("go") {
            for ws in [&ws, own] {
                tell.send(until_refused(ws))?;
                tell.send(ws.send_timeout([0; LIMIT], HOUR).unwrap_err())?;
                tell.send(ws.flush(HOUR).unwrap_err())?;
                tell.send(ws.ping_wait(HOUR).unwrap_err())?;
            }
        }
        Ok(())
    });
    sends.expect_open();
    sends.expect_text("go");
    let next = || told.recv_timeout(PATIENCE).expect("it does not wait");
    for _ in 0..2 {
        for refused in [next(), next()] {
            assert!(matches!(refused, SendError::QueueFull { limit: LIMIT, .. }), "{refused:?}");
        }
        assert_eq!(next(), SendError::Unwritten { after: Duration::ZERO });
        assert!(matches!(next(), SendError::NotInTime { after: Duration::ZERO, .. }));
    }
    for app in [full, sends] {
        app.sender.abort();
        app.expect_close(unanswered());
        app.end().unwrap();
    }
    join(event_loop);
}

/// A loop that was begun in a callback keeps that from returning: its apps wait for none.
#[test]
fn what_runs_within_a_callback_never_waits() {
    let peers = [Peer::start(never_reads), Peer::start(never_reads)];
    let inner_peer = Peer::start(|listener| listener.open().answer_close());
    let elsewhere = run(narrow(&peers[0]));
    elsewhere.expect_open();
    let (ws, (tell, told), url) = (elsewhere.sender.clone(), unbounded(), inner_peer.url());
    let outer = run_with(narrow(&peers[1]), move |outer, call| {
        if *call == Call::Open {
            let (ws, outer, tell) = (ws.clone(), outer.clone(), tell.clone());
            WebSocketApp::new(url.clone())
                .on_open(move |inner| {
                    for ws in [&ws, &outer] {
                        tell.send(until_refused(ws))?;
                    }
                    inner.close();
                    Ok::<_, websocket_app::CallbackError>(())
                })
                .run_forever()?;
        }
        Ok(())
    });
    outer.expect_open();
    for _ in 0..2 {
        let refused = told.recv_timeout(PATIENCE).expect("it does not wait");
        assert!(matches!(refused, SendError::QueueFull { limit: LIMIT, .. }), "{refused:?}");
    }
    abort(outer);
    abort(elsewhere);
}

/// It has no loop: who waits is who writes, here within a callback.
#[test]
fn over_a_blocking_connection_a_callback_waits_until_all_is_taken() {
    const LARGE: usize = 8 << 20;
    let slow = Peer::start(|listener| {
        let mut client = listener.open_with_small_buffer();
        client.expect(Frame::binary(vec![1; LARGE]));
        client.expect(Frame::binary(vec![2; LARGE]));
        client.answer_close();
    });
    let peer = Peer::start(|listener| listener.open().answer_close());
    let builder = WebSocket::builder(slow.url()).tls(slow.tls()).send_timeout(HOUR);
    let mut blocking = builder.connect().unwrap();
    let (ws, (tell, told)) = (blocking.sender(), bounded(1));
    let app = run_with(peer.app(), move |_, call| {
        if *call == Call::Open {
            let results = [1, 2].map(|byte| ws.send(vec![byte; LARGE]));
            tell.send((results, ws.buffered_amount()))?;
        }
        Ok(())
    });
    app.expect_open();
    let (results, left) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((results, left), ([Ok(()), Ok(())], 0));
    within("close", move || blocking.close()).unwrap();
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_callback_waits_for_another_loops_app_to_open_to_answer_and_to_be_written() {
    const SHORT: Duration = Duration::from_millis(20);
    let answer = Gate::new();
    let may_answer = answer.clone();
    let far = Peer::start(move |listener| {
        let mut client = listener.accept();
        may_answer.wait();
        client.upgrade();
        client.expect(Frame::binary(vec![3; 1 << 20]));
        let payload = client.expect_ping();
        client.send(Frame::pong(payload));
        client.answer_close();
    });
    let near = Peer::start(|listener| listener.open().answer_close());
    let silent = FullBacklog::new();
    let not_begun = WebSocketApp::new(silent.url());
    let (app, idle) = (run(far.app()), not_begun.sender());
    crate::watchdog::wait_until("it connects", || app.sender.state() == State::Connecting);
    let (ws, (tell, told)) = (app.sender.clone(), unbounded());
    let waits = run_with(near.app(), move |_, call| {
        if *call == Call::Open {
            for ws in [&idle, &ws] {
                tell.send(ws.wait_open(SHORT))?;
            }
            answer.open();
            tell.send(ws.wait_open(HOUR))?;
            tell.send(ws.send(vec![3; 1 << 20]).and_then(|()| ws.flush(HOUR)))?;
            tell.send(ws.ping_wait(HOUR).map(drop))?;
        }
        Ok(())
    });
    let late = || Err(SendError::NotInTime { what: "an open connection", after: SHORT });
    let expected = [late(), late(), Ok(()), Ok(()), Ok(())];
    for expected in expected {
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), expected);
    }
    app.expect_open();
    assert!(matches!(app.next(), Call::Pong(_)));
    waits.expect_open();
    for app in [app, waits] {
        app.sender.close();
        app.expect_close(clean(ClosedBy::Us, 1000, ""));
        app.end_in_order();
    }
    drop(not_begun);
}
