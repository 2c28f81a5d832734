//! `EventLoop::close_all`: whatever each app is at, it ends, in order or by the time-out.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use websocket_app::{ClosedBy, Error, EventLoop, Reconnect, State, WebSocketApp};

use crate::failure::{clean, unanswered};
use crate::frame::Frame;
use crate::many::{Added, add, add_with, echo_peer, join};
use crate::peer::{FullBacklog, Peer, RefusedPort};
use crate::recorder::Call;
use crate::watchdog::{Gate, PATIENCE, wait_until, within};

const HOUR: Duration = Duration::from_secs(3600);

fn close_all(event_loop: &Arc<EventLoop>, timeout: Duration) -> Result<usize, String> {
    let event_loop = Arc::clone(event_loop);
    within("close_all", move || event_loop.close_all(timeout).map_err(|error| error.to_string()))
}

fn join_shared(event_loop: Arc<EventLoop>) {
    join(Arc::into_inner(event_loop).expect("nobody else has it"));
}

/// Fails unless the run is over by now, and told so.
fn is_over(app: &Added) {
    assert_eq!(app.sender.state(), State::Closed);
}

#[test]
fn every_app_ends_whatever_it_is_at() {
    const OPEN: usize = 3;
    let peer = Peer::start(|listener| {
        let mut clients: Vec<_> = (0..OPEN).map(|_| listener.open()).collect();
        // All are told before the first has answered.
        clients.iter_mut().for_each(|client| client.expect(Frame::close(1000, "")));
        clients.iter_mut().for_each(|client| client.send(Frame::close(1000, "")));
    });
    let (silent, refused) = (FullBacklog::new(), RefusedPort::new());
    let event_loop = Arc::new(EventLoop::new().unwrap().max_connecting(1));
    let open: Vec<_> = (0..OPEN).map(|_| add(&event_loop, peer.app())).collect();
    open.iter().for_each(|app| app.expect_open());
    let off = WebSocketApp::new(refused.url()).reconnect(Reconnect::fixed(HOUR));
    let off = add(&event_loop, off);
    off.failed_attempt(1);
    let silent = || WebSocketApp::new(silent.url()).connect_timeout(HOUR);
    // The second waits for its turn.
    let connecting = [(); 2].map(|()| add(&event_loop, silent()));
    for app in &connecting {
        wait_until("it connects, or waits to", || app.sender.state() == State::Connecting);
    }
    assert_eq!(close_all(&event_loop, PATIENCE), Ok(0));
    for app in open {
        is_over(&app);
        app.expect_close(clean(ClosedBy::Us, 1000, ""));
        app.end().unwrap();
    }
    for app in connecting.into_iter().chain([off]) {
        is_over(&app);
        app.expect_close(unanswered());
        app.end().unwrap();
    }
    assert_eq!(close_all(&event_loop, Duration::ZERO), Ok(0), "there is none left");
    join_shared(event_loop);
}

/// And what its callbacks hold is dropped: the run is over, and not only the connection.
#[test]
fn it_waits_for_the_last_callback() {
    let echo = echo_peer(1);
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let held = Arc::new(());
    let (kept, (begins, begun)) = (Arc::clone(&held), bounded(1));
    let app = add_with(&event_loop, echo.app(), move |_, call| {
        let _kept = &kept;
        if matches!(call, Call::Close(_)) {
            begins.send(())?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    });
    app.expect_open();
    assert_eq!(close_all(&event_loop, PATIENCE), Ok(0));
    begun.try_recv().expect("on_close was called");
    assert_eq!(Arc::strong_count(&held), 1, "on_close has returned");
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end().unwrap();
    join_shared(event_loop);
}

#[test]
fn what_is_left_when_the_time_is_over_is_cut_off_and_counted() {
    const DEAD: usize = 2;
    let dead = Peer::start(|listener| {
        let clients: Vec<_> = (0..DEAD).map(|_| listener.open()).collect();
        clients.into_iter().for_each(|client| client.stay_silent());
    });
    let echo = echo_peer(1);
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let dead: Vec<_> =
        (0..DEAD).map(|_| add(&event_loop, dead.app().close_timeout(HOUR))).collect();
    let answers = add(&event_loop, echo.app());
    dead.iter().chain([&answers]).for_each(|app| app.expect_open());
    // The one that answers has all the time it needs.
    answers.sender.close();
    answers.expect_close(clean(ClosedBy::Us, 1000, ""));
    answers.end().unwrap();
    assert_eq!(close_all(&event_loop, Duration::from_millis(50)), Ok(DEAD));
    for app in dead {
        app.expect_close(unanswered());
        app.end().unwrap();
    }
    assert_eq!(close_all(&event_loop, Duration::ZERO), Ok(0));
    join_shared(event_loop);
}

/// Its run is over when the callback returns; nobody waits for that any longer than told.
#[test]
fn a_callback_that_hangs_does_not_hold_it_up_for_ever() {
    let echo = echo_peer(1);
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let [begun, may_end] = [(); 2].map(|()| Gate::new());
    let (begins, ends) = (begun.clone(), may_end.clone());
    let hangs = add_with(&event_loop, echo.app(), move |_, call| {
        if *call == Call::Open {
            begins.open();
            ends.wait();
        }
        Ok(())
    });
    hangs.expect_open();
    begun.wait();
    assert_eq!(close_all(&event_loop, Duration::from_millis(50)), Ok(1));
    may_end.open();
    // Perhaps it was closed in order before it was cut off, while the callback hung.
    let Call::Close(close) = hangs.next() else { panic!("it was closed") };
    assert_eq!((close.by, close.reconnect_in), (ClosedBy::Us, None));
    hangs.end().unwrap();
    join_shared(event_loop);
}

#[test]
fn in_a_callback_of_one_of_its_apps_it_is_an_error_and_none_is_closed() {
    let echo = echo_peer(3);
    let [event_loop, other_loop] = [(); 2].map(|()| Arc::new(EventLoop::new().unwrap()));
    let (its, others) = (Arc::downgrade(&event_loop), Arc::downgrade(&other_loop));
    let (tell, told) = bounded(2);
    let beside = add(&event_loop, echo.app());
    let elsewhere = add(&other_loop, echo.app());
    beside.expect_open();
    elsewhere.expect_open();
    let app = add_with(&event_loop, echo.app(), move |_, call| {
        if *call == Call::Open {
            for event_loop in [&its, &others] {
                let event_loop = event_loop.upgrade().ok_or("it is there")?;
                tell.send(event_loop.close_all(PATIENCE))?;
            }
        }
        Ok(())
    });
    app.expect_open();
    let refused = told.recv_timeout(PATIENCE).unwrap().unwrap_err();
    assert!(matches!(refused, Error::Deadlock { .. }), "{refused:?}");
    assert!(refused.to_string().contains("apps of the event loop"), "{refused}");
    // Another loop's it may wait for.
    assert_eq!(told.recv_timeout(PATIENCE).unwrap().unwrap(), 0);
    elsewhere.expect_close(clean(ClosedBy::Us, 1000, ""));
    elsewhere.end().unwrap();
    app.echoes("goes on");
    beside.echoes("goes on");
    app.close();
    beside.close();
    join_shared(event_loop);
    join_shared(other_loop);
}
