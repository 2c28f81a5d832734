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
            let app = peer.app().on_message(move |_, message| lengths.send(message.as_bytes().len()));
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
