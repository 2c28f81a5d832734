//! How what is sent gets to a socket, in streams and in large messages, where no loop does anything
//! but what the tests do.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{OnceLock, mpsc};
use std::thread;

use bytes::Bytes;
use mio::Token;

use super::inner::{FlushTarget, Flushed};
use super::*;
use crate::link::writer::{Chunk, Fragmented, Tail, Wire, Writer, Writing};
use crate::link::{Gather, LoopWaker, Place, Woken};
use crate::protocol::send::MAX_COPIED;
use crate::sync::{Poll, Waker};
use crate::transport::{Socket, Stream, Transport};

const US: Token = Token(7);

/// An open connection, what its reading thread would look at, and the peer's end.
struct Connection {
    shared: Arc<Shared>,
    wire: Arc<Wire>,
    waker: Arc<LoopWaker>,
    peer: TcpStream,
    _poll: Poll,
}

impl Connection {
    fn new(max_buffer: usize) -> Self {
        Connection::with(max_buffer, None, false)
    }

    /// One that has no loop.
    fn driven_by_caller(max_buffer: usize) -> Self {
        Connection::with(max_buffer, None, true)
    }

    /// One that compresses all that is sent.
    #[cfg(feature = "deflate")]
    fn compressing() -> Self {
        let agreed = crate::Deflate::default().agree("permessage-deflate").unwrap();
        let contexts = crate::link::supplies::contexts;
        let deflater = Deflater::new(agreed, Role::Client, contexts).map(|it| (it, 0));
        Connection::with(usize::MAX, deflater, false)
    }

    fn with(max_buffer: usize, compressor: Option<(Deflater, usize)>, by_caller: bool) -> Self {
        Connection::over(Role::Client, Socket::from, max_buffer, compressor, by_caller)
    }

    /// One of a server's client, on which other threads are at it, or will not be.
    fn serving(max_buffer: usize, writing: Writing) -> Self {
        let connection = Connection::over(Role::Server, Socket::from, max_buffer, None, false);
        connection.shared.lock().writer.as_mut().unwrap().writing = writing;
        connection
    }

    /// Sends so many bytes as the client's own callback does.
    fn answer(&self, bytes: usize) -> Result<(), SendError> {
        let (its_loop, of) = (self.waker.address(), Arc::as_ptr(&self.shared).addr());
        let _scope = CallbackScope::enter_callback(its_loop, of);
        self.shared.send(Outgoing::from(&vec![7; bytes][..]), Wait::Default)
    }

