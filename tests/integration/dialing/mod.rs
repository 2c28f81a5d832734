//! Connecting by other ways than the operating system's resolver and TCP as it comes.

/// Addresses: which are tried when, and a resolver of the program's own.
mod addresses;
/// A blocking `connect` that is cancelled.
mod cancelling;
/// Cookies kept from one connection to the next.
#[cfg(feature = "cookies")]
mod cookies;
/// What the errors say.
mod errors;
/// Sockets made of any stream that reads and writes.
#[cfg(unix)]
mod from_stream;
/// A `Host` header other than the URL's.
mod host;
/// Options of the TCP socket.
mod options;
/// A socket that is connected already, and a closure that connects one.
mod own;
/// Transports of the program's own.
#[cfg(unix)]
mod transport;
/// Unix sockets.
#[cfg(unix)]
mod unix;

use std::time::Duration;

use websocket_app::ClosedBy::Us;
use websocket_app::WebSocketApp;

use crate::failure::{clean, unanswered};
use crate::frame::Frame;
use crate::peer::Listener;
use crate::running::run;
use crate::watchdog::Gate;

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(3600);

/// The script of a server with which [`talks`] talks.
fn echo(listener: &Listener) {
    let mut client = listener.open();
    client.expect_text("hello");
    client.send(Frame::text("hello"));
    client.answer_close();
}

/// The app's connection opens, carries messages, and closes in order.
fn talks(app: WebSocketApp) {
    let app = run(app);
    app.expect_open();
    app.sender.send("hello").unwrap();
    app.expect_text("hello");
    app.sender.close();
    app.expect_close(clean(Us, 1000, ""));
    app.end_in_order();
}

/// The app, which waits for something that never comes once `busy` is open, ends at once when it is
/// closed.
fn close_ends_it(app: WebSocketApp, busy: &Gate) {
    let app = run(app.connect_timeout(FOREVER));
    busy.wait();
    app.sender.close();
    app.expect_close(unanswered());
    app.end_in_order();
}
