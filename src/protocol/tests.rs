//! Both directions together, for either role: what is encoded is decoded to what it was, however
//! the bytes are split.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::InPieces;
use super::close::close_payload;
use super::frame::Head;
use super::send::{Piece, Queue};
#[cfg(feature = "deflate")]
use super::testing::frame_of;
use super::testing::{Event, Plain, Receiving, lend};
use super::{Deflater, Limits};
use crate::deflate::{Deflate, NegotiatedDeflate};
use crate::role::Role;

const ROLES: [Role; 2] = [Role::Client, Role::Server];
const LIMITS: Limits = Limits { message_size: 1 << 20, fragments: 100 };

/// No compression, and with the feature some kinds of it: what the client and the server do is
/// different.
fn agreements() -> Vec<Option<NegotiatedDeflate>> {
    let answers = [
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=10",
        "permessage-deflate; client_no_context_takeover; server_max_window_bits=9",
    ];
    let agree = |answer: &&str| Some(Deflate::default().min_size(0).agree(answer).unwrap());
    let compressed = if cfg!(feature = "deflate") { &answers[..] } else { &[] };
    [None].into_iter().chain(compressed.iter().map(agree)).collect()
}

fn random_message(rng: &mut StdRng) -> (bool, Vec<u8>) {
    let text = rng.random_bool(0.5);
    let len = [0, 1, 5, 125, 126, 300, 65_535, 65_536, 200_000, 400_000][rng.random_range(0..10)];
    let payload = match text {
        true => "aé日🦀 price"
            .chars()
            .cycle()
            .skip(rng.random_range(0..9))
            .take(len / 3)
            .collect::<String>()
            .into_bytes(),
        false => (0..len).map(|_| rng.random()).collect(),
    };
    (text, payload)
}

#[test]
fn what_one_side_encodes_the_other_decodes() {
    for (seed, agreed) in
        (0..5).flat_map(|seed| agreements().into_iter().map(move |agreed| (seed, agreed)))
    {
        for role in ROLES {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut deflater = agreed.and_then(|agreed| Deflater::new(agreed, role, lend));
            let (mut queue, mut sent) = (Queue::new(Plain(role)), Vec::new());
            for _ in 0..rng.random_range(1..8) {
                let (text, payload) = random_message(&mut rng);
                let (head, bytes) = match &mut deflater {
                    Some(deflater) if rng.random_bool(0.7) => {
                        (Head::of(text).compressed(), deflater.compressed(&payload))
                    }
                    _ => (Head::of(text), payload.clone()),
                };
                match rng.random_range(0..4) {
                    0 => queue.push(head, &bytes),
                    #[cfg(feature = "server")]
                    1 if role == Role::Server => {
                        queue.push_common(&super::common::Common::new(head, bytes.into()))
                    }
                    2 => queue.push_large(head, bytes.into()),
                    _ => queue.push_owned(head, bytes.into()),
                }
                sent.push(Event::Message(text, payload));
            }
            queue.set_close(close_payload(1000, "bye").unwrap());
            sent.push(Event::Close(1000, "bye".into()));
            let (mut wire, mut piece) = (Vec::new(), Piece::default());
            while queue.next_masked(&mut piece) {
                wire.extend_from_slice(&piece.bytes);
            }
            for in_pieces in [InPieces::None, InPieces::Large, InPieces::All] {
                let receiving =
                    Receiving { role: role.peer(), limits: LIMITS, in_pieces, compression: agreed };
                for most in [usize::MAX, 100_000, 2_000] {
                    let received = receiving.receive(&[], &wire, || rng.random_range(1..=most));
                    assert!(
                        received == sent,
                        "{role:?}, seed {seed}, {agreed:?}, in pieces: {in_pieces:?}, {most}"
                    );
                }
            }
        }
    }
}

/// Frames that a queue never makes: fragments of any length, with control frames between them.
#[cfg(feature = "deflate")]
#[test]
fn compressed_fragments_come_out_of_any_split() {
    for (seed, agreed) in
        (0..5).flat_map(|seed| agreements().into_iter().flatten().map(move |agreed| (seed, agreed)))
    {
        for role in ROLES {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut deflater = Deflater::new(agreed, role, lend).unwrap();
            let (mut wire, mut sent) = (Vec::new(), Vec::new());
            for _ in 0..rng.random_range(1..5) {
                let (text, payload) = random_message(&mut rng);
                let compressed = deflater.compressed(&payload);
                let mut rest = compressed.as_slice();
                let mut first = if text { 0x41 } else { 0x42 };
                while let Some((fragment, after)) =
                    rest.split_at_checked(rng.random_range(0..4_000))
                {
                    if rng.random_bool(0.2) {
                        wire.extend(frame_of(role, 0x89, b"ping"));
                        sent.push(Event::Ping(b"ping".to_vec()));
                    }
                    wire.extend(frame_of(role, first, fragment));
                    (rest, first) = (after, 0);
                }
                wire.extend(frame_of(role, first | 0x80, rest));
                sent.push(Event::Message(text, payload));
            }
            let limits = Limits { fragments: usize::MAX, ..LIMITS };
            for in_pieces in [InPieces::None, InPieces::Large, InPieces::All] {
                let receiving =
                    Receiving { role: role.peer(), limits, in_pieces, compression: Some(agreed) };
                for most in [usize::MAX, 5_000, 50] {
                    let received = receiving.receive(&[], &wire, || rng.random_range(1..=most));
                    assert!(
                        received == sent,
                        "{role:?}, seed {seed}, {agreed:?}, in pieces: {in_pieces:?}, {most}"
                    );
                }
            }
        }
    }
}

/// A few kilobytes that are more than one batch holds: the rest of what was read comes again.
#[cfg(feature = "deflate")]
#[test]
fn what_inflates_to_much_is_unmasked_once() {
    let message = vec![0; 5 << 20];
    for agreed in agreements().into_iter().flatten() {
        for role in ROLES {
            let compressed = Deflater::new(agreed, role, lend).unwrap().compressed(&message);
            let wire = frame_of(role, 0xc2, &compressed);
            let limits = Limits { message_size: message.len(), ..LIMITS };
            for in_pieces in [InPieces::None, InPieces::Large, InPieces::All] {
                let receiving =
                    Receiving { role: role.peer(), limits, in_pieces, compression: Some(agreed) };
                for size in [usize::MAX, 1_000, 7] {
                    let received = receiving.receive(&[], &wire, || size);
                    assert!(
                        received == [Event::Message(false, message.clone())],
                        "{role:?}, {in_pieces:?}, {size}"
                    );
                }
            }
        }
    }
}
