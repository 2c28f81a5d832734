//! The connection lives on while a callback is slow: pings, keepalive, Close.

use std::time::Duration;

use websocket_app::{ClosedBy, Phase};

use super::pings::first_ping;
use super::{WORK, Work, is_alive, ping};
use crate::connection::Connection;
use crate::failure::{Failure, clean, lost};
use crate::faults::census;
use crate::frame::{CLOSE, Frame, PING};
use crate::peer::{Listener, Peer};
use crate::recorder::Call;
use crate::running::{Running, run_with};
use crate::watchdog::{PATIENCE, wait_until};

#[test]
fn a_ping_every_100_ms_is_answered_while_a_callback_sleeps_3_s() {
    let work = Work::lasting(Duration::from_secs(3));
    pings_are_answered(Peer::start(pinging(&work)), &work);
}

/// Before any other thread has begun to stand in for the busy one. Alone, since one thread looks
/// after all loops of a process, and those of other tests would have it look sooner.
#[test]
fn the_first_ping_is_answered_within_100_ms() {
    census::alone("slow_callbacks::alive::the_first_ping_is_answered_within_100_ms", |_| {
        first_pings_are_answered()
    });
}

fn first_pings_are_answered() {
    let (to_callback, from_peer) = crossbeam_channel::bounded(0);
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        let meet = || to_callback.send_timeout((), PATIENCE).expect("the callback is waiting");
        first_ping(
            &mut client,
            |client| {
                client.send(Frame::text("quick"));
                client.expect_text("quick");
                client.send(Frame::text(WORK));
                meet();
            },
            meet,
        );
        client.close(1000, "");
    });
    let app = run_with(peer.app(), move |ws, call| {
        match call {
            Call::Message(message) if message == WORK => {
                for _begin_and_end in 0..2 {
                    from_peer.recv_timeout(PATIENCE)?;
                }
            }
            Call::Message(message) => ws.send(message.as_message())?,
            _ => {}
        }
        Ok(())
    });
    app.expect_open();
    loop {
        match app.next() {
            Call::Message(_) | Call::Ping(_) => {}
            Call::Close(close) => break assert!(close.clean, "{close}"),
            call => panic!("{call:?}"),
        }
    }
    app.end_in_order();
}

#[cfg(feature = "__tls")]
#[test]
fn a_ping_every_100_ms_is_answered_over_tls() {
    crate::tls::on_each(|backend| {
        let work = Work::lasting(Duration::from_secs(1));
        pings_are_answered(Peer::start_tls(backend, pinging(&work)), &work);
    });
}

fn pinging(work: &Work) -> impl FnOnce(&Listener) + Send + 'static {
    let work = work.clone();
    move |listener| {
        let mut client = listener.open();
        work.begin(&mut client);
        ping(&mut client, (work.at_least.as_millis() / 100) as u32);
        work.may_end.open();
        client.close(1000, "");
    }
}

