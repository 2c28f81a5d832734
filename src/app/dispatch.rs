//! Calls the callbacks of one app: routes their errors and catches their panics.
//!
//! A [`Dispatcher`] is in one place only, so callbacks never run at once: with its session, or in a
//! [`Job`] on the thread that runs it. No lock is held there, and the loop may meanwhile be another
//! thread's: see `reactor`.

use std::sync::Arc;
use std::time::Duration;

use super::handler::{CallbackError, Handler};
use super::inside::Inside;
use super::owner::Owner;
use crate::close::Close;
use crate::error::{Error, ProtocolError};
use crate::link::{CallbackScope, Place, Reader, Sender};
use crate::message::{Fragment, Message};
use crate::panics;
use crate::protocol::{Batch, End, Item, Kind, message};
use crate::reactor;

type OnTime = Box<dyn FnMut(&Sender) -> Result<(), CallbackError> + Send>;

/// A callback of `every`, or the handler's own timer.
pub(crate) struct Periodic {
    pub(crate) period: Duration,
    callback: Option<OnTime>,
}

impl Periodic {
    pub(crate) fn new(period: Duration, callback: OnTime) -> Self {
        Periodic { period, callback: Some(callback) }
    }

    pub(crate) fn of_handler(period: Duration) -> Self {
        Periodic { period, callback: None }
    }
}

/// Something to tell an app.
pub(super) enum Call {
    Open,
    Reopen,
    /// What is in the reader's batch.
    Batch,
    /// Items that arrived while a callback was busy. Boxed, since every app keeps room for some
    /// calls.
    KeptBatch(Box<KeptBatch>),
    Periodic(usize),
    Error(Error),
    Close(Close),
    /// Not for a callback, but for the session when all before it has been handed out.
    Fail(End),
}

/// What waits for a busy callback.
pub(super) struct KeptBatch {
    pub(super) batch: Batch,
    /// The bytes that the items are in.
    pub(super) bytes: Vec<u8>,
    /// How many bytes it holds, all in all.
    pub(super) size: usize,
}

/// A call on its way: all that it needs, so that nothing is shared while it runs.
pub(crate) struct Job {
    pub(super) connection: u64,
    pub(super) call: Call,
    pub(super) dispatcher: Dispatcher,
}

/// A call that has returned.
pub(crate) struct Done {
    /// Which connection of the app it was about.
    pub(super) connection: u64,
    pub(super) dispatcher: Dispatcher,
    pub(super) result: Result<(), Stopped>,
}

/// Why a call did not go the whole way.
#[derive(Debug)]
pub(super) enum Stopped {
    /// A text message is not UTF-8.
    BadText(ProtocolError),
    /// A callback ended the run; `report` says that `on_error` has yet to be told, since it was not
    /// `on_error` itself.
    Fatal { error: Error, report: bool },
}

impl reactor::Job for Job {
    type Done = Done;

    fn needs_reader(&self) -> bool {
        matches!(self.call, Call::Batch)
    }

    fn run(self, reader: Option<&Reader>) -> Done {
        let Job { connection, call, mut dispatcher } = self;
        let _inside = dispatcher.inside();
        // Callbacks are guarded one by one; here it is what they returned, or panicked with, that
        // panics as it is dropped or shown. That too ends this app and no other.
        let result = panics::guarded(|| match call {
            Call::Open => dispatcher.opening(|handler, _, sender| handler.on_open(sender)),
            Call::Reopen => dispatcher.opening(|handler, _, sender| handler.on_reconnect(sender)),
            Call::Batch => {
                reader.map_or(Ok(()), |reader| dispatcher.batch(&reader.batch, &reader.buffer))
            }
            Call::KeptBatch(backlog) => dispatcher.batch(&backlog.batch, &backlog.bytes),
            Call::Periodic(i) => {
                dispatcher.call(|handler, periodic, sender| match &mut periodic[i].callback {
                    Some(callback) => callback(sender),
                    None => handler.on_timer(sender),
                })
            }
            Call::Error(error) => dispatcher.error(&error),
            Call::Close(close) => dispatcher.close(&close),
            Call::Fail(_) => Ok(()),
        });
        let result = result.unwrap_or_else(|error| Err(Stopped::Fatal { error, report: false }));
        Done { connection, dispatcher, result }
    }
}

/// One app's callbacks.
pub(crate) struct Dispatcher {
    handler: Box<dyn Handler>,
    periodic: Vec<Periodic>,
    sender: Owner,
    /// The address of what wakes the loop that it runs on, once it does.
    its_loop: usize,
}

impl Dispatcher {
    pub(super) fn new(handler: Box<dyn Handler>, periodic: Vec<Periodic>, sender: Owner) -> Self {
        Dispatcher { handler, periodic, sender, its_loop: 0 }
    }

    /// The run begins, at this place.
    pub(super) fn attach(&mut self, place: &Place) {
        self.its_loop = place.its_loop();
    }

