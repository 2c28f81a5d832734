//! [`Dispatcher`]: calls one app's callbacks, or one client's of a server: routes their errors and
//! catches their panics.
//!
//! It is in one place only, so these callbacks never run at once: with its session, or in a [`Job`]
//! on the thread that runs it. No lock is held there, and the loop may meanwhile be another
//! thread's: see `reactor`.

use std::sync::Arc;

use super::inside::Inside;
use super::{Call, Callee, KeptBatch};
use crate::close::Close;
use crate::error::{Error, ProtocolError};
use crate::link::{CallbackScope, Gather, Place, Reader, Shared};
use crate::message::{Fragment, Message};
use crate::panics;
use crate::protocol::{Batch, Item, Kind, message};
use crate::reactor;

/// A call on its way: all that it needs, so that nothing is shared while it runs.
pub(crate) struct Job<C: Callee> {
    pub(crate) connection: u64,
    pub(crate) call: Call,
    pub(crate) dispatcher: Dispatcher<C>,
    /// Once an answer waits for the peer, what is left of the messages comes back.
    pub(crate) stops_at_unread: bool,
}

/// A call that has returned.
pub(crate) struct Done<C: Callee> {
    /// Which connection of the app it was about.
    pub(crate) connection: u64,
    pub(crate) dispatcher: Dispatcher<C>,
    /// Has what is still to be handed out, once the peer has read what was sent.
    pub(crate) result: Result<Option<Box<KeptBatch>>, Stopped>,
}

/// Why a call did not go the whole way.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// A text message is not UTF-8.
    BadText(ProtocolError),
    /// A callback ended the run; `report` says that `on_error` has yet to be told, since it was not
    /// `on_error` itself.
    Fatal { error: Error, report: bool },
}

impl<C: Callee> reactor::Job for Job<C> {
    type Done = Done<C>;

    fn needs_reader(&self) -> bool {
        matches!(self.call, Call::Batch)
    }

    fn run(self, reader: Option<&Reader>) -> Done<C> {
        let Job { connection, call, mut dispatcher, stops_at_unread } = self;
        let _inside = dispatcher.inside();
        // Callbacks are guarded one by one; here it is what they returned, or panicked with, that
        // panics as it is dropped or shown. That too ends this app and no other.
        let result = panics::guarded(|| {
            match call {
                Call::Open => dispatcher
                    .opening(|callee| callee.on_open().map_err(Error::of_callback("on_open")))?,
                Call::Reopen => {
                    let reconnect = Error::of_callback("on_reconnect");
                    dispatcher.opening(|callee| callee.on_reconnect().map_err(reconnect))?;
                }
                Call::Batch => {
                    let Some(reader) = reader else { return Ok(None) };
                    return dispatcher.read(reader, stops_at_unread);
                }
                Call::KeptBatch(kept) => return dispatcher.kept(kept, stops_at_unread),
                Call::Periodic(i) => {
                    dispatcher.call(|callee| {
                        let callback = callee.timer(i);
                        callee.on_time(i).map_err(Error::of_callback(callback))
                    })?;
                }
                Call::Error(error) => dispatcher.error(&error)?,
                Call::Close(close) => dispatcher.close(&close)?,
                Call::Fail(_) => {}
            }
            Ok(None)
        });
        let result = result.unwrap_or_else(|error| Err(Stopped::Fatal { error, report: false }));
        Done { connection, dispatcher, result }
    }
}

/// One app's callbacks, or one client's.
pub(crate) struct Dispatcher<C: Callee> {
    callee: C,
    /// The address of what wakes the loop that it runs on, once it does.
    its_loop: usize,
}

impl<C: Callee> Dispatcher<C> {
    pub(crate) fn new(callee: C) -> Self {
        Dispatcher { callee, its_loop: 0 }
    }

    /// The run begins, at this place.
    pub(crate) fn attach(&mut self, place: &Place) {
        self.its_loop = place.its_loop();
    }

    pub(crate) fn callee(&self) -> &C {
        &self.callee
    }

    /// The address of what its senders hold.
    fn address(&self) -> usize {
        Arc::as_ptr(self.callee.shared()).addr()
    }

    /// Marks this thread as being in one of its callbacks.
    fn inside(&self) -> Inside {
        Inside::enter(self.address(), self.its_loop)
    }

    /// Drops what the callbacks hold, and what they have failed with, which is the program's. Fails
    /// where some of it panics.
    pub(crate) fn drop_callbacks(
        self,
        errors: impl IntoIterator<Item = Error>,
    ) -> Result<(), Error> {
        let _inside = self.inside();
        let _scope = CallbackScope::enter_callback(self.its_loop, self.address());
        // Each by itself: of two panics at once the process would die.
        let dropped = panics::guarded(|| drop(self));
        errors.into_iter().fold(dropped, |so_far, error| {
            let dropped = panics::guarded(|| drop(error));
            so_far.and(dropped)
        })
    }

    /// Hands out what was read. Returns what is still to be handed out.
    fn read(
        &mut self,
        reader: &Reader,
        stops_at_unread: bool,
    ) -> Result<Option<Box<KeptBatch>>, Stopped> {
        let rest = self.batch(&reader.batch, &reader.buffer, 0, stops_at_unread)?;
        Ok(rest.map(|from| KeptBatch::new(reader.batch.copy(), &reader.buffer, from)))
    }

