//! `Sender::reconnect()`: another connection at once while open or waiting, nothing in any other
//! state.

use std::io::Write;
use std::time::Duration;

use websocket_app::{
    ClosedBy, MessageKind, Phase, SendError, Sender, SocketOptions, State, WebSocketApp,
};

use super::{late, see_off, soon};
use crate::connection::Connection;
use crate::failure::{Failure, clean, lost, unanswered};
use crate::frame::Frame;
use crate::peer::{FullBacklog, Listener, Peer, RefusedPort};
use crate::recorder::Call;
use crate::running::{Running, run, run_with};
use crate::watchdog::{Gate, wait_until};

#[test]
fn while_open_the_peer_is_told_and_another_connection_made() {
    for policy in [None, Some(late())] {
        let peer = Peer::start(|listener| {
            let mut client = listener.open();
            client.expect_text("before");
            client.expect(Frame::close(1000, ""));
            client.expect_end();
            let mut client = listener.open();
            client.expect_text("after");
            client.answer_close();
        });
        let app = match policy {
            None => peer.app(),
            Some(policy) => peer.app().reconnect(policy),
        };
        let app = run(app);
        app.expect_open();
        app.sender.send("before").unwrap();
        app.sender.reconnect();
        is_made_anew(&app);
        app.sender.send("after").unwrap();
        end(app);
    }
}

/// At the same time the connection fails for a message of ours: both are heard of.
#[test]
fn what_fails_the_connection_at_the_same_time_is_told() {
    const PROBLEM: &str = "its writer was dropped before finish()";
    // Another thread may look between the two, and leave the connection first.
    let is_told = || {
        let peer = Peer::start(|listener| {
            let mut client = listener.open();
            client.send(Frame::text("now"));
            let code = client.expect_close_code();
            listener.open().answer_close();
            assert!([1000, 1011].contains(&code), "{code}");
        });
        let app = run_with(peer.app(), |ws, call| {
            if *call == Call::text("now") {
                let mut writer = ws.message_writer(MessageKind::Text)?;
                writer.write_all(b"begun")?;
                ws.reconnect();
                drop(writer);
            }
            Ok(())
        });
        app.expect_open();
        app.expect_text("now");
        let mut call = app.next();
        let told = matches!(call, Call::Error(_));
        if told {
            assert_eq!(
                call,
                Call::Error(Failure::Send(SendError::Unfinished { problem: PROBLEM }))
            );
            call = app.next();
        }
        let Call::Close(close) = call else { panic!("{call:?} instead of on_close") };
        assert_eq!((close.by, close.reconnect_in), (ClosedBy::Us, Some(Duration::ZERO)));
        app.expect_reconnect();
        end(app);
        told
    };
    assert!((0..20).any(|_| is_told()));
}

/// A callback is busy, so that not all that has come is read.
#[test]
fn what_was_sent_before_arrives_though_not_all_was_read() {
    let [busy, waits, unread, asked] = [(); 4].map(|()| Gate::new());
    let [is_busy, is_unread, is_asked, may_end] = [&busy, &unread, &asked, &asked].map(Gate::clone);
    let its_waits = waits.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open_with_small_buffer();
        client.send(Frame::text("work"));
        is_busy.wait();
        client.send(Frame::text("waits"));
        its_waits.wait();
        client.send(Frame::text("unread"));
        unread.open();
        is_asked.wait();
        (0..10).for_each(|i| client.expect(Frame::binary(vec![i; 10_000])));
        client.expect(Frame::close(1000, ""));
        client.expect_end();
        listener.open().answer_close();
    });
    let options = SocketOptions::new().send_buffer_size(200_000);
    let app = peer.app().max_receive_buffer(1).socket_options(options);
    let app = run_with(app, move |_, call| {
        if *call == Call::text("work") {
            busy.open();
            may_end.wait();
        }
        Ok(())
    });
    app.expect_open();
    app.expect_text("work");
    // Behind it nothing is read.
    wait_until("the next message waits", || app.sender.stats().messages_received == 2);
    waits.open();
    is_unread.wait();
    // More than the peer's buffer holds, and what ours does.
    (0..10).for_each(|i| app.sender.send(vec![i; 10_000]).unwrap());
    wait_until("all is written", || app.sender.buffered_amount() == 0);
    app.sender.reconnect();
    wait_until("the connection is left", || app.sender.state() == State::Connecting);
    asked.open();
    app.expect_text("waits");
    is_made_anew(&app);
    end(app);
}

