//! What the sending half writes, unmasked, is received as the messages that were sent, in their
//! order, whole and as they were: for any sequence of messages, control frames and pieces, however
//! they are queued, compressed or not.

use super::{Splits, arbitrary};
use arbitrary::Arbitrary;
use websocket_app::fuzzing::{Compression, Connection, Event, How, Sending};

#[derive(Arbitrary, Debug)]
struct Plan {
    /// Window bits and context takeover.
    compression: Option<(u8, bool)>,
    splits: u16,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Send {
        text: bool,
        payload: Payload,
        how: Kept,
    },
    /// The socket takes the beginning of a message and no more.
    SendBegun {
        text: bool,
        payload: Payload,
        taken: u32,
        key: [u8; 4],
    },
    Ping(Short),
    Pong(Short),
    Close {
        code: u16,
        reason: Short,
    },
    /// The socket takes so many pieces.
    Write(u8),
    /// What has not begun to go out is not wanted any more.
    DropUnsent,
    /// Messages of one client among many.
    SendCommon {
        payload: Payload,
        times: u8,
    },
    /// The oldest of what has not begun to go out make room for so many bytes.
    DropOldest(u16),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kept {
    Copied,
    Large,
    Owned,
}

#[derive(Arbitrary, Debug)]
enum Payload {
    Bytes(Vec<u8>),
    /// So many bytes that repeat themselves, or do not.
    Many {
        len: u32,
        repeating: bool,
        seed: u8,
    },
}

#[derive(Arbitrary, Debug)]
struct Short {
    len: u8,
    fill: u8,
}

impl Payload {
    fn bytes(&self, text: bool) -> Vec<u8> {
        let bytes = match self {
            Payload::Bytes(bytes) => bytes.clone(),
            Payload::Many { len, repeating, seed } => {
                // Around the sizes at which something changes: pieces, and headers.
                let around = [0, 125, 65_535, 32 << 10, 64 << 10, 128 << 10][*len as usize % 6];
                let len = around + (len >> 8) as usize % 300;
                match repeating {
                    true => (0..len).map(|i| seed.wrapping_add((i % 50) as u8)).collect(),
                    false => random(*seed, len),
                }
            }
        };
        if text { String::from_utf8_lossy(&bytes).into_owned().into_bytes() } else { bytes }
    }
}

fn random(seed: u8, len: usize) -> Vec<u8> {
    let mut splits = Splits::new(seed.into());
    (0..len).map(|_| splits.size() as u8).collect()
}

impl Short {
    fn bytes(&self) -> Vec<u8> {
        vec![self.fill; usize::from(self.len % 126)]
    }
}

impl Kept {
    fn how(self) -> How {
        match self {
            Kept::Copied => How::Copied,
            Kept::Large => How::Large,
            Kept::Owned => How::Owned,
        }
    }
}

/// Enough for every threshold, and quick.
const MOST_STEPS: usize = 40;
const MOST_BYTES: usize = 300_000;

/// What was sent, and what was written of it.
#[derive(Default)]
struct Run {
    sending: Sending,
    compressed: bool,
    peer: Peer,
    /// Kind, payload, and length on the wire of each message sent.
    messages: Vec<(bool, Vec<u8>, usize)>,
    pings: Vec<Vec<u8>>,
    pongs: Vec<Vec<u8>>,
    close: Option<(u16, String)>,
    /// How many messages were wholly handed out, by the pieces' own count.
    counted: usize,
}

pub fn encode(input: &[u8]) {
    let Some(plan) = arbitrary::<Plan>(input) else { return };
    let compression = plan.compression.map(|(bits, no_context_takeover)| Compression {
        window_bits: 8 + bits % 8,
        no_context_takeover,
    });
    // A server's frames are not masked.
    let is_server = plan.splits & 2 != 0;
    let mut run = Run {
        sending: Sending::new(is_server, compression),
        compressed: compression.is_some(),
        peer: Peer { masked: !is_server, ..Peer::default() },
        ..Run::default()
    };
    let mut bytes = 0;
    for step in plan.steps.iter().take(MOST_STEPS) {
        if bytes > MOST_BYTES {
            break;
        }
        bytes += run.step(step);
    }
    while run.write() {}
    assert_eq!(run.sending.waiting(), 0);
    assert!(run.sending.is_empty() || run.close.is_some(), "nothing waits, but behind Close");
    assert_eq!(run.counted, run.messages.len());

    assert_eq!(run.peer.rest, [], "the last frame is whole");
    let mut splits = Splits::new(plan.splits.into());
    // Compressed by the one, inflated by the other; the parameters are the same both ways.
    let connection = Connection {
        max_message_size: 1 << 20,
        max_fragments: 1,
        is_server: false,
        in_pieces: plan.splits & 1 == 1,
        compression,
    };
    run.check(connection.receive(&run.peer.unmasked, || splits.size()));
    if !is_server {
        let server = Connection { is_server: true, ..connection };
        run.check(server.receive(&run.peer.wire, || splits.size()));
    }
}

impl Run {
    /// Returns how many bytes of payload were added.
    fn step(&mut self, step: &Step) -> usize {
        match step {
            // Where a Close frame has been handed out, or waits, nothing is sent any more.
            Step::Send { .. }
            | Step::SendBegun { .. }
            | Step::Ping(_)
            | Step::Pong(_)
            | Step::Close { .. }
            | Step::SendCommon { .. }
                if self.close.is_some() => {}
            Step::Send { text, payload, how } => {
                let payload = payload.bytes(*text);
                let on_wire = self.sending.send(*text, &payload, how.how());
                self.messages.push((*text, payload, on_wire));
                return on_wire;
            }
            // Not where messages are compressed: that is never done directly.
            Step::SendBegun { text, payload, taken, key }
                if self.sending.is_empty() && !self.compressed =>
            {
                let payload = payload.bytes(*text);
                if payload.is_empty() {
                    return 0;
                }
                let taken = *taken as usize % payload.len();
                self.peer.push(&self.sending.send_begun(*text, &payload, taken, *key));
                let len = payload.len();
                self.messages.push((*text, payload, len));
                return len;
            }
            Step::SendBegun { .. } => {}
            Step::Ping(payload) => {
                self.sending.ping(&payload.bytes());
                self.pings.push(payload.bytes());
            }
            Step::Pong(payload) => {
                self.sending.pong(&payload.bytes());
                self.pongs.push(payload.bytes());
            }
            Step::Close { code, reason } => {
                let reason = String::from_utf8_lossy(&reason.bytes()).into_owned();
                let allowed =
                    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) && reason.len() <= 123;
                let closed = self.sending.close(*code, &reason);
                assert_eq!(
                    closed.is_ok(),
                    allowed,
                    "{code} and {} bytes: {closed:?}",
                    reason.len()
                );
                self.close = closed.ok().map(|()| (*code, reason));
            }
            Step::Write(pieces) => {
                for _ in 0..*pieces {
                    if !self.write() {
                        break;
                    }
                }
            }
            // Not where messages are compressed: what was compressed must go out.
            Step::DropUnsent if self.compressed => {}
            Step::DropUnsent => {
                self.sending.drop_unsent();
                self.messages.truncate(self.begun());
            }
            Step::SendCommon { payload, times } => {
                let (payload, mut bytes) = (payload.bytes(false), 0);
                for _ in 0..=*times {
                    if bytes > MOST_BYTES {
                        break;
                    }
                    bytes += self.send_common(&payload);
                }
                self.check_waiting();
                return bytes;
            }
            Step::DropOldest(_) if self.compressed => {}
            Step::DropOldest(bytes) => {
                let dropped = self.sending.drop_oldest((*bytes).into());
                let begun = self.begun();
                let len = |(.., len): (bool, Vec<u8>, usize)| self.peer.header_len(len) + len;
                let lens: Vec<_> = self.messages.drain(begun..begun + dropped).map(len).collect();
                // No more than it takes, and as many.
                let all: usize = lens.iter().sum();
                let enough = usize::from(*bytes);
                assert!(all >= enough || self.messages.len() == begun, "{all} of {enough} bytes");
                assert!(lens.last().is_none_or(|last| all - last < enough), "too many: {all}");
            }
        }
        self.check_waiting();
        0
    }

