//! A server that is restarted, and all its clients, on one event loop: they come back, no more at a
//! time than may connect, spread by the jitter, and take no more memory and threads than before.
//!
//! ```text
//! cargo test --test integration herd                                    # 500 apps, as one of all tests
//! WEBSOCKET_HERD=2000 cargo test --test integration herd -- --nocapture
//! ```

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, iter};

use socket2::{Domain, Socket, Type};
use websocket_app::{Error, EventLoop, Reconnect, WebSocketApp};

use super::LONG;
use crate::connection::Connection;
use crate::faults::census;
use crate::many::join;
use crate::program::skip;
use crate::watchdog::{PATIENCE, wait_until, within};

/// How many attempts a process makes at a time.
const LIMIT: usize = 64;
/// Of which a random part is waited before the first attempt.
const FIRST: Duration = Duration::from_millis(500);
/// The apps' and the test's: the loop, the watchdog, the test, its harness. Attempts come on top.
const OTHER_THREADS: usize = 8;
/// The scripted server has two for each of its connections, an app has one, an attempt some more.
const FILES: usize = 3;

/// What the apps' callbacks count, all but the first since the latest restart.
#[derive(Default)]
struct Counts {
    opened: AtomicUsize,
    came_back: AtomicUsize,
    failed: AtomicUsize,
    delays: Mutex<Vec<Duration>>,
}

impl Counts {
    fn start_again(&self) {
        self.came_back.store(0, Ordering::SeqCst);
        self.failed.store(0, Ordering::SeqCst);
        self.delays.lock().unwrap().clear();
    }
}

#[test]
fn all_come_back_and_no_more_at_a_time_than_may_connect() {
    let apps = env::var("WEBSOCKET_HERD").map_or(500, |apps| apps.parse().unwrap());
    let test = "reconnect::herd::all_come_back_and_no_more_at_a_time_than_may_connect";
    census::alone(test, |census| {
        let files = (FILES * apps + 10 * LIMIT) as u64;
        if rlimit::increase_nofile_limit(files).unwrap() < files {
            return skip(&format!("needs {files} open files"));
        }
        let (mut server, counts) = (Server::start(), Arc::<Counts>::default());
        let event_loop = EventLoop::new().unwrap();
        for _ in 0..apps {
            let _ = event_loop.add(counting(&server.url(), &counts)).unwrap();
        }
        let began = Instant::now();
        let mut clients = server.opens(apps);
        wait_until("all are open", || counts.opened.load(Ordering::SeqCst) == apps);
        eprintln!("{apps} open after {:?}", began.elapsed());

        // Where what was given back lies in other places, it may be more once.
        census.memory_settles("all have come back", |_| {
            counts.start_again();
            server.stop();
            clients.clear();
            // Until each has failed once, or some thrice.
            wait_until("they try in vain", || {
                few_threads();
                counts.failed.load(Ordering::SeqCst) >= apps
            });
            let began = Instant::now();
            server.start_again();
            clients = server.opens(apps);
            wait_until("all are open again", || counts.came_back.load(Ordering::SeqCst) == apps);
            eprintln!("{apps} open again after {:?}", began.elapsed());
            are_spread(&counts.delays.lock().unwrap(), apps);
            wait_until("no thread is left", || census::threads_named("websocket-conne") == 0);
        });
        assert_eq!(counts.opened.load(Ordering::SeqCst), apps, "each is told once that it opens");

        let cut_off = within("close_all", move || {
            let cut_off = event_loop.close_all(Duration::ZERO);
            join(event_loop);
            cut_off
        });
        assert!(cut_off.unwrap() <= apps);
        drop((clients, server));
        census.nothing_is_left("all of it");
    });
}

