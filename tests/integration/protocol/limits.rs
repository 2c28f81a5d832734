//! The limits on what is received: told by the head of a frame, before its payload comes. Too long
//! is close code 1009, too many fragments, which may be short, is a matter of policy, 1008.

use websocket_app::{ClosedBy, LimitError, OwnedMessage, WebSocketApp};

use crate::failure::{Failure, clean, unanswered};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::{run, run_in_fragments};

const SIZE: LimitError = LimitError::MessageSize { limit: 100 };
const FRAGMENTS: LimitError = LimitError::Fragments { limit: 3 };

#[test]
fn a_message_as_long_as_allowed_is_delivered_and_one_byte_more_is_not() {
    for opcode in [Frame::text, Frame::binary] {
        exceeds(
            vec![opcode([b'x'; 100].to_vec()).encode(), opcode(vec![]).head(101)],
            &[100],
            SIZE,
            1009,
        );
    }
}

#[test]
fn fragments_count_together() {
    let fragments = vec![
        Frame::binary([1; 60]).unfinished().encode(),
        Frame::continuation([2; 40]).encode(),
        Frame::binary([3; 60]).unfinished().encode(),
        Frame::continuation([4; 40]).unfinished().encode(),
        Frame::continuation([]).unfinished().head(1),
    ];
    exceeds(fragments, &[100], SIZE, 1009);
}

#[test]
fn a_frame_longer_than_anything() {
    exceeds(vec![Frame::binary([]).head(u64::MAX >> 1)], &[], SIZE, 1009);
    // With the default limit too: nothing of that size is set aside.
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.write(Frame::binary([]).head(u64::MAX >> 1));
        assert_eq!(client.expect_close_code(), 1009);
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect_failure(Failure::Limit(LimitError::MessageSize { limit: 64 << 20 }));
    app.expect_close(unanswered());
    app.end_given_up();
}

#[test]
fn fragments_are_counted() {
    let empty = Frame::continuation([]).unfinished().encode();
    let fragments = vec![
        Frame::binary([1]).unfinished().encode(),
        empty.clone(),
        Frame::continuation([2]).encode(),
        Frame::binary([3]).unfinished().encode(),
        empty.clone(),
        empty.clone(),
        empty,
    ];
    exceeds(fragments, &[2], FRAGMENTS, 1008);
}

#[test]
fn on_fragment_takes_messages_of_any_length() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        (0..50).for_each(|_| client.send(Frame::binary([1; 1000])));
        client.close(1000, "");
    });
    let app = run_in_fragments(limited(&peer), |_, _| Ok(()));
    app.expect_open();
    let mut total = 0;
    loop {
        match app.next() {
            Call::Fragment { data: OwnedMessage::Binary(data), .. } => total += data.len(),
            Call::Close(_) => break,
            call => panic!("{call:?}"),
        }
    }
    assert_eq!(total, 50_000);
    app.end_in_order();
}

#[test]
fn a_long_message_of_ours_is_not_limited() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::binary(vec![5; 1000]));
        client.close(1000, "");
    });
    let app = run(limited(&peer));
    app.expect_open();
    app.sender.send([5; 1000]).unwrap();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

fn limited(peer: &Peer) -> WebSocketApp {
    peer.app().max_message_size(100).max_fragments(3)
}

/// The peer sends these, of which messages of these lengths are delivered, and the last exceeds the
/// limit: it sees a Close with this code.
fn exceeds(sent: Vec<Vec<u8>>, delivered: &[usize], limit: LimitError, code: u16) {
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.write(sent.concat());
        assert_eq!(client.expect_close_code(), code);
    });
    let app = run(limited(&peer));
    app.expect_open();
    for length in delivered {
        let Call::Message(message) = app.next() else {
            panic!("a message of {length} bytes is expected")
        };
        assert_eq!(message.as_message().len(), *length);
    }
    app.expect_failure(Failure::Limit(limit));
    app.expect_close(unanswered());
    app.end_given_up();
}
