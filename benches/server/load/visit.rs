//! Clients that come, say something, and go.

use super::client::Client;
use super::{Clients, Exchange, masked, wait};

/// Code 1000, as each side says it.
const CLOSE: [u8; 4] = [0x88, 2, 0x03, 0xe8];

/// What a visitor waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// For the answer to its request.
    Open,
    /// For its message.
    Message,
    /// For the server's Close frame, and the end.
    End,
}

impl Clients {
    /// So many visits, so many at a time: connect, upgrade, a message there and back, closing
    /// handshake, until the server has closed. How many resumed a session of TLS.
    pub(crate) fn visit(&mut self, exchange: &Exchange, count: usize, at_once: usize) -> usize {
        let mut places: Vec<Visitor> = Vec::new();
        let (mut begun, mut over, mut resumed) = (0, 0, 0);
        while over < count {
            while places.len() < at_once.min(count) {
                let client = self.begin("/", places.len());
                places.push(Visitor { client, waits: Waits::Open, end: Vec::new(), over: false });
                begun += 1;
            }
            wait(&mut self.poll, &mut self.events);
            let mut free = Vec::new();
            for event in &self.events {
                let at = event.token().0;
                let visitor = &mut places[at];
                if !visitor.over && visitor.go_on(exchange, &mut self.buffer) {
                    visitor.over = true;
                    resumed += usize::from(visitor.client.stream.is_resumed());
                    free.push(at);
                }
            }
            over += free.len();
            for at in free.into_iter().take(count - begun) {
                let client = self.begin("/", at);
                places[at] = Visitor { client, waits: Waits::Open, end: Vec::new(), over: false };
                begun += 1;
            }
        }
        resumed
    }
}

struct Visitor {
    client: Client,
    waits: Waits,
    /// What has come since it said that it goes.
    end: Vec<u8>,
    over: bool,
}

impl Visitor {
    /// As far as it can. Whether it is over.
    fn go_on(&mut self, exchange: &Exchange, buffer: &mut [u8]) -> bool {
        let Visitor { client, waits, end, .. } = self;
        if *waits == Waits::Open && client.open(buffer) {
            client.send(exchange.frames(1));
            *waits = Waits::Message;
        }
        if *waits == Waits::Message && client.take(buffer, &exchange.answer) == 1 {
            client.send(&masked(CLOSE[0], &CLOSE[2..]));
            *waits = Waits::End;
        }
        if *waits != Waits::End {
            return false;
        }
        let over = client.read(buffer, |bytes| end.extend(bytes));
        assert!(CLOSE.starts_with(end), "another end: {end:?}");
        assert!(!over || end == &CLOSE, "an end without Close");
        over
    }
}
