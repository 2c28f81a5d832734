//! The sending half in every order in which its threads may be scheduled, against a socket of the
//! models' own.
//!
//! A model's threads are those that send, the loop's, and the test's own, which plays the peer and
//! whoever else there is. What is lost shows as a deadlock: the peer waits for it. [`App`] is the
//! one place that knows the sending half.

mod answering;
#[cfg(feature = "server")]
mod broadcasting;
mod by_caller;
mod ending;
mod fragments;
mod gathering;
mod keeping;
mod sending;
mod socket;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mio::{Events, Token};

use super::{CallbackScope, Opened, Part, Shared, Wait};
use crate::error::SendError;
use crate::link::writer::Wire;
use crate::link::{Gather, LoopWaker, Place, State, Woken};
use crate::message::Outgoing;
use crate::protocol::frame::Head;
use crate::protocol::handshake::Handshake;
use crate::role::Role;
use crate::sync::model::{Bell, check, happened, pass_time_until, pass_time_when_waited_for};
use crate::sync::thread::{Builder, JoinHandle};
use crate::sync::{Poll, Waker};
use socket::Peer;

const WAKER: Token = Token(0);
const US: Token = Token(1);
const TEXT: u8 = 1;
const MUCH: usize = 1 << 20;
/// Longer than a model lasts: who waits is woken, or waits for ever.
const LONG: Duration = Duration::from_secs(3600);

/// An app, as the threads of a model know it.
#[derive(Clone)]
struct App {
    shared: Arc<Shared>,
    waker: Arc<LoopWaker>,
    /// Of its connections, one after the other.
    peers: Vec<Arc<Peer>>,
    /// What was accepted, by who sent it, in order. No lock of the model's: to look is no step.
    accepted: Arc<std::sync::Mutex<Messages>>,
    streams: Arc<AtomicBool>,
    /// How many messages were kept and never sent.
    given_back: Arc<AtomicUsize>,
}

type Messages = BTreeMap<char, Vec<String>>;

impl App {
    /// One with a queue of so many bytes, whose connections will be these, and whose loop is not
    /// running yet.
    fn new(max_buffer: usize, peers: &[Arc<Peer>]) -> (Self, Loop) {
        App::with_role(Role::Client, max_buffer, peers)
    }

    fn with_role(role: Role, max_buffer: usize, peers: &[Arc<Peer>]) -> (Self, Loop) {
        let poll = Poll::new().unwrap();
        let bell = poll.registry().bell();
        let waker = Arc::new(LoopWaker::new(Waker::new(poll.registry(), WAKER).unwrap()));
        let shared = Arc::new(Shared::new(role));
        shared.limit(max_buffer, LONG);
        shared.attach(&Place { waker: Arc::clone(&waker), token: US });
        let app = App {
            shared,
            waker,
            peers: peers.to_vec(),
            accepted: Arc::default(),
            streams: Arc::default(),
            given_back: Arc::default(),
        };
        let its_loop = Loop {
            app: app.clone(),
            poll,
            bell,
            connection: 0,
            wire: None,
            rung: false,
            to_answer: 0,
        };
        (app, its_loop)
    }

    /// The same, and its first connection is open, the first callback over.
    fn open(max_buffer: usize, peers: &[Arc<Peer>]) -> (Self, Loop) {
        let (app, mut its_loop) = App::new(max_buffer, peers);
        its_loop.open(|_| ());
        (app, its_loop)
    }

    /// One without a loop, whose owner reads and writes its open connection.
    fn driven(max_buffer: usize, peer: Arc<Peer>) -> (Self, Loop) {
        let (app, mut its_loop) = App::new(max_buffer, &[peer]);
        its_loop.connect(Opened::ByCaller);
        (app, its_loop)
    }

    /// From now on messages are kept through lost connections.
    fn keep(&self) {
        self.shared.keep(MUCH, LONG);
    }

    /// From now on sends count as those of a stream.
    fn stream(&self) {
        self.streams.store(true, Ordering::Relaxed);
        self.make_stream();
    }

    fn make_stream(&self) {
        self.shared.lock().writer.iter_mut().for_each(|writer| writer.coalescer.make_stream());
    }

    /// Sends short messages of this sender's, the numbers of which make them distinct. Returns how
    /// many were accepted.
    fn send(&self, who: char, numbers: Range<usize>) -> usize {
        numbers.filter(|number| self.send_text(who, format!("{who}{number}")).is_ok()).count()
    }

