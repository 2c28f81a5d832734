//! Many threads, one `Sender`, both directions at once: everything arrives whole, and each thread's
//! messages in its order.

use websocket_app::{ClosedBy, SendError, Sender};

use crate::failure::clean;
use crate::frame::{BINARY, CLOSE, Frame, PING, TEXT};
use crate::peer::{Listener, Peer};
use crate::recorder::Call;
use crate::running::run;
use crate::watchdog::Task;

#[test]
fn eight_threads_send_ten_thousand_messages_each_while_the_server_sends_as_many() {
    eight_threads(Peer::start(eight_threads_script));
}

#[cfg(feature = "__tls")]
#[test]
fn eight_threads_over_tls() {
    crate::tls::on_each(|backend| {
        eight_threads(Peer::start_tls(backend, eight_threads_script));
    });
}

const THREADS: usize = 8;
const EACH: usize = 10_000;
/// The script reads as much as it writes, a batch after the other, so that one thread is enough for
/// both.
const BATCH: usize = 100;

fn eight_threads(peer: Peer) {
    let app = run(peer.app());
    app.expect_open();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let ws = app.sender.clone();
            Task::start(format!("sender {thread}"), move || {
                (0..EACH).try_for_each(|i| ws.send(format!("{thread} {i}")))
            })
        })
        .collect();
    (0..THREADS * EACH).for_each(|i| app.expect_text(&i.to_string()));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    let stats = app.sender.stats();
    assert_eq!(
        (stats.messages_sent, stats.messages_received),
        ((THREADS * EACH) as u64, (THREADS * EACH) as u64)
    );
    assert_eq!(app.sender.buffered_amount(), 0);
    app.end_in_order();
}

fn eight_threads_script(listener: &Listener) {
    let mut client = listener.open();
    let mut next = [0; THREADS];
    for batch in 0..THREADS * EACH / BATCH {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        client.write(numbers.flat_map(|i| Frame::text(i.to_string()).encode()).collect::<Vec<_>>());
        for _ in 0..BATCH {
            let frame = client.read_frame();
            assert!(frame.fin && frame.opcode == TEXT, "{frame:?}");
            let text = String::from_utf8(frame.payload).unwrap();
            let (thread, number) = text.split_once(' ').unwrap();
            let next = &mut next[thread.parse::<usize>().unwrap()];
            assert_eq!(number, next.to_string(), "each thread's messages come in its order");
            *next += 1;
        }
    }
    assert_eq!(next, [EACH; THREADS]);
    client.close(1000, "");
}

#[test]
fn messages_of_every_size_from_many_threads_arrive_whole() {
    every_size(Peer::start(every_size_script));
}

#[cfg(feature = "__tls")]
#[test]
fn messages_of_every_size_over_tls() {
    crate::tls::on_each(|backend| {
        every_size(Peer::start_tls(backend, every_size_script));
    });
}

const SENDERS: u8 = 4;
const ROUNDS: u32 = 60;

/// Short and long ones, given away and lent, waiting for room and not, with pings in between.
fn every_size(peer: Peer) {
    let app = run(peer.app().max_send_buffer(1 << 18));
    app.expect_open();
    let threads: Vec<_> = (0..SENDERS)
        .map(|thread| {
            let ws = app.sender.clone();
            Task::start(format!("sender {thread}"), move || {
                (0..ROUNDS).for_each(|i| send_one(&ws, thread, i))
            })
        })
        .collect();
    threads.into_iter().for_each(Task::join);
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

fn send_one(ws: &Sender, thread: u8, i: u32) {
    let data = message(thread, i);
    match i % 4 {
        0 => ws.send(&data).unwrap(),
        1 => ws.send(data).unwrap(),
        2 => ws.send(bytes::Bytes::from(data)).unwrap(),
        _ => {
            while let Err(SendError::QueueFull { .. }) = ws.try_send(&data) {
                std::thread::yield_now();
            }
            ws.ping([thread]).unwrap();
        }
    }
}

fn every_size_script(listener: &Listener) {
    let mut client = listener.open();
    let (mut next, mut pings) = ([0; SENDERS as usize], 0);
    // A ping is the last that each thread sends, and needs a connection as well.
    while next != [ROUNDS; SENDERS as usize] || pings < u32::from(SENDERS) * ROUNDS / 4 {
        let frame = client.read_frame();
        if frame.opcode == PING {
            pings += 1;
            continue;
        }
        assert!(frame.fin && frame.opcode == BINARY, "{frame:?}");
        let thread = frame.payload[0];
        let next = &mut next[usize::from(thread)];
        assert!(
            frame.payload == message(thread, *next),
            "thread {thread}, message {next}: {frame:?}"
        );
        *next += 1;
    }
    // The last thread's last ping may still be on its way.
    client.send(Frame::close(1000, ""));
    client.skip_to_close();
}

/// From 1 byte to 300 KiB, short ones being the most; lines of a prime length that depend on thread
/// and number.
fn message(thread: u8, i: u32) -> Vec<u8> {
    let hash = (u32::from(thread) * ROUNDS + i).wrapping_mul(2_654_435_761);
    let length = [1, 10, 200, 5000, 70_000, 300_000][(hash >> 28) as usize % 6];
    let line: Vec<u8> =
        (0..251_u32).map(|place| (place.wrapping_mul(hash | 1) >> 16) as u8).collect();
    let mut message = line.repeat(length / line.len() + 1);
    message.truncate(length);
    message[0] = thread;
    message
}

/// Whatever is in flight in both directions when `close()` is called: what was sent before is
/// there, what comes before the peer's Close is delivered.
#[test]
fn close_at_any_moment_of_a_busy_connection() {
    for moment in 0..20 {
        let (counted, arrived) = crossbeam_channel::bounded(1);
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            let mut number = 0_usize;
            loop {
                // One for one, so that neither side waits for the other.
                client.send(Frame::text(number.to_string()));
                let frame = client.read_frame();
                if frame.opcode == CLOSE {
                    client.send(frame);
                    return counted.send(number).unwrap();
                }
                assert!(
                    frame == Frame::text(number.to_string()),
                    "{frame:?} is not number {number}"
                );
                number += 1;
            }
        });
        let app = run(peer.app());
        app.expect_open();
        let ws = app.sender.clone();
        let sending = Task::start("sending", move || {
            (0_usize..).take_while(|i| ws.send(i.to_string()).is_ok()).count()
        });
        (0..=moment * 10).for_each(|i| app.expect_text(&i.to_string()));
        app.sender.close();
        let mut number = moment * 10 + 1;
        loop {
            match app.next() {
                Call::Message(message) => assert_eq!(message.to_string(), number.to_string()),
                Call::Close(_) => break,
                call => panic!("{call:?}"),
            }
            number += 1;
        }
        assert_eq!(arrived.recv(), Ok(sending.join()), "what was sent has arrived");
        app.end_in_order();
    }
}
