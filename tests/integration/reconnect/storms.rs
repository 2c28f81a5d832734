//! A server that accepts and closes is not stormed: it sees no more connections than the policy
//! says, however far it lets each of them come.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use websocket_app::{ClosedBy, Phase, Reconnect, WebSocketApp};

use super::{SHORT, soon};
use crate::failure::{Failure, clean, lost};
use crate::peer::{Listener, Peer, RefusedPort};
use crate::running::run;

const ATTEMPTS: u32 = 5;

/// Does the same to as many connections as the policy allows, and sees no other.
fn peer(end: fn(&Listener)) -> Peer {
    Peer::start(move |listener| {
        (0..ATTEMPTS).for_each(|_| end(listener));
        listener.saw_nobody_else();
    })
}

#[test]
fn accept_then_close_by_tcp() {
    let peer = peer(|listener| listener.accept().reset());
    let app = run(peer.app().reconnect(soon().max_attempts(ATTEMPTS)));
    for attempt in 1..=ATTEMPTS {
        let (retry_in, _) = app.failed_attempt(attempt);
        assert_eq!(retry_in, (attempt < ATTEMPTS).then_some(SHORT));
    }
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn accept_then_close_after_the_request() {
    let peer = peer(|listener| {
        listener.accept().read_request();
    });
    let app = run(peer.app().reconnect(soon().max_attempts(ATTEMPTS)));
    for attempt in 1..=ATTEMPTS {
        let (retry_in, why) = app.failed_attempt(attempt);
        assert_eq!(
            (retry_in.is_some(), why),
            (attempt < ATTEMPTS, Failure::Network(Phase::Upgrade))
        );
    }
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn open_then_end_of_stream() {
    let peer = peer(|listener| drop(listener.open()));
    let app = run(peer.app().reconnect(soon().max_attempts(ATTEMPTS)));
    for attempt in 1..=ATTEMPTS {
        if attempt == 1 {
            app.expect_open()
        } else {
            app.expect_reconnect()
        }
        app.expect_failure(Failure::Network(Phase::Open));
        if attempt < ATTEMPTS {
            assert_eq!(app.expect_close_for_now(lost()), (SHORT, attempt + 1));
        }
    }
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn open_then_close() {
    let peer = peer(|listener| listener.open().close(1000, "not now"));
    let app = run(peer.app().reconnect(soon().max_attempts(ATTEMPTS)));
    let close = || clean(ClosedBy::Peer, 1000, "not now");
    for attempt in 1..ATTEMPTS {
        if attempt == 1 {
            app.expect_open()
        } else {
            app.expect_reconnect()
        }
        assert_eq!(app.expect_close_for_now(close()), (SHORT, attempt + 1));
    }
    app.expect_reconnect();
    app.expect_close(close());
    // The peer closed in order each time, the last time too.
    app.end_in_order();
}

#[test]
fn refused() {
    let nobody = RefusedPort::new();
    let app = run(WebSocketApp::new(nobody.url()).reconnect(soon().max_attempts(ATTEMPTS)));
    for attempt in 1..=ATTEMPTS {
        let (retry_in, why) = app.failed_attempt(attempt);
        assert_eq!(
            (retry_in.is_some(), why),
            (attempt < ATTEMPTS, Failure::Network(Phase::Connect))
        );
    }
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn one_attempt_is_the_first() {
    let peer = Peer::start(|listener| {
        drop(listener.open());
        listener.saw_nobody_else();
    });
    let app = run(peer.app().reconnect(soon().max_attempts(1)));
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn the_delay_between_two_connections_is_kept() {
    let delay = Duration::from_millis(100);
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let peer = Peer::start(move |listener| {
        for _ in 0..3 {
            listener.open().send(crate::frame::Frame::close(1000, ""));
            seen.lock().unwrap().push(Instant::now());
        }
        listener.saw_nobody_else();
    });
    let app = run(peer.app().reconnect(Reconnect::fixed(delay).max_attempts(3)));
    for attempt in 1..3 {
        if attempt == 1 {
            app.expect_open()
        } else {
            app.expect_reconnect()
        }
        assert_eq!(app.expect_close_for_now(clean(ClosedBy::Peer, 1000, "")), (delay, attempt + 1));
    }
    app.expect_reconnect();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
    // Each begins after the one before has been answered and the delay has passed.
    for pair in times.lock().unwrap().windows(2) {
        assert!(
            pair[1] - pair[0] >= delay,
            "the next connection came after {:?}",
            pair[1] - pair[0]
        );
    }
}
