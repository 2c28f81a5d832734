//! [`Route`]: what a program put in the place of looking up and TCP. A leaf: plain data and the
//! program's own closures, used on the threads that connect.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::reconnect::Attempt;
use crate::transport::{Socket, SocketOptions};

/// Gives the addresses of a host, with the port.
pub(crate) type Resolver =
    Arc<dyn Fn(&str, u16, &Attempt) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Gives a connected socket to a host's port.
pub(crate) type Connector = Arc<dyn Fn(&str, u16, &Attempt) -> io::Result<Socket> + Send + Sync>;

/// How to get to the server.
#[derive(Clone, Default)]
pub(crate) struct Route {
    pub(crate) socket: Option<ReadyMade>,
    pub(crate) connector: Option<Connector>,
    pub(crate) resolver: Option<Resolver>,
    pub(crate) options: SocketOptions,
    pub(crate) unanswered: Unanswered,
}

impl Route {
    /// Refuses what contradicts itself. `again`: whether there may be a second connection.
    pub(crate) fn check(&self, again: bool) -> Result<(), Error> {
        self.options.check()?;
        if self.socket.is_some() && self.connector.is_some() {
            return Err(Error::invalid(
                "socket(…) and connector(…)",
                "each decides what to connect with: keep one",
            ));
        }
        if self.socket.is_some() && again {
            return Err(Error::invalid(
                "socket(…) with reconnect(…) or max_redirects(…)",
                ONLY_ONE,
            ));
        }
        self.own().map_or(Ok(()), |own| self.check_beside(own))
    }

    /// Refuses what is for looking up and TCP only, where `own` goes another way.
    pub(crate) fn check_beside(&self, own: &str) -> Result<(), Error> {
        let unused = "has no effect: no address is looked up, and no TCP socket made";
        if self.resolver.is_some() {
            return Err(Error::invalid(format!("resolver(…) with {own}"), unused));
        }
        if self.options != SocketOptions::default() {
            return Err(Error::invalid(format!("socket_options(…) with {own}"), unused));
        }
        Ok(())
    }

    /// Names the option that says where to connect, if there is one.
    pub(crate) fn own(&self) -> Option<&'static str> {
        match (&self.socket, &self.connector) {
            (Some(_), _) => Some("socket(…)"),
            (None, Some(_)) => Some("connector(…)"),
            (None, None) => None,
        }
    }
}

const ONLY_ONE: &str = "a socket is good for one connection: connector(…) gives a new one to each";

/// A socket that was connected before, for the first who comes. The lock is held to take it out.
#[derive(Clone)]
pub(crate) struct ReadyMade(Arc<Mutex<Option<Socket>>>);

impl ReadyMade {
    pub(crate) fn new(socket: Socket) -> Self {
        ReadyMade(Arc::new(Mutex::new(Some(socket))))
    }

    pub(crate) fn take(&self) -> Result<Socket, Error> {
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        socket.ok_or_else(|| Error::invalid("socket(…)", ONLY_ONE))
    }
}

/// Counts an app's questions to a resolver or connector, whosever it is, that have no answer yet.
/// Used on the threads that connect, and on those that ask.
#[derive(Clone, Default)]
pub(crate) struct Unanswered(Arc<AtomicUsize>);

/// One of them, until it is dropped.
pub(crate) struct Question(Unanswered);

impl Unanswered {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn another(&self) -> Question {
        self.0.fetch_add(1, Ordering::SeqCst);
        Question(self.clone())
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}
