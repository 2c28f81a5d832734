//! What is sent compressed, and what is not.

use std::io::Write;
use std::thread;
use std::time::Duration;

use websocket_app::{ClosedBy, Deflate, MessageKind, MessageWriter, Outgoing, Reconnect};

use super::{PLAIN, compressing, open, ticks};
use crate::connection::Connection;
use crate::failure::{clean, lost};
use crate::frame::{BINARY, CLOSE, CONTINUATION, Frame, TEXT};
use crate::peer::Peer;
use crate::running::{Running, run};
use crate::watchdog::Gate;

#[test]
fn what_is_long_enough_goes_out_compressed() {
    let peer = Peer::start(|listener| {
        let (mut client, mut zlib) = open(listener, PLAIN);
        client.expect_text(&ticks(1023));
        let frame = client.read_frame();
        assert!(frame.opcode == TEXT && frame.payload.len() < 512, "{frame:?}");
        assert!(zlib.inflate(&frame) == ticks(1024).as_bytes());
        // What its sender knows to be random is not tried.
        client.expect(Frame::binary(ticks(5000)));
        let frame = client.read_frame();
        assert!(frame.opcode == BINARY && zlib.inflate(&frame) == ticks(5000).as_bytes());
        client.answer_close();
    });
    let app = run(peer.app().compression(Deflate::default()));
    app.expect_open();
    app.sender.send(ticks(1023)).unwrap();
    app.sender.send(ticks(1024)).unwrap();
    app.sender.send(Outgoing::from(ticks(5000).as_bytes()).uncompressed()).unwrap();
    app.sender.send(ticks(5000).as_bytes()).unwrap();
    let stats = app.sender.stats();
    assert_eq!(stats.bytes_sent, 1023 + 1024 + 2 * 5000);
    assert!((6024..8000).contains(&stats.wire_bytes_sent), "{stats:?}");
    close(app);
}

#[test]
fn every_size_inflates_to_what_was_sent() {
    let sizes = [0, 1, 2, 100, 16_383, 16_384, 65_536, 200_000, 4 << 20];
    for answer in [
        PLAIN,
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; client_max_window_bits=9",
        "permessage-deflate; client_no_context_takeover; client_max_window_bits=11; server_max_window_bits=10",
    ] {
        let peer = Peer::start(move |listener| {
            let (mut client, mut zlib) = open(listener, answer);
            for size in sizes {
                assert!(
                    zlib.inflate(&client.read_frame()) == ticks(size).as_bytes(),
                    "{size} bytes, {answer}"
                );
            }
            client.answer_close();
        });
        let app = run(compressing(&peer));
        app.expect_open();
        for size in sizes {
            app.sender.send(ticks(size)).unwrap();
        }
        close(app);
    }
}

#[test]
fn the_context_is_taken_over_unless_that_was_agreed_away() {
    for (answer, forgets) in
        [(PLAIN, false), ("permessage-deflate; client_no_context_takeover", true)]
    {
        let peer = Peer::start(move |listener| {
            let (mut client, mut zlib) = open(listener, answer);
            let (first, second) = (client.read_frame(), client.read_frame());
            assert!(zlib.inflate(&first) == zlib.inflate(&second));
            match forgets {
                true => assert!(first == second, "each is compressed as if it were the first"),
                false => {
                    assert!(second.payload.len() * 5 < first.payload.len(), "{first:?} {second:?}")
                }
            }
            client.answer_close();
        });
        let app = run(compressing(&peer));
        app.expect_open();
        app.sender.send(ticks(3000)).unwrap();
        app.sender.send(ticks(3000)).unwrap();
        close(app);
    }
}

#[test]
fn what_was_offered_binds_us_though_the_server_does_not_repeat_it() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        client.upgrade_with_extensions(PLAIN);
        let mut zlib = super::Zlib::new(
            "permessage-deflate; client_no_context_takeover; client_max_window_bits=9",
        );
        for _ in 0..3 {
            assert!(zlib.inflate(&client.read_frame()) == ticks(5000).as_bytes());
        }
        client.answer_close();
    });
    let deflate =
        Deflate::default().client_no_context_takeover(true).client_max_window_bits(9).min_size(0);
    let app = run(peer.app().compression(deflate));
    app.expect_open();
    for _ in 0..3 {
        app.sender.send(ticks(5000)).unwrap();
    }
    close(app);
}

#[test]
fn a_window_that_zlib_does_not_have_means_uncompressed() {
    let peer = Peer::start(|listener| {
        let (mut client, mut zlib) = open(listener, "permessage-deflate; client_max_window_bits=8");
        client.expect_text(&ticks(5000));
        client.send(zlib.frame(Frame::text(ticks(5000))));
        client.answer_close();
    });
    let app = run(compressing(&peer));
    app.expect_open();
    app.sender.send(ticks(5000)).unwrap();
    app.expect_text(&ticks(5000));
    close(app);
}

