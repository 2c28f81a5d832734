//! [`Hub`]: what all of a server's loops and handles share: its options, who is connected, who
//! listens to which topic. Any thread.
//!
//! The lock of the registry comes before that of a client's `Shared`, never the other way; no callback is called
//! under it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::callbacks::{OnRequest, Source};
use super::driver::{ServerDriver, ServerStart};
use super::handle::{Delivered, ServerStats};
use super::latest::Keeping;
use super::origin::Origins;
use super::tls::Acceptor;
use super::{Client, LOG};
use crate::calls;
use crate::close::close_code;
use crate::config::ConnectionOptions;
use crate::deadline::after;
use crate::deflate::Deflate;
use crate::error::Error;
use crate::link::{Broadcast, Place, Queueing};
use crate::message::Outgoing;
use crate::panics;
use crate::reactor::Mailbox;

/// What becomes of a client that does not read as fast as is broadcast: see
/// [`Server::slow_clients`](super::Server::slow_clients).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlowClients {
    /// It is closed with code 1013, try again later, and what waits for it is dropped: what it has
    /// is never a feed with a hole in it.
    #[default]
    Close,
    /// It does not get what there is no room for, and hears nothing of that.
    Skip,
    /// It gets the latest message of each topic, once there is room again: for what replaces what
    /// was before it, such as prices and positions. All that is broadcast counts as one topic. The
    /// topic that has waited longest goes first, with what is the latest by then, so that none waits
    /// for ever for others: messages of different topics may change their order, those of one do not.
    /// Where the program closes the client, or shuts the server down, it gets them before.
    /// What is kept so is bounded as the queue is, by
    /// [`max_send_buffer`](super::Server::max_send_buffer), with some 100 bytes for each topic: where
    /// it is more, the client is closed with code 1013, for it is not to miss the latest of any.
    KeepLatest,
}

/// What a server was told, with its defaults.
pub(super) struct Options {
    pub(super) live: ConnectionOptions,
    pub(super) handshake_timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) max_connections_per_address: Option<usize>,
    pub(super) subprotocols: Vec<String>,
    pub(super) compression: Option<Deflate>,
    pub(super) slow_clients: SlowClients,
}

/// The program's part of a server.
pub(super) struct Program {
    pub(super) source: Source,
    pub(super) on_request: Option<OnRequest>,
}

pub(super) struct Hub {
    pub(super) options: Options,
    pub(super) origins: Origins,
    /// Until the server is over: a handle may be kept longer.
    program: RwLock<Option<Arc<Program>>>,
    pub(super) local_addr: Option<SocketAddr>,
    /// What accepts connections by TLS, where that is asked for: another one once it is replaced.
    acceptor: RwLock<Option<Arc<Acceptor>>>,
    /// The loops, once they are there.
    loops: OnceLock<Vec<Arc<Mailbox<ServerDriver>>>>,
    next_loop: AtomicUsize,
    registry: RwLock<Registry>,
    /// Connections, those that have not been accepted yet included.
    connections: AtomicUsize,
    /// Of these, by address, where that is limited.
    per_address: Mutex<HashMap<IpAddr, usize>>,
    accepting: AtomicBool,
    orders: Mutex<Orders>,
    counts: Counts,
    outcome: Mutex<Option<Result<(), Error>>>,
    over: Condvar,
}

#[derive(Default)]
struct Registry {
    clients: BTreeMap<u64, Client>,
    topics: HashMap<Arc<str>, BTreeMap<u64, Client>>,
    /// The topics of each client that has any.
    subscriptions: HashMap<u64, HashSet<Arc<str>>>,
    /// Those whose request has not been answered yet.
    arriving: BTreeMap<u64, Place>,
}

impl Registry {
    /// A client listens to a topic no more.
    fn remove(&mut self, client: &Client, topic: &str) {
        if let Some(members) = self.topics.get_mut(topic) {
            members.remove(&client.id());
            if members.is_empty() {
                self.topics.remove(topic);
            }
        }
    }
}

