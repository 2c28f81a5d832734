//! What ends a process from outside: Ctrl-C, and on Unix SIGTERM and SIGHUP. The first asks for an
//! orderly end, which may take [`PATIENCE`]; the second ends at once.

use std::io;
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::status::Status;

/// How long an orderly end may take, whatever it waits for: a peer, or who reads standard output.
const PATIENCE: Duration = Duration::from_secs(2);

/// How soon the same is no second one: who ends a process may send SIGTERM or SIGHUP to it and to its group.
const APART: Duration = Duration::from_secs(1);

/// Ctrl-C's number.
const INTERRUPT: u8 = 2;

/// The number of the first that came; 0 where none has.
static FIRST: AtomicU8 = AtomicU8::new(0);

/// What is done in any case before an end that is not in order.
static LAST: Mutex<Option<Box<dyn FnMut() + Send>>> = Mutex::new(None);

/// Calls a closure, on a thread of its own, at the first of them.
pub(crate) fn on_interrupt(mut interrupted: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    let mut first: Option<(u8, Instant)> = None;
    listen(move |signal| match first {
        None => {
            first = Some((signal, Instant::now()));
            FIRST.store(signal, Ordering::Relaxed);
            end_soon();
            interrupted();
        }
        Some((same, at)) if same == signal && signal != INTERRUPT && at.elapsed() < APART => {}
        Some(_) => end_at_once(),
    })
    .map_err(|error| Failure::new(Status::Other, format!("cannot wait for Ctrl-C: {error}")))
}

/// Calls a closure before an end that is not in order; it is not to take long.
pub(crate) fn before_the_end(last: impl FnMut() + Send + 'static) {
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(last));
}

/// Returns whether one of them has come.
pub(crate) fn is_interrupted() -> bool {
    FIRST.load(Ordering::Relaxed) != 0
}

/// Returns the exit status of who was interrupted, as shells have it.
pub(crate) fn exit_status() -> u8 {
    match FIRST.load(Ordering::Relaxed) {
        // Ctrl-C was a key that the line editor read.
        0 => 128 + INTERRUPT,
        first => 128 + first,
    }
}

/// Ends the process in a while, where it has not ended by then.
fn end_soon() {
    // Where no thread can be had, the second ends it.
    let _ = thread::Builder::new().spawn(|| {
        thread::sleep(PATIENCE);
        end_at_once();
    });
}

fn end_at_once() -> ! {
    if let Some(last) = &mut *LAST.lock().unwrap_or_else(PoisonError::into_inner) {
        last();
    }
    process::exit(exit_status().into())
}

#[cfg(unix)]
fn listen(mut came: impl FnMut(u8) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    // What `nohup` has ignored is not for us.
    if !is_ignored(SIGHUP) {
        signals.add_signal(SIGHUP)?;
    }
    thread::Builder::new().spawn(move || {
        for signal in signals.forever() {
            came(u8::try_from(signal).unwrap_or(INTERRUPT));
        }
    })?;
    Ok(())
}

/// Returns whether a signal is ignored, as far as the system says so.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(not(unix))]
fn listen(mut came: impl FnMut(u8) + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(move || came(INTERRUPT)).map_err(io::Error::other)
}
