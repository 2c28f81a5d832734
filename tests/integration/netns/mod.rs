//! Half-open connections for real: the server is in a network namespace, behind a link that goes
//! silent without an end of stream or a reset, as when a cable is pulled or a firewall forgets.
//! Linux, root and iproute2; said where they lack.

/// The namespace, its link, and what runs in it.
mod namespace;
/// Our own server, and its clients there.
#[cfg(feature = "server")]
mod served;

use std::time::{Duration, Instant};

use websocket_app::{ClosedBy, Phase, Reconnect, SendError, WebSocketApp};

use self::namespace::{Namespace, Server};
use crate::failure::{Failure, clean, ending, lost, unanswered};
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::{Running, run};
use crate::watchdog::{Gate, Task, Watchdog, at_once};

const PING_INTERVAL: Duration = Duration::from_millis(500);
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// What a busy machine may add to the two.
const SLACK: Duration = Duration::from_secs(3);

type Change = fn(&Namespace);

/// The ways in which a peer goes silent, and comes back.
const SILENCES: [(Change, Change); 2] = [
    (Namespace::pull_the_link, Namespace::plug_the_link),
    (Namespace::lose_the_way, Namespace::find_the_way),
];

#[test]
fn a_silent_link_is_noticed_in_time_and_the_connection_made_again_when_it_is_back() {
    at_once(SILENCES, |(go_silent, come_back)| {
        let Some((_watchdog, namespace, server)) = setting() else { return };
        let app = run(impatient(&server));
        talks(&app);
        go_silent(&namespace);
        is_noticed(&app);
        let failed = attempts_until(&app, || come_back(&namespace));
        assert!(failed > 0, "it connected through a silent link");
        expect_text(&app, namespace::WELCOME);
        closes(app);
    });
}

#[test]
fn a_link_that_goes_silent_in_the_middle_of_a_frame() {
    at_once(SILENCES, |(go_silent, come_back)| {
        let Some((_watchdog, namespace, mut server)) = setting() else { return };
        let app = run(impatient(&server));
        talks(&app);
        server.tell("half");
        go_silent(&namespace);
        is_noticed(&app);
        attempts_until(&app, || come_back(&namespace));
        expect_text(&app, namespace::WELCOME);
        closes(app);
    });
}

#[test]
fn a_thread_that_waits_for_room_is_told_when_the_link_is_found_silent() {
    let Some((_watchdog, namespace, server)) = setting() else { return };
    let app = run(impatient(&server).max_send_buffer(1 << 20));
    talks(&app);
    namespace.pull_the_link();
    let sender = app.sender.clone();
    let waits = Task::start("a thread that sends", move || {
        loop {
            if let Err(error) = sender.send(vec![0; 1 << 16]) {
                return error;
            }
        }
    });
    is_noticed(&app);
    assert!(matches!(waits.join(), SendError::NotConnected { message: Some(_) }));
    assert_eq!(app.sender.buffered_amount(), 0);
    attempts_until(&app, || namespace.plug_the_link());
    expect_text(&app, namespace::WELCOME);
    closes(app);
}

#[test]
fn close_ends_the_run_in_time_however_silent_the_link() {
    let timeout = Duration::from_millis(200);
    for (go_silent, _) in SILENCES {
        let Some((_watchdog, namespace, server)) = setting() else { return };
        // No keepalive comes before it.
        let app = run(impatient(&server).ping_interval(None).close_timeout(timeout));
        talks(&app);
        go_silent(&namespace);
        let began = Instant::now();
        app.sender.close();
        app.expect_close(unanswered());
        assert!(began.elapsed() < timeout + SLACK, "closed after {:?}", began.elapsed());
        app.end_in_order();
    }
}

/// A server that is started anew while nobody can hear it knows nothing of the connection, and says
/// so when it is pinged.
#[test]
fn a_peer_that_has_forgotten_the_connection_answers_the_ping_with_a_reset() {
    let Some((_watchdog, namespace, mut server)) = setting() else { return };
    let app = run(impatient(&server).ping_timeout(Duration::from_secs(3600)));
    talks(&app);
    namespace.pull_the_link();
    server.tell("forget");
    namespace.plug_the_link();
    assert_eq!(next(&app), Call::Error(Failure::Network(Phase::Open)));
    attempts_until(&app, || ());
    expect_text(&app, namespace::WELCOME);
    closes(app);
}

/// A large message keeps all else waiting, pings and their answers too, for longer than a peer may be
/// silent: on its way out and on its way back.
#[test]
fn a_thin_link_is_no_dead_peer() {
    const MEGABITS: u32 = 8;
    /// More than the keepalive has patience for.
    const SECONDS: usize = 2;
    let Some((_watchdog, namespace, server)) = setting() else { return };
    if !namespace.thin_the_link(MEGABITS) {
        return;
    }
    let app = run(impatient(&server));
    talks(&app);
    let long = "long ".repeat(SECONDS * (MEGABITS as usize * 1_000_000 / 8) / 5);
    let began = Instant::now();
    app.sender.send(long.as_str()).unwrap();
    let Call::Message(message) = next(&app) else { panic!("it comes back and nothing else") };
    assert!(message.as_message().as_text() == Some(&long));
    let took = began.elapsed();
    assert!(took.as_secs() as usize >= 2 * SECONDS, "the link is not thin: it took {took:?}");
    closes(app);
}

/// In the namespace, whose name server never answers.
#[test]
fn a_name_server_that_is_silent() {
    if namespace::is_role("app") {
        return looks_a_name_up();
    }
    let watchdog = Watchdog::new();
    let Some(namespace) = Namespace::new() else { return };
    let _never_answers = namespace.name_server();
    namespace.run_test("netns::a_name_server_that_is_silent", "app");
    drop(watchdog);
}

