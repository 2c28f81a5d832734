//! Promise 9: `run_forever`, and `join`, return `Ok(Close)` when either side closed in order, and
//! `Err` when the app gave up. (Every test of the contract that ends with `end_in_order` or
//! `end_given_up` checks it against the callbacks.)

use websocket_app::{ClosedBy, Phase, WebSocketApp};

use crate::failure::{Failure, clean, ending};
use crate::peer::{Peer, RefusedPort};
use crate::recorder::{only_record, record};
use crate::watchdog::within;

#[test]
fn ok_with_the_peers_close() {
    let peer = Peer::start(|listener| listener.open().close(4001, "a reason"));
    let app = peer.app();
    let close = within("run_forever", || app.run_forever()).unwrap();
    assert_eq!(ending(&close), clean(ClosedBy::Peer, 4001, "a reason"));
}

#[test]
fn ok_with_ours() {
    let peer = Peer::start(|listener| listener.open().answer_close());
    let app = peer.app().on_open(|ws| ws.close());
    let close = within("run_forever", || app.run_forever()).unwrap();
    assert_eq!(ending(&close), clean(ClosedBy::Us, 1000, ""));
}

#[test]
fn err_when_lost() {
    let peer = Peer::start(|listener| drop(listener.open()));
    let app = peer.app();
    let error = within("run_forever", || app.run_forever()).unwrap_err();
    assert_eq!(Failure::from(&error), Failure::Network(Phase::Open));
    assert!(error.to_string().contains(&peer.addr().to_string()), "it names the peer: {error}");
}

#[test]
fn err_when_never_opened() {
    let nobody = RefusedPort::new();
    let app = WebSocketApp::new(nobody.url());
    let error = within("run_forever", || app.run_forever()).unwrap_err();
    assert_eq!(Failure::from(&error), Failure::Network(Phase::Connect));
}

#[test]
fn join_of_a_spawned_app_says_the_same() {
    let peer = Peer::start(|listener| listener.open().close(1000, "done"));
    let (app, calls) = record(peer.app(), only_record());
    let app = app.spawn().unwrap();
    calls.expect_open();
    calls.expect_close(clean(ClosedBy::Peer, 1000, "done"));
    let close = within("join", || app.join()).unwrap();
    assert_eq!(ending(&close), clean(ClosedBy::Peer, 1000, "done"));

    let nobody = RefusedPort::new();
    let (app, calls) = record(WebSocketApp::new(nobody.url()), only_record());
    let app = app.spawn().unwrap();
    let failure = calls.failure();
    calls.expect_close(crate::failure::lost());
    assert_eq!(within("join", || app.join()).map_err(Failure::from), Err(failure));
}