/// What handles asked of the server.
#[derive(Default)]
struct Orders {
    listener: Option<Place>,
    /// Which loop has the listener, or has to end the server in its place.
    ends_in: usize,
    shutdown: Option<Shutdown>,
    /// Why a loop could not go on, which is why the server ends.
    failed: Option<Error>,
    /// None of the loops goes on: the last connection ends the server.
    no_loop_left: bool,
    is_over: bool,
}

/// How a server is to end.
#[derive(Clone, Debug)]
pub(super) struct Shutdown {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) deadline: Instant,
}

/// What those who are gone have left behind, and what nobody has a client for.
#[derive(Default)]
struct Counts {
    next_arrival: AtomicU64,
    next_client: AtomicU64,
    opened: AtomicU64,
    refused: AtomicU64,
    slow: AtomicU64,
    messages_sent: AtomicU64,
    messages_received: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
}

/// A connection's place among those that are allowed, until dropped.
pub(super) struct Admission {
    hub: Arc<Hub>,
    address: Option<IpAddr>,
}

impl Admission {
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            let mut per_address = lock(&self.hub.per_address);
            if let Some(count) = per_address.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    per_address.remove(&address);
                }
            }
        }
        if self.hub.connections.fetch_sub(1, Ordering::SeqCst) == 1 {
            // The listener may wait for the last one.
            self.hub.was_last();
        }
    }
}

