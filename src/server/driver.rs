//! [`ServerDriver`]: what a server's loops run: its listener, and its connections. Each belongs to
//! the thread that runs its loop.

use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;

use super::callbacks::ClientCallee;
use super::connection::{Ask, Asked, Connection, NewConnection};
use super::listener::{Listening, NewListener};
use crate::calls;
use crate::error::Error;
use crate::link::{Place, Reader};
use crate::reactor::{Driver, Job};

pub(super) enum ServerStart {
    Listener(NewListener),
    Connection(NewConnection),
}

pub(super) enum ServerDriver {
    Listener(Listening),
    Connection(Connection),
}

/// A call to the program.
pub(super) enum ServerJob {
    /// What it says to a request.
    Ask(Box<Ask>),
    Call(calls::Job<ClientCallee>),
}

pub(super) enum ServerDone {
    Asked(Box<Asked>),
    Called(calls::Done<ClientCallee>),
}

impl Job for ServerJob {
    type Done = ServerDone;

    fn needs_reader(&self) -> bool {
        match self {
            ServerJob::Ask(_) => false,
            ServerJob::Call(call) => call.needs_reader(),
        }
    }

    fn run(self, reader: Option<&Reader>) -> ServerDone {
        match self {
            ServerJob::Ask(ask) => ServerDone::Asked(Box::new(ask.run())),
            ServerJob::Call(call) => ServerDone::Called(call.run(reader)),
        }
    }
}

/// Does the same with whichever it is.
macro_rules! either {
    ($driver:ident, $it:ident => $do:expr) => {
        match $driver {
            ServerDriver::Listener($it) => $do,
            ServerDriver::Connection($it) => $do,
        }
    };
}

impl Driver for ServerDriver {
    /// Clients may be as many as they please, and threads may not.
    const MAX_CALLS: usize = 64;

    type Start = ServerStart;
    type Job = ServerJob;

    fn start(start: ServerStart, place: Place, registry: &Registry) -> Self {
        match start {
            ServerStart::Listener(new) => {
                ServerDriver::Listener(Listening::start(new, place, registry))
            }
            ServerStart::Connection(new) => {
                ServerDriver::Connection(Connection::start(new, place, registry))
            }
        }
    }

    fn on_event(&mut self, event: &Event) -> bool {
        either!(self, it => it.on_event(event))
    }

    fn on_wake(&mut self, registry: &Registry) {
        either!(self, it => it.on_wake(registry));
    }

    fn on_readable(&mut self, reader: &mut Reader, calls_next: bool) -> bool {
        either!(self, it => it.on_readable(reader, calls_next))
    }

    fn on_deadline(&mut self, now: Instant) {
        either!(self, it => it.on_deadline(now));
    }

    fn next_deadline(&self) -> Option<Instant> {
        either!(self, it => it.next_deadline())
    }

    fn take_wants_read(&mut self) -> bool {
        either!(self, it => it.take_wants_read())
    }

    fn has_job(&self) -> bool {
        match self {
            ServerDriver::Listener(_) => false,
            ServerDriver::Connection(connection) => connection.has_job(),
        }
    }

    fn take_job(&mut self) -> Option<ServerJob> {
        match self {
            ServerDriver::Listener(_) => None,
            ServerDriver::Connection(connection) => connection.take_job(),
        }
    }

    fn done(&mut self, done: ServerDone) {
        if let ServerDriver::Connection(connection) = self {
            connection.done(done);
        }
    }

    fn busy_poll(&self) -> Duration {
        Duration::ZERO
    }

    fn is_finished(&self) -> bool {
        either!(self, it => it.is_finished())
    }

    fn finish(self) {
        either!(self, it => it.finish());
    }

    fn fail(self, error: &Error) {
        either!(self, it => it.fail(error));
    }
}
