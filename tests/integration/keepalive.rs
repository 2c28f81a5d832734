//! Pings at the interval, and a dead peer found by them. The intervals are short because they are
//! waited for; that nothing happens sooner or later than it should is for the unit tests, with
//! virtual time.

use std::time::Duration;

use websocket_app::{ClosedBy, Phase, WebSocketApp};

use crate::connection::Connection;
use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::{run, run_in_fragments};
use crate::watchdog::at_once;

const INTERVAL: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_millis(100);

#[test]
fn pings_come_again_and_again_and_their_round_trip_is_measured() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        for _ in 0..3 {
            let payload = client.expect_ping();
            client.send(Frame::pong(payload));
        }
        client.send(Frame::close(1000, ""));
        client.skip_to_close();
    });
    // Only the latest ping's pong is measured: long enough that on a busy machine one of the three
    // comes before the next ping.
    let app = run(peer.app().ping_interval(Duration::from_millis(500)));
    app.expect_open();
    (0..3).for_each(|_| assert!(matches!(app.next(), Call::Pong(_))));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    let stats = app.sender.stats();
    assert!(stats.pings_sent >= 3, "{stats:?}");
    assert_eq!(stats.pongs_received, 3);
    assert!(stats.last_round_trip.is_some());
    app.end_in_order();
}

#[test]
fn a_silent_peer_is_dead() {
    is_found_dead(&Peer::start(|listener| listener.open().stay_silent()));
}

#[cfg(feature = "__tls")]
#[test]
fn a_silent_peer_is_dead_over_tls() {
    crate::tls::on_each(|backend| {
        is_found_dead(&Peer::start_tls(backend, |listener| listener.open().stay_silent()));
    });
}

#[test]
fn a_peer_that_falls_silent_in_the_middle_of_a_frame_is_dead() {
    is_found_dead(&Peer::start(|listener| {
        let mut client = listener.open();
        client.write(&Frame::text("x".repeat(1000)).encode()[..10]);
        client.stay_silent();
    }));
}

#[test]
fn a_peer_that_stops_reading_and_writing_is_dead_also_when_no_ping_can_be_sent() {
    let peer = Peer::start(|listener| {
        let _client = listener.open();
        listener.wait_for_the_test();
    });
    let app = run(impatient(&peer).max_send_buffer(1 << 16));
    app.expect_open();
    while app.sender.try_send([0; 1 << 14]).is_ok() {}
    app.expect_failure(Failure::Timeout(Phase::Open, TIMEOUT));
    app.expect_close(lost());
    app.end_given_up();
}

/// More than a timeout's worth of pings, answered by anything but a pong; the timeout is longer
/// than any delay of a busy machine.
const PINGS: usize = 13;

fn patient(peer: &Peer) -> WebSocketApp {
    peer.app().ping_interval(Duration::from_millis(250)).ping_timeout(Duration::from_secs(2))
}

#[test]
fn a_peer_that_never_pongs_but_talks_is_alive() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        for _ in 0..PINGS {
            client.expect_ping();
            client.send(Frame::text("alive"));
        }
        finish(client);
    });
    let app = run(patient(&peer));
    app.expect_open();
    (0..PINGS).for_each(|_| app.expect_text("alive"));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_peer_that_sends_one_long_frame_slowly_is_alive() {
    at_once([PINGS, 200_000], |length| {
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            let body = "x".repeat(length);
            client.write(Frame::text("").head(length as u64));
            for piece in body.as_bytes()[..length - 1].chunks((length - 1) / (PINGS - 1)) {
                client.expect_ping();
                client.write(piece);
            }
            client.write("x");
            finish(client);
        });
        let app = run(patient(&peer));
        app.expect_open();
        app.expect_text(&"x".repeat(length));
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end_in_order();
    });
}

/// Pings wait behind what it has not read yet.
#[test]
fn a_peer_that_reads_one_long_frame_slowly_and_says_nothing_is_alive() {
    // More than is read slowly and the kernel's buffers hold.
    const LENGTH: usize = 32 << 20;
    const HEADER: usize = 14;
    const PIECE: usize = 1 << 20;
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        for _ in 0..PINGS {
            std::thread::sleep(Duration::from_millis(250));
            client.read_bytes(PIECE);
        }
        client.read_bytes(HEADER + LENGTH - PINGS * PIECE);
        finish(client);
    });
    let app = run(patient(&peer).max_send_buffer(2 * LENGTH));
    app.expect_open();
    app.sender.send(vec![7; LENGTH]).unwrap();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// It answers every ping, so the keepalive has nothing to say.
