//! The proxy between an app and a server: a thread that has all their sockets, and lets each
//! connection have its fault.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::link::{Fault, Link, Turn, When};
use crate::peer::Peer;
use crate::watchdog::{Gate, Task};

const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);

/// What each connection is to suffer, in the order in which they come; those that come after them
/// suffer nothing.
pub(crate) type Plan = VecDeque<Option<(Fault, When)>>;

pub(crate) struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    // Dropped, and so joined, after it has been told to stop.
    _thread: Task<()>,
}

struct Shared {
    waker: Waker,
    server: Mutex<Option<SocketAddr>>,
    plan: Mutex<Plan>,
    /// No connection is to suffer any more, and this then says so.
    behave: Mutex<Option<Gate>>,
    stop: AtomicBool,
}

/// Has the fault struck that waits for it.
#[derive(Clone)]
pub(crate) struct Order(Arc<OrderState>);

struct OrderState {
    proxy: Arc<Shared>,
    given: AtomicBool,
    done: Gate,
}

impl Proxy {
    /// Starts a proxy that leads nowhere yet.
    pub(crate) fn start() -> Self {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), WAKER).unwrap();
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            waker,
            server: Mutex::new(None),
            plan: Mutex::default(),
            behave: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let state = Running {
            poll,
            listener,
            shared: Arc::clone(&shared),
            links: BTreeMap::new(),
            next: 1,
        };
        Proxy { addr, shared, _thread: Task::start("the proxy", move || state.run()) }
    }

    pub(crate) fn lead_to(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap() = Some(server);
    }

    pub(crate) fn plan(&self, plan: Plan) {
        *self.shared.plan.lock().unwrap() = plan;
    }

    /// Has no connection suffer any more from when this returns: those that are without a word are
    /// dropped.
    pub(crate) fn behave(&self) {
        self.shared.plan.lock().unwrap().clear();
        let done = Gate::new();
        *self.shared.behave.lock().unwrap() = Some(done.clone());
        self.shared.waker.wake().unwrap();
        done.wait();
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn order(&self) -> Order {
        Order(Arc::new(OrderState {
            proxy: Arc::clone(&self.shared),
            given: AtomicBool::new(false),
            done: Gate::new(),
        }))
    }

    /// The URL of this server by way of the proxy.
    pub(super) fn url(&self, server: &Peer) -> String {
        server
            .url()
            .replace(&format!(":{}/", server.addr().port()), &format!(":{}/", self.addr.port()))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.waker.wake().unwrap();
    }
}

impl Order {
    /// Has the fault strike, and waits until it has.
    pub(super) fn strike(&self) {
        self.0.given.store(true, Ordering::SeqCst);
        self.0.proxy.waker.wake().unwrap();
        self.0.done.wait();
    }

    pub(super) fn is_given(&self) -> bool {
        self.0.given.load(Ordering::SeqCst)
    }

    pub(super) fn is_done(&self) {
        self.0.done.open();
    }
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

struct Running {
    poll: Poll,
    listener: TcpListener,
    shared: Arc<Shared>,
    /// By their number: the tokens of the sockets are twice that, for the app's side, and one more.
    links: BTreeMap<usize, Link>,
    next: usize,
}

impl Running {
    fn run(mut self) {
        let mut events = Events::with_capacity(64);
        let mut timeout = None;
        while !self.shared.stop.load(Ordering::SeqCst) {
            match self.poll.poll(&mut events, timeout) {
                Err(e) if e.kind() != std::io::ErrorKind::Interrupted => panic!("{e}"),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LISTENER => self.accept(),
                    // The end of the app's stream behind bytes that nobody takes.
                    Token(socket)
                        if socket % 2 == 0 && (event.is_read_closed() || event.is_error()) =>
                    {
                        self.links
                            .retain(|number, link| *number != socket / 2 || !link.is_stalled());
                    }
                    Token(_) => {}
                }
            }
            if let Some(done) = self.shared.behave.lock().unwrap().take() {
                self.links.retain(|_, link| link.behaves());
                done.open();
            }
            timeout = self.turn();
        }
    }

    fn accept(&mut self) {
        while let Ok((mut app, _)) = self.listener.accept() {
            // An app has one connection at a time: the one before is given up.
            self.links.retain(|_, link| !link.is_stalled());
            let plan = self.shared.plan.lock().unwrap().pop_front().flatten();
            let server = self.shared.server.lock().unwrap().expect("the proxy leads somewhere");
            let Ok(server) = std::net::TcpStream::connect(server) else { continue };
            server.set_nonblocking(true).unwrap();
            let mut server = TcpStream::from_std(server);
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut app, Token(2 * self.next), both).unwrap();
            self.poll.registry().register(&mut server, Token(2 * self.next + 1), both).unwrap();
            self.links.insert(self.next, Link::new(app, server, plan));
            self.next += 1;
        }
    }

    /// Gives each connection a turn; returns how long nothing is to be done unless a socket has
    /// news.
    fn turn(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let mut first: Option<Instant> = None;
        let mut again = false;
        self.links.retain(|_, link| match link.turn(now) {
            Turn::Over => false,
            Turn::Again => {
                again = true;
                true
            }
            Turn::Wait(until) => {
                first = [first, until].into_iter().flatten().min();
                true
            }
        });
        if again {
            Some(Duration::ZERO)
        } else {
            first.map(|first| first.saturating_duration_since(now))
        }
    }
}
