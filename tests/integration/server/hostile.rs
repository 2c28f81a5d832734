//! Clients that mean harm: what they cost is bounded, and others are served meanwhile.

use std::time::Duration;

use websocket_app::server::Server;
use websocket_app::{ClosedBy, LimitError, Phase, ProtocolError};

use super::serving::{A_MOMENT, STYLES, Serving, echo, echoes, serve, serve_as};
use super::visitor::{Visitor, masked, request};
use crate::failure::{Failure, clean, lost, unanswered};
use crate::frame::{Frame, PING};
use crate::recorder::Call;
use crate::watchdog::{PATIENCE, Task, wait_until};

/// A server whose handshakes must be over soon, but not so soon that those of a loaded machine are
/// not.
fn impatient(options: impl FnOnce(Server) -> Server) -> Serving {
    serve(|server| options(server).handshake_timeout(Duration::from_secs(1)), echoes)
}

#[test]
fn a_head_that_drips_is_cut_off_at_the_deadline() {
    let serving = impatient(|server| server);
    let mut slow: Vec<_> = (0..20).map(|_| Visitor::connect(serving.addr())).collect();
    // Each byte is something heard, and none of them counts. This is never a whole head.
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\n".bytes().chain("X: y\r\n".bytes().cycle());
    let mut answers = Vec::new();
    for (i, byte) in head.enumerate() {
        slow.retain_mut(|visitor| match visitor.try_write([byte]) {
            Ok(()) if serving.handle().stats().refused < 20 => true,
            _ => {
                answers.push(visitor.try_answer_head());
                false
            }
        });
        if slow.is_empty() {
            break;
        }
        if i % 20 == 0 {
            serving.still_serves();
        }
        std::thread::sleep(A_MOMENT / 20);
        assert!(i < 8_000, "they may go on for ever");
    }
    assert_eq!(answers.len(), 20);
    for answer in answers.into_iter().flatten() {
        assert_eq!(answer.status, 408);
    }
    serving.still_serves();
    serving.end();
}

/// They have their places until the deadline, and no longer.
#[test]
fn many_that_never_ask_are_bounded_and_cut_off() {
    let serving = impatient(|server| server.max_connections(32));
    let silent: Vec<_> = (0..32).map(|_| Visitor::connect(serving.addr())).collect();
    let refused = Visitor::connect(serving.addr()).ask(request("/", ""));
    assert_eq!(refused.status, 503);
    silent.into_iter().for_each(Visitor::expect_end);
    assert_eq!(serving.handle().stats().refused, 33);
    serving.still_serves();
    serving.end();
}

#[test]
fn headers_without_end_are_refused_early() {
    let serving = echo();
    let flood: String = (0..10_000).map(|i| format!("X-{i}: {}\r\n", "y".repeat(100))).collect();
    let endless = "z".repeat(1 << 20);
    for (bytes, status) in [
        (format!("GET / HTTP/1.1\r\n{flood}"), 431),
        (format!("GET / HTTP/1.1\r\nX: {endless}"), 431),
        (format!("GET /{endless}"), 414),
        (endless.clone(), 414),
    ] {
        let mut visitor = Visitor::connect(serving.addr());
        // It need not be whole to be wrong.
        let _refused_already = visitor.try_write(&bytes[..20 << 10]);
        let answer = visitor.refusal();
        assert_eq!(answer.status, status, "{answer:?}");
    }
    // What comes on and on behind it is not read for ever.
    for _ in 0..5 {
        let mut visitor = Visitor::connect(serving.addr());
        let head = format!("GET / HTTP/1.1\r\n{flood}");
        while visitor.try_write(&head).is_ok() {}
    }
    serving.still_serves();
    serving.end();
}

