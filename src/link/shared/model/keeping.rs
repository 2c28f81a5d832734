//! What `queue_while_disconnected` keeps: nothing accepted is lost, doubled or out of order, from
//! one connection to the next.

use super::*;

/// One thread sends twice. The test's own sends once, has the first connection end, and waits until
/// all is there.
fn lost(
    name: &str,
    preemptions: usize,
    peers: fn() -> [Arc<Peer>; 2],
    begin: fn(&App),
    end: fn(&App),
) {
    check(name, preemptions, move || {
        let (app, mut its_loop) = App::new(MUCH, &peers());
        app.keep();
        its_loop.open(|_| ());
        begin(&app);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || {
            theirs.send('b', 0..2);
            theirs.flush().unwrap();
            theirs.has_got('b');
        });
        end(&app);
        app.send('a', 0..1);
        app.peers[1].make_room(MUCH);
        other.join();
        assert_eq!(app.accepted(), 3);
        app.flush().unwrap();
        app.all_got();
        app.peers[1].hang_up();
        its_loop.join();
        app.got_or_given_back();
    });
}

fn roomy() -> [Arc<Peer>; 2] {
    [Peer::new(MUCH, 5), Peer::new(MUCH, MUCH)]
}

fn full() -> [Arc<Peer>; 2] {
    [Peer::new(10, MUCH), Peer::new(0, MUCH)]
}

#[test]
fn what_was_accepted_goes_out_over_the_next_connection() {
    lost("kept", 2, roomy, |_| (), |app| app.peers[0].hang_up());
    lost("kept, full sockets", 2, full, |_| (), |app| app.peers[0].hang_up());
    lost("kept, stream", 1, roomy, App::stream, |app| app.peers[0].hang_up());
    // Of several messages in one piece, some are taken.
    lost(
        "kept, stream, full sockets",
        1,
        || [Peer::new(12, MUCH), Peer::new(0, MUCH)],
        App::stream,
        |app| {
            app.peers[0].gets(1);
            app.peers[0].hang_up();
        },
    );
}

#[test]
fn who_asks_for_another_connection_loses_nothing() {
    lost("kept, reconnect", 2, roomy, |_| (), App::reconnect);
    lost(
        "kept, reconnect, full sockets",
        2,
        full,
        |_| (),
        |app| {
            app.reconnect();
            app.peers[0].make_room(MUCH);
        },
    );
}

#[test]
fn what_waits_for_the_first_connection_goes_out_after_the_first_callback() {
    check("kept for the first", 2, || {
        let (app, mut its_loop) = App::new(MUCH, &[Peer::new(0, MUCH)]);
        app.keep();
        let theirs = app.clone();
        let other = spawn(move || _ = theirs.send('b', 0..2));
        let its_loop = spawn(move || {
            its_loop.open(|app| _ = app.send('a', 0..1));
            its_loop.run();
        });
        app.peers[0].make_room(MUCH);
        other.join();
        app.flush().unwrap();
        app.peers[0].gets(3);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
        let first_sent_in_open = app.peers[0].frames();
        assert!(first_sent_in_open[0].1.starts_with('a'), "{first_sent_in_open:?}");
    });
}

#[test]
fn what_is_never_sent_is_given_back() {
    check("kept, closed", 2, || {
        let (app, mut its_loop) = App::new(MUCH, &[Peer::new(9, MUCH), Peer::new(MUCH, MUCH)]);
        app.keep();
        its_loop.open(|_| ());
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || _ = theirs.send('b', 0..2));
        app.peers[0].hang_up();
        app.close();
        app.peers[1].hang_up();
        its_loop.join();
        other.join();
        app.got_or_given_back();
    });
}

/// One thread sends and flushes, while the test's own closes.
fn flushed(name: &str, preemptions: usize, peers: fn() -> Vec<Arc<Peer>>) {
    check(name, preemptions, move || {
        let (app, mut its_loop) = App::new(MUCH, &peers());
        app.keep();
        if !app.peers.is_empty() {
            its_loop.open(|_| ());
        }
        let (theirs, its_loop, flushed) =
            (app.clone(), its_loop.spawn(), Arc::new(AtomicBool::new(false)));
        let is_flushed = Arc::clone(&flushed);
        let other = spawn(move || {
            theirs.send('b', 0..1);
            is_flushed.store(theirs.flush().is_ok(), Ordering::Relaxed);
        });
        let is_waited_for = app.is_waited_for();
        app.close();
        app.peers.iter().for_each(|peer| peer.hang_up());
        its_loop.join();
        other.join();
        app.got_or_given_back();
        if is_waited_for && flushed.load(Ordering::Relaxed) {
            app.all_got();
        }
    });
}

#[test]
fn who_flushes_is_told_of_what_was_given_back() {
    flushed("kept, flush, closed", 3, Vec::new);
    flushed("kept, flush, closed while open", 3, || vec![Peer::new(9, MUCH)]);
}
