//! How long a burst of small messages takes until its end is at the peer: sent within a callback
//! that then is busy, and by another thread that then does nothing. Each burst comes after a pause,
//! so that nothing is under way. Nobody else sends, and the callback does not return before the end
//! is there: whoever writes the end, it is not the loop.

use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::{Sender, WebSocketApp};

use crate::compare::{Bench, Took};

const PAUSE: Duration = Duration::from_millis(2);
const PAYLOAD: usize = 64;

pub(crate) fn run(bench: &Bench) {
    for messages in [1, 20, 200] {
        bench
            .case(format!("burst of {messages}"), messages * PAYLOAD)
            .way("websocket-app, in a callback", |count| bursts(messages, count, true))
            .way("websocket-app, another thread", |count| bursts(messages, count, false))
            .run();
    }
}

/// The time from the first send of a burst until its last message is at the peer, for so many
/// bursts.
fn bursts(messages: usize, count: usize, in_callback: bool) -> Took {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let (arrived, arrivals) = mpsc::channel();
    let peer = thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut client = tungstenite::accept(tcp).unwrap();
        for _ in 0..count {
            (0..messages).for_each(|_| drop(client.read().unwrap()));
            arrived.send(Instant::now()).unwrap();
        }
        // Until the client has gone.
        while client.read().is_ok() {}
    });
    let work = move |ws: &Sender| {
        let mut time = Duration::ZERO;
        for _ in 0..count {
            thread::sleep(PAUSE);
            let began = Instant::now();
            (0..messages).for_each(|_| ws.send([7; PAYLOAD]).unwrap());
            time += arrivals.recv().unwrap() - began;
        }
        ws.close();
        time
    };
    let (done, took) = mpsc::channel();
    let mut work = Some(work);
    let app = WebSocketApp::new(url).on_open(move |ws| {
        let (ws, work, done) = (ws.clone(), work.take().unwrap(), done.clone());
        let run = move || done.send(work(&ws)).unwrap();
        if in_callback {
            run();
        } else {
            thread::spawn(run);
        }
    });
    app.run_forever().unwrap();
    peer.join().unwrap();
    Took { count, time: took.recv().unwrap(), cpu: None }
}
