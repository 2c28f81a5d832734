//! What the library allocates, counted: nothing per message once it runs, little per connection, no
//! compression context before it is needed. A binary of its own, since the counting allocator
//! counts for all threads.

// In a test, what cannot go wrong may say so by failing.
#![allow(clippy::unwrap_used)]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use tungstenite::handshake::derive_accept_key;
use websocket_app::{EventLoop, Sender, WebSocket, WebSocketApp};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Longer than any of it takes; then a test fails instead of waiting for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// One at a time: they count what the whole process does.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Allocations are not exactly repeatable: a buffer may find its size earlier or later, the test
/// harness prints. What is done per message is found by far more messages than this.
const NOISE: usize = 200;
const MESSAGES: usize = 50_000;

/// Fails if many messages take more allocations than few. A callback that the scheduler holds up
/// has another thread stand in for the loop, which costs some; so it is what it takes undisturbed
/// that counts, in one of three tries.
fn none_per_message(what: &str, few_and_many: impl Fn() -> (usize, usize)) {
    let is_none = (0..3).any(|_| {
        let (few, many) = few_and_many();
        println!("{what}: {few} allocations, with many more messages {many}");
        many < few + NOISE
    });
    assert!(is_none, "{what}: allocations grow with the messages");
}

#[test]
fn receiving_allocates_nothing_per_message() {
    let _alone = alone();
    for (name, first, size) in
        [("binary", 0x82, 64), ("text", 0x81, 64), ("binary", 0x82, 1_000), ("text", 0x81, 40_000)]
    {
        let count = |messages: usize| {
            let server = Server::start(move |mut client| {
                let frame = frame(first, &vec![b'x'; size]);
                let many: Vec<u8> = frame.repeat(100);
                (0..messages / 100).for_each(|_| client.write_all(&many).unwrap());
                client.close();
            });
            let app = WebSocketApp::new(&server.url)
                .on_message(move |_, message| assert_eq!(message.len(), size));
            let sender = app.sender();
            let counted = Region::new(ALLOCATOR);
            app.run_forever().unwrap();
            let change = counted.change();
            assert_eq!(sender.stats().messages_received, messages as u64);
            server.end();
            allocations(change)
        };
        let messages = MESSAGES * 64 / size.clamp(64, 2_000) / 100 * 100;
        none_per_message(&format!("{name} of {size} bytes"), || {
            (count(1_000), count(1_000 + messages))
        });
    }
}

#[test]
fn echoing_allocates_nothing_per_message() {
    let _alone = alone();
    let count = |messages: usize| {
        let server = Server::start(move |mut client| {
            let (frame, mut answer) = (frame(0x82, &[7; 64]), [0; 64 + 6]);
            for _ in 0..messages {
                client.write_all(&frame).unwrap();
                client.read_exact(&mut answer).unwrap();
            }
            client.close();
        });
        let app = WebSocketApp::new(&server.url).on_message(|ws, message| ws.send(message));
        let counted = Region::new(ALLOCATOR);
        app.run_forever().unwrap();
        let change = counted.change();
        server.end();
        allocations(change)
    };
    none_per_message("echo", || (count(500), count(500 + MESSAGES / 10)));
}

#[test]
fn sending_allocates_nothing_per_message() {
    let _alone = alone();
    for (size, messages) in [(64, MESSAGES), (1_000, MESSAGES / 10), (40_000, 500), (300_000, 500)]
    {
        let server = Server::start(Client::swallow);
        let app = WebSocketApp::new(&server.url);
        let (opened, open) = mpsc::channel();
        let running = app.on_open(move |_| opened.send(())).spawn().unwrap();
        open.recv_timeout(PATIENCE).unwrap();
        let (sender, data) = (running.sender(), vec![7; size]);
        // Small ones as a stream that is not faster than the network, else it is the queue that
        // grows. Large ones one by one: a borrowed payload that has to wait is copied.
        let most = if size > 32 << 10 { 0 } else { 1 << 20 };
        let count = |messages: usize| {
            let counted = Region::new(ALLOCATOR);
            for _ in 0..messages {
                sender.send(data.as_slice()).unwrap();
                if sender.buffered_amount() > most {
                    sender.flush(PATIENCE).unwrap();
                }
            }
            sender.flush(PATIENCE).unwrap();
            allocations(counted.change())
        };
        none_per_message(&format!("sending {size} bytes"), || {
            (count(messages / 10), count(messages))
        });
        running.close();
        running.join().unwrap();
        server.end();
    }
}

