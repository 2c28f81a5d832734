//! Messages that are not in memory: written piece by piece, and read while they arrive.

use std::io::{Read, Write};

use websocket_app::{MessageKind, WebSocket};

use super::servers::Servers;
use super::{binary, text};

/// Many fragments of ours, and pieces of a length that cuts characters.
const LENGTH: usize = (3 << 20) + 7;
const PIECE: usize = 10_007;

/// Sends it in pieces to where it is echoed, and reads what comes back while it arrives.
fn there_and_back(ws: &mut WebSocket, kind: MessageKind, bytes: &[u8]) {
    let mut writer = ws.message_writer(kind).unwrap();
    bytes.chunks(PIECE).for_each(|piece| writer.write_all(piece).unwrap());
    writer.finish().unwrap();
    let mut reader = ws.recv_reader().unwrap();
    assert_eq!(reader.kind(), kind);
    let mut back = Vec::new();
    reader.read_to_end(&mut back).unwrap();
    assert!(back == bytes, "another one came back, of {} bytes", back.len());
}

fn both_kinds(mut ws: WebSocket) {
    for _ in 0..2 {
        there_and_back(&mut ws, MessageKind::Text, text(LENGTH).as_bytes());
        there_and_back(&mut ws, MessageKind::Binary, &binary(LENGTH));
    }
    ws.send("whole").unwrap();
    assert_eq!(ws.recv().unwrap(), "whole");
    assert!(ws.close().unwrap().clean);
}

/// In one frame and in fragments of theirs, which are empty too.
#[test]
fn it_is_whole_for_the_server_and_so_is_its_echo() {
    let Some(servers) = Servers::shared() else { return };
    for server in servers.good() {
        for path in ["/echo", "/echo?fragments=70001"] {
            both_kinds(server.blocking(path).connect().unwrap());
        }
    }
}

#[cfg(feature = "deflate")]
#[test]
fn the_same_compressed() {
    let Some(servers) = Servers::shared() else { return };
    // With and without memory of the messages before.
    for number in [0, 15] {
        let server = servers.compressing(number);
        let ws = server.blocking("/echo").compression(websocket_app::Deflate::default());
        both_kinds(ws.connect().unwrap());
    }
}
