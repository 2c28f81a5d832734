//! What frames decode to, however they are cut.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::protocol::testing::{Event, Receiving, frame_of};

const LIMITS: Limits = Limits { message_size: 1 << 20, fragments: 100 };

const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// A frame of a server's.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    frame_of(Role::Server, first, payload)
}

fn receive(wire: &[u8], in_pieces: bool, size: impl FnMut() -> usize) -> Vec<Event> {
    receive_as(Role::Client, wire, in_pieces, size)
}

fn receive_as(role: Role, wire: &[u8], in_pieces: bool, size: impl FnMut() -> usize) -> Vec<Event> {
    let in_pieces = in_pieces.into();
    Receiving { role, limits: LIMITS, in_pieces, compression: None }.receive(&[], wire, size)
}

/// The same frames as a client sends them.
fn masked(mut wire: &[u8]) -> Vec<u8> {
    let mut masked = Vec::new();
    while !wire.is_empty() {
        let (start, len) = match wire[1] {
            127 => (10, u64::from_be_bytes(wire[2..10].try_into().unwrap()) as usize),
            126 => (4, usize::from(u16::from_be_bytes([wire[2], wire[3]]))),
            len => (2, usize::from(len)),
        };
        let end = start + len;
        masked.extend(frame_of(Role::Client, wire[0], &wire[start..end]));
        wire = &wire[end..];
    }
    masked
}

fn one_by_one() -> usize {
    1
}

fn all_at_once() -> usize {
    usize::MAX
}

/// A random, mostly valid, stream of frames from this side.
fn random_wire(from: Role, rng: &mut StdRng) -> Vec<u8> {
    let frame = |first, payload: &[u8]| frame_of(from, first, payload);
    let mut wire = Vec::new();
    for _ in 0..rng.random_range(1..12) {
        let text = rng.random_bool(0.5);
        let len = *[0, 1, 5, 125, 126, 300, 70_000][rng.random_range(0..7)..].first().unwrap();
        let mut payload: Vec<u8> = if text {
            "aé日🦀"
                .chars()
                .cycle()
                .skip(rng.random_range(0..4))
                .take(len / 2)
                .collect::<String>()
                .into_bytes()
        } else {
            (0..len).map(|_| rng.random()).collect()
        };
        if text && !payload.is_empty() && rng.random_bool(0.05) {
            let at = rng.random_range(0..payload.len());
            payload[at] = 0xff;
        }
        let opcode = if text { 1 } else { 2 };
        let pieces = rng.random_range(1..5);
        let mut rest = payload.as_slice();
        for i in 0..pieces {
            let cut = if i + 1 == pieces { rest.len() } else { rng.random_range(0..=rest.len()) };
            let (piece, left) = rest.split_at(cut);
            rest = left;
            let fin = if i + 1 == pieces { 0x80 } else { 0 };
            wire.extend(frame(fin | if i == 0 { opcode } else { 0 }, piece));
            if rng.random_bool(0.3) {
                wire.extend(frame(if rng.random_bool(0.5) { 0x89 } else { 0x8a }, b"control"));
            }
        }
    }
    if rng.random_bool(0.3) {
        wire.extend(frame(0x88, &[3, 232, b'b', b'y', b'e']));
        wire.extend(frame(0x82, b"after Close"));
    }
    wire
}

#[test]
fn any_split_gives_the_same_events() {
    for (seed, role) in (0..300).flat_map(|seed| ROLES.map(|role| (seed, role))) {
        let mut rng = StdRng::seed_from_u64(seed);
        let wire = random_wire(role.peer(), &mut rng);
        let receive =
            |in_pieces, size: &mut dyn FnMut() -> usize| receive_as(role, &wire, in_pieces, size);
        let whole = receive(false, &mut all_at_once);
        assert_eq!(
            receive(false, &mut || rng.random_range(1..2000)),
            whole,
            "{role:?}, seed {seed}"
        );
        assert_eq!(receive(true, &mut all_at_once), whole, "{role:?}, in pieces, seed {seed}");
        assert_eq!(
            receive(true, &mut || rng.random_range(1..200)),
            whole,
            "{role:?}, in pieces, split, seed {seed}"
        );
        if wire.len() < 20_000 {
            assert_eq!(
                receive(false, &mut one_by_one),
                whole,
                "{role:?}, byte by byte, seed {seed}"
            );
        }
    }
}

