//! What both ends of one app know of each other, compared as it happens, and where something is
//! missing in the end.
//!
//! Both number their messages from 1. A message is **missing** when the other end gets a later one
//! before it, and **doubled** when it gets it twice. None may be doubled. Missing may only be what
//! was **in flight** when a connection was cut, which is: it was given to `send` before `on_close`
//! told of the end of that connection; nothing after it came over that connection; and the way in
//! which the server ended it throws away what is on its way (`Fault` says which do). So nothing may
//! be missing in the middle of a connection, nor after a Close, an end of stream, a violation; nor
//! anything that was sent while there was no connection.
//!
//! Of a server that is ours nobody knows how connections end but by what its callbacks and the
//! client's are told: what the server has sent may be missing where the client was not told of a
//! Close frame each way, and what the client has sent where the server was not. To it a message may
//! also come **late**, over a connection that it does not know yet to be gone, behind messages that
//! came over the next one; once, and in the order of that connection.

use std::collections::BTreeMap;
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
    /// Nobody knows how connections end but by what callbacks are told.
    server_is_ours: bool,
}

#[derive(Default)]
struct Connection {
    /// How it ended, by all who know.
    ends: Vec<End>,
    /// The server knows its number.
    is_known: bool,
    /// The last number that the client had given to `send` when it was told of the end.
    sent_before_close: u64,
    /// The last number that our own server has given to `send` over it.
    sent_down: Option<u64>,
    /// The last number that came over it from the client.
    last_up: u64,
}

/// How a connection ended, by who knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The server did this to it.
    Fault(Fault),
    /// With this code, after a Close frame each way or not, as the callbacks of each end are told.
    Client {
        code: u16,
        clean: bool,
    },
    Server {
        clean: bool,
    },
}

impl Connection {
    fn may_lose_up(&self, number: u64) -> bool {
        self.sent_before_close >= number
            && self.ends.iter().any(|end| match end {
                End::Fault(fault) => fault.loses_what_the_client_sent(),
                End::Server { clean } => !clean,
                // The server never knew which it was.
                End::Client { clean, .. } => !clean && !self.is_known,
            })
    }

    fn may_lose_down(&self, number: u64) -> bool {
        self.sent_down.is_none_or(|last| last >= number)
            && self.ends.iter().any(|end| match end {
                End::Fault(fault) => fault.loses_what_the_server_sent(),
                End::Client { clean, .. } => !clean,
                End::Server { .. } => false,
            })
    }
}

#[derive(Default)]
struct Way {
    last: u64,
    /// The connection over which the last came.
    over: usize,
    count: u64,
    /// By number, the connections over which those came that were the last before it and the first
    /// behind it.
    missing: BTreeMap<u64, (usize, usize)>,
    late: u64,
}

/// The client.
impl Ledger {
    /// A connection is open; gives its number.
    pub(super) fn opened(&self) -> usize {
        let mut book = self.book();
        book.connections.push(Connection::default());
        book.connections.len()
    }

    /// The connection is gone, with this code.
    pub(super) fn told(&self, code: u16, clean: bool) {
        let mut book = self.book();
        let is_ours = book.server_is_ours;
        if let Some(connection) = book.connections.last_mut().filter(|_| is_ours) {
            connection.ends.push(End::Client { code, clean });
        }
    }

    /// Whether the latest connection has ended with this code, after a Close frame each way.
    pub(super) fn is_closed_with(&self, code: u16) -> bool {
        let end = End::Client { code, clean: true };
        self.book().connections.last().is_some_and(|connection| connection.ends.contains(&end))
    }

