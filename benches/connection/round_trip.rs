//! A message there and back, one at a time, from 64 B to 64 MiB: what a message costs, and that a
//! large one costs no more than its size.

use std::sync::mpsc;

use tungstenite::Message;
use websocket_app::{WebSocket, WebSocketApp};

use crate::clients::{self, Counting, payload};
use crate::compare::{Bench, Meter, Took, size};
use crate::server::Server;

const SIZES: [usize; 7] = [64, 1 << 10, 16 << 10, 256 << 10, 1 << 20, 8 << 20, 64 << 20];

pub(crate) fn run(bench: &Bench, server: &Server) {
    for bytes in SIZES {
        bench
            .case(format!("round trip {}", size(bytes)), bytes)
            .way("tungstenite", |count| tungstenite(server, bytes, count))
            .way("websocket-app, blocking", |count| blocking(server, bytes, count))
            .way("websocket-app, in the callback", |count| in_the_callback(server, bytes, count))
            .way("websocket-app, another thread", |count| another_thread(server, bytes, count))
            .run();
    }
}

fn tungstenite(server: &Server, bytes: usize, count: usize) -> Took {
    let mut ws = clients::tungstenite(server, "/echo");
    let payload = payload(bytes);
    let meter = Meter::start();
    for _ in 0..count {
        ws.send(Message::Binary(payload.clone())).unwrap();
        assert_eq!(ws.read().unwrap().len(), bytes);
    }
    meter.stop(count)
}

fn blocking(server: &Server, bytes: usize, count: usize) -> Took {
    let mut ws = WebSocket::builder(server.url("/echo"))
        .ping_interval(None)
        .max_message_size(usize::MAX)
        .connect()
        .unwrap();
    let payload = payload(bytes);
    let meter = Meter::start();
    for _ in 0..count {
        ws.send(payload.as_ref()).unwrap();
        assert_eq!(ws.recv().unwrap().as_message().len(), bytes);
    }
    let took = meter.stop(count);
    ws.sender().abort();
    took
}

fn in_the_callback(server: &Server, bytes: usize, count: usize) -> Took {
    let (counting, took) = Counting::new(payload(bytes), true, count);
    clients::run(clients::counting(server, "/echo", counting), &took)
}

/// The thread that sends is not the one that calls back; a channel is between them.
fn another_thread(server: &Server, bytes: usize, count: usize) -> Took {
    let (opened, open) = mpsc::sync_channel(1);
    let (arrival, arrived) = mpsc::sync_channel(1);
    let app = WebSocketApp::new(server.url("/echo"))
        .ping_interval(None)
        .max_message_size(usize::MAX)
        .on_open(move |_| opened.send(()))
        .on_message(move |_, message| arrival.send(message.len()))
        .spawn()
        .unwrap();
    open.recv().unwrap();
    let (ws, payload) = (app.sender(), payload(bytes));
    let meter = Meter::start();
    for _ in 0..count {
        ws.send(payload.as_ref()).unwrap();
        assert_eq!(arrived.recv().unwrap(), bytes);
    }
    let took = meter.stop(count);
    ws.abort();
    let _aborted = app.join();
    took
}
