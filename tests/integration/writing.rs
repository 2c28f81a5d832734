//! `message_writer`: messages that are written piece by piece.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Mutex;
use std::time::Duration;

use websocket_app::{
    ClosedBy, Error, MessageKind, MessageWriter, OwnedMessage, ProtocolError, Reconnect, SendError,
    SendPolicy, WebSocket,
};

use crate::connection::Connection;
use crate::failure::{Failure, clean, lost, unanswered};
use crate::frame::{BINARY, CONTINUATION, Frame, PING, TEXT};
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::{Running, run, run_with};
use crate::watchdog::{Gate, PATIENCE, Task, wait_until, within};

const HOUR: Duration = Duration::from_secs(3600);
const FRAGMENT: usize = 32 << 10;

/// A socket buffer and a queue that are full soon.
const LIMIT: usize = 1 << 16;

/// So many bytes, the same again after no length that a frame has.
fn data(length: usize) -> Vec<u8> {
    let line: Vec<u8> =
        (0..1021_u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    let mut data = line.repeat(length / line.len() + 1);
    data.truncate(length);
    data
}

/// Reads a message's frames to its last, which must be fragments of one message, with nothing but
/// pings between them. Returns the message and the number of its frames.
fn read_message(client: &mut Connection, opcode: u8) -> (Vec<u8>, usize) {
    let (mut message, mut frames) = (Vec::new(), 0);
    loop {
        let frame = client.read_frame();
        if frame.opcode == PING {
            continue;
        }
        assert_eq!(frame.opcode, if frames == 0 { opcode } else { CONTINUATION }, "{frame:?}");
        assert!(frame.payload.len() <= FRAGMENT, "{frame:?}");
        message.extend(frame.payload);
        frames += 1;
        if frame.fin {
            return (message, frames);
        }
    }
}

/// What is within an error of writing.
fn within_io(error: &io::Error) -> &SendError {
    let inner = error.get_ref().expect("it has the error within");
    inner.downcast_ref().unwrap_or_else(|| panic!("{error:?}"))
}

fn not_connected(written: io::Result<usize>) {
    let error = written.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert!(matches!(within_io(&error), SendError::NotConnected { .. }), "{error:?}");
}

fn close(app: Running) {
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn what_is_written_goes_out_in_fragments_and_control_frames_go_between() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        let data = data(2 * FRAGMENT + 10);
        client.expect(Frame::binary(&data[..FRAGMENT]).unfinished());
        client.expect(Frame::ping("between"));
        client.send(Frame::ping("ours"));
        client.expect(Frame::pong("ours"));
        client.send(Frame::text("go on"));
        client.expect(Frame::continuation(&data[FRAGMENT..2 * FRAGMENT]).unfinished());
        client.expect(Frame::continuation(&data[2 * FRAGMENT..2 * FRAGMENT + 7]).unfinished());
        client.expect(Frame::continuation(&data[2 * FRAGMENT + 7..]));
        client.expect_text("behind it");
        client.answer_close();
    });
    let app = run(peer.app());
    app.expect_open();
    let data = data(2 * FRAGMENT + 10);
    let mut writer = app.sender.message_writer(MessageKind::Binary).unwrap();
    assert_eq!(writer.kind(), MessageKind::Binary);
    // What is full goes out when more comes.
    assert_eq!(writer.write(&data).unwrap(), FRAGMENT);
    assert_eq!(app.sender.stats().bytes_sent, 0);
    writer.write_all(&data[FRAGMENT..2 * FRAGMENT]).unwrap();
    app.sender.ping("between").unwrap();
    app.expect(Call::Ping(b"ours".to_vec()));
    app.expect_text("go on");
    writer.write_all(&data[2 * FRAGMENT..2 * FRAGMENT + 7]).unwrap();
    writer.flush().unwrap();
    // There is nothing to send.
    writer.flush().unwrap();
    writer.write_all(&data[2 * FRAGMENT + 7..]).unwrap();
    assert_eq!(app.sender.stats().messages_sent, 0);
    writer.finish().unwrap();
    let stats = app.sender.stats();
    let len = data.len() as u64;
    assert_eq!((stats.messages_sent, stats.bytes_sent, stats.wire_bytes_sent), (1, len, len));
    app.sender.send("behind it").unwrap();
    close(app);
}

