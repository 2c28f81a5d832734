//! Each kind of callback may be slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use websocket_app::{Close, ClosedBy};

use super::{WORK, Work, is_alive, ping};
use crate::failure::{Failure, clean};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::{run_with, run_with_timer};
use crate::watchdog::wait_until;

#[test]
fn on_open() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begun.wait();
        ping(&mut client, 5);
        client.send(Frame::text("first"));
        for_peer.may_end.open();
        client.close(1000, "");
    });
    let app = run_with(peer.app(), work.hook_at(|call| *call == Call::Open));
    app.expect_open();
    (0..5).for_each(|i: u8| app.expect(Call::Ping(i.to_string().into())));
    app.expect_text("first");
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn on_ping_and_on_pong() {
    for trigger in [Frame::ping("slow"), Frame::pong("slow")] {
        let work = Work::default();
        let (for_peer, is_ping) = (work.clone(), trigger == Frame::ping("slow"));
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            client.send(trigger);
            if is_ping {
                client.expect(Frame::pong("slow"));
            }
            for_peer.begun.wait();
            is_alive(&mut client, "alive");
            for_peer.may_end.open();
            client.close(1000, "");
        });
        let slow = if is_ping { Call::Ping("slow".into()) } else { Call::Pong("slow".into()) };
        let expected = slow.clone();
        let app = run_with(peer.app(), work.hook_at(move |call| *call == slow));
        app.expect_open();
        app.expect(expected);
        app.expect(Call::Ping("alive".into()));
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end_in_order();
    }
}

#[test]
fn on_error() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.send(Frame::text("fails"));
        for_peer.begun.wait();
        is_alive(&mut client, "alive");
        for_peer.may_end.open();
        client.close(1000, "");
    });
    let slow = work.clone();
    let app = run_with(peer.app(), move |_, call| match call {
        Call::Message(_) => Err("it failed")?,
        Call::Error(_) => {
            slow.work();
            Ok(())
        }
        _ => Ok(()),
    });
    app.expect_open();
    app.expect_text("fails");
    app.expect_failure(Failure::Callback("on_message".into(), "it failed".into()));
    app.expect(Call::Ping("alive".into()));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// The run is over when it has returned, not before.
#[test]
fn on_close() {
    let (work, returned) = (Work::default(), Arc::new(AtomicBool::new(false)));
    let peer = Peer::start(|listener| listener.open().close(1000, ""));
    let (slow, flag) = (work.clone(), Arc::clone(&returned));
    let app = run_with(peer.app(), move |_, call| {
        if matches!(call, Call::Close(_)) {
            slow.work();
            flag.store(true, Ordering::SeqCst);
        }
        Ok(())
    });
    app.expect_open();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    work.begun.wait();
    // Late requests change nothing any more.
    app.sender.close();
    app.sender.abort();
    assert!(app.sender.send("too late").is_err());
    work.may_end.open();
    app.end_in_order();
    assert!(returned.load(Ordering::SeqCst), "the run was over before its last callback");
}

/// Periods that a slow callback ate are not made up for.
#[test]
fn every() {
    const PERIOD: Duration = Duration::from_millis(20);
    let work = Work::lasting(20 * PERIOD);
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begun.wait();
        ping(&mut client, 3);
        client.send(Frame::text("the end"));
        for_peer.may_end.open();
        client.answer_close();
    });
    let mut slow = Some(work);
    let app = run_with_timer(peer.app(), PERIOD, move |ws, call| {
        match call {
            Call::Timer => slow.take().into_iter().for_each(|work| work.work()),
            Call::Message(_) => ws.close(),
            _ => {}
        }
        Ok(())
    });
    app.expect_open();
    app.expect(Call::Timer);
    let mut ticks = 0;
    let close = loop {
        match app.next() {
            // Those that were due when the callback returned, and perhaps one more on a slow
            // machine.
            Call::Timer => ticks += 1,
            Call::Ping(_) => {}
            Call::Message(message) => assert_eq!(message.to_string(), "the end"),
            Call::Close(close) => break close,
            call => panic!("{call:?}"),
        }
    };
    assert!(close.clean, "{close}");
    assert!(ticks < 10, "{ticks} periods were made up for");
    app.end_in_order();
}

/// What a slow callback sends while it is at work goes out at once, and in its order with what
/// other threads send.
#[test]
fn a_slow_callback_may_send() {
    const COUNT: usize = 20;
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text(WORK));
        for i in 0..COUNT {
            client.expect_text(&i.to_string());
            client.send(Frame::text(i.to_string()));
        }
        client.close(1000, "");
    });
    let app = run_with(peer.app(), |ws, call| {
        if *call == Call::text(WORK) {
            for i in 0..COUNT {
                let before = ws.stats().messages_received;
                ws.send(i.to_string())?;
                // The answer is read while this callback waits for it, though it cannot be handed
                // out.
                wait_until("the answer has come", || ws.stats().messages_received > before);
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    });
    app.expect_open();
    app.expect_text(WORK);
    (0..COUNT).for_each(|i| app.expect_text(&i.to_string()));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// `close_timeout` runs from `close()` on, whatever the callback does; `on_close` comes when the
/// callback has returned.
#[test]
fn a_peer_that_ignores_close_is_left_after_close_timeout_while_the_callback_is_slow() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        client.expect(Frame::close(1000, ""));
        client.expect_end();
        for_peer.may_end.open();
    });
    let app = run_with(peer.app().close_timeout(Duration::from_millis(100)), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    work.begun.wait();
    app.sender.close();
    assert!(matches!(app.next(), Call::Close(Close { by: ClosedBy::Us, clean: false, .. })));
    app.end().unwrap();
}
