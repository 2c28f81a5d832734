//! What callbacks answer to a client that sends and does not read is neither lost nor kept without
//! end: no more is handed out until it reads.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::server::{Client, Server, SlowClients};
use websocket_app::{ClosedBy, Message, Phase, SendError};

use super::serving::{STYLES, Serving, echoes, serve, serve_as};
use super::slow::steady;
use super::stalling::Stalling;
use super::visitor::{Visitor, masked, request};
use crate::failure::{Failure, clean, ending, lost, unanswered};
use crate::frame::{CLOSE, Frame, TEXT};
use crate::recorder::{Call, Recorder};
use crate::watchdog::{Task, wait_until};

const ROOM: usize = 64 << 10;

/// Why an answer is not sent to who has gone.
const NOBODY: SendError = SendError::NotConnected { message: None };

/// Little room, so that it is used up soon.
fn little_room(server: Server) -> Server {
    server.max_send_buffer(ROOM).max_receive_buffer(ROOM)
}

/// One client, for which the operating system keeps little.
fn visit(serving: &Serving) -> (Visitor, Recorder, Client) {
    let mut visitor = Visitor::connect_with_small_buffer(serving.addr());
    visitor.upgrade(&request("/", ""));
    let calls = serving.next();
    calls.expect_open();
    let client = serving.handle().clients().pop().expect("it is there");
    (visitor, calls, client)
}

/// All has been looked at: the client closes, and the server ends.
fn ends_in_order(serving: Serving, visitor: Visitor, calls: Recorder, client: Client) {
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    drop(client);
    serving.end();
}

fn message(number: usize, len: usize) -> Vec<u8> {
    [&(number as u64).to_be_bytes()[..], &vec![number as u8; len]].concat()
}

/// Waits until the client's socket is full and the server handles no more of what it sends.
fn wait_until_held(client: &Client) {
    wait_until("the client's answers wait", || client.buffered_amount() > 0);
    steady(|| client.stats().messages_received + client.stats().messages_sent);
}

#[test]
fn what_is_answered_to_a_client_that_reads_late_is_all_there() {
    const MESSAGES: usize = 16_000;
    for style in STYLES {
        let serving = serve_as(style, little_room, echoes);
        let (mut visitor, calls, client) = visit(&serving);
        let mut writer = visitor.writer();
        let writing = Task::start("the client writes", move || {
            (0..MESSAGES).for_each(|i| writer.send(Frame::binary(message(i, 4096))));
        });
        wait_until_held(&client);
        assert!(!writing.is_over(), "the server takes in what it cannot answer");
        assert!(client.buffered_amount() <= 2 * ROOM, "{} wait", client.buffered_amount());
        // Others are served.
        serving.still_serves();
        for i in 0..MESSAGES {
            visitor.expect(Frame::binary(message(i, 4096)));
        }
        writing.join();
        (0..MESSAGES).for_each(|i| calls.expect_binary(&message(i, 4096)));
        ends_in_order(serving, visitor, calls, client);
    }
}

/// Each longer than what may wait, or together with what waits; the questions come in one piece.
#[test]
fn answers_may_be_far_longer_than_what_they_answer() {
    let lens = [10, ROOM - 20, 100, 2 * ROOM, 0, ROOM, 3, 5 * ROOM, 60_000];
    let questions = || lens.into_iter().cycle().take(90).enumerate();
    let serving = serve(
        |server| server.max_send_buffer(ROOM),
        |client, call| match call {
            Call::Message(question) => {
                let Message::Text(text) = question.as_message() else { panic!("{question:?}") };
                let (number, len) = text.split_once(' ').expect("two numbers");
                Ok(client.send(message(number.parse()?, len.parse()?))?)
            }
            _ => Ok(()),
        },
    );
    let (mut visitor, calls, client) = visit(&serving);
    let frames = questions().map(|(i, len)| masked(&Frame::text(format!("{i} {len}"))));
    visitor.write(frames.flatten().collect::<Vec<_>>());
    wait_until_held(&client);
    assert!(client.buffered_amount() <= 6 * ROOM + 100, "{} wait", client.buffered_amount());
    for (i, len) in questions() {
        visitor.expect(Frame::binary(message(i, len)));
        calls.expect_text(&format!("{i} {len}"));
    }
    ends_in_order(serving, visitor, calls, client);
}