#[test]
fn many_threads_send_in_the_order_of_compression() {
    const THREADS: usize = 4;
    const EACH: usize = 300;
    let peer = Peer::start(|listener| {
        let (mut client, mut zlib) = open(listener, PLAIN);
        let mut next = [0; THREADS];
        for _ in 0..THREADS * EACH {
            let frame = client.read_frame();
            // Some are too short to be compressed.
            let message = if frame.rsv == 0 { frame.payload } else { zlib.inflate(&frame) };
            let message = String::from_utf8(message).unwrap();
            let mut words = message.split(' ').map(|word| word.parse::<usize>());
            let (Some(Ok(thread)), Some(Ok(number))) = (words.next(), words.next()) else {
                panic!("{message}")
            };
            assert_eq!(number, next[thread], "of thread {thread}");
            next[thread] += 1;
        }
        client.answer_close();
    });
    let app = run(peer.app().compression(Deflate::default().min_size(100)));
    app.expect_open();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let sender = &app.sender;
            scope.spawn(move || {
                for number in 0..EACH {
                    sender
                        .send(format!("{thread} {number} {}", ticks(number * 31 % 3000)))
                        .unwrap();
                }
            });
        }
    });
    close(app);
}

#[test]
fn each_connection_agrees_anew_and_begins_with_an_empty_context() {
    let peer = Peer::start(|listener| {
        let (mut first, mut zlib) = open(listener, PLAIN);
        assert!(zlib.inflate(&first.read_frame()) == ticks(5000).as_bytes());
        first.reset();
        let mut second = listener.open();
        second.expect_text(&ticks(5000));
        second.reset();
        let (mut third, mut zlib) = open(listener, "permessage-deflate; client_max_window_bits=9");
        assert!(zlib.inflate(&third.read_frame()) == ticks(5000).as_bytes());
        third.answer_close();
    });
    let app = run(compressing(&peer).reconnect(Reconnect::fixed(Duration::from_millis(1))));
    app.expect_open();
    app.sender.send(ticks(5000)).unwrap();
    for _ in 0..2 {
        app.failure();
        app.expect_close_for_now(lost());
        app.expect_reconnect();
        app.sender.send(ticks(5000)).unwrap();
    }
    close(app);
}

/// Reads a message in fragments, of which the first says whether it is compressed, as one frame.
fn read_whole(client: &mut Connection) -> Frame {
    let mut whole = client.read_frame();
    while !whole.fin {
        let frame = client.read_frame();
        assert_eq!((frame.opcode, frame.rsv), (CONTINUATION, 0), "{frame:?}");
        whole.payload.extend(frame.payload);
        whole.fin = frame.fin;
    }
    whole
}

#[test]
fn what_is_written_in_pieces_is_compressed_as_a_stream() {
    const SIZES: [usize; 5] = [0, 100, 32 << 10, 100_000, 4 << 20];
    for answer in [
        PLAIN,
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; client_max_window_bits=9",
    ] {
        let peer = Peer::start(move |listener| {
            let (mut client, mut zlib) = open(listener, answer);
            for size in SIZES {
                let written = read_whole(&mut client);
                assert!(written.payload.len() < size / 2 + 100, "{written:?}");
                assert!(zlib.inflate(&written) == ticks(size).as_bytes(), "{size}, {answer}");
                assert!(zlib.inflate(&client.read_frame()) == ticks(5000).as_bytes());
            }
            client.answer_close();
        });
        let app = run(compressing(&peer));
        app.expect_open();
        for size in SIZES {
            let mut writer = app.sender.message_writer(MessageKind::Text).unwrap();
            for (i, part) in ticks(size).as_bytes().chunks(10_000).enumerate() {
                writer.write_all(part).unwrap();
                if i % 3 == 0 {
                    writer.flush().unwrap();
                }
            }
            writer.finish().unwrap();
            app.sender.send(ticks(5000)).unwrap();
        }
        let stats = app.sender.stats();
        assert_eq!(stats.messages_sent, 2 * SIZES.len() as u64);
        assert_eq!(stats.bytes_sent, (SIZES.iter().sum::<usize>() + 5000 * SIZES.len()) as u64);
        assert!(stats.wire_bytes_sent < stats.bytes_sent / 2, "{stats:?}");
        close(app);
    }
}

/// However much, or little, compressing gives at once: what does not shrink even grows.
#[test]
fn what_is_written_goes_out_in_fragments_two_at_least_and_none_too_long() {
    const FRAGMENT: usize = 32 << 10;
    let noise = |len: usize| -> Vec<u8> {
        let mut number = 12345_u64;
        let mut next = || {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (number >> 40) as u8
        };
        (0..len).map(|_| next()).collect()
    };
    let messages = [noise(2 * FRAGMENT), vec![0; FRAGMENT + 1], noise(5 * FRAGMENT - 1)];
    let to_expect = messages.clone();
    let peer = Peer::start(move |listener| {
        let (mut client, mut zlib) = open(listener, PLAIN);
        for message in to_expect {
            let mut whole = client.read_frame();
            assert!(!whole.fin, "there is another");
            while !whole.fin {
                let next = client.read_frame();
                assert!(next.payload.len() <= FRAGMENT && next.opcode == CONTINUATION);
                whole.payload.extend(next.payload);
                whole.fin = next.fin;
            }
            assert!(zlib.inflate(&whole) == message);
        }
        client.answer_close();
    });
    let app = run(compressing(&peer));
    app.expect_open();
    for message in messages {
        let mut writer = app.sender.message_writer(MessageKind::Binary).unwrap();
        writer.write_all(&message).unwrap();
        writer.finish().unwrap();
    }
    close(app);
}

