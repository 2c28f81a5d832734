//! A server for the examples that sends a tick every so often, that can be stopped and started again
//! on its port, and that can get stuck. Not part of the library.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tungstenite::{Error, Message, WebSocket};

const PERIOD: Duration = Duration::from_millis(400);

pub(crate) struct Ticker {
    addr: SocketAddr,
    started: Instant,
    running: Option<Running>,
}

struct Running {
    is_over: Arc<AtomicBool>,
    clients: Arc<Mutex<Vec<TcpStream>>>,
    /// To so many of them, the first ones, it says nothing more.
    stuck: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Ticker {
    pub(crate) fn start() -> io::Result<Self> {
        // Port 0: the operating system picks a free one.
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (addr, started) = (listener.local_addr()?, Instant::now());
        Ok(Ticker { addr, started, running: Some(Running::start(listener, started)) })
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.addr)
    }

    /// Cuts all connections without a word, and takes no new ones.
    pub(crate) fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.is_over.store(true, Ordering::SeqCst);
        // One more, so that the thread that accepts looks up.
        let _however = TcpStream::connect(self.addr);
        let _however = running.accepting.join();
        for client in running.clients.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _gone_already = client.shutdown(Shutdown::Both);
        }
    }

    /// Says nothing more to the clients that are there, though their connections stay open and pings
    /// are answered.
    pub(crate) fn get_stuck(&self) {
        if let Some(Running { clients, stuck, .. }) = &self.running {
            let clients = clients.lock().unwrap_or_else(PoisonError::into_inner).len();
            stuck.store(clients, Ordering::SeqCst);
        }
    }

    /// Serves again, on the same port. The ticks have gone on meanwhile.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        self.running = Some(Running::start(TcpListener::bind(self.addr)?, self.started));
        Ok(())
    }
}

impl Running {
    fn start(listener: TcpListener, started: Instant) -> Self {
        let (is_over, clients, stuck) = (
            Arc::new(AtomicBool::new(false)),
            Arc::<Mutex<Vec<TcpStream>>>::default(),
            Arc::<AtomicUsize>::default(),
        );
        let (stop, accepted, first) = (Arc::clone(&is_over), Arc::clone(&clients), stuck.clone());
        let accepting = thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                accepted.lock().unwrap_or_else(PoisonError::into_inner).extend(client.try_clone());
                let first = Arc::clone(&first);
                thread::spawn(move || {
                    let for_hanging_up = client.try_clone();
                    serve(client, started, || number < first.load(Ordering::SeqCst));
                    // Though there is another handle to it, in `clients`.
                    for_hanging_up.and_then(|client| client.shutdown(Shutdown::Both))
                });
            }
        });
        Running { is_over, clients, stuck, accepting }
    }
}

/// Waits for a subscription, then sends the ticks that come after the one it names, until the
/// connection ends, in whatever way.
fn serve(client: TcpStream, started: Instant, is_stuck: impl Fn() -> bool) -> Option<()> {
    client.set_nodelay(true).ok()?;
    let mut client = tungstenite::accept(client).ok()?;
    let current = || started.elapsed().as_millis() as u64 / PERIOD.as_millis() as u64;
    let mut last = loop {
        let message = client.read().ok()?;
        if let Some(rest) = message.to_text().ok()?.strip_prefix("subscribe") {
            break rest.trim_start_matches(" after ").parse().unwrap_or(current());
        }
    };
    loop {
        while is_stuck() {
            read_until(&mut client, Instant::now() + PERIOD).ok()?;
        }
        while last < current() {
            last += 1;
            client.send(format!("tick {last}").into()).ok()?;
        }
        let next = started + PERIOD * (last as u32 + 1);
        if let Some(message) = read_until(&mut client, next).ok()?
            && message.to_text().is_ok_and(|text| text == "heartbeat")
        {
            client.send("heartbeat acknowledged".into()).ok()?;
        }
    }
}

fn read_until(client: &mut WebSocket<TcpStream>, until: Instant) -> Result<Option<Message>, Error> {
    let patience = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    client.get_ref().set_read_timeout(Some(patience))?;
    match client.read() {
        Ok(message) => Ok(Some(message)),
        Err(Error::Io(e))
            if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