/// What one message is answered with is bounded all the same, and what is too much comes back.
#[test]
fn one_message_is_not_answered_without_end() {
    const ANSWER: usize = 16 << 10;
    let serving = serve(little_room, |client, call| match call {
        Call::Message(_) => Ok((0..10_000).try_for_each(|i| client.send(message(i, ANSWER)))?),
        _ => Ok(()),
    });
    let (mut visitor, calls, client) = visit(&serving);
    visitor.text("much");
    calls.expect_text("much");
    let full = SendError::QueueFull { message: None, limit: ROOM };
    calls.expect_failure(Failure::Callback("on_message".into(), full.to_string()));
    assert!(client.buffered_amount() <= ROOM + ANSWER + 100);
    // What was not refused is there.
    let sent = client.stats().messages_sent as usize;
    for i in 0..sent {
        visitor.expect(Frame::binary(message(i, ANSWER)));
    }
    ends_in_order(serving, visitor, calls, client);
}

/// More than a thread writes for others in one go, so that another takes over; to a client that reads
/// at once, and to one that reads late.
#[test]
fn long_answers_to_messages_that_come_together_are_all_there() {
    const LONG: usize = 16 << 20;
    for late in [false, true] {
        let serving = serve(
            |server| server,
            |client, call| match call {
                Call::Message(_) => Ok(client.send(vec![7; LONG])?),
                _ => Ok(()),
            },
        );
        let (mut visitor, calls, client) = visit(&serving);
        visitor.write(masked(&Frame::text("?")).repeat(3));
        if late {
            wait_until_held(&client);
        }
        for _ in 0..3 {
            assert!(visitor.read_frame().payload == [7; LONG]);
            calls.expect_text("?");
        }
        ends_in_order(serving, visitor, calls, client);
    }
}

/// What others have sent it is no reason to refuse what it asks, nor to let it wait.
#[test]
fn one_that_reads_its_feed_late_gives_orders() {
    const ORDERS: usize = 50;
    for policy in [SlowClients::Skip, SlowClients::KeepLatest] {
        let serving = serve(
            |server| little_room(server).slow_clients(policy),
            |client, call| match call {
                Call::Message(order) => Ok(client.send(order.as_message())?),
                _ => Ok(()),
            },
        );
        let (mut visitor, calls, client) = visit(&serving);
        let handle = serving.handle();
        // It alone is more than may wait, and more than operating systems keep for a connection.
        handle.broadcast(vec![7; 16 << 20]);
        steady(|| client.buffered_amount() as u64);
        for i in 0..ORDERS {
            visitor.text(&i.to_string());
            calls.expect_text(&i.to_string());
            handle.broadcast(vec![7; 100]);
        }
        assert!(client.buffered_amount() > ROOM);
        // All are answered, once it reads.
        let mut answers = 0..ORDERS;
        while !answers.is_empty() {
            let frame = visitor.read_frame();
            if frame.opcode == TEXT {
                assert_eq!(frame, Frame::text(answers.next().unwrap().to_string()));
            }
        }
        drop((client, handle));
        visitor.send(Frame::close(1000, ""));
        while visitor.read_frame().opcode != CLOSE {}
        visitor.expect_end();
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
        serving.end();
    }
}

