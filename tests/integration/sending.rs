//! `Sender` with a full queue, with an empty one, and without a connection.

use std::time::Duration;

use websocket_app::{
    CallbackError, ClosedBy, OwnedMessage, SendError, Sender, State, WebSocketApp,
};

use crate::failure::clean;
use crate::frame::Frame;
use crate::peer::{Bystander, Listener, Peer};
use crate::recorder::Call;
use crate::running::{Running, run, run_with};
use crate::watchdog::{Gate, PATIENCE, Task};

const LIMIT: usize = 1 << 16;
const CHUNK: usize = 1 << 14;

#[test]
fn try_send_gives_queue_full_with_the_message() {
    let peer = Peer::start(never_reads);
    let app = run(small_queue(&peer));
    app.expect_open();
    let error = until_refused(|data| app.sender.try_send(data));
    let SendError::QueueFull { message: Some(OwnedMessage::Binary(data)), limit: LIMIT } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(data.len(), CHUNK);
    let borrowed = until_refused(|data| app.sender.try_send(&data));
    assert_eq!(borrowed, SendError::QueueFull { message: None, limit: LIMIT });
    gives_up_closing(app);
}

#[test]
fn send_in_a_callback_gives_queue_full_at_once() {
    let peer = Peer::start(never_reads);
    let (full, errors) = crossbeam_channel::unbounded();
    let app =
        run_with(small_queue(&peer).send_timeout(Duration::from_secs(3600)), move |ws, call| {
            if *call == Call::Open {
                for error in [
                    until_refused(|data| ws.send(data)),
                    until_refused(|data| ws.send_timeout(data, Duration::from_secs(3600))),
                    until_refused(|data| ws.send_binary(data)),
                    until_refused(|_| ws.ping([0; 125])),
                    until_refused(|data| {
                        ws.try_send(data).or_else(|_| ws.flush(Duration::from_secs(3600)))
                    }),
                ] {
                    full.send(error)?;
                }
            }
            Ok(())
        });
    app.expect_open();
    let error = || errors.recv_timeout(PATIENCE).expect("a callback never waits");
    for error in std::iter::repeat_with(error).take(4) {
        assert!(matches!(error, SendError::QueueFull { limit: LIMIT, .. }), "{error:?}");
    }
    assert_eq!(error(), SendError::Unwritten { after: Duration::ZERO });
    gives_up_closing(app);
}

#[test]
fn send_on_an_ordinary_thread_gives_up_after_its_timeout() {
    let peer = Peer::start(never_reads);
    let short = Duration::from_millis(50);
    let app = run(small_queue(&peer).send_timeout(short));
    app.expect_open();
    let error = until_refused(|data| app.sender.send(data));
    let SendError::Timeout { message: Some(OwnedMessage::Binary(data)), after } = error else {
        panic!("{error:?}")
    };
    assert_eq!((data.len(), after), (CHUNK, short));
    let shorter = Duration::from_millis(20);
    let error = until_refused(|data| app.sender.send_timeout(data, shorter));
    assert!(
        matches!(error, SendError::Timeout { message: Some(_), after } if after == shorter),
        "{error:?}"
    );
    let error =
        until_refused(|data| app.sender.try_send(data).or_else(|_| app.sender.flush(shorter)));
    assert_eq!(error, SendError::Unwritten { after: shorter });
    assert!(!error.to_string().contains("room"), "{error}");
    gives_up_closing(app);
}