/// Returns what stands for all addresses that one client may have: of IPv6 it has as many as it
/// pleases, of one network (RFC 4291 §2.5.1).
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub(super) fn new(
        options: Options,
        origins: Origins,
        program: Program,
        local_addr: Option<SocketAddr>,
        acceptor: Option<Acceptor>,
    ) -> Self {
        Hub {
            options,
            origins,
            program: RwLock::new(Some(Arc::new(program))),
            local_addr,
            acceptor: RwLock::new(acceptor.map(Arc::new)),
            loops: OnceLock::new(),
            next_loop: AtomicUsize::new(0),
            registry: RwLock::default(),
            connections: AtomicUsize::new(0),
            per_address: Mutex::default(),
            accepting: AtomicBool::new(true),
            orders: Mutex::default(),
            counts: Counts::default(),
            outcome: Mutex::default(),
            over: Condvar::new(),
        }
    }

    pub(super) fn set_loops(&self, loops: Vec<Arc<Mailbox<ServerDriver>>>) {
        // Once, before anything runs. To callbacks they are one loop: who waited for clients of another
        // could be made to wait by any of them, with each place that there is for callbacks.
        let mut others = loops.iter();
        if let Some(first) = others.next() {
            others.for_each(|other| other.belong_to(first.address()));
        }
        let _ = self.loops.set(loops);
    }

    pub(super) fn loops(&self) -> &[Arc<Mailbox<ServerDriver>>] {
        self.loops.get().map_or(&[], Vec::as_slice)
    }

    /// Returns the loop whose turn it is to get a client.
    pub(super) fn next_loop(&self) -> Option<&Arc<Mailbox<ServerDriver>>> {
        let loops = self.loops();
        loops.get(self.next_loop.fetch_add(1, Ordering::Relaxed) % loops.len().max(1))
    }

    /// Returns whether the program has a word in who is accepted, or with what.
    pub(super) fn asks(&self) -> bool {
        self.program().is_some_and(|program| {
            program.on_request.is_some() || matches!(program.source, Source::Each(_))
        })
    }

    pub(super) fn program(&self) -> Option<Arc<Program>> {
        self.program.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn acceptor(&self) -> Option<Arc<Acceptor>> {
        self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// New connections get this one.
    pub(super) fn replace_acceptor(&self, acceptor: Acceptor) {
        let acceptor = Some(Arc::new(acceptor));
        *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
    }

    // Accepting.

    /// Gives a connection a place, or says why there is none: a status and words for it.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
    ) -> Result<Admission, (u16, &'static str)> {
        if !self.accepting.load(Ordering::SeqCst) || self.is_shutting_down() {
            return Err((503, "the server takes no new connections now"));
        }
        let address =
            address.filter(|_| self.options.max_connections_per_address.is_some()).map(counted_as);
        if let (Some(limit), Some(address)) = (self.options.max_connections_per_address, address) {
            let mut per_address = lock(&self.per_address);
            let count = per_address.entry(address).or_default();
            if *count >= limit {
                return Err((429, "there are too many connections from this address"));
            }
            *count += 1;
        }
        // Dropped where there is one too many.
        self.connections.fetch_add(1, Ordering::SeqCst);
        let admission = Admission { hub: Arc::clone(self), address };
        if self.connections.load(Ordering::SeqCst) > self.options.max_connections {
            return Err((503, "the server has as many connections as it may"));
        }
        Ok(admission)
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn refused(&self) {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn accept(&self, accept: bool) {
        self.accepting.store(accept, Ordering::SeqCst);
    }

    /// Returns the number of a new connection, until it is open or gone.
    pub(super) fn arrived(&self, place: &Place) -> u64 {
        let arrival = self.counts.next_arrival.fetch_add(1, Ordering::Relaxed);
        self.write().arriving.insert(arrival, place.clone());
        arrival
    }

    /// The connection will not open.
    pub(super) fn gone(&self, arrival: u64) {
        self.write().arriving.remove(&arrival);
    }

    /// Returns the number of a new client. Not that of its connection: what gets a page or is
    /// refused counts for nothing.
    pub(super) fn next_client(&self) -> u64 {
        self.counts.next_client.fetch_add(1, Ordering::Relaxed) + 1
    }

    // Who is there.

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Registry> {
        self.registry.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client is open: from now on it gets what is broadcast.
    pub(super) fn join(&self, client: &Client, arrival: u64) {
        self.counts.opened.fetch_add(1, Ordering::Relaxed);
        let mut registry = self.write();
        registry.arriving.remove(&arrival);
        registry.clients.insert(client.id(), client.clone());
    }

    /// A client is gone: it gets nothing more.
    pub(super) fn leave(&self, client: &Client) {
        let mut registry = self.write();
        registry.clients.remove(&client.id());
        for topic in registry.subscriptions.remove(&client.id()).into_iter().flatten() {
            registry.remove(client, &topic);
        }
        // Under the lock, so that whoever counts finds it among those who are there or those who
        // are gone.
        let (stats, counts) = (client.stats(), &self.counts);
        counts.messages_sent.fetch_add(stats.messages_sent, Ordering::Relaxed);
        counts.messages_received.fetch_add(stats.messages_received, Ordering::Relaxed);
        counts.bytes_sent.fetch_add(stats.bytes_sent, Ordering::Relaxed);
        counts.bytes_received.fetch_add(stats.bytes_received, Ordering::Relaxed);
    }

    pub(super) fn subscribe(&self, client: &Client, topic: &str) {
        let mut registry = self.write();
        // One that is gone is not to be found again.
        if !registry.clients.contains_key(&client.id()) {
            return;
        }
        let topic = match registry.topics.get_key_value(topic) {
            Some((topic, _)) => Arc::clone(topic),
            None => topic.into(),
        };
        let of_client = registry.subscriptions.entry(client.id()).or_default();
        of_client.insert(Arc::clone(&topic));
        registry.topics.entry(topic).or_default().insert(client.id(), client.clone());
    }

    pub(super) fn unsubscribe(&self, client: &Client, topic: &str) {
        let mut registry = self.write();
        registry.remove(client, topic);
        if let Some(of_client) = registry.subscriptions.get_mut(&client.id()) {
            of_client.remove(topic);
            if of_client.is_empty() {
                registry.subscriptions.remove(&client.id());
            }
        }
    }

    pub(super) fn clients(&self) -> Vec<Client> {
        self.read().clients.values().cloned().collect()
    }

    pub(super) fn client(&self, id: u64) -> Option<Client> {
        self.read().clients.get(&id).cloned()
    }

    // Sending to many.

    /// Queues a message for all, or for those who listen to a topic.
    pub(super) fn publish(&self, topic: Option<&str>, message: Outgoing<'_>) -> Delivered {
        let message = &Broadcast::new(message, self.options.compression.is_some());
        let keeps_latest = self.options.slow_clients == SlowClients::KeepLatest;
        let (mut delivered, mut full) = (Delivered::default(), Vec::new());
        let mut compressing = Vec::new();
        let registry = self.read();
        let to = match topic {
            None => Some(&registry.clients),
            Some(topic) => registry.topics.get(topic),
        };
        for client in to.into_iter().flat_map(BTreeMap::values) {
            // What is kept goes first, and what comes after it behind it, or in its place.
            if keeps_latest && client.keeps_latest() {
                full.push(client.clone());
                continue;
            }
            if client.has_to_compress(message) {
                compressing.push(client.clone());
                continue;
            }
            match client.queue(message) {
                Queueing::Queued => delivered.clients += 1,
                Queueing::NotOpen => {}
                Queueing::Full => full.push(client.clone()),
            }
        }
        // What follows takes its time, may write, and so log.
        drop(registry);
        for client in compressing {
            match client.queue(message) {
                Queueing::Queued => delivered.clients += 1,
                Queueing::NotOpen => {}
                Queueing::Full => full.push(client),
            }
        }
        for client in full {
            self.deliver_to_slow(&client, topic, message, &mut delivered);
        }
        delivered
    }

    /// The queue was full. It need not be the client that is slow: where its loop has not had its
    /// turn since, it is written here.
    fn deliver_to_slow(
        &self,
        client: &Client,
        topic: Option<&str>,
        message: &Broadcast,
        to: &mut Delivered,
    ) {
        if self.options.slow_clients == SlowClients::KeepLatest {
            match client.keep_latest(topic, message) {
                Keeping::Queued => to.clients += 1,
                Keeping::Waits => to.delayed += 1,
                Keeping::NotOpen => {}
                Keeping::TooMuch => {
                    self.close_slow(client, to);
                    // Nobody will get it.
                    client.send_latest();
                }
            }
            return;
        }
        match client.queue_late(message) {
            Queueing::Queued => to.clients += 1,
            Queueing::NotOpen => {}
            Queueing::Full if self.options.slow_clients == SlowClients::Skip => to.skipped += 1,
            Queueing::Full => self.close_slow(client, to),
        }
    }

    fn close_slow(&self, client: &Client, to: &mut Delivered) {
        // Another thread may have been quicker.
        if client.shared().close_instead(close_code::TRY_AGAIN) {
            self.counts.slow.fetch_add(1, Ordering::Relaxed);
            to.closed += 1;
        }
    }

    // The end.

    /// The listener is there, at this place.
    pub(super) fn listens(&self, place: &Place) {
        lock(&self.orders).listener = Some(place.clone());
    }

    pub(super) fn wake_listener(&self) {
        if let Some(place) = &lock(&self.orders).listener {
            place.wake();
        }
    }

    pub(super) fn is_shutting_down(&self) -> bool {
        lock(&self.orders).shutdown.is_some()
    }

    pub(super) fn shutdown_order(&self) -> Option<Shutdown> {
        lock(&self.orders).shutdown.clone()
    }

    /// Begins to end the server. Only the first order counts, but for an earlier deadline.
    pub(super) fn shutdown(&self, code: u16, reason: &str, timeout: Duration) {
        let deadline = after(Instant::now(), timeout);
        let mut orders = lock(&self.orders);
        let order = orders.shutdown.get_or_insert_with(|| Shutdown {
            code,
            reason: reason.to_owned(),
            deadline,
        });
        order.deadline = order.deadline.min(deadline);
        drop(orders);
        self.wake_listener();
    }

    /// Closes all who are there, and has those who are arriving refused.
    pub(super) fn close_all(&self, order: &Shutdown) {
        log::debug!(target: LOG, "the server shuts down");
        // Not under the lock: what is written may be logged, by a logger that sends to clients.
        for client in self.everybody() {
            // What was wrong with code or reason has been said.
            let _ = client.close_with(order.code, &order.reason);
        }
    }

    /// Drops what is left.
    pub(super) fn abort_all(&self) {
        self.everybody().iter().for_each(Client::abort);
    }

    /// Wakes who is arriving, and returns who is there.
    fn everybody(&self) -> Vec<Client> {
        let registry = self.read();
        registry.arriving.values().for_each(Place::wake);
        registry.clients.values().cloned().collect()
    }

    /// A loop cannot go on, and so the server ends with that: the clients of other loops are closed
    /// with 1011, for the server did not mean to go. Said as often as anybody finds it out.
    pub(super) fn loop_failed(self: &Arc<Self>, error: &Error) {
        let deadline = after(Instant::now(), self.options.live.close_timeout);
        let mut orders = lock(&self.orders);
        if orders.is_over {
            return;
        }
        orders.failed.get_or_insert_with(|| error.clone());
        orders.shutdown.get_or_insert_with(|| Shutdown {
            code: close_code::INTERNAL_ERROR,
            reason: String::new(),
            deadline,
        });
        if !self.loops().get(orders.ends_in).is_some_and(|mailbox| mailbox.has_failed()) {
            drop(orders);
            return self.wake_listener();
        }
        let end = |mailbox: &Arc<Mailbox<_>>| mailbox.add(ServerStart::End(Arc::clone(self)));
        match self.loops().iter().position(|mailbox| end(mailbox).is_ok()) {
            Some(takes_over) => orders.ends_in = takes_over,
            None => {
                orders.no_loop_left = true;
                drop(orders);
                self.finish_if_empty();
            }
        }
    }

    /// There are no connections just now.
    fn was_last(&self) {
        self.wake_listener();
        if lock(&self.orders).no_loop_left {
            self.finish_if_empty();
        }
    }

    /// Ends the server without a loop, unless it has connections yet: they hear of it first.
    fn finish_if_empty(&self) {
        if self.connections() == 0 {
            self.finish(Ok(()));
        }
    }

    /// The server is over, with this unless a loop has failed. What its callbacks hold is dropped
    /// before anybody who waits is told.
    pub(super) fn finish(&self, outcome: Result<(), Error>) {
        let mut orders = lock(&self.orders);
        orders.is_over = true;
        let outcome = orders.failed.clone().map_or(outcome, Err);
        drop(orders);
        for mailbox in self.loops() {
            mailbox.close();
        }
        let program = self.program.write().unwrap_or_else(PoisonError::into_inner).take();
        let _inside = self.loops().first().map(|mailbox| calls::enter(mailbox.address()));
        let dropped = panics::guarded(|| drop(program));
        lock(&self.outcome).get_or_insert(outcome);
        self.over.notify_all();
        // The logger may panic too.
        if dropped.is_err() {
            log::error!(target: LOG, "what a callback holds panicked while it was dropped");
        }
    }

    /// Waits until it is.
    pub(super) fn wait(&self) -> Result<(), Error> {
        let mut outcome = lock(&self.outcome);
        loop {
            if let Some(outcome) = &*outcome {
                return outcome.clone();
            }
            outcome = self.over.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn stats(&self) -> ServerStats {
        let counts = &self.counts;
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let registry = self.read();
        let mut stats = ServerStats {
            open: registry.clients.len(),
            opened: load(&counts.opened),
            refused: load(&counts.refused),
            closed_as_slow: load(&counts.slow),
            messages_sent: load(&counts.messages_sent),
            messages_received: load(&counts.messages_received),
            bytes_sent: load(&counts.bytes_sent),
            bytes_received: load(&counts.bytes_received),
        };
        for its in registry.clients.values().map(Client::stats) {
            stats.messages_sent += its.messages_sent;
            stats.messages_received += its.messages_received;
            stats.bytes_sent += its.bytes_sent;
            stats.bytes_received += its.bytes_received;
        }
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_client_are_counted_together() {
        let counted = |address: &str| counted_as(address.parse().unwrap());
        assert_eq!(counted("2001:db8:1:2::1"), counted("2001:db8:1:2:ffff::9"));
        assert_ne!(counted("2001:db8:1:2::1"), counted("2001:db8:1:3::1"));
        assert_eq!(counted("::ffff:192.0.2.1"), counted("192.0.2.1"));
        assert_ne!(counted("192.0.2.1"), counted("192.0.2.2"));
    }
}
