//! [`Listening`]: accepts connections and hands each to a loop. Belongs to the thread that runs its
//! loop.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::{Event, Source};
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::LOG;
use super::arrival::NewConnection;
use super::driver::ServerStart;
use super::hub::{Hub, Shutdown};
#[cfg(unix)]
use super::unix;
use crate::error::Error;
use crate::link::Place;
use crate::protocol::handshake::opening::answer_head;
use crate::transport::{Socket, Stream};

/// What a server listens on: made from a [`TcpListener`](std::net::TcpListener), or a Unix socket's,
/// that somebody else has opened, such as the system's service manager.
pub struct Listener(pub(super) Kind);

pub(super) enum Kind {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl From<std::net::TcpListener> for Listener {
    fn from(listener: std::net::TcpListener) -> Self {
        Listener(Kind::Tcp(listener))
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixListener> for Listener {
    fn from(listener: std::os::unix::net::UnixListener) -> Self {
        Listener(Kind::Unix(listener))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tcp(listener) => listener.fmt(f),
            #[cfg(unix)]
            Kind::Unix(listener) => listener.fmt(f),
        }
    }
}

/// The same for a poll.
enum Polled {
    Tcp(mio::net::TcpListener),
    #[cfg(unix)]
    Unix(mio::net::UnixListener),
}

/// How many connections over TCP the operating system keeps until they are accepted: as many as Linux
/// allows by default. What is listened on by others keeps what they have said.
const BACKLOG: i32 = 4096;

impl Listener {
    /// Opens what an address names, such as `127.0.0.1:9001` or `localhost:0`; on Unix also
    /// `unix:/path/to.sock`.
    pub(super) fn bind(address: &str) -> io::Result<Self> {
        #[cfg(unix)]
        if let Some(path) = address.strip_prefix("unix:") {
            if path.is_empty() {
                // Linux would make up a name that nobody knows.
                return Err(io::Error::new(ErrorKind::InvalidInput, "the path is empty"));
            }
            return unix::bind(std::path::Path::new(path)).map(Listener::from);
        }
        let listener = std::net::TcpListener::bind(address)?;
        // Once more, with room for a crowd: std asks for 128, and whom there is no room for tries
        // again after a second.
        SockRef::from(&listener).listen(BACKLOG)?;
        Ok(Listener::from(listener))
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Kind::Unix(_) => None,
        }
    }

    fn into_polled(self) -> io::Result<Polled> {
        Ok(match self.0 {
            Kind::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Polled::Tcp(mio::net::TcpListener::from_std(listener))
            }
            #[cfg(unix)]
            Kind::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Polled::Unix(mio::net::UnixListener::from_std(listener))
            }
        })
    }
}

impl Polled {
    fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Polled::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                // Small messages are not to wait for one another. A connection that is gone already
                // shows when it is read.
                let _ = stream.set_nodelay(true);
                Ok((Socket::tcp(stream), Some(address)))
            }
            #[cfg(unix)]
            Polled::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                Ok((Socket::unix(stream), None))
            }
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Polled::Tcp(listener) => listener,
            #[cfg(unix)]
            Polled::Unix(listener) => listener,
        }
    }
}

pub(super) struct NewListener {
    pub(super) hub: Arc<Hub>,
    pub(super) listener: Listener,
}

/// How many connections are accepted before others have their turn.
const ACCEPTED_AT_ONCE: usize = 64;

/// How long accepting pauses where the operating system has nothing to give for a connection, which
/// asking again at once would not change.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Listening {
    hub: Arc<Hub>,
    place: Place,
    state: State,
    /// Until when accepting pauses.
    paused: Option<Instant>,
    /// It has paused, which the log was told, and some may wait yet.
    is_short: bool,
    wants_read: bool,
}

enum State {
    Listening(Polled),
    /// Until the last connection is gone, or then.
    ShuttingDown(Instant),
    Over(Result<(), Error>),
}

impl Listening {
    pub(super) fn start(new: NewListener, place: Place, registry: &Registry) -> Self {
        let NewListener { hub, listener } = new;
        let polled = listener.into_polled().and_then(|mut polled| {
            polled.source().register(registry, place.token, Interest::READABLE)?;
            Ok(polled)
        });
        let state = match polled {
            Ok(polled) => State::Listening(polled),
            Err(error) => State::Over(Err(Error::system("a place in the event loop", error))),
        };
        hub.listens(&place);
        // It may have been shut down before.
        place.wake();
        Listening { hub, place, state, paused: None, is_short: false, wants_read: true }
    }

    /// Ends the server in the place of the loop that accepted, which has failed.
    pub(super) fn take_over(hub: Arc<Hub>, place: Place) -> Self {
        hub.listens(&place);
        let (order, state) = (hub.shutdown_order(), State::ShuttingDown(Instant::now()));
        let mut listening =
            Listening { hub, place, state, paused: None, is_short: false, wants_read: false };
        // There is one, by whoever has found out that the other has failed.
        order.iter().for_each(|order| listening.begin_to_end(order));
        listening.end_if_empty();
        listening
    }