    fn over(
        role: Role,
        socket: impl FnOnce(TcpStream) -> Socket,
        max_buffer: usize,
        compressor: Option<(Deflater, usize)>,
        by_caller: bool,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        let (peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let poll = Poll::new().unwrap();
        let waker = Arc::new(LoopWaker::new(Waker::new(poll.registry(), Token(0)).unwrap()));
        let shared = Arc::new(Shared::new(role));
        shared.limit(max_buffer, Duration::from_secs(20));
        shared.attach(&Place { waker: Arc::clone(&waker), token: US });
        let wire = Arc::new(Wire::new(Stream::plain(socket(ours))));
        let mut guard = shared.lock();
        guard.writer = Some(Writer::new(role, Arc::clone(&wire), compressor, by_caller));
        guard.state = State::Open;
        drop(guard);
        Connection { shared, wire, waker, peer, _poll: poll }
    }

    /// Sends a message of 100 bytes, 106 on the wire, as if many had gone before it without a
    /// pause.
    fn send_in_a_stream(&self) -> Result<(), SendError> {
        self.shared.lock().writer.as_mut().unwrap().coalescer.make_stream();
        self.shared.send(Outgoing::from(&[7; 100][..]), Wait::Never)
    }

    fn who_rang(&self) -> Vec<Token> {
        let mut woken = Woken::default();
        self.waker.drain(&mut woken);
        woken.tokens
    }

    /// Reads a message of so many bytes, and what was sent behind it, which is nothing.
    fn read_message(&mut self, len: usize) -> Vec<u8> {
        let header_len = if self.shared.role == Role::Client { 14 } else { 10 };
        let mut header = vec![0; header_len];
        self.peer.read_exact(&mut header).unwrap();
        let mut message = vec![0; len];
        self.peer.read_exact(&mut message).unwrap();
        for (i, byte) in message.iter_mut().enumerate() {
            *byte ^= header[10..].get(i % 4).unwrap_or(&0);
        }
        self.is_read(0);
        message
    }

    fn is_read(&mut self, bytes: usize) {
        self.peer.read_exact(&mut vec![0; bytes]).unwrap();
        self.peer.set_nonblocking(true).unwrap();
        assert_eq!(self.peer.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        self.peer.set_nonblocking(false).unwrap();
    }
}

#[test]
fn a_stream_is_written_though_nobody_else_does_anything() {
    let mut connection = Connection::new(1 << 20);
    for burst in 0..20 {
        (0..=burst).for_each(|_| connection.send_in_a_stream().unwrap());
        connection.is_read((burst + 1) * 106);
    }
    connection.shared.flush(Duration::from_secs(20)).unwrap();
    assert_eq!(connection.who_rang(), []);
}

#[test]
fn what_a_callback_sends_in_a_stream_is_written_before_it_returns() {
    let mut connection = Connection::new(1 << 20);
    let _in_callback = CallbackScope::enter();
    (0..3).for_each(|_| connection.send_in_a_stream().unwrap());
    connection.is_read(3 * 106);
}

#[test]
fn a_stream_that_fills_the_queue_is_written_and_not_refused() {
    for in_callback in [false, true] {
        let mut connection = Connection::new(1 << 10);
        let scope = in_callback.then(CallbackScope::enter);
        for i in 0..100 {
            assert!(
                connection.send_in_a_stream().is_ok(),
                "message {i}, in a callback: {in_callback}"
            );
        }
        drop(scope);
        drop(connection.shared.write(connection.shared.lock(), Tail::NONE));
        connection.is_read(100 * 106);
    }
}

#[test]
fn a_thread_writes_a_mebibyte_and_somebody_else_the_rest() {
    const LARGE: usize = 4 << 20;
    let bytes: Vec<u8> = (0..LARGE as u32).map(|i| (i.wrapping_mul(i) >> 9) as u8).collect();
    // What is lent is copied only as far as somebody else writes it; a server's is not masked.
    for (role, is_lent) in
        [Role::Client, Role::Server].map(|role| [(role, false), (role, true)]).concat()
    {
        let connection = Connection::over(role, Socket::from, usize::MAX, None, false);
        let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
        let reader = std::thread::spawn(move || {
            let mut connection = connection;
            let message = connection.read_message(LARGE);
            (connection, message)
        });
        let message = match is_lent {
            false => Outgoing::from(bytes.clone()),
            true => Outgoing::from(&bytes[..]),
        };
        shared.send(message, Wait::Never).unwrap();
        // A full socket calls when there is room again, for which there is no loop here.
        while !reader.is_finished() {
            shared.on_writable(&wire);
            std::thread::yield_now();
        }
        let (connection, message) = reader.join().unwrap();
        assert!(message == bytes, "{role:?}, lent: {is_lent}");
        shared.flush(Duration::from_secs(20)).unwrap();
        assert_eq!(connection.who_rang(), []);
    }
}

/// Where no loop does, who sends writes on when there is room.
#[test]
fn what_is_lent_goes_out_whole_though_no_loop_writes_it() {
    const LARGE: usize = 4 << 20;
    let bytes: Vec<u8> = (0..LARGE as u32).map(|i| (i.wrapping_mul(i) >> 9) as u8).collect();
    for role in [Role::Client, Role::Server] {
        let mut connection = Connection::over(role, Socket::from, usize::MAX, None, true);
        let shared = Arc::clone(&connection.shared);
        let message = thread::scope(|scope| {
            let reading = scope.spawn(|| connection.read_message(LARGE));
            shared.send(Outgoing::from(&bytes[..]), Wait::Default).unwrap();
            reading.join().unwrap()
        });
        assert!(message == bytes, "{role:?}");
        assert_eq!(shared.buffered(), 0);
    }
}

#[cfg(feature = "deflate")]
#[test]
fn who_may_not_wait_does_not_wait_for_a_thread_that_compresses() {
    let mut connection = Connection::compressing();
    let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
    let message = || Outgoing::from(&[7; 100][..]);
    let lent = shared.lock().writer.as_mut().unwrap().lend_deflater().unwrap();
    shared.send(message(), Wait::Never).unwrap();
    shared.send(message(), Wait::UpTo(Duration::from_millis(1))).unwrap();
    {
        let _in_callback = CallbackScope::enter();
        shared.send(message(), Wait::Default).unwrap();
    }
    // Uncompressed.
    connection.is_read(3 * 106);
    let waiting = {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || shared.send(Outgoing::from(&[7; 100][..]), Wait::Default))
    };
    while shared.lock().waiting_threads == 0 {
        assert!(!waiting.is_finished(), "it may wait");
        std::thread::yield_now();
    }
    let mut guard = shared.lock();
    assert!(guard.compressed(lent, &wire));
    shared.notify(&guard);
    drop(guard);
    waiting.join().unwrap().unwrap();
    let mut header = [0; 2];
    connection.peer.read_exact(&mut header).unwrap();
    assert!(header[0] & 0x40 != 0 && header[1] & 0x7f < 100, "it is compressed: {header:?}");
}

/// What compresses may have come back just before, when it was not the next one's turn yet.
#[cfg(feature = "deflate")]
#[test]
fn who_waits_to_compress_no_longer_lets_the_next_one_go() {
    let connection = Connection::compressing();
    let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
    shared.limit(usize::MAX, Duration::from_secs(3600));
    let mut guard = shared.lock();
    let lent = guard.writer.as_mut().unwrap().lend_deflater().unwrap();
    let mut turn = Some(guard.to_compress.join());
    drop(guard);
    let next = wait_for_room(&shared, vec![7; 100]);
    let mut guard = shared.lock();
    assert!(guard.compressed(lent, &wire));
    shared.leave_compressing(&mut guard, &mut turn);
    drop(guard);
    let sent = next.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
    assert_eq!(sent, Ok(()));
}

/// Also before those who come when what compresses is back, and nobody has heard of that yet.
#[cfg(feature = "deflate")]
#[test]
fn who_waits_to_compress_goes_before_who_comes_later() {
    at_last(|_| {
        let mut connection = Connection::compressing();
        let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
        shared.limit(usize::MAX, Duration::from_secs(3600));
        let lent = shared.lock().writer.as_mut().unwrap().lend_deflater().unwrap();
        let waiting = wait_for_room(&shared, vec![7; 100]);
        assert!(shared.lock().compressed(lent, &wire));
        let message = Outgoing::from(&[7; 100][..]);
        shared.send(message, Wait::UpTo(Duration::from_millis(1))).unwrap();
        let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
        assert_eq!(sent, Ok(()));
        let mut header = [0; 2];
        connection.peer.read_exact(&mut header).unwrap();
        header[0] & 0x40 == 0
    });
}

/// Whatever comes of what it sends.
#[cfg(feature = "deflate")]
#[test]
fn who_has_waited_to_compress_leaves_its_turn_to_the_next_one() {
    let connection = Connection::compressing();
    let shared = &connection.shared;
    shared.set_policy(SendPolicy::Fail);
    let lent = shared.lock().writer.as_mut().unwrap().lend_deflater().unwrap();
    let waiting = wait_for_room(shared, vec![7; 100]);
    let mut guard = shared.lock();
    guard.writer.as_mut().unwrap().writing = Writing::Full;
    queue(&mut guard, Head::BINARY, 1000);
    guard.max_buffer = guard.buffered();
    let limit = guard.max_buffer;
    shared.notify(&guard);
    drop(guard);
    let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
    assert_eq!(sent, Err(full(limit)));
    assert!(shared.lock().to_compress.is_next(None));
    drop(lent);
}

/// Though the socket is full, and nothing is written.
#[cfg(feature = "deflate")]
#[test]
fn who_waits_to_compress_hears_that_another_thread_has() {
    let connection = Connection::compressing();
    let shared = &connection.shared;
    shared.limit(usize::MAX, Duration::from_secs(3600));
    shared.lock().writer.as_mut().unwrap().writing = Writing::Full;
    let noise: Vec<u8> = (0..8_u32 << 20).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    let is_compressing = || !shared.lock().writer.as_ref().unwrap().has_deflater();
    at_last(|_| {
        thread::scope(|scope| {
            let first = scope.spawn(|| shared.send(Outgoing::from(&noise[..]), Wait::Default));
            while !is_compressing() && !first.is_finished() {
                thread::yield_now();
            }
            let (theirs, (tell, told)) = (Arc::clone(shared), mpsc::channel());
            thread::spawn(move || tell.send(theirs.send((&[7; 100][..]).into(), Wait::Default)));
            let mut waited = false;
            while !first.is_finished() {
                waited |= shared.lock().waiting_threads > 0;
                thread::yield_now();
            }
            let sent = told.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
            assert_eq!((sent, first.join().unwrap()), (Ok(()), Ok(())));
            waited
        })
    });
}

/// A large message, too, though there would be room for small ones again and again. Who finds room
/// goes before it, but not for ever.
#[test]
fn room_is_given_in_the_order_in_which_threads_came() {
    let mut connection = Connection::new(usize::MAX);
    let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
    // More than the sockets of both ends hold.
    shared.send(Outgoing::from(vec![7; 64 << 20]), Wait::Never).unwrap();
    while !matches!(shared.lock().writer.as_ref().unwrap().writing, Writing::Full) {
        std::thread::yield_now();
    }
    shared.limit(shared.buffered() + 1000, Duration::from_secs(20));
    let mut waiting = Vec::new();
    for (who, len) in [(1, 900_000), (2, 2000), (3, 500_000), (4, 2000)] {
        let theirs = Arc::clone(&shared);
        waiting.push(std::thread::spawn(move || {
            theirs.send(Outgoing::from(vec![who; len]), Wait::Default)
        }));
        while shared.lock().waiting_threads < waiting.len() {
            assert!(!waiting.iter().any(|thread| thread.is_finished()), "{who} did not wait");
            std::thread::yield_now();
        }
    }
    shared.send(Outgoing::from(&[5; 10][..]), Wait::Never).unwrap();
    {
        let _in_callback = CallbackScope::enter();
        shared.send(Outgoing::from(&[6; 10][..]), Wait::Default).unwrap();
    }
    let mut order = Vec::new();
    connection.peer.set_nonblocking(true).unwrap();
    let (mut read, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
    while order.len() < 7 {
        shared.on_writable(&wire);
        let some = connection.peer.read(&mut buffer).unwrap_or(0);
        read.extend_from_slice(&buffer[..some]);
        while let Some((who, len)) = first_frame(&read) {
            order.push(who);
            read.drain(..len);
        }
    }
    assert_eq!(order, [7, 5, 6, 1, 2, 3, 4]);
    waiting.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
}

/// Sends, on a thread of its own, what there is no room for, where no loop does anything. Returns
/// where the result comes when that thread waits for the socket.
fn wait_for_the_socket(
    shared: &Arc<Shared>,
    message: Vec<u8>,
) -> mpsc::Receiver<Result<(), SendError>> {
    let (theirs, (tell, told)) = (Arc::clone(shared), mpsc::channel());
    std::thread::spawn(move || tell.send(theirs.send((&message[..]).into(), Wait::Default)));
    while !shared.lock().writer.as_ref().unwrap().is_room_awaited() {
        assert!(told.try_recv().is_err(), "it did not wait");
        std::thread::yield_now();
    }
    told
}

/// Sends what the socket takes, and not much more.
fn fill_the_socket(shared: &Arc<Shared>) {
    while !matches!(shared.lock().writer.as_ref().unwrap().writing, Writing::Full) {
        shared.send(Outgoing::from(&[7; 1000][..]), Wait::Never).unwrap();
    }
}

/// Also where its message has to be copied, and so is looked at twice.
#[test]
fn who_cannot_wait_goes_before_who_does_by_as_much_as_it_sends() {
    const LIMIT: usize = 100_000;
    let connection = Connection::driven_by_caller(usize::MAX);
    let shared = &connection.shared;
    fill_the_socket(shared);
    shared.limit(shared.buffered() + LIMIT, Duration::from_secs(20));
    let waiting = wait_for_the_socket(shared, vec![7; LIMIT]);
    let in_callback = CallbackScope::enter();
    shared.send(Outgoing::from(&[7; LIMIT * 6 / 10][..]), Wait::Default).unwrap();
    drop(in_callback);
    shared.abort();
    let sent = waiting.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(sent, Err(SendError::NotConnected { message: None }));
}

#[test]
fn who_waits_for_the_socket_hears_of_the_end_of_the_connection() {
    let ends: [fn(&Arc<Shared>); 3] = [
        |shared| shared.close(1000, "").unwrap(),
        |shared| _ = shared.finish(Bytes::new()),
        |shared| shared.disconnected(State::Closed),
    ];
    for end in ends {
        let connection = Connection::driven_by_caller(usize::MAX);
        let shared = &connection.shared;
        fill_the_socket(shared);
        shared.limit(shared.buffered(), Duration::from_secs(3600));
        let waiting = wait_for_the_socket(shared, vec![7; 1000]);
        end(shared);
        let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
        assert_eq!(sent, Err(SendError::NotConnected { message: None }));
    }
}

/// Sends, on a thread of its own, what has to wait for room. Returns where the result comes.
fn wait_for_room(shared: &Arc<Shared>, message: Vec<u8>) -> mpsc::Receiver<Result<(), SendError>> {
    let (theirs, (tell, told)) = (Arc::clone(shared), mpsc::channel());
    thread::spawn(move || tell.send(theirs.send((&message[..]).into(), Wait::Default)));
    while shared.lock().waiting_threads == 0 {
        assert!(told.try_recv().is_err(), "it did not wait");
        thread::yield_now();
    }
    told
}

/// Also while another thread writes, who tells only when it has.
#[test]
fn who_waits_for_room_hears_that_the_connection_closes() {
    let closes: [fn(&Arc<Shared>); 2] =
        [|shared| shared.close(1000, "").unwrap(), |shared| _ = shared.finish(Bytes::new())];
    for close in closes {
        let connection = Connection::new(usize::MAX);
        let shared = &connection.shared;
        fill_the_socket(shared);
        shared.limit(shared.buffered(), Duration::from_secs(3600));
        let waiting = wait_for_room(shared, vec![7; 1000]);
        shared.lock().writer.as_mut().unwrap().writing =
            Writing::Active { again: false, was_full: true };
        close(shared);
        let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
        assert_eq!(sent, Err(SendError::NotConnected { message: None }));
    }
}

/// Room is made again and again, and never enough for the one that waits.
#[test]
fn who_finds_room_goes_before_who_waits_by_no_more_than_the_limit() {
    const LIMIT: usize = 100_000;
    let connection = Connection::new(usize::MAX);
    let shared = &connection.shared;
    fill_the_socket(shared);
    let limit = shared.buffered() + LIMIT;
    shared.limit(limit, Duration::from_secs(3600));
    let waiting = wait_for_room(shared, vec![7; LIMIT]);
    let needed = shared.frame_len(1000);
    let goes_by = |_: &usize| {
        let mut guard = shared.lock();
        if !guard.has_room(needed) {
            guard.writer.as_mut().unwrap().drop_oldest(LIMIT / 2);
        }
        drop(guard);
        shared.send(Outgoing::from(&[7; 1000][..]), Wait::Never).is_ok()
    };
    let most = limit / needed;
    assert_eq!((0..2 * most).take_while(goes_by).count(), most);
    shared.disconnected(State::Closed);
    let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
    assert_eq!(sent, Err(SendError::NotConnected { message: None }));
}

/// For room, or to begin; and where the message is kept for the next connection instead.
#[test]
fn who_has_waited_in_vain_is_in_nobodys_way() {
    let (soon, long) = (Duration::from_millis(1), Duration::from_secs(3600));
    for fragments in [false, true] {
        let connection = Connection::new(usize::MAX);
        let shared = &connection.shared;
        let way = fragments.then(|| shared.begin_fragments().unwrap());
        if !fragments {
            fill_the_socket(shared);
            shared.limit(shared.buffered(), long);
        }
        let in_nobodys_way = || {
            let guard = shared.lock();
            guard.for_room.is_next(None) && guard.to_begin.is_next(None)
        };
        let late = match fragments {
            true => SendError::Busy { message: None, after: soon },
            false => SendError::Timeout { message: None, after: soon },
        };
        let sent = shared.send(Outgoing::from(&[7; 1000][..]), Wait::UpTo(soon));
        assert_eq!(sent, Err(late));
        assert!(in_nobodys_way(), "in fragments: {fragments}");
        shared.keep(1 << 20, long);
        let waiting = wait_for_room(shared, vec![7; 1000]);
        shared.disconnected(State::Waiting);
        let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
        assert_eq!(sent, Ok(()));
        assert!(in_nobodys_way(), "in fragments: {fragments}, kept");
        drop(way);
    }
}

/// Whatever it waited for: nobody else may tell the others.
#[test]
fn who_waits_no_longer_lets_the_next_one_go() {
    let connection = Connection::new(usize::MAX);
    let shared = &connection.shared;
    fill_the_socket(shared);
    (0..3).for_each(|_| shared.send(Outgoing::from(&[8; 1000][..]), Wait::Never).unwrap());
    shared.limit(shared.buffered(), Duration::from_secs(3600));
    let mut turn = Some(shared.lock().for_room.join());
    let next = wait_for_room(shared, vec![7; 1000]);
    let mut guard = shared.lock();
    guard.writer.as_mut().unwrap().drop_oldest(2000);
    shared.leave_room(&mut guard, &mut turn);
    drop(guard);
    assert_eq!(next.recv_timeout(Duration::from_secs(20)).expect("it waits no longer"), Ok(()));
}

/// Though nothing is written then.
#[test]
fn who_waits_for_the_end_of_a_message_in_fragments_hears_that_there_is_none() {
    let connection = Connection::new(usize::MAX);
    let shared = &connection.shared;
    shared.limit(usize::MAX, Duration::from_secs(3600));
    let way = shared.begin_fragments().unwrap();
    let next = wait_for_room(shared, vec![7; 1000]);
    shared.cancel_fragments(way);
    assert_eq!(next.recv_timeout(Duration::from_secs(20)).expect("it waits no longer"), Ok(()));
}

/// Also where the message is over, and nobody has heard of that yet.
#[test]
fn who_waits_for_the_end_of_a_message_in_fragments_goes_before_who_comes_later() {
    let connection = Connection::new(usize::MAX);
    let shared = &connection.shared;
    let soon = Duration::from_millis(1);
    at_last(|_| {
        shared.limit(usize::MAX, Duration::from_secs(3600));
        let way = shared.begin_fragments().unwrap();
        let next = wait_for_room(shared, vec![7; 1000]);
        shared.lock().writer.as_mut().unwrap().fragmented = Fragmented::No;
        let sent = shared.send(Outgoing::from(&[7; 100][..]), Wait::UpTo(soon));
        shared.notify(&shared.lock());
        assert_eq!(next.recv_timeout(Duration::from_secs(20)).expect("it waits no longer"), Ok(()));
        drop(way);
        sent == Err(SendError::Busy { message: None, after: soon })
    });
}

#[test]
fn a_fragment_that_has_waited_for_room_lets_the_next_one_go() {
    let mut connection = Connection::new(usize::MAX);
    let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
    fill_the_socket(&shared);
    shared.limit(shared.buffered() + shared.frame_len(FRAGMENT), Duration::from_secs(3600));
    let way = shared.begin_fragments().unwrap();
    let payload = vec![7; FRAGMENT];
    let part = Part { head: Head::BINARY.unfinished(), payload: &payload, written: FRAGMENT };
    shared.send_fragment(&way.wire, &part, &mut false).unwrap();
    connection.peer.set_nonblocking(true).unwrap();
    thread::scope(|scope| {
        let second = scope.spawn(|| shared.send_fragment(&way.wire, &part, &mut false));
        while shared.lock().waiting_threads == 0 {
            assert!(!second.is_finished(), "it did not wait");
            thread::yield_now();
        }
        let mut buffer = vec![0; 1 << 20];
        while !second.is_finished() {
            shared.on_writable(&wire);
            _ = connection.peer.read(&mut buffer);
        }
        second.join().unwrap().unwrap();
    });
    assert!(shared.lock().for_room.is_next(None));
}

/// That takes time, in which nobody is to wait for the lock.
#[test]
fn a_large_message_that_is_copied_does_not_go_at_once() {
    let connection = Connection::new(usize::MAX);
    let bytes = vec![7; MAX_COPIED + 1];
    let goes_at_once = |message: &Outgoing<'_>| {
        connection.shared.lock().goes_at_once(message, bytes.len() + 14, Wait::Default, false)
    };
    // Where it is written from where it lies, or has its memory to itself, nothing is copied.
    assert!(goes_at_once(&Outgoing::from(&bytes[..])));
    fill_the_socket(&connection.shared);
    assert!(!goes_at_once(&Outgoing::from(&bytes[..])));
    assert!(goes_at_once(&Outgoing::from(bytes.clone())));
    assert!(goes_at_once(&Outgoing::from(&bytes[1..])));
}

/// Begins a message in fragments, on a thread of its own, for which there is no room. Returns when
/// that thread waits.
fn wait_to_begin(shared: &Arc<Shared>) -> thread::JoinHandle<Result<Way, SendError>> {
    let theirs = Arc::clone(shared);
    let waiting = thread::spawn(move || theirs.begin_fragments());
    while shared.lock().waiting_threads == 0 {
        assert!(!waiting.is_finished(), "it did not wait");
        thread::yield_now();
    }
    waiting
}

#[test]
fn who_has_waited_to_begin_a_message_in_fragments_lets_the_next_one_go() {
    let mut connection = Connection::new(usize::MAX);
    let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
    connection.peer.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut read_until = |is_done: &dyn Fn() -> bool| {
        while !is_done() {
            shared.on_writable(&wire);
            _ = connection.peer.read(&mut buffer);
        }
    };
    fill_the_socket(&shared);
    // Not for a whole fragment, of which nothing is known yet.
    shared.limit(shared.buffered() + FRAGMENT, Duration::from_secs(20));
    let beginning = wait_to_begin(&shared);
    read_until(&|| beginning.is_finished());
    shared.cancel_fragments(beginning.join().unwrap().unwrap());

    shared.limit(usize::MAX, Duration::from_secs(20));
    fill_the_socket(&shared);
    shared.limit(shared.buffered(), Duration::from_secs(20));
    let sending = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.send(Outgoing::from(vec![8; 1000]), Wait::Default))
    };
    while shared.lock().waiting_threads == 0 {
        assert!(!sending.is_finished(), "it did not wait");
        thread::yield_now();
    }
    read_until(&|| sending.is_finished());
    sending.join().unwrap().unwrap();
}

