//! permessage-deflate (RFC 7692): messages into compressed payloads, and back, a piece at a time.
//! No I/O.
//!
//! Nothing is allocated before the first compressed message of a direction. Where contexts are not
//! taken over from message to message, a connection holds one only while a message is under way:
//! they go from connection to connection, by what the caller [lends](Lend).

use std::mem;

use flate2::{Compress, Compression, FlushCompress};
use zlib_rs::{Inflate, InflateFlush, Status};

use super::arena::Arena;
use crate::deflate::{MIN_COMPRESSING_BITS, NegotiatedDeflate, OneWay};
use crate::error::ProtocolError;
use crate::role::Role;

/// What every compressed message ends with on the wire of DEFLATE and not on ours (RFC 7692
/// §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// How much is inflated or deflated at once.
const STEP: usize = 16 << 10;

/// As far back as DEFLATE refers (RFC 1951 §2).
const MAX_WINDOW: usize = 32 << 10;

/// How many contexts without a past are kept of each direction: enough for threads that compress at
/// the same time.
const MAX_CONTEXTS: usize = 4;

/// Contexts without a past, for whoever needs one next, by what they were made with: level and
/// window. Plain data: whoever has it sees to it that one uses it at a time.
pub(crate) struct Contexts {
    deflating: Vec<((u32, u8), Compress)>,
    inflating: Vec<(u8, Inflate)>,
}

/// Lends the contexts that are for all connections.
pub(crate) type Lend = fn(&mut dyn FnMut(&mut Contexts));

impl Contexts {
    pub(crate) const fn new() -> Self {
        Contexts { deflating: Vec::new(), inflating: Vec::new() }
    }
}

fn take<K: PartialEq, T>(spares: &mut Vec<(K, T)>, key: &K) -> Option<T> {
    let place = spares.iter().position(|(k, _)| k == key)?;
    Some(spares.swap_remove(place).1)
}

fn put<K, T>(spares: &mut Vec<(K, T)>, key: K, context: T) {
    if spares.len() >= MAX_CONTEXTS {
        // One of another kind may be in the way for ever.
        spares.remove(0);
    }
    spares.push((key, context));
}

/// Compresses what is sent.
#[derive(Debug)]
pub(crate) struct Deflater {
    level: u32,
    way: OneWay,
    contexts: Lend,
    context: Option<Compress>,
    /// Something was added to the message that is under way, since it was flushed.
    has_added: bool,
    /// What was compressed before is to be forgotten.
    forgets: bool,
}

impl Deflater {
    /// Makes one for what this side sends.
    pub(crate) fn new(agreed: NegotiatedDeflate, role: Role, contexts: Lend) -> Option<Self> {
        let (level, way) = (agreed.level, agreed.of(role));
        Some(Deflater { level, way, contexts, context: None, has_added: false, forgets: false })
    }

    /// Compresses a whole message into `out`, which is empty. The results must go out in the order
    /// of the calls.
    pub(crate) fn compress(&mut self, message: &[u8], out: &mut Vec<u8>) {
        if !message.is_empty() {
            self.run(message, FlushCompress::Sync, out);
            self.has_added = true;
        }
        self.end(out);
    }

    /// Compresses a part of a message, behind what is in `out`: some of it may come with what
    /// follows. Then [`flush`](Self::flush), [`finish`](Self::finish), or more.
    pub(crate) fn add(&mut self, part: &[u8], out: &mut Vec<u8>) {
        if !part.is_empty() {
            self.run(part, FlushCompress::None, out);
            self.has_added = true;
        }
    }

