//! The properties that hold for any input, each a function of bytes that panics where one does not.
//! The fuzz targets in `fuzz/` look for such bytes; as unit tests they are given the same corpus,
//! and chance that is the same each time.
//!
//! They see the crate as the targets do, through `websocket_app::fuzzing`: no part of this goes
//! into the library.
//!
//! Here is what they share: what a short input stands for, splits, and when two receptions are the
//! same.

// To the fuzz targets they are public.
#![allow(unreachable_pub)]

mod backoff;
mod decoder;
mod encode;
mod input;
mod receive_path;
#[cfg(feature = "server")]
mod request;
#[cfg(feature = "server")]
mod serve_path;
#[cfg(test)]
mod tests;

pub use backoff::backoff;
pub use decoder::decoder;
pub use encode::encode;
pub use input::input;
pub use receive_path::receive_path;
#[cfg(feature = "server")]
pub use request::request;
#[cfg(feature = "server")]
pub use serve_path::serve_path;

use arbitrary::{Arbitrary, Unstructured};
use websocket_app::fuzzing::{Compression, Connection, Event};
use websocket_app::{LimitError, ProtocolError};

/// What an input stands for where it is not taken as bytes, as libFuzzer's macro has it.
fn arbitrary<T: for<'a> Arbitrary<'a>>(input: &[u8]) -> Option<T> {
    T::arbitrary_take_rest(Unstructured::new(input)).ok()
}

/// Longer would be slow, and this is beyond every threshold but that of inflated messages, for
/// which little is enough.
const LONGEST: usize = 300_000;

/// Two bytes that no text has. The next two are a number n, and the one behind stands n times.
const FILLER: [u8; 2] = [0xf5, 0xf6];

/// The bytes that an input stands for: itself, but for the fillers, so that a short input may have
/// large frames.
fn expand(mut input: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((&byte, rest)) = input.split_first() {
        match input {
            [a, b, high, low, filler, rest @ ..] if [*a, *b] == FILLER => {
                let len = bytes.len() + usize::from(u16::from_be_bytes([*high, *low]));
                if len > LONGEST {
                    return bytes;
                }
                bytes.resize(len, *filler);
                input = rest;
            }
            _ => {
                bytes.push(byte);
                input = rest;
            }
        }
    }
    bytes
}

/// The beginning of an input: how a connection receives, and a seed for splits.
fn connection(input: &[u8]) -> Option<(Connection, Splits, &[u8])> {
    let (&[flags, a, b], rest) = input.split_first_chunk()?;
    let compression =
        |window_bits, no_context_takeover| Some(Compression { window_bits, no_context_takeover });
    let connection = Connection {
        max_message_size: [1 << 20, 70_000, 300, 16][usize::from(flags & 3)],
        max_fragments: if flags & 4 == 0 { 100 } else { 3 },
        is_server: flags & 0x40 != 0,
        in_pieces: false,
        compression: [
            None,
            None,
            None,
            None,
            compression(15, false),
            compression(15, true),
            compression(9, false),
            compression(8, true),
        ][usize::from(flags >> 3 & 7)],
    };
    Some((connection, Splits::new(u16::from_be_bytes([a, b]).into()), rest))
}

/// Sizes of reads, the same for the same seed: bytes, some, or thousands in a row.
#[derive(Clone, Copy, Debug)]
struct Splits(u64);

impl Splits {
    fn new(seed: u64) -> Self {
        Splits(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn size(&mut self) -> usize {
        let number = self.number();
        let bound = [1, 4, 30, 300, 5_000, 100_000][(number >> 40) as usize % 6];
        1 + (number >> 8) as usize % bound
    }

    fn number(&mut self) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Whether two receptions of one wire are the same.
///
/// Uncompressed they must be equal. In a compressed message with more than one fault, the reads
/// decide which is told: one read is inflated before its text is checked, and checked before it is
/// measured.
#[track_caller]
fn assert_same(other: &[Event], whole: &[Event], how: &str, connection: &Connection) {
    let (Some((other_last, other_begin)), Some((last, begin))) =
        (other.split_last(), whole.split_last())
    else {
        return assert_eq!(other, whole, "{how}");
    };
    let told_instead = connection.compression.is_some()
        && is_fault_of_payload(last)
        && is_fault_of_payload(other_last);
    assert!(
        other == whole || told_instead && other_begin == begin,
        "{how}: {other:#?} instead of {whole:#?}"
    );
}

/// Whether pieces put together are the same as the messages: they are not limited in length, and so
/// go on where a message that is too long ends the connection.
#[track_caller]
fn assert_same_in_pieces(pieces: &[Event], whole: &[Event], how: &str, connection: &Connection) {
    match whole.split_last() {
        Some((Event::Limit(LimitError::MessageSize { .. }), begin)) => {
            assert!(pieces.starts_with(begin), "{how}: {pieces:#?} does not begin with {begin:#?}");
        }
        _ => assert_same(pieces, whole, how, connection),
    }
}

fn is_fault_of_payload(event: &Event) -> bool {
    matches!(
        event,
        Event::Violation(ProtocolError::InvalidUtf8 | ProtocolError::InvalidDeflate)
            | Event::Limit(LimitError::MessageSize { .. })
    )
}
