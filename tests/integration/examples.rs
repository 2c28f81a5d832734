//! The examples that are more than a few lines, against scripted peers.

use crossbeam_channel::bounded;
use websocket_app::Sender;

use crate::frame::Frame;
use crate::peer::Peer;
use crate::watchdog::{PATIENCE, Task};

#[allow(dead_code)]
#[path = "../../examples/reconnecting_bot.rs"]
mod reconnecting_bot;

/// It subscribes where it was, after a server that did not answer its heartbeat and after one that
/// broke down.
#[test]
fn reconnecting_bot_leaves_a_server_that_is_stuck() {
    let (tell, told) = bounded::<()>(1);
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.expect_text("subscribe");
        client.send(Frame::text("tick 5"));
        client.expect_text("heartbeat");
        client.send(Frame::text("heartbeat acknowledged"));
        client.expect_text("heartbeat");
        // That has no answer.
        client.expect(Frame::close(1000, ""));
        drop(client);

        let mut client = listener.open();
        client.expect_text("subscribe after 5");
        client.send(Frame::text("tick 6"));
        // It begins well again.
        client.expect_text("heartbeat");
        client.reset();

        let mut client = listener.open();
        client.expect_text("subscribe after 6");
        tell.send(()).unwrap();
        client.skip_to_close();
        client.send(Frame::close(1000, ""));
    });
    let (url, (give, ws)) = (peer.url(), bounded::<Sender>(1));
    let bot = Task::start("the bot", move || {
        let stats = reconnecting_bot::bot(&url, |ws| Ok(give.send(ws)?));
        stats.map_err(|error| error.to_string())
    });
    let ws = ws.recv_timeout(PATIENCE).unwrap();
    told.recv_timeout(PATIENCE).unwrap();
    ws.close();
    let stats = bot.join().unwrap();
    assert_eq!((stats.messages_received, stats.reconnects), (3, 2));
}