#[cfg(feature = "__tls")]
#[test]
fn over_tls_too() {
    crate::tls::on_each(|backend| {
        let peer = Peer::start_tls(backend, |listener| {
            listener.open().expect(Frame::close(1000, ""));
            listener.open().answer_close();
        });
        let app = run(peer.app());
        app.expect_open();
        app.sender.reconnect();
        is_made_anew(&app);
        end(app);
    });
}

#[test]
fn while_waiting_it_ends_the_wait_and_counts_from_the_beginning() {
    let peer = Peer::start(|listener| {
        drop(listener.open());
        drop(listener.open());
        listener.open().answer_close();
    });
    let app = run(peer.app().reconnect(late().max_attempts(2)));
    app.expect_open();
    for _ in 0..2 {
        app.expect_failure(Failure::Network(Phase::Open));
        let (_, attempt) = app.expect_close_for_now(lost());
        assert_eq!(attempt, 2, "of two: the count began again");
        assert_eq!(app.sender.state(), State::Waiting);
        app.sender.reconnect();
        app.expect_reconnect();
    }
    end(app);
}

#[test]
fn while_waiting_after_a_failed_attempt() {
    let nobody = RefusedPort::new();
    let peer = Peer::start(|listener| listener.open().answer_close());
    let (refused, open) = (nobody.url(), peer.url());
    let mut attempts = 0;
    let app = run(WebSocketApp::new(peer.url()).reconnect(late()).url_with(move |_| {
        attempts += 1;
        if attempts == 1 { refused.clone() } else { open.clone() }
    }));
    app.failed_attempt(1);
    app.sender.reconnect();
    app.expect_open();
    end(app);
}

#[test]
fn while_connecting_it_does_nothing() {
    let [asked, answer] = [Gate::new(), Gate::new()];
    let (ask, answered) = (asked.clone(), answer.clone());
    let peer = Peer::start(move |listener| {
        let mut client = listener.accept();
        client.read_request();
        ask.open();
        answered.wait();
        let acceptance = client.acceptance("");
        client.write(acceptance);
        client.answer_close();
        listener.saw_nobody_else();
    });
    let app = run(peer.app().reconnect(soon()));
    asked.wait();
    app.sender.reconnect();
    answer.open();
    app.expect_open();
    end(app);
}

#[test]
fn before_running_and_after_it_and_after_close_it_does_nothing() {
    let peer = Peer::start(|listener| {
        listener.open().answer_close();
        listener.saw_nobody_else();
    });
    let app = peer.app().reconnect(soon());
    let sender = app.sender();
    sender.reconnect();
    assert_eq!(sender.state(), State::Idle);
    let app = run(app);
    app.expect_open();
    app.sender.close();
    app.sender.reconnect();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
    sender.reconnect();
    assert_eq!(sender.state(), State::Closed);
}

#[test]
fn twice_in_a_row_is_once() {
    let peer = Peer::start(|listener| {
        listener.open().expect(Frame::close(1000, ""));
        listener.open().answer_close();
        listener.saw_nobody_else();
    });
    let app = run_with(peer.app(), |ws, call| {
        if *call == Call::Open {
            ws.reconnect();
            ws.reconnect();
        }
        Ok(())
    });
    app.expect_open();
    is_made_anew(&app);
    end(app);
}