#[test]
fn a_client_and_a_server_say_the_same_though_one_of_them_masks_it() {
    for seed in 0..300 {
        let [from_server, from_client] = ROLES.map(|role| {
            let mut rng = StdRng::seed_from_u64(seed);
            receive_as(role, &random_wire(role.peer(), &mut rng), false, all_at_once)
        });
        assert_eq!(from_server, from_client, "seed {seed}");
    }
}

#[test]
fn each_side_refuses_frames_of_its_own_kind() {
    for (role, end) in
        [(Role::Client, ProtocolError::MaskedFrame), (Role::Server, ProtocolError::UnmaskedFrame)]
    {
        for first in [0x81, 0x82, 0x02, 0x89, 0x88] {
            for payload in [&b""[..], b"short", &[0; 125]] {
                let good = frame_of(role.peer(), 0x82, b"good");
                let wire = [good, frame_of(role, first, payload)].concat();
                let expected = [Event::Message(false, b"good".to_vec()), Event::Violation(end)];
                assert_eq!(
                    receive_as(role, &wire, false, all_at_once),
                    expected,
                    "{role:?} {first:x}"
                );
                assert_eq!(
                    receive_as(role, &wire, false, one_by_one),
                    expected,
                    "{role:?} {first:x}, byte by byte"
                );
            }
        }
    }
    // The two bytes are enough, whatever the length says.
    let begun = [[0x82, 127], [0x82, 126], [0x89, 126]];
    for wire in begun {
        let expected = [Event::Violation(ProtocolError::UnmaskedFrame)];
        assert_eq!(receive_as(Role::Server, &wire, false, all_at_once), expected, "{wire:x?}");
    }
}

