//! Who waits for room, and who goes before whom.

use super::*;

/// A large message, too, though there would be room for small ones again and again. Who finds room
/// goes before it, but not for ever.
#[test]
fn room_is_given_in_the_order_in_which_threads_came() {
    let mut connection = Connection::new(usize::MAX);
    let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
    // More than the sockets of both ends hold.
    shared.send(Outgoing::from(vec![7; 64 << 20]), Wait::Never).unwrap();
    while !matches!(shared.lock().writer.as_ref().unwrap().writing, Writing::Full) {
        std::thread::yield_now();
    }
    shared.limit(shared.buffered() + 1000, Duration::from_secs(20));
    let mut waiting = Vec::new();
    for (who, len) in [(1, 900_000), (2, 2000), (3, 500_000), (4, 2000)] {
        let theirs = Arc::clone(&shared);
        waiting.push(std::thread::spawn(move || {
            theirs.send(Outgoing::from(vec![who; len]), Wait::Default)
        }));
        while shared.lock().waiting_threads < waiting.len() {
            assert!(!waiting.iter().any(|thread| thread.is_finished()), "{who} did not wait");
            std::thread::yield_now();
        }
    }
    shared.send(Outgoing::from(&[5; 10][..]), Wait::Never).unwrap();
    {
        let _in_callback = CallbackScope::enter();
        shared.send(Outgoing::from(&[6; 10][..]), Wait::Default).unwrap();
    }
    let mut order = Vec::new();
    connection.peer.set_nonblocking(true).unwrap();
    let (mut read, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
    while order.len() < 7 {
        shared.on_writable(&wire);
        let some = connection.peer.read(&mut buffer).unwrap_or(0);
        read.extend_from_slice(&buffer[..some]);
        while let Some((who, len)) = first_frame(&read) {
            order.push(who);
            read.drain(..len);
        }
    }
    assert_eq!(order, [7, 5, 6, 1, 2, 3, 4]);
    waiting.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
}

/// Also where its message has to be copied, and so is looked at twice.
#[test]
fn who_cannot_wait_goes_before_who_does_by_as_much_as_it_sends() {
    const LIMIT: usize = 100_000;
    let connection = Connection::driven_by_caller(usize::MAX);
    let shared = &connection.shared;
    fill_the_socket(shared);
    shared.limit(shared.buffered() + LIMIT, Duration::from_secs(20));
    let waiting = wait_for_the_socket(shared, vec![7; LIMIT]);
    let in_callback = CallbackScope::enter();
    shared.send(Outgoing::from(&[7; LIMIT * 6 / 10][..]), Wait::Default).unwrap();
    drop(in_callback);
    shared.abort();
    let sent = waiting.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(sent, Err(SendError::NotConnected { message: None }));
}

#[test]
fn who_waits_for_the_socket_hears_of_the_end_of_the_connection() {
    let ends: [fn(&Arc<Shared>); 3] = [
        |shared| shared.close(1000, "").unwrap(),
        |shared| _ = shared.finish(Bytes::new()),
        |shared| shared.disconnected(State::Closed),
    ];
    for end in ends {
        let connection = Connection::driven_by_caller(usize::MAX);
        let shared = &connection.shared;
        fill_the_socket(shared);
        shared.limit(shared.buffered(), Duration::from_secs(3600));
        let waiting = wait_for_the_socket(shared, vec![7; 1000]);
        end(shared);
        let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
        assert_eq!(sent, Err(SendError::NotConnected { message: None }));
    }
}

/// Also while another thread writes, who tells only when it has.
#[test]
fn who_waits_for_room_hears_that_the_connection_closes() {
    let closes: [fn(&Arc<Shared>); 2] =
        [|shared| shared.close(1000, "").unwrap(), |shared| _ = shared.finish(Bytes::new())];
    for close in closes {
        let connection = Connection::new(usize::MAX);
        let shared = &connection.shared;
        fill_the_socket(shared);
        shared.limit(shared.buffered(), Duration::from_secs(3600));
        let waiting = wait_for_room(shared, vec![7; 1000]);
        shared.lock().writer.as_mut().unwrap().writing =
            Writing::Active { again: false, was_full: true };
        close(shared);
        let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
        assert_eq!(sent, Err(SendError::NotConnected { message: None }));
    }
}

/// Room is made again and again, and never enough for the one that waits.
#[test]
fn who_finds_room_goes_before_who_waits_by_no_more_than_the_limit() {
    const LIMIT: usize = 100_000;
    let connection = Connection::new(usize::MAX);
    let shared = &connection.shared;
    fill_the_socket(shared);
    let limit = shared.buffered() + LIMIT;
    shared.limit(limit, Duration::from_secs(3600));
    let waiting = wait_for_room(shared, vec![7; LIMIT]);
    let needed = shared.frame_len(1000);
    let goes_by = |_: &usize| {
        let mut guard = shared.lock();
        if !guard.has_room(needed) {
            guard.writer.as_mut().unwrap().drop_oldest(LIMIT / 2);
        }
        drop(guard);
        shared.send(Outgoing::from(&[7; 1000][..]), Wait::Never).is_ok()
    };
    let most = limit / needed;
    assert_eq!((0..2 * most).take_while(goes_by).count(), most);
    shared.disconnected(State::Closed);
    let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
    assert_eq!(sent, Err(SendError::NotConnected { message: None }));
}

/// For room, or to begin; and where the message is kept for the next connection instead.
#[test]
fn who_has_waited_in_vain_is_in_nobodys_way() {
    let (soon, long) = (Duration::from_millis(1), Duration::from_secs(3600));
    for fragments in [false, true] {
        let connection = Connection::new(usize::MAX);
        let shared = &connection.shared;
        let way = fragments.then(|| shared.begin_fragments().unwrap());
        if !fragments {
            fill_the_socket(shared);
            shared.limit(shared.buffered(), long);
        }
        let in_nobodys_way = || {
            let guard = shared.lock();
            guard.for_room.is_next(None) && guard.to_begin.is_next(None)
        };
        let late = match fragments {
            true => SendError::Busy { message: None, after: soon },
            false => SendError::Timeout { message: None, after: soon },
        };
        let sent = shared.send(Outgoing::from(&[7; 1000][..]), Wait::UpTo(soon));
        assert_eq!(sent, Err(late));
        assert!(in_nobodys_way(), "in fragments: {fragments}");
        shared.keep(1 << 20, long);
        let waiting = wait_for_room(shared, vec![7; 1000]);
        shared.disconnected(State::Waiting);
        let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
        assert_eq!(sent, Ok(()));
        assert!(in_nobodys_way(), "in fragments: {fragments}, kept");
        drop(way);
    }
}

/// Whatever it waited for: nobody else may tell the others.
#[test]
fn who_waits_no_longer_lets_the_next_one_go() {
    let connection = Connection::new(usize::MAX);
    let shared = &connection.shared;
    fill_the_socket(shared);
    (0..3).for_each(|_| shared.send(Outgoing::from(&[8; 1000][..]), Wait::Never).unwrap());
    shared.limit(shared.buffered(), Duration::from_secs(3600));
    let mut turn = Some(shared.lock().for_room.join());
    let next = wait_for_room(shared, vec![7; 1000]);
    let mut guard = shared.lock();
    guard.writer.as_mut().unwrap().drop_oldest(2000);
    shared.leave_room(&mut guard, &mut turn);
    drop(guard);
    assert_eq!(next.recv_timeout(Duration::from_secs(20)).expect("it waits no longer"), Ok(()));
}

/// That takes time, in which nobody is to wait for the lock.
#[test]
fn a_large_message_that_is_copied_does_not_go_at_once() {
    let connection = Connection::new(usize::MAX);
    let bytes = vec![7; MAX_COPIED + 1];
    let goes_at_once = |message: &Outgoing<'_>| {
        connection.shared.lock().goes_at_once(message, bytes.len() + 14, Wait::Default, false)
    };
    // Where it is written from where it lies, or has its memory to itself, nothing is copied.
    assert!(goes_at_once(&Outgoing::from(&bytes[..])));
    fill_the_socket(&connection.shared);
    assert!(!goes_at_once(&Outgoing::from(&bytes[..])));
    assert!(goes_at_once(&Outgoing::from(bytes.clone())));
    assert!(goes_at_once(&Outgoing::from(&bytes[1..])));
}

