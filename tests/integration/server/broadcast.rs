//! Messages for all and for those of a topic: each thread's in its order at every client, and a client
//! that does not read holds up nobody.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::unbounded;
use websocket_app::ClosedBy;
use websocket_app::server::{Client, Delivered, Server, ServerHandle, SlowClients};

use super::serving::{A_MOMENT, STYLES, Serving, serve, serve_as};
use super::visitor::{Visitor, masked, request};
use crate::failure::{clean, ending, unanswered};
use crate::frame::{BINARY, Frame};
use crate::recorder::{Call, Recorder};
use crate::watchdog::{Gate, PATIENCE, Task, wait_until, within};

fn nothing(
    _: &websocket_app::server::Client,
    _: &Call,
) -> Result<(), websocket_app::CallbackError> {
    Ok(())
}

fn close_all(clients: impl IntoIterator<Item = (Visitor, Recorder)>) {
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

/// The length of a message that fills up queues.
const LARGE: usize = 16 << 10;

/// A server where one client does not read, and another does.
struct Stalling {
    serving: Serving,
    stalled: (Visitor, Recorder),
    good: (Visitor, Recorder),
    handle: ServerHandle,
    /// The number of the next message.
    next: usize,
}

impl Stalling {
    fn start(policy: SlowClients) -> Self {
        Stalling::start_with(|server| {
            server
                .slow_clients(policy)
                .max_send_buffer(4 * LARGE)
                .close_timeout(Duration::from_millis(300))
        })
    }

    fn start_with(options: impl FnOnce(Server) -> Server) -> Self {
        let serving = serve(options, nothing);
        let mut stalled = Visitor::connect_with_small_buffer(serving.addr());
        stalled.upgrade(&request("/", ""));
        let calls = serving.next();
        calls.expect_open();
        let good = serving.open();
        let handle = serving.handle();
        for client in handle.clients() {
            client.subscribe("all");
        }
        Stalling { serving, stalled: (stalled, calls), good, handle, next: 0 }
    }

    fn message(number: usize) -> Vec<u8> {
        Self::message_of(number, LARGE)
    }

    fn message_of(number: usize, length: usize) -> Vec<u8> {
        [&(number as u64).to_be_bytes()[..], &vec![7; length]].concat()
    }

    fn number(frame: &Frame) -> usize {
        assert!(frame.opcode == BINARY && frame.payload[8..].iter().all(|byte| *byte == 7));
        u64::from_be_bytes(frame.payload[..8].try_into().unwrap()) as usize
    }

    /// Sends one to both, which the one that reads gets.
    fn send(&mut self) -> Delivered {
        let delivered = self.handle.publish("all", Self::message(self.next));
        assert_eq!(Self::number(&self.good.0.read_frame()), self.next, "nobody is held up");
        self.next += 1;
        delivered
    }

    /// Sends until the one that does not read has no room. More than operating systems keep for a
    /// connection goes out at first.
    fn fill(&mut self) -> Delivered {
        let stalled = self.handle.clients().remove(0);
        for _ in 0..2_000 {
            let delivered = self.send();
            if delivered.clients < 2 {
                return delivered;
            }
            // Else it may be that nobody has come to write it yet.
            let waits = Cell::new((stalled.buffered_amount(), 0));
            wait_until("what can be written is", || {
                let ((before, looks), now) = (waits.get(), stalled.buffered_amount());
                waits.set((now, if now == before { looks + 1 } else { 0 }));
                now == 0 || looks > 300
            });
        }
        panic!("{} messages have room", self.next);
    }

    /// The numbers of all messages that the one that did not read gets up to this one.
    fn read_up_to(&mut self, last: usize) -> Vec<usize> {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&last) {
            numbers.push(Self::number(&self.stalled.0.read_frame()));
        }
        numbers
    }

    fn end(self) {
        let Stalling { serving, stalled, good, handle, .. } = self;
        drop(handle);
        close_all([stalled, good]);
        serving.end();
    }
}

