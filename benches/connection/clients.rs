//! What the benchmarks have in common: how each library connects, and a handler that counts.

use std::net::TcpStream;
use std::sync::mpsc;

use bytes::Bytes;
use tungstenite::WebSocket;
use tungstenite::protocol::WebSocketConfig;
use websocket_app::{CallbackError, Handler, Message, Sender, WebSocketApp};

use crate::compare::{Meter, Took};
use crate::server::Server;

/// A payload of this size.
pub(crate) fn payload(bytes: usize) -> Bytes {
    vec![b'x'; bytes].into()
}

pub(crate) fn tungstenite(server: &Server, path: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    tungstenite::client::client_with_config(server.url(path), stream, Some(config)).unwrap().0
}

/// An app that sends, and then counts what comes until it has its number.
pub(crate) fn counting(server: &Server, path: &str, counting: Counting) -> WebSocketApp<Counting> {
    WebSocketApp::with_handler(server.url(path), counting)
        .ping_interval(None)
        .max_message_size(usize::MAX)
}

pub(crate) struct Counting {
    /// What is sent at first.
    pub(crate) first: Bytes,
    /// Whether it is sent again for each that comes.
    pub(crate) again: bool,
    count: usize,
    left: usize,
    meter: Option<Meter>,
    done: mpsc::Sender<Took>,
}

impl Counting {
    pub(crate) fn new(first: Bytes, again: bool, count: usize) -> (Self, mpsc::Receiver<Took>) {
        let (done, took) = mpsc::channel();
        (Counting { first, again, count, left: count, meter: None, done }, took)
    }
}

impl Handler for Counting {
    fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        self.meter = Some(Meter::start());
        Ok(ws.send(self.first.as_ref())?)
    }

    fn on_message(&mut self, ws: &Sender, _message: Message<'_>) -> Result<(), CallbackError> {
        self.left -= 1;
        if self.left == 0 {
            if let Some(meter) = self.meter.take() {
                self.done.send(meter.stop(self.count))?;
            }
            ws.abort();
        } else if self.again {
            ws.send(self.first.as_ref())?;
        }
        Ok(())
    }
}

/// Runs it on this thread. Being aborted is how it ends; that it has counted is what matters.
pub(crate) fn run(app: WebSocketApp<Counting>, took: &mpsc::Receiver<Took>) -> Took {
    let end = app.run_forever();
    took.try_recv().unwrap_or_else(|_| panic!("the connection ended too early: {end:?}"))
}
