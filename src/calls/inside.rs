//! [`Inside`]: which apps' callbacks a thread is in, so that none waits there for its own end. Each
//! thread has its own list: nothing is shared, nothing guards it.

use std::cell::RefCell;

#[cfg(feature = "server")]
use crate::link::CallbackScope;

thread_local! {
    /// The addresses of what the apps share with their senders, and of their loops. More than one
    /// app where a callback runs another.
    static INSIDE: RefCell<Vec<[usize; 2]>> = const { RefCell::new(Vec::new()) };
}

/// Marks this thread as being in a callback of an app, until dropped.
pub(crate) struct Inside(());

impl Inside {
    pub(super) fn enter(app: usize, its_loop: usize) -> Self {
        INSIDE.with_borrow_mut(|inside| inside.push([app, its_loop]));
        Inside(())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with_borrow_mut(Vec::pop);
    }
}

/// Marks this thread as being in a callback of this loop's, of no app or client. What it may wait for
/// is the same.
#[cfg(feature = "server")]
pub(crate) fn enter(its_loop: usize) -> (Inside, CallbackScope) {
    (Inside::enter(0, its_loop), CallbackScope::enter_callback(its_loop, 0))
}

/// Returns whether this thread is in a callback of this app, or of one of this loop's.
pub(crate) fn is_inside(app_or_loop: usize) -> bool {
    let is_it = |inside: &RefCell<Vec<[usize; 2]>>| {
        inside.borrow().iter().flatten().any(|address| *address == app_or_loop)
    };
    // A thread that ends is in none.
    INSIDE.try_with(is_it).unwrap_or(false)
}