    /// Has all that was added come out, for a peer that inflates what it has.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        if self.has_added {
            self.run(&[], FlushCompress::Sync, out);
            self.has_added = false;
        }
    }

    /// Ends a message of several parts.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.has_added {
            self.run(&[], FlushCompress::Sync, out);
        }
        self.end(out);
    }

    /// Forgets what was compressed before, where it is taken over from message to message: before
    /// the next message, since that takes time.
    #[cfg(feature = "server")]
    pub(crate) fn forget(&mut self) {
        self.forgets = true;
    }

    fn run(&mut self, part: &[u8], flush: FlushCompress, out: &mut Vec<u8>) {
        let (level, OneWay { max_window_bits: bits, no_context_takeover: forgets }) =
            (self.level, self.way);
        if forgets && self.context.is_none() {
            (self.contexts)(&mut |contexts| {
                self.context = take(&mut contexts.deflating, &(level, bits))
            });
        }
        if mem::take(&mut self.forgets) {
            self.context.iter_mut().for_each(Compress::reset);
        }
        let new = || Compress::new_with_window_bits(Compression::new(level), false, bits);
        let context = self.context.get_or_insert_with(new);
        let mut rest = part;
        loop {
            let step = if part.is_empty() { STEP } else { STEP.min(part.len() + 64) };
            if out.capacity() - out.len() < step {
                out.reserve(step.max(rest.len() / 4));
            }
            let before = context.total_in();
            // Compressing in memory has no error that these arguments can cause.
            let _ = context.compress_vec(rest, out, flush);
            rest = &rest[(context.total_in() - before) as usize..];
            // There was room left over, so the flush is whole.
            if rest.is_empty() && out.len() < out.capacity() {
                break;
            }
        }
    }

    /// Ends a message, all of which has come out: without the tail of its last block.
    fn end(&mut self, out: &mut Vec<u8>) {
        if !mem::take(&mut self.has_added) {
            // An empty block (RFC 7692 §7.2.3.6), as nothing has come behind the last one.
            out.push(0);
        } else if out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        if self.way.no_context_takeover
            && let Some(context) = &mut self.context
        {
            context.reset();
            let kind = (self.level, self.way.max_window_bits);
            (self.contexts)(&mut |contexts| {
                if let Some(context) = self.context.take() {
                    put(&mut contexts.deflating, kind, context);
                }
            });
        }
    }
}

#[cfg(any(test, fuzzing))]
impl Deflater {
    /// Returns a message compressed.
    pub(crate) fn compressed(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.compress(message, &mut out);
        out
    }
}

/// Inflates what is received.
pub(super) struct Inflater {
    /// How the peer compresses.
    way: OneWay,
    contexts: Lend,
    context: Option<Inflate>,
    /// Whether the peer ends messages with final blocks. Not known before the first has ended.
    has_final_blocks: Option<bool>,
    /// What was inflated last, unless it does not: what follows may refer to it, and the context
    /// forgets it with such a block. Boxed, since hardly any connection has one.
    #[allow(clippy::box_collection)]
    window: Option<Box<Vec<u8>>>,
}

/// How far inflating went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inflated {
    /// So many bytes of the piece were taken.
    pub(super) taken: usize,
    /// Nothing is left inside, so what was taken was inflated whole.
    pub(super) drained: bool,
}

impl Inflater {
    /// Makes one for what the peer compresses so.
    pub(super) fn new(way: OneWay, contexts: Lend) -> Option<Self> {
        Some(Inflater { way, contexts, context: None, has_final_blocks: None, window: None })
    }

    /// Inflates a piece of a message into the arena, up to `room` bytes. Where that was not enough,
    /// another call goes on with what was not taken, also if that is nothing.
    pub(super) fn inflate(
        &mut self,
        piece: &[u8],
        arena: &mut Arena,
        mut room: usize,
    ) -> Result<Inflated, ProtocolError> {
        let mut rest = piece;
        loop {
            let context = self.context();
            let (read, written) = (context.total_in(), context.total_out());
            let space = arena.space(STEP.min(room));
            let size = space.len();
            let status = context.decompress(rest, space, InflateFlush::SyncFlush);
            let status = status.map_err(|_| ProtocolError::InvalidDeflate)?;
            let written = (context.total_out() - written) as usize;
            let read = (context.total_in() - read) as usize;
            self.remember(&space[..written], status == Status::StreamEnd);
            arena.advance(written);
            room -= written;
            rest = &rest[read..];
            let taken = piece.len() - rest.len();
            match status {
                Status::StreamEnd => {}
                _ if read == 0 && written == 0 && !rest.is_empty() => {
                    return Err(ProtocolError::InvalidDeflate);
                }
                _ => {}
            }
            if rest.is_empty() && written < size {
                return Ok(Inflated { taken, drained: true });
            }
            if room == 0 {
                return Ok(Inflated { taken, drained: false });
            }
        }
    }

    /// Takes note of what has been inflated, by a block that says it is the last or not. After such
    /// a block the context begins anew, and what follows may refer to what was before it (RFC 7692
    /// §7.2.3.4).
    fn remember(&mut self, inflated: &[u8], is_last: bool) {
        if is_last {
            self.has_final_blocks = Some(true);
        } else if self.has_final_blocks == Some(false) {
            return;
        }
        let window = self.window.get_or_insert_default();
        let inflated = &inflated[inflated.len().saturating_sub(MAX_WINDOW)..];
        window.drain(..(window.len() + inflated.len()).saturating_sub(MAX_WINDOW));
        window.extend_from_slice(inflated);
        if let (true, Some(context)) = (is_last, &mut self.context) {
            context.reset(false);
            // Without a header a dictionary is taken at any time, whatever is in it.
            let _ = context.set_dictionary(window);
        }
    }

