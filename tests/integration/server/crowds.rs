//! Crowds that mean harm: what they cost in memory and processor time is bounded, and others are
//! served meanwhile. Each alone, in a process of its own that is measured.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use websocket_app::server::{Answer, Server, ServerHandle, SlowClients};

use super::clock::Clock;
use super::serving::A_MOMENT;
use super::visitor::{Visitor, masked, request};
use crate::faults::census;
use crate::frame::Frame;
use crate::watchdog::{Task, Watchdog, wait_until, within};

const KIB: u64 = 1 << 10;

/// Runs a server that sends messages back, and one client that means well.
fn alone(test: &str, options: fn(Server) -> Server, crowd: fn(&ServerHandle, &mut Good)) {
    census::alone(&format!("server::crowds::{test}"), |_| {
        let _watchdog = Watchdog::new();
        let _as_far_as_allowed = rlimit::increase_nofile_limit(20_000);
        let server = options(Server::new("127.0.0.1:0"))
            .ping_interval(None)
            .on_message(|client, message| client.send(message))
            .spawn()
            .unwrap();
        let mut good = Good { visitor: Visitor::open(addr(&server)), echoes: 0 };
        good.is_served(100);
        crowd(&server, &mut good);
        good.is_served(1);
        good.visitor.close(1000, "");
        server.shutdown(1001, "", A_MOMENT).unwrap();
        // However many of the others do not read that.
        within("the server's end", move || server.join()).unwrap();
    });
}

fn addr(server: &ServerHandle) -> SocketAddr {
    server.local_addr().expect("it is TCP")
}

fn memory() -> u64 {
    census::memory().expect("Linux tells")
}

fn files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A client that means well.
struct Good {
    visitor: Visitor,
    echoes: u64,
}

impl Good {
    fn is_served(&mut self, times: u64) {
        for _ in 0..times {
            self.echoes += 1;
            self.visitor.echo(&self.echoes.to_string());
        }
    }

    /// Fails where there is work to do while nobody wants anything but this client now and then.
    fn finds_it_quiet(&mut self) {
        let clock = Clock::new();
        let from = clock.used();
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(50));
            self.is_served(1);
        }
        let spent = clock.used() - from;
        assert!(spent < Duration::from_millis(300), "{spent:?} of a second's processor time");
    }
}

/// Half of them say nothing, and half not all.
#[test]
fn thousands_that_never_upgrade() {
    const CROWD: usize = 2_000;
    /// A head may be 16 KiB, of which there is only what has come.
    const EACH: u64 = 4 * KIB;

    // They stay.
    let options = |server: Server| server.handshake_timeout(Duration::from_secs(300));
    alone("thousands_that_never_upgrade", options, |server, good| {
        let (before, descriptors) = (memory(), files());
        let come = |i: usize| {
            let mut tcp = TcpStream::connect(addr(server)).unwrap();
            if i.is_multiple_of(2) {
                tcp.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ").unwrap();
            }
            tcp
        };
        let crowd: Vec<_> = (0..CROWD).map(come).collect();
        wait_until("all are accepted", || files() >= descriptors + 2 * CROWD);
        good.is_served(100);
        let each = memory().saturating_sub(before) / CROWD as u64;
        eprintln!("{each} bytes each");
        assert!(each < EACH, "{each} bytes each");
        good.finds_it_quiet();
        // They go as one.
        drop(crowd);
        wait_until("all are gone", || files() <= descriptors);
        assert_eq!(server.stats().opened, 1);
    });
}

/// Beside one that reads all, of which nothing is lost.
#[test]
fn readers_of_a_byte_at_a_time() {
    const CROWD: usize = 100;
    const ROOM: usize = 64 << 10;
    const MESSAGE: usize = 16 << 10;
    /// What waits for it, what of it is written at once, and some more.
    const EACH: u64 = 2 * ROOM as u64 + 64 * KIB;

    let options = |server: Server| server.max_send_buffer(ROOM).slow_clients(SlowClients::Skip);
    alone("readers_of_a_byte_at_a_time", options, |server, good| {
        let before = memory();
        let come = |_| {
            let mut visitor = Visitor::connect_with_small_buffer(addr(server));
            visitor.upgrade(&request("/", ""));
            visitor
        };
        let mut crowd: Vec<_> = (0..CROWD).map(come).collect();
        let own = masked(&Frame::binary([7; 1 << 10]));
        let mut round = |good: &mut Good| {
            let message = good.echoes.to_be_bytes().repeat(MESSAGE / 8);
            let delivered = server.broadcast(&message[..]);
            good.visitor.expect(Frame::binary(message));
            good.is_served(1);
            for visitor in &mut crowd {
                // Its answer is more for it to read.
                visitor.write(&own);
                visitor.read_a_byte();
            }
            for client in server.clients() {
                let waits = client.buffered_amount();
                assert!(waits <= ROOM + MESSAGE, "{waits} bytes wait for {}", client.id());
            }
            delivered
        };
        let mut rounds = 0;
        while round(good).clients > 1 {
            rounds += 1;
            assert!(rounds < 1_000, "there is no end of room");
        }
        for _ in 0..50 {
            round(good);
        }
        let each = memory().saturating_sub(before) / CROWD as u64;
        eprintln!("{each} bytes each, after {rounds} rounds");
        assert!(each < EACH, "{each} bytes each");
        assert_eq!(server.stats().open, CROWD + 1, "they read");
        good.finds_it_quiet();
    });
}

