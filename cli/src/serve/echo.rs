//! Sends messages back; to a client that does not read, once it does.

use std::thread;

use websocket_app::server::Client;
use websocket_app::{Message, SendError};

/// Sends a message back. In a callback a send waits for nobody, so that where there is no room another
/// thread sends it and this one waits for that: then the client is read no further, and loses nothing.
pub(crate) fn send_back(client: &Client, message: Message<'_>) -> Result<(), SendError> {
    match client.send(message) {
        Err(SendError::QueueFull { .. }) => wait_and_send(client, message),
        sent => sent,
    }
}

fn wait_and_send(client: &Client, message: Message<'_>) -> Result<(), SendError> {
    thread::scope(|scope| {
        // It does not panic; if it did, that would be this callback's.
        scope.spawn(|| client.send(message)).join().unwrap_or(Ok(()))
    })
}
