//! A `Host` header other than the URL's.

use websocket_app::WebSocket;

use crate::peer::Peer;
use crate::watchdog::within;

#[test]
fn it_replaces_the_urls() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        assert_eq!(client.read_request().header("Host"), Some("virtual.example:8080"));
        let answer = client.acceptance("");
        client.write(answer);
        client.answer_close();
    });
    let url = peer.url();
    within("the client", move || {
        let mut ws = WebSocket::builder(url).host("virtual.example:8080").connect().unwrap();
        ws.close().unwrap();
    });
}
