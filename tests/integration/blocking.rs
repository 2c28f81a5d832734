//! The blocking style: connect, send, recv, close, an iterator, over ws and wss.

use std::thread;
use std::time::Duration;

use websocket_app::{
    Error, Message, OwnedMessage, Phase, SendError, SocketOptions, State, WebSocket,
    WebSocketBuilder,
};

use crate::connection::Connection;
use crate::failure::{Failure, clean, ending, unanswered};
use crate::frame::Frame;
use crate::logged;
use crate::peer::{Bystander, Peer, RefusedPort};
use crate::watchdog::{Gate, Task, wait_until, within};
use websocket_app::ClosedBy::{Peer as ByPeer, Us};

#[test]
fn options_say_what_is_asked_for_and_how_long_the_peer_may_be_idle() {
    let idle = Duration::from_millis(50);
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        let request = client.read_request();
        for (name, value) in [
            ("X-Room", "7"),
            ("Origin", "https://page.example"),
            ("Cookie", "session=abc"),
            ("Sec-WebSocket-Protocol", "v2, v1"),
        ] {
            assert_eq!(request.header(name), Some(value));
        }
        let answer = client.acceptance("Sec-WebSocket-Protocol: v2\r\n");
        client.write(answer);
        client.stay_silent();
    });
    let builder = WebSocket::builder(peer.url())
        .header("X-Room", "7")
        .origin("https://page.example")
        .cookie("session=abc")
        .subprotocols(["v2", "v1"])
        .idle_timeout(idle);
    within("the client", move || {
        let mut ws = builder.connect().unwrap();
        assert_eq!(ws.handshake().subprotocol(), Some("v2"));
        assert_eq!(Failure::from(ws.recv().unwrap_err()), Failure::Timeout(Phase::Open, idle));
    });
}

#[test]
fn talks_and_closes() {
    talks(Peer::start(talks_back));
}

#[cfg(feature = "__tls")]
#[test]
fn talks_and_closes_over_tls() {
    crate::tls::on_each(|backend| {
        talks(Peer::start_tls(backend, talks_back));
    });
}

fn talks_back(listener: &crate::peer::Listener) {
    let mut client = listener.open();
    client.expect_text("hello");
    client.send(Frame::text("good").unfinished());
    client.send(Frame::ping("p"));
    client.send(Frame::continuation(" day"));
    client.expect(Frame::pong("p"));
    client.expect(Frame::binary(vec![1; 1 << 20]));
    client.send(Frame::binary(vec![2; 1 << 20]));
    client.answer_close();
}

fn talks(peer: Peer) {
    let builder = builder(&peer);
    within("the client", move || {
        let mut ws = builder.connect().unwrap();
        assert_eq!(ws.handshake().status(), 101);
        ws.send("hello").unwrap();
        assert_eq!(ws.recv().unwrap(), Message::Text("good day"));
        ws.send(vec![1; 1 << 20]).unwrap();
        assert_eq!(ws.recv().unwrap(), Message::Binary(&vec![2; 1 << 20]));
        assert_eq!(ending(&ws.close().unwrap()), clean(Us, 1000, ""));
        assert_eq!(ws.send("late"), Err(SendError::NotConnected { message: None }));
    });
}

#[test]
fn messages_that_come_with_the_response_are_not_lost() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        client.read_request();
        let packet = [
            client.acceptance("").into_bytes(),
            Frame::text("early").encode(),
            Frame::text("too").encode(),
        ];
        client.write(packet.concat());
        client.answer_close();
    });
    with_client(&peer, |mut ws| {
        assert_eq!(ws.recv().unwrap(), Message::Text("early"));
        assert_eq!(ws.recv().unwrap(), Message::Text("too"));
        ws.close().unwrap();
    });
}

#[test]
fn recv_timeout_gives_none_and_loses_nothing() {
    let (asked, go) = (Gate::new(), Gate::new());
    let (ask, answer) = (asked.clone(), go.clone());
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        let frame = Frame::text("in two halves").encode();
        client.write(&frame[..5]);
        asked.wait();
        client.write(&frame[5..]);
        go.open();
        client.close(1000, "");
    });
    with_client(&peer, move |mut ws| {
        assert_eq!(ws.recv_timeout(Duration::from_millis(20)).unwrap(), None);
        assert_eq!(ws.recv_timeout(Duration::ZERO).unwrap(), None);
        ask.open();
        answer.wait();
        let message = ws.recv_timeout(Duration::from_secs(3600)).unwrap().expect("it has come");
        assert_eq!(message, Message::Text("in two halves"));
        assert!(matches!(ws.recv_timeout(Duration::from_secs(3600)), Err(Error::Closed(_))));
    });
}