    /// The same with messages of so many bytes, borrowed.
    fn send_large(&self, who: char, numbers: Range<usize>, len: usize) -> usize {
        numbers
            .filter(|number| self.send_text(who, format!("{who}{number:_>len$}")).is_ok())
            .count()
    }

    fn send_text(&self, who: char, text: String) -> Result<(), SendError> {
        self.shared.send(Outgoing::from(&text), Wait::Default)?;
        self.accepted.lock().unwrap().entry(who).or_default().push(text);
        Ok(())
    }

    /// Gathers what this thread sends from now on: messages have come together, and did so just
    /// before.
    fn gather(&self) -> Gather {
        drop(Gather::begin(&self.shared, 2));
        let gather = Gather::begin(&self.shared, 2);
        gather.on_item(false);
        gather
    }

    /// Sends a message of so many fragments, or as much of it as it can. Returns whether that was
    /// all.
    fn write(&self, who: char, fragments: usize) -> bool {
        let text = format!("{who}{:_>1$}", "", fragments - 1);
        let written = self.shared.begin_fragments().and_then(|way| {
            let mut head = Head::TEXT;
            for at in 0..fragments - 1 {
                let payload = &text.as_bytes()[at..=at];
                let part = Part { head: head.unfinished(), payload, written: 1 };
                self.shared.send_fragment(&way.wire, &part, &mut false)?;
                head = Head::CONTINUATION;
            }
            let payload = &text.as_bytes()[fragments - 1..];
            self.shared.finish_fragments(way, Part { head, payload, written: 1 }, None)
        });
        if written.is_ok() {
            self.accepted.lock().unwrap().entry(who).or_default().push(text);
        }
        written.is_ok()
    }

    fn close(&self) {
        self.shared.close(1000, "").unwrap();
    }

    fn abort(&self) {
        self.shared.abort();
    }

    fn reconnect(&self) {
        self.shared.reconnect();
    }

    fn flush(&self) -> Result<(), SendError> {
        self.shared.flush(LONG)
    }

    /// Whether a thread waits for room, or to have flushed.
    fn is_waited_for(&self) -> bool {
        self.shared.lock().waiting_threads > 0
    }

    fn is_open(&self) -> bool {
        self.shared.state() == State::Open
    }

    /// Checks that of what was accepted nothing is missing: what no peer got was given back.
    fn got_or_given_back(&self) {
        assert_eq!(self.first_got() + self.given_back.load(Ordering::Relaxed), self.accepted());
    }

    /// Counts what was accepted, of all senders.
    fn accepted(&self) -> usize {
        self.accepted.lock().unwrap().values().map(Vec::len).sum()
    }

    /// Checks what the peers got: of each sender's accepted messages all, once, in its order, and
    /// nothing else.
    fn all_got(&self) {
        assert_eq!(self.got(), *self.accepted.lock().unwrap());
    }

    /// Checks the same where a connection was lost: the first of them, perhaps fewer than all.
    /// Returns how many they are.
    fn first_got(&self) -> usize {
        let (got, accepted) = (self.got(), self.accepted.lock().unwrap());
        for (who, got) in &got {
            assert!(
                accepted.get(who).is_some_and(|accepted| accepted.starts_with(got)),
                "{got:?} of {accepted:?}"
            );
        }
        got.values().map(Vec::len).sum()
    }

    /// Checks that of one sender's accepted messages all were got.
    fn has_got(&self, who: char) {
        assert_eq!(self.got().get(&who), self.accepted.lock().unwrap().get(&who));
    }