#[test]
fn a_client_that_does_not_read_is_closed_with_1013() {
    let mut stalling = Stalling::start(SlowClients::Close);
    let delivered = stalling.fill();
    assert_eq!((delivered.clients, delivered.closed, delivered.skipped), (1, 1, 0));
    let closed_at = stalling.next;
    // It is not found any more, or not for much longer.
    let delivered = stalling.send();
    assert_eq!((delivered.clients, delivered.closed), (1, 0));
    assert_eq!(stalling.handle.stats().closed_as_slow, 1);
    // What it had got is whole and without a hole, and then it is told.
    let (frames, code) = stalling.stalled.0.read_to_close();
    assert_eq!(code, 1013);
    let numbers: Vec<_> = frames.iter().map(Stalling::number).collect();
    assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
    assert!(numbers.len() < closed_at);
    let Stalling { serving, stalled: (mut visitor, calls), good, handle, .. } = stalling;
    visitor.send(Frame::close(1013, ""));
    let how = ending(&calls.close());
    // It may have been too late.
    assert!(how == clean(ClosedBy::Us, 1013, "") || how == unanswered(), "{how:?}");
    calls.finish();
    drop((visitor, handle));
    close_all([good]);
    serving.end();
}

/// Which does not read its Close either.
#[test]
fn one_that_never_reads_is_dropped_in_time() {
    let mut stalling = Stalling::start(SlowClients::Close);
    stalling.fill();
    let Stalling { serving, stalled: (visitor, calls), good, handle, .. } = stalling;
    calls.expect_close(unanswered());
    calls.finish();
    drop((visitor, handle));
    close_all([good]);
    serving.end();
}

#[test]
fn a_client_that_does_not_read_may_be_left_out() {
    let mut stalling = Stalling::start(SlowClients::Skip);
    let delivered = stalling.fill();
    assert_eq!((delivered.clients, delivered.closed, delivered.skipped), (1, 0, 1));
    let kept = stalling.next - 1;
    for _ in 0..20 {
        let delivered = stalling.send();
        assert_eq!(delivered.clients + delivered.skipped, 2);
    }
    // What it had room for arrives.
    let before = stalling.read_up_to(kept - 1);
    assert!(before.iter().copied().eq(0..kept), "{before:?}");
    // Once it reads it is served as before.
    let stats = stalling.handle.stats();
    assert_eq!((stats.open, stats.closed_as_slow), (2, 0));
    stalling.next = 10_000;
    wait_until("there is room", || {
        stalling.handle.clients().iter().all(|client| client.buffered_amount() == 0)
    });
    assert_eq!(stalling.send().clients, 2);
    let after = stalling.read_up_to(10_000);
    assert!(after.is_sorted(), "{after:?}");
    stalling.end();
}

#[test]
fn a_client_that_does_not_read_may_get_the_latest() {
    let mut stalling = Stalling::start(SlowClients::KeepLatest);
    let delivered = stalling.fill();
    assert_eq!((delivered.clients, delivered.delayed), (1, 1));
    assert_eq!((delivered.closed, delivered.skipped), (0, 0));
    let kept = stalling.next - 1;
    for _ in 0..20 {
        let delivered = stalling.send();
        // The operating system may find some room.
        assert_eq!(delivered.clients + delivered.delayed, 2);
    }
    let last = stalling.next - 1;
    let all = stalling.read_up_to(last);
    // All that there was room for, then the latest alone.
    assert!(all.is_sorted() && all.iter().copied().take(kept).eq(0..kept), "{all:?}");
    assert!(all.len() < stalling.next, "{all:?}");
    // And from then on each again.
    wait_until("there is room", || {
        stalling.handle.clients().iter().all(|client| client.buffered_amount() == 0)
    });
    assert_eq!(stalling.send().clients, 2);
    assert_eq!(stalling.read_up_to(last + 1), [last + 1]);
    stalling.end();
}

/// Each topic has its latest.
#[test]
fn the_latest_of_each_topic_is_kept() {
    let mut stalling = Stalling::start(SlowClients::KeepLatest);
    let slow = stalling.handle.clients().remove(0);
    // Else there may be room for it.
    let large = |text: String| format!("{text:0$}", LARGE / 2);
    ["x", "y"].into_iter().for_each(|topic| slow.subscribe(topic));
    stalling.fill();
    for i in 0..5 {
        assert_eq!(stalling.handle.publish("x", large(format!("x {i}"))).delayed, 1);
        assert_eq!(stalling.handle.publish("y", large(format!("y {i}"))).delayed, 1);
    }
    for text in ["for all", "for all, later"] {
        let delivered = stalling.handle.broadcast(large(text.into()));
        assert_eq!((delivered.clients, delivered.delayed), (1, 1));
    }
    let mut texts = Vec::new();
    while texts.len() < 3 {
        let frame = stalling.stalled.0.read_frame();
        if frame.opcode != BINARY {
            texts.push(String::from_utf8(frame.payload).unwrap());
        }
    }
    assert_eq!(texts, ["x 4", "y 4", "for all, later"].map(|text| large(text.into())));
    drop(slow);
    let good = &mut stalling.good.0;
    good.expect_text(&large("for all".into()));
    good.expect_text(&large("for all, later".into()));
    stalling.end();
}

