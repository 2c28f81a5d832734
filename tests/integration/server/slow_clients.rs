//! A client that does not read as fast as is broadcast: it is closed, or left out, and holds up
//! nobody.

use crossbeam_channel::unbounded;
use websocket_app::ClosedBy;
use websocket_app::server::{Delivered, SlowClients};

use super::broadcast::close_all;
use super::serving::serve;
use super::stalling::Stalling;
use super::visitor::masked;
use crate::failure::{clean, ending, unanswered};
use crate::frame::Frame;
use crate::recorder::Call;
use crate::watchdog::{PATIENCE, wait_until};

#[test]
fn a_client_that_does_not_read_is_closed_with_1013() {
    let mut stalling = Stalling::start(SlowClients::Close);
    let delivered = stalling.fill();
    assert_eq!((delivered.clients, delivered.closed, delivered.skipped), (1, 1, 0));
    let closed_at = stalling.next;
    // It is not found any more, or not for much longer.
    let delivered = stalling.send();
    assert_eq!((delivered.clients, delivered.closed), (1, 0));
    assert_eq!(stalling.handle.stats().closed_as_slow, 1);
    // What it had got is whole and without a hole, and then it is told.
    let (frames, code) = stalling.stalled.0.read_to_close();
    assert_eq!(code, 1013);
    let numbers: Vec<_> = frames.iter().map(Stalling::number).collect();
    assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
    assert!(numbers.len() < closed_at);
    let Stalling { serving, stalled: (mut visitor, calls), good, handle, .. } = stalling;
    visitor.send(Frame::close(1013, ""));
    let how = ending(&calls.close());
    // It may have been too late.
    assert!(how == clean(ClosedBy::Us, 1013, "") || how == unanswered(), "{how:?}");
    calls.finish();
    drop((visitor, handle));
    close_all([good]);
    serving.end();
}

/// Which does not read its Close either.
#[test]
fn one_that_never_reads_is_dropped_in_time() {
    let mut stalling = Stalling::start(SlowClients::Close);
    stalling.fill();
    let Stalling { serving, stalled: (visitor, calls), good, handle, .. } = stalling;
    calls.expect_close(unanswered());
    calls.finish();
    drop((visitor, handle));
    close_all([good]);
    serving.end();
}

#[test]
fn a_client_that_does_not_read_may_be_left_out() {
    let mut stalling = Stalling::start(SlowClients::Skip);
    let delivered = stalling.fill();
    assert_eq!((delivered.clients, delivered.closed, delivered.skipped), (1, 0, 1));
    let kept = stalling.next - 1;
    for _ in 0..20 {
        let delivered = stalling.send();
        assert_eq!(delivered.clients + delivered.skipped, 2);
    }
    // What it had room for arrives.
    let before = stalling.read_up_to(kept - 1);
    assert!(before.iter().copied().eq(0..kept), "{before:?}");
    // Once it reads it is served as before.
    let stats = stalling.handle.stats();
    assert_eq!((stats.open, stats.closed_as_slow), (2, 0));
    stalling.next = 10_000;
    wait_until("there is room", || {
        stalling.handle.clients().iter().all(|client| client.buffered_amount() == 0)
    });
    assert_eq!(stalling.send().clients, 2);
    let after = stalling.read_up_to(10_000);
    assert!(after.is_sorted(), "{after:?}");
    stalling.end();
}

/// What a callback has sent just before takes the room only until it is written.
#[test]
fn what_a_callback_has_sent_does_not_make_its_client_slow() {
    const LIMIT: usize = 4 << 10;
    let (tell, told) = unbounded();
    let serving = serve(
        |server| server.slow_clients(SlowClients::KeepLatest).max_send_buffer(LIMIT),
        move |client, call| {
            match call {
                Call::Message(text) if *text == "go" => {
                    client.send(&*"a".repeat(LIMIT / 2))?;
                    tell.send(client.server().broadcast("b".repeat(LIMIT)))?;
                }
                _ => {}
            }
            Ok(())
        },
    );
    let (mut visitor, calls) = serving.open();
    // They come together, and what the first one's callback sends may wait for the second's.
    visitor.write([Frame::text("go"), Frame::text("more")].each_ref().map(masked).concat());
    calls.expect_text("go");
    calls.expect_text("more");
    let delivered: Delivered = told.recv_timeout(PATIENCE).expect("it is sent");
    assert_eq!((delivered.clients, delivered.delayed), (1, 0));
    visitor.expect_text(&"a".repeat(LIMIT / 2));
    visitor.expect_text(&"b".repeat(LIMIT));
    close_all([(visitor, calls)]);
    serving.end();
}

/// A stalled client costs the one that reads nothing, nor `send` to another.
#[test]
fn one_that_is_full_is_no_reason_for_others_to_wait() {
    let mut stalling = Stalling::start(SlowClients::Skip);
    stalling.fill();
    let good = stalling.handle.clients().pop().expect("it is there");
    for i in 0..100 {
        good.send(format!("{i}")).unwrap();
        stalling.good.0.expect_text(&i.to_string());
    }
    drop(good);
    let Stalling { serving, stalled: (visitor, calls), good, handle, .. } = stalling;
    visitor.reset();
    while !matches!(calls.next(), Call::Close(_)) {}
    calls.finish();
    drop(handle);
    close_all([good]);
    serving.end();
}
