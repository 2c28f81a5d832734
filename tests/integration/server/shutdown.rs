//! How a server ends: everybody is told, what waits goes out first, every `on_open` has its one
//! `on_close`, and nothing is left.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use websocket_app::server::{Answer, Server};
use websocket_app::{ClosedBy, SendError};

use super::serving::{A_MOMENT, STYLES, Style, echoes, serve, serve_as};
use super::visitor::{Visitor, masked, request};
use crate::failure::{clean, ending, unanswered};
use crate::faults::census;
use crate::frame::Frame;
use crate::recorder::Call;
use crate::watchdog::{Gate, PATIENCE, Task, at_once, wait_until, within};

#[test]
fn everybody_gets_1001_or_what_was_asked_for_and_one_on_close() {
    for (style, code) in STYLES.into_iter().flat_map(|style| [(style, 1001), (style, 1012)]) {
        let serving = serve_as(style, |server| server, echoes);
        let clients: Vec<_> = (0..8).map(|_| serving.open()).collect();
        serving.handle().shutdown(code, "maintenance", PATIENCE).unwrap();
        for (mut visitor, calls) in clients {
            visitor.expect(Frame::close(code, "maintenance"));
            visitor.send(Frame::close(code, ""));
            visitor.expect_end();
            calls.expect_close(clean(ClosedBy::Us, code, ""));
            calls.finish();
        }
        serving.ends();
    }
}

#[test]
fn nobody_can_connect_from_then_on() {
    let serving = serve(|server| server, echoes);
    let (visitor, calls) = serving.open();
    let handle = serving.handle();
    handle.shutdown(1001, "", PATIENCE).unwrap();
    wait_until("nobody listens", || TcpStream::connect(serving.addr()).is_err());
    visitor.answer_close(1001);
    calls.expect_close(clean(ClosedBy::Us, 1001, ""));
    calls.finish();
    // Asked again, and too late, all of it does nothing.
    handle.shutdown(1001, "", PATIENCE).unwrap();
    serving.ends();
    handle.shutdown(1001, "", PATIENCE).unwrap();
    handle.abort();
    assert_eq!(handle.broadcast("anybody?").clients, 0);
    assert_eq!((handle.clients().len(), handle.stats().opened), (0, 1));
    handle.join().unwrap();
}

#[test]
fn what_waits_for_a_client_goes_out_first() {
    const MESSAGES: usize = 200;
    for style in STYLES {
        let serving = serve_as(style, |server| server, echoes);
        let (mut visitor, calls) = serving.open();
        let handle = serving.handle();
        (0..MESSAGES).for_each(|i| {
            assert_eq!(handle.broadcast(format!("{i}")).clients, 1);
        });
        handle.shutdown(1001, "", PATIENCE).unwrap();
        drop(handle);
        (0..MESSAGES).for_each(|i| visitor.expect_text(&i.to_string()));
        visitor.answer_close(1001);
        calls.expect_close(clean(ClosedBy::Us, 1001, ""));
        calls.finish();
        serving.ends();
    }
}

/// What comes before their Close is still theirs to say.
#[test]
fn what_clients_still_say_is_heard() {
    let serving = serve(|server| server, |_, _| Ok(()));
    let (mut visitor, calls) = serving.open();
    serving.handle().shutdown(1001, "", PATIENCE).unwrap();
    assert_eq!(visitor.expect_close(), 1001);
    visitor.text("but");
    calls.expect_text("but");
    visitor.send(Frame::close(1001, ""));
    visitor.expect_end();
    calls.expect_close(clean(ClosedBy::Us, 1001, ""));
    calls.finish();
    serving.ends();
}

#[test]
fn a_client_that_does_not_answer_is_dropped_at_the_deadline() {
    for style in STYLES {
        let serving = serve_as(style, |server| server, echoes);
        let (answers, its_calls) = serving.open();
        let (mut silent, calls) = serving.open();
        serving.handle().shutdown(1001, "", A_MOMENT).unwrap();
        assert_eq!(silent.expect_close(), 1001);
        drop(answers);
        calls.expect_close(unanswered());
        calls.finish();
        silent.stay_silent();
        assert_eq!(ending(&its_calls.close()).by, ClosedBy::Us);
        its_calls.finish();
        serving.ends();
    }
}

