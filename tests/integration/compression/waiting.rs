//! What waits: for room, behind a busy callback, for another connection. Compression changes
//! nothing of what is promised.

use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use websocket_app::{Deflate, Reconnect, SendError, Sender};

use super::{PLAIN, Zlib, compressing, open};
use crate::failure::lost;
use crate::faults::census;
use crate::frame::Frame;
use crate::peer::Peer;
use crate::recorder::Call;
use crate::running::{Running, run, run_with};
use crate::watchdog::{Gate, PATIENCE, Task, wait_until, within};

/// Longer than a test may take.
const FOR_EVER: Duration = Duration::from_secs(600);

#[test]
fn try_send_does_not_wait_behind_a_send_that_waits_for_room() {
    let peer = stuck(None);
    let app = run(compressing(&peer).max_send_buffer(1 << 17));
    app.expect_open();
    let waits = fill(&app.sender);
    refused_again_and_again(|| app.sender.try_send(incompressible()));
    end(app, waits);
}

#[test]
fn a_callback_does_not_wait_behind_a_send_that_waits_for_room() {
    let full = Gate::new();
    let peer = stuck(Some(full.clone()));
    let (refusals, refused) = crossbeam_channel::unbounded();
    let app = run_with(compressing(&peer).max_send_buffer(1 << 17), move |ws, call| {
        if *call == Call::text("go") {
            refused_again_and_again(|| ws.send(incompressible()));
            refusals.send(())?;
        }
        Ok(())
    });
    app.expect_open();
    let waits = fill(&app.sender);
    full.open();
    app.expect_text("go");
    refused.recv_timeout(PATIENCE).expect("the callback came back");
    end(app, waits);
}

/// A peer that does not read. It says "go" when told to.
fn stuck(go: Option<Gate>) -> Peer {
    Peer::start(move |listener| {
        let mut client = listener.accept();
        client.shrink_buffer();
        client.upgrade_with_extensions(PLAIN);
        if let Some(go) = go {
            go.wait();
            client.send(Frame::text("go"));
        }
        listener.wait_for_the_test();
    })
}

/// Sends until nothing more is taken, and leaves a thread behind that waits for room.
fn fill(sender: &Sender) -> Task<()> {
    while sender.try_send(incompressible()).is_ok() {}
    let (sender, (begins, begun)) = (sender.clone(), crossbeam_channel::bounded(1));
    let waits = Task::start("a send that waits", move || {
        let _first = begins.try_send(());
        while sender.send_timeout(incompressible(), FOR_EVER).is_ok() {}
    });
    begun.recv_timeout(PATIENCE).unwrap();
    waits
}

/// For so long that the thread that waits is at it, whatever the scheduler does. A kernel that was
/// full may take a little more at first.
fn refused_again_and_again(send: impl Fn() -> Result<(), SendError>) {
    let mut last = Ok(());
    for _ in 0..30 {
        last = send();
        thread::sleep(Duration::from_millis(10));
    }
    assert!(matches!(last, Err(SendError::QueueFull { .. })), "{last:?}");
}

fn incompressible() -> Vec<u8> {
    let mut data = vec![0; 48 << 10];
    StdRng::seed_from_u64(7).fill_bytes(&mut data);
    data
}

fn end(app: Running, waits: Task<()>) {
    app.sender.abort();
    waits.join();
    while !matches!(app.next(), Call::Close(_)) {}
    let _aborted = app.end();
}

