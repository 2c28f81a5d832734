//! Our own server, and on the way of each app to it a proxy that does harm, on a course of its own,
//! from the seed. It closes connections itself as well, and broadcasts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use websocket_app::server::{Answer, Client, Handler, Server, ServerHandle};
use websocket_app::{
    CallbackError, Close, ClosedBy, Deflate, Error, Message, SendError, close_code,
};

use super::client;
use super::ledger::{End, Ledger};
use super::{APPS, Other, PERIOD, message};
use crate::faults::link::{Fault, When};
use crate::faults::proxy::{Plan, Proxy};
use crate::watchdog::within;

/// As soon as the apps.
const PING_INTERVAL: Duration = Duration::from_millis(500);
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Longer than it takes to be noticed.
const SLOW: Duration = Duration::from_millis(150);
/// One connection is closed that often, and a message broadcast.
const CLOSES: Duration = Duration::from_millis(250);
const BROADCASTS: Duration = Duration::from_millis(100);
/// More than an app has connections.
const PLANNED: usize = 10_000;
/// Of so many requests one is refused.
const REFUSED: u32 = 6;
const THREADS: usize = 2;

pub(super) struct Served {
    handle: ServerHandle,
    proxies: Vec<Proxy>,
    shared: Arc<Shared>,
}

struct Shared {
    ledgers: Arc<[Ledger]>,
    apps: Vec<Mutex<App>>,
    chance: Mutex<StdRng>,
    counts: Mutex<BTreeMap<String, u64>>,
    behaves: AtomicBool,
    /// What had been sent to each app when nothing went wrong any more.
    marks: OnceLock<Vec<u64>>,
    opened: AtomicU64,
    closed: AtomicU64,
}

/// What the server knows of an app.
#[derive(Default)]
struct App {
    /// Its latest connection, and the number of that.
    latest: Option<(Client, usize)>,
    /// The last number that was sent to it.
    sent: u64,
}

impl Served {
    pub(super) fn start(seed: u64, ledgers: Arc<[Ledger]>) -> Self {
        ledgers.iter().for_each(Ledger::is_of_our_server);
        let shared = Arc::new(Shared {
            ledgers,
            apps: (0..APPS).map(|_| Mutex::default()).collect(),
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
            counts: Mutex::default(),
            behaves: AtomicBool::new(false),
            marks: OnceLock::new(),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
        });
        let (for_requests, for_handlers) = (Arc::clone(&shared), Arc::clone(&shared));
        let server = Server::with_handlers("127.0.0.1:0", move |request| Visit {
            shared: Arc::clone(&for_handlers),
            app: request.path().trim_start_matches('/').parse().unwrap(),
            number: None,
            course: Course::Begins,
            errors: 0,
        });
        let handle = compressing(server)
            .on_request(move |_| for_requests.answer())
            .threads(THREADS)
            .ping_interval(PING_INTERVAL)
            .ping_timeout(PING_TIMEOUT)
            .close_timeout(PING_TIMEOUT)
            .handshake_timeout(PING_TIMEOUT)
            .spawn()
            .unwrap();
        let addr = handle.local_addr().unwrap();
        let proxies = (0..APPS as u64).map(|app| proxy(addr, seed.wrapping_add(1 + app)));
        Served { handle, proxies: proxies.collect(), shared }
    }
}

fn compressing(server: Server) -> Server {
    match cfg!(feature = "deflate") {
        true => server.compression(Deflate::default().min_size(client::MIN_SIZE)),
        false => server,
    }
}

fn proxy(server: SocketAddr, seed: u64) -> Proxy {
    let mut rng = StdRng::seed_from_u64(seed);
    let proxy = Proxy::start();
    proxy.lead_to(server);
    proxy.plan((0..PLANNED).map(|_| harm(&mut rng)).collect::<Plan>());
    proxy
}

/// What a connection is to suffer, and when: while it is shaking hands, or after some messages.
fn harm(rng: &mut StdRng) -> Option<(Fault, When)> {
    let fault = Fault::ALL[rng.random_range(0..Fault::ALL.len())];
    // Each byte is a turn of the proxy, of which there are many.
    if fault == Fault::Chop && rng.random_ratio(9, 10) {
        return None;
    }
    let most = [300, 3_000, 30_000, 100_000][rng.random_range(0..4)];
    let when = match rng.random() {
        true => When::Up(rng.random_range(0..most)),
        false => When::Down(rng.random_range(0..most / 10)),
    };
    Some((fault, when))
}

impl Other for Served {
    fn url(&self, app: usize) -> String {
        format!("ws://{}/{app}", self.proxies[app].addr())
    }

