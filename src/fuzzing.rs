//! What the properties that hold for any input need of the inside. Exists under `cfg(fuzzing)`,
//! which cargo-fuzz sets, and in unit tests; no part of the API.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::TryRng;

use crate::close::{Close, ClosedBy};
use crate::deadline::after;
use crate::deflate::{Deflate, NegotiatedDeflate};
pub use crate::dial::fuzzing::{Accepted, Input};
use crate::dial::fuzzing::{Answer, answer};
use crate::error::{Error, Rejection};
use crate::headers::Headers;
use crate::link::Supplies;
use crate::protocol::close::close_payload;
#[cfg(feature = "server")]
use crate::protocol::common::Common;
use crate::protocol::frame::{self, Head, MaskingKey};
use crate::protocol::handshake::Handshake;
use crate::protocol::send::{Piece, Queue};
pub use crate::protocol::testing::Event;
use crate::protocol::testing::{Receiving, lend};
use crate::protocol::{Deflater, Limits};
use crate::reconnect;
use crate::reconnect::{Cause, Reconnect};
use crate::role::Role;
#[cfg(feature = "server")]
pub use crate::server::fuzzing::{Doors, Served};

/// permessage-deflate with the same parameters both ways.
#[derive(Clone, Copy, Debug)]
pub struct Compression {
    /// From 8 to 15.
    pub window_bits: u8,
    pub no_context_takeover: bool,
}

impl Compression {
    fn agreed(self) -> NegotiatedDeflate {
        let Compression { window_bits: bits, no_context_takeover } = self;
        let mut answer = format!(
            "permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}"
        );
        if no_context_takeover {
            answer += "; server_no_context_takeover; client_no_context_takeover";
        }
        Deflate::default().min_size(0).agree(&answer).expect("window_bits are from 8 to 15")
    }
}

/// The receiving half of a connection.
#[derive(Clone, Debug)]
pub struct Connection {
    pub max_message_size: usize,
    pub max_fragments: usize,
    /// Whether it is a server's, which receives what a client sends.
    pub is_server: bool,
    /// Whether messages are handed out as `on_fragment` gets them.
    pub in_pieces: bool,
    pub compression: Option<Compression>,
}

impl Connection {
    /// Receives what the peer sends after the handshake, in reads of so many bytes as `size` says.
    /// Panics where a limit does not hold.
    pub fn receive(&self, wire: &[u8], size: impl FnMut() -> usize) -> Vec<Event> {
        self.receiving(self.compression.map(Compression::agreed)).receive(&[], wire, size)
    }

    /// Receives what a server sends from its response head on. The subprotocols `v1` and `v2` were
    /// offered, and compression with this window where this connection has it. `None` is a head
    /// that is not whole.
    pub fn open(
        &self,
        wire: &[u8],
        mut size: impl FnMut() -> usize,
    ) -> (Option<Result<Handshake, Error>>, Vec<Event>) {
        let deflate = self.compression.map(|compression| {
            Deflate::default()
                .client_max_window_bits(compression.window_bits)
                .server_no_context_takeover(compression.no_context_takeover)
        });
        match answer(wire, deflate.as_ref(), &mut size) {
            (Answer::Incomplete, _) => (None, Vec::new()),
            (Answer::Failed(error), _) => (Some(Err(error)), Vec::new()),
            (Answer::Open(handshake, leftover), rest) => {
                let events = self.receiving(handshake.compression()).receive(&leftover, rest, size);
                (Some(Ok(handshake)), events)
            }
        }
    }

