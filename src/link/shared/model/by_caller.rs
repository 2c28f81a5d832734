//! A connection that its owner drives in its own calls, without a loop: whoever sends writes, and
//! waits for the socket.

use super::*;

/// Two threads send; the test's own plays the peer.
fn driven(name: &str, preemptions: usize, peer: fn() -> Arc<Peer>, then: fn(&App), all_got: bool) {
    check(name, preemptions, move || {
        let (app, its_loop) = App::driven(MUCH, peer());
        let senders = ['a', 'b'].map(|who| {
            let theirs = app.clone();
            spawn(move || {
                theirs.send(who, 0..1);
                if all_got {
                    theirs.has_got(who);
                }
            })
        });
        then(&app);
        senders.into_iter().for_each(JoinHandle::join);
        app.first_got();
        its_loop.ended_by_owner();
    });
}

#[test]
fn who_sends_comes_back_when_all_is_taken() {
    driven("driven", 3, || Peer::new(MUCH, 5), |_| (), true);
    let in_two = |app: &App| {
        app.peers[0].make_room(9);
        app.peers[0].make_room(MUCH);
    };
    driven("driven, full socket", 3, || Peer::new(0, MUCH), in_two, true);
}

#[test]
fn who_sends_comes_back_from_an_abort() {
    driven("driven, abort", 3, || Peer::new(9, MUCH), App::abort, false);
}