#[test]
fn in_any_callback_of_an_open_connection() {
    let talk = |client: &mut Connection| {
        let frames = [Frame::text("text"), Frame::ping("ping"), Frame::pong("pong")];
        // The client may have gone already.
        let _gone = client.try_write(frames.iter().flat_map(Frame::encode).collect::<Vec<_>>());
    };
    for asking in
        [Call::Open, Call::text("text"), Call::Ping("ping".into()), Call::Pong("pong".into())]
    {
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            talk(&mut client);
            see_off(client);
            listener.open().answer_close();
        });
        let wanted = asking.clone();
        let app = run_with(peer.app(), move |ws, call| {
            (*call == wanted).then(|| ws.reconnect());
            Ok(())
        });
        // What had come in by then may still be delivered.
        let mut calls = std::iter::from_fn(|| Some(app.next()));
        assert!(calls.by_ref().any(|call| call == asking));
        let close =
            calls.find_map(|call| if let Call::Close(close) = call { Some(close) } else { None });
        assert_eq!(close.unwrap().reconnect_in, Some(Duration::ZERO));
        app.expect_reconnect();
        end(app);
    }
}

#[test]
fn in_on_close_and_on_error_while_waiting() {
    for in_close in [true, false] {
        let peer = Peer::start(|listener| {
            drop(listener.open());
            listener.open().answer_close();
        });
        let app = run_with(peer.app().reconnect(late()), move |ws: &Sender, call: &Call| {
            match call {
                Call::Close(_) if in_close => ws.reconnect(),
                Call::Error(_) if !in_close => ws.reconnect(),
                _ => {}
            }
            Ok(())
        });
        app.expect_open();
        app.expect_failure(Failure::Network(Phase::Open));
        assert_eq!(app.expect_close_for_now(lost()).1, 2);
        app.expect_reconnect();
        end(app);
    }
}

#[test]
fn while_the_peer_is_closing_it_does_nothing() {
    let asked = Gate::new();
    let ended = asked.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.open();
        client.send(Frame::close(1001, "going"));
        assert_eq!(client.expect_close_code(), 1001);
        // The client waits for the end of the stream.
        ended.wait();
        drop(client);
        listener.saw_nobody_else();
    });
    let app = run(peer.app());
    app.expect_open();
    wait_until("the peer closes", || app.sender.state() == State::Closing);
    app.sender.reconnect();
    asked.open();
    app.expect_close(clean(ClosedBy::Peer, 1001, "going"));
    app.end_in_order();
}

#[test]
fn when_the_next_connection_fails_without_a_policy_the_run_ends() {
    let nobody = RefusedPort::new();
    let peer = Peer::start(|listener| see_off(listener.open()));
    let (open, refused) = (peer.url(), nobody.url());
    let mut attempts = 0;
    let app = run(WebSocketApp::new(peer.url()).url_with(move |_| {
        attempts += 1;
        if attempts == 1 { open.clone() } else { refused.clone() }
    }));
    app.expect_open();
    app.sender.reconnect();
    assert_eq!(app.close().reconnect_in, Some(Duration::ZERO));
    app.expect_failure(Failure::Network(Phase::Connect));
    app.expect_close(lost());
    app.end_given_up();
}

#[test]
fn close_ends_the_connecting_that_was_asked_for() {
    let silent = FullBacklog::new();
    let peer = Peer::start(|listener: &Listener| see_off(listener.open()));
    let (open, nowhere) = (peer.url(), silent.url());
    let mut attempts = 0;
    let app = run(WebSocketApp::new(peer.url()).connect_timeout(super::LONG).url_with(move |_| {
        attempts += 1;
        if attempts == 1 { open.clone() } else { nowhere.clone() }
    }));
    app.expect_open();
    app.sender.reconnect();
    assert_eq!(app.close().reconnect_in, Some(Duration::ZERO));
    wait_until("it connects", || app.sender.state() == State::Connecting);
    app.sender.close();
    app.expect_close(unanswered());
    app.end_in_order();
}

fn is_made_anew(app: &Running) {
    let close = app.close();
    assert_eq!(
        (close.by, close.code, close.clean),
        (ClosedBy::Us, 1006, false),
        "the answer is not waited for"
    );
    assert_eq!((close.reconnect_in, close.attempt), (Some(Duration::ZERO), 1));
    app.expect_reconnect();
}

/// Closes the run's connection, which the peer answers.
fn end(app: Running) {
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}
