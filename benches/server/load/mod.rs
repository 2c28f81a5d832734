//! The load: many clients on one thread, which know of the protocol what they need.

mod client;
mod exchange;
mod stream;
mod visit;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use self::client::Client;
pub(crate) use self::exchange::{Exchange, masked};
use self::stream::Stream;

/// Longer than anything takes: then the server does not do its work.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many open at a time where it is not about that.
const AT_ONCE: usize = 64;

pub(crate) struct Clients {
    address: SocketAddr,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    clients: Vec<Client>,
    deflate: bool,
    #[cfg(feature = "rustls")]
    tls: Option<std::sync::Arc<rustls::ClientConfig>>,
    /// How many were begun.
    begun: usize,
    /// They have little room for what they do not read.
    reads_little: bool,
}

impl Clients {
    /// None yet. The options are the server's.
    pub(crate) fn new(address: SocketAddr, options: &[&str]) -> Self {
        Clients {
            address,
            poll: Poll::new().unwrap(),
            events: Events::with_capacity(1024),
            buffer: vec![0; 64 << 10],
            clients: Vec::new(),
            deflate: options.contains(&"deflate"),
            #[cfg(feature = "rustls")]
            tls: crate::tls::client_config(options),
            begun: 0,
            reads_little: false,
        }
    }

    pub(crate) fn that_read_little(mut self) -> Self {
        self.reads_little = true;
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Opens more.
    pub(crate) fn open(&mut self, path: &str, count: usize) {
        self.open_at_once(path, count, AT_ONCE);
    }

    /// Opens more, so many at a time. How long each took from its first packet.
    pub(crate) fn open_at_once(
        &mut self,
        path: &str,
        count: usize,
        at_once: usize,
    ) -> Vec<Duration> {
        let first = self.len();
        let (mut began, mut times, mut opened) = (Vec::new(), vec![None; count], 0);
        while opened < count {
            while began.len() < count.min(opened + at_once) {
                began.push(Instant::now());
                let client = self.begin(path, self.len());
                self.clients.push(client);
            }
            self.wait();
            for event in &self.events {
                // Those that were opened before have nothing to say.
                let Some(at) = event.token().0.checked_sub(first) else { continue };
                if times[at].is_none() && self.clients[first + at].open(&mut self.buffer) {
                    times[at] = Some(began[at].elapsed());
                    opened += 1;
                }
            }
        }
        times.into_iter().flatten().collect()
    }

    /// Begins to connect.
    fn begin(&mut self, path: &str, token: usize) -> Client {
        self.begun += 1;
        let tcp = stream::connect(self.address, self.begun, self.reads_little);
        #[cfg(feature = "rustls")]
        let mut stream = match &self.tls {
            Some(config) => {
                let name = "localhost".try_into().unwrap();
                let tls = rustls::ClientConnection::new(config.clone(), name).unwrap();
                Stream::Tls(Box::new(tls), tcp)
            }
            None => Stream::Plain(tcp),
        };
        #[cfg(not(feature = "rustls"))]
        let mut stream = Stream::Plain(tcp);
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(stream.tcp(), Token(token), both).unwrap();
        Client::new(stream, &client::request(self.address, path, self.deflate))
    }

    fn wait(&mut self) {
        wait(&mut self.poll, &mut self.events);
    }

    /// So many messages of each client there and back.
    pub(crate) fn echo(&mut self, exchange: &Exchange, each: usize) {
        let Clients { poll, events, clients, buffer, .. } = self;
        for client in &mut *clients {
            let first = exchange.in_flight.min(each);
            (client.to_send, client.to_come) = (each - first, each);
            client.send(exchange.frames(first));
        }
        let mut busy = clients.len();
        while busy > 0 {
            wait(poll, events);
            for event in &*events {
                let client = &mut clients[event.token().0];
                client.flush();
                let ended = client.take(buffer, &exchange.answer);
                assert!(ended <= client.to_come, "more answers than messages");
                if ended == 0 {
                    continue;
                }
                client.to_come -= ended;
                let next = ended.min(client.to_send);
                if next > 0 {
                    client.to_send -= next;
                    client.send(exchange.frames(next));
                }
                busy -= usize::from(client.to_come == 0);
            }
        }
    }

    /// The last of the clients sends so many messages, and all others receive each. `in_flight` of
    /// them are on their way.
    pub(crate) fn broadcast(&mut self, exchange: &Exchange, count: usize) {
        let Clients { poll, events, clients, buffer, .. } = self;
        let (publisher, others) = clients.split_last_mut().unwrap();
        others.iter_mut().for_each(|client| client.to_come = count);
        let (mut sent, mut come) = (0, 0);
        while come < count * others.len() {
            let next = (come / others.len() + exchange.in_flight).min(count) - sent;
            if next > 0 {
                publisher.send(exchange.frames(next));
                sent += next;
            }
            wait(poll, events);
            for event in &*events {
                let Some(client) = others.get_mut(event.token().0) else {
                    publisher.flush();
                    continue;
                };
                let ended = client.take(buffer, &exchange.answer);
                assert!(ended <= client.to_come, "more than was sent");
                client.to_come -= ended;
                come += ended;
            }
        }
    }

    /// The last sends a message, and all others receive the same, or it does itself where there are
    /// no others: a frame.
    pub(crate) fn ask(&mut self, frame: &[u8]) -> Vec<u8> {
        self.clients.last_mut().unwrap().send(frame);
        let mut answers = vec![Vec::new(); self.len().saturating_sub(1).max(1)];
        let mut whole = 0;
        while whole < answers.len() {
            self.wait();
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                client.flush();
                let Some(answer) = answers.get_mut(event.token().0) else { continue };
                let was_whole = is_frame(answer);
                let over = client.read(&mut self.buffer, |bytes| answer.extend(bytes));
                assert!(!over, "the server has gone");
                whole += usize::from(!was_whole && is_frame(answer));
            }
        }
        assert!(answers.iter().all(|answer| answer == &answers[0]), "they have different frames");
        answers.swap_remove(0)
    }

