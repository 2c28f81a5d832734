//! One client: says "go" or sends, and prints messages a second, processor microseconds a message,
//! and bytes on the wire a message, which the server counts and sends as the last one.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};

use crate::Work;
use crate::ticks::ticks;

struct Job {
    work: Work,
    messages: usize,
    url: String,
    host: String,
    ticks: Vec<String>,
    began: Option<(Instant, Duration)>,
    received: usize,
}

pub fn run(library: &str, work: Work, messages: usize, size: usize, port: u16) {
    let path =
        format!("/{}/{messages}/{size}", if work == Work::Send { "send" } else { "receive" });
    let host = format!("127.0.0.1:{port}");
    let url = format!("ws://{host}{path}");
    let job = Job { work, messages, url, host, ticks: ticks(size), began: None, received: 0 };
    match library {
        "websocket-app" => ours(job),
        "yawc" => block_on(yawc(job)),
        "tokio-tungstenite" => block_on(tokio_tungstenite(job)),
        other => panic!("{other} is not compared"),
    }
}

impl Job {
    fn begin(&mut self) {
        self.began = Some((Instant::now(), processor_time()));
    }

    fn outgoing(&self) -> impl Iterator<Item = &String> {
        self.ticks.iter().cycle().take(self.messages)
    }

    /// Takes a message; `true` when it was the last, which has the count of bytes.
    fn take(&mut self, message: &[u8]) -> bool {
        let size = self.ticks[0].len();
        if message.len() == size {
            self.received += 1;
            return false;
        }
        let (began, processor) = self.began.expect("it began");
        let (time, processor) = (began.elapsed(), processor_time() - processor);
        let bytes: f64 = std::str::from_utf8(message).unwrap().parse().unwrap();
        assert_eq!(self.received, if self.work == Work::Receive { self.messages } else { 0 });
        let messages = self.messages as f64;
        println!(
            "{} {} {}",
            messages / time.as_secs_f64(),
            processor.as_secs_f64() * 1e6 / messages,
            bytes / messages
        );
        true
    }
}

/// What this process has used, of all its threads, to the nanosecond where Linux tells.
fn processor_time() -> Duration {
    let mut total = 0;
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = thread.unwrap().path().join("schedstat");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        total +=
            text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or(0);
    }
    Duration::from_nanos(total)
}

fn ours(mut job: Job) {
    use websocket_app::{Deflate, WebSocketApp};

    let app = WebSocketApp::new(&job.url).compression(Deflate::default().min_size(0));
    let ws = app.sender();
    if job.work == Work::Receive {
        let _aborted = app
            .on_open(move |ws| ws.send("go"))
            .on_message(move |ws, message| {
                if job.began.is_none() {
                    job.begin();
                    // The first has come before.
                    job.messages -= 1;
                    return;
                }
                if job.take(message.as_bytes()) {
                    ws.abort();
                }
            })
            .run_forever();
        return;
    }
    let (opened, open) = mpsc::channel();
    let (done, end) = mpsc::channel();
    let running = app
        .on_open(move |_| opened.send(()))
        .on_message(move |_, message| done.send(message.as_bytes().to_vec()))
        .spawn()
        .unwrap();
    open.recv().unwrap();
    job.begin();
    for tick in job.outgoing() {
        ws.send(tick).unwrap();
    }
    job.take(&end.recv().unwrap());
    ws.abort();
    // Aborted, which is an end as good as any.
    let _aborted = running.join();
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

async fn yawc(mut job: Job) {
    use yawc::{CompressionLevel, Frame, Options, WebSocket};

    let options = Options::default()
        .with_compression_level(CompressionLevel::fast())
        .with_compression_threshold(0);
    let mut ws = WebSocket::connect(job.url.parse().unwrap()).with_options(options).await.unwrap();
    if job.work == Work::Receive {
        ws.send(Frame::text("go")).await.unwrap();
        ws.next_frame().await.unwrap();
        job.begin();
        job.messages -= 1;
    } else {
        job.begin();
        for tick in job.outgoing() {
            ws.feed(Frame::text(tick.clone())).await.unwrap();
        }
        ws.flush().await.unwrap();
    }
    loop {
        let frame = ws.next_frame().await.unwrap();
        if job.take(frame.payload()) {
            return;
        }
    }
}

async fn tokio_tungstenite(mut job: Job) {
    use tokio_tungstenite::tungstenite::Message;

    let stream = tokio::net::TcpStream::connect(&job.host).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut ws, _) = tokio_tungstenite::client_async(&job.url, stream).await.unwrap();
    if job.work == Work::Receive {
        ws.send(Message::text("go")).await.unwrap();
        ws.next().await.unwrap().unwrap();
        job.begin();
        job.messages -= 1;
    } else {
        job.begin();
        for tick in job.outgoing() {
            ws.feed(Message::text(tick.as_str())).await.unwrap();
        }
        ws.flush().await.unwrap();
    }
    loop {
        if let Message::Text(text) = ws.next().await.unwrap().unwrap()
            && job.take(text.as_bytes())
        {
            return;
        }
    }
}
