//! What goes out of a queue, in which order and pieces, and what is dropped from it.

use super::*;
use crate::protocol::testing::Plain;

const BINARY: Head = Head::BINARY;
const PIECE: usize = Plain::PIECE;
const ROLES: [Role; 2] = [Role::Client, Role::Server];

type Queue = super::Queue<Plain>;

fn queue(role: Role) -> Queue {
    Queue::new(Plain(role))
}

/// Everything the queue hands out, as (opcode, unmasked payload).
fn drain(queue: &mut Queue) -> Vec<(u8, Vec<u8>)> {
    let (mut wire, mut piece) = (Vec::new(), Piece::default());
    while queue.next_masked(&mut piece) {
        wire.extend_from_slice(&piece.bytes);
    }
    assert_eq!(queue.len(), 0);
    parse(&wire)
}

fn parse(mut wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while !wire.is_empty() {
        let mut cursor = std::io::Cursor::new(wire);
        let (header, len) =
            tungstenite::protocol::frame::FrameHeader::parse(&mut cursor).unwrap().unwrap();
        let (_, rest) = wire.split_at(cursor.position() as usize);
        let (payload, rest) = rest.split_at(len as usize);
        let mut payload = payload.to_vec();
        if let Some(key) = header.mask {
            frame::mask(&mut payload, key, 0);
        }
        frames.push((header.opcode.into(), payload));
        wire = rest;
    }
    frames
}

#[test]
fn frames_of_all_sizes_go_out_whole_and_in_order() {
    for mut queue in ROLES.map(queue) {
        let large: Vec<u8> = (0..3 * PIECE + 5).map(|i| i as u8).collect();
        queue.push(BINARY, b"one");
        queue.push_large(BINARY, large.clone().into());
        queue.push(BINARY, b"two");
        assert_eq!(drain(&mut queue), [(2, b"one".to_vec()), (2, large), (2, b"two".to_vec())]);
    }
}

#[test]
fn what_has_not_begun_is_dropped_and_what_has_begun_still_counts() {
    for role in ROLES {
        let (mut queue, mut piece) = (queue(role), Piece::default());
        assert!(!queue.drop_unsent(), "there was none");
        queue.push_large(BINARY, vec![7; 2 * PIECE].into());
        assert!(queue.next_masked(&mut piece));
        let (mut wire, left) = (piece.bytes.clone(), queue.len());
        assert!(!queue.drop_unsent(), "all of it has begun");
        queue.push(BINARY, b"small");
        queue.push_large(BINARY, vec![8; PIECE].into());
        queue.push(BINARY, b"small");
        assert!(queue.drop_unsent());
        assert_eq!((queue.len(), queue.is_empty()), (left, false));
        while queue.next_masked(&mut piece) {
            wire.extend_from_slice(&piece.bytes);
        }
        assert_eq!((parse(&wire), queue.len()), (vec![(2, vec![7; 2 * PIECE])], 0));
    }
}

#[test]
fn the_oldest_that_have_not_begun_are_dropped_and_control_frames_are_not() {
    for mut queue in ROLES.map(queue) {
        let mut piece = Piece::default();
        assert_eq!(queue.drop_oldest(usize::MAX), 0, "there is none");
        let begun = vec![7; PIECE + 1];
        queue.push_large(BINARY, begun.clone().into());
        assert!(queue.next_masked(&mut piece));
        let mut wire = piece.bytes.clone();
        for (head, payload) in
            [(Head::PING, "p"), (BINARY, "one"), (Head::PONG, "q"), (BINARY, "two")]
        {
            queue.push(head, payload.as_bytes());
        }
        queue.push_large(BINARY, vec![8; PIECE].into());
        ["three", "four"].into_iter().for_each(|text| queue.push(BINARY, text.as_bytes()));
        assert_eq!(queue.messages(), 5);
        let before = queue.len();
        assert_eq!((queue.drop_oldest(1), queue.messages()), (1, 4));
        assert_eq!(before - queue.len(), frame::header_len(3, queue.supplies().role()) + 3);
        // The second and the large one.
        assert_eq!((queue.drop_oldest(PIECE), queue.messages()), (2, 2));
        assert_eq!((queue.drop_oldest(1), queue.messages()), (1, 1));
        queue.push(BINARY, b"five");
        assert_eq!(queue.messages(), 2);
        while queue.next_masked(&mut piece) {
            wire.extend_from_slice(&piece.bytes);
        }
        let text = |opcode, text: &str| (opcode, text.as_bytes().to_vec());
        assert_eq!(
            parse(&wire),
            [(2, begun), text(9, "p"), text(10, "q"), text(2, "four"), text(2, "five")]
        );
        assert_eq!(queue.len(), 0);
    }
}

/// A message of a server for this queue and others.
#[cfg(feature = "server")]
fn common(payload: impl Into<Bytes>) -> Common {
    Common::new(BINARY, payload.into())
}

