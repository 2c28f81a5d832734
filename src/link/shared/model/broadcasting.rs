//! Threads that queue what is for many connections, which the loop writes, beside threads that send
//! over this one.

use super::*;
use crate::link::{Broadcast, Queueing};

impl App {
    /// Queues a short message that others get too, for the loop to write, if there is room for it.
    fn broadcast(&self, who: char, numbers: Range<usize>) {
        for number in numbers {
            let text = format!("{who}{number}");
            let message = Broadcast::new(Outgoing::from(&text), false);
            if self.shared.queue_broadcast(&message, None) == Queueing::Queued {
                self.accepted.lock().unwrap().entry(who).or_default().push(text);
            }
        }
    }
}

#[test]
fn what_is_for_many_goes_out_once_and_in_order() {
    let model = |name, peer: fn() -> Arc<Peer>, then: fn(&Peer)| {
        check(name, 3, move || {
            let (app, its_loop) = App::open(MUCH, &[peer()]);
            let (theirs, its_loop) = (app.clone(), its_loop.spawn());
            let other = spawn(move || theirs.broadcast('b', 0..2));
            app.send('a', 0..1);
            then(&app.peers[0]);
            other.join();
            app.peers[0].gets(3);
            app.peers[0].hang_up();
            its_loop.join();
            app.all_got();
        });
    };
    model("broadcast, another sends", || Peer::new(MUCH, MUCH), |_| ());
    let in_two = |peer: &Peer| {
        peer.make_room(5);
        peer.make_room(MUCH);
    };
    model("broadcast, full socket", || Peer::new(0, MUCH), in_two);
}

#[test]
fn two_threads_at_once_queue_for_many_and_both_are_written() {
    check("two broadcast", 3, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || theirs.broadcast('b', 0..2));
        app.broadcast('a', 0..1);
        other.join();
        app.peers[0].gets(3);
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn what_was_queued_for_many_goes_before_the_close_frame() {
    check("broadcast, another closes", 3, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || theirs.broadcast('b', 0..2));
        app.close();
        app.peers[0].gets_close();
        other.join();
        app.peers[0].hang_up();
        its_loop.join();
        app.all_got();
    });
}

#[test]
fn a_lost_connection_holds_nobody_up_who_queues_for_many() {
    check("broadcast, connection lost", 3, || {
        let (app, its_loop) = App::open(MUCH, &[Peer::new(MUCH, MUCH)]);
        let (theirs, its_loop) = (app.clone(), its_loop.spawn());
        let other = spawn(move || theirs.broadcast('b', 0..2));
        app.peers[0].hang_up();
        other.join();
        its_loop.join();
        app.first_got();
    });
}
