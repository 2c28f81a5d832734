//! Ctrl-C: the first asks for an orderly end, which may take [`PATIENCE`]; the second ends at once.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::failure::Failure;
use crate::status::Status;

/// How long an orderly end may take, whatever it waits for: a peer, or who reads standard output.
const PATIENCE: Duration = Duration::from_secs(2);

/// Calls a closure, on a thread of its own, at the first Ctrl-C.
pub(crate) fn on_interrupt(mut interrupted: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    let again = AtomicBool::new(false);
    ctrlc::set_handler(move || match again.swap(true, Ordering::Relaxed) {
        false => {
            end_soon();
            interrupted();
        }
        true => process::exit(Status::Interrupted as i32),
    })
    .map_err(|error| Failure::new(Status::Other, format!("cannot wait for Ctrl-C: {error}")))
}

/// Ends the process in a while, where it has not ended by then.
pub(crate) fn end_soon() {
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        process::exit(Status::Interrupted as i32);
    });
}
