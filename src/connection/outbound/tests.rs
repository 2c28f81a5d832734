//! What a stream of messages waits for, and what it does not: a socket, and a reading thread that the tests play.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use mio::{Poll, Token, Waker};

use super::pace::Pace;
use super::*;
use crate::connection::Doorbell;
use crate::socket::Socket;

const US: Token = Token(7);

/// An open connection, what its reading thread would look at, and the peer's end.
struct Connection {
    outbound: Outbound,
    doorbell: Arc<Doorbell>,
    peer: TcpStream,
    _poll: Poll,
}

impl Connection {
    fn new(max_buffer: usize) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        let (peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let poll = Poll::new().unwrap();
        let doorbell = Arc::new(Doorbell::new(Waker::new(poll.registry(), Token(0)).unwrap()));
        let outbound = Outbound::new();
        outbound.limit(max_buffer, Duration::from_secs(20));
        outbound.attach(&doorbell, US);
        let mut guard = outbound.lock();
        guard.stream = Some(Arc::new(crate::connect::Stream::plain(Socket::from(ours))));
        guard.state = State::Open;
        drop(guard);
        Connection { outbound, doorbell, peer, _poll: poll }
    }

    /// Sends a message of 100 bytes, 106 on the wire, as if many had gone before it without a pause.
    fn send_in_a_stream(&self) -> Result<(), SendError> {
        self.outbound.lock().pace = Pace::stream();
        self.outbound.send(Outgoing::from(&[7; 100][..]), Wait::Never)
    }

    fn who_rang(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.doorbell.answer(&mut tokens);
        tokens
    }

    fn is_read(&mut self, bytes: usize) {
        self.peer.read_exact(&mut vec![0; bytes]).unwrap();
        self.peer.set_nonblocking(true).unwrap();
        assert_eq!(self.peer.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        self.peer.set_nonblocking(false).unwrap();
    }
}

#[test]
fn a_stream_waits_for_the_reading_thread_which_is_told_once() {
    let mut connection = Connection::new(1 << 20);
    (0..3).for_each(|_| connection.send_in_a_stream().unwrap());
    assert_eq!((connection.outbound.buffered(), connection.who_rang()), (3 * 106, vec![US]));
    assert!(connection.outbound.on_flush_asked(), "it is to look again, for nobody rings");
    connection.is_read(3 * 106);
    connection.send_in_a_stream().unwrap();
    assert_eq!((connection.outbound.buffered(), connection.who_rang()), (106, vec![]));
    assert!(connection.outbound.on_flush_asked());
    connection.is_read(106);
}

#[test]
fn while_the_reading_thread_is_away_who_sends_writes() {
    let mut connection = Connection::new(1 << 20);
    connection.send_in_a_stream().unwrap();
    let mut tokens = Vec::new();
    connection.doorbell.leave(&mut tokens);
    assert_eq!(tokens, [US]);
    // Before the callback begins, what is left of the stream is written ...
    connection.outbound.flush_before_call();
    connection.is_read(106);
    // ... and while it runs, nothing is left.
    (0..3).for_each(|_| connection.send_in_a_stream().unwrap());
    assert_eq!((connection.outbound.buffered(), connection.who_rang()), (0, vec![]));
    connection.is_read(3 * 106);
    // Then it is a stream again.
    connection.doorbell.come_back();
    connection.send_in_a_stream().unwrap();
    assert_eq!((connection.outbound.buffered(), connection.who_rang()), (106, vec![US]));
}

#[test]
fn a_stream_in_which_nothing_was_left_rings_again_too() {
    let mut connection = Connection::new(1 << 20);
    connection.send_in_a_stream().unwrap();
    assert_eq!(connection.who_rang(), [US]);
    assert!(connection.outbound.on_flush_asked());
    connection.is_read(106);
    connection.doorbell.leave(&mut Vec::new());
    connection.outbound.flush_before_call();
    connection.doorbell.come_back();
    connection.send_in_a_stream().unwrap();
    assert_eq!((connection.outbound.buffered(), connection.who_rang()), (106, vec![US]));
}

#[test]
fn what_was_left_when_the_reading_thread_went_away_goes_with_the_next() {
    let mut connection = Connection::new(1 << 20);
    connection.send_in_a_stream().unwrap();
    connection.doorbell.leave(&mut Vec::new());
    connection.outbound.lock().flush_asked = false;
    connection.send_in_a_stream().unwrap();
    assert_eq!(connection.outbound.buffered(), 0);
    connection.is_read(2 * 106);
}

#[test]
fn replies_in_a_callback_go_out_together_after_it() {
    let mut connection = Connection::new(1 << 20);
    connection.doorbell.leave(&mut Vec::new());
    let in_callback = CallbackScope::enter();
    (0..3).for_each(|_| connection.send_in_a_stream().unwrap());
    drop(in_callback);
    assert_eq!((connection.outbound.buffered(), connection.who_rang()), (3 * 106, vec![US]));
    connection.outbound.flush_before_call();
    connection.is_read(3 * 106);
}

#[test]
fn a_stream_that_fills_the_queue_is_written_and_not_refused() {
    for in_callback in [false, true] {
        let mut connection = Connection::new(1 << 10);
        let scope = in_callback.then(CallbackScope::enter);
        for i in 0..100 {
            assert!(connection.send_in_a_stream().is_ok(), "message {i}, in a callback: {in_callback}");
        }
        drop(scope);
        drop(connection.outbound.write(connection.outbound.lock(), Direct::NONE));
        connection.is_read(100 * 106);
    }
}

#[test]
fn after_a_mebibyte_the_others_of_the_reading_thread_have_their_turn() {
    const MIB: usize = 1 << 20;
    const TURN: usize = MIB + MIB / 8;
    let mut connection = Connection::new(usize::MAX);
    connection.outbound.send(Outgoing::from(vec![7; 3 * MIB]), Wait::Never).unwrap();
    let mut left = connection.outbound.buffered();
    assert!((3 * MIB - TURN..=3 * MIB).contains(&left), "{left} bytes are left");
    // Unless the socket is full before, which calls by itself, the thread is told to come back, and does.
    let is_full = connection.outbound.lock().blocked;
    assert_eq!(connection.who_rang(), if is_full { vec![] } else { vec![US] });
    connection.peer.read_exact(&mut vec![0; 3 * MIB + 14 - left]).unwrap();
    while left > 0 {
        connection.outbound.on_writable();
        let now = connection.outbound.buffered();
        assert!(left - now <= TURN, "{} bytes in one turn", left - now);
        connection.peer.read_exact(&mut vec![0; left - now]).unwrap();
        left = now;
    }
    connection.is_read(0);
}
