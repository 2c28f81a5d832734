//! As many messages as the server can send, counted.

use bytes::Bytes;
use tungstenite::Message;

use crate::clients::{self, Counting};
use crate::compare::{Bench, Meter, Took, size};
use crate::server::Server;

pub(crate) fn run(bench: &Bench, server: &Server) {
    for bytes in [64, 1 << 10, 16 << 10, 1 << 20] {
        bench
            .case(format!("receive {}", size(bytes)), bytes)
            .way("tungstenite", |count| tungstenite(server, bytes, count))
            .way("websocket-app", |count| {
                let (counting, took) = Counting::new(Bytes::from_static(b"go"), false, count);
                clients::run(clients::counting(server, &flood(bytes, count), counting), &took)
            })
            .run();
    }
}

fn tungstenite(server: &Server, bytes: usize, count: usize) -> Took {
    let mut ws = clients::tungstenite(server, &flood(bytes, count));
    let meter = Meter::start();
    ws.send(Message::text("go")).unwrap();
    for _ in 0..count {
        assert_eq!(ws.read().unwrap().len(), bytes);
    }
    meter.stop(count)
}

fn flood(bytes: usize, count: usize) -> String {
    format!("/flood/{count}/{bytes}")
}