/// It has sent more than is read for now.
#[test]
fn one_that_waits_for_its_answers_is_not_idle() {
    const MESSAGES: usize = 40;
    let timeout = Duration::from_secs(2);
    let serving = serve(
        |server| server.max_send_buffer(ROOM).max_receive_buffer(ROOM / 64).idle_timeout(timeout),
        |client, call| match call {
            Call::Message(_) => Ok(client.send(message(0, 16 * ROOM))?),
            _ => Ok(()),
        },
    );
    let (mut visitor, calls, client) = visit(&serving);
    let question = masked(&Frame::binary([7; 100]));
    visitor.write(question.repeat(MESSAGES - 1));
    wait_until_held(&client);
    // That one finds no room, and is not read for now.
    visitor.write(question);
    let begun = Instant::now();
    for i in 0..MESSAGES {
        visitor.expect(Frame::binary(message(0, 16 * ROOM)));
        // The last few are in its socket before.
        if i < MESSAGES / 2 {
            thread::sleep(timeout / 10);
        }
    }
    assert!(begun.elapsed() > timeout, "it has had no time to be idle");
    (0..MESSAGES).for_each(|_| assert!(matches!(calls.next(), Call::Message(_))));
    ends_in_order(serving, visitor, calls, client);
}

/// Which others fill as fast as it is read: some of its answers wait at any time.
#[test]
fn one_that_falls_behind_its_feed_goes_on_giving_orders() {
    const ORDERS: usize = 1_500;
    const FEED: usize = 4 << 10;
    let serving = serve(
        |server| server.max_send_buffer(16 * ROOM).slow_clients(SlowClients::Skip),
        |client, call| match call {
            // An answer in two parts.
            Call::Message(order) => {
                client.send(vec![1; 100])?;
                Ok(client.send(order.as_message())?)
            }
            _ => Ok(()),
        },
    );
    let (mut visitor, calls, client) = visit(&serving);
    let handle = serving.handle();
    handle.broadcast(vec![7; 16 << 20]);
    steady(|| client.buffered_amount() as u64);
    let mut reader = visitor.writer();
    assert_eq!(reader.read_frame().payload.len(), 16 << 20);
    let mut answers = 0..ORDERS;
    let mut read_one = |answers: &mut Range<usize>| {
        let frame = reader.read_frame();
        if frame.opcode == TEXT {
            assert_eq!(frame, Frame::text(answers.next().unwrap().to_string()));
        }
    };
    for i in 0..ORDERS {
        while handle.broadcast(vec![7; FEED]).clients == 1 {}
        visitor.text(&i.to_string());
        // Also where nothing more is read before.
        calls.expect_text(&i.to_string());
        (0..8).for_each(|_| read_one(&mut answers));
    }
    assert!(client.buffered_amount() > ROOM, "it does not fall behind");
    while !answers.is_empty() {
        read_one(&mut answers);
    }
    drop((client, handle, reader));
    visitor.reset();
    while !matches!(calls.next(), Call::Close(_)) {}
    calls.finish();
    serving.end();
}

/// What it had sent is handed out, and what that is answered with is kept for nobody.
#[test]
fn nothing_is_kept_for_one_that_has_gone() {
    const ANSWER: usize = 4 * ROOM;
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let serving = serve(little_room, move |client, call| match call {
        Call::Message(_) => {
            let sent = client.send(vec![7; ANSWER]);
            seen.fetch_max(client.buffered_amount(), Ordering::Relaxed);
            Ok(sent?)
        }
        _ => Ok(()),
    });
    let (mut visitor, calls, client) = visit(&serving);
    visitor.write(masked(&Frame::binary([7; 10])).repeat(2_000));
    wait_until_held(&client);
    drop(client);
    visitor.reset();
    while !matches!(calls.next(), Call::Close(_)) {}
    calls.finish();
    let most = most.load(Ordering::Relaxed);
    assert!(most <= 2 * (ROOM + ANSWER), "{most} bytes were kept");
    serving.end();
}

/// What waits for it is not what it was answered: so nothing says that it is late.
#[test]
fn one_that_does_not_read_what_is_for_all_is_heard() {
    let mut stalling = Stalling::start(SlowClients::Skip);
    stalling.fill();
    for i in 0..100 {
        let text = i.to_string();
        stalling.stalled.0.text(&text);
        stalling.stalled.1.expect_text(&text);
    }
    let kept = stalling.next - 1;
    assert!(stalling.read_up_to(kept - 1).into_iter().eq(0..kept));
    stalling.end();
}