    /// Marks this thread as being in one of its callbacks.
    fn inside(&self) -> Inside {
        Inside::enter(Arc::as_ptr(self.sender.shared()).addr(), self.its_loop)
    }

    /// Drops what the callbacks hold, which is the program's.
    pub(super) fn drop_callbacks(self) {
        let _inside = self.inside();
        let _scope = CallbackScope::enter_callback(self.its_loop);
        drop(self);
    }

    pub(super) fn periods(&self) -> impl Iterator<Item = Duration> {
        self.periodic.iter().map(|periodic| periodic.period)
    }

    pub(super) fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Hands a batch out, in wire order.
    fn batch(&mut self, batch: &Batch, read: &[u8]) -> Result<(), Stopped> {
        let (mut bad_text, mut in_error) = (None, false);
        let result = self.guarded(|handler, _, sender| {
            for item in &batch.items {
                if sender.shared().is_aborted() {
                    break;
                }
                match hand_out(item, batch.payload(item, read), handler, sender) {
                    Ok(()) => {}
                    Err(Failed::BadText(violation)) => {
                        bad_text = Some(violation);
                        break;
                    }
                    Err(Failed::Callback(error)) => {
                        in_error = true;
                        handler.on_error(sender, &Error::Callback(error.into()))?;
                        in_error = false;
                    }
                }
            }
            Ok(())
        });
        self.settle(result, in_error)?;
        bad_text.map_or(Ok(()), |violation| Err(Stopped::BadText(violation)))
    }

    fn error(&mut self, error: &Error) -> Result<(), Stopped> {
        let result = self.guarded(|handler, _, sender| handler.on_error(sender, error));
        self.settle(result, true)
    }

    fn close(&mut self, close: &Close) -> Result<(), Stopped> {
        let result = self.guarded(|handler, _, sender| handler.on_close(sender, close));
        self.settle(result, true)
    }

    /// Calls the first callback of a connection. What it sends goes before what was kept for the
    /// connection.
    fn opening(
        &mut self,
        callback: impl FnOnce(&mut dyn Handler, &mut [Periodic], &Sender) -> Result<(), CallbackError>,
    ) -> Result<(), Stopped> {
        self.sender.shared().on_opening();
        let result = self.call(callback);
        self.sender.shared().on_opening_done();
        result
    }

    /// Calls a callback whose error goes to `on_error`.
    fn call(
        &mut self,
        callback: impl FnOnce(&mut dyn Handler, &mut [Periodic], &Sender) -> Result<(), CallbackError>,
    ) -> Result<(), Stopped> {
        let result = self.guarded(callback);
        self.settle(result, false)
    }

    /// Decides what becomes of a callback's failure: an error goes to `on_error`, unless it came
    /// from there.
    fn settle(
        &mut self,
        result: Result<Result<(), CallbackError>, Error>,
        in_error: bool,
    ) -> Result<(), Stopped> {
        let error = match result {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if !in_error => return self.error(&Error::Callback(error.into())),
            Ok(Err(error)) => Error::Callback(error.into()),
            Err(panicked) => panicked,
        };
        log::error!(target: "websocket_app", "the run ends: {error}");
        Err(Stopped::Fatal { error, report: !in_error })
    }

    /// Runs callbacks; a panic becomes an error.
    fn guarded(
        &mut self,
        callback: impl FnOnce(&mut dyn Handler, &mut [Periodic], &Sender) -> Result<(), CallbackError>,
    ) -> Result<Result<(), CallbackError>, Error> {
        let _scope = CallbackScope::enter_callback(self.its_loop);
        let (handler, periodic, sender) =
            (self.handler.as_mut(), self.periodic.as_mut_slice(), &*self.sender);
        // After a panic the handler sees no more than what reports the end, as a `Mutex` that is
        // poisoned can be opened.
        panics::guarded(|| callback(handler, periodic, sender))
    }
}

enum Failed {
    BadText(ProtocolError),
    Callback(CallbackError),
}

impl From<CallbackError> for Failed {
    fn from(error: CallbackError) -> Self {
        Failed::Callback(error)
    }
}

/// Calls the one callback that an item is for.
fn hand_out(
    item: &Item,
    payload: &[u8],
    handler: &mut dyn Handler,
    sender: &Sender,
) -> Result<(), Failed> {
    let as_message = |text| message(text, payload).map_err(Failed::BadText);
    match item.kind {
        Kind::Binary => handler.on_message(sender, Message::Binary(payload))?,
        Kind::Text => handler.on_message(sender, as_message(true)?)?,
        Kind::TextFragment { first, last } => {
            handler.on_fragment(sender, Fragment::new(as_message(true)?, first, last))?;
        }
        Kind::BinaryFragment { first, last } => {
            handler.on_fragment(sender, Fragment::new(as_message(false)?, first, last))?;
        }
        Kind::Ping => handler.on_ping(sender, payload)?,
        Kind::Pong => handler.on_pong(sender, payload)?,
    }
    Ok(())
}