/// Of a message in fragments none can be left out, nor dropped again.
#[test]
fn a_message_in_fragments_waits_for_room_whatever_the_policy() {
    for policy in [SendPolicy::Fail, SendPolicy::DropOldest] {
        let connection = Connection::new(usize::MAX);
        let shared = &connection.shared;
        fill_the_socket(shared);
        shared.limit(shared.buffered(), Duration::from_secs(20));
        shared.set_policy(policy);
        let beginning = wait_to_begin(shared);
        shared.disconnected(State::Closed);
        let ended = SendError::NotConnected { message: None };
        assert_eq!(beginning.join().unwrap().err(), Some(ended), "{policy:?}");
    }
}

/// What waits is not sent before it, but for what has begun.
#[cfg(feature = "server")]
#[test]
fn a_close_that_is_sent_instead_of_what_waits_goes_first() {
    fn payload() -> Bytes {
        Bytes::copy_from_slice(&1013_u16.to_be_bytes())
    }
    let closes: [fn(&Arc<Shared>); 2] = [
        |shared| assert!(shared.close_instead(1013)),
        |shared| assert!(!shared.finish(payload()), "we have not closed"),
    ];
    for close_it in closes {
        let mut connection = Connection::new(usize::MAX);
        let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
        fill_the_socket(&shared);
        (0..3).for_each(|_| shared.send(Outgoing::from(vec![8; 1000]), Wait::Never).unwrap());
        close_it(&shared);
        assert!(!shared.close_instead(1000), "it is closing");
        connection.peer.set_nonblocking(true).unwrap();
        let (mut read, mut buffer, mut order) = (Vec::new(), vec![0; 1 << 20], Vec::new());
        let close = payload()[0];
        while order.last() != Some(&close) {
            shared.on_writable(&wire);
            let some = connection.peer.read(&mut buffer).unwrap_or(0);
            read.extend_from_slice(&buffer[..some]);
            while let Some((first, len)) = first_frame(&read) {
                order.push(first);
                read.drain(..len);
            }
        }
        order.dedup();
        assert_eq!(order, [7, close]);
    }
}