fn counting(url: &str, counts: &Arc<Counts>) -> WebSocketApp {
    let [opens, reopens, fails, closes] = [(); 4].map(|()| Arc::clone(counts));
    WebSocketApp::new(url)
        .ping_interval(None)
        // The script lets them wait for each other.
        .connect_timeout(LONG)
        .reconnect(Reconnect::exponential(FIRST, 2 * FIRST).reset_after(Duration::ZERO))
        .on_open(move |_| count(&opens.opened))
        .on_reconnect(move |_| count(&reopens.came_back))
        .on_error(move |_, error| {
            if matches!(error, Error::Attempt { .. }) {
                count(&fails.failed);
            }
        })
        .on_close(move |_, close| closes.delays.lock().unwrap().extend(close.reconnect_in))
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::SeqCst);
}

/// One for each attempt, and nothing else for each app. (A thread whose attempt is over may not have
/// ended when the next one's begins.)
fn few_threads() {
    let (attempts, all) = (census::threads_named("websocket-conne"), census::thread_count());
    assert!(attempts <= 2 * LIMIT, "{attempts} threads connect");
    assert!(all <= 2 * LIMIT + OTHER_THREADS, "{all} threads");
}

/// Each tenth of the time has its part of the first attempts: not much less than a tenth, nor much
/// more. (Half or twice as many is less likely than one in millions, from 500 apps on.)
fn are_spread(delays: &[Duration], apps: usize) {
    assert_eq!(delays.len(), apps, "each was told once that it would be tried again");
    let mut tenths = [0; 10];
    for delay in delays {
        assert!(*delay <= FIRST, "{delay:?}");
        tenths[(delay.as_nanos() * 10 / (FIRST.as_nanos() + 1)) as usize] += 1;
    }
    eprintln!("first attempts in each tenth of {FIRST:?}: {tenths:?}");
    let is_fair = |count: &usize| (apps / 40..=apps / 5).contains(count);
    assert!(tenths.iter().all(is_fair), "{tenths:?}");
}

/// A server on a port that stays its own while it is stopped: who connects then is refused.
struct Server {
    /// Bound, and never listens.
    place: Socket,
    listener: Option<TcpListener>,
}

impl Server {
    fn start() -> Self {
        let place = Server::bound(0);
        let mut server = Server { place, listener: None };
        server.start_again();
        server
    }

    fn bound(port: u16) -> Socket {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).unwrap();
        socket
    }

    fn addr(&self) -> SocketAddr {
        self.place.local_addr().unwrap().as_socket().expect("an IPv4 address")
    }

    fn url(&self) -> String {
        format!("ws://{}/", self.addr())
    }

    /// Those that nobody has accepted yet are reset.
    fn stop(&mut self) {
        self.listener = None;
    }

    fn start_again(&mut self) {
        let listener = Server::bound(self.addr().port());
        listener.listen(1024).unwrap();
        listener.set_read_timeout(Some(PATIENCE)).unwrap();
        self.listener = Some(listener.into());
    }

    /// Accepts so many clients and their upgrades, as many at a time as may connect, and fails if
    /// another comes before one of these is answered.
    fn opens(&self, clients: usize) -> Vec<Connection> {
        let mut open = Vec::new();
        while open.len() < clients {
            let wave = LIMIT.min(clients - open.len());
            let mut waiting: Vec<_> = iter::repeat_with(|| self.accept()).take(wave).collect();
            for client in &mut waiting {
                client.read_request();
            }
            self.has_no_other();
            few_threads();
            for mut client in waiting {
                let answer = client.acceptance("");
                client.write(answer);
                open.push(client);
            }
        }
        open
    }

    fn accept(&self) -> Connection {
        let (tcp, _) = self.listener().accept().expect("a client connects in time");
        Connection::new(tcp, |tcp| Ok(Box::new(tcp)))
    }

    fn listener(&self) -> &TcpListener {
        self.listener.as_ref().expect("it is not stopped")
    }

    fn has_no_other(&self) {
        self.listener().set_nonblocking(true).unwrap();
        let other = self.listener().accept();
        self.listener().set_nonblocking(false).unwrap();
        assert!(other.is_err(), "{other:?} connects beside {LIMIT} others");
    }
}
