//! [`AppHandle`]: an app that runs on another thread.

use std::io;
use std::sync::Arc;

use crate::calls::is_inside;
use crate::close::Close;
use crate::error::Error;
use crate::link::Sender;
use crate::promise::Promise;

/// A running app: from [`WebSocketApp::spawn`](crate::WebSocketApp::spawn) and
/// [`EventLoop::add`](crate::EventLoop::add).
///
/// Dropping it lets the app run on, as dropping a thread's `JoinHandle` does: for as long as the
/// process lives, which ends with `main`.
#[derive(Debug)]
#[must_use = "the app ends with `main`, unless it is joined"]
pub struct AppHandle {
    sender: Sender,
    result: Promise<Result<Close, Error>>,
}

impl AppHandle {
    pub(super) fn new(sender: Sender, result: Promise<Result<Close, Error>>) -> Self {
        AppHandle { sender, result }
    }

    /// Returns a handle to send and close with.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Closes the connection for good: see [`Sender::close`]. Does not wait; [`join`](Self::join)
    /// does.
    pub fn close(&self) {
        self.sender.close();
    }

    /// Waits until the run is over.
    ///
    /// # Errors
    ///
    /// What made the app give up: as
    /// [`WebSocketApp::run_forever`](crate::WebSocketApp::run_forever). [`Error::Deadlock`], at
    /// once, within a callback of this app; the app runs on.
    pub fn join(self) -> Result<Close, Error> {
        self.check_join()?;
        take(self.result)
    }

    /// Refuses to wait where that would be for ever.
    pub(super) fn check_join(&self) -> Result<(), Error> {
        match is_inside(Arc::as_ptr(self.sender.shared()).addr()) {
            true => Err(Error::Deadlock { what: "its own app" }),
            false => Ok(()),
        }
    }
}

/// Waits for the result of a run.
pub(super) fn take(result: Promise<Result<Close, Error>>) -> Result<Close, Error> {
    // The loop drops the other end only with its own, untimely, end.
    let lost = || {
        Err(Error::system(
            "the event loop",
            io::Error::other("it ended before the app did; see the log"),
        ))
    };
    result.wait().unwrap_or_else(lost)
}
