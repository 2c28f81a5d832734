//! [`Client`]: one connection of a server, for any thread. Its `Shared` guards the connection.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::handle::ServerHandle;
use super::hub::{Hub, SlowClients};
use super::latest::{Keeping, Latest};
use super::request::Request;
use crate::deflate::NegotiatedDeflate;
use crate::error::SendError;
use crate::link::{Broadcast, Queueing, Sender, Shared, State, Stats};
use crate::message::Outgoing;

/// One client of a server: every callback gets one. Clones are cheap and mean the same client; any
/// thread may keep one, and it stays valid when the client is gone: then every send is
/// [`SendError::NotConnected`].
#[derive(Clone)]
pub struct Client(Arc<ClientInner>);

struct ClientInner {
    id: u64,
    sender: Sender,
    request: Request,
    hub: Arc<Hub>,
    /// As agreed on with it.
    compression: Option<NegotiatedDeflate>,
    /// Where the server has its clients keep it.
    latest: Option<Box<Latest>>,
}

impl Client {
    pub(super) fn new(
        id: u64,
        shared: Arc<Shared>,
        request: Request,
        hub: Arc<Hub>,
        compression: Option<NegotiatedDeflate>,
    ) -> Self {
        let keeps_latest = hub.options.slow_clients == SlowClients::KeepLatest;
        let (sender, latest) = (Sender::new(shared), keeps_latest.then(Box::default));
        Client(Arc::new_cyclic(|client: &Weak<ClientInner>| {
            if keeps_latest {
                let client = client.clone();
                // Whoever closes, also by the sender alone.
                sender.shared().before_close(move || {
                    client.upgrade().map(Client).iter().for_each(Client::send_all_latest);
                });
            }
            ClientInner { id, sender, request, hub, compression, latest }
        }))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        self.0.sender.shared()
    }

    /// Returns the client's number: the first is 1, and none comes twice.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Returns what it asked for: path, query, headers, cookies, where it came from.
    pub fn request(&self) -> &Request {
        &self.0.request
    }

    /// Returns the server that it is a client of.
    pub fn server(&self) -> ServerHandle {
        ServerHandle::new(Arc::clone(&self.0.hub))
    }

    /// Has the client get what is [published](ServerHandle::publish) to a topic. Each takes some 200
    /// bytes, and there may be as many as you please: where clients name them, limit how many.
    pub fn subscribe(&self, topic: impl AsRef<str>) {
        self.0.hub.subscribe(self, topic.as_ref());
    }

    /// Ends that.
    pub fn unsubscribe(&self, topic: impl AsRef<str>) {
        self.0.hub.unsubscribe(self, topic.as_ref());
    }

    /// Sends a message: see [`Sender::send`]. On an ordinary thread it waits for room; in a callback
    /// of any of the server's clients it never does, so that none that does not read holds others up.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub fn send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        self.0.sender.send(message)
    }

    /// Sends a message if there is room for it now: see [`Sender::try_send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::try_send`].
    pub fn try_send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        self.0.sender.try_send(message)
    }

    /// Returns all that can be sent and asked with, as an app's callbacks have it.
    pub fn sender(&self) -> &Sender {
        &self.0.sender
    }

    /// Closes the connection with code 1000: see [`Sender::close`].
    pub fn close(&self) {
        self.0.sender.close();
    }

    /// Closes it with a code and a reason for the client: see [`Sender::close_with`].
    ///
    /// # Errors
    ///
    /// As [`Sender::close_with`].
    pub fn close_with(&self, code: u16, reason: &str) -> Result<(), SendError> {
        self.0.sender.close_with(code, reason)
    }

    /// Drops the connection at once: see [`Sender::abort`].
    pub fn abort(&self) {
        self.0.sender.abort();
    }

    /// Waits until everything sent so far is in the hands of the operating system: see
    /// [`Sender::flush`].
    ///
    /// # Errors
    ///
    /// As [`Sender::flush`].
    pub fn flush(&self, timeout: Duration) -> Result<(), SendError> {
        self.0.sender.flush(timeout)
    }

    /// Counts the bytes that wait to be handed to the operating system.
    pub fn buffered_amount(&self) -> usize {
        self.0.sender.buffered_amount()
    }

    /// Returns whether it is open, closing or closed.
    pub fn state(&self) -> State {
        self.0.sender.state()
    }

    /// Counts what went through this connection so far.
    pub fn stats(&self) -> Stats {
        self.0.sender.stats()
    }

    // For what is published to clients that do not read as fast.

    /// Queues a message that others get too.
    pub(super) fn queue(&self, message: &Broadcast) -> Queueing {
        self.shared().queue_broadcast(message, self.agreed(message))
    }

    /// Returns whether that takes the time to compress it.
    pub(super) fn has_to_compress(&self, message: &Broadcast) -> bool {
        message.is_to_be_compressed(self.agreed(message))
    }

    /// Returns what was agreed on with it. Where that makes no difference it is not looked up: of a
    /// thousand clients each byte looked at takes its time.
    fn agreed(&self, message: &Broadcast) -> Option<NegotiatedDeflate> {
        if message.may_be_compressed() { self.0.compression } else { None }
    }

    /// The same where there was no room for it just now.
    pub(super) fn queue_late(&self, message: &Broadcast) -> Queueing {
        self.shared().queue_broadcast_late(message, self.agreed(message))
    }

    /// Returns whether anything is kept: then what comes goes behind it, or in its place.
    pub(super) fn keeps_latest(&self) -> bool {
        self.0.latest.as_ref().is_some_and(|latest| !latest.is_empty())
    }

    /// Keeps a message for which there was no room, in the place of the topic's one before it, unless
    /// there is some by now.
    pub(super) fn keep_latest(&self, topic: Option<&str>, message: &Broadcast) -> Keeping {
        let Some(latest) = &self.0.latest else { return Keeping::NotOpen };
        // Not under its lock.
        message.compress_for(self.agreed(message));
        // What its callbacks have sent may be waiting for their end.
        self.shared().write_queued();
        let queue = |message: &_| self.queue(message);
        let mut keeping = latest.keep(topic, message, self.limit(), queue);
        if keeping == Keeping::TooMuch {
            self.shared().try_late(|| {
                keeping = self.send_latest();
                keeping != Keeping::TooMuch
            });
        }
        keeping
    }

    /// There may be room again, or nobody any more: queues what was kept.
    pub(super) fn send_latest(&self) -> Keeping {
        let Some(latest) = &self.0.latest else { return Keeping::Queued };
        latest.queue(self.limit(), |message| self.queue(message))
    }

    /// Returns how many bytes may be kept.
    fn limit(&self) -> usize {
        self.0.hub.options.live.max_send_buffer
    }

    /// It is about to be closed: queues what was kept, which is as much again as the queue may have at
    /// most.
    fn send_all_latest(&self) {
        let queue =
            |message: &_| self.shared().queue_broadcast_anyway(message, self.agreed(message));
        self.0.latest.iter().for_each(|latest| latest.close(queue));
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