#[test]
fn a_peer_that_pongs_and_says_nothing_else_is_lost_after_idle_timeout() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("the last"));
        while let Ok(ping) = client.try_read_frame() {
            let _gone = client.try_write(Frame::pong(ping.payload).encode());
        }
    });
    // Long enough for a pong on a machine that has other things to do.
    let idle = 30 * INTERVAL;
    let app = run(peer.app().ping_interval(INTERVAL).idle_timeout(idle));
    app.expect_open();
    app.expect_text("the last");
    let mut pongs = 0;
    let failure = loop {
        match app.next() {
            Call::Pong(_) => pongs += 1,
            Call::Error(failure) => break failure,
            call => panic!("{call:?}"),
        }
    };
    assert_eq!(failure, Failure::Timeout(Phase::Open, idle));
    assert!(pongs > 0, "it was to be idle, not dead");
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn a_peer_that_says_something_every_so_often_is_not_idle() {
    const MESSAGES: usize = 20;
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        for i in 0..MESSAGES {
            client.expect_ping();
            client.send(Frame::text(i.to_string()));
        }
        finish(client);
    });
    // All together take longer than the timeout.
    let app = run(peer.app().ping_interval(4 * INTERVAL).idle_timeout(60 * INTERVAL));
    app.expect_open();
    (0..MESSAGES).for_each(|i| app.expect_text(&i.to_string()));
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// A message that comes slowly, piece by piece, is data all the time.
#[test]
fn a_peer_that_is_in_the_middle_of_a_message_is_not_idle() {
    const PIECES: usize = 20;
    let whole = |length| Frame::binary(vec![7; length]).encode();
    let in_fragments = || {
        let mut frames = vec![Frame::binary([7; 10]).unfinished()];
        frames.extend((2..PIECES).map(|_| Frame::continuation([7; 10]).unfinished()));
        frames.push(Frame::continuation([7; 10]));
        frames.iter().flat_map(Frame::encode).collect()
    };
    let kinds = [whole(10 * PIECES), whole(200_000), in_fragments()];
    at_once(kinds.into_iter().flat_map(|bytes| [(bytes.clone(), false), (bytes, true)]), |kind| {
        let (bytes, in_pieces) = kind;
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            for piece in bytes.chunks(bytes.len().div_ceil(PIECES)) {
                client.expect_ping();
                client.write(piece);
            }
            finish(client);
        });
        // All together take longer than the timeout.
        let app = peer.app().ping_interval(4 * INTERVAL).idle_timeout(60 * INTERVAL);
        let app = if in_pieces { run_in_fragments(app, |_, _| Ok(())) } else { run(app) };
        app.expect_open();
        loop {
            match app.next() {
                Call::Fragment { last: false, .. } => {}
                Call::Fragment { last: true, .. } | Call::Message(_) => break,
                call => panic!("{call:?}"),
            }
        }
        app.expect_close(clean(ClosedBy::Peer, 1000, ""));
        app.end_in_order();
    });
}

/// The beginning of a message makes no data of the pongs that follow it.
#[test]
fn a_peer_that_leaves_a_message_unfinished_is_idle() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("to be").unfinished());
        while let Ok(ping) = client.try_read_frame() {
            let _gone = client.try_write(Frame::pong(ping.payload).encode());
        }
    });
    let idle = 30 * INTERVAL;
    let app = run(peer.app().ping_interval(INTERVAL).idle_timeout(idle));
    app.expect_open();
    let failure = loop {
        match app.next() {
            Call::Pong(_) => {}
            Call::Error(failure) => break failure,
            call => panic!("{call:?}"),
        }
    };
    assert_eq!(failure, Failure::Timeout(Phase::Open, idle));
    app.expect_close(lost());
    app.end_given_up();
}

/// Closes, whether or not one more ping was on its way.
fn finish(mut client: Connection) {
    client.send(Frame::close(1000, ""));
    client.skip_to_close();
}

fn impatient(peer: &Peer) -> WebSocketApp {
    peer.app().ping_interval(INTERVAL).ping_timeout(TIMEOUT)
}

fn is_found_dead(peer: &Peer) {
    let app = run(impatient(peer));
    app.expect_open();
    app.expect_failure(Failure::Timeout(Phase::Open, TIMEOUT));
    app.expect_close(lost());
    app.end_given_up();
}

/// Not by waiting for a ping that does not come: what the thread waits for tells, however long the
/// interval would be.
#[cfg(target_os = "linux")]
mod off {
    use crossbeam_channel::bounded;
    use websocket_app::WebSocket;

    use super::*;
    use crate::observed::Observed;
    use crate::running::run_with;
    use crate::watchdog::{PATIENCE, Task};

    #[test]
    fn without_an_interval_an_idle_connection_wakes_up_for_nothing() {
        const DEFAULT: Duration = Duration::from_secs(30);
        for interval in [Some(DEFAULT), None] {
            let peer = Peer::start(|listener| listener.open().answer_close());
            let (tell, told) = bounded(1);
            let app = if interval.is_some() {
                peer.app()
            } else {
                peer.app().ping_interval(None).ping_timeout(INTERVAL)
            };
            let app = run_with(app, move |_, call| match call {
                Call::Open => Ok(tell.send(Observed::current())?),
                _ => Ok(()),
            });
            app.expect_open();
            let until = told.recv_timeout(PATIENCE).unwrap().waits_for_events(interval.is_some());
            assert!(
                until <= interval,
                "by default it pings each {interval:?}, and wakes up after {until:?}"
            );
            app.sender.close();
            app.expect_close(clean(ClosedBy::Us, 1000, ""));
            assert_eq!(app.sender.stats().pings_sent, 0);
            app.end_in_order();
        }
    }

    /// The same of the blocking client.
    #[test]
    fn without_an_interval_a_blocking_recv_wakes_up_for_nothing() {
        let peer = Peer::start(|listener| {
            let mut client = listener.open();
            client.expect_text("go");
            client.close(1000, "");
        });
        let mut ws = WebSocket::builder(peer.url()).ping_interval(None).connect().unwrap();
        let (sender, (tell, told)) = (ws.sender(), bounded(1));
        let receiving = Task::start("recv", move || {
            tell.send(Observed::current()).unwrap();
            ws.recv().map_err(Failure::from)
        });
        let thread: Observed = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(thread.waits_for_events(false), None);
        sender.send("go").unwrap();
        assert!(matches!(receiving.join(), Err(Failure::Closed(_))));
    }
}
