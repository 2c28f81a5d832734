//! `send_policy`: what becomes of messages when the peer does not read.

use std::time::Duration;

use websocket_app::{ClosedBy, OwnedMessage, Phase, Reconnect, SendError, SendPolicy, State};
use websocket_app::{Sender, WebSocketApp};

use crate::connection::Connection;
use crate::failure::{Failure, clean, lost, unanswered};
use crate::frame::{BINARY, CLOSE, Frame, PING};
use crate::peer::{FullBacklog, Peer};
use crate::running::run;
use crate::watchdog::{Gate, wait_until};

const HOUR: Duration = Duration::from_secs(3600);
const LIMIT: usize = 4 << 20;

/// So many messages are more than the kernel and the queue hold.
const MESSAGES: u32 = 4_000;

/// Short ones and long ones, of many lengths, that begin alike but for the number: a compressor
/// refers to the one before, and finds little else.
fn message(number: u32) -> Vec<u8> {
    let length = match number as usize {
        number if number % 50 == 49 => 60_000,
        number => [100, 1_000, 5_000, 20_000][number % 4] + number % 97,
    };
    let mut random = u64::from(number) << 1 | 1;
    let mut message = number.to_le_bytes().to_vec();
    message.extend(b"what is in each of them, to be referred to");
    while message.len() < length {
        // One step of xorshift.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        message.extend(random.to_le_bytes());
    }
    message
}

/// Returns the number of a message, which must not be damaged.
fn number_of(payload: &[u8]) -> u32 {
    let number = u32::from_le_bytes(payload[..4].try_into().unwrap());
    assert!(payload == message(number), "message {number} is damaged");
    number
}

/// Reads to the Close and answers it. Returns the numbers of the messages, and of the pings.
fn read_all(
    mut client: Connection,
    mut inflate: impl FnMut(&Frame) -> Vec<u8>,
) -> (Vec<u32>, Vec<u32>) {
    let (mut messages, mut pings) = (Vec::new(), Vec::new());
    loop {
        let frame = client.read_frame();
        match frame.opcode {
            BINARY => messages.push(number_of(&inflate(&frame))),
            PING => pings.push(u32::from_le_bytes(frame.payload[..].try_into().unwrap())),
            CLOSE => {
                client.send(Frame::close(1000, ""));
                return (messages, pings);
            }
            _ => panic!("{frame:?}"),
        }
    }
}

/// What came is a beginning, and the latest; what did not was dropped and counted.
fn is_the_beginning_and_the_latest(messages: &[u32], dropped: u64) {
    assert!(messages.is_sorted_by(|a, b| a < b), "out of order, or twice: {messages:?}");
    assert_eq!((messages.first(), messages.last()), (Some(&0), Some(&(MESSAGES - 1))));
    assert_eq!(messages.len() as u64 + dropped, u64::from(MESSAGES));
    assert!(dropped > 0, "the kernel does not take all of it");
    let latest = messages.chunk_by(|a, b| a + 1 == *b).last().unwrap();
    let in_the_queue: usize = latest.iter().map(|number| message(*number).len()).sum();
    assert!(in_the_queue > LIMIT / 2, "the latest that came are {in_the_queue} bytes");
}

/// Sends all, and pings now and then, to a peer that does not read; none of it waits.
fn send_all(ws: &Sender) -> Vec<u32> {
    for number in 0..MESSAGES {
        ws.send(message(number)).unwrap();
        if number % 100 == 0 {
            ws.ping(number.to_le_bytes()).unwrap();
        }
    }
    (0..MESSAGES).step_by(100).collect()
}

#[test]
fn the_oldest_make_room_for_the_latest() {
    let (sent, (tell, told)) = (Gate::new(), crossbeam_channel::bounded(1));
    let may_read = sent.clone();
    let peer = Peer::start(move |listener| {
        let client = listener.open();
        may_read.wait();
        tell.send(read_all(client, |frame| frame.payload.clone())).unwrap();
    });
    let app = run(dropping(peer.app()));
    app.expect_open();
    let pings = send_all(&app.sender);
    assert!(app.sender.buffered_amount() <= LIMIT);
    sent.open();
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    let stats = app.sender.stats();
    assert_eq!(stats.messages_sent, u64::from(MESSAGES));
    let (messages, came) = told.recv().unwrap();
    assert_eq!(came, pings, "no control frame is dropped");
    is_the_beginning_and_the_latest(&messages, stats.messages_dropped);
    app.end_in_order();
}

