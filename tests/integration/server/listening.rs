//! What is listened on, and by how many threads; ceasing to accept, and beginning again.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use websocket_app::server::{Server, ServerHandle};
use websocket_app::{ClosedBy, Error};

use super::serving::{echoes, serve};
use super::visitor::{Visitor, request};
use crate::failure::clean;
use crate::recorder::Call;
use crate::watchdog::{Gate, PATIENCE, Watchdog, within};

fn echo(server: Server) -> Server {
    server.on_message(|client, message| client.send(message))
}

fn end(handle: ServerHandle) {
    handle.shutdown(1001, "", PATIENCE).unwrap();
    within("the server's end", move || handle.join()).unwrap();
}

fn is_served(mut visitor: Visitor) {
    visitor.upgrade(&request("/", ""));
    visitor.echo("hello");
    visitor.close(1000, "");
}

#[test]
fn with_port_0_the_handle_knows_which_it_is() {
    let _watchdog = Watchdog::new();
    for address in ["127.0.0.1:0", "localhost:0", "[::1]:0", "0.0.0.0:0"] {
        let server = match echo(Server::new(address)).spawn() {
            Ok(handle) => handle,
            // Not every machine has IPv6.
            Err(error) if address.contains("::") => {
                eprintln!("{address}: {error}");
                continue;
            }
            Err(error) => panic!("{address}: {error}"),
        };
        let mut addr = server.local_addr().expect("it is TCP");
        assert_ne!(addr.port(), 0);
        if addr.ip().is_unspecified() {
            addr.set_ip([127, 0, 0, 1].into());
        }
        is_served(Visitor::connect(addr));
        end(server);
    }
}

/// Two servers, two ports, nothing shared.
#[test]
fn servers_are_apart() {
    let _watchdog = Watchdog::new();
    let [one, two] = [(); 2].map(|()| echo(Server::new("127.0.0.1:0")).spawn().unwrap());
    let addr = |server: &ServerHandle| server.local_addr().expect("it is TCP");
    assert_ne!(addr(&one), addr(&two));
    let mut visitor = Visitor::open(addr(&one));
    visitor.echo("a");
    assert_eq!((one.clients().len(), two.clients().len()), (1, 0));
    assert_eq!(two.broadcast("nobody").clients, 0);
    end(two);
    visitor.echo("b");
    visitor.close(1000, "");
    end(one);
}

/// As a service manager hands one in. It may be blocking or not.
#[test]
fn a_listener_that_is_there_already() {
    let _watchdog = Watchdog::new();
    for nonblocking in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(nonblocking).unwrap();
        let addr = listener.local_addr().unwrap();
        // Who came before the server ran is served.
        let early = Visitor::connect(addr);
        let server = echo(Server::with_listener(listener)).spawn().unwrap();
        assert_eq!(server.local_addr(), Some(addr));
        is_served(early);
        is_served(Visitor::connect(addr));
        end(server);
    }
}

