//! Which thread callbacks run on: always the same, with `run_forever` the caller's, also after
//! another thread stood in.

use std::thread::{self, ThreadId};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender as Channel, bounded, unbounded};
use websocket_app::{CallbackError, Reconnect, Sender, WebSocketApp};

use super::{WORK, is_alive};
use crate::frame::Frame;
use crate::peer::{Listener, Peer};
use crate::recorder::{Call, Recorder, record_timer};
use crate::watchdog::{PATIENCE, Task};

#[test]
fn callbacks_of_run_forever_run_on_the_callers_thread() {
    let (_peer, app, calls, threads) = app();
    let run = Task::start("run_forever", move || {
        app.run_forever().unwrap();
        thread::current().id()
    });
    see_all(&calls);
    let caller = run.join();
    assert!(threads.iter().all(|thread| thread == caller), "a callback ran on another thread");
}

#[test]
fn callbacks_of_a_spawned_app_run_on_one_thread() {
    let (_peer, app, calls, threads) = app();
    let app = app.spawn().unwrap();
    see_all(&calls);
    app.join().unwrap();
    let first = threads.recv().unwrap();
    assert!(threads.iter().all(|thread| thread == first), "callbacks ran on several threads");
}

/// How often a connection makes the app slow, and how many connections there are.
const ROUNDS: usize = 3;
const CODES: [u16; 2] = [1012, 1000];

/// An app with callbacks of every kind, some of which are slow, and the threads they run on.
fn app() -> (Peer, WebSocketApp, Recorder, Receiver<ThreadId>) {
    let (to_callback, from_peer) = bounded(0);
    let peer = Peer::start(move |listener| every_kind(listener, &to_callback));
    let (seen, threads) = unbounded();
    let app = peer
        .app()
        .reconnect(Reconnect::fixed(Duration::from_millis(1)).max_attempts(CODES.len() as u32));
    let hook = move |ws: &Sender, call: &Call| -> Result<(), CallbackError> {
        seen.send(thread::current().id())?;
        match call {
            Call::Message(message) if message == WORK => {
                for _begin_and_end in 0..2 {
                    from_peer.recv_timeout(PATIENCE)?;
                }
            }
            Call::Message(message) if message == "fails" => Err("as it should")?,
            Call::Message(message) => ws.send(message.as_message())?,
            _ => {}
        }
        Ok(())
    };
    let (app, calls) = record_timer(app, Duration::from_millis(10), Box::new(hook));
    (peer, app, calls, threads)
}

fn every_kind(listener: &Listener, to_callback: &Channel<()>) {
    let meet = || to_callback.send_timeout((), PATIENCE).expect("the callback is waiting");
    for code in CODES {
        let mut client = listener.open();
        for _ in 0..ROUNDS {
            client.send(Frame::text(WORK));
            meet();
            // The app's thread is held up, so it is another one that answers.
            is_alive(&mut client, "alive");
            for frame in [Frame::text("fails"), Frame::pong("pong"), Frame::text("quick")] {
                client.send(frame);
            }
            meet();
            client.expect_text("quick");
        }
        client.close(code, "");
    }
}

fn see_all(calls: &Recorder) {
    let mut works = 0;
    loop {
        match calls.next() {
            Call::Close(close) if close.reconnect_in.is_none() => break,
            call => works += usize::from(call == Call::text(WORK)),
        }
    }
    assert_eq!(works, ROUNDS * CODES.len());
}

/// An idle connection wakes up for its timers alone, of which it has none here; those who look
/// after slow callbacks sleep too.
#[cfg(target_os = "linux")]
#[test]
fn when_all_is_done_no_thread_wakes_up_any_more() {
    use super::Work;
    use crate::faults::census;
    use crate::observed::Observed;
    use crate::running::run_with;

    census::alone("slow_callbacks::threads::when_all_is_done_no_thread_wakes_up_any_more", |_| {
        let work = Work::default();
        let for_peer = work.clone();
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            for_peer.begin(&mut client);
            is_alive(&mut client, "alive");
            for_peer.may_end.open();
            client.answer_close();
        });
        let app = run_with(peer.app().ping_interval(None), work.hook());
        app.expect_open();
        app.expect_text(WORK);
        app.expect(Call::Ping("alive".into()));
        Observed::nobody_wakes_up();
        app.sender.close();
        assert!(app.close().clean);
        app.end_in_order();
    });
}
