//! Ctrl-C: the first asks for an orderly end, the second ends at once.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;
use crate::status::Status;

/// Calls a closure, on a thread of its own, at the first Ctrl-C.
pub(crate) fn on_interrupt(mut interrupted: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    let again = AtomicBool::new(false);
    ctrlc::set_handler(move || match again.swap(true, Ordering::Relaxed) {
        false => interrupted(),
        true => process::exit(Status::Interrupted as i32),
    })
    .map_err(|error| Failure::new(Status::Other, format!("cannot wait for Ctrl-C: {error}")))
}
