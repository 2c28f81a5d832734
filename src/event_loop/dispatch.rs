//! Calls the callbacks of one app: routes their errors, catches their panics, and never calls two at once.
//!
//! Runs on the thread that reads, without any lock.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::handler::{CallbackError, Handler};
use crate::close::Close;
use crate::connection::{CallbackScope, Reader, Receiver, Sender};
use crate::deadline::after;
use crate::error::{Error, ProtocolError};
use crate::message::{Fragment, Message};
use crate::protocol::{Item, Kind, message};

type OnTime = Box<dyn FnMut(&Sender) -> Result<(), CallbackError> + Send>;

/// A callback of `every`.
pub(crate) struct Periodic {
    pub(crate) period: Duration,
    callback: OnTime,
    next: Option<Instant>,
}

impl Periodic {
    pub(crate) fn new(period: Duration, callback: OnTime) -> Self {
        Periodic { period, callback, next: None }
    }
}

/// One app's callbacks.
pub(crate) struct Dispatcher {
    handler: Box<dyn Handler>,
    periodic: Vec<Periodic>,
    sender: Sender,
    /// What ended the run: a panic, or an error where none may be. From then on only `on_close` is called.
    fatal: Option<Error>,
}

/// Why a batch was not handed out whole.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// A text message that is not UTF-8.
    BadText(ProtocolError),
    /// A callback ended the run; `report` says that `on_error` has yet to be told, since it was not `on_error` itself.
    Fatal { report: bool },
}

impl Dispatcher {
    pub(crate) fn new(handler: Box<dyn Handler>, periodic: Vec<Periodic>, sender: Sender) -> Self {
        Dispatcher { handler, periodic, sender, fatal: None }
    }

    pub(crate) fn wants_fragments(&self) -> bool {
        self.handler.wants_fragments()
    }

    pub(crate) fn open(&mut self) -> Result<(), Stopped> {
        self.call(|handler, _, sender| handler.on_open(sender))
    }

    /// Hands a batch out, in wire order.
    pub(crate) fn batch(&mut self, reader: &Reader, receiver: &mut Receiver) -> Result<(), Stopped> {
        if reader.batch.items.is_empty() || self.fatal.is_some() {
            return Ok(());
        }
        let (mut bad_text, mut in_error) = (None, false);
        let result = self.guarded(|handler, _, sender| {
            for item in &reader.batch.items {
                if sender.outbound().is_aborted() {
                    break;
                }
                match hand_out(item, reader, receiver, handler, sender) {
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

    /// Reports what ended a connection or an attempt.
    pub(crate) fn error(&mut self, error: &Error) -> Result<(), Stopped> {
        if self.fatal.is_some() {
            return Ok(());
        }
        let result = self.guarded(|handler, _, sender| handler.on_error(sender, error));
        self.settle(result, true)
    }

    /// Reports the end of a connection or of the run: the one callback that is called after a fatal error too.
    pub(crate) fn close(&mut self, close: &Close) -> Result<(), Stopped> {
        let result = self.guarded(|handler, _, sender| handler.on_close(sender, close));
        let before = self.fatal.take();
        let settled = self.settle(result, true);
        self.fatal = before.or(self.fatal.take());
        settled
    }

    /// Starts the clocks of `every`: they run while connected.
    pub(crate) fn start_periodic(&mut self, now: Instant) {
        for periodic in &mut self.periodic {
            periodic.next = Some(after(now, periodic.period));
        }
    }

    pub(crate) fn stop_periodic(&mut self) {
        for periodic in &mut self.periodic {
            periodic.next = None;
        }
    }

    pub(crate) fn next_periodic(&self) -> Option<Instant> {
        self.periodic.iter().filter_map(|periodic| periodic.next).min()
    }

    /// Calls what is due, each once however late it is.
    pub(crate) fn run_periodic(&mut self, now: Instant) -> Result<(), Stopped> {
        for i in 0..self.periodic.len() {
            let periodic = &mut self.periodic[i];
            if periodic.next.is_some_and(|next| next <= now) {
                periodic.next = Some(after(now, periodic.period));
                self.call(|_, periodic, sender| (periodic[i].callback)(sender))?;
            }
        }
        Ok(())
    }

    /// What ended the run, if a callback did.
    pub(crate) fn take_fatal(&mut self) -> Option<Error> {
        self.fatal.take()
    }

    /// Calls a callback whose error goes to `on_error`.
    fn call(
        &mut self,
        callback: impl FnOnce(&mut dyn Handler, &mut [Periodic], &Sender) -> Result<(), CallbackError>,
    ) -> Result<(), Stopped> {
        if self.fatal.is_some() {
            return Ok(());
        }
        let result = self.guarded(callback);
        self.settle(result, false)
    }

    /// Decides what becomes of a callback's failure: an error goes to `on_error`, unless it came from there.
    fn settle(&mut self, result: Result<Result<(), CallbackError>, Error>, in_error: bool) -> Result<(), Stopped> {
        let error = match result {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if !in_error => return self.error(&Error::Callback(error.into())),
            Ok(Err(error)) => Error::Callback(error.into()),
            Err(panicked) => panicked,
        };
        log::error!(target: "websocket_app", "the run ends: {error}");
        self.fatal = Some(error);
        Err(Stopped::Fatal { report: !in_error })
    }

    /// Tells `on_error` what ended the run; what goes wrong in there changes nothing any more.
    pub(crate) fn report_fatal(&mut self) {
        if let Some(fatal) = self.fatal.take() {
            let _ = self.guarded(|handler, _, sender| handler.on_error(sender, &fatal));
            self.fatal = Some(fatal);
        }
    }

    /// Runs callbacks; a panic becomes an error.
    fn guarded(
        &mut self,
        callback: impl FnOnce(&mut dyn Handler, &mut [Periodic], &Sender) -> Result<(), CallbackError>,
    ) -> Result<Result<(), CallbackError>, Error> {
        let _scope = CallbackScope::enter();
        let (handler, periodic, sender) = (self.handler.as_mut(), self.periodic.as_mut_slice(), &self.sender);
        // After a panic the handler sees no more than what reports the end, as a `Mutex` that is poisoned can be opened.
        catch_unwind(AssertUnwindSafe(|| callback(handler, periodic, sender)))
            .map_err(|payload| Error::Panicked(panic_message(payload.as_ref()).into()))
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
    reader: &Reader,
    receiver: &mut Receiver,
    handler: &mut dyn Handler,
    sender: &Sender,
) -> Result<(), Failed> {
    let payload = reader.batch.payload(item, &reader.buffer);
    let fragment = |text, first, last| match message(text, payload) {
        Ok(data) => Ok(Fragment::new(data, first, last)),
        Err(violation) => Err(Failed::BadText(violation)),
    };
    match item.kind {
        Kind::Binary => handler.on_message(sender, Message::Binary(payload))?,
        Kind::Text => handler.on_message(sender, message(true, payload).map_err(Failed::BadText)?)?,
        Kind::TextFragment { first, last } => handler.on_fragment(sender, fragment(true, first, last)?)?,
        Kind::BinaryFragment { first, last } => handler.on_fragment(sender, fragment(false, first, last)?)?,
        Kind::Ping => handler.on_ping(sender, payload)?,
        Kind::Pong => {
            receiver.on_pong(payload);
            handler.on_pong(sender, payload)?;
        }
    }
    Ok(())
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a value that is no text")
}