    /// Receives what a client sends from its request on, as a server that speaks the subprotocols
    /// `v1` and `v2`, and compresses with this window where this connection does. `None` is a head
    /// that is not whole. Panics where what is agreed on is not what the answer says.
    #[cfg(feature = "server")]
    pub fn serve(
        &self,
        doors: Doors,
        wire: &[u8],
        mut size: impl FnMut() -> usize,
    ) -> (Option<Served>, Vec<Event>) {
        let deflate = self.compression.map(|compression| {
            Deflate::default()
                .client_max_window_bits(compression.window_bits)
                .server_no_context_takeover(compression.no_context_takeover)
        });
        match crate::server::fuzzing::serve(wire, doors, deflate.as_ref(), &mut size) {
            (None, ..) => (None, Vec::new()),
            (Some((served @ Served::Refused { .. }, _)), ..) => (Some(served), Vec::new()),
            (Some((served, compression)), leftover, rest) => {
                assert_agreed(&served, compression);
                let events = self.receiving(compression).receive(&leftover, rest, size);
                (Some(served), events)
            }
        }
    }

    fn receiving(&self, compression: Option<NegotiatedDeflate>) -> Receiving {
        let limits = Limits { message_size: self.max_message_size, fragments: self.max_fragments };
        let in_pieces = self.in_pieces.into();
        Receiving { role: role(self.is_server), limits, in_pieces, compression }
    }
}

/// What a server does must be what its answer makes a client do.
#[cfg(feature = "server")]
fn assert_agreed(served: &Served, agreed: Option<NegotiatedDeflate>) {
    let Served::Open { answer, .. } = served else { return };
    let answer = String::from_utf8_lossy(answer);
    let mut lines = answer.lines();
    let said = lines.find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    let ways = |agreed: NegotiatedDeflate| {
        [Role::Client, Role::Server].map(|role| {
            let way = agreed.of(role);
            (way.max_window_bits, way.no_context_takeover)
        })
    };
    let read = said.map(|said| Deflate::default().agree(said).expect("it may be said"));
    assert_eq!(read.map(ways), agreed.map(ways), "{said:?}");
}

fn role(is_server: bool) -> Role {
    if is_server { Role::Server } else { Role::Client }
}

/// How a payload is given to the queue.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// Copied into a buffer of whole frames.
    Copied,
    /// Kept, and masked on its way out.
    Large,
    /// One or the other, by its size.
    Owned,
}

/// The sending half of a connection, without a socket.
#[derive(Debug, Default)]
pub struct Sending {
    role: Role,
    queue: Queue<Supplies>,
    piece: Piece,
    deflater: Option<Deflater>,
    compress_from: usize,
}

impl Sending {
    /// A server's, or a client's.
    pub fn new(is_server: bool, compression: Option<Compression>) -> Self {
        let (role, agreed) = (role(is_server), compression.map(Compression::agreed));
        Sending {
            role,
            queue: Queue::new(Supplies(role)),
            deflater: agreed.and_then(|agreed| Deflater::new(agreed, role, lend)),
            compress_from: agreed.map_or(usize::MAX, |agreed| agreed.compress_from(role)),
            ..Sending::default()
        }
    }

    /// Queues a message. Returns how many bytes of payload go over the wire.
    pub fn send(&mut self, text: bool, payload: &[u8], how: How) -> usize {
        let (head, payload) = self.compress(text, payload);
        match how {
            How::Copied => self.queue.push(head, &payload),
            How::Large => self.queue.push_large(head, payload.clone()),
            How::Owned => self.queue.push_owned(head, payload.clone()),
        }
        payload.len()
    }

    /// Queues a message that a server sends to others too, as it is.
    #[cfg(feature = "server")]
    pub fn send_common(&mut self, text: bool, payload: &[u8]) {
        self.queue.push_common(&Common::new(Head::of(text), Bytes::copy_from_slice(payload)));
    }

    /// Sends a message of which the socket takes the first bytes of the payload only: gives what it
    /// took, header included; the rest is queued. Only when nothing is queued, as in `Shared`.
    pub fn send_begun(
        &mut self,
        text: bool,
        payload: &[u8],
        taken: usize,
        key: MaskingKey,
    ) -> Vec<u8> {
        assert!(self.queue.is_empty() && taken < payload.len(), "it would not be begun");
        let (mut wire, mask) = (Vec::new(), (self.role == Role::Client).then_some(key));
        frame::encode_header(&mut wire, Head::of(text), payload.len(), mask);
        frame::encode_payload(&mut wire, &payload[..taken], mask, 0);
        self.queue.push_front_rest(Bytes::copy_from_slice(&payload[taken..]), mask, taken);
        wire
    }