/// Sends in a thread of its own until the server has gone.
fn flood(visitor: &Visitor) -> Task<()> {
    let mut writer = visitor.writer();
    Task::start("the client writes", move || {
        let frame = masked(&Frame::binary(message(0, 4096)));
        // What comes behind a Close is read away.
        while writer.try_write(&frame).is_ok() {}
    })
}

/// Counts the messages that were handed out; what came behind them; and the answers that could not be
/// sent are told of with this.
fn behind_messages(calls: &Recorder, unsent: &SendError) -> (usize, Call) {
    let unsent = Call::Error(Failure::Callback("on_message".into(), unsent.to_string()));
    let mut messages = 0;
    loop {
        match calls.next() {
            Call::Message(_) => messages += 1,
            call if call == unsent => {}
            other => return (messages, other),
        }
    }
}

#[test]
fn one_that_never_reads_is_found_dead() {
    let serving = serve(
        |server| {
            little_room(server)
                .ping_interval(Duration::from_millis(300))
                .ping_timeout(Duration::from_millis(300))
        },
        echoes,
    );
    let (visitor, calls, client) = visit(&serving);
    let writing = flood(&visitor);
    wait_until("it is gone", || serving.handle().clients().is_empty());
    // What had been taken in is handed out, and has nobody who would get the answer.
    let (_, last) = behind_messages(&calls, &NOBODY);
    assert!(matches!(last, Call::Error(Failure::Timeout(Phase::Open, _))), "{last:?}");
    calls.expect_close(lost());
    calls.finish();
    drop((visitor, client));
    writing.join();
    serving.still_serves();
    serving.end();
}

/// It will get no answers any more, so what it has sent is handed out.
#[test]
fn one_that_is_closed_meanwhile_ends_in_time() {
    type End = fn(&Serving, &Client);
    let ends: [End; 3] = [
        |_, client| client.close(),
        |_, client| client.abort(),
        |serving, _| {
            serving.handle().shutdown(1001, "", Duration::from_millis(300)).unwrap();
        },
    ];
    for end in ends {
        let serving =
            serve(|server| little_room(server).close_timeout(Duration::from_millis(300)), echoes);
        let (visitor, calls, client) = visit(&serving);
        let writing = flood(&visitor);
        wait_until_held(&client);
        end(&serving, &client);
        let (_, last) = behind_messages(&calls, &NOBODY);
        let Call::Close(close) = last else { panic!("{last:?}") };
        assert_eq!(ending(&close), unanswered());
        calls.finish();
        drop((visitor, client));
        writing.join();
        serving.end();
    }
}

/// Which it is told, though it may never hear of it.
#[test]
fn what_is_wrong_behind_messages_that_wait_is_found_all_the_same() {
    const MESSAGES: usize = 2_000;
    let serving = serve(
        |server| {
            server
                .max_send_buffer(ROOM)
                .max_receive_buffer(16 << 20)
                .close_timeout(Duration::from_millis(300))
        },
        echoes,
    );
    let (visitor, calls, client) = visit(&serving);
    let mut writer = visitor.writer();
    (0..MESSAGES).for_each(|i| writer.send(Frame::binary(message(i, 4096))));
    wait_until_held(&client);
    wait_until("all are read", || client.stats().messages_received == MESSAGES as u64);
    writer.send(Frame { opcode: 3, ..Frame::binary("") });
    let full = SendError::QueueFull { message: None, limit: ROOM };
    let (handed_out, failure) = behind_messages(&calls, &full);
    assert_eq!(handed_out, MESSAGES);
    assert!(matches!(failure, Call::Error(Failure::Protocol(_))), "{failure:?}");
    calls.expect_close(unanswered());
    calls.finish();
    drop((visitor, writer, client));
    serving.end();
}