#[test]
fn a_message_whose_connection_goes_while_it_is_compressed_is_kept() {
    // What takes a while, and more than the kernel takes for a peer that does not read: so whatever
    // comes first, it was not written to the lost connection.
    let mut message = vec![0; 8 << 20];
    StdRng::seed_from_u64(7).fill_bytes(&mut message);
    let (expected, begun) = (message.clone(), Gate::new());
    let compressing = begun.clone();
    let peer = Peer::start(move |listener| {
        let mut client = listener.accept();
        client.shrink_buffer();
        client.upgrade_with_extensions(PLAIN);
        compressing.wait();
        client.reset();
        // That thread is still at it: the loop does not wait for it.
        let (mut client, mut zlib) = open(listener, PLAIN);
        client.send(Frame::ping("are you there"));
        let mut frames = [client.read_frame(), client.read_frame()];
        // Whichever is first.
        frames.sort_by_key(|frame| frame.payload.len());
        let [pong, message] = frames;
        assert_eq!(pong, Frame::pong("are you there"));
        let message = if message.rsv == 0 { message.payload } else { zlib.inflate(&message) };
        assert!(message == expected, "another message");
        client.answer_close();
    });
    let app = peer
        .app()
        .compression(Deflate::default().level(9))
        .reconnect(Reconnect::fixed(Duration::from_millis(1)));
    let app = run(app.queue_while_disconnected(64 << 20, FOR_EVER));
    app.expect_open();
    let sender = app.sender.clone();
    let sends = Task::start("a send that compresses", move || {
        begun.open();
        sender.send(message)
    });
    app.failure();
    app.expect_close_for_now(lost());
    app.expect_reconnect();
    app.expect(Call::Ping(b"are you there".to_vec()));
    assert_eq!(sends.join(), Ok(()));
    app.sender.close();
    while !matches!(app.next(), Call::Close(_)) {}
    app.end_in_order();
}

#[test]
fn small_messages_that_wait_for_a_busy_callback_cost_what_is_counted() {
    const MESSAGES: usize = 3_000;
    let this =
        "compression::waiting::small_messages_that_wait_for_a_busy_callback_cost_what_is_counted";
    census::alone(this, |census| {
        let peer = Peer::start(|listener| {
            let (mut client, mut zlib) = open(listener, PLAIN);
            client.send(Frame::text("go"));
            for _ in 0..MESSAGES {
                client.send(zlib.frame(Frame::text("hello")));
                // Each is read by itself.
                client.send(Frame::ping(""));
                client.expect(Frame::pong(""));
            }
            client.close(1000, "");
        });
        let (go_on, before) = (Gate::new(), resident());
        let may_go_on = go_on.clone();
        let app = compressing(&peer).on_message(move |_, message| {
            if message.as_text() == Some("go") {
                may_go_on.wait();
            }
        });
        let app = app.spawn().unwrap();
        let sender = app.sender();
        wait_until("all have come", || sender.stats().messages_received as usize > MESSAGES);
        let cost = resident().saturating_sub(before);
        go_on.open();
        within("the run", || app.join()).unwrap();
        census.has_warmed_up();
        assert!(cost < 12 << 20, "{cost} bytes for {MESSAGES} messages of 5");
    });
}

#[test]
fn a_large_message_behind_a_small_one_is_held_once() {
    const LIMIT: usize = 32 << 20;
    census::alone(
        "compression::waiting::a_large_message_behind_a_small_one_is_held_once",
        |census| {
            // So that the large one does not refer to the small one.
            let answer = "permessage-deflate; server_no_context_takeover";
            let mut zlib = Zlib::new(answer);
            let small = zlib.frame(Frame::text("hello")).encode();
            let large = zlib.frame(Frame::binary(vec![0; LIMIT - (1 << 20)])).unfinished().encode();
            for behind in [false, true] {
                let wire = if behind { [&small[..], &large].concat() } else { large.clone() };
                let (came, may_end) = (Gate::new(), Gate::new());
                let (has_come, end) = (came.clone(), may_end.clone());
                let peer = Peer::start(move |listener| {
                    let (mut client, _) = open(listener, answer);
                    client.write(wire);
                    client.send(Frame::ping(""));
                    client.expect(Frame::pong(""));
                    has_come.open();
                    end.wait();
                });
                let before = resident();
                let app = compressing(&peer).max_message_size(LIMIT).spawn().unwrap();
                came.wait();
                let cost = resident().saturating_sub(before);
                app.sender().abort();
                may_end.open();
                let _aborted = within("the run", || app.join());
                census.has_warmed_up();
                assert!(cost > LIMIT / 2 && cost < LIMIT + (8 << 20), "{cost} bytes");
            }
        },
    );
}

/// What Linux says of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}