    /// Ends a message: with the tail a block ends, and nothing is left of the message (RFC 7692
    /// §7.2.2). One that ends elsewhere takes the tail for something else, and all later messages
    /// with it.
    pub(super) fn finish(&mut self) -> Result<(), ProtocolError> {
        let context = self.context();
        let (read, written) = (context.total_in(), context.total_out());
        // Goes on to the end of a block and no further: so what is behind the tail tells.
        let beyond = [TAIL[0], TAIL[1], TAIL[2], TAIL[3], 0];
        let status = context.decompress(&beyond, &mut [0], InflateFlush::Block);
        let read = (context.total_in() - read) as usize;
        if status.is_err() || read != TAIL.len() || context.total_out() > written {
            return Err(ProtocolError::InvalidDeflate);
        }
        if self.has_final_blocks.is_none() {
            (self.has_final_blocks, self.window) = (Some(false), None);
        }
        if self.way.no_context_takeover
            && let Some(context) = &mut self.context
        {
            context.reset(false);
            self.window.iter_mut().for_each(|window| window.clear());
            let bits = self.bits();
            (self.contexts)(&mut |contexts| {
                if let Some(context) = self.context.take() {
                    put(&mut contexts.inflating, bits, context);
                }
            });
        }
        Ok(())
    }

    fn context(&mut self) -> &mut Inflate {
        let bits = self.bits();
        if self.way.no_context_takeover && self.context.is_none() {
            (self.contexts)(&mut |contexts| self.context = take(&mut contexts.inflating, &bits));
        }
        self.context.get_or_insert_with(|| Inflate::new(false, bits))
    }

