//! A message in fragments, while other threads send, or the connection ends.

use super::*;

/// One thread writes a message, two others send one; the test's own plays the peer.
fn written(name: &str, preemptions: usize, max_buffer: usize, peer: fn() -> Arc<Peer>) {
    check(name, preemptions, move || {
        let (app, its_loop) = App::open(max_buffer, &[peer()]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let writing = spawn(move || assert!(theirs.write('w', 3)));
        let theirs = app.clone();
        let other = spawn(move || _ = theirs.send('b', 0..1));
        app.peers[0].make_room(MUCH);
        assert_eq!(app.send('a', 0..1), 1);
        writing.join();
        other.join();
        app.peers[0].gets(3);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn no_message_goes_between_fragments_and_each_is_sent() {
    written("fragments", 2, MUCH, || Peer::new(MUCH, MUCH));
    written("fragments, full socket", 2, MUCH, || Peer::new(9, MUCH));
    written("fragments, no room", 2, 8, || Peer::new(0, MUCH));
}

#[test]
fn two_are_written_one_after_the_other() {
    check("fragments, two", 2, || {
        let (app, its_loop) = App::open(20, &[Peer::new(0, MUCH)]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || assert!(theirs.write('b', 2)));
        app.peers[0].make_room(MUCH);
        assert!(app.write('a', 2));
        other.join();
        app.peers[0].gets(2);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn who_waits_for_its_end_comes_back_from_a_close() {
    check("fragments, close", 2, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let writing = spawn(move || _ = theirs.write('w', 3));
        let theirs = app.clone();
        let other = spawn(move || _ = theirs.send('b', 0..1));
        app.close();
        writing.join();
        other.join();
        app.peers[0].gets_close();
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn one_that_is_not_finished_fails_the_connection_and_nobody_waits_on() {
    check("fragments, unfinished", 2, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || _ = theirs.send('b', 0..1));
        if let Ok(way) = app.shared.begin_fragments() {
            app.shared.fail_fragments(&way.wire, "it is a test");
        }
        other.join();
        app.peers[0].gets_close();
        app.peers[0].hang_up();
        its_loop.join();
        app.first_got();
    });
}

#[test]
fn what_was_kept_is_sent_behind_it() {
    check("fragments, kept", 2, || {
        let (app, mut its_loop) = App::new(MUCH, &[Peer::new(MUCH, MUCH)]);
        app.keep();
        assert_eq!(app.send('k', 0..1), 1);
        let begun = Arc::new(std::sync::Mutex::new(None));
        its_loop.open(|app| *begun.lock().unwrap() = app.shared.begin_fragments().ok());
        let its_loop = its_loop.spawn();
        let theirs = app.clone();
        let other = spawn(move || _ = theirs.send('b', 0..1));
        let way = begun.lock().unwrap().take().unwrap();
        let part = Part { head: Head::TEXT.unfinished(), payload: b"w", written: 1 };
        app.shared.send_fragment(&way.wire, &part, &mut false).unwrap();
        let last = Part { head: Head::CONTINUATION, payload: b"", written: 0 };
        app.shared.finish_fragments(way, last, None).unwrap();
        app.accepted.lock().unwrap().entry('w').or_default().push("w".into());
        other.join();
        app.peers[0].gets(3);
        app.peers[0].hang_up();
        its_loop.join();
        app.got_or_given_back();
    });
}