#[test]
fn frames_that_are_not_masked_are_a_violation() {
    for frame in [Frame::text("a"), Frame::ping("a"), Frame::close(1000, "")] {
        let serving = echo();
        let (mut visitor, calls) = serving.open();
        visitor.write(frame.encode());
        visitor.expect_failed(1002);
        calls.expect_failure(Failure::Protocol(ProtocolError::UnmaskedFrame));
        calls.expect_close(unanswered());
        calls.finish();
        serving.still_serves();
        serving.end();
    }
}

#[test]
fn each_violation_has_its_code() {
    use ProtocolError as P;
    let text = |bytes: &[u8]| Frame::text(bytes);
    for (frames, code, what) in [
        (vec![Frame::text("a").rsv(0b100)], 1002, P::ReservedBits),
        (vec![Frame::new(3, "")], 1002, P::ReservedOpcode(3)),
        (vec![Frame::new(11, "")], 1002, P::ReservedOpcode(11)),
        (vec![Frame::ping("a").unfinished()], 1002, P::FragmentedControlFrame),
        (vec![Frame::ping([7; 126])], 1002, P::OversizedControlFrame),
        (vec![Frame::text("a").unfinished(), Frame::text("b")], 1002, P::UnfinishedMessage),
        (vec![Frame::new(8, "x")], 1002, P::InvalidClosePayload),
        (vec![Frame::close(1005, "")], 1002, P::InvalidCloseCode(1005)),
        (vec![text(b"a\xc3").unfinished(), Frame::continuation("b")], 1007, P::InvalidUtf8),
        (vec![text(b"\xff").unfinished()], 1007, P::InvalidUtf8),
    ] {
        let serving = echo();
        let (mut visitor, calls) = serving.open();
        visitor.echo("before");
        calls.expect_text("before");
        frames.iter().for_each(|frame| visitor.send(frame.clone()));
        visitor.expect(Frame::close(code, &what.to_string()));
        visitor.expect_end();
        calls.expect_failure(Failure::Protocol(what));
        calls.expect_close(unanswered());
        calls.finish();
        serving.end();
    }
}

/// Nobody waits for what is announced and never comes.
#[test]
fn a_length_that_is_too_much_is_refused_before_it_comes() {
    let serving = echo();
    for length in [(1 << 20) + 1, 1 << 40, i64::MAX as u64] {
        let (mut visitor, calls) = serving.open();
        let key = [1, 2, 3, 4];
        visitor.write([&Frame::binary([]).masked().head(length)[..], &key].concat());
        visitor.expect(Frame::close(1009, "a message is longer than 1048576 bytes"));
        visitor.expect_end();
        calls.expect_failure(Failure::Limit(LimitError::MessageSize { limit: 1 << 20 }));
        calls.expect_close(unanswered());
        calls.finish();
    }
    serving.end();
}

/// Pongs that nobody reads grow no queue: answering the latest ping is enough (RFC 6455 §5.5.3).
#[test]
fn pings_by_one_that_does_not_read_cost_nothing() {
    let serving = serve(|server| server, |_, _| Ok(()));
    let mut visitor = Visitor::connect_with_small_buffer(serving.addr());
    visitor.upgrade(&request("/", ""));
    let calls = serving.next();
    calls.expect_open();
    let client = serving.handle().clients().pop().expect("it is there");
    let pings: Vec<u8> =
        (0..1_000_u32).flat_map(|i| masked(&Frame::ping(format!("{i:0100}")))).collect();
    let mut sent = 0;
    for _ in 0..100 {
        visitor.write(&pings);
        sent += 1_000;
        assert!(client.buffered_amount() < 64 << 10, "{} wait", client.buffered_amount());
    }
    // Each was heard, and the latest is answered once the client reads.
    (0..sent).for_each(|_| assert!(matches!(calls.next(), Call::Ping(_))));
    visitor.send(Frame::ping("the last"));
    calls.expect(Call::Ping(b"the last".into()));
    let mut pongs = 1;
    while visitor.read_frame() != Frame::pong("the last") {
        pongs += 1;
    }
    assert!(pongs <= sent + 1);
    drop(client);
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    serving.end();
}

