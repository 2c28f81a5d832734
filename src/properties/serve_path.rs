//! From the first byte of a client's request to its frames: any split gives the same answer and
//! events, with messages whole or in pieces; nothing panics and the limits hold; nothing comes of a
//! frame that is not masked (RFC 6455 §5.1), nor after it.

use websocket_app::fuzzing::{Connection, Event, Served};

use super::request::{assert_same_served, check, doors, head_end};
use super::{assert_same, assert_same_in_pieces, connection, expand};

/// Byte by byte is quadratic.
const BYTE_BY_BYTE: usize = 1_000;

pub fn serve_path(input: &[u8]) {
    let Some((connection, splits, wire)) = connection(input) else { return };
    let doors = doors(input);
    // It is a client's request.
    let whole = Connection { is_server: true, ..connection };
    let pieces = Connection { in_pieces: true, ..whole.clone() };
    let wire = expand(wire);
    let (served, events) = whole.serve(doors, &wire, || usize::MAX);
    check(served.as_ref(), &whole, doors, &wire);

    let (mut sizes, mut other_sizes) = (splits, splits);
    let (served_split, split) = whole.serve(doors, &wire, || sizes.size());
    assert_same_served(served_split.as_ref(), served.as_ref(), "split");
    assert_same(&split, &events, "split", &whole);
    let (served_in_pieces, in_pieces) = pieces.serve(doors, &wire, || other_sizes.size());
    assert_same_served(served_in_pieces.as_ref(), served.as_ref(), "in pieces, split");
    assert_same_in_pieces(&in_pieces, &events, "in pieces, split", &whole);
    if wire.len() <= BYTE_BY_BYTE {
        let (served_slowly, slowly) = whole.serve(doors, &wire, || 1);
        assert_same_served(served_slowly.as_ref(), served.as_ref(), "byte by byte");
        assert_same(&slowly, &events, "byte by byte", &whole);
    }

    match served {
        Some(Served::Open { .. }) => check_masks(&events, &wire[head_end(&wire)..]),
        _ => assert_eq!(events, [], "no event without a connection"),
    }
}

/// Whether what comes stops at the first frame without a mask.
fn check_masks(events: &[Event], frames: &[u8]) {
    let Some(before) = frames_before_an_unmasked_one(frames) else { return };
    assert!(events.len() <= before + 1, "{before} frames are masked, not {events:#?}");
    let last = events.last();
    assert!(
        matches!(last, Some(Event::Violation(_) | Event::Limit(_) | Event::Close(..))),
        "an unmasked frame is no end: {last:?}"
    );
}

/// Counts the frames before the first that is not masked, where its header is whole.
fn frames_before_an_unmasked_one(mut frames: &[u8]) -> Option<usize> {
    for count in 0.. {
        let &[_, second, ref rest @ ..] = frames else { return None };
        let (extended, length) = match second & 0x7f {
            126 => (2, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (8, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?),
            short => (0, usize::from(short)),
        };
        if second & 0x80 == 0 {
            return Some(count);
        }
        frames = rest.get(extended + 4..)?.get(length..)?;
    }
    None
}
