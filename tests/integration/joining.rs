//! A callback that waits for its own end: an error at once, and everything goes on.

use crossbeam_channel::bounded;
use websocket_app::{ClosedBy, Error, EventLoop};

use crate::failure::ending;
use crate::many::echo_peer;
use crate::peer::Peer;
use crate::watchdog::{PATIENCE, within};

#[test]
fn of_an_app_in_its_own_callback_and_as_that_is_dropped() {
    struct Joins<F: FnMut()>(F);
    impl<F: FnMut()> Drop for Joins<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    let event_loop = EventLoop::new().unwrap();
    for (spawned, in_drop) in [(true, false), (true, true), (false, false), (false, true)] {
        let peer = Peer::start(|listener| listener.open().answer_close());
        let (to_callback, handle) = bounded::<websocket_app::AppHandle>(1);
        let (told, result) = bounded(1);
        let mut joins = Joins(move || {
            if let Ok(handle) = handle.recv_timeout(PATIENCE) {
                handle.close();
                told.send(handle.join().map_err(|error| error.to_string())).unwrap();
            }
        });
        let app = peer.app().on_open(move |ws| if in_drop { ws.close() } else { (joins.0)() });
        let ws = app.sender();
        let app = if spawned { app.spawn() } else { event_loop.add(app) }.unwrap();
        to_callback.send(app).unwrap();
        drop(to_callback);
        let error = result.recv_timeout(PATIENCE).expect("it comes back").unwrap_err();
        assert_eq!(
            error,
            "a callback cannot wait for the end of its own app: do that on another thread"
        );
        crate::watchdog::wait_until("the app is over", || {
            ws.state() == websocket_app::State::Closed
        });
    }
    within("the event loop", || event_loop.join()).unwrap();
}

#[test]
fn of_an_event_loop_in_a_callback_of_one_of_its_apps() {
    let echo = echo_peer(1);
    let event_loop = EventLoop::new().unwrap();
    let (to_callback, its_loop) = bounded::<EventLoop>(1);
    let (told, result) = bounded(1);
    let app = event_loop
        .add(echo.app().on_open(move |ws| {
            let event_loop = its_loop.recv_timeout(PATIENCE).expect("it comes");
            told.send(event_loop.join()).unwrap();
            ws.close();
        }))
        .unwrap();
    to_callback.send(event_loop).unwrap();
    let joined = result.recv_timeout(PATIENCE).expect("it comes back");
    assert!(matches!(joined, Err(Error::Deadlock { .. })), "{joined:?}");
    let close = within("the app", move || app.join()).unwrap();
    assert_eq!(ending(&close).by, ClosedBy::Us);
}

/// Another loop's callback may wait for it, and for another app of the same.
#[test]
fn of_others_in_a_callback_is_no_error() {
    let echo = echo_peer(3);
    let (event_loop, others) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    let beside = event_loop.add(echo.app().on_open(|ws| ws.close())).unwrap();
    let _ = others.add(echo.app().on_open(|ws| ws.close())).unwrap();
    let mut waited_for = Some((beside, others));
    let app = echo.app().on_open(move |ws| {
        let (app, others) = waited_for.take().expect("it opens once");
        app.join()?;
        others.join()?;
        ws.close();
        Ok::<(), Error>(())
    });
    let app = event_loop.add(app).unwrap();
    let close = within("the app", move || app.join()).unwrap();
    assert_eq!(ending(&close).by, ClosedBy::Us);
    within("the event loop", || event_loop.join()).unwrap();
}
