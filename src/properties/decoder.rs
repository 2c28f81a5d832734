//! Any split of the bytes gives the same events, also with messages in pieces; nothing panics, and
//! the limits hold.

use super::{assert_same, assert_same_in_pieces, connection, expand};
use websocket_app::fuzzing::{Connection, Event};

/// Byte by byte is quadratic, and inflates a thousand bytes for each.
const BYTE_BY_BYTE: usize = 3_000;
const COMPRESSED: usize = 600;

pub fn decoder(input: &[u8]) {
    let Some((whole, splits, wire)) = connection(input) else { return };
    let wire = expand(wire);
    let pieces = Connection { in_pieces: true, ..whole.clone() };
    let all_at_once = || usize::MAX;

    let events = whole.receive(&wire, all_at_once);
    let end = events.iter().position(|event| {
        matches!(event, Event::Close(..) | Event::Violation(_) | Event::Limit(_))
    });
    assert!(end.is_none_or(|end| end + 1 == events.len()), "nothing comes behind the end");

    let (mut sizes, mut other_sizes) = (splits, splits);
    let split = whole.receive(&wire, || sizes.size());
    assert_same(&split, &events, "split", &whole);
    let in_pieces = pieces.receive(&wire, all_at_once);
    assert_same_in_pieces(&in_pieces, &events, "in pieces", &whole);
    let in_pieces_split = pieces.receive(&wire, || other_sizes.size());
    assert_same(&in_pieces_split, &in_pieces, "in pieces, split", &whole);
    if wire.len() <= if whole.compression.is_some() { COMPRESSED } else { BYTE_BY_BYTE } {
        assert_same(&whole.receive(&wire, || 1), &events, "byte by byte", &whole);
        assert_same(&pieces.receive(&wire, || 1), &in_pieces, "in pieces, byte by byte", &whole);
    }
}
