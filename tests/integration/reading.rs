//! `recv_reader`: messages that are read while they arrive.

use std::io::{BufRead, ErrorKind, Read};
use std::time::Duration;

use websocket_app::{Error, LimitError, MessageKind, ProtocolError, WebSocket, WebSocketBuilder};

use crate::connection::Connection;
use crate::failure::{Failure, clean, ending};
use crate::frame::Frame;
use crate::peer::{Listener, Peer};
use crate::watchdog::{Gate, within};
use websocket_app::ClosedBy::{Peer as ByPeer, Us};

/// So many bytes, the same again after no length that a frame has.
fn data(length: usize) -> Vec<u8> {
    let line: Vec<u8> =
        (0..1021_u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    let mut data = line.repeat(length / line.len() + 1);
    data.truncate(length);
    data
}

fn with_client(
    options: fn(WebSocketBuilder) -> WebSocketBuilder,
    script: impl FnOnce(&Listener) + Send + 'static,
    talk: impl FnOnce(WebSocket) + Send + 'static,
) {
    let peer = Peer::start(script);
    let builder = options(WebSocket::builder(peer.url()));
    within("the client", move || talk(builder.connect().unwrap()));
}

fn short(builder: WebSocketBuilder) -> WebSocketBuilder {
    builder.max_message_size(1000)
}

/// Reads the next message to its end.
fn read(ws: &mut WebSocket) -> (MessageKind, Vec<u8>) {
    let (mut reader, mut message) = (ws.recv_reader().unwrap(), Vec::new());
    reader.read_to_end(&mut message).unwrap();
    assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0, "the end stays the end");
    (reader.kind(), message)
}

/// The error within that of a read.
fn within_io(error: &std::io::Error) -> &Error {
    let inner = error.get_ref().expect("it has the error within");
    inner.downcast_ref().unwrap_or_else(|| panic!("{error:?}"))
}

#[test]
fn a_message_is_read_before_all_of_it_has_come() {
    let half = Gate::new();
    let is_half = half.clone();
    with_client(
        |builder| builder,
        move |listener| {
            let mut client = listener.open();
            let frame = Frame::binary(data(200_000)).encode();
            client.write(&frame[..100_010]);
            is_half.wait();
            client.write(&frame[100_010..]);
            client.answer_close();
        },
        move |mut ws| {
            let mut reader = ws.recv_reader().unwrap();
            assert_eq!((reader.kind(), reader.message_len()), (MessageKind::Binary, Some(200_000)));
            let (mut first, mut rest) = (vec![0; 100_000], Vec::new());
            reader.read_exact(&mut first).unwrap();
            half.open();
            reader.read_to_end(&mut rest).unwrap();
            assert!([first, rest].concat() == data(200_000));
            drop(reader);
            ws.close().unwrap();
        },
    );
}

/// `max_message_size` does not count, and control frames between fragments are answered.
#[test]
fn a_message_may_be_longer_than_what_recv_takes() {
    with_client(
        short,
        |listener| {
            let mut client = listener.open();
            client.send(Frame::text("é".repeat(10_000)).unfinished());
            client.send(Frame::ping("p"));
            client.send(Frame::continuation(&"é".as_bytes()[..1]).unfinished());
            client.send(Frame::continuation([&"é".as_bytes()[1..], b"!"].concat()));
            client.expect(Frame::pong("p"));
            client.send(Frame::binary(data(1 << 20)));
            client.send(Frame::text([]));
            client.send(Frame::text("short"));
            client.answer_close();
        },
        |mut ws| {
            assert_eq!(ws.recv_reader().unwrap().message_len(), None);
            let rest = read(&mut ws);
            assert!(rest == (MessageKind::Binary, data(1 << 20)), "the text was skipped");
            assert_eq!(read(&mut ws), (MessageKind::Text, Vec::new()));
            assert_eq!(ws.recv_reader().unwrap().message_len(), Some(5));
            assert_eq!(ws.handshake().status(), 101);
            ws.close().unwrap();
        },
    );
}

