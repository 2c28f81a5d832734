//! [`ServerHandle`]: a server that runs, for any thread.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::hub::Hub;
use super::{Client, ServerTls};
use crate::calls::{CallbackError, CallbackResult, is_inside};
use crate::error::{Error, SendError};
use crate::message::Outgoing;
use crate::protocol::close::close_payload;

/// A running server: from [`Server::spawn`](super::Server::spawn) and
/// [`Client::server`](super::Client::server). Clones are cheap and mean the same server; dropping them
/// lets it run on.
#[derive(Clone)]
#[must_use = "the server ends with `main`: `join` it, where nothing else keeps that from ending"]
pub struct ServerHandle {
    hub: Arc<Hub>,
}

impl ServerHandle {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        ServerHandle { hub }
    }

    /// Returns the address that it listens on: with port 0, the port that it got. `None` where it is
    /// not TCP.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.hub.local_addr
    }

    /// Returns all clients that are open now, in the order of their numbers.
    pub fn clients(&self) -> Vec<Client> {
        self.hub.clients()
    }

    /// Returns the client with this number, if it is open.
    pub fn client(&self, id: u64) -> Option<Client> {
        self.hub.client(id)
    }

    /// Sends a message to all clients. Never waits for a client. Each client's loop writes what is sent
    /// in one turn of it together; the caller's thread writes only where a client's queue is full and
    /// its loop has had no turn to find out that the socket is not, and lets a thread that is just
    /// finding out get on with it, for up to 10 ms for each such client. Where clients have agreed to
    /// compression it compresses, once for each size of window. One thread's messages arrive in its
    /// order at every client.
    ///
    /// Each client's queue is bounded ([`max_send_buffer`](super::Server::max_send_buffer)); of one
    /// that is full, [`slow_clients`](super::Server::slow_clients) says what becomes, and for
    /// [`KeepLatest`](super::SlowClients::KeepLatest) also in which order.
    pub fn broadcast<'a>(&self, message: impl Into<Outgoing<'a>>) -> Delivered {
        self.hub.publish(None, message.into())
    }

    /// Sends a message to the clients that have [subscribed](super::Client::subscribe) to a topic, as
    /// [`broadcast`](Self::broadcast) does to all.
    pub fn publish<'a>(
        &self,
        topic: impl AsRef<str>,
        message: impl Into<Outgoing<'a>>,
    ) -> Delivered {
        self.hub.publish(Some(topic.as_ref()), message.into())
    }

    /// Has new connections refused with status 503, over TLS without a word, until
    /// [`accept_again`](Self::accept_again). Those that are open stay.
    pub fn stop_accepting(&self) {
        self.hub.accept(false);
    }

    /// Accepts connections again.
    pub fn accept_again(&self) {
        self.hub.accept(true);
    }

    /// Ends the server in order: it listens no more, requests that are not answered yet get status
    /// 503, TLS handshakes are dropped, and every client is closed with this code, 1001 for "going away"
    /// (RFC 6455 §7.4.1). What waits for them goes out first, also what is
    /// [kept](super::SlowClients::KeepLatest), and each has its `on_close`. Connections that are not over
    /// after the time are dropped; callbacks are not, and one that does not return keeps the server from
    /// being over. Returns at once; [`join`](Self::join) waits.
    ///
    /// # Errors
    ///
    /// [`SendError::InvalidControl`] for a code that must not be sent or a reason that is too long;
    /// nothing is shut down then.
    pub fn shutdown(&self, code: u16, reason: &str, timeout: Duration) -> Result<(), SendError> {
        close_payload(code, reason)
            .map_err(|problem| SendError::InvalidControl { problem: problem.into() })?;
        self.hub.shutdown(code, reason, timeout);
        Ok(())
    }

    /// Ends the server at once: every connection is dropped.
    pub fn abort(&self) {
        self.hub.shutdown(crate::close::close_code::GOING_AWAY, "", Duration::ZERO);
    }

    /// Replaces the certificate, for connections from now on; those that are open stay as they are.
    /// Files are read again, so a renewed certificate is taken with the same [`ServerTls`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a certificate that cannot be used, or where the server has no TLS; the
    /// old one stays.
    pub fn replace_tls(&self, tls: &ServerTls) -> Result<(), Error> {
        if self.hub.acceptor().is_none() {
            return Err(Error::invalid(
                "replace_tls",
                "is for a server with TLS: Server::tls gives it one",
            ));
        }
        self.hub.replace_acceptor(tls.acceptor()?);
        Ok(())
    }

    /// Counts what went through the server so far.
    pub fn stats(&self) -> ServerStats {
        self.hub.stats()
    }

    /// Waits until the server is over, however long callbacks take.
    ///
    /// # Errors
    ///
    /// Why [one of its threads](super#what-is-promised-to-callbacks) could not go on.
    /// [`Error::Deadlock`], at once, within one of its callbacks.
    pub fn join(&self) -> Result<(), Error> {
        if self.hub.loops().iter().any(|mailbox| is_inside(mailbox.address())) {
            return Err(Error::Deadlock { what: "its own server" });
        }
        self.hub.wait()
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("local_addr", &self.local_addr())
            .finish_non_exhaustive()
    }
}

/// What became of a message that was broadcast: see [`ServerHandle::broadcast`]. A callback may
/// return it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// How many clients it was queued for.
    pub clients: usize,
    /// How many get it, or what comes after it, when there is room, or before they are closed in order:
    /// [`SlowClients::KeepLatest`](super::SlowClients::KeepLatest).
    pub delayed: usize,
    /// How many do not get it: [`SlowClients::Skip`](super::SlowClients::Skip).
    pub skipped: usize,
    /// How many were closed since there was no room: [`SlowClients::Close`](super::SlowClients::Close),
    /// or too many topics for [`SlowClients::KeepLatest`](super::SlowClients::KeepLatest).
    pub closed: usize,
}

impl crate::calls::Sealed for Delivered {}

impl CallbackResult for Delivered {
    fn into_result(self) -> Result<(), CallbackError> {
        Ok(())
    }
}

/// What went through a server so far: see [`ServerHandle::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// How many clients are open now.
    pub open: usize,
    /// How many were opened.
    pub opened: u64,
    /// How many were not opened: refused for whatever reason, or answered with a page.
    pub refused: u64,
    /// How many were closed since they did not read as fast as was broadcast.
    pub closed_as_slow: u64,
    /// Messages to all clients together, those that are gone included.
    pub messages_sent: u64,
    /// Messages of all clients together.
    pub messages_received: u64,
    /// Payload bytes of the messages sent.
    pub bytes_sent: u64,
    /// Payload bytes of the messages received.
    pub bytes_received: u64,
}