#[test]
fn what_the_rfc_forbids_ends_the_connection() {
    let half = |first: u8| frame(first, b"half");
    let violations: [(&str, Vec<u8>, End); 20] = [
        ("RSV1", frame(0xc1, b""), ProtocolError::ReservedBits.into()),
        ("RSV3 on a ping", frame(0x99, b""), ProtocolError::ReservedBits.into()),
        ("opcode 3", frame(0x83, b""), ProtocolError::ReservedOpcode(3).into()),
        ("opcode 15", frame(0x8f, b""), ProtocolError::ReservedOpcode(15).into()),
        ("masked", vec![0x81, 0x80, 1, 2, 3, 4], ProtocolError::MaskedFrame.into()),
        (
            "length of 2^63",
            [&[0x82, 127, 0x80][..], &[0; 7]].concat(),
            ProtocolError::InvalidLength.into(),
        ),
        ("0 in two bytes", vec![0x82, 126, 0, 0], ProtocolError::InvalidLength.into()),
        (
            "125 in two bytes",
            [&[0x81, 126, 0, 125][..], &[0; 125]].concat(),
            ProtocolError::InvalidLength.into(),
        ),
        (
            "125 in eight bytes",
            vec![0x82, 127, 0, 0, 0, 0, 0, 0, 0, 125],
            ProtocolError::InvalidLength.into(),
        ),
        (
            "65,535 in eight bytes",
            vec![0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            ProtocolError::InvalidLength.into(),
        ),
        ("ping in fragments", frame(0x09, b""), ProtocolError::FragmentedControlFrame.into()),
        ("long ping", frame(0x89, &[0; 126]), ProtocolError::OversizedControlFrame.into()),
        ("stray continuation", frame(0x80, b""), ProtocolError::UnexpectedContinuation.into()),
        ("interleaved", [half(0x01), half(0x81)].concat(), ProtocolError::UnfinishedMessage.into()),
        ("bad text", frame(0x81, b"\xff"), ProtocolError::InvalidUtf8.into()),
        ("text that ends early", frame(0x81, b"\xe2\x82"), ProtocolError::InvalidUtf8.into()),
        ("Close of one byte", frame(0x88, &[3]), ProtocolError::InvalidClosePayload.into()),
        ("Close with 1005", frame(0x88, &[3, 237]), ProtocolError::InvalidCloseCode(1005).into()),
        (
            "too long",
            frame(0x82, &vec![0; (1 << 20) + 1]),
            End::Limit(LimitError::MessageSize { limit: 1 << 20 }),
        ),
        (
            "too many fragments",
            half(0x02).repeat(1),
            End::Limit(LimitError::Fragments { limit: 100 }),
        ),
    ];
    for (name, mut wire, end) in violations {
        if name == "too many fragments" {
            wire.extend(frame(0x00, b"").repeat(100));
        }
        for pieces in [all_at_once as fn() -> usize, one_by_one] {
            if wire.len() < 10_000 || pieces() > 1 {
                assert_eq!(
                    receive(&wire, false, pieces).last(),
                    Some(&Event::from(end.clone())),
                    "{name}"
                );
                if name != "masked" && !name.contains("bytes") && name != "length of 2^63" {
                    let masked = masked(&wire);
                    let events = receive_as(Role::Server, &masked, false, pieces);
                    assert_eq!(events.last(), Some(&Event::from(end.clone())), "masked: {name}");
                }
            }
        }
    }
}

#[test]
fn a_client_too_says_a_length_in_the_least_bytes() {
    for wire in [
        &[0x82, 0x80 | 126, 0, 1, 1, 2, 3, 4, 5][..],
        &[0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5],
    ] {
        for pieces in [all_at_once as fn() -> usize, one_by_one] {
            let events = receive_as(Role::Server, wire, false, pieces);
            assert_eq!(events, [Event::Violation(ProtocolError::InvalidLength)], "{wire:x?}");
        }
    }
}

#[test]
fn a_header_with_two_faults_has_the_same_one_however_it_arrives() {
    for (wire, end) in [
        (&[0xf3, 0x00][..], ProtocolError::ReservedBits),
        (&[0x83, 0x80, 1, 2, 3, 4], ProtocolError::ReservedOpcode(3)),
        (&[0x09, 0x80, 1, 2, 3, 4], ProtocolError::FragmentedControlFrame),
        (&[0x89, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], ProtocolError::MaskedFrame),
    ] {
        assert_eq!(receive(wire, false, all_at_once), [Event::Violation(end)], "{wire:x?}");
        assert_eq!(
            receive(wire, false, one_by_one),
            [Event::Violation(end)],
            "{wire:x?}, byte by byte"
        );
    }
}

#[test]
fn a_limit_holds_over_all_fragments_together() {
    let wire = [frame(0x02, &[0; 1 << 19]), frame(0x00, &[0; 1 << 19]), frame(0x80, &[0])].concat();
    let end = End::Limit(LimitError::MessageSize { limit: 1 << 20 });
    assert_eq!(receive(&wire, false, all_at_once), [Event::from(end)]);
}

#[test]
fn bad_text_fails_before_its_frame_is_whole() {
    for size in [100, 100_000] {
        let mut wire = frame(0x81, &vec![b'a'; size]);
        wire[50] = 0xff;
        wire.truncate(60);
        assert_eq!(
            receive(&wire, false, all_at_once),
            [Event::Violation(ProtocolError::InvalidUtf8)],
            "{size}"
        );
        let mut payload = vec![b'a'; size];
        payload[45] = 0xff;
        let mut wire = frame_of(Role::Client, 0x81, &payload);
        wire.truncate(60);
        for pieces in [all_at_once as fn() -> usize, one_by_one] {
            let events = receive_as(Role::Server, &wire, false, pieces);
            assert_eq!(events, [Event::Violation(ProtocolError::InvalidUtf8)], "masked, {size}");
        }
    }
}

/// A character that is not whole waits with each of them, and only once.
#[test]
fn empty_fragments_in_the_middle_of_a_character_take_no_memory() {
    let mut wire = frame(0x01, b"he\xc3");
    (0..90).for_each(|_| wire.extend(frame(0x00, b"")));
    wire.extend(frame(0x80, b"\xa9"));
    let whole = [Event::Message(true, "he\u{e9}".into())];
    for size in [all_at_once, one_by_one] {
        // What is held is looked at with each read.
        assert_eq!(receive(&wire, true, size), whole);
    }
}

#[test]
fn bad_text_before_a_close_in_one_read_is_what_counts() {
    let wire = [frame(0x81, b"good"), frame(0x81, b"\xff"), frame(0x88, &[3, 232])].concat();
    let events = receive(&wire, false, all_at_once);
    assert_eq!(
        events,
        [Event::Message(true, b"good".to_vec()), Event::Violation(ProtocolError::InvalidUtf8)]
    );
}

#[test]
fn more_messages_than_a_batch_takes_come_in_the_next() {
    let wire = frame(0x82, b"").repeat(10_000);
    assert_eq!(receive(&wire, false, all_at_once).len(), 10_000);
}