#[test]
fn the_peers_close_is_closed_and_stays_so() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("last"));
        client.close(4000, "that was it");
    });
    with_client(&peer, |mut ws| {
        assert_eq!(ws.recv().unwrap(), Message::Text("last"));
        for _ in 0..2 {
            let Err(Error::Closed(close)) = ws.recv() else { panic!("it is closed") };
            assert_eq!(ending(&close), clean(ByPeer, 4000, "that was it"));
        }
        assert_eq!(ending(&ws.close().unwrap()), clean(ByPeer, 4000, "that was it"));
    });
}

#[test]
fn the_iterator_ends_with_a_close_in_order() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("a"));
        client.send(Frame::binary("b"));
        client.close(1000, "");
    });
    with_client(&peer, |mut ws| {
        let messages: Result<Vec<_>, _> = ws.by_ref().collect();
        let expected = vec![OwnedMessage::Text("a".into()), OwnedMessage::Binary(b"b".into())];
        assert_eq!(messages.unwrap(), expected);
        assert!(ws.next().is_none());
    });
}

#[test]
fn the_iterator_tells_a_lost_connection_once() {
    for ending in [drop, Connection::reset] {
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            client.send(Frame::text("a"));
            ending(client);
        });
        with_client(&peer, |mut ws| {
            assert_eq!(ws.next().unwrap().unwrap(), Message::Text("a"));
            assert_eq!(
                Failure::from(ws.next().unwrap().unwrap_err()),
                Failure::Network(Phase::Open)
            );
            assert!(ws.next().is_none());
        });
    }
}

#[test]
fn another_thread_sends_while_recv_blocks() {
    sends_while_receiving(Peer::start(echoes_a_hundred));
}

#[cfg(feature = "__tls")]
#[test]
fn another_thread_sends_while_recv_blocks_over_tls() {
    crate::tls::on_each(|backend| {
        sends_while_receiving(Peer::start_tls(backend, echoes_a_hundred));
    });
}

fn echoes_a_hundred(listener: &crate::peer::Listener) {
    let mut client = listener.open();
    for _ in 0..100 {
        let frame = client.read_frame();
        client.send(Frame { masked: false, ..frame });
    }
    client.close(1000, "");
}

/// Nothing is sent before the receiver waits, and nothing comes before something is sent: without
/// both at once, nothing ends.
fn sends_while_receiving(peer: Peer) {
    let builder = builder(&peer);
    within("the client", move || {
        let ws = builder.connect().unwrap();
        let sender = ws.sender();
        let (came, next) = crossbeam_channel::bounded(0);
        let sending = Task::start("sending", move || {
            for i in 0..100 {
                sender.send(i.to_string()).unwrap();
                assert_eq!(next.recv(), Ok(i.to_string()));
            }
        });
        for message in ws {
            came.send(message.unwrap().to_string()).unwrap();
        }
        sending.join();
    });
}

#[test]
fn another_thread_closes_while_recv_blocks() {
    let peer = Peer::start(|listener| listener.open().answer_close());
    with_client(&peer, |mut ws| {
        let sender = ws.sender();
        let closing = Task::start("closing", move || sender.close());
        let Err(Error::Closed(close)) = ws.recv() else { panic!("it is closed") };
        assert_eq!(ending(&close), clean(Us, 1000, ""));
        closing.join();
    });
}

#[test]
fn another_thread_aborts_while_recv_blocks() {
    let peer = Peer::start(|listener| listener.open().stay_silent());
    with_client(&peer, |mut ws| {
        let sender = ws.sender();
        let aborting = Task::start("aborting", move || sender.abort());
        let Err(Error::Closed(close)) = ws.recv() else { panic!("it is closed") };
        assert_eq!(ending(&close), unanswered());
        aborting.join();
    });
}

#[test]
fn close_with_sends_code_and_reason_and_drops_what_is_not_read() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("not read"));
        client.expect(Frame::close(3000, "enough"));
        client.send(Frame::close(3001, "fine"));
    });
    with_client(&peer, |mut ws| {
        let refused = ws.close_with(999, "").unwrap_err();
        assert!(matches!(refused, Error::Send(SendError::InvalidControl { .. })), "{refused:?}");
        assert_eq!(ending(&ws.close_with(3000, "enough").unwrap()), clean(Us, 3001, "fine"));
    });
}

#[test]
fn a_peer_that_ignores_close_is_not_waited_for_longer_than_close_timeout() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::close(1000, ""));
        client.stay_silent();
    });
    let timeout = Duration::from_millis(100);
    let builder = builder(&peer).close_timeout(timeout);
    let close = within("the client", move || builder.connect().unwrap().close()).unwrap();
    assert_eq!(ending(&close), unanswered());
}