fn pings_are_answered(peer: Peer, work: &Work) {
    let app = run_with(peer.app(), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    for i in 0..work.at_least.as_millis() / 100 {
        app.expect(Call::Ping(i.to_string().into()));
    }
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// Each callback is quick enough not to be noticed, but there are many in a row: what waited while
/// one was slow.
#[test]
fn pings_are_answered_also_while_many_callbacks_work_off_what_has_waited() {
    const COUNT: u32 = 60;
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        for i in 0..COUNT {
            client.send(Frame::text(i.to_string()));
            // Answered, so that the message is not read together with the next.
            is_alive(&mut client, "apart");
        }
        for_peer.may_end.open();
        ping(&mut client, 10);
        client.close(1000, "");
    });
    let mut slow = work.hook();
    let app = run_with(peer.app(), move |ws, call| {
        if matches!(call, Call::Message(_)) {
            std::thread::sleep(Duration::from_millis(18));
        }
        slow(ws, call)
    });
    app.expect_open();
    app.expect_text(WORK);
    let (mut messages, mut pings) = (0, 0);
    while messages < COUNT || pings < COUNT + 10 {
        match app.next() {
            Call::Ping(_) => pings += 1,
            call => {
                assert_eq!(call, Call::text(&messages.to_string()));
                messages += 1;
            }
        }
    }
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

const INTERVAL: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(2);
/// Pings of the client that take longer than its timeout.
const PINGS: usize = 50;

#[test]
fn the_keepalive_goes_on_and_does_not_fire_falsely() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        for _ in 0..PINGS {
            let payload = client.expect_ping();
            client.send(Frame::pong(payload));
        }
        for_peer.may_end.open();
        client.send(Frame::close(1000, ""));
        client.skip_to_close();
    });
    let app = run_with(peer.app().ping_interval(INTERVAL).ping_timeout(TIMEOUT), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    (0..PINGS).for_each(|_| assert!(matches!(app.next(), Call::Pong(_))));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// While reading is paused no pong can be heard, but that is not the peer's fault.
#[test]
fn the_keepalive_does_not_fire_falsely_while_reading_is_paused() {
    const SIZE: usize = 1 << 16;
    const COUNT: usize = 500;
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        (0..COUNT).for_each(|_| client.send(Frame::binary([0; SIZE])));
        client.send(Frame::close(1000, ""));
        client.skip_to_close();
    });
    let app = peer.app().ping_interval(INTERVAL).ping_timeout(TIMEOUT).max_receive_buffer(SIZE);
    let app = run_with(app, work.hook());
    app.expect_open();
    app.expect_text(WORK);
    work.begun.wait();
    // More pings than the timeout has room for, all without an answer.
    wait_until("pings go out", || app.sender.stats().pings_sent >= PINGS as u64);
    work.may_end.open();
    (0..COUNT).for_each(|_| app.expect_binary(&[0; SIZE]));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_dead_peer_is_noticed_meanwhile() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        // Until the client hangs up, which it does while its callback is still at work.
        client.stay_silent();
        for_peer.may_end.open();
    });
    let app = run_with(peer.app().ping_interval(INTERVAL).ping_timeout(2 * INTERVAL), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    app.expect_failure(Failure::Timeout(Phase::Open, 2 * INTERVAL));
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn the_peers_close_is_answered_meanwhile() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        client.send(Frame::text("the last"));
        client.close(1001, "bye");
        for_peer.may_end.open();
    });
    let app = run_with(peer.app(), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    app.expect_text("the last");
    app.expect_close(clean(ClosedBy::Peer, 1001, "bye"));
    app.end_in_order();
}

/// The app is in a slow callback; what the peer does when it sees something decides when that ends.
fn busy(then: impl FnOnce(Connection) + Send + 'static) -> (Peer, Running, Work) {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        then(client);
        for_peer.may_end.open();
    });
    let app = run_with(peer.app(), work.hook());
    app.expect_open();
    app.expect_text(WORK);
    work.begun.wait();
    (peer, app, work)
}

#[test]
fn close_from_another_thread_starts_at_once() {
    let (_peer, app, _) = busy(|mut client| {
        client.expect_text("sent meanwhile");
        client.expect(Frame::close(3000, "enough"));
        client.send(Frame::text("before the answer"));
        client.send(Frame::close(3000, "enough"));
        client.hang_up();
    });
    app.sender.send("sent meanwhile").unwrap();
    app.sender.close_with(3000, "enough").unwrap();
    app.expect_text("before the answer");
    app.expect_close(clean(ClosedBy::Us, 3000, "enough"));
    app.end_in_order();
}

#[test]
fn abort_from_another_thread_ends_the_connection_at_once() {
    let (_peer, app, _) = busy(|client| client.stay_silent());
    app.sender.abort();
    assert!(matches!(app.next(), Call::Close(close) if close.by == ClosedBy::Us && !close.clean));
    app.end_in_order();
}

#[test]
fn close_within_the_slow_callback_starts_at_once() {
    let work = Work::default();
    let for_peer = work.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        for_peer.begin(&mut client);
        client.answer_close();
        for_peer.may_end.open();
    });
    let app = run_with(peer.app(), move |ws, call| {
        if *call == Call::text(WORK) {
            ws.close();
            work.work();
        }
        Ok(())
    });
    app.expect_open();
    app.expect_text(WORK);
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

/// Both at the same time: nobody waits for the other, the first one counts.
#[test]
fn a_close_from_either_side_at_once_is_one_close() {
    let (_peer, app, _) = busy(|mut client| {
        client.send(Frame::close(4000, "mine"));
        loop {
            let frame = client.read_frame();
            assert!(frame.opcode != PING, "the keepalive is far away");
            if frame.opcode == CLOSE {
                break;
            }
        }
    });
    app.sender.close();
    assert!(matches!(app.next(), Call::Close(close) if close.clean && close.code == 4000));
    app.end_in_order();
}
