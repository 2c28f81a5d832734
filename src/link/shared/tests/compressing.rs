//! One thread at a time compresses; the others wait for it.

use super::*;

#[test]
fn who_may_not_wait_does_not_wait_for_a_thread_that_compresses() {
    let mut connection = Connection::compressing();
    let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
    let message = || Outgoing::from(&[7; 100][..]);
    let lent = shared.lock().writer.as_mut().unwrap().lend_deflater().unwrap();
    shared.send(message(), Wait::Never).unwrap();
    shared.send(message(), Wait::UpTo(Duration::from_millis(1))).unwrap();
    {
        let _in_callback = CallbackScope::enter();
        shared.send(message(), Wait::Default).unwrap();
    }
    // Uncompressed.
    connection.is_read(3 * 106);
    let waiting = {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || shared.send(Outgoing::from(&[7; 100][..]), Wait::Default))
    };
    while shared.lock().waiting_threads == 0 {
        assert!(!waiting.is_finished(), "it may wait");
        std::thread::yield_now();
    }
    let mut guard = shared.lock();
    assert!(guard.compressed(lent, &wire));
    shared.notify(&guard);
    drop(guard);
    waiting.join().unwrap().unwrap();
    let mut header = [0; 2];
    connection.peer.read_exact(&mut header).unwrap();
    assert!(header[0] & 0x40 != 0 && header[1] & 0x7f < 100, "it is compressed: {header:?}");
}

/// What compresses may have come back just before, when it was not the next one's turn yet.
#[test]
fn who_waits_to_compress_no_longer_lets_the_next_one_go() {
    let connection = Connection::compressing();
    let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
    shared.limit(usize::MAX, Duration::from_secs(3600));
    let mut guard = shared.lock();
    let lent = guard.writer.as_mut().unwrap().lend_deflater().unwrap();
    let mut turn = Some(guard.to_compress.join());
    drop(guard);
    let next = wait_for_room(&shared, vec![7; 100]);
    let mut guard = shared.lock();
    assert!(guard.compressed(lent, &wire));
    shared.leave_compressing(&mut guard, &mut turn);
    drop(guard);
    let sent = next.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
    assert_eq!(sent, Ok(()));
}

/// Also before those who come when what compresses is back, and nobody has heard of that yet.
#[test]
fn who_waits_to_compress_goes_before_who_comes_later() {
    at_last(|_| {
        let mut connection = Connection::compressing();
        let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
        shared.limit(usize::MAX, Duration::from_secs(3600));
        let lent = shared.lock().writer.as_mut().unwrap().lend_deflater().unwrap();
        let waiting = wait_for_room(&shared, vec![7; 100]);
        assert!(shared.lock().compressed(lent, &wire));
        let message = Outgoing::from(&[7; 100][..]);
        shared.send(message, Wait::UpTo(Duration::from_millis(1))).unwrap();
        let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
        assert_eq!(sent, Ok(()));
        let mut header = [0; 2];
        connection.peer.read_exact(&mut header).unwrap();
        header[0] & 0x40 == 0
    });
}

/// Whatever comes of what it sends.
#[test]
fn who_has_waited_to_compress_leaves_its_turn_to_the_next_one() {
    let connection = Connection::compressing();
    let shared = &connection.shared;
    shared.set_policy(SendPolicy::Fail);
    let lent = shared.lock().writer.as_mut().unwrap().lend_deflater().unwrap();
    let waiting = wait_for_room(shared, vec![7; 100]);
    let mut guard = shared.lock();
    guard.writer.as_mut().unwrap().writing = Writing::Full;
    queue(&mut guard, Head::BINARY, 1000);
    guard.max_buffer = guard.buffered();
    let limit = guard.max_buffer;
    shared.notify(&guard);
    drop(guard);
    let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
    assert_eq!(sent, Err(full(limit)));
    assert!(shared.lock().to_compress.is_next(None));
    drop(lent);
}

/// Though the socket is full, and nothing is written.
#[test]
fn who_waits_to_compress_hears_that_another_thread_has() {
    let connection = Connection::compressing();
    let shared = &connection.shared;
    shared.limit(usize::MAX, Duration::from_secs(3600));
    shared.lock().writer.as_mut().unwrap().writing = Writing::Full;
    let noise: Vec<u8> = (0..8_u32 << 20).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    let is_compressing = || !shared.lock().writer.as_ref().unwrap().has_deflater();
    at_last(|_| {
        thread::scope(|scope| {
            let first = scope.spawn(|| shared.send(Outgoing::from(&noise[..]), Wait::Default));
            while !is_compressing() && !first.is_finished() {
                thread::yield_now();
            }
            let (theirs, (tell, told)) = (Arc::clone(shared), mpsc::channel());
            thread::spawn(move || tell.send(theirs.send((&[7; 100][..]).into(), Wait::Default)));
            let mut waited = false;
            while !first.is_finished() {
                waited |= shared.lock().waiting_threads > 0;
                thread::yield_now();
            }
            let sent = told.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
            assert_eq!((sent, first.join().unwrap()), (Ok(()), Ok(())));
            waited
        })
    });
}