/// Of the topics that wait, the one that has waited longest goes first: a newer message takes the
/// place of the one before it. So no topic waits for ever for others that are published more often.
#[test]
fn a_newer_message_has_the_place_of_its_topics_older_one() {
    let mut stalling = Stalling::start(SlowClients::KeepLatest);
    let slow = stalling.handle.clients().remove(0);
    let topics = ["x", "y", "z"];
    topics.into_iter().for_each(|topic| slow.subscribe(topic));
    stalling.fill();
    let number = |topic: usize, i: usize| 10_000 * (topic + 1) + i;
    let publish = |topic: usize, i: usize| {
        let message = Stalling::message_of(number(topic, i), LARGE / 2);
        stalling.handle.publish(topics[topic], message)
    };
    for (topic, i) in [(1, 0), (0, 0), (2, 0), (0, 1), (1, 1), (0, 2)] {
        assert_eq!(publish(topic, i).delayed, 1);
    }
    let all = stalling.read_up_to(number(2, 0));
    let kept: Vec<_> = all.into_iter().filter(|number| *number >= 10_000).collect();
    assert_eq!(kept, [number(1, 1), number(0, 2), number(2, 0)]);
    drop(slow);
    stalling.end();
}

/// While a client reads more slowly than others publish, each topic goes forward only, and its last
/// message arrives.
#[test]
fn topics_go_forward_and_to_their_end_at_a_slow_client() {
    const TOPICS: usize = 4;
    const READ: usize = 500;
    const NUMBERS: usize = 10_000_000;
    let mut stalling = Stalling::start(SlowClients::KeepLatest);
    let slow = stalling.handle.clients().remove(0);
    let topics: Vec<_> = (0..TOPICS).map(|i| format!("topic {i}")).collect();
    topics.iter().for_each(|topic| slow.subscribe(topic));
    stalling.fill();
    let is_enough = Arc::<AtomicBool>::default();
    let publishing = topics.into_iter().enumerate().map(|(i, topic)| {
        let (handle, is_enough) = (stalling.handle.clone(), Arc::clone(&is_enough));
        Task::start("a thread that publishes", move || {
            let is_last = |_: &usize| is_enough.load(Ordering::SeqCst);
            let publish = |n: &usize| {
                let number = (i + 1) * NUMBERS + n;
                handle.publish(&topic, Stalling::message_of(number, LARGE / 2));
            };
            (1..).inspect(publish).find(is_last)
        })
    });
    let publishing: Vec<_> = publishing.collect();
    let (mut latest, mut read) = ([0; TOPICS], 0);
    let mut read_next = || {
        let number = Stalling::number(&stalling.stalled.0.read_frame());
        if let Some(topic) = (number / NUMBERS).checked_sub(1) {
            let before = std::mem::replace(&mut latest[topic], number % NUMBERS);
            assert!(before < latest[topic], "topic {topic}: {} behind {before}", latest[topic]);
            read += 1;
        }
        (read, latest)
    };
    while read_next().0 < READ {}
    is_enough.store(true, Ordering::SeqCst);
    let last: Vec<_> = publishing.into_iter().filter_map(Task::join).collect();
    while read_next().1 != last[..] {}
    drop(slow);
    stalling.end();
}

/// Those that were kept go out as room comes.
#[test]
fn the_latest_of_many_topics_arrive() {
    const TOPICS: usize = 40;
    let mut stalling = Stalling::start(SlowClients::KeepLatest);
    let slow = stalling.handle.clients().remove(0);
    let topics: Vec<_> = (0..TOPICS).map(|i| format!("topic {i}")).collect();
    topics.iter().for_each(|topic| slow.subscribe(topic));
    stalling.fill();
    for round in 0..2 {
        for (i, topic) in topics.iter().enumerate() {
            let number = 10_000 + 100 * round + i;
            let message = Stalling::message_of(number, LARGE / 16);
            assert_eq!(stalling.handle.publish(topic, message).delayed, 1);
        }
    }
    let all = stalling.read_up_to(10_100 + TOPICS - 1);
    let kept: Vec<_> = all.into_iter().filter(|number| *number >= 10_000).collect();
    assert!(kept.iter().copied().eq(10_100..10_100 + TOPICS), "{kept:?}");
    drop(slow);
    stalling.end();
}