#[test]
fn nor_is_one_that_goes_on_talking() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::close(1000, ""));
        while client.try_write(Frame::binary([7; 4096]).encode()).is_ok() {}
    });
    let builder = builder(&peer).close_timeout(Duration::from_millis(100));
    let close = within("the client", move || builder.connect().unwrap().close()).unwrap();
    assert_eq!(ending(&close), unanswered());
}

#[test]
fn whatever_the_peer_does_instead_of_answering_close_is_no_error() {
    let instead: [fn(Connection); 4] = [
        drop,
        Connection::reset,
        |mut client| client.write("no frame at all"),
        |mut client| client.write([Frame::text("fine").encode(), b"\xff\xff".into()].concat()),
    ];
    for instead in instead {
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            client.expect(Frame::close(1000, ""));
            instead(client);
        });
        with_client(&peer, |mut ws| {
            assert_eq!(ending(&ws.close().unwrap()), unanswered());
            let Err(Error::Closed(_)) = ws.recv() else { panic!("it is closed") };
        });
    }
}

/// A program that only sends hears of it from `close`.
#[test]
fn what_a_send_finds_lost_is_not_closed_in_order() {
    for ending in [drop, Connection::reset] {
        let peer = Peer::start(move |listener| ending(listener.open()));
        with_client(&peer, |mut ws| {
            let refused = loop {
                if let Err(refused) = ws.send("anybody?") {
                    break refused;
                }
            };
            assert!(matches!(refused, SendError::NotConnected { .. }), "{refused:?}");
            assert_eq!(ws.sender().state(), State::Closing);
            let lost = Failure::from(ws.close().unwrap_err());
            assert_eq!(lost, Failure::Network(Phase::Open));
            assert_eq!(Failure::from(ws.recv().unwrap_err()), lost);
            assert_eq!(Failure::from(ws.close().unwrap_err()), lost);
            assert_eq!(ws.sender().state(), State::Closed);
        });
    }
}

#[test]
fn garbage_behind_the_peers_answer_is_not_looked_at() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::close(1000, ""));
        client.write([Frame::close(1000, "").encode(), b"no frame at all".into()].concat());
    });
    with_client(&peer, |mut ws| {
        assert_eq!(ending(&ws.close().unwrap()), clean(Us, 1000, ""));
    });
}

/// It cannot be made anew: who holds the `WebSocket` connects again.
#[test]
fn a_reconnect_that_cannot_be_is_logged() {
    logged::listen();
    let peer = Peer::start(|listener| listener.open().answer_close());
    with_client(&peer, |mut ws| {
        ws.sender().reconnect();
        assert_eq!(logged::about("reconnect() of a blocking WebSocket").len(), 1);
        ws.close().unwrap();
    });
}

#[test]
fn a_dead_peer_is_found_while_recv_blocks() {
    let peer = Peer::start(|listener| listener.open().stay_silent());
    let timeout = Duration::from_millis(100);
    let builder = builder(&peer).ping_interval(Duration::from_millis(50)).ping_timeout(timeout);
    let error = within("the client", move || builder.connect().unwrap().recv()).unwrap_err();
    assert_eq!(Failure::from(error), Failure::Timeout(Phase::Open, timeout));
}

/// More messages than are taken out of what was read at a time, three times over.
const BURST: usize = 13_000;

#[test]
fn a_live_peer_is_not_given_up_while_a_burst_is_worked_off() {
    let timeout = Duration::from_millis(100);
    let gates = [Gate::new(), Gate::new()];
    let peer = Peer::start(sends_a_burst_and_closes(gates.clone()));
    let builder = builder(&peer).ping_interval(timeout).ping_timeout(timeout);
    works_off_slowly(builder, gates, timeout, |_| (), ByPeer);
}

#[test]
fn what_came_before_the_peers_close_is_delivered_though_close_timeout_has_passed() {
    let timeout = Duration::from_millis(100);
    let gates = [Gate::new(), Gate::new()];
    let peer = Peer::start(sends_a_burst_and_closes(gates.clone()));
    let builder = builder(&peer).close_timeout(timeout);
    works_off_slowly(builder, gates, timeout, |ws| ws.sender().close(), Us);
}

/// When the client is open, so that nothing comes together with the response.
fn sends_a_burst_and_closes(
    [open, there]: [Gate; 2],
) -> impl FnOnce(&crate::peer::Listener) + Send + 'static {
    move |listener| {
        let mut client = listener.open();
        open.wait();
        let burst = Frame::binary("x").encode().repeat(BURST);
        client.write([burst, Frame::close(1000, "").encode()].concat());
        there.open();
        client.skip_to_close();
    }
}

