//! Messages for many beside one that a client is sent in fragments; bursts; and what a connection was
//! told of before it was open.

use std::io::Write;

use websocket_app::server::{Answer, SlowClients};
use websocket_app::{CallbackError, ClosedBy, MessageKind, SendError};

use super::serving::{Serving, echoes, serve};
use super::visitor::{Visitor, request};
use crate::failure::clean;
use crate::frame::Frame;
use crate::recorder::Call;
use crate::watchdog::{Gate, PATIENCE};

fn nothing(_: &websocket_app::server::Client, _: &Call) -> Result<(), CallbackError> {
    Ok(())
}

fn the_client(serving: &Serving) -> websocket_app::server::Client {
    serving.handle().clients().pop().expect("a client")
}

/// Reads a message, however many frames it is in.
fn message(visitor: &mut Visitor) -> Vec<u8> {
    let mut payload = Vec::new();
    loop {
        let frame = visitor.read_frame();
        assert_eq!((frame.opcode == 0, frame.rsv), (!payload.is_empty(), 0), "{frame:?}");
        payload.extend(frame.payload);
        if frame.fin {
            return payload;
        }
    }
}

#[test]
fn what_is_for_all_waits_for_its_end_and_keeps_its_order() {
    for _ in 0..20 {
        let serving = serve(|server| server, nothing);
        let (mut visitor, calls) = serving.open();
        let (handle, client) = (serving.handle(), the_client(&serving));
        let mut writer = client.sender().message_writer(MessageKind::Text).unwrap();
        writer.write_all(&[b'a'; 100_000]).unwrap();
        for text in ["1", "2"] {
            assert_eq!(handle.broadcast(text).clients, 1);
        }
        assert!(matches!(client.try_send("too early"), Err(SendError::Busy { .. })));
        // Its end and what comes after it at once.
        let ending = std::thread::spawn(move || writer.finish());
        assert_eq!(handle.broadcast("3").clients, 1);
        ending.join().unwrap().unwrap();
        assert_eq!(handle.broadcast("4").clients, 1);
        assert_eq!(message(&mut visitor).len(), 100_000);
        ["1", "2", "3", "4"].into_iter().for_each(|text| visitor.expect_text(text));
        visitor.close(1000, "");
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
        serving.end();
    }
}

#[test]
fn it_goes_out_before_a_close_where_nothing_of_the_other_was_sent() {
    let serving = serve(|server| server, nothing);
    let (mut visitor, calls) = serving.open();
    let client = the_client(&serving);
    let writer = client.sender().message_writer(MessageKind::Text).unwrap();
    assert_eq!(serving.handle().broadcast("bye").clients, 1);
    client.close_with(3000, "").unwrap();
    drop(writer);
    visitor.expect_text("bye");
    visitor.answer_close(3000);
    calls.expect_close(clean(ClosedBy::Us, 3000, ""));
    calls.finish();
    serving.end();
}

#[test]
fn what_waits_for_its_end_is_bounded() {
    let options = |server: websocket_app::server::Server| {
        server.max_send_buffer(100_000).slow_clients(SlowClients::Skip)
    };
    let serving = serve(options, nothing);
    let (mut visitor, calls) = serving.open();
    let client = the_client(&serving);
    let mut writer = client.sender().message_writer(MessageKind::Binary).unwrap();
    writer.write_all(b"begun").unwrap();
    writer.flush().unwrap();
    let began = visitor.read_frame();
    assert_eq!((began.fin, &*began.payload), (false, &b"begun"[..]));
    let got: usize = (0..50).map(|_| serving.handle().broadcast(vec![7; 10_000]).clients).sum();
    assert_eq!(got, 9, "of 10,004 bytes each");
    writer.finish().unwrap();
    assert!(visitor.read_frame().fin);
    for _ in 0..got {
        assert_eq!(message(&mut visitor).len(), 10_000);
    }
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    serving.end();
}

/// More than a queue holds, in a callback, so that the loop has no turn: it is not the clients that
/// are slow.
#[test]
fn a_burst_closes_nobody_who_reads() {
    const PIECES: usize = 20;
    let burst = |client: &websocket_app::server::Client, call: &Call| {
        if matches!(call, Call::Message(_)) {
            for _ in 0..PIECES {
                let delivered = client.server().broadcast(vec![7; 64 << 10]);
                assert_eq!((delivered.clients, delivered.closed), (1, 0));
            }
        }
        Ok(())
    };
    let serving = serve(|server| server, burst);
    let (mut visitor, calls) = serving.open();
    visitor.text("now");
    calls.expect_text("now");
    for _ in 0..PIECES {
        assert_eq!(visitor.read_frame().payload.len(), 64 << 10);
    }
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    serving.end();
}

/// zlib has no such window, so nothing is compressed.
#[cfg(feature = "deflate")]
#[test]
fn with_the_smallest_window_it_goes_uncompressed() {
    let serving = serve(|server| server.compression(websocket_app::Deflate::default()), nothing);
    let mut visitor = Visitor::connect(serving.addr());
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8\r\n";
    let answer = visitor.upgrade(&request("/", offer));
    let agreed = answer.header("Sec-WebSocket-Extensions").expect("an agreement");
    assert!(agreed.contains("server_max_window_bits=8"), "{agreed}");
    let calls = serving.next();
    calls.expect_open();
    let client = the_client(&serving);
    let mut writer = client.sender().message_writer(MessageKind::Text).unwrap();
    writer.write_all(&[b'a'; 100_000]).unwrap();
    writer.flush().unwrap();
    writer.finish().unwrap();
    assert_eq!(message(&mut visitor).len(), 100_000);
    client.send("b".repeat(5_000)).unwrap();
    assert_eq!(message(&mut visitor).len(), 5_000);
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    serving.end();
}

/// The poll tells of an end once, and that while the program decides on the request.
#[test]
fn an_end_that_came_before_the_answer_is_met() {
    let (asked, may_answer) = (Gate::new(), Gate::new());
    let [in_request, until] = [asked.clone(), may_answer.clone()];
    let serving = serve(
        |server| {
            server.ping_interval(None).on_request(move |request| {
                if request.path() == "/slow" {
                    in_request.open();
                    until.wait();
                }
                Answer::accept()
            })
        },
        echoes,
    );
    let mut visitor = Visitor::connect(serving.addr());
    visitor.write(request("/slow", ""));
    asked.wait();
    visitor.send(Frame::text("hello"));
    visitor.end_stream();
    // By the time that another is served, the poll has told of that.
    serving.still_serves();
    may_answer.open();
    let calls = serving.next();
    calls.expect_open();
    calls.expect_text("hello");
    // What is sent back may fail, or the reading: in which order is the operating system's.
    while !matches!(calls.next(), Call::Close(_)) {}
    calls.finish();
    serving.end();
}

/// Whoever has been asked about is told that it is too late, and is not opened.
#[test]
fn who_is_being_decided_on_is_refused_at_shutdown() {
    let (asked, may_answer) = (Gate::new(), Gate::new());
    let [in_request, until] = [asked.clone(), may_answer.clone()];
    let serving = serve(
        |server| {
            server.on_request(move |_| {
                in_request.open();
                until.wait();
                Answer::accept()
            })
        },
        nothing,
    );
    let mut visitor = Visitor::connect(serving.addr());
    visitor.write(request("/", ""));
    asked.wait();
    serving.handle().shutdown(1001, "", PATIENCE).unwrap();
    may_answer.open();
    assert_eq!(visitor.refusal().status, 503);
    serving.ends();
}