#[test]
fn send_goes_on_when_there_is_room_again() {
    let read = Gate::new();
    let peer = Peer::start(reads_when_told(read.clone()));
    let app = run(small_queue(&peer).send_timeout(Duration::from_secs(3600)));
    app.expect_open();
    while app.sender.try_send([0; CHUNK]).is_ok() {}
    let ws = app.sender.clone();
    let waiting = Task::start("a send that waits", move || ws.send([1; CHUNK]));
    read.open();
    waiting.join().unwrap();
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn flush_waits_until_nothing_is_buffered() {
    let read = Gate::new();
    let peer = Peer::start(reads_when_told(read.clone()));
    let app = run(peer.app().max_send_buffer(32 << 20));
    app.expect_open();
    app.sender.flush(PATIENCE).unwrap();
    assert_eq!(app.sender.buffered_amount(), 0);
    (0..16).for_each(|_| app.sender.send(vec![7; 1 << 20]).unwrap());
    assert!(app.sender.buffered_amount() > 0, "the kernel does not take 16 MiB");
    read.open();
    app.sender.flush(PATIENCE).unwrap();
    assert_eq!(app.sender.buffered_amount(), 0);
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}

/// It does not take for written what was dropped: with the connection, lost for good or made anew,
/// and at the peer's Close.
#[cfg(target_os = "linux")]
#[test]
fn flush_tells_when_what_it_waits_for_is_dropped() {
    use websocket_app::{Phase, Reconnect};

    use crate::connection::Connection;
    use crate::failure::{Failure, lost};
    use crate::observed::Observed;

    type End = fn(Connection, &Listener);
    let reset: End = |client, _| client.reset();
    let close: End = |mut client, listener| {
        client.send(Frame::close(1001, "no time"));
        listener.wait_for_the_test();
    };
    for (end, reconnects) in [(reset, false), (reset, true), (close, false)] {
        let waits = Gate::new();
        let now = waits.clone();
        let peer = Peer::start(move |listener| {
            let client = listener.open_with_small_buffer();
            now.wait();
            end(client, listener);
            if reconnects {
                listener.open().answer_close();
            }
        });
        let mut app =
            peer.app().max_send_buffer(32 << 20).close_timeout(Duration::from_millis(100));
        if reconnects {
            app = app.reconnect(Reconnect::fixed(Duration::from_millis(1)));
        }
        let app = run(app);
        app.expect_open();
        (0..16).for_each(|_| app.sender.send(vec![0; 1 << 20]).unwrap());
        let (sender, (tell, told)) = (app.sender.clone(), crossbeam_channel::bounded(1));
        let flushing = Task::start("flush", move || {
            tell.send(Observed::current()).unwrap();
            sender.flush(PATIENCE)
        });
        told.recv_timeout(PATIENCE).unwrap().sleeps();
        waits.open();
        assert_eq!(
            flushing.join(),
            Err(SendError::NotConnected { message: None }),
            "it reconnects: {reconnects}"
        );
        if reconnects {
            app.expect_failure(Failure::Network(Phase::Open));
            app.expect_close_for_now(lost());
            app.expect_reconnect();
            app.sender.close();
        }
        // How else it ends is for others to say.
        while !matches!(app.next(), Call::Close(_)) {}
        let ended = app.end();
        assert!(!matches!(ended, Err(Failure::Panicked(_))), "{ended:?}");
    }
}

/// What is sent to a peer that does not read is counted to the byte, headers and masks included.
#[test]
fn buffered_amount_is_exact() {
    let peer = Peer::start(never_reads);
    let app = run(peer.app().max_send_buffer(32 << 20));
    app.expect_open();
    (0..16).for_each(|_| app.sender.send(vec![7; 1 << 20]).unwrap());
    for (payload, frame) in
        [(0, 6), (1, 7), (125, 131), (126, 134), (65_535, 65_543), (65_536, 65_550)]
    {
        // A kernel that is full may take more a little later, but not for ever.
        let added = || {
            let before = app.sender.buffered_amount();
            app.sender.try_send(vec![0; payload]).unwrap();
            app.sender.buffered_amount().checked_sub(before)
        };
        let is_exact = std::iter::repeat_with(added).take(100).any(|added| added == Some(frame));
        assert!(is_exact, "a payload of {payload} bytes is a frame of {frame}");
    }
    app.sender.ping([0; 10]).unwrap();
    let (limit, before) = (32 << 20, app.sender.buffered_amount());
    assert!(before > 1 << 20 && before < limit, "{before}");
    let error = until_refused(|data| app.sender.try_send(data));
    assert_eq!(error.into_message(), Some(OwnedMessage::Binary(vec![0; CHUNK])));
    // Refused is what would be too much, and no sooner; the kernel may have taken a little more.
    let full = app.sender.buffered_amount();
    assert!((limit - 4 * CHUNK..=limit).contains(&full), "{full} of {limit}");
    gives_up_closing(app);
}

/// Nor is one that was lent counted twice, of which the kernel has taken the beginning.
#[test]
fn buffered_amount_is_exact_for_the_rest_of_a_message() {
    const LENGTH: usize = 16 << 20;
    for lent in [true, false] {
        let peer = Peer::start(never_reads);
        let app = run(peer.app().max_send_buffer(32 << 20));
        app.expect_open();
        let message = vec![7; LENGTH];
        if lent { app.sender.send(&message) } else { app.sender.send(message) }.unwrap();
        let rest = app.sender.buffered_amount();
        assert!((1..=LENGTH + 14).contains(&rest), "{rest} of {LENGTH} bytes wait");
        gives_up_closing(app);
    }
}

#[test]
fn a_message_longer_than_the_queue_goes_when_nothing_else_waits() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::binary(vec![3; 1 << 20]));
        client.expect(Frame::binary(vec![4; 1 << 20]));
        client.close(1000, "");
    });
    let app = run(peer.app().max_send_buffer(10));
    app.expect_open();
    app.sender.send(vec![3; 1 << 20]).unwrap();
    app.sender.send(vec![4; 1 << 20]).unwrap();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

