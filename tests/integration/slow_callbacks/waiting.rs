//! What arrives while a callback is slow: in order, bounded, nothing lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use websocket_app::{ClosedBy, EventLoop, Phase};

use super::{WORK, Work, is_alive};
use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::many::{Added, add, add_with, echo_peer, join};
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::{run_in_fragments, run_with};
use crate::watchdog::{PATIENCE, wait_until};

/// Reading is paused while much waits, and the keepalive with it, and goes on after that.
#[test]
fn a_peer_that_falls_silent_after_reading_was_paused_is_dead() {
    const INTERVAL: Duration = Duration::from_millis(50);
    // Longer than the peer may have to wait for a processor.
    const TIMEOUT: Duration = Duration::from_millis(500);
    // More than is read at once.
    const MESSAGES: usize = 40;
    const LEN: usize = 100_000;
    let work = Work::lasting(2 * INTERVAL + TIMEOUT);
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        for_peer.may_end.open();
        (0..MESSAGES).for_each(|_| client.send(Frame::binary([7; LEN])));
        client.stay_silent();
    });
    let app = peer.app().max_receive_buffer(4000).ping_interval(INTERVAL).ping_timeout(TIMEOUT);
    let app = run_with(app, work.hook());
    app.expect_open();
    app.expect_text(WORK);
    (0..MESSAGES).for_each(|_| app.expect_binary(&[7; LEN]));
    app.expect_failure(Failure::Timeout(Phase::Open, TIMEOUT));
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn messages_pings_and_pongs_wait_in_the_order_of_the_wire() {
    const ROUNDS: usize = 100;
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        for i in 0..ROUNDS {
            client.send(Frame::text(format!("a{i}")));
            client.send(Frame::pong(format!("b{i}")));
            // What is answered has been read, and not together with the next round.
            is_alive(&mut client, &format!("c{i}"));
            client.send(Frame::binary(format!("d{i}")).unfinished());
            client.send(Frame::pong("between"));
            client.send(Frame::continuation("end"));
        }
        for_peer.may_end.open();
        client.send(Frame::text("after"));
        client.close(1000, "");
    });
    let app = run_with(peer.app(), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    for i in 0..ROUNDS {
        app.expect_text(&format!("a{i}"));
        app.expect(Call::Pong(format!("b{i}").into()));
        app.expect(Call::Ping(format!("c{i}").into()));
        app.expect(Call::Pong("between".into()));
        app.expect_binary(format!("d{i}end").as_bytes());
    }
    app.expect_text("after");
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// Large messages, whose payloads are not read where small ones are.
#[test]
fn large_messages_wait_too() {
    const SIZE: usize = 3 << 20;
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        for fill in [1, 2] {
            client.send(Frame::binary(vec![fill; SIZE]));
            is_alive(&mut client, "read");
        }
        for_peer.may_end.open();
        client.close(1000, "");
    });
    let app = run_with(peer.app(), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    for fill in [1, 2] {
        app.expect_binary(&vec![fill; SIZE]);
        app.expect(Call::Ping("read".into()));
    }
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn fragments_wait_too() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.send(Frame::text("first").unfinished());
        for_peer.begun.wait();
        for i in 0..10 {
            client.send(Frame::continuation(i.to_string()).unfinished());
            is_alive(&mut client, "read");
        }
        for_peer.may_end.open();
        client.send(Frame::continuation("last"));
        client.close(1000, "");
    });
    let first = |call: &Call| matches!(call, Call::Fragment { first: true, .. });
    let app = run_in_fragments(peer.app(), work.hook_at(first));
    app.expect_open();
    let mut whole = String::new();
    loop {
        match app.next() {
            Call::Fragment { data, last, .. } => {
                whole += &data.to_string();
                if last {
                    break;
                }
            }
            call => assert_eq!(call, Call::Ping("read".into())),
        }
    }
    assert_eq!(whole, "first0123456789last");
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// Bytes that may wait, and what one more read may add.
const LIMIT: usize = 1 << 20;
const READ: usize = 256 << 10;
const SIZE: usize = 100_000;
/// More than the limit and the kernel's buffers of both sides hold.
const COUNT: usize = 400;

#[test]
fn what_waits_is_bounded_and_then_the_peer_has_to_wait() {
    bounded(Peer::start);
}

#[cfg(feature = "__tls")]
#[test]
fn what_waits_is_bounded_over_tls() {
    crate::tls::on_each(|backend| {
        bounded(|script| Peer::start_tls(backend, script));
    });
}

type Script = Box<dyn FnOnce(&crate::peer::Listener) + Send>;