#[cfg(unix)]
#[test]
fn a_unix_socket() {
    use std::os::unix::net::UnixListener;
    use std::{env, fs, process};

    let _watchdog = Watchdog::new();
    let folder = env::temp_dir().join(format!("wsapp-server-{}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    for (name, by_name) in [("a.sock", true), ("b.sock", false)] {
        let path = folder.join(name);
        let server = match by_name {
            true => Server::new(format!("unix:{}", path.display())),
            false => Server::with_listener(UnixListener::bind(&path).unwrap()),
        };
        let seen = Arc::<Mutex<Vec<bool>>>::default();
        let sees = Arc::clone(&seen);
        let server = echo(server)
            // There are no addresses to limit by.
            .max_connections_per_address(1)
            .on_open(move |client| {
                let request = client.request();
                let has_none = request.peer_addr().is_none() && request.local_addr().is_none();
                sees.lock().unwrap().push(has_none);
            })
            .spawn()
            .unwrap();
        assert_eq!(server.local_addr(), None);
        let mut stays = Visitor::connect_unix(&path);
        // Whatever it is called: nobody's page gets here.
        stays.upgrade(&request("/", "").replace("localhost", "anything.example"));
        stays.echo("a");
        is_served(Visitor::connect_unix(&path));
        stays.close(1000, "");
        end(server);
        assert_eq!(*seen.lock().unwrap(), [true, true]);
    }
    fs::remove_dir_all(&folder).unwrap();
}

/// A server leaves its socket's file behind, orderly or not: the next one takes its place, but that of
/// nobody who is alive, and of nothing that is no socket.
#[cfg(unix)]
#[test]
fn a_unix_socket_that_was_left_behind_is_replaced() {
    use std::{env, fs, process};

    let _watchdog = Watchdog::new();
    let folder = env::temp_dir().join(format!("wsapp-left-{}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a.sock");
    let at = |path: &std::path::Path| echo(Server::new(format!("unix:{}", path.display())));
    for _ in 0..2 {
        let server = at(&path).spawn().unwrap();
        is_served(Visitor::connect_unix(&path));
        let taken = at(&path).spawn().unwrap_err().to_string();
        assert!(taken.contains("another program listens there"), "{taken}");
        is_served(Visitor::connect_unix(&path));
        end(server);
    }
    let (file, link) = (folder.join("file"), folder.join("link"));
    fs::write(&file, "kept").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for other in [&file, &link] {
        assert!(matches!(at(other).spawn(), Err(Error::Invalid(_))));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    fs::remove_dir_all(&folder).unwrap();
}

/// Of two that begin at once where a file was left behind, one has it, and is found there.
#[cfg(unix)]
#[test]
fn a_unix_socket_that_was_left_behind_is_one_servers() {
    use std::os::unix::net::UnixListener;
    use std::sync::Barrier;
    use std::{env, fs, process};

    const ROUNDS: usize = 20;
    let _watchdog = Watchdog::new();
    let folder = env::temp_dir().join(format!("wsapp-two-{}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    for round in 0..ROUNDS {
        let path = folder.join(format!("{round}.sock"));
        drop(UnixListener::bind(&path).unwrap());
        let both = Arc::new(Barrier::new(2));
        let starting = [(); 2].map(|()| {
            let (path, both) = (path.clone(), Arc::clone(&both));
            crate::watchdog::Task::start("a server", move || {
                both.wait();
                echo(Server::new(format!("unix:{}", path.display()))).spawn()
            })
        });
        let (running, refused): (Vec<_>, Vec<_>) =
            starting.into_iter().map(|task| task.join()).partition(Result::is_ok);
        assert_eq!((running.len(), refused.len()), (1, 1), "round {round}");
        is_served(Visitor::connect_unix(&path));
        running.into_iter().flatten().for_each(end);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), round + 1, "nothing else is left");
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn accepting_may_cease_and_begin_again() {
    let serving = serve(|server| server, echoes);
    let (mut stays, calls) = serving.open();
    let handle = serving.handle();
    for _ in 0..3 {
        handle.stop_accepting();
        for _ in 0..20 {
            let refused = Visitor::connect(serving.addr()).ask(request("/", ""));
            assert_eq!(refused.status, 503);
            assert!(refused.body.contains("no new connections"), "{refused:?}");
            assert!(refused.header("Retry-After").is_some());
        }
        // Those who are there stay.
        stays.echo("still here");
        calls.expect_text("still here");
        handle.accept_again();
        serving.still_serves();
    }
    // A server that accepts nobody can be ended all the same.
    handle.stop_accepting();
    stays.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    drop(handle);
    serving.end();
}

/// One whose request was on its way is answered: it was accepted before.
#[test]
fn who_was_accepted_may_still_ask() {
    let serving = serve(|server| server, echoes);
    let mut early = Visitor::connect(serving.addr());
    early.write("GET / HTTP/1.1\r\nHost: localhost\r\n");
    // It was accepted before the next.
    serving.still_serves();
    let handle = serving.handle();
    handle.stop_accepting();
    let request = request("/", "");
    let (_, rest) = request.split_once("Host: localhost\r\n").expect("it is there");
    early.write(rest);
    early.answer_head().expect_open();
    let calls = serving.next();
    calls.expect_open();
    early.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    drop(handle);
    serving.end();
}

/// Each thread has its share, and a callback on one does not hold up the other.
#[test]
fn threads_share_the_clients() {
    let threads = Arc::<Mutex<BTreeSet<String>>>::default();
    let [here, gate] = [Gate::new(), Gate::new()];
    let (names, opens) = (Arc::clone(&threads), gate.clone());
    let serving = serve(
        |server| server.threads(2),
        move |client, call| {
            if *call == Call::Open {
                let name = thread::current().name().unwrap_or_default().to_owned();
                names.lock().unwrap().insert(name);
            }
            if *call == Call::text("work") {
                here.open();
                opens.wait();
            }
            echoes(client, call)
        },
    );
    let mut clients: Vec<_> = (0..4).map(|_| serving.open()).collect();
    {
        let names = threads.lock().unwrap();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names.contains("websocket-server"), "{names:?}");
    }
    let (visitor, calls) = &mut clients[0];
    visitor.text("work");
    calls.expect_text("work");
    for (visitor, calls) in &mut clients[1..] {
        visitor.echo("meanwhile");
        calls.expect_text("meanwhile");
    }
    // All of them get what is for all.
    assert_eq!(serving.handle().broadcast("all").clients, 4);
    for (visitor, _) in &mut clients[1..] {
        visitor.expect_text("all");
    }
    clients[0].0.expect_text("all");
    gate.open();
    clients[0].0.expect_text("work");
    for (visitor, calls) in clients {
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
    }
    serving.end();
}

/// `run_forever` returns when the server is shut down, and gives the port back.
#[test]
fn run_forever_ends_with_the_server() {
    let _watchdog = Watchdog::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let run = crate::watchdog::Task::start("the server", move || {
        Server::with_listener(listener)
            .on_message(|client, _| client.server().shutdown(1001, "", PATIENCE))
            .run_forever()
            .map_err(crate::failure::Failure::from)
    });
    let mut visitor = Visitor::open(addr);
    visitor.text("the end");
    visitor.answer_close(1001);
    assert_eq!(run.join(), Ok(()));
    TcpListener::bind(addr).unwrap();
}

/// A handle that is dropped lets the server run on.
#[test]
fn nobody_needs_to_keep_a_handle() {
    let _watchdog = Watchdog::new();
    let server = echo(Server::new("127.0.0.1:0"))
        .on_close(|client, _| client.server().abort())
        .spawn()
        .unwrap();
    let addr = server.local_addr().expect("it is TCP");
    drop(server);
    is_served(Visitor::connect(addr));
    crate::watchdog::wait_until("it has ended", || std::net::TcpStream::connect(addr).is_err());
}
