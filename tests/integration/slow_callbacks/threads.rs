//! Which thread callbacks run on: with `run_forever` always the caller's, also after another thread stood in for it.

use std::thread;
use std::time::Duration;

use crossbeam_channel::unbounded;
use websocket_app::{CallbackError, Reconnect, Sender};

use super::{WORK, is_alive};
use crate::frame::Frame;
use crate::peer::{Listener, Peer};
use crate::recorder::{Call, record_timer};
use crate::watchdog::Task;

/// Longer than it takes to be noticed.
const LONG: Duration = Duration::from_millis(100);

/// Two connections, with every kind of callback, slow ones and quick ones.
fn everything(listener: &Listener) {
    for code in [1012, 1000] {
        let mut client = listener.open();
        for i in 0..3 {
            client.send(Frame::text(WORK));
            // Answered by a stand-in: the callback takes longer than the promise allows for an answer.
            is_alive(&mut client, &i.to_string());
            client.send(Frame::text("quick"));
            client.send(Frame::pong("pong"));
            client.send(Frame::text("fails"));
            client.expect_text("quick");
        }
        client.close(code, "");
    }
}

fn slow_and_quick(ws: &Sender, call: &Call) -> Result<(), CallbackError> {
    match call {
        Call::Message(message) if message.to_string() == "quick" => ws.send("quick")?,
        Call::Message(message) if message.to_string() == "fails" => Err("as it should")?,
        Call::Timer | Call::Ping(_) | Call::Pong(_) => {}
        _ => thread::sleep(LONG),
    }
    Ok(())
}

#[test]
fn callbacks_of_run_forever_run_on_the_callers_thread() {
    let peer = Peer::start(everything);
    let (seen, threads) = unbounded();
    let app = peer.app().reconnect(Reconnect::fixed(Duration::from_millis(1)).max_attempts(2));
    let (app, calls) = record_timer(
        app,
        Duration::from_millis(10),
        Box::new(move |ws, call| {
            seen.send(thread::current().id())?;
            slow_and_quick(ws, call)
        }),
    );
    let run = Task::start("run_forever", move || {
        let caller = thread::current().id();
        app.run_forever().unwrap();
        caller
    });
    while !matches!(calls.next(), Call::Close(close) if close.reconnect_in.is_none()) {}
    let caller = run.join();
    let threads: Vec<_> = threads.iter().collect();
    assert!(threads.len() > 20, "{} callbacks", threads.len());
    assert!(threads.iter().all(|thread| *thread == caller), "a callback ran on another thread");
}

#[test]
fn callbacks_of_a_spawned_app_run_on_one_thread() {
    let peer = Peer::start(everything);
    let (seen, threads) = unbounded();
    let app = peer.app().reconnect(Reconnect::fixed(Duration::from_millis(1)).max_attempts(2));
    let (app, calls) = record_timer(
        app,
        Duration::from_millis(10),
        Box::new(move |ws, call| {
            seen.send(thread::current().id())?;
            slow_and_quick(ws, call)
        }),
    );
    let app = app.spawn().unwrap();
    while !matches!(calls.next(), Call::Close(close) if close.reconnect_in.is_none()) {}
    app.join().unwrap();
    let threads: Vec<_> = threads.iter().collect();
    assert!(threads.iter().all(|thread| *thread == threads[0]), "callbacks ran on several threads");
}
