//! Threads, which a system may not have any more of.

use std::thread::{Builder, JoinHandle};

use crate::failure::Failure;
use crate::status::Status;

/// Runs a closure on a thread of its own.
pub(crate) fn spawn<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    Builder::new().spawn(run).map_err(|error| {
        Failure::new(Status::Other, format!("the operating system did not give a thread: {error}"))
    })
}
