//! What the unit tests and the fuzz targets share: a receiver of bytes from memory, and what
//! callbacks would get of them.

#[cfg(test)]
use super::frame::Mask;
#[cfg(test)]
use super::send::Supplies;
use super::{Batch, Contexts, End, InPieces, Inbound, Kind, Lend, Limits, message};
use crate::deflate::NegotiatedDeflate;
use crate::error::{LimitError, ProtocolError};
use crate::role::Role;

/// What callbacks would get; the pieces of a message are put together again.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Whether it is text, and the payload.
    Message(bool, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Violation(ProtocolError),
    Limit(LimitError),
}

impl From<End> for Event {
    fn from(end: End) -> Self {
        match end {
            End::Close { code, reason } => Event::Close(code, reason),
            End::Protocol(violation) => Event::Violation(violation),
            End::Limit(limit) => Event::Limit(limit),
        }
    }
}

/// Lends contexts that none before has used.
pub(crate) fn lend(work: &mut dyn FnMut(&mut Contexts)) {
    work(&mut Contexts::new());
}

/// Buffers that are made and freed, and a key that is always the same.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plain(pub(crate) Role);

#[cfg(test)]
impl Supplies for Plain {
    const PIECE: usize = 1 << 20;

    fn role(self) -> Role {
        self.0
    }

    fn mask(self) -> Mask {
        (self.0 == Role::Client).then_some([0x12, 0x34, 0x56, 0x78])
    }

    fn reserve(self, buffer: &mut Vec<u8>, more: usize) {
        buffer.reserve(more);
    }

    fn release(self, buffer: &mut Vec<u8>) {
        *buffer = Vec::new();
    }
}

/// A frame as this side sends it: masked by a client, with a key that depends on the payload.
#[cfg(test)]
pub(crate) fn frame_of(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let bit = if role == Role::Client { 0x80 } else { 0 };
    let mut wire = vec![first];
    match payload.len() {
        len @ 0..=125 => wire.push(bit | len as u8),
        len @ 126..=65535 => {
            wire.push(bit | 126);
            wire.extend((len as u16).to_be_bytes());
        }
        len => {
            wire.push(bit | 127);
            wire.extend((len as u64).to_be_bytes());
        }
    }
    let mut key = [0; 4];
    if role == Role::Client {
        key = (payload.len() as u32 ^ 0x5a12_c3e7).rotate_left(payload.len() as u32).to_be_bytes();
        wire.extend(key);
    }
    wire.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    wire
}

/// How a connection receives.
#[derive(Clone, Debug)]
pub(crate) struct Receiving {
    pub(crate) role: Role,
    pub(crate) limits: Limits,
    pub(crate) in_pieces: InPieces,
    pub(crate) compression: Option<NegotiatedDeflate>,
}

/// Longer than the longest frame that is waited for in the read buffer.
const LONGEST_TAIL: usize = (64 << 10) + 16;

/// What an arena may hold beyond the longest message and what was read, where messages are
/// compressed: a batch of inflated ones and a piece.
const INFLATED: usize = (2 << 20) + (64 << 10);

impl Receiving {
    /// Receives the bytes of a wire as a `Receiver` does: first what came with the response head;
    /// then in reads of up to so many bytes as `size` says, behind what was not decoded of the one
    /// before, or straight into place where that is asked; and again without reading, where a batch
    /// was full. Panics where a limit does not hold.
    pub(crate) fn receive(
        &self,
        leftover: &[u8],
        wire: &[u8],
        mut size: impl FnMut() -> usize,
    ) -> Vec<Event> {
        let mut inbound = Inbound::new(
            self.role,
            self.limits,
            self.in_pieces,
            self.compression.map(|agreed| (agreed, lend as Lend)),
        );
        let (mut batch, mut events) = (Batch::default(), Events::default());
        let (mut tail, mut overfull, mut rest) = (leftover.to_vec(), !leftover.is_empty(), wire);
        loop {
            batch.clear();
            let mut buffer = Vec::new();
            if !overfull && rest.is_empty() {
                return events.seen;
            }
            let size = if overfull { 0 } else { size().clamp(1, rest.len()) };
            match inbound.direct() {
                Some(space) if !overfull => {
                    let (read, after) = rest.split_at(size.min(space.len()));
                    space[..read.len()].copy_from_slice(read);
                    inbound.filled(read.len(), &mut batch);
                    rest = after;
                }
                _ => {
                    let (read, after) = rest.split_at(size);
                    buffer = std::mem::take(&mut tail);
                    buffer.extend_from_slice(read);
                    rest = after;
                    let done = inbound.decode(&mut buffer, &mut batch);
                    tail = buffer[done..].to_vec();
                    overfull = batch.is_full();
                }
            }
            self.check_limits(&inbound, &batch, buffer.len());
            assert!(
                overfull || tail.len() <= LONGEST_TAIL,
                "{} bytes wait to be decoded",
                tail.len()
            );
            if events.take(&mut batch, &buffer, self.limits) {
                return events.seen;
            }
        }
    }

    fn check_limits(&self, inbound: &Inbound, batch: &Batch, read: usize) {
        // In pieces, up to three bytes of a character are put in front of each.
        let limit = if self.in_pieces != InPieces::None {
            2 * read + 8
        } else {
            self.limits.message_size.saturating_add(read)
        };
        let limit = limit.saturating_add(if self.compression.is_some() { INFLATED } else { 0 });
        assert!(
            batch.arena.len() <= limit,
            "the batch holds {} bytes of {limit}",
            batch.arena.len()
        );
        assert!(inbound.held() <= limit, "{} bytes are held of {limit}", inbound.held());
    }
}

/// What came so far, and the message that comes in pieces.
#[derive(Default)]
struct Events {
    seen: Vec<Event>,
    partial: Option<(bool, Vec<u8>)>,
}

impl Events {
    /// Takes a batch that was decoded from this buffer. Returns whether it was the last.
    fn take(&mut self, batch: &mut Batch, buffer: &[u8], limits: Limits) -> bool {
        for item in &batch.items {
            let payload = batch.payload(item, buffer);
            assert_eq!(payload.len(), batch.payload_len(item));
            match item.kind {
                Kind::Ping => self.seen.push(Event::Ping(payload.to_vec())),
                Kind::Pong => self.seen.push(Event::Pong(payload.to_vec())),
                Kind::Text | Kind::Binary => {
                    let text = item.kind == Kind::Text;
                    if let Err(violation) = message(text, payload) {
                        self.seen.push(Event::Violation(violation));
                        return true;
                    }
                    assert!(
                        payload.len() <= limits.message_size,
                        "a message of {} bytes",
                        payload.len()
                    );
                    self.seen.push(Event::Message(text, payload.to_vec()));
                }
                Kind::TextFragment { first, last } => self.piece(true, payload, first, last),
                Kind::BinaryFragment { first, last } => self.piece(false, payload, first, last),
            }
        }
        let end = batch.end.take();
        let over = end.is_some();
        self.seen.extend(end.map(Event::from));
        over
    }

    fn piece(&mut self, text: bool, payload: &[u8], first: bool, last: bool) {
        assert!(message(text, payload).is_ok(), "text is cut between characters");
        assert_eq!(first, self.partial.is_none(), "the first piece is marked so");
        assert!(!payload.is_empty() || first || last, "a piece without content");
        let (kind, so_far) = self.partial.get_or_insert_default();
        if first {
            *kind = text;
        }
        assert_eq!(*kind, text, "a message is of one kind");
        so_far.extend_from_slice(payload);
        if last && let Some((text, payload)) = self.partial.take() {
            self.seen.push(Event::Message(text, payload));
        }
    }
}