/// The program takes longer than the time-out, again and again while it works off one read.
fn works_off_slowly(
    builder: WebSocketBuilder,
    [open, there]: [Gate; 2],
    timeout: Duration,
    begin: impl FnOnce(&WebSocket) + Send + 'static,
    by: websocket_app::ClosedBy,
) {
    within("the client", move || {
        let mut ws = builder.connect().unwrap();
        open.open();
        there.wait();
        assert_eq!(ws.recv().unwrap(), Message::Binary(b"x"));
        begin(&ws);
        for i in 1..BURST {
            if i % 1000 == 0 {
                thread::sleep(timeout);
            }
            assert_eq!(ws.recv().unwrap(), Message::Binary(b"x"), "message {i}");
        }
        let Err(Error::Closed(close)) = ws.recv() else { panic!("it is closed") };
        assert_eq!(ending(&close), clean(by, 1000, ""));
    });
}

/// More than the kernel's buffers hold.
const LARGE: usize = 16 << 20;

#[test]
fn a_send_waits_for_its_own_message_and_not_for_what_comes_behind_it() {
    let behind = Gate::new();
    let may_read = behind.clone();
    let peer = Peer::start(move |listener| {
        // One that does not grow while it is read.
        let mut client = listener.open_with_small_buffer();
        may_read.wait();
        client.expect(Frame::binary(vec![1; LARGE]));
        listener.wait_for_the_test();
    });
    let hour = Duration::from_secs(3600);
    let ws = builder(&peer).max_send_buffer(4 * LARGE).send_timeout(hour).connect().unwrap();
    let sender = ws.sender();
    let sending = Task::start("sending", move || sender.send(vec![1; LARGE]));
    wait_until("it waits for the socket", || ws.sender().buffered_amount() > 0);
    // Twice as much: its beginning takes what room the first one leaves.
    ws.sender().try_send(vec![2; 2 * LARGE]).unwrap();
    behind.open();
    assert_eq!(sending.join(), Ok(()));
    assert!(ws.sender().buffered_amount() > 0);
}

#[test]
fn a_dropped_client_loses_nothing_though_it_has_not_read_all() {
    let [open, unread, dropped] = [(); 3].map(|()| Gate::new());
    let [is_open, is_unread, is_dropped] = [&open, &unread, &dropped].map(Gate::clone);
    let peer = Peer::start(move |listener| {
        let mut client = listener.open_with_small_buffer();
        // Not together with the response.
        is_open.wait();
        client.send(Frame::text("nobody reads this"));
        unread.open();
        is_dropped.wait();
        (0..10).for_each(|i| client.expect(Frame::binary(vec![i; 10_000])));
        client.expect(Frame::close(1000, ""));
        client.expect_end();
    });
    let builder = builder(&peer).socket_options(SocketOptions::new().send_buffer_size(200_000));
    within("the client", move || {
        let ws = builder.connect().unwrap();
        open.open();
        is_unread.wait();
        // More than the peer's buffer holds, and what ours does.
        (0..10).for_each(|i| ws.send(vec![i; 10_000]).unwrap());
        drop(ws);
        dropped.open();
    });
}

#[test]
fn a_violation_is_an_error() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("fine"));
        client.send(Frame::text("not").rsv(1));
        assert_eq!(client.expect_close_code(), 1002);
    });
    with_client(&peer, |mut ws| {
        assert_eq!(ws.recv().unwrap(), Message::Text("fine"));
        assert!(matches!(ws.recv(), Err(Error::Protocol(_))));
    });
}

#[test]
fn a_dropped_client_hangs_up() {
    let peer = Peer::start(|listener| listener.open().stay_silent());
    with_client(&peer, drop);
}

#[test]
fn connect_says_why_it_cannot() {
    let nobody = RefusedPort::new();
    let url = nobody.url();
    let refused = within("connect", || WebSocket::connect(url)).err().map(Failure::from);
    assert_eq!(refused, Some(Failure::Network(Phase::Connect)));

    let timeout = Duration::from_secs(1);
    let peer = Peer::start(|listener| listener.accept().stay_silent());
    let builder = builder(&peer).connect_timeout(timeout);
    let silent = within("connect", || builder.connect()).err().map(Failure::from);
    assert_eq!(silent, Some(Failure::Timeout(Phase::Upgrade, timeout)));

    let bystander = Bystander::new();
    let url = format!("http://{}/", bystander.addr());
    let wrong = within("connect", || WebSocket::connect(url)).err().map(Failure::from);
    assert!(matches!(wrong, Some(Failure::Invalid(..))), "{wrong:?}");
    bystander.saw_nobody();
}

fn builder(peer: &Peer) -> WebSocketBuilder {
    WebSocket::builder(peer.url()).tls(peer.tls())
}

fn with_client(peer: &Peer, talk: impl FnOnce(WebSocket) + Send + 'static) {
    let builder = builder(peer);
    within("the client", move || talk(builder.connect().unwrap()));
}