    fn bits(&self) -> u8 {
        self.way.max_window_bits.max(MIN_COMPRESSING_BITS)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::deflate::Deflate;
    use crate::protocol::testing::lend;

    const ROLES: [Role; 2] = [Role::Client, Role::Server];

    /// Every combination of both takeover flags and some windows.
    fn every_agreement() -> Vec<NegotiatedDeflate> {
        let mut all = Vec::new();
        for flags in 0..4 {
            for bits in [9, 10, 12, 15] {
                let answer = format!(
                    "permessage-deflate{}{}; server_max_window_bits={bits}; client_max_window_bits={bits}",
                    if flags & 1 == 0 { "" } else { "; server_no_context_takeover" },
                    if flags & 2 == 0 { "" } else { "; client_no_context_takeover" },
                );
                all.push(Deflate::default().min_size(0).agree(&answer).unwrap());
            }
        }
        all
    }

    fn random_message(rng: &mut StdRng) -> Vec<u8> {
        let len = [0, 1, 100, 5_000, 200_000][rng.random_range(0..5)];
        if rng.random_bool(0.5) {
            return (0..len).map(|_| rng.random()).collect();
        }
        b"{\"price\":12345.67,\"size\":0.5,\"side\":\"buy\"}"
            .iter()
            .copied()
            .cycle()
            .take(len)
            .collect()
    }

    #[test]
    fn what_is_compressed_inflates_to_itself_for_every_agreement_role_and_split() {
        for (seed, (agreed, role)) in
            every_agreement().into_iter().flat_map(|a| ROLES.map(|role| (a, role))).enumerate()
        {
            let mut rng = StdRng::seed_from_u64(seed as u64);
            let mut deflater = Deflater::new(agreed, role, lend).unwrap();
            let mut inflater = Inflater::new(agreed.of(role), lend).unwrap();
            for _ in 0..8 {
                let message = random_message(&mut rng);
                let compressed = deflater.compressed(&message);
                let mut arena = Arena::default();
                let size = rng.random_range(1..=compressed.len());
                for piece in compressed.chunks(size) {
                    let inflated = inflater.inflate(piece, &mut arena, 1 << 20).unwrap();
                    assert_eq!(inflated, Inflated { taken: piece.len(), drained: true });
                }
                inflater.finish().unwrap();
                assert!(arena.bytes() == message, "seed {seed}, {} bytes", message.len());
            }
        }
    }

    #[test]
    fn what_is_compressed_in_parts_inflates_to_itself_wherever_it_is_flushed() {
        for (seed, agreed) in every_agreement().into_iter().enumerate() {
            let mut rng = StdRng::seed_from_u64(seed as u64);
            let mut deflater = Deflater::new(agreed, Role::Client, lend).unwrap();
            let mut inflater = Inflater::new(agreed.of(Role::Client), lend).unwrap();
            for number in 0..12 {
                let message = random_message(&mut rng);
                let (mut compressed, mut arena) = (Vec::new(), Arena::default());
                if number % 3 == 0 {
                    // A whole one in between.
                    deflater.compress(&message, &mut compressed);
                    inflater.inflate(&compressed, &mut arena, 1 << 20).unwrap();
                    inflater.finish().unwrap();
                    assert!(arena.bytes() == message);
                    (compressed, arena) = (Vec::new(), Arena::default());
                }
                let size = rng.random_range(1..=message.len().max(1));
                let mut done = 0;
                for part in message.chunks(size) {
                    deflater.add(part, &mut compressed);
                    done += part.len();
                    (0..rng.random_range(0..3)).for_each(|_| {
                        deflater.flush(&mut compressed);
                        inflater.inflate(&compressed, &mut arena, 1 << 20).unwrap();
                        compressed.clear();
                        assert!(arena.bytes() == &message[..done], "flushed, all is there");
                    });
                }
                deflater.finish(&mut compressed);
                inflater.inflate(&compressed, &mut arena, 1 << 20).unwrap();
                inflater.finish().unwrap();
                assert!(arena.bytes() == message, "seed {seed}, {} bytes", message.len());
            }
        }
    }

    #[test]
    fn each_side_goes_by_its_own_parameters() {
        let answer = "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=12";
        let agreed = Deflate::default().agree(answer).unwrap();
        for (role, bits, forgets) in [(Role::Client, 12, false), (Role::Server, 9, true)] {
            let way = OneWay { max_window_bits: bits, no_context_takeover: forgets };
            assert_eq!(Deflater::new(agreed, role, lend).unwrap().way, way);
        }
    }

    #[test]
    fn few_contexts_are_kept_and_each_for_its_own_kind() {
        let mut spares = Vec::new();
        (0..=MAX_CONTEXTS).for_each(|kind| put(&mut spares, kind, kind));
        assert_eq!(spares.len(), MAX_CONTEXTS);
        assert_eq!(
            [take(&mut spares, &0), take(&mut spares, &2), take(&mut spares, &2)],
            [None, Some(2), None]
        );
    }

    #[test]
    fn inflating_stops_where_there_is_no_more_room_and_goes_on() {
        let agreed = Deflate::default().agree("permessage-deflate").unwrap();
        let message = vec![0; 3_000_000];
        let compressed = Deflater::new(agreed, Role::Server, lend).unwrap().compressed(&message);
        let (mut inflater, mut rest, mut total) =
            (Inflater::new(agreed.of(Role::Server), lend).unwrap(), compressed.as_slice(), 0);
        loop {
            let mut arena = Arena::default();
            let inflated = inflater.inflate(rest, &mut arena, 100_000).unwrap();
            assert!(arena.len() <= 100_000);
            total += arena.len();
            rest = &rest[inflated.taken..];
            if inflated.drained {
                break;
            }
        }
        assert_eq!((total, rest), (message.len(), &[][..]));
    }

    /// Takes a message as the peer sent it.
    fn take_message(inflater: &mut Inflater, payload: &[u8]) -> Result<Vec<u8>, ProtocolError> {
        let mut arena = Arena::default();
        let inflated = inflater.inflate(payload, &mut arena, 1 << 20)?;
        assert_eq!(inflated, Inflated { taken: payload.len(), drained: true });
        inflater.finish()?;
        Ok(arena.bytes().to_vec())
    }

    fn inflater(parameters: &str) -> Inflater {
        let answer = format!("permessage-deflate{parameters}");
        let agreed = Deflate::default().agree(&answer).unwrap();
        Inflater::new(agreed.of(Role::Server), lend).unwrap()
    }

    const TAKEOVERS: [&str; 2] = ["", "; server_no_context_takeover"];

    #[test]
    fn a_message_ends_where_a_block_does() {
        let agreed = Deflate::default().level(9).agree("permessage-deflate").unwrap();
        let mut rng = StdRng::seed_from_u64(3);
        for message in [random_message(&mut rng), b"Hello".to_vec(), b"ab".repeat(500)] {
            let mut deflater = Deflater::new(agreed, Role::Server, lend).unwrap();
            let whole = deflater.compressed(&message);
            for takeover in TAKEOVERS {
                assert_eq!(take_message(&mut inflater(takeover), &whole), Ok(message.clone()));
                for cut in 0..whole.len().min(2000) {
                    let taken = take_message(&mut inflater(takeover), &whole[..cut]);
                    assert_eq!(
                        taken,
                        Err(ProtocolError::InvalidDeflate),
                        "{cut} of {}",
                        whole.len()
                    );
                }
            }
        }
        // The beginning of a dynamic block, of a stored one, and nothing at all.
        for (begun, takeover) in [&[0x04][..], &[0xed, 0xc0], &[0xec, 0xc0, 0x81], &[0, 5], &[]]
            .into_iter()
            .flat_map(|begun| TAKEOVERS.map(|takeover| (begun, takeover)))
        {
            let taken = take_message(&mut inflater(takeover), begun);
            assert_eq!(taken, Err(ProtocolError::InvalidDeflate), "{begun:x?}");
        }
    }

    /// RFC 7692 §7.2.3.4, and the same where the final block is the empty one.
    #[test]
    fn a_final_block_ends_no_message_and_no_connection() {
        const HELLO: [u8; 8] = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        for takeover in TAKEOVERS {
            let mut inflater = inflater(takeover);
            for _ in 0..3 {
                assert_eq!(take_message(&mut inflater, &HELLO), Ok(b"Hello".to_vec()));
                assert_eq!(take_message(&mut inflater, &[0x01]), Ok(Vec::new()));
                assert_eq!(take_message(&mut inflater, &HELLO), Ok(b"Hello".to_vec()));
            }
        }
    }

    /// As a library does that cannot flush, and takes its window over as a dictionary.
    #[test]
    fn what_refers_to_what_was_before_final_blocks_inflates() {
        let mut rng = StdRng::seed_from_u64(4);
        let mut inflater = inflater("");
        let mut window = Vec::new();
        for i in 0..200 {
            // Often what is a window away.
            let mut message = random_message(&mut rng);
            let at = rng.random_range(0..=window.len());
            message.extend_from_slice(&window[at..]);
            let mut deflate = zlib_rs::Deflate::new(6, false, 15);
            deflate.set_dictionary(&window).unwrap();
            let mut payload = vec![0; message.len() + 1000];
            let status = deflate.compress(&message, &mut payload, zlib_rs::DeflateFlush::Finish);
            assert_eq!(status, Ok(Status::StreamEnd));
            payload.truncate(deflate.total_out() as usize);
            payload.push(0);
            let mut arena = Arena::default();
            let size = rng.random_range(1..=payload.len());
            for piece in payload.chunks(size) {
                let inflated = inflater.inflate(piece, &mut arena, 1 << 20).unwrap();
                assert_eq!(inflated, Inflated { taken: piece.len(), drained: true });
            }
            inflater.finish().unwrap();
            assert!(arena.bytes() == message, "message {i}, {} bytes", message.len());
            window.extend_from_slice(&message);
            window.drain(..window.len().saturating_sub(MAX_WINDOW));
        }
    }

    /// Of what was before the first final block of a peer whose first message had none nothing is
    /// kept. It is not taken for something else.
    #[test]
    fn what_refers_to_what_was_before_a_late_final_block_is_refused() {
        let agreed = Deflate::default().agree("permessage-deflate").unwrap();
        let mut deflater = Deflater::new(agreed, Role::Server, lend).unwrap();
        let (message, mut inflater) = (b"something to refer to".repeat(3), inflater(""));
        let first = deflater.compressed(&message);
        assert_eq!(take_message(&mut inflater, &first), Ok(message.clone()));
        assert_eq!(take_message(&mut inflater, &[0x01]), Ok(Vec::new()));
        let again = deflater.compressed(&message);
        assert_eq!(take_message(&mut inflater, &again), Err(ProtocolError::InvalidDeflate));
    }

    #[test]
    fn garbage_is_refused() {
        let agreed = Deflate::default().agree("permessage-deflate").unwrap();
        let garbage = Inflater::new(agreed.of(Role::Server), lend).unwrap().inflate(
            &[0xff; 100],
            &mut Arena::default(),
            1000,
        );
        assert_eq!(garbage, Err(ProtocolError::InvalidDeflate));
    }
}
