//! The examples, run: by themselves, against scripted peers, and against other people's servers.

use websocket_app::ClosedBy::{Peer as ByPeer, Us};
use websocket_app::Phase;

use crate::failure::{Failure, clean, ending};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::watchdog::{Gate, within};

mod alone;
#[allow(dead_code)]
#[path = "../../examples/bridge.rs"]
mod bridge;
mod file_transfer;
mod frame_loop;
mod graphql_ws;
#[cfg(feature = "server")]
mod market_feed;
mod phoenix;
#[cfg(target_os = "linux")]
mod rabbitmq;
/// What other people's servers are started by.
mod served;
mod socket_io;
mod stomp;
#[cfg(feature = "server")]
mod with_server;

/// What the first says before the second is there waits for it.
#[test]
fn bridge_passes_messages_and_the_closing_code_on() {
    let said = Gate::new();
    let is_said = said.clone();
    let left = Peer::start(move |listener| {
        let mut client = listener.open();
        client.send(Frame::text("one"));
        client.send(Frame::binary([2; 100_000]));
        said.open();
        client.expect_text("three");
        client.send(Frame::text("four"));
        client.close(4321, "enough");
    });
    let right = Peer::start(move |listener| {
        let mut client = listener.accept();
        is_said.wait();
        client.upgrade();
        client.expect_text("one");
        client.expect(Frame::binary([2; 100_000]));
        client.send(Frame::text("three"));
        client.expect_text("four");
        client.expect(Frame::close(4321, "enough"));
        client.send(Frame::close(4321, ""));
    });
    let urls = [left.url(), right.url()];
    let closes = within("the bridge", move || bridge::bridge(&urls[0], &urls[1])).unwrap();
    let expected = [clean(ByPeer, 4321, "enough"), clean(Us, 4321, "")];
    assert_eq!(closes.each_ref().map(ending), expected);
}

#[test]
fn bridge_tells_one_side_that_the_other_was_lost() {
    let left = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("both are open");
        client.reset();
    });
    let right = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("both are open"));
        client.expect(Frame::close(1001, "the other side was lost"));
        client.send(Frame::close(1001, ""));
    });
    let urls = [left.url(), right.url()];
    let lost = within("the bridge", move || bridge::bridge(&urls[0], &urls[1]));
    assert_eq!(lost.map_err(Failure::from), Err(Failure::Network(Phase::Open)));
}
