//! Redirects of an app: followed where it asks for that, each time from its own URL.

/// What counts of the TLS options at another origin.
#[cfg(feature = "__tls")]
mod over_tls;

use std::time::Duration;

use websocket_app::{ClosedBy, Error, Phase, Reconnect, WebSocket};

use crate::failure::{Failure, clean, lost};
use crate::peer::{Listener, Peer};
use crate::running::run;
use crate::watchdog::within;

pub(crate) fn redirect(listener: &Listener, location: &str) {
    let mut client = listener.accept();
    client.read_request();
    client
        .write(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"));
    client.expect_end();
}

#[test]
fn an_app_begins_at_its_own_url_each_time() {
    let last = Peer::start(|listener| {
        listener.open().reset();
        listener.open().answer_close();
    });
    let to = last.url();
    let first = Peer::start(move |listener| (0..2).for_each(|_| redirect(listener, &to)));
    let app =
        run(first.app().max_redirects(1).reconnect(Reconnect::fixed(Duration::from_millis(1))));
    app.expect_open();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    let handshake = app.sender.handshake().unwrap();
    assert_eq!((handshake.peer_addr(), handshake.url()), (Some(last.addr()), &*last.url()));
    assert_eq!((handshake.tls_version(), handshake.peer_certificate()), (None, None));
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn a_blocking_connection_follows_too_and_errors_name_where_it_is() {
    let last = Peer::start(|listener| listener.open().reset());
    let to = last.url();
    let first = Peer::start(move |listener| redirect(listener, &to));
    let mut ws = WebSocket::builder(first.url()).max_redirects(3).connect().unwrap();
    let (error, addr) = (within("recv", move || ws.recv()).unwrap_err(), last.addr().to_string());
    assert!(matches!(&error, Error::Network { peer, .. } if **peer == *addr), "{error}");
}

#[test]
fn one_redirect_too_many_is_a_rejection() {
    let peer = Peer::start(|listener| (0..3).for_each(|_| redirect(listener, "/")));
    let error = WebSocket::builder(peer.url()).max_redirects(2).connect().err().unwrap();
    let Error::Rejected(rejection) = &error else { panic!("{error}") };
    assert_eq!(rejection.status, 302);
    assert!(
        error.to_string().contains("2 came before it, as many as max_redirects allows"),
        "{error}"
    );
}

/// What a server writes into its `Location` may be what the program logged in with.
#[test]
fn a_rejections_text_shows_no_credential() {
    for location in [
        "wss://user:secret@host/",
        "//user:secret@host/",
        "ws://user:sec?secret@host/",
        "/?token=secret",
    ] {
        let peer = Peer::start(move |listener| redirect(listener, location));
        let error = WebSocket::connect(peer.url()).err().unwrap();
        assert!(!format!("{error} {error:?} {error:#?}").contains("sec"), "{location}: {error:?}");
        let Error::Rejected(rejection) = &error else { panic!("{error}") };
        assert_eq!(rejection.headers.get("location"), Some(location));
    }
}