    /// Sends to the apps in turn, closes one now and then, and broadcasts.
    fn send_until(&self, is_over: &AtomicBool) {
        let start = Instant::now();
        let (mut next, mut closing, mut broadcasting, mut broadcast) = (start, start, start, 0);
        while !is_over.load(Ordering::SeqCst) {
            for app in 0..APPS {
                self.shared.send_next(app);
                next += PERIOD / APPS as u32;
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            let now = Instant::now();
            if now >= closing && !self.shared.behaves() {
                closing = now + CLOSES;
                self.shared.close_any();
            }
            if now >= broadcasting {
                broadcasting = now + BROADCASTS;
                broadcast += 1;
                self.handle.broadcast(format!("broadcast {broadcast}"));
            }
        }
    }

    fn behave(&self) {
        self.shared.behaves.store(true, Ordering::SeqCst);
        self.proxies.iter().for_each(Proxy::behave);
        let marks = (0..APPS).map(|app| self.shared.app(app).sent).collect();
        self.shared.marks.set(marks).unwrap();
    }

    /// What was sent last before that may have been in flight where a connection was cut.
    fn is_heard(&self) -> bool {
        let marks = self.shared.marks.get().into_iter().flatten();
        self.shared.ledgers.iter().zip(marks).all(|(ledger, mark)| ledger.last_down() > *mark)
    }

    /// Half of them close, the server closes the others.
    fn end_all(&self, mut clients: Vec<client::Client>) {
        let others = clients.split_off(APPS / 2);
        clients.into_iter().for_each(client::Client::close);
        self.handle.shutdown(close_code::GOING_AWAY, "the end", PING_TIMEOUT).unwrap();
        others.into_iter().for_each(|other| other.end(close_code::GOING_AWAY));
    }

    fn end(self) -> String {
        let Served { handle, proxies, shared } = self;
        let stats = within("the server's end", move || {
            handle.join().unwrap();
            handle.stats()
        });
        drop(proxies);
        for (app, ledger) in shared.ledgers.iter().enumerate() {
            ledger.all_was_sent(shared.app(app).sent);
        }
        let (opened, closed) =
            (shared.opened.load(Ordering::SeqCst), shared.closed.load(Ordering::SeqCst));
        assert_eq!((stats.open, stats.opened), (0, opened), "those that were opened are closed");
        assert_eq!(opened, closed, "each `on_open` has its `on_close`");
        let counts = shared.counts.lock().unwrap();
        counts.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }
}

impl Shared {
    fn app(&self, app: usize) -> MutexGuard<'_, App> {
        self.apps[app].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chance(&self) -> MutexGuard<'_, StdRng> {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn behaves(&self) -> bool {
        self.behaves.load(Ordering::SeqCst)
    }

    fn count(&self, what: String) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    fn answer(&self) -> Answer {
        if self.behaves() || !self.chance().random_ratio(1, REFUSED) {
            return Answer::accept();
        }
        self.count("refused".into());
        Answer::refuse(503)
    }

    fn send_next(&self, app: usize) {
        let mut to = self.app(app);
        let Some((client, over)) = &to.latest else { return };
        let (number, over) = (to.sent + 1, *over);
        match client.send(message::down(number)) {
            Ok(()) => {
                self.ledgers[app].sends(over, number);
                to.sent = number;
            }
            // It is for the next connection.
            Err(SendError::NotConnected { .. }) => {}
            Err(error) => self.ledgers[app].failure(format!("message {number} down: {error}")),
        }
    }

    fn close_any(&self) {
        let app = self.chance().random_range(0..APPS);
        if let Some((client, _)) = &self.app(app).latest {
            let _it_may_be_gone = client.close_with(close_code::RESTART, "restart");
        }
    }
}

/// A connection, as its callbacks see it.
struct Visit {
    shared: Arc<Shared>,
    app: usize,
    /// The client's number for it, once it has said that.
    number: Option<usize>,
    course: Course,
    errors: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Begins,
    Open,
    Over,
}

impl Visit {
    fn ledger(&self) -> &Ledger {
        &self.shared.ledgers[self.app]
    }

    fn expect(&self, course: Course, what: &str) {
        if self.course != course {
            self.ledger().failure(format!("the server's {what} came when it {:?}", self.course));
        }
    }
}

impl Handler for Visit {
    fn on_open(&mut self, _client: &Client) -> Result<(), CallbackError> {
        self.expect(Course::Begins, "on_open");
        self.course = Course::Open;
        self.shared.opened.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn on_message(&mut self, client: &Client, message: Message<'_>) -> Result<(), CallbackError> {
        self.expect(Course::Open, "on_message");
        let text = message.as_text().ok_or("a binary message")?;
        let Some(over) = self.number else {
            let number = text.strip_prefix("hello ").ok_or("came before hello")?.parse()?;
            self.number = Some(number);
            self.ledger().knows(number);
            let mut app = self.shared.app(self.app);
            // It may have come late.
            if app.latest.as_ref().is_none_or(|(_, latest)| *latest < number) {
                app.latest = Some((client.clone(), number));
            }
            return Ok(());
        };
        // Of a connection that was gone before its first callback was called.
        if text.starts_with("hello ") {
            return Ok(());
        }
        let number = message::number(text, message::up)?;
        self.ledger().up(number, over, false);
        if (number + 7 * self.app as u64).is_multiple_of(300) {
            thread::sleep(SLOW);
        }
        Ok(())
    }

    fn on_error(&mut self, _client: &Client, error: &Error) -> Result<(), CallbackError> {
        self.expect(Course::Open, "on_error");
        self.errors += 1;
        match error {
            Error::Network { .. } | Error::Timeout { .. } => {}
            unexpected => self.ledger().failure(format!("the server's on_error: {unexpected}")),
        }
        Ok(())
    }

    fn on_close(&mut self, _client: &Client, close: &Close) -> Result<(), CallbackError> {
        self.expect(Course::Open, "on_close");
        self.course = Course::Over;
        self.shared.closed.fetch_add(1, Ordering::SeqCst);
        // What is lost is an error, and an end that one of both has asked for is none.
        if self.errors != usize::from(close.by == ClosedBy::Lost) {
            self.ledger().failure(format!("{} errors before {close:?}", self.errors));
        }
        let kind = if close.clean { "clean" } else { "not clean" };
        self.shared.count(format!("closed by {:?}, {kind}", close.by));
        if let Some(number) = self.number {
            self.ledger().ends(number, End::Server { clean: close.clean });
        }
        Ok(())
    }
}
