//! The end of a connection while threads send: closed, aborted, lost. Whoever waits comes back.

use super::*;

/// One thread sends twice, while the test's own ends the connection.
fn ends(
    name: &str,
    preemptions: usize,
    max_buffer: usize,
    peer: fn() -> Arc<Peer>,
    end: fn(&App),
    check_it: fn(&App),
) {
    check(name, preemptions, move || {
        let (app, its_loop) = App::open(max_buffer, &[peer()]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || _ = theirs.send('b', 0..2));
        end(&app);
        its_loop.join();
        other.join();
        check_it(&app);
        assert_eq!(app.send('c', 0..1), 0);
    });
}

fn close(app: &App) {
    app.close();
    app.peers[0].gets_close();
    app.peers[0].hang_up();
}

fn close_and_make_room(app: &App) {
    app.close();
    app.peers[0].make_room(9);
    app.peers[0].make_room(MUCH);
    app.peers[0].gets_close();
    app.peers[0].hang_up();
}

#[test]
fn what_was_accepted_goes_out_before_the_close_frame() {
    ends("close", 3, MUCH, || Peer::new(MUCH, MUCH), close, App::all_got);
    ends("close, full socket", 2, MUCH, || Peer::new(0, MUCH), close_and_make_room, App::all_got);
    ends("close, no room", 2, 8, || Peer::new(0, MUCH), close_and_make_room, App::all_got);
}

/// Who waits for room in the queue of a connection that takes nothing comes back before anything
/// else happens.
fn comes_back(name: &str, end: fn(&App)) {
    check(name, 2, move || {
        let (app, its_loop) = App::open(8, &[Peer::new(0, MUCH)]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || _ = theirs.send('b', 0..2));
        end(&app);
        other.join();
        app.peers[0].make_room(MUCH);
        app.peers[0].gets_close();
        app.peers[0].hang_up();
        its_loop.join();
        app.first_got();
    });
}

#[test]
fn who_waits_for_room_comes_back_from_a_close() {
    comes_back("close, waiting", App::close);
    comes_back("peer closes, waiting", |app| app.peers[0].close());
}

#[test]
fn a_stream_goes_out_before_the_close_frame() {
    check("close, stream", 2, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        app.stream();
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || _ = theirs.send('b', 0..2));
        close(&app);
        its_loop.join();
        other.join();
        app.all_got();
    });
}

#[test]
fn the_close_frame_goes_out_once() {
    check("close twice", 3, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(0, MUCH)]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || theirs.close());
        close_and_make_room(&app);
        its_loop.join();
        other.join();
    });
}

#[test]
fn who_waits_comes_back_from_an_abort() {
    ends("abort", 3, 8, || Peer::new(0, MUCH), App::abort, |app| _ = app.first_got());
}

#[test]
fn who_waits_comes_back_from_a_loss() {
    ends(
        "loss",
        3,
        MUCH,
        || Peer::new(MUCH, 5),
        |app| app.peers[0].hang_up(),
        |app| _ = app.first_got(),
    );
    ends(
        "loss, no room",
        3,
        8,
        || Peer::new(9, MUCH),
        |app| app.peers[0].hang_up(),
        |app| _ = app.first_got(),
    );
}

#[test]
fn a_loss_while_a_large_message_is_cut_in_two_leaves_nobody_waiting() {
    check("loss, large", 3, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(30, MUCH)]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || _ = theirs.send_large('b', 0..1, 100));
        app.peers[0].hang_up();
        its_loop.join();
        other.join();
        app.first_got();
    });
}

#[test]
fn a_write_that_fails_is_told_to_the_loop() {
    let breaks_off = |app: &App| {
        app.peers[0].break_off();
        app.send('a', 0..1);
    };
    ends("write fails", 3, MUCH, || Peer::new(MUCH, 5), breaks_off, |app| _ = app.first_got());
}

#[test]
fn a_close_of_the_peer_is_answered_and_leaves_nobody_waiting() {
    let closed = |app: &App| {
        app.peers[0].close();
        app.peers[0].make_room(MUCH);
        app.peers[0].gets_close();
        app.peers[0].hang_up();
    };
    ends("peer closes", 2, 8, || Peer::new(9, MUCH), closed, |app| _ = app.first_got());
}

#[test]
fn who_flushes_comes_back_from_a_loss() {
    check("flush, loss", 3, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(9, MUCH)]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || {
            theirs.send('b', 0..2);
            let flushed = theirs.flush();
            // Where it was open until then.
            if flushed.is_ok() && theirs.is_open() {
                theirs.all_got();
            }
        });
        app.peers[0].hang_up();
        its_loop.join();
        other.join();
    });
}
