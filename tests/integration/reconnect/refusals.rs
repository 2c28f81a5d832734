//! What is tried again and what is not: refusals by status, `Retry-After`, and `retry_if` in place
//! of the list.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use websocket_app::{Cause, ClosedBy, Error, EventLoop, Phase, Reconnect, WebSocketApp};

use super::{SHORT, refuse, soon};
use crate::failure::{Failure, clean, ending, lost};
use crate::frame::Frame;
use crate::peer::{Peer, RefusedPort};
use crate::recorder::{only_record, record};
use crate::running::{Running, run};
use crate::watchdog::within;

#[test]
fn a_refusal_that_cannot_get_better_is_one_attempt() {
    for status in [400, 401, 403, 404, 410, 499] {
        let peer = Peer::start(move |listener| {
            refuse(listener, status, "");
            listener.saw_nobody_else();
        });
        let app = run(peer.app().reconnect(soon()));
        let (retry_in, why) = app.failed_attempt(1);
        assert_eq!((retry_in, status_of(&why)), (None, status));
        app.expect_close(lost());
        app.end_given_up();
    }
}

#[test]
fn a_refusal_that_may_get_better_is_tried_again() {
    let statuses = [302, 408, 425, 429, 500, 502, 503, 504];
    let peer = Peer::start(move |listener| {
        statuses.into_iter().for_each(|status| refuse(listener, status, ""));
        listener.open().answer_close();
    });
    let app = run(peer.app().reconnect(soon()));
    for (attempt, status) in (1..).zip(statuses) {
        let (retry_in, why) = app.failed_attempt(attempt);
        assert_eq!((retry_in, status_of(&why)), (Some(SHORT), status));
    }
    app.expect_open();
    end(app);
}