    /// Counts the messages whose frames have begun to go out.
    fn begun(&self) -> usize {
        self.peer.messages + usize::from(self.peer.data_in_rest() > 0)
    }

    /// Returns how many bytes of payload were added.
    fn send_common(&mut self, payload: &[u8]) -> usize {
        #[cfg(feature = "server")]
        if !self.peer.masked {
            self.sending.send_common(false, payload);
            self.messages.push((false, payload.to_vec(), payload.len()));
            return payload.len();
        }
        let on_wire = self.sending.send(false, payload, How::Owned);
        self.messages.push((false, payload.to_vec(), on_wire));
        on_wire
    }

    /// Takes a piece; `false` when there is none.
    fn write(&mut self) -> bool {
        let Some((piece, messages)) = self.sending.next_piece() else { return false };
        assert!(!piece.is_empty(), "a piece of nothing would be written for ever");
        let piece = piece.to_vec();
        assert_eq!(self.sending.messages_within(piece.len()), messages);
        // Wherever the socket stops, the messages that are whole by then are counted.
        let stop = (self.peer.unmasked.len() + self.counted) % piece.len();
        let mut stopped = Peer { masked: self.peer.masked, ..Peer::default() };
        if self.peer.rest.is_empty() {
            stopped.push(&piece[..stop]);
        }
        assert_eq!(self.sending.messages_within(stop), stopped.messages);
        self.peer.push(&piece);
        self.counted += messages;
        self.check_waiting();
        true
    }