#[test]
fn what_fits_into_one_fragment_is_one_frame() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::text("short"));
        client.expect(Frame::binary([]));
        client.expect(Frame::binary(data(FRAGMENT)));
        client.answer_close();
    });
    let app = run(peer.app());
    app.expect_open();
    let mut writer = app.sender.message_writer(MessageKind::Text).unwrap();
    write!(writer, "sh{}", String::from("ort")).unwrap();
    writer.finish().unwrap();
    app.sender.message_writer(MessageKind::Binary).unwrap().finish().unwrap();
    let mut writer = app.sender.message_writer(MessageKind::Binary).unwrap();
    writer.write_all(&data(FRAGMENT)).unwrap();
    writer.finish().unwrap();
    close(app);
}

/// Not the thread that has the writer itself either, but for as long as it would wait for room.
#[test]
fn no_other_message_goes_between() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::text("begun, ").unfinished());
        client.expect(Frame::continuation("ended"));
        client.expect_text("behind it");
        client.answer_close();
    });
    let short = Duration::from_millis(50);
    let app = run(peer.app().send_timeout(short));
    app.expect_open();
    let mut writer = app.sender.message_writer(MessageKind::Text).unwrap();
    writer.write_all(b"begun, ").unwrap();
    writer.flush().unwrap();
    let message = Some(OwnedMessage::from("mine"));
    let busy = |after| Err(SendError::Busy { message: message.clone(), after });
    assert_eq!(app.sender.try_send("mine".to_owned()), busy(Duration::ZERO));
    let late = app.sender.send("mine".to_owned());
    assert_eq!(late, busy(short));
    let text = late.unwrap_err().to_string();
    assert!(text.contains("another message is being written (message_writer)"), "{text}");
    let another = app.sender.message_writer(MessageKind::Text).unwrap_err();
    assert_eq!(another, SendError::Busy { message: None, after: short });
    writer.write_all(b"ended").unwrap();
    writer.finish().unwrap();
    app.sender.send("behind it").unwrap();
    close(app);
}

#[cfg(target_os = "linux")]
#[test]
fn other_threads_wait_for_its_end_in_their_order() {
    use crate::observed::Observed;

    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::text("begun, ").unfinished());
        client.expect(Frame::ping("between"));
        client.expect(Frame::continuation("ended"));
        client.expect_text("first");
        client.expect(Frame::text("second, ").unfinished());
        client.expect(Frame::continuation("too"));
        client.expect_text("third");
        client.answer_close();
    });
    let app = run(peer.app().send_timeout(HOUR));
    app.expect_open();
    let mut writer = app.sender.message_writer(MessageKind::Text).unwrap();
    writer.write_all(b"begun, ").unwrap();
    writer.flush().unwrap();
    let waits = |send: fn(&websocket_app::Sender)| {
        let (sender, (tell, told)) = (app.sender.clone(), crossbeam_channel::bounded(1));
        let waiting = Task::start("who waits", move || {
            tell.send(Observed::current()).unwrap();
            send(&sender);
        });
        told.recv_timeout(PATIENCE).unwrap().sleeps();
        waiting
    };
    let waiting = [
        waits(|ws| ws.send("first").unwrap()),
        waits(|ws| {
            let mut writer = ws.message_writer(MessageKind::Text).unwrap();
            writer.write_all(b"second, ").unwrap();
            writer.flush().unwrap();
            writer.write_all(b"too").unwrap();
            writer.finish().unwrap();
        }),
        waits(|ws| ws.send("third").unwrap()),
    ];
    // That waits behind none of them.
    app.sender.ping("between").unwrap();
    writer.write_all(b"ended").unwrap();
    writer.finish().unwrap();
    waiting.into_iter().for_each(Task::join);
    close(app);
}

#[test]
fn text_is_checked_across_pieces_and_nothing_of_what_is_wrong_is_sent() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::text(&"é".as_bytes()[..1]).unfinished());
        client.expect(Frame::continuation([&"é".as_bytes()[1..], b"fine"].concat()));
        client.answer_close();
    });
    let app = run(peer.app());
    app.expect_open();
    let mut writer = app.sender.message_writer(MessageKind::Text).unwrap();
    writer.write_all(&"é".as_bytes()[..1]).unwrap();
    writer.flush().unwrap();
    let error = writer.write(b"not").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    assert_eq!(inner, Some(&ProtocolError::InvalidUtf8));
    writer.write_all(&"é".as_bytes()[1..]).unwrap();
    assert_eq!(writer.write(b"ok\xff").unwrap_err().kind(), ErrorKind::InvalidData);
    writer.write_all(b"fine").unwrap();
    writer.finish().unwrap();
    close(app);
}

