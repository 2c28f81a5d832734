//! Without file descriptors accepting pauses, and does not spin; when some are free it goes on. And
//! none is left by clients that came and went.

use std::fs::{self, File};
use std::thread;
use std::time::Duration;

use rlimit::Resource;
use socket2::{Domain, Socket, Type};
use websocket_app::server::Server;

use super::clock::Clock;
use super::visitor::{Visitor, request};
use crate::faults::census;
use crate::logged;
use crate::watchdog::{PATIENCE, Watchdog, wait_until, within};

/// Alone, since all of the process have the same limit.
#[test]
fn with_none_left_accepting_pauses_and_does_not_spin() {
    census::alone("server::descriptors::with_none_left_accepting_pauses_and_does_not_spin", |_| {
        pauses()
    });
}

fn pauses() {
    let _watchdog = Watchdog::new();
    logged::listen();
    let server = Server::new("127.0.0.1:0")
        .on_message(|client, message| client.send(message))
        .spawn()
        .unwrap();
    let addr = server.local_addr().expect("it is TCP");
    let mut stays = Visitor::open(addr);
    stays.echo("before");
    let clock = Clock::new();
    // They have theirs, so it is the server's that are missing.
    let waiting: Vec<_> =
        (0..8).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect();
    let open = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let (_, most) = Resource::NOFILE.get().unwrap();
    Resource::NOFILE.set(open + 16, most).unwrap();
    let fillers: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(!fillers.is_empty());
    let from = clock.used();
    // In the backlog nobody has to accept them.
    waiting.iter().for_each(|socket| socket.connect(&addr.into()).unwrap());
    // Who is there is served meanwhile.
    for i in 0..20 {
        stays.echo(&i.to_string());
        thread::sleep(Duration::from_millis(50));
    }
    let spent = clock.used() - from;
    assert!(spent < Duration::from_millis(300), "{spent:?} of a second's processor time");
    assert_eq!(server.stats().opened, 1);
    // Nor does it fill the log.
    assert_eq!(logged::about("accepting pauses").len(), 1);
    // With some free it goes on, and nobody who waited is lost.
    drop(fillers);
    Resource::NOFILE.set(open + 64, most).unwrap();
    for socket in waiting {
        let mut visitor = Visitor::over(socket.into());
        visitor.upgrade(&request("/", ""));
        visitor.echo("after");
        visitor.close(1000, "");
    }
    stays.close(1000, "");
    server.shutdown(1001, "", PATIENCE).unwrap();
    within("the server's end", move || server.join()).unwrap();
}

/// Alone, since it counts those of the process.
#[test]
fn clients_that_come_and_go_leave_none() {
    census::alone("server::descriptors::clients_that_come_and_go_leave_none", |_| {
        let _watchdog = Watchdog::new();
        let server = Server::new("127.0.0.1:0")
            .on_message(|client, message| client.send(message))
            .threads(2)
            .spawn()
            .unwrap();
        let addr = server.local_addr().expect("it is TCP");
        let open = || fs::read_dir("/proc/self/fd").unwrap().count();
        let course = || {
            for way in 0..40 {
                let mut visitor = Visitor::connect(addr);
                match way % 8 {
                    0 => drop(visitor),
                    1 => visitor.write("GET / HTT"),
                    2 => drop(visitor.ask("GET / HTTP/1.0\r\n\r\n")),
                    way => {
                        visitor.upgrade(&request("/", ""));
                        visitor.echo("a");
                        match way {
                            3 => visitor.close(1000, ""),
                            4 => visitor.reset(),
                            5 => visitor.end_stream(),
                            6 => {
                                visitor.write(crate::frame::Frame::text("not masked").encode());
                                visitor.expect_failed(1002);
                            }
                            _ => drop(visitor),
                        }
                    }
                }
            }
            wait_until("all are gone", || server.clients().is_empty());
        };
        course();
        let before = open();
        (0..5).for_each(|_| course());
        wait_until("none is left", || open() <= before);
        server.shutdown(1001, "", PATIENCE).unwrap();
        within("the server's end", move || server.join()).unwrap();
    });
}
