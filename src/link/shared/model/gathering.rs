//! Callbacks that gather what they send, beside other threads and the flusher that looks after it.

use super::*;

/// Time passes until the peer has so many.
fn pass_time_until_there_are(app: &App, frames: usize) {
    pass_time_until(|| app.peers[0].frames().len() >= frames);
}

/// A callback waits until the peer has so many.
fn wait_until_there_are(app: &App, frames: usize) {
    app.peers[0].gets(frames);
    happened();
}

#[test]
fn what_is_gathered_goes_out_while_the_callback_is_slow() {
    check("gathered, slow callback", 2, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        let its_loop = its_loop.spawn_calling(|app| {
            let gather = app.gather();
            // Each in a round of its own: the flusher has stopped looking, or not yet.
            for number in 0..2 {
                app.send('b', number..number + 1);
                wait_until_there_are(app, number + 1);
                gather.on_item(false);
            }
        });
        pass_time_until_there_are(&app, 2);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn what_is_gathered_beside_another_thread_is_written_once_and_in_order() {
    check("gathered, another sends", 3, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        let its_loop = its_loop.spawn_calling(|app| {
            let gather = app.gather();
            app.send('b', 0..1);
            gather.on_item(false);
            app.send('b', 1..2);
            gather.on_item(true);
        });
        app.send('a', 0..1);
        app.peers[0].gets(3);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn what_is_gathered_goes_before_the_close_frame() {
    check("gathered, another closes", 3, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        let its_loop = its_loop.spawn_calling(|app| {
            let _gather = app.gather();
            app.send('b', 0..2);
        });
        app.close();
        app.peers[0].gets_close();
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn what_is_gathered_goes_out_when_a_full_socket_has_room() {
    check("gathered, full socket", 2, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(0, MUCH)]);
        let its_loop = its_loop.spawn_calling(|app| {
            let gather = app.gather();
            app.send('b', 0..1);
            gather.on_item(true);
            app.send('b', 1..2);
        });
        app.peers[0].make_room(5);
        app.peers[0].make_room(MUCH);
        app.peers[0].gets(2);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

/// A callback that gathers runs a loop, whose callbacks gather too.
#[test]
fn what_is_gathered_within_a_callback_that_gathers_goes_out() {
    check("gathered, within a callback", 2, || {
        let (outer, its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        let (inner, _other_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        let theirs = inner.clone();
        let its_loop = its_loop.spawn_calling(move |outer| {
            let _outer = outer.gather();
            outer.send('b', 0..1);
            let gather = Gather::begin(&theirs.shared, 2);
            gather.on_item(false);
            theirs.send('c', 0..1);
            wait_until_there_are(&theirs, 1);
            drop(gather);
            outer.send('b', 1..2);
            wait_until_there_are(outer, 2);
        });
        pass_time_until_there_are(&inner, 1);
        pass_time_until_there_are(&outer, 2);
        outer.peers[0].hang_up();
        its_loop.join();
        outer.all_got();
        inner.all_got();
    });
}
