//! One by one, from several threads at once, until the server has the last. tungstenite's
//! connection is behind a lock then: that is how threads share it.

use std::sync::{Barrier, Mutex, mpsc};
use std::thread;

use bytes::Bytes;
use tungstenite::Message;
use websocket_app::WebSocketApp;

use crate::clients::{self, payload};
use crate::compare::{Bench, Meter, Took, size};
use crate::server::Server;

pub(crate) fn run(bench: &Bench, server: &Server) {
    for bytes in [64, 1 << 10, 16 << 10, 1 << 20] {
        for threads in [1, 2, 4, 8] {
            let plural = if threads == 1 { "" } else { "s" };
            let load = Load { bytes, threads };
            bench
                .case(format!("send {} from {threads} thread{plural}", size(bytes)), bytes)
                .way_of_many("tungstenite", threads, |count| load.tungstenite(server, count))
                .way_of_many("websocket-app", threads, |count| load.ours(server, count))
                .run();
        }
    }
}

struct Load {
    bytes: usize,
    threads: usize,
}

impl Load {
    fn tungstenite(&self, server: &Server, count: usize) -> Took {
        let each = count / self.threads;
        let ws = Mutex::new(clients::tungstenite(server, &self.sink(each)));
        let send =
            |payload: &Bytes| ws.lock().unwrap().send(Message::Binary(payload.clone())).unwrap();
        self.measure(each, send, || drop(ws.lock().unwrap().read().unwrap()))
    }

    fn ours(&self, server: &Server, count: usize) -> Took {
        let each = count / self.threads;
        let (opened, open) = mpsc::channel();
        let (arrival, arrived) = mpsc::channel();
        let app = WebSocketApp::new(server.url(&self.sink(each)))
            .ping_interval(None)
            .on_open(move |_| opened.send(()))
            .on_message(move |_, _| arrival.send(()))
            .spawn()
            .unwrap();
        open.recv().unwrap();
        let ws = app.sender();
        let took = self.measure(
            each,
            |payload| ws.send(payload.clone()).unwrap(),
            || arrived.recv().unwrap(),
        );
        ws.abort();
        let _aborted = app.join();
        took
    }

    /// The server answers when it has all of them.
    fn sink(&self, each: usize) -> String {
        format!("/sink/{}", each * self.threads)
    }

    /// The threads live from before until after, so that what they use is counted.
    fn measure(&self, each: usize, send: impl Fn(&Bytes) + Sync, arrived: impl FnOnce()) -> Took {
        let payload = payload(self.bytes);
        // Before sending, after it, and when all is measured.
        let together = Barrier::new(self.threads + 1);
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    together.wait();
                    (0..each).for_each(|_| send(&payload));
                    together.wait();
                    together.wait();
                });
            }
            let meter = Meter::start();
            together.wait();
            together.wait();
            arrived();
            let took = meter.stop(each * self.threads);
            together.wait();
            took
        })
    }
}