/// Echoes that nobody reads are bounded too, for no more is taken in.
#[test]
fn messages_by_one_that_does_not_read_are_bounded() {
    const ROOM: usize = 256 << 10;
    let serving = serve(|server| server.max_send_buffer(ROOM).max_receive_buffer(ROOM), echoes);
    let mut visitor = Visitor::connect_with_small_buffer(serving.addr());
    visitor.upgrade(&request("/", ""));
    let calls = serving.next();
    calls.expect_open();
    let client = serving.handle().clients().pop().expect("it is there");
    let message = masked(&Frame::binary([7; 16 << 10]));
    visitor.set_write_timeout(Duration::from_millis(300));
    let is_held = (0..2_000).any(|_| {
        assert!(client.buffered_amount() <= ROOM + (17 << 10));
        visitor.try_write(&message).is_err()
    });
    assert!(is_held, "it takes everything");
    assert!(client.buffered_amount() > 0, "it is slow for another reason");
    serving.still_serves();
    drop(client);
    visitor.reset();
    while !matches!(calls.next(), Call::Close(_)) {}
    calls.finish();
    serving.end();
}

#[test]
fn fragments_of_nothing_end_at_the_limit() {
    for limit in [100, 16_384] {
        let serving = serve(|server| server.max_fragments(limit), echoes);
        let (mut visitor, calls) = serving.open();
        visitor.send(Frame::binary([]).unfinished());
        let nothing = masked(&Frame::continuation([]).unfinished());
        // Some may come too late for anybody to take.
        let _over = visitor.try_write(nothing.repeat(limit));
        let (before, code) = visitor.read_to_close();
        assert_eq!((before, code), (vec![], 1008));
        visitor.stay_silent();
        calls.expect_failure(Failure::Limit(LimitError::Fragments { limit }));
        calls.expect_close(unanswered());
        calls.finish();
        serving.still_serves();
        serving.end();
    }
}