#[test]
fn an_idle_connection_on_a_shared_loop_takes_less_than_four_kibibytes() {
    const BLOCKS: usize = 9;
    const BLOCK: usize = 20;
    let _alone = alone();
    // A ping and a message that goes on once the ping is answered, if it is cut.
    let first = [frame(0x89, b"ping"), frame(0x82, &[7; 3000])].concat();
    const PONG: usize = 6 + 4;
    /// What a connection does when it is its turn, and how many bytes the server then receives.
    type Act = (fn(&Sender), usize);
    let cases: [(&str, Option<usize>, Act); 6] = [
        ("it has received a message", None, (|_| (), 0)),
        ("it has answered a ping", Some(first.len()), (|_| (), 0)),
        ("it has received a message in two parts", Some(2000), (|_| (), 0)),
        ("it has sent a message", None, (|ws| ws.send(&[7; 64][..]).unwrap(), 6 + 64)),
        (
            "it has sent many",
            None,
            (|ws| (0..300).for_each(|_| ws.send(&[7; 1000][..]).unwrap()), 300 * (8 + 1000)),
        ),
        ("it has sent a large one", None, (|ws| ws.send(vec![7; 300_000]).unwrap(), 14 + 300_000)),
    ];
    for (what, cut, (act, sent)) in cases {
        let first = first.clone();
        let server = Server::start_many(1 + BLOCKS * BLOCK, move |client| {
            if let Some(cut) = cut {
                client.write_all(&first[..cut]).unwrap();
                client.read_exact(&mut [0; PONG]).unwrap();
                client.write_all(&first[cut..]).unwrap();
            }
            client.write_all(&frame(0x81, b"your turn")).unwrap();
            client.read_exact(&mut vec![0; sent]).unwrap();
            client.write_all(&frame(0x81, b"done")).unwrap();
        });
        let event_loop = EventLoop::new().unwrap();
        let mut apps = Vec::with_capacity(1 + BLOCKS * BLOCK);
        let (done, is_done) = mpsc::channel();
        let mut add = || {
            let done = done.clone();
            let app = WebSocketApp::new(&server.url).on_message(move |ws, message| {
                match message.as_text() {
                    Some("done") => done.send(()).unwrap(),
                    Some(_) => act(ws),
                    None => {}
                }
            });
            apps.push(event_loop.add(app).unwrap());
            is_done.recv_timeout(PATIENCE).unwrap();
        };
        // What the loop itself needs is not to count.
        add();
        let mut blocks = [(); BLOCKS].map(|()| {
            let counted = Region::new(ALLOCATOR);
            (0..BLOCK).for_each(|_| add());
            held(counted.change()) / BLOCK as isize
        });
        // The middle one: meanwhile a list of the loop's grows, or a buffer that all connections
        // share.
        blocks.sort_unstable();
        let each = blocks[BLOCKS / 2];
        println!("{each} bytes each when {what}");
        assert!(each < 4096, "{each} bytes each when {what}");
        apps.iter().for_each(websocket_app::AppHandle::close);
        apps.into_iter().for_each(|app| drop(app.join().unwrap()));
        server.end();
    }
}

#[test]
fn a_connection_whose_peer_does_not_read_holds_little_more_than_what_waits() {
    // More than there are spare buffers, which others before may have left.
    const CONNECTIONS: usize = 8;
    let _alone = alone();
    let server =
        Server::start_many(CONNECTIONS, |client| client.write_all(&frame(0x81, b"hello")).unwrap());
    let event_loop = EventLoop::new().unwrap();
    let mut apps = Vec::with_capacity(CONNECTIONS);
    let mut each = [0; CONNECTIONS];
    for held_by_it in &mut each {
        let (received, message) = mpsc::channel();
        let app = WebSocketApp::new(&server.url)
            .ping_interval(None)
            .on_message(move |_, _| received.send(()));
        apps.push(event_loop.add(app).unwrap());
        // By then the loop has what it reads with.
        message.recv_timeout(PATIENCE).unwrap();
        let ws = apps[apps.len() - 1].sender();
        let counted = Region::new(ALLOCATOR);
        // One at a time, until the socket is full.
        while ws.flush(PATIENCE / 600).is_ok() {
            ws.send(&[7; 1000][..]).unwrap();
        }
        (0..3).for_each(|_| ws.send(&[7; 1000][..]).unwrap());
        *held_by_it = held(counted.change());
        assert!(ws.buffered_amount() > 3000);
    }
    println!("{each:?} bytes each while some 4,000 wait");
    assert!(each.iter().all(|held| *held < 20_000), "{each:?} bytes each while some 4,000 wait");
    apps.iter().for_each(websocket_app::AppHandle::close);
    apps.into_iter().for_each(|app| drop(app.join().unwrap()));
    server.end();
}

