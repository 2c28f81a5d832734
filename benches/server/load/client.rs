//! One connection: how it is opened, and what comes on it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use tungstenite::handshake::derive_accept_key;

use super::stream::Stream;

const SAMPLE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

pub(crate) struct Client {
    pub(super) stream: Stream,
    /// What could not be written yet.
    out: Vec<u8>,
    /// The head of the answer as far as it has come, until it is open.
    head: Option<Vec<u8>>,
    /// How much of the next answer has come.
    come: usize,
    /// How many are to be sent, and how many are to come.
    pub(super) to_send: usize,
    pub(super) to_come: usize,
}

/// A request to upgrade, compressed where `deflate`.
pub(super) fn request(address: SocketAddr, path: &str, deflate: bool) -> Vec<u8> {
    let offer = if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {SAMPLE_KEY}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
    )
    .into_bytes()
}

impl Client {
    pub(super) fn new(stream: Stream, request: &[u8]) -> Self {
        let (out, head) = (request.to_vec(), Some(Vec::new()));
        Client { stream, out, head, come: 0, to_send: 0, to_come: 0 }
    }

    /// Goes on to open. Whether it is open.
    pub(super) fn open(&mut self, buffer: &mut [u8]) -> bool {
        self.flush();
        let Some(mut head) = self.head.take() else { return true };
        let over = self.read(buffer, |bytes| head.extend(bytes));
        assert!(!over, "no answer but {:?}", String::from_utf8_lossy(&head));
        if !head.ends_with(b"\r\n\r\n") {
            self.head = Some(head);
            return false;
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains(&derive_accept_key(SAMPLE_KEY.as_bytes())), "{head}");
        true
    }

    /// Writes, or keeps what cannot be written for [`flush`](Self::flush).
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.out.extend(bytes);
        self.flush();
    }

    pub(super) fn flush(&mut self) {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Err(error) if is_later(&error) => return,
                written => drop(self.out.drain(..written.unwrap())),
            }
        }
    }

    /// Will not write any more: the server may wait for that.
    pub(super) fn end(&mut self) {
        // It may have gone further by itself.
        let _however = self.stream.tcp().shutdown(Shutdown::Both);
    }

    /// Takes what has come, which must be `answer` again and again. How many have ended.
    pub(super) fn take(&mut self, buffer: &mut [u8], answer: &[u8]) -> usize {
        let (mut come, mut ended) = (self.come, 0);
        let over = self.read_once(buffer, |mut bytes| {
            while !bytes.is_empty() {
                let now = bytes.len().min(answer.len() - come);
                assert!(bytes[..now] == answer[come..come + now], "another answer: {bytes:?}");
                come += now;
                bytes = &bytes[now..];
                if come == answer.len() {
                    (come, ended) = (0, ended + 1);
                }
            }
        });
        assert!(!over, "the server has gone");
        self.come = come;
        ended
    }

    /// Reads all there is. Whether the other side has ended.
    pub(super) fn read(&mut self, buffer: &mut [u8], mut take: impl FnMut(&[u8])) -> bool {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return true,
                // What TLS calls an end without a word.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return true,
                Err(error) if is_later(&error) => return false,
                read => take(&buffer[..read.unwrap()]),
            }
        }
    }

    /// Reads what there is, where no end is to come: what was less than there is room for was all.
    fn read_once(&mut self, buffer: &mut [u8], mut take: impl FnMut(&[u8])) -> bool {
        if !self.stream.is_plain() {
            return self.read(buffer, take);
        }
        match self.stream.read(buffer) {
            Ok(read) if read == buffer.len() => {
                take(buffer);
                self.read(buffer, take)
            }
            Ok(read) => {
                take(&buffer[..read]);
                read == 0
            }
            Err(error) if is_later(&error) => false,
            Err(error) => panic!("cannot read: {error}"),
        }
    }
}

/// A connection that is being made says the latter.
fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}