#[cfg(feature = "server")]
#[test]
fn what_many_queues_have_is_there_once_and_goes_out_in_its_place_and_in_one_piece() {
    let (shared, large) = (common("shared"), common(vec![8; MAX_COPIED + 1]));
    let mut queues: Vec<_> = (0..3).map(|_| queue(Role::Server)).collect();
    for queue in &mut queues {
        (0..2).for_each(|_| queue.push_common(&shared));
        queue.push(BINARY, b"own");
        queue.push_common(&shared);
        assert_eq!((queue.len(), queue.messages()), (3 * 8 + 5, 4));
    }
    let Form::Frame(frame) = shared.form() else { panic!("it is small") };
    assert_eq!(std::sync::Arc::strong_count(frame), 1 + 3 * 2, "the last is behind its own");
    for queue in &mut queues {
        let mut piece = Piece::default();
        assert!(queue.next_masked(&mut piece));
        assert_eq!((piece.messages, queue.len()), (4, 0));
        let payloads = ["shared", "shared", "own", "shared"];
        assert_eq!(parse(&piece.bytes), payloads.map(|text| (2, text.as_bytes().to_vec())));
        assert!(!queue.next_masked(&mut piece));
        queue.push_common(&large);
        queue.push_common(&shared);
        let large = (2, large.payload().to_vec());
        assert_eq!(drain(queue), [large, (2, b"shared".to_vec())]);
    }
    assert_eq!(std::sync::Arc::strong_count(frame), 1);
}

#[cfg(feature = "server")]
#[test]
fn of_many_small_ones_most_are_copied() {
    let (mut queue, shared) = (queue(Role::Server), common("1"));
    (0..100_000).for_each(|_| queue.push_common(&shared));
    queue.push_common(&common("2"));
    let Form::Frame(frame) = shared.form() else { panic!("it is small") };
    assert_eq!(std::sync::Arc::strong_count(frame), 1 + MAX_RUNS * Run::MAX);
    assert_eq!((queue.entries.len(), queue.len()), (MAX_RUNS, 100_001 * 3));
    let mut sent = vec![(2, b"1".to_vec()); 100_000];
    sent.push((2, b"2".to_vec()));
    assert!(drain(&mut queue) == sent);
}

#[cfg(feature = "server")]
#[test]
fn much_that_many_have_goes_out_in_pieces() {
    let (mut queue, mut piece, mut wire) = (queue(Role::Server), Piece::default(), Vec::new());
    let payloads: Vec<_> = (0..=255).map(|i| vec![i; MAX_COPIED]).collect();
    payloads.iter().for_each(|payload| queue.push_common(&common(payload.clone())));
    queue.push(BINARY, b"own");
    while queue.next_masked(&mut piece) {
        assert!(
            piece.bytes.len() < PIECE + (Run::MAX + 1) * (MAX_COPIED + 10),
            "{}",
            piece.bytes.len()
        );
        wire.extend_from_slice(&piece.bytes);
    }
    let mut sent: Vec<_> = payloads.into_iter().map(|payload| (2, payload)).collect();
    sent.push((2, b"own".to_vec()));
    assert!(parse(&wire) == sent);
}

#[cfg(feature = "server")]
#[test]
fn what_many_have_is_dropped_from_one_queue_as_its_own_is() {
    let mut queue = queue(Role::Server);
    ["one", "two", "three"].iter().for_each(|text| queue.push_common(&common(*text)));
    queue.push(BINARY, b"own");
    assert_eq!((queue.drop_oldest(6), queue.messages(), queue.len()), (2, 2, 7 + 5));
    assert_eq!((queue.drop_oldest(8), queue.messages(), queue.len()), (2, 0, 0));
    queue.push_common(&common("four"));
    assert!(queue.drop_unsent());
    assert_eq!((queue.len(), queue.entries.capacity()), (0, 0));
    queue.push_common(&common("five"));
    assert_eq!(drain(&mut queue), [(2, b"five".to_vec())]);
}

#[test]
fn of_a_piece_that_is_not_masked_yet_nothing_is_written() {
    let (mut queue, mut piece) = (Queue::default(), Piece::default());
    queue.push_large(BINARY, vec![7; PIECE + 1].into());
    assert!(queue.next_masked(&mut piece) && queue.next_piece(&mut piece));
    assert_eq!((piece.bytes.len(), piece.len(), piece.messages), (0, 1, 1));
    assert_eq!(piece.messages_within(0), 0);
    piece.finish();
    assert_eq!((piece.messages_within(0), piece.messages_within(1)), (0, 1));
}

#[test]
fn pongs_go_between_frames_in_order() {
    let mut queue = Queue::default();
    let large = vec![7; 2 * PIECE];
    queue.push_large(BINARY, large.clone().into());
    queue.push(BINARY, b"after");
    let (mut wire, mut piece) = (Vec::new(), Piece::default());
    assert!(queue.next_masked(&mut piece));
    wire.append(&mut piece.bytes);
    queue.add_pong(b"first");
    queue.add_pong(b"latest");
    while queue.next_masked(&mut piece) {
        wire.append(&mut piece.bytes);
    }
    let pongs = [(10, b"first".to_vec()), (10, b"latest".to_vec())];
    assert_eq!(parse(&wire), [&[(2, large)][..], &pongs, &[(2, b"after".to_vec())]].concat());
}