#[test]
fn a_blocking_connection_gives_the_memory_of_a_large_message_back_while_it_waits() {
    const LARGE: usize = 20 << 20;
    let _alone = alone();
    let server = Server::start(|mut client| {
        client.write_all(&frame(0x82, &[7; 10])).unwrap();
        client.write_all(&frame(0x82, &vec![7; LARGE])).unwrap();
        client.swallow();
    });
    let mut ws = WebSocket::builder(&server.url).ping_interval(None).connect().unwrap();
    assert_eq!(ws.recv().unwrap().as_message().len(), 10);
    let counted = Region::new(ALLOCATOR);
    assert_eq!(ws.recv().unwrap().as_message().len(), LARGE);
    let began = Instant::now();
    // The server drops its frame in its own time.
    while held(counted.change()) > 1 << 20 {
        assert!(began.elapsed() < PATIENCE, "{} bytes are held", held(counted.change()));
        assert!(ws.recv_timeout(PATIENCE / 20).unwrap().is_none());
    }
    ws.close().unwrap();
    server.end();
}

/// However many there were: names come from clients, often one for each room or order.
#[cfg(feature = "server")]
#[test]
fn a_topic_that_nobody_listens_to_any_more_takes_no_memory() {
    const TOPICS: usize = 10_000;
    let _alone = alone();
    let ((opened, is_open), (closed, is_closed)) = (mpsc::channel(), mpsc::channel());
    let server = websocket_app::server::Server::new("127.0.0.1:0")
        .on_open(move |client| opened.send(client.clone()).unwrap())
        .on_close(move |_, _| closed.send(()).unwrap())
        .spawn()
        .unwrap();
    let url = format!("ws://{}/", server.local_addr().unwrap());
    let subscribe = |unsubscribe: bool| {
        let mut ws = WebSocket::connect(&url).unwrap();
        let client = is_open.recv_timeout(PATIENCE).unwrap();
        let counted = Region::new(ALLOCATOR);
        for topic in 0..TOPICS {
            client.subscribe(topic.to_string());
            if unsubscribe {
                client.unsubscribe(topic.to_string());
            }
        }
        let all = held(counted.change());
        drop(client);
        ws.close().unwrap();
        is_closed.recv_timeout(PATIENCE).unwrap();
        (all, held(counted.change()))
    };
    // What the server itself needs for topics is not to count.
    subscribe(false);
    let (all, left) = subscribe(false);
    println!("{all} bytes for {TOPICS} topics, {left} when who listened had gone");
    assert!(all > TOPICS as isize && left < 10_000, "{left} bytes are left of {all}");
    let (left, _) = subscribe(true);
    println!("{left} bytes when nobody listened any more");
    assert!(left < 10_000, "{left} bytes are left when nobody listens any more");
    server.abort();
    server.join().unwrap();
}

/// What `Deflate`'s documentation says of memory. The first connection's contexts serve the second
/// where they are not taken over from message to message.
#[cfg(feature = "deflate")]
#[test]
fn a_compression_context_is_allocated_when_it_is_needed() {
    let _alone = alone();
    let forgetful = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
    for (answer, send, receive) in [
        ("permessage-deflate", [370, 370], [47, 47]),
        (
            "permessage-deflate; client_max_window_bits=12; server_max_window_bits=12",
            [260, 260],
            [47, 47],
        ),
        (
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
            [245, 245],
            [47, 47],
        ),
        (forgetful, [370, 0], [47, 0]),
    ] {
        for connection in 0..2 {
            let (to_send, to_receive) = compression_contexts(answer);
            println!(
                "{answer}, connection {connection}: {to_send} bytes to send, {to_receive} to receive"
            );
            for (bytes, kibibytes) in
                [(to_send, send[connection]), (to_receive, receive[connection])]
            {
                // About: what it is made of is the compression library's business, and may change
                // with each of its releases.
                let documented = (kibibytes * 9 / 10 - 5) << 10..(kibibytes * 11 / 10 + 5) << 10;
                assert!(
                    documented.contains(&bytes),
                    "{bytes} bytes with {answer}, connection {connection}"
                );
            }
        }
    }
}

