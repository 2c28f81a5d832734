//! Messages for all and for those of a topic: each thread's in its order at every client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use websocket_app::ClosedBy;

use super::serving::{A_MOMENT, STYLES, serve, serve_as};
use super::visitor::{Visitor, request};
use crate::failure::clean;
use crate::frame::Frame;
use crate::recorder::{Call, Recorder};
use crate::watchdog::Task;

pub(super) fn nothing(
    _: &websocket_app::server::Client,
    _: &Call,
) -> Result<(), websocket_app::CallbackError> {
    Ok(())
}

pub(super) fn close_all(clients: impl IntoIterator<Item = (Visitor, Recorder)>) {
    for (visitor, calls) in clients {
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
    }
}

#[test]
fn the_messages_of_each_thread_are_in_its_order_at_every_client() {
    const THREADS: usize = 3;
    const MESSAGES: usize = 300;
    for style in STYLES {
        let serving = serve_as(style, |server| server, nothing);
        let mut clients: Vec<_> = (0..10).map(|_| serving.open()).collect();
        let sending = (0..THREADS).map(|thread| {
            let handle = serving.handle();
            Task::start("a thread that sends", move || {
                for i in 0..MESSAGES {
                    let message = format!("{thread} {i}");
                    // Topics and all are one order.
                    let delivered = handle.broadcast(message);
                    assert_eq!((delivered.clients, delivered.closed), (10, 0));
                }
            })
        });
        for thread in sending.collect::<Vec<_>>() {
            thread.join();
        }
        for (visitor, _) in &mut clients {
            let mut next = [0; THREADS];
            for _ in 0..THREADS * MESSAGES {
                let text = String::from_utf8(visitor.read_frame().payload).unwrap();
                let (thread, i) = text.split_once(' ').expect("two numbers");
                let next = &mut next[thread.parse::<usize>().unwrap()];
                assert_eq!(i.parse::<usize>(), Ok(*next), "thread {thread}");
                *next += 1;
            }
        }
        close_all(clients);
        serving.end();
    }
}

/// What one thread sends to all, to a topic and to one client comes in that order too.
#[test]
fn ways_to_send_do_not_overtake_each_other() {
    for style in STYLES {
        let serving = serve_as(style, |server| server, nothing);
        let (mut visitor, calls) = serving.open();
        let handle = serving.handle();
        let client = handle.clients().pop().expect("it is there");
        client.subscribe("topic");
        for i in 0..500 {
            match i % 3 {
                0 => client.send(format!("{i}")).unwrap(),
                1 => assert_eq!(handle.broadcast(format!("{i}")).clients, 1),
                _ => assert_eq!(handle.publish("topic", format!("{i}")).clients, 1),
            }
        }
        (0..500).for_each(|i| visitor.expect_text(&i.to_string()));
        drop((client, handle));
        close_all([(visitor, calls)]);
        serving.end();
    }
}

#[test]
fn every_kind_and_length_of_message_arrives_whole() {
    let serving = serve(|server| server, nothing);
    let mut clients: Vec<_> = (0..3).map(|_| serving.open()).collect();
    for length in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
        let (text, data) = ("t".repeat(length), vec![0xfe; length]);
        serving.handle().broadcast(&*text);
        serving.handle().broadcast(&data[..]);
        for (visitor, _) in &mut clients {
            visitor.expect_text(&text);
            visitor.expect(Frame::binary(&*data));
        }
    }
    close_all(clients);
    serving.end();
}