#[test]
fn what_is_written_and_flushed_can_be_inflated_then() {
    let seen = Gate::new();
    let tell = seen.clone();
    let peer = Peer::start(move |listener| {
        let (mut client, mut zlib) = open(listener, PLAIN);
        let first = client.read_frame();
        assert!(zlib.inflate_part(&first.payload) == ticks(1000).as_bytes());
        tell.open();
        let last = client.read_frame();
        assert!(!first.fin && last.fin && last.opcode == CONTINUATION, "{first:?} {last:?}");
        assert!(zlib.inflate(&last.rsv(0b100)) == b"and the rest");
        client.answer_close();
    });
    let app = run(compressing(&peer));
    app.expect_open();
    let mut writer = app.sender.message_writer(MessageKind::Text).unwrap();
    writer.write_all(ticks(1000).as_bytes()).unwrap();
    writer.flush().unwrap();
    seen.wait();
    writer.write_all(b"and the rest").unwrap();
    writer.finish().unwrap();
    close(app);
}

#[test]
fn what_is_written_is_not_compressed_where_it_is_short_or_is_not_to_be() {
    let peer = Peer::start(|listener| {
        let (mut client, mut zlib) = open(listener, PLAIN);
        client.expect_text(&ticks(1023));
        let written = read_whole(&mut client);
        assert!(written == Frame::text(ticks(100_000)), "{written:?}");
        assert!(zlib.inflate(&client.read_frame()) == ticks(1024).as_bytes());
        client.answer_close();
    });
    let app = run(peer.app().compression(Deflate::default()));
    app.expect_open();
    let write = |mut writer: MessageWriter, length| {
        writer.write_all(ticks(length).as_bytes()).unwrap();
        writer.finish().unwrap();
    };
    write(app.sender.message_writer(MessageKind::Text).unwrap(), 1023);
    write(app.sender.message_writer(MessageKind::Text).unwrap().uncompressed(), 100_000);
    // What compresses is given back, also by one that is not used.
    drop(app.sender.message_writer(MessageKind::Text).unwrap());
    write(app.sender.message_writer(MessageKind::Text).unwrap(), 1024);
    close(app);
}

#[test]
fn threads_that_compress_and_one_that_writes_in_pieces_take_turns() {
    const EACH: usize = 200;
    let peer = Peer::start(|listener| {
        let (mut client, mut zlib) = open(listener, PLAIN);
        let mut next = [0; 3];
        for _ in 0..next.len() * EACH {
            let message = zlib.inflate(&read_whole(&mut client));
            let message = String::from_utf8(message).unwrap();
            let mut words = message.split(' ').map(|word| word.parse::<usize>());
            let (Some(Ok(thread)), Some(Ok(number))) = (words.next(), words.next()) else {
                panic!("{message}")
            };
            assert_eq!(number, next[thread], "of thread {thread}");
            assert!(message.ends_with(&ticks(number * 131 % 9000)));
            next[thread] += 1;
        }
        client.answer_close();
    });
    let app = run(compressing(&peer));
    app.expect_open();
    thread::scope(|scope| {
        for thread in 0..3 {
            let sender = &app.sender;
            scope.spawn(move || {
                for number in 0..EACH {
                    let message = format!("{thread} {number} {}", ticks(number * 131 % 9000));
                    if thread > 0 {
                        sender.send(message).unwrap();
                        continue;
                    }
                    let mut writer = sender.message_writer(MessageKind::Text).unwrap();
                    for part in message.as_bytes().chunks(1000) {
                        writer.write_all(part).unwrap();
                        writer.flush().unwrap();
                    }
                    writer.finish().unwrap();
                }
            });
        }
    });
    close(app);
}

#[test]
fn control_frames_are_never_compressed() {
    let peer = Peer::start(|listener| {
        let (mut client, _) = open(listener, PLAIN);
        assert_eq!(client.expect_ping(), [b'x'; 125]);
        client.send(Frame::ping([b'y'; 125]));
        client.expect(Frame::pong([b'y'; 125]));
        let close = client.read_frame();
        assert!(close.opcode == CLOSE && close.rsv == 0, "{close:?}");
        client.send(Frame::close(1000, ""));
    });
    let app = run(compressing(&peer));
    app.expect_open();
    app.sender.ping([b'x'; 125]).unwrap();
    app.expect(crate::recorder::Call::Ping(vec![b'y'; 125]));
    app.sender.close_with(1000, &"x".repeat(123)).unwrap();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

fn close(app: Running) {
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}
