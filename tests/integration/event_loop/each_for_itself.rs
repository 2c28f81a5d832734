//! Each app has its own reconnects and timers, and fails for itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use websocket_app::{ClosedBy, Error, EventLoop, Handler, Phase, Reconnect, WebSocketApp};

use super::next_but_ticks;
use crate::connection::Connection;
use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::many::{add, add_with, add_with_timer, echo, echo_peer, join, serve};
use crate::peer::{Bystander, Peer, RefusedPort};
use crate::recorder::{Call, only_record};

#[test]
fn each_app_has_its_own_reconnects_and_timers() {
    const APPS: usize = 30;
    const CONNECTIONS: u32 = 3;
    let peer = Peer::start(|listener| {
        let counts: Vec<_> = (0..APPS).map(|_| AtomicUsize::new(0)).collect();
        serve(listener, APPS * CONNECTIONS as usize, |path, mut client| {
            let count = counts[path.parse::<usize>().unwrap()].fetch_add(1, Ordering::SeqCst) + 1;
            client.expect_text(&format!("tick of {path}"));
            client.send(Frame::text(format!("{path}, connection {count}")));
            while client.read_frame() != Frame::text("understood") {}
            // Different apps lose different connections in different ways.
            if count < CONNECTIONS as usize && (path.len() + count) % 2 == 0 {
                return client.reset();
            }
            client.send(Frame::close(1012, ""));
            client.skip_to_close();
        });
    });
    let event_loop = EventLoop::new().unwrap();
    let add_one = |i: usize| {
        let period = Duration::from_millis(1 + i as u64);
        let app = WebSocketApp::new(format!("{}{i}", peer.url()));
        let app = app.reconnect(Reconnect::exponential(period, period).max_attempts(CONNECTIONS));
        let hook = move |ws: &websocket_app::Sender, call: &Call| match call {
            Call::Message(_) => Ok(ws.send("understood")?),
            Call::Timer => {
                // The connection may just have been lost.
                let _best_effort = ws.send(format!("tick of {i}"));
                Ok(())
            }
            _ => Ok(()),
        };
        add_with_timer(&event_loop, app, period, Box::new(hook))
    };
    let apps: Vec<_> = (0..APPS).map(add_one).collect();
    for (i, app) in apps.into_iter().enumerate() {
        assert_eq!(next_but_ticks(&app), Call::Open);
        for count in 1..=CONNECTIONS {
            assert_eq!(next_but_ticks(&app), Call::text(&format!("{i}, connection {count}")));
            let close = match next_but_ticks(&app) {
                Call::Error(Failure::Network(Phase::Open)) => next_but_ticks(&app),
                call => call,
            };
            let Call::Close(close) = close else { panic!("app {i}: {close:?}") };
            let next = if count < CONNECTIONS { count + 1 } else { 0 };
            assert_eq!((close.attempt, close.reconnect_in.is_some()), (next, next > 0), "app {i}");
            if next > 0 {
                assert_eq!(next_but_ticks(&app), Call::Reconnect);
            }
        }
        app.end().unwrap();
    }
    join(event_loop);
}

/// Whether it is the first callback that panics or a later one. Those that report the end panic as
/// well here.
#[test]
fn a_panic_in_one_apps_callback_ends_that_app_only() {
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(1);
    let other = add(&event_loop, echo.app());
    other.expect_open();
    for panics_at in [0, 1] {
        let peer = Peer::start(|listener| {
            let mut client = listener.open();
            client.send(Frame::text("message"));
            client.expect(Frame::close(1011, ""));
            client.hang_up();
        });
        let mut calls = 0;
        let app = add_with(&event_loop, peer.app(), move |_, _| {
            calls += 1;
            assert!(calls <= panics_at, "as it should");
            Ok(())
        });
        while !matches!(app.next(), Call::Close(_)) {}
        assert_eq!(app.end(), Err(Failure::Panicked("as it should".into())));
        other.echoes("still here");
    }
    other.close();
    join(event_loop);
}