/// A large message is not copied to be sent, but what the socket has no room for: its bytes differ, so
/// that none may be missing or come twice.
#[test]
fn a_large_message_arrives_whole_however_much_of_it_there_is_room_for_at_a_time() {
    let serving = serve(|server| server, nothing);
    let mut slow = Visitor::connect_with_small_buffer(serving.addr());
    slow.upgrade(&request("/", ""));
    let its_calls = serving.next();
    its_calls.expect_open();
    let visitors = [(slow, its_calls), serving.open()];
    let clients = serving.handle().clients();
    for (client, (mut visitor, calls)) in clients.into_iter().zip(visitors) {
        for length in [32 << 10, (32 << 10) + 1, 100_000, (1 << 20) - 100] {
            let payload: Vec<u8> =
                (0..length as u32).map(|i| (i.wrapping_mul(i) / 251) as u8).collect();
            client.send(&payload[..]).unwrap();
            client.send("behind it").unwrap();
            assert!(visitor.read_frame() == Frame::binary(&*payload), "{length} bytes");
            visitor.expect_text("behind it");
        }
        drop(client);
        close_all([(visitor, calls)]);
    }
    serving.end();
}

#[test]
fn topics_reach_those_who_subscribe() {
    for style in STYLES {
        let serving = serve_as(
            style,
            |server| server,
            |client, call| {
                let Call::Message(message) = call else { return Ok(()) };
                match message.as_text().and_then(|text| text.split_once(' ')) {
                    Some(("subscribe", topic)) => client.subscribe(topic),
                    Some(("unsubscribe", topic)) => client.unsubscribe(topic),
                    _ => {}
                }
                Ok(client.send("done")?)
            },
        );
        let mut clients: Vec<_> = (0..4).map(|_| serving.open()).collect();
        let mut tell = |which: usize, what: &str| {
            let (visitor, calls) = &mut clients[which];
            visitor.text(what);
            calls.expect_text(what);
            visitor.expect_text("done");
        };
        tell(0, "subscribe a");
        tell(1, "subscribe a");
        tell(1, "subscribe b");
        tell(2, "subscribe b");
        // Twice is once.
        tell(0, "subscribe a");
        // And what one has not, one cannot lose.
        tell(3, "unsubscribe a");
        let handle = serving.handle();
        let reach = |topic: &str, message: &str| handle.publish(topic, message).clients;
        assert_eq!(reach("a", "to a"), 2);
        assert_eq!(reach("b", "to b"), 2);
        assert_eq!([reach("c", "nobody"), reach("", "nobody"), reach("A", "nobody")], [0; 3]);
        let mut hears = |which: usize, texts: &[&str]| {
            texts.iter().for_each(|text| clients[which].0.expect_text(text));
            clients[which].0.ping("nothing else");
            clients[which].1.expect(Call::Ping(b"nothing else".into()));
        };
        hears(0, &["to a"]);
        hears(1, &["to a", "to b"]);
        hears(2, &["to b"]);
        hears(3, &[]);
        let (visitor, calls) = &mut clients[0];
        visitor.text("unsubscribe a");
        calls.expect_text("unsubscribe a");
        visitor.expect_text("done");
        assert_eq!(reach("a", "again"), 1);
        clients[1].0.expect_text("again");
        // Who is gone gets nothing.
        let gone = clients.remove(1);
        close_all([gone]);
        assert_eq!((reach("a", "nobody"), reach("b", "one")), (0, 1));
        clients[1].0.expect_text("one");
        drop(handle);
        close_all(clients);
        serving.end();
    }
}

/// From `on_open` on a client gets what is for all, its own message included, and none that was sent
/// before.
#[test]
fn a_client_hears_of_its_own_coming() {
    let serving = serve(
        |server| server,
        |client, call| {
            match call {
                Call::Open => {
                    client.server().broadcast(format!("{} has joined", client.id()));
                }
                Call::Close(_) => {
                    client.server().broadcast(format!("{} has left", client.id()));
                }
                _ => {}
            }
            Ok(())
        },
    );
    assert_eq!(serving.handle().broadcast("nobody is there").clients, 0);
    let (mut one, its_calls) = serving.open();
    one.expect_text("1 has joined");
    let (mut two, calls) = serving.open();
    one.expect_text("2 has joined");
    two.expect_text("2 has joined");
    close_all([(two, calls)]);
    one.expect_text("2 has left");
    close_all([(one, its_calls)]);
    serving.end();
}