/// Whatever of it was dropped, the rest inflates.
#[cfg(feature = "deflate")]
#[test]
fn the_oldest_make_room_for_the_latest_where_messages_are_compressed() {
    const ANSWER: &str = "permessage-deflate";
    let (sent, (tell, told)) = (Gate::new(), crossbeam_channel::bounded(1));
    let may_read = sent.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.accept();
        client.upgrade_with_extensions(ANSWER);
        let mut zlib = crate::zlib::Zlib::new(ANSWER);
        may_read.wait();
        tell.send(read_all(client, |frame| zlib.inflate(frame))).unwrap();
    });
    let app = dropping(peer.app()).compression(websocket_app::Deflate::default().min_size(0));
    let app = run(app);
    app.expect_open();
    let pings = send_all(&app.sender);
    sent.open();
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    let (messages, came) = told.recv().unwrap();
    assert_eq!(came, pings, "no control frame is dropped");
    is_the_beginning_and_the_latest(&messages, app.sender.stats().messages_dropped);
    app.end_in_order();
}

/// What was dropped is not kept either: after a loss the rest goes out, what had begun before all.
#[test]
fn what_was_dropped_does_not_go_over_the_next_connection() {
    // More than the kernel takes.
    const LARGE: usize = 32 << 20;
    let (sent, (tell, told)) = (Gate::new(), crossbeam_channel::bounded(1));
    let was_sent = sent.clone();
    let peer = Peer::start(move |listener| {
        let first = listener.open_with_small_buffer();
        was_sent.wait();
        first.reset();
        let mut second = listener.open();
        second.expect(Frame::binary(vec![7; LARGE]));
        tell.send(read_all(second, |frame| frame.payload.clone())).unwrap();
    });
    let app = dropping(peer.app())
        .reconnect(Reconnect::fixed(Duration::from_millis(1)))
        .max_send_buffer(LARGE + LIMIT)
        .queue_while_disconnected(2 * LARGE, HOUR);
    let app = run(app);
    app.expect_open();
    app.sender.send(vec![7; LARGE]).unwrap();
    (0..MESSAGES).for_each(|number| app.sender.send(message(number)).unwrap());
    let dropped = app.sender.stats().messages_dropped;
    sent.open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    wait_until("what was kept goes out", || app.sender.buffered_amount() == 0);
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    let (messages, _) = told.recv().unwrap();
    let latest = (dropped as u32..MESSAGES).collect::<Vec<_>>();
    assert!(
        dropped > 0 && latest.len() > 1 && messages == latest,
        "{dropped} dropped, came: {messages:?}"
    );
    assert_eq!(app.sender.stats().messages_dropped, dropped);
    app.end_in_order();
}

#[test]
fn what_waits_for_a_connection_makes_room_too() {
    const ROOM: usize = 1_000;
    let silent = FullBacklog::new();
    let app = WebSocketApp::new(silent.url()).send_policy(SendPolicy::DropOldest);
    let app = run(app.queue_while_disconnected(ROOM, HOUR));
    wait_until("it connects", || app.sender.state() == State::Connecting);
    (0..100).for_each(|number| app.sender.send(number.to_string()).unwrap());
    // For one that never fits nothing is dropped.
    let dropped = app.sender.stats().messages_dropped;
    let error = app.sender.send(vec![0; ROOM]).unwrap_err();
    assert!(matches!(error, SendError::BacklogFull { message: Some(_), .. }), "{error:?}");
    assert_eq!(app.sender.stats().messages_dropped, dropped);
    assert!((1..98).contains(&dropped), "{dropped}");
    app.sender.close();
    for number in dropped..100 {
        let message = Some(OwnedMessage::Text(number.to_string()));
        app.expect_failure(Failure::Send(SendError::NotConnected { message }));
    }
    app.expect_close(unanswered());
    app.end_in_order();
}

#[test]
fn a_send_that_is_to_fail_does_not_wait() {
    let peer = Peer::start(|listener| {
        let _client = listener.open_with_small_buffer();
        listener.wait_for_the_test();
    });
    let app = peer.app().max_send_buffer(LIMIT).send_timeout(HOUR).send_policy(SendPolicy::Fail);
    let app = run(app);
    app.expect_open();
    let refused = (0..MESSAGES).find_map(|number| app.sender.send(message(number)).err());
    let refused = refused.expect("the kernel does not take all of it");
    assert!(matches!(refused, SendError::QueueFull { message: Some(_), limit: LIMIT }));
    assert_eq!(app.sender.stats().messages_dropped, 0);
    app.sender.abort();
    app.expect_close(unanswered());
    app.end_in_order();
}

/// An app that drops the oldest, and must not wait for room.
fn dropping(app: WebSocketApp) -> WebSocketApp {
    app.max_send_buffer(LIMIT)
        .send_timeout(HOUR)
        .close_timeout(HOUR)
        .send_policy(SendPolicy::DropOldest)
}
