//! What a server's clients are sent: broadcasts, and the answers of their own callbacks.

use super::*;

/// It may be the thread that writes that is slow, and not the peer.
#[cfg(feature = "server")]
#[test]
fn a_broadcast_lets_the_thread_that_writes_get_on_with_it() {
    use crate::link::writer::WriteEnd;

    let message = || Broadcast::new(Outgoing::from(&[7; 600][..]), false);
    let gets_in = || {
        let Connection { shared, peer: _peer, _poll, .. } = Connection::new(1_000);
        let (_, mut chunk) = shared.lock().writer.as_mut().unwrap().begin().unwrap();
        assert_eq!(shared.queue_broadcast(&message(), None), Queueing::Queued);
        let sending = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.queue_broadcast_late(&message(), None))
        };
        while shared.lock().waiting_threads == 0 && !sending.is_finished() {
            std::thread::yield_now();
        }
        let mut guard = shared.lock();
        guard.writer.as_mut().unwrap().end(&mut chunk, WriteEnd::Turn);
        shared.notify(&guard);
        drop(guard);
        sending.join().unwrap() == Queueing::Queued
    };
    // It waits for 10 ms, and this thread may take longer.
    assert!((0..100).any(|_| gets_in()));
}

#[test]
fn answers_that_wait_are_seen_to_whoever_is_to_write_them() {
    let active = Writing::Active { again: false, was_full: false };
    for writing in [active, Writing::Full] {
        let connection = Connection::serving(1 << 20, writing);
        connection.answer(64 << 10).unwrap();
        assert!(connection.shared.has_unread());
        assert!(connection.shared.await_reading());
        // Once it closes they may never be read.
        connection.shared.close(1000, "").unwrap();
        assert!(!connection.shared.await_reading());
    }
    // Nobody will read these.
    for writing in [Writing::Failed(None), Writing::WaitsForPeer] {
        let connection = Connection::serving(1 << 20, writing);
        connection.answer(64 << 10).unwrap();
        assert!(!connection.shared.has_unread());
    }
}

#[test]
fn answers_have_room_of_their_own_and_no_more() {
    const ROOM: usize = 100 << 10;
    for writing in [|| Writing::Full, || Writing::Failed(None), || Writing::WaitsForPeer] {
        let connection = Connection::serving(ROOM, writing());
        let send = || connection.shared.send(Outgoing::from(&[7; 10 << 10][..]), Wait::Never);
        let sent = |send: &dyn Fn() -> Result<(), SendError>| {
            (0..1_000).take_while(|_| send().is_ok()).count()
        };
        // Others have theirs.
        assert_eq!(sent(&send), 9);
        // With one message more than fits.
        assert_eq!(sent(&|| connection.answer(10 << 10)), 10);
        assert_eq!(sent(&send), 0);
        assert!(connection.shared.buffered() < 2 * ROOM);
        // Which may be as long as it likes.
        let connection = Connection::serving(ROOM, writing());
        connection.answer(ROOM).unwrap();
        assert_eq!(connection.answer(1), Err(full(ROOM)));
        let other = Outgoing::from(&[7; 10 << 10][..]);
        connection.shared.send(other, Wait::Never).expect("they take none of it");
    }
}

/// Behind a message in fragments as elsewhere.
#[cfg(feature = "server")]
#[test]
fn answers_take_no_room_of_what_is_for_many() {
    const ROOM: usize = 100 << 10;
    let connection = Connection::serving(ROOM, Writing::Full);
    connection.answer(ROOM).unwrap();
    connection.shared.lock().writer.as_mut().unwrap().fragmented = Fragmented::Begun;
    let message = Broadcast::new(Outgoing::from("for all"), false);
    for _ in 0..3 {
        assert_eq!(connection.shared.queue_broadcast(&message, None), Queueing::Queued);
    }
}