/// What a message consists of, with something that happens when nobody has it any more.
struct Owned {
    text: &'static str,
    on_drop: Option<Box<dyn FnOnce() + Send>>,
}

impl Owned {
    fn message(text: &'static str, on_drop: impl FnOnce() + Send + 'static) -> Bytes {
        Bytes::from_owner(Owned { text, on_drop: Some(Box::new(on_drop)) })
    }
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.on_drop.take().into_iter().for_each(|happens| happens());
    }
}

/// Nothing is kept for a client that is gone, though the program still has it.
#[test]
fn what_was_kept_goes_with_the_client() {
    let mut stalling = Stalling::start(SlowClients::KeepLatest);
    let slow = stalling.handle.clients().remove(0);
    slow.subscribe("x");
    stalling.fill();
    let is_dropped = Gate::new();
    let drops = is_dropped.clone();
    let message = Owned::message("kept", move || drops.open());
    assert_eq!(stalling.handle.publish("x", message).delayed, 1);
    let Stalling { serving, stalled: (visitor, calls), good, handle, .. } = stalling;
    visitor.reset();
    while !matches!(calls.next(), Call::Close(_)) {}
    calls.finish();
    is_dropped.wait();
    drop((handle, slow));
    close_all([good]);
    serving.end();
}

/// What the program does as a message that was kept is dropped is in nobody's way.
#[test]
fn what_a_newer_message_replaces_may_send_as_it_is_dropped() {
    let mut stalling = Stalling::start(SlowClients::KeepLatest);
    let slow = stalling.handle.clients().remove(0);
    ["x", "y"].into_iter().for_each(|topic| slow.subscribe(topic));
    stalling.fill();
    let (handle, is_dropped) = (stalling.handle.clone(), Gate::new());
    let drops = is_dropped.clone();
    let message = Owned::message("older", move || {
        assert_eq!(handle.publish("y", vec![7; LARGE]).delayed, 1);
        drops.open();
    });
    assert_eq!(stalling.handle.publish("x", message).delayed, 1);
    let handle = stalling.handle.clone();
    let newer = move || handle.publish("x", vec![7; LARGE]).delayed;
    assert_eq!(within("the newer message", newer), 1);
    is_dropped.wait();
    drop(slow);
    let Stalling { serving, stalled: (visitor, calls), good, handle, .. } = stalling;
    visitor.reset();
    while !matches!(calls.next(), Call::Close(_)) {}
    calls.finish();
    drop(handle);
    close_all([good]);
    serving.end();
}

/// What a callback has sent just before takes the room only until it is written.
#[test]
fn what_a_callback_has_sent_does_not_make_its_client_slow() {
    const LIMIT: usize = 4 << 10;
    let (tell, told) = unbounded();
    let serving = serve(
        |server| server.slow_clients(SlowClients::KeepLatest).max_send_buffer(LIMIT),
        move |client, call| {
            match call {
                Call::Message(text) if *text == "go" => {
                    client.send(&*"a".repeat(LIMIT / 2))?;
                    tell.send(client.server().broadcast("b".repeat(LIMIT)))?;
                }
                _ => {}
            }
            Ok(())
        },
    );
    let (mut visitor, calls) = serving.open();
    // They come together, and what the first one's callback sends may wait for the second's.
    visitor.write([Frame::text("go"), Frame::text("more")].each_ref().map(masked).concat());
    calls.expect_text("go");
    calls.expect_text("more");
    let delivered: Delivered = told.recv_timeout(PATIENCE).expect("it is sent");
    assert_eq!((delivered.clients, delivered.delayed), (1, 0));
    visitor.expect_text(&"a".repeat(LIMIT / 2));
    visitor.expect_text(&"b".repeat(LIMIT));
    close_all([(visitor, calls)]);
    serving.end();
}