    /// The same with what was kept.
    fn kept(
        &mut self,
        mut kept: Box<KeptBatch>,
        stops_at_unread: bool,
    ) -> Result<Option<Box<KeptBatch>>, Stopped> {
        let rest = self.batch(&kept.batch, &kept.bytes, kept.from, stops_at_unread)?;
        Ok(rest.map(|from| {
            kept.from = from;
            kept
        }))
    }

    /// Hands a batch out, in wire order, from an item on. Returns the first that has to wait.
    fn batch(
        &mut self,
        batch: &Batch,
        read: &[u8],
        from: usize,
        stops_at_unread: bool,
    ) -> Result<Option<usize>, Stopped> {
        let (mut bad_text, mut in_error, mut rest) = (None, false, None);
        // Also where a callback panics, what was sent before goes out.
        let gather = Gather::begin(self.callee.shared(), batch.items.len() - from);
        let result = self.guarded(|callee| {
            for (index, item) in batch.items.iter().enumerate().skip(from) {
                if callee.shared().is_aborted() {
                    break;
                }
                if stops_at_unread && has_unread(callee.shared()) {
                    rest = Some(index);
                    break;
                }
                gather.on_item(index + 1 == batch.items.len());
                let message_len = || batch.message_len(index);
                match hand_out(item, batch.payload(item, read), message_len, callee) {
                    Ok(()) => {}
                    Err(Failed::BadText(violation)) => {
                        bad_text = Some(violation);
                        break;
                    }
                    Err(Failed::Callback(error)) => {
                        in_error = true;
                        callee.on_error(&error).map_err(Error::of_callback(ON_ERROR))?;
                        in_error = false;
                    }
                }
            }
            Ok(())
        });
        drop(gather);
        self.settle(result, in_error)?;
        bad_text.map_or(Ok(rest), |violation| Err(Stopped::BadText(violation)))
    }

    fn error(&mut self, error: &Error) -> Result<(), Stopped> {
        let result =
            self.guarded(|callee| callee.on_error(error).map_err(Error::of_callback(ON_ERROR)));
        self.settle(result, true)
    }

    fn close(&mut self, close: &Close) -> Result<(), Stopped> {
        let result =
            self.guarded(|callee| callee.on_close(close).map_err(Error::of_callback("on_close")));
        self.settle(result, true)
    }

    /// Calls the first callback of a connection. What it sends goes before what was kept for the
    /// connection.
    fn opening(
        &mut self,
        callback: impl FnOnce(&mut C) -> Result<(), Error>,
    ) -> Result<(), Stopped> {
        self.callee.shared().on_opening();
        let result = self.call(callback);
        self.callee.shared().on_opening_done();
        result
    }

    /// Calls a callback whose error goes to `on_error`.
    fn call(&mut self, callback: impl FnOnce(&mut C) -> Result<(), Error>) -> Result<(), Stopped> {
        let result = self.guarded(callback);
        self.settle(result, false)
    }

    /// Decides what becomes of a callback's failure: an error goes to `on_error`, unless it came
    /// from there.
    fn settle(
        &mut self,
        result: Result<Result<(), Error>, Error>,
        in_error: bool,
    ) -> Result<(), Stopped> {
        let error = match result {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if !in_error => return self.error(&error),
            Ok(Err(error)) | Err(error) => error,
        };
        log::error!(target: "websocket_app", "{} ends: {error}", C::NAME);
        Err(Stopped::Fatal { error, report: !in_error })
    }

    /// Runs callbacks; a panic becomes an error.
    fn guarded(
        &mut self,
        callback: impl FnOnce(&mut C) -> Result<(), Error>,
    ) -> Result<Result<(), Error>, Error> {
        let _scope = CallbackScope::enter_callback(self.its_loop, self.address());
        let callee = &mut self.callee;
        // After a panic the callbacks see no more than what reports the end, as a `Mutex` that is
        // poisoned can be opened.
        panics::guarded(|| callback(callee))
    }
}

const ON_ERROR: &str = "on_error";

enum Failed {
    BadText(ProtocolError),
    Callback(Error),
}

/// Returns whether much of what callbacks have answered waits for the peer, and was not only gathered.
fn has_unread(shared: &Arc<Shared>) -> bool {
    if shared.has_unread() {
        shared.write_gathered();
    }
    shared.has_unread()
}

/// Calls the one callback that an item is for.
fn hand_out(
    item: &Item,
    payload: &[u8],
    message_len: impl FnOnce() -> Option<u64>,
    callee: &mut impl Callee,
) -> Result<(), Failed> {
    let as_message = |text| message(text, payload).map_err(Failed::BadText);
    let (callback, returned) = match item.kind {
        Kind::Binary => ("on_message", callee.on_message(Message::Binary(payload))),
        Kind::Text => ("on_message", callee.on_message(as_message(true)?)),
        Kind::TextFragment { first, last } | Kind::BinaryFragment { first, last } => {
            let is_text = matches!(item.kind, Kind::TextFragment { .. });
            let fragment = Fragment::new(as_message(is_text)?, first, last);
            let fragment = Fragment { message_len: message_len(), ..fragment };
            ("on_fragment", callee.on_fragment(fragment))
        }
        Kind::Ping => ("on_ping", callee.on_ping(payload)),
        Kind::Pong => ("on_pong", callee.on_pong(payload)),
    };
    returned.map_err(|error| Failed::Callback(Error::of_callback(callback)(error)))
}