/// Dropped, or finished where that is no end.
#[test]
fn an_unfinished_message_fails_the_connection() {
    let dropped: fn(MessageWriter) = drop;
    let in_a_character: fn(MessageWriter) = |mut writer| {
        writer.write_all(&"é".as_bytes()[..1]).unwrap();
        let error = writer.finish().unwrap_err();
        assert_eq!(error, SendError::Unfinished { problem: "its text ends within a character" });
    };
    for (end, problem) in [
        (dropped, "its writer was dropped before finish()"),
        (in_a_character, "its text ends within a character"),
    ] {
        for flushes in [true, false] {
            let peer = Peer::start(move |listener| {
                let mut client = listener.open();
                if flushes {
                    client.expect(Frame::text("begun").unfinished());
                }
                assert_eq!(client.expect_close_code(), 1011);
                client.send(Frame::close(1011, ""));
            });
            let app = run(peer.app());
            app.expect_open();
            let mut writer = app.sender.message_writer(MessageKind::Text).unwrap();
            writer.write_all(b"begun").unwrap();
            if flushes {
                writer.flush().unwrap();
            }
            end(writer);
            assert!(matches!(app.sender.send("late"), Err(SendError::NotConnected { .. })));
            app.expect_failure(Failure::Send(SendError::Unfinished { problem }));
            app.expect_close(unanswered());
            app.end_given_up();
        }
    }
}

#[test]
fn one_that_was_not_written_into_is_dropped_without_harm() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("next");
        client.answer_close();
    });
    let app = run(peer.app());
    app.expect_open();
    drop(app.sender.message_writer(MessageKind::Text).unwrap());
    app.sender.send("next").unwrap();
    close(app);
}

#[test]
fn in_the_blocking_style_too() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        assert_eq!(read_message(&mut client, BINARY), (data(1 << 20), 32));
        client.expect(Frame::binary(&data(FRAGMENT)[..]).unfinished());
        assert_eq!(client.expect_close_code(), 1011);
    });
    let builder = WebSocket::builder(peer.url()).send_timeout(Duration::from_millis(50));
    within("the client", move || {
        let mut ws = builder.connect().unwrap();
        let mut writer = ws.message_writer(MessageKind::Binary).unwrap();
        assert!(matches!(ws.send("mine"), Err(SendError::Busy { .. })));
        writer.write_all(&data(1 << 20)).unwrap();
        writer.finish().unwrap();
        let mut writer = ws.message_writer(MessageKind::Binary).unwrap();
        writer.write_all(&data(FRAGMENT + 1)).unwrap();
        drop(writer);
        for _ in 0..2 {
            let error = ws.recv().unwrap_err();
            assert!(matches!(error, Error::Send(SendError::Unfinished { .. })), "{error:?}");
        }
    });
}

/// It is final and does not wait; what goes out is right as far as it goes.
#[test]
fn close_gives_the_message_up() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::text("begun").unfinished());
        client.answer_close();
    });
    let app = run(peer.app().queue_while_disconnected(1000, HOUR));
    app.expect_open();
    let mut writer = app.sender.message_writer(MessageKind::Text).unwrap();
    writer.write_all(b"begun").unwrap();
    writer.flush().unwrap();
    app.sender.close();
    not_connected(writer.write(b"late"));
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    not_connected(writer.write(b"late"));
    assert_eq!(writer.finish(), Err(SendError::NotConnected { message: None }));
    app.end_in_order();
}

/// Nor is it in the way of what was kept, where nothing of it was sent.
#[test]
fn what_was_kept_goes_before_the_close_frame_unless_that_would_break_a_message() {
    for begins in [false, true] {
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            if begins {
                client.expect(Frame::text("begun").unfinished());
            } else {
                client.expect_text("kept");
            }
            client.answer_close();
        });
        let (open, opened) = (Gate::new(), Gate::new());
        let (is_open, go_on) = (open.clone(), opened.clone());
        let kept = Mutex::new(None);
        let app = run_with(peer.app().queue_while_disconnected(1000, HOUR), move |ws, call| {
            if *call == Call::Open {
                let mut writer = ws.message_writer(MessageKind::Text)?;
                if begins {
                    writer.write_all(b"begun")?;
                    writer.flush()?;
                }
                *kept.lock().unwrap() = Some(writer);
                is_open.open();
                go_on.wait();
            }
            Ok(())
        });
        open.wait();
        app.sender.send("kept").unwrap();
        app.sender.close();
        opened.open();
        app.expect_open();
        if begins {
            let message = Some(OwnedMessage::from("kept"));
            app.expect_failure(Failure::Send(SendError::NotConnected { message }));
        }
        app.expect_close(clean(ClosedBy::Us, 1000, ""));
        app.end_in_order();
    }
}

