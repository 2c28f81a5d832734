//! `frame_loop`, against a scripted peer.

use crossbeam_channel::{Receiver, Sender as Channel, bounded, unbounded};
use websocket_app::{Close, ClosedBy, Error};

use self::example::View;
use crate::failure::{clean, ending};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::watchdog::{PATIENCE, Task};

#[allow(dead_code, clippy::duplicate_mod)] // Others have the echo server too.
#[path = "../../../examples/frame_loop.rs"]
mod example;

/// What is typed, and what asks for a frame because of it.
struct Typist {
    lines: Channel<String>,
    repaint: Box<dyn Fn() + Send>,
}

impl Typist {
    fn types(&self, line: &str) {
        self.lines.send(line.to_owned()).unwrap();
        (self.repaint)();
    }

    fn leaves(self) {
        drop(self.lines);
        (self.repaint)();
    }
}

/// The loop, and the frames that it draws.
struct Screen {
    drawing: Task<Result<Close, Error>>,
    drawn: Receiver<View>,
}

impl Screen {
    /// Gives the frames up to one that shows this.
    fn until(&self, shows: impl Fn(&View) -> bool) -> Vec<View> {
        let mut views = Vec::new();
        loop {
            views.push(self.drawn.recv_timeout(PATIENCE).unwrap());
            if views.last().is_some_and(&shows) {
                return views;
            }
        }
    }
}

fn run(peer: &Peer) -> (Typist, Screen) {
    let app = peer.app();
    let ((lines, typed), (draw, drawn), (give, given)) = (unbounded(), unbounded(), bounded(1));
    let drawing = Task::start("the frames", move || {
        let begin = move |repaint| give.send(repaint).unwrap();
        example::frames(app, &typed, begin, |view| draw.send(view.clone()).unwrap())
    });
    let repaint = given.recv_timeout(PATIENCE).unwrap();
    (Typist { lines, repaint }, Screen { drawing, drawn })
}

/// More than one frame takes, and than there is room for. It is drawn in frames, each of which has
/// something new, and nothing is left out.
#[test]
fn a_flood_is_drawn_in_few_frames() {
    const MESSAGES: u64 = 5_000;
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        for number in 1..=MESSAGES {
            client.send(Frame::text(format!("message {number}")));
        }
        client.answer_close();
    });
    let (typist, screen) = run(&peer);
    let views = screen.until(|view| view.messages == MESSAGES);
    assert_eq!(views.last().unwrap().last, "message 5000");
    assert!(views.len() < 2_500, "{} frames", views.len());
    for two in views.windows(2) {
        let news = two[1].messages > two[0].messages || two[1].status != two[0].status;
        assert!(news && two[1].frame == two[0].frame + 1);
    }
    typist.leaves();
    assert_eq!(ending(&screen.drawing.join().unwrap()), clean(ClosedBy::Us, 1000, ""));
}

/// Before there is a connection, and when nothing comes from the server: the loop sleeps then, and
/// is woken up.
#[test]
fn what_is_typed_is_sent_and_its_end_closes() {
    let (tell, told) = bounded::<()>(1);
    let peer = Peer::start(move |listener| {
        let mut client = listener.accept();
        told.recv_timeout(PATIENCE).unwrap();
        client.upgrade();
        client.expect_text("early");
        client.expect_text("words");
        client.send(Frame::text("well"));
        client.expect_text("more");
        client.answer_close();
    });
    let (typist, screen) = run(&peer);
    typist.types("early");
    typist.types("words");
    tell.send(()).unwrap();
    screen.until(|view| view.last == "well");
    typist.types("more");
    typist.leaves();
    assert!(screen.drawing.join().unwrap().clean);
}

#[test]
fn after_a_loss_the_connection_is_made_again() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("one");
        client.reset();
        let mut client = listener.open();
        client.send(Frame::text("again"));
        client.expect_text("two");
        client.answer_close();
    });
    let (typist, screen) = run(&peer);
    screen.until(|view| view.status == "open");
    typist.types("one");
    // The loss and what follows may be in one frame.
    screen.until(|view| view.last == "again");
    typist.types("two");
    typist.leaves();
    assert!(screen.drawing.join().unwrap().clean);
}
