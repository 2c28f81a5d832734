//! Threads that send at once, over a socket that has room, or none for a while.

use super::*;

/// One thread sends twice, another once, which then is the peer; the loop is the third.
fn three_messages(
    name: &str,
    preemptions: usize,
    peer: fn() -> Arc<Peer>,
    begin: fn(&App),
    then: fn(&Peer),
) {
    check(name, preemptions, move || {
        let (app, its_loop) = App::open(MUCH, &[peer()]);
        begin(&app);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || _ = theirs.send('b', 0..2));
        app.send('a', 0..1);
        then(&app.peers[0]);
        other.join();
        app.peers[0].gets(3);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn what_two_threads_send_is_taken_whole_and_in_order() {
    three_messages("two send", 4, || Peer::new(MUCH, MUCH), |_| (), |_| ());
    three_messages("two send, taken in parts", 4, || Peer::new(MUCH, 5), |_| (), |_| ());
}

#[test]
fn a_full_socket_is_written_when_it_has_room() {
    let in_two = |peer: &Peer| {
        peer.make_room(9);
        peer.make_room(MUCH);
    };
    three_messages("full socket", 3, || Peer::new(0, MUCH), |_| (), in_two);
}

#[test]
fn a_stream_is_written_to_its_end() {
    three_messages("stream", 2, || Peer::new(MUCH, MUCH), App::stream, |_| ());
    three_messages(
        "stream, full socket",
        2,
        || Peer::new(5, MUCH),
        App::stream,
        |peer| peer.make_room(MUCH),
    );
}

#[test]
fn a_stream_is_written_while_a_callback_is_slow() {
    check("stream, slow callback", 2, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        app.stream();
        let theirs = app.clone();
        let other = spawn(move || _ = theirs.send('b', 0..2));
        let its_loop = its_loop.spawn_calling(|app| app.peers[0].gets(2));
        other.join();
        app.peers[0].gets(2);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn a_stream_is_written_when_the_flusher_has_just_gone() {
    check("stream, no flusher", 4, || {
        let (app, _its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        for number in 0..2 {
            // Time has passed.
            app.stream();
            app.send('a', number..number + 1);
            app.peers[0].gets(number + 1);
            // The flusher has waited for a stream for too long.
            pass_time_when_waited_for();
        }
        app.all_got();
    });
}

#[test]
fn what_a_callback_sends_in_a_stream_is_written_after_it() {
    check("stream, in a callback", 2, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        app.stream();
        let its_loop = its_loop.spawn_calling(|app| _ = app.send('b', 0..2));
        app.send('a', 0..1);
        app.peers[0].gets(3);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

/// Longer than a piece, or than what one turn writes.
fn large(name: &str, preemptions: usize, len: usize, peer: fn() -> Arc<Peer>, then: fn(&Peer)) {
    check(name, preemptions, move || {
        let (app, its_loop) = App::open(MUCH, &[peer()]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || _ = theirs.send_large('b', 0..1, len));
        app.send('a', 0..1);
        then(&app.peers[0]);
        other.join();
        app.peers[0].gets(2);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn a_large_message_is_taken_whole() {
    large("large", 3, 100, || Peer::new(MUCH, MUCH), |_| ());
    large("large, full socket", 3, 100, || Peer::new(30, MUCH), |peer| peer.make_room(MUCH));
    large("larger than a turn", 2, 600, || Peer::new(MUCH, MUCH), |_| ());
}

#[test]
fn who_waits_for_room_gets_it() {
    check("room", 2, || {
        let (app, its_loop) = App::open(20, &[Peer::new(0, MUCH)]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || _ = theirs.send('b', 0..3));
        app.peers[0].make_room(9);
        app.peers[0].make_room(MUCH);
        app.send('a', 0..1);
        other.join();
        app.peers[0].gets(4);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn who_waits_for_room_gets_it_before_who_comes_later() {
    check("room, in order", 2, || {
        let (app, its_loop) = App::open(20, &[Peer::new(0, MUCH)]);
        app.send('a', 0..1);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || _ = theirs.send_large('b', 0..1, 8));
        let is_waited_for = app.is_waited_for();
        app.peers[0].make_room(MUCH);
        // More than goes before who waits.
        app.send('c', 0..4);
        other.join();
        app.peers[0].gets(6);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
        let last = app.peers[0].frames().pop().unwrap().1;
        assert!(!is_waited_for || last.starts_with('c'), "{last} went last");
    });
}

#[test]
fn who_flushes_comes_back_when_all_is_taken() {
    for streams in [false, true] {
        check(if streams { "flush, stream" } else { "flush" }, 2, move || {
            let (app, its_loop) = App::open(MUCH, &[Peer::new(0, MUCH)]);
            if streams {
                app.stream();
            }
            let (theirs, its_loop) = (app.clone(), its_loop.spawn());
            let other = spawn(move || {
                theirs.send('b', 0..2);
                theirs.flush().unwrap();
                theirs.all_got();
            });
            app.peers[0].make_room(9);
            app.peers[0].make_room(MUCH);
            other.join();
            app.peers[0].hang_up();
            its_loop.join();
        });
    }
}
