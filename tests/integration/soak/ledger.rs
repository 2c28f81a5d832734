//! What both ends of one app know of each other, compared as it happens.
//!
//! Both number their messages from 1. A message is **missing** when the other end gets a later one
//! before it, and **doubled** when it gets it twice. None may be doubled. Missing may only be what
//! was **in flight** when a connection was cut, which is: it was given to `send` before `on_close`
//! told of the end of that connection; nothing after it came over that connection; and the way in
//! which the server ended it throws away what is on its way (`Fault` says which do). So nothing may
//! be missing in the middle of a connection, nor after a Close, an end of stream, a violation; nor
//! anything that was sent while there was no connection.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fault::Fault;

#[derive(Default)]
pub(super) struct Ledger(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// By number, which counts from 1.
    connections: Vec<Connection>,
    /// From the client to the server, and back.
    up: Way,
    down: Way,
    /// Of those from the client.
    compressed: u64,
    failures: Vec<String>,
    failed_attempts: u64,
}

#[derive(Default)]
struct Connection {
    /// How the server ended it.
    fault: Option<Fault>,
    /// The last number that the client had given to `send` when it was told of the end.
    sent_before_close: u64,
}

#[derive(Default)]
struct Way {
    last: u64,
    /// The connection over which the last came.
    over: usize,
    count: u64,
    lost_in_flight: u64,
}

/// The client.
impl Ledger {
    /// A connection is open; gives its number.
    pub(super) fn opened(&self) -> usize {
        let mut book = self.book();
        book.connections.push(Connection::default());
        book.connections.len()
    }

    /// The connection is gone, and another will follow.
    pub(super) fn closed(&self, sent: u64) {
        let mut book = self.book();
        let number = book.connections.len();
        match book.connections.last_mut() {
            None => book.failures.push("on_close before on_open".into()),
            Some(connection) => {
                connection.sent_before_close = sent;
                if connection.fault.is_none() {
                    book.failures.push(format!("connection {number} ended without a reason"));
                }
            }
        }
    }

    pub(super) fn attempt_failed(&self) {
        self.book().failed_attempts += 1;
    }

    /// A message from the server.
    pub(super) fn down(&self, number: u64) {
        let mut book = self.book();
        let over = book.connections.len();
        let Book { connections, down, failures, .. } = &mut *book;
        let may_lose = |connection: &Connection| {
            connection.fault.is_some_and(Fault::loses_what_the_server_sent)
        };
        down.take(number, over, connections, may_lose)
            .unwrap_or_else(|what| failures.push(format!("down: {what}")));
    }
}

/// The server.
impl Ledger {
    /// It is about to end this connection in this way.
    pub(super) fn ends(&self, connection: usize, fault: Fault) {
        self.book().connections[connection - 1].fault = Some(fault);
    }

    /// It is over, and this was the last number for the client, which closed in order and so has
    /// got it.
    pub(super) fn all_was_sent(&self, last: u64) {
        let mut book = self.book();
        if book.down.last != last {
            let what = format!("down: {} is the last of {last} that has arrived", book.down.last);
            book.failures.push(what);
        }
    }

    /// A message from the client.
    pub(super) fn up(&self, number: u64, over: usize, compressed: bool) {
        let mut book = self.book();
        book.compressed += u64::from(compressed);
        let Book { connections, up, failures, .. } = &mut *book;
        let may_lose = |connection: &Connection| {
            connection.fault.is_some_and(Fault::loses_what_the_client_sent)
                && connection.sent_before_close >= number - 1
        };
        up.take(number, over, connections, may_lose)
            .unwrap_or_else(|what| failures.push(format!("up: {what}")));
    }
}

impl Ledger {
    pub(super) fn failure(&self, what: String) {
        self.book().failures.push(what);
    }

    /// The last number that the server has got.
    pub(super) fn last_up(&self) -> u64 {
        self.book().up.last
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    /// A message has arrived. `may_lose` tells by which connections those between it and the last
    /// may have been lost.
    fn take(
        &mut self,
        number: u64,
        over: usize,
        connections: &[Connection],
        may_lose: impl Fn(&Connection) -> bool,
    ) -> Result<(), String> {
        if number <= self.last {
            return Err(format!(
                "{number} came again over connection {over}, the last was {}",
                self.last
            ));
        }
        let missing = number - self.last - 1;
        let between = &connections[self.over.max(1) - 1..over - 1];
        let verdict = match missing {
            0 => Ok(()),
            _ if between.iter().any(may_lose) => {
                self.lost_in_flight += missing;
                Ok(())
            }
            _ => Err(format!(
                "{} to {} are missing, between connections {} and {over}, which ended with {:?}",
                self.last + 1,
                number - 1,
                self.over,
                between.iter().map(|connection| connection.fault).collect::<Vec<_>>(),
            )),
        };
        (self.last, self.over) = (number, over);
        self.count += 1;
        verdict
    }
}

/// All ledgers together.
#[derive(Default)]
pub(super) struct Total {
    messages: [u64; 2],
    lost_in_flight: [u64; 2],
    pub(super) compressed: u64,
    connections: usize,
    failed_attempts: u64,
    pub(super) failures: Vec<String>,
}

impl Total {
    pub(super) fn of(ledgers: &[Ledger]) -> Self {
        ledgers.iter().enumerate().fold(Total::default(), |mut total, (i, ledger)| {
            let book = ledger.book();
            for (k, way) in [&book.up, &book.down].into_iter().enumerate() {
                total.messages[k] += way.count;
                total.lost_in_flight[k] += way.lost_in_flight;
            }
            total.compressed += book.compressed;
            total.connections += book.connections.len();
            total.failed_attempts += book.failed_attempts;
            total
                .failures
                .extend(book.failures.iter().map(|failure| format!("app {i}: {failure}")));
            total
        })
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([up, down], [lost_up, lost_down]) = (self.messages, self.lost_in_flight);
        write!(
            f,
            "{} connections and {} failed attempts; ",
            self.connections, self.failed_attempts
        )?;
        write!(
            f,
            "{up} messages up, {} of them compressed, {lost_up} lost in flight; ",
            self.compressed
        )?;
        write!(f, "{down} messages down, {lost_down} lost in flight; ")?;
        write!(f, "{} missing or doubled otherwise", self.failures.len())
    }
}
