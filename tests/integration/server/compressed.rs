//! Messages for all where clients have agreed to compression, each to its own: compressed once for
//! each size of window, and in step with what is compressed for one client alone.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use websocket_app::server::{Server, SlowClients};
use websocket_app::{ClosedBy, Deflate, Outgoing};

use super::serving::{Serving, echoes, serve};
use super::visitor::{Visitor, request};
use crate::failure::clean;
use crate::frame::{BINARY, Frame, TEXT};
use crate::recorder::Recorder;
use crate::watchdog::Task;
use crate::zlib::Zlib;

/// What clients offer: windows and contexts of every kind.
const OFFERS: [&str; 5] = [
    "permessage-deflate",
    "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=15",
    "permessage-deflate; server_max_window_bits=9",
    "permessage-deflate; server_max_window_bits=9; server_no_context_takeover",
];

struct Inflating {
    visitor: Visitor,
    calls: Recorder,
    zlib: Zlib,
}

impl Inflating {
    fn open(serving: &Serving, offer: &str) -> Self {
        let mut visitor = Visitor::connect(serving.addr());
        let head = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        let answer = visitor.upgrade(&request("/", &head));
        let agreed = answer.header("Sec-WebSocket-Extensions").expect("it is agreed");
        // The scripted side is the client here, so its windows are the other way round.
        let swapped =
            agreed.replace("server_", "x_").replace("client_", "server_").replace("x_", "client_");
        let calls = serving.next();
        calls.expect_open();
        Inflating { visitor, calls, zlib: Zlib::new(&swapped) }
    }

    fn expect(&mut self, message: &str) -> Vec<u8> {
        let frame = self.visitor.read_frame();
        assert_eq!(frame.opcode, TEXT);
        let inflated = self.zlib.inflate(&frame);
        assert!(inflated == message.as_bytes(), "{}", String::from_utf8_lossy(&inflated));
        frame.payload
    }

    fn close(self) {
        let Inflating { visitor, calls, .. } = self;
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
    }
}

fn compressing(server: Server) -> Server {
    server.compression(Deflate::default().min_size(100))
}

/// Of a kilobyte, and much like any other.
fn prices(number: usize) -> String {
    (0..10)
        .map(|i| format!("{{\"symbol\":\"ABC{i}\",\"price\":{number}.25,\"size\":{i}00}},"))
        .collect()
}

#[test]
fn what_is_for_all_is_compressed_as_each_has_agreed() {
    let serving = serve(compressing, echoes);
    let mut clients = OFFERS.map(|offer| Inflating::open(&serving, offer));
    let (mut plain, calls) = serving.open();
    for number in 0..20 {
        // What goes to one alone may refer to all that this one has got so, and to nothing else.
        for client in &mut clients {
            let own = prices(number);
            client.visitor.send(client.zlib.frame(Frame::text(&*own)));
            client.calls.expect_text(&own);
            client.expect(&own);
        }
        let message = prices(1_000 + number);
        assert_eq!(serving.handle().broadcast(&*message).clients, OFFERS.len() + 1);
        plain.expect_text(&message);
        let frames = clients.each_mut().map(|client| client.expect(&message));
        assert!(frames[0].len() < message.len() / 3, "{} bytes", frames[0].len());
        assert!(frames[0] == frames[1] && frames[0] == frames[2]);
        assert!(frames[3] == frames[4]);
    }
    clients.into_iter().for_each(Inflating::close);
    plain.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    serving.end();
}

#[test]
fn what_is_short_or_secret_or_random_is_not_compressed() {
    let serving = serve(compressing, echoes);
    let mut client = Inflating::open(&serving, OFFERS[0]);
    let handle = serving.handle();
    let random: [u8; 1_000] = StdRng::seed_from_u64(1).random();
    let (short, secret) = ("a".repeat(99), "b".repeat(1_000));
    handle.broadcast(&*short);
    handle.broadcast(Outgoing::from(&*secret).uncompressed());
    handle.broadcast(random);
    client.visitor.expect_text(&short);
    client.visitor.expect_text(&secret);
    let frame = client.visitor.read_frame();
    assert!((frame.opcode, frame.rsv) == (BINARY, 0) && frame.payload == random);
    handle.broadcast(&*"c".repeat(100));
    client.expect(&"c".repeat(100));
    client.close();
    serving.end();
}

/// A message that is being compressed for one client refers to what this one has got, and so none
/// that is compressed for all may go before it.
#[test]
fn what_is_for_all_and_for_one_are_in_step_whoever_sends() {
    const EACH: usize = 1_500;
    let serving = serve(compressing, echoes);
    let mut clients = [OFFERS[0], OFFERS[3]].map(|offer| Inflating::open(&serving, offer));
    let handle = serving.handle();
    let own = handle.clients().into_iter().map(|client| {
        Task::start("a thread that sends to one", move || {
            (0..EACH).try_for_each(|number| client.send(&*prices(number)))
        })
    });
    let own: Vec<_> = own.collect();
    let for_all = Task::start("a thread that sends to all", move || {
        for number in EACH..2 * EACH {
            handle.broadcast(&*prices(number));
        }
    });
    for client in &mut clients {
        let mut next = [0, EACH];
        while next != [EACH, 2 * EACH] {
            let frame = client.visitor.read_frame();
            let message = match frame.rsv {
                0 => frame.payload,
                _ => client.zlib.inflate(&frame),
            };
            let message = String::from_utf8(message).unwrap();
            let which = next.iter_mut().find(|number| message == prices(**number));
            *which.unwrap_or_else(|| panic!("neither is next: {message}")) += 1;
        }
    }
    own.into_iter().for_each(|thread| thread.join().unwrap());
    for_all.join();
    clients.into_iter().for_each(Inflating::close);
    serving.end();
}

/// What is kept for a client that does not read goes out compressed too.
#[test]
fn the_latest_of_a_topic_is_compressed() {
    let options = |server| compressing(server).slow_clients(SlowClients::KeepLatest);
    let serving = serve(|server| options(server).max_send_buffer(20_000), echoes);
    let mut visitor = Visitor::connect_with_small_buffer(serving.addr());
    let head = format!("Sec-WebSocket-Extensions: {}\r\n", OFFERS[3]);
    visitor.upgrade(&request("/", &head));
    let calls = serving.next();
    calls.expect_open();
    let answer = "permessage-deflate; client_max_window_bits=9";
    let mut client = Inflating { visitor, calls, zlib: Zlib::new(answer) };
    let handle = serving.handle();
    let mut delayed = 0;
    let last = (0..1_000_000).find(|number| {
        delayed += handle.broadcast(&*prices(*number)).delayed;
        delayed == 2
    });
    let last = last.expect("at last there is no room");
    for number in 0.. {
        let frame = client.visitor.read_frame();
        let message = String::from_utf8(client.zlib.inflate(&frame)).unwrap();
        if message == prices(last) {
            break;
        }
        assert!(message == prices(number), "{message} instead of number {number}");
    }
    client.close();
    serving.end();
}