/// What is dropped for a message is enough for it, where there is enough.
#[test]
fn a_message_finds_room_among_those_that_may_be_dropped_and_a_ping_only_where_there_is_some() {
    const LIMIT: usize = 100_000;
    let connection = Connection::new(usize::MAX);
    let shared = &connection.shared;
    fill_the_socket(shared);
    shared.lock().writer.as_mut().unwrap().drop_oldest(usize::MAX);
    let has_begun = shared.buffered();
    shared.limit(has_begun + LIMIT, Duration::from_secs(20));
    shared.set_policy(SendPolicy::DropOldest);
    for len in [1000; 99].into_iter().chain([LIMIT / 2]) {
        shared.send(Outgoing::from(vec![8; len]), Wait::Default).unwrap();
        assert!(shared.buffered() <= has_begun + LIMIT);
    }
    // It takes all the room that there is, and more.
    shared.limit(has_begun, Duration::from_secs(20));
    shared.send(Outgoing::from(vec![8; LIMIT]), Wait::Default).unwrap();
    assert_eq!(shared.buffered(), has_begun + shared.frame_len(LIMIT));
    assert_eq!(shared.control(Head::PING, b""), Err(full(has_begun)));
    assert_eq!(shared.buffered(), has_begun);
}

/// A stream of the program's own, which asks its app for something as it is dropped.
struct Asks(TcpStream, Arc<OnceLock<Arc<Shared>>>);