#[test]
fn a_flood_of_pings_grows_nothing_and_the_latest_is_answered() {
    let mut queue = Queue::default();
    for i in 0..100_000_u32 {
        queue.add_pong(&i.to_be_bytes());
        assert!(queue.pongs.len() <= MAX_PONGS + 131);
    }
    assert_eq!(drain(&mut queue).last(), Some(&(10, 99_999_u32.to_be_bytes().to_vec())));
}

#[test]
fn nothing_goes_out_after_close() {
    let mut queue = Queue::default();
    queue.set_close(Bytes::from_static(&[3, 232]));
    queue.push(BINARY, b"before");
    queue.add_pong(b"pong");
    assert_eq!(
        drain(&mut queue),
        [(10, b"pong".to_vec()), (2, b"before".to_vec()), (8, vec![3, 232])]
    );
    queue.add_pong(b"late");
    queue.set_close(Bytes::new());
    assert!(!queue.next_masked(&mut Piece::default()));
}

#[test]
fn the_rest_of_a_begun_frame_survives_and_keeps_its_mask() {
    for (role, mask) in [(Role::Client, Some([1, 2, 3, 4])), (Role::Server, None)] {
        let mut queue = queue(role);
        let payload: Vec<u8> = (0..=255).collect();
        let mut wire = Vec::new();
        frame::encode_header(&mut wire, BINARY, payload.len(), mask);
        frame::encode_payload(&mut wire, &payload[..99], mask, 0);
        queue.push(BINARY, b"dropped");
        queue.push_front_rest(payload[99..].to_vec().into(), mask, 99);
        queue.drop_unsent();
        assert_eq!(queue.len(), payload.len() - 99);
        queue.add_pong(b"");
        let mut piece = Piece::default();
        while queue.next_masked(&mut piece) {
            wire.append(&mut piece.bytes);
        }
        assert_eq!(parse(&wire), [(2, payload), (10, Vec::new())]);
    }
}

#[test]
fn a_clients_frames_are_masked_and_a_servers_are_not() {
    for role in ROLES {
        let mut queue = queue(role);
        queue.push(BINARY, b"data");
        queue.push_large(BINARY, vec![0; PIECE].into());
        queue.set_ping(b"ping");
        queue.set_close(Bytes::from_static(&[3, 232]));
        assert_eq!(
            queue.len(),
            frame::header_len(4, role) + 4 + frame::header_len(PIECE, role) + PIECE
        );
        let (mut wire, mut piece) = (Vec::new(), Piece::default());
        while queue.next_masked(&mut piece) {
            wire.append(&mut piece.bytes);
        }
        let mut frames = wire.as_slice();
        for len in [4, 4, PIECE, 2] {
            assert_eq!(frames[1] & 0x80 != 0, role == Role::Client, "{len} bytes");
            frames = &frames[frame::header_len(len, role) + len..];
        }
        assert!(frames.is_empty());
    }
}

#[test]
fn what_was_dropped_takes_no_memory() {
    let mut queue = Queue::default();
    (0..1_000).for_each(|_| queue.push(BINARY, &[7; 100]));
    queue.push_large(BINARY, vec![0; PIECE].into());
    assert!(queue.drop_unsent());
    assert_eq!((queue.last.bytes.capacity(), queue.entries.capacity()), (0, 0));
}

#[test]
fn messages_are_counted_where_they_end() {
    let mut queue = Queue::default();
    queue.push(BINARY, b"one");
    queue.push(Head::PING, b"not a message");
    queue.push(BINARY, b"two");
    queue.push_large(BINARY, vec![0; PIECE + 1].into());
    let (mut piece, mut counts) = (Piece::default(), Vec::new());
    while queue.next_masked(&mut piece) {
        counts.push(piece.messages);
        assert_eq!(piece.messages_within(piece.bytes.len()), piece.messages);
        if counts.len() == 1 {
            let within = |written| piece.messages_within(written);
            assert_eq!(
                [within(0), within(8), within(9), within(27), within(36), within(37)],
                [0, 0, 1, 1, 1, 2]
            );
        }
    }
    assert_eq!(counts, [2, 0, 1]);
}

#[test]
fn a_frame_whose_last_piece_is_half_written_does_not_count() {
    for seed in 0..50 {
        let mut queue = Queue::default();
        queue.push_large(BINARY, vec![seed; PIECE + 1000].into());
        let mut piece = Piece::default();
        assert!(queue.next_masked(&mut piece) && queue.next_masked(&mut piece));
        for written in 0..piece.bytes.len() {
            assert_eq!(piece.messages_within(written), 0);
        }
        assert_eq!(piece.messages_within(piece.bytes.len()), 1);
    }
}