#[test]
fn fragments_and_cut_characters_add_up() {
    with_client(
        short,
        |listener| {
            let mut client = listener.open();
            client.send(Frame::text("é".repeat(10_000)).unfinished());
            client.send(Frame::continuation(&"é".as_bytes()[..1]).unfinished());
            client.send(Frame::continuation([&"é".as_bytes()[1..], b"!\nnext"].concat()));
            client.answer_close();
        },
        |mut ws| {
            let lines: Result<Vec<_>, _> = ws.recv_reader().unwrap().lines().collect();
            assert!(lines.unwrap() == ["é".repeat(10_001) + "!", "next".to_owned()]);
            ws.close().unwrap();
        },
    );
}

/// Whatever of them came with the same packet.
#[test]
fn recv_and_recv_reader_take_turns() {
    for at_once in [true, false] {
        with_client(
            short,
            move |listener| {
                let mut client = listener.open();
                let mut packet = Vec::new();
                for length in [10, 100_000, 1000, 2000, 10, 3000, 900, 70_000] {
                    packet.extend(Frame::binary(data(length)).encode());
                    packet.extend(Frame::text("be").unfinished().encode());
                    packet.extend(Frame::continuation("tween").encode());
                }
                match at_once {
                    true => client.write(packet),
                    false => packet.chunks(777).for_each(|part| client.write(part)),
                }
                client.answer_close();
            },
            |mut ws| {
                for [whole, in_pieces] in [[10, 100_000], [1000, 2000], [10, 3000], [900, 70_000]] {
                    assert!(ws.recv().unwrap() == data(whole));
                    assert_eq!(ws.recv().unwrap(), "between");
                    assert!(read(&mut ws) == (MessageKind::Binary, data(in_pieces)));
                    assert_eq!(read(&mut ws), (MessageKind::Text, b"between".to_vec()));
                }
                ws.close().unwrap();
            },
        );
    }
}

#[test]
fn what_is_not_read_is_skipped() {
    with_client(
        short,
        |listener| {
            let mut client = listener.open();
            for _ in 0..4 {
                client.send(Frame::binary(data(1 << 20)));
                client.send(Frame::text("next"));
            }
            client.answer_close();
        },
        |mut ws| {
            drop(ws.recv_reader().unwrap());
            assert_eq!(ws.recv().unwrap(), "next");
            ws.recv_reader().unwrap().read_exact(&mut [0; 500_000]).unwrap();
            assert_eq!(read(&mut ws), (MessageKind::Text, b"next".to_vec()));
            let mut all_but_the_end = vec![0; 1 << 20];
            ws.recv_reader().unwrap().read_exact(&mut all_but_the_end).unwrap();
            assert_eq!(ws.recv().unwrap(), "next");
            drop(ws.recv_reader().unwrap());
            ws.recv_reader().unwrap().read_exact(&mut [0; 2]).unwrap();
            ws.close().unwrap();
        },
    );
}

#[test]
fn what_recv_timeout_did_not_see_the_end_of_can_be_had_later() {
    let looked = Gate::new();
    let has_looked = looked.clone();
    with_client(
        |builder| builder,
        move |listener| {
            let mut client = listener.open();
            client.send(Frame::text("be").unfinished());
            client.send(Frame::ping("p"));
            has_looked.wait();
            client.expect(Frame::pong("p"));
            client.send(Frame::continuation("gun"));
            client.answer_close();
        },
        move |mut ws| {
            let soon = Duration::from_millis(10);
            while ws.sender().stats().bytes_received == 0 {
                assert_eq!(ws.recv_timeout(soon).unwrap(), None);
            }
            assert_eq!(ws.recv_timeout(soon).unwrap(), None);
            looked.open();
            assert_eq!(read(&mut ws), (MessageKind::Text, b"begun".to_vec()));
            ws.close().unwrap();
        },
    );
}

