//! Connecting again: when, when not, how often, and what the callbacks are told of it.

/// `Sender::reconnect()`, in every state.
mod asked;
/// What can be done between two connections, and what belongs to which.
mod between;
/// `close()` and `abort()` while there is no connection.
mod closing;
/// What ends a run all the same: a panic, an error in `on_error`.
mod ending;
/// All apps of a server that is restarted.
#[cfg(target_os = "linux")]
mod herd;
/// Order and numbers of the callbacks.
mod order;
/// Which refusals are tried again, `Retry-After`, `retry_if`.
mod refusals;
/// URL, headers and subprotocols computed anew.
mod renewal;
/// Servers that accept and close: no storm.
mod storms;

use std::time::Duration;

use websocket_app::Reconnect;

use crate::connection::Connection;
use crate::frame::CLOSE;
use crate::peer::Listener;

/// No test waits this long.
const LONG: Duration = Duration::from_secs(3600);

const SHORT: Duration = Duration::from_millis(1);

/// Again at once, for ever.
fn soon() -> Reconnect {
    Reconnect::fixed(SHORT)
}

/// Again at a time that never comes.
fn late() -> Reconnect {
    Reconnect::fixed(LONG)
}

/// Reads the request and refuses it, with these header lines, each with its line end.
fn refuse(listener: &Listener, status: u16, headers: &str) {
    let mut client = listener.accept();
    client.read_request();
    client.write(format!("HTTP/1.1 {status} Because\r\nContent-Length: 0\r\n{headers}\r\n"));
    client.stay_silent();
}

/// Answers the Close of a client that was asked to close, or sees it go without one.
fn see_off(mut client: Connection) {
    while let Ok(frame) = client.try_read_frame() {
        if frame.opcode == CLOSE {
            // The client may not wait for it.
            let _gone = client.try_write(frame.encode());
            return;
        }
    }
}
