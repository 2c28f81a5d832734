//! permessage-deflate (RFC 7692) against a scripted peer with a zlib of its own.

/// What inflates to far more than a message may have.
#[cfg(target_os = "linux")]
mod bomb;
/// What is offered, and answers to it that fail the connection.
mod negotiation;
/// What the server compressed arrives, however it is cut.
mod receiving;
/// What is sent compressed, and what is not.
mod sending;
/// What a server must not send, and messages that are too long once inflated.
mod violations;
/// What waits: for room, behind a busy callback, for another connection.
#[cfg(target_os = "linux")]
mod waiting;

use websocket_app::{Deflate, WebSocketApp};

use crate::connection::Connection;
use crate::peer::{Listener, Peer};
use crate::zlib::Zlib;

const PLAIN: &str = "permessage-deflate";

/// A text of this length that a compressor finds something in, and never the same line twice.
fn ticks(length: usize) -> String {
    let mut text = String::new();
    let mut number = 12345_u64;
    while text.len() < length {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text +=
            &format!("{{\"symbol\":\"BTC-EUR\",\"price\":{},\"side\":\"buy\"}}\n", number >> 40);
    }
    text.truncate(length);
    text
}

/// An app that compresses all it sends.
fn compressing(peer: &Peer) -> WebSocketApp {
    peer.app().compression(Deflate::default().min_size(0))
}

/// Accepts a connection and agrees to compress as this answer says.
fn open(listener: &Listener, answer: &str) -> (Connection, Zlib) {
    let mut client = listener.accept();
    client.upgrade_with_extensions(answer);
    (client, Zlib::new(answer))
}
