//! Apps come and go while the loop runs, and the loop goes with the last.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Sender as Channel, bounded};
use websocket_app::{ClosedBy, EventLoop, WebSocketApp};

use crate::failure::{clean, unanswered};
#[cfg(target_os = "linux")]
use crate::faults::census;
use crate::many::{EchoServer, add, add_with, echo_peer, join};
#[cfg(target_os = "linux")]
use crate::observed::Observed;
use crate::peer::Bystander;
use crate::recorder::Call;
use crate::watchdog::{PATIENCE, Task, wait_until};

#[test]
fn several_threads_add_and_close_apps_while_another_goes_on() {
    const THREADS: usize = 4;
    const EACH: usize = 30;
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let server = EchoServer::start();
    let steady = add(&event_loop, server.app());
    steady.expect_open();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (event_loop, url) = (Arc::clone(&event_loop), server.url());
            Task::start(format!("thread {thread}"), move || {
                for i in 0..EACH {
                    let app = add(&event_loop, WebSocketApp::new(url.clone()));
                    // Some talk, some are closed while they connect, some are cut off.
                    if i % 3 == 0 {
                        app.expect_open();
                        app.echoes("hello");
                    }
                    if i % 5 == 0 {
                        app.sender.abort()
                    } else {
                        app.sender.close()
                    }
                    while !matches!(app.next(), Call::Close(_)) {}
                    assert_eq!(app.end().unwrap().by, ClosedBy::Us);
                }
            })
        })
        .collect();
    (0..200).for_each(|i| steady.echoes(&i.to_string()));
    threads.into_iter().for_each(Task::join);
    steady.close();
    join(Arc::into_inner(event_loop).expect("the threads have ended"));
}

#[test]
fn an_app_may_be_added_in_a_callback() {
    let event_loop = Arc::new(EventLoop::new().unwrap());
    let echo = echo_peer(2);
    let (for_callback, url) = (Arc::downgrade(&event_loop), echo.url());
    let second = Arc::new(Mutex::new(None));
    let place = Arc::clone(&second);
    let first = add_with(&event_loop, echo.app(), move |_, call| {
        if *call == Call::Open {
            let event_loop = for_callback.upgrade().ok_or("the loop is still there")?;
            *place.lock().map_err(|_| "nobody else")? =
                Some(add(&event_loop, WebSocketApp::new(url.clone())));
        }
        Ok(())
    });
    first.expect_open();
    wait_until("the second was added", || second.lock().unwrap().is_some());
    let second = second.lock().unwrap().take().unwrap();
    second.expect_open();
    second.echoes("from the second");
    first.echoes("from the first");
    first.close();
    second.close();
    join(Arc::into_inner(event_loop).expect("the callback has returned"));
}

#[test]
fn an_app_that_was_closed_before_never_connects() {
    let event_loop = EventLoop::new().unwrap();
    let nobody = Bystander::new();
    let app = WebSocketApp::new(format!("ws://{}/", nobody.addr()));
    app.sender().close();
    let app = add(&event_loop, app);
    app.expect_close(unanswered());
    app.end().unwrap();
    nobody.saw_nobody();
    join(event_loop);
}

#[test]
fn join_needs_no_app() {
    join(EventLoop::new().unwrap());
}

/// Nor does it leave anything, the thread that looks after slow callbacks included, though that
/// sleeps and no callback wakes it up.
#[cfg(target_os = "linux")]
#[test]
fn a_loop_that_had_no_app_leaves_no_thread() {
    census::alone(
        "event_loop::coming_and_going::a_loop_that_had_no_app_leaves_no_thread",
        |census| {
            let event_loop = EventLoop::new().unwrap();
            // When the loop's thread sleeps, those that it starts are there.
            for _each_of_them_too in 0..2 {
                Observed::others().iter().for_each(Observed::sleeps);
            }
            join(event_loop);
            census.nothing_is_left("a loop without an app");
        },
    );
}

#[test]
fn join_waits_for_the_last_app() {
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(2);
    let (first, last) = (add(&event_loop, echo.app()), add(&event_loop, echo.app()));
    let is_over = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_over);
    let joining = Task::start("join", move || {
        event_loop.join().unwrap();
        flag.store(true, Ordering::SeqCst);
    });
    first.expect_open();
    last.expect_open();
    first.close();
    last.echoes("the loop runs on");
    assert!(!is_over.load(Ordering::SeqCst));
    last.sender.close();
    joining.join();
    // What came of the app was there before the loop ended, and still is.
    last.expect_close(clean(ClosedBy::Us, 1000, ""));
    last.end().unwrap();
}

thread_local! {
    /// Dropped with the thread.
    static THREAD_ENDS: RefCell<Option<Channel<()>>> = const { RefCell::new(None) };
}

#[test]
fn when_it_is_dropped_the_apps_run_on_and_the_thread_ends_with_the_last() {
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(2);
    let (mark, thread_ends) = bounded::<()>(0);
    let mut mark = Some(mark);
    let first = add_with(&event_loop, echo.app(), move |_, _| {
        if let Some(mark) = mark.take() {
            THREAD_ENDS.set(Some(mark));
        }
        Ok(())
    });
    let last = add(&event_loop, echo.app());
    first.expect_open();
    last.expect_open();
    drop(event_loop);
    first.echoes("after the drop");
    first.close();
    last.echoes("after the first");
    last.close();
    let ended = thread_ends.recv_timeout(PATIENCE);
    assert!(ended.is_err_and(|error| error.is_disconnected()), "the thread has not ended");
}
