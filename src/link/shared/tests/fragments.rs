//! Who waits for a message in fragments, and its fragments for room.

use super::*;

/// Though nothing is written then.
#[test]
fn who_waits_for_the_end_of_a_message_in_fragments_hears_that_there_is_none() {
    let connection = Connection::new(usize::MAX);
    let shared = &connection.shared;
    shared.limit(usize::MAX, Duration::from_secs(3600));
    let way = shared.begin_fragments().unwrap();
    let next = wait_for_room(shared, vec![7; 1000]);
    shared.cancel_fragments(way);
    assert_eq!(next.recv_timeout(Duration::from_secs(20)).expect("it waits no longer"), Ok(()));
}

/// Also where the message is over, and nobody has heard of that yet.
#[test]
fn who_waits_for_the_end_of_a_message_in_fragments_goes_before_who_comes_later() {
    let connection = Connection::new(usize::MAX);
    let shared = &connection.shared;
    let soon = Duration::from_millis(1);
    at_last(|_| {
        shared.limit(usize::MAX, Duration::from_secs(3600));
        let way = shared.begin_fragments().unwrap();
        let next = wait_for_room(shared, vec![7; 1000]);
        shared.lock().writer.as_mut().unwrap().fragmented = Fragmented::No;
        let sent = shared.send(Outgoing::from(&[7; 100][..]), Wait::UpTo(soon));
        shared.notify(&shared.lock());
        assert_eq!(next.recv_timeout(Duration::from_secs(20)).expect("it waits no longer"), Ok(()));
        drop(way);
        sent == Err(SendError::Busy { message: None, after: soon })
    });
}

#[test]
fn a_fragment_that_has_waited_for_room_lets_the_next_one_go() {
    let mut connection = Connection::new(usize::MAX);
    let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
    fill_the_socket(&shared);
    shared.limit(shared.buffered() + shared.frame_len(FRAGMENT), Duration::from_secs(3600));
    let way = shared.begin_fragments().unwrap();
    let payload = vec![7; FRAGMENT];
    let part = Part { head: Head::BINARY.unfinished(), payload: &payload, written: FRAGMENT };
    shared.send_fragment(&way.wire, &part, &mut false).unwrap();
    connection.peer.set_nonblocking(true).unwrap();
    thread::scope(|scope| {
        let second = scope.spawn(|| shared.send_fragment(&way.wire, &part, &mut false));
        while shared.lock().waiting_threads == 0 {
            assert!(!second.is_finished(), "it did not wait");
            thread::yield_now();
        }
        let mut buffer = vec![0; 1 << 20];
        while !second.is_finished() {
            shared.on_writable(&wire);
            _ = connection.peer.read(&mut buffer);
        }
        second.join().unwrap().unwrap();
    });
    assert!(shared.lock().for_room.is_next(None));
}

/// Begins a message in fragments, on a thread of its own, for which there is no room. Returns when
/// that thread waits.
fn wait_to_begin(shared: &Arc<Shared>) -> thread::JoinHandle<Result<Way, SendError>> {
    let theirs = Arc::clone(shared);
    let waiting = thread::spawn(move || theirs.begin_fragments());
    while shared.lock().waiting_threads == 0 {
        assert!(!waiting.is_finished(), "it did not wait");
        thread::yield_now();
    }
    waiting
}

#[test]
fn who_has_waited_to_begin_a_message_in_fragments_lets_the_next_one_go() {
    let mut connection = Connection::new(usize::MAX);
    let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
    connection.peer.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut read_until = |is_done: &dyn Fn() -> bool| {
        while !is_done() {
            shared.on_writable(&wire);
            _ = connection.peer.read(&mut buffer);
        }
    };
    fill_the_socket(&shared);
    // Not for a whole fragment, of which nothing is known yet.
    shared.limit(shared.buffered() + FRAGMENT, Duration::from_secs(20));
    let beginning = wait_to_begin(&shared);
    read_until(&|| beginning.is_finished());
    shared.cancel_fragments(beginning.join().unwrap().unwrap());

    shared.limit(usize::MAX, Duration::from_secs(20));
    fill_the_socket(&shared);
    shared.limit(shared.buffered(), Duration::from_secs(20));
    let sending = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.send(Outgoing::from(vec![8; 1000]), Wait::Default))
    };
    while shared.lock().waiting_threads == 0 {
        assert!(!sending.is_finished(), "it did not wait");
        thread::yield_now();
    }
    read_until(&|| sending.is_finished());
    sending.join().unwrap().unwrap();
}

/// Of a message in fragments none can be left out, nor dropped again.
#[test]
fn a_message_in_fragments_waits_for_room_whatever_the_policy() {
    for policy in [SendPolicy::Fail, SendPolicy::DropOldest] {
        let connection = Connection::new(usize::MAX);
        let shared = &connection.shared;
        fill_the_socket(shared);
        shared.limit(shared.buffered(), Duration::from_secs(20));
        shared.set_policy(policy);
        let beginning = wait_to_begin(shared);
        shared.disconnected(State::Closed);
        let ended = SendError::NotConnected { message: None };
        assert_eq!(beginning.join().unwrap().err(), Some(ended), "{policy:?}");
    }
}