    pub(super) fn on_event(&mut self, _event: &Event) -> bool {
        self.paused.is_none()
    }

    pub(super) fn on_wake(&mut self, registry: &Registry) {
        let Some(order) = self.hub.shutdown_order() else { return };
        match &mut self.state {
            State::Listening(polled) => {
                // It is closed as it is dropped, registered or not.
                let _ = polled.source().deregister(registry);
                self.begin_to_end(&order);
            }
            State::ShuttingDown(deadline) => *deadline = order.deadline,
            State::Over(_) => {}
        }
        self.end_if_empty();
    }

    fn begin_to_end(&mut self, order: &Shutdown) {
        self.state = State::ShuttingDown(order.deadline);
        // Without time for an answer nobody is asked for one: all are dropped.
        if order.deadline > Instant::now() {
            self.hub.close_all(order);
        }
    }

    fn end_if_empty(&mut self) {
        if let State::ShuttingDown(_) = self.state
            && self.hub.connections() == 0
        {
            self.state = State::Over(Ok(()));
        }
    }

    pub(super) fn on_readable(&mut self) -> bool {
        for _ in 0..ACCEPTED_AT_ONCE {
            let State::Listening(polled) = &self.state else { return false };
            match polled.accept() {
                Ok((socket, address)) => self.accepted(socket, address),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_short = false;
                    return false;
                }
                // The client was gone before it was accepted, or a signal came.
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    self.paused = Some(Instant::now() + PAUSE);
                    // Once, however long it lasts.
                    if !std::mem::replace(&mut self.is_short, true) {
                        log::warn!(target: LOG, "accepting pauses, again and again: {error}");
                    }
                    return false;
                }
            }
        }
        true
    }

    fn accepted(&self, socket: Socket, peer_addr: Option<SocketAddr>) {
        match self.hub.admit(peer_addr.map(|address| address.ip())) {
            Ok(admission) => {
                let hub = Arc::clone(&self.hub);
                let new = NewConnection { hub, socket, peer_addr, admission };
                if let Some(mailbox) = self.hub.next_loop() {
                    // A loop that has failed has said so.
                    let _ = mailbox.add(ServerStart::Connection(new));
                }
            }
            Err((status, why)) => {
                self.hub.refused();
                log::debug!(target: LOG, "{}: refused: {why}", Peer(peer_addr));
                // To say it within TLS would take a handshake.
                if self.hub.acceptor().is_none() {
                    refuse(socket, status, why);
                }
            }
        }
    }

    pub(super) fn on_deadline(&mut self, now: Instant) {
        if self.paused.is_some_and(|until| until <= now) {
            self.paused = None;
            self.wants_read = true;
        }
        if let State::ShuttingDown(deadline) = self.state
            && deadline <= now
        {
            self.hub.abort_all();
            // Once more, should somebody have come in just now.
            self.state = State::ShuttingDown(now + PAUSE);
        }
        self.end_if_empty();
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Listening(_) => self.paused,
            State::ShuttingDown(deadline) => Some(deadline),
            State::Over(_) => None,
        }
    }

    pub(super) fn take_wants_read(&mut self) -> bool {
        std::mem::take(&mut self.wants_read)
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    pub(super) fn finish(self) {
        if let State::Over(outcome) = self.state {
            self.hub.finish(outcome);
        }
    }

    /// It listens no more, and another loop has to end the server.
    pub(super) fn fail(self, error: &Error) {
        self.hub.loop_failed(error);
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening")
            .field("token", &Token(self.place.token.0))
            .finish_non_exhaustive()
    }
}

/// Returns whether what went wrong with one connection says nothing of the next.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
    )
}

/// How much of what a client has said already is read away.
const MAX_DISCARDED: usize = 64 << 10;

/// Answers a connection that there is no place for, without reading what it wants, and ends it.
fn refuse(socket: Socket, status: u16, why: &str) {
    let body = format!("{why}\n");
    let length = body.len().to_string();
    let head = answer_head(
        status,
        [
            ("Connection", "close"),
            ("Content-Type", "text/plain"),
            ("Content-Length", &length),
            ("Retry-After", "5"),
        ],
    );
    let stream = Stream::plain(socket);
    // A fresh socket has room for it.
    let _ = stream.write((head + &body).as_bytes());
    stream.shutdown();
    // What it has said already, or closing would be a reset.
    stream.discard(MAX_DISCARDED);
}

/// A client's address in messages.
pub(super) struct Peer(pub(super) Option<SocketAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("a local client"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux answers nobody for whom there is no room: they would ask again and again.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_crowd_that_comes_at_once_is_answered_before_anybody_is_accepted() {
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let crowd = most.trim().parse::<usize>().unwrap().min(600);
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect =
            || std::net::TcpStream::connect_timeout(&address, Duration::from_secs(20)).unwrap();
        let _crowd: Vec<_> = (0..crowd).map(|_| connect()).collect();
    }
}
