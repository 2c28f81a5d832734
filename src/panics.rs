//! What a program's own code panics with, as an error. A leaf.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Error;

/// Calls the program's code; a panic becomes an error.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Error> {
    // What it has left half done is the program's, as with a `Mutex` whose poison is looked past.
    catch_unwind(AssertUnwindSafe(call)).map_err(into_error)
}

/// Turns what was panicked with into an error.
pub(crate) fn into_error(payload: Box<dyn Any + Send>) -> Error {
    let error = Error::Panicked(message(payload.as_ref()).into());
    // It may be anything, also what panics when it is dropped.
    catch_unwind(AssertUnwindSafe(|| drop(payload))).unwrap_or_else(std::mem::forget);
    error
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a value that is no text")
}
