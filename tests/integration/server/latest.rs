//! `SlowClients::KeepLatest`: a client that does not read as fast gets the latest of each topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use websocket_app::ClosedBy;
use websocket_app::server::{Client, Delivered, Server, ServerHandle, SlowClients};

use super::broadcast::close_all;
use super::stalling::{LARGE, Stalling};
use crate::failure::{clean, ending, unanswered};
use crate::frame::{BINARY, Frame};
use crate::recorder::Call;
use crate::watchdog::{Gate, PATIENCE, Task, wait_until, within};

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
