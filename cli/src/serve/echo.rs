//! Sends messages back; to a client that does not read, once it does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Builder};
use std::time::Duration;

use websocket_app::server::Client;
use websocket_app::{Message, SendError};

use crate::seconds::FOREVER;

/// How many callbacks may wait for a client however long it takes. There are only so many at a time, and
/// other clients need them.
const PATIENT: usize = 16;

/// How long each other waits for one that reads nothing.
const LITTLE_PATIENCE: Duration = Duration::from_millis(500);

/// How many wait.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Sends a message back. In a callback a send waits for nobody, so that where there is no room another
/// thread sends it and this one waits for that: then the client is read no further, and loses nothing.
/// Where many wait so, one that reads nothing meanwhile is closed.
pub(crate) fn send_back(client: &Client, message: Message<'_>) -> Result<(), SendError> {
    match client.send(message) {
        Err(SendError::QueueFull { .. }) => {
            let patience = match WAITING.fetch_add(1, Ordering::Relaxed) {
                ..PATIENT => FOREVER,
                _ => LITTLE_PATIENCE,
            };
            let sent = wait_and_send(client, message, patience);
            WAITING.fetch_sub(1, Ordering::Relaxed);
            match sent {
                // The reason is short enough.
                None => client.close_with(1013, "what comes back is not read"),
                Some(sent) => sent,
            }
        }
        sent => sent,
    }
}

/// Returns nothing where the client reads nothing for so long, or nobody could wait for it.
fn wait_and_send(
    client: &Client,
    message: Message<'_>,
    patience: Duration,
) -> Option<Result<(), SendError>> {
    let send = || {
        loop {
            let queued = client.buffered_amount();
            match client.sender().send_timeout(message, patience) {
                Err(SendError::Timeout { .. }) if client.buffered_amount() < queued => {}
                Err(SendError::Timeout { .. }) => return None,
                sent => return Some(sent),
            }
        }
    };
    // It does not panic.
    thread::scope(|scope| Builder::new().spawn_scoped(scope, send).ok()?.join().ok()?)
}