fn looks_a_name_up() {
    let timeout = Duration::from_millis(200);
    let app = run(WebSocketApp::new("ws://somewhere.example/").connect_timeout(timeout));
    app.expect_failure(Failure::Timeout(Phase::Resolve, timeout));
    app.expect_close(lost());
    app.end_given_up();

    let policy = Reconnect::fixed(Duration::from_millis(1)).max_attempts(2);
    let app = run(WebSocketApp::new("ws://somewhere.example/")
        .connect_timeout(timeout)
        .reconnect(policy));
    assert_eq!(app.failed_attempt(1).1, Failure::Timeout(Phase::Resolve, timeout));
    assert_eq!(app.failed_attempt(2).1, Failure::Timeout(Phase::Resolve, timeout));
    app.expect_close(lost());
    app.end_given_up();

    let looking_up = Gate::new();
    let looks = looking_up.clone();
    let app = run(WebSocketApp::new("ws://somewhere.example/").url_with(move |_| {
        looks.open();
        String::from("ws://somewhere.example/")
    }));
    looking_up.wait();
    app.sender.close();
    app.expect_close(unanswered());
    app.end_in_order();
}

/// In the namespace, where a name's preferred addresses are IPv6 ones that lead nowhere (RFC 8305).
#[test]
fn addresses_that_are_silent_cost_a_quarter_of_a_second() {
    if namespace::is_role("app") {
        return connects_by_the_other_family();
    }
    let watchdog = Watchdog::new();
    let Some(namespace) = Namespace::new() else { return };
    if !namespace.give_a_name_with_dead_ipv6("both.example") {
        return;
    }
    namespace.run_test("netns::addresses_that_are_silent_cost_a_quarter_of_a_second", "app");
    drop(watchdog);
}

fn connects_by_the_other_family() {
    let peer = Peer::start(|listener| listener.open().answer_close());
    let url = format!("ws://both.example:{}/", peer.addr().port());
    let began = Instant::now();
    let app = run(WebSocketApp::new(url));
    app.expect_open();
    let took = began.elapsed();
    // Had it begun with IPv4, it would have taken nothing; had it not gone on to IPv4, minutes.
    assert!(took >= Duration::from_millis(250), "{took:?}");
    assert!(took < Duration::from_millis(250) + SLACK, "{took:?}");
    let peer_addr = app.sender.handshake().and_then(|handshake| handshake.peer_addr());
    assert_eq!(peer_addr, Some(peer.addr()));
    assert_eq!(namespace::attempts_by_ipv6(), 0, "the others are closed");
    closes(app);
}

/// Runs in the namespace as [`Server`], and does nothing as a test.
#[test]
fn the_server_in_the_namespace() {
    if namespace::is_role("server") {
        namespace::serve();
    }
}

fn setting() -> Option<(Watchdog, Namespace, Server)> {
    let watchdog = Watchdog::new();
    let namespace = Namespace::new()?;
    let server = namespace.start_server();
    Some((watchdog, namespace, server))
}

fn impatient(server: &Server) -> WebSocketApp {
    WebSocketApp::new(server.url())
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT)
        .connect_timeout(Duration::from_secs(1))
        .reconnect(Reconnect::fixed(Duration::from_millis(50)))
}

/// The connection is open and works.
fn talks(app: &Running) {
    loop {
        match app.next() {
            Call::Open => break,
            // A slow machine may need more than one attempt.
            Call::Error(Failure::Attempt(_, Some(_), why))
                if matches!(*why, Failure::Timeout(..)) => {}
            call => panic!("{call:?}"),
        }
    }
    expect_text(app, namespace::WELCOME);
    app.sender.send("hello").unwrap();
    expect_text(app, "hello");
}

fn expect_text(app: &Running, text: &str) {
    assert_eq!(next(app), Call::text(text));
}

/// The next call that is not about the keepalive, whose pongs may come at any time.
fn next(app: &Running) -> Call {
    loop {
        match app.next() {
            Call::Ping(_) | Call::Pong(_) => {}
            call => return call,
        }
    }
}

/// The connection is found dead, no later than the options say.
fn is_noticed(app: &Running) {
    let began = Instant::now();
    let call = next(app);
    let took = began.elapsed();
    assert_eq!(call, Call::Error(Failure::Timeout(Phase::Open, PING_TIMEOUT)));
    eprintln!("noticed after {took:?}, of {:?}", PING_INTERVAL + PING_TIMEOUT);
    assert!(took < PING_INTERVAL + PING_TIMEOUT + SLACK, "noticed after {took:?}");
}

/// Follows the attempts to connect from the lost connection until one succeeds, which it can after
/// the first has failed; returns how many failed.
fn attempts_until(app: &Running, first_failed: impl FnOnce()) -> u32 {
    let mut first_failed = Some(first_failed);
    let (_, first) = app.expect_close_for_now(lost());
    let mut failed = 0;
    loop {
        match app.next() {
            Call::Error(Failure::Attempt(number, Some(_), why)) => {
                assert_eq!(number, first + failed);
                failed += 1;
                assert!(
                    matches!(*why, Failure::Network(Phase::Connect) | Failure::Timeout(..)),
                    "{why:?}"
                );
                if let Some(first_failed) = first_failed.take() {
                    first_failed();
                }
            }
            Call::Reconnect => return failed,
            call => panic!("{call:?}"),
        }
    }
}

fn closes(app: Running) {
    app.sender.close();
    let Call::Close(close) = next(&app) else { panic!("it is closed and nothing else") };
    assert_eq!(ending(&close), clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}