    /// The connection is gone, and another will follow.
    pub(super) fn closed(&self, sent: u64) {
        let mut book = self.book();
        let number = book.connections.len();
        match book.connections.last_mut() {
            None => book.failures.push("on_close before on_open".into()),
            Some(connection) => {
                connection.sent_before_close = sent;
                if connection.ends.is_empty() {
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
        let Book { down, failures, .. } = &mut *book;
        down.take(number, over).unwrap_or_else(|what| failures.push(format!("down: {what}")));
    }
}

/// The server.
impl Ledger {
    /// It is about to end this connection in this way, or has been told how it ended.
    pub(super) fn ends(&self, connection: usize, end: End) {
        self.book().connections[connection - 1].ends.push(end);
    }

    pub(super) fn is_of_our_server(&self) {
        self.book().server_is_ours = true;
    }

    /// The client has said which connection this is.
    pub(super) fn knows(&self, connection: usize) {
        self.book().connections[connection - 1].is_known = true;
    }

    /// This number was given to `send` of this connection.
    pub(super) fn sends(&self, connection: usize, number: u64) {
        self.book().connections[connection - 1].sent_down = Some(number);
    }

    /// It is over, and this was the last number for the client, which closed in order and so has
    /// got it.
    pub(super) fn all_was_sent(&self, last: u64) {
        let mut book = self.book();
        if book.down.last != last {
            let over = book.connections.iter().rposition(|one| one.sent_down == Some(last));
            let ends = over.map(|i| &book.connections[i].ends);
            let what = format!(
                "down: {} is the last of {last} that has arrived, which went over connection {:?} of {}, \
                 which ended with {ends:?}",
                book.down.last,
                over.map(|i| i + 1),
                book.connections.len()
            );
            book.failures.push(what);
        }
    }

    /// A message from the client.
    pub(super) fn up(&self, number: u64, over: usize, compressed: bool) {
        let mut book = self.book();
        book.compressed += u64::from(compressed);
        let Book { connections, up, failures, .. } = &mut *book;
        let last = std::mem::replace(&mut connections[over - 1].last_up, number);
        let taken = if last < number && up.takes_late(number, over) {
            Ok(())
        } else {
            up.take(number, over)
        };
        taken.unwrap_or_else(|what| failures.push(format!("up: {what}")));
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

    /// The last number that the client has got.
    pub(super) fn last_down(&self) -> u64 {
        self.book().down.last
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    /// A message has arrived.
    fn take(&mut self, number: u64, over: usize) -> Result<(), String> {
        if number <= self.last || over < self.over {
            return Err(format!(
                "{number} came again over connection {over}, or too late: the last was {} over {}",
                self.last, self.over
            ));
        }
        let between = (self.over.max(1), over);
        self.missing.extend((self.last + 1..number).map(|missing| (missing, between)));
        (self.last, self.over) = (number, over);
        self.count += 1;
        Ok(())
    }

    /// Takes a message that is missing so far, of a connection before the latest.
    fn takes_late(&mut self, number: u64, over: usize) -> bool {
        let is_late = over < self.over && self.missing.remove(&number).is_some();
        self.late += u64::from(is_late);
        self.count += u64::from(is_late);
        is_late
    }

    /// Returns what is missing, and was in flight over no connection that may have lost it.
    fn failures(
        &self,
        connections: &[Connection],
        may_lose: impl Fn(&Connection, u64) -> bool,
    ) -> Vec<String> {
        let is_lost = |number: u64, (first, end): (usize, usize)| {
            connections[first - 1..end - 1].iter().any(|connection| may_lose(connection, number))
        };
        let unexplained = self.missing.iter().filter(|(number, over)| !is_lost(**number, **over));
        unexplained
            .map(|(number, (first, end))| {
                let ends: Vec<_> =
                    connections[first - 1..end - 1].iter().map(|one| &one.ends).collect();
                format!("{number} is missing, between connections {first} and {end}, which ended with {ends:?}")
            })
            .collect()
    }
}

/// All ledgers together.
#[derive(Default)]
pub(super) struct Total {
    messages: [u64; 2],
    /// In flight.
    lost: [u64; 2],
    pub(super) late: u64,
    pub(super) compressed: u64,
    connections: usize,
    failed_attempts: u64,
    pub(super) failures: Vec<String>,
}

impl Total {
    pub(super) fn of(ledgers: &[Ledger]) -> Self {
        ledgers.iter().enumerate().fold(Total::default(), |mut total, (i, ledger)| {
            let book = ledger.book();
            let failures = [
                book.up.failures(&book.connections, Connection::may_lose_up),
                book.down.failures(&book.connections, Connection::may_lose_down),
            ];
            for (k, way) in [&book.up, &book.down].into_iter().enumerate() {
                total.messages[k] += way.count;
                total.lost[k] += (way.missing.len() - failures[k].len()) as u64;
                total.late += way.late;
            }
            total.compressed += book.compressed;
            total.connections += book.connections.len();
            total.failed_attempts += book.failed_attempts;
            let all = book.failures.iter().chain(failures.iter().flatten());
            total.failures.extend(all.map(|failure| format!("app {i}: {failure}")));
            total
        })
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([up, down], [lost_up, lost_down]) = (self.messages, self.lost);
        write!(
            f,
            "{} connections and {} failed attempts; ",
            self.connections, self.failed_attempts
        )?;
        write!(
            f,
            "{up} messages up, {} of them known to be compressed, {} late, {lost_up} lost in flight; ",
            self.compressed, self.late
        )?;
        write!(f, "{down} messages down, {lost_down} lost in flight; ")?;
        write!(f, "{} missing or doubled otherwise", self.failures.len())
    }
}