#[test]
fn a_later_order_may_bring_the_deadline_forward() {
    let serving = serve(|server| server, echoes);
    let (mut silent, calls) = serving.open();
    serving.handle().shutdown(1001, "", PATIENCE).unwrap();
    assert_eq!(silent.expect_close(), 1001);
    serving.handle().abort();
    calls.expect_close(unanswered());
    calls.finish();
    serving.ends();
}

#[test]
fn abort_drops_everybody_at_once() {
    for style in STYLES {
        let serving = serve_as(style, |server| server, echoes);
        let clients: Vec<_> = (0..4).map(|_| serving.open()).collect();
        serving.handle().abort();
        for (visitor, calls) in clients {
            visitor.stay_silent();
            calls.expect_close(unanswered());
            calls.finish();
        }
        serving.ends();
    }
}

/// The end comes after the last callback.
#[test]
fn callbacks_that_run_come_to_their_end() {
    for style in STYLES {
        let (begun, may_end) = (Gate::new(), Gate::new());
        let (begins, ends) = (begun.clone(), may_end.clone());
        let serving = serve_as(
            style,
            |server| server,
            move |_, call| {
                if let Call::Message(_) = call {
                    begins.open();
                    ends.wait();
                }
                Ok(())
            },
        );
        let (mut visitor, calls) = serving.open();
        visitor.text("work");
        begun.wait();
        let handle = serving.handle();
        handle.shutdown(1001, "", PATIENCE).unwrap();
        visitor.answer_close(1001);
        let joined = Task::start("the end", move || handle.join());
        wait_until("it is gone, its callback is not", || serving.handle().clients().is_empty());
        thread::sleep(A_MOMENT);
        assert!(!joined.is_over());
        may_end.open();
        calls.expect_text("work");
        calls.expect_close(clean(ClosedBy::Us, 1001, ""));
        calls.finish();
        joined.join().unwrap();
        serving.ends();
    }
}

#[test]
fn requests_that_are_not_whole_get_503() {
    for style in STYLES {
        let serving = serve_as(style, |server| server, echoes);
        let (visitor, calls) = serving.open();
        let mut early = Visitor::connect(serving.addr());
        early.write("GET / HTTP/1.1\r\nHost: loc");
        // It is accepted before the next.
        let (next, its_calls) = serving.open();
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        let refused = early.refusal();
        assert_eq!((refused.status, refused.header("Retry-After")), (503, Some("5")));
        assert!(refused.body.contains("shuts down"), "{refused:?}");
        for (visitor, calls) in [(visitor, calls), (next, its_calls)] {
            visitor.answer_close(1001);
            calls.expect_close(clean(ClosedBy::Us, 1001, ""));
            calls.finish();
        }
        serving.ends();
    }
}

/// One whose request is being decided on may still come in; then it is told like the others.
#[test]
fn a_request_that_is_being_decided_on_is_told_either_way() {
    let (begun, may_end) = (Gate::new(), Gate::new());
    let (begins, ends) = (begun.clone(), may_end.clone());
    let serving = serve(
        |server: Server| {
            server.on_request(move |_| {
                begins.open();
                ends.wait();
                Answer::accept()
            })
        },
        echoes,
    );
    let mut visitor = Visitor::connect(serving.addr());
    visitor.write(request("/", ""));
    begun.wait();
    serving.handle().shutdown(1001, "", PATIENCE).unwrap();
    wait_until("nobody listens", || TcpStream::connect(serving.addr()).is_err());
    may_end.open();
    let answer = visitor.answer_head();
    match answer.status {
        101 => {
            let calls = serving.next();
            visitor.answer_close(1001);
            calls.expect_open();
            calls.expect_close(clean(ClosedBy::Us, 1001, ""));
            calls.finish();
        }
        status => assert_eq!(status, 503),
    }
    serving.ends();
}

#[test]
fn shutdown_in_a_callback_ends_the_server() {
    for style in STYLES {
        let serving = serve_as(
            style,
            |server| server,
            |client, call| {
                if let Call::Message(_) = call {
                    client.server().shutdown(1001, "", PATIENCE)?;
                }
                Ok(())
            },
        );
        let (mut visitor, calls) = serving.open();
        visitor.text("the end");
        calls.expect_text("the end");
        visitor.answer_close(1001);
        calls.expect_close(clean(ClosedBy::Us, 1001, ""));
        calls.finish();
        serving.ends();
    }
}