/// What a connection holds more when it has sent its first compressed message, and when it has
/// received it.
#[cfg(feature = "deflate")]
fn compression_contexts(answer: &str) -> (isize, isize) {
    const TICK: &[u8] = b"{\"symbol\":\"BTC-EUR\",\"price\":12345.67,\"side\":\"buy\"}";
    /// What is inflated into at once; it belongs to the loop.
    const ARENA: isize = 16 << 10;
    let mut compressed = Vec::with_capacity(200);
    flate2::Compress::new_with_window_bits(flate2::Compression::fast(), false, 9)
        .compress_vec(TICK, &mut compressed, flate2::FlushCompress::Sync)
        .unwrap();
    compressed.truncate(compressed.len() - 4);
    let (plain, compressed) = (frame(0x81, TICK), frame(0xc1, &compressed));
    let (go, may_go) = mpsc::channel();
    let server = Server::start_with(
        &format!("Sec-WebSocket-Extensions: {answer}\r\n"),
        move |mut client| {
            client.write_all(&plain).unwrap();
            may_go.recv_timeout(PATIENCE).unwrap();
            client.write_all(&compressed).unwrap();
            client.swallow();
        },
    );
    let (received, messages) = mpsc::channel();
    let app = WebSocketApp::new(&server.url)
        .compression(websocket_app::Deflate::default().min_size(TICK.len()));
    let app = app.on_message(move |_, message| received.send(message.as_bytes() == TICK));
    let running = app.spawn().unwrap();
    let sender = running.sender();
    let send = |message: &[u8]| {
        sender.send(message).unwrap();
        sender.flush(PATIENCE).unwrap();
    };
    assert!(messages.recv_timeout(PATIENCE).unwrap());
    // Too short to be compressed.
    send(&TICK[1..]);
    let counted = Region::new(ALLOCATOR);
    send(TICK);
    let to_send = held(counted.change());
    go.send(()).unwrap();
    assert!(messages.recv_timeout(PATIENCE).unwrap());
    let to_receive = held(counted.change()) - to_send - ARENA;
    running.close();
    running.join().unwrap();
    server.end();
    (to_send, to_receive)
}

fn held(stats: Stats) -> isize {
    // What was reallocated is in both already.
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}

fn allocations(stats: Stats) -> usize {
    stats.allocations + stats.reallocations
}

/// A frame as a server sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(len as u8),
        len @ 126..0x1_0000 => {
            frame.push(126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// Listens on a port of its own, on a thread of its own.
struct Server {
    url: String,
    thread: JoinHandle<()>,
}

impl Server {
    /// Serves one client.
    fn start(script: impl FnOnce(Client) + Send + 'static) -> Self {
        Server::start_with("", script)
    }

    /// Serves one client, which gets these headers, each with its line end.
    fn start_with(headers: &str, script: impl FnOnce(Client) + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let headers = headers.to_owned();
        Server { url, thread: thread::spawn(move || script(Client::accept(&listener, &headers))) }
    }

    /// Serves many, one after the other as far as the script goes; after that they say nothing but
    /// Close.
    fn start_many(clients: usize, script: impl Fn(&mut Client) + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let thread = thread::spawn(move || {
            let serve = |_| {
                let mut client = Client::accept(&listener, "");
                script(&mut client);
                client
            };
            let clients: Vec<Client> = (0..clients).map(serve).collect();
            clients.into_iter().for_each(Client::swallow);
        });
        Server { url, thread }
    }

    fn end(self) {
        self.thread.join().unwrap();
    }
}

struct Client(TcpStream);

impl Client {
    fn accept(listener: &TcpListener, headers: &str) -> Self {
        let (mut tcp, _) = listener.accept().unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            tcp.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
        );
        tcp.write_all(answer.as_bytes()).unwrap();
        Client(tcp)
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.0.read_exact(bytes)
    }

    /// Closes and waits for the answer.
    fn close(mut self) {
        self.0.write_all(&frame(0x88, &1000_u16.to_be_bytes())).unwrap();
        self.0.read_exact(&mut [0; 2 + 4 + 2]).unwrap();
    }

    /// Reads, and does not look at it, up to the Close frame at the end, which it answers.
    fn swallow(mut self) {
        let (mut buffer, mut last) = ([0; 64 << 10], [0; 8]);
        loop {
            let read = self.0.read(&mut buffer).unwrap();
            assert!(read > 0, "the client hung up without a Close frame");
            let kept = read.min(8);
            last.copy_within(kept.., 0);
            last[8 - kept..].copy_from_slice(&buffer[read - kept..read]);
            let unmasked = [last[6] ^ last[2], last[7] ^ last[3]];
            if last[..2] == [0x88, 0x82] && unmasked == 1000_u16.to_be_bytes() {
                return self.0.write_all(&frame(0x88, &1000_u16.to_be_bytes())).unwrap();
            }
        }
    }
}