/// As fast as they can, without reading a byte.
#[test]
fn floods_of_whatever_costs_the_sender_least() {
    /// Of frames of six bytes, each of which would take more than ten times that if it were kept.
    const EMPTY: u64 = 1 << 20;
    const FLOOD: u64 = 8 << 20;
    /// Less than one of them, kept.
    const MORE: u64 = 8 << 20;

    alone(
        "floods_of_whatever_costs_the_sender_least",
        |server| server,
        |server, good| {
            let frames: [(Vec<u8>, u64); 5] = [
                (masked(&Frame::ping([7; 125])), FLOOD),
                (masked(&Frame::pong([7; 125])), FLOOD),
                (masked(&Frame::text("")), EMPTY),
                // Its fragments end at the limit, and then it comes again.
                (masked(&Frame::continuation([]).unfinished()), EMPTY),
                (b"X-Header: and another\r\n".to_vec(), FLOOD),
            ];
            let before = memory();
            let stop = Arc::new(AtomicBool::new(false));
            let floods = frames.map(|(frame, enough)| {
                let (stop, addr) = (Arc::clone(&stop), addr(server));
                let written = Arc::new(AtomicU64::new(0));
                let counted = Arc::clone(&written);
                let flood = Task::start("a flood", move || flood(addr, &frame, &stop, &counted));
                (flood, written, enough)
            });
            let mut most = 0;
            // Each has been heard, again and again.
            let goes_on = |(_, written, enough): &(_, Arc<AtomicU64>, u64)| {
                written.load(Ordering::Relaxed) < *enough
            };
            while floods.iter().any(goes_on) {
                good.is_served(10);
                most = most.max(memory());
            }
            stop.store(true, Ordering::Relaxed);
            for (flood, ..) in floods {
                flood.join();
            }
            let more = most.saturating_sub(before);
            eprintln!("{} KiB more, {} echoes meanwhile", more / KIB, good.echoes);
            assert!(more < MORE, "{more} bytes more");
        },
    );
}

/// Floods with the same again and again, anew where it is refused or not read.
fn flood(addr: SocketAddr, unit: &[u8], stop: &AtomicBool, written: &AtomicU64) {
    let many = unit.repeat((16 << 10) / unit.len());
    while !stop.load(Ordering::Relaxed) {
        let mut visitor = Visitor::connect_with_small_buffer(addr);
        // So that who is not read does not wait for ever.
        visitor.set_write_timeout(A_MOMENT);
        let begins = match unit[0] {
            // A continuation, of what has to be begun.
            0 => [request("/", "").as_bytes(), &masked(&Frame::text("").unfinished())].concat(),
            b'X' => b"GET / HTTP/1.1\r\n".to_vec(),
            _ => request("/", "").into_bytes(),
        };
        visitor.write(begins);
        while !stop.load(Ordering::Relaxed) {
            match visitor.write_some(&many) {
                Ok(n) => written.fetch_add(n as u64, Ordering::Relaxed),
                // It is over, or is not read any more, for it does not read what it is answered.
                Err(_) => break,
            };
        }
    }
}

/// An answer that is no WebSocket has its deadline too.
#[test]
fn pages_that_nobody_reads() {
    const CROWD: usize = 4;
    /// More than operating systems take for who does not read.
    const PAGE: usize = 16 << 20;

    let options = |server: Server| {
        server.handshake_timeout(Duration::from_secs(2)).max_connections(CROWD + 1).on_request(
            |request| match request.is_upgrade() {
                true => Answer::accept(),
                false => Answer::http(200, "text/plain", vec![b'x'; PAGE]),
            },
        )
    };
    alone("pages_that_nobody_reads", options, |server, good| {
        let ask = |_| {
            let mut visitor = Visitor::connect_with_small_buffer(addr(server));
            visitor.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
            // It is being answered.
            visitor.read_a_byte();
            visitor
        };
        let crowd: Vec<_> = (0..CROWD).map(ask).collect();
        good.is_served(100);
        good.finds_it_quiet();
        // Their places are free again, and they never get all.
        let placed = RefCell::new(Vec::new());
        wait_until("there are places", || {
            let mut visitor = Visitor::connect(addr(server));
            let asked = visitor.try_write(request("/", ""));
            if asked.and_then(|()| visitor.try_answer_head()).is_ok_and(|it| it.status == 101) {
                placed.borrow_mut().push(visitor);
            }
            placed.borrow().len() == CROWD
        });
        for visitor in crowd {
            let rest = visitor.rest();
            assert!(rest < PAGE, "it has come whole");
        }
    });
}