    /// What waits is what was sent and is not written, control frames aside.
    fn check_waiting(&self) {
        let sent: usize =
            self.messages.iter().map(|(.., len)| self.peer.header_len(*len) + len).sum();
        assert_eq!(self.sending.waiting(), sent - self.peer.data, "{sent} sent");
    }

    fn check(&self, received: Vec<Event>) {
        let mut messages = self.messages.iter();
        let (mut pings, mut pongs) = (self.pings.iter(), self.pongs.iter());
        let (mut latest_ping, mut latest_pong, mut close) = (None, None, None);
        for event in received {
            assert_eq!(close, None, "{event:?} behind Close");
            match event {
                Event::Message(text, payload) => {
                    let (sent_text, sent, _) =
                        messages.next().expect("a message that was not sent");
                    assert!(
                        *sent_text == text && *sent == payload,
                        "a message of {} bytes changed",
                        sent.len()
                    );
                }
                // A newer one may take the place of one that waits.
                Event::Ping(payload) => {
                    assert!(pings.any(|sent| *sent == payload), "a ping that was not sent");
                    latest_ping = Some(payload);
                }
                Event::Pong(payload) => {
                    assert!(pongs.any(|sent| *sent == payload), "a pong that was not sent");
                    latest_pong = Some(payload);
                }
                Event::Close(code, reason) => close = Some((code, reason)),
                other => panic!("received {other:?}"),
            }
        }
        assert_eq!(messages.len(), 0, "messages were lost");
        assert_eq!(
            (latest_ping.as_ref(), latest_pong.as_ref()),
            (self.pings.last(), self.pongs.last())
        );
        assert_eq!(close, self.close);
    }
}

/// Reads what is written, frames as RFC 6455 §5.2 draws them, with nothing of the crate's.
#[derive(Default)]
struct Peer {
    /// Whether a client writes.
    masked: bool,
    /// All that came.
    wire: Vec<u8>,
    /// The whole frames, as a server would have written them.
    unmasked: Vec<u8>,
    /// Whole data frames.
    messages: usize,
    /// Bytes of data frames, whole or not.
    data: usize,
    /// What has come of a frame that is not whole.
    rest: Vec<u8>,
}

impl Peer {
    fn push(&mut self, bytes: &[u8]) {
        self.data -= self.data_in_rest();
        self.wire.extend_from_slice(bytes);
        let mut wire = std::mem::take(&mut self.rest);
        wire.extend_from_slice(bytes);
        let mut frames = wire.as_slice();
        while let Some(len) = self.frame(frames) {
            frames = &frames[len..];
        }
        self.rest = frames.to_vec();
        self.data += self.data_in_rest();
    }

    fn data_in_rest(&self) -> usize {
        self.rest.first().map_or(0, |first| if is_data(*first) { self.rest.len() } else { 0 })
    }

    /// Takes a frame, if it is whole, and gives its length.
    fn frame(&mut self, wire: &[u8]) -> Option<usize> {
        let [first, second, rest @ ..] = wire else { return None };
        assert!(first & 0xb0 == 0x80, "whole messages: {first:02x} {second:02x}");
        assert_eq!(
            second & 0x80 != 0,
            self.masked,
            "a mask, if it is a client: {first:02x} {second:02x}"
        );
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let (len, key) = rest.get(..extended + if self.masked { 4 } else { 0 })?.split_at(extended);
        let len = match extended {
            0 => usize::from(second & 0x7f),
            _ => len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
        };
        let header = 2 + extended + key.len();
        assert_eq!(self.header_len(len), header, "the shortest header for {len} bytes");
        let payload = wire.get(header..header + len)?;
        self.unmasked.extend([*first, second & 0x7f]);
        self.unmasked.extend(&rest[..extended]);
        let key = if self.masked { key } else { &[0] };
        self.unmasked.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        if is_data(*first) {
            self.messages += 1;
            self.data += header + len;
        }
        Some(header + len)
    }

    fn header_len(&self, payload: usize) -> usize {
        let extended = match payload {
            0..=125 => 0,
            126..=65_535 => 2,
            _ => 8,
        };
        2 + extended + if self.masked { 4 } else { 0 }
    }
}

fn is_data(first: u8) -> bool {
    first & 0x08 == 0
}