#[test]
fn what_went_through_is_counted() {
    let serving = serve(
        |server| server,
        |client, call| match call {
            Call::Message(message) => Ok(client.send(message.as_message())?),
            _ => Ok(()),
        },
    );
    let handle = serving.handle();
    assert_eq!(handle.stats(), Default::default());
    let mut clients: Vec<_> = (0..3).map(|_| serving.open()).collect();
    for (visitor, calls) in &mut clients {
        visitor.echo("four");
        calls.expect_text("four");
    }
    handle.broadcast("all of you");
    let counted = |open, opened| {
        let stats = handle.stats();
        assert_eq!((stats.open, stats.opened, stats.refused), (open, opened, 1));
        assert_eq!((stats.messages_received, stats.bytes_received), (3, 12));
        assert_eq!((stats.messages_sent, stats.bytes_sent), (6, 42));
        assert_eq!(stats.closed_as_slow, 0);
    };
    assert_eq!(Visitor::connect(serving.addr()).ask("GET / HTTP/1.0\r\n\r\n").status, 505);
    counted(3, 3);
    for (visitor, _) in &mut clients {
        visitor.expect_text("all of you");
    }
    close_all(clients);
    // Those who are gone still count.
    counted(0, 3);
    drop(handle);
    serving.end();
}

/// Whoever looks while clients leave sees what they sent, among those who are there or those who are
/// gone.
#[test]
fn counts_never_go_back() {
    for style in STYLES {
        let serving = serve_as(style, |server| server, nothing);
        // One that runs for ever has to have had a client.
        close_all([serving.open()]);
        let (handle, stop) = (serving.handle(), Arc::<AtomicBool>::default());
        let stops = Arc::clone(&stop);
        let looking = Task::start("who looks", move || {
            let (mut before, mut looks) = (0, 0);
            while !stops.load(Ordering::SeqCst) {
                let now = handle.stats().messages_received;
                assert!(before <= now, "there were {before}, and now {now}");
                (before, looks) = (now, looks + 1);
            }
            looks
        });
        for _ in 0..200 {
            let (mut visitor, calls) = serving.open();
            visitor.text("counted");
            calls.expect_text("counted");
            close_all([(visitor, calls)]);
        }
        stop.store(true, Ordering::SeqCst);
        assert!(looking.join() > 0);
        serving.end();
    }
}

/// Broadcasts, comings and goings at the same time: every client gets a stretch without a hole.
#[test]
fn what_a_client_gets_while_others_come_and_go_has_no_hole() {
    for style in STYLES {
        let serving = serve_as(style, |server| server, nothing);
        let (mut witness, its_calls) = serving.open();
        let (handle, stop) = (serving.handle(), Arc::<AtomicBool>::default());
        let stops = Arc::clone(&stop);
        let sending = Task::start("the thread that sends", move || {
            let mut count = 0_u32;
            while !stops.load(Ordering::SeqCst) {
                handle.broadcast(format!("{count}"));
                count += 1;
                // Else it is a queue without room that this is about.
                thread::sleep(A_MOMENT / 50);
            }
            count
        });
        for i in 0..10 {
            let (mut visitor, calls) = serving.open();
            let mut next = None;
            for _ in 0..5 {
                let text = String::from_utf8(visitor.read_frame().payload).unwrap();
                let number = text.parse::<u32>().unwrap();
                assert_eq!(next.unwrap_or(number), number);
                next = Some(number + 1);
            }
            match i % 2 {
                0 => visitor.reset(),
                _ => drop(visitor),
            }
            while !matches!(calls.next(), Call::Close(_)) {}
            calls.finish();
        }
        stop.store(true, Ordering::SeqCst);
        (0..sending.join()).for_each(|i| witness.expect_text(&i.to_string()));
        close_all([(witness, its_calls)]);
        serving.end();
    }
}
