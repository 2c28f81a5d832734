//! [`AppHandle`]: an app that runs on a thread of its own.

use std::thread::{self, JoinHandle};

use super::websocket_app::Prepared;
use crate::close::Close;
use crate::connection::Sender;
use crate::error::Error;

/// A running app: from [`WebSocketApp::spawn`](crate::WebSocketApp::spawn).
///
/// Dropping it lets the app run on, as dropping a thread's `JoinHandle` does.
#[derive(Debug)]
pub struct AppHandle {
    sender: Sender,
    thread: JoinHandle<Result<Close, Error>>,
}

impl AppHandle {
    /// Gives a handle to send and close with.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Closes the connection for good: see [`Sender::close`]. Does not wait; [`join`](Self::join) does.
    pub fn close(&self) {
        self.sender.close();
    }

    /// Waits until the run is over.
    ///
    /// # Errors
    ///
    /// What made the app give up: as [`WebSocketApp::run_forever`](crate::WebSocketApp::run_forever).
    pub fn join(self) -> Result<Close, Error> {
        // Panics of callbacks are caught and are an `Error`. One that comes through is a defect of this crate: it goes on.
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

pub(super) fn spawn(prepared: Prepared) -> Result<AppHandle, Error> {
    let sender = prepared.sender.clone();
    let thread = thread::Builder::new().name("websocket-app".into()).spawn(move || prepared.run());
    let thread = thread.map_err(|source| Error::system("a thread to run on", source))?;
    Ok(AppHandle { sender, thread })
}
