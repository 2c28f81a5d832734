//! A slow callback costs neither its own connection nor anybody else's time; what arrives meanwhile
//! waits in order, within bounds.
//!
//! Callbacks here do not sleep: they are held at a gate, which the test opens when it has seen that
//! everything goes on without them.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use websocket_app::server::{Answer, Client, Server};
use websocket_app::{ClosedBy, OwnedMessage, SendError, State};

use super::serving::{STYLES, Serving, Style, echoes, serve, serve_as};
use super::visitor::{Visitor, masked, request};
use crate::failure::{Failure, clean, lost};
use crate::frame::Frame;
use crate::recorder::{Call, Recorder};
use crate::watchdog::{Gate, Task, wait_until};

/// A server whose clients are held by a message "work" until the gate opens; texts are echoed.
fn held(style: Style, options: impl FnOnce(Server) -> Server) -> (Serving, Gate) {
    let gate = Gate::new();
    let opens = gate.clone();
    let serving = serve_as(style, options, move |client: &Client, call: &Call| {
        if *call == Call::text("work") {
            opens.wait();
        }
        match call {
            Call::Message(OwnedMessage::Text(_)) => echoes(client, call),
            _ => Ok(()),
        }
    });
    (serving, gate)
}

/// Opens so many, and has a callback of each held.
fn hold(serving: &Serving, count: usize) -> Vec<(Visitor, Recorder)> {
    let hold = |_| {
        let (mut visitor, calls) = serving.open();
        visitor.text("work");
        calls.expect_text("work");
        (visitor, calls)
    };
    (0..count).map(hold).collect()
}

fn close_all(clients: Vec<(Visitor, Recorder)>) {
    for (visitor, calls) in clients {
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
    }
}

#[test]
fn many_busy_ones_hold_up_neither_themselves_nor_others() {
    for style in STYLES {
        let (serving, gate) = held(style, |server| server);
        let mut busy = hold(&serving, 8);
        // Those who come now.
        let (mut other, its_calls) = serving.open();
        other.ping("other");
        its_calls.expect(Call::Ping(b"other".into()));
        other.echo("hello");
        its_calls.expect_text("hello");
        // And the busy ones themselves.
        for (i, (visitor, _)) in busy.iter_mut().enumerate() {
            visitor.ping("busy");
            visitor.text(&format!("to {i}"));
        }
        gate.open();
        for (i, (visitor, calls)) in busy.iter_mut().enumerate() {
            visitor.expect_text("work");
            visitor.expect_text(&format!("to {i}"));
            calls.expect(Call::Ping(b"busy".into()));
            calls.expect_text(&format!("to {i}"));
        }
        busy.push((other, its_calls));
        close_all(busy);
        serving.end();
    }
}

#[test]
fn a_close_is_answered_meanwhile() {
    for style in STYLES {
        let (serving, gate) = held(style, |server| server);
        let (visitor, calls) = hold(&serving, 1).remove(0);
        visitor.close(1000, "bye");
        wait_until("it is gone", || serving.handle().clients().is_empty());
        gate.open();
        calls.expect_failure(Failure::Callback(
            "on_message".into(),
            SendError::NotConnected { message: None }.to_string(),
        ));
        calls.expect_close(clean(ClosedBy::Peer, 1000, "bye"));
        calls.finish();
        serving.end();
    }
}

/// The bound, what is read at once, and what it is kept in, which grows by doubling.
const ROOM: usize = 1 << 20;

