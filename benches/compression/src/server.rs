//! The other end: frames from memory, frames counted. One client at a time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use flate2::{Compress, Compression, FlushCompress};
use tungstenite::handshake::derive_accept_key;

use crate::ticks::ticks;

pub fn run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    for client in listener.incoming() {
        // A client that has what it wants may go.
        let _gone = serve(client.unwrap());
    }
}

/// `GET /receive/MESSAGES/SIZE` or `/send/MESSAGES/SIZE`.
fn serve(mut client: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)))
            .map(|h| h.1)
    };
    let offer =
        header("Sec-WebSocket-Extensions").filter(|offer| offer.contains("permessage-deflate"));
    let accept = derive_accept_key(header("Sec-WebSocket-Key").unwrap().as_bytes());
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
    );
    if let Some(offer) = offer {
        answer += "Sec-WebSocket-Extensions: permessage-deflate";
        // What the client asks of us must be said again (RFC 7692 §7.1.2.1); all ask for the
        // largest window, if any.
        if offer.contains("server_max_window_bits=15") {
            answer += "; server_max_window_bits=15";
        }
        assert!(!offer.contains("no_context_takeover"), "{offer}");
        answer += "\r\n";
    }
    let path: Vec<&str> = head.split(' ').nth(1).unwrap().trim_matches('/').split('/').collect();
    let (messages, size) = (path[1].parse().unwrap(), path[2].parse().unwrap());
    let wire =
        if path[0] == "receive" { wire(messages, size, offer.is_some()) } else { Vec::new() };
    client.write_all((answer + "\r\n").as_bytes())?;
    let mut frames = Frames::default();
    if path[0] == "receive" {
        // "Go".
        frames.read(&mut client, 1)?;
        client.write_all(&wire)?;
        client.write_all(&frame(0x81, wire.len().to_string().as_bytes()))?;
    } else {
        let bytes = frames.read(&mut client, messages)?;
        client.write_all(&frame(0x81, bytes.to_string().as_bytes()))?;
    }
    // Until the client goes.
    client.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// What a client receives.
fn wire(messages: usize, size: usize, compressed: bool) -> Vec<u8> {
    let ticks = ticks(size);
    let mut zlib = Compress::new_with_window_bits(Compression::fast(), false, 15);
    let mut wire = Vec::with_capacity(messages * size);
    for tick in ticks.iter().cycle().take(messages) {
        if !compressed {
            wire.extend(frame(0x81, tick.as_bytes()));
            continue;
        }
        let mut payload = Vec::with_capacity(size + 100);
        zlib.compress_vec(tick.as_bytes(), &mut payload, FlushCompress::Sync).unwrap();
        payload.truncate(payload.len() - 4);
        wire.extend(frame(0xc1, &payload));
    }
    wire
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(len as u8),
        len => {
            frame.push(126);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// Reads the client's frames.
#[derive(Default)]
struct Frames {
    buffer: Vec<u8>,
}

impl Frames {
    /// Reads so many data frames and gives their payload bytes.
    fn read(&mut self, client: &mut TcpStream, mut messages: usize) -> std::io::Result<usize> {
        let (mut chunk, mut bytes) = (vec![0; 256 << 10], 0);
        while messages > 0 {
            let mut at = 0;
            while messages > 0
                && let Some((header, len)) = head(&self.buffer[at..])
                && self.buffer.len() - at >= header + len
            {
                if self.buffer[at] & 0x08 == 0 {
                    messages -= 1;
                    bytes += len;
                }
                at += header + len;
            }
            self.buffer.drain(..at);
            if messages > 0 {
                let read = client.read(&mut chunk)?;
                assert!(read > 0, "the client went");
                self.buffer.extend(&chunk[..read]);
            }
        }
        Ok(bytes)
    }
}

/// The length of a masked frame's header and of its payload.
fn head(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(1)? & 0x7f {
        126 => Some((8, u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()).into())),
        127 => Some((14, u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize)),
        len => Some((6, len.into())),
    }
}