impl Drop for Asks {
    fn drop(&mut self) {
        self.1.get().expect("the connection is open").state();
    }
}

impl Transport for Asks {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buf)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        (&self.0).write(buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.1.get().expect("the connection is open").state();
        self.0.shutdown(how)
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Asks {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for Asks {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

/// Whoever is the last to have it: here a thread that waits for the socket as the connection ends.
#[test]
fn a_stream_of_the_programs_own_is_neither_shut_down_nor_dropped_under_the_lock() {
    for aborts in [false, true, false, false, false] {
        let to_ask = Arc::<OnceLock<Arc<Shared>>>::default();
        let asked = Arc::clone(&to_ask);
        let socket = |tcp| Socket::from(Asks(tcp, asked));
        let connection = Connection::over(Role::Client, socket, usize::MAX, None, true);
        let Connection { shared, wire, peer: _peer, .. } = connection;
        assert!(to_ask.set(Arc::clone(&shared)).is_ok());
        drop(wire);
        fill_the_socket(&shared);
        shared.limit(shared.buffered(), Duration::from_secs(3600));
        let waiting = wait_for_the_socket(&shared, vec![7; 1000]);
        let (theirs, (tell, told)) = (Arc::clone(&shared), mpsc::channel());
        std::thread::spawn(move || {
            if aborts {
                theirs.abort();
            }
            theirs.disconnected(State::Closed);
            tell.send(())
        });
        told.recv_timeout(Duration::from_secs(20)).expect("the connection ends");
        let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
        assert_eq!(sent, Err(SendError::NotConnected { message: None }));
    }
}

/// Queues a frame that no thread writes. Returns what a flush would wait for then.
fn queue(guard: &mut Lock<'_>, head: Head, len: usize) -> FlushTarget {
    let payload = vec![7; len];
    guard.writer.as_mut().unwrap().queue(head, &Payload::Borrowed(&payload), None, 0, false);
    guard.flush_target()
}

/// All of the chunk was written. Returns whether there is another.
fn goes_on(guard: &mut Lock<'_>, chunk: &mut Chunk) -> bool {
    let (written, mut tail) = (chunk.left().len(), Tail::NONE);
    guard.writer.as_mut().unwrap().advance(chunk, &mut tail, Ok(written), &mut 0).is_none()
}

fn are_flushed<const N: usize>(guard: &Lock<'_>, targets: [&FlushTarget; N]) -> [bool; N] {
    targets.map(|target| matches!(guard.flushed(target), Flushed::Yes))
}

/// It stood between messages that were dropped.
#[test]
fn flush_waits_for_a_ping_behind_what_was_dropped() {
    let connection = Connection::new(usize::MAX);
    let mut guard = connection.shared.lock();
    queue(&mut guard, Head::BINARY, 10);
    let (_wire, mut chunk) = guard.writer.as_mut().unwrap().begin().unwrap();
    let before = queue(&mut guard, Head::BINARY, 1000);
    let ping = queue(&mut guard, Head::PING, 1);
    let behind = queue(&mut guard, Head::BINARY, 1000);
    assert_eq!(guard.writer.as_mut().unwrap().drop_oldest(2000), 2);
    let last = queue(&mut guard, Head::BINARY, 20);
    let targets = [&before, &ping, &behind, &last];
    assert!(goes_on(&mut guard, &mut chunk));
    assert_eq!(are_flushed(&guard, targets), [false; 4]);
    // The ping is the first of the piece that is next, and the last message is in it too.
    assert!(!goes_on(&mut guard, &mut chunk));
    assert_eq!(are_flushed(&guard, targets), [true; 4]);
}

#[test]
fn flush_does_not_wait_for_the_message_behind_what_was_dropped() {
    let connection = Connection::new(usize::MAX);
    let mut guard = connection.shared.lock();
    queue(&mut guard, Head::BINARY, 10);
    let (_wire, mut chunk) = guard.writer.as_mut().unwrap().begin().unwrap();
    let dropped = queue(&mut guard, Head::BINARY, 1000);
    assert_eq!(guard.writer.as_mut().unwrap().drop_oldest(1000), 1);
    let last = queue(&mut guard, Head::BINARY, 20);
    assert_eq!(are_flushed(&guard, [&dropped, &last]), [false; 2]);
    assert!(goes_on(&mut guard, &mut chunk));
    assert_eq!(are_flushed(&guard, [&dropped, &last]), [true, false]);
}

#[test]
fn flush_waits_for_what_has_begun_and_not_for_what_is_dropped() {
    const LARGE: usize = 16 << 20;
    let mut connection = Connection::new(usize::MAX);
    let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
    shared.send(Outgoing::from(vec![7; LARGE]), Wait::Never).unwrap();
    while !matches!(shared.lock().writer.as_ref().unwrap().writing, Writing::Full) {
        std::thread::yield_now();
    }
    shared.limit(shared.buffered() + 100_000, Duration::from_secs(20));
    shared.set_policy(SendPolicy::DropOldest);
    shared.send(Outgoing::from(vec![1; 60_000]), Wait::Never).unwrap();
    let target = shared.lock().flush_target();
    // Much more than what has begun.
    (0..400).for_each(|_| shared.send(Outgoing::from(vec![2; 60_000]), Wait::Never).unwrap());
    assert_eq!(shared.stats().messages_dropped, 400);
    assert!(matches!(shared.lock().flushed(&target), Flushed::NotYet));
    let reading = std::thread::spawn(move || {
        connection.is_read(LARGE + 14 + 60_000 + 8);
        connection
    });
    while !reading.is_finished() {
        shared.on_writable(&wire);
        std::thread::yield_now();
    }
    assert!(matches!(shared.lock().flushed(&target), Flushed::Yes));
    let _connection = reading.join().unwrap();
}

/// Returns the first byte of the first frame's payload, and how long the frame is, once it is
/// there.
fn first_frame(bytes: &[u8]) -> Option<(u8, usize)> {
    let mut cursor = std::io::Cursor::new(bytes);
    let (header, len) = tungstenite::protocol::frame::FrameHeader::parse(&mut cursor).unwrap()?;
    let begin = cursor.position() as usize;
    let frame = bytes.get(..begin + len as usize)?;
    Some((frame[begin] ^ header.mask?[0], frame.len()))
}

#[test]
fn flush_does_not_wait_for_what_is_sent_after_it() {
    const LARGE: usize = 8 << 20;
    for driven in [false, true] {
        let mut connection = Connection::with(usize::MAX, None, driven);
        let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
        shared.send(Outgoing::from(vec![7; LARGE]), Wait::Never).unwrap();
        let flushing = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.flush(Duration::from_secs(20)))
        };
        let waits = |inner: &Inner| {
            let for_room = inner.writer.as_ref().is_some_and(Writer::is_room_awaited);
            inner.waiting_threads > 0 || for_room
        };
        while !waits(&shared.lock()) {
            assert!(!flushing.is_finished(), "the socket has taken {LARGE} bytes that nobody read");
            std::thread::yield_now();
        }
        // More than the sockets of both ends hold.
        shared.send(Outgoing::from(vec![8; 8 * LARGE]), Wait::Never).unwrap();
        connection.peer.set_nonblocking(true).unwrap();
        let (mut left, mut buffer) = (LARGE + 14, vec![0; 64 << 10]);
        while left > 0 {
            shared.on_writable(&wire);
            let most = left.min(buffer.len());
            left -= connection.peer.read(&mut buffer[..most]).unwrap_or(0);
        }
        while !flushing.is_finished() {
            shared.on_writable(&wire);
            std::thread::yield_now();
        }
        flushing.join().unwrap().unwrap();
        assert!(shared.buffered() > 0);
    }
}

/// Several that wait for one socket: one of them writes, and what it wrote for the others they are
/// told of, though the one may wait on.
#[test]
fn each_that_sends_without_a_loop_waits_for_its_own_message() {
    const LARGE: usize = 8 << 20;
    let mut connection = Connection::driven_by_caller(usize::MAX);
    let send = |len: usize| {
        let before = connection.shared.buffered();
        let shared = Arc::clone(&connection.shared);
        let sending = std::thread::spawn(move || shared.send(vec![7; len].into(), Wait::Default));
        // The first until the socket takes no more, so that what is buffered only grows.
        let is_full = || connection.shared.lock().writer.as_ref().unwrap().is_room_awaited();
        while connection.shared.buffered() <= before || !is_full() {
            assert!(!sending.is_finished(), "the socket has taken {len} bytes that nobody read");
            std::thread::yield_now();
        }
        sending
    };
    let [first, second, last] = [LARGE, 1000, 8 * LARGE].map(send);
    connection.peer.read_exact(&mut vec![0; LARGE + 14]).unwrap();
    first.join().unwrap().unwrap();
    connection.peer.read_exact(&mut vec![0; 1008]).unwrap();
    second.join().unwrap().unwrap();
    assert!(!last.is_finished());
    connection.peer.read_exact(&mut vec![0; 8 * LARGE + 14]).unwrap();
    last.join().unwrap().unwrap();
}

#[test]
fn flush_in_a_callback_lets_the_thread_that_writes_get_on_with_it() {
    let mut connection = Connection::new(1 << 20);
    let _in_callback = CallbackScope::enter();
    let mut flushed = 0;
    for _ in 0..200 {
        (0..60).for_each(|_| connection.send_in_a_stream().unwrap());
        let begun = Instant::now();
        match connection.shared.flush(Duration::ZERO) {
            Ok(()) => flushed += 1,
            // That thread may have had no processor.
            Err(late) => assert!(begun.elapsed() >= Duration::from_millis(10), "{late:?}"),
        }
        connection.is_read(60 * 106);
    }
    assert!(flushed > 0);
}

/// Sends a message of 100 bytes, 106 on the wire. Returns how many bytes wait then.
fn send_one(connection: &Connection) -> usize {
    connection.shared.send(Outgoing::from(&[7; 100][..]), Wait::Never).unwrap();
    connection.shared.buffered()
}

/// Begins to hand out messages that came together, as others did just before.
fn gather(connection: &Connection) -> Gather {
    drop(Gather::begin(&connection.shared, 2));
    let gather = Gather::begin(&connection.shared, 2);
    gather.on_item(false);
    gather
}

/// Tries until it was so: a processor may be taken away at the wrong moment.
fn at_last(try_it: impl FnMut(i32) -> bool) {
    assert!((0..1000).any(try_it));
}

#[test]
fn what_answers_messages_that_came_together_goes_out_together() {
    let mut connection = Connection::new(1 << 20);
    at_last(|_| {
        let gather = gather(&connection);
        let first = send_one(&connection);
        gather.on_item(false);
        let waited = (first, send_one(&connection));
        gather.on_item(true);
        let all_is_written = send_one(&connection) == 0;
        drop(gather);
        connection.is_read(3 * 106);
        waited == (106, 2 * 106) && all_is_written
    });
    // No longer than that.
    assert_eq!(send_one(&connection), 0);
}

#[test]
fn what_answers_messages_that_come_together_now_and_then_goes_out_at_once() {
    let connection = Connection::new(1 << 20);
    at_last(|_| {
        thread::sleep(Duration::from_millis(2));
        let gather = Gather::begin(&connection.shared, 2);
        gather.on_item(false);
        let waits = send_one(&connection);
        drop(gather);
        assert_eq!(waits, 0);
        true
    });
}

#[test]
fn what_was_gathered_goes_out_though_nothing_is_sent_for_the_last_message() {
    let mut connection = Connection::new(1 << 20);
    let gather = gather(&connection);
    send_one(&connection);
    drop(gather);
    assert_eq!(connection.shared.buffered(), 0);
    connection.is_read(106);
}

#[test]
fn what_was_gathered_goes_out_before_the_next_message_once_it_has_waited() {
    let connection = Connection::new(1 << 20);
    at_last(|_| {
        let gather = gather(&connection);
        let waited = send_one(&connection);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros(60) {}
        (0..4).for_each(|_| gather.on_item(false));
        assert_eq!(connection.shared.buffered(), 0);
        waited == 106
    });
}

#[test]
fn what_was_gathered_goes_out_though_the_callback_does_not_return() {
    let mut connection = Connection::new(1 << 20);
    // The thread that looks may have gone to sleep meanwhile, and has to be woken again.
    for pause in [Duration::ZERO, Duration::ZERO, Duration::from_millis(50)] {
        thread::sleep(pause);
        let gather = gather(&connection);
        for _ in 0..3 {
            send_one(&connection);
            connection.is_read(106);
            thread::sleep(pause);
            gather.on_item(false);
        }
        // Also where the one before it did return.
        send_one(&connection);
        gather.on_item(false);
        connection.is_read(106);
        send_one(&connection);
        connection.is_read(106);
    }
}

/// A callback may run a loop, whose callbacks are handed what came together too, and send over
/// what called them.
#[test]
fn what_was_gathered_goes_out_whatever_runs_within_the_callback() {
    let (mut one, mut other) = (Connection::new(1 << 20), Connection::new(1 << 20));
    at_last(|round| {
        let outer = gather(&one);
        let waited = send_one(&one);
        {
            let inner = Gather::begin(&other.shared, 2);
            inner.on_item(false);
            send_one(&other);
            if round % 2 == 0 {
                send_one(&one);
            }
        }
        send_one(&one);
        one.is_read(if round % 2 == 0 { 318 } else { 212 });
        other.is_read(106);
        drop(outer);
        waited == 106
    });
}

#[test]
fn what_was_gathered_goes_out_before_the_connection_is_given_up_for_another() {
    let mut connection = Connection::new(1 << 20);
    let _gather = gather(&connection);
    send_one(&connection);
    connection.shared.reconnect();
    assert_eq!(connection.shared.buffered(), 0);
    connection.is_read(106);
}

#[test]
fn what_was_gathered_goes_out_before_the_close_frame_and_with_a_flush() {
    for closes in [false, true] {
        let mut connection = Connection::new(1 << 20);
        let _gather = gather(&connection);
        send_one(&connection);
        match closes {
            true => connection.shared.close(1000, "").unwrap(),
            false => connection.shared.flush(Duration::ZERO).unwrap(),
        }
        assert_eq!(connection.shared.buffered(), 0);
        connection.is_read(if closes { 106 + 8 } else { 106 });
    }
}

#[test]
fn only_what_goes_over_the_same_connection_is_gathered() {
    let (one, mut other) = (Connection::new(1 << 20), Connection::new(1 << 20));
    let _gather = gather(&one);
    assert_eq!(send_one(&other), 0);
    other.is_read(106);
}

#[test]
fn what_was_gathered_makes_room() {
    let mut connection = Connection::new(250);
    let gather = gather(&connection);
    (0..10).for_each(|_| _ = send_one(&connection));
    drop(gather);
    connection.is_read(10 * 106);
}

/// It may be the thread that writes that is slow, and not the peer.
#[cfg(feature = "server")]
#[test]
fn a_broadcast_lets_the_thread_that_writes_get_on_with_it() {
    use crate::link::writer::WriteEnd;

    let message = || Broadcast::new(Outgoing::from(&[7; 600][..]), false);
    let gets_in = || {
        let Connection { shared, peer: _peer, _poll, .. } = Connection::new(1_000);
        let (_, mut chunk) = shared.lock().writer.as_mut().unwrap().begin().unwrap();
        assert_eq!(shared.queue_broadcast(&message(), None), Queueing::Queued);
        let sending = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.queue_broadcast_late(&message(), None))
        };
        while shared.lock().waiting_threads == 0 && !sending.is_finished() {
            std::thread::yield_now();
        }
        let mut guard = shared.lock();
        guard.writer.as_mut().unwrap().end(&mut chunk, WriteEnd::Turn);
        shared.notify(&guard);
        drop(guard);
        sending.join().unwrap() == Queueing::Queued
    };
    // It waits for 10 ms, and this thread may take longer.
    assert!((0..100).any(|_| gets_in()));
}