#[test]
fn what_arrives_meanwhile_waits_in_order_and_in_bounds() {
    const MESSAGES: usize = 1_000;
    let message = |i: usize| Frame::binary([&i.to_be_bytes()[..], &[7; 4096]].concat());
    let bytes: Arc<[u8]> = (0..MESSAGES).flat_map(|i| masked(&message(i))).collect();
    for style in STYLES {
        let (serving, gate) = held(style, |server| server.max_receive_buffer(ROOM / 8));
        let (mut visitor, calls) = hold(&serving, 1).remove(0);
        let client = serving.handle().clients().pop().expect("it is there");
        let bytes = Arc::clone(&bytes);
        let writing = Task::start("the client", move || {
            visitor.write(&bytes);
            visitor
        });
        // It has read what it takes, and reads no more.
        let read = || client.stats().bytes_received;
        // What it is kept in counts too, and that is up to twice as much.
        wait_until("it reads", || read() > (ROOM / 32) as u64);
        let kept = steady(read);
        assert!(kept < ROOM as u64, "{kept} bytes are kept");
        // Others are served.
        serving.still_serves();
        drop(client);
        gate.open();
        (0..MESSAGES).for_each(|i| calls.expect_binary(&message(i).payload));
        let mut visitor = writing.join();
        visitor.expect_text("work");
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
        serving.end();
    }
}

/// Looks until a number has been the same for a while.
pub(super) fn steady(number: impl Fn() -> u64) -> u64 {
    let seen = Cell::new((number(), 0));
    wait_until("it stops", || {
        let ((before, times), now) = (seen.get(), number());
        seen.set((now, if now == before { times + 1 } else { 0 }));
        times > 500
    });
    seen.get().0
}

/// `on_request` may look something up.
#[test]
fn requests_are_decided_on_without_holding_up_anybody() {
    let gate = Gate::new();
    let opens = gate.clone();
    let serving = serve(
        |server| {
            server.on_request(move |request| {
                if request.path() == "/slow" {
                    opens.wait();
                }
                Answer::accept()
            })
        },
        echoes,
    );
    let mut waiting: Vec<_> = (0..4).map(|_| Visitor::connect(serving.addr())).collect();
    // Behind the request, the first message.
    let first = masked(&Frame::text("first"));
    waiting.iter_mut().for_each(|visitor| {
        visitor.write([request("/slow", "").as_bytes(), &first].concat());
    });
    serving.still_serves();
    gate.open();
    for mut visitor in waiting {
        visitor.answer_head().expect_open();
        visitor.expect_text("first");
        visitor.close(1000, "");
    }
    for _ in 0..4 {
        let calls = serving.next();
        calls.expect_open();
        calls.expect_text("first");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
    }
    serving.end();
}

/// A client that goes while its callback is busy keeps its place until that is over, and its
/// `on_close` comes after it.
#[test]
fn on_close_comes_after_a_callback_that_is_busy() {
    for style in STYLES {
        let (serving, gate) = held(style, |server| server);
        let (visitor, calls) = hold(&serving, 1).remove(0);
        visitor.reset();
        wait_until("it is gone", || serving.handle().clients().is_empty());
        gate.open();
        // The echo has nowhere to go.
        assert!(matches!(calls.next(), Call::Error(_)));
        assert!(matches!(calls.next(), Call::Error(_)));
        calls.expect_close(lost());
        calls.finish();
        serving.end();
    }
}

