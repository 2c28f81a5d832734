//! `close()` and `abort()` between two connections: the wait or the attempt ends at once, and
//! nothing comes after.

use std::net::TcpStream;

use websocket_app::{ClosedBy, EventLoop, Phase, Sender, State, WebSocketApp};

use super::{LONG, late, soon};
use crate::connection::Connection;
use crate::failure::{Failure, clean, ending, lost, unanswered};
use crate::peer::{FullBacklog, Listener, Peer, RefusedPort};
use crate::recorder::{Call, only_record, record};
use crate::running::{Running, run, run_with};
use crate::watchdog::{Gate, wait_until, within};

/// The ways to end a run for good.
const ENDS: [fn(&Sender); 3] =
    [Sender::close, |ws| ws.close_with(4000, "enough").unwrap(), Sender::abort];

#[test]
fn while_waiting() {
    for end in ENDS {
        let peer = Peer::start(lost_once);
        let app = run(peer.app().reconnect(late()));
        is_lost(&app);
        end(&app.sender);
        is_over(app);
    }
}

#[test]
fn while_waiting_for_the_first_connection() {
    for end in ENDS {
        let nobody = RefusedPort::new();
        let app = run(WebSocketApp::new(nobody.url()).reconnect(late()));
        assert_eq!(app.failed_attempt(1), (Some(LONG), Failure::Network(Phase::Connect)));
        end(&app.sender);
        is_over(app);
    }
}

#[test]
fn by_the_handle_of_a_spawned_app_and_of_one_on_an_event_loop() {
    let event_loop = EventLoop::new().unwrap();
    for spawned in [true, false] {
        let peer = Peer::start(lost_once);
        let (app, calls) = record(peer.app().reconnect(late()), only_record());
        let app = if spawned { app.spawn() } else { event_loop.add(app) }.unwrap();
        calls.expect_open();
        calls.expect_failure(Failure::Network(Phase::Open));
        calls.expect_close_for_now(lost());
        app.close();
        calls.expect_close(unanswered());
        assert_eq!(
            within("join", || app.join()).map(|close| ending(&close)).unwrap(),
            unanswered()
        );
    }
    within("the event loop", || event_loop.join()).unwrap();
}

#[test]
fn in_on_close_and_in_on_error() {
    for end in ENDS {
        for in_close in [true, false] {
            let peer = Peer::start(lost_once);
            let app = run_with(peer.app().reconnect(late()), move |ws, call| {
                match call {
                    Call::Close(close) if in_close && close.reconnect_in.is_some() => end(ws),
                    Call::Error(_) if !in_close => end(ws),
                    _ => {}
                }
                Ok(())
            });
            is_lost(&app);
            is_over(app);
        }
    }
}

#[test]
fn in_on_error_of_a_failed_attempt() {
    for end in ENDS {
        let nobody = RefusedPort::new();
        let app = run_with(WebSocketApp::new(nobody.url()).reconnect(late()), move |ws, call| {
            matches!(call, Call::Error(_)).then(|| end(ws));
            Ok(())
        });
        app.failed_attempt(1);
        is_over(app);
    }
}

#[test]
fn while_the_next_attempt_connects_by_tcp() {
    for end in ENDS {
        let silent = FullBacklog::new();
        let peer = Peer::start(lost_once);
        let (open, nowhere) = (peer.url(), silent.url());
        let url = move |attempt: &websocket_app::Attempt| {
            if attempt.number == 1 { open.clone() } else { nowhere.clone() }
        };
        let app = run(peer.app().reconnect(soon()).connect_timeout(LONG).url_with(url));
        is_lost(&app);
        wait_until("it connects", || app.sender.state() == State::Connecting);
        end(&app.sender);
        is_over(app);
    }
}

#[test]
fn while_the_next_attempt_waits_for_its_response() {
    ends_when(Peer::start, |client| {
        client.read_request();
    });
}

#[cfg(feature = "__tls")]
#[test]
fn while_the_next_attempt_waits_for_its_response_over_tls() {
    crate::tls::on_each(|backend| {
        ends_when(
            |script| Peer::start_tls(backend, script),
            |client| {
                client.read_request();
            },
        );
    });
}

/// However the race between the attempt's end and `close()` goes, the run is over after one more
/// `on_close`.
#[test]
fn at_any_moment_of_a_run_that_goes_on_connecting() {
    for turn in 0..100 {
        let nobody = RefusedPort::new();
        let app = run(WebSocketApp::new(nobody.url()).reconnect(soon()));
        app.failed_attempt(1);
        (0..turn * 500).for_each(|_| std::hint::spin_loop());
        app.sender.close();
        while !matches!(app.next(), Call::Close(_)) {}
        let (_, close) = app.last();
        assert_eq!(ending(&close.unwrap()), unanswered());
        app.end_in_order();
    }
}

/// The same with a server that opens and hangs up.
#[test]
fn at_any_moment_of_a_run_that_opens_and_is_lost() {
    for turn in 0..50 {
        let peer = Peer::start(|listener| while listener.try_open().is_some() {});
        let app = run(peer.app().reconnect(soon()));
        app.expect_open();
        (0..turn * 1000).for_each(|_| std::hint::spin_loop());
        app.sender.close();
        let last = loop {
            if let Call::Close(close) = app.next()
                && close.reconnect_in.is_none()
            {
                break close;
            }
        };
        assert_eq!((last.by, last.attempt), (ClosedBy::Us, 0));
        app.end_in_order();
        // One that does not go on ends the peer's script.
        drop(TcpStream::connect(peer.addr()));
    }
}

#[test]
fn after_a_connection_was_made_again_it_is_the_last() {
    let peer = Peer::start(|listener| {
        lost_once(listener);
        listener.open().answer_close();
        listener.saw_nobody_else();
    });
    let app = run(peer.app().reconnect(soon()));
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

/// A peer that is lost while the app closes has been closed all the same.
#[test]
fn a_connection_lost_while_closing_is_not_made_again() {
    let peer = Peer::start(|listener| {
        listener.open().expect_close_code();
        listener.saw_nobody_else();
    });
    let app = run(peer.app().reconnect(soon()));
    app.expect_open();
    app.sender.close();
    is_over(app);
}

type Script = Box<dyn FnOnce(&Listener) + Send>;

fn ends_when(
    start: impl Fn(Script) -> Peer,
    reached: impl Fn(&mut Connection) + Copy + Send + 'static,
) {
    for end in ENDS {
        let gate = Gate::new();
        let here = gate.clone();
        let peer = start(Box::new(move |listener| {
            drop(listener.open());
            let mut client = listener.accept();
            reached(&mut client);
            here.open();
            client.stay_silent();
        }));
        let app = run(peer.app().reconnect(soon()).connect_timeout(LONG));
        is_lost(&app);
        gate.wait();
        end(&app.sender);
        is_over(app);
    }
}

fn lost_once(listener: &Listener) {
    drop(listener.open());
}

fn is_lost(app: &Running) {
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
}

fn is_over(app: Running) {
    app.expect_close(unanswered());
    app.end_in_order();
}
