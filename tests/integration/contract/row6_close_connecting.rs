//! Promise 6, of a connection that is not open: `close()` before running and in every phase of
//! connecting ends the run at once, however long `connect_timeout` is. There is an `on_close` and
//! no `on_error`: nothing went wrong.

use std::time::Duration;

use websocket_app::{State, WebSocketApp};

use crate::connection::Connection;
use crate::failure::{ending, unanswered};
use crate::peer::{Bystander, FullBacklog, Peer};
use crate::recorder::{only_record, record};
use crate::running::{Running, run};
use crate::watchdog::{Gate, wait_until, within};

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(3600);

#[test]
fn before_running() {
    let nobody = Bystander::new();
    let app = WebSocketApp::new(format!("ws://{}/", nobody.addr()));
    app.sender().close();
    is_closed(run(app));

    let (app, calls) = record(WebSocketApp::new(format!("ws://{}/", nobody.addr())), only_record());
    app.sender().close();
    let app = app.spawn().unwrap();
    calls.expect_close(unanswered());
    assert_eq!(within("join", || app.join()).map(|close| ending(&close)).unwrap(), unanswered());
    nobody.saw_nobody();
}

#[test]
fn when_connecting_by_tcp() {
    let peer = FullBacklog::new();
    let app = run(WebSocketApp::new(peer.url()).connect_timeout(FOREVER));
    wait_until("the app connects", || app.sender.state() == State::Connecting);
    app.sender.close();
    is_closed(app);
}

#[test]
fn by_the_handle_of_a_spawned_app() {
    let peer = FullBacklog::new();
    let (app, calls) =
        record(WebSocketApp::new(peer.url()).connect_timeout(FOREVER), only_record());
    let app = app.spawn().unwrap();
    app.close();
    calls.expect_close(unanswered());
    assert_eq!(within("join", || app.join()).map(|close| ending(&close)).unwrap(), unanswered());
}

#[cfg(feature = "__tls")]
#[test]
fn in_the_tls_handshake() {
    closes_when(|url| url.replace("ws://", "wss://"), Connection::read_something);
}

#[test]
fn when_the_request_is_sent() {
    closes_when(str::to_owned, |client| {
        client.read_request();
    });
}

#[test]
fn when_half_the_response_has_come() {
    closes_when(str::to_owned, |client| {
        client.read_request();
        client.write("HTTP/1.1 101 Swi");
    });
}

/// The other side of a race: whichever wins, the run ends in order and nothing is left over.
#[test]
fn at_any_moment_of_a_connection_that_opens() {
    for i in 0..50 {
        let reached = Gate::new();
        let open = reached.clone();
        let peer = Peer::start(move |listener| {
            let mut client = listener.accept();
            client.read_request();
            let acceptance = client.acceptance("");
            open.open();
            // The client may have gone already.
            if client.try_write(acceptance).is_ok() {
                client.answer_close_or_end();
            }
        });
        let app = run(peer.app());
        reached.wait();
        // A little more or less late each time.
        (0..i * 20).for_each(|_| std::hint::spin_loop());
        app.sender.close();
        while app.last().1.is_none() {
            let call = app.next();
            assert!(!matches!(call, crate::recorder::Call::Error(_)), "{call:?}");
        }
        app.end_in_order();
    }
}

fn closes_when(
    url: impl FnOnce(&str) -> String,
    reached: impl FnOnce(&mut Connection) + Send + 'static,
) {
    let gate = Gate::new();
    let here = gate.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.accept();
        reached(&mut client);
        here.open();
        client.stay_silent();
    });
    let app = run(WebSocketApp::new(url(&peer.url())).connect_timeout(FOREVER));
    gate.wait();
    app.sender.close();
    is_closed(app);
}

fn is_closed(app: Running) {
    app.expect_close(unanswered());
    app.end_in_order();
}
