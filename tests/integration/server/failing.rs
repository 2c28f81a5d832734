//! A loop that cannot go on ends the server: whoever joins is told why, the clients of other loops are
//! closed in order, and nobody waits for ever. Here the program's logger panics on the loop's thread,
//! which no callback can make it do.

use std::net::TcpStream;
use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Sender, unbounded};
use log::{LevelFilter, Log, Metadata, Record};
use websocket_app::server::{Answer, Client, Handler, Request, Server, ServerHandle};
use websocket_app::{ClosedBy, Error, SendError, State};

use super::serving::{STYLES, Serving, Style, echoes, serve_as};
use super::visitor::{Visitor, request};
use crate::failure::{Failure, clean};
use crate::faults::census;
use crate::frame::Frame;
use crate::recorder::{Call, Recorder};
use crate::watchdog::{Gate, PATIENCE, wait_until, within};

/// The close code at which the logger panics, and what else it panics at: what `on_request` gets wrong.
const FATAL: u16 = 4997;
const ON_REQUEST: &str = "on_request";

struct Panics;

impl Log for Panics {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        let is_fatal = line.contains(&format!("received Close {FATAL}"));
        assert!(!is_fatal && !line.contains(ON_REQUEST), "the logger");
    }

    fn flush(&self) {}
}

/// In a process of its own, which has that logger.
fn alone(test: &str, work: impl FnOnce()) {
    census::alone(&format!("server::failing::{test}"), |census| {
        log::set_logger(&Panics).expect("there is no other logger");
        log::set_max_level(LevelFilter::Debug);
        work();
        census.nothing_is_left("the server");
    });
}

/// Two loops, whatever the style.
fn on_two_loops(
    style: Style,
    hook: impl Fn(&Client, &Call) -> Result<(), websocket_app::CallbackError> + Send + Sync + 'static,
) -> Serving {
    serve_as(style, |server: Server| server.threads(2), hook)
}

/// So many clients, which the loops have in turns, the one that accepts first.
fn open(serving: &Serving, count: usize) -> Vec<(Visitor, Recorder, Client)> {
    let open = |_| {
        let (visitor, calls) = serving.open();
        let client = serving.handle().clients().pop().expect("it is the last that came");
        (visitor, calls, client)
    };
    (0..count).map(open).collect()
}

fn is_gone(client: &Client) {
    assert_eq!(client.state(), State::Closed);
    assert_eq!(client.send("x"), Err(SendError::NotConnected { message: None }));
}

fn the_logger() -> Result<(), Failure> {
    Err(Failure::Panicked("the logger".into()))
}

/// The server has ended; of those whose loop has failed nothing more was called.
fn ends(mut serving: Serving, lost: Vec<(Visitor, Recorder, Client)>) {
    assert_eq!(serving.outcome(), the_logger());
    lost.iter().for_each(|(.., client)| is_gone(client));
    assert!(serving.rest().is_empty());
    for (visitor, calls, _) in lost {
        visitor.stay_silent();
        calls.finish();
    }
}

/// The loop that accepts, and the other.
#[test]
fn the_other_loops_clients_are_closed_with_1011() {
    alone("the_other_loops_clients_are_closed_with_1011", || {
        for (style, fatal) in STYLES.into_iter().flat_map(|style| [(style, 0), (style, 1)]) {
            println!("{style:?}, {fatal}");
            let serving = on_two_loops(style, echoes);
            let mut lost = open(&serving, 6);
            lost[fatal].0.send(Frame::close(FATAL, ""));
            for i in [4, 2, 0] {
                let (mut visitor, calls, _) = lost.remove(i + 1 - fatal);
                assert_eq!(visitor.expect_close(), 1011);
                if i == 0 {
                    wait_until("nobody listens", || TcpStream::connect(serving.addr()).is_err());
                }
                visitor.send(Frame::close(1011, ""));
                visitor.expect_end();
                calls.expect_close(clean(ClosedBy::Us, 1011, ""));
                calls.finish();
            }
            ends(serving, lost);
        }
    });
}

#[test]
fn the_only_loop_ends_the_server() {
    alone("the_only_loop_ends_the_server", || {
        for style in [Style::Spawned, Style::Forever, Style::Handlers] {
            println!("{style:?}");
            let serving = serve_as(style, |server| server, echoes);
            let mut lost = open(&serving, 3);
            lost[1].0.send(Frame::close(FATAL, ""));
            ends(serving, lost);
        }
    });
}

/// The second is the one that ends the server by then.
#[test]
fn one_loop_after_the_other() {
    alone("one_loop_after_the_other", || {
        for style in STYLES {
            println!("{style:?}");
            let serving = on_two_loops(style, echoes);
            let mut lost = open(&serving, 4);
            lost[0].0.send(Frame::close(FATAL, ""));
            assert_eq!(lost[1].0.expect_close(), 1011);
            lost[1].0.send(Frame::close(FATAL, ""));
            ends(serving, lost);
        }
    });
}