    fn got(&self) -> Messages {
        let mut got = Messages::new();
        for (opcode, text) in self.peers.iter().flat_map(|peer| peer.frames()) {
            if opcode == TEXT {
                got.entry(text.chars().next().unwrap()).or_default().push(text);
            }
        }
        got
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> JoinHandle {
    Builder::new().spawn(run).unwrap()
}

/// What the event loop does for one app.
struct Loop {
    app: App,
    poll: Poll,
    bell: Arc<Bell>,
    /// How many connections there have been.
    connection: usize,
    wire: Option<Arc<Wire>>,
    /// Somebody rang, and nothing was done about it yet.
    rung: bool,
    /// How many messages have come that are to be answered, one after the other.
    to_answer: usize,
}

impl Loop {
    /// The next connection is there. Returns whether it is wanted.
    fn connect(&mut self, opened: Opened) -> bool {
        let wire = self.app.peers[self.connection].connect(&self.bell);
        self.connection += 1;
        let is_wanted =
            self.app.shared.opened(&wire, Some(Arc::new(Handshake::default())), None, opened);
        self.wire = Some(wire).filter(|_| is_wanted);
        if self.app.streams.load(Ordering::Relaxed) {
            self.app.make_stream();
        }
        is_wanted
    }

    /// The same, and its first callback is called.
    fn open(&mut self, on_open: impl FnOnce(&App)) {
        let opened = if self.connection == 0 { Opened::First } else { Opened::Again };
        if !self.connect(opened) {
            return;
        }
        self.app.shared.on_opening();
        self.call(on_open);
        self.app.shared.on_opening_done();
    }

    /// Runs a callback.
    fn call(&self, callback: impl FnOnce(&App)) {
        let _scope = CallbackScope::enter();
        callback(&self.app);
    }

    fn spawn(self) -> JoinHandle {
        self.spawn_calling(|_| ())
    }

    /// Runs the loop on a thread, with a callback to begin with.
    fn spawn_calling(self, callback: impl FnOnce(&App) + Send + 'static) -> JoinHandle {
        spawn(move || {
            self.call(callback);
            self.run();
        })
    }

    /// Runs until the last connection is over, which ends the app.
    fn run(mut self) {
        let mut events = Events::with_capacity(8);
        self.call_back();
        while self.answer() && self.turn(&mut events) {}
    }

    /// Hands out messages, which are answered, while no answer waits for the peer.
    fn call_back(&mut self) {
        while self.to_answer > 0 && !self.app.shared.await_reading() {
            let place = Place { waker: Arc::clone(&self.app.waker), token: US };
            let of = Arc::as_ptr(&self.app.shared).addr();
            let _scope = CallbackScope::enter_callback(place.its_loop(), of);
            self.app.send('q', self.to_answer..self.to_answer + 1);
            self.to_answer -= 1;
        }
    }

    /// Does what threads have rung for. Returns whether the run goes on.
    fn answer(&mut self) -> bool {
        if !std::mem::take(&mut self.rung) {
            return true;
        }
        self.call_back();
        let asked = self.app.shared.take_requests();
        if asked.reconnect && !asked.close {
            self.app.shared.finish(1000_u16.to_be_bytes().to_vec().into());
        }
        if asked.abort
            || asked.reconnect
            || asked.write_error.is_some()
            || self.connection == 0 && asked.close
        {
            return self.ended();
        }
        true
    }

    /// Polls, and does what sockets want. Returns whether the run goes on.
    fn turn(&mut self, events: &mut Events) -> bool {
        self.poll.poll(events, None).unwrap();
        if events.iter().any(|event| event.token() == WAKER) {
            let mut woken = Woken::default();
            self.app.waker.drain(&mut woken);
            self.rung |= !woken.tokens.is_empty();
            #[cfg(feature = "server")]
            woken.queued.iter().for_each(|shared| shared.write_queued());
        }
        let Some(peer) = self.connection.checked_sub(1).map(|at| &self.app.peers[at]) else {
            return true;
        };
        let happened = peer.take_events();
        if let (true, Some(wire)) = (happened.is_writable, &self.wire) {
            self.app.shared.on_writable(wire);
        }
        if happened.is_closed_by_peer {
            self.app.shared.finish(Bytes::new());
        }
        !happened.is_hung_up || self.ended()
    }

    /// The owner drops a connection that it drives itself.
    fn ended_by_owner(mut self) {
        self.ended();
    }

    /// The connection is over: the next begins, if there is one and nobody has closed.
    fn ended(&mut self) -> bool {
        let shared = &*self.app.shared;
        shared.close_is_written();
        let goes_on = self.connection < self.app.peers.len() && !shared.is_closed_for_good();
        shared.disconnected(if goes_on { State::Waiting } else { State::Closed });
        if goes_on {
            self.open(|_| ());
        } else {
            self.app.given_back.fetch_add(shared.take_unsent().len(), Ordering::Relaxed);
        }
        goes_on
    }
}
