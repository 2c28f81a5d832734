//! Promise 1: callbacks of one app never run at the same time, and never under a lock. Any `Sender`
//! method may be called in any callback, without deadlock. (That they do not overlap is checked by
//! the recorder in every test.)

use std::time::Duration;

use websocket_app::{ClosedBy, Sender};

use crate::connection::Connection;
use crate::failure::{Ending, clean, ending, unanswered};
use crate::frame::Frame;
use crate::peer::{Listener, Peer};
use crate::recorder::Call;
use crate::running::{Running, run_in_fragments, run_with, run_with_timer};
use crate::watchdog::{Task, within};

#[test]
fn any_method_of_sender_works_in_any_callback() {
    let peer = Peer::start(sends_everything);
    let app = run_with(peer.app(), |ws, call| {
        use_every_method(ws);
        if *call == Call::text("a") { Err("so that on_error is called")? } else { Ok(()) }
    });
    app.expect_open();
    app.expect(Call::Ping(b"i".into()));
    app.expect(Call::Pong(b"o".into()));
    app.expect_text("a");
    app.failure();
    app.expect_close(clean(ClosedBy::Peer, 1000, ""));
    app.end_in_order();
}

#[test]
fn any_method_of_sender_works_in_on_fragment_and_in_a_timer() {
    let peer = Peer::start(sends_everything);
    let app = run_in_fragments(peer.app(), |ws, call| {
        if matches!(call, Call::Fragment { .. }) {
            use_every_method(ws);
        }
        Ok(())
    });
    while !matches!(app.next(), Call::Close(_)) {}
    app.end_in_order();

    let peer = Peer::start(answer_until_close);
    let app = run_with_timer(peer.app(), Duration::from_millis(1), |ws, call| {
        if *call == Call::Timer {
            use_every_method(ws);
            ws.close();
        }
        Ok(())
    });
    app.expect_open();
    while matches!(app.next(), Call::Timer) {}
    app.end_in_order();
}

/// `close()` is tried with promise 6, and `reconnect()` with the others about reconnecting.
#[test]
fn what_ends_the_connection_works_in_any_callback() {
    for kind in KINDS {
        let close = |ws: &Sender| ws.close_with(3000, "enough").unwrap();
        ends_in(
            kind,
            close,
            1,
            Some(Frame::close(3000, "enough")),
            clean(ClosedBy::Us, 3000, "enough"),
        );
        ends_in(kind, Sender::abort, 0, None, unanswered());
    }
}

#[test]
fn in_the_last_on_close_nothing_of_it_changes_anything() {
    let peer = Peer::start(|listener| {
        listener.open().close(1000, "over");
        listener.saw_nobody_else();
    });
    let app = run_with(peer.app(), |ws, call| {
        if matches!(call, Call::Close(_)) {
            ws.abort();
            ws.reconnect();
            ws.close();
            ws.close_with(3000, "late").unwrap();
            use_every_method(ws);
        }
        Ok(())
    });
    app.expect_open();
    app.expect_close(clean(ClosedBy::Peer, 1000, "over"));
    app.end_in_order();
}

/// A kind of callback that comes while a connection is open.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Open,
    Message,
    Fragment,
    Ping,
    Pong,
    Error,
    Timer,
}

const KINDS: [Kind; 7] =
    [Kind::Open, Kind::Message, Kind::Fragment, Kind::Ping, Kind::Pong, Kind::Error, Kind::Timer];

impl Kind {
    fn is(self, call: &Call) -> bool {
        let kind = match call {
            Call::Open => Kind::Open,
            Call::Message(_) => Kind::Message,
            Call::Fragment { .. } => Kind::Fragment,
            Call::Ping(_) => Kind::Ping,
            Call::Pong(_) => Kind::Pong,
            Call::Error(_) => Kind::Error,
            Call::Timer => Kind::Timer,
            Call::Reconnect | Call::Close(_) => return false,
        };
        self == kind
    }

    /// What the peer sends for it to be called, and for another to be called after it: both come
    /// with one read.
    fn trigger(self) -> Vec<u8> {
        let first = match self {
            Kind::Open | Kind::Timer => return Vec::new(),
            Kind::Message | Kind::Fragment | Kind::Error => Frame::text("first"),
            Kind::Ping => Frame::ping("first"),
            Kind::Pong => Frame::pong("first"),
        };
        [first.encode(), Frame::text("second").encode()].concat()
    }

    /// A ping may be answered, or its pong left out for the Close.
    fn skip_answer(self, client: &mut Connection) {
        if self == Kind::Ping {
            client.skip_pong("first");
        }
    }
}