/// A stand-in has the loop.
#[test]
fn while_a_callback_is_slow_too() {
    alone("while_a_callback_is_slow_too", || {
        for threads in [1, 2] {
            let (begun, may_end) = (Gate::new(), Gate::new());
            let (is_busy, ends_now) = (begun.clone(), may_end.clone());
            let serving = serve_as(
                Style::Spawned,
                |server| server.threads(threads),
                move |_, call| {
                    if *call == Call::text("work") {
                        begun.open();
                        may_end.wait();
                    }
                    Ok(())
                },
            );
            let mut lost = open(&serving, 1 + threads);
            lost[0].0.text("work");
            lost[0].1.expect_text("work");
            is_busy.wait();
            lost[threads].0.send(Frame::close(FATAL, ""));
            if threads == 2 {
                let (visitor, calls, _) = lost.remove(1);
                visitor.answer_close(1011);
                calls.expect_close(clean(ClosedBy::Us, 1011, ""));
                calls.finish();
            }
            let handle = serving.handle();
            let join = within("the end", move || handle.join());
            assert_eq!(join.map_err(Failure::from), the_logger());
            lost.iter().for_each(|(.., client)| is_gone(client));
            ends_now.open();
            ends(serving, lost);
        }
    });
}

/// The line about what the program got wrong is the program's too, where it is asked: no more than the
/// request comes to nothing.
#[test]
fn a_line_about_a_request_is_no_reason_to_end() {
    alone("a_line_about_a_request_is_no_reason_to_end", || {
        for style in STYLES {
            println!("{style:?}");
            let decide = |request: &Request| match request.path() {
                "/panics" => panic!("as asked"),
                "/wrong" => Answer::accept().header("Upgrade", "is not its own to set"),
                "/unoffered" => Answer::accept().subprotocol("what nobody offers"),
                _ => Answer::accept(),
            };
            let serving = serve_as(style, |server| server.on_request(decide), echoes);
            for path in ["/panics", "/wrong", "/unoffered"] {
                let answer = Visitor::connect(serving.addr()).ask(request(path, ""));
                assert_eq!(answer.status, 500, "{path}");
            }
            serving.still_serves();
            serving.end();
        }
    });
}

/// Waits for its server as it is dropped, and tells whether it was told that it must not.
struct Waits {
    server: Arc<OnceLock<ServerHandle>>,
    tell: Sender<bool>,
}

impl Handler for Waits {}

impl Drop for Waits {
    fn drop(&mut self) {
        let server = self.server.get().expect("it is there by then");
        self.tell.send(matches!(server.join(), Err(Error::Deadlock { .. }))).unwrap();
    }
}

/// A handler whose client has not been told yet that it is accepted is dropped as others are.
#[test]
fn handlers_that_are_lost_wait_for_nobody_as_they_are_dropped() {
    alone("handlers_that_are_lost_wait_for_nobody_as_they_are_dropped", || {
        let (server, (tell, told)) = (Arc::<OnceLock<ServerHandle>>::default(), unbounded());
        let its = Arc::clone(&server);
        let make = move |_: &Request| Waits { server: Arc::clone(&its), tell: tell.clone() };
        // Longer than an answer may be that nobody reads.
        let long = "x".repeat(64 << 20);
        let decide = move |request: &Request| match request.path() {
            "/long" => Answer::accept().header("X-Long", &long),
            _ => Answer::accept(),
        };
        let spawned = Server::with_handlers("127.0.0.1:0", make).on_request(decide).spawn();
        let handle = spawned.unwrap();
        assert!(server.set(handle.clone()).is_ok());
        let addr = handle.local_addr().expect("it is TCP");
        let mut unopened = Visitor::connect_with_small_buffer(addr);
        unopened.write(request("/long", ""));
        // Its answer is on its way then.
        unopened.read_a_byte();
        let mut fatal = Visitor::open(addr);
        fatal.send(Frame::close(FATAL, ""));
        for _ in 0..2 {
            assert!(told.recv_timeout(PATIENCE).expect("they are dropped"));
        }
        let join = within("the end", move || handle.join());
        assert_eq!(join.map_err(Failure::from), the_logger());
        fatal.stay_silent();
        unopened.stay_silent();
        drop(server);
    });
}

/// For the only loop; for the last, which has the listener, for there is memory for the stack of one;
/// and for one of many. In this order, since the system keeps the stacks of threads that have ended.
#[cfg(target_os = "linux")]
#[test]
fn where_there_is_no_thread_for_a_loop_nothing_is_left() {
    let test = "server::failing::where_there_is_no_thread_for_a_loop_nothing_is_left";
    census::alone(test, |census| {
        for (threads, room) in [(1, 0), (2, 3 << 20), (64, 16 << 20)] {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let addr = listener.local_addr().unwrap();
            let server = Server::with_listener(listener).threads(threads);
            let spawned = without_memory_for_threads(room, || server.spawn());
            let error = spawned.expect_err("there is no thread").to_string();
            let expected = "the operating system did not give a thread for the server: ";
            assert!(error.starts_with(expected), "{error}");
            assert!(TcpStream::connect(addr).is_err(), "it still listens");
            census.nothing_is_left("the server");
        }
    });
}

/// Threads need memory for their stacks; what else is asked for meanwhile is small, and there is
/// some.
#[cfg(target_os = "linux")]
fn without_memory_for_threads<T>(room: u64, work: impl FnOnce() -> T) -> T {
    use rlimit::Resource;

    let small = || (0..4096).map(|_| Box::new([0_u8; 1024])).collect::<Vec<_>>();
    let (free, kept) = (small(), Box::new([0_u8; 1024]));
    drop(free);
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().expect("there is a field").parse().unwrap();
    let limits = Resource::AS.get().unwrap();
    Resource::AS.set(pages * 4096 + room, limits.1).unwrap();
    let result = work();
    Resource::AS.set(limits.0, limits.1).unwrap();
    drop(kept);
    result
}
