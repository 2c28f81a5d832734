//! [`Owner`]: what has an app that is to be run, until its run is over: the thread that makes the
//! app, then the one that runs it. It has no data of its own.

use std::ops::Deref;

use crate::link::Sender;
use crate::panics;

/// The one sender that an app belongs to. When it is dropped, whatever the reason, nobody runs the
/// app any more: it is over for its other senders.
pub(super) struct Owner(Sender);

impl Owner {
    pub(super) fn new(sender: Sender) -> Self {
        Owner(sender)
    }
}

impl Deref for Owner {
    type Target = Sender;

    fn deref(&self) -> &Sender {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let shared = self.0.shared();
        shared.forsake();
        // A run hands them back at its end.
        let messages = shared.take_unsent().len();
        if messages > 0 {
            // A logger that panics is not to end what drops this.
            drop(panics::guarded(
                || log::warn!(target: "websocket_app", "messages not sent, and no run that could hand them back: {messages}"),
            ));
        }
    }
}
