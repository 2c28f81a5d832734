//! A blocking `connect` that another thread cancels: in each phase, before it, and too late.

use std::time::Duration;

use websocket_app::{Attempt, Canceller, Error, Message, WebSocket, WebSocketBuilder};

use super::echo;
use crate::peer::{Bystander, FullBacklog, Listener, Peer};
use crate::watchdog::{Gate, Task, within};

const HOUR: Duration = Duration::from_secs(3600);
const NOWHERE: &str = "ws://nowhere.invalid/";

/// Connects, cancels when the gate opens, and sees it end with that, long before its own time.
fn is_cancelled(builder: WebSocketBuilder, reached: &Gate) {
    let builder = builder.connect_timeout(HOUR);
    let canceller = builder.canceller();
    let connecting = Task::start("connect", move || builder.connect());
    reached.wait();
    // Any of its clones, any thread, once or twice.
    let again = canceller.clone();
    Task::start("cancel", move || canceller.cancel()).join();
    again.cancel();
    let error = connecting.join().expect_err("it was cancelled");
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    assert_eq!(error.to_string(), "connecting was cancelled");
}

/// A server that says nothing once the script has seen that the client has come so far.
fn silent(come: fn(&Listener) -> crate::connection::Connection) -> (Peer, Gate) {
    let reached = Gate::new();
    let reach = reached.clone();
    let peer = Peer::start(move |listener| {
        let client = come(listener);
        reach.open();
        client.stay_silent();
    });
    (peer, reached)
}

#[test]
fn while_it_looks_up() {
    let [reached, done] = [(); 2].map(|()| Gate::new());
    let (reach, ends) = (reached.clone(), done.clone());
    let resolver = move |_: &str, _, _: &Attempt| -> std::io::Result<[std::net::SocketAddr; 0]> {
        reach.open();
        ends.wait();
        Ok([])
    };
    is_cancelled(WebSocket::builder(NOWHERE).resolver(resolver), &reached);
    done.open();
}

#[test]
fn while_a_connector_hangs() {
    let [reached, done] = [(); 2].map(|()| Gate::new());
    let (reach, ends) = (reached.clone(), done.clone());
    let connector = move |_: &str, _, _: &Attempt| -> std::io::Result<std::net::TcpStream> {
        reach.open();
        ends.wait();
        Err(std::io::ErrorKind::NotConnected.into())
    };
    is_cancelled(WebSocket::builder(NOWHERE).connector(connector), &reached);
    done.open();
}

/// Whether the thread waits already or not makes no difference.
#[test]
fn while_nobody_accepts() {
    let dead = FullBacklog::new();
    let now = Gate::new();
    now.open();
    (0..20).for_each(|_| is_cancelled(WebSocket::builder(dead.url()), &now));
}

#[test]
fn while_a_proxy_says_nothing() {
    let (proxy, reached) = silent(|listener| {
        let mut client = listener.accept();
        assert_eq!(client.read_request().line, "CONNECT nowhere.invalid:80 HTTP/1.1");
        client
    });
    let proxy_url = format!("http://{}", proxy.addr());
    is_cancelled(WebSocket::builder(NOWHERE).proxy(proxy_url), &reached);
}

#[cfg(feature = "__tls")]
#[test]
fn while_a_server_says_nothing_to_a_tls_hello() {
    use websocket_app::TlsConfig;

    crate::tls::on_each(|backend| {
        let (server, reached) = silent(|listener| {
            let mut client = listener.accept();
            client.read_something();
            client
        });
        let url = format!("wss://localhost:{}/", server.addr().port());
        is_cancelled(WebSocket::builder(url).tls(TlsConfig::new().backend(backend)), &reached);
    });
}

#[test]
fn while_a_server_does_not_answer_the_request() {
    let (server, reached) = silent(|listener| {
        let mut client = listener.accept();
        client.read_request();
        client
    });
    is_cancelled(WebSocket::builder(server.url()), &reached);
}

#[test]
fn before_it_connects() {
    let nobody = Bystander::new();
    let builder = WebSocket::builder(format!("ws://{}/", nobody.addr()));
    builder.canceller().cancel();
    let result = within("connect", || builder.connect());
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    nobody.saw_nobody();
}

#[test]
fn what_is_connected_stays_so() {
    let peer = Peer::start(echo);
    let builder = WebSocket::builder(peer.url());
    let canceller = builder.canceller();
    within("the client", move || {
        let mut ws = builder.connect().unwrap();
        canceller.cancel();
        ws.send("hello").unwrap();
        assert_eq!(ws.recv().unwrap(), Message::Text("hello"));
        ws.close().unwrap();
    });
}

#[test]
fn it_crosses_threads() {
    fn crosses_threads<T: Clone + Send + Sync + 'static>() {}
    crosses_threads::<Canceller>();
}
