//! Many apps on one thread.

/// All of them closed at once.
mod closing;
/// Apps are added and closed while it runs; the end of the loop.
mod coming_and_going;
/// Reconnects, timers, panics and failures of one app are no other's.
mod each_for_itself;
/// A loop that fails tells every app.
mod failing;
/// What is busy leaves room for the others.
mod fair;
/// What it holds while nothing happens.
mod idle;
/// A logger that sends.
mod logging;
/// How many connect at a time.
mod turns;

use crate::many::Added;
use crate::recorder::Call;

/// Waits for the next call that is not the timer's.
fn next_but_ticks(app: &Added) -> Call {
    loop {
        match app.next() {
            Call::Timer => {}
            call => return call,
        }
    }
}

/// Closes an app that has a timer.
fn close_timed(app: Added) {
    app.sender.close();
    assert!(
        matches!(next_but_ticks(&app), Call::Close(close) if close.clean && close.code == 1000)
    );
    app.end().unwrap();
}
