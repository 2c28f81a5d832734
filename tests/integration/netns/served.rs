//! Our own server, whose clients are in the namespace, behind a link that goes silent.

use std::collections::HashSet;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use websocket_app::server::{Server, ServerHandle};
use websocket_app::{Close, EventLoop, Phase, Reconnect, WebSocketApp};

use super::namespace::{self, Namespace};
use super::{PING_INTERVAL, PING_TIMEOUT, SILENCES, SLACK, closes, expect_text};
use crate::failure::{Failure, ending, lost, unanswered};
use crate::running::{Running, run};
use crate::watchdog::{PATIENCE, Watchdog, at_once, wait_until, within};

/// How many are in the namespace.
const CLIENTS: usize = 3;

/// What callbacks were called with, and for which client.
#[derive(Debug)]
enum Told {
    Error(Failure),
    Close(Close),
}

/// A server with these options that can be reached from the namespace.
fn serve(options: impl FnOnce(Server) -> Server) -> (ServerHandle, Receiver<(u64, Told)>) {
    let (tell, told) = unbounded();
    let tell_too = tell.clone();
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let server = Server::with_listener(listener)
        .on_error(move |client, error| tell.send((client.id(), Told::Error(error.into()))))
        .on_close(move |client, close| tell_too.send((client.id(), Told::Close(close.clone()))));
    (options(server).spawn().unwrap(), told)
}

fn port(server: &ServerHandle) -> u16 {
    server.local_addr().as_ref().map_or(0, SocketAddr::port)
}

fn all_are_there(server: &ServerHandle, clients: usize) {
    wait_until("all clients are there", || server.clients().len() == clients);
}

/// A client that is not in the namespace.
fn here(server: &ServerHandle) -> Running {
    let app = run(WebSocketApp::new(format!("ws://127.0.0.1:{}/", port(server))));
    app.expect_open();
    app
}

#[test]
fn clients_behind_a_silent_link_are_noticed_and_the_others_served() {
    at_once(SILENCES, |(go_silent, come_back)| {
        let watchdog = Watchdog::new();
        let Some(namespace) = Namespace::new() else { return };
        let impatient =
            |server: Server| server.ping_interval(PING_INTERVAL).ping_timeout(PING_TIMEOUT);
        let (server, told) = serve(impatient);
        let app = here(&server);
        let _clients = namespace.start_clients(&namespace.url_of_here(port(&server)));
        all_are_there(&server, CLIENTS + 1);
        assert!(told.is_empty(), "{:?}", told.recv());

        go_silent(&namespace);
        let (began, mut broadcasts) = (Instant::now(), 0);
        let (mut failed, mut gone) = (HashSet::new(), HashSet::new());
        while gone.len() < CLIENTS {
            broadcasts += 1;
            let text = broadcasts.to_string();
            server.broadcast(&text);
            expect_text(&app, &text);
            for (client, what) in told.try_iter() {
                match what {
                    Told::Error(failure) => {
                        assert_eq!(failure, Failure::Timeout(Phase::Open, PING_TIMEOUT));
                        assert!(failed.insert(client), "it failed before");
                    }
                    Told::Close(close) => {
                        assert_eq!(ending(&close), lost());
                        assert!(failed.contains(&client) && gone.insert(client));
                    }
                }
            }
        }
        let took = began.elapsed();
        eprintln!("noticed after {took:?}, of {:?}", PING_INTERVAL + PING_TIMEOUT);
        assert!(took < PING_INTERVAL + PING_TIMEOUT + SLACK, "noticed after {took:?}");
        assert_eq!(server.clients().len(), 1);

        come_back(&namespace);
        all_are_there(&server, CLIENTS + 1);
        assert_eq!(server.broadcast("again").clients, CLIENTS + 1);
        expect_text(&app, "again");
        closes(app);
        ends(&server, PATIENCE);
        drop(watchdog);
    });
}

#[test]
fn a_server_ends_in_time_however_silent_the_link() {
    const DEADLINE: Duration = Duration::from_millis(200);
    at_once(SILENCES, |(go_silent, _)| {
        let watchdog = Watchdog::new();
        let Some(namespace) = Namespace::new() else { return };
        let (server, told) = serve(|server| server);
        let _clients = namespace.start_clients(&namespace.url_of_here(port(&server)));
        all_are_there(&server, CLIENTS);
        go_silent(&namespace);
        let began = Instant::now();
        ends(&server, DEADLINE);
        let took = began.elapsed();
        assert!((DEADLINE..DEADLINE + SLACK).contains(&took), "ended after {took:?}");
        for _ in 0..CLIENTS {
            match told.recv_timeout(PATIENCE).unwrap().1 {
                Told::Close(close) => assert_eq!(ending(&close), unanswered()),
                Told::Error(failure) => panic!("{failure:?}"),
            }
        }
        assert!(told.is_empty(), "each has one on_close");
        drop(watchdog);
    });
}

fn ends(server: &ServerHandle, deadline: Duration) {
    server.shutdown(1001, "", deadline).unwrap();
    let handle = server.clone();
    within("the server's end", move || handle.join()).unwrap();
}

/// Runs in the namespace, and does nothing as a test.
#[test]
fn the_clients_in_the_namespace() {
    if !namespace::is_role("clients") {
        return;
    }
    let event_loop = EventLoop::new().unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let app = WebSocketApp::new(namespace::url_of_server())
                .ping_interval(PING_INTERVAL)
                .ping_timeout(PING_TIMEOUT)
                .connect_timeout(Duration::from_secs(1))
                .reconnect(Reconnect::fixed(Duration::from_millis(50)));
            event_loop.add(app).unwrap()
        })
        .collect();
    // Its end is the end of the test.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(clients);
    std::process::exit(0);
}
