//! [`ServerDriver`]: what a server's loops run: its listener, and its connections. Each belongs to
//! the thread that runs its loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;

use super::arrival::{Arrival, NewConnection};
use super::ask::{Ask, Asked};
use super::callbacks::ClientCallee;
use super::hub::Hub;
use super::listener::{Listening, NewListener};
use super::open_client::OpenClient;
use crate::calls;
use crate::error::Error;
use crate::link::{Place, Reader};
use crate::reactor::{Driver, Job};

pub(super) enum ServerStart {
    Listener(NewListener),
    Connection(NewConnection),
    /// Ends the server: the loop that accepted has failed.
    End(Arc<Hub>),
}

pub(super) enum ServerDriver {
    Listener(Box<Listening>),
    /// A connection that is not open yet.
    Arrival(Box<Arrival>),
    Client(Box<OpenClient>),
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
macro_rules! each {
    ($driver:ident, $it:ident => $do:expr) => {
        match $driver {
            ServerDriver::Listener($it) => $do,
            ServerDriver::Arrival($it) => $do,
            ServerDriver::Client($it) => $do,
        }
    };
}

impl ServerDriver {
    /// What has arrived may have become a client by now.
    fn settle(&mut self) {
        if let ServerDriver::Arrival(arrival) = self
            && let Some(client) = arrival.take_opened()
        {
            *self = ServerDriver::Client(client);
        }
    }
}

impl Driver for ServerDriver {
    /// Clients may be as many as they please, and threads may not.
    const MAX_CALLS: usize = 64;

    type Start = ServerStart;
    type Job = ServerJob;

    fn start(start: ServerStart, place: Place, registry: &Registry) -> Self {
        match start {
            ServerStart::Listener(new) => {
                ServerDriver::Listener(Box::new(Listening::start(new, place, registry)))
            }
            ServerStart::Connection(new) => {
                ServerDriver::Arrival(Box::new(Arrival::start(new, place, registry)))
            }
            ServerStart::End(hub) => {
                ServerDriver::Listener(Box::new(Listening::take_over(hub, place)))
            }
        }
    }

    fn on_event(&mut self, event: &Event) -> bool {
        let readable = each!(self, it => it.on_event(event));
        self.settle();
        readable
    }

    fn on_wake(&mut self, registry: &Registry) {
        match self {
            ServerDriver::Listener(listening) => listening.on_wake(registry),
            ServerDriver::Arrival(arrival) => arrival.on_wake(),
            ServerDriver::Client(client) => client.on_wake(),
        }
    }

    fn on_readable(&mut self, reader: &mut Reader, calls_next: bool) -> bool {
        let more = match self {
            ServerDriver::Listener(listening) => listening.on_readable(),
            ServerDriver::Arrival(arrival) => arrival.on_readable(reader),
            ServerDriver::Client(client) => client.on_readable(reader, calls_next),
        };
        self.settle();
        more
    }

    fn on_deadline(&mut self, now: Instant) {
        each!(self, it => it.on_deadline(now));
    }

    fn next_deadline(&self) -> Option<Instant> {
        each!(self, it => it.next_deadline())
    }

    fn take_wants_read(&mut self) -> bool {
        each!(self, it => it.take_wants_read())
    }

    fn has_job(&self) -> bool {
        match self {
            ServerDriver::Listener(_) => false,
            ServerDriver::Arrival(arrival) => arrival.has_job(),
            ServerDriver::Client(client) => client.has_job(),
        }
    }

    fn take_job(&mut self) -> Option<ServerJob> {
        match self {
            ServerDriver::Listener(_) => None,
            ServerDriver::Arrival(arrival) => arrival.take_job().map(ServerJob::Ask),
            ServerDriver::Client(client) => client.take_job().map(ServerJob::Call),
        }
    }

    fn done(&mut self, done: ServerDone) {
        match (&mut *self, done) {
            (ServerDriver::Arrival(arrival), ServerDone::Asked(asked)) => arrival.answer(*asked),
            (ServerDriver::Client(client), ServerDone::Called(called)) => client.done(called),
            // Each gets back what it has given out.
            _ => {}
        }
        self.settle();
    }

    fn busy_poll(&self) -> Duration {
        Duration::ZERO
    }

    fn is_finished(&self) -> bool {
        each!(self, it => it.is_finished())
    }

    fn ends_with_call(&self) -> bool {
        match self {
            // The end of the first is that of the server.
            ServerDriver::Listener(_) | ServerDriver::Client(_) => true,
            ServerDriver::Arrival(arrival) => arrival.ends_with_call(),
        }
    }

    fn finish(self) {
        each!(self, it => it.finish());
    }

    fn fail(self, error: &Error) {
        match self {
            ServerDriver::Listener(listening) => listening.fail(error),
            ServerDriver::Arrival(arrival) => arrival.fail(error),
            ServerDriver::Client(client) => client.fail(error),
        }
    }
}