/// What waits is not sent before it, but for what has begun.
#[cfg(feature = "server")]
#[test]
fn a_close_that_is_sent_instead_of_what_waits_goes_first() {
    fn payload() -> Bytes {
        Bytes::copy_from_slice(&1013_u16.to_be_bytes())
    }
    let closes: [fn(&Arc<Shared>); 2] = [
        |shared| assert!(shared.close_instead(1013)),
        |shared| assert!(!shared.finish(payload()), "we have not closed"),
    ];
    for close_it in closes {
        let mut connection = Connection::new(usize::MAX);
        let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
        fill_the_socket(&shared);
        (0..3).for_each(|_| shared.send(Outgoing::from(vec![8; 1000]), Wait::Never).unwrap());
        close_it(&shared);
        assert!(!shared.close_instead(1000), "it is closing");
        connection.peer.set_nonblocking(true).unwrap();
        let (mut read, mut buffer, mut order) = (Vec::new(), vec![0; 1 << 20], Vec::new());
        let close = payload()[0];
        while order.last() != Some(&close) {
            shared.on_writable(&wire);
            let some = connection.peer.read(&mut buffer).unwrap_or(0);
            read.extend_from_slice(&buffer[..some]);
            while let Some((first, len)) = first_frame(&read) {
                order.push(first);
                read.drain(..len);
            }
        }
        order.dedup();
        assert_eq!(order, [7, close]);
    }
}