#[test]
fn what_was_kept_goes_behind_a_message_that_the_first_callback_has_begun() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::text("begun, ").unfinished());
        client.expect(Frame::continuation("ended"));
        client.expect_text("kept");
        client.expect_text("then");
        client.answer_close();
    });
    let app = peer.app().queue_while_disconnected(1000, HOUR);
    app.sender().send("kept").unwrap();
    let (give, given) = crossbeam_channel::bounded(1);
    let app = run_with(app, move |ws, call| {
        if *call == Call::Open {
            let mut writer = ws.message_writer(MessageKind::Text)?;
            writer.write_all(b"begun, ")?;
            writer.flush()?;
            give.send(writer)?;
        }
        Ok(())
    });
    app.expect_open();
    let mut writer = given.recv_timeout(PATIENCE).unwrap();
    writer.write_all(b"ended").unwrap();
    writer.finish().unwrap();
    app.sender.send("then").unwrap();
    close(app);
}

#[test]
fn it_belongs_to_its_connection() {
    let begun = Gate::new();
    let has_begun = begun.clone();
    let peer = Peer::start(move |listener| {
        let mut first = listener.open();
        first.expect(Frame::text("begun").unfinished());
        has_begun.wait();
        first.reset();
        let mut second = listener.open();
        second.expect_text("kept");
        second.expect_text("of the second");
        second.answer_close();
    });
    let app = peer
        .app()
        .reconnect(Reconnect::fixed(Duration::from_millis(1)))
        .queue_while_disconnected(1000, HOUR);
    let app = run(app);
    app.expect_open();
    let mut writer = app.sender.message_writer(MessageKind::Text).unwrap();
    writer.write_all(b"begun").unwrap();
    writer.flush().unwrap();
    begun.open();
    app.expect_failure(Failure::Network(websocket_app::Phase::Open));
    app.expect_close_for_now(lost());
    app.sender.send("kept").unwrap();
    app.expect_reconnect();
    not_connected(writer.write(b"late"));
    assert_eq!(writer.finish(), Err(SendError::NotConnected { message: None }));
    // What was kept goes before that.
    let mut writer = app.sender.message_writer(MessageKind::Text).unwrap();
    writer.write_all(b"of the second").unwrap();
    writer.finish().unwrap();
    close(app);
}

#[test]
fn there_is_none_without_a_connection() {
    let peer = Peer::start(|listener| listener.open().answer_close());
    let app = peer.app().queue_while_disconnected(1000, HOUR);
    let before = app.sender().message_writer(MessageKind::Text).unwrap_err();
    assert_eq!(before, SendError::NotConnected { message: None });
    let app = run(app);
    app.expect_open();
    let sender = app.sender.clone();
    close(app);
    let after = sender.message_writer(MessageKind::Text).unwrap_err();
    assert_eq!(after, SendError::NotConnected { message: None });
}