/// A callback answers, and is held then, while more messages have come with the one that it answers:
/// the answer does not wait for theirs.
#[test]
fn what_a_callback_has_sent_goes_out_while_it_is_busy() {
    for style in STYLES {
        let gate = Gate::new();
        let opens = gate.clone();
        let serving = serve_as(
            style,
            |server| server,
            move |client: &Client, call: &Call| {
                echoes(client, call)?;
                if *call == Call::text("work") {
                    opens.wait();
                }
                Ok(())
            },
        );
        let (mut visitor, calls) = serving.open();
        // More than are handed out in one turn, so that the last come shortly after others.
        let texts = [vec!["before"; 2_000], vec!["work"], vec!["after"; 10]].concat();
        let frames: Vec<_> = texts.iter().map(|text| masked(&Frame::text(*text))).collect();
        visitor.write(frames.concat());
        let (before, after) = texts.split_at(2_001);
        before.iter().for_each(|text| visitor.expect_text(text));
        gate.open();
        after.iter().for_each(|text| visitor.expect_text(text));
        for text in texts {
            calls.expect_text(text);
        }
        close_all(vec![(visitor, calls)]);
        serving.end();
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// How many callbacks of a loop may be busy at a time.
const STAND_INS: usize = 64;

/// More than that wait for their turn to be called; their connections live on like all others.
#[test]
fn more_than_there_are_threads_for_wait_their_turn() {
    for style in STYLES {
        let (serving, gate) = held(style, |server| server);
        let mut waiting: Vec<_> = (0..6).map(|_| serving.open()).collect();
        // Each loop has as many as it may.
        let loops = if style == Style::TwoThreads { 2 } else { 1 };
        let busy = hold(&serving, loops * STAND_INS);
        for (i, (visitor, _)) in waiting.iter_mut().enumerate() {
            visitor.text(&format!("{i}"));
            visitor.ping("is anybody there?");
            visitor.text(&format!("{i} again"));
        }
        // One of them goes, and is answered.
        let (gone, its_calls) = waiting.pop().expect("there are six");
        gone.close(1000, "bye");
        gate.open();
        for (mut visitor, calls) in busy {
            visitor.expect_text("work");
            close_all(vec![(visitor, calls)]);
        }
        for (i, (visitor, calls)) in waiting.iter_mut().enumerate() {
            visitor.expect_text(&format!("{i}"));
            visitor.expect_text(&format!("{i} again"));
            calls.expect_text(&format!("{i}"));
            calls.expect(Call::Ping(b"is anybody there?".into()));
            calls.expect_text(&format!("{i} again"));
        }
        close_all(waiting);
        // Nothing that it said is lost, though the answers are.
        let answer = || {
            Failure::Callback(
                "on_message".into(),
                SendError::NotConnected { message: None }.to_string(),
            )
        };
        its_calls.expect_text("5");
        its_calls.expect_failure(answer());
        its_calls.expect(Call::Ping(b"is anybody there?".into()));
        its_calls.expect_text("5 again");
        its_calls.expect_failure(answer());
        its_calls.expect_close(clean(ClosedBy::Peer, 1000, "bye"));
        its_calls.finish();
        serving.end();
    }
}

/// Who goes before it was open leaves its place to others, though nothing can be called just then.
#[test]
fn who_comes_and_goes_meanwhile_takes_nobodys_place() {
    let (serving, gate) = held(Style::Spawned, |server| server.max_connections(STAND_INS + 2));
    let mut busy = hold(&serving, STAND_INS);
    for _ in 0..10 {
        wait_until("there is a place", || {
            let mut visitor = Visitor::connect(serving.addr());
            visitor.write("GET / HTTP/3.7\r\n\r\n");
            // Else there are too many.
            visitor.answer_head().status == 505
        });
    }
    gate.open();
    busy.iter_mut().for_each(|(visitor, _)| visitor.expect_text("work"));
    close_all(busy);
    serving.end();
}

/// Each callback that ends makes room for one of those that wait, the one that has waited longest.
#[test]
fn those_that_wait_are_called_one_by_one() {
    const WAITING: usize = 3;
    let (gates, most) = (Gates::default(), Arc::<AtomicUsize>::default());
    let (opens, highest, busy) = (gates.clone(), Arc::clone(&most), AtomicUsize::new(0));
    let serving = serve(
        |server| server,
        move |client, call| {
            if *call == Call::text("work") {
                highest.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                opens.of(client.id()).wait();
                busy.fetch_sub(1, Ordering::SeqCst);
            }
            Ok(())
        },
    );
    let mut waiting: Vec<_> = (0..WAITING).map(|_| serving.open()).collect();
    let busy = hold(&serving, STAND_INS);
    for (visitor, _) in &mut waiting {
        visitor.text("work");
        // Once that is answered, the text before it waits.
        visitor.ping("is anybody there?");
    }
    for (i, (_, calls)) in waiting.iter().enumerate() {
        gates.of((WAITING + i + 1) as u64).open();
        // It has the place now, and the next of them needs another.
        calls.expect_text("work");
        assert_eq!(most.load(Ordering::SeqCst), STAND_INS);
    }
    (1..=WAITING + STAND_INS).for_each(|id| gates.of(id as u64).open());
    for (_, calls) in &waiting {
        calls.expect(Call::Ping(b"is anybody there?".into()));
    }
    close_all(waiting.into_iter().chain(busy).collect());
    assert_eq!(most.load(Ordering::SeqCst), STAND_INS);
    serving.end();
}

/// A gate for each client, by its number.
#[derive(Clone, Default)]
struct Gates(Arc<Mutex<HashMap<u64, Gate>>>);

impl Gates {
    fn of(&self, client: u64) -> Gate {
        self.0.lock().unwrap().entry(client).or_default().clone()
    }
}

/// A request whose decision waits for the place of a callback is not left to wait for ever.
#[test]
fn a_request_that_nobody_can_decide_on_in_time_is_refused() {
    /// Time enough to hold the others.
    const DEADLINE: Duration = Duration::from_secs(2);
    let (gate, asked) = (Gate::new(), Arc::<AtomicUsize>::default());
    let (opens, counts) = (gate.clone(), Arc::clone(&asked));
    let serving = serve(
        |server| {
            server.handshake_timeout(DEADLINE).on_request(move |_| {
                counts.fetch_add(1, Ordering::SeqCst);
                Answer::accept()
            })
        },
        move |client, call| {
            if *call == Call::text("work") {
                opens.wait();
            }
            echoes(client, call)
        },
    );
    let busy = hold(&serving, STAND_INS);
    let start = Instant::now();
    let mut late: Vec<_> = (0..3).map(|_| Visitor::connect(serving.addr())).collect();
    late.iter_mut().for_each(|visitor| visitor.write(request("/", "")));
    for visitor in late {
        let answer = visitor.refusal();
        assert!(start.elapsed() >= DEADLINE, "{:?}", start.elapsed());
        assert_eq!((answer.status, &*answer.body), (503, "the server is busy\n"));
        assert_eq!(answer.header("Retry-After"), Some("5"));
    }
    assert_eq!(asked.load(Ordering::SeqCst), STAND_INS, "nobody is asked who is not answered");
    assert_eq!(serving.handle().stats().refused, 3);
    gate.open();
    for (mut visitor, calls) in busy {
        visitor.expect_text("work");
        close_all(vec![(visitor, calls)]);
    }
    serving.still_serves();
    serving.end();
}

/// Neither on its own loop nor on another: else who does not read could hold up as many callbacks as
/// may run.
#[test]
fn a_callback_does_not_wait_for_room_for_another_client() {
    const FULL: usize = 1 << 16;
    for style in STYLES {
        let options = |server: Server| server.max_send_buffer(FULL).send_timeout(HOUR);
        let serving = serve_as(style, options, |client, call| {
            if *call == Call::text("fill") {
                for other in client.server().clients().iter().filter(|c| c.id() != client.id()) {
                    while other.state() == State::Open {
                        match other.send([7; FULL / 4]) {
                            Ok(()) => {}
                            Err(SendError::QueueFull { .. }) => break,
                            Err(other) => return Err(other.into()),
                        }
                    }
                }
                client.send("filled")?;
            }
            Ok(())
        });
        // Each loop has one of them.
        let stalled: Vec<_> = (0..2)
            .map(|_| {
                let mut visitor = Visitor::connect_with_small_buffer(serving.addr());
                visitor.upgrade(&request("/", ""));
                let calls = serving.next();
                calls.expect_open();
                (visitor, calls)
            })
            .collect();
        let (mut visitor, calls) = serving.open();
        visitor.text("fill");
        visitor.expect_text("filled");
        calls.expect_text("fill");
        close_all(vec![(visitor, calls)]);
        for (visitor, calls) in stalled {
            visitor.reset();
            assert!(matches!(calls.next(), Call::Error(_)));
            calls.expect_close(lost());
            calls.finish();
        }
        serving.end();
    }
}