/// However much of it comes, and never ends.
#[test]
fn recv_timeout_keeps_its_time_while_a_message_arrives() {
    with_client(
        |builder| builder.max_message_size(usize::MAX).max_fragments(usize::MAX),
        |listener| {
            let mut client = listener.open();
            let piece = Frame::continuation(data(60_000)).unfinished().encode();
            let mut sent = client.try_write(Frame::binary("first").unfinished().encode());
            // Until the other side has had enough.
            while sent.is_ok() {
                sent = client.try_write(&piece);
            }
        },
        |mut ws| {
            for timeout in [Duration::ZERO, Duration::from_millis(20), Duration::ZERO] {
                assert_eq!(ws.recv_timeout(timeout).unwrap(), None);
            }
            ws.sender().abort();
        },
    );
}

#[test]
fn recv_refuses_what_is_too_long_and_the_limit_counts_what_was_inflated() {
    let too_long: [fn(&mut Connection); 3] = [
        // Before any of it has come.
        |client| client.write(Frame::binary([]).head(1001)),
        |client| {
            client.send(Frame::text("x".repeat(1000)).unfinished());
            client.send(Frame::continuation("x"));
        },
        |client| {
            (0..11).for_each(|i| {
                let part =
                    if i == 0 { Frame::text([b'x'; 99]) } else { Frame::continuation([b'x'; 99]) };
                client.send(part.unfinished());
            });
        },
    ];
    for too_long in too_long {
        with_client(
            short,
            move |listener| {
                let mut client = listener.open();
                client.send(Frame::text("x".repeat(1000)));
                too_long(&mut client);
                assert_eq!(client.expect_close_code(), 1009);
            },
            |mut ws| {
                assert_eq!(ws.recv().unwrap().len(), 1000);
                for _ in 0..2 {
                    let error = ws.recv().unwrap_err();
                    let limit = LimitError::MessageSize { limit: 1000 };
                    assert!(matches!(error, Error::Limit(found) if found == limit), "{error:?}");
                }
            },
        );
    }
}

#[test]
fn a_connection_that_ends_in_the_middle_is_no_end_of_the_message() {
    let endings: [(fn(Connection), ErrorKind); 4] = [
        (|client| client.reset(), ErrorKind::ConnectionReset),
        (drop, ErrorKind::UnexpectedEof),
        (|client| client.close(1001, "bye"), ErrorKind::ConnectionAborted),
        (
            |mut client| {
                client.send(Frame::continuation(b"\xff".to_vec()));
                assert_eq!(client.expect_close_code(), 1007);
            },
            ErrorKind::InvalidData,
        ),
    ];
    for (end, kind) in endings {
        let read = Gate::new();
        let has_read = read.clone();
        with_client(
            |builder| builder,
            move |listener| {
                let mut client = listener.open();
                client.send(Frame::text("begun").unfinished());
                has_read.wait();
                end(client);
            },
            move |mut ws| {
                let mut reader = ws.recv_reader().unwrap();
                let mut begun = [0; 5];
                reader.read_exact(&mut begun).unwrap();
                read.open();
                for _ in 0..2 {
                    let error = reader.read(&mut [0; 10]).unwrap_err();
                    assert_eq!(error.kind(), kind, "{error:?}");
                    match within_io(&error) {
                        Error::Closed(close) => {
                            assert_eq!(ending(close), clean(ByPeer, 1001, "bye"))
                        }
                        Error::Protocol(violation) => {
                            assert_eq!(*violation, ProtocolError::InvalidUtf8)
                        }
                        error => assert_eq!(
                            Failure::from(error),
                            Failure::Network(websocket_app::Phase::Open)
                        ),
                    }
                }
                drop(reader);
                assert!(ws.recv().is_err());
            },
        );
    }
}

