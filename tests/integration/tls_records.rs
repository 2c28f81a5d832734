//! What is below a TLS session: bytes that are no record.

use websocket_app::{Error, Phase, WebSocket};

use crate::failure::{Failure, lost};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::running::run;
use crate::tls::on_each;
use crate::watchdog::within;

/// What anybody on the way can write between the records: text, a record that was made with no key,
/// and two of them.
const GARBAGE: [&[u8]; 3] = [b"HTTP/1.1 400 Bad Request\r\n\r\n", FORGED, FORGED_TWICE];
const FORGED: &[u8] = FORGED_TWICE.split_at(FORGED_TWICE.len() / 2).0;
const FORGED_TWICE: &[u8] =
    b"\x17\x03\x03\x00\x14twenty bytes of it..\x17\x03\x03\x00\x14twenty bytes of it..";

/// The session is used once more after it failed, for our Close frame or its farewell: it is not to
/// be asked.
#[test]
fn bytes_that_are_no_record_end_one_connection() {
    on_each(|backend| {
        for garbage in GARBAGE {
            let peer = Peer::start_tls(backend, move |listener| {
                let mut client = listener.open();
                client.write_below_tls(garbage);
                client.stay_silent();
            });
            let app = run(peer.app());
            app.expect_open();
            app.expect_failure(Failure::Network(Phase::Open));
            app.expect_close(lost());
            app.end_given_up();
        }
    });
}

#[test]
fn bytes_that_are_no_record_end_a_blocking_connection() {
    on_each(|backend| {
        for garbage in GARBAGE {
            let peer = Peer::start_tls(backend, move |listener| {
                let mut client = listener.open();
                client.send(Frame::text("before"));
                client.write_below_tls(garbage);
                client.stay_silent();
            });
            let builder = WebSocket::builder(peer.url()).tls(peer.tls());
            within("recv", move || {
                let mut ws = builder.connect().unwrap();
                assert_eq!(ws.recv().unwrap(), websocket_app::Message::Text("before"));
                let broken = ws.recv();
                assert!(matches!(&broken, Err(Error::Network { .. })), "{broken:?}");
                assert!(ws.send("after it").is_err());
            });
        }
    });
}
