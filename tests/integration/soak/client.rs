//! An app that connects again whatever happens, numbers what it sends, and notes what it gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::{
    AppHandle, CallbackError, Close, Deflate, Error, EventLoop, Handler, Message, Reconnect,
    Sender, WebSocketApp,
};

use super::ledger::Ledger;
use super::{PERIOD, message, wait};
use crate::watchdog::within;

/// How soon a dead peer is noticed: soon, and late enough for a busy machine.
const PING_INTERVAL: Duration = Duration::from_millis(500);
const PING_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const FIRST_DELAY: Duration = Duration::from_millis(10);
const MAX_DELAY: Duration = Duration::from_millis(300);
/// Longer than it takes to be noticed; often longer than a connection is away.
const SLOW: Duration = Duration::from_millis(150);
/// More than is sent in the longest time without a connection: nothing is to expire or to be
/// refused.
const QUEUE: usize = 64 << 20;
const MAX_AGE: Duration = Duration::from_secs(3600);
/// Of those that compress, the length from which on they do: some messages come as they are.
pub(super) const MIN_SIZE: usize = 20;

pub(super) struct Client {
    ws: Sender,
    handle: AppHandle,
    notes: Notes,
}

/// What the app's callbacks and the thread that sends share.
#[derive(Clone)]
struct Notes {
    ledgers: Arc<[Ledger]>,
    app: usize,
    /// The last number that was given to `send`.
    sent: Arc<AtomicU64>,
    /// Broadcast number, of the last that came over this connection.
    broadcast: Option<u64>,
}

impl Notes {
    fn ledger(&self) -> &Ledger {
        &self.ledgers[self.app]
    }
}

impl Client {
    pub(super) fn add(
        event_loop: &EventLoop,
        url: &str,
        ledgers: &Arc<[Ledger]>,
        app: usize,
    ) -> Self {
        let ledgers = Arc::clone(ledgers);
        let notes = Notes { ledgers, app, sent: Arc::default(), broadcast: None };
        let app = compressing(WebSocketApp::with_handler(url, notes.clone()), app)
            .reconnect(Reconnect::exponential(FIRST_DELAY, MAX_DELAY))
            .queue_while_disconnected(QUEUE, MAX_AGE)
            .connect_timeout(CONNECT_TIMEOUT)
            .ping_interval(PING_INTERVAL)
            .ping_timeout(PING_TIMEOUT);
        Client { ws: app.sender(), handle: event_loop.add(app).unwrap(), notes }
    }

    fn send_next(&self) {
        let number = self.notes.sent.load(Ordering::SeqCst) + 1;
        self.notes.sent.store(number, Ordering::SeqCst);
        if let Err(error) = self.ws.send(message::up(number)) {
            self.notes.ledger().failure(format!("message {number}: {error}"));
        }
    }

    /// The number of the last message that was sent.
    pub(super) fn sent(&self) -> u64 {
        self.notes.sent.load(Ordering::SeqCst)
    }

    /// The number of the last message that has arrived.
    pub(super) fn arrived(&self) -> u64 {
        self.notes.ledger().last_up()
    }

    pub(super) fn close(self) {
        self.expect_all();
        let handle = self.handle;
        handle.close();
        let close = within("an app's end", move || handle.join());
        if !close.as_ref().is_ok_and(|close| close.clean && close.code == 1000) {
            self.notes.ledger().failure(format!("the end: {close:?}"));
        }
    }

    /// The server has closed, or is about to, with this code.
    pub(super) fn end(self, code: u16) {
        self.expect_all();
        wait(|| self.notes.ledger().is_closed_with(code));
        if !self.notes.ledger().is_closed_with(code) {
            self.notes.ledger().failure(format!("the server's end was not one of code {code}"));
        }
        let handle = self.handle;
        handle.close();
        let _there_is_no_connection = within("an app's end", move || handle.join());
    }

    fn expect_all(&self) {
        let (arrived, sent) = (self.arrived(), self.sent());
        if arrived != sent {
            self.notes
                .ledger()
                .failure(format!("up: {arrived} is the last of {sent} that has arrived"));
        }
    }
}

/// Of four apps, one remembers what it has sent, one does not, and two do not compress.
fn compressing(ws: WebSocketApp<Notes>, app: usize) -> WebSocketApp<Notes> {
    let deflate = Deflate::default().min_size(MIN_SIZE);
    match app % 4 {
        0 if cfg!(feature = "deflate") => ws.compression(deflate),
        1 if cfg!(feature = "deflate") => ws
            .compression(deflate.client_no_context_takeover(true).server_no_context_takeover(true)),
        _ => ws,
    }
}

/// Sends for these apps in turn, each so often.
pub(super) fn send_until(is_over: &AtomicBool, clients: &[Client]) {
    let mut next = Instant::now();
    while !is_over.load(Ordering::SeqCst) {
        for client in clients {
            client.send_next();
            next += PERIOD / clients.len() as u32;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

impl Handler for Notes {
    fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.broadcast = None;
        let compresses = ws.handshake().is_some_and(|handshake| handshake.extensions().is_some());
        if compresses != (cfg!(feature = "deflate") && self.app % 4 < 2) {
            self.ledger().failure(format!("compression is on: {compresses}"));
        }
        // It goes before all that has waited for the connection.
        Ok(ws.send(format!("hello {}", self.ledger().opened()))?)
    }

    fn on_message(&mut self, _ws: &Sender, message: Message<'_>) -> Result<(), CallbackError> {
        let text = message.as_text().ok_or("a binary message")?;
        if let Some(number) = text.strip_prefix("broadcast ") {
            let number = number.parse()?;
            if self.broadcast.replace(number).is_some_and(|last| last + 1 != number) {
                self.ledger().failure(format!("broadcast {number} is not the next"));
            }
            return Ok(());
        }
        let number = message::number(text, message::down)?;
        self.ledger().down(number);
        // One in so many takes long, so that a stand-in runs the loop, and connections come and go
        // meanwhile.
        if (number + self.app as u64).is_multiple_of(300) {
            thread::sleep(SLOW);
        }
        Ok(())
    }

    fn on_error(&mut self, _ws: &Sender, error: &Error) -> Result<(), CallbackError> {
        match error {
            Error::Attempt { .. } => self.ledger().attempt_failed(),
            // `on_close` comes after it.
            Error::Network { .. } | Error::Timeout { .. } | Error::Protocol(_) => {}
            unexpected => self.ledger().failure(unexpected.to_string()),
        }
        Ok(())
    }

    fn on_close(&mut self, _ws: &Sender, close: &Close) -> Result<(), CallbackError> {
        if close.reconnect_in.is_some() {
            self.ledger().told(close.code, close.clean);
            self.ledger().closed(self.sent.load(Ordering::SeqCst));
        }
        Ok(())
    }
}
