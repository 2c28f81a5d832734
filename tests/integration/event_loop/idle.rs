//! What a loop holds while nothing happens.

use websocket_app::EventLoop;

use crate::faults::census;
use crate::frame::Frame;
use crate::many::join;
use crate::peer::Peer;
use crate::watchdog::{PATIENCE, within};

#[test]
fn the_memory_of_a_large_message_is_given_back_though_nothing_more_is_read() {
    const LARGE: usize = 12 << 20;
    census::alone(
        "event_loop::idle::the_memory_of_a_large_message_is_given_back_though_nothing_more_is_read",
        |census| {
            let event_loop = EventLoop::new().unwrap();
            let peer = Peer::start(|listener| {
                let mut client = listener.open();
                for size in [10, LARGE] {
                    client.expect_text("next");
                    client.send(Frame::binary(vec![7; size]));
                }
                client.answer_close();
            });
            let (lengths, length) = crossbeam_channel::unbounded();
            let app =
                peer.app().on_message(move |_, message| lengths.send(message.as_bytes().len()));
            let app = event_loop.add(app.on_open(|ws| ws.send("next"))).unwrap();
            assert_eq!(length.recv_timeout(PATIENCE), Ok(10));
            census.has_warmed_up();
            app.sender().send("next").unwrap();
            assert_eq!(length.recv_timeout(PATIENCE), Ok(LARGE));
            census.memory_is_back("a large message");
            app.close();
            within("the run", || app.join()).unwrap();
            join(event_loop);
        },
    );
}

/// The large one takes the place that was to spare.
#[test]
fn the_memory_of_a_large_message_that_begins_behind_a_small_one_is_given_back() {
    const LARGE: usize = 24 << 20;
    let this = "event_loop::idle::the_memory_of_a_large_message_that_begins_behind_a_small_one_is_given_back";
    census::alone(this, |census| {
        let event_loop = EventLoop::new().unwrap();
        let in_two = |size: usize| {
            let half = vec![7; size / 2];
            [Frame::binary(half.clone()).unfinished().encode(), Frame::continuation(half).encode()]
                .concat()
        };
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            for size in [100, LARGE] {
                client.expect_text("next");
                client.write([in_two(10), in_two(size)].concat());
                client.expect_text("small");
                client.write(in_two(10));
            }
            client.answer_close();
        });
        let (lengths, length) = crossbeam_channel::unbounded();
        let app = peer.app().on_message(move |_, message| lengths.send(message.as_bytes().len()));
        let app = event_loop.add(app.on_open(|ws| ws.send("next"))).unwrap();
        let round = |size: usize| {
            assert_eq!(length.recv_timeout(PATIENCE), Ok(10));
            assert_eq!(length.recv_timeout(PATIENCE), Ok(size));
            app.sender().send("small").unwrap();
            assert_eq!(length.recv_timeout(PATIENCE), Ok(10));
        };
        round(100);
        census.has_warmed_up();
        app.sender().send("next").unwrap();
        round(LARGE);
        census.memory_is_back("a large message behind a small one");
        app.close();
        within("the run", || app.join()).unwrap();
        join(event_loop);
    });
}
