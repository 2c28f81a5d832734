//! What `flush` waits for.

use super::*;

/// All of the chunk was written. Returns whether there is another.
fn goes_on(guard: &mut Lock<'_>, chunk: &mut Chunk) -> bool {
    let (written, mut tail) = (chunk.left().len(), Tail::NONE);
    guard.writer.as_mut().unwrap().advance(chunk, &mut tail, Ok(written), &mut 0).is_none()
}

fn are_flushed<const N: usize>(guard: &Lock<'_>, targets: [&FlushTarget; N]) -> [bool; N] {
    targets.map(|target| matches!(guard.flushed(target), Flushed::Yes))
}

/// It stood between messages that were dropped.
#[test]
fn flush_waits_for_a_ping_behind_what_was_dropped() {
    let connection = Connection::new(usize::MAX);
    let mut guard = connection.shared.lock();
    queue(&mut guard, Head::BINARY, 10);
    let (_wire, mut chunk) = guard.writer.as_mut().unwrap().begin().unwrap();
    let before = queue(&mut guard, Head::BINARY, 1000);
    let ping = queue(&mut guard, Head::PING, 1);
    let behind = queue(&mut guard, Head::BINARY, 1000);
    assert_eq!(guard.writer.as_mut().unwrap().drop_oldest(2000), 2);
    let last = queue(&mut guard, Head::BINARY, 20);
    let targets = [&before, &ping, &behind, &last];
    assert!(goes_on(&mut guard, &mut chunk));
    assert_eq!(are_flushed(&guard, targets), [false; 4]);
    // The ping is the first of the piece that is next, and the last message is in it too.
    assert!(!goes_on(&mut guard, &mut chunk));
    assert_eq!(are_flushed(&guard, targets), [true; 4]);
}

#[test]
fn flush_does_not_wait_for_the_message_behind_what_was_dropped() {
    let connection = Connection::new(usize::MAX);
    let mut guard = connection.shared.lock();
    queue(&mut guard, Head::BINARY, 10);
    let (_wire, mut chunk) = guard.writer.as_mut().unwrap().begin().unwrap();
    let dropped = queue(&mut guard, Head::BINARY, 1000);
    assert_eq!(guard.writer.as_mut().unwrap().drop_oldest(1000), 1);
    let last = queue(&mut guard, Head::BINARY, 20);
    assert_eq!(are_flushed(&guard, [&dropped, &last]), [false; 2]);
    assert!(goes_on(&mut guard, &mut chunk));
    assert_eq!(are_flushed(&guard, [&dropped, &last]), [true, false]);
}

#[test]
fn flush_waits_for_what_has_begun_and_not_for_what_is_dropped() {
    const LARGE: usize = 16 << 20;
    let mut connection = Connection::new(usize::MAX);
    let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
    shared.send(Outgoing::from(vec![7; LARGE]), Wait::Never).unwrap();
    while !matches!(shared.lock().writer.as_ref().unwrap().writing, Writing::Full) {
        std::thread::yield_now();
    }
    shared.limit(shared.buffered() + 100_000, Duration::from_secs(20));
    shared.set_policy(SendPolicy::DropOldest);
    shared.send(Outgoing::from(vec![1; 60_000]), Wait::Never).unwrap();
    let target = shared.lock().flush_target();
    // Much more than what has begun.
    (0..400).for_each(|_| shared.send(Outgoing::from(vec![2; 60_000]), Wait::Never).unwrap());
    assert_eq!(shared.stats().messages_dropped, 400);
    assert!(matches!(shared.lock().flushed(&target), Flushed::NotYet));
    let reading = std::thread::spawn(move || {
        connection.is_read(LARGE + 14 + 60_000 + 8);
        connection
    });
    while !reading.is_finished() {
        shared.on_writable(&wire);
        std::thread::yield_now();
    }
    assert!(matches!(shared.lock().flushed(&target), Flushed::Yes));
    let _connection = reading.join().unwrap();
}

#[test]
fn flush_does_not_wait_for_what_is_sent_after_it() {
    const LARGE: usize = 8 << 20;
    for driven in [false, true] {
        let mut connection = Connection::with(usize::MAX, None, driven);
        let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
        shared.send(Outgoing::from(vec![7; LARGE]), Wait::Never).unwrap();
        let flushing = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.flush(Duration::from_secs(20)))
        };
        let waits = |inner: &Inner| {
            let for_room = inner.writer.as_ref().is_some_and(Writer::is_room_awaited);
            inner.waiting_threads > 0 || for_room
        };
        while !waits(&shared.lock()) {
            assert!(!flushing.is_finished(), "the socket has taken {LARGE} bytes that nobody read");
            std::thread::yield_now();
        }
        // More than the sockets of both ends hold.
        shared.send(Outgoing::from(vec![8; 8 * LARGE]), Wait::Never).unwrap();
        connection.peer.set_nonblocking(true).unwrap();
        let (mut left, mut buffer) = (LARGE + 14, vec![0; 64 << 10]);
        while left > 0 {
            shared.on_writable(&wire);
            let most = left.min(buffer.len());
            left -= connection.peer.read(&mut buffer[..most]).unwrap_or(0);
        }
        while !flushing.is_finished() {
            shared.on_writable(&wire);
            std::thread::yield_now();
        }
        flushing.join().unwrap().unwrap();
        assert!(shared.buffered() > 0);
    }
}

#[test]
fn flush_in_a_callback_lets_the_thread_that_writes_get_on_with_it() {
    let mut connection = Connection::new(1 << 20);
    let _in_callback = CallbackScope::enter();
    let mut flushed = 0;
    for _ in 0..200 {
        (0..60).for_each(|_| connection.send_in_a_stream().unwrap());
        let begun = Instant::now();
        match connection.shared.flush(Duration::ZERO) {
            Ok(()) => flushed += 1,
            // That thread may have had no processor.
            Err(late) => assert!(begun.elapsed() >= Duration::from_millis(10), "{late:?}"),
        }
        connection.is_read(60 * 106);
    }
    assert!(flushed > 0);
}