    /// Reads all that has come, and forgets it. How many bytes it was.
    pub(crate) fn forget(&mut self) -> usize {
        let mut come = 0;
        for client in &mut self.clients {
            let over = client.read(&mut self.buffer, |bytes| come += bytes.len());
            assert!(!over, "the server has gone");
        }
        come
    }

    /// Waits until the server has closed all with exactly this frame, answers it, waits for the end
    /// of the stream, and ends it too.
    pub(crate) fn until_closed(&mut self, frame: &[u8]) {
        let answer = masked(frame[0], &frame[2..]);
        let mut come: Vec<Vec<u8>> = vec![Vec::new(); self.len()];
        let (mut over, mut left) = (vec![false; self.len()], self.len());
        while left > 0 {
            self.wait();
            for event in &self.events {
                let at = event.token().0;
                if over[at] {
                    continue;
                }
                let (client, come) = (&mut self.clients[at], &mut come[at]);
                let had = come.len();
                over[at] = client.read(&mut self.buffer, |bytes| come.extend(bytes));
                assert!(frame.starts_with(come), "another end: {come:?}");
                if had < frame.len() && come.len() == frame.len() && !over[at] {
                    client.send(&answer);
                    // The end may have come before the answer was sent.
                    over[at] = client.read(&mut self.buffer, |_| panic!("more after Close"));
                }
                if over[at] {
                    assert!(come == frame, "an end without Close");
                    client.end();
                    left -= 1;
                }
            }
        }
    }

    /// How many resumed a session of TLS.
    #[cfg(feature = "rustls")]
    pub(crate) fn resumed(&self) -> usize {
        self.clients.iter().filter(|client| client.stream.is_resumed()).count()
    }
}

fn wait(poll: &mut Poll, events: &mut Events) {
    let began = Instant::now();
    loop {
        match poll.poll(events, Some(PATIENCE)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            polled => polled.unwrap(),
        }
        if !events.is_empty() {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "nothing has come for {PATIENCE:?}");
    }
}

/// Whether this is a whole frame of a server, without what is longer than 64 KiB.
fn is_frame(bytes: &[u8]) -> bool {
    match bytes {
        [_, 126, high, low, payload @ ..] => {
            payload.len() == usize::from(u16::from_be_bytes([*high, *low]))
        }
        [_, len, payload @ ..] => payload.len() == usize::from(*len),
        _ => false,
    }
}
