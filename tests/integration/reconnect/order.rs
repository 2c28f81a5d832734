//! Order: `on_close` of the lost connection, then each failed attempt's `on_error`, then
//! `on_reconnect`; and the numbers.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use websocket_app::{CallbackError, ClosedBy, Handler, Phase, Sender, WebSocketApp};

use super::{SHORT, soon};
use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::peer::{Listener, Peer, RefusedPort};
use crate::running::run;
use crate::watchdog::{Gate, within};

#[test]
fn a_lost_connection_is_made_again_as_often_as_it_is_lost() {
    let peer = Peer::start(|listener| {
        for number in 0..3 {
            listener.open().send(Frame::text(number.to_string()));
        }
        listener.open().answer_close();
    });
    let app = run(peer.app().reconnect(soon()));
    app.expect_open();
    for number in 0..3 {
        app.expect_text(&number.to_string());
        app.expect_failure(Failure::Network(Phase::Open));
        assert_eq!(app.expect_close_for_now(lost()), (SHORT, number + 2));
        app.expect_reconnect();
    }
    assert_eq!(app.sender.stats().reconnects, 3);
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[cfg(feature = "__tls")]
#[test]
fn over_tls_too() {
    crate::tls::on_each(|backend| {
        let peer = Peer::start_tls(backend, |listener| {
            listener.open().reset();
            listener.open().answer_close();
        });
        let app = run(peer.app().reconnect(soon()));
        app.expect_open();
        app.expect_failure(Failure::Network(Phase::Open));
        assert_eq!(app.expect_close_for_now(lost()), (SHORT, 2));
        app.expect_reconnect();
        app.sender.close();
        app.expect_close(clean(ClosedBy::Us, 1000, ""));
        app.end_in_order();
    });
}

#[test]
fn a_close_from_the_peer_is_no_error_and_leads_to_another_connection() {
    let peer = Peer::start(|listener| {
        listener.open().close(1012, "restart");
        listener.open().answer_close();
    });
    let app = run(peer.app().reconnect(soon()));
    app.expect_open();
    assert_eq!(app.expect_close_for_now(clean(ClosedBy::Peer, 1012, "restart")), (SHORT, 2));
    app.expect_reconnect();
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_protocol_violation_leads_to_another_connection() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("x").rsv(0b100));
        assert_eq!(client.expect_close_code(), 1002);
        drop(client);
        listener.open().answer_close();
    });
    let app = run(peer.app().reconnect(soon()));
    app.expect_open();
    assert!(matches!(app.failure(), Failure::Protocol(_)));
    let close = app.close();
    assert_eq!((close.code, close.by, close.attempt), (1006, ClosedBy::Us, 2));
    app.expect_reconnect();
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn every_failed_attempt_is_told_with_its_number_and_the_first_connection_is_opened_however_late() {
    let nobody = RefusedPort::new();
    let peer = Peer::start(|listener| {
        drop(listener.open());
        listener.open().answer_close();
    });
    let (refused, open) = (nobody.url(), peer.url());
    let app = run(WebSocketApp::new(peer.url()).reconnect(soon()).url_with(move |attempt| {
        if matches!(attempt.number, 3 | 6) { open.clone() } else { refused.clone() }
    }));
    for attempt in [1, 2] {
        assert_eq!(app.failed_attempt(attempt), (Some(SHORT), Failure::Network(Phase::Connect)));
    }
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    assert_eq!(app.expect_close_for_now(lost()), (SHORT, 4));
    for attempt in [4, 5] {
        assert_eq!(app.failed_attempt(attempt), (Some(SHORT), Failure::Network(Phase::Connect)));
    }
    app.expect_reconnect();
    assert_eq!(app.sender.stats().reconnects, 1);
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_failed_attempt_has_the_reason_as_its_source() {
    let nobody = RefusedPort::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let app = WebSocketApp::new(nobody.url()).reconnect(soon().max_attempts(2)).on_error(
        move |_ws, error| {
            let source = error.source().expect("an attempt fails for a reason");
            tell.lock().unwrap().push(format!("{error} | {source}"));
        },
    );
    let result = within("run_forever", || app.run_forever());
    assert!(matches!(Failure::from(result.unwrap_err()), Failure::Attempt(2, None, _)));
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("attempt 1 failed, the next is in 1.0ms: connecting to 127.0.0.1:"),
        "{told:?}"
    );
    assert!(
        told[1].starts_with("attempt 2 failed, there will be no other: connecting to "),
        "{told:?}"
    );
    assert!(told.iter().all(|line| line.contains("| connecting to 127.0.0.1:")), "{told:?}");
}

#[test]
fn without_a_policy_there_is_one_attempt_and_its_plain_error() {
    let peer = Peer::start(|listener| {
        drop(listener.open());
        listener.saw_nobody_else();
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn on_open_is_called_again_where_there_is_no_on_reconnect() {
    struct Opened(u32);
    impl Opened {
        fn greet(&mut self, ws: &Sender) -> Result<(), CallbackError> {
            self.0 += 1;
            ws.send(format!("opened {}", self.0))?;
            if self.0 == 2 {
                ws.close();
            }
            Ok(())
        }
    }
    impl Handler for Opened {
        fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
            self.greet(ws)
        }
    }
    fn sees_two_greetings(listener: &Listener) {
        listener.open().expect_text("opened 1");
        let mut client = listener.open();
        client.expect_text("opened 2");
        client.answer_close();
    }
    let peer = Peer::start(sees_two_greetings);
    let mut opened = Opened(0);
    let closures = peer.app().reconnect(soon()).on_open(move |ws| opened.greet(ws));
    assert!(within("run_forever", || closures.run_forever()).is_ok_and(|close| close.clean));
    let peer = Peer::start(sees_two_greetings);
    let handler = WebSocketApp::with_handler(peer.url(), Opened(0)).reconnect(soon());
    assert!(within("run_forever", || handler.run_forever()).is_ok_and(|close| close.clean));
}

#[test]
fn a_connection_that_lasted_starts_the_count_again() {
    let uptime = Duration::from_millis(50);
    let lasted = Gate::new();
    let has_lasted = lasted.clone();
    let peer = Peer::start(move |listener| {
        drop(listener.open());
        let lasting = listener.open();
        has_lasted.wait();
        drop(lasting);
        listener.open().answer_close();
    });
    let app = run(peer.app().reconnect(soon().reset_after(uptime)));
    app.expect_open();
    for reconnects in [1, 2] {
        app.expect_failure(Failure::Network(Phase::Open));
        let (_, attempt) = app.expect_close_for_now(lost());
        // The first may have lasted too, on a slow machine.
        assert!(
            attempt == 1 || (reconnects, attempt) == (1, 2),
            "attempt {attempt} comes after a lasting connection"
        );
        app.expect_reconnect();
        // Counted from here, where the app is known to be connected.
        thread::sleep(uptime);
        lasted.open();
    }
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}
