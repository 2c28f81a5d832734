//! The server that misbehaves: for each app a course of faults of its own, from the seed.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::fault::{Fault, Refusal};
use super::ledger::{End, Ledger};
use super::wire::Wire;
use super::{APPS, Other, PERIOD, message};
use crate::frame::{CLOSE, Frame, TEXT};
use crate::watchdog::Task;

/// A connection goes well for this long at most.
const MAX_UPTIME: Duration = Duration::from_secs(5);
/// How long a silent server keeps the connection: longer than a client takes to notice.
const SILENCE: Duration = Duration::from_secs(4);
const MOMENT: Duration = Duration::from_millis(300);

pub(super) struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Task<()>,
}

struct Shared {
    ledgers: Arc<[Ledger]>,
    /// For each app what goes wrong next, and the last number that was sent to it.
    courses: Vec<Mutex<(StdRng, u64)>>,
    faults: Mutex<BTreeMap<String, u64>>,
    behaves: AtomicBool,
    is_over: AtomicBool,
}

impl Server {
    pub(super) fn start(seed: u64, ledgers: Arc<[Ledger]>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let course = |app| Mutex::new((StdRng::seed_from_u64(seed.wrapping_add(app)), 0));
        let shared = Arc::new(Shared {
            ledgers,
            courses: (0..APPS as u64).map(course).collect(),
            faults: Mutex::default(),
            behaves: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&shared);
        let accepting = Task::start("the server", move || {
            thread::scope(|scope| {
                while let Ok((client, _)) = listener.accept()
                    && !for_thread.is_over.load(Ordering::SeqCst)
                {
                    scope.spawn(|| for_thread.serve(client));
                }
            });
        });
        Server { addr, shared, accepting }
    }
}

impl Other for Server {
    fn url(&self, app: usize) -> String {
        format!("ws://{}/{app}", self.addr)
    }

    fn behave(&self) {
        self.shared.behaves.store(true, Ordering::SeqCst);
    }

