//! Other apps on the same loop do not notice that a callback of one is slow.

use std::thread;
use std::time::Duration;

use websocket_app::{ClosedBy, EventLoop};

use super::{WORK, Work};
use crate::failure::{Failure, clean, unanswered};
use crate::frame::Frame;
use crate::many::{Added, add, add_with, add_with_timer, echo_peer, join, serve};
use crate::peer::{Listener, Peer};
use crate::recorder::{Call, only_record};

/// An app whose callback is at work, and the peer that lets it go when the test says so.
pub(super) fn busy(event_loop: &EventLoop) -> (Added, Peer, Work) {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| slow_script(listener, &for_peer));
    let app = add_with(event_loop, peer.app(), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    work.begun.wait();
    (app, peer, work)
}

fn slow_script(listener: &Listener, work: &Work) {
    let mut client = listener.open();
    work.begin(&mut client);
    work.may_end.wait();
    client.close(1000, "");
}

pub(super) fn let_go((app, _peer, work): (Added, Peer, Work)) {
    work.may_end.open();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end().unwrap();
}

#[test]
fn others_echo_on_and_their_timers_tick() {
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(2);
    let early = add(&event_loop, echo.app());
    let timed = add_with_timer(&event_loop, echo.app(), Duration::from_millis(20), only_record());
    early.expect_open();
    timed.expect_open();
    let busy = busy(&event_loop);
    (0..200).for_each(|i| early.echoes(&i.to_string()));
    (0..5).for_each(|_| timed.expect(Call::Timer));
    let_go(busy);
    early.echoes("after");
    early.close();
    timed.sender.close();
    while timed.next() == Call::Timer {}
    timed.end().unwrap();
    join(event_loop);
}

#[test]
fn an_app_may_be_added_opened_and_closed_meanwhile() {
    let event_loop = EventLoop::new().unwrap();
    let busy = busy(&event_loop);
    for _ in 0..3 {
        let echo = echo_peer(1);
        let app = add(&event_loop, echo.app());
        app.expect_open();
        app.echoes("hello");
        app.close();
    }
    let_go(busy);
    join(event_loop);
}

/// The callback that a stand-in runs is slow too, so that another thread stands in for the
/// stand-in, and so on.
#[test]
fn several_may_be_slow_at_once() {
    const SLOW: usize = 5;
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(1);
    let quick = add(&event_loop, echo.app());
    quick.expect_open();
    let mut slow: Vec<_> = (0..SLOW).map(|_| busy(&event_loop)).collect();
    (0..100).for_each(|i| quick.echoes(&i.to_string()));
    // Neither the first to begin nor the last is the first to end.
    let_go(slow.remove(SLOW / 2));
    (0..100).for_each(|i| quick.echoes(&i.to_string()));
    let_go(slow.remove(0));
    (0..100).for_each(|i| quick.echoes(&i.to_string()));
    slow.into_iter().rev().for_each(let_go);
    quick.echoes("after");
    quick.close();
    join(event_loop);
}

/// All get a slow callback again and again, while one that is quick never stops: the loop is handed
/// to and fro while calls are made.
#[test]
fn all_may_be_slow_again_and_again() {
    const APPS: usize = 6;
    const ROUNDS: usize = 8;
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(1);
    let quick = add_with(&event_loop, echo.app(), |ws, call| {
        if matches!(call, Call::Open | Call::Message(_)) {
            // Until it is closed.
            let _not_sent_any_more = ws.send("again");
        }
        Ok(())
    });
    let peer = Peer::start(|listener| {
        serve(listener, APPS, |_, mut client| {
            for i in 0..ROUNDS {
                client.send(Frame::text(i.to_string()));
                client.send(Frame::ping("alive"));
                // The pong comes first, unless the machine is busy.
                let answers = [client.read_frame(), client.read_frame()];
                let expected = [Frame::pong("alive"), Frame::text(i.to_string())];
                assert!(expected.iter().all(|frame| answers.contains(frame)), "{answers:?}");
            }
            client.close(1000, "");
        });
    });
    let slow = || {
        add_with(&event_loop, peer.app(), |ws, call| {
            if let Call::Message(message) = call {
                // Somewhat longer than it takes to be noticed.
                thread::sleep(Duration::from_millis(60));
                ws.send(message.as_message())?;
            }
            Ok(())
        })
    };
    let apps: Vec<Added> = (0..APPS).map(|_| slow()).collect();
    for app in apps {
        app.expect_open();
        for i in 0..ROUNDS {
            app.expect_text(&i.to_string());
            app.expect(Call::Ping("alive".into()));
        }
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end().unwrap();
    }
    quick.expect_open();
    quick.expect_text("again");
    quick.sender.close();
    let close = loop {
        match quick.next() {
            Call::Close(close) => break close,
            call => assert_eq!(call, Call::text("again")),
        }
    };
    assert!(close.clean, "{close}");
    quick.end().unwrap();
    join(event_loop);
}

#[test]
fn a_panic_in_another_apps_callback_meanwhile_ends_that_app_only() {
    let event_loop = EventLoop::new().unwrap();
    let echo = echo_peer(1);
    let quick = add(&event_loop, echo.app());
    quick.expect_open();
    let busy = busy(&event_loop);
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("panic"));
        client.expect(Frame::close(1011, ""));
        client.hang_up();
    });
    let panicking = add_with(&event_loop, peer.app(), |_, call| {
        assert!(!matches!(call, Call::Message(_)), "as it should");
        Ok(())
    });
    panicking.expect_open();
    panicking.expect_text("panic");
    panicking.expect_failure(Failure::Panicked("as it should".into()));
    panicking.expect_close(unanswered());
    assert_eq!(panicking.end(), Err(Failure::Panicked("as it should".into())));
    quick.echoes("still here");
    let_go(busy);
    quick.close();
    join(event_loop);
}

/// The slow one is the last on its loop, and the loop's owner waits for nothing but it.
#[test]
fn the_loop_ends_after_a_slow_last_callback() {
    let event_loop = EventLoop::new().unwrap();
    let work = Work::default();
    let peer = Peer::start(|listener| listener.open().close(1000, ""));
    let app =
        add_with(&event_loop, peer.app(), work.hook_at(|call| matches!(call, Call::Close(_))));
    let echo = echo_peer(1);
    let other = add(&event_loop, echo.app());
    other.expect_open();
    app.expect_open();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    work.begun.wait();
    // The other goes while a stand-in runs the loop.
    other.echoes("hello");
    other.close();
    work.may_end.open();
    app.end().unwrap();
    join(event_loop);
}
