//! How many apps connect at a time: the others wait for their turn, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use websocket_app::{ClosedBy, Error, EventLoop, Phase, State, WebSocketApp};

use crate::failure::{Failure, clean, lost, unanswered};
use crate::many::{Added, add, add_with, join};
use crate::peer::{FullBacklog, Peer};
use crate::recorder::Call;
use crate::watchdog::{Gate, wait_until};

const LONG: Duration = Duration::from_secs(3600);
/// Long enough for an attempt too many to be seen.
const MOMENT: Duration = Duration::from_millis(50);

#[test]
fn no_more_connect_at_a_time_than_are_allowed_and_all_come_to_be() {
    const APPS: usize = 12;
    const LIMIT: usize = 3;
    let peer = Peer::start(|listener| {
        let mut waiting: Vec<_> = (0..LIMIT).map(|_| listener.accept()).collect();
        listener.is_quiet_for(MOMENT);
        let mut open = Vec::new();
        while let Some(mut client) = waiting.pop() {
            client.upgrade();
            open.push(client);
            if open.len() + waiting.len() < APPS {
                waiting.push(listener.accept());
            }
        }
        open.into_iter().for_each(|client| client.close(1000, ""));
    });
    let event_loop = EventLoop::new().unwrap().max_connecting(LIMIT);
    let apps: Vec<_> = (0..APPS).map(|_| add(&event_loop, peer.app())).collect();
    for app in apps {
        app.expect_open();
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end().unwrap();
    }
    join(event_loop);
}

#[test]
fn who_came_first_is_the_first_to_connect() {
    const APPS: usize = 10;
    let all_are_added = Gate::new();
    let added = all_are_added.clone();
    let peer = Peer::start(move |listener| {
        for i in 0..APPS {
            let mut client = listener.accept();
            assert_eq!(client.read_request().line, format!("GET /{i} HTTP/1.1"));
            added.wait();
            let answer = client.acceptance("");
            client.write(answer);
            client.close(1000, "");
        }
    });
    let event_loop = EventLoop::new().unwrap().max_connecting(1);
    let apps: Vec<_> = (0..APPS)
        .map(|i| add(&event_loop, WebSocketApp::new(format!("{}{i}", peer.url()))))
        .collect();
    all_are_added.open();
    for app in apps {
        app.expect_open();
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end().unwrap();
    }
    join(event_loop);
}

#[test]
fn who_waits_can_be_closed_at_once_and_the_next_comes_all_the_same() {
    let silent = FullBacklog::new();
    let peer = Peer::start(|listener| listener.open().answer_close());
    let event_loop = EventLoop::new().unwrap().max_connecting(1);
    let first = add(&event_loop, WebSocketApp::new(silent.url()).connect_timeout(LONG));
    let [second, third] = [(); 2].map(|()| add(&event_loop, peer.app()));
    for app in [&first, &second, &third] {
        wait_until("it connects, or waits to", || app.sender.state() == State::Connecting);
    }
    for end in [second, first] {
        end.sender.close();
        end.expect_close(unanswered());
        end.end().unwrap();
    }
    third.expect_open();
    third.close();
    join(event_loop);
}

/// Nobody is late for having waited: not when another has not connected in the same time.
#[test]
fn the_time_to_connect_counts_from_when_the_turn_comes() {
    let silent = FullBacklog::new();
    let event_loop = EventLoop::new().unwrap().max_connecting(1);
    let another_loop = EventLoop::new().unwrap();
    let first = add(&event_loop, WebSocketApp::new(silent.url()).connect_timeout(LONG));
    let is_its_turn = Arc::new(AtomicBool::new(false));
    let its_turn = Arc::clone(&is_its_turn);
    let second = WebSocketApp::new(silent.url()).connect_timeout(MOMENT / 5);
    let second = add_with(&event_loop, second, move |_, call| {
        let is_early = matches!(call, Call::Error(_)) && !its_turn.load(Ordering::SeqCst);
        if is_early { Err("it is not its turn yet".into()) } else { Ok(()) }
    });
    wait_until("it waits for its turn", || second.sender.state() == State::Connecting);
    let late = Failure::Timeout(Phase::Connect, MOMENT / 5);
    let other = add(&another_loop, WebSocketApp::new(silent.url()).connect_timeout(2 * MOMENT / 5));
    other.failure();
    other.expect_close(lost());
    other.end().unwrap_err();
    join(another_loop);
    is_its_turn.store(true, Ordering::SeqCst);
    first.sender.close();
    first.expect_close(unanswered());
    first.end().unwrap();
    second.expect_failure(late.clone());
    second.expect_close(lost());
    assert_eq!(second.end(), Err(late));
    join(event_loop);
}

/// What it waits for is no network, and nothing limits how long.
#[test]
fn a_closure_that_does_not_return_holds_up_only_those_with_closures() {
    let peer = Peer::start(|listener| {
        for path in ["other", "computed", "computed"] {
            let mut client = listener.accept();
            assert_eq!(client.read_request().line, format!("GET /{path} HTTP/1.1"));
            let answer = client.acceptance("");
            client.write(answer);
            client.close(1000, "");
        }
    });
    let event_loop = EventLoop::new().unwrap().max_connecting(1);
    let (may_return, called) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let computing = [(); 2].map(|()| {
        let (may_return, called) = (may_return.clone(), Arc::clone(&called));
        let url = format!("{}computed", peer.url());
        let app = peer.app().url_with(move |_| {
            called.fetch_add(1, Ordering::SeqCst);
            may_return.wait();
            url.clone()
        });
        add(&event_loop, app)
    });
    wait_until("one computes", || called.load(Ordering::SeqCst) > 0);
    let other = add(&event_loop, WebSocketApp::new(format!("{}other", peer.url())));
    let is_over = |app: Added| {
        app.expect_open();
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end().unwrap();
    };
    is_over(other);
    assert_eq!(called.load(Ordering::SeqCst), 1, "one at a time");
    may_return.open();
    computing.into_iter().for_each(is_over);
    join(event_loop);
}

#[test]
fn none_at_all_is_an_error() {
    let silent = FullBacklog::new();
    let event_loop = EventLoop::new().unwrap().max_connecting(0);
    let app = WebSocketApp::new(silent.url());
    assert!(matches!(event_loop.add(app), Err(Error::Invalid(_))));
    join(event_loop);
}

/// Without a limit of their loops' own.
#[cfg(target_os = "linux")]
#[test]
fn a_process_has_64_attempts_at_a_time() {
    use crate::faults::census;

    const LIMIT: usize = 64;
    let connecting = || census::threads_named("websocket-conne");
    census::alone("event_loop::turns::a_process_has_64_attempts_at_a_time", |census| {
        let silent = FullBacklog::new();
        let event_loops = [(); 2].map(|()| EventLoop::new().unwrap());
        let app = || WebSocketApp::new(silent.url()).connect_timeout(LONG);
        let mut apps: Vec<_> = (0..3 * LIMIT).map(|i| add(&event_loops[i % 2], app())).collect();
        // Or wait for their turn: nothing is left to be begun.
        wait_until("all connect", || {
            apps.iter().all(|app| app.sender.state() == State::Connecting)
        });
        wait_until("as many connect as may", || connecting() >= LIMIT);
        assert_eq!(connecting(), LIMIT);
        // From the last, which waits, to the first.
        while let Some(app) = apps.pop() {
            app.sender.close();
            app.expect_close(unanswered());
            app.end().unwrap();
        }
        event_loops.into_iter().for_each(join);
        drop(silent);
        census.nothing_is_left("the apps");
    });
}