/// Whether a message was put together or handed out from where it was read.
#[test]
fn each_byte_that_comes_is_counted_once() {
    const LENGTH: usize = 300_000;
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::binary([7; LENGTH]).unfinished());
        client.send(Frame::continuation([8; LENGTH]));
        client.send(Frame::binary([9; LENGTH]));
        client.send(Frame::text("small"));
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    app.expect(Call::Message([[7; LENGTH], [8; LENGTH]].concat().into()));
    app.expect(Call::Message(vec![9; LENGTH].into()));
    app.expect_text("small");
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    let (stats, length) = (app.sender.stats(), 3 * LENGTH as u64 + 5);
    assert_eq!((stats.messages_received, stats.bytes_received), (3, length));
    assert_eq!(stats.wire_bytes_received, length);
    app.end_in_order();
}

#[test]
fn messages_are_counted() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("four");
        client.expect(Frame::binary([1; 10]));
        client.expect(Frame::ping("p"));
        client.send(Frame::pong("p"));
        client.send(Frame::text("in").unfinished());
        client.send(Frame::continuation("coming"));
        client.close(1000, "");
    });
    let app = run(peer.app());
    app.expect_open();
    app.sender.send("four").unwrap();
    app.sender.send([1; 10]).unwrap();
    app.sender.ping("p").unwrap();
    app.expect(Call::Pong(b"p".into()));
    app.expect_text("incoming");
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    let stats = app.sender.stats();
    assert_eq!((stats.messages_sent, stats.bytes_sent), (2, 14));
    assert_eq!((stats.messages_received, stats.bytes_received), (1, 8));
    // Nothing is compressed.
    assert_eq!((stats.wire_bytes_sent, stats.wire_bytes_received), (14, 8));
    assert_eq!((stats.pings_sent, stats.pongs_received, stats.reconnects), (1, 1, 0));
    app.end_in_order();
}

#[test]
fn without_a_connection_the_message_comes_back() {
    let nobody = Bystander::new();
    let app = WebSocketApp::new(format!("ws://{}/", nobody.addr()));
    is_not_connected(&app.sender(), State::Idle);
    drop(app);
    nobody.saw_nobody();

    let peer = Peer::start(|listener| listener.open().answer_close());
    let app = run_with(peer.app(), |ws, call| {
        if matches!(call, Call::Close(_)) {
            is_not_connected(ws, State::Closed);
        }
        Ok::<_, CallbackError>(())
    });
    app.expect_open();
    let sender = app.sender.clone();
    sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
    is_not_connected(&sender, State::Closed);
}

fn is_not_connected(ws: &Sender, state: State) {
    assert_eq!(ws.state(), state);
    assert_eq!(ws.send("borrowed"), Err(SendError::NotConnected { message: None }));
    for result in [
        ws.send("mine".to_owned()),
        ws.try_send("mine".to_owned()),
        ws.send_timeout("mine".to_owned(), Duration::from_secs(3600)),
        ws.send_text("mine".to_owned()),
    ] {
        assert_eq!(result.unwrap_err().into_message(), Some(OwnedMessage::Text("mine".into())));
    }
    for result in [ws.send_binary(vec![7; 3]), ws.send_binary("\u{7}\u{7}\u{7}".to_owned())] {
        assert_eq!(result.unwrap_err().into_message(), Some(OwnedMessage::Binary(vec![7; 3])));
    }
    assert!(matches!(ws.ping("p"), Err(SendError::NotConnected { .. })));
    assert_eq!(ws.buffered_amount(), 0);
}

/// The script: opens, reads nothing before the gate opens, then everything up to a Close.
fn reads_when_told(read: Gate) -> impl FnOnce(&Listener) + Send + 'static {
    move |listener| {
        let mut client = listener.open();
        read.wait();
        client.skip_to_close();
        client.send(Frame::close(1000, ""));
    }
}

/// The script: opens, and never reads.
fn never_reads(listener: &Listener) {
    let _client = listener.open();
    listener.wait_for_the_test();
}

fn small_queue(peer: &Peer) -> WebSocketApp {
    peer.app().max_send_buffer(LIMIT)
}

/// Sends until it is refused, and tells how. (A kernel that is full may take more a little later.)
fn until_refused(send: impl Fn(Vec<u8>) -> Result<(), SendError>) -> SendError {
    loop {
        if let Err(e) = send(vec![0; CHUNK]) {
            return e;
        }
    }
}

/// Ends a run whose peer does not read.
fn gives_up_closing(app: Running) {
    app.sender.abort();
    app.expect_close(crate::failure::unanswered());
    app.end_in_order();
}