/// A code that must not be sent shuts nothing down.
#[test]
fn a_bad_code_or_reason_is_an_error_and_changes_nothing() {
    let serving = serve(|server| server, echoes);
    for (code, reason) in [(1005, String::new()), (999, String::new()), (1001, "r".repeat(124))] {
        let error = serving.handle().shutdown(code, &reason, PATIENCE);
        assert!(matches!(error, Err(SendError::InvalidControl { .. })), "{error:?}");
    }
    serving.still_serves();
    serving.end();
}

/// Clients come, go, and are told, all at once.
#[test]
fn in_the_middle_of_everything_each_open_has_one_close() {
    for style in STYLES {
        let serving = serve_as(style, |server| server, echoes);
        let (first, its_calls) = serving.open();
        let handle = serving.handle();
        let (addr, stop) = (serving.addr(), Gate::new());
        let others = Task::start("those who come and go", {
            let stop = stop.clone();
            move || {
                at_once(0..4, |i: u64| {
                    // Some get in, some are refused, some meet the end.
                    while let Ok(tcp) = TcpStream::connect(addr) {
                        use std::io::{Read, Write};
                        let mut tcp = tcp;
                        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
                        let _gone = tcp.write_all(request("/", "").as_bytes());
                        let _gone = tcp.write_all(&masked(&Frame::text("a")));
                        if i == 0 || i == 2 {
                            let _gone = tcp.read(&mut [0; 256]);
                        }
                        if i < 2 {
                            let _gone = tcp.write_all(&masked(&Frame::close(1000, "")));
                        }
                        stop.open();
                    }
                });
            }
        });
        stop.wait();
        handle.shutdown(1001, "", Duration::from_millis(300)).unwrap();
        drop(handle);
        others.join();
        first.stay_silent();
        assert_eq!(ending(&its_calls.close()).by, ClosedBy::Us);
        its_calls.finish();
        let mut serving = serving;
        assert_eq!(serving.outcome(), Ok(()));
        for calls in serving.rest() {
            // A handler may be there of one that met the end before it was told that it is accepted.
            if style == Style::Handlers && calls.is_empty() {
                calls.finish();
                continue;
            }
            calls.expect_open();
            loop {
                match calls.next() {
                    // Errors of the echo, and of the connection.
                    Call::Message(_) | Call::Error(_) => {}
                    Call::Close(_) => break,
                    call => panic!("{call:?}"),
                }
            }
            calls.finish();
        }
    }
}

/// Alone, since it counts threads and file descriptors.
#[test]
fn nothing_is_left() {
    census::alone("server::shutdown::nothing_is_left", |census| {
        for style in STYLES {
            for abort in [false, true] {
                let serving = serve_as(style, |server| server, echoes);
                let (visitor, calls) = serving.open();
                let handle = serving.handle();
                match abort {
                    true => {
                        handle.abort();
                        visitor.stay_silent();
                    }
                    false => {
                        handle.shutdown(1001, "", PATIENCE).unwrap();
                        visitor.answer_close(1001);
                    }
                }
                assert_eq!(ending(&calls.close()).by, ClosedBy::Us);
                calls.finish();
                serving.ends();
                drop(handle);
                // One thread of the process looks after all loops, and ends some time after them.
                census.nothing_is_left(&format!("{style:?}, abort: {abort}"));
            }
        }
    });
}

/// A program that has joined its server and kept the handle reads on to the end of what callbacks sent.
#[test]
fn what_callbacks_hold_is_dropped_though_a_handle_is_kept() {
    for (panics, threads) in [(false, 1), (false, 2), (true, 1)] {
        let (sender, received) = crossbeam_channel::unbounded();
        let held = Holds { panics };
        let requests = sender.clone();
        let server = Server::new("127.0.0.1:0")
            .threads(threads)
            .on_request(move |_| {
                requests.send("request").unwrap();
                Answer::accept()
            })
            .on_open(move |_| {
                let _kept = &held;
                sender.send("open").unwrap();
            })
            .spawn()
            .unwrap();
        let visitor = Visitor::open(server.local_addr().expect("it is TCP"));
        visitor.close(1000, "");
        server.shutdown(1001, "", PATIENCE).unwrap();
        let joined = server.clone();
        within("the server's end", move || joined.join()).unwrap();
        // Dropped by now, so this needs no limit.
        assert_eq!(received.into_iter().collect::<Vec<_>>(), ["request", "open"]);
        assert_eq!(server.stats().opened, 1);
    }
}

struct Holds {
    panics: bool,
}

impl Drop for Holds {
    fn drop(&mut self) {
        assert!(!self.panics, "as asked");
    }
}