#[test]
fn answers_that_wait_are_seen_to_whoever_is_to_write_them() {
    let active = Writing::Active { again: false, was_full: false };
    for writing in [active, Writing::Full] {
        let connection = Connection::serving(1 << 20, writing);
        connection.answer(64 << 10).unwrap();
        assert!(connection.shared.has_unread());
        assert!(connection.shared.await_reading());
        // Once it closes they may never be read.
        connection.shared.close(1000, "").unwrap();
        assert!(!connection.shared.await_reading());
    }
    // Nobody will read these.
    for writing in [Writing::Failed(None), Writing::WaitsForPeer] {
        let connection = Connection::serving(1 << 20, writing);
        connection.answer(64 << 10).unwrap();
        assert!(!connection.shared.has_unread());
    }
}

#[test]
fn answers_have_room_of_their_own_and_no_more() {
    const ROOM: usize = 100 << 10;
    for writing in [|| Writing::Full, || Writing::Failed(None), || Writing::WaitsForPeer] {
        let connection = Connection::serving(ROOM, writing());
        let send = || connection.shared.send(Outgoing::from(&[7; 10 << 10][..]), Wait::Never);
        let sent = |send: &dyn Fn() -> Result<(), SendError>| {
            (0..1_000).take_while(|_| send().is_ok()).count()
        };
        // Others have theirs.
        assert_eq!(sent(&send), 9);
        // With one message more than fits.
        assert_eq!(sent(&|| connection.answer(10 << 10)), 10);
        assert_eq!(sent(&send), 0);
        assert!(connection.shared.buffered() < 2 * ROOM);
        // Which may be as long as it likes.
        let connection = Connection::serving(ROOM, writing());
        connection.answer(ROOM).unwrap();
        assert_eq!(connection.answer(1), Err(full(ROOM)));
        let other = Outgoing::from(&[7; 10 << 10][..]);
        connection.shared.send(other, Wait::Never).expect("they take none of it");
    }
}

/// Behind a message in fragments as elsewhere.
#[cfg(feature = "server")]
#[test]
fn answers_take_no_room_of_what_is_for_many() {
    const ROOM: usize = 100 << 10;
    let connection = Connection::serving(ROOM, Writing::Full);
    connection.answer(ROOM).unwrap();
    connection.shared.lock().writer.as_mut().unwrap().fragmented = Fragmented::Begun;
    let message = Broadcast::new(Outgoing::from("for all"), false);
    for _ in 0..3 {
        assert_eq!(connection.shared.queue_broadcast(&message, None), Queueing::Queued);
    }
}

fn full(limit: usize) -> SendError {
    SendError::QueueFull { message: None, limit }
}
