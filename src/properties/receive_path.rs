//! From the first byte of a server's answer to its frames: any split gives the same handshake,
//! refusal and events; nothing panics; only an answer that RFC 6455 §4.1 allows opens; errors are
//! of bounded length and safe to print.

use super::{assert_same, assert_same_in_pieces, connection, expand};
use websocket_app::fuzzing::{Connection, Event};
use websocket_app::{Error, Handshake};

type Opened = Option<Result<Handshake, Error>>;

pub fn receive_path(input: &[u8]) {
    let Some((whole, splits, wire)) = connection(input) else { return };
    // It is a server's answer.
    let whole = Connection { is_server: false, ..whole };
    let wire = expand(wire);
    let pieces = Connection { in_pieces: true, ..whole.clone() };
    let (opened, events) = whole.open(&wire, || usize::MAX);
    match &opened {
        Some(Ok(handshake)) => check_handshake(handshake, &whole),
        Some(Err(error)) => check_error(error),
        None => {}
    }
    let (mut sizes, mut other_sizes) = (splits, splits);
    let split = whole.open(&wire, || sizes.size());
    assert_same_opening(&split.0, &opened);
    assert_same(&split.1, &events, "split", &whole);
    let (opened_in_pieces, in_pieces) = pieces.open(&wire, || other_sizes.size());
    assert_same_opening(&opened_in_pieces, &opened);
    assert_same_in_pieces(&in_pieces, &events, "in pieces, split", &whole);
    if wire.len() <= 1_000 {
        let (opened_slowly, slowly) = whole.open(&wire, || 1);
        assert_same_opening(&opened_slowly, &opened);
        assert_same(&slowly, &events, "byte by byte", &whole);
    }
    if !matches!(opened, Some(Ok(_))) {
        assert_eq!(events, Vec::<Event>::new(), "no event without a connection");
    }
}

fn check_handshake(handshake: &Handshake, connection: &Connection) {
    let headers = handshake.headers();
    assert_eq!(handshake.status(), 101);
    assert_eq!(headers.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(headers.get("upgrade").is_some() && headers.get("connection").is_some());
    assert!(
        matches!(handshake.subprotocol(), None | Some("v1" | "v2")),
        "what was not offered was chosen"
    );
    assert!(
        handshake.extensions().is_none() || connection.compression.is_some(),
        "an extension that was not offered"
    );
}

fn check_error(error: &Error) {
    let shown = error.to_string();
    assert!(shown.len() < 2_000, "an error of {} bytes", shown.len());
    assert!(
        !shown.contains(|c: char| c.is_control()),
        "control characters of the server's: {shown:?}"
    );
    match error {
        Error::Rejected(rejection) => {
            assert_ne!(rejection.status, 101);
            assert!(
                rejection.body.len() <= 64 << 10,
                "{} bytes of a refusal",
                rejection.body.len()
            );
        }
        Error::Upgrade { .. } => {}
        other => panic!("an answer from memory cannot cause {other:?}"),
    }
}

#[track_caller]
fn assert_same_opening(opened: &Opened, whole: &Opened) {
    match (opened, whole) {
        // What has come by then is shown.
        (
            Some(Err(Error::Upgrade { problem: a, .. })),
            Some(Err(Error::Upgrade { problem: b, .. })),
        ) if b.contains("not HTTP/1.1") => {
            assert!(a.contains("not HTTP/1.1"), "{a} instead of {b}");
        }
        (Some(Err(Error::Rejected(a))), Some(Err(Error::Rejected(b)))) => {
            assert!(a == b, "{a} instead of {b}")
        }
        _ => assert_eq!(format!("{opened:?}"), format!("{whole:?}")),
    }
}
