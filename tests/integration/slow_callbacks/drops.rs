//! What callbacks hold is dropped after the last of them, where they run: it may take as long as
//! they may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender as Channel, bounded};
use websocket_app::{AppHandle, ClosedBy, Error, EventLoop, State};

use super::Work;
use super::others::{busy, let_go};
use crate::failure::clean;
use crate::many::{Added, add, add_with, echo_peer, join};
use crate::peer::Peer;
use crate::watchdog::{PATIENCE, wait_until};

/// Does something when it is dropped.
struct Held<F: FnMut()>(F);

impl<F: FnMut()> Drop for Held<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// An app on the loop that the peer closes at once, and whose callbacks hold something.
fn closed_app(event_loop: &EventLoop, on_drop: impl FnMut() + Send + 'static) -> Added {
    let peer = Peer::start(|listener| listener.open().close(1000, ""));
    let held = Held(on_drop);
    let app = add_with(event_loop, peer.app(), move |_, _| {
        let _held = &held;
        Ok(())
    });
    app.expect_open();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app
}

#[test]
fn others_echo_on_meanwhile_and_join_waits() {
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(2);
    let other = add(&event_loop, echo.app());
    other.expect_open();
    let (work, is_dropped) = (Work::default(), Arc::new(AtomicBool::new(false)));
    let (works, dropped) = (work.clone(), Arc::clone(&is_dropped));
    let app = closed_app(&event_loop, move || {
        works.work();
        dropped.store(true, Ordering::SeqCst);
    });
    work.begun.wait();
    other.echoes("still here");
    // Another may be added, too, and does not get the place in the loop before that is free.
    let late = add(&event_loop, echo.app());
    late.expect_open();
    late.echoes("here as well");
    work.may_end.open();
    app.end().unwrap();
    assert!(is_dropped.load(Ordering::SeqCst));
    other.close();
    late.close();
    join(event_loop);
}

/// The last on its loop, though another thread is at it than the loop's own: the loop is not over
/// before.
#[test]
fn the_loop_ends_after_the_last_of_it() {
    let event_loop = EventLoop::new().unwrap();
    let busy = busy(&event_loop);
    let (work, is_dropped) = (Work::default(), Arc::new(AtomicBool::new(false)));
    let (works, dropped) = (work.clone(), Arc::clone(&is_dropped));
    let app = closed_app(&event_loop, move || {
        works.work();
        // A loop that does not wait is over by then.
        thread::sleep(Duration::from_millis(50));
        dropped.store(true, Ordering::SeqCst);
    });
    work.begun.wait();
    let_go(busy);
    work.may_end.open();
    join(event_loop);
    assert!(is_dropped.load(Ordering::SeqCst));
    app.end().unwrap();
}

#[test]
fn it_may_join_another_app_of_the_loop() {
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(1);
    let other = event_loop.add(echo.app()).unwrap();
    wait_until("the other is open", || other.sender().state() == State::Open);
    let mut other = Some(other);
    let (told, result) = bounded(1);
    let app = closed_app(&event_loop, move || close_and_join(&mut other, &told));
    assert!(result.recv_timeout(PATIENCE).expect("it comes back").is_none());
    app.end().unwrap();
    join(event_loop);
}

fn close_and_join(app: &mut Option<AppHandle>, told: &Channel<Option<Error>>) {
    let app = app.take().expect("it is dropped once");
    app.close();
    told.send(app.join().err()).unwrap();
}

#[test]
fn a_panic_in_it_harms_nobody() {
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(1);
    let other = add(&event_loop, echo.app());
    other.expect_open();
    closed_app(&event_loop, || panic!("as it should")).end().unwrap();
    other.echoes("still here");
    other.close();
    join(event_loop);
}