/// What was taken is sent, and what was not is not counted as written.
#[test]
fn in_a_callback_it_never_waits_and_loses_nothing() {
    let full = Gate::new();
    let is_full = full.clone();
    let (tell, told) = crossbeam_channel::bounded(1);
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        is_full.wait();
        tell.send(read_message(&mut client, BINARY).0).unwrap();
        client.answer_close();
    });
    let (took, taken) = crossbeam_channel::bounded(1);
    let all = data(64 << 20);
    let app = peer.app().max_send_buffer(LIMIT).send_timeout(HOUR);
    let app = run_with(app, move |ws, call| {
        if *call == Call::Open {
            let (mut writer, mut sent) = (ws.message_writer(MessageKind::Binary)?, 0);
            let error = loop {
                match writer.write(&all[sent..]) {
                    Ok(taken) => sent += taken,
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            let limit = LIMIT;
            assert_eq!(*within_io(&error), SendError::QueueFull { message: None, limit });
            writer.finish()?;
            let another = ws.message_writer(MessageKind::Binary).unwrap_err();
            assert_eq!(another, SendError::QueueFull { message: None, limit });
            took.send(sent)?;
        }
        Ok(())
    });
    app.expect_open();
    let taken = taken.recv_timeout(PATIENCE).unwrap();
    full.open();
    assert!(told.recv_timeout(PATIENCE).unwrap() == data(taken));
    close(app);
}

/// It waits for a peer that reads late, whatever the policy for whole messages.
#[test]
fn it_waits_for_room_under_every_policy() {
    const LENGTH: u64 = 64 << 20;
    for policy in [SendPolicy::Wait, SendPolicy::Fail, SendPolicy::DropOldest] {
        let begin = Gate::new();
        let begun = begin.clone();
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            begun.wait();
            let (message, frames) = read_message(&mut client, TEXT);
            assert!(message == vec![b'x'; LENGTH as usize] && frames == 2048);
            client.answer_close();
        });
        let app = run(peer.app().max_send_buffer(LIMIT).send_policy(policy).send_timeout(HOUR));
        app.expect_open();
        let sender = app.sender.clone();
        let writing = Task::start("writing", move || {
            let mut writer = sender.message_writer(MessageKind::Text).unwrap();
            io::copy(&mut io::repeat(b'x').take(LENGTH), &mut writer).unwrap();
            writer.finish().unwrap();
        });
        wait_until("the queue is full", || app.sender.buffered_amount() + FRAGMENT + 14 > LIMIT);
        begin.open();
        writing.join();
        assert_eq!(app.sender.stats().messages_dropped, 0, "{policy:?}");
        close(app);
    }
}

#[test]
fn a_peer_that_does_not_read_is_not_waited_for_longer_than_send_timeout() {
    let peer = Peer::start(|listener| {
        let _client = listener.open_with_small_buffer();
        listener.wait_for_the_test();
    });
    let short = Duration::from_millis(50);
    let app = run(peer.app().max_send_buffer(LIMIT).send_timeout(short));
    app.expect_open();
    let mut writer = app.sender.message_writer(MessageKind::Binary).unwrap();
    let error = io::copy(&mut io::repeat(0), &mut writer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(*within_io(&error), SendError::Timeout { message: None, after: short });
    app.sender.abort();
    not_connected(writer.write(b"late"));
    app.expect_close(unanswered());
    app.end_in_order();
}

/// Of a message in several fragments none is dropped to make room; whole ones are.
#[test]
fn fragments_are_not_dropped_to_make_room() {
    // More than the kernel and the queue hold.
    const MESSAGES: u32 = 4_000;
    let sent = Gate::new();
    let may_read = sent.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        may_read.wait();
        let (mut numbers, mut streamed) = (Vec::new(), Vec::new());
        loop {
            let frame = client.read_frame();
            match (frame.opcode, frame.fin) {
                (BINARY, true) => {
                    numbers.push(u32::from_le_bytes(frame.payload[..4].try_into().unwrap()))
                }
                (BINARY, false) => {
                    let mut message = frame.payload;
                    let (rest, _) = read_message_from(&mut client);
                    message.extend(rest);
                    streamed.push(message);
                }
                _ => break,
            }
        }
        client.send(Frame::close(1000, ""));
        assert!(streamed.iter().all(|message| *message == data(3 * FRAGMENT)));
        assert_eq!(streamed.len(), 1);
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(numbers.len() < MESSAGES as usize, "some are dropped");
        assert_eq!(numbers.last(), Some(&(MESSAGES - 1)));
    });
    let app = peer.app().max_send_buffer(1 << 20).send_policy(SendPolicy::DropOldest);
    let app = run(app);
    app.expect_open();
    let message = |number: u32| [&number.to_le_bytes()[..], &[7; 6000]].concat();
    let mut number = 0;
    while app.sender.buffered_amount() < (1 << 20) - 6 * FRAGMENT {
        app.sender.send(message(number)).unwrap();
        number += 1;
    }
    let mut writer = app.sender.message_writer(MessageKind::Binary).unwrap();
    writer.write_all(&data(3 * FRAGMENT)).unwrap();
    writer.finish().unwrap();
    (number..MESSAGES).for_each(|number| app.sender.send(message(number)).unwrap());
    sent.open();
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    assert!(app.sender.stats().messages_dropped > 0);
    app.end_in_order();
}

/// The rest of a message whose first fragment was read.
fn read_message_from(client: &mut Connection) -> (Vec<u8>, usize) {
    read_message(client, CONTINUATION)
}