    pub fn pong(&mut self, payload: &[u8]) {
        self.queue.add_pong(payload);
    }

    pub fn ping(&mut self, payload: &[u8]) {
        self.queue.set_ping(payload);
    }

    /// Ends the queue, or says what is wrong with code and reason.
    pub fn close(&mut self, code: u16, reason: &str) -> Result<(), String> {
        self.queue.set_close(close_payload(code, reason)?);
        Ok(())
    }

    pub fn drop_unsent(&mut self) {
        self.queue.drop_unsent();
    }

    /// Drops the oldest messages, until so many bytes have gone. Returns how many.
    pub fn drop_oldest(&mut self, bytes: usize) -> usize {
        self.queue.drop_oldest(bytes)
    }

    /// Gives what is to be written next, and how many data messages end in it.
    pub fn next_piece(&mut self) -> Option<(&[u8], usize)> {
        self.queue.next_masked(&mut self.piece).then_some((&self.piece.bytes, self.piece.messages))
    }

    /// Counts the data messages that end in the first bytes of the latest piece.
    pub fn messages_within(&self, written: usize) -> usize {
        self.piece.messages_within(written)
    }

    /// Counts the bytes of data frames that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn compress(&mut self, text: bool, payload: &[u8]) -> (Head, Bytes) {
        match &mut self.deflater {
            Some(deflater) if payload.len() >= self.compress_from => {
                let compressed = deflater.compressed(payload);
                let bytes = Bytes::copy_from_slice(&compressed);
                (Head::of(text).compressed(), bytes)
            }
            _ => (Head::of(text), Bytes::copy_from_slice(payload)),
        }
    }
}

/// The course of a run that reconnects. Times are counted from its beginning.
#[derive(Debug)]
pub struct Backoff {
    course: reconnect::Backoff,
    start: Instant,
}

impl Backoff {
    /// Gives what is wrong with the policy, as a run would.
    pub fn new(policy: Reconnect) -> Result<Self, Error> {
        policy.check()?;
        Ok(Backoff { course: reconnect::Backoff::new(Some(policy)), start: Instant::now() })
    }

    pub fn on_attempt(&mut self) -> u32 {
        self.course.on_attempt(Instant::now()).number
    }

    pub fn on_open(&mut self, at: Duration) {
        self.course.on_open(after(self.start, at));
    }

    /// Gives the delay and the number of the next attempt. `chance` is what the source of chance
    /// says.
    pub fn on_end(
        &mut self,
        cause: Cause<'_>,
        at: Duration,
        chance: u64,
    ) -> Result<Option<(Duration, u32)>, Error> {
        let retry = self.course.on_end(cause, after(self.start, at), &mut Chance(chance))?;
        Ok(retry.map(|retry| (retry.delay, retry.attempt)))
    }

    pub fn on_asked(&mut self) -> (Duration, u32) {
        let retry = self.course.on_asked();
        (retry.delay, retry.attempt)
    }
}

/// A server's refusal, with these values of `Retry-After`.
pub fn rejection(status: u16, retry_after: &[String]) -> Error {
    let headers = retry_after.iter().map(|value| ("Retry-After", value.clone()));
    let headers = Headers::from_iter(headers);
    Error::Rejected(Box::new(Rejection::of("ws://peer:1/", status, headers, Vec::new())))
}

/// A Close frame of the peer.
pub fn closed_by_peer() -> Close {
    Close::without_frame(ClosedBy::Peer)
}

/// A source of chance that always says the same.
struct Chance(u64);

impl TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.0 >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for (out, byte) in out.iter_mut().zip(self.0.to_be_bytes().into_iter().cycle()) {
            *out = byte;
        }
        Ok(())
    }
}