/// What is kept goes out before the Close, by whatever way the program closes.
#[test]
fn what_is_kept_goes_out_before_the_close() {
    type Closing = fn(&ServerHandle, &Client);
    let ways: [(&str, Closing); 3] = [
        ("shutdown", |handle, _| handle.shutdown(4000, "", PATIENCE).unwrap()),
        ("close_with", |_, slow| slow.close_with(4000, "").unwrap()),
        ("its sender's", |_, slow| slow.sender().close_with(4000, "").unwrap()),
    ];
    for (name, close) in ways {
        println!("{name}");
        let options = |server: Server| {
            server.slow_clients(SlowClients::KeepLatest).max_send_buffer(4 * LARGE)
        };
        let mut stalling = Stalling::start_with(options);
        let slow = stalling.handle.clients().remove(0);
        let topics = ["x", "y"];
        topics.into_iter().for_each(|topic| slow.subscribe(topic));
        stalling.fill();
        for number in [10_000, 20_000] {
            for (i, topic) in topics.into_iter().enumerate() {
                let message = Stalling::message_of(number + i, LARGE / 2);
                assert_eq!(stalling.handle.publish(topic, message).delayed, 1);
            }
        }
        let kept = stalling.next - 1;
        close(&stalling.handle, &slow);
        let Stalling { serving, stalled: (mut visitor, calls), good: (other, its), handle, .. } =
            stalling;
        let (frames, code) = visitor.read_to_close();
        assert_eq!(code, 4000);
        let numbers: Vec<_> = frames.iter().map(Stalling::number).collect();
        assert!(numbers.iter().copied().eq((0..=kept).chain([20_000, 20_001])), "{numbers:?}");
        visitor.send(Frame::close(4000, ""));
        visitor.expect_end();
        calls.expect_close(clean(ClosedBy::Us, 4000, ""));
        calls.finish();
        match name {
            "shutdown" => {
                other.answer_close(4000);
                its.expect_close(clean(ClosedBy::Us, 4000, ""));
            }
            _ => {
                other.close(1000, "");
                its.expect_close(clean(ClosedBy::Peer, 1000, ""));
            }
        }
        its.finish();
        drop(slow);
        match name {
            "shutdown" => serving.ends(),
            _ => serving.end(),
        }
        drop(handle);
    }
}

/// What is kept is bounded, of however many topics: of none the latest is left out.
#[test]
fn with_more_topics_than_are_kept_it_is_closed_with_1013() {
    let mut stalling = Stalling::start(SlowClients::KeepLatest);
    let slow = stalling.handle.clients().remove(0);
    stalling.fill();
    let mut topics = 0;
    let delivered = loop {
        let topic = format!("topic {topics}");
        slow.subscribe(&topic);
        // Again and again the same take no more.
        for _ in 0..3 {
            stalling.handle.publish(&topic, "");
        }
        let delivered = stalling.handle.publish(&topic, "of it");
        topics += 1;
        // What it is kept in counts, and what was kept before.
        assert!(topics * 50 < 4 * LARGE, "all of them are kept");
        if delivered.closed + delivered.delayed == 0 {
            break stalling.handle.publish(&topic, "of it");
        }
    };
    assert_eq!(delivered, Delivered::default());
    assert!(topics * 200 > LARGE, "{topics} topics are few");
    assert_eq!(stalling.handle.stats().closed_as_slow, 1);
    assert_eq!(stalling.stalled.0.read_to_close().1, 1013);
    let Stalling { serving, stalled: (mut visitor, calls), good, handle, .. } = stalling;
    visitor.send(Frame::close(1013, ""));
    let how = ending(&calls.close());
    // It may have been too late.
    assert!(how == clean(ClosedBy::Us, 1013, "") || how == unanswered(), "{how:?}");
    calls.finish();
    drop((visitor, handle, slow));
    close_all([good]);
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

/// A stalled client costs the one that reads nothing, nor `send` to another.
#[test]
fn one_that_is_full_is_no_reason_for_others_to_wait() {
    let mut stalling = Stalling::start(SlowClients::Skip);
    stalling.fill();
    let good = stalling.handle.clients().pop().expect("it is there");
    for i in 0..100 {
        good.send(format!("{i}")).unwrap();
        stalling.good.0.expect_text(&i.to_string());
    }
    drop(good);
    let Stalling { serving, stalled: (visitor, calls), good, handle, .. } = stalling;
    visitor.reset();
    while !matches!(calls.next(), Call::Close(_)) {}
    calls.finish();
    drop(handle);
    close_all([good]);
    serving.end();
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