/// What is dropped for a message is enough for it, where there is enough.
#[test]
fn a_message_finds_room_among_those_that_may_be_dropped_and_a_ping_only_where_there_is_some() {
    const LIMIT: usize = 100_000;
    let connection = Connection::new(usize::MAX);
    let shared = &connection.shared;
    fill_the_socket(shared);
    shared.lock().writer.as_mut().unwrap().drop_oldest(usize::MAX);
    let has_begun = shared.buffered();
    shared.limit(has_begun + LIMIT, Duration::from_secs(20));
    shared.set_policy(SendPolicy::DropOldest);
    for len in [1000; 99].into_iter().chain([LIMIT / 2]) {
        shared.send(Outgoing::from(vec![8; len]), Wait::Default).unwrap();
        assert!(shared.buffered() <= has_begun + LIMIT);
    }
    // It takes all the room that there is, and more.
    shared.limit(has_begun, Duration::from_secs(20));
    shared.send(Outgoing::from(vec![8; LIMIT]), Wait::Default).unwrap();
    assert_eq!(shared.buffered(), has_begun + shared.frame_len(LIMIT));
    assert_eq!(shared.control(Head::PING, b""), Err(full(has_begun)));
    assert_eq!(shared.buffered(), has_begun);
}

/// Several that wait for one socket: one of them writes, and what it wrote for the others they are
/// told of, though the one may wait on.
#[test]
fn each_that_sends_without_a_loop_waits_for_its_own_message() {
    const LARGE: usize = 8 << 20;
    let mut connection = Connection::driven_by_caller(usize::MAX);
    let send = |len: usize| {
        let before = connection.shared.buffered();
        let shared = Arc::clone(&connection.shared);
        let sending = std::thread::spawn(move || shared.send(vec![7; len].into(), Wait::Default));
        // The first until the socket takes no more, so that what is buffered only grows.
        let is_full = || connection.shared.lock().writer.as_ref().unwrap().is_room_awaited();
        while connection.shared.buffered() <= before || !is_full() {
            assert!(!sending.is_finished(), "the socket has taken {len} bytes that nobody read");
            std::thread::yield_now();
        }
        sending
    };
    let [first, second, last] = [LARGE, 1000, 8 * LARGE].map(send);
    connection.peer.read_exact(&mut vec![0; LARGE + 14]).unwrap();
    first.join().unwrap().unwrap();
    connection.peer.read_exact(&mut vec![0; 1008]).unwrap();
    second.join().unwrap().unwrap();
    assert!(!last.is_finished());
    connection.peer.read_exact(&mut vec![0; 8 * LARGE + 14]).unwrap();
    last.join().unwrap().unwrap();
}