fn bounded(start: impl Fn(Script) -> Peer) {
    let work = Work::default();
    let written = Arc::new(AtomicUsize::new(0));
    let (for_peer, counter) = (work.clone(), Arc::clone(&written));
    let peer = start(Box::new(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        for i in 0..COUNT {
            client.send(Frame::text(numbered(i)));
            counter.fetch_add(1, Ordering::SeqCst);
        }
        client.close(1000, "");
    }));
    let other_peer = echo_peer(1);
    let event_loop = EventLoop::new().unwrap();
    let app = add_with(&event_loop, peer.app().max_receive_buffer(LIMIT), work.hook());
    let other = add(&event_loop, other_peer.app());
    other.expect_open();
    app.expect_open();
    app.expect_text(WORK);
    let received = || app.sender.stats().bytes_received as usize;
    // The peer may have filled the kernel's buffers before we have read what we will.
    wait_until("the limit is reached", || received() >= LIMIT);
    turns(&other);
    let waiting = received();
    // If it went on reading, it would now.
    turns(&other);
    assert_eq!(received(), waiting, "it goes on reading");
    let stalled_at = written.load(Ordering::SeqCst);
    assert!(stalled_at < COUNT, "the peer has written everything");
    println!(
        "the peer has written {stalled_at} of {COUNT} messages; {waiting} bytes wait, the limit is {LIMIT}"
    );
    assert!(
        (LIMIT..=LIMIT + READ + SIZE).contains(&waiting),
        "{waiting} bytes wait, the limit is {LIMIT}"
    );
    work.may_end.open();
    (0..COUNT).for_each(|i| app.expect_text(&numbered(i)));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end().unwrap();
    other.close();
    join(event_loop);
}

/// Has something come back to another app on the same loop, a few times: what was there for the
/// first before that has then been read, if it is read at all, since each has its turn.
fn turns(other: &Added) {
    (0..5).for_each(|i| other.echoes(&i.to_string()));
}

/// A message's bytes are not all that it takes to keep it: many small ones are bounded too. Counted
/// are those that are read until reading pauses; a second app on the same loop tells, by what comes
/// back to it, that the first has had its turns.
#[test]
fn many_small_messages_that_wait_are_bounded_by_what_keeping_them_takes() {
    const LIMIT: usize = 64 << 10;
    // So many writes of so many frames of 1 byte, each with 2 of header: less than the limit all
    // together.
    for (writes, each) in [(2_000, 1), (20, 1_000)] {
        assert!(writes * each * 3 < LIMIT);
        let work = Work::default();
        let (for_peer, (write, to_write)) = (work.clone(), crossbeam_channel::bounded::<()>(0));
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            for_peer.begin(&mut client);
            let frames = Frame::text("x").encode().repeat(each);
            let mut written = 0;
            while to_write.recv().is_ok() {
                client.write(&frames);
                written += 1;
                // Says that it is done.
                to_write.recv().unwrap();
            }
            for_peer.may_end.open();
            (written..writes).for_each(|_| client.write(&frames));
            client.close(1000, "");
        });
        let other_peer = echo_peer(1);
        let event_loop = EventLoop::new().unwrap();
        let app = add_with(&event_loop, peer.app().max_receive_buffer(LIMIT), work.hook());
        let other = add(&event_loop, other_peer.app());
        other.expect_open();
        app.expect_open();
        app.expect_text(WORK);
        work.begun.wait();
        let received = || app.sender.stats().messages_received as usize - 1;
        let mut written = 0;
        while written < writes && received() == written * each {
            (0..2).for_each(|_| write.send_timeout((), PATIENCE).unwrap());
            written += 1;
            turns(&other);
        }
        let waiting = received();
        println!(
            "{waiting} messages of 1 byte wait, the limit is {LIMIT} bytes; written were {}",
            written * each
        );
        assert!(
            waiting < written * each,
            "{waiting} messages wait, which is all that were written"
        );
        // Each takes a place in a list at least; and they are not so few that something else must
        // have stopped them.
        assert!(
            (LIMIT / 4096..LIMIT / 8 + each).contains(&waiting),
            "{waiting} messages wait, the limit is {LIMIT}"
        );
        drop(write);
        (0..writes * each).for_each(|_| app.expect_text("x"));
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end().unwrap();
        other.close();
        join(event_loop);
    }
}

/// Reading that was paused when the connection ended: what had arrived is still handed out.
#[test]
fn nothing_is_lost_when_the_peer_ends_the_stream_while_reading_is_paused() {
    const SMALL: usize = 30;
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        (0..SMALL).for_each(|i| client.send(Frame::text(numbered(i))));
        client.send(Frame::close(1000, ""));
        client.end_stream();
        for_peer.may_end.open();
        client.skip_to_close();
    });
    let app = run_with(peer.app().max_receive_buffer(1), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    (0..SMALL).for_each(|i| app.expect_text(&numbered(i)));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

fn numbered(i: usize) -> String {
    format!("{i:06}{}", "x".repeat(SIZE - 6))
}