/// Runs an app that does something in callbacks of this kind.
fn run_kind(peer: &Peer, kind: Kind, mut does: impl FnMut(&Sender) + Send + 'static) -> Running {
    let hook = move |ws: &Sender, call: &Call| {
        if kind.is(call) {
            does(ws);
        }
        if kind == Kind::Error && *call == Call::text("first") {
            Err("so that on_error is called")?
        } else {
            Ok(())
        }
    };
    match kind {
        Kind::Fragment => run_in_fragments(peer.app(), hook),
        Kind::Timer => run_with_timer(peer.app(), Duration::from_millis(1), hook),
        _ => run_with(peer.app(), hook),
    }
}

/// Ends the connection in a callback of this kind, after which so many messages that came with what
/// it is about are handed out. The peer sees this frame, or none.
fn ends_in(
    kind: Kind,
    end: fn(&Sender),
    messages_after: usize,
    frame: Option<Frame>,
    expected: Ending,
) {
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.write(kind.trigger());
        kind.skip_answer(&mut client);
        if let Some(frame) = frame {
            client.expect(frame.clone());
            client.send(frame);
            return;
        }
        client.expect_end();
    });
    let app = run_kind(&peer, kind, end);
    // Up to the one that ends it; a timer may come a second time before it is noticed.
    while !kind.is(&app.next()) {}
    let mut after = 0;
    let close = loop {
        match app.next() {
            Call::Message(_) | Call::Fragment { .. } => after += 1,
            Call::Timer if kind == Kind::Timer => {}
            Call::Close(close) => break close,
            call => panic!("{kind:?}: {call:?}"),
        }
    };
    assert_eq!(ending(&close), expected, "{kind:?}");
    let second = usize::from(!matches!(kind, Kind::Open | Kind::Timer));
    assert_eq!(after, second * messages_after, "{kind:?}");
    app.end_in_order();
}

/// If callbacks ran under a lock that `Sender` needs, this would never end.
#[test]
fn another_thread_uses_the_sender_while_a_callback_waits_for_it() {
    let peer = Peer::start(sends_everything);
    let app = run_with(peer.app(), |ws, _| {
        let ws = ws.clone();
        within("a thread that a callback waits for", move || use_every_method(&ws));
        Ok(())
    });
    while !matches!(app.next(), Call::Close(_)) {}
    app.end_in_order();
}

#[test]
fn callbacks_take_turns_while_threads_timers_and_the_peer_are_busy() {
    const EACH: usize = 300;
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        for i in 0..EACH {
            client.send(Frame::text(i.to_string()));
            client.send(Frame::ping(i.to_string()));
            client.send(Frame::pong(i.to_string()));
        }
        let mut texts = 0;
        while texts < 2 * EACH {
            texts += usize::from(!client.read_frame().is_control());
        }
        client.send(Frame::close(1000, ""));
        client.skip_to_close();
    });
    let app = run_with_timer(peer.app(), Duration::from_millis(1), |ws, call| {
        // What is being sent by other threads meanwhile may leave no room; here it does not.
        if matches!(call, Call::Message(_)) { Ok(ws.send("from a callback")?) } else { Ok(()) }
    });
    app.expect_open();
    let ws = app.sender.clone();
    let sending =
        Task::start("sending", move || (0..EACH).try_for_each(|_| ws.send("from a thread")));
    let (mut messages, mut pings, mut pongs) = (0, 0, 0);
    loop {
        match app.next() {
            Call::Message(message) => {
                assert_eq!(message.to_string(), messages.to_string());
                messages += 1;
            }
            Call::Ping(_) => pings += 1,
            Call::Pong(_) => pongs += 1,
            Call::Timer => {}
            Call::Close(_) => break,
            call => panic!("{call:?}"),
        }
    }
    assert_eq!((messages, pings, pongs), (EACH, EACH, EACH));
    sending.join().unwrap();
    app.end_in_order();
}

fn sends_everything(listener: &Listener) {
    let mut client = listener.open();
    for frame in [Frame::ping("i"), Frame::pong("o"), Frame::text("a"), Frame::close(1000, "")] {
        client.send(frame);
    }
    client.skip_to_close();
}

fn answer_until_close(listener: &Listener) {
    let mut client = listener.open();
    client.skip_to_close();
    client.send(Frame::close(1000, ""));
}

/// Every method but those that end the connection. Whether each succeeds depends on when it is
/// called; that each returns is what counts.
fn use_every_method(ws: &Sender) {
    let results = [
        ws.send("sent"),
        ws.send_text("sent"),
        ws.send_binary("sent"),
        ws.try_send("sent"),
        ws.send_timeout("sent", Duration::from_secs(60)),
        ws.ping("sent"),
        ws.pong("sent"),
        ws.flush(Duration::from_millis(1)),
        ws.close_with(999, "refused"),
    ];
    assert!(results.last().is_some_and(Result::is_err), "999 is no code to send");
    let _any = (ws.buffered_amount(), ws.state(), ws.handshake(), ws.stats());
}