#[test]
fn a_403_after_a_lost_connection_ends_the_run() {
    let peer = Peer::start(|listener| {
        drop(listener.open());
        refuse(listener, 403, "");
        listener.saw_nobody_else();
    });
    let app = run(peer.app().reconnect(soon()));
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    assert_eq!(app.expect_close_for_now(lost()), (SHORT, 2));
    let (retry_in, why) = app.failed_attempt(2);
    assert_eq!((retry_in, status_of(&why)), (None, 403));
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn retry_after_is_waited_for() {
    const WAIT: Duration = Duration::from_secs(2);
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let peer = Peer::start(move |listener| {
        let mut client = listener.accept();
        client.read_request();
        seen.lock().unwrap().push(Instant::now());
        client.write("HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n");
        let client = listener.open();
        seen.lock().unwrap().push(Instant::now());
        client.answer_close();
    });
    let app = run(peer.app().reconnect(soon()));
    assert_eq!(app.failed_attempt(1).0, Some(WAIT));
    app.expect_open();
    // The peer notes the second time before it answers the Close.
    end(app);
    let times = times.lock().unwrap().clone();
    assert!(times[1] - times[0] >= WAIT, "it came back after {:?}", times[1] - times[0]);
}

#[test]
fn retry_after_lengthens_a_delay_and_never_shortens_it() {
    let delay = Duration::from_millis(50);
    let values = ["0", "soon", "-1", "99999999999999999999999", ""];
    let peer = Peer::start(move |listener| {
        values
            .into_iter()
            .for_each(|value| refuse(listener, 503, &format!("Retry-After: {value}\r\n")));
        listener.open().answer_close();
    });
    let app = run(peer.app().reconnect(Reconnect::fixed(delay)));
    for attempt in (1..).take(values.len()) {
        assert_eq!(app.failed_attempt(attempt).0, Some(delay));
    }
    app.expect_open();
    end(app);
}

#[test]
fn an_endless_retry_after_is_an_hour_and_can_be_closed() {
    let peer = Peer::start(|listener| {
        refuse(listener, 503, &format!("Retry-After: {}\r\n", u64::MAX));
        listener.saw_nobody_else();
    });
    let app = run(peer.app().reconnect(soon()));
    assert_eq!(app.failed_attempt(1).0, Some(Duration::from_secs(3600)));
    app.sender.close();
    app.expect_close(crate::failure::unanswered());
    app.end_in_order();
}

#[cfg(feature = "__tls")]
#[test]
fn a_certificate_that_is_not_trusted_is_one_attempt() {
    crate::tls::on_each(|backend| {
        let peer = Peer::start_tls(backend, |listener| {
            listener.expect_no_agreement();
            listener.saw_nobody_else();
        });
        let app = run(WebSocketApp::new(peer.url())
            .tls(websocket_app::TlsConfig::new().backend(backend))
            .reconnect(soon()));
        let (retry_in, why) = app.failed_attempt(1);
        assert!(retry_in.is_none() && matches!(why, Failure::Tls(_)), "{why:?}");
        app.expect_close(lost());
        app.end_given_up();
    });
}

/// As from a server that is restarting, or from what stands before it.
#[cfg(feature = "__tls")]
#[test]
fn a_tls_handshake_that_fails_for_another_reason_is_tried_again() {
    // An alert, `internal_error` (RFC 8446 §6), and an answer without TLS.
    const ANSWERS: [&[u8]; 2] =
        [b"\x15\x03\x03\x00\x02\x02\x50", b"HTTP/1.1 503 Service Unavailable\r\n\r\n"];
    crate::tls::on_each(|backend| {
        let peer = Peer::start(|listener| {
            for answer in ANSWERS {
                let mut client = listener.accept();
                client.read_something();
                client.write(answer);
            }
            drop(listener.accept());
            listener.saw_nobody_else();
        });
        let url = peer.url().replace("ws://", "wss://");
        let tls = websocket_app::TlsConfig::new().backend(backend);
        let app = run(WebSocketApp::new(url).tls(tls).reconnect(soon().max_attempts(3)));
        for attempt in 1..=2 {
            let (retry_in, why) = app.failed_attempt(attempt);
            assert!(retry_in.is_some() && matches!(why, Failure::Tls(_)), "{why:?}");
        }
        assert_eq!(app.failed_attempt(3), (None, Failure::Network(Phase::Tls)));
        app.expect_close(lost());
        app.end_given_up();
    });
}

#[test]
fn retry_if_may_try_what_would_not_be_and_leave_what_would() {
    let peer = Peer::start(|listener| {
        refuse(listener, 403, "");
        refuse(listener, 503, "");
        listener.saw_nobody_else();
    });
    let only_403 =
        |cause: Cause<'_>| matches!(cause, Cause::Error(Error::Rejected(r)) if r.status == 403);
    let app = run(peer.app().reconnect(soon().retry_if(only_403)));
    let (retry_in, why) = app.failed_attempt(1);
    assert_eq!((retry_in, status_of(&why)), (Some(SHORT), 403));
    let (retry_in, why) = app.failed_attempt(2);
    assert_eq!((retry_in, status_of(&why)), (None, 503));
    app.expect_close(lost());
    app.end_given_up();
}

/// What the default says, but for a code of the application's own.
#[test]
fn retry_if_may_leave_a_close_code_out_of_the_default() {
    let peer = Peer::start(|listener| {
        refuse(listener, 503, "");
        listener.open().close(1001, "");
        listener.open().close(4001, "token expired");
        listener.saw_nobody_else();
    });
    let but_4001 = |cause: Cause<'_>| {
        let expired = matches!(cause, Cause::Close(close) if close.code == 4001);
        cause.is_temporary() && !expired
    };
    let app = run(peer.app().reconnect(soon().retry_if(but_4001)));
    app.failed_attempt(1);
    app.expect_open();
    app.expect_close_for_now(clean(ClosedBy::Peer, 1001, ""));
    app.expect_reconnect();
    app.expect_close(clean(ClosedBy::Peer, 4001, "token expired"));
    app.end_in_order();
    // What cannot get better by itself is left as it would be without.
    let peer = Peer::start(|listener| {
        refuse(listener, 403, "");
        listener.saw_nobody_else();
    });
    let app = run(peer.app().reconnect(soon().retry_if(but_4001)));
    let (retry_in, why) = app.failed_attempt(1);
    assert_eq!((retry_in, status_of(&why)), (None, 403));
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn retry_if_sees_every_cause() {
    let peer = Peer::start(|listener| {
        refuse(listener, 503, "");
        drop(listener.open());
        let mut client = listener.open();
        client.send(Frame::masked(Frame::text("x")));
        client.expect_close_code();
        drop(client);
        listener.open().close(4000, "done");
        listener.saw_nobody_else();
    });
    let causes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&causes);
    let policy = soon().retry_if(move |cause| {
        let (what, again) = match cause {
            Cause::Error(error) => (format!("{:?}", Failure::from(error)), true),
            Cause::Close(close) => (format!("{:?}", ending(close)), close.code != 4000),
            _ => panic!("there is no other cause"),
        };
        seen.lock().unwrap().push(what);
        again
    });
    let app = run(peer.app().reconnect(policy));
    app.failed_attempt(1);
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    app.failure();
    assert_eq!(app.close().attempt, 4);
    app.expect_reconnect();
    let done = clean(ClosedBy::Peer, 4000, "done");
    app.expect_close(done.clone());
    // The peer closed in order, so the run has not failed.
    app.end_in_order();
    let causes = causes.lock().unwrap();
    let expected = ["Rejected", "Network(Open)", "Protocol(MaskedFrame)", &format!("{done:?}")];
    assert!(
        causes.len() == 4 && causes.iter().zip(expected).all(|(c, e)| c.starts_with(e)),
        "{causes:?}"
    );
}

#[test]
fn a_panic_in_retry_if_ends_its_app_and_nothing_else() {
    let nobody = RefusedPort::new();
    let app =
        run(WebSocketApp::new(nobody.url()).reconnect(soon().retry_if(|_| panic!("undecided"))));
    app.expect_failure(Failure::Panicked("retry_if".into()));
    app.expect_close(lost());
    app.end_given_up();

    // Of a connection that was open, and with others on the same loop.
    let peer = Peer::start(|listener| drop(listener.open()));
    let other = Peer::start(|listener| listener.open().answer_close());
    let event_loop = EventLoop::new().unwrap();
    let (app, calls) =
        record(peer.app().reconnect(soon().retry_if(|_| panic!("undecided"))), only_record());
    let (other, other_calls) = record(other.app(), only_record());
    let (app, other) = (event_loop.add(app).unwrap(), event_loop.add(other).unwrap());
    calls.expect_open();
    calls.expect_failure(Failure::Panicked("retry_if".into()));
    calls.expect_close(lost());
    assert!(matches!(within("join", || app.join()), Err(Error::Panicked(_))));
    other_calls.expect_open();
    other.close();
    other_calls.expect_close(clean(ClosedBy::Us, 1000, ""));
    assert!(within("join", || other.join()).is_ok());
    within("the event loop", || event_loop.join()).unwrap();
}

/// Closes the run's connection, which the peer answers.
fn end(app: Running) {
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

fn status_of(failure: &Failure) -> u16 {
    match failure {
        Failure::Rejected(rejection) => rejection.status,
        other => panic!("expected a refusal, it was {other:?}"),
    }
}