    fn end(self) -> String {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let _one_more_to_look_at = TcpStream::connect(self.addr);
        self.accepting.join();
        for (app, ledger) in self.shared.ledgers.iter().enumerate() {
            ledger.all_was_sent(self.shared.course(app).1);
        }
        let faults = self.shared.faults.lock().unwrap();
        faults
            .iter()
            .map(|(fault, count)| format!("{count} {fault}"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Shared {
    /// However it ends, the ledger knows whether it should have.
    fn serve(&self, client: TcpStream) {
        let _however = self.try_serve(client);
    }

    fn try_serve(&self, client: TcpStream) -> io::Result<()> {
        let mut wire = Wire::new(client)?;
        let (path, acceptance) = wire.request()?;
        let app: usize = path.parse().map_err(io::Error::other)?;
        if let Some(refusal) = self.behaves_not_and(|| Refusal::perhaps(&mut self.course(app).0)) {
            self.count(format!("refusal by {refusal:?}"));
            return refuse(wire, refusal, &acceptance);
        }
        wire.write(acceptance.as_bytes())?;
        let number = hello(&mut wire, &self.ledgers[app])?;
        Connection { shared: self, app, number, wire }.run()
    }

    fn course(&self, app: usize) -> MutexGuard<'_, (StdRng, u64)> {
        self.courses[app].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn behaves_not_and<T>(&self, decide: impl FnOnce() -> Option<T>) -> Option<T> {
        if self.behaves.load(Ordering::SeqCst) { None } else { decide() }
    }

    fn count(&self, what: String) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }
}

fn refuse(mut wire: Wire, refusal: Refusal, acceptance: &str) -> io::Result<()> {
    match refusal {
        Refusal::HangUp => Ok(()),
        Refusal::Reset => wire.reset(),
        Refusal::Status503 => {
            wire.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        }
        Refusal::NoHttp => wire.write(b"SSH-2.0-no\r\n\r\n"),
        Refusal::HalfAResponse => wire.write(&acceptance.as_bytes()[..acceptance.len() / 2]),
        Refusal::Silence => wire.next(SILENCE).map(|_| ()),
    }
}

/// Reads what the client's first callback sends, which comes before everything else: the number of
/// the connection.
fn hello(wire: &mut Wire, ledger: &Ledger) -> io::Result<usize> {
    let deadline = Instant::now() + SILENCE;
    while Instant::now() < deadline {
        let Some(frame) = wire.next(PERIOD)? else { continue };
        let text = String::from_utf8_lossy(&frame.payload).into_owned();
        if let Some(number) = text.strip_prefix("hello ") {
            return number.parse().map_err(io::Error::other);
        }
        ledger
            .failure(format!("came before hello: {}", text.split(' ').next().unwrap_or_default()));
    }
    Err(io::ErrorKind::TimedOut.into())
}

struct Connection<'a> {
    shared: &'a Shared,
    app: usize,
    number: usize,
    wire: Wire,
}

impl Connection<'_> {
    fn run(mut self) -> io::Result<()> {
        while !self.shared.behaves.load(Ordering::SeqCst) {
            let (fault, uptime) = {
                let (rng, _) = &mut *self.shared.course(self.app);
                (Fault::any(rng), rng.random_range(Duration::ZERO..MAX_UPTIME))
            };
            self.talk(Instant::now() + uptime, true)?;
            if self.shared.behaves.load(Ordering::SeqCst) {
                break;
            }
            self.shared.count(format!("{fault:?}"));
            if fault.ends_the_connection() {
                self.shared.ledgers[self.app].ends(self.number, End::Fault(fault));
                return self.end(fault);
            }
            match fault {
                Fault::Chop => {
                    self.wire.chopped = true;
                    self.talk(Instant::now() + MOMENT, true)?;
                    self.wire.chopped = false;
                }
                _ => thread::sleep(MOMENT),
            }
        }
        self.talk(Instant::now() + Duration::from_secs(3600), true)
    }

    /// Reads, and writes every so often, until then, or until it begins to behave, or the client
    /// closes.
    fn talk(&mut self, until: Instant, notes: bool) -> io::Result<()> {
        let behaved = self.shared.behaves.load(Ordering::SeqCst);
        let mut next = Instant::now() + PERIOD;
        loop {
            let now = Instant::now();
            if now >= until || self.shared.behaves.load(Ordering::SeqCst) != behaved {
                return Ok(());
            }
            if now >= next {
                next += PERIOD;
                self.send_next()?;
            }
            let Some(frame) = self.wire.next(next.min(until).saturating_duration_since(now))?
            else {
                continue;
            };
            match frame.opcode {
                TEXT if notes => self.note(&frame),
                CLOSE => {
                    self.wire.send(Frame::new(CLOSE, frame.payload))?;
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                _ => {}
            }
        }
    }

    fn send_next(&mut self) -> io::Result<()> {
        let number = {
            let (_, last) = &mut *self.shared.course(self.app);
            *last += 1;
            *last
        };
        self.wire.send(Frame::text(message::down(number)))
    }

    fn note(&self, frame: &Frame) {
        let ledger = &self.shared.ledgers[self.app];
        let text = String::from_utf8_lossy(&frame.payload);
        match message::number(&text, message::up) {
            Ok(number) => ledger.up(number, self.number, frame.rsv != 0),
            // Of a connection that was gone before its first callback was called.
            Err(_) if text.starts_with("hello ") => {}
            Err(what) => ledger.failure(format!("up: {what}")),
        }
    }

    fn end(mut self, fault: Fault) -> io::Result<()> {
        match fault {
            Fault::Close => self.wire.send(Frame::close(1012, "restart"))?,
            Fault::Cut => self.wire.end_stream()?,
            Fault::HalfFrame => {
                self.wire.write(&Frame::text("x".repeat(100)).encode()[..50])?;
                self.wire.end_stream()?;
            }
            Fault::Violation => self.wire.send(Frame::new(3, []))?,
            Fault::Silence => thread::sleep(SILENCE),
            Fault::Swallow => self.talk(Instant::now() + MOMENT, false)?,
            Fault::Reset | Fault::Delay | Fault::Chop => {}
        }
        if fault.loses_what_the_client_sent() { self.wire.reset() } else { self.read_to_the_end() }
    }

    /// Reads everything that the client had sent before it knew.
    fn read_to_the_end(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + SILENCE;
        while Instant::now() < deadline {
            match self.wire.next(PERIOD)? {
                Some(frame) if frame.opcode == TEXT => self.note(&frame),
                Some(frame) if frame.opcode == CLOSE => {
                    // What is sent while the client waits for us to hang up is for its next
                    // connection.
                    thread::sleep(MOMENT);
                    break;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