#[cfg(feature = "deflate")]
#[test]
fn a_compression_bomb_ends_with_1009() {
    use websocket_app::Deflate;

    use crate::zlib::Zlib;

    let serving = serve(|server| server.compression(Deflate::default()), echoes);
    let mut visitor = Visitor::connect(serving.addr());
    let answer = visitor.upgrade(&request("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    let agreed = answer.header("Sec-WebSocket-Extensions").expect("it is agreed").to_owned();
    assert!(agreed.starts_with("permessage-deflate"), "{agreed}");
    let calls = serving.next();
    calls.expect_open();
    // A thousandth of what it inflates to, which is a hundred times what is allowed.
    let bomb = Zlib::new("").compress(&vec![0; 100 << 20]);
    assert!(bomb.len() < 1 << 18, "{} bytes", bomb.len());
    visitor.send(Frame::binary(bomb).rsv(0b100));
    visitor.expect_failed(1009);
    calls.expect_failure(Failure::Limit(LimitError::MessageSize { limit: 1 << 20 }));
    calls.expect_close(unanswered());
    calls.finish();
    serving.still_serves();
    serving.end();
}

/// It is off unless asked for, and then it works both ways.
#[cfg(feature = "deflate")]
#[test]
fn compression_is_agreed_where_both_want_it() {
    use websocket_app::Deflate;

    use crate::zlib::Zlib;

    let offer = request("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let serving = echo();
    let mut visitor = Visitor::connect(serving.addr());
    assert_eq!(visitor.upgrade(&offer).header("Sec-WebSocket-Extensions"), None);
    let calls = serving.next();
    calls.expect_open();
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    serving.end();

    let serving = serve(|server| server.compression(Deflate::default()), echoes);
    let mut visitor = Visitor::connect(serving.addr());
    let answer = visitor.upgrade(&offer);
    let agreed = answer.header("Sec-WebSocket-Extensions").expect("it is agreed").to_owned();
    let calls = serving.next();
    calls.expect_open();
    // The scripted side is the client here, so its windows are the other way round.
    let swapped =
        agreed.replace("server_", "x_").replace("client_", "server_").replace("x_", "client_");
    let mut zlib = Zlib::new(&swapped);
    let text = "the same again and again, ".repeat(200);
    for _ in 0..3 {
        visitor.send(zlib.frame(Frame::text(&*text)));
        calls.expect_text(&text);
        let frame = visitor.read_frame();
        assert_eq!(zlib.inflate(&frame), text.as_bytes());
        assert!(frame.payload.len() < text.len() / 10);
    }
    visitor.close(1000, "");
    calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
    calls.finish();
    serving.end();
}

/// Who hangs up at any point of the way leaves nothing: neither a client nor a place.
#[test]
fn hanging_up_at_any_point_leaves_nothing() {
    let serving = serve(|server| server.max_connections(4), echoes);
    let all = [request("/", "").into_bytes(), masked(&Frame::text("hello"))].concat();
    for cut in (0..all.len()).step_by(7).chain([all.len()]) {
        for reset in [false, true] {
            let mut visitor = Visitor::connect(serving.addr());
            // The one before may have its place a moment longer, so this one has none.
            let _refused = visitor.try_write(&all[..cut]);
            match reset {
                true => visitor.reset(),
                false => {
                    visitor.end_stream();
                    visitor.stay_silent();
                }
            }
        }
    }
    wait_until("all are gone", || serving.handle().stats().open == 0);
    // All places are free again.
    let clients: Vec<_> = wait_for_places(&serving, 4);
    drop(clients);
    serving.handle().abort();
    let mut serving = serving;
    assert_eq!(serving.outcome(), Ok(()));
    for calls in serving.rest() {
        calls.expect_open();
        while !matches!(calls.next(), Call::Close(_)) {}
        calls.finish();
    }
}

fn wait_for_places(serving: &Serving, count: usize) -> Vec<Visitor> {
    let places = std::cell::RefCell::new(Vec::new());
    wait_until("there are places", || {
        let mut visitor = Visitor::connect(serving.addr());
        visitor.write(request("/", ""));
        if visitor.answer_head().status == 101 {
            places.borrow_mut().push(visitor);
        }
        places.borrow().len() == count
    });
    places.into_inner()
}

/// The server's own pings: one that answers stays, one that does not is given up.
#[test]
fn a_client_that_answers_no_ping_is_given_up() {
    let (interval, patience) = (Duration::from_millis(200), Duration::from_secs(1));
    for style in STYLES {
        let options = |server: Server| server.ping_interval(interval).ping_timeout(patience);
        let serving = serve_as(style, options, echoes);
        let (dead, its_calls) = serving.open();
        let (mut alive, calls) = serving.open();
        let mut pings = 0;
        let given_up = Task::start("the dead one's end", move || {
            its_calls.expect_failure(Failure::Timeout(Phase::Open, patience));
            its_calls.expect_close(lost());
            its_calls.finish();
            dead.stay_silent();
        });
        // Some longer than the other has.
        while pings < 10 || !given_up.is_over() {
            let ping = alive.read_frame();
            assert_eq!(ping.opcode, PING, "{ping:?}");
            alive.send(Frame::pong(ping.payload));
            assert!(matches!(calls.next(), Call::Pong(_)));
            pings += 1;
        }
        given_up.join();
        // A ping may be on its way.
        alive.send(Frame::close(1000, ""));
        let (before, code) = alive.read_to_close();
        assert!(before.iter().all(|frame| frame.opcode == PING));
        assert_eq!(code, 1000);
        alive.expect_end();
        calls.expect_close(clean(ClosedBy::Peer, 1000, ""));
        calls.finish();
        serving.handle().shutdown(1001, "", PATIENCE).unwrap();
        serving.ends();
    }
}