#[test]
fn bad_text_is_refused_before_it_is_read() {
    with_client(
        |builder| builder,
        |listener| {
            let mut client = listener.open();
            client.send(Frame::text(b"\xff".to_vec()));
            assert_eq!(client.expect_close_code(), 1007);
        },
        |mut ws| {
            let error = ws.recv_reader().unwrap_err();
            assert!(matches!(error, Error::Protocol(ProtocolError::InvalidUtf8)), "{error:?}");
        },
    );
}

#[test]
fn closing_skips_what_was_not_read() {
    with_client(
        short,
        |listener| {
            let mut client = listener.open();
            client.send(Frame::text("begun").unfinished());
            client.expect(Frame::close(1000, ""));
            client.send(Frame::continuation("x".repeat(5000)));
            client.send(Frame::binary(data(5000)));
            client.send(Frame::close(1000, ""));
        },
        |mut ws| {
            drop(ws.recv_reader().unwrap());
            assert_eq!(ending(&ws.close().unwrap()), clean(Us, 1000, ""));
        },
    );
}

#[cfg(feature = "deflate")]
#[test]
fn what_is_compressed_is_inflated_as_it_comes() {
    const ANSWER: &str = "permessage-deflate";
    const LENGTH: usize = 64 << 20;
    with_client(
        |builder| short(builder).compression(websocket_app::Deflate::default()),
        |listener| {
            let mut client = listener.accept();
            client.upgrade_with_extensions(ANSWER);
            let mut zlib = crate::zlib::Zlib::new(ANSWER);
            client.send(zlib.frame(Frame::text("short")));
            client.send(zlib.frame(Frame::binary(vec![7; LENGTH])));
            let cut = zlib.compress("é".repeat(1000).as_bytes());
            client.send(Frame::text(&cut[..3]).unfinished().rsv(0b100));
            client.send(Frame::continuation(&cut[3..]));
            client.send(zlib.frame(Frame::binary(vec![7; LENGTH])));
            assert_eq!(client.expect_close_code(), 1009);
        },
        |mut ws| {
            assert_eq!(ws.recv().unwrap(), "short");
            let (mut reader, mut total, mut part) =
                (ws.recv_reader().unwrap(), 0, vec![0; 100_000]);
            assert_eq!((reader.kind(), reader.message_len()), (MessageKind::Binary, None));
            loop {
                match reader.read(&mut part).unwrap() {
                    0 => break,
                    length => total += length,
                }
                assert!(part[0] == 7);
            }
            assert_eq!(total, LENGTH);
            drop(reader);
            assert_eq!(read(&mut ws), (MessageKind::Text, "é".repeat(1000).into_bytes()));
            let error = ws.recv().unwrap_err();
            assert!(matches!(error, Error::Limit(_)), "{error:?}");
        },
    );
}

/// In every piece of it, and in none of one whose length is not known.
#[test]
fn fragments_tell_how_long_their_message_is() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        let packet = [
            Frame::text("known").encode(),
            Frame::text("un").unfinished().encode(),
            Frame::continuation("known").encode(),
            Frame::binary([]).encode(),
            Frame::binary(data(300_000)).encode(),
        ];
        client.write(packet.concat());
        client.close(1000, "");
    });
    let (tell, told) = crossbeam_channel::unbounded();
    let app = peer.app().on_close(|_, _| ()).on_fragment(move |_, fragment| {
        tell.send((fragment.data.len() as u64, fragment.message_len)).unwrap();
    });
    within("the app", || app.run_forever()).unwrap();
    let mut seen: Vec<(u64, Option<u64>)> = told.iter().collect();
    let long = seen.split_off(4);
    assert_eq!(seen, [(5, Some(5)), (2, None), (5, None), (0, Some(0))]);
    assert!(long.len() > 1 && long.iter().all(|(_, len)| *len == Some(300_000)), "{long:?}");
    assert_eq!(long.iter().map(|(len, _)| len).sum::<u64>(), 300_000);
}
