//! A server's loop that hands messages out only while no answer waits for the peer, beside threads that
//! send over the same connection.

use super::*;

/// What an answer takes on the wire.
const ANSWER: usize = 4;

/// A client that has sent so many messages, and has room for so many bytes.
fn asked(questions: usize, room: usize) -> (App, Loop) {
    let (app, mut its_loop) = App::with_role(Role::Server, ANSWER, &[Peer::new(room, MUCH)]);
    its_loop.open(|_| ());
    its_loop.to_answer = questions;
    (app, its_loop)
}

#[test]
fn answers_go_on_when_the_peer_reads() {
    check("answers, peer reads", 3, || {
        let (app, its_loop) = asked(3, 0);
        let its_loop = its_loop.spawn();
        app.peers[0].make_room(ANSWER + 1);
        app.peers[0].make_room(MUCH);
        app.peers[0].gets(3);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn answers_go_on_when_another_thread_has_written() {
    check("answers, another sends", 3, || {
        let (app, its_loop) = asked(2, 1);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || {
            theirs.send('a', 0..2);
        });
        app.peers[0].make_room(MUCH);
        other.join();
        app.peers[0].gets(4);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}