/// What is panicked with may panic itself, when it is dropped.
#[test]
fn a_panic_upon_a_panic_ends_that_app_only() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("upon a panic");
        }
    }
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(2);
    let other = add(&event_loop, echo.app());
    other.expect_open();
    let app = add_with(&event_loop, echo.app(), |_, call| match call {
        Call::Open => std::panic::panic_any(Bomb),
        _ => Ok(()),
    });
    app.expect_open();
    assert!(matches!(app.failure(), Failure::Panicked(_)));
    while !matches!(app.next(), Call::Close(_)) {}
    assert!(matches!(app.end(), Err(Failure::Panicked(_))));
    other.echoes("still here");
    other.close();
    join(event_loop);
}

#[test]
fn an_app_that_cannot_connect_fails_alone() {
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(1);
    let other = add(&event_loop, echo.app());
    other.expect_open();
    let refused = RefusedPort::new();
    let failing = add(&event_loop, WebSocketApp::new(refused.url()));
    failing.expect_failure(Failure::Network(Phase::Connect));
    failing.expect_close(lost());
    assert_eq!(failing.end(), Err(Failure::Network(Phase::Connect)));
    other.echoes("still here");
    other.close();
    join(event_loop);
}

#[test]
fn a_bad_url_or_option_is_refused_by_add_and_the_loop_goes_on() {
    let event_loop = EventLoop::new().unwrap();
    assert!(matches!(event_loop.add(WebSocketApp::new("nonsense")), Err(Error::Invalid(_))));
    let nobody = Bystander::new();
    let app = WebSocketApp::new(format!("ws://{}/", nobody.addr()));
    assert!(matches!(event_loop.add(app.max_receive_buffer(0)), Err(Error::Invalid(_))));
    nobody.saw_nobody();
    let echo = echo_peer(1);
    let app = add(&event_loop, echo.app());
    app.expect_open();
    app.close();
    join(event_loop);
}

/// A handler is asked what it wants by the thread that starts the run: a panic there is the error
/// of that call.
#[test]
fn a_panic_in_wants_fragments_is_the_callers_and_the_loop_goes_on() {
    struct Undecided(Arc<Mutex<Vec<ThreadId>>>);
    impl Handler for Undecided {
        fn wants_fragments(&self) -> bool {
            self.0.lock().unwrap().push(thread::current().id());
            panic!("undecided");
        }
    }
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(1);
    let other = add(&event_loop, echo.app());
    other.expect_open();
    let asked = Arc::default();
    let app = || WebSocketApp::with_handler(echo.url(), Undecided(Arc::clone(&asked)));
    for error in [event_loop.add(app()).err(), app().spawn().err(), app().run_forever().err()] {
        assert!(matches!(error, Some(Error::Panicked(why)) if &*why == "undecided"));
    }
    assert_eq!(*asked.lock().unwrap(), [thread::current().id(); 3]);
    other.echoes("still here");
    other.close();
    join(event_loop);
}

/// Places in the loop are used again: what belonged to the last app there does not reach the next.
#[test]
fn nothing_of_an_app_reaches_the_one_that_comes_after_it() {
    let event_loop = EventLoop::new().unwrap();
    for round in 0..20 {
        let is_reset = round % 2 == 0;
        let peer = Peer::start(move |listener| {
            let mut client: Connection = listener.open();
            while client.read_frame() != Frame::text("hello") {}
            client.send(Frame::text(round.to_string()));
            while client.read_frame() != Frame::text("understood") {}
            if is_reset { client.reset() } else { echo(client) }
        });
        let app = peer.app().ping_interval(Duration::from_millis(5));
        let app = add_with_timer(&event_loop, app, Duration::from_millis(1), only_record());
        app.expect_open();
        app.sender.send("hello").unwrap();
        let next = || {
            std::iter::repeat_with(|| next_but_ticks(&app))
                .find(|call| !matches!(call, Call::Pong(_)))
        };
        assert_eq!(next(), Some(Call::text(&round.to_string())));
        app.sender.send("understood").unwrap();
        if is_reset {
            assert_eq!(next(), Some(Call::Error(Failure::Network(Phase::Open))));
            app.expect_close(lost());
        } else {
            app.sender.close();
            let Some(Call::Close(close)) = next() else { panic!("it was closed") };
            assert_eq!(crate::failure::ending(&close), clean(ClosedBy::Us, 1000, ""));
        }
        assert_eq!(app.end().is_err(), is_reset);
    }
    join(event_loop);
}
